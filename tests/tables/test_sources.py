"""Tables that own their rows: columns, roles, changes with exact notices, and what others may do."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from everywire import (
    AsyncTableSource,
    Code,
    Fault,
    ModelError,
    Node,
    OutOfRange,
    Table,
    TableSource,
    TreeSource,
    WrongThread,
    contract_of,
)
from everywire.tables import ItemFlag, ItemRole, LayoutHint, Orientation, TableIndex, TableRow, TableSize
from tests.tables.samples import Frozen, Mode, Part, Reading, Rich, machine, readings

SIGNALS = (
    "rows_inserted",
    "rows_removed",
    "rows_moved",
    "columns_inserted",
    "data_changed",
    "header_data_changed",
    "layout_changed",
    "model_reset",
)
USER = ItemRole.USER


def heard(table: Table[Any]) -> list[tuple[Any, ...]]:
    """Return the list that each signal of *table* is put into."""
    found: list[tuple[Any, ...]] = []
    for name in SIGNALS:
        getattr(table, name).connect(lambda *arguments, name=name: found.append((name, *arguments)))
    return found


# ----------------------------------------------------------------------------------------------------------- columns
def test_columns_are_the_fields_of_the_rows() -> None:
    table = TableSource(readings(3))
    assert table.columns == ("sensor", "value")
    assert (table.row_count, len(table), table.size()) == (3, 3, TableSize(3, 2))
    assert table.cell(1, 0) == "s1"
    assert table.header(1) == "value"
    assert table.header(1, Orientation.VERTICAL) == 2


@pytest.mark.parametrize(
    "rows, columns",
    [
        ([{"a": 1, "b": 2}, {"a": 3}], ("a", "b")),
        ([Frozen("x", 1.0)], ("sensor", "value")),
        ([Rich(Mode.OFF, 1, 0.5, timedelta(0))], ("mode", "level", "ratio", "span", "tags", "note")),
    ],
)
def test_rows_may_be_of_any_plain_kind(rows: list[Any], columns: tuple[str, ...]) -> None:
    assert TableSource(rows).columns == columns


def test_tuples_need_names_for_their_columns() -> None:
    table = TableSource([(1, "one"), (2, "two")], columns=["number", "word"], headers={"word": "The word"})
    assert (table.columns, table.cell(1, 1)) == (("number", "The word"), "two")
    with pytest.raises(ModelError, match="columns="):
        TableSource([(1, 2)])
    with pytest.raises(ModelError, match="TableSource\\[Reading\\]"):
        TableSource([])


def test_a_table_may_be_empty_when_its_rows_have_a_type() -> None:
    table = TableSource[Reading]()
    assert (table.columns, len(table), bool(table)) == (("sensor", "value"), 0, True)
    table.append(Reading("a", 1.0))
    with pytest.raises(ModelError, match="Reading objects, not Part"):
        table.append(Part("x"))  # type: ignore[arg-type]


def test_what_is_no_column_is_refused() -> None:
    with pytest.raises(ModelError, match="no field lever"):
        TableSource(readings(1), columns=["lever"])
    with pytest.raises(ModelError, match="headers name what is no column: lever"):
        TableSource([{"level": 1}], headers={"lever": "Level"})
    with pytest.raises(ModelError, match="writable names what is no column: lever"):
        TableSource(readings(1), writable=["lever"])
    with pytest.raises(ModelError, match="rows are dataclasses"):
        TableSource([1, 2, 3])


def test_a_table_without_rows_is_no_source() -> None:
    with pytest.raises(ModelError, match="TableSource or TreeSource"):
        Table()


# ------------------------------------------------------------------------------------------------------------- roles
def test_the_values_of_a_row_are_roles_of_its_first_cell_too() -> None:
    table = TableSource(readings(2))
    assert table.roles == {0: "display", 2: "edit", USER + 1: "sensor", USER + 2: "value"}
    assert [table.cell(1, 0, role) for role in table.roles] == ["s1", "s1", "s1", 1.0]
    assert [table.cell(1, 1, role) for role in table.roles] == [1.0, 1.0, None, None]


def test_people_read_names_of_members_and_spans_as_text() -> None:
    table = TableSource([Rich(Mode.AUTO, 3, 0.5, timedelta(seconds=90))])
    assert [table.cell(0, n) for n in (0, 3)] == ["AUTO", "0:01:30"]
    assert [table.cell(0, n, ItemRole.EDIT) for n in (0, 3)] == [Mode.AUTO, timedelta(seconds=90)]


class Coloured(TableSource[Reading]):
    """A table with a role of its own."""

    def data(self, row: Reading, column: int, role: int) -> Any:
        if role == ItemRole.BACKGROUND:
            return "red" if row.value > 1 else None
        return super().data(row, column, role)

    def flags(self, row: int, column: int = 0, parent: tuple[int, ...] = ()) -> int:
        return 0 if row == 0 else super().flags(row, column, parent)


async def test_a_subclass_has_roles_and_flags_of_its_own() -> None:
    table = Coloured(readings(3), roles={ItemRole.BACKGROUND: ""})
    rows = await table.cells((), 0, 2, (int(ItemRole.BACKGROUND),))
    assert rows == [
        TableRow(((None,), (None,)), (0, 0)),
        TableRow(((None,), (None,)), (161, 161)),
        TableRow((("red",), ("red",)), (161, 161)),
    ]


# ----------------------------------------------------------------------------------------------------------- changes
def test_each_change_is_told_exactly() -> None:
    table = TableSource(readings(3))
    told = heard(table)
    table.append(Reading("a", 1.0))
    table.insert(0, Reading("b", 2.0))
    table.extend(readings(2))
    table.remove(1, 2)
    del table[-1]
    table[0] = Reading("c", 3.0)
    table.set(1, "value", 9.5)
    table.move(0, 3)
    table.sort(lambda row: row.sensor, reverse=True)
    table.reset(readings(1))
    assert told == [
        ("rows_inserted", (), 3, 3),
        ("rows_inserted", (), 0, 0),
        ("rows_inserted", (), 5, 6),
        ("rows_removed", (), 1, 2),
        ("rows_removed", (), 4, 4),
        ("data_changed", (), 0, 0, 0, 1, ()),
        ("data_changed", (), 1, 1, 1, 1, ()),
        ("rows_moved", (), 0, 0, (), 3),
        ("layout_changed", (), LayoutHint.VERTICAL_SORT),
        ("model_reset",),
    ]
    assert (table.row_count, table.here) == (1, readings(1))


def test_the_count_is_new_when_the_signal_comes() -> None:
    table = TableSource(readings(3))
    seen: list[int] = []
    table.rows_inserted.connect(lambda: seen.append(table.row_count))
    table.rows_removed.connect(lambda: seen.append(table.row_count))
    table.extend(readings(2))
    table.remove(0, 3)
    assert seen == [5, 2]


def test_nothing_is_told_where_nothing_happens() -> None:
    table = TableSource(readings(3))
    told = heard(table)
    table.extend([])
    table.remove(1, 0)
    table.move(1, 1)
    table.move(1, 2)
    table.move(0, 3, 0)
    assert told == []


def test_rows_that_are_not_there_are_refused_and_nothing_is_told() -> None:
    table = TableSource(readings(3))
    told = heard(table)
    for change in (
        lambda: table.remove(3),
        lambda: table.remove(-1),
        lambda: table.remove(2, 2),
        lambda: table.insert(4, Reading("x", 0.0)),
        lambda: table.move(2, 0, 2),
        lambda: table.move(0, 4),
        lambda: table.set(3, 0, "x"),
        lambda: table.replace(7, Reading("x", 0.0)),
        lambda: table.append(Reading("x", 0.0), parent=(0,)),
    ):
        with pytest.raises(IndexError):
            change()
    assert (told, table.here) == ([], readings(3))


def test_a_batch_is_told_at_its_end_in_few_words() -> None:
    table = TableSource(readings(3))
    told = heard(table)
    with table.batch():
        for n in range(4):
            table.append(Reading(f"new {n}", 0.0))
        for n in range(5):
            table.set(n, 1, 0.5)
        del table[0:6:2]
        assert told == []
    assert told == [
        ("rows_inserted", (), 3, 6),
        ("data_changed", (), 0, 4, 1, 1, ()),
        ("rows_removed", (), 4, 4),
        ("rows_removed", (), 2, 2),
        ("rows_removed", (), 0, 0),
    ]


async def test_who_reads_within_a_batch_has_heard_of_what_is_read() -> None:
    table = TableSource(readings(1))
    told = heard(table)
    with table.batch():
        table.append(Reading("new", 1.0))
        assert await table.size_of() == TableSize(2, 2)
        assert told == [("rows_inserted", (), 1, 1)]
        table.append(Reading("newer", 1.0))
    assert told[1:] == [("rows_inserted", (), 2, 2)]


def test_frozen_rows_are_replaced() -> None:
    table = TableSource([Frozen("a", 1.0)])
    row = table[0]
    table.set(0, "value", 2.0)
    assert (row, table[0]) == (Frozen("a", 1.0), Frozen("a", 2.0))


def test_dicts_and_tuples_can_be_changed() -> None:
    table = TableSource([{"a": 1}], columns=["a", "b"])
    table.set(0, "b", 5)
    assert table.here == [{"a": 1, "b": 5}]
    tuples = TableSource([(1, 2)], columns=["a", "b"])
    tuples.set(0, "b", 5)
    assert tuples.here == [(1, 5)]


def test_a_row_may_refuse_a_value() -> None:
    @dataclass(frozen=True)
    class Careful:
        level: int

        def __post_init__(self) -> None:
            if self.level > 9:
                raise ValueError("at most 9")

    table = TableSource([Careful(1)])
    with pytest.raises(ModelError, match="level: at most 9"):
        table.set(0, "level", 10)
    assert table.here == [Careful(1)]


async def test_a_published_table_is_changed_in_the_thread_of_its_node_only() -> None:
    table = TableSource(readings(3))
    async with Node() as node:
        node.publish(table, "rows")
        for change in (lambda: table.remove(0), lambda: table.set(0, 0, "x"), lambda: table.append(Reading("x", 0.0))):
            with pytest.raises(WrongThread):
                await asyncio.to_thread(change)
        assert table.here == readings(3)
        await asyncio.wrap_future(await asyncio.to_thread(node.call, table.remove, 0))
        assert table.here == readings(3)[1:]


async def test_a_question_has_bounds() -> None:
    table = TableSource([(n, n) for n in range(200_000)], columns=["a", "b"])
    assert len(await table.rows(0, 200_000)) == 50_000
    assert len(await table.headers(Orientation.VERTICAL, -5, 10**9)) <= 100_001
    with pytest.raises(Fault, match="256 are the most"):
        await table.cells((), 0, 1, tuple(range(300)))


def test_after_changing_a_row_itself_one_says_so() -> None:
    table = TableSource(readings(3))
    told = heard(table)
    table[1].value = 7.0
    table.changed(1, 1)
    table.changed()
    table.headers_changed(Orientation.HORIZONTAL, 0, 1)
    assert told == [
        ("data_changed", (), 1, 1, 0, 1, ()),
        ("data_changed", (), 0, 2, 0, 1, ()),
        ("header_data_changed", Orientation.HORIZONTAL, 0, 1),
    ]


def test_the_current_cell_stays_with_its_row() -> None:
    table = TableSource(readings(5))
    table.current = TableIndex((2,), 1)
    table.insert(0, Reading("x", 0.0))
    assert table.current == TableIndex((3,), 1)
    table.move(3, 0)
    assert table.current == TableIndex((0,), 1)
    table.remove(0)
    assert table.current is None


# ------------------------------------------------------------------------------------------------------- what others do
async def test_others_read_rows_by_name() -> None:
    table = TableSource(readings(5))
    assert await table.rows(1, 2) == [{"sensor": "s1", "value": 1.0}, {"sensor": "s2", "value": 2.0}]
    assert await table.rows(4, 1_000_000_000) == [{"sensor": "s4", "value": 4.0}]
    assert await table.rows(-5, 6) == [{"sensor": "s0", "value": 0.0}]
    assert await table.rows(9, 1) == []
    assert await table.rows(0, 1, (0,)) == []


async def test_others_read_cells_by_role() -> None:
    table = TableSource(readings(3), writable=["value"])
    readable, editable = ItemFlag.SELECTABLE | ItemFlag.ENABLED | ItemFlag.NEVER_HAS_CHILDREN, ItemFlag.EDITABLE
    assert await table.cells((), 2, 99, (0, 2)) == [
        TableRow((("s2", "s2"), (2.0, 2.0)), (readable, readable | editable), False)
    ]
    (row,) = await table.cells((), 0, 0)
    assert [len(cell) for cell in row.values] == [4, 4]
    assert await table.headers(Orientation.HORIZONTAL, 0, 9, (0, 3)) == ["sensor", None, "value", None]
    assert await table.headers(Orientation.VERTICAL, 1, 2) == [2, 3]


async def test_others_write_where_that_is_allowed() -> None:
    table = TableSource(readings(3), writable=["value"])
    await table.set_data(1, 1, 5)
    await table.set_data(2, 0, 6.5, USER + 2)  # by the role that QML knows
    assert [row.value for row in table.here] == [0.0, 5.0, 6.5]
    with pytest.raises(Fault, match="sensor is not writable") as refused:
        await table.set_data(1, 0, "x")
    assert refused.value.code is Code.FAILED_PRECONDITION
    with pytest.raises(Fault, match="under role 9"):
        await table.set_data(1, 1, "red", ItemRole.FOREGROUND)
    with pytest.raises(Fault, match="no row 3"):
        await table.set_data(3, 1, 1.0)
    with pytest.raises(Fault, match="no column 2"):
        await table.set_data(0, 2, 1.0)
    with pytest.raises(Fault, match="value: expected float, got str") as invalid:
        await table.set_data(1, 1, "warm")
    assert invalid.value.code is Code.INVALID_ARGUMENT


async def test_what_others_write_is_of_the_type_of_the_column() -> None:
    table = TableSource([Rich(Mode.OFF, 1, 0.5, timedelta(0))], writable=True)
    for column, value in enumerate((1, 200, 0.25, 1500, ["a"], None)):
        await table.set_data(0, column, value)
    assert table[0] == Rich(Mode.AUTO, 200, 0.25, timedelta(seconds=1.5), ["a"], None)
    await table.set_data(0, 0, "OFF")
    assert table[0].mode is Mode.OFF
    with pytest.raises(Fault, match="level") as outside:
        await table.set_data(0, 1, 256)
    assert outside.value.code is Code.OUT_OF_RANGE
    with pytest.raises(Fault, match="mode: 7 is no"):
        await table.set_data(0, 0, 7)
    with pytest.raises(OutOfRange):
        table.set(0, "level", 256)


def test_reading_asks_for_less_than_writing() -> None:
    members = contract_of(TableSource[Reading]()).members
    assert {name for name, member in members.items() if member.reads} == {"size_of", "rows", "cells", "headers"}


# ------------------------------------------------------------------------------------------------------------- trees
async def test_a_tree_has_rows_below_rows() -> None:
    tree = TreeSource(machine())
    assert tree.columns == ("name", "count")
    assert (tree.row_count, tree.size((0,)), tree.size((1,))) == (3, TableSize(2, 2), TableSize(0, 2))
    assert tree.at((0, 0, 0)).name == "blade"
    assert await tree.rows(0, 9, (0,)) == [{"name": "rotor", "count": 2}, {"name": "seal", "count": 4}]
    assert [row.children for row in await tree.cells((), 0, 2, (0,))] == [True, False, True]
    assert await tree.size_of((9, 9)) == TableSize(0, 2)
    assert await tree.cells((9,), 0, 5) == []


def test_each_change_of_a_tree_is_told_by_path() -> None:
    tree = TreeSource(machine(), writable=True)
    told = heard(tree)
    tree.append(Part("bolt"), parent=(1,))
    tree.insert(0, Part("nut"), parent=(1,))
    tree.move(0, 2, parent=(0,), destination=(1,))
    tree.set(0, "count", 5, parent=(1,))
    tree.remove(0, parent=(2,))
    tree.sort(lambda part: part.name, parent=(1,))
    with pytest.raises(ModelError, match="below themselves"):
        tree.move(0, 0, destination=(0,))
    assert told == [
        ("rows_inserted", (1,), 0, 0),
        ("rows_inserted", (1,), 0, 0),
        ("rows_moved", (0,), 0, 0, (1,), 2),
        ("data_changed", (1,), 0, 0, 1, 1, ()),
        ("rows_removed", (2,), 0, 0),
        ("layout_changed", ((1,),), LayoutHint.VERTICAL_SORT),
    ]
    assert [part.name for part in tree.at((1,)).children] == ["bolt", "nut", "rotor"]


def test_children_are_found_by_key_or_function() -> None:
    keyed: TreeSource[Any] = TreeSource([{"name": "a", "below": [{"name": "b"}]}], children="below")
    keyed.append({"name": "c"}, parent=(0, 0))
    assert (keyed.columns, keyed.at((0, 0, 0))) == (("name",), {"name": "c"})
    called: TreeSource[Part] = TreeSource(machine(), children=lambda part: part.children, columns=["name"])
    assert called.size((0,)) == TableSize(2, 1)


# --------------------------------------------------------------------------------------------------- rows to wait for
class Slow:
    """Rows that one has to wait for; `go` lets them come."""

    def __init__(self, count: int) -> None:
        self.values = list(range(count))
        self.asked: list[tuple[int, int]] = []
        self.go = asyncio.Event()
        self.go.set()
        self.begun = asyncio.Event()

    async def count(self, parent: tuple[int, ...]) -> int:
        await asyncio.sleep(0)
        return len(self.values)

    async def rows(
        self, first: int, count: int, parent: tuple[int, ...], roles: tuple[int, ...]
    ) -> Sequence[dict[str, Any]]:
        self.asked.append((first, count))
        found = [{"number": value, "word": str(value)} for value in self.values[first : first + count]]
        self.begun.set()
        await self.go.wait()
        return found

    async def write(self, path: tuple[int, ...], column: str, value: Any) -> None:
        await asyncio.sleep(0)
        self.values[path[0]] = value


def slow(provider: Slow, **options: Any) -> AsyncTableSource[dict[str, Any]]:
    return AsyncTableSource(provider, columns=["number", "word"], **options)


async def test_rows_come_as_they_are_asked_for() -> None:
    provider = Slow(1000)
    table = slow(provider)
    assert table.row_count == -1
    assert await table.size_of() == TableSize(1000, 2)
    assert table.row_count == 1000
    assert await table.rows(998, 10) == [{"number": 998, "word": "998"}, {"number": 999, "word": "999"}]
    (row,) = await table.cells((), 7, 7, (0,))
    assert row.values == ((7,), ("7",))
    assert provider.asked == [(998, 10), (7, 1)]
    assert await table.size_of((3,)) == TableSize(0, 2)


async def test_an_answer_during_which_the_rows_changed_is_asked_for_again() -> None:
    provider = Slow(3)
    table = slow(provider)
    provider.go.clear()
    reading = asyncio.create_task(table.rows(0, 1))
    await provider.begun.wait()
    provider.values.insert(0, 99)
    table.inserted(0, 0)
    provider.go.set()
    assert await reading == [{"number": 99, "word": "99"}]
    assert len(provider.asked) == 2


async def test_who_asks_while_rows_change_waits() -> None:
    provider = Slow(3)
    table = slow(provider)
    with table.changing():
        reading = asyncio.create_task(table.rows(0, 1))
        await asyncio.sleep(0)
        assert provider.asked == []
        provider.values.insert(0, 99)
        await asyncio.sleep(0)
        table.inserted(0, 0)
    assert await reading == [{"number": 99, "word": "99"}]


async def test_rows_that_change_all_the_time_are_given_up() -> None:
    provider = Slow(3)
    table = slow(provider)

    class Restless(Slow):
        async def rows(
            self, first: int, count: int, parent: tuple[int, ...], roles: tuple[int, ...]
        ) -> Sequence[dict[str, Any]]:
            table.changed(0, 0)
            return []

    table._provider = Restless(3)
    with pytest.raises(Fault, match="change faster") as fault:
        await table.rows(0, 1)
    assert fault.value.code is Code.ABORTED


async def test_a_provider_may_take_what_others_write() -> None:
    provider = Slow(3)
    table = slow(provider, writable=["number"])
    told = heard(table)
    await table.set_data(1, 0, 77)
    assert (provider.values, told) == ([0, 77, 2], [("data_changed", (), 1, 1, 0, 0, ())])
    with pytest.raises(Fault, match="word is not writable"):
        await table.set_data(1, 1, "x")


async def test_the_count_follows_what_is_told() -> None:
    table = slow(Slow(3))
    await table.size_of()
    table.inserted(0, 4)
    assert table.row_count == 8
    table.removed(0, 0)
    assert table.row_count == 7
    table.was_reset()
    assert table.row_count == -1


def test_a_provider_is_no_list_of_rows() -> None:
    with pytest.raises(ModelError, match="AsyncTableSource"):
        TableSource(Slow(3))


@dataclass
class Fields:
    """A row that a provider gives as an object."""

    number: int
    word: str


async def test_providers_may_give_any_rows() -> None:
    class Mixed(Slow):
        async def rows(self, first: int, count: int, parent: tuple[int, ...], roles: tuple[int, ...]) -> Any:
            return [Fields(1, "a"), (2, "b"), {"number": 3}]

    table = AsyncTableSource[Fields](Mixed(3))
    assert table.columns == ("number", "word")
    assert [[row["number"], row["word"]] for row in await table.rows(0, 3)] == [[1, "a"], [2, "b"], [3, None]]
