"""The cells of item models in bytes, as fast as Python goes: what `tables` says plainly, with one `struct` call a part.

A page of a table is hundreds of cells that differ in their values only. Anything but text, numbers, truth values and
nothing is left to the general reader and writer, with the same result.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

import msgspec

from everywire.codec.qdatastream import Reader, TypeId, Writer
from everywire.codec.qdatastream.stream import NULL, Order
from everywire.errors import RemoteProtocolError

MOST_DEEP: Final = 64
"""Levels of a tree in one answer, and in the place of a cell."""


class Place(NamedTuple):
    """One step on the way to a cell: QtPrivate::ModelIndex."""

    row: int
    column: int


Places = tuple[Place, ...]
"""The way to a cell from the root, which is `()`."""


class Entry(msgspec.Struct, frozen=True):
    """One cell: its place, its values in the order of the roles, and what is below it."""

    places: Places
    values: Sequence[Any]
    children: bool = False
    flags: int = 0
    below: Sequence[Entry] = ()
    rows: int = -1
    columns: int = -1


PLAIN: Final = frozenset({str, int, float, bool, type(None)})
"""What is lowered, and lifted, as itself: most of what tables hold."""

_TEXT, _INT, _DOUBLE, _BOOL = int(TypeId.QSTRING), int(TypeId.INT), int(TypeId.DOUBLE), int(TypeId.BOOL)
_INVALID: Final = b"\0\0\0\0\1"


class _Layouts:
    """The fixed parts of a cell in one byte order."""

    def __init__(self, order: Order) -> None:
        self.count = struct.Struct(f"{order}I")
        self.place = self.size = struct.Struct(f"{order}ii")
        self.variant = struct.Struct(f"{order}IB")
        """Type and null flag."""
        self.text = struct.Struct(f"{order}IBI")
        self.integer = struct.Struct(f"{order}IBi")
        self.real = struct.Struct(f"{order}IBd")
        self.truth = struct.Struct(f"{order}IB?")
        self.tail = struct.Struct(f"{order}?iI")
        """Children, flags, how many are below."""
        self.encoding = "utf-16-le" if order == "<" else "utf-16-be"


_layouts: Final = lru_cache(maxsize=2)(_Layouts)


def write_entries(writer: Writer, entries: Sequence[Entry]) -> None:
    """Write the number of *entries* and these; raise ModelError for a value that cannot be sent."""
    layouts = _layouts(writer.order)
    parts: list[bytes] = [layouts.count.pack(len(entries))]
    general = _general_writer(writer)
    for entry in entries:
        _write_entry(parts.append, layouts, entry, general)
    writer.write_raw(b"".join(parts))


def _general_writer(writer: Writer) -> Callable[[Any], bytes]:
    def write(value: Any) -> bytes:
        one = Writer(order=writer.order, version=writer.version)
        one.write_variant(value)
        return one.to_bytes()

    return write


def _write_entry(
    put: Callable[[bytes], None], layouts: _Layouts, entry: Entry, general: Callable[[Any], bytes]
) -> None:
    count, place = layouts.count.pack, layouts.place.pack
    put(count(len(entry.places)))
    for step in entry.places:
        put(place(*step))
    put(count(len(entry.values)))
    before, data = _NOTHING, b""
    for value in entry.values:
        if value is not before:  # what is shown is mostly what is edited, too
            before, data = value, _variant(layouts, value, general)
        put(data)
    put(layouts.tail.pack(entry.children, entry.flags, len(entry.below)))
    for below in entry.below:
        _write_entry(put, layouts, below, general)
    put(layouts.size.pack(entry.columns, entry.rows))


_NOTHING: Final = object()


def _variant(layouts: _Layouts, value: Any, general: Callable[[Any], bytes]) -> bytes:
    kind = value.__class__
    if kind is str:
        text: bytes = value.encode(layouts.encoding, "surrogatepass")
        return layouts.text.pack(_TEXT, 0, len(text)) + text
    if kind is float:
        return layouts.real.pack(_DOUBLE, 0, value)
    if kind is int and -0x8000_0000 <= value < 0x8000_0000:
        return layouts.integer.pack(_INT, 0, value)
    if value is None:
        return _INVALID
    return layouts.truth.pack(_BOOL, 0, value) if kind is bool else general(value)


def read_entries(reader: Reader) -> list[Entry]:
    """Return the cells that follow; raise RemoteProtocolError."""
    return _read_entries(reader, _layouts(reader.order), MOST_DEEP)


def _read_entries(reader: Reader, layouts: _Layouts, depth: int) -> list[Entry]:
    if depth == 0:
        raise RemoteProtocolError("entries of a model nested too deeply")
    count = reader.read_count()
    return [_read_entry(reader, layouts, depth) for _ in range(count)]


def _read_entry(reader: Reader, layouts: _Layouts, depth: int) -> Entry:
    data, position, end = reader.window
    try:
        steps = layouts.count.unpack_from(data, position)[0]
        position += 4
        if steps > MOST_DEEP:
            raise RemoteProtocolError(f"a cell {steps} levels deep; {MOST_DEEP} are the most")
        places: list[Place] = []
        for _ in range(steps):
            places.append(Place(*layouts.place.unpack_from(data, position)))
            position += 8
        count = layouts.count.unpack_from(data, position)[0]
        position += 4
        if count > end - position:
            raise RemoteProtocolError(f"a cell announces {count} values, {end - position} bytes are left")
        values: list[Any] = []
        for _ in range(count):
            value, position = _read_value(reader, layouts, data, position, end)
            values.append(value)
        children, flags, below = layouts.tail.unpack_from(data, position)
        position += 9
        if below:
            reader.move_to(position - 4)
            cells: Sequence[Entry] = _read_entries(reader, layouts, depth - 1)
            position = reader.position
        else:
            cells = ()
        columns, rows = layouts.size.unpack_from(data, position)
    except struct.error as error:
        raise RemoteProtocolError(f"a cell of a model goes on behind its frame: {error}") from None
    reader.move_to(position + 8)
    return Entry(tuple(places), values, children, flags, cells, rows, columns)


def _read_value(reader: Reader, layouts: _Layouts, data: Any, position: int, end: int) -> tuple[Any, int]:
    """Return the value of a QVariant and where it ends."""
    number = layouts.variant.unpack_from(data, position)[0]
    if number == _TEXT:
        size = layouts.count.unpack_from(data, position + 5)[0]
        begin, stop = position + 9, position + 9 + size
        if size != NULL and size % 2 == 0 and stop <= end:
            return str(data[begin:stop], layouts.encoding, "surrogatepass"), stop
    elif number == _INT:
        return layouts.integer.unpack_from(data, position)[2], position + 9
    elif number == _DOUBLE:
        return layouts.real.unpack_from(data, position)[2], position + 13
    elif number == 0:
        return None, position + 5
    reader.move_to(position)
    value = reader.read_variant()
    return value, reader.position
