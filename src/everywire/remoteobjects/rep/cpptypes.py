"""The C++ type that a contract's type is in a .rep file, and on the wire to a replica generated from one."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final

from everywire.codec.qdatastream import names, values
from everywire.model.marks import Mark
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
    DictOf,
    EnumType,
    Float,
    Int,
    ListOf,
    StructOf,
    Type,
)
from everywire.remoteobjects.rep.marks import CppType, enum_form
from everywire.remoteobjects.rep.names import enum_name, field_name
from everywire.remoteobjects.rep.texts import qualified

_INTEGERS: Final[Mapping[tuple[int, bool], str]] = {
    (8, True): "qint8",
    (8, False): "uchar",
    (16, True): "short",
    (16, False): "ushort",
    (32, True): "int",
    (32, False): "uint",
    (64, True): "qlonglong",
    (64, False): "qulonglong",
}
_PLAIN: Final[Mapping[Type, str]] = {
    BOOL: "bool",
    STR: "QString",
    BYTES: "QByteArray",
    DATETIME: "QDateTime",
    DATE: "QDate",
    TIME: "QTime",
    DURATION: "qlonglong",
    UUID_: "QUuid",
}
_NAMES: Final = {number: name for name, number in reversed(names.CORE.items())}


def cpp_type(node: Type, marks: tuple[Mark, ...] = (), scope: str = "") -> str:
    """Return the C++ type of values of *node*: what a `CppType` among *marks* says, else the nearest one.

    *scope* is the class or POD in which the type is used, for enums that are declared there.
    """
    for mark in marks:
        if isinstance(mark, CppType):
            return qualified(mark.name).type
    if isinstance(node, Int):
        return _INTEGERS[node.bits, node.signed]
    if isinstance(node, Float):
        return "double" if node.bits == 64 else "float"
    if isinstance(node, ListOf):
        return _LISTS.get(node.item) or f"QList<{cpp_type(node.item, (), scope)}>"
    if isinstance(node, DictOf):
        if (node.key, node.value) == (STR, ANY):
            return "QVariantMap"
        return f"QMap<{cpp_type(node.key, (), scope)},{cpp_type(node.value, (), scope)}>"
    if isinstance(node, StructOf):
        core = values.TYPE_OF_VALUE.get(node.cls)
        return node.name if core is None else _NAMES[core]
    return _enum(node.cls, scope) if isinstance(node, EnumType) else _PLAIN.get(node, "QVariant")


def is_of_qt(node: Type) -> bool:
    """Return whether *node* is a structure that Qt has itself, such as QPoint."""
    return isinstance(node, StructOf) and node.cls in values.TYPE_OF_VALUE


def _enum(cls: type[enum.Enum], scope: str) -> str:
    """Return the name of an enum: repc puts those outside of classes into a class of the name with Enum behind it."""
    form, name = enum_form(cls), enum_name(cls)
    if form.scope:
        return name if form.scope == scope else f"{form.scope}::{name}"
    if form.flag_of is not None:
        return f"{enum_name(form.flag_of)}Enum::{name}"
    return f"{name}{'Flag' if issubclass(cls, enum.Flag) else ''}Enum::{name}"


_LISTS: Final[Mapping[Type, str]] = {STR: "QStringList", ANY: "QVariantList"}

__all__ = ("cpp_type", "field_name", "is_of_qt")
