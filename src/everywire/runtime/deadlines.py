"""Deadlines of a link's waiting calls, by one coarse sweep: no call needs a timer or even a time stamp.

Each sweep remembers the calls that it saw waiting for the first time: from then on they have waited at least as long.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

from everywire.errors import Code, Fault

SWEEP: Final = 0.25
"""Seconds between sweeps, and so the precision of a deadline."""


class Waits(Protocol):
    """A channel: `waiting` has, by token, something with a `timeout`, and the pending call."""

    sweeping: bool
    waiting: dict[int, tuple[Any, Any]]

    def give_up(self, token: int) -> None:
        """Forget the call *token* and ask the host to stop it."""
        ...


class Timer(Protocol):
    """Something that will be called."""

    def cancel(self) -> None:
        """Let it not be called."""
        ...


class Clock(Protocol):
    """What deadlines need of an event loop, or of whatever stands for one."""

    def time(self) -> float:
        """Return the seconds since some moment."""
        ...

    def call_later(self, delay: float, callback: Callable[[], object], /) -> Timer:
        """Call *callback* in *delay* seconds."""
        ...


class Deadlines:
    """Watches channels while they have waiting calls."""

    def __init__(self, loop: Clock) -> None:
        self._loop = loop
        self._seen: dict[Waits, dict[int, float]] = {}
        """When a sweep first saw each waiting call, by serial."""
        self._timer: Timer | None = None

    def watch(self, channel: Waits) -> None:
        """Look after the calls of *channel*; its `sweeping` is reset when none waits any more."""
        self._seen.setdefault(channel, {})
        if self._timer is None:
            self._timer = self._loop.call_later(SWEEP, self._sweep)

    def close(self) -> None:
        """Stop; the calls fail for another reason."""
        if self._timer is not None:
            self._timer.cancel()
        for channel in self._seen:
            channel.sweeping = False
        self._seen.clear()

    def _sweep(self) -> None:
        self._timer = None
        now = self._loop.time()
        for channel, seen in tuple(self._seen.items()):
            if channel.waiting:
                self._seen[channel] = {serial: seen.get(serial, now) for serial in channel.waiting}
                _fail_late(channel, self._seen[channel], now)
            else:
                channel.sweeping = False
                del self._seen[channel]
        if self._seen:
            self._timer = self._loop.call_later(SWEEP, self._sweep)


def _fail_late(channel: Waits, seen: dict[int, float], now: float) -> None:
    """Fail the calls of *channel* that wait longer than they may."""
    for serial, (waiting, call) in tuple(channel.waiting.items()):
        if waiting.timeout is None or now - seen[serial] < waiting.timeout:
            continue
        channel.give_up(serial)
        if not call.done():
            call.set_exception(Fault(Code.DEADLINE_EXCEEDED, f"no answer within {waiting.timeout:g} s"))
