"""everywire by its public API: on uvloop, on the stock loop, and as a client without any loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from benchmarks.loops import AwaitedCalls, BlockingCalls, awaited, blocking, served
from benchmarks.peer import Peer
from everywire import Node, Object, connect, slot, sync


class Counter(Object):
    """The one slot that is measured."""

    @slot
    async def add_one(self, number: int) -> int:
        """Return the number after this one."""
        return number + 1


def _address(directory: Path) -> str:
    return f"local:{directory / 'counter'}"


@asynccontextmanager
async def _serve(directory: Path) -> AsyncGenerator[None]:
    async with Node() as node:
        node.publish(Counter(), "counter")
        await node.serve(_address(directory))
        yield


@asynccontextmanager
async def _connect(directory: Path) -> AsyncGenerator[AwaitedCalls]:
    async with connect(_address(directory), "counter", Counter) as counter:
        yield AwaitedCalls(counter.add_one, counter.add_one)


@contextmanager
def _connect_without_loop(directory: Path) -> Generator[BlockingCalls]:
    with sync.connect(_address(directory), "counter", Counter) as counter:
        add_one, run = counter.add_one, sync.run
        yield BlockingCalls(lambda number: run(add_one(number)), add_one, run)


def _on_uvloop() -> asyncio.AbstractEventLoop:
    import uvloop

    return uvloop.new_event_loop()


PEERS = {
    "everywire": Peer(served(_serve, _on_uvloop), awaited(_connect, _on_uvloop)),
    "everywire-stock": Peer(served(_serve), awaited(_connect)),
    "everywire-sync": Peer(served(_serve, _on_uvloop), blocking(_connect_without_loop)),
}
