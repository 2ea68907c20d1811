"""Which signature a contract's type travels with, and which type a foreign signature is. Converts no values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from everywire.dbus.codec import Node, parse_signature
from everywire.dbus.wire.markers import PATH, SIGNATURE
from everywire.errors import ModelError
from everywire.model.types import (
    ANY,
    BOOL,
    BYTES,
    DATE,
    DATETIME,
    DESCRIPTOR,
    DURATION,
    STR,
    TIME,
    UUID_,
    AnyType,
    Bytes,
    DictOf,
    EnumType,
    Exact,
    Float,
    Handle,
    Int,
    ListOf,
    OptionalOf,
    StructOf,
    TupleOf,
    Type,
    short,
)

LONGEST: Final = 255
"""Bytes of a signature."""
DEEPEST: Final = 32
"""Arrays within arrays, and structs or dict entries within such."""
MOST_CONTAINERS: Final = 57
"""Containers within containers of one value: a message has 64, and ObjectManager puts every value into seven."""

INTEGERS: Final[Mapping[str, tuple[int, bool]]] = {
    "y": (8, False), "n": (16, True), "q": (16, False), "i": (32, True), "u": (32, False), "x": (64, True),
    "t": (64, False),
}  # fmt: skip
"""Bits and sign of the types of whole numbers."""
BASIC: Final = frozenset("ybnqiuxtdsogh")
"""Types that can be keys of dicts."""

_OF_INT: Final = {shape: code for code, shape in INTEGERS.items()} | {(8, True): "n"}  # there is no signed byte
_OF_EXACT: Final[Mapping[Type, str]] = {
    BOOL: "b", STR: "s", DATETIME: "s", DATE: "s", TIME: "s", DURATION: "x", UUID_: "s",
}  # fmt: skip
_FORMS: Final = (PATH.form, SIGNATURE.form)  # other wires may have forms of their own


class TypeRow(NamedTuple):
    """One line of the table of types."""

    python: str
    signature: str
    meaning: str


TYPE_TABLE: Final = (
    TypeRow("bool", "b", ""),
    TypeRow("int, i64", "x", ""),
    TypeRow("u64", "t", ""),
    TypeRow("i32, u32", "i, u", ""),
    TypeRow("i16, u16", "n, q", ""),
    TypeRow("u8", "y", "`list[u8]` is `ay`, as bytes are"),
    TypeRow("i8", "n", "D-Bus has no signed byte; the range is checked"),
    TypeRow("float, f32", "d", ""),
    TypeRow("str", "s", "without NUL and lone surrogates"),
    TypeRow("ObjectPath", "o", "a text that is checked; plain text on other wires"),
    TypeRow("Signature", "g", "a text that is checked; plain text on other wires"),
    TypeRow("UnixFd", "h", "an open file; other wires refuse the member"),
    TypeRow("bytes", "ay", ""),
    TypeRow("Enum, IntEnum", "s", "the member's name; from other services also its value, as text or number"),
    TypeRow("Flag, IntFlag", "u", "its number; `t` with a bit beyond the 32nd"),
    TypeRow("datetime", "s", "ISO 8601, with its offset if it has one; read from `x`, `t`: microseconds since 1970"),
    TypeRow("date, time, UUID", "s", "ISO 8601; 8-4-4-4-12 digits"),
    TypeRow("timedelta", "x", "microseconds; read from every whole number"),
    TypeRow("list[T], tuple[T, ...]", "aT", ""),
    TypeRow("dict[K, V]", "a{KV}", "`a(KV)` where a key is no basic type: bytes, tuples, structs"),
    TypeRow("tuple[A, B]", "(AB)", "as the result of a slot: two results, `AB`"),
    TypeRow("dataclass, Struct", "(…)", "the fields in order; read from `a{sv}` by name"),
    TypeRow("T | None", "aT", "no item, or one"),
    TypeRow("Any", "v", "see the forms of values in a variant"),
)
"""Python type, signature and what to know, for documentation."""

VARIANT_TABLE: Final = (
    TypeRow("None", "g", "the empty signature"),
    TypeRow("bool, float, str, bytes", "b, d, s, ay", ""),
    TypeRow("int", "x", "`t` beyond 2^63"),
    TypeRow("Enum, Flag", "s, x", "name; number"),
    TypeRow("list, tuple", "av", ""),
    TypeRow("dict, dataclass, Struct", "a{sv}", ""),
    TypeRow("datetime, date, time, timedelta, UUID", "a{sv}", 'as in JSON: `{"$datetime": "2026-11-20T12:00:00"}`'),
)
"""How values of type Any travel inside a variant, for documentation."""


def signature_of(node: Type) -> str:
    """Return the signature of values of *node*; raise ModelError when D-Bus cannot carry them."""
    signature = _signature(node, 0, 0)
    if len(signature) > LONGEST:
        raise ModelError(
            f"{short(node.name)} is a signature of {len(signature)} bytes, and D-Bus has {LONGEST} at most: "
            "use fewer fields, or dict[str, Any]"
        )
    return signature


def body_signature(nodes: Iterable[Type]) -> str:
    """Return the signature of a message with a value of each of *nodes*; raise ModelError when there is none."""
    signature = "".join(map(signature_of, nodes))
    if len(signature) > LONGEST:
        raise ModelError(f"arguments with a signature of {len(signature)} bytes; D-Bus has {LONGEST} at most")
    return signature


def result_types(node: Type | None) -> tuple[Type, ...]:
    """Return the types of a slot's results: a fixed tuple is several, as methods of D-Bus have them."""
    if node is None:
        return ()
    return node.items if isinstance(node, TupleOf) and not node.variadic else (node,)


def type_of_signature(signature: str) -> Type:
    """Return the type that a foreign service's *signature* is; raise ModelError unless it is one complete type."""
    return _type(one_type(signature))


def types_of_signature(signature: str) -> tuple[Type, ...]:
    """Return the types of the values in a body; raise ModelError when *signature* is none."""
    return tuple(map(_type, parse_signature(signature)))


def one_type(signature: str) -> Node:
    """Return the tree of *signature*; raise ModelError unless it is one complete type."""
    nodes = parse_signature(signature)
    if len(nodes) != 1:
        raise ModelError(f"{short(signature)!r} is {len(nodes)} types where one is needed")
    return nodes[0]


def flag_code(node: EnumType) -> str:
    """Return the type of a flag's number."""
    numbers = node.keys.values()
    low, high = min(numbers, default=0), max(numbers, default=0)
    if high >= 1 << 64 or low < -(1 << 63):
        raise ModelError(f"{node.name} has bits beyond the 64th, which no number of D-Bus has")
    return "x" if low < 0 else "t" if high >= 1 << 32 else "u"


# Private.


def _signature(node: Type, arrays: int, structs: int) -> str:
    if arrays > DEEPEST or structs > DEEPEST or arrays + structs > MOST_CONTAINERS:
        raise _too_deep()
    match node:
        case Int():
            return _OF_INT[node.bits, node.signed]
        case Float():
            return "d"
        case Exact():
            return node.form.name if node.form is not None and node.form in _FORMS else _OF_EXACT[node]
        case Bytes():
            return "ay"
        case EnumType():
            return flag_code(node) if node.flag else "s"
        case Handle():
            return "h"
        case AnyType():
            if arrays + structs == MOST_CONTAINERS:
                raise _too_deep()
            return "v"
        case ListOf() | OptionalOf():
            return "a" + _signature(node.item, arrays + 1, structs)
        case TupleOf() if node.variadic:
            return "a" + _signature(node.items[0], arrays + 1, structs)
        case DictOf():
            key, value = (_signature(part, arrays + 1, structs + 1) for part in node.parts)
            return f"a{{{key}{value}}}" if key in BASIC else f"a({key}{value})"
        case TupleOf() | StructOf():
            if not node.parts:
                raise ModelError(f"{node.name} is empty, and a struct of D-Bus needs a member: give it a field")
            return f"({''.join(_signature(part, arrays, structs + 1) for part in node.parts)})"
        case _:
            raise ModelError(f"{node.name} has no type on D-Bus")


def _too_deep() -> ModelError:
    return ModelError(
        f"a type with more than {DEEPEST} arrays, {DEEPEST} structs or {MOST_CONTAINERS} containers in each other "
        "does not go over D-Bus"
    )


_PLAIN: Final[Mapping[str, Type]] = {
    **{code: Int(bits, signed) for code, (bits, signed) in INTEGERS.items()},
    "b": BOOL,
    "d": Float(),
    "s": STR,
    "o": PATH,
    "g": SIGNATURE,
    "h": DESCRIPTOR,
    "v": ANY,
}


def _type(shape: Node) -> Type:
    if shape.code in _PLAIN:
        return _PLAIN[shape.code]
    if shape.code == "(":
        return TupleOf(tuple(map(_type, shape.parts)))
    (item,) = shape.parts
    if item.code == "{":
        return DictOf(*map(_type, item.parts))
    return BYTES if item.code == "y" else ListOf(_type(item))


__all__ = (
    "BASIC",
    "DEEPEST",
    "INTEGERS",
    "LONGEST",
    "MOST_CONTAINERS",
    "TYPE_TABLE",
    "VARIANT_TABLE",
    "TypeRow",
    "body_signature",
    "flag_code",
    "one_type",
    "result_types",
    "signature_of",
    "type_of_signature",
    "types_of_signature",
)
