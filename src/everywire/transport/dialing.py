"""`dial`: from an address to a connection, whatever the transport; no retries, they belong to who knows the wire."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from everywire.errors import AddressError, EverywireError, LinkError
from everywire.transport.accepting import meet_in_memory
from everywire.transport.address import TLS, Address, parse_address
from everywire.transport.failures import dial_failed
from everywire.transport.linking import Handshake, link_socket, websockets_adapter
from everywire.transport.loops import loop_with_sockets
from everywire.transport.shapes import DEFAULT_WRITE_LIMIT, HalfOpenConnection, Receiver
from everywire.transport.sockets import connect_tcp, connect_unix, peer_of
from everywire.transport.stdio import link_stdio
from everywire.transport.tls import dialing_context


async def dial(
    address: Address | str,
    receiver: Receiver,
    *,
    write_limit: int = DEFAULT_WRITE_LIMIT,
    timeout: float = 10.0,
    known_as: str = "",
) -> HalfOpenConnection:
    """Connect `receiver`; it has been told `connected` when this returns.

    `timeout` is in seconds and covers everything. `known_as` is what errors call the address, where users know it by
    another URL. Raises LinkError saying why and what to do, AddressError for an
    address that nobody can dial, UnsupportedPlatform for one that this system lacks.
    """
    loop_with_sockets()
    address = parse_address(address) if isinstance(address, str) else address
    network = address.transport in ("tcp", "tls", "ws", "wss")
    if network and not (address.host and address.port):
        raise AddressError(f"{known_as or address} names no host and port to connect to; those are for listening only")
    try:
        match address.transport:
            case "stdio":
                return link_stdio(receiver, write_limit=write_limit)
            case "memory":
                return meet_in_memory(address, receiver, write_limit)
            case "local" | "localabstract":
                return await _dial_unix(address, receiver, write_limit, timeout)
            case "ws" | "wss":
                return await _dial_web(address, receiver, write_limit, timeout, known_as or str(address))
            case _:
                return await _dial_tcp(address, receiver, write_limit, timeout)
    except EverywireError:
        raise
    except (OSError, UnicodeError) as error:
        raise dial_failed(known_as or address, error, timeout) from error


async def _dial_unix(address: Address, receiver: Receiver, write_limit: int, timeout: float) -> HalfOpenConnection:
    return await _link(await connect_unix(address, timeout), address, receiver, None, write_limit)


async def _dial_tcp(address: Address, receiver: Receiver, write_limit: int, timeout: float) -> HalfOpenConnection:
    async with asyncio.timeout(timeout):
        handshake = None
        if address.transport in TLS:
            # In a thread, for it reads files: the system's authorities alone take many milliseconds.
            handshake = Handshake(await asyncio.to_thread(dialing_context, address), address.host)
        return await _link(await connect_tcp(address, timeout), address, receiver, handshake, write_limit)


async def _dial_web(
    address: Address, receiver: Receiver, write_limit: int, timeout: float, name: str
) -> HalfOpenConnection:
    if "host" in address.settings or "origin" in address.settings:
        raise AddressError(f"{name}: host= and origin= are for who listens")
    end: Any = websockets_adapter().DialingEnd(address, receiver)
    async with asyncio.timeout(timeout):
        socket_link = await _dial_tcp(address, end, write_limit, timeout)
        try:
            await end.up
        except LinkError as error:
            raise LinkError(f"no connection to {name}: {error}") from error
        except BaseException:
            socket_link.abort()
            raise
    made: HalfOpenConnection = end
    return made


async def _link(
    sock: socket.socket, address: Address, receiver: Receiver, handshake: Handshake | None, write_limit: int
) -> HalfOpenConnection:
    try:
        peer = peer_of(address.transport, sock)
    except OSError:  # gone already
        sock.close()
        raise
    return await link_socket(sock, lambda: receiver, peer, handshake, write_limit=write_limit)
