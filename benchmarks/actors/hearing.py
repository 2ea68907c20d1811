"""What each subscriber of the suite `fanout` does with a delivery: compare it with what must come, take the time."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter_ns
from typing import Any, Final

from benchmarks.figures import percentile

_NEVER: Final = -1.0


class Audience:
    """The replicas of one process: when all have heard what was announced to come, `heard` gets the result."""

    def __init__(self, replicas: int, heard: Callable[[Any], None]) -> None:
        self.replicas = [Replica(self) for _ in range(replicas)]
        self._heard = heard
        self._left = 0

    def expect(self, first: int, count: int, *, stamped: bool) -> None:
        """From now on expect the numbers from *first* on, or, *stamped*, as many moments of sending."""
        self._left = len(self.replicas)
        for replica in self.replicas:
            replica.expect(first, count, stamped=stamped)

    def finished(self) -> None:
        """One replica has heard everything."""
        now = perf_counter_ns()
        self._left -= 1
        if not self._left:
            delays = [delay for replica in self.replicas for delay in replica.delays]
            p50, p99 = (percentile(delays, share) / 1e3 if delays else None for share in (0.50, 0.99))
            wrong = next((replica.wrong for replica in self.replicas if replica.wrong), "")
            self._heard({"at": now, "p50_us": p50, "p99_us": p99, "wrong": wrong})


class Replica:
    """One replica: `hear` is connected to its property and to its signal."""

    def __init__(self, audience: Audience) -> None:
        self._audience = audience
        self._next = self._last = _NEVER
        self._stamps = 0
        self.wrong = ""
        self.delays: list[int] = []

    def expect(self, first: int, count: int, *, stamped: bool) -> None:
        """Expect *count* deliveries."""
        self.wrong, self.delays = "", []
        if stamped:
            self._next, self._stamps = _NEVER, count
        else:
            self._next, self._last, self._stamps = float(first), float(first + count - 1), 0

    def hear(self, number: float) -> None:
        """Take one delivery."""
        if number != self._next:
            self._odd(number)
        elif number == self._last:
            self._audience.finished()
        else:
            self._next = number + 1

    def _odd(self, number: float) -> None:
        if self._stamps:
            self.delays.append(perf_counter_ns() - int(number))
            self._stamps -= 1
            if not self._stamps:
                self._audience.finished()
        elif not self.wrong:
            self.wrong = f"heard {number:.0f} where {self._next:.0f} was to come"
            self._audience.finished()
