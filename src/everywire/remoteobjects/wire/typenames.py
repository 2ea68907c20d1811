"""What the C++ type names of foreign class definitions mean to a contract. Values are converted elsewhere.

Qt hands an argument to a slot by its address, without a look at its type: a value of another type than the declared
one is misread, or ends the program. So each type here goes back exactly as it was announced, or not at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from everywire.codec.qdatastream import Typed, TypeId
from everywire.codec.qdatastream.names import CORE, LISTS, MAPS, PAIRS, TypeName, parse_type_name
from everywire.errors import ModelError
from everywire.model.types import (
    ANY,
    BOOL,
    BYTES,
    DATE,
    DATETIME,
    STR,
    TIME,
    UUID_,
    AnyType,
    DictOf,
    Float,
    Int,
    ListOf,
    OptionalOf,
    TupleOf,
    Type,
)


@dataclass(frozen=True, slots=True)
class Nullable(OptionalOf):
    """QDate, QTime and QDateTime can be null: None stands for that, and travels as that, not as an invalid QVariant."""


@dataclass(frozen=True, slots=True)
class Foreign(AnyType):
    """A C++ type without a twin in contracts: read as whatever comes, sent under its own name, shown as a variant."""

    qt_name: str

    def typed(self, raw: object) -> Typed:
        """Return *raw* so that it is written as exactly this type."""
        parsed = parse_type_name(self.qt_name)
        return Typed(CORE.get(self.qt_name, self.qt_name), raw if parsed is None else _with_keys_of(parsed, raw))

    def refused(self, error: ModelError) -> ModelError:
        """Return the error for a value that cannot be written as this type, for the reason *error*."""
        if _is_known(self.qt_name):
            return error
        return ModelError(
            f"the Qt side declares a {self.qt_name[:80]!r}, which cannot be sent from here ({error}); "
            "declare a type of QtCore there, QVariant for instance"
        )


@dataclass(frozen=True, slots=True)
class Sent(Type):
    """An argument that fits a type of ours and travels as the type that its receiver has *declared*."""

    declared: Type


def python_type(name: str, enums: Mapping[str, Type]) -> Type:
    """Return the contract's type for a type name in a foreign class definition."""
    plain = name.removeprefix("const ").removesuffix("&").strip()
    found = enums.get(plain) or enums.get(plain.rpartition("::")[2])
    if found is not None:
        return found
    twin = _TWINS.get(plain)
    if twin is None and plain in CORE:
        twin = _OF_NUMBER.get(CORE[plain])
    if twin is None and "<" in plain:
        twin = _container(parse_type_name(plain))
    return twin or Foreign(plain)


def _container(name: TypeName | None) -> Type | None:
    """Return the type of a container of what contracts know; None for any other."""
    if name is None or (not name.arguments and name.name not in CORE):
        return None
    if not name.arguments:
        return _OF_NUMBER.get(CORE[name.name])
    parts = [part for part in map(_container, name.arguments) if part is not None]
    if len(parts) != len(name.arguments):
        return None
    if name.name in LISTS and len(parts) == 1:
        return ListOf(parts[0])
    if name.name in MAPS and len(parts) == 2 and parts[0].immutable:
        return DictOf(*parts)
    return TupleOf(tuple(parts)) if name.name in PAIRS and len(parts) == 2 else None


_OF_NUMBER: Final[Mapping[TypeId, Type]] = {
    TypeId.BOOL: BOOL,
    TypeId.SIGNED_CHAR: Int(8),
    TypeId.UCHAR: Int(8, signed=False),
    TypeId.SHORT: Int(16),
    TypeId.USHORT: Int(16, signed=False),
    TypeId.INT: Int(32),
    TypeId.UINT: Int(32, signed=False),
    TypeId.LONG_LONG: Int(),
    TypeId.ULONG_LONG: Int(64, signed=False),
    TypeId.DOUBLE: Float(),
    TypeId.FLOAT: Float(32),
    TypeId.QSTRING: STR,
    TypeId.QBYTE_ARRAY: BYTES,
    TypeId.QDATE_TIME: Nullable(DATETIME),
    TypeId.QDATE: Nullable(DATE),
    TypeId.QTIME: Nullable(TIME),
    TypeId.QUUID: UUID_,
    TypeId.QSTRING_LIST: ListOf(STR),
    TypeId.QVARIANT: ANY,
    TypeId.QVARIANT_LIST: ListOf(ANY),
    TypeId.QVARIANT_MAP: DictOf(STR, ANY),
}

_TWINS: Final[Mapping[str, Type]] = {
    "QList<QString>": ListOf(STR),
    "QList<QVariant>": ListOf(ANY),
    "QMap<QString,QVariant>": DictOf(STR, ANY),
}
"""Other names of the types above."""


def _with_keys_of(wanted: TypeName, raw: Any) -> Any:
    """Return *raw* with the keys of its maps as numbers where those of *wanted* are: in a variant they are text."""
    name, arguments = wanted
    untouched: Any = raw
    if name in LISTS and len(arguments) == 1 and isinstance(raw, (list, tuple)):
        return [_with_keys_of(arguments[0], item) for item in cast("list[Any]", raw)]
    if name in MAPS and len(arguments) == 2 and isinstance(raw, dict):
        items = cast("dict[Any, Any]", raw).items()
        return {_key_of(arguments[0], key): _with_keys_of(arguments[1], item) for key, item in items}
    if name in PAIRS and isinstance(raw, (list, tuple)) and len(arguments) == len(cast("list[Any]", raw)):
        return [_with_keys_of(part, item) for part, item in zip(arguments, cast("list[Any]", raw), strict=True)]
    return untouched


def _key_of(wanted: TypeName, key: Any) -> Any:
    number = CORE.get(wanted.name)
    if not isinstance(key, str) or (number is not None and not isinstance(_OF_NUMBER.get(number), (Int, Float))):
        return key
    try:
        return float(key) if number in (TypeId.DOUBLE, TypeId.FLOAT) else int(key)  # an enum is a number as well
    except ValueError:
        return key  # which the codec refuses, and says what it is


def _is_known(name: str) -> bool:
    """Whether the codec knows the type by itself: one of QtCore, or a container of such."""
    parsed = parse_type_name(name)
    return parsed is not None and _consists_of_core(parsed)


def _consists_of_core(name: TypeName) -> bool:
    if not name.arguments:
        return name.name in CORE
    return name.name in LISTS | MAPS | PAIRS and all(map(_consists_of_core, name.arguments))
