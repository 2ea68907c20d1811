"""Pages of item models in bytes: rows of cells below one parent, without an `Entry` for each, as fast as Python goes.

It is `cells` for what nearly all answers are: whole rows in order, with nothing below them in the same answer. Anything
else is left to the general way, with the same result.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

from everywire.codec.qdatastream import TypeId
from everywire.codec.qdatastream.stream import NULL, Order

MOST_BYTES: Final = 1024 * 1024
"""Bytes of an answer after which it ends, with the row that is begun: whoever wants the rest asks again."""

Row = tuple[tuple[tuple[Any, ...], ...], tuple[int, ...], bool]
"""For each column the values of the roles; the flags of the cells; whether rows are below."""
General = Callable[[Any], bytes]
"""Makes the whole QVariant of a value that is not plain."""

_TEXT, _INT, _DOUBLE, _BOOL = int(TypeId.QSTRING), int(TypeId.INT), int(TypeId.DOUBLE), int(TypeId.BOOL)
_INVALID: Final = b"\0\0\0\0\1"
_NOTHING: Final = object()


class _Layouts(NamedTuple):
    """The fixed parts of a cell in one byte order."""

    number: struct.Struct
    place: struct.Struct
    """Row, column, how many values."""
    head: struct.Struct
    """Type and null flag of a value, and what is as long as a number behind them."""
    integer: struct.Struct
    real: struct.Struct
    truth: struct.Struct
    tail: struct.Struct
    """Children, flags, how many are below, and a size that is not told."""
    step: struct.Struct
    encoding: str


@lru_cache(maxsize=2)
def _layouts(order: Order) -> _Layouts:
    number, place, head, integer, real, truth, tail, step = (
        struct.Struct(order + codes) for codes in ("I", "iiI", "IBI", "IBi", "IBd", "IB?", "?iIii", "ii")
    )
    encoding = "utf-16-le" if order == "<" else "utf-16-be"
    return _Layouts(number, place, head, integer, real, truth, tail, step, encoding)


def write_rows(
    order: Order, parent: Sequence[tuple[int, int]], first: int, rows: Iterable[Row], columns: range, general: General
) -> bytes:
    """Return the cells of *rows*, of which *first* is the number, in some *columns*: the bare value of DataEntries.

    It may hold fewer rows when these are large.
    """
    layouts = _layouts(order)
    start = _way_to(layouts, parent)
    place, tail, variant = layouts.place.pack, layouts.tail.pack, _variant_writer(layouts, general)
    parts: list[bytes] = []
    tails: dict[tuple[bool, int], bytes] = {}
    count = size = 0
    put = parts.append
    for number, (cells, flags, children) in enumerate(rows, first):
        for column in columns[: max(0, len(cells) - columns.start)]:
            values = cells[column]
            put(start + place(number, column, len(values)))
            before, data = _NOTHING, b""
            for value in values:
                if value is not before:  # what is shown is mostly what is edited, too
                    before, data = value, variant(value)
                size += len(data)
                put(data)
            end = (children and not column, flags[column] if column < len(flags) else 0)
            if end not in tails:
                tails[end] = tail(*end, 0, -1, -1)
            put(tails[end])
            count += 1
        if size > MOST_BYTES:
            break
    return layouts.number.pack(count) + b"".join(parts)


def read_rows(
    data: bytes,
    position: int,
    end: int,
    order: Order,
    parent: Sequence[tuple[int, int]],
    first: int,
    general: Callable[[int], tuple[Any, int]],
) -> list[Row] | None:
    """Return the rows in DataEntries that begin at *position* and use up the rest; None where they are not that plain.

    *general* reads the value at a position, and says where it ends; it may raise RemoteProtocolError.
    """
    layouts = _layouts(order)
    start, rows = _way_to(layouts, parent), list[Row]()
    place, tail, length = layouts.place.unpack_from, layouts.tail.unpack_from, len(start)
    read = _variant_reader(layouts, data, end, general)
    cells: list[tuple[Any, ...]] = []
    flags: list[int] = []
    below = False
    try:
        count = layouts.number.unpack_from(data, position)[0]
        position += 4
        for _ in range(count):
            if not data.startswith(start, position):
                return None
            number, column, wanted = place(data, position + length)
            position += length + 12
            if column == 0 and cells:
                rows.append((tuple(cells), tuple(flags), below))
                cells, flags = [], []
            if column != len(cells) or number != first + len(rows) or wanted > end - position:
                return None
            values: list[Any] = []
            value, begin = None, position
            for _ in range(wanted):
                if values and data.startswith(data[begin:position], position):
                    begin, position = position, 2 * position - begin  # what is shown is mostly what is edited, too
                else:
                    begin = position
                    value, position = read(position)
                values.append(value)
            children, flag, more, _, _ = tail(data, position)
            position += 17
            if more:
                return None
            below = children if column == 0 else below
            cells.append(tuple(values))
            flags.append(flag)
    except struct.error:  # it goes on behind its frame, which the general way tells
        return None
    if cells:
        rows.append((tuple(cells), tuple(flags), below))
    return rows if position == end else None


def _way_to(layouts: _Layouts, parent: Sequence[tuple[int, int]]) -> bytes:
    return layouts.number.pack(len(parent) + 1) + b"".join(layouts.step.pack(*step) for step in parent)


def _variant_writer(layouts: _Layouts, general: General) -> General:
    text, integer, real, truth = layouts.head.pack, layouts.integer.pack, layouts.real.pack, layouts.truth.pack
    encoding = layouts.encoding

    def write(value: Any) -> bytes:
        kind = value.__class__
        if kind is str:
            data = value.encode(encoding, "surrogatepass")
            return text(_TEXT, 0, len(data)) + data  # type: ignore[no-any-return]
        if kind is float:
            return real(_DOUBLE, 0, value)
        if kind is int and -0x8000_0000 <= value < 0x8000_0000:
            return integer(_INT, 0, value)
        if value is None:
            return _INVALID
        return truth(_BOOL, 0, value) if kind is bool else general(value)

    return write


def _variant_reader(
    layouts: _Layouts, data: bytes, end: int, general: Callable[[int], tuple[Any, int]]
) -> Callable[[int], tuple[Any, int]]:
    head, integer, real, encoding = (
        layouts.head.unpack_from, layouts.integer.unpack_from, layouts.real.unpack_from, layouts.encoding,
    )  # fmt: skip

    def read(position: int) -> tuple[Any, int]:
        kind, _, size = head(data, position)  # a whole value or not: a cell goes on behind it
        if kind == _TEXT:
            stop = position + 9 + size
            if size != NULL and not size % 2 and stop <= end:
                return data[position + 9 : stop].decode(encoding, "surrogatepass"), stop
        elif kind == _DOUBLE:
            return real(data, position)[2], position + 13
        elif kind == _INT:
            return integer(data, position)[2], position + 9
        elif kind == _BOOL:
            return data[position + 5] != 0, position + 6
        elif kind == 0:
            return None, position + 5
        return general(position)

    return read
