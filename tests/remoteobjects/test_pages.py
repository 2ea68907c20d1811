"""Pages of models in bytes: the fast way and the general one write the same, and read the same or nothing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everywire.codec.qdatastream import Reader, Writer
from everywire.codec.qdatastream.stream import Order
from everywire.errors import RemoteProtocolError
from everywire.remoteobjects.codec.cells import Entry, Place, read_entries, write_entries
from everywire.remoteobjects.codec.pages import MOST_BYTES, Row, read_rows, write_rows

ORDERS: tuple[tuple[Order, int], ...] = (("<", 20), (">", 18))

values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(st.characters(codec="utf-16")),
    st.binary(max_size=8),
    st.lists(st.integers(-5, 5), max_size=3),
)
flags = st.integers(0, 511)


@st.composite
def pages(draw: st.DrawFn) -> tuple[tuple[tuple[int, int], ...], int, list[Row]]:
    columns, roles = draw(st.integers(1, 4)), draw(st.integers(0, 3))
    parent = tuple((n, 0) for n in draw(st.lists(st.integers(0, 9), max_size=3)))
    cell = st.lists(values, min_size=roles, max_size=roles).map(tuple)
    cells = st.lists(cell, min_size=columns, max_size=columns).map(tuple)
    row = st.tuples(cells, st.lists(flags, min_size=columns, max_size=columns).map(tuple), st.booleans())
    return parent, draw(st.integers(0, 1000)), draw(st.lists(row, max_size=5))


def general_writer(order: Order, version: int) -> Any:
    def write(value: Any) -> bytes:
        writer = Writer(order=order, version=version)
        writer.write_variant(value)
        return writer.to_bytes()

    return write


def general_reader(data: bytes, end: int, order: Order, version: int) -> Any:
    def read(position: int) -> tuple[Any, int]:
        reader = Reader(data, position, end, order=order, version=version)
        return reader.read_variant(), reader.position

    return read


def plainly(order: Order, version: int, parent: Any, first: int, rows: list[Row]) -> bytes:
    """Return what the general way writes."""
    steps = tuple(Place(*step) for step in parent)
    entries = [
        Entry((*steps, Place(number, column)), cell, children and column == 0, flag)
        for number, (cells, marks, children) in enumerate(rows, first)
        for column, (cell, flag) in enumerate(zip(cells, marks, strict=True))
    ]
    writer = Writer(order=order, version=version)
    write_entries(writer, entries)
    return writer.to_bytes()


@pytest.mark.parametrize("order,version", ORDERS)
@given(page=pages())
def test_both_ways_write_the_same_and_what_was_written_is_read(order: Order, version: int, page: Any) -> None:
    parent, first, rows = page
    data = write_rows(order, parent, first, rows, range(9), general_writer(order, version))
    assert data == plainly(order, version, parent, first, rows)
    around = b"before" + data + b"behind"
    end = 6 + len(data)
    assert read_rows(around, 6, end, order, parent, first, general_reader(around, end, order, version)) == rows


@pytest.mark.parametrize("order,version", ORDERS)
@given(page=pages(), place=st.integers(0, 10_000), byte=st.integers(0, 255), cut=st.booleans())
def test_whatever_the_bytes_are_both_ways_read_the_same_or_the_fast_one_nothing(
    order: Order, version: int, page: Any, place: int, byte: int, cut: bool
) -> None:
    parent, first, rows = page
    data = bytearray(write_rows(order, parent, first, rows, range(9), general_writer(order, version)))
    place %= len(data)
    data[place] = byte
    damaged = bytes(data[:place] if cut else data)
    end = len(damaged)
    try:
        found = read_rows(damaged, 0, end, order, parent, first, general_reader(damaged, end, order, version))
    except RemoteProtocolError:
        found = None
    if found is None:
        return
    reader = Reader(damaged, order=order, version=version)
    entries = read_entries(reader)
    reader.expect_end()
    assert repr([tuple(entry.values) for entry in entries]) == repr([cell for cells, _, _ in found for cell in cells])
    assert [entry.flags for entry in entries] == [flag for _, marks, _ in found for flag in marks]


def test_only_the_columns_that_were_asked_for_are_written() -> None:
    rows: list[Row] = [(((1,), (2,), (3,)), (0, 0, 0), False)]
    reader = Reader(write_rows("<", (), 5, rows, range(1, 3), bytes))
    assert [(entry.places, entry.values) for entry in read_entries(reader)] == [
        ((Place(5, 1),), [2]),
        ((Place(5, 2),), [3]),
    ]
    assert write_rows("<", (), 5, rows, range(7, 2**31), bytes) == b"\0\0\0\0"


def test_an_answer_ends_with_the_row_in_which_it_became_large() -> None:
    rows: list[Row] = [((("x" * 200_000,),), (0,), False)] * 50
    data = write_rows("<", (), 0, rows, range(1), bytes)
    assert MOST_BYTES < len(data) < MOST_BYTES + 500_000
    assert len(read_entries(Reader(data))) == 3


@pytest.mark.parametrize(
    "entries",
    [
        [Entry((Place(1, 0),), [1])],
        [Entry((Place(0, 1),), [1])],
        [Entry((Place(0, 0),), [1]), Entry((Place(2, 0),), [1])],
        [Entry((Place(0, 0),), [1]), Entry((Place(0, 0),), [1])],
        [Entry((Place(0, 0), Place(0, 0)), [1])],
        [Entry((), [1])],
        [Entry((Place(0, 0),), [1], below=[Entry((Place(0, 0), Place(0, 0)), [1])])],
    ],
)
def test_what_is_no_page_is_left_to_the_general_way(entries: list[Entry]) -> None:
    writer = Writer()
    write_entries(writer, entries)
    data = writer.to_bytes()
    assert read_rows(data, 0, len(data), "<", (), 0, general_reader(data, len(data), "<", 20)) is None
