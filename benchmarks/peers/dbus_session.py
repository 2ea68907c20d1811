"""everywire's D-Bus without objects: `everywire.dbus.session`, with a handler for the path of the service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import uvloop

from benchmarks.buses import COUNTER, COUNTER_INTERFACE, SERVICE, bus_address, peer_address, start_bus
from benchmarks.loops import AwaitedCalls, LoopFactory, awaited
from benchmarks.peer import Peer, Ready
from everywire.dbus.session import Answer, Connection, Message, serve_peers


def add_one(call: Message) -> Answer:
    """Answer a call."""
    return Answer("i", call.body[0] + 1)


def _handle(connection: Connection) -> None:
    connection.handle(COUNTER, add_one)


def _serving_bus(loop: LoopFactory | None) -> Callable[[Path, Ready], None]:
    async def stay(directory: Path, ready: Ready, daemon: int) -> None:
        async with await Connection.open(bus_address(directory)) as connection:
            _handle(connection)
            await connection.request_name(SERVICE)
            ready(daemon)
            await asyncio.Event().wait()

    def serve(directory: Path, ready: Ready) -> None:
        daemon = start_bus(directory)
        with asyncio.Runner(loop_factory=loop) as runner:
            runner.run(stay(directory, ready, daemon))

    return serve


def _serving_peers(loop: LoopFactory | None) -> Callable[[Path, Ready], None]:
    async def stay(directory: Path, ready: Ready) -> None:
        await serve_peers(peer_address(directory), _handle)
        ready()
        await asyncio.Event().wait()

    def serve(directory: Path, ready: Ready) -> None:
        with asyncio.Runner(loop_factory=loop) as runner:
            runner.run(stay(directory, ready))

    return serve


def _calling(
    address: Callable[[Path], str], destination: str
) -> Callable[[Path], AbstractAsyncContextManager[AwaitedCalls]]:
    @asynccontextmanager
    async def connect(directory: Path) -> AsyncGenerator[AwaitedCalls]:
        async with await Connection.open(address(directory), bus=bool(destination)) as connection:
            call, create_task = connection.call, asyncio.get_running_loop().create_task

            async def add_one(number: int) -> int:
                (answer,) = await call(destination, COUNTER, COUNTER_INTERFACE, "AddOne", "i", number)
                result: int = answer
                return result

            def begin(number: int) -> Awaitable[int]:
                return create_task(add_one(number))

            yield AwaitedCalls(add_one, begin)

    return connect


def _peers(loop: LoopFactory | None) -> tuple[Peer, Peer]:
    return (
        Peer(_serving_bus(loop), awaited(_calling(bus_address, SERVICE), loop)),
        Peer(_serving_peers(loop), awaited(_calling(peer_address, ""), loop)),
    )


_NAMES = ("bus-session", "p2p-session")
PEERS = {
    **dict(zip(_NAMES, _peers(uvloop.new_event_loop), strict=True)),
    **{f"{name}-stock": peer for name, peer in zip(_NAMES, _peers(None), strict=True)},
}
