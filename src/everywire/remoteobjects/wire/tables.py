"""Our tables on Qt Remote Objects, where they are models: what Qt's replicas ask, and what they are told.

Qt names the types of models by version, and what a link calls them its first request says. Until then it has asked for
nothing, so nothing that could change is told.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache
from typing import Any, Final, TypeVar

from everywire.codec.qdatastream import Reader, Size, UserTypes
from everywire.errors import Code, Fault, ModelError, RemoteProtocolError
from everywire.model import Member
from everywire.model.slots import may_suspend
from everywire.model.state import Disconnect
from everywire.model.types import ANY
from everywire.remoteobjects.codec import (
    CallKind,
    Dialect,
    Init,
    InitDynamic,
    Invoke,
    InvokeReply,
    ObjectInfo,
    PropertyChange,
    encode_packet,
)
from everywire.remoteobjects.codec.tables import (
    ADAPTER,
    QT_5,
    QT_6_5,
    TABLE_TYPES,
    Entry,
    Names,
    Places,
    Snapshot,
    TableMethod,
    TableProperty,
    TableSignal,
    Written,
    definition,
    names_of,
)
from everywire.remoteobjects.engine import invoke_head
from everywire.remoteobjects.wire.hosting import Listening
from everywire.remoteobjects.wire.qttypes import lower
from everywire.runtime.gate import Door, Invoked, current_link, invalid
from everywire.runtime.node import Publication
from everywire.tables import LayoutHint, Orientation, Table, TableIndex, TableRow, TableSize
from everywire.tables.words import ROLE_NAMES, Path

T = TypeVar("T")

MOST_CACHED: Final = 100_000
"""Cells of the answer to who wants the first ones."""
MOST_WAITING: Final = 256
"""Notices for a link that does not read; further ones become one reset."""
AGAIN: Final = 16
"""Times that a table is asked again because it changed while it answered."""

log: Final = logging.getLogger("everywire.remoteobjects")


class HostedTable:
    """One published table as Qt Remote Objects sees it, in one dialect."""

    def __init__(self, publication: Publication, dialect: Dialect, names: Names = QT_6_5) -> None:
        self.publication, self.dialect = publication, dialect
        self.name, self.contract = publication.name, publication.contract
        self._table: Table[Any] = _table_of(publication)
        self._default = QT_5 if dialect.is_qt5 else names
        self._links: dict[Listening, Names | None] = {}
        """Who listens, in order of attachment, with the names that it has been heard to use."""
        self._waiting: dict[Listening, tuple[int, int]] = {}
        """Of links that do not read: how many notices wait, and how far the frames went when a reset was added."""
        self._news = 0
        self._current = self._table.current if self._has("current") else None
        self._doors = dict(self._make_doors())
        self._disconnects = [*self._listen()]

    @property
    def info(self) -> ObjectInfo:
        """The entry in the list of objects."""
        return ObjectInfo(self.name, ADAPTER)

    @property
    def user_types(self) -> UserTypes:
        """What callers may send by its C++ name."""
        return TABLE_TYPES

    @property
    def doors(self) -> tuple[Door, ...]:
        """Every door that leads to the table."""
        return tuple(self._doors.values())

    @property
    def links(self) -> tuple[Listening, ...]:
        """Who listens."""
        return tuple(self._links)

    def join(self, link: Listening, *, dynamic: bool, anew: bool) -> bytes:
        """Make *link* a listener; see `Hosted.join`. Every peer knows the class, so no replica is generated."""
        self.leave(link)
        packet = Init(self.name, self.values(self._default))
        self._links[link] = self._default if self.dialect.is_qt5 else None
        if anew:
            packet = InitDynamic(self.name, definition(self._default), packet.values)
        return encode_packet(packet, self.dialect)

    def leave(self, link: Listening) -> None:
        """Tell *link* no more."""
        self._links.pop(link, None)
        self._waiting.pop(link, None)

    def routes(self, *, dynamic: bool) -> dict[bytes, Door]:
        """Return what leads a call's frame head to a door."""
        calls = CallKind.METHOD
        return {invoke_head(self.name, calls, index, self.dialect): door for index, door in self._doors.items()}

    def stream(self, name: str) -> Door:
        """Raise: models have no streams."""
        raise Fault(Code.NOT_FOUND, f"{self.name} has no stream {name!r}", may_have_run=False)

    def close(self) -> None:
        """Stop listening to the table, and let no call through that has arrived already."""
        for disconnect in self._disconnects:
            disconnect()
        self._disconnects.clear()
        for door in self.doors:
            door.shut()

    def values(self, names: Names) -> tuple[Any, ...]:
        """Return the present values of both properties."""
        roles, written = self._roles(), _written(self.dialect, names)
        named = {int(role): name for role, name in ROLE_NAMES.items()} | {r: name for r, name in roles.items() if name}
        return written.integers(tuple(roles)), written.role_names(named)

    # Calls.

    def _make_doors(self) -> list[tuple[TableMethod, Door]]:
        table = self._table
        return [
            (TableMethod.SIZE, self._door("size_of", self._size, self._write_size, table.size_of)),
            (TableMethod.ROWS, self._door("cells", self._rows, self._write_entries, table.cells)),
            (TableMethod.HEADERS, self._door("headers", self._headers, self._write_list, table.headers)),
            (TableMethod.SET_CURRENT, self._door("current", self._set_current, self._write_nothing, table._write)),
            (TableMethod.SET_DATA, self._door("set_data", self._set_data, self._write_nothing, table.set_data)),
            (TableMethod.CACHE, self._door("cells", self._cache, self._write_snapshot, table.cells)),
        ]

    def _door(
        self,
        member: str,
        method: Callable[..., Awaitable[Any]],
        write: Callable[[Names, Any], Any],
        asks: Callable[..., Any],
    ) -> Door:
        name, dialect = self.name, self.dialect

        def heard(names: Names | None, arguments: tuple[Any, ...]) -> Awaitable[Any]:
            """Begin in the turn in which the call was heard, when its link is known."""
            return self._named(self._learn(names), method, arguments)

        def reply(token: int, value: tuple[Names, Any]) -> bytes:
            return encode_packet(InvokeReply(name, token, write(*value)), dialect)

        function: Any = getattr(asks, "__func__", asks)
        return Door(
            name,
            self.contract.members[member],
            owner=self.publication.object,
            method=heard,
            check=_CHECKS[member] if method != self._cache else _check_cache,
            reply=reply,
            policy=self.publication.policy,
            suspends=may_suspend(function),
            decode=self._decode,
        )

    def _decode(self, door: Door, data: bytes, start: int, end: int) -> Any:
        """Return the call in a frame, with what its types are called; None leaves it to the general path."""
        reader = Reader(data, start, end, order=self.dialect.order, version=self.dialect.version, types=TABLE_TYPES)
        names: Names | None = None

        def argument() -> Any:
            nonlocal names
            spelt, value = _read_named(reader)
            names = names or names_of(spelt)
            return value

        arguments = tuple(reader.read_items(argument))
        serial = reader.read_int("i32")
        reader.read_int("i32")
        reader.expect_end()
        return Invoked(door, (names, arguments), serial)

    def _learn(self, names: Names | None) -> Names:
        """Take note of what the link, whose call this is, calls the types; return its names."""
        link = current_link.get()
        if link not in self._links:
            return names or self._default
        if names is not None and not self.dialect.is_qt5:
            self._links[link] = names
        elif self._links[link] is None:
            self._links[link] = self._default  # it wants the first cells before anything else, which says nothing
        return self._links[link] or self._default

    async def _named(
        self, names: Names, method: Callable[..., Awaitable[Any]], arguments: tuple[Any, ...]
    ) -> tuple[Names, Any]:
        return names, await method(*arguments)

    async def _size(self, parent: Places) -> TableSize:
        path = _path(parent)
        return TableSize(0, 0) if path is None else await self._steady(lambda: self._table.size_of(path))

    async def _rows(self, start: Places, end: Places, roles: list[int]) -> list[Entry]:
        parent = _path(start[:-1])
        if parent is None or start[:-1] != end[:-1]:
            return []
        first, last = start[-1], end[-1]
        asked = tuple(roles) or tuple(self._roles())
        rows = await self._steady(lambda: self._table.cells(parent, first.row, last.row, asked))
        columns = range(max(0, first.column), last.column + 1)
        begin = max(0, first.row)
        return [
            _entry(parent, number, column, row)
            for number, row in enumerate(rows, begin)
            for column in columns[: len(row.values)]
            if column < len(row.values)
        ]

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
        path = _path(places[:-1])
        if path is None:
            return
        index = TableIndex((*path, places[-1].row), places[-1].column) if places else None
        await self._table._write("current", index)

    async def _set_data(self, places: Places, value: Any, role: int) -> None:
        parent = _path(places[:-1])
        if parent is None:
            raise Fault(Code.OUT_OF_RANGE, "there is no such row", may_have_run=False)
        await self._table.set_data(places[-1].row, places[-1].column, value, role, parent)

    async def _cache(self, most: int, roles: list[int]) -> Snapshot:
        asked = tuple(roles) or tuple(self._roles())
        return await self._steady(lambda: self._snapshot(min(most, MOST_CACHED), asked))

    async def _snapshot(self, most: int, roles: tuple[int, ...]) -> Snapshot:
        size = await self._table.size_of(())
        entries, _ = await self._tree((), size, most, roles)
        return Snapshot(entries, roles, size.rows, size.columns)

    async def _tree(
        self, parent: Path, size: TableSize, most: int, roles: tuple[int, ...]
    ) -> tuple[list[Entry], int]:
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
            news = self._news
            answer = await ask()
            if news == self._news:
                return answer
        raise Fault(Code.ABORTED, "the table changes faster than it can be read; try again")

    # Results.

    def _write_size(self, names: Names, size: TableSize) -> Any:
        return Size(size.columns, size.rows)

    def _write_entries(self, names: Names, entries: Sequence[Entry]) -> Any:
        try:
            return _written(self.dialect, names).entries(entries)
        except ModelError:
            return _written(self.dialect, names).entries([self._sendable(entry) for entry in entries])

    def _write_snapshot(self, names: Names, snapshot: Snapshot) -> Any:
        written = _written(self.dialect, names)
        try:
            return written.snapshot(snapshot)
        except ModelError:
            entries = [self._sendable(entry) for entry in snapshot.entries]
            return written.snapshot(Snapshot(entries, snapshot.roles, snapshot.rows, snapshot.columns))

    def _write_list(self, names: Names, values: Sequence[Any]) -> Any:
        return [lower(ANY, value) for value in values]

    def _write_nothing(self, names: Names, value: None) -> None:
        return value

    def _sendable(self, entry: Entry) -> Entry:
        """Return *entry* without the values that Qt has no type for: one must not hide the others."""
        kept: list[Any] = []
        for value in entry.values:
            try:
                _written(self.dialect, self._default).entries([Entry(entry.places, [value])])
            except ModelError as error:
                log.warning("%s: a cell cannot be sent over Qt Remote Objects: %s", self.name, error)
                value = None  # noqa: PLW2901
            kept.append(value)
        below = [self._sendable(one) for one in entry.below]
        return Entry(entry.places, kept, entry.children, entry.flags, below, entry.rows, entry.columns)

    # Notices.

    def _listen(self) -> list[Disconnect]:
        table = self._table
        tell, state = self._tell, table._everywire

        def rows(which: TableSignal) -> Callable[..., None]:
            return lambda parent, first, last: tell(which, lambda w: (w.indexes(_places(parent)), first, last))

        def moved(parent: Path, first: int, last: int, destination: Path, row: int) -> None:
            if parent or destination:  # Qt's replicas move rows at the top only
                self._move_by_hand(parent, first, last, destination, row)
                return
            tell(TableSignal.ROWS_MOVED, lambda w: (w.indexes(()), first, last, w.indexes(()), row))

        def changed(parent: Path, first: int, last: int, left: int, right: int, roles: tuple[int, ...]) -> None:
            above, below = (*_places(parent), (first, left)), (*_places(parent), (last, right))
            tell(TableSignal.DATA_CHANGED, lambda w: (w.indexes(above), w.indexes(below), w.integers(roles)))

        def headers(orientation: Orientation, first: int, last: int) -> None:
            tell(TableSignal.HEADER_DATA_CHANGED, lambda _: (int(orientation), first, last))

        def rearranged(_parents: object, hint: LayoutHint) -> None:
            tell(TableSignal.LAYOUT_CHANGED, lambda w: (w.indexes(()), int(hint)))

        signals: tuple[tuple[str, Callable[..., None]], ...] = (
            ("rows_inserted", rows(TableSignal.ROWS_INSERTED)),
            ("rows_removed", rows(TableSignal.ROWS_REMOVED)),
            ("rows_moved", moved),
            ("columns_inserted", rows(TableSignal.COLUMNS_INSERTED)),
            ("data_changed", changed),
            ("header_data_changed", headers),
            ("layout_changed", rearranged),
            ("model_reset", lambda: tell(TableSignal.MODEL_RESET, lambda _: ())),
        )
        found = [getattr(table, name).attach(listener, first=True) for name, listener in signals]
        found.append(state.listen("roles", lambda _: self._tell_roles(), first=True))
        found.append(state.listen("current", self._tell_current, first=True))
        return found

    def _move_by_hand(self, parent: Path, first: int, last: int, destination: Path, row: int) -> None:
        """Tell of a move as of rows that go and rows that come, with numbers as they are in between."""
        count, depth = last - first + 1, len(parent)
        self._tell(TableSignal.ROWS_REMOVED, lambda w: (w.indexes(_places(parent)), first, last))
        if destination == parent:
            row -= count if row > last else 0
        elif destination[:depth] == parent and len(destination) > depth and destination[depth] > last:
            destination = (*parent, destination[depth] - count, *destination[depth + 1 :])
        place = destination
        self._tell(TableSignal.ROWS_INSERTED, lambda w: (w.indexes(_places(place)), row, row + count - 1))

    def _tell(self, which: TableSignal, arguments: Callable[[Written], tuple[Any, ...]]) -> None:
        """Tell every link whose names are known; the others have asked for nothing yet."""
        self._news += 1
        frames: dict[str, bytes] = {}
        for link, names in tuple(self._links.items()):
            if names is None:
                continue
            frame = frames.get(names.indexes)
            if frame is None:
                frame = frames[names.indexes] = self._signal(which, arguments(_written(self.dialect, names)))
            self._put(link, frame, alone=len(self._links) == 1)

    def _put(self, link: Listening, frame: bytes, *, alone: bool) -> None:
        """Send a notice; for a link that does not read many become one reset, so that none is ever missing."""
        outbox = link.outbox
        if not outbox.congested:
            self._waiting.pop(link, None)
            outbox.put_signal(frame, alone=alone)
            return
        count, mark = self._waiting.get(link, (0, -1))
        if count < MOST_WAITING:
            outbox.put_notice(frame)
        elif mark == outbox.place:
            return  # the reset that waits is behind all that the link was told, so it says this too
        else:
            outbox.put_notice(self._signal(TableSignal.MODEL_RESET, ()))
        self._waiting[link] = count + 1, outbox.place

    def _tell_current(self, index: TableIndex | None) -> None:
        before, self._current = self._current, index
        for link, names in tuple(self._links.items()):
            if names is not None:
                w = _written(self.dialect, names)
                arguments = w.indexes(_index_places(index)), w.indexes(_index_places(before))
                frame = self._signal(TableSignal.CURRENT_CHANGED, arguments)
                link.outbox.put_change((self, "current"), frame, alone=len(self._links) == 1)

    def _tell_roles(self) -> None:
        changed = TableSignal.AVAILABLE_ROLES_CHANGED
        for link, names in tuple(self._links.items()):
            roles, named = self.values(names or self._default)
            frame = (
                encode_packet(PropertyChange(self.name, TableProperty.AVAILABLE_ROLES, roles), self.dialect)
                + encode_packet(PropertyChange(self.name, TableProperty.ROLE_NAMES, named), self.dialect)
                + self._signal(changed, (), TableProperty.AVAILABLE_ROLES)
            )
            link.outbox.put_change((self, "roles"), frame, alone=len(self._links) == 1)

    def _signal(self, which: TableSignal, arguments: tuple[Any, ...], prop: int = -1) -> bytes:
        packet = Invoke(self.name, CallKind.METHOD, which, arguments, -1, prop)
        return encode_packet(packet, self.dialect)

    # Private.

    def _has(self, name: str) -> bool:
        """Return whether the table tells a property already; a replica that was never valid does not."""
        return name in self._table._everywire.values

    def _roles(self) -> dict[int, str]:
        return self._table.roles if self._has("roles") else {}


def _table_of(publication: Publication) -> Table[Any]:
    table = publication.object
    if not isinstance(table, Table):
        raise TypeError(f"{publication.name} is no table")
    return table


@lru_cache(maxsize=16)
def _written(dialect: Dialect, names: Names) -> Written:
    return Written(dialect, names)


def _read_named(reader: Reader) -> tuple[str, Any]:
    """Read a QVariant; return its type's name too, if that is no type of QtCore."""
    ahead = Reader(reader.rest(), order=reader.order, version=reader.version)
    number = ahead.read_int("u32")
    ahead.read_bool()
    spelt = ahead.read_c_string() if number == ahead.user_number else ""
    return spelt, reader.read_variant()


def _path(places: Places) -> Path | None:
    """Return the rows on the way to a cell; None where the way leads through another column than the first."""
    return None if any(place.column for place in places) else tuple(place.row for place in places)


def _places(path: Path) -> tuple[tuple[int, int], ...]:
    return tuple((row, 0) for row in path)


def _index_places(index: TableIndex | None) -> tuple[tuple[int, int], ...]:
    return () if index is None or not index.path else (*_places(index.path[:-1]), (index.path[-1], index.column))


def _entry(parent: Path, number: int, column: int, row: TableRow) -> Entry:
    values = [lower(ANY, value) for value in row.values[column]]
    flags = row.flags[column] if column < len(row.flags) else 0
    return Entry((*_places(parent), (number, column)), values, row.children and column == 0, flags)  # type: ignore[arg-type]


# What callers may say; a peer that sends anything else is refused before the table hears of it.


def _checked(names: Any, arguments: Any, *tests: Callable[[Any], bool]) -> tuple[Any, ...]:
    if len(arguments) != len(tests) or not all(test(a) for test, a in zip(tests, arguments, strict=True)):
        raise ModelError("these are not the arguments of the method of a model")
    return names, tuple(arguments)


def _is_places(value: Any) -> bool:
    return isinstance(value, (tuple, list)) and all(isinstance(place, tuple) for place in value)


def _is_cell(value: Any) -> bool:
    return bool(value) and _is_places(value)


def _is_integers(value: Any) -> bool:
    return isinstance(value, list) and len(value) <= MOST_CACHED and all(type(item) is int for item in value)


def _is_integer(value: Any) -> bool:
    return type(value) is int


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


_Check = Callable[[tuple[Any, ...]], tuple[Any, ...]]

_CHECKS: Final[dict[str, _Check]] = {
    "size_of": lambda given: _checked(*given, _is_places),
    "cells": lambda given: _checked(*given, _is_cell, _is_cell, _is_integers),
    "headers": lambda given: _checked(*given, _is_integers, _is_integers, _is_integers),
    "current": lambda given: _checked(*given, _is_places, _is_integer),
    "set_data": lambda given: _checked(*given, _is_cell, lambda _: True, _is_integer),
}


def _check_cache(given: tuple[Any, ...]) -> tuple[Any, ...]:
    return _checked(*given, _is_count, _is_integers)


__all__ = ("HostedTable", "Member", "RemoteProtocolError", "invalid")
