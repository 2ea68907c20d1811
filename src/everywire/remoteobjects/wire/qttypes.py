"""Which Qt type a contract's type travels as, and values between the two; decides by MAPPINGS 2 and 3, packs nothing.

`lower` turns a checked value into the plain value that the codec writes under the type's number; `lift` turns what the
codec read, whatever Qt type the peer chose, into a checked value.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from functools import partial
from typing import Any, Final, NamedTuple, TypeGuard
from uuid import UUID

import msgspec

from everywire.codec.qdatastream import Opaque, Typed, TypeId
from everywire.codec.qdatastream.names import CORE
from everywire.codec.qdatastream.types import Value
from everywire.codec.qdatastream.values import TYPE_OF_VALUE
from everywire.errors import ModelError
from everywire.model.marks import Mark
from everywire.model.names import camel
from everywire.model.types import (
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
    type_name,
)
from everywire.remoteobjects.rep.cpptypes import cpp_type, field_name
from everywire.remoteobjects.rep.marks import enum_size
from everywire.remoteobjects.wire.typenames import Foreign, Nullable, Sent


class QtType(NamedTuple):
    """A type of Qt: the number in a QVariant and the name in a class definition."""

    number: TypeId
    name: str


_INTEGERS: Final[Mapping[tuple[int, bool], QtType]] = {
    (8, True): QtType(TypeId.SIGNED_CHAR, "signed char"),  # "char" is text to PySide, which fails on negative ones
    (8, False): QtType(TypeId.UCHAR, "uchar"),
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
    if isinstance(node, StructOf) and node.cls in TYPE_OF_VALUE:
        return QtType(TYPE_OF_VALUE[node.cls], cpp_type(node))
    if isinstance(node, (DictOf, StructOf)):
        return QtType(TypeId.QVARIANT_MAP, "QVariantMap")
    if isinstance(node, (Nullable, Sent)):
        return qt_type(node.item if isinstance(node, Nullable) else node.declared)
    return _PLAIN.get(node, VARIANT)


def lower(node: Type, value: Any, *, exact: bool = False) -> Any:
    """Return a checked *value* as the codec writes it under the number of `qt_type`.

    *exact* is for replicas generated from a .rep: keys of maps keep their types, and values of QVariants have them.
    """
    if isinstance(node, EnumType):
        return enum_number(node, value)
    if node == DURATION:
        return (value // timedelta(microseconds=1) + 500) // 1000  # whole numbers: a float would lose digits
    if isinstance(node, ListOf):
        return [_part(node.item, item, exact=exact) for item in value]
    if isinstance(node, TupleOf):
        nodes = node.items * len(value) if node.variadic else node.items
        return [_part(item, part, exact=exact) for item, part in zip(nodes, value, strict=True)]
    if isinstance(node, DictOf):
        name = partial(lower, node.key, exact=True) if exact else partial(_key_text, node.key)
        return {name(key): _part(node.value, item, exact=exact) for key, item in value.items()}
    if isinstance(node, StructOf):
        if node.cls in TYPE_OF_VALUE:
            return value  # QPoint and its like are types of their own
        return {field_name(f): _part(f.type, getattr(value, f.name), f.marks, exact=exact) for f in node.fields}
    if isinstance(node, OptionalOf):
        return None if value is None else lower(node.item, value, exact=exact)
    if isinstance(node, Sent):
        return _lower_sent(node.declared, value, exact=exact)
    return _lower_any(value) if isinstance(node, AnyType) else value


def _part(node: Type, value: Any, marks: tuple[Mark, ...] = (), *, exact: bool) -> Any:
    """Lower what is inside of a value."""
    raw = lower(node, value, exact=exact)
    return present(node, raw) if exact and cpp_type(node, marks) == VARIANT.name else raw


def present(node: Type, raw: Any) -> Any:
    """Return a lowered value that goes as a QVariant, with the exact C++ type of what may be absent."""
    if raw is None or not isinstance(node, OptionalOf) or isinstance(node.item, (OptionalOf, AnyType)):
        return raw
    name = cpp_type(node.item)
    return Typed(CORE.get(name, name), raw)


def lift(node: Type, raw: Any) -> Any:
    """Return what the codec read as a checked value of *node*; raise ModelError when it cannot be one."""
    try:
        return node.convert(_lift(node, raw))
    except ModelError:
        raise
    except (ValueError, TypeError, ArithmeticError) as error:  # a structure's own checks, a span beyond timedelta
        raise ModelError(f"not a {type_name(node)}: {error}") from error


def enum_number(node: EnumType, value: enum.Enum) -> int:
    """Return the number of an enum or flag in Qt, where each is a signed integer: the top bit is the sign."""
    number = node.to_int(value)
    if -128 <= number < 128:
        return number
    bits = 8 * min(enum_size(node.cls), 4)
    return number if number < 1 << bits - 1 else number - (1 << bits)


def enum_member(node: EnumType, number: int) -> enum.Enum:
    """Return the member that `enum_number` gave *number*; raise ModelError for a foreign one."""
    bits = 8 * min(enum_size(node.cls), 4)
    if number < 0 and max(node.keys.values(), default=0) >= 1 << bits - 1:
        number += 1 << bits
    return node.from_int(number)


def _lift(node: Type, raw: Any) -> Any:
    if isinstance(node, EnumType):
        return _lift_enum(node, raw)
    if isinstance(node, OptionalOf):
        return None if raw is None else _lift(node.item, raw)
    if node == DURATION and isinstance(raw, (int, float)):
        return timedelta(milliseconds=raw)
    if isinstance(node, ListOf) and _is_list(raw):
        return [_lift(node.item, item) for item in raw]
    if isinstance(node, TupleOf) and _is_list(raw):
        nodes = node.items * len(raw) if node.variadic else node.items
        if len(nodes) != len(raw):
            raise ModelError(f"expected {len(nodes)} items, got {len(raw)}")
        return tuple(_lift(item, part) for item, part in zip(nodes, raw, strict=True))
    if isinstance(node, DictOf) and _is_map(raw):
        return {_key_of(node.key, key): _lift(node.value, item) for key, item in raw.items()}
    if isinstance(node, StructOf) and _is_map(raw):
        return _lift_struct(node, raw)
    return _lift_any(raw) if isinstance(node, AnyType) else raw


def _lift_enum(node: EnumType, raw: Any) -> Any:
    if isinstance(raw, bool) or not isinstance(raw, int):
        raise refuse(raw, node.name)
    return enum_member(node, raw)


def _lift_struct(node: StructOf, raw: Mapping[Any, Any]) -> dict[str, Any]:
    fields = {field.name: field for field in node.fields} | {field_name(field): field for field in node.fields}
    found: dict[str, Any] = {}
    for key, item in raw.items():
        field = fields.get(key)
        if field is None:
            raise ModelError(f"{node.name} has no field {str(key)[:80]!r}")
        found[field.name] = _lift(field.type, item)
    return found


def _key_text(node: Type, key: Any) -> str:
    """Return a key of a map as text, the only keys that a QVariantMap has."""
    if isinstance(node, EnumType):
        return str(key.name)
    if node == BOOL:
        return "true" if key else "false"
    if node == DURATION:
        return str(lower(node, key))
    if node in _KEYS_OF_TEXT or isinstance(node, (Int, Float)):
        return key.isoformat() if isinstance(key, (date, time)) else str(key)
    raise ModelError(f"a QVariantMap has text keys, which a {type_name(node)} cannot become")


def _key_of(node: Type, key: Any) -> Any:
    """Return the key that `_key_text` made a text of; other keys, of maps with types of their own, lifted."""
    if not isinstance(key, str):
        return _lift(node, key)
    try:
        if isinstance(node, EnumType):
            return node.cls[key]
        if isinstance(node, (Int, Float)):
            return int(key) if isinstance(node, Int) else float(key)
        return _KEYS_OF_TEXT[node](key)
    except (KeyError, ValueError, OverflowError):
        raise ModelError(f"{key[:80]!r} is not a key of type {type_name(node)}") from None


_KEYS_OF_TEXT: Final[Mapping[Type, Callable[[str], Any]]] = {
    STR: str,
    BOOL: {"true": True, "false": False}.__getitem__,
    DATE: date.fromisoformat,
    TIME: time.fromisoformat,
    DATETIME: datetime.fromisoformat,
    DURATION: lambda text: timedelta(milliseconds=int(text)),
    UUID_: UUID,
}


def _lower_sent(declared: Type, value: Any, *, exact: bool) -> Any:
    if isinstance(declared, Foreign):
        return declared.typed(_lower_any(value))
    return lower(declared, declared.convert(value), exact=exact)


def _lower_any(value: Any) -> Any:
    if isinstance(value, enum.Enum):
        return EnumType(type(value)).to_int(value)
    if _is_list(value):
        return [_lower_any(item) for item in value]
    if _is_map(value):
        return {str(key): _lower_any(item) for key, item in value.items()}
    if isinstance(value, Value):
        return value  # QPoint and its like are types of their own
    if isinstance(value, msgspec.Struct):
        return {camel(name): _lower_any(getattr(value, name)) for name in value.__struct_fields__}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {camel(f.name): _lower_any(getattr(value, f.name)) for f in dataclasses.fields(value)}
    return value


def _lift_any(raw: Any) -> Any:
    """Return a value of unknown type: Qt's own structures as they are, opaque ones (pickles) as their bytes."""
    if isinstance(raw, Opaque):
        return raw.data
    if _is_list(raw):
        return [_lift_any(item) for item in raw]
    if _is_map(raw):
        return {str(key): _lift_any(item) for key, item in raw.items()}
    return raw


def _is_list(value: Any) -> TypeGuard[Sequence[Any]]:
    return isinstance(value, (list, tuple))


def _is_map(value: Any) -> TypeGuard[Mapping[Any, Any]]:
    return isinstance(value, dict)
