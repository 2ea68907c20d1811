"""dbus-fast: service interface and proxy, as its documentation shows them, and bare messages, as fast as it gets.

The library has no server for peers, so the service between peers speaks SASL itself and hands the socket to it.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import uvloop
from dbus_fast.aio import MessageBus
from dbus_fast.aio.message_bus import _MessageWriter
from dbus_fast.aio.message_reader import build_message_reader
from dbus_fast.annotations import DBusInt32
from dbus_fast.constants import MessageType
from dbus_fast.message import Message
from dbus_fast.service import ServiceInterface, dbus_method

from benchmarks.buses import COUNTER, COUNTER_INTERFACE, SERVICE, bus_address, peer_address, start_bus
from benchmarks.loops import AwaitedCalls, LoopFactory, awaited
from benchmarks.peer import Peer, Ready

_CLIENT: Final = ":1.1"
"""The name that the service between peers gives to who says Hello."""


class Counter(ServiceInterface):
    """The exported interface."""

    def __init__(self) -> None:
        super().__init__(COUNTER_INTERFACE)

    @dbus_method()
    def AddOne(self, number: DBusInt32) -> DBusInt32:  # noqa: N802  # the name on the bus
        """Return the number after this one."""
        return number + 1


def answer(message: Message) -> Message | None:
    """Answer a bare message."""
    if message.member == "AddOne" and message.interface == COUNTER_INTERFACE and message.path == COUNTER:
        return Message.new_method_return(message, "i", [message.body[0] + 1])
    if message.member == "Hello":
        return Message.new_method_return(message, "s", [_CLIENT])
    return None


def _serving(prepare: Callable[[MessageBus], None], loop: LoopFactory | None) -> Callable[[Path, Ready], None]:
    async def stay(directory: Path, ready: Ready, daemon: int) -> None:
        bus = await MessageBus(bus_address=bus_address(directory)).connect()
        prepare(bus)
        await bus.request_name(SERVICE)
        ready(daemon)
        await asyncio.Event().wait()

    def serve(directory: Path, ready: Ready) -> None:
        daemon = start_bus(directory)
        with asyncio.Runner(loop_factory=loop) as runner:
            runner.run(stay(directory, ready, daemon))

    return serve


def _serving_peers(loop: LoopFactory | None) -> Callable[[Path, Ready], None]:
    async def stay(link: socket.socket, address: str) -> None:
        accepted(link, address).add_message_handler(answer)
        await asyncio.Event().wait()

    def serve(directory: Path, ready: Ready) -> None:
        with listen(peer_address(directory)) as listener:
            ready()
            link = authenticated(listener)
            with asyncio.Runner(loop_factory=loop) as runner:
                runner.run(stay(link, peer_address(directory)))

    return serve


def listen(address: str) -> socket.socket:
    """A socket that listens at a D-Bus address of the kind ``unix:path=``."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address.removeprefix("unix:path="))
    listener.listen(128)
    return listener


def authenticated(listener: socket.socket) -> socket.socket:
    """Accept a client and let it in, whoever it is (D-Bus Specification, "Authentication Protocol")."""
    link, _ = listener.accept()
    said = b""
    while not said.endswith(b"BEGIN\r\n"):
        said += link.recv(1)  # what follows BEGIN is a message, and not ours to read
        if said.endswith(b"\r\n") and b"AUTH" in said:
            link.sendall(b"OK 0123456789abcdef0123456789abcdef\r\n")
            said = b""
    link.setblocking(False)
    return link


def accepted(link: socket.socket, address: str) -> MessageBus:
    """A bus object on a connected socket: the end of `MessageBus.connect`, whose beginning is a client's."""
    bus: Any = MessageBus(bus_address=address)
    bus._sock, bus._stream, bus._fd = link, link.makefile("rwb"), link.fileno()
    bus._writer = _MessageWriter(bus)
    bus.unique_name = ":1.0"
    read = build_message_reader(link, bus._process_message, bus._finalize, False)
    asyncio.get_running_loop().add_reader(bus._fd, read)
    return bus


@asynccontextmanager
async def _proxy(directory: Path) -> AsyncGenerator[AwaitedCalls]:
    bus = await MessageBus(bus_address=bus_address(directory)).connect()
    node = await bus.introspect(SERVICE, COUNTER)
    proxy: Any = bus.get_proxy_object(SERVICE, COUNTER, node).get_interface(COUNTER_INTERFACE)
    add_one: Callable[[int], Any] = proxy.call_add_one
    create_task = asyncio.get_running_loop().create_task
    yield AwaitedCalls(add_one, lambda number: create_task(add_one(number)))
    bus.disconnect()


def _messages(address: Callable[[Path], str], destination: str | None) -> Callable[[Path], Any]:
    @asynccontextmanager
    async def connect(directory: Path) -> AsyncGenerator[AwaitedCalls]:
        bus = await MessageBus(bus_address=address(directory)).connect()
        create_task, call = asyncio.get_running_loop().create_task, bus.call

        async def add_one(number: int) -> int:
            reply = await call(
                Message(
                    destination=destination,
                    path=COUNTER,
                    interface=COUNTER_INTERFACE,
                    member="AddOne",
                    signature="i",
                    body=[number],
                )
            )
            if reply.message_type is not MessageType.METHOD_RETURN:
                raise RuntimeError(f"{reply.error_name}: {reply.body}")
            result: int = reply.body[0]
            return result

        yield AwaitedCalls(add_one, lambda number: create_task(add_one(number)))
        bus.disconnect()

    return connect


def _export(bus: MessageBus) -> None:
    bus.export(COUNTER, Counter())


def _handle(bus: MessageBus) -> None:
    bus.add_message_handler(answer)


def _peers(loop: LoopFactory | None) -> tuple[Peer, Peer, Peer]:
    """Proxy, bare messages, and bare messages between peers, on one kind of loop."""
    return (
        Peer(_serving(_export, loop), awaited(_proxy, loop)),
        Peer(_serving(_handle, loop), awaited(_messages(bus_address, SERVICE), loop)),
        Peer(_serving_peers(loop), awaited(_messages(peer_address, None), loop)),
    )


_NAMES: Final = ("bus-dbus-fast-proxy", "bus-dbus-fast", "p2p-dbus-fast")
_ON_UVLOOP: Final = dict(zip(_NAMES, _peers(uvloop.new_event_loop), strict=True))
PEERS = {
    "dbus-fast": _ON_UVLOOP["bus-dbus-fast-proxy"],
    **_ON_UVLOOP,
    **{f"{name}-stock": peer for name, peer in zip(_NAMES, _peers(None), strict=True)},
}
