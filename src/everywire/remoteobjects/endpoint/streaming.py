"""The node's end of a stream in an event loop."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from everywire.model import Member
from everywire.remoteobjects.endpoint.incoming import Incoming

if TYPE_CHECKING:
    from everywire.remoteobjects.endpoint.replicas import ReplicaSession


class IncomingStream(Incoming):
    """What calling a stream of a replica returns."""

    def __init__(self, session: ReplicaSession, name: str, member: Member, number: int) -> None:
        super().__init__(session, name, member, number)
        self._loop = session.loop
        self._ready = asyncio.Event()

    async def wait(self) -> None:
        """Wait for an item, or for the end."""
        self._ready.clear()
        await self._ready.wait()

    def wake(self) -> None:
        """There is an item, or the end."""
        self._ready.set()

    def dropped(self) -> None:
        """Later and in the loop's thread: garbage is collected in any thread, in the midst of anything."""
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self.carrier.close_stream, self.number)
