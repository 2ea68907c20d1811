"""A link driven by the readiness of file descriptors: our own reader and writer on a loop's add_reader and add_writer.

Not for TLS, and not used on uvloop. It exists because asyncio's own transports cost a tenth of a round trip more than
this on the stock loop (measured against Qt, which wins there otherwise); it also carries standard input and output.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Final, final

from everywire.errors import LinkError
from everywire.transport.failures import link_lost, not_taken
from everywire.transport.reading import read_buffer
from everywire.transport.shapes import CLOSE_TIMEOUT, DEFAULT_WRITE_LIMIT, Peer, Receiver

_MOST_PARTS: Final = 64  # of one gathering write; IOV_MAX is at least 1024 on Linux, more parts gain nothing


@dataclass(frozen=True, slots=True)
class Ends:
    """The two descriptors of a link and the system calls that move bytes through them."""

    reader: int
    writer: int
    receive_into: Callable[[memoryview], int]
    send: Callable[[bytes | memoryview], int]
    send_parts: Callable[[list[bytes | memoryview]], int]
    end: Callable[[], None]
    release: Callable[[], None]


def socket_ends(sock: socket.socket) -> Ends:
    """Both directions of a connected, non-blocking stream socket, which the link then owns."""
    descriptor = sock.fileno()
    end = partial(sock.shutdown, socket.SHUT_WR)
    if hasattr(sock, "sendmsg"):
        return Ends(descriptor, descriptor, sock.recv_into, sock.send, sock.sendmsg, end, sock.close)

    def send_first(parts: list[bytes | memoryview]) -> int:
        return sock.send(parts[0])

    return Ends(descriptor, descriptor, sock.recv_into, sock.send, send_first, end, sock.close)


def descriptor_ends(reader: int, writer: int, end: Callable[[], None], release: Callable[[], None]) -> Ends:
    """Two plain descriptors; `writer` is non-blocking, `reader` need not be, being read only when ready."""
    return Ends(
        reader,
        writer,
        lambda view: os.readv(reader, [view]),
        partial(os.write, writer),
        partial(os.writev, writer),
        end,
        release,
    )


@final
class ReadinessLink:
    """A `Connection` on two descriptors. Call `start` once, in the loop's thread."""

    def __init__(
        self,
        ends: Ends,
        receiver: Receiver,
        peer: Peer,
        *,
        write_limit: int = DEFAULT_WRITE_LIMIT,
        released: Callable[[], None] | None = None,
    ) -> None:
        self.peer: Final = peer
        self._loop: Final = asyncio.get_running_loop()
        self._ends: Final = ends
        self._receiver: Final = receiver
        self._released: Final = released
        self._high: Final = write_limit
        self._low: Final = write_limit // 4
        # Bound once: these are looked up for every chunk.
        self._send: Final = ends.send
        self._receive_into: Final = ends.receive_into
        self._received: Final = receiver.received
        self._view: Final = read_buffer()
        self._outgoing: Final[deque[bytes | memoryview]] = deque()
        self._unsent = 0
        self._reading = False
        self._read_wanted = True
        self._pollable = True
        self._turn: asyncio.Handle | None = None
        self._peer_ended = False
        self._paused = False
        self._ending = False
        self._closing = False
        self._finished = False
        self._deadline: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Tell the receiver that it is connected, then begin to read."""
        try:
            self._receiver.connected(self)
        except BaseException:
            self.abort()
            raise
        self._watch()

    @property
    def unsent(self) -> int:
        return self._unsent

    def write(self, data: bytes) -> None:
        if self._closing or self._ending:
            return
        rest: bytes | memoryview = data
        if not self._unsent:
            try:
                sent = self._send(data)
            except (BlockingIOError, InterruptedError):
                sent = 0
            except OSError as error:
                self._finish(link_lost(self.peer.transport, error))
                return
            if sent == len(data):
                return
            rest = memoryview(data)[sent:]
            self._loop.add_writer(self._ends.writer, self._writable)
        self._outgoing.append(rest)
        self._unsent += len(rest)
        if self._unsent > self._high and not self._paused:
            self._paused = True
            self._receiver.paused()

    def end(self) -> bool:
        if not self._closing and not self._ending:
            self._ending = True
            if not self._unsent:
                self._shut()
        return True

    def close(self) -> None:
        if self._closing:
            return
        if not self._unsent:
            self._finish(None)
            return
        self._closing = True
        self._unwatch()
        self._deadline = self._loop.call_later(CLOSE_TIMEOUT, self._give_up)

    def abort(self) -> None:
        self._finish(None)

    def pause_reading(self) -> None:
        self._read_wanted = False
        self._unwatch()

    def resume_reading(self) -> None:
        self._read_wanted = True
        self._watch()

    def _watch(self) -> None:
        if self._reading or not self._read_wanted or self._closing or self._peer_ended:
            return
        self._reading = True
        if self._pollable:
            try:
                self._loop.add_reader(self._ends.reader, self._readable)
            except PermissionError:
                # Files and /dev/null cannot be polled (EPERM from epoll); they are always readable.
                self._pollable = False
        if not self._pollable:
            self._turn = self._loop.call_soon(self._always_readable)

    def _unwatch(self) -> None:
        if self._reading:
            self._reading = False
            if self._turn is None:
                self._loop.remove_reader(self._ends.reader)
            else:
                self._turn.cancel()

    def _always_readable(self) -> None:
        self._turn = self._loop.call_soon(self._always_readable)
        self._readable()

    def _readable(self) -> None:
        try:
            size = self._receive_into(self._view)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._finish(link_lost(self.peer.transport, error))
            return
        if not size:
            self._end_of_peer()
            return
        try:
            self._received(bytes(self._view[:size]))
        except Exception as error:  # noqa: BLE001  # a receiver's bug ends its own link, never the loop or another link
            self._receiver_failed(error)

    def _end_of_peer(self) -> None:
        self._peer_ended = True
        self._unwatch()
        ended: Callable[[], None] | None = getattr(self._receiver, "ended", None)
        if ended is None:
            self.close()
        else:
            ended()

    def _writable(self) -> None:
        outgoing = self._outgoing
        try:
            sent = self._ends.send_parts(list(islice(outgoing, _MOST_PARTS)))
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._finish(link_lost(self.peer.transport, error))
            return
        self._unsent -= sent
        while sent:
            first = outgoing.popleft()
            if len(first) > sent:
                outgoing.appendleft(memoryview(first)[sent:])
                break
            sent -= len(first)
        if self._paused and self._unsent <= self._low and not self._closing:
            self._paused = False
            self._receiver.resumed()
        # Asked last: `resumed` may have written more.
        if not self._unsent:
            self._all_sent()

    def _all_sent(self) -> None:
        self._loop.remove_writer(self._ends.writer)
        if self._closing:
            self._finish(None)
        elif self._ending:
            self._shut()

    def _shut(self) -> None:
        try:
            self._ends.end()
        except OSError as error:
            self._finish(link_lost(self.peer.transport, error))

    def _give_up(self) -> None:
        self._finish(not_taken(self.peer.transport, self._unsent))

    def _receiver_failed(self, error: Exception) -> None:
        context = {"message": "a receiver failed; its connection is closed", "exception": error}
        self._loop.call_exception_handler(context)
        self._finish(link_lost(self.peer.transport, error))

    def _finish(self, error: LinkError | None) -> None:
        if self._finished:
            return
        self._finished = self._closing = True
        self._unwatch()
        if self._unsent:
            self._loop.remove_writer(self._ends.writer)
            self._outgoing.clear()
            self._unsent = 0
        if self._deadline is not None:
            self._deadline.cancel()
        # Later, not now: the receiver may be the caller, in the midst of its own work.
        self._loop.call_soon(self._lose, error)

    def _lose(self, error: LinkError | None) -> None:
        self._ends.release()
        try:
            self._receiver.lost(error)
        finally:
            if self._released is not None:
                self._released()
