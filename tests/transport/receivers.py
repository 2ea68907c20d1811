"""Fakes and programs that the transport tests share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from everywire.errors import LinkError
from everywire.transport import ByteStream, Connection

ONE_MIB = 1024 * 1024


class RecordingReceiver:
    """Keeps all it is told; `until` waits for a condition on that."""

    def __init__(self) -> None:
        self.connection: Connection
        self.calls: list[str] = []
        self.data = bytearray()
        self.longest = 0
        self.error: LinkError | None = None
        self._changed = asyncio.Event()

    def connected(self, connection: Connection) -> None:
        self.connection = connection
        self._note("connected")

    def received(self, data: bytes) -> None:
        assert type(data) is bytes
        assert data
        self.data += data
        self.longest = max(self.longest, len(data))
        self._note("received")

    def paused(self) -> None:
        self._note("paused")

    def resumed(self) -> None:
        self._note("resumed")

    def lost(self, error: LinkError | None) -> None:
        self.error = error
        self._note("lost")

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._changed.clear()
            await self._changed.wait()

    async def until_called(self, name: str) -> None:
        await self.until(lambda: name in self.calls)

    async def until_size(self, size: int) -> None:
        await self.until(lambda: len(self.data) >= size)

    def _note(self, call: str) -> None:
        assert "lost" not in self.calls, f"{call} after lost"
        if not self.calls or self.calls[-1] != call or call != "received":
            self.calls.append(call)
        self._changed.set()


class HalfOpenReceiver(RecordingReceiver):
    """Goes on writing after its peer has finished."""

    def ended(self) -> None:
        self._note("ended")


class Accepted:
    """Makes recording receivers for a listener and waits for them."""

    def __init__(self, kind: Callable[[], RecordingReceiver] = RecordingReceiver) -> None:
        self.kind = kind
        self.receivers: list[RecordingReceiver] = []
        self._more = asyncio.Event()

    def __call__(self) -> RecordingReceiver:
        self.receivers.append(self.kind())
        self._more.set()
        return self.receivers[-1]

    async def next(self, number: int = 0) -> RecordingReceiver:
        while len(self.receivers) <= number:
            self._more.clear()
            await self._more.wait()
        receiver = self.receivers[number]
        await receiver.until_called("connected")
        return receiver


async def echo(stream: ByteStream) -> None:
    while data := await stream.read():
        await stream.write(data)


class Certificates:
    """Files of one authority: its own certificate, a listener's and a client's."""

    def __init__(self, folder: Path, ca: Path, listener: Path, client: Path) -> None:
        self.folder, self.ca, self.listener, self.client = folder, ca, listener, client

    @property
    def listen(self) -> str:
        return f"tls://127.0.0.1:0?cert={self.listener}"

    @property
    def listen_mutual(self) -> str:
        return f"{self.listen}&ca={self.ca}"
