"""The host's end: the objects of a node at one address. What one link hears and says is in `visiting`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from everywire.remoteobjects.codec import (
    QTRO_2_0,
    Dialect,
)
from everywire.remoteobjects.endpoint.nursery import Nursery, check_root_name
from everywire.remoteobjects.endpoint.visiting import HostSession, refused_certificate
from everywire.remoteobjects.endpoint.ways import Way
from everywire.remoteobjects.wire.hosting import Hosted, host
from everywire.runtime.node import Node, Publication
from everywire.runtime.outbox import Turn
from everywire.transport import Address, Listener, accept
from everywire.transport.liveness import Patience


class HostServer:
    """The objects of a node at one address, in one dialect."""

    def __init__(
        self, node: Node, *, insecure: bool, dialect: Dialect = QTRO_2_0, dynamic_only: bool = False
    ) -> None:
        self.node, self.dialect = node, dialect
        self.hosted: dict[str, Hosted] = {}
        self.routes: dict[bytes, Any] = {}
        """What leads calls of dynamic listeners to doors."""
        self.types: dict[str, Any] = {}
        """The structs and enums of all objects, by C++ name."""
        self.sessions: dict[HostSession, None] = {}  # oldest first
        loop = asyncio.get_running_loop()
        self.at_end_of_turn = Turn(loop.call_soon).call_soon
        self.patience = Patience(loop.call_later)
        """With nodes that take nothing: Qt's do not survive being cut in the midst of a frame."""
        self._insecure = insecure
        self.dynamic_only = dynamic_only
        self._listener: Listener | None = None
        self._farewell: Callable[[], Awaitable[None]] | None = None
        """Waits for what links have led to, once they are closed."""
        self.nursery = Nursery(self, dynamic_only=dynamic_only)
        for publication in node.published.values():
            self.added(publication)

    async def listen(self, url: Address | str, way: Way | None = None) -> None:
        """Start accepting links, at an address or by another *way*."""
        limits = self.node.limits
        if way is not None:
            self._listener = found = await way.listen(self._session_maker(), limits, self.node.tasks)
            self._farewell = found.ended
            return
        self._listener = await accept(
            url,
            self._session_maker(),
            write_limit=limits.unsent_soft,
            max_connections=limits.connections + 1,  # one more, so that a silent link can make room for it
            max_per_uid=limits.connections_per_user,
            max_per_address=limits.connections_per_address,
            authenticated=self.node.tokens is not None,
            insecure=self._insecure,
            on_refused=refused_certificate,
        )

    def _session_maker(self) -> Callable[[], HostSession]:
        if self.node.tokens is None:
            return lambda: HostSession(self)
        from everywire.remoteobjects.endpoint.login import GuardedSession  # it needs hashes that others do not

        return lambda: GuardedSession(self)

    @property
    def url(self) -> str:
        """Where replicas find the host; what does not imply this wire names it."""
        url = "" if self._listener is None else self._listener.url
        return f"qtro+{url}" if url.startswith(("ws:", "wss:")) else url

    def added(self, publication: Publication) -> None:
        """Show a newly published object to all links."""
        check_root_name(publication.name)
        hosted = host(publication, self.dialect, self.nursery, self.nursery.turn_of(publication.name))
        self.hosted[hosted.name] = hosted
        self.routes.update(hosted.routes(dynamic=True))
        self.types.update(hosted.user_types)
        for session in self.sessions:
            session.announce(hosted)

    def removed(self, publication: Publication) -> None:
        """Take an object back; links that use it are told."""
        hosted = self.hosted.pop(publication.name)
        for head in hosted.routes(dynamic=True):
            self.routes.pop(head, None)
        hosted.close()
        for session in self.sessions:
            session.withdrawn(hosted)

    def recheck(self) -> None:
        """Apply changed policies."""
        for session in self.sessions:
            session.recheck()

    def running(self) -> list[asyncio.Task[Any]]:
        """Return the tasks of running slots."""
        return [task for session in self.sessions for task in session.running()]

    def make_room(self) -> bool:
        """At the connection limit: cut the oldest link that has attached to nothing; return False if there is none."""
        if len(self.sessions) < self.node.limits.connections:
            return True
        self.node.refusals["connections"] += 1
        silent = next((session for session in self.sessions if session.is_stranger), None)
        silent = silent or next((session for session in self.sessions if not session.attached), None)
        if silent is not None:
            silent.abort()
        return silent is not None

    async def stop_accepting(self) -> None:
        """Take no new links."""
        if self._listener is not None:
            await self._listener.close()

    async def close(self) -> None:
        """Close every link."""
        await self.stop_accepting()
        for session in tuple(self.sessions):
            session.end()
        for hosted in self.hosted.values():
            hosted.close()
        while self.sessions:
            await next(iter(self.sessions)).wait_lost()
        if self._farewell is not None:
            await self._farewell()
