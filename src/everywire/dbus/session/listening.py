"""`serve_peers`: connections without a bus (D-Bus Specification, "Authentication Protocol", the server's side)."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from everywire.dbus.engine import Engine
from everywire.dbus.session.addresses import Place, parse_places
from everywire.dbus.session.connection import Connection
from everywire.runtime.limits import DEFAULT_LIMITS, Limits, Refusals
from everywire.runtime.tasks import TaskSet
from everywire.transport import Address, Peer
from everywire.transport.accepting import Admission, SocketListener, accept_sockets
from everywire.transport.linking import Handshake

OnConnection = Callable[[Connection], None]
"""Called with each connection that has authenticated, before its first message is looked at."""


class PeerServer:
    """Accepts peers at one address until it is closed; `address` is what a peer connects to, in D-Bus's words."""

    def __init__(self, on_connection: OnConnection, limits: Limits, refusals: Refusals, *, anonymous: bool) -> None:
        self.guid: Final = secrets.token_hex(16)
        self.address = ""
        self.url = ""
        """The same in the words of everywire's transports."""
        self.connections: set[Connection] = set()
        self._on_connection, self._limits, self._refusals = on_connection, limits, refusals
        self._anonymous = anonymous
        self._listener: SocketListener
        self._tasks = TaskSet(asyncio.get_running_loop())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def listen(self, place: Place | Address, *, insecure: bool) -> None:
        """Begin to accept; raises AddressInUse, InsecureBind, LinkError."""
        address = _where(place) if isinstance(place, Place) else place
        limits = self._limits
        admission = Admission(limits.connections, limits.connections_per_user, limits.connections_per_address)
        self._listener = listener = await accept_sockets(address, self._establish, admission, insecure=insecure)
        self.url = listener.url
        self.address = f"{in_words_of_dbus(listener.url)},guid={self.guid}"

    async def stop_accepting(self) -> None:
        """Take no new connections."""
        if hasattr(self, "_listener"):
            await self._listener.close()

    async def close(self) -> None:
        """Stop, and close every connection."""
        await self.stop_accepting()
        if self.connections:
            await asyncio.gather(*(connection.close() for connection in tuple(self.connections)))
        await self._tasks.aclose()

    async def _establish(
        self, sock: socket.socket, peer: Peer, handshake: Handshake | None, released: Callable[[], None]
    ) -> None:
        del handshake  # there is no D-Bus over TLS
        unix = sock.family not in (socket.AF_INET, socket.AF_INET6)
        anonymous = self._anonymous or not unix
        engine = Engine(
            "server",
            max_frame=self._limits.frame,
            uid=peer.uid,
            guid=self.guid,
            anonymous=anonymous,
            descriptors=unix,
        )
        connection = Connection(engine, bus=False, limits=self._limits, refusals=self._refusals)
        connection.on_ready = self._on_connection
        self.connections.add(connection)
        connection.start(sock, peer, released)
        self._tasks.spawn(self._follow(connection))

    async def _follow(self, connection: Connection) -> None:
        """Cut a peer that does not say who it is in time; forget one that is gone."""
        try:
            try:
                async with asyncio.timeout(self._limits.handshake):
                    await connection.ready()
            except TimeoutError:
                self._refusals["handshake"] += 1
                connection.abort()
            except Exception:  # noqa: BLE001  it did not authenticate, and is counted already
                connection.abort()
            await asyncio.shield(connection.closed)
            await connection.tasks.aclose()
        finally:
            self.connections.discard(connection)


async def serve_peers(
    address: str,
    on_connection: OnConnection,
    *,
    limits: Limits = DEFAULT_LIMITS,
    anonymous: bool = False,
    insecure: bool = False,
) -> PeerServer:
    """Accept peers at a D-Bus *address* (the first of several), such as ``unix:path=/run/plant``.

    *on_connection* gets each of them and says who answers its calls. A peer on a Unix socket is who the kernel says;
    *anonymous* lets one in that does not say. Raises AddressError, AddressInUse, InsecureBind, LinkError.
    """
    server = PeerServer(on_connection, limits, Refusals(), anonymous=anonymous)
    await server.listen(parse_places(address)[0], insecure=insecure)
    return server


def _where(place: Place) -> Address:
    """Return where to listen; a folder stands for a new name in it."""
    for key in ("dir", "tmpdir"):
        if key in place.settings:
            return Address(None, "local", os.path.join(place.settings[key], f"dbus-{secrets.token_hex(5)}"))  # noqa: PTH118
    if place.settings.get("runtime") == "yes":
        return Address(None, "local", os.path.join(os.environ.get("XDG_RUNTIME_DIR", "/tmp"), "bus"))  # noqa: PTH118, S108
    return place.address()


def in_words_of_dbus(url: str) -> str:
    """Return an address of everywire's transports as D-Bus writes it."""
    transport, _, rest = url.partition(":")
    match transport:
        case "tcp":
            host, _, port = rest.removeprefix("//").rpartition(":")
            return str(Place("tcp", {"host": host.strip("[]"), "port": port}))
        case "localabstract":
            return str(Place("unix", {"abstract": rest}))
        case _:
            from everywire.transport.local_names import socket_path

            return str(Place("unix", {"path": os.fsdecode(socket_path(rest))}))
