"""`names`: which services come to a bus, go, and change hands."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from types import MappingProxyType, TracebackType
from typing import NamedTuple, Self

from everywire.dbus.codec import Kind, Message, check_bus_name
from everywire.dbus.endpoint.settings import DBus
from everywire.dbus.endpoint.shared import SharedBus, give_back, lease
from everywire.dbus.session import BUS, BUS_PATH, Match, Subscription
from everywire.errors import (
    AddressError,
    EverywireError,
    Fault,
    LinkError,
    LocalProtocolError,
    ModelError,
    RemoteProtocolError,
)
from everywire.runtime.limits import DEFAULT_LIMITS, Limits
from everywire.runtime.node import Node
from everywire.runtime.rhythm import is_near, pause


class NameChange(NamedTuple):
    """A name and the unique names that had it and have it now; empty: nobody."""

    name: str
    old: str
    new: str


def names(url: str | DBus, *patterns: str, limits: Limits = DEFAULT_LIMITS) -> Names:
    """Follow the owners of names on a bus.

    ``async with names("dbus:session", "org.mpris.MediaPlayer2.*") as players: …``

    A pattern is a name, or one with ``.*`` at its end for all below it; without any, all well-known names are followed.
    Within the block `Names.owners` has the present owners, and ``async for name, old, new in players`` tells changes,
    beginning with who is there; without a block ``async for name, old, new in names(…)`` does too. A bus that is lost
    has no names until it is back. Raises AddressError and LinkError.
    """
    wire = url if isinstance(url, DBus) else DBus(url=url)
    place = wire.place()
    if place.peer is not None:
        raise AddressError(f"{wire.url!r} leads to a peer, and only buses have names")
    for pattern in patterns:
        try:
            check_bus_name(f"{pattern[:-1]}x" if pattern.endswith(".*") else pattern)
        except ModelError as error:
            raise AddressError(f"{pattern!r} is no name or pattern such as org.mpris.*: {error}") from None
    return Names(place.bus, patterns, limits)


class Names(AsyncIterator[NameChange]):
    """Owners of names; an async context manager, and within its block, or alone, an endless iterator of changes.

    Who reads slowly is told of every name that has changed, but not of each owner in between.
    """

    def __init__(self, bus: str, patterns: tuple[str, ...], limits: Limits) -> None:
        self._bus, self._patterns = bus, patterns
        self._node = Node(limits=limits)
        self._owners: dict[str, str] = {}
        self._told: set[str] = set()
        """Names of which the bus has told since it was asked for all."""
        self._waiting: dict[str, NameChange] = {}
        self._ready = asyncio.Event()
        self._shared: SharedBus | None = None
        self._subscriptions: list[Subscription] = []
        self._entered = False

    @property
    def owners(self) -> Mapping[str, str]:
        """The present owners' unique names, by name."""
        return MappingProxyType(self._owners)

    async def __aenter__(self) -> Self:
        self._node.open()
        try:
            await self._follow()
        except BaseException:
            await self._leave()
            await self._node.aclose()
            raise
        self._entered = True
        self._node.spawn(self._run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._entered = False
        self._ready.set()
        try:
            await self._node.aclose()
        finally:
            await self._leave()

    def __aiter__(self) -> AsyncIterator[NameChange]:
        return self if self._entered else self._alone()

    async def _alone(self) -> AsyncIterator[NameChange]:
        async with self:
            while True:
                yield await anext(self)

    async def __anext__(self) -> NameChange:
        while not self._waiting:
            if not self._entered:
                raise LocalProtocolError("names are followed within 'async with names(…) as them:', or by 'async for'")
            self._ready.clear()
            await self._ready.wait()
        return self._waiting.pop(next(iter(self._waiting)))

    # Private.

    async def _run(self) -> None:
        """Keep following; a bus that is gone has no names."""
        failures = 0
        while True:
            if self._shared is not None:
                with suppress(EverywireError):
                    await asyncio.shield(self._shared.connection.closed)
            for name in tuple(self._owners):
                self._change(name, "")
            await self._leave()
            await asyncio.sleep(pause(failures, near=is_near(f"dbus:{self._bus}"), scatter=random.uniform))
            try:
                await self._follow()
                failures = 0
            except (LinkError, RemoteProtocolError, Fault):
                failures += 1
                await self._leave()  # of a connection that may live on, although this bus did not answer

    async def _follow(self) -> None:
        self._shared = shared = await lease(self._bus, self._node.limits)
        connection = shared.connection
        self._told.clear()
        for rule in self._rules():
            self._subscriptions.append(await connection.match(rule, self._heard))
        for name in await connection.names():
            if self._wanted(name) and name not in self._told:
                owner = await connection.owner(name)
                if name not in self._told:
                    self._change(name, owner)

    async def _leave(self) -> None:
        shared, self._shared = self._shared, None
        subscriptions, self._subscriptions = self._subscriptions, []
        for subscription in subscriptions:
            subscription.close()
        if shared is not None:
            await give_back(shared)

    def _rules(self) -> list[Match]:
        rules: list[Match] = []
        for pattern in self._patterns or ("",):
            exact = {0: pattern} if pattern and not pattern.endswith(".*") else {}
            below = pattern.removesuffix(".*") if pattern.endswith(".*") else ""
            rules.append(
                Match(
                    kind=Kind.SIGNAL,
                    sender=BUS,
                    path=BUS_PATH,
                    interface=BUS,
                    member="NameOwnerChanged",
                    args=exact,
                    arg0namespace=below,
                )
            )
        return rules

    def _wanted(self, name: str) -> bool:
        if name.startswith(":") or name == BUS:
            return False
        return not self._patterns or any(
            name.startswith(pattern[:-1]) if pattern.endswith(".*") else name == pattern for pattern in self._patterns
        )

    def _heard(self, message: Message) -> None:
        if message.signature == "sss" and self._wanted(message.body[0]):
            name, _, new = message.body
            self._told.add(name)
            self._change(name, new)

    def _change(self, name: str, new: str) -> None:
        old = self._owners.get(name, "")
        if new == old:
            return
        if new:
            self._owners[name] = new
        else:
            del self._owners[name]
        waiting = self._waiting.pop(name, None)
        first = old if waiting is None else waiting.old
        if first != new:
            self._waiting[name] = NameChange(name, first, new)
            self._ready.set()
