"""Readers of bodies as one function per signature: what is common stands in line, the rest is called.

A call costs more than what it does for one short value. The generated source holds literals and our own identifiers
only: what a signature says chooses among the pieces below. Where anything is wrong the general reader begins anew and
says what, so there is one place for the words, and one for the rules that are seldom needed.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from functools import lru_cache
from textwrap import indent
from typing import Any, Final

from everywire.dbus.codec._dbusfast import Variant
from everywire.dbus.codec.signatures import ALIGNMENT, BASIC, NUMBERS, Node
from everywire.model.compile import run_source

ReadBody = Callable[[bytes], tuple[Any, ...]]
Read = Callable[[bytes, int, int], tuple[Any, int]]
Reader = Callable[[Node, str], Read]

ZEROS: Final = frozenset(bytes(size) for size in range(8))
"""Every padding there may be."""
MAX_ARRAY: Final = 1 << 26
"""Bytes of an array."""

_MOST_TYPES: Final = 16
"""Types in a signature that is worth it: the source grows with them, and a peer chooses signatures."""
_DEEPEST: Final = 4
"""Containers within containers that stand in line; Python allows 20 blocks within blocks."""

_PADDING = """\
if at & {mask}:
    gap, at = at, at + {mask} & -{size}
    if data[gap:at] not in ZEROS: return general(data)
"""
_NUMBER = """\
{to} = unpack_{code}(data, at)[0]
at += {size}
"""
_BOOLEAN = """\
word = unpack_u(data, at)[0]
if word > 1: return general(data)
{to} = word == 1
at += 4
"""
_TEXT = """\
begin = at + 4
at = begin + unpack_u(data, at)[0]
raw = data[begin:at]
if data[at] or 0 in raw: return general(data)
{to} = raw.decode()
at += 1
"""
_VARIANT = """\
begin = at + 3
content = basic.get(data[at:begin])
if content is None:
    {to}, at = read_variant(data, at, {depth})
else:
    code, unpack, mask, read = content
    at = begin
    if unpack is None:
        part, at = read(data, at, 0)  # what has no parts has no depth
    else:
        if at & mask:
            at = at + mask & ~mask
            if data[begin:at] not in ZEROS: return general(data)
        part = unpack(data, at)[0]
        at += mask + 1
    {to} = Variant(code, part, False)
"""
_LENGTH = """\
size = unpack_u(data, at)[0]
at += 4
"""
_ITEMS = """\
{end} = at + size
if {end} > len(data) or size > MAX_ARRAY: return general(data)
{found} = {empty}
while at < {end}:
{item}
if at != {end}: return general(data)
{to} = {found}
"""
_CALLED = "{to}, at = read_{number}(data, at, {depth})\n"


def inlined_reader(nodes: Sequence[Node], order: str, general: ReadBody, reader: Reader) -> ReadBody:
    """Return what reads a whole body of *nodes* as *general* does, or *general* where that is as good.

    *reader* gives the general reader of one node, for those that do not stand in line.
    """
    if sum(map(_size, nodes)) > _MOST_TYPES:
        return general
    writer = _Writer()
    names = [f"value{number}" for number in range(len(nodes))]
    pieces = [writer.value(node, name, 0) for node, name in zip(nodes, names, strict=True)]
    result = f"({', '.join(names)},)" if names else "()"
    source = "at = 0\n" + "".join(pieces) + f"if at != len(data): return general(data)\nreturn {result}\n"
    called = {f"read_{number}": reader(node, order) for number, node in enumerate(writer.called)}
    known = {**_common(order, reader), **called, "general": general}
    return run_source("def read(data):\n" + indent(source, " "), known)["read"]  # type: ignore[no-any-return]


@lru_cache(4)
def _common(order: str, reader: Reader) -> dict[str, Any]:
    """Return what every generated reader knows."""
    unpacks = {code: struct.Struct(order + number).unpack_from for code, number in NUMBERS.items()}
    basic = {
        b"\x01%b\0" % code.encode(): (code, unpacks.get(code), ALIGNMENT[code] - 1, reader(Node(code), order))
        for code in BASIC
    }
    known: dict[str, Any] = {f"unpack_{code}": unpack for code, unpack in unpacks.items()}
    known |= {"basic": basic, "read_variant": reader(Node("v"), order)}
    return known | {"Variant": Variant, "ZEROS": ZEROS, "MAX_ARRAY": MAX_ARRAY}


def _size(node: Node) -> int:
    return 1 + sum(map(_size, node.parts))


class _Writer:
    """Writes the source that reads values one after the other; `called` are those that it leaves to their readers."""

    def __init__(self) -> None:
        self.called: list[Node] = []
        self._grain = 8
        """A power of two that divides the place reached: padding to no more than that is none."""
        self._names = 0

    def value(self, node: Node, to: str, depth: int) -> str:
        """Return the source that reads a value of *node*, *depth* containers deep, and assigns it to *to*."""
        code = node.code
        if code in NUMBERS:
            return self._padded(code, _NUMBER.format(to=to, code=code, size=ALIGNMENT[code]), ALIGNMENT[code])
        match code:
            case "b":
                return self._padded(code, _BOOLEAN.format(to=to), 4)
            case "s":
                return self._padded(code, _TEXT.format(to=to), 1)
            case "v":
                return self._padded(code, _VARIANT.format(to=to, depth=depth), 1)
            case "a" if depth < _DEEPEST and node.parts[0].code not in NUMBERS:
                return self._array(node.parts[0], to, depth)
            case "(" if depth < _DEEPEST:
                return self._struct(node, to, depth)
            case _:
                self.called.append(node)
                self._grain = 1
                return _CALLED.format(to=to, number=len(self.called) - 1, depth=depth)

    def _padded(self, code: str, source: str, grain: int) -> str:
        """Return *source* behind what pads to the alignment of *code*; *grain* is that of where it ends."""
        size, before = ALIGNMENT[code], self._grain
        self._grain = grain
        return source if size <= before else _PADDING.format(mask=size - 1, size=size) + source

    def _array(self, item: Node, to: str, depth: int) -> str:
        head = self._padded("a", _LENGTH, 4) + self._padded(item.code, "", 1)
        found, end = self._name("found"), self._name("end")
        if item.code == "{":
            key = self._name("key")
            body = self._padded("{", "", 8)
            body += self.value(item.parts[0], key, depth + 2) + self.value(item.parts[1], f"{found}[{key}]", depth + 2)
        else:
            one = self._name("item")
            body = self.value(item, one, depth + 1) + f"{found}.append({one})\n"
        self._grain = 1  # where there are no items, and where there are
        empty = "{}" if item.code == "{" else "[]"
        return head + _ITEMS.format(to=to, found=found, end=end, empty=empty, item=indent(body, " "))

    def _struct(self, node: Node, to: str, depth: int) -> str:
        head = self._padded("(", "", 8)
        names = [self._name("part") for _ in node.parts]
        parts = [self.value(part, name, depth + 1) for part, name in zip(node.parts, names, strict=True)]
        return head + "".join(parts) + f"{to} = [{', '.join(names)}]\n"

    def _name(self, what: str) -> str:
        self._names += 1
        return f"{what}_{self._names}"
