"""The arithmetic of the tables: medians, percentiles and ratios. It measures nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from statistics import median


@dataclass(frozen=True, slots=True)
class Spread:
    """The middle and the edges of the values of several rounds."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread | None:
        """The spread of `values`, None when there are none."""
        return cls(median(values), min(values), max(values)) if values else None


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` (0 to 1) of the values do not exceed (nearest rank)."""
    if not values:
        raise ValueError("a percentile needs at least one value")
    if not 0 <= share <= 1:
        raise ValueError(f"a share lies between 0 and 1, not {share}")
    return sorted(values)[max(ceil(share * len(values)), 1) - 1]


def ratio(of: Spread | None, to: Spread | None) -> float | None:
    """How many times the median of `to` the median of `of` is; None when either is missing."""
    if of is None or to is None or to.median == 0:
        return None
    return of.median / to.median


def thousands(value: float) -> str:
    """A count short enough for a range: 46,612 as 46.6k."""
    return f"{value / 1000:.3g}k" if value < 1e6 else f"{value / 1e6:.3g}M"


def rate(spread: Spread | None) -> str:
    """A rate per second with its range, e.g. `49,363 [46.6k-50.1k]`; `-` when missing."""
    return f"{spread.median:,.0f} [{thousands(spread.low)}-{thousands(spread.high)}]" if spread else "-"


def figure(value: float | None, digits: int) -> str:
    """A number with `digits` after the point; `-` when missing."""
    return "-" if value is None else f"{value:,.{digits}f}"


def markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table that can also be read in a terminal; the first column is text, the rest are numbers.

    A row that ends in an empty cell holds a remark instead of numbers, so it does not widen the columns.
    """
    numbers = [row for row in rows if row[-1]]
    widths = [max(len(line[column]) for line in (heads, *numbers)) for column in range(len(heads))]
    rule = [f"{'-' * widths[0]}", *(f"{'-' * (width - 1)}:" for width in widths[1:])]

    def line(cells: Sequence[str]) -> str:
        padded = [f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True)]
        padded[0] = f"{cells[0]:<{widths[0]}}"
        return f"| {' | '.join(padded)} |"

    return "\n".join([line(heads), line(rule), *map(line, rows)])
