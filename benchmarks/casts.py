"""The processes of one sample of a suite with several of them, and how much the rest of the machine disturbed it."""

from __future__ import annotations

import os
import random
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from benchmarks import machine
from benchmarks.processes import Actor

T = TypeVar("T")

FOREIGN_LIMIT: Final = 0.15
"""Cores of foreign load above which a sample is taken again."""
DISTURBED: Final = (
    f"Foreign cores: what others kept busy meanwhile; a sample above {FOREIGN_LIMIT} was taken again, at most twice, "
    "and the least disturbed one kept."
)
ATTEMPTS: Final = 3
PLACEMENTS: Final = {"same": "all processes on one core", "unpinned": "unpinned, as the scheduler likes"}


class Cast:
    """Fresh processes, pinned as *placement* says, in an empty directory; leaving the block kills them."""

    def __init__(self, placement: str) -> None:
        self._cores = machine.cores()[:1] if placement == "same" else []
        self._stack = ExitStack()
        self.processes = [os.getpid()]
        """Ids of all of them, and of this one, which only waits."""

    def __enter__(self) -> Self:
        # A short name: the path of a Unix socket has 107 bytes (unix(7)).
        self.directory = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="cast-")))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stack.close()

    def start(self, module: str, role: str, **options: Any) -> Actor:
        """Start a role and wait until it is ready. Raises Missing or Failed."""
        actor = self._stack.enter_context(Actor(module, role, self.directory, self._cores, **options))
        actor.facts = actor.ready()
        self.processes += actor.facts["processes"]
        return actor

    def quietest(self, take: Callable[[], T]) -> tuple[T, float]:
        """The first undisturbed sample of at most three, else the least disturbed one, with its foreign cores."""
        best = self._watched(take)
        for _ in range(ATTEMPTS - 1):
            if best[1] <= FOREIGN_LIMIT:
                break
            best = min(best, self._watched(take), key=lambda sample: sample[1])
        return best

    def _watched(self, take: Callable[[], T]) -> tuple[T, float]:
        busy, used, begun = machine.busy_seconds(), machine.cpu_seconds(self.processes), perf_counter()
        result = take()
        elapsed = perf_counter() - begun
        used = machine.cpu_seconds(self.processes) - used
        return result, max(machine.busy_seconds() - busy - used, 0.0) / elapsed


def interleaved(cases: Sequence[T], rounds: int, seed: int) -> Iterator[tuple[int, T]]:
    """Each case once per round, in an order shuffled anew, so that a slow minute does not hit one case only."""
    order = random.Random(seed)
    shuffled = list(cases)
    for number in range(rounds):
        order.shuffle(shuffled)
        for case in shuffled:
            yield number, case
        print(f"round {number + 1} of {rounds} done", file=sys.stderr)
