"""What a replica knows of a table: pages of rows, sizes, headers. A pure state machine: no I/O, no clock, no loop.

It is told what the source tells, in order, and what was answered. An answer is as new as every notice that came before
it, so at any time each cached value is the one that the source had when it sent the last thing heard. What the cache
does not know it says, and whoever wants it asks; what changed is forgotten, never kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from everywire.model import MISSING
from everywire.tables.words import Orientation, Path, TableRow, TableSize

PAGE: Final = 100
"""Rows of one request."""
GAP: Final = 8
"""Known rows between unknown ones that are asked for again, because one request costs more."""
KEPT: Final = 10_000
"""Rows that a cache keeps unless it is told otherwise."""
MOST_COLUMNS: Final = 65_536
"""Columns that a table may have."""
MOST_HEADERS: Final = 65_536
"""Headers that are kept."""
MOST_ROWS: Final = 2**31 - 1
"""Rows below one parent: Qt counts them with an int."""


class Span(NamedTuple):
    """Rows to ask for: from *first* to *last*, both included."""

    first: int
    last: int


class _Row:
    """One cached row: for each role the values of its columns."""

    __slots__ = ("children", "flags", "have", "used", "values")

    def __init__(self) -> None:
        self.values: dict[int, list[Any]] = {}
        self.have: frozenset[int] = frozenset()
        """Roles that are known for every column."""
        self.flags: tuple[int, ...] = ()
        self.children: bool | None = False
        self.used = 0


@dataclass(slots=True)
class _Level:
    """The rows below one parent."""

    size: TableSize | None = None
    rows: dict[int, _Row] = field(default_factory=dict[int, _Row])
    levels: dict[int, _Level] = field(default_factory=dict[int, "_Level"])
    """Of rows below these, by number of the row."""

    def shift(self, first: int, by: int) -> None:
        """Move what is known of the rows from *first* on."""
        self.rows = {n + by if n >= first else n: row for n, row in self.rows.items()}
        self.levels = {n + by if n >= first else n: level for n, level in self.levels.items()}

    def take_out(self, first: int, last: int) -> tuple[dict[int, _Row], dict[int, _Level]]:
        """Remove what is known of some rows, and return it by place among them; the rows behind them close up."""
        rows = {n - first: self.rows.pop(n) for n in [*self.rows] if first <= n <= last}
        levels = {n - first: self.levels.pop(n) for n in [*self.levels] if first <= n <= last}
        self.shift(first, first - last - 1)
        return rows, levels

    def grown(self, rows: int, columns: int = 0) -> None:
        """Take note of rows or columns more, or less."""
        if self.size is not None:
            self.size = TableSize(max(0, self.size.rows + rows), max(0, self.size.columns + columns))


class TableCache:
    """Everything known of one table, bounded: at most *kept* rows, those that were not used for longest go first."""

    def __init__(self, kept: int = KEPT) -> None:
        self.kept = max(kept, 2 * PAGE)
        self._root = _Level()
        self._headers: dict[tuple[Orientation, int, int], Any] = {}
        self._count = 0
        self._clock = 0

    # What is known.

    @property
    def rows(self) -> int:
        """How many rows are kept, of all levels."""
        return self._count

    def size(self, parent: Path = ()) -> TableSize | None:
        """Return how many rows and columns are below *parent*; None when that is not known."""
        level = self._level(parent)
        return None if level is None else level.size

    def value(self, path: Path, column: int, role: int) -> Any:
        """Return what is in a cell; MISSING when that is not known."""
        row = self._row(path)
        values = None if row is None else row.values.get(role)
        return MISSING if values is None or not 0 <= column < len(values) else values[column]

    def values(self, path: Path, role: int) -> Sequence[Any] | None:
        """Return what is in all columns of a row; None when not all is known."""
        row = self._row(path)
        return row.values[role] if row is not None and role in row.have else None

    def flags(self, path: Path, column: int = 0) -> int | None:
        """Return the flags of a cell; None when they are not known."""
        row = self._row(path)
        return None if row is None or not 0 <= column < len(row.flags) else row.flags[column]

    def has_children(self, path: Path) -> bool | None:
        """Return whether there are rows below a row; None when that is not known."""
        level = self._level(path)
        if level is not None and level.size is not None:
            return level.size.rows > 0
        row = self._row(path)
        return None if row is None else row.children

    def header(self, section: int, orientation: Orientation, role: int) -> Any:
        """Return a header; MISSING when it is not known."""
        return self._headers.get((orientation, section, role), MISSING)

    def missing(self, parent: Path, first: int, last: int, roles: Iterable[int]) -> list[Span]:
        """Return what is to be asked for so that all *roles* of the rows are known: few spans of at most a page.

        What is known counts as used. Rows beyond the end are left out once the size is known.
        """
        level, wanted = self._level(parent), frozenset(roles)
        if level is not None and level.size is not None:
            last = min(last, level.size.rows - 1)
        unknown = [n for n in range(max(0, first), last + 1) if not self._knows(level, n, wanted)]
        return list(_spans(unknown))

    # What was answered.

    def sized(self, parent: Path, size: TableSize) -> None:
        """Take the answer to the question how much is below *parent*."""
        level = self._level(parent, make=True)
        assert level is not None
        if level.size is not None and level.size != size:
            self._clear(level)  # it was not told of what happened: nothing in it can be trusted
        level.size = TableSize(_bounded(size.rows, MOST_ROWS), _bounded(size.columns, MOST_COLUMNS))

    def filled(self, parent: Path, first: int, roles: Sequence[int], rows: Iterable[TableRow]) -> int:
        """Take rows that were asked for from *first* on; return how many were of use."""
        level = self._level(parent, make=True)
        assert level is not None
        taken = 0
        for number, given in enumerate(rows, first):
            if level.size is not None and number >= level.size.rows:
                break
            self._fill(level, number, roles, given)
            taken += 1
        self._evict()
        return taken

    def titled(self, orientation: Orientation, first: int, roles: Sequence[int], values: Sequence[Any]) -> None:
        """Take headers that were asked for: for each section from *first* on the values of all *roles*."""
        if len(self._headers) > MOST_HEADERS:
            self._headers.clear()
        for place, value in enumerate(values):
            section, role = divmod(place, len(roles))
            self._headers[orientation, first + section, roles[role]] = value

    # What the source told.

    def inserted(self, parent: Path, first: int, last: int) -> None:
        """Rows were inserted before the one that was *first*."""
        self._family(parent, children=True)
        level = self._level(parent)
        if level is not None and 0 <= first <= last:
            level.shift(first, last - first + 1)
            level.grown(last - first + 1)
            self._forget_headers(Orientation.VERTICAL, first, parent)

    def removed(self, parent: Path, first: int, last: int) -> None:
        """Rows are gone, with all below them."""
        self._family(parent, children=None)
        level = self._level(parent)
        if level is not None and 0 <= first <= last:
            if level.size is not None:
                last = min(last, max(first, level.size.rows - 1))
            self._count -= sum(_kept(*level.take_out(first, last)))
            level.grown(first - last - 1)
            self._forget_headers(Orientation.VERTICAL, first, parent)

    def moved(self, parent: Path, first: int, last: int, destination: Path, row: int) -> None:
        """Rows were moved before the one that was *row* below *destination*; Qt's numbers, all from before the move."""
        count = last - first + 1
        below = destination[: len(parent)] == parent and _is_within(destination[len(parent) :], first, last)
        if first < 0 or row < 0 or count <= 0 or below:
            return
        if destination == parent:
            if first <= row <= last + 1:
                return
            row -= count if row > last else 0
        else:
            self._family(parent, children=None)
            self._family(destination, children=True)
        source, target = self._level(parent), self._level(destination)
        rows, levels = ({}, {}) if source is None else source.take_out(first, last)
        if source is not None:
            source.grown(-count)
        if target is None:
            self._count -= sum(_kept(rows, levels))
            return
        target.shift(row, count)
        target.rows |= {row + n: kept for n, kept in rows.items()}
        target.levels |= {row + n: level for n, level in levels.items()}
        target.grown(count)
        self._headers = {key: value for key, value in self._headers.items() if key[0] is not Orientation.VERTICAL}

    def columns_inserted(self, parent: Path, first: int, last: int) -> None:
        """Columns were inserted: every row has changed."""
        level = self._level(parent)
        if level is not None and 0 <= first <= last:
            self._drop_rows(level)
            level.grown(0, last - first + 1)
            self._forget_headers(Orientation.HORIZONTAL, first, parent)

    def changed(self, parent: Path, rows: Span, columns: Span, roles: Sequence[int]) -> None:
        """Cells have changed; no *roles* means all."""
        level = self._level(parent)
        if level is None:
            return
        span = range(max(0, rows.first), rows.last + 1)
        known = [n for n in span if n in level.rows] if len(span) < len(level.rows) else [*level.rows]
        for number in known:
            if number in span:
                _forget_cells(level.rows[number], columns, roles)

    def headers_changed(self, orientation: Orientation, first: int, last: int) -> None:
        """Headers have changed."""
        keys = [key for key in self._headers if key[0] == orientation and first <= key[1] <= last]
        for key in keys:
            del self._headers[key]

    def rearranged(self, parents: Iterable[Path]) -> None:
        """Rows below *parents*, or everywhere when there are none, stand in another order."""
        paths = [*parents]
        if not paths:
            size = self._root.size
            self.reset()
            self._root.size = size
            return
        for parent in paths:
            level = self._level(parent)
            if level is not None:
                self._clear(level)
        self._headers = {key: value for key, value in self._headers.items() if key[0] is not Orientation.VERTICAL}

    def reset(self) -> None:
        """Nothing is as it was, or it is not known what has happened."""
        self._root = _Level()
        self._headers.clear()
        self._count = 0

    # Private.

    def _level(self, path: Path, *, make: bool = False) -> _Level | None:
        level: _Level | None = self._root
        for number in path:
            assert level is not None
            found = level.levels.get(number)
            if found is None and make:
                found = level.levels[number] = _Level()
            level = found
            if level is None:
                return None
        return level

    def _row(self, path: Path) -> _Row | None:
        level = self._level(path[:-1]) if path else None
        row = None if level is None else level.rows.get(path[-1])
        if row is not None:
            self._touch(row)
        return row

    def _touch(self, row: _Row) -> None:
        self._clock += 1
        row.used = self._clock

    def _knows(self, level: _Level | None, number: int, roles: frozenset[int]) -> bool:
        row = None if level is None else level.rows.get(number)
        if row is None or not roles <= row.have:
            return False
        self._touch(row)
        return True

    def _fill(self, level: _Level, number: int, roles: Sequence[int], given: TableRow) -> None:
        row = level.rows.get(number)
        if row is None:
            row = level.rows[number] = _Row()
            self._count += 1
        for place, role in enumerate(roles):
            row.values[role] = [cell[place] if place < len(cell) else None for cell in given.values]
        row.have |= frozenset(roles)
        row.flags, row.children = given.flags, given.children
        self._touch(row)

    def _family(self, parent: Path, *, children: bool | None) -> None:
        """Take note that a row has rows below it now, or that this is not known any more."""
        row = self._row(parent)
        if row is not None:
            row.children = children

    def _drop_rows(self, level: _Level) -> None:
        self._count -= len(level.rows)
        level.rows.clear()

    def _clear(self, level: _Level) -> None:
        self._count -= sum(_kept(level.rows, level.levels))
        level.rows.clear()
        level.levels.clear()

    def _forget_headers(self, orientation: Orientation, first: int, parent: Path) -> None:
        if not parent:
            self._headers = {key: v for key, v in self._headers.items() if key[0] != orientation or key[1] < first}

    def _evict(self) -> None:
        """Forget the rows that were not used for longest: an eighth at a time, so that it is seldom."""
        if self._count <= self.kept:
            return
        rows = sorted(self._all(self._root), key=lambda found: found[2].used)
        for level, number, _ in rows[: self._count - self.kept + self.kept // 8]:
            del level.rows[number]
            self._count -= 1

    def _all(self, level: _Level) -> Iterator[tuple[_Level, int, _Row]]:
        for number, row in level.rows.items():
            yield level, number, row
        for below in level.levels.values():
            yield from self._all(below)


def _spans(numbers: Sequence[int]) -> Iterator[Span]:
    """Return spans of at most a page that hold *numbers*, which ascend; small gaps are asked for too."""
    start = end = None
    for number in numbers:
        if start is not None and end is not None and (number - end > GAP or number - start >= PAGE):
            yield Span(start, end)
            start = None
        start = number if start is None else start
        end = number
    if start is not None and end is not None:
        yield Span(start, end)


def _is_within(path: Path, first: int, last: int) -> bool:
    """Return whether a path below the parent of some rows leads through one of them."""
    return bool(path) and first <= path[0] <= last


def _kept(rows: dict[int, _Row], levels: dict[int, _Level]) -> Iterator[int]:
    yield len(rows)
    for level in levels.values():
        yield from _kept(level.rows, level.levels)


def _forget_cells(row: _Row, columns: Span, roles: Sequence[int]) -> None:
    gone = frozenset(roles) if roles else row.have | row.values.keys()
    row.have -= gone
    for role in gone & row.values.keys():
        values = row.values[role]
        for column in range(max(0, columns.first), min(columns.last + 1, len(values))):
            values[column] = MISSING


def _bounded(number: int, most: int) -> int:
    return max(0, min(number, most))
