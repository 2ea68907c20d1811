"""What every role with a plant does alike: keep the rhythm of publishing, take the times of a restart."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter, perf_counter_ns
from typing import Any

from benchmarks import machine


class Watch:
    """The rhythm of a publisher, and what it costs: its memory at most, and the longest pause of one publication."""

    def __init__(self, rate: float, seconds: float) -> None:
        self._rate, self._seconds = rate, seconds
        self._before = self._most = machine.resident_bytes()
        self._begun = self._last = perf_counter()
        self._count, self._pause = 0, 0.0

    def goes_on(self) -> bool:
        """Whether the time is not over."""
        return perf_counter() - self._begun < self._seconds

    def due(self) -> range:
        """Return the numbers that should have been published by now."""
        self._most = max(self._most, machine.resident_bytes())
        due = min(int((perf_counter() - self._begun) * self._rate), int(self._rate * self._seconds))
        self._last = perf_counter()
        return range(self._count, due)

    def published(self) -> None:
        """Take note of one publication."""
        now = perf_counter()
        self._count += 1
        self._pause, self._last = max(self._pause, now - self._last), now

    def result(self) -> dict[str, float]:
        """Return what there is to tell."""
        return {
            "count": self._count,
            "seconds": perf_counter() - self._begun,
            "growth": max(self._most, machine.resident_bytes()) - self._before,
            "pause_ms": self._pause * 1000,
        }


class Restart:
    """The times at which a replica lost its host and had the next one, and what it told as changed."""

    def __init__(self, done: Callable[[Any], None]) -> None:
        self._done = done
        self._facts: dict[str, Any] = {}
        self._changes = 0
        self._asked = False

    def obey(self, order: str) -> None:
        """Begin anew, say how many changes there were, or answer as soon as the replica is valid again."""
        if order == "arm":
            self._facts, self._changes, self._asked = {}, 0, False
            self._done(None)
        elif order == "changes":
            self._done(self._changes)
        else:
            self._asked = True
            self._answer()

    def suspect(self) -> None:
        """The replica lost its host."""
        self._facts.setdefault("suspect", perf_counter_ns())

    def valid(self) -> None:
        """The replica is valid."""
        self._facts.setdefault("valid", perf_counter_ns())
        self._answer()

    def other(self) -> None:
        """The replica is in another state."""

    def changed(self, value: object) -> None:
        """The replica told that a property changed."""
        del value
        self._changes += 1

    def _answer(self) -> None:
        if self._asked and "valid" in self._facts:
            self._asked = False
            self._done(self._facts)
