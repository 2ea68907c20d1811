"""Our tables on Qt Remote Objects, where they are models: what Qt's replicas ask, and what they are told.

Qt names the types of models by version, and what a link calls them its first request says. Until then it has asked for
nothing, so nothing that could change is told.
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
from everywire.remoteobjects.codec.tables import (
    ANY_QT_6,
    QT_5,
    TABLE_TYPES,
    Names,
    TableProperty,
    TableSignal,
    Written,
    definition,
)
from everywire.remoteobjects.engine import invoke_head
from everywire.remoteobjects.wire.hosting import Listening
from everywire.remoteobjects.wire.tableanswers import Answers, places_of, roles_of, table_of, written_by
from everywire.runtime.gate import Door, current_link
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
        names: Names = ANY_QT_6,
        *,
        closed: Callable[[HostedTable], object] | None = None,
    ) -> None:
        self.publication, self.dialect, self._closed = publication, dialect, closed
        self.name, self.contract = publication.name, publication.contract
        self._table: Table[Any] = table_of(publication)
        self._default = QT_5 if dialect.is_qt5 else names
        self._links: dict[Listening, Names | None] = {}
        """Who listens, in order of attachment, with the names that it has been heard to use."""
        self._waiting: dict[Listening, tuple[int, int]] = {}
        """Of links that do not read: how many notices wait, and how far the frames went when a reset was added."""
        self._news = 0
        self._current: TableIndex | None = self._table._everywire.values.get("current")
        self._answers = Answers(publication, dialect, self._learn, lambda: self._news, self._default)
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
        return tuple(self._answers.doors.values())

    @property
    def links(self) -> tuple[Listening, ...]:
        """Who listens."""
        return tuple(self._links)

    def join(self, link: Listening, *, dynamic: bool, anew: bool) -> bytes:
        """Make *link* a listener; see `Hosted.join`. Every peer knows the class, so no replica is generated."""
        self.leave(link)
        values = self.values(self._default)
        packet = InitDynamic(self.name, definition(self._default), values) if anew else Init(self.name, values)
        self._links[link] = self._default if self.dialect.is_qt5 else None
        return encode_packet(packet, self.dialect)

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
        return self.values(self._default, self.dialect.nested)

    def values(self, names: Names, dialect: Dialect | None = None) -> tuple[Any, ...]:
        """Return the present values of both properties."""
        roles: dict[int, str] = self._table._everywire.values.get("roles", {})
        written = written_by(dialect or self.dialect, names)
        named = {int(role): name for role, name in ROLE_NAMES.items()} | {r: name for r, name in roles.items() if name}
        return written.integers(tuple(roles)), written.role_names(named)

    def _learn(self, names: Names | None) -> Names:
        """Take note of what the link, whose call this is, calls the types; return its names."""
        link = current_link.get()
        if link not in self._links:
            return names or self._default
        known = self._links[link]
        if names is not None and not self.dialect.is_qt5:
            self._links[link] = known = names
        elif known is None:
            self._links[link] = known = self._default  # it wants the first cells before all else, which says nothing
        return known

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
        """Tell every link whose names are known; the others have asked for nothing yet."""
        self._news += 1
        frames: dict[str, bytes] = {}
        for link, names in tuple(self._links.items()):
            if names is None:
                continue
            frame = frames.get(names.indexes)
            if frame is None:
                frame = frames[names.indexes] = self._signal(which, arguments(written_by(self.dialect, names)))
            self._put(link, frame, alone=len(self._links) == 1)

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
        elif mark == outbox.place:
            return  # the reset that waits is behind all that the link was told, so it says this too
        else:
            outbox.put_notice(self._signal(TableSignal.MODEL_RESET, ()))
        self._waiting[link] = count + 1, outbox.place

    def _tell_current(self, index: TableIndex | None) -> None:
        before, self._current = self._current, index
        for link, names in tuple(self._links.items()):
            if names is not None:
                w = written_by(self.dialect, names)
                arguments = w.indexes(_index_places(index)), w.indexes(_index_places(before))
                frame = self._signal(TableSignal.CURRENT_CHANGED, arguments)
                link.outbox.put_change((self, "current"), frame, alone=len(self._links) == 1)

    def _tell_roles(self, _roles: object) -> None:
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


def _index_places(index: TableIndex | None) -> tuple[tuple[int, int], ...]:
    return () if index is None or not index.path else (*places_of(index.path[:-1]), (index.path[-1], index.column))
