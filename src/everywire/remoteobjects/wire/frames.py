"""How values stand in a frame, as text for generated code: `struct` codes, expressions, and what prepares them."""

from __future__ import annotations

import struct
from typing import Any, Final

from everywire.codec.qdatastream import TypeId
from everywire.codec.qdatastream.stream import Order
from everywire.model.types import BOOL, BYTES, STR, EnumType, Float, Int
from everywire.remoteobjects.wire.looks import Wired
from everywire.remoteobjects.wire.qttypes import qt_type

_INT_FORMATS: Final = {
    (8, True): "b", (8, False): "B", (16, True): "h", (16, False): "H",
    (32, True): "i", (32, False): "I", (64, True): "q", (64, False): "Q",
}  # fmt: skip


def kind_of(look: Wired) -> tuple[str, str]:
    """Return how a value is packed, and the `struct` codes of its QVariant's fixed part: number, null flag, value."""
    node = look.node
    if isinstance(node, EnumType):
        return ("enum", "IBi") if look.number is TypeId.INT else _GENERAL
    if look.number != qt_type(node).number:
        return _GENERAL
    if node == STR:
        return "str", "IBI"
    if node == BYTES:
        return "bytes", "IBI"
    if node == BOOL:
        return "fixed", "IB?"
    if isinstance(node, Float):
        return "fixed", "IBd"
    if isinstance(node, Int):
        return "fixed", "IB" + _INT_FORMATS[node.bits, node.signed]
    return _GENERAL


_GENERAL: Final = ("general", "")


class Frame:
    """The source of one frame's encoder: runs of fixed fields packed at once, variable bytes between them.

    `before` are the statements that prepare values; `formats` and `values` the `struct` codes and expressions of each
    run, `tails` the variable bytes after it. The code HEAD stands for the constant bytes of the frame's head. Texts are
    encoded as *text* says.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.before: list[str] = []
        self.formats: list[str] = [""]
        self.values: list[list[str]] = [[]]
        self.tails: list[str] = []

    def fixed(self, code: str, *values: str) -> None:
        """Add fields of fixed size."""
        self.formats[-1] += code
        self.values[-1] += values

    def variable(self, name: str) -> None:
        """Add the bytes that the variable *name* holds."""
        self.tails.append(name)
        self.formats.append("")
        self.values.append([])

    def value(self, place: int, look: Wired, name: str) -> None:
        """Add the variable *name* as a QVariant of the type *look*."""
        kind, code = kind_of(look)
        tag = int(look.number)
        if kind == "general":
            self.before.append(f"v{place} = general{place}({name})")
            self.variable(f"v{place}")
        elif kind in ("str", "bytes"):
            encoded = f"{name}.encode('{self.text}', 'surrogatepass')" if kind == "str" else name
            self.before.append(f"v{place} = {encoded}")
            self.fixed(code, str(tag), "0", f"len(v{place})")
            self.variable(f"v{place}")
        else:
            self.fixed(code, str(tag), "0", f"to_int{place}({name})" if kind == "enum" else name)

    def expression(self, prefix: str) -> str:
        """Return the expression of the whole frame, size first; its packers are *prefix*0, *prefix*1 and so on."""
        extra = "".join(f" + len({tail})" for tail in self.tails)
        parts = [f"{prefix}0({prefix}_size{extra}, {', '.join(self.values[0])})"]
        for number, tail in enumerate(self.tails, 1):
            parts.append(tail)
            if self.formats[number]:
                parts.append(f"{prefix}{number}({', '.join(self.values[number])})")
        return " + ".join(parts)

    def bind(self, prefix: str, head_length: int, order: Order) -> dict[str, Any]:
        """Return the packers and the constant part of the size for a head of *head_length* bytes."""
        names: dict[str, Any] = {}
        size = -4
        for number, code in enumerate(self.formats):
            layout = struct.Struct(order + ("I" if number == 0 else "") + code.replace("HEAD", f"{head_length}s"))
            names[f"{prefix}{number}"] = layout.pack
            size += layout.size
        names[f"{prefix}_size"] = size
        return names
