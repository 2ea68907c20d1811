"""What Qt calls a type, for the annotations by which qdbusxml2cpp knows which C++ types to write."""

from __future__ import annotations

from typing import Final

from everywire.dbus.codec.signatures import Node
from everywire.model.types import DictOf, ListOf, OptionalOf, StructOf, TupleOf, Type

_BASIC: Final = {
    "y": "uchar", "b": "bool", "n": "short", "q": "ushort", "i": "int", "u": "uint", "x": "qlonglong",
    "t": "qulonglong", "d": "double", "s": "QString", "o": "QDBusObjectPath", "g": "QDBusSignature",
    "h": "QDBusUnixFileDescriptor", "v": "QDBusVariant", "as": "QStringList", "ay": "QByteArray",
    "av": "QVariantList", "a{sv}": "QVariantMap",
}  # fmt: skip
_TOLD: Final = frozenset({"av", "a{sv}"})
"""Which of those are told nevertheless: newer versions of qdbusxml2cpp ask for the second, and both belong together."""
_KNOWN: Final = frozenset({*_BASIC, "ao", "ag"}) - _TOLD


def qt_annotation(node: Type, code: Node) -> str:
    """Return the C++ type to annotate for a value of the type *node* and the signature *code*; empty if Qt knows it."""
    return "" if str(code) in _KNOWN else _qt_name(node, code)


def _qt_name(node: Type, code: Node) -> str:
    if (known := _BASIC.get(str(code))) is not None:
        return known
    if code.code == "(":
        if isinstance(node, StructOf):
            return node.name
        items = _joined(_parts_of(node, len(code.parts)), code.parts)
        return f"std::pair<{items}>" if len(code.parts) == 2 else f"std::tuple<{items}>"
    (item,) = code.parts
    if item.code == "{":
        return f"QMap<{_joined(_parts_of(node, 2), item.parts)}>"
    return f"QList<{_qt_name(_item_of(node), item)}>"


def _joined(nodes: tuple[Type, ...], codes: tuple[Node, ...]) -> str:
    return ",".join(_qt_name(node, code) for node, code in zip(nodes, codes, strict=True))


def _parts_of(node: Type, count: int) -> tuple[Type, ...]:
    """Return the types of the parts of *node*; itself for each where it has a form of its own on the wire."""
    return node.parts if len(node.parts) == count else (node,) * count


def _item_of(node: Type) -> Type:
    match node:
        case ListOf() | OptionalOf():
            return node.item
        case TupleOf():
            return node.items[0]
        case DictOf():  # with keys that are no basic type: an array of pairs
            return TupleOf((node.key, node.value))
        case _:
            return node
