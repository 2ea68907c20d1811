"""The registry of Qt Remote Objects in bytes: an entry says which object is where; entries go by names of Qt's own.

A registry is an object named `Registry` that each peer knows without being told: one property, the table; two signals,
an entry came or went; three methods, to add an entry, to remove one, and to remove all of a host.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType
from typing import Final, cast

import msgspec

from everywire.codec.qdatastream import UserTyped, UserTypes, Writer, record
from everywire.remoteobjects.codec.definition import ClassDefinition, MethodDef, PropertyDef, SignalDef
from everywire.remoteobjects.codec.dialect import Dialect

REGISTRY: Final = "Registry"
"""The name of the object, and of its class."""

ADDED, REMOVED = 0, 1
"""The signals by number."""
ADD_SOURCE, REMOVE_SOURCE, REMOVE_SERVER = 0, 1, 2
"""The methods by number."""

_PAIR: Final = "std::pair<QString,QRemoteObjectSourceLocationInfo>"
_TABLE: Final = "QHash<QString,QRemoteObjectSourceLocationInfo>"
_PAIR_IN_QT_5: Final = "QRemoteObjectSourceLocation"
_TABLE_IN_QT_5: Final = "QRemoteObjectSourceLocations"

REGISTRY_TYPES: Final[UserTypes] = MappingProxyType({
    "QRemoteObjectSourceLocationInfo": record(("typeName", "QString"), ("hostUrl", "QUrl")),
    _PAIR_IN_QT_5: _PAIR,
    _TABLE_IN_QT_5: _TABLE,
})  # fmt: skip
"""What a stream must know to read and write entries, whatever the peer calls them."""


class Location(msgspec.Struct, frozen=True, gc=False):
    """One entry of a registry: an object's name, its class as its host calls it, and the URL of that host."""

    name: str
    type_name: str
    url: str


def written_location(location: Location, dialect: Dialect) -> UserTyped:
    """Return *location* as the argument of a signal or method."""
    writer = _writer(dialect)
    writer.write_named(_PAIR, (location.name, _info(location)))
    return UserTyped(_PAIR_IN_QT_5 if dialect.is_qt5 else _PAIR, writer.to_bytes())


def written_table(locations: Iterable[Location], dialect: Dialect) -> UserTyped:
    """Return *locations* as the value of the registry's property."""
    writer = _writer(dialect)
    writer.write_named(_TABLE, {location.name: _info(location) for location in locations})
    return UserTyped(_TABLE_IN_QT_5 if dialect.is_qt5 else _TABLE, writer.to_bytes())


def read_location(value: object) -> Location | None:
    """Return the entry that a `Reader` made of an argument; None when it made something else."""
    match value:
        case (str(name), {"typeName": str(type_name), "hostUrl": str(url)}):
            return Location(name, type_name, url)
        case _:
            return None


def read_table(value: object) -> dict[str, Location] | None:
    """Return the entries of the registry's property, by name; None when it is something else."""
    if not isinstance(value, dict):
        return None
    entries = cast("dict[object, object]", value)
    found = [read_location(item) for item in entries.items()]
    known = {location.name: location for location in found if location is not None}
    return known if len(known) == len(found) else None


def registry_definition(dialect: Dialect) -> ClassDefinition:
    """Return the class definition for a listener that does not know registries."""
    pair = _PAIR_IN_QT_5 if dialect.is_qt5 else _PAIR
    table = _TABLE_IN_QT_5 if dialect.is_qt5 else _TABLE
    return ClassDefinition(
        type_name=REGISTRY,
        signals=(
            SignalDef(f"remoteObjectAdded({pair})", ("entry",)),
            SignalDef(f"remoteObjectRemoved({pair})", ("entry",)),
        ),
        methods=(
            MethodDef(f"addSource({pair})", "void", ("entry",)),
            MethodDef(f"removeSource({pair})", "void", ("entry",)),
            MethodDef("removeServer(QUrl)", "void", ("url",)),
        ),
        properties=(PropertyDef("sourceLocations", table, None),),
    )


def _info(location: Location) -> dict[str, str]:
    return {"typeName": location.type_name, "hostUrl": location.url}


def _writer(dialect: Dialect) -> Writer:
    return Writer(order=dialect.order, version=dialect.version, types=REGISTRY_TYPES)
