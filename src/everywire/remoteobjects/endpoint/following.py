"""A registry, whichever connection leads to it at the moment: what it said last stays known while it is away."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Final

from everywire.errors import Fault, LinkError, RemoteProtocolError, TokenError
from everywire.remoteobjects.codec.registry import Location
from everywire.remoteobjects.endpoint.registry import Registry
from everywire.remoteobjects.session.registry import Heard, RegistrySession
from everywire.runtime.node import Node
from everywire.runtime.rhythm import LOCKED_OUT, is_locked_out, is_near, pause

log: Final = logging.getLogger("everywire.registry")

MENDING: Final = (LinkError, RemoteProtocolError, Fault, TokenError)
"""What another attempt may mend."""


class Follower:
    """The table of one registry, and whoever wants to know of its changes."""

    def __init__(self, registry: Registry, node: Node) -> None:
        self.registry, self._node = registry, node
        self.locations: dict[str, Location] = {}
        """Where objects are, by name, as the registry last said."""
        self.session: RegistrySession | None = None
        self.error: Exception | None = None
        """Why there is no connection."""
        self.heard: list[Heard] = []
        self.opened: list[Callable[[RegistrySession], object]] = []
        """Called with each new connection, after the changes that it brought."""
        self._complained = False

    async def open(self) -> None:
        """Connect; raises what `RegistrySession.open` raises."""
        reached = self.registry.reached()
        session = RegistrySession(self._node.limits, credential=reached.credential, heartbeat=reached.heartbeat)
        session.heard = partial(self._hear, session)
        await session.open(reached.address)
        before, self.locations, self.session, self.error = self.locations, session.locations, session, None
        for name in before | self.locations:
            if before.get(name) != self.locations.get(name):
                self._tell(before.get(name), self.locations.get(name))
        for told in self.opened:
            told(session)

    async def run(self) -> None:
        """Stay connected: connect again and again; ends only by cancellation."""
        failures = 0
        try:
            while True:
                try:
                    if self.session is None:
                        await self.open()
                    failures = 0
                    await self._until_lost()
                except MENDING as error:
                    failures += 1
                    if failures == 1:
                        log.warning("no link to %s: %s", self.registry.url, error)
                    self.error = error
                refused = is_locked_out(self.error)
                await asyncio.sleep(LOCKED_OUT if refused else pause(failures, near=is_near(self.registry.url)))
        finally:
            await self.close()

    async def close(self) -> None:
        """End the connection."""
        session, self.session = self.session, None
        if session is not None:
            await session.close()

    def complain(self, problem: object) -> None:
        """Say what is wrong with an entry; the first time aloud, for a registry may send any number of them."""
        log.log(logging.DEBUG if self._complained else logging.WARNING, "%s", problem)
        self._complained = True

    async def _until_lost(self) -> None:
        if self.session is not None:
            self.error = await self.session.wait_lost()
            await self.close()

    def _hear(self, session: RegistrySession, removed: Location | None, added: Location | None) -> None:
        if session is self.session:
            self._tell(removed, added)

    def _tell(self, removed: Location | None, added: Location | None) -> None:
        for heard in self.heard:
            heard(removed, added)
