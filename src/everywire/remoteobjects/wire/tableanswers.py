"""What Qt's replicas ask our tables, and the answers: doors, checks and results. Knows no links but the one that asks.

Every method of a model is a question to the members of `Table`, so that policies see what they know.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple, TypeVar, cast

from everywire.codec.qdatastream import Reader, Size, Writer
from everywire.errors import Code, Fault, ModelError
from everywire.model.slots import may_suspend
from everywire.model.types import ANY
from everywire.remoteobjects.codec import Dialect, InvokeReply, encode_packet
from everywire.remoteobjects.codec.cells import PLAIN, Entry, Place, Places
from everywire.remoteobjects.codec.tables import TABLE_TYPES, Snapshot, TableMethod, Written
from everywire.remoteobjects.wire.qttypes import lower
from everywire.runtime.gate import Door, Invoked
from everywire.runtime.node import Publication
from everywire.tables import Orientation, Table, TableIndex, TableRow, TableSize
from everywire.tables.words import Path

T = TypeVar("T")

MOST_CACHED: Final = 100_000
"""Cells of the answer to who wants the first ones."""
MOST_NUMBERS: Final = 10_000
"""Roles, sections or orientations of one question."""
AGAIN: Final = 16
"""Times that a table is asked again because it changed while it answered."""

log: Final = logging.getLogger("everywire.remoteobjects")


class _Page(NamedTuple):
    """Rows that were asked for, and of these the columns."""

    parent: Path
    first: int
    rows: Sequence[TableRow]
    columns: range


class Answers:
    """The methods of one model; *news* counts what it has told."""

    def __init__(self, publication: Publication, dialect: Dialect, news: Callable[[], int]) -> None:
        self._publication, self._dialect, self._news = publication, dialect, news
        self._written = written_in(dialect)
        self._table: Table[Any] = table_of(publication)
        self.doors = dict(self._make_doors())

    def _make_doors(self) -> list[tuple[TableMethod, Door]]:
        table = self._table
        return [
            (TableMethod.SIZE, self._door("size_of", self._size, self._write_size, table.size_of)),
            (TableMethod.ROWS, self._door("cells", self._rows, self._write_page, table.cells)),
            (TableMethod.HEADERS, self._door("headers", self._headers, self._write_list, table.headers)),
            (TableMethod.SET_CURRENT, self._door("current", self._set_current, self._write_nothing, table._write)),
            (TableMethod.SET_DATA, self._door("set_data", self._set_data, self._write_nothing, table.set_data)),
            (TableMethod.CACHE, self._door("cells", self._cache, self._write_snapshot, table.cells)),
        ]

    def _door(
        self,
        member: str,
        method: Callable[..., Awaitable[Any]],
        write: Callable[[Any], Any],
        asks: Callable[..., Any],
    ) -> Door:
        name, dialect = self._publication.name, self._dialect

        def reply(token: int, value: Any) -> bytes:
            return encode_packet(InvokeReply(name, token, write(value)), dialect)

        function: Any = getattr(asks, "__func__", asks)
        return Door(
            name,
            self._publication.contract.members[member],
            owner=self._publication.object,
            method=method,
            check=_CHECKS[member] if method != self._cache else _check_cache,
            reply=reply,
            policy=self._publication.policy,
            suspends=may_suspend(function),
            decode=self._decode,
        )

    def _decode(self, door: Door, data: bytes, start: int, end: int) -> Any:
        """Return the call in a frame."""
        order, version = self._dialect.order, self._dialect.version
        reader = Reader(data, start, end, order=order, version=version, types=TABLE_TYPES)
        arguments = tuple(reader.read_items(reader.read_variant))
        serial = reader.read_int("i32")
        reader.read_int("i32")
        reader.expect_end()
        return Invoked(door, arguments, serial)

    async def _size(self, parent: Places) -> TableSize:
        path = path_of(parent)
        return TableSize(0, 0) if path is None else await self._steady(lambda: self._table.size_of(path))

    async def _rows(self, start: Places, end: Places, roles: list[int]) -> _Page:
        parent = path_of(start[:-1])
        if parent is None or start[:-1] != end[:-1]:
            return _Page((), 0, (), range(0))
        first, last = start[-1], end[-1]
        asked = tuple(roles) or roles_of(self._table)
        rows = await self._steady(lambda: self._table.cells(parent, first.row, last.row, asked))
        return _Page(parent, max(0, first.row), rows, range(max(0, first.column), last.column + 1))

    async def _headers(self, orientations: list[int], sections: list[int], roles: list[int]) -> list[Any]:
        found: list[Any] = []
        for orientation, section, role in zip(orientations, sections, roles, strict=False):
            if orientation not in (Orientation.HORIZONTAL, Orientation.VERTICAL):
                found.append(None)
                continue
            values = await self._table.headers(Orientation(orientation), section, section, (role,))
            found.append(values[0] if values else None)
        return found

    async def _set_current(self, places: Places, _flags: int) -> None:
        path = path_of(places[:-1])
        if path is None:
            return
        index = TableIndex((*path, places[-1].row), places[-1].column) if places else None
        await self._table._write("current", index)

    async def _set_data(self, places: Places, value: Any, role: int) -> None:
        parent = path_of(places[:-1])
        if parent is None:
            raise Fault(Code.OUT_OF_RANGE, "there is no such row", may_have_run=False)
        await self._table.set_data(places[-1].row, places[-1].column, value, role, parent)

    async def _cache(self, most: int, roles: list[int]) -> Snapshot:
        asked = tuple(roles) or roles_of(self._table)
        return await self._steady(lambda: self._snapshot(min(most, MOST_CACHED), asked))

    async def _snapshot(self, most: int, roles: tuple[int, ...]) -> Snapshot:
        size = await self._table.size_of(())
        entries, _ = await self._tree((), size, most, roles)
        return Snapshot(entries, roles, size.rows, size.columns)

    async def _tree(self, parent: Path, size: TableSize, most: int, roles: tuple[int, ...]) -> tuple[list[Entry], int]:
        """Return at most *most* cells, each row before the next one with all below it, and how many more may follow."""
        found: list[Entry] = []
        if size.rows <= 0 or size.columns <= 0 or most <= 0:
            return found, most
        last = min(size.rows, -(-most // size.columns)) - 1
        for number, row in enumerate(await self._table.cells(parent, 0, last, roles)):
            for column in range(len(row.values)):
                if most <= 0:
                    return found, most
                most -= 1
                entry = _entry(parent, number, column, row)
                if entry.children:
                    below = await self._table.size_of((*parent, number))
                    entries, most = await self._tree((*parent, number), below, most, roles)
                    entry = Entry(entry.places, entry.values, True, entry.flags, entries, below.rows, below.columns)
                found.append(entry)
        return found, most

    async def _steady(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Return an answer as new as every notice that was told before it."""
        for _ in range(AGAIN):
            news = self._news()
            answer = await ask()
            if news == self._news():
                return answer
        raise Fault(Code.ABORTED, "the table changes faster than it can be read; try again")

    # Results.

    def _write_size(self, size: TableSize) -> Any:
        return Size(size.columns, size.rows)

    def _write_page(self, page: _Page) -> Any:
        rows = ((row.values, row.flags, row.children) for row in page.rows)
        return self._written.rows(places_of(page.parent), page.first, rows, page.columns, self._variant)

    def _variant(self, value: Any) -> bytes:
        """Return a value as a QVariant; an invalid one for what Qt has no type for: one must not hide the others."""
        writer = Writer(order=self._dialect.order, version=self._dialect.version)
        try:
            writer.write_variant(lower(ANY, value))
        except ModelError as error:
            log.warning("%s: a cell cannot be sent over Qt Remote Objects: %s", self._publication.name, error)
            writer = Writer(order=self._dialect.order, version=self._dialect.version)
            writer.write_variant(None)
        return writer.to_bytes()

    def _write_snapshot(self, snapshot: Snapshot) -> Any:
        written = self._written
        try:
            return written.snapshot(snapshot)
        except ModelError:
            entries = [self._sendable(entry) for entry in snapshot.entries]
            return written.snapshot(Snapshot(entries, snapshot.roles, snapshot.rows, snapshot.columns))

    def _write_list(self, values: Sequence[Any]) -> Any:
        return [lower(ANY, value) for value in values]

    def _write_nothing(self, value: None) -> None:
        return value

    def _sendable(self, entry: Entry) -> Entry:
        """Return *entry* without the values that Qt has no type for: one must not hide the others."""
        kept: list[Any] = []
        for value in entry.values:
            try:
                self._written.entries([Entry(entry.places, [value])])
            except ModelError as error:
                log.warning("%s: a cell cannot be sent over Qt Remote Objects: %s", self._publication.name, error)
                value = None  # noqa: PLW2901
            kept.append(value)
        below = [self._sendable(one) for one in entry.below]
        return Entry(entry.places, kept, entry.children, entry.flags, below, entry.rows, entry.columns)


def table_of(publication: Publication) -> Table[Any]:
    """Return the table that is published."""
    return cast("Table[Any]", publication.object)


def roles_of(table: Table[Any]) -> tuple[int, ...]:
    """Return the roles that cells have; none are known of a replica that was never valid."""
    return tuple(table._everywire.values.get("roles", ()))


@lru_cache(maxsize=16)
def written_in(dialect: Dialect) -> Written:
    """Return what makes values for callers of one dialect."""
    return Written(dialect)


def path_of(places: Places) -> Path | None:
    """Return the rows on the way to a cell; None where the way leads through another column than the first."""
    return None if any(place.column for place in places) else tuple(place.row for place in places)


def places_of(path: Path) -> tuple[tuple[int, int], ...]:
    """Return the way to a row."""
    return tuple((row, 0) for row in path)


def _entry(parent: Path, number: int, column: int, row: TableRow) -> Entry:
    values = [value if type(value) in PLAIN else lower(ANY, value) for value in row.values[column]]
    flags = row.flags[column] if column < len(row.flags) else 0
    return Entry((*places_of(parent), (number, column)), values, row.children and column == 0, flags)  # type: ignore[arg-type]


# What callers may say; a peer that sends anything else is refused before the table hears of it.


def _checked(given: tuple[Any, ...], *tests: Callable[[Any], bool]) -> tuple[Any, ...]:
    if len(given) != len(tests) or not all(test(a) for test, a in zip(tests, given, strict=True)):
        raise ModelError("these are not the arguments that the method of a model takes")
    return given


def _is_places(value: Any) -> bool:
    return isinstance(value, (tuple, list)) and all(isinstance(place, Place) for place in cast("Sequence[Any]", value))


def _is_cell(value: Any) -> bool:
    return bool(value) and _is_places(value)


def _is_selectable(value: Any) -> bool:
    return _is_places(value) and all(place.row >= 0 and place.column >= 0 for place in value)


def _is_integers(value: Any) -> bool:
    if not isinstance(value, list):
        return False
    numbers = cast("list[Any]", value)
    return len(numbers) <= MOST_NUMBERS and all(type(number) is int for number in numbers)


def _is_integer(value: Any) -> bool:
    return type(value) is int


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


_Check = Callable[[tuple[Any, ...]], tuple[Any, ...]]

_CHECKS: Final[dict[str, _Check]] = {
    "size_of": lambda given: _checked(given, _is_places),
    "cells": lambda given: _checked(given, _is_cell, _is_cell, _is_integers),
    "headers": lambda given: _checked(given, _is_integers, _is_integers, _is_integers),
    "current": lambda given: _checked(given, _is_selectable, _is_integer),
    "set_data": lambda given: _checked(given, _is_cell, lambda _: True, _is_integer),
}


def _check_cache(given: tuple[Any, ...]) -> tuple[Any, ...]:
    return _checked(given, _is_count, _is_integers)
