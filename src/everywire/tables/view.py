"""A replica's end of a table: asks for what its cache does not know, few requests for many who want something.

With a loop, wishes of one turn are put together and whoever wants the same waits for the same request. Without one,
each waits for its own.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from everywire.errors import Code, EverywireError, Fault
from everywire.model import MISSING
from everywire.model.state import Disconnect, report, without
from everywire.runtime.replica import link_of
from everywire.tables.cache import MOST_HEADERS, PAGE, Span, TableCache
from everywire.tables.shapes import RowShape, shape_of
from everywire.tables.words import Orientation, Path, TableRow, TableSize

if TYPE_CHECKING:
    import asyncio

    from everywire.tables.table import Table

R = TypeVar("R")

AHEAD: Final = 4
"""Pages that are asked for before they are wanted, by who goes through all rows."""
ROUNDS: Final = 32
"""Times that rows are asked for which changed while they were on their way."""
IDLE_ROUNDS: Final = 3
"""Of these, those whose answers brought nothing of use."""

Arrival = Callable[[Path, int, int], object]
_Failures = dict[tuple[Path, tuple[int, ...]], EverywireError]
"""By what was wanted: why it could not be asked for."""

log: Final = logging.getLogger("everywire.tables")


class _Asked:
    """A request for rows that is on its way."""

    __slots__ = ("call", "parent", "roles", "span")

    def __init__(self, call: Any, parent: Path, span: Span, roles: tuple[int, ...]) -> None:
        self.call, self.parent, self.span, self.roles = call, parent, span, roles

    def covers(self, parent: Path, span: Span, roles: frozenset[int]) -> bool:
        """Return whether the answer is of use to who wants *span*."""
        overlaps = self.span.first <= span.last and span.first <= self.span.last
        return parent == self.parent and overlaps and roles <= frozenset(self.roles)


class TableView(Generic[R]):
    """Knows, asks and tells for one replica."""

    def __init__(self, table: Table[R]) -> None:
        self._table = table
        self.cache = TableCache(table.kept)
        self.requests = 0
        """Requests for rows so far."""
        self._taken = 0
        """Rows that have come so far."""
        self._asked: dict[Any, _Asked | Path] = {}
        """By call: what was asked for; of a size only the parent."""
        self._wanted: dict[tuple[Path, tuple[int, ...]], list[Span]] = {}
        self._flushed: asyncio.Future[_Failures] | None = None
        self._arrivals: tuple[Arrival, ...] = ()
        self._shape: tuple[Any, Any, RowShape] | None = None
        self._prefetching = False
        self._listen()

    # What the table calls.

    def resync(self) -> None:
        """Begin anew, with the values that the source told just now."""
        takers = link_of(self._table).channel.takers
        takers["cells"], takers["size_of"] = self._take_cells, self._take_size
        self._reset()
        values = self._table._everywire.values
        if values.get("row_count", -1) >= 0:
            self.cache.sized((), TableSize(values["row_count"], len(values["columns"])))

    def resynced(self, *, first: bool) -> None:
        """Tell listeners, unless there was nothing before; ask for the first rows."""
        if first:
            self._prefetch()
        else:
            self._table.model_reset.deliver(())

    def missed(self) -> None:
        """The source was not heard for a while: what is known may be wrong."""
        self._table.model_reset.deliver(())

    @property
    def shape(self) -> RowShape:
        """How the cells become rows."""
        table = self._table
        columns, roles = table.columns, table.roles
        if self._shape is None or self._shape[0] is not columns or self._shape[1] is not roles:
            self._shape = columns, roles, shape_of(table.row_type, columns, roles)
        return self._shape[2]

    async def expand(self, parent: Path) -> TableSize:
        """Return the size of *parent*; ask when it is not known."""
        for _ in range(ROUNDS):
            size = self.cache.size(parent)
            if size is not None:
                return size
            call = next((call for call, asked in self._asked.items() if asked == parent and not call.done()), None)
            if call is None:
                call = _shared(self._table.size_of(parent))
                self._asked[call] = parent
            await _answer(call)
        raise _restless()

    async def pages(self, first: int, last: int | None, parent: Path, roles: Sequence[int]) -> AsyncIterator[list[R]]:
        """Go through rows by pages, asking for a few ahead."""
        needed = self._roles(roles)
        start = max(0, first)
        while True:
            size = await self.expand(parent)
            end = size.rows - 1 if last is None else min(last, size.rows - 1)
            if start > end:
                return
            page = Span(start, min(start + PAGE - 1, end))
            ahead = Span(start, min(start + AHEAD * PAGE - 1, end))
            if page != ahead:
                self._ask_soon(parent, ahead, needed)
            found = await self._page(parent, page, needed)
            yield found
            start += len(found)
            if not found:
                return

    async def headers(self, orientation: Orientation, first: int, last: int | None, role: int) -> list[Any]:
        """Return headers; ask for them when some are not known."""
        if last is None:
            size = await self.expand(())
            last = (size.columns if orientation is Orientation.HORIZONTAL else size.rows) - 1
        if last - first >= MOST_HEADERS:
            raise Fault(Code.OUT_OF_RANGE, f"{last - first + 1} headers at once; ask for {MOST_HEADERS} at most")
        found = [self.cache.header(n, orientation, role) for n in range(first, last + 1)]
        if any(value is MISSING for value in found):
            found = list(await self._table.headers(orientation, first, last, (role,)))
            self.cache.titled(orientation, first, (role,), found)
        return found

    def want(self, first: int, last: int, parent: Path) -> None:
        """Ask for rows in the background."""
        self._spawn(self._bring(first, last, parent))

    def on_arrival(self, callback: Arrival) -> Disconnect:
        """Call *callback* when rows became known."""
        self._arrivals = (*self._arrivals, callback)

        def disconnect() -> None:
            self._arrivals = without(self._arrivals, callback)

        return disconnect

    # What answers.

    def _take_cells(self, call: Any, rows: list[TableRow]) -> None:
        """Take rows as soon as they are heard: what is heard next may change them."""
        asked = self._asked.pop(call, None)
        if isinstance(asked, _Asked):
            first, last = asked.span
            taken = self.cache.filled(asked.parent, first, asked.roles, rows[: last - first + 1])
            self._taken += taken
            for callback in self._arrivals if taken else ():
                try:
                    callback(asked.parent, first, first + taken - 1)
                except Exception as error:  # noqa: BLE001  an observer's failure is not the link's
                    report(error, callback)

    def _take_size(self, call: Any, size: TableSize) -> None:
        parent = self._asked.pop(call, None)
        if isinstance(parent, tuple):
            self.cache.sized(parent, size)

    # Private: asking.

    def _roles(self, more: Sequence[int]) -> tuple[int, ...]:
        return tuple(dict.fromkeys((*(self._table.hint or self.shape.roles), *map(int, more))))

    async def _page(self, parent: Path, page: Span, roles: tuple[int, ...]) -> list[R]:
        """Return the rows of a page as they are at one time; fewer when the table has become shorter."""
        idle = 0
        for _ in range(ROUNDS + PAGE):  # large rows may come one by one
            size = await self.expand(parent)
            last = min(page.last, size.rows - 1)
            if not self.cache.missing(parent, page.first, last, roles):
                shape = self.shape
                return [self._row(shape, (*parent, number)) for number in range(page.first, last + 1)]
            before = self._taken
            await self._ask(parent, Span(page.first, last), roles)
            idle = idle + 1 if self._taken == before else 0
            if idle > IDLE_ROUNDS and (missing := self.cache.missing(parent, page.first, last, roles)):
                text = f"the source has {size.rows} rows and does not send row {missing[0].first}"
                raise Fault(Code.INTERNAL, text)
        raise _restless()

    def _row(self, shape: RowShape, path: Path) -> R:
        row: R = shape.row(lambda role: self.cache.values(path, role) or ())
        return row

    async def _ask(self, parent: Path, span: Span, roles: tuple[int, ...]) -> None:
        """Ask for what is not known of *span*, and wait for the answers."""
        if _loop() is None:
            for call in self._send(parent, span, roles):
                await call
            return
        flushed = self._ask_soon(parent, span, roles)
        if flushed is not None and (error := (await _shielded(flushed)).get((parent, roles))):
            raise error
        wanted, asked = frozenset(roles), [found for found in self._asked.values() if isinstance(found, _Asked)]
        for call in [found.call for found in asked if found.covers(parent, span, wanted)]:
            await _answer(call)

    def _ask_soon(self, parent: Path, span: Span, roles: tuple[int, ...]) -> asyncio.Future[_Failures] | None:
        """Ask at the end of this turn, with what others want; without a loop nothing is asked ahead."""
        loop = _loop()
        if loop is None:
            return None
        self._wanted.setdefault((parent, roles), []).append(span)
        if self._flushed is None or self._flushed.done():
            self._flushed = loop.create_future()
            loop.call_soon(self._flush, self._flushed)
        return self._flushed

    def _flush(self, flushed: asyncio.Future[_Failures]) -> None:
        wanted, self._wanted = self._wanted, {}
        failures: _Failures = {}
        for (parent, roles), spans in wanted.items():
            try:
                for span in _united(spans):
                    self._send(parent, span, roles)
            except EverywireError as error:  # too much waits already, or it is no number: whoever wants that is told
                failures[parent, roles] = error
        if not flushed.done():
            flushed.set_result(failures)

    def _send(self, parent: Path, span: Span, roles: tuple[int, ...]) -> list[Any]:
        """Send requests for what is neither known nor on its way; return their calls."""
        calls: list[Any] = []
        wanted = frozenset(roles)
        for unknown in self.cache.missing(parent, span.first, span.last, roles):
            for part in _less(unknown, [a.span for a in self._on_their_way() if a.covers(parent, unknown, wanted)]):
                call = _shared(self._table.cells(parent, part.first, part.last, roles))
                self._asked[call] = _Asked(call, parent, part, roles)
                self.requests += 1
                calls.append(call)
        return calls

    def _on_their_way(self) -> list[_Asked]:
        """Return the requests without an answer; those that failed are forgotten, for who waits holds them."""
        for call in [call for call in self._asked if call.done()]:
            del self._asked[call]
        return [asked for asked in self._asked.values() if isinstance(asked, _Asked)]

    # Private: what nobody waits for.

    def _prefetch(self) -> None:
        if self._table.prefetched > 0 and not self._prefetching:
            self._prefetching = True
            self._spawn(self._bring(0, self._table.prefetched - 1, ()))

    async def _bring(self, first: int, last: int, parent: Path) -> None:
        self._prefetching = False
        try:
            async for _ in self.pages(first, last, parent, ()):
                pass
        except EverywireError as error:  # the link may be gone; who wants the rows asks again
            log.debug("rows %d to %d were not fetched: %s", first, last, error)

    def _spawn(self, work: Any) -> None:
        home = link_of(self._table).home
        if _loop() is None:
            work.close()  # without a loop rows come when somebody waits for them
        else:
            home.spawn(work)

    # Private: what is heard.

    def _reset(self) -> None:
        self.cache.reset()

    def _listen(self) -> None:
        table, cache = self._table, self.cache

        def changed(parent: Path, first: int, last: int, left: int, right: int, roles: tuple[int, ...]) -> None:
            cache.changed(parent, Span(first, last), Span(left, right), roles)
            self._refresh(parent, first)

        def reset() -> None:
            self._reset()
            self._prefetch()

        def rearranged(parents: tuple[Path, ...], _hint: object) -> None:
            cache.rearranged(parents)
            self._prefetch()

        for bound, listener in (
            (table.rows_inserted, cache.inserted),
            (table.rows_removed, cache.removed),
            (table.rows_moved, cache.moved),
            (table.columns_inserted, cache.columns_inserted),
            (table.data_changed, changed),
            (table.header_data_changed, cache.headers_changed),
            (table.layout_changed, rearranged),
            (table.model_reset, reset),
        ):
            attach: Any = bound.attach
            attach(listener, first=True)

    def _refresh(self, parent: Path, first: int) -> None:
        if not parent and first < self._table.prefetched:
            self._prefetch()


def _loop() -> asyncio.AbstractEventLoop | None:
    """Return the running loop; programs without one never load what makes them."""
    module = sys.modules.get("asyncio")
    try:
        return None if module is None else module.get_running_loop()
    except RuntimeError:
        return None


def _shielded(awaitable: Any) -> Any:
    """Return what can be waited for without ending it for others: who gives up gives up alone."""
    return sys.modules["asyncio"].shield(awaitable)


def _shared(call: Any) -> Any:
    """Return *call*, whose failure is no news: whoever still wants the answer is told, and there may be nobody."""
    if _loop() is not None:
        call.add_done_callback(_seen)
    return call


def _seen(call: asyncio.Future[Any]) -> None:
    if not call.cancelled():
        call.exception()


async def _answer(call: Any) -> Any:
    """Wait for a call that others may wait for too."""
    return await (call if _loop() is None else _shielded(call))


def _restless() -> Fault:
    return Fault(Code.ABORTED, "the table changes faster than it can be read; try again")


def _united(spans: Iterable[Span]) -> Iterator[Span]:
    """Return spans that are apart from each other, and hold the same rows."""
    present: Span | None = None
    for span in sorted(spans):
        if present is None:
            present = span
        elif span.first <= present.last + 1:
            present = Span(present.first, max(present.last, span.last))
        else:
            yield present
            present = span
    if present is not None:
        yield present


def _less(span: Span, others: Iterable[Span]) -> list[Span]:
    """Return what of *span* is in none of *others*."""
    left = [span]
    for other in others:
        before = [Span(part.first, min(part.last, other.first - 1)) for part in left]
        behind = [Span(max(part.first, other.last + 1), part.last) for part in left]
        left = sorted(part for part in (*before, *behind) if part.first <= part.last)
    return left
