"""A bare asyncio.Protocol on uvloop: what a Python program on a loop can reach without codec, types or checks."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, cast

import uvloop

from benchmarks.loops import AwaitedCalls, awaited, served
from benchmarks.peer import Peer

SIZE: Final = 64
MESSAGE: Final = bytes(SIZE)


class Echo(asyncio.Protocol):
    """The server: it sends back what comes, a chunk at a time."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what writes."""
        self._write = cast("asyncio.Transport", transport).write

    def data_received(self, data: bytes) -> None:
        """Send it back."""
        self._write(data)


class Calling(asyncio.Protocol):
    """The client: one message and one future per call, answered in order."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._pending: deque[tuple[asyncio.Future[int], int]] = deque()
        self._excess = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what writes."""
        self._write = cast("asyncio.Transport", transport).write

    def call(self, number: int) -> asyncio.Future[int]:
        """Send a message; the future is done when one has come back."""
        future: asyncio.Future[int] = self._loop.create_future()
        self._pending.append((future, number + 1))
        self._write(MESSAGE)
        return future

    def data_received(self, data: bytes) -> None:
        """Answer one call for every 64 bytes."""
        messages, self._excess = divmod(self._excess + len(data), SIZE)
        for _ in range(messages):
            future, answer = self._pending.popleft()
            future.set_result(answer)


@asynccontextmanager
async def _serve(directory: Path) -> AsyncGenerator[None]:
    async with await asyncio.get_running_loop().create_unix_server(Echo, str(directory / "counter")):
        yield


@asynccontextmanager
async def _connect(directory: Path) -> AsyncGenerator[AwaitedCalls]:
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_unix_connection(Calling, str(directory / "counter"))
    yield AwaitedCalls(protocol.call, protocol.call)
    transport.close()


PEERS = {"uvloop-raw": Peer(served(_serve, uvloop.new_event_loop), awaited(_connect, uvloop.new_event_loop))}
