"""`watch` of members at a path of any service: present values, then changes and signals, also over its restarts."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from typing import Any, Final

from everywire.cli.dbus.addresses import parse
from everywire.cli.dbus.objects import BusObject, Found, look
from everywire.cli.dbus.raw import lifted, plain
from everywire.cli.dbus.services import PROPERTIES, reached
from everywire.cli.dbus.verbs import all_answers, values_in
from everywire.cli.looping import needing_a_reader
from everywire.cli.printing import print_json
from everywire.cli.reaching import Target
from everywire.cli.values import to_text, visible
from everywire.dbus.codec import Kind as MessageKind
from everywire.dbus.codec import Message, parse_signature
from everywire.dbus.session import Match
from everywire.dbus.wire.names import path_of
from everywire.errors import Fault, LinkError, ModelError
from everywire.model import MISSING, Kind
from everywire.model.types import equal

CHANGED: Final = "PropertiesChanged"


async def watch(target: Target, names: Sequence[str], *, count: int | None) -> None:
    """Print the present values of the named properties, or of all, then *count* changes and signals."""
    url = parse(target.url)
    async with reached(url, target.timeout) as service:
        found = await look(service, path_of(target.name, url.base))
        kinds = (Kind.PROPERTY, Kind.SIGNAL)
        wanted = [found.find(name, *kinds) for name in names] or found.of_kind(*kinds)
        if not wanted:
            raise ModelError(f"{found.path} has neither properties nor signals to watch")
        watching = _Watch(target, found, wanted, count)
        with needing_a_reader():
            await watching.run()


class _Watch:
    """What is watched, and what was last seen of it. Messages, and changes of the owner, wait in one queue."""

    def __init__(self, target: Target, found: BusObject, wanted: Sequence[Found], left: int | None) -> None:
        self._target, self._found, self._left = target, found, left
        self._properties = {
            (each.place.interface, each.place.name): each
            for each in wanted
            if each.member.kind is Kind.PROPERTY and each.place.readable
        }
        self._signals = {
            (each.place.interface, each.place.name): each for each in wanted if each.member.kind is Kind.SIGNAL
        }
        self._values: dict[tuple[str, str], Any] = {}
        self._as_of: dict[str, tuple[str, int]] = {}
        """By interface, sender and serial of the last answer with all values: changes sent before are in it."""
        self._width = max(len(each.name) for each in wanted)
        self._heard: asyncio.Queue[Message | str | Exception] = asyncio.Queue()

    async def run(self) -> None:
        service = self._found.service
        rule = Match(kind=MessageKind.SIGNAL, sender=service.name, path=self._found.path)
        await service.connection.match(rule, self._heard.put_nowait)
        if service.url.is_bus and not service.name.startswith(":"):
            await service.connection.follow(service.name, lambda _, new: self._heard.put_nowait(new))
        service.connection.closed.add_done_callback(lambda gone: self._heard.put_nowait(_loss(gone.result())))
        await self._refresh(first=True)
        while self._left is None or self._left > 0:
            news = await self._heard.get()
            if isinstance(news, Exception):
                raise news
            await (self._owned(news) if isinstance(news, str) else self._take(news))

    async def _owned(self, owner: str) -> None:
        """The service has gone, or is back: then values that differ are changes."""
        where = f"{self._found.service.name} on {self._found.service.url.place}"
        told = "is back" if owner else "has gone; waiting for it"
        print(f"everywire: {where} {told}", file=sys.stderr, flush=True)
        if owner:
            try:
                await self._refresh(first=False)
            except Fault as fault:
                print(f"everywire: {where}: {to_text(str(fault))}", file=sys.stderr, flush=True)

    async def _refresh(self, *, first: bool) -> None:
        """Read all values; the first are no changes."""
        wanted = list(self._properties.values())
        answers = await all_answers(self._found, wanted)
        self._as_of = {interface: (answer.sender, answer.serial) for interface, answer in answers.items()}
        for each, value in values_in(self._found, wanted, answers):
            if value is not None:
                self._show_value(each, value, counted=not first)

    async def _take(self, message: Message) -> None:
        if (message.interface, message.member) == (PROPERTIES, CHANGED) and message.signature == "sa{sv}as":
            interface, changed, invalidated = message.body
            sender, serial = self._as_of.get(interface, ("", 0))
            if message.sender == sender and message.serial < serial:
                return
            for name, variant in changed.items():
                if (each := self._properties.get((interface, name))) is not None:
                    self._show_value(each, self._found.value(each, variant, message.fds), counted=True)
            for name in invalidated:
                if (each := self._properties.get((interface, name))) is not None:
                    await self._read_again(each)
        elif (each := self._signals.get((message.interface, message.member))) is not None and self._left != 0:
            self._show_signal(each, message)

    async def _read_again(self, each: Found) -> None:
        try:
            self._show_value(each, await self._found.get(each), counted=True)
        except Fault:
            print(f"everywire: {each.name} has changed and cannot be read", file=sys.stderr, flush=True)

    def _show_value(self, each: Found, value: Any, *, counted: bool) -> None:
        key = (each.place.interface, each.place.name)
        if equal(value, self._values.get(key, MISSING)) or self._left == 0:
            return
        self._values[key] = value
        if counted:
            self._count()
        if self._target.json:
            print_json({"member": each.name, "value": plain(value)})
        else:
            self._print(each, to_text(plain(value), each.member.parameters[0].unit))

    def _show_signal(self, each: Found, message: Message) -> None:
        came = zip(each.member.parameters, parse_signature(message.signature), message.body, strict=False)
        named = {
            parameter.name: plain(lifted(parameter.type, str(shape), raw, message.fds))
            for parameter, shape, raw in came
        }
        self._count()
        if self._target.json:
            print_json({"member": each.name, "arguments": named})
        else:
            self._print(each, " ".join(f"{name}={to_text(value)}" for name, value in named.items()))

    def _print(self, each: Found, text: str) -> None:
        print(f"{each.name:{self._width}}  {visible(text)}".rstrip(), flush=True)

    def _count(self) -> None:
        self._left = None if self._left is None else self._left - 1


def _loss(reason: Exception | None) -> Exception:
    return reason or LinkError("the connection was closed")
