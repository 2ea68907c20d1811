"""What the tests of WebSockets share: a host on HTTP, and foreign peers of it. No tests."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from everywire import Limits, Node, Object
from everywire.http.messages import SUBPROTOCOL

QUICK = Limits(drain=0.0)


@asynccontextmanager
async def hosting(
    *, on: str = "http://127.0.0.1:0", limits: Limits = QUICK, tokens: Any = None, policy: Any = None, **objects: Object
) -> AsyncGenerator[tuple[Node, str]]:
    """Serve *objects* by their names; give the node and the URL."""
    async with Node(limits=limits, tokens=tokens, policy=policy) as node:
        for name, source in objects.items():
            node.publish(source, name)
        (url,) = await node.serve(on)
        yield node, url


class Peer:
    """A foreign program on a WebSocket: Python's `websockets`, which knows nothing of us."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def hear(self) -> Any:
        """Return the next message."""
        text = await self.socket.recv()
        assert isinstance(text, str)
        return json.loads(text)

    async def find(self, verb: str) -> Any:
        """Return the next message with *verb*, and forget those before it."""
        while True:
            message = await self.hear()
            if verb in message:
                return message

    async def say(self, **parts: Any) -> None:
        """Send a message."""
        await self.socket.send(json.dumps(parts))

    async def call(self, number: int, slot: str, *arguments: Any) -> Any:
        """Call and return the answer, which may be a failure; forget what comes before it."""
        await self.say(call=number, slot=slot, arguments=list(arguments))
        while True:
            message = await self.hear()
            if number in (message.get("answered"), message.get("failed")):
                return message

    async def end(self) -> tuple[int, str]:
        """Wait until the host closes; return its code and reason."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                await self.socket.recv()
        assert self.socket.close_code is not None
        return self.socket.close_code, self.socket.close_reason or ""


@asynccontextmanager
async def peer(url: str, name: str, *, hello: bool = True, **options: Any) -> AsyncGenerator[Peer]:
    """Give a foreign peer of the object *name*, which has heard the first message unless *hello* is false."""
    address = f"{url.replace('http', 'ws', 1)}/objects/{name}/events"
    options = {"subprotocols": [Subprotocol(SUBPROTOCOL)], "proxy": None, "max_queue": None, **options}
    async with connect(address, **options) as socket:
        made = Peer(socket)
        if hello:
            assert "contract" in await made.hear()
        yield made


class Rough:
    """A peer without any library: it writes frames, or parts of them, and reads only when told to."""

    def __init__(self, url: str, name: str) -> None:
        host, port = url.removeprefix("http://").split(":")
        self.socket = socket.create_connection((host, int(port)))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 * 1024)
        self.socket.setblocking(False)
        self.host = f"{host}:{port}"
        self.name = name

    async def greet(self) -> None:
        head = (
            f"GET /objects/{self.name}/events HTTP/1.1\r\nHost: {self.host}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        await self.write(head.encode())
        assert b" 101 " in await self.read()

    async def write(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self.socket, data)

    async def read(self) -> bytes:
        return await asyncio.get_running_loop().sock_recv(self.socket, 65536)

    async def stuff(self, data: bytes, most: int) -> int:
        """Write *data* again and again until the host has not read for a while; return how many bytes went."""
        sent = idle = 0
        while idle < 200 and sent < most:
            try:
                sent += self.socket.send(data[sent % len(data) :])
                idle = 0
            except BlockingIOError:
                idle += 1
            await asyncio.sleep(0)
        return sent


def frame(opcode: int, data: bytes, *, fin: bool = True) -> bytes:
    """A masked frame (with a mask of zeros) as RFC 6455 section 5.2 wants it of a client."""
    length = len(data)
    size = struct.pack("!B", 0x80 | length) if length < 126 else struct.pack("!BH", 0xFE, length)
    return struct.pack("!B", (0x80 if fin else 0) | opcode) + size + bytes(4) + data
