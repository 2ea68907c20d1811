"""`HttpServer`: a node's objects at an address of ours: TCP, TLS or a Unix socket, each with its bounds."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from everywire.errors import AddressError, LinkError
from everywire.http._uvicorn import HttpProtocol, State, make_config
from everywire.http.asgi import Application
from everywire.http.guarding import Rules
from everywire.http.hosting import HttpHost
from everywire.http.settings import Place, shown
from everywire.model import Caller
from everywire.runtime import audit
from everywire.runtime.node import Node
from everywire.transport import Listener, Peer
from everywire.transport.accepting import Admission, accept_sockets
from everywire.transport.address import parse_address
from everywire.transport.linking import Handshake, run_protocol

LAST_WORDS: Final = 2.0
"""Seconds that a closing server gives answers to leave; what clients do not take then is cut."""


class HttpServer(HttpHost):
    """The objects of a node at one address."""

    def __init__(self, node: Node, place: Place) -> None:
        bound = place.address.host if place.address.transport in ("tcp", "tls") else None
        super().__init__(node, Rules(hosts=place.hosts, origins=place.origins, bound=bound))
        self.certificates = "ca" in place.address.settings
        self._place = place
        self._state = State()
        self._config = make_config(Application(self), node.limits)
        self._listener: Listener | None = None

    async def listen(self, *, insecure: bool) -> None:
        """Start accepting connections; raises as `accept`."""
        limits = self.node.limits
        try:
            self._listener = await accept_sockets(
                self._place.address,
                self._establish,
                Admission(limits.connections, limits.connections_per_user, limits.connections_per_address),
                authenticated=self.node.tokens is not None,
                insecure=insecure,
                on_refused=_refused_certificate,
            )
        except (LinkError, AddressError) as error:  # told in the words of who asked
            told = str(error).replace("tcp://", "http://").replace("tls://", "https://")
            raise type(error)(told) from error
        self.url = shown(replace(self._place, address=parse_address(self._listener.url)))

    async def stop_accepting(self) -> None:
        """Take no new connections, and no new requests on those that there are."""
        await super().stop_accepting()
        if self._listener is not None:
            await self._listener.close()

    async def close(self) -> None:
        """Answer who waits, end what listens, and close every connection."""
        await self.stop_accepting()
        await super().close()
        state = self._state
        for connection in tuple(state.connections):
            connection.shutdown()
        try:
            async with asyncio.timeout(LAST_WORDS):
                await self._wait_lost()
        except TimeoutError:
            for connection in tuple(state.connections):
                connection.transport.abort()
            await self._wait_lost()
        if state.tasks:  # each has heard that its client is gone
            await asyncio.wait(tuple(state.tasks), timeout=LAST_WORDS)
        for task in state.tasks:
            task.cancel()
        if state.tasks:
            await asyncio.wait(tuple(state.tasks))

    async def _establish(
        self, sock: socket.socket, peer: Peer, handshake: Handshake | None, released: Callable[[], None]
    ) -> None:
        node = self.node

        def make() -> HttpProtocol:
            return HttpProtocol(
                self._config, self._state, limits=node.limits, refusals=node.refusals, peer=peer, released=released
            )

        await run_protocol(sock, make, handshake)

    async def _wait_lost(self) -> None:
        while self._state.connections:
            self._state.lost.clear()
            await self._state.lost.wait()


def _refused_certificate(peer: Peer, reason: str) -> None:
    """Leave a line about a peer whose certificate the listener did not accept."""
    caller = Caller(wire="http", loopback=peer.loopback, encrypted=True, address=peer.address)
    audit.denied("certificate", caller, reason=reason)
