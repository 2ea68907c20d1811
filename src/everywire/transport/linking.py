"""Makes a link of a connected socket: our own reader where it is the faster one, else the loop's transport, and TLS."""

from __future__ import annotations

import asyncio
import importlib
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import ModuleType

from everywire.errors import MissingExtra
from everywire.transport.looped import LoopLink
from everywire.transport.readiness import ReadinessLink, SocketEnds
from everywire.transport.shapes import HalfOpenConnection, Peer, Receiver
from everywire.transport.tls import HANDSHAKE_TIMEOUT, subject_text


@dataclass(frozen=True, slots=True)
class Handshake:
    """TLS to be spoken before anything else; with a `server_name` as the dialer, without as the listener."""

    context: ssl.SSLContext
    server_name: str | None = None


async def link_socket(
    sock: socket.socket,
    make_receiver: Callable[[], Receiver],
    peer: Peer,
    handshake: Handshake | None,
    *,
    write_limit: int,
    released: Callable[[], None] | None = None,
) -> HalfOpenConnection:
    """Own `sock` and run the receiver on it; raises OSError when a handshake fails, with the socket closed.

    The stock loop's transports lose against our own reader; uvloop's are written in C and win (hot-path rule 8).
    """
    loop = asyncio.get_running_loop()
    if handshake is None and isinstance(loop, asyncio.SelectorEventLoop):
        link = ReadinessLink(SocketEnds(sock), make_receiver(), peer, write_limit=write_limit, released=released)
        link.start()
        return link

    def make() -> LoopLink:
        return LoopLink(make_receiver, peer, write_limit=write_limit, released=released)

    try:
        if handshake is None:
            _, made = await loop.connect_accepted_socket(make, sock)
        elif handshake.server_name is None:
            _, made = await loop.connect_accepted_socket(
                make,
                sock,
                ssl=handshake.context,
                ssl_handshake_timeout=HANDSHAKE_TIMEOUT,
                ssl_shutdown_timeout=HANDSHAKE_TIMEOUT,
            )
        else:
            _, made = await loop.create_connection(
                make,
                sock=sock,
                ssl=handshake.context,
                server_hostname=handshake.server_name,
                ssl_handshake_timeout=HANDSHAKE_TIMEOUT,
                ssl_shutdown_timeout=HANDSHAKE_TIMEOUT,
            )
    except BaseException:
        sock.close()
        raise
    return made


async def run_protocol(
    sock: socket.socket, make_protocol: Callable[[], asyncio.Protocol], handshake: Handshake | None
) -> None:
    """Own an accepted `sock` and run a library's asyncio protocol on it; raises as `link_socket`."""
    loop = asyncio.get_running_loop()
    timeout = None if handshake is None else HANDSHAKE_TIMEOUT
    context = None if handshake is None else handshake.context
    try:
        await loop.connect_accepted_socket(
            make_protocol, sock, ssl=context, ssl_handshake_timeout=timeout, ssl_shutdown_timeout=timeout
        )
    except BaseException:
        sock.close()
        raise


def described(peer: Peer, transport: asyncio.Transport) -> Peer:
    """Return *peer* with what TLS has established about it, if *transport* speaks TLS."""
    if transport.get_extra_info("ssl_object") is None:
        return peer
    return replace(peer, encrypted=True, subject=subject_text(transport.get_extra_info("peercert")))


def websockets_adapter() -> ModuleType:
    """Return what speaks WebSocket; MissingExtra where its library is not installed."""
    try:
        return importlib.import_module("everywire.transport._websockets")
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("everywire"):
            raise
        raise MissingExtra("http") from error
