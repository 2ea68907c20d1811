"""Notices a peer that has fallen silent: one coarse timer for each link, and nothing for each message.

Who owns a `Heartbeat` sets `heard` when bytes arrive. Time counts in ticks of half the idle time, and only while the
owner's loop turns: a process that was stopped itself does not take that for its peer's silence.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

IDLE: Final = 10.0
"""Seconds of silence after which a peer is asked whether it is there."""
TIMES: Final = 3
"""A peer that has said nothing for so many times the idle time is dead."""


class _Timer(Protocol):
    def cancel(self) -> None: ...


CallLater = Callable[[float, Callable[[], None]], _Timer]


def _never() -> bool:
    return False


class Heartbeat:
    """Asks a silent peer by *ask*, and gives it up by *dead* with the seconds of its silence.

    The question goes out between *idle* and one and a half times *idle* seconds after the last byte, the peer is dead
    half an *idle* before the end of `TIMES` of them at the earliest. Silence is *excused* while that returns True.
    """

    __slots__ = ("_ask", "_call_later", "_dead", "_excused", "_idle", "_silent", "_timer", "heard")

    def __init__(
        self,
        call_later: CallLater,
        idle: float,
        *,
        ask: Callable[[], object],
        dead: Callable[[float], object],
        excused: Callable[[], bool] = _never,
    ) -> None:
        self._call_later, self._idle = call_later, idle
        self._ask, self._dead, self._excused = ask, dead, excused
        self._silent = 0
        self._timer: _Timer | None = None
        self.heard = True

    def start(self) -> None:
        """Begin to watch, unless *idle* is nothing."""
        if self._timer is None and self._idle > 0:
            self._timer = self._call_later(self._idle / 2, self._tick)

    def stop(self) -> None:
        """Watch no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        self._timer = self._call_later(self._idle / 2, self._tick)
        if self.heard or self._excused():
            self.heard = False
            self._silent = 0
            return
        self._silent += 1
        if self._silent == 2:
            self._ask()
        elif self._silent >= 2 * TIMES - 1:
            self.stop()
            self._dead(TIMES * self._idle)


def silent(seconds: float) -> str:
    """Return why a link was given up whose host answers no heartbeat."""
    return f"the host said nothing for {seconds:g} s: it is stopped or cut off; heartbeat=0 would wait for ever"
