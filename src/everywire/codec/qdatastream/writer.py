"""Writing QVariants: of the natural type of a Python value, or of the exact type that the caller asks for."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any, Final

from everywire.codec.qdatastream.layouts import NO_TYPES, Streamed, UserTypes, enumeration, members_of
from everywire.codec.qdatastream.names import (
    ALIASES,
    CORE,
    FLAGS,
    LISTS,
    MAPS,
    PAIRS,
    QT_GADGETS,
    TypeName,
    name_on_wire,
    number_on_wire,
    parse_type_name,
)
from everywire.codec.qdatastream.natural import natural_type, plain_value, type_of_exactly
from everywire.codec.qdatastream.reader import MAX_DEPTH, PICKLE
from everywire.codec.qdatastream.stream import DEFAULT_VERSION, ByteWriter, Integer, Order, as_data, expect
from everywire.codec.qdatastream.types import ObjectReference, Typed, TypeId, UserTyped
from everywire.codec.qdatastream.values import VALUES
from everywire.errors import ModelError


class Writer(ByteWriter):
    """Collects QVariants. A value that does not fit raises `ModelError`; the writer is of no further use then.

    `types` are the user types that `Typed` may name; `nested_version` is that of the streams inside values.
    """

    def __init__(
        self,
        *,
        order: Order = "<",
        version: int = DEFAULT_VERSION,
        types: UserTypes = NO_TYPES,
        nested_version: int = DEFAULT_VERSION,
        max_depth: int = MAX_DEPTH,
    ) -> None:
        super().__init__(order=order, version=version)
        self._types = types
        self._nested_version = nested_version
        self._levels_left = max_depth

    def write_variant(self, value: object) -> None:
        """A QVariant of the natural type of `value` (see `natural_type`), or of the type that `Typed` asks for.

        None is an invalid QVariant. Enums and flags travel as int, timedelta as qlonglong milliseconds, dataclasses
        and msgspec structs as QVariantMap of their fields.
        """
        type_id = type_of_exactly(value)
        if type_id is not None:
            self.write_variant_as(type_id, value)
            return
        match value:
            case None:
                self.write_int("u32", TypeId.INVALID)
                self.write_bool(True)
            case Typed():
                self._write_typed(value)
            case UserTyped():
                self._write_user_head(value.type_name)
                self.write_raw(value.payload)
            case ObjectReference():
                self._write_reference(value)
            case timedelta():
                self.write_variant_as(TypeId.LONG_LONG, value // timedelta(milliseconds=1))
            case _:
                plain = plain_value(value)
                self.write_variant_as(natural_type(plain), plain)

    def write_variant_as(self, type_id: TypeId, value: object) -> None:
        """A QVariant of exactly this type; `ModelError` if `value` is none."""
        if type_id is TypeId.FLOAT16:
            self._write_user_head("qfloat16")  # Qt before 6.5 has no number for it; the name is known to all
        else:
            self.write_int("u32", number_on_wire(type_id, self.version))
            self.write_bool(type_id is TypeId.NULLPTR)
        self.write_as(type_id, value)

    def write_as(self, type_id: TypeId, value: Any) -> None:
        """The bare value of a type given by number, without the head of a QVariant."""
        match type_id:
            case TypeId.QVARIANT_MAP | TypeId.QVARIANT_HASH:
                expect(value, dict, type_id.name)
                self._nested(lambda: self._write_map(value, self._write_key, self._write_inner))
            case TypeId.QVARIANT_LIST:
                expect(value, (list, tuple), type_id.name)
                self._nested(lambda: self.write_items(value, self._write_inner))
            case TypeId.QVARIANT:
                self._nested(lambda: self._write_inner(value))
            case _ if type_id in VALUES:
                VALUES[type_id].write(self, value)
            case _:
                raise ModelError(f"{type_id.name} cannot be sent, its form on the wire is not known here")

    def write_named(self, type_name: str, value: object) -> None:
        """The bare value of a type given by its C++ name ("QList<int>"), without the head of a QVariant."""
        self._write_parsed(self._name(type_name)[1], value)

    def write_variant_named(self, type_name: str, value: object) -> None:
        """A QVariant of exactly the C++ type of this name, in the form in which Qt Remote Objects sends it.

        An enum goes as an integer of its size, a QVariant as what is in it. Since version 20 containers of gadgets have
        a stream of their own, as `QRemoteObjectPackets::QSQ_` and `QAS_`.
        """
        name, wanted = self._name(type_name)
        if name == "QVariant":
            self.write_variant(value)
        elif self.version >= 20 and self._is_gadget_container(wanted):
            self._nested(lambda: self._write_gadget_container(name, wanted, value))
        else:
            self._write_variant_of(name, wanted, value)

    def _write_reference(self, value: ObjectReference) -> None:
        self._write_user_head("QRemoteObjectPackets::QRO_")
        self.write_string(value.name)
        self.write_string(value.type_name)
        self.write_int("u8", value.kind)
        self.write_bytes(value.definition)
        self.write_bool(value.parameters is None)
        if value.parameters is not None:
            self.write_bytes(value.parameters)

    def _write_typed(self, value: Typed) -> None:
        if isinstance(value.type, TypeId):
            self.write_variant_as(value.type, value.value)
        else:
            self.write_variant_named(value.type, value.value)

    def _write_inner(self, value: object) -> None:
        """A QVariant inside a value, where Qt Remote Objects leaves containers of gadgets as they are.

        An enum is an integer here too. Qt 6 writes its name, which only peers with the same class of the same name can
        read, and Qt 5 writes what nobody can read.
        """
        if not isinstance(value, Typed) or isinstance(value.type, TypeId):
            self.write_variant(value)
        elif value.type == "QVariant":
            self._write_inner(value.value)
        else:
            self._write_variant_of(*self._name(value.type), value.value)

    def _name(self, type_name: str) -> tuple[str, TypeName]:
        """What the head of a QVariant calls the type, and what the type is."""
        if type_name in self._types:
            return type_name, TypeName(type_name)
        wanted = parse_type_name(type_name)
        if wanted is None:
            raise ModelError(f"{type_name!r} is not the name of a C++ type")
        is_alias_of_qt_5 = type_name in ALIASES and self.version < 20
        return type_name if is_alias_of_qt_5 else name_on_wire(wanted, self.version), wanted

    def _write_variant_of(self, name: str, wanted: TypeName, value: object) -> None:
        number, enum_type = CORE.get(name), enumeration(wanted, self._types, self.version)
        if number is not None:
            self.write_variant_as(number, value)
        elif enum_type is not None:
            byte = TypeId.SIGNED_CHAR if self.version >= 20 else TypeId.CHAR
            number = byte if enum_type[0] == 1 else TypeId.SHORT if enum_type[0] == 2 else TypeId.INT
            self.write_variant_as(number, _enum_value(value, _SIGNED[number]))
        else:
            self._write_user_head(name)
            self._write_parsed(wanted, value)

    def _write_user_head(self, type_name: str) -> None:
        if type_name == PICKLE:
            raise ModelError(f"a {PICKLE} is never sent: whoever reads it runs what is in it")
        self.write_int("u32", number_on_wire(TypeId.USER, self.version))
        self.write_bool(False)
        self.write_c_string(type_name)

    def _write_parsed(self, wanted: TypeName, value: Any) -> None:
        name, arguments = wanted
        each = [self._writer_of(argument) for argument in arguments]
        if not each or name == FLAGS:
            self._write_plain(wanted, value)
        elif name in LISTS and len(each) == 1:
            expect(value, _SETS if name == "QSet" else _LISTS, name)
            self._nested(lambda: self.write_items(value, each[0]))
        elif name in MAPS and len(each) == 2:
            expect(value, dict, name)
            self._nested(lambda: self._write_map(value, each[0], each[1]))
        elif name in PAIRS and len(each) == 2:
            if len(expect(value, _LISTS, name)) != 2:
                raise ModelError(f"a {name} has 2 values, not {len(value)}")
            self._nested(lambda: [write(item) for write, item in zip(each, value, strict=True)])
        else:
            raise _unknown(name)

    def _writer_of(self, wanted: TypeName) -> Callable[[Any], None]:
        codec = None if wanted.arguments else VALUES.get(CORE.get(wanted.name, TypeId.USER))
        return partial(self._write_parsed, wanted) if codec is None else partial(codec.write, self)

    def _write_plain(self, wanted: TypeName, value: Any) -> None:
        name, enum_type = wanted.name, enumeration(wanted, self._types, self.version)
        layout = self._types.get(name)
        match layout:
            case _ if name in CORE:
                self.write_as(CORE[name], value)
            case _ if enum_type is not None:
                self.write_int(enum_type[1], _enum_value(value, enum_type[1]))
            case str():
                self._nested(lambda: self.write_named(layout, value))
            case Streamed():
                self._nested(lambda: layout.write(self, value))
            case tuple():
                self._nested(lambda: self._write_gadget(name, layout, value))
            case _:
                raise _unknown(name)

    def _write_gadget(self, name: str, layout: tuple[tuple[str, str], ...], value: object) -> None:
        members = members_of(plain_value(value), tuple(member for member, _ in layout), name)
        for (_, type_name), member in zip(layout, members, strict=True):
            self.write_variant_named(type_name, member)

    def _is_gadget_container(self, wanted: TypeName) -> bool:
        name, arguments = wanted
        if not ((name in LISTS and len(arguments) == 1) or (name in MAPS and len(arguments) == 2)):
            return False
        last = arguments[-1]
        return not last.arguments and (last.name in QT_GADGETS or isinstance(self._types.get(last.name), tuple))

    def _write_gadget_container(self, name: str, wanted: TypeName, value: Any) -> None:
        """QSQ_ or QAS_: the names of the types, and a big-endian stream with them again and the items."""
        is_map = wanted.name in MAPS
        names = [name_on_wire(argument, self.version) for argument in wanted.arguments]
        inner = Writer(
            order=">",
            version=self._nested_version,
            types=self._types,
            nested_version=self._nested_version,
            max_depth=self._levels_left,
        )
        for each in names:
            inner.write_bytes(as_data(each))
        inner._write_parsed(wanted, value)
        self._write_user_head("QRemoteObjectPackets::QAS_" if is_map else "QRemoteObjectPackets::QSQ_")
        for each in (name, *names):
            self.write_bytes(as_data(each))
        self.write_bytes(inner.to_bytes())

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


_LISTS: Final = (list, tuple)
_SETS: Final = (list, tuple, set, frozenset)
_SIGNED: Final[dict[TypeId, Integer]] = {
    TypeId.SIGNED_CHAR: "i8",
    TypeId.CHAR: "i8",
    TypeId.SHORT: "i16",
    TypeId.INT: "i32",
}


def _unknown(name: str) -> ModelError:
    return ModelError(f"{name!r} cannot be sent by name; give its layout in `types`, or its bytes as a UserTyped")


def _enum_value(value: object, kind: Integer) -> int:
    """The number of an enum; one that only an unsigned integer of this width could hold goes as the same bits."""
    number = plain_value(value)
    if isinstance(number, bool) or not isinstance(number, int):
        raise ModelError(f"a value of type {type(value).__qualname__} cannot be sent as an enum")
    bits = int(kind[1:])
    return number - 2**bits if kind[0] == "i" and 2 ** (bits - 1) <= number < 2**bits else number
