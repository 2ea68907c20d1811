"""`Outbox`: what waits to be written to one link, in order and bounded; knows frames, not their meaning.

While the link takes bytes, the first frame of a loop turn is written at once and the rest of the turn joined in one
write. While it does not (its unsent bytes passed the soft limit), frames wait here: a property's newer value replaces
the waiting one in its first place, signals keep their order, and above the hard limit the oldest signals are dropped
and counted or the link is cut. Replies are never dropped: a link that is not written is not read either.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
from itertools import islice
from typing import Any, Final, Protocol

from everywire.errors import Code, Fault
from everywire.runtime.limits import Limits, SlowPeer

FRAME_OVERHEAD: Final = 160
"""What a waiting frame costs in memory besides its bytes: bytes object, key, dict entry."""

TURN_FRAMES: Final = 256
"""Frames that are joined in one write; a longer burst is written in several, so that the peer's pace is noticed."""

LARGE: Final = 4 * 1024
"""Bytes of a frame that is not joined with others: it gains nothing, and a turn of them would be megabytes."""


class Writer(Protocol):
    """The part of a transport's connection that an outbox needs."""

    def write(self, data: Any, /) -> None: ...
    def abort(self) -> None: ...


class Turn:
    """The ends of turns of several links, all in one callback of the loop: a hundred links cost it no more than one."""

    __slots__ = ("_call_soon", "_ends")

    def __init__(self, call_soon: Callable[[Callable[[], None]], Any]) -> None:
        self._call_soon = call_soon
        self._ends: list[Callable[[], None]] = []

    def call_soon(self, end: Callable[[], None]) -> None:
        """Call *end* at the end of this turn."""
        if not self._ends:
            self._call_soon(self._end)
        self._ends.append(end)

    def _end(self) -> None:
        ends, self._ends = iter(self._ends), []
        try:
            for end in ends:
                end()
        except BaseException:  # of one link, or a program told to end: the other links' turns end all the same
            for end in ends:
                self.call_soon(end)
            raise


class Outbox:
    """Frames for one link."""

    __slots__ = (
        "_call_soon",
        "_join",
        "_limits",
        "_on_gap",
        "_order",
        "_signals",
        "_turn",
        "_waiting",
        "_writer",
        "congested",
        "dropped",
        "frames",
        "waiting_bytes",
    )

    def __init__(
        self,
        writer: Writer,
        limits: Limits,
        call_soon: Callable[[Callable[[], None]], Any],
        on_gap: Callable[[int], None] | None = None,
        join: Callable[[list[Any]], Any] = b"".join,
    ) -> None:
        self._writer, self._limits, self._call_soon, self._on_gap = writer, limits, call_soon, on_gap
        self._join = join
        self.frames: list[Any] = []
        """Frames of this loop turn; hot paths append here and call `flush` themselves."""
        self.congested = False
        self.dropped = 0
        """Signals dropped so far."""
        self.waiting_bytes = 0
        self._turn = False
        self._order = 0
        self._waiting: dict[Hashable, Any] = {}
        self._signals: deque[int] | None = None
        """Keys of waiting signals, oldest first; made for the first, as few of many links ever need the 760 bytes."""

    def put(self, frame: Any) -> None:
        """Send a reply or another frame that must not be lost."""
        if self.congested:
            self._wait(self._next(), frame)
        else:
            self._send(frame, True)

    def put_notice(self, frame: Any) -> None:
        """Send what must not be lost and nobody asked for; too many for a peer that does not read cut its link."""
        self.put(frame)
        if self.congested:
            self._shrink()

    def put_change(self, key: Hashable, frame: Any, *, alone: bool = True) -> None:
        """Send a property's value; while the link is congested the newest of *key* takes the first one's place.

        *alone* says that no other link gets the frame. Of several none is written at once: a write per link and frame
        wakes every peer for each, and with ten links on one core that halved the deliveries per second.
        """
        if not self.congested:
            self._send(frame, alone)
            return
        waiting = self._waiting.get(key)
        if waiting is not None:
            self.waiting_bytes -= len(waiting) + FRAME_OVERHEAD
        self._wait(key, frame)
        self._shrink()

    def put_signal(self, frame: Any, *, alone: bool = True) -> None:
        """Send a signal; while the link is congested it may be dropped, oldest first. *alone*: see `put_change`."""
        if not self.congested:
            self._send(frame, alone)
            return
        key = self._next()
        if self._signals is None:
            self._signals = deque()
        self._signals.append(key)
        self._wait(key, frame)
        self._shrink()

    def first(self, frame: Any) -> None:
        """Send a call at once; for a link that waits for no answer and has collected nothing in this turn."""
        if self.congested:
            self._hold(frame)
        else:
            self._writer.write(frame)

    def join(self, frame: Any) -> None:
        """Send a call with the others of this turn, in one write at its end."""
        if self.congested:
            self._hold(frame)
            return
        self.frames.append(frame)
        if not self._turn:
            self._turn = True
            self._call_soon(self.flush)

    @property
    def place(self) -> int:
        """How many frames were queued behind others so far: the same again means that none came behind the last."""
        return self._order

    @property
    def crowded(self) -> bool:
        """Whether so much waits that who can say it in fewer frames should."""
        return self.waiting_bytes * 4 > self._limits.unsent_hard

    def begin(self) -> None:
        """Collect from now on: what follows is joined in the write of the next `flush`."""
        self._turn = True

    def flush(self) -> None:
        """Write what the turn has collected, in one write."""
        self._turn = False
        if self.frames:
            self._write_frames()

    def spill(self) -> None:
        """Write what was collected so far, in the midst of a turn."""
        if self.frames:
            self._write_frames()

    def pause(self) -> None:
        """Stop writing: the peer does not take what it was sent."""
        self.congested = True

    def resume(self) -> None:
        """Write what has waited, as far as the peer takes it; tell it about dropped signals first."""
        self.congested = False
        if self.dropped and self._on_gap is not None:
            dropped, self.dropped = self.dropped, 0
            self._on_gap(dropped)
            self.spill()
        waiting, signals, limit = self._waiting, self._signals, self._limits.unsent_soft
        while waiting and not self.congested:
            batch: list[Any] = []
            size = 0
            for key in tuple(islice(waiting, TURN_FRAMES)):
                frame = waiting.pop(key)
                if signals and signals[0] == key:
                    signals.popleft()
                self.waiting_bytes -= len(frame) + FRAME_OVERHEAD
                batch.append(frame)
                size += len(frame)
                if size >= limit:
                    break
            self._writer.write(self._join(batch))

    def cut(self) -> None:
        """Drop what waits and cut the link: the peer is too slow."""
        self._waiting.clear()
        self._signals = None
        self.waiting_bytes = 0
        self._writer.abort()

    def _send(self, frame: Any, at_once: bool) -> None:  # noqa: FBT001
        frames = self.frames
        if self._turn:
            frames.append(frame)
            if len(frames) >= TURN_FRAMES or len(frame) >= LARGE:
                self._write_frames()
            return
        self._turn = True
        self._call_soon(self.flush)
        if frames or not at_once:
            frames.append(frame)
        else:
            self._writer.write(self._join([frame]))

    def _write_frames(self) -> None:
        frames = self.frames
        if self.congested:
            for frame in frames:
                self._wait(self._next(), frame)
        else:
            self._writer.write(self._join(frames))
        frames.clear()

    def _hold(self, frame: Any) -> None:
        """Keep a call of ours until the peer reads; refuse it when too much waits already."""
        if self.waiting_bytes > self._limits.unsent_hard:
            refused = "the peer does not read and too many calls wait: try again later"
            raise Fault(Code.RESOURCE_EXHAUSTED, refused, may_have_run=False)
        self._wait(self._next(), frame)

    def _next(self) -> int:
        self._order += 1
        return self._order

    def _wait(self, key: Hashable, frame: Any) -> None:
        self._waiting[key] = frame
        self.waiting_bytes += len(frame) + FRAME_OVERHEAD

    def _shrink(self) -> None:
        """Bring the waiting bytes below the hard limit: drop the oldest signals, or cut the link."""
        hard = self._limits.unsent_hard
        if self.waiting_bytes <= hard:
            return
        if self._limits.slow_peer is SlowPeer.DROP_OLDEST:
            while self._signals and self.waiting_bytes > hard:
                frame = self._waiting.pop(self._signals.popleft())
                self.waiting_bytes -= len(frame) + FRAME_OVERHEAD
                self.dropped += 1
            if self.waiting_bytes <= hard:
                return
        self.cut()
