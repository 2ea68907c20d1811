"""Two links joined in memory, for tests and for objects of one process and loop; not a queue between threads.

Bytes travel through the loop and never within a call, are cut and joined like a socket's, and press back like a
socket's: nothing can work here that would not work over a real connection.
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections import deque
from collections.abc import Callable
from typing import Final, final

from everywire.errors import LinkError
from everywire.transport.failures import link_lost, not_taken
from everywire.transport.reading import READ_SIZE
from everywire.transport.shapes import CLOSE_TIMEOUT, DEFAULT_WRITE_LIMIT, Peer, Receiver


def memory_pair(
    first: Receiver, second: Receiver, *, write_limit: int = DEFAULT_WRITE_LIMIT
) -> tuple[MemoryLink, MemoryLink]:
    """Join two receivers; both have been told `connected` when this returns, `second` first as a listener would be."""
    one, two = (MemoryLink(receiver, write_limit) for receiver in (first, second))
    one._other, two._other = two, one
    second.connected(two)
    first.connected(one)
    return one, two


@final
class MemoryLink:
    """One end of a pair; made by `memory_pair`."""

    _other: MemoryLink

    def __init__(self, receiver: Receiver, write_limit: int) -> None:
        loop = asyncio.get_running_loop()
        self.peer: Final = this_process()
        self._call_later: Final = loop.call_later
        self._call_soon: Final = loop.call_soon
        self._report: Final = loop.call_exception_handler
        self._receiver: Final = receiver
        self._high: Final = write_limit
        self._outgoing: Final[deque[bytes | memoryview]] = deque()
        self._unsent = 0
        self._scheduled = False
        self._reading = True
        self._paused = False
        self._ending = False  # nothing more is written; the other end hears so after the last byte
        self._ended = False  # the other end has heard so
        self._peer_ended = False
        self._closing = False
        self._finished = False
        self._deadline: asyncio.TimerHandle | None = None
        self._released: Final[list[Callable[[], None]]] = []

    @property
    def unsent(self) -> int:
        return self._unsent

    def write(self, data: bytes) -> None:
        if self._ending or self._finished or not data:
            return
        self._outgoing.append(data)
        self._unsent += len(data)
        self._schedule()
        if self._unsent > self._high and not self._paused:
            self._paused = True
            self._receiver.paused()

    def end(self) -> bool:
        if not self._ending:
            self._ending = True
            self._schedule()
        return True

    def close(self) -> None:
        if self._closing:
            return
        self._closing = True
        self.end()
        if self._ended:
            self._finish(None)
        elif self._unsent:
            self._deadline = self._call_later(CLOSE_TIMEOUT, self._give_up)

    def abort(self) -> None:
        self._drop()
        self._finish(None)

    def pause_reading(self) -> None:
        self._reading = False

    def resume_reading(self) -> None:
        self._reading = True
        self._other._schedule()

    def when_released(self, call: Callable[[], None]) -> None:
        """Call once this end is gone, after its receiver's `lost`."""
        self._released.append(call)

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._call_soon(self._deliver)

    def _deliver(self) -> None:
        """Hand one chunk to the other end; runs on the loop, for this end's outgoing bytes."""
        self._scheduled = False
        other = self._other
        if other._finished and self._outgoing:
            self._drop()
            self._finish(link_lost("memory", BrokenPipeError(errno.EPIPE, "")))
        elif other._closing:
            self._drop()
        elif not other._reading:
            return
        elif self._outgoing:
            chunk = self._next_chunk()
            try:
                other._receiver.received(chunk)
            except Exception as error:  # noqa: BLE001  # as on a socket: a receiver's bug ends its link, not the loop
                self._report({"message": "a receiver failed; its connection is closed", "exception": error})
                other._drop()
                other._finish(link_lost("memory", error))
            self._resume()
        if self._outgoing:
            self._schedule()
        elif self._ending and not self._ended:
            self._end_reached()

    def _next_chunk(self) -> bytes:
        outgoing = self._outgoing
        parts = [outgoing.popleft()]
        size = len(parts[0])
        while outgoing and size + len(outgoing[0]) <= READ_SIZE:
            parts.append(outgoing.popleft())
            size += len(parts[-1])
        if size > READ_SIZE:
            whole = memoryview(parts[0])
            parts[0] = whole[:READ_SIZE]
            outgoing.appendleft(whole[READ_SIZE:])
        chunk = b"".join(parts)
        self._unsent -= len(chunk)
        return chunk

    def _resume(self) -> None:
        if self._paused and self._unsent <= self._high // 4 and not self._ending and not self._finished:
            self._paused = False
            self._receiver.resumed()

    def _end_reached(self) -> None:
        self._ended = True
        if self._closing:
            self._finish(None)
        self._other._end_of_peer()

    def _end_of_peer(self) -> None:
        if self._peer_ended or self._finished:
            return
        self._peer_ended = True
        ended: Callable[[], None] | None = getattr(self._receiver, "ended", None)
        if ended is None:
            self.close()
        else:
            ended()

    def _give_up(self) -> None:
        error = not_taken("memory", self._unsent)
        self._drop()
        self._finish(error)

    def _drop(self) -> None:
        self._outgoing.clear()
        self._unsent = 0

    def _finish(self, error: LinkError | None) -> None:
        if self._finished:
            return
        self._finished = self._closing = self._ending = self._ended = True
        if self._deadline is not None:
            self._deadline.cancel()
        self._call_soon(self._lose, error)

    def _lose(self, error: LinkError | None) -> None:
        try:
            self._receiver.lost(error)
        finally:
            for call in self._released:
                call()
            self._other._end_of_peer()


def this_process() -> Peer:
    """The peer of a link within this process is this process."""
    uid, gid = (os.getuid(), os.getgid()) if hasattr(os, "getuid") else (None, None)
    return Peer(transport="memory", uid=uid, gid=gid, pid=os.getpid(), loopback=True)
