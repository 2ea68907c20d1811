"""What a table tells about its changes, and how several become one. Pure data."""

from __future__ import annotations

from typing import Final

import msgspec

from everywire.tables.words import LayoutHint, Orientation, Path


class Inserted(msgspec.Struct, frozen=True):
    """Rows are new."""

    parent: Path
    first: int
    last: int


class Removed(msgspec.Struct, frozen=True):
    """Rows are gone."""

    parent: Path
    first: int
    last: int


class Moved(msgspec.Struct, frozen=True):
    """Rows are elsewhere."""

    parent: Path
    first: int
    last: int
    destination: Path
    row: int


class Changed(msgspec.Struct, frozen=True):
    """Cells have other values."""

    parent: Path
    first: int
    last: int
    first_column: int
    last_column: int
    roles: tuple[int, ...] = ()


class ColumnsInserted(msgspec.Struct, frozen=True):
    """Columns are new."""

    parent: Path
    first: int
    last: int


class HeadersChanged(msgspec.Struct, frozen=True):
    """Headers are others."""

    orientation: Orientation
    first: int
    last: int


class Rearranged(msgspec.Struct, frozen=True):
    """Rows stand in another order."""

    parents: tuple[Path, ...]
    hint: LayoutHint


class Reset(msgspec.Struct, frozen=True):
    """Nothing is as it was."""


Notice = Inserted | Removed | Moved | Changed | ColumnsInserted | HeadersChanged | Rearranged | Reset

SIGNALS: Final[dict[type[Notice], str]] = {
    Inserted: "rows_inserted",
    Removed: "rows_removed",
    Moved: "rows_moved",
    Changed: "data_changed",
    ColumnsInserted: "columns_inserted",
    HeadersChanged: "header_data_changed",
    Rearranged: "layout_changed",
    Reset: "model_reset",
}
"""The signal that tells each."""


def merged(before: Notice, after: Notice) -> Notice | None:
    """Return the one notice that says what two do, the one right after the other; None when there is none."""
    if isinstance(after, Reset):
        return after
    if isinstance(before, Reset):
        return before
    match before, after:
        case Inserted(parent, first, last), Inserted(same, then, end) if same == parent and first <= then <= last + 1:
            return Inserted(parent, first, last + end - then + 1)
        case Removed(parent, first, last), Removed(same, then, end) if same == parent and then <= first <= end + 1:
            return Removed(parent, then, end + last - first + 1)
        case Changed(), Changed() if (before.parent, before.roles) == (after.parent, after.roles):
            return _united(before, after)
        case _:
            return None


def _united(one: Changed, other: Changed) -> Changed | None:
    """Return both ranges as one, unless that says more than both."""
    columns = (one.first_column, one.last_column) == (other.first_column, other.last_column)
    rows = (one.first, one.last) == (other.first, other.last)
    touch = one.first <= other.last + 1 and other.first <= one.last + 1
    touch_columns = one.first_column <= other.last_column + 1 and other.first_column <= one.last_column + 1
    if not ((columns and touch) or (rows and touch_columns)):
        return None
    return Changed(
        one.parent,
        min(one.first, other.first),
        max(one.last, other.last),
        min(one.first_column, other.first_column),
        max(one.last_column, other.last_column),
        one.roles,
    )


def moved_index(path: Path, notice: Notice) -> Path | None:
    """Return where a row is after *notice*; None when it is gone, or when that cannot be known."""
    match notice:
        case Inserted(parent, first, last):
            return _shifted(path, parent, first, last - first + 1)
        case Removed(parent, first, last):
            depth = len(parent)
            inside = path[:depth] == parent and len(path) > depth and first <= path[depth] <= last
            return None if inside else _shifted(path, parent, last + 1, first - last - 1)
        case Moved():
            return _through_move(path, notice)
        case Reset() | Rearranged():
            return None
        case _:
            return path


def _shifted(path: Path, parent: Path, first: int, by: int) -> Path:
    depth = len(parent)
    if path[:depth] != parent or len(path) <= depth or path[depth] < first:
        return path
    return (*parent, path[depth] + by, *path[depth + 1 :])


def _through_move(path: Path, notice: Moved) -> Path:
    parent, count = notice.parent, notice.last - notice.first + 1
    depth = len(parent)
    target, row = notice.destination, notice.row
    if target == parent:
        row -= count if row > notice.last else 0
    else:
        target = _shifted(target, parent, notice.last + 1, -count)
    if path[:depth] == parent and len(path) > depth and notice.first <= path[depth] <= notice.last:
        return (*target, row + path[depth] - notice.first, *path[depth + 1 :])
    return _shifted(_shifted(path, parent, notice.last + 1, -count), target, row, count)
