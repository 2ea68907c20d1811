"""`TableSource` and `TreeSource`: tables whose rows are here, in lists or in something like a data frame."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Generic, TypeVar, cast, overload

from everywire.errors import ModelError
from everywire.model.types import short
from everywire.tables.columns import Column, RowKind, SequenceRows, StructRows, columns_of, kind_of
from everywire.tables.frames import Frame, FrameRows, is_frame
from everywire.tables.notices import Reset
from everywire.tables.source import PLAIN_FLAGS, Source
from everywire.tables.words import ItemFlag, LayoutHint, Path

R = TypeVar("R")


class Listed(Source[R], Generic[R]):
    """What tables of lists of rows share: how they are changed, with exact notices."""

    def _below(self, parent: Path) -> Any:
        """Return the list of rows below *parent*; raise IndexError."""
        raise NotImplementedError

    def _checked(self, row: R) -> R:
        """Return *row*, which shall become one of the table's; raise ModelError when it is of another kind."""
        kind = self._kind
        if isinstance(kind, StructRows):
            if isinstance(row, kind.cls):
                return row
            if isinstance(row, Mapping):
                return cast("R", kind.cls(**row))
            raise ModelError(f"the rows are {kind.cls.__name__} objects, not {type(row).__name__}")
        if type(kind_of(row)) is not type(kind):
            raise ModelError(f"the other rows are no {type(row).__name__}")
        return row

    def append(self, row: R, *, parent: Path = ()) -> None:
        """Put a row behind the others."""
        self.insert(self._count(parent), row, parent=parent)

    def extend(self, rows: Iterable[R], *, parent: Path = ()) -> None:
        """Put rows behind the others."""
        self._insert_all(self._count(parent), rows, parent)

    def insert(self, before: int, row: R, *, parent: Path = ()) -> None:
        """Put a row before the one that is *before*."""
        self._insert_all(before, (row,), parent)

    def remove(self, first: int, count: int = 1, *, parent: Path = ()) -> None:
        """Take *count* rows out, with all below them; raise IndexError when there are not so many."""
        self._check_owner()
        below = self._below(parent)
        _check_span(below, first, count)
        if count:
            del below[first : first + count]
            self.removed(first, first + count - 1, parent=parent)

    def move(
        self, first: int, before: int, count: int = 1, *, parent: Path = (), destination: Path | None = None
    ) -> None:
        """Put *count* rows before the one that is *before*, here or below *destination*; numbers are those of now."""
        self._check_owner()
        target = parent if destination is None else destination
        source, there = self._below(parent), self._below(target)
        _check_span(source, first, count)
        _check_span(there, before, 0)
        depth = len(parent)
        inside = target[:depth] == parent and len(target) > depth and first <= target[depth] < first + count
        if inside:
            raise ModelError("rows cannot be moved below themselves")
        if not count or (source is there and first <= before <= first + count):
            return
        rows = source[first : first + count]
        del source[first : first + count]
        at = before - count if source is there and before > first else before
        there[at:at] = rows
        self.moved(first, first + count - 1, before, parent=parent, destination=target)

    def replace(self, number: int, row: R, *, parent: Path = ()) -> None:
        """Put *row* in the place of another."""
        self._check_owner()
        below = self._below(parent)
        _check_span(below, number, 1)
        below[number] = self._checked(row)
        self.changed(number, number, parent=parent)

    def sort(self, key: Callable[[R], Any] | None = None, *, reverse: bool = False, parent: Path = ()) -> None:
        """Put the rows below *parent* in order."""
        self._check_owner()
        self._below(parent).sort(key=key, reverse=reverse)
        self.rearranged(*((parent,) if parent else ()), hint=LayoutHint.VERTICAL_SORT)

    def _insert_all(self, before: int, rows: Iterable[R], parent: Path) -> None:
        self._check_owner()
        below = self._below(parent)
        _check_span(below, before, 0)
        checked = [self._checked(row) for row in rows]
        if checked:
            below[before:before] = checked
            self.inserted(before, before + len(checked) - 1, parent=parent)

    def _row_at(self, path: Path) -> Any:
        below = self._below(path[:-1])
        _check_span(below, path[-1], 1)
        return below[path[-1]]

    def _page(self, parent: Path, first: int, last: int) -> Sequence[Any]:
        return cast("Sequence[Any]", self._below(parent)[first : last + 1]) if first <= last else ()

    def _put(self, path: Path, column: int, value: Any) -> None:
        below = self._below(path[:-1])
        below[path[-1]] = self._kind.put(below[path[-1]], self._columns[column].name, column, value)


class TableSource(Listed[R], Generic[R]):
    """A table of rows that are here.

    *rows* are dataclasses, msgspec structs, dicts or tuples, all of one kind; or a data frame (pandas, polars, pyarrow)
    or array of two dimensions, which is read as it is asked for. *columns* names those to show, by default all.
    *headers* says what stands above them. Others may write to the columns that *writable* names, or to all, and to
    none unless told. The values of a row are under `ItemRole.EDIT` and `DISPLAY` of its cells, and, for QML, under
    roles of their names of its first cell; *roles* names what an overridden `data` has besides.

    It is a sequence of its rows: `table[3] = row`, `del table[3]`, `for row in table.here`. Each change is told at
    once, those in a `with table.batch():` at its end. After changing the rows themselves, say so: `changed(3, 3)`.
    """

    is_flat = True

    @overload
    def __init__(
        self,
        rows: Iterable[R] = (),
        *,
        columns: Sequence[str] | None = ...,
        headers: Mapping[str, str] | None = ...,
        writable: bool | Sequence[str] = ...,
        roles: Mapping[int, str] | None = ...,
    ) -> None: ...
    @overload
    def __init__(
        self: TableSource[Any],
        rows: Frame,
        *,
        headers: Mapping[str, str] | None = ...,
        writable: bool | Sequence[str] = ...,
        roles: Mapping[int, str] | None = ...,
    ) -> None: ...
    def __init__(
        self,
        rows: Any = (),
        *,
        columns: Sequence[str] | None = None,
        headers: Mapping[str, str] | None = None,
        writable: bool | Sequence[str] = False,
        roles: Mapping[int, str] | None = None,
    ) -> None:
        if callable(getattr(rows, "count", None)) and hasattr(rows, "rows") and not is_frame(rows):
            raise ModelError(f"{type(rows).__name__} provides rows one has to wait for: use AsyncTableSource")
        self._choice = columns, dict(headers or {}), writable, {int(role): name for role, name in (roles or {}).items()}
        self._take(rows)

    @property
    def here(self) -> Sequence[R]:
        """The rows; change them through the table."""
        return cast("Sequence[R]", self._rows)

    def reset(self, rows: Iterable[R] | Frame = ()) -> None:
        """Have other rows."""
        self._check_owner()
        self._take(rows)
        self._notice(Reset())

    @overload
    def __getitem__(self, place: int) -> R: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[R]: ...
    def __getitem__(self, place: int | slice) -> R | Sequence[R]:
        if isinstance(place, slice):
            return self.here[place]
        return self.here[place + len(self) if place < 0 else place]

    def __setitem__(self, place: int, row: R) -> None:
        self.replace(place + len(self) if place < 0 else place, row)

    def __delitem__(self, place: int | slice) -> None:
        if isinstance(place, int):
            self.remove(place + len(self) if place < 0 else place)
            return
        first, end, step = place.indices(len(self))
        if step == 1:
            self.remove(first, max(0, end - first))
            return
        with self.batch():
            for number in sorted(range(first, end, step), reverse=True):
                self.remove(number)

    def flags(self, row: int, column: int = 0, parent: Path = ()) -> int:
        """Return what can be done with a cell, see `ItemFlag`."""
        return super().flags(row, column, parent) | int(ItemFlag.NEVER_HAS_CHILDREN)

    def has_children(self, row: int, parent: Path = ()) -> bool:
        """Return False: the rows are no tree."""
        return False

    def _take(self, rows: Any) -> None:
        names, headers, writable, roles = self._choice
        if is_frame(rows):
            found = FrameRows(rows)
            chosen = columns_of(found.names, found.names, headers, writable)
            types = found.types()
            chosen = tuple(Column(c.name, types[c.name], c.header, c.writable) for c in chosen)
            if names is not None:
                raise ModelError("a frame shows the columns it has: select them in the frame, frame[['a', 'b']]")
            self._rows: Any = found
            self._set_up(chosen, SequenceRows(), roles)
        else:
            self._rows = list(rows)
            sample = self.row_type or (self._rows[0] if self._rows else None)
            if sample is not None or not self._columns:
                kind = kind_of(sample) if sample is not None else _kind_without_rows(self)
                self._set_up(columns_of(sample, names, headers, writable), kind, roles)
            self._rows = [self._checked(row) for row in self._rows]
        self.row_count = len(self._rows)

    def _count(self, parent: Path) -> int:
        return 0 if parent else len(self._rows)

    def _below(self, parent: Path) -> Any:
        if parent:
            raise IndexError(f"there is nothing below the row {parent}: this is no tree")
        return self._rows

    def _put(self, path: Path, column: int, value: Any) -> None:
        if isinstance(self._rows, FrameRows):
            self._rows.put(path[0], column, value)
        else:
            super()._put(path, column, value)


_FLAT: Final[Any] = TableSource
PLAIN_FLAGS.add(_FLAT.flags)


class TreeSource(Listed[R], Generic[R]):
    """A tree of rows that are here.

    Each row has a list of those below it: its attribute or key *children*, or what the function *children* gives. All
    rows are of one kind, and have the same columns; the rest is as with `TableSource`, and a row in the tree is named
    by its path: `tree.append(row, parent=(3, 0))`.
    """

    def __init__(
        self,
        rows: Iterable[R] = (),
        *,
        children: str | Callable[[R], list[R]] = "children",
        columns: Sequence[str] | None = None,
        headers: Mapping[str, str] | None = None,
        writable: bool | Sequence[str] = False,
        roles: Mapping[int, str] | None = None,
    ) -> None:
        self._children = children
        self._rows = list(rows)
        sample = self.row_type or (self._rows[0] if self._rows else None)
        kind = kind_of(sample) if sample is not None else _kind_without_rows(self)
        besides = (children,) if isinstance(children, str) else ()
        chosen = columns_of(sample, columns, headers or {}, writable, besides=besides)
        self._set_up(chosen, kind, {int(role): name for role, name in (roles or {}).items()})
        self._rows = [self._checked(row) for row in self._rows]
        self.row_count = len(self._rows)

    @property
    def here(self) -> Sequence[R]:
        """The rows at the top; change them through the table."""
        return self._rows

    def reset(self, rows: Iterable[R] = ()) -> None:
        """Have other rows."""
        self._check_owner()
        self._rows = [self._checked(row) for row in rows]
        self._notice(Reset())

    def at(self, path: Path) -> R:
        """Return a row; raise IndexError."""
        row: R = self._row_at(path)
        return row

    def _count(self, parent: Path) -> int:
        try:
            return len(self._below(parent))
        except IndexError:
            return 0

    def _below(self, parent: Path) -> Any:
        below: Any = self._rows
        for number in parent:
            _check_span(below, number, 1)
            below = self._children_of(below[number])
        return below

    def _children_of(self, row: Any) -> Any:
        if not isinstance(self._children, str):
            return self._children(row)
        if isinstance(row, dict):
            return cast("dict[str, Any]", row).setdefault(self._children, [])
        found: Any = getattr(row, self._children, None)
        return () if found is None else found


def _kind_without_rows(table: Source[Any]) -> RowKind:
    return kind_of(table.row_type or dict)


def _check_span(rows: Sequence[Any], first: int, count: int) -> None:
    if first < 0 or count < 0 or first + count > len(rows):
        what = f"row {first}" if count <= 1 else f"rows {first} to {first + count - 1}"
        raise IndexError(f"there is no {what} among {short(len(rows))}")
