"""A proxy between two peers that keeps the bytes of both directions; it changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

from everywire.remoteobjects.codec import QTRO_2_0, Dialect, Packet, decode_packet


class Recorder:
    """What went from the node to the host and back, over all connections."""

    def __init__(self, host: str, port: int, dialect: Dialect) -> None:
        self.from_node = bytearray()
        self.from_host = bytearray()
        self.url = ""
        self.more = asyncio.Event()
        """Set when bytes were passed on."""
        self._target = host, port
        self._dialect = dialect
        self._tasks: set[asyncio.Task[None]] = set()

    def packets(self, *, from_host: bool) -> list[Packet]:
        """The packets of one direction, as far as they are whole."""
        data = bytes(self.from_host if from_host else self.from_node)
        found: list[Packet] = []
        order: Literal["big", "little"] = "big" if self._dialect.is_qt5 else "little"
        while len(data) >= 4 and len(data) >= (end := 4 + int.from_bytes(data[:4], order)):
            found.append(decode_packet(data[4:end], from_host=from_host, dialect=self._dialect))
            data = data[end:]
        return found

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Connect one node to the host."""
        there, back = await asyncio.open_connection(*self._target)
        self._tasks |= {
            asyncio.create_task(self._copy(reader, back, self.from_node)),
            asyncio.create_task(self._copy(there, writer, self.from_host)),
        }

    async def close(self) -> None:
        """Drop the connections."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, record: bytearray) -> None:
        try:
            while data := await reader.read(65536):
                record += data
                self.more.set()
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()


@asynccontextmanager
async def recorded(url: str, dialect: Dialect = QTRO_2_0) -> AsyncIterator[Recorder]:
    """Record what goes to and from the host at a ``tcp://`` URL; `Recorder.url` is where to connect instead."""
    host, _, port = url.removeprefix("tcp://").partition("?")[0].rpartition(":")
    recorder = Recorder(host, int(port), dialect)
    server = await asyncio.start_server(recorder.accept, "127.0.0.1", 0)
    recorder.url = f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield recorder
    finally:
        server.close()
        await recorder.close()
