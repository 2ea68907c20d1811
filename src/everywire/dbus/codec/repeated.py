"""Reading what is told again and again: one property that changed, with nothing but its number different from before.

What surrounds the number was read by all rules once, and any bits are a number; so where every other byte is equal,
so is everything else that comes of it.
"""

from __future__ import annotations

import struct
from typing import Any, Final

from everywire.dbus.codec._dbusfast import Variant
from everywire.dbus.codec.inlined import ReadBody
from everywire.dbus.codec.signatures import ALIGNMENT, NUMBERS

CHANGES: Final = "sa{sv}as"
"""What PropertiesChanged tells: an interface, values by name, and names of values that it does not tell."""

_MOST: Final = 256
"""Changes that are remembered."""
_LONGEST: Final = 512
"""Bytes of the longest that is: senders choose what they tell."""


def repeated_reader(read: ReadBody, order: str) -> ReadBody:
    """Return what reads bodies of `CHANGES` as *read* does."""
    places: dict[int, int] = {}
    """Where the number stands, by the size of the body."""
    known: dict[bytes, tuple[Any, ...]] = {}
    """What is known of a change, by what stands before the number."""

    def read_repeated(data: bytes) -> tuple[Any, ...]:
        found = known.get(data[: places.get(len(data), 0)])
        if found is not None:
            interface, name, code, unpack, at, end, rest = found
            if data[end:] == rest:
                return interface, {name: Variant(code, unpack(data, at)[0], False)}, []
        values = read(data)
        if len(data) <= _LONGEST and len(values[1]) == 1 and not values[2]:
            remember(data, values)
        return values

    def remember(data: bytes, values: tuple[Any, ...]) -> None:
        at, code = _number_in(data, values, order)
        # Two places in bodies of one size would take turns for ever: the first stays.
        if code and places.get(len(data), at) == at:
            if len(known) >= _MOST:
                known.clear()
                places.clear()
            places[len(data)] = at
            end = at + ALIGNMENT[code]
            unpack = struct.Struct(order + NUMBERS[code]).unpack_from
            known[data[:at]] = (values[0], *values[1], code, unpack, at, end, data[end:])

    return read_repeated


def _number_in(data: bytes, values: tuple[Any, ...], order: str) -> tuple[int, str]:
    """Return where the only changed value stands, and its type; empty unless it is a number."""
    interface, ((name, variant),), _ = values[0], values[1].items(), values[2]
    code = variant.signature
    if code not in NUMBERS:
        return 0, ""
    length = -(-(4 + len(interface.encode()) + 1) // 4) * 4
    begin = -(-(length + 4) // 8) * 8
    size = ALIGNMENT[code]
    at = -(-(begin + 4 + len(name.encode()) + 1 + 3) // size) * size
    # An entry before it, which had the same name and so got lost, would make it another place.
    alone = begin + struct.unpack_from(f"{order}I", data, length)[0] == at + size
    return at, code if alone else ""
