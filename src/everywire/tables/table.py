"""`Table`: what both ends of a table share. Its members are the contract; its methods read, here or from afar."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Generic, Self, TypeVar, cast

from everywire.errors import Code, Fault, ModelError, OutOfRange
from everywire.model import MISSING, Object, Property, prop, signal, slot
from everywire.model.types import NODE, ObjectOf, refuse
from everywire.tables.cache import KEPT, PAGE
from everywire.tables.view import TableView
from everywire.tables.words import ItemRole, LayoutHint, Orientation, Path, TableIndex, TableRow, TableSize

R = TypeVar("R")

_KINDS: Final[dict[tuple[type, Any], type]] = {}
"""The classes that `Table[…]` and `Table.caching(…)` have made."""


class Table(Object, Generic[R]):
    """Rows and columns, or a tree of rows: what Qt calls an item model.

    Connect with this class, or with ``Table[Reading]`` for rows that are instances of a dataclass or msgspec struct;
    publish a `TableSource`, `TreeSource` or `AsyncTableSource`, which are tables too. A replica keeps the rows that
    were used last and asks for others when they are wanted; whatever changed at the source is forgotten.

    A row is named by its number, or by its path in a tree: its number below its parent, behind the path of that one.
    """

    row_type: ClassVar[Any] = None
    """The class of the rows; None: rows are dicts."""
    kept: ClassVar[int] = KEPT
    """Rows that a replica keeps."""
    prefetched: ClassVar[int] = 0
    """Rows that a replica asks for by itself."""
    hint: ClassVar[tuple[int, ...]] = ()
    """The roles that a replica asks for; none: those that its rows need."""

    is_flat: bool = False
    """Whether it is known that no row has others below it."""

    columns: Property[tuple[str, ...]] = prop((), doc="What stands above the columns.")
    row_count: Property[int] = prop(0, doc="How many rows there are at the top; -1 while that is not known.")
    roles: Property[dict[int, str]] = prop(factory=dict, doc="The roles that cells have, with their names for QML.")
    current: Property[TableIndex | None] = prop(None, writable=True, doc="The cell that is selected.")

    @signal
    def rows_inserted(self, parent: tuple[int, ...], first: int, last: int) -> None:
        """Rows were inserted, which now are *first* to *last* below *parent*."""

    @signal
    def rows_removed(self, parent: tuple[int, ...], first: int, last: int) -> None:
        """Rows that were *first* to *last* are gone, with all below them."""

    @signal
    def rows_moved(
        self, parent: tuple[int, ...], first: int, last: int, destination: tuple[int, ...], row: int
    ) -> None:
        """Rows were moved before the one that was *row* below *destination*; all numbers are those before the move."""

    @signal
    def columns_inserted(self, parent: tuple[int, ...], first: int, last: int) -> None:
        """Columns were inserted."""

    @signal
    def data_changed(
        self,
        parent: tuple[int, ...],
        first: int,
        last: int,
        first_column: int,
        last_column: int,
        roles: tuple[int, ...],
    ) -> None:
        """Cells have changed; no *roles* means all of them."""

    @signal
    def header_data_changed(self, orientation: Orientation, first: int, last: int) -> None:
        """Headers have changed."""

    @signal
    def layout_changed(self, parents: tuple[tuple[int, ...], ...], hint: LayoutHint) -> None:
        """Rows below *parents*, or everywhere when there are none, stand in another order."""

    @signal
    def model_reset(self) -> None:
        """Nothing is as it was."""

    @slot(reads=True)
    async def size_of(self, parent: tuple[int, ...] = ()) -> TableSize:
        """Return how many rows and columns are below *parent*."""
        raise NotImplementedError

    @slot(reads=True)
    async def rows(self, first: int, count: int, parent: tuple[int, ...] = ()) -> list[dict[str, Any]]:
        """Return rows by the names of their columns."""
        raise NotImplementedError

    @slot(reads=True)
    async def cells(
        self, parent: tuple[int, ...], first: int, last: int, roles: tuple[int, ...] = ()
    ) -> list[TableRow]:
        """Return the rows *first* to *last*, as far as they are there, under some roles, or all."""
        raise NotImplementedError

    @slot(reads=True)
    async def headers(
        self, orientation: Orientation, first: int, last: int, roles: tuple[int, ...] = (0,)
    ) -> list[Any]:
        """Return headers: for each section the values of all *roles*."""
        raise NotImplementedError

    @slot
    async def set_data(
        self, row: int, column: int, value: Any, role: int = ItemRole.EDIT, parent: tuple[int, ...] = ()
    ) -> None:
        """Change a cell, if the table lets others write to its column."""
        raise NotImplementedError

    # How it is read, here or from afar.

    def __init__(self) -> None:
        raise ModelError("a Table is a replica: connect(url, name, Table); publish a TableSource or TreeSource")

    def __class_getitem__(cls, row_type: Any) -> Any:
        """Return the class whose rows are instances of *row_type*."""
        if isinstance(row_type, TypeVar):
            generic: Any = super()
            return generic.__class_getitem__(row_type)
        if not isinstance(row_type, type) or row_type in (dict, object, Any):
            return cls
        return _derived(cls, f"{cls.__name__}Of{row_type.__name__}", row_type=row_type)

    @classmethod
    def caching(cls, rows: int = KEPT, *, prefetch: int = 0, roles: Sequence[int] = ()) -> type[Self]:
        """Return this class for replicas that keep at most *rows* rows.

        They ask for the first *prefetch* rows by themselves, also after a reset, and only for some *roles* when told.
        """
        made: type[Self] = _derived(cls, cls.__name__, kept=rows, prefetched=prefetch, hint=tuple(map(int, roles)))
        return made

    def cell(self, row: int, column: int = 0, role: int = ItemRole.DISPLAY, parent: Path = ()) -> Any:
        """Return what is in a cell; None when that is empty, or not known here yet."""
        value = self._view.cache.value((*parent, row), column, role)
        return None if value is MISSING else value

    def flags(self, row: int, column: int = 0, parent: Path = ()) -> int | None:
        """Return what can be done with a cell, see `ItemFlag`; None when that is not known here yet."""
        return self._view.cache.flags((*parent, row), column)

    def has_children(self, row: int, parent: Path = ()) -> bool | None:
        """Return whether there are rows below a row; None when that is not known here yet."""
        return self._view.cache.has_children((*parent, row))

    def header(
        self, section: int, orientation: Orientation = Orientation.HORIZONTAL, role: int = ItemRole.DISPLAY
    ) -> Any:
        """Return a header; None when there is none, or it is not known here yet."""
        value = self._view.cache.header(section, orientation, role)
        if value is MISSING and orientation is Orientation.HORIZONTAL and role == ItemRole.DISPLAY:
            value = self.columns[section] if 0 <= section < len(self.columns) else None
        return None if value is MISSING else value

    def size(self, parent: Path = ()) -> TableSize | None:
        """Return how many rows and columns are below *parent*; None when that is not known here yet."""
        return self._view.cache.size(parent)

    async def expand(self, parent: Path = ()) -> TableSize:
        """Return how many rows and columns are below *parent*; ask when that is not known."""
        return await self._view.expand(parent)

    async def row(self, number: int, parent: Path = ()) -> R:
        """Return one row; raise IndexError when there is none."""
        found = await self.fetch(number, number, parent=parent)
        if not found or number < 0:
            raise IndexError(f"there is no row {number}")
        return found[0]

    async def fetch(
        self, first: int = 0, last: int | None = None, *, parent: Path = (), roles: Sequence[int] = ()
    ) -> list[R]:
        """Return the rows *first* to *last*, both included, as far as they are there; without *last* all from *first*.

        They and their *roles*, more than rows need, are kept for `cell`. Raises Fault, or ModelError when rows do not
        fit their class.
        """
        found: list[R] = []
        async for page in self._view.pages(first, last, parent, roles):
            found += page
        return found

    async def pages(self, size: int = PAGE, *, first: int = 0, parent: Path = ()) -> AsyncIterator[list[R]]:
        """Go through the rows by lists of *size*, asking ahead."""
        waiting: list[R] = []
        async for page in self._view.pages(first, None, parent, ()):
            waiting += page
            while len(waiting) >= size:
                yield waiting[:size]
                del waiting[:size]
        if waiting:
            yield waiting

    async def __aiter__(self) -> AsyncIterator[R]:
        """Go through the rows at the top."""
        async for page in self.pages():
            for row in page:
                yield row

    async def fetch_headers(
        self,
        orientation: Orientation = Orientation.HORIZONTAL,
        first: int = 0,
        last: int | None = None,
        role: int = ItemRole.DISPLAY,
    ) -> list[Any]:
        """Return headers, and keep them for `header`."""
        return await self._view.headers(orientation, first, last, role)

    def want(self, first: int, last: int, *, parent: Path = ()) -> None:
        """Ask for rows that will be looked at, without waiting; `on_arrival` tells when they are there."""
        self._view.want(first, last, parent)

    def on_arrival(self, callback: Any) -> Any:
        """Call *callback* with parent, first and last of rows that became known; return the function that ends it."""
        return self._view.on_arrival(callback)

    async def select(self, row: int, column: int = 0, parent: Path = ()) -> None:
        """Make a cell the current one, for everybody."""
        await Table.current.push(self, TableIndex((*parent, row), column))

    # What the runtime calls on replicas.

    _kept_view: TableView[R] | None = None

    @property
    def _view(self) -> TableView[R]:
        if self._kept_view is None:
            if self._everywire.link is None:
                raise ModelError(f"{type(self).__name__} has no rows: derive from TableSource")
            self._kept_view = TableView(self)
        return self._kept_view

    def _resync(self) -> None:
        self._view.resync()

    def _resynced(self, *, first: bool) -> None:
        self._view.resynced(first=first)

    def _missed(self) -> None:
        self._view.missed()


@dataclass(frozen=True, slots=True)
class TableOf(ObjectOf):
    """The type of a property that holds a table: any will do, whatever its rows are here."""

    def convert(self, value: Any) -> Any:
        if isinstance(value, Table):
            return cast("Any", value)
        raise refuse(value, self.name)


def _derived(cls: type[Any], name: str, **attributes: Any) -> Any:
    key = (cls, (name, tuple(attributes.items())))
    if key not in _KINDS:
        words: Mapping[str, Any] = {"__module__": cls.__module__, "__doc__": cls.__doc__, **attributes}
        made = type(name, (cls,), dict(words))
        setattr(made, NODE, TableOf(made))
        _KINDS[key] = made
    return cast("Any", _KINDS[key])


def refused(error: ModelError) -> Fault:
    """Return the Fault for a value that a column does not take."""
    code = Code.OUT_OF_RANGE if isinstance(error, OutOfRange) else Code.INVALID_ARGUMENT
    return Fault(code, str(error), may_have_run=False)
