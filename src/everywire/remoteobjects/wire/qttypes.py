"""Which Qt type a contract's type travels as, and values between the two; decides by MAPPINGS 2 and 3, packs nothing.

`lower` turns a checked value into the plain value that the codec writes under the type's number; `lift` turns what the
codec read, whatever Qt type the peer chose, into a checked value.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final, NamedTuple

import msgspec

from everywire.codec.qdatastream import Opaque, TypeId, Writer
from everywire.errors import ModelError
from everywire.model.names import camel, snake
from everywire.model.types import (
    ANY,
    BOOL,
    BYTES,
    DATE,
    DATETIME,
    DURATION,
    STR,
    TIME,
    UUID_,
    AnyType,
    DictOf,
    EnumType,
    Float,
    Int,
    ListOf,
    OptionalOf,
    StructOf,
    TupleOf,
    Type,
    refuse,
)


class QtType(NamedTuple):
    """A type of Qt: the number in a QVariant and the name in a class definition."""

    number: TypeId
    name: str


_INTEGERS: Final[Mapping[tuple[int, bool], QtType]] = {
    (8, True): QtType(TypeId.INT, "int"),  # Qt's char types are text to many of its consumers
    (8, False): QtType(TypeId.INT, "int"),
    (16, True): QtType(TypeId.SHORT, "short"),
    (16, False): QtType(TypeId.USHORT, "ushort"),
    (32, True): QtType(TypeId.INT, "int"),
    (32, False): QtType(TypeId.UINT, "uint"),
    (64, True): QtType(TypeId.LONG_LONG, "qlonglong"),
    (64, False): QtType(TypeId.ULONG_LONG, "qulonglong"),
}

_PLAIN: Final[Mapping[Type, QtType]] = {
    BOOL: QtType(TypeId.BOOL, "bool"),
    STR: QtType(TypeId.QSTRING, "QString"),
    BYTES: QtType(TypeId.QBYTE_ARRAY, "QByteArray"),
    DATETIME: QtType(TypeId.QDATE_TIME, "QDateTime"),
    DATE: QtType(TypeId.QDATE, "QDate"),
    TIME: QtType(TypeId.QTIME, "QTime"),
    DURATION: QtType(TypeId.LONG_LONG, "qlonglong"),
    UUID_: QtType(TypeId.QUUID, "QUuid"),
}

VARIANT: Final = QtType(TypeId.INVALID, "QVariant")
"""Stands for any type: the value itself says which."""


def qt_type(node: Type) -> QtType:
    """Return what *node* travels as to a dynamic listener: only types that every Qt knows."""
    if isinstance(node, Int):
        return _INTEGERS[node.bits, node.signed]
    if isinstance(node, Float):
        return QtType(TypeId.DOUBLE, "double") if node.bits == 64 else QtType(TypeId.FLOAT, "float")
    if isinstance(node, EnumType):
        return QtType(TypeId.INT, "int")
    if isinstance(node, (ListOf, TupleOf)):
        text = isinstance(node, ListOf) and node.item == STR
        return QtType(TypeId.QSTRING_LIST, "QStringList") if text else QtType(TypeId.QVARIANT_LIST, "QVariantList")
    if isinstance(node, (DictOf, StructOf)):
        return QtType(TypeId.QVARIANT_MAP, "QVariantMap")
    return _PLAIN.get(node, VARIANT)


def python_type(name: str, enums: Mapping[str, EnumType]) -> Type:
    """Return the contract's type for a type name in a foreign class definition; Any for one without a twin."""
    plain = name.removeprefix("const ").removesuffix("&").strip()
    found = enums.get(plain) or enums.get(plain.rpartition("::")[2])
    return found or _FROM_NAME.get(plain, ANY)


_FROM_NAME: Final[Mapping[str, Type]] = {
    "bool": BOOL,
    "int": Int(32),
    "uint": Int(32, signed=False),
    "qint32": Int(32),
    "quint32": Int(32, signed=False),
    "short": Int(16),
    "qint16": Int(16),
    "ushort": Int(16, signed=False),
    "quint16": Int(16, signed=False),
    "char": Int(8),
    "qint8": Int(8),
    "uchar": Int(8, signed=False),
    "quint8": Int(8, signed=False),
    "qlonglong": Int(),
    "qint64": Int(),
    "long": Int(),
    "qulonglong": Int(64, signed=False),
    "quint64": Int(64, signed=False),
    "ulong": Int(64, signed=False),
    "double": Float(),
    "qreal": Float(),
    "float": Float(32),
    "QString": STR,
    "QByteArray": BYTES,
    "QDateTime": DATETIME,
    "QDate": DATE,
    "QTime": TIME,
    "QUuid": UUID_,
    "QStringList": ListOf(STR),
    "QList<QString>": ListOf(STR),
    "QVariantList": ListOf(ANY),
    "QList<QVariant>": ListOf(ANY),
    "QVariantMap": DictOf(STR, ANY),
    "QMap<QString,QVariant>": DictOf(STR, ANY),
}


def lower(node: Type, value: Any) -> Any:
    """Return a checked *value* as the codec writes it under the number of `qt_type`."""
    if isinstance(node, EnumType):
        return node.to_int(value)
    if node is DURATION or node == DURATION:
        return round(value / timedelta(milliseconds=1))
    if isinstance(node, ListOf):
        return [lower(node.item, item) for item in value]
    if isinstance(node, TupleOf):
        nodes = node.items * len(value) if node.variadic else node.items
        return [lower(item, part) for item, part in zip(nodes, value, strict=True)]
    if isinstance(node, DictOf):
        return {_key_text(node.key, key): lower(node.value, item) for key, item in value.items()}
    if isinstance(node, StructOf):
        return {camel(field.name): lower(field.type, getattr(value, field.name)) for field in node.fields}
    if isinstance(node, OptionalOf):
        return None if value is None else lower(node.item, value)
    return _lower_any(value) if isinstance(node, AnyType) else value


def lift(node: Type, raw: Any) -> Any:
    """Return what the codec read as a checked value of *node*; raise ModelError when it cannot be one."""
    return node.convert(_lift(node, raw))


def variant(node: Type, value: Any) -> bytes:
    """Return a checked *value* as a whole QVariant, head included."""
    writer = Writer()
    number = qt_type(node).number
    raw = lower(node, value)
    if number is TypeId.INVALID:
        writer.write_variant(raw)
    else:
        writer.write_variant_as(number, raw)
    return writer.to_bytes()


def _lift(node: Type, raw: Any) -> Any:
    if isinstance(node, EnumType):
        return _lift_enum(node, raw)
    if isinstance(node, OptionalOf):
        return None if raw is None else _lift(node.item, raw)
    if node == DURATION and isinstance(raw, (int, float)):
        return timedelta(milliseconds=raw)
    if isinstance(node, ListOf) and isinstance(raw, (list, tuple)):
        return [_lift(node.item, item) for item in raw]
    if isinstance(node, TupleOf) and isinstance(raw, (list, tuple)):
        nodes = node.items * len(raw) if node.variadic else node.items
        if len(nodes) != len(raw):
            raise ModelError(f"expected {len(nodes)} items, got {len(raw)}")
        return tuple(_lift(item, part) for item, part in zip(nodes, raw, strict=True))
    if isinstance(node, DictOf) and isinstance(raw, Mapping):
        return {_key_of(node.key, key): _lift(node.value, item) for key, item in raw.items()}
    if isinstance(node, StructOf) and isinstance(raw, Mapping):
        return _lift_struct(node, raw)
    return _lift_any(raw) if isinstance(node, AnyType) else raw


def _lift_enum(node: EnumType, raw: Any) -> Any:
    if isinstance(raw, bool) or not isinstance(raw, int):
        raise refuse(raw, node.name)
    return node.from_int(raw)


def _lift_struct(node: StructOf, raw: Mapping[Any, Any]) -> dict[str, Any]:
    fields = {field.name: field.type for field in node.fields}
    found: dict[str, Any] = {}
    for key, item in raw.items():
        name = key if key in fields else snake(str(key))
        found[name] = _lift(fields[name], item) if name in fields else item
    return found


def _key_text(node: Type, key: Any) -> str:
    if isinstance(key, enum.Enum) and isinstance(node, EnumType):
        return key.name
    return key if isinstance(key, str) else str(key)


def _key_of(node: Type, key: Any) -> Any:
    """Return the key that `_key_text` made a text of."""
    if isinstance(node, EnumType):
        if key not in node.cls.__members__:
            raise ModelError(f"{key!r} is not a {node.name}")
        return node.cls[key]
    if isinstance(node, (Int, Float)) and isinstance(key, str):
        try:
            return int(key) if isinstance(node, Int) else float(key)
        except ValueError:
            raise ModelError(f"{key!r} is not a number") from None
    return key == "True" if node == BOOL else key


def _lower_any(value: Any) -> Any:
    if isinstance(value, enum.Enum):
        return EnumType(type(value)).to_int(value)
    if isinstance(value, (list, tuple)):
        return [_lower_any(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _lower_any(item) for key, item in value.items()}
    if isinstance(value, msgspec.Struct):
        return {camel(name): _lower_any(getattr(value, name)) for name in value.__struct_fields__}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {camel(f.name): _lower_any(getattr(value, f.name)) for f in dataclasses.fields(value)}
    return value


def _lift_any(raw: Any) -> Any:
    """Return a value of unknown type: Qt's own structures as they are, opaque ones (pickles) as their bytes."""
    if isinstance(raw, Opaque):
        return raw.data
    if isinstance(raw, (list, tuple)):
        return [_lift_any(item) for item in raw]
    if isinstance(raw, dict):
        return {str(key): _lift_any(item) for key, item in raw.items()}
    return raw
