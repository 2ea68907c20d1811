"""Timing operations of one process that take less than a microsecond: interleaved rounds, enough passes per sample."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from time import perf_counter_ns

from benchmarks.figures import Spread


def interleaved(
    operations: Mapping[str, Callable[[], int]], *, rounds: int, seconds: float, seed: int
) -> dict[str, Spread]:
    """Time each operation once per round, in an order shuffled anew; return nanoseconds per item over the rounds.

    An operation does a fixed number of items and returns that number. It is repeated for at least `seconds` per
    sample, after one pass that is not counted.
    """
    order = random.Random(seed)
    samples: dict[str, list[float]] = {name: [] for name in operations}
    names = list(operations)
    for _ in range(rounds):
        order.shuffle(names)
        for name in names:
            samples[name].append(_nanoseconds(operations[name], seconds))
    return {name: spread for name, values in samples.items() if (spread := Spread.of(values))}


def _nanoseconds(operation: Callable[[], int], seconds: float) -> float:
    operation()
    items = 0
    begun = now = perf_counter_ns()
    end = begun + int(seconds * 1e9)
    while now < end:
        items += operation()
        now = perf_counter_ns()
    return (now - begun) / items
