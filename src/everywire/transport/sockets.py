"""TCP and Unix sockets as this package wants them: bound, dialled, tuned, and what the kernel says of the peer.

Nothing is read or written here, and no name lookup blocks the loop. A bind that other machines could reach is refused
unless it is encrypted and authenticated, or `insecure` says so.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import struct
from typing import Any, Final

from everywire.errors import AddressInUse, InsecureBind, LinkError
from everywire.transport.address import TLS, Address, bracketed, is_loopback, unmapped
from everywire.transport.local_names import abstract_address, socket_path, unix_family
from everywire.transport.shapes import Peer
from everywire.transport.tuning import tune

_BACKLOG: Final = 512
_UNIX_RETRY: Final = 0.005  # seconds between attempts while a Unix listener's backlog is full


Place = tuple[socket.AddressFamily, tuple[Any, ...]]
"""A family and what `bind` and `connect` take for it."""


async def resolve(host: str, port: int) -> list[Place]:
    """Where a host can be reached, in the system's order; the lookup runs in the loop's executor."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [(family, place) for family, _, _, _, place in found]


async def bind_tcp(address: Address, *, authenticated: bool, insecure: bool) -> socket.socket:
    """Listen at a tcp or tls address: its first IPv4 address, else its first; an empty host is every interface.

    InsecureBind unless it is loopback, `authenticated` (encrypted, and every peer shows a certificate or logs in) or
    `insecure`; a name is judged by everything it resolves to. AddressInUse and LinkError say what to do.
    """
    places = await _bind_places(address)
    open_to_others = [str(place[0]) for _, place in places if not is_loopback(str(place[0]))]
    if open_to_others and not authenticated and not insecure:
        raise InsecureBind(_why_insecure(address, open_to_others[0]))
    family, place = min(places, key=lambda found: found[0] != socket.AF_INET)
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        _prepare(sock, family, every_interface=not address.host)
        sock.bind(place)
        sock.listen(_BACKLOG)
    except (OSError, OverflowError) as error:
        sock.close()
        raise _bind_failed(address, error) from error
    return sock


def _why_insecure(address: Address, open_to: str) -> str:
    if address.transport in TLS:
        lacks, mend = "authentication", "demand tokens (--tokens FILE, Node(tokens=…)) or client certificates (ca=FILE)"
    else:
        lacks = "encryption, so that tokens alone do not help"
        secure = "wss" if address.transport == "ws" else "tls"
        mend = f"use {secure}:// with cert=FILE, key=FILE and either --tokens FILE or ca=FILE (client certificates)"
    return (
        f"{address} could be reached from other machines ({open_to}) without {lacks}; bind 127.0.0.1, or {mend}, "
        "or say insecure=True (--insecure) if the network is trusted"
    )


async def _bind_places(address: Address) -> list[Place]:
    if not address.host:
        if socket.has_dualstack_ipv6():
            return [(socket.AF_INET6, ("::", address.port))]
        return [(socket.AF_INET, ("0.0.0.0", address.port))]  # noqa: S104  # InsecureBind guards it
    try:
        return await resolve(unmapped(address.host), address.port)
    except (OSError, UnicodeError) as error:
        raise LinkError(f"cannot listen at {address}: the host name is unknown; check its spelling") from error


def _prepare(sock: socket.socket, family: socket.AddressFamily, *, every_interface: bool) -> None:
    sock.setblocking(False)
    if os.name == "posix":
        # Only lets a restarted host bind while old connections linger; elsewhere it would let others steal the port.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if every_interface else 1)


def _bind_failed(address: Address, error: Exception) -> LinkError:
    number = error.errno if isinstance(error, OSError) else None
    if number == errno.EADDRINUSE:
        return AddressInUse(f"somebody listens at {address} already; stop it, or take another port (0 finds one)")
    if number == errno.EACCES:
        return LinkError(f"cannot listen at {address}: ports below 1024 need privileges; take a higher one")
    if number == errno.EADDRNOTAVAIL:
        return LinkError(f"cannot listen at {address}: this machine has no such address")
    return LinkError(f"cannot listen at {address}: {os.strerror(number) if number else error}")


async def connect_tcp(address: Address, timeout: float) -> socket.socket:
    """A tuned, connected socket; the host's addresses are tried in turn, each for its share of `timeout` seconds.

    Raises OSError, or TimeoutError after `timeout`.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    async with asyncio.timeout(timeout):
        places = await resolve(address.host, address.port)
    failure: OSError = TimeoutError()
    for tried, (family, place) in enumerate(places):
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            async with asyncio.timeout((deadline - loop.time()) / (len(places) - tried)):
                await loop.sock_connect(sock, place)
            tune(sock)
        except OSError as error:
            sock.close()
            failure = error
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise failure


async def connect_unix(address: Address, timeout: float) -> socket.socket:
    """A connected Unix socket; a full backlog is waited for. OSError, or TimeoutError after `timeout` seconds."""
    place = socket_path(address.rest) if address.transport == "local" else abstract_address(address.rest)
    sock = socket.socket(unix_family(), socket.SOCK_STREAM)
    sock.setblocking(False)
    try:
        async with asyncio.timeout(timeout):
            while True:
                try:
                    sock.connect(place)
                except BlockingIOError:
                    # Not "in progress": unix(7) means that the backlog is full, and nothing tells when it no longer is.
                    await asyncio.sleep(_UNIX_RETRY)
                else:
                    return sock
    except BaseException:
        sock.close()
        raise


def peer_of(transport: str, sock: socket.socket) -> Peer:
    """What the kernel says about the other end; OSError if it is gone already."""
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return _unix_peer(transport, sock)
    host, port, *_ = sock.getpeername()
    host = unmapped(host)
    return Peer(transport=transport, address=f"{bracketed(host)}:{port}", loopback=is_loopback(host))


def _unix_peer(transport: str, sock: socket.socket) -> Peer:
    option: int | None = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return Peer(transport=transport, loopback=True)
    pid, uid, gid = struct.unpack("iII", sock.getsockopt(socket.SOL_SOCKET, option, struct.calcsize("iII")))
    return Peer(transport=transport, uid=uid, gid=gid, pid=pid, loopback=True)
