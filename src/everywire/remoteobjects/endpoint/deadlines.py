"""Deadlines of a link's waiting calls, by one coarse sweep: no call needs a timer or even a time stamp.

Each sweep remembers the newest serial it saw, so a call is known to be at least as old as the first sweep whose mark is
not older than the call.
"""

from __future__ import annotations

import asyncio
from typing import Final

from everywire.errors import Code, Fault
from everywire.remoteobjects.wire.replicating import Channel

SWEEP: Final = 0.25
"""Seconds between sweeps, and so the precision of a deadline."""


class Deadlines:
    """Watches channels while they have waiting calls."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._marks: dict[Channel, list[tuple[float, int]]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, channel: Channel) -> None:
        """Look after the calls of *channel*; its `sweeping` is reset when none waits any more."""
        self._marks.setdefault(channel, [])
        if self._timer is None:
            self._timer = self._loop.call_later(SWEEP, self._sweep)

    def close(self) -> None:
        """Stop; the calls fail for another reason."""
        if self._timer is not None:
            self._timer.cancel()
        for channel in self._marks:
            channel.sweeping = False
        self._marks.clear()

    def _sweep(self) -> None:
        self._timer = None
        now = self._loop.time()
        for channel, marks in tuple(self._marks.items()):
            if not channel.waiting:
                channel.sweeping = False
                del self._marks[channel]
                continue
            marks.append((now, next(reversed(channel.waiting))))
            _fail_late(channel, marks, now)
        if self._marks:
            self._timer = self._loop.call_later(SWEEP, self._sweep)


def _fail_late(channel: Channel, marks: list[tuple[float, int]], now: float) -> None:
    """Fail the calls of *channel* that wait longer than they may; drop marks that no waiting call needs."""
    place = {serial: n for n, serial in enumerate(channel.waiting)}
    marks[:] = [entry for entry in marks if entry[1] in place]
    mark = iter(tuple(marks))
    since, newest = next(mark)
    for serial, (waiting, call) in tuple(channel.waiting.items()):
        while place[newest] < place[serial]:
            since, newest = next(mark)
        if waiting.timeout is None or now - since < waiting.timeout:
            continue
        del channel.waiting[serial]
        if channel.link is not None:
            channel.link.cancel(channel.replica.name, serial)
        if not call.done():
            call.set_exception(Fault(Code.DEADLINE_EXCEEDED, f"no answer within {waiting.timeout:g} s"))
