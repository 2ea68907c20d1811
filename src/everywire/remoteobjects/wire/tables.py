"""Our tables on Qt Remote Objects, where they are models: what Qt's replicas ask, and what they are told.

Notices are exact, and an answer is as new as those before it. A link that does not read is told of few changes, and
then that all is new.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from everywire.codec.qdatastream import UserTypes
from everywire.errors import Code, Fault
from everywire.model.state import Disconnect
from everywire.remoteobjects.codec import (
    ADAPTER,
    CallKind,
    Dialect,
    Init,
    InitDynamic,
    Invoke,
    ObjectInfo,
    PropertyChange,
    encode_packet,
)
from everywire.remoteobjects.codec.tables import TABLE_TYPES, TableProperty, TableSignal, Written, definition
from everywire.remoteobjects.engine import invoke_head
from everywire.remoteobjects.wire.hosting import Listening
from everywire.remoteobjects.wire.tableanswers import Answers, places_of, roles_of, table_of, written_in
from everywire.runtime.gate import Door
from everywire.runtime.node import Publication
from everywire.tables import LayoutHint, Orientation, Table, TableIndex
from everywire.tables.words import ROLE_NAMES, Path

MOST_WAITING: Final = 256
"""Notices for a link that does not read; further ones become one reset."""


class HostedTable:
    """One published table as Qt Remote Objects sees it, in one dialect."""

    def __init__(
        self,
        publication: Publication,
        dialect: Dialect,
        *,
        closed: Callable[[HostedTable], object] | None = None,
    ) -> None:
        self.publication, self.dialect, self._closed = publication, dialect, closed
        self.name, self.contract = publication.name, publication.contract
        self._table: Table[Any] = table_of(publication)
        self._links: dict[Listening, None] = {}
        """Who listens, in order of attachment."""
        self._waiting: dict[Listening, tuple[int, int]] = {}
        """Of links that do not read: how many notices wait, and how far the frames went when a reset was added."""
        self._news = 0
        self._current: TableIndex | None = self._table._everywire.values.get("current")
        self._answers = Answers(publication, dialect, lambda: self._news)
        self._written = written_in(dialect)
        self._disconnects = [*self._listen()]

    memo: str = ""

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
        return tuple(self._answers.doors.values())

    @property
    def links(self) -> tuple[Listening, ...]:
        """Who listens."""
        return tuple(self._links)

    def join(self, link: Listening, *, dynamic: bool, anew: bool) -> bytes:
        """Make *link* a listener; see `Hosted.join`. Every peer knows the class, so no replica is generated."""
        self.leave(link)
        values = self._values(self.dialect)
        packet = InitDynamic(self.name, definition(self.dialect), values) if anew else Init(self.name, values)
        self._links[link] = None
        return encode_packet(packet, self.dialect) + self.current_for(link)

    def current_for(self, link: Listening) -> bytes:
        """Return the frame that tells a new listener which cell is the current one; empty where that is of no use."""
        if self._current is None or not getattr(link, "extended", False):
            return b""  # Qt does not tell, and its replicas have no cells yet
        return self._current_changed(None)

    def leave(self, link: Listening) -> None:
        """Tell *link* no more."""
        self._links.pop(link, None)
        self._waiting.pop(link, None)

    def routes(self, *, dynamic: bool) -> dict[bytes, Door]:
        """Return what leads a call's frame head to a door."""
        calls = CallKind.METHOD
        return {invoke_head(self.name, calls, index, self.dialect): door for index, door in self._answers.doors.items()}

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
        if self._closed is not None:
            self._closed(self)

    def values_as_child(self) -> tuple[Any, ...]:
        """Return the present values of both properties for a reference, which has a stream of its own."""
        return self._values(self.dialect.nested)

    def _values(self, dialect: Dialect) -> tuple[Any, ...]:
        roles: dict[int, str] = self._table._everywire.values.get("roles", {})
        written = written_in(dialect)
        named = {int(role): name for role, name in ROLE_NAMES.items()} | {r: name for r, name in roles.items() if name}
        return written.integers(tuple(roles)), written.role_names(named)

    # Notices.

    def _listen(self) -> list[Disconnect]:
        table = self._table
        tell, state = self._tell, table._everywire

        def rows(which: TableSignal) -> Callable[..., None]:
            def told(parent: Path, first: int, last: int) -> None:
                tell(which, lambda w: (w.indexes(places_of(parent)), first, last))

            return told

        def moved(parent: Path, first: int, last: int, destination: Path, row: int) -> None:
            if not table.is_flat:  # Qt's replicas move rows at the top only, and not what is below them
                self._move_by_hand(parent, first, last, destination, row)
                return
            tell(TableSignal.ROWS_MOVED, lambda w: (w.indexes(()), first, last, w.indexes(()), row))
            # and keep what they know of the rows where it was
            changed((), min(first, row), max(last, row - 1), 0, len(table.columns) - 1, ())

        def changed(parent: Path, first: int, last: int, left: int, right: int, roles: tuple[int, ...]) -> None:
            above, below = (*places_of(parent), (first, left)), (*places_of(parent), (last, right))
            named = roles or roles_of(table)  # to Qt's replicas none does not mean all
            tell(TableSignal.DATA_CHANGED, lambda w: (w.indexes(above), w.indexes(below), w.integers(named)))

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
        found.append(state.listen("roles", self._tell_roles, first=True))
        found.append(state.listen("current", self._tell_current, first=True))
        return found

    def _move_by_hand(self, parent: Path, first: int, last: int, destination: Path, row: int) -> None:
        """Tell of a move as of rows that go and rows that come, with numbers as they are in between."""
        count, depth = last - first + 1, len(parent)
        self._tell(TableSignal.ROWS_REMOVED, lambda w: (w.indexes(places_of(parent)), first, last))
        if destination == parent:
            row -= count if row > last else 0
        elif destination[:depth] == parent and len(destination) > depth and destination[depth] > last:
            destination = (*parent, destination[depth] - count, *destination[depth + 1 :])
        place = destination
        self._tell(TableSignal.ROWS_INSERTED, lambda w: (w.indexes(places_of(place)), row, row + count - 1))

    def _tell(self, which: TableSignal, arguments: Callable[[Written], tuple[Any, ...]]) -> None:
        self._news += 1
        if self._links:
            frame, alone = self._signal(which, arguments(self._written)), len(self._links) == 1
            for link in tuple(self._links):  # one that is too slow may be cut, and leave, meanwhile
                self._put(link, frame, alone=alone)

    def _put(self, link: Listening, frame: bytes, *, alone: bool) -> None:
        """Send a notice; for a link that does not read many become one reset, so that none is ever missing."""
        outbox = link.outbox
        if not outbox.congested:
            self._waiting.pop(link, None)
            outbox.put_signal(frame, alone=alone)
            return
        count, mark = self._waiting.get(link, (0, -1))
        if count < MOST_WAITING and not outbox.crowded:
            outbox.put_notice(frame)
            self._waiting[link] = count + 1, -1
        elif mark != outbox.place:  # else the reset that waits is behind all that the link was told: it says this too
            outbox.put_notice(self._signal(TableSignal.MODEL_RESET, ()))
            self._waiting[link] = MOST_WAITING, outbox.place

    def _tell_current(self, index: TableIndex | None) -> None:
        before, self._current = self._current, index
        if self._links:
            frame, alone = self._current_changed(before), len(self._links) == 1
            for link in tuple(self._links):
                link.outbox.put_change((self, "current"), frame, alone=alone)

    def _current_changed(self, before: TableIndex | None) -> bytes:
        indexes = self._written.indexes
        arguments = indexes(_index_places(self._current)), indexes(_index_places(before))
        return self._signal(TableSignal.CURRENT_CHANGED, arguments)

    def _tell_roles(self, _roles: object) -> None:
        if not self._links:
            return
        roles, named = self._values(self.dialect)
        changes = (
            PropertyChange(self.name, TableProperty.AVAILABLE_ROLES, roles),
            PropertyChange(self.name, TableProperty.ROLE_NAMES, named),
        )
        frame = b"".join(encode_packet(change, self.dialect) for change in changes)
        frame += self._signal(TableSignal.AVAILABLE_ROLES_CHANGED, (), TableProperty.AVAILABLE_ROLES)
        alone = len(self._links) == 1
        for link in tuple(self._links):
            link.outbox.put_change((self, "roles"), frame, alone=alone)

    def _signal(self, which: TableSignal, arguments: tuple[Any, ...], prop: int = -1) -> bytes:
        packet = Invoke(self.name, CallKind.METHOD, which, arguments, -1, prop)
        return encode_packet(packet, self.dialect)


def _index_places(index: TableIndex | None) -> tuple[tuple[int, int], ...]:
    return () if index is None or not index.path else (*places_of(index.path[:-1]), (index.path[-1], index.column))
