"""everywire on D-Bus by its public API: through a bus and between peers, on both loops, and without any loop."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, contextmanager
from pathlib import Path

import uvloop

from benchmarks.buses import SERVICE, bus_address, start_bus
from benchmarks.loops import AwaitedCalls, BlockingCalls, LoopFactory, awaited, blocking
from benchmarks.peer import Peer, Ready
from everywire import Node, Object, connect, i32, slot, sync

Url = Callable[[Path], str]


class Counter(Object):
    """The one slot that is measured."""

    @slot
    async def add_one(self, number: i32) -> i32:
        """Return the number after this one."""
        return number + 1


def on_bus(directory: Path) -> str:
    """The URL of a service on the sample's bus, which is the session's: there everybody may hear what is told."""
    os.environ["DBUS_SESSION_BUS_ADDRESS"] = bus_address(directory)
    return f"dbus:session?service={SERVICE}"


def at_peer(directory: Path) -> str:
    """The URL of a service that needs no bus."""
    return f"dbus+local:{directory / 'peer'}"


def _serving(url: Url, loop: LoopFactory | None) -> Callable[[Path, Ready], None]:
    async def stay(directory: Path, ready: Ready, daemons: list[int]) -> None:
        async with Node() as node:
            node.publish(Counter(), "counter")
            await node.serve(url(directory))
            ready(*daemons)
            await asyncio.Event().wait()

    def serve(directory: Path, ready: Ready) -> None:
        daemons = [start_bus(directory)] if url is on_bus else []
        with asyncio.Runner(loop_factory=loop) as runner:
            runner.run(stay(directory, ready, daemons))

    return serve


def _connecting(url: Url) -> Callable[[Path], AbstractAsyncContextManager[AwaitedCalls]]:
    @asynccontextmanager
    async def client(directory: Path) -> AsyncGenerator[AwaitedCalls]:
        async with connect(url(directory), "counter", Counter) as counter:
            yield AwaitedCalls(counter.add_one, counter.add_one)

    return client


def _connecting_without_loop(url: Url) -> Callable[[Path], AbstractContextManager[BlockingCalls]]:
    @contextmanager
    def client(directory: Path) -> Generator[BlockingCalls]:
        with sync.connect(url(directory), "counter", Counter) as counter:
            add_one, run = counter.add_one, sync.run
            yield BlockingCalls(lambda number: run(add_one(number)), add_one, run)

    return client


def _peers(name: str, url: Url) -> dict[str, Peer]:
    on_uvloop = _serving(url, uvloop.new_event_loop)
    return {
        name: Peer(on_uvloop, awaited(_connecting(url), uvloop.new_event_loop)),
        f"{name}-stock": Peer(_serving(url, None), awaited(_connecting(url))),
        f"{name}-sync": Peer(on_uvloop, blocking(_connecting_without_loop(url))),
    }


PEERS = _peers("bus-everywire", on_bus) | _peers("p2p-everywire", at_peer)
