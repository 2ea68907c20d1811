"""The compiled way of cells is the plain one: same bytes, same values, and nothing is read beyond the end."""

from __future__ import annotations

import contextlib
from datetime import date
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everywire.codec.qdatastream import Reader, Writer
from everywire.codec.qdatastream.stream import Order
from everywire.errors import ModelError, RemoteProtocolError
from everywire.remoteobjects.codec.cells import MOST_DEEP, Entry, Place, read_entries, write_entries

ORDERS: Final = st.sampled_from(["<", ">"])
I32: Final = st.integers(-(2**31), 2**31 - 1)
VALUES: Final = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(allow_nan=False), st.text(max_size=5),
    st.binary(max_size=5), st.dates(), st.lists(st.text(max_size=2), min_size=1, max_size=2),
)  # fmt: skip
PLACES: Final = st.lists(st.builds(Place, I32, I32), max_size=3).map(tuple)


def entries(below: Any) -> st.SearchStrategy[Entry]:
    values = st.lists(VALUES, max_size=3)
    return st.builds(Entry, PLACES, values, st.booleans(), I32, below, I32, I32)


ENTRIES: Final = st.lists(entries(st.lists(entries(st.just([])), max_size=2)), max_size=4)


def plainly(writer: Writer, cells: Any) -> None:
    """Write cells as Qt's operators do, part by part."""

    def one(cell: Entry) -> None:
        writer.write_items(cell.places, lambda place: [writer.write_int("i32", number) for number in place])
        writer.write_items(cell.values, writer.write_variant)
        writer.write_bool(cell.children)
        writer.write_int("i32", cell.flags)
        plainly(writer, cell.below)
        writer.write_int("i32", cell.columns)
        writer.write_int("i32", cell.rows)

    writer.write_items(cells, one)


def shown(cells: Any) -> Any:
    """Cells to compare: a list or tuple that is below them is the same, -0.0 and 0.0 are not."""
    return [(c.places, repr(c.values), c.children, c.flags, shown(c.below), c.rows, c.columns) for c in cells]


def written(cells: Any, order: Order) -> bytes:
    writer = Writer(order=order)
    write_entries(writer, cells)
    return writer.to_bytes()


@given(ENTRIES, ORDERS)
def test_cells_are_written_as_by_the_general_writer(cells: list[Entry], order: Order) -> None:
    plain = Writer(order=order)
    plainly(plain, cells)
    assert written(cells, order) == plain.to_bytes()


@given(ENTRIES, ORDERS)
def test_cells_come_back(cells: list[Entry], order: Order) -> None:
    reader = Reader(b"before" + written(cells, order) + b"behind", 6, order=order)
    assert shown(read_entries(reader)) == shown(cells)
    assert reader.take(6) == b"behind"


@given(ENTRIES.filter(bool), ORDERS, st.data())
def test_what_is_cut_or_changed_is_refused_or_read_but_no_more(cells: list[Entry], order: Order, data: Any) -> None:
    whole = bytearray(written(cells, order))
    end = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(RemoteProtocolError):
        read_entries(Reader(bytes(whole), 0, end, order=order))
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] = data.draw(st.integers(0, 255))
    reader = Reader(bytes(whole), order=order)
    with contextlib.suppress(RemoteProtocolError):
        read_entries(reader)
        assert reader.position <= len(whole)


def test_trees_and_places_have_an_end() -> None:
    deep = Entry((), ())
    for _ in range(MOST_DEEP):
        deep = Entry((), (), below=[deep])
    with pytest.raises(RemoteProtocolError, match="nested too deeply"):
        read_entries(Reader(written([deep], "<")))
    far = Entry((Place(0, 0),) * (MOST_DEEP + 1), ())
    with pytest.raises(RemoteProtocolError, match="levels deep"):
        read_entries(Reader(written([far], "<")))


def test_a_value_that_cannot_be_sent_is_refused() -> None:
    with pytest.raises(ModelError):
        write_entries(Writer(), [Entry((), [object()])])
    write_entries(Writer(), [Entry((), [date(2024, 1, 2)])])
