"""`everywire show` of any service: what an object has, by interface; without one who the service is and what it has."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import msgspec

from everywire.cli.dbus.addresses import BusUrl, parse
from everywire.cli.dbus.names import credentials, process_of, user_of
from everywire.cli.dbus.objects import EVERYWIRE, BusObject, look
from everywire.cli.dbus.services import INTROSPECTABLE, Service, reached
from everywire.cli.dbus.trees import tell_cut, tell_unreadable
from everywire.cli.dbus.walking import walk
from everywire.cli.describing import lines, show
from everywire.cli.exits import listed
from everywire.cli.printing import plain_table, styled
from everywire.cli.reaching import Target
from everywire.cli.values import printable_json, visible
from everywire.dbus.session import BUS
from everywire.dbus.wire.described import is_common
from everywire.dbus.wire.names import path_of
from everywire.model import Contract, Kind
from everywire.model.description import describe

MOST_PLACES: Final = 4
"""Paths that are named of those that have an interface."""


async def show_on_bus(target: Target, names: Sequence[str], *, xml: bool) -> None:
    """Print what an object has, its introspection data, or without an object what its service has."""
    if xml:
        await show_xml(target)
    elif target.name:
        await show_object(target, names)
    else:
        await show_service(target)


async def show_object(target: Target, names: Sequence[str]) -> None:
    """Print what the object has, or of its interfaces and members those called *names*."""
    url = parse(target.url)
    async with reached(url, target.timeout) as service:
        found = await look(service, path_of(target.name, url.base))
    parts = dict(_parts(found, names))
    if target.json:
        print(printable_json(_as_json(parts)), flush=True)
        return
    print(f"{styled(visible(found.path), bold=True)} of {visible(found.service.title)}\n")
    print("\n\n".join("\n".join(lines(interface, part)) for interface, part in parts.items()))
    common = [interface for interface in found.interfaces if interface not in parts and is_common(interface)]
    if common and not names:
        print(f"\nBesides: {', '.join(map(visible, common))}")


async def show_xml(target: Target) -> None:
    """Print what the object says of itself, as it says it: the input of 'everywire gen python'."""
    url = parse(target.url)
    async with reached(url, target.timeout) as service:
        path = path_of(target.name, url.base) if target.name else url.base
        await look(service, path)
        (xml,) = (await service.ask(path, INTROSPECTABLE, "Introspect")).body
    print("\n".join(map(visible, xml.strip().splitlines())), flush=True)


async def show_service(target: Target) -> None:
    """Print who the service is, and what its objects have: of ours each, of others every interface once.

    Of a bus itself the same. JSON of a host of ours is as on every wire.
    """
    url = parse(target.url)
    if url.is_bus and not url.service:
        url = replace(url, service=BUS)
    async with reached(url, target.timeout) as service:
        facts = await _facts(service)
        found = await walk(service, url.path or "/")
        objects = [BusObject(service, here.path, here.interfaces.values()) for here in found.objects.values()]
        tell_unreadable(service, found)
    ours = any(EVERYWIRE in each.interfaces for each in objects)
    if not target.json:
        print("\n".join(_who(service.title, url, facts)), end="\n\n", flush=True)
    if ours:
        await show(target.url, None, (), timeout=target.timeout, json=target.json)
    elif target.json:
        print(printable_json(_service_as_json(facts, objects)), flush=True)
    else:
        print("\n\n".join(_interfaces(objects)), flush=True)
    tell_cut(found, target.url)


def _who(title: str, url: BusUrl, facts: Mapping[str, Any]) -> Iterator[str]:
    """Yield lines that say who a service is."""
    yield f"{styled(visible(title), bold=True)}{f' on {url.place}' if url.is_bus else ''}"
    rows = [(f"  {name}", visible("yes" if value is True else str(value))) for name, value in facts.items() if value]
    yield from plain_table(rows[0], rows[1:]) if rows else ()


def _interfaces(objects: Sequence[BusObject]) -> Iterator[str]:
    """Yield what each interface has, with the objects that have it."""
    for interface, having in _by_interface(objects).items():
        places = listed([visible(each.path) for each in having], MOST_PLACES)
        yield "\n".join((*lines(interface, having[0].part(interface)), "", f"  at {places}"))


def _service_as_json(facts: Mapping[str, Any], objects: Sequence[BusObject]) -> str:
    interfaces = {
        name: {"objects": [each.path for each in having], "contract": _raw(having[0].part(name))}
        for name, having in _by_interface(objects).items()
    }
    return msgspec.json.encode({"service": facts, "interfaces": interfaces}).decode()


def _by_interface(objects: Sequence[BusObject]) -> dict[str, list[BusObject]]:
    found: dict[str, list[BusObject]] = {}
    for each in objects:
        for interface in each.interfaces:
            if not is_common(interface):
                found.setdefault(interface, []).append(each)
    return found


def _parts(found: BusObject, names: Sequence[str]) -> Iterator[tuple[str, Contract]]:
    """Yield the interfaces of an object with what is to be shown of each."""
    if not names:
        for interface in found.interfaces:
            if not is_common(interface):
                yield interface, found.part(interface)
        return
    wanted: dict[str, list[str]] = {}
    for name in names:
        if name in found.interfaces:
            wanted.setdefault(name, []).extend(found.part(name).members)
        else:
            member = found.find(name, *Kind)
            wanted.setdefault(member.place.interface, []).append(member.name)
    for interface, chosen in wanted.items():
        part = found.part(interface)
        yield interface, Contract(part.name, {name: part.members[name] for name in chosen}, part.doc)


def _as_json(parts: Mapping[str, Contract]) -> str:
    return msgspec.json.encode({name: _raw(part) for name, part in parts.items()}).decode()


def _raw(part: Contract) -> msgspec.Raw:
    return msgspec.Raw(describe(part))


async def _facts(service: Service) -> dict[str, Any]:
    """Return who has the name, as far as the bus and the system tell."""
    if not service.url.is_bus:
        peer = service.connection.peer
        return {"pid": peer.pid, "process": process_of(peer.pid), "user": user_of(peer.uid) or peer.uid}
    connection = service.connection
    owner = await connection.owner(service.name)
    known = await credentials(connection, service.name) if owner else {}
    pid, uid = known.get("ProcessID"), known.get("UnixUserID")
    label = known.get("LinuxSecurityLabel", b"")
    return {
        "owner": owner,
        "pid": pid,
        "process": process_of(pid),
        "executable": _link(f"/proc/{pid}/exe") if pid else "",
        "command": _command(pid) if pid else "",
        "unit": _unit(pid) if pid else "",
        "user": user_of(uid) or uid,
        "label": label.rstrip(b"\0").decode(errors="replace") if isinstance(label, bytes) else "",
        "startable": service.name in await connection.names(activatable=True),
        **({"id": (await connection.ask_bus("GetId", ""))[0]} if service.name == BUS else {}),
    }


def _link(path: str) -> str:
    with contextlib.suppress(OSError):
        return str(Path(path).readlink())
    return ""


def _command(pid: int) -> str:
    with contextlib.suppress(OSError):
        raw = Path(f"/proc/{pid}/cmdline").read_bytes()
        return " ".join(raw.decode(errors="replace").split("\0")).strip()
    return ""


def _unit(pid: int) -> str:
    """Return the unit of systemd that a process belongs to; empty where there is none."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8").splitlines():
            last = line.rpartition("/")[2]
            if last.endswith((".service", ".scope")):
                return last
    return ""
