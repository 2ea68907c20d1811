"""Which type a plain Python value travels as when nobody asks for another. No bytes are written here."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Sequence
from datetime import date, datetime, time
from typing import Final, cast
from uuid import UUID

import msgspec

from everywire.codec.qdatastream.types import TypeId, Value
from everywire.codec.qdatastream.values import TYPE_OF_VALUE
from everywire.errors import ModelError

_TYPE_OF_CLASS: Final[tuple[tuple[type, TypeId], ...]] = (
    (bool, TypeId.BOOL),  # before int, whose subclass it is
    (float, TypeId.DOUBLE),
    (str, TypeId.QSTRING),
    (bytes, TypeId.QBYTE_ARRAY),
    (bytearray, TypeId.QBYTE_ARRAY),
    (memoryview, TypeId.QBYTE_ARRAY),
    (dict, TypeId.QVARIANT_MAP),
    (datetime, TypeId.QDATE_TIME),  # before date, whose subclass it is
    (date, TypeId.QDATE),
    (time, TypeId.QTIME),
    (UUID, TypeId.QUUID),
)
_TYPE_OF_EXACTLY: Final[dict[type, TypeId]] = dict(_TYPE_OF_CLASS)


def type_of_exactly(value: object) -> TypeId | None:
    """The natural type of a value of one of the plain classes themselves, quickly; None for all others."""
    return _type_of_int(value) if type(value) is int else _TYPE_OF_EXACTLY.get(type(value))


def natural_type(value: object) -> TypeId:
    """The type that a plain Python value travels as when nobody asks for another.

    int is int, qlonglong or qulonglong, whichever is the first to hold it; a list of nothing but text is QStringList.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return _type_of_int(value)
    if isinstance(value, (list, tuple)):
        items = cast("Sequence[object]", value)
        is_text = bool(items) and all(isinstance(item, str) and not isinstance(item, enum.Enum) for item in items)
        return TypeId.QSTRING_LIST if is_text else TypeId.QVARIANT_LIST
    if isinstance(value, Value) and type(value) in TYPE_OF_VALUE:
        return TYPE_OF_VALUE[type(value)]
    for cls, type_id in _TYPE_OF_CLASS:
        if isinstance(value, cls):
            return type_id
    raise ModelError(f"a value of type {type(value).__qualname__} cannot be sent as a QVariant")


def plain_value(value: object) -> object:
    """Enums and structures as what they travel as; everything else as it is."""
    match value:
        case enum.Enum():
            if not isinstance(value.value, int):
                raise ModelError(f"{value!r} cannot be sent as a QVariant: the value of an enum must be an int")
            return int(value.value)
        case Value():
            return value
        case msgspec.Struct():
            return {name: getattr(value, name) for name in value.__struct_fields__}
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        case _:
            return value


def _type_of_int(value: int) -> TypeId:
    if -(2**31) <= value < 2**31:
        return TypeId.INT
    if -(2**63) <= value < 2**63:
        return TypeId.LONG_LONG
    if 0 <= value < 2**64:
        return TypeId.ULONG_LONG
    raise ModelError(f"an int of {value.bit_length()} bits cannot be sent as a QVariant, 64 is the most")
