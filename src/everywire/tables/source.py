"""`Source`: what all tables that own their rows share: columns, roles, notices, and the slots that others call."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from threading import get_ident
from typing import Any, Final, Generic, TypeVar

from everywire.errors import Code, Fault, LocalProtocolError, ModelError
from everywire.model.names import camel
from everywire.model.state import wrong_thread
from everywire.tables.columns import Column, RowKind
from everywire.tables.notices import (
    SIGNALS,
    Changed,
    ColumnsInserted,
    HeadersChanged,
    Inserted,
    Moved,
    Notice,
    Rearranged,
    Removed,
    Reset,
    merged,
    moved_index,
)
from everywire.tables.pages import Pages, Values, displayed
from everywire.tables.shapes import revive
from everywire.tables.table import Table, refused
from everywire.tables.words import (
    ROLE_NAMES,
    ItemFlag,
    ItemRole,
    LayoutHint,
    Orientation,
    Path,
    TableIndex,
    TableRow,
    TableSize,
)

R = TypeVar("R")

PLAIN_FLAGS: Final[set[Any]] = set()
"""The `flags` of our own classes, which are the same for all rows."""

MOST_CELLS: Final = 100_000
"""Values of one answer; who wants more asks again."""
MOST_ROLES: Final = 256
"""Roles of one question."""


class Source(Table[R], Generic[R]):
    """A table that owns its rows; see `TableSource`, `TreeSource` and `AsyncTableSource`.

    Override `data`, `header` and `flags` for more than the values of the columns: colours, tool tips, checks.
    """

    _columns: tuple[Column, ...] = ()
    _kind: RowKind
    _batch: list[Notice] | None = None
    _told = 0
    """Notices so far."""

    # What subclasses give.

    def _count(self, parent: Path) -> int:
        """Return how many rows are below *parent*."""
        raise NotImplementedError

    def _row_at(self, path: Path) -> Any:
        """Return a row; raise IndexError."""
        raise NotImplementedError

    def _page(self, parent: Path, first: int, last: int) -> Sequence[Any]:
        """Return rows, which are there."""
        return [self._row_at((*parent, number)) for number in range(first, last + 1)]

    def _put(self, path: Path, column: int, value: Any) -> None:
        """Change a value of a row."""
        raise NotImplementedError

    def _set_up(self, columns: tuple[Column, ...], kind: RowKind, roles: Mapping[int, str]) -> None:
        """Show *columns*, and *roles* besides theirs.

        The values of a row are also roles of its first cell, as QML wants them.
        """
        self._columns, self._kind = columns, kind
        cls: Any = type(self)
        same = cls.flags in PLAIN_FLAGS
        self._flags = tuple(self.flags(0, n) for n in range(len(columns))) if same else None
        self._fields = {ItemRole.USER + 1 + n: n for n in range(len(columns))}
        self._pages = Pages(columns, kind, self._fields)
        self._names = {column.name: n for n, column in enumerate(columns)}
        self.columns = tuple(column.header for column in columns)
        named = {role: camel(columns[n].name) for role, n in self._fields.items()}
        self.roles = {**{int(role): ROLE_NAMES[role] for role in (ItemRole.DISPLAY, ItemRole.EDIT)}, **named, **roles}

    # How it is read here.

    def cell(self, row: int, column: int = 0, role: int = ItemRole.DISPLAY, parent: Path = ()) -> Any:
        """Return what is in a cell; None when that is empty."""
        return self.data(self._row_at((*parent, row)), column, role)

    def data(self, row: R, column: int, role: int) -> Any:
        """Return what *row* has under a column and role; override it for roles of your own."""
        if role in (ItemRole.DISPLAY, ItemRole.EDIT):
            value = self._value(row, column)
            return value if role == ItemRole.EDIT else displayed(value)
        field = self._fields.get(role)
        return None if field is None or column else self._value(row, field)

    def flags(self, row: int, column: int = 0, parent: Path = ()) -> int:
        """Return what can be done with a cell, see `ItemFlag`."""
        writable = 0 <= column < len(self._columns) and self._columns[column].writable
        return int(ItemFlag.SELECTABLE | ItemFlag.ENABLED | (ItemFlag.EDITABLE if writable else 0))

    def has_children(self, row: int, parent: Path = ()) -> bool:
        """Return whether there are rows below a row."""
        return self._count((*parent, row)) > 0

    def header(
        self, section: int, orientation: Orientation = Orientation.HORIZONTAL, role: int = ItemRole.DISPLAY
    ) -> Any:
        """Return a header; rows are counted from 1."""
        if role != ItemRole.DISPLAY:
            return None
        if orientation is Orientation.VERTICAL:
            return section + 1
        return self._columns[section].header if 0 <= section < len(self._columns) else None

    def size(self, parent: Path = ()) -> TableSize:
        """Return how many rows and columns are below *parent*."""
        return TableSize(self._count(parent), len(self._columns))

    async def expand(self, parent: Path = ()) -> TableSize:
        """Return how many rows and columns are below *parent*."""
        return await self.size_of(parent)

    def __len__(self) -> int:
        return self._count(())

    def __bool__(self) -> bool:
        return True  # a table without rows is a table

    # What others call.

    async def size_of(self, parent: tuple[int, ...] = ()) -> TableSize:
        """Return how many rows and columns are below *parent*; nothing where nothing is."""
        self._tell_all()
        return self.size(parent)

    async def rows(self, first: int, count: int, parent: tuple[int, ...] = ()) -> list[dict[str, Any]]:
        """Return rows by the names of their columns."""
        self._tell_all()
        last = self._last(parent, first, first + count - 1, len(self._columns))
        return [self._by_name(row) for row in self._page(parent, max(0, first), last)]

    async def cells(
        self, parent: tuple[int, ...], first: int, last: int, roles: tuple[int, ...] = ()
    ) -> list[TableRow]:
        """Return the rows *first* to *last*, as far as they are there, under some roles, or all."""
        self._tell_all()
        wanted = few(roles) or tuple(self.roles)
        last = self._last(parent, first, last, len(self._columns) * len(wanted))
        first = max(0, first)
        return self._travelling(self._page(parent, first, last), first, wanted, parent)

    async def headers(
        self, orientation: Orientation, first: int, last: int, roles: tuple[int, ...] = (0,)
    ) -> list[Any]:
        """Return headers: for each section the values of all *roles*."""
        end = self._count(()) if orientation is Orientation.VERTICAL else len(self._columns)
        last = min(last, end - 1, max(0, first) + MOST_CELLS // max(1, len(few(roles))))
        return [self.header(n, orientation, role) for n in range(max(0, first), last + 1) for role in roles]

    async def set_data(
        self, row: int, column: int, value: Any, role: int = ItemRole.EDIT, parent: tuple[int, ...] = ()
    ) -> None:
        """Change a cell, if its column is writable; the value must be of the column's type."""
        self._tell_all()
        field = self._writable(column, role)
        if not 0 <= row < self._count(parent):
            raise Fault(Code.OUT_OF_RANGE, f"there is no row {row}", may_have_run=False)
        try:
            self.set(row, field, value, parent)
        except ModelError as error:
            raise refused(error) from error

    # How it is changed here.

    def set(self, row: int, column: int | str, value: Any, parent: Path = ()) -> None:
        """Change a value; raise ModelError when it is not of the column's type, IndexError or KeyError."""
        self._check_owner()
        place = self._names[column] if isinstance(column, str) else column
        new = self._converted(place, value)
        self._row_at((*parent, row))
        try:
            self._put((*parent, row), place, new)
        except (TypeError, ValueError) as error:  # the row's own checks refuse it
            raise ModelError(f"{self._columns[place].name}: {error}") from error
        self.changed(row, row, place, place, parent=parent)

    @contextmanager
    def batch(self) -> Generator[None]:
        """Tell about the changes of a `with` block at its end, many in one notice where that says the same."""
        if self._batch is not None:
            yield
            return
        self._batch = []
        try:
            yield
        finally:
            waiting, self._batch = self._batch, None
            for notice in waiting:
                self._tell(notice)

    # What tells that rows, which somebody else keeps, have changed.

    def inserted(self, first: int, last: int, *, parent: Path = ()) -> None:
        """Tell that rows were inserted, which now are *first* to *last*."""
        self._notice(Inserted(parent, first, last))

    def removed(self, first: int, last: int, *, parent: Path = ()) -> None:
        """Tell that rows are gone, which were *first* to *last*."""
        self._notice(Removed(parent, first, last))

    def moved(self, first: int, last: int, row: int, *, parent: Path = (), destination: Path | None = None) -> None:
        """Tell that rows were moved before the one that was *row*; all numbers are those before the move."""
        self._notice(Moved(parent, first, last, parent if destination is None else destination, row))

    def changed(
        self,
        first: int = 0,
        last: int | None = None,
        first_column: int = 0,
        last_column: int | None = None,
        *,
        roles: Sequence[int] = (),
        parent: Path = (),
    ) -> None:
        """Tell that the values of some rows have changed; without numbers those of all."""
        end = self._count(parent) - 1 if last is None else last
        right = len(self._columns) - 1 if last_column is None else last_column
        if first <= end:
            self._notice(Changed(parent, first, end, first_column, right, tuple(map(int, roles))))

    def headers_changed(self, orientation: Orientation, first: int, last: int) -> None:
        """Tell that headers have changed."""
        self._notice(HeadersChanged(orientation, first, last))

    def rearranged(self, *parents: Path, hint: LayoutHint = LayoutHint.NONE) -> None:
        """Tell that rows below *parents*, or everywhere, stand in another order."""
        self._notice(Rearranged(parents, hint))

    def was_reset(self) -> None:
        """Tell that nothing is as it was."""
        self._notice(Reset())

    # Private: reading.

    def _value(self, row: Any, column: int) -> Any:
        if not 0 <= column < len(self._columns):
            return None
        return self._kind.get(row, self._columns[column].name, column)

    def _by_name(self, row: Any) -> dict[str, Any]:
        return {column.name: self._value(row, n) for n, column in enumerate(self._columns)}

    def _last(self, parent: Path, first: int, last: int, width: int) -> int:
        """Return the last row of an answer: there must be one, and the answer must not be without bounds."""
        most = max(1, MOST_CELLS // max(1, width))
        return min(last, self._count(parent) - 1, max(0, first) + most - 1)

    def _travelling(self, rows: Sequence[Any], first: int, roles: Sequence[int], parent: Path) -> list[TableRow]:
        cls: Any = type(self)
        columns, data = range(len(self._columns)), self.data
        if cls.data is _BASE.data:
            values: Iterable[Values] = self._pages.values(rows, roles)
        else:
            values = (tuple([tuple([data(row, column, role) for role in roles]) for column in columns]) for row in rows)
        found: list[TableRow] = []
        for number, cells in enumerate(values, first):
            flags = self._flags or tuple([self.flags(number, column, parent) for column in columns])
            found.append(TableRow(cells, flags, False if self.is_flat else self.has_children(number, parent)))
        return found

    # Private: writing.

    def _writable(self, column: int, role: int) -> int:
        """Return the column that somebody else may write to under *role*; raise Fault."""
        field = self._fields.get(role, column)
        if not 0 <= field < len(self._columns):
            raise Fault(Code.OUT_OF_RANGE, f"there is no column {column}", may_have_run=False)
        if role not in (ItemRole.EDIT, ItemRole.DISPLAY, *self._fields) or not self._columns[field].writable:
            name = self._columns[field].name
            under = "" if role in (ItemRole.EDIT, ItemRole.DISPLAY, *self._fields) else f" under role {role}"
            raise Fault(Code.FAILED_PRECONDITION, f"the column {name} is not writable{under}", may_have_run=False)
        return field

    def _converted(self, column: int, value: Any) -> Any:
        try:
            kind = self._columns[column].type
            return kind.convert(revive(kind, value))
        except ModelError as error:
            raise type(error)(f"{self._columns[column].name}: {error}") from None

    # Private: telling.

    def _notice(self, notice: Notice) -> None:
        self._check_owner()
        self._told += 1
        if self._batch is None:
            self._tell(notice)
            return
        one = merged(self._batch[-1], notice) if self._batch else None
        if one is None:
            self._batch.append(notice)
        else:
            self._batch[-1] = one

    def _tell_all(self) -> None:
        """Tell what a batch has collected: whoever gets rows must have heard of everything that made them so."""
        if self._batch:
            waiting, self._batch = self._batch, []
            for notice in waiting:
                self._tell(notice)

    def _tell(self, notice: Notice) -> None:
        self._recount(notice)
        if isinstance(notice, ColumnsInserted):
            self.columns = tuple(column.header for column in self._columns)
        self._follow(notice)
        bound: Any = getattr(self, SIGNALS[type(notice)])
        bound.emit(*(getattr(notice, name) for name in notice.__struct_fields__))

    def _recount(self, notice: Notice) -> None:
        count = self._count(())
        if self.row_count != count:
            self.row_count = count

    def _follow(self, notice: Notice) -> None:
        """Keep the current cell where it is when rows around it come and go."""
        current = self.current
        if current is not None:
            path = moved_index(current.path, notice)
            if path != current.path:
                self.current = None if path is None else TableIndex(path, current.column)

    def _check_owner(self) -> None:
        state = self._everywire
        if state.link is not None:
            raise LocalProtocolError("a replica's table belongs to its source, which alone changes it")
        if state.owner is not None and state.owner != get_ident():
            wrong_thread("the table")


def few(roles: tuple[int, ...]) -> tuple[int, ...]:
    """Return *roles*; raise Fault when nobody wants so many."""
    if len(roles) > MOST_ROLES:
        raise Fault(Code.INVALID_ARGUMENT, f"{len(roles)} roles where {MOST_ROLES} are the most", may_have_run=False)
    return roles


_BASE: Final[Any] = Source
PLAIN_FLAGS.add(_BASE.flags)
