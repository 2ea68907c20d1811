"""Connections over streams that somebody else has made: a socketpair, a serial line, a channel of SSH.

A stream is a connected socket; a file-like object with a descriptor, such as a serial port; or a pair of a reader and a
writer with the coroutines of asyncio's. Whoever gives one gives it for good: it is closed with the connection.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, Final, Protocol, final, runtime_checkable

from everywire.errors import LinkError, ModelError
from everywire.transport.failures import link_lost, not_taken
from everywire.transport.linking import link_socket
from everywire.transport.readiness import DescriptorEnds, ReadinessLink
from everywire.transport.reading import READ_SIZE
from everywire.transport.shapes import CLOSE_TIMEOUT, HalfOpenConnection, Peer, Receiver
from everywire.transport.sockets import peer_of
from everywire.transport.tuning import tune


@runtime_checkable
class Reader(Protocol):
    """The reading half of a stream, as `asyncio.StreamReader`."""

    async def read(self, n: int, /) -> bytes:
        """Return at most *n* bytes as soon as there are any; b"" at the end."""
        ...


@runtime_checkable
class Writer(Protocol):
    """The writing half of a stream, as `asyncio.StreamWriter`."""

    def write(self, data: bytes, /) -> object:
        """Take bytes."""
        ...

    async def drain(self) -> object:
        """Wait until more may be written."""
        ...

    def close(self) -> object:
        """End the stream."""
        ...


@runtime_checkable
class HasDescriptor(Protocol):
    """A file-like object with a descriptor for both directions, such as a serial port."""

    def fileno(self) -> int:
        """Return the descriptor."""
        ...

    def close(self) -> object:
        """Close it."""
        ...


Stream = socket.socket | HasDescriptor | tuple[Reader, Writer]

LinkedStream = tuple[HalfOpenConnection, Coroutine[Any, Any, None] | None]
"""The connection, and what somebody has to run until its end, where a loop's callbacks do not do it all."""


async def link_stream(
    stream: Stream,
    receiver: Receiver,
    *,
    write_limit: int,
    peer: Peer | None = None,
    released: Callable[[], None] | None = None,
) -> LinkedStream:
    """Run the receiver on *stream*; what the link establishes about its other end is *peer*, where that is given.

    `released` is called when the connection is gone. Raises ModelError for what is no stream, LinkError for a socket
    that is not connected.
    """
    if isinstance(stream, socket.socket):
        return await _link_socket(stream, receiver, write_limit, peer, released), None
    if isinstance(stream, tuple):
        reader, writer = stream
        pair = PairLink(reader, writer, receiver, peer or _NOBODY, write_limit)
        return pair, pair.run(released)
    if not isinstance(stream, HasDescriptor):  # pyright: ignore[reportUnnecessaryIsInstance]
        known = "a connected socket, an object with fileno(), or a pair (reader, writer)"
        raise ModelError(f"{type(stream).__name__} is no stream; one is {known}")
    link = ReadinessLink(_ends(stream), receiver, peer or _NOBODY, write_limit=write_limit, released=released)
    link.start()
    return link, None


async def _link_socket(
    stream: socket.socket,
    receiver: Receiver,
    write_limit: int,
    peer: Peer | None,
    released: Callable[[], None] | None,
) -> HalfOpenConnection:
    stream.setblocking(False)
    try:
        # The process that made a socketpair need not be the one that uses it.
        found = peer or replace(peer_of("socket", stream), pid=None)
    except OSError as error:
        stream.close()
        raise LinkError(f"the socket that was given is not connected: {error.strerror}") from error
    if found.address:
        tune(stream)
    return await link_socket(stream, lambda: receiver, found, None, write_limit=write_limit, released=released)


_NOBODY: Final = Peer(transport="stream")


def _ends(stream: HasDescriptor) -> DescriptorEnds:
    descriptor = stream.fileno()
    os.set_blocking(descriptor, False)

    def release() -> None:
        stream.close()

    return DescriptorEnds(descriptor, descriptor, lambda: None, release)


@final
class PairLink:
    """A `Connection` over a reader and a writer; `run` moves the bytes and returns when the connection is gone."""

    def __init__(self, reader: Reader, writer: Writer, receiver: Receiver, peer: Peer, write_limit: int) -> None:
        self.peer: Final = peer
        self._reader, self._writer, self._receiver = reader, writer, receiver
        self._high: Final = write_limit
        self._loop: Final = asyncio.get_running_loop()
        self._outgoing: deque[bytes] = deque()
        self._unsent = 0
        self._more = asyncio.Event()
        self._reading = asyncio.Event()
        self._reading.set()
        self._paused = self._closing = False
        self._error: LinkError | None = None
        self._cut = asyncio.Event()
        self._deadline: asyncio.TimerHandle | None = None
        receiver.connected(self)

    @property
    def unsent(self) -> int:
        return self._unsent

    def write(self, data: bytes) -> None:
        if self._closing or not data:
            return
        self._outgoing.append(data)
        self._unsent += len(data)
        self._more.set()
        if self._unsent > self._high and not self._paused:
            self._paused = True
            self._receiver.paused()

    def end(self) -> bool:
        return False

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self._more.set()
            if self._unsent:
                self._deadline = self._loop.call_later(CLOSE_TIMEOUT, self._give_up)

    def abort(self) -> None:
        self._closing = True
        self._cut.set()

    def pause_reading(self) -> None:
        self._reading.clear()

    def resume_reading(self) -> None:
        self._reading.set()

    async def run(self, released: Callable[[], None] | None = None) -> None:
        """Move bytes both ways until the end."""
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._read())
                both.create_task(self._write())
                both.create_task(self._until_cut())
        except* _Ended:
            pass
        finally:
            self._closing = True
            self._outgoing.clear()
            self._unsent = 0
            if self._deadline is not None:
                self._deadline.cancel()
            abort = getattr(getattr(self._writer, "transport", None), "abort", None)
            if abort is not None and self._cut.is_set():
                abort()  # else asyncio goes on sending what it has taken
            self._writer.close()
            try:
                self._receiver.lost(self._error)
            finally:
                if released is not None:
                    released()

    async def _read(self) -> None:
        while True:
            await self._reading.wait()
            try:
                data = await self._reader.read(READ_SIZE)
            except Exception as error:  # noqa: BLE001  # a stream of somebody else's ends its own link
                raise self._lost(error) from None
            if not data:
                self._hear_end()
                return
            if not self._closing:
                self._hear(bytes(data))

    def _hear(self, data: bytes) -> None:
        try:
            self._receiver.received(data)
        except Exception as error:  # noqa: BLE001  # a receiver's bug ends its own link
            context = {"message": "a receiver failed; its connection is closed", "exception": error}
            self._loop.call_exception_handler(context)
            self._error = link_lost(self.peer.transport, error)
            raise _Ended from None

    def _hear_end(self) -> None:
        ended: Callable[[], None] | None = getattr(self._receiver, "ended", None)
        if ended is not None:
            ended()
        self.close()

    async def _write(self) -> None:
        while True:
            await self._more.wait()
            self._more.clear()
            while self._outgoing:
                chunk = b"".join(self._outgoing)
                self._outgoing.clear()
                try:
                    self._writer.write(chunk)
                    await self._writer.drain()
                except Exception as error:  # noqa: BLE001  # as when reading
                    raise self._lost(error) from None
                self._unsent -= len(chunk)
                if self._paused and self._unsent <= self._high // 4 and not self._closing:
                    self._paused = False
                    self._receiver.resumed()
            if self._closing:
                raise _Ended

    async def _until_cut(self) -> None:
        await self._cut.wait()
        raise _Ended

    def _give_up(self) -> None:
        self._error = not_taken(self.peer.transport, self._unsent)
        self._cut.set()

    def _lost(self, error: Exception) -> _Ended:
        if isinstance(error, OSError):
            self._error = link_lost(self.peer.transport, error)
        else:
            self._error = LinkError(f"{self.peer.transport} connection lost: {type(error).__name__}: {error}")
        return _Ended()


class _Ended(Exception):  # a word to the siblings, not an error
    """The connection is over."""
