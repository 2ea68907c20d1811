"""Byte streams for programs of their own: `listen` and `open_stream`, the same over every transport.

Not a protocol: bytes arrive cut anywhere; `read_exactly` and `read_until` find the borders. Memory is bounded both
ways: a reader that falls behind stops its peer, and `write` waits for a peer that falls behind.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final, cast, final

from everywire.errors import LimitExceeded, LinkError, LocalProtocolError
from everywire.transport.accepting import accept
from everywire.transport.address import Address
from everywire.transport.dialing import dial
from everywire.transport.shapes import DEFAULT_WRITE_LIMIT, Connection, HalfOpenConnection, Listener, Peer, Receiver

READ_LIMIT: Final = 256 * 1024
"""Unread bytes above which a stream stops its peer. One chunk more may be held."""


@final
class ByteStream(Receiver):
    """One connection, for one reading task and any number of writing ones. Made by `open_stream` and `listen`."""

    _connection: HalfOpenConnection

    def __init__(self, on_connected: Callable[[ByteStream], None] | None = None) -> None:
        self._on_connected: Final = on_connected
        self._loop: Final = asyncio.get_running_loop()
        self._buffer: Final = bytearray()
        self._wanted = READ_LIMIT
        self._stopped_peer = False
        self._ended = False
        self._error: LinkError | None = None
        self._arrival: asyncio.Future[None] | None = None
        self._gone: Final = asyncio.Event()
        self._drained: Final = asyncio.Event()
        self._drained.set()

    @property
    def peer(self) -> Peer:
        """Who is at the other end, as far as the link could establish."""
        return self._connection.peer

    async def read(self, max_bytes: int = READ_LIMIT) -> bytes:
        """Wait for bytes and return at most `max_bytes` of them; b"" after the peer's last byte.

        Raises LinkError once the bytes that arrived before a loss are read, LocalProtocolError if another task reads.
        """
        if max_bytes < 1:
            raise ValueError(f"cannot read {max_bytes} bytes; to read all, read until it returns nothing")
        await self._until(1)
        return self._take(min(max_bytes, len(self._buffer)))

    async def read_exactly(self, size: int) -> bytes:
        """Return exactly `size` bytes; LinkError if the stream ends before, and then nothing is taken."""
        if size < 0:
            raise ValueError(f"cannot read {size} bytes")
        await self._until(size)
        if len(self._buffer) < size:
            raise LinkError(f"the stream ended after {len(self._buffer)} of {size} bytes")
        return self._take(size)

    async def read_until(self, separator: bytes, *, limit: int = 64 * 1024) -> bytes:
        """Return the bytes up to and with `separator`.

        Raises LimitExceeded as soon as it cannot end within `limit` bytes, LinkError if the stream ends before; in both
        cases nothing is taken.
        """
        if not separator:
            raise ValueError("an empty separator separates nothing")
        searched = 0
        while (found := self._buffer.find(separator, searched, limit)) < 0:
            size = len(self._buffer)
            if size >= limit:
                raise LimitExceeded(f"no {separator!r} within {limit} bytes; raise limit= if that is legitimate")
            searched = max(0, size - len(separator) + 1)
            await self._until(size + 1)
            if len(self._buffer) == size:
                raise LinkError(f"the stream ended after {size} bytes without {separator!r}")
        return self._take(found + len(separator))

    async def write(self, data: bytes) -> None:
        """Send `data`; waits while the peer is behind by more than the write limit. LinkError when it is lost."""
        self._check_open()
        self._connection.write(data)
        if not self._drained.is_set():
            await self._drained.wait()
            self._check_open()

    def end(self) -> bool:
        """Tell the peer that nothing more is written, and go on reading; False over TLS, which cannot say so."""
        return self._connection.end()

    async def aclose(self) -> None:
        """Send what is unsent, then close; at once when cancelled. A loss on the way is not an error here."""
        self._connection.close()
        try:
            await self._gone.wait()
        finally:
            self._connection.abort()

    def abort(self) -> None:
        """Close at once; unsent bytes are dropped."""
        self._connection.abort()

    # -- what the connection calls ------------------------------------------------------------------------------------

    def connected(self, connection: Connection) -> None:
        # What dial and accept make can all be half open; sessions need less, so `Receiver` asks for less.
        self._connection = cast("HalfOpenConnection", connection)
        if self._on_connected is not None:
            self._on_connected(self)

    def received(self, data: bytes) -> None:
        self._buffer.extend(data)
        if len(self._buffer) > self._wanted and not self._stopped_peer:
            self._stopped_peer = True
            self._connection.pause_reading()
        self._wake()

    def ended(self) -> None:
        """The peer's last byte has arrived."""
        self._ended = True
        self._wake()

    def paused(self) -> None:
        self._drained.clear()

    def resumed(self) -> None:
        self._drained.set()

    def lost(self, error: LinkError | None) -> None:
        self._ended = True
        self._error = error
        self._gone.set()
        self._drained.set()
        self._wake()

    # -- reading ------------------------------------------------------------------------------------------------------

    async def _until(self, size: int) -> None:
        """Wait until `size` bytes are there or the stream ended; LinkError if it was lost and they will not come."""
        if self._arrival is not None:
            raise LocalProtocolError("another task reads from this stream; bytes can go to one reader only")
        self._wanted = max(READ_LIMIT, size)
        try:
            while len(self._buffer) < size and not self._ended:
                self._let_come()
                self._arrival = self._loop.create_future()
                await self._arrival
        finally:
            self._arrival = None
            self._wanted = READ_LIMIT
        if len(self._buffer) < size and self._error is not None:
            raise LinkError(str(self._error)) from self._error

    def _take(self, size: int) -> bytes:
        with memoryview(self._buffer) as view:
            data = bytes(view[:size])
        del self._buffer[:size]
        if len(self._buffer) <= READ_LIMIT // 2:
            self._let_come()
        return data

    def _let_come(self) -> None:
        if self._stopped_peer:
            self._stopped_peer = False
            self._connection.resume_reading()

    def _wake(self) -> None:
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)

    def _check_open(self) -> None:
        if self._gone.is_set():
            raise LinkError("the stream is closed" if self._error is None else str(self._error)) from self._error


Handler = Callable[[ByteStream], Awaitable[None]]


@asynccontextmanager
async def open_stream(
    address: Address | str, *, write_limit: int = DEFAULT_WRITE_LIMIT, timeout: float = 10.0
) -> AsyncGenerator[ByteStream]:
    """A stream to `address`, connected within `timeout` seconds, for the time of an `async with`.

    Leaving normally sends what is unsent; leaving by an exception closes at once. Errors as for `dial`.
    """
    stream = ByteStream()
    await dial(address, stream, write_limit=write_limit, timeout=timeout)
    try:
        yield stream
        await stream.aclose()
    finally:
        stream.abort()


@asynccontextmanager
async def listen(
    address: Address | str,
    handler: Handler,
    *,
    write_limit: int = DEFAULT_WRITE_LIMIT,
    max_connections: int = 1024,
    max_per_peer: int | None = None,
    insecure: bool = False,
) -> AsyncGenerator[Listener]:
    """For the time of an `async with`, run `handler(stream)` in a task for every connection.

    A stream is closed when its handler returns. A handler that raises is reported to the loop's exception handler and
    costs its own connection only; one that loses its peer (LinkError) ends quietly. Leaving stops accepting, then
    cancels the handlers and waits for them. Errors as for `accept`.
    """
    handlers = _Handlers(handler)
    listener = await accept(
        address,
        lambda: ByteStream(handlers.start),
        write_limit=write_limit,
        max_connections=max_connections,
        max_per_peer=max_per_peer,
        insecure=insecure,
    )
    try:
        yield listener
    finally:
        try:
            await listener.close()
        finally:
            await handlers.cancel()


class _Handlers:
    """The handler tasks of one listener. Not a TaskGroup: that would wrap the caller's own exceptions in a group."""

    def __init__(self, handler: Handler) -> None:
        self._handler: Final = handler
        self._loop: Final = asyncio.get_running_loop()
        self._tasks: Final[set[asyncio.Task[None]]] = set()

    def start(self, stream: ByteStream) -> None:
        task = self._loop.create_task(self._handle(stream), name=f"handler of {stream.peer.transport} stream")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def cancel(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _handle(self, stream: ByteStream) -> None:
        try:
            await self._handler(stream)
            await stream.aclose()
        except LinkError:
            pass  # the peer went away; the handler had its chance to care
        except Exception as error:  # noqa: BLE001  # one connection's failure must not take the listener down
            context = {"message": "a stream handler failed; its connection is closed", "exception": error}
            self._loop.call_exception_handler(context)
        finally:
            stream.abort()
