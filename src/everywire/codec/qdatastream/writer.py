"""Writing QVariants: the natural type for a Python value, or the exact type that the caller asks for."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable, Sequence
from datetime import date, datetime, time, timedelta
from functools import partial
from typing import Any, Final, cast
from uuid import UUID

import msgspec

from everywire.codec.qdatastream.names import CORE, LISTS, MAPS, PAIRS, TypeName, number_on_wire, parse_type_name
from everywire.codec.qdatastream.reader import MAX_DEPTH
from everywire.codec.qdatastream.stream import DEFAULT_VERSION, ByteWriter, Order, expect
from everywire.codec.qdatastream.types import Typed, TypeId, UserTyped, Value
from everywire.codec.qdatastream.values import TYPE_OF_VALUE, VALUES
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


class Writer(ByteWriter):
    """Collects QVariants. A value that does not fit raises `ModelError`; the writer is of no further use then."""

    def __init__(self, *, order: Order = "<", version: int = DEFAULT_VERSION, max_depth: int = MAX_DEPTH) -> None:
        super().__init__(order=order, version=version)
        self._levels_left = max_depth

    def write_variant(self, value: object) -> None:
        """A QVariant of the natural type of `value` (see `natural_type`), or of the type that `Typed` asks for.

        None is an invalid QVariant. Enums and flags travel as int, timedelta as qlonglong milliseconds, dataclasses
        and msgspec structs as QVariantMap of their fields.
        """
        match value:
            case None:
                self.write_int("u32", TypeId.INVALID)
                self.write_bool(True)
            case Typed():
                self._write_typed(value)
            case UserTyped():
                self._write_user_head(value.type_name)
                self.write_raw(value.payload)
            case timedelta():
                self.write_variant_as(TypeId.LONG_LONG, value // timedelta(milliseconds=1))
            case _:
                plain = _plain(value)
                self.write_variant_as(natural_type(plain), plain)

    def write_variant_as(self, type_id: TypeId, value: object) -> None:
        """A QVariant of exactly this type; `ModelError` if `value` is none."""
        self.write_int("u32", number_on_wire(type_id, self.version))
        self.write_bool(type_id is TypeId.NULLPTR)
        self.write_as(type_id, value)

    def write_as(self, type_id: TypeId, value: Any) -> None:
        """The bare value of a type given by number, without the head of a QVariant."""
        match type_id:
            case TypeId.QVARIANT_MAP | TypeId.QVARIANT_HASH:
                expect(value, dict, type_id.name)
                self._nested(lambda: self._write_map(value, self._write_key, self.write_variant))
            case TypeId.QVARIANT_LIST:
                expect(value, (list, tuple), type_id.name)
                self._nested(lambda: self.write_items(value, self.write_variant))
            case TypeId.QVARIANT:
                self._nested(lambda: self.write_variant(value))
            case _ if type_id in VALUES:
                VALUES[type_id].write(self, value)
            case _:
                raise ModelError(f"{type_id.name} cannot be sent, its form on the wire is not known here")

    def write_named(self, type_name: str, value: object) -> None:
        """The bare value of a core type or of a container of core types, given by its C++ name ("QList<int>")."""
        parsed = parse_type_name(type_name)
        if parsed is None:
            raise ModelError(f"{type_name!r} is not the name of a C++ type")
        self._write_parsed(parsed, value)

    def _write_typed(self, value: Typed) -> None:
        if isinstance(value.type, TypeId):
            self.write_variant_as(value.type, value.value)
        else:
            self._write_user_head(value.type)
            self.write_named(value.type, value.value)

    def _write_user_head(self, type_name: str) -> None:
        self.write_int("u32", number_on_wire(TypeId.USER, self.version))
        self.write_bool(False)
        self.write_c_string(type_name)

    def _write_parsed(self, wanted: TypeName, value: Any) -> None:
        name, arguments = wanted
        each = [partial(self._write_parsed, argument) for argument in arguments]
        if name in CORE and not each:
            self.write_as(CORE[name], value)
        elif name in LISTS and len(each) == 1:
            expect(value, (list, tuple), name)
            self._nested(lambda: self.write_items(value, each[0]))
        elif name in MAPS and len(each) == 2:
            expect(value, dict, name)
            self._nested(lambda: self._write_map(value, each[0], each[1]))
        elif name in PAIRS and len(each) == 2:
            if len(expect(value, (list, tuple), name)) != 2:
                raise ModelError(f"a {name} has 2 values, not {len(value)}")
            self._nested(lambda: [write(item) for write, item in zip(each, value, strict=True)])
        else:
            raise ModelError(f"{name!r} cannot be sent by name; encode its bytes and send a UserTyped")

    def _write_map(
        self, value: dict[Any, Any], write_key: Callable[[Any], None], write_value: Callable[[Any], None]
    ) -> None:
        def write_pair(pair: tuple[Any, Any]) -> None:
            write_key(pair[0])
            write_value(pair[1])

        self.write_items(value.items(), write_pair)

    def _write_key(self, key: object) -> None:
        if not isinstance(key, str):
            raise ModelError(f"a QVariantMap has text keys, not {type(key).__qualname__}")
        self.write_string(key)

    def _nested(self, write: Callable[[], object]) -> None:
        if self._levels_left == 0:
            raise ModelError("the value is nested too deeply to be sent, or contains itself")
        self._levels_left -= 1
        write()
        self._levels_left += 1


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


def _type_of_int(value: int) -> TypeId:
    if -(2**31) <= value < 2**31:
        return TypeId.INT
    if -(2**63) <= value < 2**63:
        return TypeId.LONG_LONG
    if 0 <= value < 2**64:
        return TypeId.ULONG_LONG
    raise ModelError(f"an int of {value.bit_length()} bits cannot be sent as a QVariant, 64 is the most")


def _plain(value: object) -> object:
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
