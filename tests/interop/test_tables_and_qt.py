"""Tables and Qt's item models (PySide6): ours used by a real QAbstractItemModelReplica, real models used by ours."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from everywire import (
    AsyncTableSource,
    Fault,
    Node,
    ReplicaState,
    Table,
    TableSource,
    TreeSource,
    connect,
    contract_of,
    link_of,
)
from everywire.tables import ItemRole, Orientation, TableIndex, TableSize
from tests.conformance.plant import States
from tests.harness import soak
from tests.interop.matrix import PYSIDE, Feature, Role, shows
from tests.interop.programs import QtProgram, qt_program
from tests.tables.samples import Mode, Part, Reading, machine, readings

pytestmark = pytest.mark.interop

Address = Callable[[str], str]
USER = ItemRole.USER


@asynccontextmanager
async def shown(url: str, **tables: Table[Any]) -> AsyncIterator[tuple[Node, QtProgram]]:
    """Serve *tables* to a Qt program that is connected."""
    async with Node() as node, qt_program("models") as qt:
        for name, table in tables.items():
            node.publish(table, name)
        (address,) = await node.serve(url)
        assert await qt.ask("connect", url=address)
        yield node, qt


class View:
    """A model in a Qt program, looked at as views do: what is not there yet comes, and is looked at again."""

    def __init__(self, qt: QtProgram, name: str) -> None:
        self._qt, self._name = qt, name

    async def acquire(self, **options: Any) -> View:
        await self._qt.ask("acquire", name=self._name, **options)
        await self._qt.hear("initialized", object=self._name)
        return self

    async def ask(self, do: str, **arguments: Any) -> Any:
        return await self._qt.ask(do, name=self._name, **arguments)

    async def page(self, first: int, last: int, columns: int = 2, role: int = 0, parent: Sequence[int] = ()) -> Any:
        """Return cells; wait until the model has all of them."""
        while True:
            options = {"first": first, "last": last, "columns": columns, "role": role, "parent": parent}
            cells = await self.ask("page", **options)
            if all(kind != "NoneType" for row in cells for kind, _ in row):
                return [[value for _, value in row] for row in cells]
            await self._qt.hear("changed")

    async def size(self, parent: Sequence[int] = ()) -> Any:
        return await self.ask("size", parent=parent)


def cells(source: Sequence[Any], *names: str) -> list[list[Any]]:
    return [[getattr(row, name) for name in names] for row in source]


# ------------------------------------------------------------------------------------------------------- Qt uses ours
@shows(Feature.MODEL, Role.REPLICA, PYSIDE)
async def test_qt_looks_at_our_table(address: Address) -> None:
    source = TableSource(readings(1000), writable=["value"], headers={"value": "Value"})
    async with shown(address("local"), rows=source) as (_, qt):
        view = await View(qt, "rows").acquire()
        assert await view.size() == [1000, 2]
        assert await view.page(0, 3) == [["s0", 0.0], ["s1", 1.0], ["s2", 2.0], ["s3", 3.0]]
        assert await view.page(990, 999) == cells(source[990:], "sensor", "value")
        assert await view.page(5, 5, 1, USER + 2) == [[5.0]]
        roles, names = await view.ask("roles")
        assert roles == [0, 2, USER + 1, USER + 2]
        assert (names[str(USER + 1)], names[str(USER + 2)], names["0"]) == ("sensor", "value", "display")
        assert await view.ask("header", section=1) == ["NoneType", None]
        await qt.hear("headers")
        assert await view.ask("header", section=1) == ["str", "Value"]
        assert (await view.ask("flags", row=0, column=0), await view.ask("flags", row=0, column=1)) == (161, 163)


async def test_qt_looks_only_at_what_it_paints(address: Address) -> None:
    class Shelf:
        """Rows that are made when they are asked for."""

        rows_made = 0

        async def count(self, parent: tuple[int, ...]) -> int:
            return 100_000

        async def rows(self, first: int, count: int, parent: Any, roles: Any) -> Sequence[tuple[int, str]]:
            await asyncio.sleep(0)
            self.rows_made += count
            return [(n, f"row {n}") for n in range(first, first + count)]

    shelf = Shelf()
    source: Table[Any] = AsyncTableSource(shelf, columns=["number", "word"])
    async with shown(address("local"), rows=source) as (_, qt):
        view = await View(qt, "rows").acquire()
        assert await view.size() == [100_000, 2]
        for first in (0, 50_000, 99_980):
            assert await view.page(first, first + 19) == [[n, f"row {n}"] for n in range(first, first + 20)]
        assert shelf.rows_made <= 3 * 20 * 4


@shows(Feature.MODEL_CHANGES, Role.REPLICA, PYSIDE)
async def test_qt_hears_of_each_change(address: Address) -> None:
    source = TableSource(readings(6))
    async with shown(address("local"), rows=source) as (_, qt):
        view = await View(qt, "rows").acquire()
        await view.page(0, 5)
        source.insert(1, Reading("new", 9.0))
        assert (await qt.hear("inserted"))["first"] == 1
        assert await view.page(0, 6) == cells(source, "sensor", "value")
        source.remove(0, 2)
        assert (await qt.hear("removed"))["last"] == 1
        assert await view.page(0, 4) == cells(source, "sensor", "value")
        source.set(3, "value", 7.5)
        assert (await qt.hear("changed"))["first"] == [3]
        while await view.page(0, 4) != cells(source, "sensor", "value"):
            await qt.hear("changed")
        source.move(0, 3)
        assert (await qt.hear("moved")).items() >= {"first": 0, "last": 0, "row": 3}.items()
        while await view.page(0, 4) != cells(source, "sensor", "value"):
            await qt.hear("changed")
        source.sort(lambda row: -row.value)
        await qt.hear("layout")
        while await view.page(0, 4) != cells(source, "sensor", "value"):
            await qt.hear("changed")
        source.reset(readings(2))
        await qt.hear("reset")
        assert await view.size() == [2, 2]
        assert await view.page(0, 1) == cells(source, "sensor", "value")


async def test_qt_has_the_first_rows_at_once_when_it_asks_for_them(address: Address) -> None:
    source = TableSource(readings(500))
    async with shown(address("local"), rows=source) as (_, qt):
        view = await View(qt, "rows").acquire(prefetch=True, roles=[0])
        assert await view.ask("page", first=0, last=99, columns=2) == [
            [["str", f"s{n}"], ["float", float(n)]] for n in range(100)
        ]
        source.insert(0, Reading("new", 9.0))
        await qt.hear("inserted")
        assert await view.page(0, 2) == [["new", 9.0], ["s0", 0.0], ["s1", 1.0]]


@shows(Feature.MODEL_WRITES, Role.REPLICA, PYSIDE)
async def test_qt_writes_where_we_let_it(address: Address) -> None:
    source = TableSource(readings(3), writable=["value"])
    async with shown(address("local"), rows=source) as (_, qt):
        view = await View(qt, "rows").acquire()
        await view.page(0, 2)
        await view.ask("write", row=1, column=1, value=["float", 5.5])
        await qt.hear("changed")
        assert source[1].value == 5.5
        await view.ask("write", row=1, column=0, value=["str", "x"])
        await view.ask("write", row=2, column=1, value=["str", "warm"])
        await view.ask("write", row=2, column=1, value=["int", 6])
        await qt.hear("changed", first=[2])
        assert source.here == [Reading("s0", 0.0), Reading("s1", 5.5), Reading("s2", 6.0)]


@shows(Feature.MODEL_CURRENT, Role.REPLICA, PYSIDE)
async def test_a_cell_is_the_current_one_at_both_ends(address: Address) -> None:
    source = TableSource(readings(5))
    async with shown(address("local"), rows=source) as (_, qt):
        view = await View(qt, "rows").acquire()
        await view.page(0, 4)
        selected: asyncio.Queue[Any] = asyncio.Queue()
        Table.current.on_change(source, selected.put_nowait)
        await view.ask("select", row=3, column=1)
        assert await selected.get() == TableIndex((3,), 1)
        source.current = TableIndex((1,), 0)
        await qt.hear("current", path=[1], column=0)


@shows(Feature.TREE, Role.REPLICA, PYSIDE)
async def test_qt_opens_our_tree(address: Address) -> None:
    tree = TreeSource(machine())
    async with shown(address("local"), parts=tree) as (_, qt):
        view = await View(qt, "parts").acquire()
        assert await view.page(0, 2) == cells(tree.here, "name", "count")
        assert [await view.ask("has_children", row=n) for n in range(3)] == [True, False, True]
        while await view.size((0,)) != [2, 2]:
            await qt.hear("inserted")
        assert await view.page(0, 1, parent=(0,)) == [["rotor", 2], ["seal", 4]]
        tree.append(Part("bolt", 8), parent=(0,))
        await qt.hear("inserted", parent=[0], first=2)
        assert await view.page(0, 2, parent=(0,)) == [["rotor", 2], ["seal", 4], ["bolt", 8]]
        tree.move(0, 0, parent=(0,), destination=())
        await qt.hear("inserted", parent=[], first=0)
        assert await view.page(0, 3) == cells(tree.here, "name", "count")


async def test_qt_gets_values_of_any_type_that_it_has(address: Address) -> None:
    @dataclass
    class Odd:
        mode: Mode
        number: int
        nothing: str | None
        strange: Any

    source = TableSource([Odd(Mode.AUTO, 2**40, None, "fine"), Odd(Mode.OFF, 1, "x", 1.5)])
    source[0].strange = object()  # nothing that any wire knows
    async with shown(address("local"), rows=source) as (_, qt):
        view = await View(qt, "rows").acquire()
        await view.ask("page", first=0, last=1, columns=4)
        await qt.hear("changed")
        page = await view.ask("page", first=0, last=1, columns=4)
        assert page[0] == [["str", "AUTO"], ["int", 2**40], ["NoneType", None], ["NoneType", None]]
        assert page[1] == [["str", "OFF"], ["int", 1], ["str", "x"], ["float", 1.5]]


async def test_many_changes_at_random_leave_qt_with_what_we_have(address: Address) -> None:
    dice, source = random.Random(5), TableSource(readings(30))
    async with shown(address("local"), rows=source) as (_, qt):
        view = await View(qt, "rows").acquire()
        await view.page(0, 29)
        for n in range(soak(60, 600)):
            at = dice.randint(0, len(source))
            match dice.randrange(4):
                case 0:
                    source.insert(at, Reading(f"n{n}", n))
                case 1 if len(source) > 4:
                    source.remove(min(at, len(source) - 2), dice.randint(1, 2))
                case 2 if at < len(source):
                    source.set(at, "value", float(n))
                case 3 if at < len(source):
                    source.move(at, dice.randint(0, len(source)))
                case _:
                    pass
            if n % 20 == 0:
                await view.ask("page", first=0, last=10, columns=2)
        source.append(Reading("last", 0.0))
        await qt.hear("inserted", first=len(source) - 1)
        while await view.page(0, len(source) - 1) != cells(source, "sensor", "value"):
            await qt.hear("changed")


# ------------------------------------------------------------------------------------------------------- ours use Qt's
@asynccontextmanager
async def offered(url: str, count: int = 5) -> AsyncIterator[tuple[str, QtProgram]]:
    """Have a Qt program offer the model `levels`; gives its address."""
    async with qt_program("models") as qt:
        address = await qt.ask("serve", url=url)
        assert await qt.ask("offer", name="levels", count=count)
        yield address, qt


@dataclass
class Level:
    """A row of the model."""

    name: str
    level: float


async def reads(table: Table[Any], expected: Callable[[], list[Any]]) -> None:
    """Wait until the rows are what is given."""
    told = asyncio.Event()
    for name in ("rows_inserted", "rows_removed", "rows_moved", "data_changed", "layout_changed", "model_reset"):
        getattr(table, name).connect(told.set)
    while await table.fetch() != expected():
        await told.wait()
        told.clear()


def tanks(count: int) -> list[Level]:
    return [Level(f"tank {n}", n * 0.5) for n in range(count)]


@shows(Feature.MODEL, Role.HOST, PYSIDE)
async def test_we_look_at_a_model_of_qt(address: Address) -> None:
    async with offered(address("local"), 1000) as (url, _), connect(url, "levels", Table[Level]) as table:
        assert (table.row_count, table.columns, table.size()) == (1000, ("name", "level"), TableSize(1000, 2))
        assert table.roles == {0: "display", 2: "edit", USER + 1: "name", USER + 2: "level"}
        assert await table.row(700) == Level("tank 700", 350.0)
        assert table._view.requests == 1
        assert await table.fetch() == tanks(1000)
        assert table.flags(0) == 163
        assert await table.fetch_headers(Orientation.VERTICAL, 3, 4) == ["row 3", "row 4"]
        await table.fetch(0, 0, roles=[USER + 2])
        assert table.cell(0, 0, USER + 2) == 0.0


async def test_without_a_class_a_model_is_a_table(address: Address) -> None:
    async with offered(address("tcp")) as (url, _), connect(url, "levels") as table:
        assert isinstance(table, Table)
        assert contract_of(table) is contract_of(Table)
        assert await table.rows(1, 2) == [{"name": "tank 1", "level": 0.5}, {"name": "tank 2", "level": 1.0}]


async def test_we_scroll_through_many_rows_of_qt_and_load_few(address: Address) -> None:
    kind = Table[Level].caching(1000)
    async with offered(address("local"), 100_000) as (url, qt), connect(url, "levels", kind) as table:
        before = await qt.ask("asked", name="levels")
        for first in range(0, 100_000, 5_000):
            assert await table.fetch(first, first + 29) == tanks(first + 30)[first:]
        assert table._view.requests == 20
        assert await qt.ask("asked", name="levels") - before == 20 * 30 * 2 * 2  # rows, columns, roles
        assert table._view.cache.rows <= 1000


@shows(Feature.MODEL_CHANGES, Role.HOST, PYSIDE)
async def test_we_hear_of_each_change_of_a_model(address: Address) -> None:
    async with offered(address("local")) as (url, qt), connect(url, "levels", Table[Level]) as table:
        here = tanks(5)
        assert await table.fetch() == here

        async def change(method: str, *arguments: Any) -> None:
            await qt.ask("change", name="levels", method=method, arguments=arguments)

        await change("insert", 1, [["a", 9.5], ["b", 8.5]])
        here[1:1] = [Level("a", 9.5), Level("b", 8.5)]
        await reads(table, lambda: here)
        assert table.row_count == 7
        await change("remove", 0, 1)
        del here[:2]
        await reads(table, lambda: here)
        await change("move", 0, 1, 4)
        here[:4] = here[2:4] + here[:2]
        await reads(table, lambda: here)
        await change("turn")
        here.reverse()
        await reads(table, lambda: here)
        await qt.ask("source_set", name="levels", row=2, column=1, value=["float", 77.5])
        here[2].level = 77.5
        await reads(table, lambda: here)
        await change("reset", 3)
        await reads(table, lambda: [Level(f"new {n}", float(n)) for n in range(3)])
        assert (table.row_count, table.columns) == (3, ("name", "level"))


@shows(Feature.MODEL_WRITES, Role.HOST, PYSIDE)
async def test_we_write_to_a_model(address: Address) -> None:
    async with offered(address("local")) as (url, qt), connect(url, "levels", Table[Level]) as table:
        await table.fetch()
        await table.set_data(1, 1, 7.5)
        assert await qt.ask("source_get", name="levels", row=1, column=1) == ["float", 7.5]
        await table.set_data(1, 0, "new name")
        await table.set_data(2, 1, -5.0)  # which the model refuses, and Qt does not tell
        await reads(table, lambda: [Level("tank 0", 0.0), Level("new name", 7.5), *tanks(5)[2:]])


@shows(Feature.MODEL_CURRENT, Role.HOST, PYSIDE)
async def test_the_selection_of_a_model_is_ours_too(address: Address) -> None:
    async with offered(address("local")) as (url, qt), connect(url, "levels", Table) as table:
        await table.select(3, 1)
        assert table.current == TableIndex((3,), 1)
        await qt.hear("selected", row=3, column=1)
        await qt.ask("source_select", name="levels", row=1, column=0)
        await Table.current.wait_for(table, lambda index: index == TableIndex((1,), 0))


@shows(Feature.TREE, Role.HOST, PYSIDE)
async def test_we_open_a_tree_of_qt(address: Address) -> None:
    async with offered(address("local")) as (url, qt):
        await qt.ask("offer_tree", name="tree")
        async with connect(url, "tree", Table) as table:
            assert (table.columns, table.row_count) == (("part", "count"), 3)
            machines = [{"part": f"machine {n}", "count": str(n)} for n in range(3)]
            assert await table.fetch() == machines
            assert table.has_children(1)
            assert await table.fetch(parent=(1,)) == [
                {"part": "part 1.0", "count": "10"}, {"part": "part 1.1", "count": "11"},
            ]  # fmt: skip
            assert await table.fetch(parent=(1, 0)) == [{"part": "screw 1.0", "count": "4"}]
            assert await table.fetch(parent=(1, 0, 0)) == []


async def test_a_model_that_is_withdrawn_and_comes_back_is_read_anew(address: Address) -> None:
    async with offered(address("local")) as (url, qt), connect(url, "levels", Table[Level]) as table:
        assert await table.fetch() == tanks(5)
        states = States(table)
        await qt.ask("withdraw", name="levels")
        await states.reached(ReplicaState.SUSPECT)
        assert table.cell(1) == "tank 1"
        with pytest.raises(Fault):
            await table.fetch(roles=[USER + 1])
        await qt.ask("offer", name="levels", count=2)
        await states.reached(ReplicaState.VALID)
        assert table.cell(1) is None
        assert await table.fetch() == tanks(2)
        assert link_of(table).state is ReplicaState.VALID
