"""Signatures as trees (D-Bus Specification, "Valid Signatures")."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from everywire.errors import ModelError
from everywire.model.types import short

LONGEST: Final = 255
"""Bytes of a signature."""
DEEPEST: Final = 32
"""Arrays within arrays, and structs within structs, of one signature."""
BASIC: Final = frozenset("ybnqiuxtdsogh")
"""Types without parts; only they can be keys."""
NUMBERS: Final = {"y": "B", "n": "h", "q": "H", "i": "i", "u": "I", "x": "q", "t": "Q", "d": "d", "h": "I"}
"""Types that are a number as the struct module writes it, and as long as its alignment."""
ALIGNMENT: Final = {
    "y": 1, "b": 4, "n": 2, "q": 2, "i": 4, "u": 4, "x": 8, "t": 8, "d": 8, "h": 4,
    "s": 4, "o": 4, "g": 1, "v": 1, "a": 4, "(": 8, "{": 8,
}  # fmt: skip
"""What divides the place where a value begins."""


@dataclass(frozen=True, slots=True)
class Node:
    """One complete type: its code (``(`` for a struct, ``{`` for a dict entry), and what it consists of."""

    code: str
    parts: tuple[Node, ...] = ()

    def __str__(self) -> str:
        inner = "".join(map(str, self.parts))
        match self.code:
            case "(":
                return f"({inner})"
            case "{":
                return f"{{{inner}}}"
            case _:
                return self.code + inner


@lru_cache(1024)
def parse_signature(signature: str) -> tuple[Node, ...]:
    """Return the complete types in *signature*; raise ModelError when it is not one."""
    if len(signature) > LONGEST:
        raise _wrong(signature, f"it is longer than {LONGEST} bytes")
    nodes: list[Node] = []
    at = 0
    while at < len(signature):
        node, at = _parse(signature, at, 0, 0)
        nodes.append(node)
    return tuple(nodes)


@lru_cache(1024)
def layout_of(signature: str, order: str) -> struct.Struct | None:
    """Return how bodies of *signature* are laid out when they are numbers alone; None when there is anything else."""
    codes, size = order, 0
    for node in parse_signature(signature):
        if node.code not in NUMBERS:
            return None
        number = NUMBERS[node.code]
        width = struct.calcsize(number)
        padding = -size % width
        codes += "x" * padding + number
        size += padding + width
    return struct.Struct(codes) if size else None


def check_signature(signature: str) -> str:
    """Return *signature*; raise ModelError when it is not one."""
    parse_signature(signature)
    return signature


def _parse(signature: str, at: int, arrays: int, structs: int) -> tuple[Node, int]:
    if arrays > DEEPEST or structs > DEEPEST:
        raise _wrong(signature, f"it is deeper than {DEEPEST} arrays or structs")
    code = signature[at : at + 1]
    if code in BASIC or code == "v":
        return Node(code), at + 1
    if code == "a":
        if signature[at + 1 : at + 2] == "{":
            return _parse_dict(signature, at + 2, arrays + 1, structs)
        item, at = _parse(signature, at + 1, arrays + 1, structs)
        return Node("a", (item,)), at
    if code == "(":
        parts: list[Node] = []
        at += 1
        while signature[at : at + 1] != ")":
            part, at = _parse(signature, at, arrays, structs + 1)
            parts.append(part)
        if not parts:
            raise _wrong(signature, "a struct needs a member")
        return Node("(", tuple(parts)), at + 1
    raise _wrong(signature, f"there is no type {code!r}" if code else "it ends too early")


def _parse_dict(signature: str, at: int, arrays: int, structs: int) -> tuple[Node, int]:
    if signature[at : at + 1] not in BASIC or at >= len(signature):
        raise _wrong(signature, "a key has a basic type")
    value, end = _parse(signature, at + 1, arrays, structs + 1)
    if signature[end : end + 1] != "}":
        raise _wrong(signature, "a dict entry has one key and one value")
    return Node("a", (Node("{", (Node(signature[at]), value)),)), end + 1


def _wrong(signature: str, why: str) -> ModelError:
    return ModelError(f"{short(signature)!r} is no signature: {why}")
