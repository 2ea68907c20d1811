"""The C++ type that a contract's type is in a .rep file, and on the wire to a replica generated from one."""

from __future__ import annotations

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
from everywire.remoteobjects.rep.marks import CppType

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


def cpp_type(node: Type, marks: tuple[Mark, ...] = ()) -> str:
    """Return the C++ type of values of *node*: what a `CppType` among *marks* says, else the nearest one."""
    for mark in marks:
        if isinstance(mark, CppType):
            return mark.name
    if isinstance(node, Int):
        return _INTEGERS[node.bits, node.signed]
    if isinstance(node, Float):
        return "double" if node.bits == 64 else "float"
    if isinstance(node, ListOf):
        return _LISTS.get(node.item) or f"QList<{cpp_type(node.item)}>"
    if isinstance(node, DictOf):
        if (node.key, node.value) == (STR, ANY):
            return "QVariantMap"
        return f"QMap<{cpp_type(node.key)},{cpp_type(node.value)}>"
    if isinstance(node, StructOf):
        core = values.TYPE_OF_VALUE.get(node.cls)
        return node.name if core is None else _NAMES[core]
    return node.name if isinstance(node, EnumType) else _PLAIN.get(node, "QVariant")


_LISTS: Final[Mapping[Type, str]] = {STR: "QStringList", ANY: "QVariantList"}
