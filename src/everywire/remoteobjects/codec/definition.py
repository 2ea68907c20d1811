"""Class definitions: what a host tells a dynamic replica about an object. The .rep language and hashes are elsewhere.

The order of signals, methods and properties is their number on the wire.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import Final

import msgspec

from everywire.codec.qdatastream import DEFAULT_VERSION, Enumeration, Layout, Reader, UserTypes, Writer
from everywire.codec.qdatastream.stream import Buffer, Order, as_data, as_text

_BETWEEN_NAMES: Final = re.compile(r"[^\w:]+")

QT_ENUM_SIZE: Final = 4
"""All enums of the Qt namespace are int."""


class EnumDef(msgspec.Struct, frozen=True, gc=False):
    """An enum or flag type; `size` is in bytes, 0 when the host does not know it."""

    name: str
    is_flag: bool
    is_scoped: bool
    size: int
    keys: tuple[tuple[str, int], ...]


class GadgetDef(msgspec.Struct, frozen=True, gc=False):
    """A structure with (name, C++ type) of each property; one without properties only holds enums."""

    name: str
    properties: tuple[tuple[str, str], ...]
    enums: tuple[EnumDef, ...] = ()


class SignalDef(msgspec.Struct, frozen=True, gc=False):
    """A signal: its normalized signature such as "moved(int,QString)", and the names of its parameters."""

    signature: str
    parameters: tuple[str, ...] = ()


class MethodDef(msgspec.Struct, frozen=True, gc=False):
    """A slot or invokable method; a return type of "" or "void" means that nobody waits for a reply."""

    signature: str
    return_type: str = ""
    parameters: tuple[str, ...] = ()


class PropertyDef(msgspec.Struct, frozen=True, gc=False):
    """A property; `notify` is the signature of its change signal, None if it has none.

    Compare `notify` with signals by name only: for containers of gadgets Qt announces different parameter types.
    """

    name: str
    type_name: str
    notify: str | None = None


class ClassDefinition(msgspec.Struct, frozen=True, gc=False):
    """Everything about a class; `type_name` is None for a plain QObject without class info."""

    type_name: str | None = None
    enums: tuple[EnumDef, ...] = ()
    qt_enums: tuple[str, ...] = ()
    gadgets: tuple[GadgetDef, ...] = ()
    signals: tuple[SignalDef, ...] = ()
    methods: tuple[MethodDef, ...] = ()
    properties: tuple[PropertyDef, ...] = ()

    def user_types(self) -> UserTypes:
        """The enums and gadgets by C++ name, as `Reader` and `decode_packet` take them.

        An enum of a class that repc has generated is `Demo::Mode` in signatures. In the values of a source it is
        `DemoSource::Mode`, in those of a replica `DemoReplica::Mode`, where its name occurs at all: in containers.
        A class that a person has written does not say its own name, but what it declares may say that of its enums.
        """
        types: dict[str, Layout] = dict.fromkeys(self.qt_enums, QT_ENUM_SIZE)
        for enum in self.enums:
            types[enum.name] = layout = _enum_layout(enum, of_repc=bool(self.type_name))
            if self.type_name:
                types.update({f"{self.type_name}{role}::{enum.name}": layout for role in ("", "Source", "Replica")})
        for gadget in self.gadgets:
            for enum in gadget.enums:
                # repc puts each enum outside of a class into a gadget of its own.
                of_repc = not gadget.properties and gadget.name == f"{enum.name}Enum"
                types[f"{gadget.name}::{enum.name}"] = _enum_layout(enum, of_repc=of_repc)
            if gadget.properties:
                types[gadget.name] = gadget.properties
        for word in self._words():
            last = word.rpartition("::")[2]
            if last != word and last in types:
                types.setdefault(word, types[last])
        return types

    def _words(self) -> Iterator[str]:
        """Every name of a type in the declarations."""
        yield from (word for prop in self.properties for word in _BETWEEN_NAMES.split(prop.type_name))
        yield from (word for signal in self.signals for word in _BETWEEN_NAMES.split(signal.signature))
        for method in self.methods:
            yield from _BETWEEN_NAMES.split(method.return_type)
            yield from _BETWEEN_NAMES.split(method.signature)


def _enum_layout(enum: EnumDef, *, of_repc: bool) -> Layout:
    return Enumeration.of_repc([number for _, number in enum.keys], enum.size) if of_repc else enum.size


def encode_definition(definition: ClassDefinition, *, order: Order = ">", version: int = DEFAULT_VERSION) -> bytes:
    """A definition as the stream of its own that a child object's `ObjectReference` carries, by default big endian."""
    writer = Writer(order=order, version=version)
    write_definition(writer, definition)
    return writer.to_bytes()


def decode_definition(data: Buffer, *, order: Order = ">", version: int = DEFAULT_VERSION) -> ClassDefinition:
    """The opposite of `encode_definition`; `RemoteProtocolError` for malformed or surplus bytes."""
    reader = Reader(data, order=order, version=version)
    definition = read_definition(reader)
    reader.expect_end()
    return definition


def write_definition(writer: Writer, definition: ClassDefinition) -> None:
    """A definition inside a packet, in the order of the link."""
    writer.write_string(definition.type_name)
    writer.write_items(definition.enums, partial(_write_enum, writer))
    write_gadgets(writer, definition.qt_enums, definition.gadgets)
    writer.write_items(definition.signals, partial(_write_signal, writer))
    writer.write_items(definition.methods, partial(_write_method, writer))
    writer.write_items(definition.properties, partial(_write_property, writer))


def read_definition(reader: Reader) -> ClassDefinition:
    """A definition inside a packet, in the order of the link."""
    type_name = reader.read_optional_string()
    enums = tuple(reader.read_items(lambda: _read_enum(reader)))
    qt_enums, gadgets = read_gadgets(reader)
    return ClassDefinition(
        type_name,
        enums,
        qt_enums,
        gadgets,
        signals=tuple(reader.read_items(lambda: SignalDef(_read_name(reader), _read_names(reader)))),
        methods=tuple(
            reader.read_items(lambda: MethodDef(_read_name(reader), _read_name(reader), _read_names(reader)))
        ),
        properties=tuple(reader.read_items(lambda: _read_property(reader))),
    )


def write_gadgets(writer: Writer, qt_enums: tuple[str, ...], gadgets: tuple[GadgetDef, ...]) -> None:
    """The part about enums of the Qt namespace and gadgets; alone, it is the definition of a gadget's reference."""
    writer.write_items(qt_enums, partial(_write_name, writer))
    writer.write_items(gadgets, partial(_write_gadget, writer))


def read_gadgets(reader: Reader) -> tuple[tuple[str, ...], tuple[GadgetDef, ...]]:
    """The opposite of `write_gadgets`."""
    return _read_names(reader), tuple(reader.read_items(lambda: _read_gadget(reader)))


def _write_enum(writer: Writer, enum: EnumDef) -> None:
    _write_name(writer, enum.name)
    writer.write_bool(enum.is_flag)
    writer.write_bool(enum.is_scoped)
    writer.write_int("u32", enum.size)
    writer.write_items(enum.keys, partial(_write_key, writer))


def _read_enum(reader: Reader) -> EnumDef:
    return EnumDef(
        name=_read_name(reader),
        is_flag=reader.read_bool(),
        is_scoped=reader.read_bool(),
        size=reader.read_int("u32"),
        keys=tuple(reader.read_items(lambda: (_read_name(reader), reader.read_int("i32")))),
    )


def _write_key(writer: Writer, key: tuple[str, int]) -> None:
    _write_name(writer, key[0])
    writer.write_int("i32", key[1])


def _write_gadget(writer: Writer, gadget: GadgetDef) -> None:
    _write_name(writer, gadget.name)
    writer.write_items(gadget.properties, partial(_write_member, writer))
    writer.write_items(gadget.enums, partial(_write_enum, writer))


def _write_member(writer: Writer, member: tuple[str, str]) -> None:
    for text in member:
        _write_name(writer, text)


def _read_gadget(reader: Reader) -> GadgetDef:
    return GadgetDef(
        name=_read_name(reader),
        properties=tuple(reader.read_items(lambda: (_read_name(reader), _read_name(reader)))),
        enums=tuple(reader.read_items(lambda: _read_enum(reader))),
    )


def _write_signal(writer: Writer, signal: SignalDef) -> None:
    _write_name(writer, signal.signature)
    writer.write_items(signal.parameters, partial(_write_name, writer))


def _write_method(writer: Writer, method: MethodDef) -> None:
    _write_name(writer, method.signature)
    _write_name(writer, method.return_type)
    writer.write_items(method.parameters, partial(_write_name, writer))


def _write_property(writer: Writer, prop: PropertyDef) -> None:
    # Here, and only here, Qt streams `const char *`, which carries its NUL.
    writer.write_c_string(prop.name)
    writer.write_c_string(prop.type_name)
    writer.write_bytes(None if prop.notify is None else as_data(prop.notify))


def _read_property(reader: Reader) -> PropertyDef:
    name, type_name, notify = reader.read_c_string(), reader.read_c_string(), reader.read_optional_bytes()
    return PropertyDef(name, type_name, None if notify is None else as_text(notify))


def _write_name(writer: Writer, name: str) -> None:
    writer.write_bytes(as_data(name))


def _read_name(reader: Reader) -> str:
    return as_text(reader.read_bytes())


def _read_names(reader: Reader) -> tuple[str, ...]:
    return tuple(reader.read_items(lambda: _read_name(reader)))
