"""`AsyncTableSource`: a table whose rows one has to wait for, in a database, in files, at another service."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar

from everywire.errors import Code, Fault, ModelError
from everywire.tables.columns import AnyRows, columns_of
from everywire.tables.notices import Inserted, Moved, Notice, Removed, Reset
from everywire.tables.source import MOST_CELLS, Source, few
from everywire.tables.table import refused
from everywire.tables.words import ItemRole, Orientation, Path, TableRow, TableSize

if TYPE_CHECKING:
    import asyncio

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
T = TypeVar("T")

AGAIN: Final = 16
"""Times that a provider is asked again because its rows changed while it answered."""


class Provider(Protocol[R_co]):
    """Where rows come from. `parent` is `()` but for trees; `roles` are those that somebody wants to see.

    Rows are structs, dicts or tuples. One more method, ``async def write(path, column, value)``, lets others write to
    the columns that are writable.
    """

    async def count(self, parent: tuple[int, ...], /) -> int:
        """Return how many rows are below *parent*."""
        ...

    async def rows(self, first: int, count: int, parent: tuple[int, ...], roles: tuple[int, ...], /) -> Sequence[R_co]:
        """Return *count* rows from *first* on, or fewer where there are no more."""
        ...


class AsyncTableSource(Source[R], Generic[R]):
    """A table whose rows a `Provider` gives, as they are asked for; none is kept here.

    Columns are those of the row type, ``AsyncTableSource[Reading](provider)``, or *columns*; the rest is as with
    `TableSource`. With *tree*, rows have others below them.

    Whoever changes the rows tells: `inserted`, `removed`, `moved`, `changed`, or `was_reset`. What is read between the
    change and the word would be wrong, so both stand in a ``with table.changing():`` when something is awaited between
    them: who asks meanwhile waits.
    """

    def __init__(
        self,
        provider: Provider[R],
        *,
        columns: Sequence[str] | None = None,
        headers: Mapping[str, str] | None = None,
        writable: bool | Sequence[str] = False,
        roles: Mapping[int, str] | None = None,
        tree: bool = False,
    ) -> None:
        self._provider, self._tree = provider, tree
        self.is_flat = not tree
        chosen = columns_of(self.row_type or (), columns, headers or {}, writable)
        self._set_up(chosen, AnyRows(), {int(role): name for role, name in (roles or {}).items()})
        self.row_count = -1
        self._changing = 0
        self._settled: asyncio.Event | None = None

    @contextmanager
    def changing(self) -> Generator[None]:
        """Let who asks for rows wait until the block ends: in it they change, and notices tell of that."""
        if self._settled is None:
            import asyncio  # a provider has loaded it

            self._settled = asyncio.Event()
        self._changing += 1
        self._settled.clear()
        try:
            yield
        finally:
            self._changing -= 1
            if not self._changing:
                self._settled.set()

    async def size_of(self, parent: tuple[int, ...] = ()) -> TableSize:
        """Return how many rows and columns are below *parent*."""
        return TableSize(await self._counted(parent), len(self._columns))

    async def rows(self, first: int, count: int, parent: tuple[int, ...] = ()) -> list[dict[str, Any]]:
        """Return rows by the names of their columns."""
        roles = (int(ItemRole.EDIT),)
        first, count = max(0, first), min(count, MOST_CELLS // len(self._columns))
        found = await self._steady(lambda: self._provider.rows(first, count, parent, roles))
        return [self._by_name(row) for row in found[:count]]

    async def cells(
        self, parent: tuple[int, ...], first: int, last: int, roles: tuple[int, ...] = ()
    ) -> list[TableRow]:
        """Return the rows *first* to *last*, as far as they are there, under some roles, or all."""
        wanted, first = few(roles) or tuple(self.roles), max(0, first)
        count = min(last - first + 1, max(1, MOST_CELLS // (len(self._columns) * len(wanted))))
        return await self._steady(lambda: self._read(parent, first, count, wanted)) if count > 0 else []

    async def headers(
        self, orientation: Orientation, first: int, last: int, roles: tuple[int, ...] = (0,)
    ) -> list[Any]:
        """Return headers: for each section the values of all *roles*."""
        end = await self._counted(()) if orientation is Orientation.VERTICAL else len(self._columns)
        last = min(last, end - 1, max(0, first) + MOST_CELLS // max(1, len(few(roles))))
        return [self.header(n, orientation, role) for n in range(max(0, first), last + 1) for role in roles]

    async def set_data(
        self, row: int, column: int, value: Any, role: int = ItemRole.EDIT, parent: tuple[int, ...] = ()
    ) -> None:
        """Change a cell, if its column is writable; the value must be of the column's type."""
        field = self._writable(column, role)
        write: Callable[..., Awaitable[None]] | None = getattr(self._provider, "write", None)
        if write is None:
            raise Fault(Code.FAILED_PRECONDITION, "the provider of the table has no 'write'", may_have_run=False)
        try:
            new = self._converted(field, value)
        except ModelError as error:
            raise refused(error) from error
        with self.changing():
            await write((*parent, row), self._columns[field].name, new)
            self.changed(row, row, field, field, parent=parent)

    def has_children(self, row: int, parent: Path = ()) -> bool:
        """Return False: whether there are rows below is known to who asks for rows."""
        return False

    async def _read(self, parent: Path, first: int, count: int, roles: tuple[int, ...]) -> list[TableRow]:
        rows = await self._provider.rows(first, count, parent, roles)
        found = self._travelling(rows[:count], first, roles, parent)
        if not self._tree:
            return found
        below = [await self._provider.count((*parent, number)) > 0 for number in range(first, first + len(found))]
        return [TableRow(row.values, row.flags, has) for row, has in zip(found, below, strict=True)]

    async def _steady(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Return an answer as new as every notice before it: one during which nothing has changed."""
        for _ in range(AGAIN):
            while self._changing and self._settled is not None:
                await self._settled.wait()
            told = self._told
            answer = await ask()
            if told == self._told and not self._changing:
                return answer
        raise Fault(Code.ABORTED, "the rows change faster than they can be read; try again")

    async def _counted(self, parent: Path) -> int:
        if parent and not self._tree:
            return 0
        count = await self._steady(lambda: self._provider.count(parent))
        if not parent:
            self.row_count = count
        return count

    def _count(self, parent: Path) -> int:
        """Return how many rows there are, as far as that is known without waiting."""
        return 0 if parent else max(0, self.row_count)

    def _recount(self, notice: Notice) -> None:
        if isinstance(notice, (Inserted, Removed)) and not notice.parent and self.row_count >= 0:
            by = notice.last - notice.first + 1
            self.row_count += by if isinstance(notice, Inserted) else -by
        elif isinstance(notice, (Moved, Reset)):
            self.row_count = -1
