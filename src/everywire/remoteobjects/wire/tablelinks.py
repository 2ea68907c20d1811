"""Tables of others on Qt Remote Objects: what a replica of `Table` asks a model, and what it hears. Knows no sockets.

The members of `Table` become the methods and signals of Qt's models. A model's answers are as new as the signals before
them; so what is read stands in the replica's cache before the next signal is looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, cast

from everywire.errors import Fault, ModelError, SignatureMismatch
from everywire.model import Contract, Kind, Member, Object, contract_of
from everywire.model.building import build_class
from everywire.model.properties import Readable
from everywire.model.signals import BoundSignal
from everywire.model.types import ANY
from everywire.remoteobjects.codec import CallKind, Invoke, encode_packet
from everywire.remoteobjects.codec.tables import TableMethod, TableProperty, TableSignal, Written
from everywire.remoteobjects.engine import Waiting, change_head, invoke_head, reply_head
from everywire.remoteobjects.wire.layout import Layout
from everywire.remoteobjects.wire.qttypes import lower
from everywire.remoteobjects.wire.replicating import NOTIFY, PUSH_TIMEOUT, Channel, Link
from everywire.remoteobjects.wire.tablereading import (
    Answer,
    Step,
    bound_slot,
    cell_in,
    headers_in,
    integer,
    lifted,
    numbered,
    path_in,
    reply_decoder,
    role_names_in,
    roles_in,
    route_to,
    rows_decoder,
    rows_in,
    size_in,
    steps,
)
from everywire.tables import (
    ItemRole,
    LayoutHint,
    Orientation,
    Table,
    TableIndex,
    TableRow,
    TableSize,
)
from everywire.tables.cache import MOST_COLUMNS
from everywire.tables.words import Path

SELECT: Final = 0x13
"""Clear, select, and make it the current one."""
Settled = Callable[[Exception | None], object]
News = Callable[..., None]


class TableChannel(Channel):
    """One replica's calls and news, over all reconnects, when its source is a model."""

    is_model = True
    is_settled = False

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        if self.replica.cls is None or self.replica.cls is Object:
            self.replica.cls = Table
        self.takers: dict[str, Callable[[Any, Any], object]] = {}
        """By slot: who takes a call and its result the moment it is heard; see `TableView`."""
        self._settled: list[Settled] = []
        self._blind = True
        """Whether the size of the model is not known, so that changes of it say nothing."""
        self._written: Written
        self._available: tuple[int, ...] = ()
        self._names: dict[int, str] = {}
        self._current: TableIndex | None = None

    # What the session calls.

    def attach(
        self, link: Link, offered: Contract, layout: Layout, values: tuple[Any, ...], *, exact: bool = False
    ) -> Object:
        """Bind to *link*, and ask for the size; the replica is valid when that is known."""
        cls: Any = self.replica.cls
        if Table not in cls.__mro__:
            raise self._mismatch(f"the host has a model, and {cls.__name__} is no Table")
        try:
            self._available = roles_in(values[TableProperty.AVAILABLE_ROLES] if values else ())
            self._names = role_names_in(values[TableProperty.ROLE_NAMES] if len(values) > 1 else {})
        except ModelError as error:
            raise self._mismatch(str(error)) from error
        contract = contract_of(cls)
        instance: Object = self.replica.create(contract, build_class)
        self._written = Written(link.engine.dialect)
        self.link, self.is_settled, self._blind, self._current = link, False, True, None
        self._bind_slots(instance, contract)
        self._bind_news(link)
        self._route(link, reply_head(self.replica.name, link.engine.dialect), self.waiting)
        self._survey(self._begin)
        return instance

    def detach(self, fault: Fault) -> None:
        """Unbind from the link; see `Channel.detach`."""
        super().detach(fault)
        self._settle(fault)

    def when_valid(self, done: Settled) -> None:
        """Call *done* when the replica is valid, or with what keeps it from that."""
        if self.is_settled:
            done(None)
        else:
            self._settled.append(done)

    def cancelled(self, call: Any) -> None:
        """Forget *call* and ask the host to stop it."""
        for serial, (_, answer) in self.waiting.items():
            if isinstance(answer, Answer) and answer.call is call:
                self.give_up(serial)
                return

    def push(self, member: Member, value: Any) -> Any:
        """Select a cell and return the pending call; nothing else of a model can be pushed."""
        index = cast("TableIndex | None", value)
        places = () if index is None else (*steps(index.path[:-1]), (index.path[-1], index.column))
        return self._call(TableMethod.SET_CURRENT, (self._written.indexes(places), SELECT), lambda _: None)

    # Calls.

    def _bind_slots(self, instance: Object, contract: Contract) -> None:
        own: Mapping[str, Callable[..., Any]] = {
            "size_of": self._size_of,
            "rows": self._rows,
            "cells": self._cells,
            "headers": self._headers,
            "set_data": self._set_data,
        }
        for member in contract.of_kind(Kind.SLOT):
            if member.name in own:
                vars(instance)[member.name] = bound_slot(member, own[member.name])

    def _size_of(self, parent: Path) -> Any:
        asked = (self._written.indexes(steps(parent)),) if self.link is not None else ()
        return self._call(TableMethod.SIZE, asked, size_in, slot="size_of")

    def _cells(self, parent: Path, first: int, last: int, roles: tuple[int, ...]) -> Any:
        if self.link is None:
            return self.unavailable()
        roles = roles or tuple(self._table.roles)
        width = max(1, len(self._table.columns))
        start, end = (*steps(parent), (first, 0)), (*steps(parent), (last, width - 1))
        written = self._written
        asked = written.indexes(start), written.indexes(end), written.integers(roles)
        decode = rows_decoder(parent, first, self.link.engine.dialect)
        return self._call(TableMethod.ROWS, asked, lambda raw: rows_in(raw, parent, first), decode, slot="cells")

    async def _rows(self, first: int, count: int, parent: Path) -> list[dict[str, Any]]:
        names, roles = self._table.columns, (int(ItemRole.EDIT), int(ItemRole.DISPLAY))
        rows: list[TableRow] = await self._cells(parent, first, first + count - 1, roles) if count > 0 else []
        return [
            {name: shown if edit is None else edit for name, (edit, shown) in zip(names, row.values, strict=False)}
            for row in rows
        ]

    def _headers(self, orientation: Orientation, first: int, last: int, roles: tuple[int, ...]) -> Any:
        if self.link is None:
            return self.unavailable()
        sections = [section for section in range(first, last + 1) for _ in roles]
        written = self._written
        asked = (
            written.orientations([int(orientation)] * len(sections)),
            written.integers(sections),
            written.integers([*roles] * (last - first + 1)),
        )
        return self._call(TableMethod.HEADERS, asked, headers_in)

    def _set_data(self, row: int, column: int, value: Any, role: int, parent: Path) -> Any:
        if self.link is None:
            return self.unavailable()
        places = self._written.indexes((*steps(parent), (row, column)))
        return self._call(TableMethod.SET_DATA, (places, lower(ANY, value), role), lambda _: None)

    def _call(
        self,
        method: TableMethod,
        arguments: tuple[Any, ...],
        lift_: Callable[[Any], Any],
        decode: Callable[[bytes, int, int], Any] | None = None,
        *,
        slot: str = "",
        call: Any = None,
    ) -> Any:
        """Send a call and return it; *call* stands in where the caller is this channel."""
        link = self.link
        if link is None:
            return self.unavailable()
        dialect, serial = link.engine.dialect, self._next_serial()
        packet = Invoke(self.replica.name, CallKind.METHOD, method, arguments, serial)
        frame = encode_packet(packet, dialect)
        if len(frame) - 4 > link.engine.max_frame:
            return self.too_large(len(frame))
        link.join(frame)
        if call is None:
            call = link.pending()
            call.link = self
        waiting = Waiting(decode or reply_decoder(lift_, dialect), lambda raw: lifted(lift_, raw), PUSH_TIMEOUT)
        self.waiting[serial] = waiting, call if isinstance(call, Step) else Answer(call, self.takers.get(slot))
        self.sweep()
        return call

    # The beginning, and beginnings anew.

    def _survey(self, then: Callable[[TableSize, tuple[str, ...]], None]) -> None:
        """Ask how large the model is and what its columns are called; what is told meanwhile is in the answers."""
        self._ask_size(lambda size: self._survey_columns(size, then))

    def _survey_columns(self, size: TableSize, then: Callable[[TableSize, tuple[str, ...]], None]) -> None:
        if not size.columns:
            then(size, ())
            return

        def take_columns(columns: tuple[str, ...]) -> None:
            self._ask_size(lambda again: take_size(columns, again))  # anew, for the first answer is old by now

        def take_size(columns: tuple[str, ...], again: TableSize) -> None:
            if again.columns == len(columns):
                then(again, columns)
            else:
                self._survey_columns(again, then)

        self._ask_columns(size.columns, take_columns)

    def _ask_size(self, then: Callable[[TableSize], None]) -> None:
        self._call(TableMethod.SIZE, (self._written.indexes(()),), size_in, call=Step(then, self._settle))

    def _ask_columns(self, columns: int, then: Callable[[tuple[str, ...]], object]) -> None:
        def take(values: list[Any]) -> None:
            found = [*values[:columns], *[None] * (columns - len(values))]
            then(tuple(str(n + 1) if v is None else str(v) for n, v in enumerate(found)))

        written = self._written
        asked = (
            written.orientations([int(Orientation.HORIZONTAL)] * columns),
            written.integers(range(columns)),
            written.integers([int(ItemRole.DISPLAY)] * columns),
        )
        self._call(TableMethod.HEADERS, asked, headers_in, call=Step(take, self._settle))

    def _begin(self, size: TableSize, columns: tuple[str, ...]) -> None:
        """Be valid."""
        self._blind = False
        values = {"columns": columns, "row_count": size.rows, "roles": self._roles(), "current": self._current}
        self.replica.take(values)
        self._settle(None)

    def _begin_anew(self, size: TableSize, columns: tuple[str, ...]) -> None:
        """Go on after a reset, with all that was told before this answer."""
        self._blind = False
        self._set("columns", columns)
        self._set("row_count", size.rows)
        self._deliver("model_reset")
        self._table._view.cache.sized((), size)

    def _take_columns(self, columns: tuple[str, ...]) -> None:
        if len(columns) == len(self._table.columns):
            self._set("columns", columns)

    def _settle(self, error: Exception | None) -> None:
        self.is_settled = error is None
        waiting, self._settled = self._settled, []
        for done in waiting:
            done(error)

    # News.

    def _bind_news(self, link: Link) -> None:
        news: Mapping[TableSignal, News] = {
            TableSignal.DATA_CHANGED: self._changed,
            TableSignal.ROWS_INSERTED: partial(self._recounted, "rows_inserted", 1),
            TableSignal.ROWS_REMOVED: partial(self._recounted, "rows_removed", -1),
            TableSignal.ROWS_MOVED: self._moved,
            TableSignal.CURRENT_CHANGED: self._selected,
            TableSignal.MODEL_RESET: self._was_reset,
            TableSignal.HEADER_DATA_CHANGED: self._headers_changed,
            TableSignal.COLUMNS_INSERTED: self._columns_inserted,
            TableSignal.LAYOUT_CHANGED: self._rearranged,
        }
        name, dialect = self.replica.name, link.engine.dialect
        for which, take in news.items():
            route = route_to(self._careful(link, take), dialect, several=True)
            self._route(link, invoke_head(name, CallKind.METHOD, which, dialect), route)
        self._route(link, invoke_head(name, CallKind.METHOD, TableSignal.AVAILABLE_ROLES_CHANGED, dialect), NOTIFY)
        for prop, take in (
            (TableProperty.AVAILABLE_ROLES, self._take_available),
            (TableProperty.ROLE_NAMES, self._take_names),
        ):
            route = route_to(self._careful(link, take), dialect, several=False)
            self._route(link, change_head(name, prop, dialect), route)

    def _careful(self, link: Link, take: News) -> Callable[[Any], None]:
        """Return *take* for what a stranger sends; while nothing is known of the model, what changes is no news."""

        def tell(raw: Any) -> None:
            if self.link is not link or (self._blind and take not in self._always):
                return
            try:
                take(*raw)
            except (ModelError, TypeError, ValueError) as error:
                link.misfit(self.replica.name, str(error))

        return tell

    @property
    def _always(self) -> tuple[News, ...]:
        return self._was_reset, self._selected, self._take_available, self._take_names

    def _changed(self, start: Any, end: Any, roles: Any, *_more: Any) -> None:
        above, below = cell_in(start), cell_in(end)
        if above is None or below is None or above.path[:-1] != below.path[:-1]:
            return
        asked = tuple(integer(role) for role in roles)
        first, last = above.path[-1], below.path[-1]
        self._deliver("data_changed", above.path[:-1], first, last, above.column, below.column, asked)

    def _recounted(self, told: str, sign: int, parent: Any, first: Any, last: Any, *_more: Any) -> None:
        path, count = path_in(parent), integer(last) - integer(first) + 1
        if first < 0 or count <= 0:
            raise ModelError(f"{told}: rows {first} to {last}")
        if path == ():
            self._set("row_count", max(0, self._table.row_count + sign * count))
        if path is not None:
            self._deliver(told, path, first, last)

    def _moved(self, parent: Any, first: Any, last: Any, destination: Any, row: Any, *_more: Any) -> None:
        source, target, count = path_in(parent), path_in(destination), integer(last) - integer(first) + 1
        if first < 0 or count <= 0 or integer(row) < 0:
            raise ModelError(f"rows_moved: rows {first} to {last} before {row}")
        if source is None or target is None:
            self._was_reset()  # to or from where nobody can look
            return
        if (source == ()) != (target == ()):
            self._set("row_count", max(0, self._table.row_count + (count if target == () else -count)))
        self._deliver("rows_moved", source, first, last, target, row)

    def _columns_inserted(self, parent: Any, first: Any, last: Any, *_more: Any) -> None:
        path, columns = path_in(parent), self._table.columns
        if not 0 <= integer(first) <= integer(last) < MOST_COLUMNS:
            raise ModelError(f"columns_inserted: columns {first} to {last}")
        if path == ():
            self._set("columns", (*columns[:first], *numbered(last - first + 1), *columns[first:]))
        if path is not None:
            self._deliver("columns_inserted", path, first, last)
        self._ask_columns(len(self._table.columns), self._take_columns)

    def _headers_changed(self, orientation: Any, first: Any, last: Any, *_more: Any) -> None:
        which = Orientation(integer(orientation))
        self._deliver("header_data_changed", which, integer(first), integer(last))
        if which is Orientation.HORIZONTAL:
            self._ask_columns(len(self._table.columns), self._take_columns)

    def _rearranged(self, _parents: Any, hint: Any, *_more: Any) -> None:
        self._deliver("layout_changed", (), LayoutHint(integer(hint)))  # Qt's parents run into each other

    def _was_reset(self, *_more: Any) -> None:
        if not self._blind or self.is_settled:
            self._blind = True
            self._table._view.cache.reset()
            self._survey(self._begin_anew)

    def _selected(self, index: Any, *_more: Any) -> None:
        self._current = cell_in(index) if index else None
        if not self._blind:
            self._set("current", self._current)

    def _take_available(self, roles: Any) -> None:
        self._available = roles_in(roles)
        self._take_roles()

    def _take_names(self, names: Any) -> None:
        self._names = role_names_in(names)
        self._take_roles()

    def _take_roles(self) -> None:
        if not self._blind:
            self._set("roles", self._roles())

    def _roles(self) -> dict[int, str]:
        """Return the roles that the model has; the same object as before when they are the same."""
        roles = {role: self._names.get(role, "") for role in self._available}
        known = self._table._everywire.values.get("roles")
        return cast("dict[int, str]", known) if known == roles else roles

    # Private.

    def _mismatch(self, problem: str) -> SignatureMismatch:
        return SignatureMismatch(f"{self.replica.name} at {self.replica.url}:", (problem,))

    @property
    def _table(self) -> Table[Any]:
        return cast("Table[Any]", self.replica.instance)

    def _set(self, name: str, value: Any) -> None:
        """Store the value of a property and tell the observers, if it is another."""
        handle: Readable[Any] = type(self._table).__everywire_declared__[name]
        handle.receive(self._table._everywire, value)

    def _deliver(self, name: str, *arguments: Any) -> None:
        bound: BoundSignal[*tuple[Any, ...]] = getattr(self._table, name)
        bound.deliver(arguments)
