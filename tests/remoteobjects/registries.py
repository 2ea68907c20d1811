"""What tests of registries share: rooms to be found, and peers that say to a registry, or as one, what they like."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

from everywire import (
    Node,
    Object,
    Property,
    RemoteObjects,
    prop,
    slot,
)
from everywire.remoteobjects import Location
from everywire.remoteobjects.codec import (
    QTRO_2_0,
    AddObject,
    CallKind,
    Init,
    Invoke,
    UserTyped,
)
from everywire.remoteobjects.codec.registry import (
    REGISTRY,
    REGISTRY_TYPES,
    read_table,
    written_location,
)
from tests.remoteobjects.peers import (
    RawPeer,
    greet,
    raw_host,
    raw_node,
    until_asked_for,
    until_closed,
)

PORT_0: Final = "tcp://127.0.0.1:0"


class Room(Object):
    level: Property[float] = prop(20.0)

    @slot
    async def double(self, number: int) -> int:
        return 2 * number


class Boiler(Object):
    pressure: Property[float] = prop(1.0)


def room(level: float) -> Room:
    made = Room()
    made.level = level
    return made


async def becomes(replica: Room, level: float) -> None:
    async with asyncio.timeout(8):
        async for value in Room.level.watch(replica):
            if value == level:
                return


async def until(condition: Callable[[], object], *signals: Any) -> None:
    """Wait for *condition*, which one of *signals* may make true."""
    changed = asyncio.Event()
    forget = [signal.connect(lambda *_: changed.set()) for signal in signals]
    async with asyncio.timeout(8):
        while not condition():
            changed.clear()
            await changed.wait()
    for disconnect in forget:
        disconnect()


async def host_at(registry: str | tuple[str, ...], node: Node, url: str = PORT_0) -> str:
    return (await node.serve(RemoteObjects(url=url, registry=registry)))[0]


def entry(name: str, url: str = "tcp://10.0.0.66:1", type_name: str = "T") -> UserTyped:
    return written_location(Location(name, type_name, url), QTRO_2_0)


def call(index: int, *arguments: object, serial: int = 1) -> Invoke:
    return Invoke(REGISTRY, CallKind.METHOD, index, arguments, serial)


@asynccontextmanager
async def raw_nodes(node: Node, count: int) -> AsyncIterator[list[RawPeer]]:
    """Connect to the registry of *node*, which is served unless it is already."""
    if not node.addresses:
        await node.serve("registry+tcp://127.0.0.1:0")
    url = node.addresses[0].removeprefix("registry+")
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(raw_node(url, extended=True)) for _ in range(count)]


async def joined(peer: RawPeer) -> dict[str, Location]:
    peer.types = REGISTRY_TYPES
    await peer.send(AddObject(REGISTRY, dynamic=False))
    table = read_table((await peer.find(Init)).values[0])
    assert table is not None
    return table


@asynccontextmanager
async def raw_registry(folder: Path, script: Callable[[RawPeer], Awaitable[None]]) -> AsyncIterator[str]:
    """Be a registry that says what *script* says."""

    async def greeted(peer: RawPeer) -> None:
        await greet(peer, REGISTRY)
        await until_asked_for(peer, REGISTRY)
        await script(peer)
        await until_closed(peer)

    async with raw_host(f"local:{folder}/hostile", greeted) as url:
        yield f"registry+{url}"
