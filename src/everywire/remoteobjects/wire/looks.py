"""As which Qt type a contract's type travels to one kind of peer; the bytes of single values.

A dynamic listener gets only what every Qt knows (`qttypes`), a replica generated from a .rep exactly what C++ declares
(`rep.cpptypes`). `Wired` is a contract's type with that decision made; encoders and decoders are compiled from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

from everywire.codec.qdatastream import NO_TYPES, Enumeration, Typed, TypeId, UserTypes, Writer
from everywire.codec.qdatastream.names import CORE
from everywire.codec.qdatastream.values import TYPE_OF_VALUE
from everywire.errors import ModelError
from everywire.model import Contract
from everywire.model.marks import Mark
from everywire.model.reading import named_types
from everywire.model.types import EnumType, Int, StructOf, Type
from everywire.remoteobjects.codec import QTRO_2_0, Dialect
from everywire.remoteobjects.rep.cpptypes import cpp_type, field_name
from everywire.remoteobjects.rep.marks import CppType, enum_size
from everywire.remoteobjects.rep.names import enum_name
from everywire.remoteobjects.rep.texts import qualified
from everywire.remoteobjects.wire.qttypes import VARIANT, QtType, lower, present, qt_type
from everywire.remoteobjects.wire.typenames import Foreign, Sent


class Wired(NamedTuple):
    """A contract's type, and the Qt type it travels as."""

    node: Type
    number: TypeId
    """USER for types by C++ name, INVALID for a QVariant of whatever type."""
    name: str
    exact: bool = False
    """Whether what is inside has the types that C++ declares, too."""


def wired(node: Type, marks: tuple[Mark, ...] = (), *, exact: bool = False) -> Wired:
    """Return what *node* travels as to a dynamic listener, or, if *exact*, to a replica generated from a .rep."""
    if not exact:
        told = (qualified(mark.name).type for mark in marks if isinstance(mark, CppType))
        named = next(filter(_is_builtin, told), None)
        return Wired(node, *qt_type(node)) if named is None else Wired(node, CORE[named], named)
    name = cpp_type(node, marks)
    if isinstance(node, EnumType):
        return Wired(node, _ENUMS[enum_size(node.cls)], name, exact=True)
    if isinstance(node, Int) and name not in CORE:
        name = cpp_type(node)  # an enum that C++ has elsewhere travels as its number
    number = VARIANT.number if name == VARIANT.name else CORE.get(name, TypeId.USER)
    return Wired(node, number, name, exact=True)


def variant(look: Wired, value: Any, dialect: Dialect = QTRO_2_0, types: UserTypes = NO_TYPES) -> bytes:
    """Return a checked *value* as a whole QVariant, head included; *types* are those by C++ name that may occur."""
    writer = Writer(
        order=dialect.order, version=dialect.version, types=types, nested_version=dialect.nested_version
    )
    raw = lower(look.node, value, exact=look.exact)
    try:
        writer.write_variant(typed(look, raw))
    except ModelError as error:
        if isinstance(look.node, Sent) and isinstance(look.node.declared, Foreign):
            raise look.node.declared.refused(error) from error
        raise
    return writer.to_bytes()


def typed(look: Wired, raw: Any) -> Any:
    """Return a lowered value as what a `Writer` writes as exactly this type."""
    if look.number is VARIANT.number:
        return present(look.node, raw) if look.exact else raw
    if raw is None and look.exact:
        raw = _EMPTY.get(look.name)
    return Typed(look.name if look.number is TypeId.USER else look.number, raw)


_EMPTY: Final[Mapping[str, Any]] = {
    "QCborValue": b"\xf6",
    "QCborArray": b"\x80",
    "QCborMap": b"\xa0",
    "QJsonObject": {},
    "QJsonArray": [],
    "QJsonDocument": {},
}
"""What stands for None where C++ declares a type that always has a value."""


def user_types(contract: Contract) -> UserTypes:
    """Return the structs and enums of *contract* as C++ has them."""
    found: dict[str, Any] = {}
    for member in contract.members.values():
        for node in named_types(member):
            found.update(types_in(node))
            if isinstance(node, EnumType):
                owners = (contract.name, f"{contract.name}Source", f"{contract.name}Replica")
                found.update({f"{owner}::{enum_name(node.cls)}": _layout(node) for owner in owners})
    return found


@lru_cache(maxsize=4096)
def types_in(node: Type) -> UserTypes:
    """Return the structs and enums inside a type as C++ has them."""
    found: dict[str, Any] = {}
    for part in node.parts:
        found.update(types_in(part))
    if isinstance(node, EnumType):
        found.update(dict.fromkeys((node.name, enum_name(node.cls), cpp_type(node)), _layout(node)))
    elif isinstance(node, StructOf) and node.cls not in TYPE_OF_VALUE:
        found[node.name] = tuple((field_name(field), cpp_type(field.type, field.marks)) for field in node.fields)
    return found


def _layout(node: EnumType) -> Enumeration:
    return Enumeration.of_repc(tuple(node.keys.values()), enum_size(node.cls))


_ENUMS: Final[Mapping[int, TypeId]] = {
    1: TypeId.SIGNED_CHAR,
    2: TypeId.SHORT,
    4: TypeId.INT,
    8: TypeId.INT,  # as Qt does, which asks for nothing but one, two and other
}


def _is_builtin(name: str) -> bool:
    return name in CORE and name != VARIANT.name


__all__ = ("QtType", "Wired", "typed", "types_in", "user_types", "variant", "wired")
