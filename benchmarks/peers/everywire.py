"""everywire by its public API, once on uvloop and once on the stock loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from benchmarks.loops import AwaitedCalls, awaited, served
from benchmarks.peer import Peer
from everywire import Node, Object, connect, slot


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


def _on_uvloop() -> asyncio.AbstractEventLoop:
    import uvloop

    return uvloop.new_event_loop()


PEERS = {
    "everywire": Peer(served(_serve, _on_uvloop), awaited(_connect, _on_uvloop)),
    "everywire-stock": Peer(served(_serve), awaited(_connect)),
}
