"""Child objects as property values: what stands in an `ObjectReference`, whose inner streams are big endian always.

A child is known by the name that its reference gives it, is in no list of objects and needs no `AddObject`: the
reference brings its values, and to dynamic listeners its class.
"""

from __future__ import annotations

import enum
from typing import Any, Final

from everywire.codec.qdatastream import NO_TYPES, ObjectReference, Reader, UserTypes, Writer
from everywire.remoteobjects.codec.definition import (
    ClassDefinition,
    decode_definition,
    encode_definition,
    read_gadgets,
)
from everywire.remoteobjects.codec.dialect import Dialect


class ReferenceKind(enum.IntEnum):
    """What a reference stands for."""

    CLASS = 0
    MODEL = 1
    GADGET = 2


_PREFIXES: Final = {ReferenceKind.CLASS: "Class", ReferenceKind.MODEL: "Model"}
RESERVED_PREFIXES: Final = tuple(f"{prefix}::" for prefix in _PREFIXES.values())
"""How names of children begin."""


def child_name(parent: str, prop: str, dialect: Dialect, kind: ReferenceKind = ReferenceKind.CLASS) -> str:
    """Return what Qt calls the child that the property *prop* of the object *parent* holds.

    Qt 5 leaves the parent out, so there two objects cannot have children in properties of one name.
    """
    return f"{_PREFIXES[kind]}::{prop}" if dialect.is_qt5 else f"{_PREFIXES[kind]}::{parent}::{prop}"


def encode_class(definition: ClassDefinition, dialect: Dialect) -> bytes:
    """Return a class as references carry it."""
    return encode_definition(definition, version=dialect.nested_version)


def encode_values(values: tuple[object, ...], dialect: Dialect, types: UserTypes = NO_TYPES) -> bytes:
    """Return the values of a child's properties as references carry them."""
    version = dialect.nested_version
    writer = Writer(order=">", version=version, nested_version=version, types=types)
    writer.write_items(values, writer.write_variant)
    return writer.to_bytes()


def class_in(reference: ObjectReference, dialect: Dialect) -> ClassDefinition | None:
    """Return the class of a child, None where the reference does not bring it; raise RemoteProtocolError."""
    if not reference.definition:
        return None
    return decode_definition(reference.definition, version=dialect.nested_version)


def values_in(reference: ObjectReference, dialect: Dialect, types: UserTypes) -> tuple[Any, ...]:
    """Return the values of a child's properties; raise RemoteProtocolError, of a null reference too."""
    reader = Reader(reference.parameters or b"", order=">", version=dialect.nested_version, types=types)
    values = tuple(reader.read_items(reader.read_variant))
    reader.expect_end()
    return values


def gadget_in(reference: ObjectReference, dialect: Dialect) -> object:
    """Return the value of a gadget, a dict, that its host sends with what it is for lack of a better occasion."""
    reader = Reader(reference.definition, order=">", version=dialect.nested_version)
    qt_enums, gadgets = read_gadgets(reader)
    definition = ClassDefinition(qt_enums=qt_enums, gadgets=gadgets)
    types = definition.user_types()
    inner = Reader(reference.parameters or b"", order=">", version=dialect.nested_version, types=types)
    value = inner.read_variant()
    inner.expect_end()
    return value
