"""Qt's item models in bytes: the types of `QAbstractItemModelAdapter`, which Qt names by version, and its members.

Every peer knows the class without being told. What Qt calls the types differs: Qt 5, Qt 6.2 to 6.4 and Qt 6.5 and later
say names that the others do not know. All are read; and all of Qt 6 knows some aliases, which are written.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

import msgspec

from everywire.codec.qdatastream import Reader, Size, Streamed, UserTyped, UserTypes, Writer
from everywire.errors import RemoteProtocolError
from everywire.remoteobjects.codec.cells import MOST_DEEP, Entry, Place, Places, read_entries, write_entries
from everywire.remoteobjects.codec.definition import ClassDefinition, MethodDef, PropertyDef, SignalDef
from everywire.remoteobjects.codec.dialect import Dialect
from everywire.remoteobjects.codec.packets import ADAPTER
from everywire.remoteobjects.codec.pages import General, Row, write_rows


class TableProperty(enum.IntEnum):
    """The properties by number."""

    AVAILABLE_ROLES = 0
    ROLE_NAMES = 1


class TableSignal(enum.IntEnum):
    """The signals by number."""

    AVAILABLE_ROLES_CHANGED = 0
    DATA_CHANGED = 1
    ROWS_INSERTED = 2
    ROWS_REMOVED = 3
    ROWS_MOVED = 4
    CURRENT_CHANGED = 5
    MODEL_RESET = 6
    HEADER_DATA_CHANGED = 7
    COLUMNS_INSERTED = 8
    LAYOUT_CHANGED = 9


class TableMethod(enum.IntEnum):
    """The methods by number."""

    SIZE = 0
    ROWS = 1
    HEADERS = 2
    SET_CURRENT = 3
    SET_DATA = 4
    CACHE = 5


class Names(msgspec.Struct, frozen=True):
    """What Qt calls the types of models."""

    indexes: str
    entries: str
    snapshot: str
    integers: str
    orientations: str
    role_names: str


QT_5: Final = Names(
    "IndexList", "DataEntries", "MetaAndDataEntries", "QVector<int>", "QVector<Qt::Orientation>", "QIntHash"
)
QT_6: Final = Names(
    "QtPrivate::IndexList",
    "QtPrivate::DataEntries",
    "QtPrivate::MetaAndDataEntries",
    "QList<int>",
    "QList<Qt::Orientation>",
    "QHash<int,QByteArray>",
)
"""Aliases that every Qt 6 understands in both roles; for what it says itself 6.2 to 6.4 and later ones have others."""


def names_in(dialect: Dialect) -> Names:
    """Return the names that every peer of *dialect* understands."""
    return QT_5 if dialect.is_qt5 else QT_6


# ------------------------------------------------------------------------------------------------------------ reading
def _read_place(reader: Reader) -> Place:
    return Place(reader.read_int("i32"), reader.read_int("i32"))


def _read_places(reader: Reader) -> Places:
    places = tuple(reader.read_items(lambda: _read_place(reader)))
    if len(places) > MOST_DEEP:
        raise RemoteProtocolError(f"a cell {len(places)} levels deep; {MOST_DEEP} are the most")
    return places


class Snapshot(msgspec.Struct, frozen=True):
    """The answer to `CACHE`: the first cells of a model, and its size."""

    entries: Sequence[Entry]
    roles: Sequence[int]
    rows: int
    columns: int


def _read_snapshot(reader: Reader) -> Snapshot:
    entries, roles = read_entries(reader), reader.read_items(lambda: reader.read_int("i32"))
    columns, rows = reader.read_int("i32"), reader.read_int("i32")
    return Snapshot(entries, roles, rows, columns)


# ------------------------------------------------------------------------------------------------------------ writing
def _write_place(writer: Writer, place: tuple[int, int]) -> None:
    writer.write_int("i32", place[0])
    writer.write_int("i32", place[1])


def _write_places(writer: Writer, places: Sequence[tuple[int, int]]) -> None:
    writer.write_items(places, lambda place: _write_place(writer, place))


def _write_snapshot(writer: Writer, snapshot: Snapshot) -> None:
    write_entries(writer, snapshot.entries)
    writer.write_items(snapshot.roles, lambda role: writer.write_int("i32", role))
    writer.write_int("i32", snapshot.columns)
    writer.write_int("i32", snapshot.rows)


_PLACE: Final = Streamed(_read_place, _write_place)
_PLACES: Final = Streamed(_read_places, _write_places)
_ENTRIES: Final = Streamed(read_entries, write_entries)
_SNAPSHOT: Final = Streamed(_read_snapshot, _write_snapshot)

TABLE_TYPES: Final[UserTypes] = MappingProxyType({
    "ModelIndex": _PLACE,
    "QtPrivate::ModelIndex": _PLACE,
    "IndexList": _PLACES,
    "QtPrivate::IndexList": _PLACES,
    "DataEntries": _ENTRIES,
    "QtPrivate::DataEntries": _ENTRIES,
    "MetaAndDataEntries": _SNAPSHOT,
    "QtPrivate::MetaAndDataEntries": _SNAPSHOT,
    "Qt::Orientation": 4,
    "QItemSelectionModel::SelectionFlags": 4,
})  # fmt: skip
"""What a stream must know to read models, whatever the peer calls them."""


class Written:
    """Makes values of the types of models, in one dialect."""

    def __init__(self, dialect: Dialect) -> None:
        self.names = names_in(dialect)
        self._dialect = dialect

    def indexes(self, places: Sequence[tuple[int, int]]) -> UserTyped:
        """Return the place of a cell."""
        writer = self._writer()
        _write_places(writer, places)
        return UserTyped(self.names.indexes, writer.to_bytes())

    def entries(self, entries: Sequence[Entry]) -> UserTyped:
        """Return cells."""
        writer = self._writer()
        write_entries(writer, entries)
        return UserTyped(self.names.entries, writer.to_bytes())

    def rows(
        self, parent: Sequence[tuple[int, int]], first: int, rows: Iterable[Row], columns: range, general: General
    ) -> UserTyped:
        """Return rows of cells, or fewer when they are large; *general* makes QVariants of what is not plain."""
        return UserTyped(self.names.entries, write_rows(self._dialect.order, parent, first, rows, columns, general))

    def snapshot(self, snapshot: Snapshot) -> UserTyped:
        """Return the first cells."""
        writer = self._writer()
        _write_snapshot(writer, snapshot)
        return UserTyped(self.names.snapshot, writer.to_bytes())

    def integers(self, numbers: Sequence[int]) -> UserTyped:
        """Return roles or sections."""
        return UserTyped(self.names.integers, self._numbers(numbers))

    def orientations(self, numbers: Sequence[int]) -> UserTyped:
        """Return orientations."""
        return UserTyped(self.names.orientations, self._numbers(numbers))

    def role_names(self, names: Mapping[int, str]) -> UserTyped:
        """Return the names of roles for QML."""
        writer = self._writer()
        writer.write_named("QHash<int,QByteArray>", {role: name.encode() for role, name in names.items()})
        return UserTyped(self.names.role_names, writer.to_bytes())

    def _numbers(self, numbers: Sequence[int]) -> bytes:
        writer = self._writer()
        writer.write_items(numbers, lambda number: writer.write_int("i32", number))
        return writer.to_bytes()

    def _writer(self) -> Writer:
        return Writer(order=self._dialect.order, version=self._dialect.version, types=TABLE_TYPES)


def size(rows: int, columns: int) -> Size:
    """Return the size of a table as Qt sends it."""
    return Size(columns, rows)


def definition(dialect: Dialect) -> ClassDefinition:
    """Return the class definition that a model has, for who attaches to it as to any object."""
    names = names_in(dialect)
    one, many, orientations = names.indexes, names.integers, names.orientations
    signals = (
        ("availableRolesChanged()", ()),
        (f"dataChanged({one},{one},{many})", ("topLeft", "bottomRight", "roles")),
        (f"rowsInserted({one},int,int)", ("parent", "start", "end")),
        (f"rowsRemoved({one},int,int)", ("parent", "start", "end")),
        (f"rowsMoved({one},int,int,{one},int)", ("sourceParent", "sourceRow", "count", "destinationParent", "row")),
        (f"currentChanged({one},{one})", ("current", "previous")),
        ("modelReset()", ()),
        ("headerDataChanged(Qt::Orientation,int,int)", ("orientation", "first", "last")),
        (f"columnsInserted({one},int,int)", ("parent", "start", "end")),
        (f"layoutChanged({one},QAbstractItemModel::LayoutChangeHint)", ("parents", "hint")),
    )
    methods = (
        (f"replicaSizeRequest({one})", "QSize", ("parentList",)),
        (f"replicaRowRequest({one},{one},{many})", names.entries, ("start", "end", "roles")),
        (f"replicaHeaderRequest({orientations},{many},{many})", "QVariantList", ("orientations", "sections", "roles")),
        (f"replicaSetCurrentIndex({one},QItemSelectionModel::SelectionFlags)", "void", ("index", "command")),
        (f"replicaSetData({one},QVariant,int)", "void", ("index", "value", "role")),
        (f"replicaCacheRequest(size_t,{many})", names.snapshot, ("size", "roles")),
    )
    return ClassDefinition(
        type_name=ADAPTER,
        signals=tuple(SignalDef(signature, parameters) for signature, parameters in signals),
        methods=tuple(MethodDef(signature, result, parameters) for signature, result, parameters in methods),
        properties=(
            PropertyDef("availableRoles", many, "availableRolesChanged()"),
            PropertyDef("roleNames", "QIntHash", None),
        ),
    )
