"""`get`, `set` and `call` of members at a path of any service. Prints results; reports errors by raising."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from everywire.cli.dbus.addresses import BusUrl, parse
from everywire.cli.dbus.objects import UNKNOWN, BusObject, Found, arguments, look, undescribed
from everywire.cli.dbus.raw import plain
from everywire.cli.dbus.services import on_bus, reached
from everywire.cli.exits import listed
from everywire.cli.printing import print_json, print_table
from everywire.cli.reaching import Target
from everywire.cli.values import to_text
from everywire.dbus.codec import NO_REPLY, Message, check_path
from everywire.dbus.codec import Kind as MessageKind
from everywire.dbus.wire.names import name_of, path_of
from everywire.errors import Fault, ModelError
from everywire.model import Kind


async def get(target: Target, names: Sequence[str]) -> None:
    """Print the named properties, or all; a single named one without its name."""
    url = parse(target.url)
    async with reached(url, target.timeout) as service:
        found = await look(service, path_of(target.name, url.base))
        if names:
            wanted = [found.find(name, Kind.PROPERTY) for name in names]
            values = list(await asyncio.gather(*map(found.get, wanted)))
        else:
            wanted = [each for each in found.of_kind(Kind.PROPERTY) if each.place.readable]
            answers = await all_answers(found, wanted)
            told = [(each, value) for each, value in values_in(found, wanted, answers) if value is not None]
            wanted, values = [each for each, _ in told], [value for _, value in told]
    print_values(target, wanted, values, single=len(names) == 1)


def print_values(target: Target, wanted: Sequence[Found], values: Sequence[Any], *, single: bool) -> None:
    """Print the values of properties; a *single* one without its name."""
    told = [plain(value) for value in values]
    if target.json:
        print_json(told[0] if single else {each.name: value for each, value in zip(wanted, told, strict=True)})
    elif single:
        print(to_text(told[0], _unit(wanted[0])))
    else:
        rows = [
            (each.name, to_text(value, _unit(each)), "writable" if each.member.writable else "", _first_line(each))
            for each, value in zip(wanted, told, strict=True)
        ]
        print_table(("PROPERTY", "VALUE", "", ""), rows)


async def all_answers(found: BusObject, wanted: Sequence[Found]) -> dict[str, Message]:
    """Return the answers to GetAll for the interfaces of the *wanted* properties.

    One that does not answer costs the others nothing, but is told of. Raises Fault when none does.
    """
    interfaces = list(dict.fromkeys(each.place.interface for each in wanted))
    answers = await asyncio.gather(*(_answer_of(found, interface) for interface in interfaces))
    given: dict[str, Message] = {}
    faults: dict[str, Fault] = {}
    for interface, answer in zip(interfaces, answers, strict=True):
        if isinstance(answer, Fault):
            faults[interface] = answer
        else:
            given[interface] = answer
    if faults and not given:
        raise next(iter(faults.values()))
    for interface, fault in faults.items():
        print(f"everywire: {interface} at {found.path}: {to_text(str(fault))}", file=sys.stderr, flush=True)
    return given


async def _answer_of(found: BusObject, interface: str) -> Message | Fault:
    try:
        return await found.get_all(interface)
    except Fault as fault:
        return fault


def values_in(
    found: BusObject, wanted: Sequence[Found], answers: Mapping[str, Message]
) -> Iterator[tuple[Found, Any]]:
    """Yield the value of each *wanted* property; None for one that the service keeps."""
    for each in wanted:
        answer = answers.get(each.place.interface)
        values: dict[str, Any] = answer.body[0] if answer is not None and answer.signature == "a{sv}" else {}
        yield each, found.value(each, values.get(each.place.name), answer.fds if answer is not None else ())


async def set_property(target: Target, name: str, text: str) -> None:
    """Set a property and print the value that the object then has."""
    url = parse(target.url)
    async with reached(url, target.timeout) as service:
        found = await look(service, path_of(target.name, url.base))
        wanted = found.find(name, Kind.PROPERTY)
        if not wanted.member.writable:
            writable = [each.name for each in found.of_kind(Kind.PROPERTY) if each.member.writable]
            raise ModelError(f"{wanted.full_name} is read-only; {found.path} lets you set {listed(writable)}")
        value = await found.set(wanted, text)
    if wanted.place.readable:
        print_values(target, [wanted], [value], single=True)


async def call(
    target: Target, name: str, words: Sequence[str], *, count: int | None, signature: str | None = None
) -> None:
    """Call a method and print its result; several are a list.

    With a *signature* the service is not asked what the method takes.
    """
    if count is not None:
        raise ModelError("-n is for streams, which objects of everywire have when they are named, as in hall")
    url = parse(target.url)
    async with reached(url, target.timeout) as service:
        path = path_of(target.name, url.base)
        if signature is None:
            found = await look(service, path)
            wanted = await _slot(found, name, url)
        else:
            found, wanted = BusObject(service, path, ()), undescribed(name, Kind.SLOT, signature)
        result = plain(await found.call(wanted, words, timeout=target.timeout))
    if target.json:
        print_json(result)
    elif result is not None or wanted.place.result not in ("", UNKNOWN):
        print(to_text(result), flush=True)


async def emit(target: Target, name: str, words: Sequence[str], *, signature: str | None, to: str) -> None:
    """Send a signal to all on a bus, or *to* one; without a *signature* its values are texts."""
    url = parse(target.url)
    if url.service:
        raise ModelError(f"a signal comes from us: leave ?service= away, or send it to one, --to {url.service}")
    signal = undescribed(name, Kind.SIGNAL, "s" * len(words) if signature is None else signature)
    async with on_bus(url, target.timeout) as connection:
        body, fds = arguments(signal.member, signal.place, words)
        message = Message(
            kind=MessageKind.SIGNAL,
            path=check_path(target.name),
            interface=signal.place.interface,
            member=signal.place.name,
            destination=to,
            signature=signal.place.signature,
            body=body,
            fds=fds,
            flags=NO_REPLY,
        )
        connection.send(message)


async def _slot(found: BusObject, name: str, url: BusUrl) -> Found:
    """Return the method that is meant; a stream of an object of ours, which is none, is told apart."""
    try:
        return found.find(name, Kind.SLOT)
    except ModelError:
        if name in await found.streams():
            advice = f"everywire call '{url.of_service(url.service) if url.service else url.url}'"
            named = name_of(found.path, url.base)
            raise ModelError(f"{name} gives a stream, which is no method of D-Bus: {advice} {named} {name}") from None
        raise


def _unit(found: Found) -> str:
    return found.member.parameters[0].unit


def _first_line(found: Found) -> str:
    return found.member.doc.strip().partition("\n")[0]
