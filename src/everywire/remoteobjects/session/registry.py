"""One connection to a registry: the table of where objects are, kept up to date, and what we add to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from everywire.errors import Code, Fault, LinkError, RemoteProtocolError
from everywire.remoteobjects.codec import CallKind, Init, InitDynamic, Invoke, encode_packet
from everywire.remoteobjects.codec.registry import (
    ADD_SOURCE,
    ADDED,
    REGISTRY,
    REGISTRY_TYPES,
    REMOVE_SOURCE,
    REMOVED,
    Location,
    read_location,
    read_table,
    written_location,
)
from everywire.remoteobjects.engine import LONGEST_NAME, MOST_LISTED, Broken
from everywire.remoteobjects.session.node import NodeSession
from everywire.runtime.credentials import Credential
from everywire.runtime.limits import DEFAULT_LIMITS, Limits
from everywire.transport import Address
from everywire.transport.heartbeat import IDLE

Heard = Callable[[Location | None, Location | None], object]
"""Called with the entry that went and the one that came; either may be None."""


class RegistrySession(NodeSession):
    """One connection to the host of a registry."""

    def __init__(
        self, limits: Limits = DEFAULT_LIMITS, *, credential: Credential | None = None, heartbeat: float = IDLE
    ) -> None:
        super().__init__(limits, credential=credential, heartbeat=heartbeat)
        self.engine.types = REGISTRY_TYPES
        self.locations: dict[str, Location] = {}
        """Where objects are, by name."""
        self.heard: Heard | None = None

    async def open(self, url: str | Address) -> None:
        """Connect, and return when the table is known.

        Raises what `NodeSession.open` raises, and Fault(NOT_FOUND) when the host has no registry.
        """
        await super().open(url)
        try:
            if REGISTRY not in self.objects:
                problem = f"{url} is no registry; it offers {', '.join(self.objects) or 'nothing'}"
                raise Fault(Code.NOT_FOUND, problem, may_have_run=False)
            async with asyncio.timeout(self.limits.handshake):
                await self.acquire(REGISTRY, dynamic=False)
        except TimeoutError:
            await self.close()
            raise LinkError(f"{url} offers a registry but does not show what is in it") from None
        except BaseException:
            await self.close()
            raise

    def register(self, location: Location) -> None:
        """Ask the registry to add an entry; it is heard of when the registry took it."""
        self._say(ADD_SOURCE, location)

    def withdraw(self, location: Location) -> None:
        """Ask the registry to take back an entry that this connection has added."""
        self._say(REMOVE_SOURCE, location)

    def other(self, event: Any) -> None:
        """Take the table and its changes, in the order in which they came."""
        match event:
            case Init() | InitDynamic() if event.name == REGISTRY:
                table = read_table(event.values[0]) if event.values else None
                if table is None:
                    event = Broken(RemoteProtocolError("the registry's table is none"))
                elif len(table) > MOST_LISTED:
                    event = _too_many()
                else:
                    self.locations = {name: place for name, place in table.items() if _is_sane(place)}
            case Invoke() if event.name == REGISTRY:
                self._hear(event)
            case _:
                pass
        super().other(event)

    def end(self, reason: Exception, fault: Fault) -> None:
        """Fail everybody who waits; whoever was given up on has nobody left to be told."""
        for init in self._inits.values():
            init.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        super().end(reason, fault)

    def _hear(self, packet: Invoke) -> None:
        place = read_location(packet.arguments[0]) if packet.arguments else None
        if self._broken is not None or packet.call is not CallKind.METHOD or place is None or not _is_sane(place):
            return
        before = self.locations.get(place.name)
        if packet.index == REMOVED and before is not None and before.url == place.url:
            del self.locations[place.name]
            self._tell(before, None)
        elif packet.index == ADDED and before != place:
            self.locations[place.name] = place
            self._tell(before, place)
        if len(self.locations) > MOST_LISTED:
            self.other(_too_many())

    def _tell(self, removed: Location | None, added: Location | None) -> None:
        if self.heard is not None:
            self.heard(removed, added)

    def _say(self, index: int, location: Location) -> None:
        argument = written_location(location, self.engine.dialect)
        self.send(encode_packet(Invoke(REGISTRY, CallKind.METHOD, index, (argument,)), self.engine.dialect))


def _too_many() -> Broken:
    return Broken(RemoteProtocolError(f"the registry knows more than {MOST_LISTED} objects"))


def _is_sane(place: Location) -> bool:
    return len(place.name) + len(place.type_name) + len(place.url) <= LONGEST_NAME
