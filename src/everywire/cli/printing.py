"""What people see: tables by rich on a terminal, aligned plain text everywhere else, colour only where it is wanted."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from typing import Any, Final

from everywire.cli.values import to_json, visible
from everywire.errors import MissingExtra

PLAIN_WIDTH: Final = 100
"""Columns of running text in a pipe or file."""


def print_json(value: object) -> None:
    """Print *value* as one line of JSON."""
    print(to_json(value), flush=True)


def on_terminal() -> bool:
    """Return whether a person looks at the output, on a terminal that can do more than a typewriter."""
    return sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def in_colour() -> bool:
    """Return whether colours and bold letters are wanted; NO_COLOR (no-color.org) says that they are not."""
    return on_terminal() and not os.environ.get("NO_COLOR")


def columns() -> int:
    """Return how wide running text may be."""
    return shutil.get_terminal_size().columns if on_terminal() else PLAIN_WIDTH


def styled(text: str, **style: Any) -> str:
    """Return *text* in a style of `click.style` where colour is wanted."""
    if not text or not in_colour():
        return text
    import click

    return click.style(text, **style)


def print_table(
    heads: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Sequence[str] = (), whole: str = ""
) -> None:
    """Print *rows* under *heads*; the columns *numbers* are aligned at the right, *whole* is not broken."""
    rows = [[visible(cell) for cell in row] for row in rows]
    if on_terminal():
        _print_rich(heads, rows, numbers, whole)
    else:
        print("\n".join(plain_table(heads, rows, numbers=numbers)), flush=True)


def plain_table(heads: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: Sequence[str] = ()) -> list[str]:
    """Return the lines of a table in plain text."""
    widths = [max(len(row[n]) for row in (heads, *rows)) for n in range(len(heads))]
    right = [head in numbers for head in heads]
    return [
        "  ".join(
            text.rjust(width) if at_right else text.ljust(width)
            for text, width, at_right in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in (heads, *rows)
    ]


def _print_rich(heads: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[str], whole: str) -> None:
    try:
        from rich import box
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text
    except ModuleNotFoundError as error:
        raise MissingExtra("cli") from error
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, collapse_padding=True, header_style="bold")
    for head in heads:
        right, unbroken = head in numbers, head == whole
        table.add_column(head, justify="right" if right else "left", overflow="fold", no_wrap=unbroken)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))  # not markup: [bold] is what somebody wrote
    Console(color_system="auto" if in_colour() else None).print(table)
