"""The rows of the suite `tables`, the same at every host, and the comparison of what a replica has got."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.peer import WrongAnswer


def row(number: int) -> tuple[int, str, float, str]:
    """The cells of a row."""
    return number, f"row {number}", number * 0.5, f"a longer note about row number {number}, as tables have them"


def checked(rows: Sequence[Sequence[Any]], first: int) -> None:
    """Raise WrongAnswer unless these are the rows from *first* on."""
    for number, cells in enumerate(rows, first):
        if tuple(cells) != row(number):
            raise WrongAnswer(f"row {number} is {tuple(cells)!r}")
