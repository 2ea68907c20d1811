"""Peers of Qt Remote Objects that know nothing but packets: they can say what a real one never would. No tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

from everywire import Fault, Limits, LinkError, Node, Object, Policy
from everywire.codec.qdatastream import NO_TYPES, UserTypes
from everywire.remoteobjects.codec import (
    AddObject,
    Handshake,
    InvokeReply,
    ObjectInfo,
    ObjectList,
    Packet,
    Ping,
    Pong,
    decode_packet,
    encode_packet,
)
from everywire.remoteobjects.codec.extension import HELLO, WELCOME
from everywire.remoteobjects.codec.faults import read_fault_reply
from everywire.transport import ByteStream, listen, open_stream

P = TypeVar("P")

QUICK: Final = Limits(drain=0.0)
GREETING: Final = encode_packet(Handshake("QtRO 2.0"))


class RawPeer:
    """One end of a connection that sends and reads packets, or any bytes."""

    def __init__(self, stream: ByteStream, *, host: bool) -> None:
        self._stream, self._host = stream, host
        self.seen: list[Packet] = []
        self.types: UserTypes = NO_TYPES

    async def send(self, *items: Packet | bytes) -> None:
        """Send packets or raw bytes in one write."""
        await self._stream.write(b"".join(i if isinstance(i, bytes) else encode_packet(i) for i in items))

    async def body(self) -> bytes:
        """Return the body of the next frame."""
        size = int.from_bytes(await self._stream.read_exactly(4), "little")
        return await self._stream.read_exactly(size)

    async def packet(self) -> Packet:
        """Return the next packet; a reply's value may be a Fault."""
        body = await self.body()
        refusal = None if self._host else read_fault_reply(body)
        packet = InvokeReply(*refusal) if refusal else decode_packet(body, from_host=not self._host, types=self.types)
        self.seen.append(packet)
        return packet

    async def find(self, kind: type[P], condition: Callable[[P], object] = lambda _: True) -> P:
        """Return the next packet of *kind* of which *condition* is true; those before it are in `seen`."""
        while True:
            packet = await self.packet()
            if isinstance(packet, kind) and condition(packet):
                return packet

    async def fence(self, name: str = "fence") -> None:
        """Wait until the host has handled everything sent before."""
        await self.send(Ping(name))
        await self.find(Pong, lambda pong: pong.name == name)

    async def ended(self) -> None:
        """Wait until the other end has closed the connection."""
        try:
            while await self._stream.read():
                pass
        except LinkError:
            pass

    async def result(self, serial: int) -> Any:
        """Return the value of the reply with *serial*."""
        return (await self.find(InvokeReply, lambda reply: reply.serial == serial)).value

    async def refusal(self, *items: Packet | bytes) -> Fault:
        """Send *items* and return the Fault that answers."""
        await self.send(*items)
        value = (await self.find(InvokeReply)).value
        assert isinstance(value, Fault), value
        return value

    def end(self) -> None:
        """Say that nothing more is sent."""
        self._stream.end()


@asynccontextmanager
async def raw_node(url: str, *, greeted: bool = True, extended: bool = False) -> AsyncIterator[RawPeer]:
    """Connect to a host; when *greeted* its handshake and list are read; *extended* says hello as everywire does."""
    async with open_stream(url) as stream:
        peer = RawPeer(stream, host=False)
        if greeted:
            await peer.find(ObjectList)
        if extended:
            await peer.send(Ping(HELLO))
            assert (await peer.find(Pong)).name == WELCOME
        yield peer


@asynccontextmanager
async def raw_host(url: str, script: Callable[[RawPeer], Awaitable[None]]) -> AsyncIterator[str]:
    """Serve *script* to everybody who connects; gives the address."""

    async def handle(stream: ByteStream) -> None:
        await script(RawPeer(stream, host=True))

    async with listen(url, handle) as listener:
        yield listener.url


async def greet(peer: RawPeer, *names: str, welcome: bool = False) -> None:
    """Begin as a host does: handshake, list of *names*, and the answer to an everywire node's hello."""
    await peer.send(GREETING, ObjectList(tuple(ObjectInfo(name, "Thing") for name in names)))
    await peer.find(Ping, lambda ping: ping.name == HELLO)
    await peer.send(Pong(WELCOME if welcome else HELLO))


async def until_asked_for(peer: RawPeer, name: str) -> AddObject:
    """Wait until the node wants the object *name*."""
    return await peer.find(AddObject, lambda packet: packet.name == name)


async def until_closed(peer: RawPeer) -> None:
    """Say nothing more and wait for the end."""
    await peer.ended()


@asynccontextmanager
async def hosting(folder: Path, *, limits: Limits = QUICK, policy: Policy | None = None, **objects: Object) -> Any:
    """Serve *objects*; gives the node and the address."""
    async with Node(limits=limits, policy=policy) as node:
        for name, source in objects.items():
            node.publish(source, name)
        (url,) = await node.serve(f"local:{folder}/host")
        yield node, url


@contextmanager
def at_once(seconds: float) -> Iterator[None]:
    """Fail unless the block takes less than *seconds*."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    yield
    assert loop.time() - begun < seconds
