"""Qt's item models in bytes: the types of `QAbstractItemModelAdapter`, which Qt names by version, and its members.

Every peer knows the class without being told. What it calls the types it says with its first request: Qt 5, Qt 6.2 to
6.4 and Qt 6.5 and later have names of their own, and none understands those of the others.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import msgspec

from everywire.codec.qdatastream import Reader, Size, Streamed, UserTyped, UserTypes, Writer
from everywire.errors import RemoteProtocolError
from everywire.remoteobjects.codec.definition import ClassDefinition, MethodDef, PropertyDef, SignalDef
from everywire.remoteobjects.codec.dialect import Dialect
from everywire.remoteobjects.codec.packets import ADAPTER

MOST_DEEP: Final = 64
"""Levels of a tree in one answer, and in the place of a cell."""


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


class Place(NamedTuple):
    """One step on the way to a cell: QtPrivate::ModelIndex."""

    row: int
    column: int


Places = tuple[Place, ...]
"""The way to a cell from the root, which is `()`."""


class Entry(msgspec.Struct, frozen=True):
    """One cell: its place, its values in the order of the roles, and what is below it."""

    places: Places
    values: Sequence[Any]
    children: bool = False
    flags: int = 0
    below: Sequence[Entry] = ()
    rows: int = -1
    columns: int = -1


class Names(msgspec.Struct, frozen=True):
    """What one generation of Qt calls the types of models."""

    indexes: str
    entries: str
    snapshot: str
    integers: str
    orientations: str


QT_5: Final = Names("IndexList", "DataEntries", "MetaAndDataEntries", "QVector<int>", "QVector<Qt::Orientation>")
QT_6_2: Final = Names(
    "QList<ModelIndex>", "DataEntries", "MetaAndDataEntries", "QList<int>", "QList<Qt::Orientation>"
)
QT_6_5: Final = Names(
    "QList<QtPrivate::ModelIndex>",
    "QtPrivate::DataEntries",
    "QtPrivate::MetaAndDataEntries",
    "QList<int>",
    "QList<Qt::Orientation>",
)
ANY_QT_6: Final = Names(
    "QtPrivate::IndexList",
    "QtPrivate::DataEntries",
    "QtPrivate::MetaAndDataEntries",
    "QList<int>",
    "QList<Qt::Orientation>",
)
"""What every host of Qt 6 understands."""

_SPELT: Final[Mapping[str, Names]] = {
    "IndexList": QT_5,
    "QList<ModelIndex>": QT_6_2,
    "QVector<ModelIndex>": QT_6_2,
    "QList<QtPrivate::ModelIndex>": QT_6_5,
    "QVector<QtPrivate::ModelIndex>": QT_6_5,
    "QtPrivate::IndexList": QT_6_5,
}


def names_of(type_name: str) -> Names | None:
    """Return the generation of who calls an argument so; None when that does not say."""
    return _SPELT.get(type_name)


def spoken_to(dialect: Dialect) -> Names:
    """Return the names by which a host of *dialect* is asked."""
    return QT_5 if dialect.is_qt5 else ANY_QT_6


# ------------------------------------------------------------------------------------------------------------ reading
def _read_place(reader: Reader) -> Place:
    return Place(reader.read_int("i32"), reader.read_int("i32"))


def _read_places(reader: Reader) -> Places:
    places = tuple(reader.read_items(lambda: _read_place(reader)))
    if len(places) > MOST_DEEP:
        raise RemoteProtocolError(f"a cell {len(places)} levels deep; {MOST_DEEP} are the most")
    return places


def _read_entry(reader: Reader, depth: int = MOST_DEEP) -> Entry:
    if depth == 0:
        raise RemoteProtocolError("entries of a model nested too deeply")
    places = _read_places(reader)
    values = reader.read_items(reader.read_variant)
    children, flags = reader.read_bool(), reader.read_int("i32")
    below = reader.read_items(lambda: _read_entry(reader, depth - 1))
    columns, rows = reader.read_int("i32"), reader.read_int("i32")
    return Entry(places, values, children, flags, below, rows, columns)


def _read_entries(reader: Reader) -> list[Entry]:
    return reader.read_items(lambda: _read_entry(reader))


class Snapshot(msgspec.Struct, frozen=True):
    """The answer to `CACHE`: the first cells of a model, and its size."""

    entries: Sequence[Entry]
    roles: Sequence[int]
    rows: int
    columns: int


def _read_snapshot(reader: Reader) -> Snapshot:
    entries, roles = _read_entries(reader), reader.read_items(lambda: reader.read_int("i32"))
    columns, rows = reader.read_int("i32"), reader.read_int("i32")
    return Snapshot(entries, roles, rows, columns)


# ------------------------------------------------------------------------------------------------------------ writing
def _write_place(writer: Writer, place: tuple[int, int]) -> None:
    writer.write_int("i32", place[0])
    writer.write_int("i32", place[1])


def _write_places(writer: Writer, places: Sequence[tuple[int, int]]) -> None:
    writer.write_items(places, lambda place: _write_place(writer, place))


def _write_entry(writer: Writer, entry: Entry) -> None:
    _write_places(writer, entry.places)
    writer.write_items(entry.values, writer.write_variant)
    writer.write_bool(entry.children)
    writer.write_int("i32", entry.flags)
    writer.write_items(entry.below, lambda below: _write_entry(writer, below))
    writer.write_int("i32", entry.columns)
    writer.write_int("i32", entry.rows)


def _write_entries(writer: Writer, entries: Sequence[Entry]) -> None:
    writer.write_items(entries, lambda entry: _write_entry(writer, entry))


def _write_snapshot(writer: Writer, snapshot: Snapshot) -> None:
    _write_entries(writer, snapshot.entries)
    writer.write_items(snapshot.roles, lambda role: writer.write_int("i32", role))
    writer.write_int("i32", snapshot.columns)
    writer.write_int("i32", snapshot.rows)


_PLACE: Final = Streamed(_read_place, _write_place)
_PLACES: Final = Streamed(_read_places, _write_places)
_ENTRIES: Final = Streamed(_read_entries, _write_entries)
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
    """Makes values of the types of models, in one dialect and under the names of one generation."""

    def __init__(self, dialect: Dialect, names: Names) -> None:
        self.names = names
        self._dialect = dialect

    def indexes(self, places: Sequence[tuple[int, int]]) -> UserTyped:
        """Return the place of a cell."""
        writer = self._writer()
        _write_places(writer, places)
        return UserTyped(self.names.indexes, writer.to_bytes())

    def entries(self, entries: Sequence[Entry]) -> UserTyped:
        """Return cells."""
        writer = self._writer()
        _write_entries(writer, entries)
        return UserTyped(self.names.entries, writer.to_bytes())

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
        return UserTyped("QIntHash" if self._dialect.is_qt5 else "QHash<int,QByteArray>", writer.to_bytes())

    def _numbers(self, numbers: Sequence[int]) -> bytes:
        writer = self._writer()
        writer.write_items(numbers, lambda number: writer.write_int("i32", number))
        return writer.to_bytes()

    def _writer(self) -> Writer:
        return Writer(order=self._dialect.order, version=self._dialect.version, types=TABLE_TYPES)


def size(rows: int, columns: int) -> Size:
    """Return the size of a table as Qt sends it."""
    return Size(columns, rows)


def definition(names: Names) -> ClassDefinition:
    """Return the class definition that a model has, for who attaches to it as to any object."""
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
