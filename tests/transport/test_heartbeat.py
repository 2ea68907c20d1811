"""When a silent peer is asked, and when it is given up: on a clock that a test turns."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from everywire.transport.heartbeat import Heartbeat


class TurnedClock:
    """A loop's `call_later` whose time passes when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers: list[TurnedTimer] = []

    def call_later(self, delay: float, callback: Callable[[], None]) -> TurnedTimer:
        timer = TurnedTimer(self, self.now + delay, callback)
        self.timers.append(timer)
        return timer

    def turn(self, seconds: float) -> None:
        """Let time pass."""
        end = self.now + seconds
        while due := [timer for timer in self.timers if timer.due <= end]:
            timer = min(due, key=lambda timer: timer.due)
            self.timers.remove(timer)
            self.now = max(self.now, timer.due)
            timer.callback()
        self.now = end


class TurnedTimer:
    def __init__(self, clock: TurnedClock, due: float, callback: Callable[[], None]) -> None:
        self._clock, self.due, self.callback = clock, due, callback

    def cancel(self) -> None:
        if self in self._clock.timers:
            self._clock.timers.remove(self)


class Watched:
    """A heartbeat of 10 s, and what it did when."""

    def __init__(self, idle: float = 10.0) -> None:
        self.clock = TurnedClock()
        self.did: list[tuple[str, float]] = []
        self.excused = False
        self.heart = Heartbeat(
            self.clock.call_later,
            idle,
            ask=lambda: self.did.append(("ask", self.clock.now)),
            dead=lambda seconds: self.did.append((f"dead after {seconds:g}", self.clock.now)),
            excused=lambda: self.excused,
        )
        self.heart.start()

    def hear(self) -> None:
        self.heart.heard = True


@pytest.mark.parametrize("last", [0.0, 0.1, 2.5, 4.9, 12.3])
def test_a_silent_peer_is_asked_after_ten_seconds_and_dead_before_thirty_are_over(last: float) -> None:
    watched = Watched()
    watched.clock.turn(last)
    watched.hear()
    watched.clock.turn(60)
    (asked, then), (dead, end) = watched.did
    assert (asked, dead) == ("ask", "dead after 30")
    assert 10 <= then - last <= 15
    assert 25 <= end - last <= 30
    assert watched.clock.timers == []


def test_a_peer_that_says_anything_is_never_asked() -> None:
    watched = Watched()
    for _ in range(100):
        watched.clock.turn(9.9)
        watched.hear()
    assert watched.did == []


def test_a_peer_that_answers_is_asked_again_and_lives() -> None:
    watched = Watched()
    for number in range(20):
        while len(watched.did) == number:
            watched.clock.turn(1)
        watched.hear()
    assert {what for what, _ in watched.did} == {"ask"}


def test_silence_that_is_excused_does_not_count_and_counts_from_then_on() -> None:
    watched = Watched()
    watched.excused = True
    watched.clock.turn(1000)
    assert watched.did == []
    watched.excused = False
    watched.clock.turn(60)
    assert [what for what, _ in watched.did] == ["ask", "dead after 30"]


def test_it_costs_one_timer_and_none_when_it_is_off_or_stopped() -> None:
    watched = Watched()
    watched.heart.start()
    watched.clock.turn(7)
    assert len(watched.clock.timers) == 1
    watched.heart.stop()
    watched.heart.stop()
    assert watched.clock.timers == []
    off = Watched(idle=0.0)
    off.clock.turn(1000)
    assert (off.clock.timers, off.did) == ([], [])


def test_a_process_that_stood_still_itself_asks_before_it_judges() -> None:
    watched = Watched()
    watched.clock.turn(6)
    watched.clock.now += 3600  # stopped, or its machine slept
    watched.clock.turn(0)  # the timer that was due long ago
    assert [what for what, _ in watched.did] in ([], ["ask"])
