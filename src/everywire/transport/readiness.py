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
from functools import partial
from itertools import islice
from typing import Final, Protocol, final

from everywire.errors import LinkError
from everywire.transport.failures import link_lost, not_taken
from everywire.transport.reading import read_buffer
from everywire.transport.shapes import CLOSE_TIMEOUT, DEFAULT_WRITE_LIMIT, Peer, Receiver

_MOST_PARTS: Final = 64  # of one gathering write; IOV_MAX is at least 1024 on Linux, more parts gain nothing


class Ends(Protocol):
    """The two descriptors of a link and the system calls that move bytes through them."""

    @property
    def reader(self) -> int: ...
    @property
    def writer(self) -> int: ...
    @property
    def receive_into(self) -> Callable[[memoryview], int]: ...
    @property
    def send(self) -> Callable[[bytes | memoryview], int]: ...
    def send_parts(self, parts: list[bytes | memoryview], /) -> int: ...
    def end(self) -> None: ...
    def release(self) -> None: ...


class SocketEnds:
    """Both directions of a connected, non-blocking stream socket, which the link then owns."""

    __slots__ = ("_socket",)

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock

    @property
    def receive_into(self) -> Callable[[memoryview], int]:
        """The socket's own method, for it is called for every chunk."""
        return self._socket.recv_into

    @property
    def send(self) -> Callable[[bytes | memoryview], int]:
        """The socket's own method."""
        return self._socket.send

    @property
    def reader(self) -> int:
        """The socket's descriptor."""
        return self._socket.fileno()

    writer = reader

    def send_parts(self, parts: list[bytes | memoryview], /) -> int:
        """Send from the beginning of *parts*, as much as the kernel takes."""
        return self._socket.sendmsg(parts) if hasattr(self._socket, "sendmsg") else self.send(parts[0])

    def end(self) -> None:
        """Shut the writing direction."""
        self._socket.shutdown(socket.SHUT_WR)

    def release(self) -> None:
        """Close the socket."""
        self._socket.close()


class DescriptorEnds:
    """Two plain descriptors; `writer` is non-blocking, `reader` need not be, being read only when ready."""

    def __init__(self, reader: int, writer: int, end: Callable[[], None], release: Callable[[], None]) -> None:
        self.reader: Final = reader
        self.writer: Final = writer
        self.end: Final = end
        self.release: Final = release

        self.receive_into: Callable[[memoryview], int] = lambda view: os.readv(reader, [view])
        self.send: Callable[[bytes | memoryview], int] = partial(os.write, writer)

    def send_parts(self, parts: list[bytes | memoryview], /) -> int:
        """Write from the beginning of *parts*, as much as the kernel takes."""
        return os.writev(self.writer, parts)


@final
class ReadinessLink:
    """A `Connection` on two descriptors. Call `start` once, in the loop's thread."""

    __slots__ = (
        "_closing",
        "_deadline",
        "_ending",
        "_ends",
        "_finished",
        "_high",
        "_loop",
        "_low",
        "_outgoing",
        "_paused",
        "_peer_ended",
        "_pollable",
        "_read_wanted",
        "_reading",
        "_receive_into",
        "_receiver",
        "_released",
        "_send",
        "_turn",
        "_unsent",
        "_view",
        "peer",
    )

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
        self._view: Final = read_buffer()
        self._outgoing: deque[bytes | memoryview] | None = None
        """What the kernel has not taken; only while there is something, as a deque has 760 bytes."""
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
            if sent:  # else it stays what it is: something may travel with its first byte
                rest = memoryview(data)[sent:]
            self._loop.add_writer(self._ends.writer, self._writable)
        if self._outgoing is None:
            self._outgoing = deque()
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
            self._receiver.received(bytes(self._view[:size]))
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
        if outgoing is None:
            return
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
        self._outgoing = None
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
            self._outgoing = None
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
