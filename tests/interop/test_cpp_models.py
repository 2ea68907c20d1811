"""Models between us and Qt programs in C++: tables and trees, at the top and as children, in both roles."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest

from everywire import Node, Object, connect
from everywire.tables import ItemRole, Orientation, Table, TableIndex, TableSource, TreeSource
from tests.interop import plant, sources
from tests.interop.cpp_programs import cpp_host, cpp_node
from tests.interop.matrix import CPP, QT5, Feature, Role, shows
from tests.programs import Program

pytestmark = [pytest.mark.interop, pytest.mark.cpp]

Address = Callable[[str], str]
TITLE: Final = 257
ROWS: Final = [("Prelude", 90), ("Aria", 240), ("Fugue", 180)]


# --------------------------------------------------------------------------------------------------- Qt is the host
@asynccontextmanager
async def offered(peer: str, url: str, name: str = "table") -> AsyncIterator[tuple[Program, Table[Any]]]:
    """A model of a C++ program, and our replica of it."""
    async with cpp_host(peer) as qt:
        assert (await qt.ask("serve", url=url, names=[name]))[0] == [True]
        async with connect(url, name, Table) as table:
            yield qt, table


async def values(table: Table[Any]) -> list[tuple[Any, ...]]:
    """All rows."""
    return [tuple(row.values()) for row in await table.fetch()]


class Heard:
    """What a signal of a table told, to be waited for."""

    def __init__(self, signal: Any) -> None:
        self._told: asyncio.Queue[tuple[Any, ...]] = asyncio.Queue()
        signal.connect(lambda *arguments: self._told.put_nowait(arguments))

    async def next(self) -> tuple[Any, ...]:
        return await self._told.get()


@shows(Feature.MODEL, Role.HOST, *CPP)
async def test_we_see_rows_roles_and_headers_of_a_model_of_qt(peer: str, address: Address) -> None:
    async with offered(peer, address("local")) as (_, table):
        assert (table.row_count, table.columns) == (3, ("column 0", "column 1"))
        assert table.roles == {0: "display", 2: "edit", TITLE: "title", 258: "seconds"}
        assert await values(table) == ROWS
        await table.fetch(1, 1, roles=[TITLE])
        assert (table.cell(1, 0), table.cell(1, 0, TITLE)) == ("Aria", "Aria")
        assert await table.fetch_headers(Orientation.VERTICAL) == ["row 0", "row 1", "row 2"]


@shows(Feature.MODEL_CHANGES, Role.HOST, *CPP)
async def test_we_follow_every_change_of_a_model_of_qt(peer: str, address: Address) -> None:
    async with offered(peer, address("local")) as (qt, table):
        await table.fetch()
        inserted, removed, moved = Heard(table.rows_inserted), Heard(table.rows_removed), Heard(table.rows_moved)
        changed, reset, laid_out = Heard(table.data_changed), Heard(table.model_reset), Heard(table.layout_changed)
        new = [["QString", "Gigue"], ["int", 200]]
        await qt.ask("insert", name="table", path=[], first=1, rows=[new])
        assert await inserted.next() == ((), 1, 1)
        assert await values(table) == [ROWS[0], ("Gigue", 200), *ROWS[1:]]
        await qt.ask("remove", name="table", path=[], first=0, last=1)
        assert await removed.next() == ((), 0, 1)
        assert await values(table) == ROWS[1:]
        assert await qt.ask("move", name="table", **{"from": 0, "to": 2})
        assert await moved.next() == ((), 0, 0, (), 2)
        assert await values(table) == [ROWS[2], ROWS[1]]
        await qt.ask("set_cell", name="table", path=[[1, 1]], value=["int", 7], role=0)
        assert (await changed.next())[:3] == ((), 1, 1)
        assert await values(table) == [ROWS[2], ("Aria", 7)]
        await qt.ask("turn_around", name="table")
        await laid_out.next()
        assert await values(table) == [("Aria", 7), ROWS[2]]
        await qt.ask("reset", name="table", rows=[new])
        await reset.next()
        assert await values(table) == [("Gigue", 200)]
        assert table.row_count == 1


@shows(Feature.MODEL_CHANGES, Role.HOST, *CPP)
async def test_we_follow_new_columns_and_headers_of_qt(peer: str, address: Address) -> None:
    async with offered(peer, address("local")) as (qt, table):
        headers, columns = Heard(table.header_data_changed), Heard(table.columns_inserted)
        await qt.ask("header", name="table", section=0, text="work")
        assert await headers.next() == (Orientation.HORIZONTAL, 0, 0)
        assert await table.fetch_headers() == ["work", "column 1"]
        await qt.ask("insert_column", name="table", column=2)
        assert await columns.next() == ((), 2, 2)
        assert (await table.expand()).columns == 3


@shows(Feature.MODEL_WRITES, Role.HOST, *CPP)
async def test_we_write_a_cell_of_qt(peer: str, address: Address) -> None:
    async with offered(peer, address("local")) as (qt, table):
        await table.fetch()
        changed = Heard(table.data_changed)
        await table.set_data(1, 0, "Air")
        await qt.hear("data changed", path=[[1, 0]])
        assert await qt.ask("cell", name="table", path=[[1, 0]], role=0) == ["QString", "Air"]
        await changed.next()
        assert await values(table) == [ROWS[0], ("Air", 240), ROWS[2]]


@shows(Feature.MODEL_CURRENT, Role.HOST, *CPP)
async def test_the_current_cell_is_the_same_on_both_sides(peer: str, address: Address) -> None:
    async with offered(peer, address("local")) as (qt, table):
        await table.select(1, 1)
        await qt.hear("current", path=[[1, 1]])
        await qt.ask("set_current", name="table", path=[[2, 0]])
        assert await Table.current.wait_for(table, lambda cell: cell != TableIndex((1,), 1)) == TableIndex((2,), 0)


def limb(text: str, *below: list[Any]) -> list[Any]:
    return [{str(int(ItemRole.DISPLAY)): ["QString", text], "below": list(below)}]


async def limbs(tree: Table[Any], *parent: int) -> list[Any]:
    rows = await tree.fetch(parent=parent, roles=[ItemRole.DISPLAY])
    return [tree.cell(row, parent=parent) for row in range(len(rows))]


@shows(Feature.TREE, Role.HOST, *CPP)
async def test_we_walk_through_a_tree_of_qt(peer: str, address: Address) -> None:
    async with cpp_host(peer) as qt:
        url = address("local")
        await qt.ask("serve", url=url, names=[])
        await qt.ask("reset", name="tree", rows=[limb("a", limb("b", limb("c"))), limb("d")])
        await qt.ask("offer", name="tree")
        async with connect(url, "tree", Table) as tree:
            assert await limbs(tree) == ["a", "d"]
            assert (tree.has_children(0), tree.has_children(1)) == (True, False)
            assert await limbs(tree, 0) == ["b"]
            assert await limbs(tree, 0, 0) == ["c"]
            inserted = Heard(tree.rows_inserted)
            await qt.ask("insert", name="tree", path=[[0, 0]], first=1, rows=[limb("e")])
            assert await inserted.next() == ((0,), 1, 1)
            assert await limbs(tree, 0) == ["b", "e"]


@pytest.mark.parametrize("static", [True, False], ids=["static", "dynamic"])
@shows(Feature.MODEL_CHILD, Role.HOST, *CPP)
async def test_a_model_of_an_object_of_qt_is_a_table(peer: str, static: bool, address: Address) -> None:
    async with cpp_host(peer) as qt:
        url = address("local")
        await qt.ask("serve", url=url, names=["hall"])
        async with connect(url, "hall", plant.Hall if static else None) as hall:
            table: Table[Any] = hall.rows
            assert table.row_count == 3
            titles = [{"title": title, "seconds": seconds} for title, seconds in ROWS]
            assert [{"title": row["title"], "seconds": row["seconds"]} for row in await table.fetch()] == titles
            inserted = Heard(table.rows_inserted)
            row = [{"0": ["QString", "x"], "257": ["QString", "Gigue"], "258": ["int", 5]}]
            await qt.ask("insert", name="hall", child="rows", path=[], first=0, rows=[row])
            assert await inserted.next() == ((), 0, 0)
            assert (await table.row(0))["title"] == "Gigue"


# ------------------------------------------------------------------------------------------------ Qt is the replica
@asynccontextmanager
async def used(peer: str, url: str, table: Object, *, prefetch: bool = False) -> AsyncIterator[tuple[Node, Program]]:
    """A model of ours, and a C++ program with a replica of it."""
    async with Node() as node, cpp_node(peer) as qt:
        node.publish(table, "table")
        (where,) = await node.serve(f"{url}?protocol=1.3" if peer == QT5 else url)
        assert await qt.ask("connect", url=where)
        await qt.ask("acquire_model", name="table", prefetch=prefetch)
        await qt.hear("initialized", object="table")
        yield node, qt


async def cell(qt: Program, *path: tuple[int, int], role: int = 0, name: str = "table") -> Any:
    """A cell, as a view gets it: what is unknown is asked for, and looked at again when data arrive."""
    while True:
        known, value = await qt.ask("cell", name=name, path=path, role=role)
        if known:
            return value[1]
        await qt.hear("data changed", object=name)


@pytest.mark.parametrize("prefetch", [True, False], ids=["prefetch", "on demand"])
@shows(Feature.MODEL, Role.REPLICA, *CPP)
async def test_qt_sees_rows_roles_and_headers_of_our_table(peer: str, prefetch: bool, address: Address) -> None:
    table = sources.short_table()
    async with used(peer, address("local"), table, prefetch=prefetch) as (_, qt):
        assert await qt.ask("size", name="table") == [3, 2]
        roles = await qt.ask("roles", name="table")
        assert set(roles.values()) >= {"display", "title", "seconds"}
        assert [await cell(qt, (row, 0)) for row in range(3)] == [title for title, _ in ROWS]
        assert [await cell(qt, (row, 1)) for row in range(3)] == [90, 240, 180]
        (title,) = [int(role) for role, name in roles.items() if name == "title"]
        assert await cell(qt, (1, 0), role=title) == "Aria"
        await qt.ask("header", name="table", section=1, orientation=1, role=0)
        await qt.hear("header changed", orientation=1)
        assert (await qt.ask("header", name="table", section=1, orientation=1, role=0))[1] == "seconds"


@shows(Feature.MODEL_CHANGES, Role.REPLICA, *CPP)
async def test_qt_follows_every_change_of_our_table(peer: str, address: Address) -> None:
    table: TableSource[tuple[str, int]] = sources.short_table()
    async with used(peer, address("local"), table, prefetch=True) as (_, qt):
        table.insert(1, ("Gigue", 200))
        await qt.hear("rows inserted", object="table", parent=[], first=1, last=1)
        assert [await cell(qt, (row, 0)) for row in range(4)] == ["Prelude", "Gigue", "Aria", "Fugue"]
        table.remove(0, 2)
        fact = await qt.hear("rows removed", object="table")
        assert (fact["first"], fact["last"]) == (0, 1)
        assert [await cell(qt, (row, 0)) for row in range(2)] == ["Aria", "Fugue"]
        table.move(0, 2)
        fact = await qt.hear("rows moved", object="table")
        assert (fact["first"], fact["last"], fact["to"]) == (0, 0, 2)
        assert [await cell(qt, (row, 0)) for row in range(2)] == ["Fugue", "Aria"]
        table[1] = ("Air", 5)
        await qt.hear("data changed", object="table", **{"from": [[1, 0]]})
        assert await cell(qt, (1, 0)) == "Air"
        table.sort()
        await qt.hear("layout changed", object="table")
        assert [await cell(qt, (row, 0)) for row in range(2)] == ["Air", "Fugue"]
        table.reset([("Gigue", 200)])
        await qt.hear("reset", object="table")
        assert await cell(qt, (0, 0)) == "Gigue"
        assert await qt.ask("size", name="table") == [1, 2]


@shows(Feature.MODEL_WRITES, Role.REPLICA, *CPP)
async def test_qt_writes_a_cell_of_ours(peer: str, address: Address) -> None:
    table = TableSource[tuple[str, int]](ROWS, columns=["title", "seconds"], writable=["seconds"])
    async with used(peer, address("local"), table, prefetch=True) as (node, qt):
        assert await cell(qt, (1, 0)) == "Aria"
        assert await qt.ask("set_cell", name="table", path=[[1, 1]], value=["int", 9], role=2)
        await qt.hear("data changed", object="table")
        assert table[1] == ("Aria", 9)
        await qt.ask("set_cell", name="table", path=[[1, 0]], value=["QString", "no"], role=2)
        await qt.ask("set_cell", name="table", path=[[1, 1]], value=["int", 10], role=2)
        while table[1] != ("Aria", 10):
            await qt.hear("data changed", object="table")
        assert table[1] == ("Aria", 10)
        assert sum(node.refusals.values()) == 1


@shows(Feature.MODEL_CURRENT, Role.REPLICA, *CPP)
async def test_the_current_cell_of_our_table_is_the_same_on_both_sides(peer: str, address: Address) -> None:
    table = sources.short_table()
    async with used(peer, address("local"), table, prefetch=True) as (_, qt):
        await qt.ask("set_current", name="table", path=[[1, 1]])
        assert await Table.current.wait_for(table, lambda cell: cell is not None) == TableIndex((1,), 1)
        table.current = TableIndex((2,), 0)
        await qt.hear("current", object="table", path=[[2, 0]])


@shows(Feature.TREE, Role.REPLICA, *CPP)
async def test_qt_walks_through_our_tree(peer: str, address: Address) -> None:
    leaf = {"name": "c", "parts": []}
    tree = TreeSource[dict[str, Any]](
        [{"name": "a", "parts": [{"name": "b", "parts": [leaf]}]}, {"name": "d", "parts": []}],
        children=lambda row: row["parts"],
        columns=["name"],
    )
    async with used(peer, address("local"), tree, prefetch=True) as (_, qt):
        assert await qt.ask("size", name="table") == [2, 1]
        assert [await cell(qt, (row, 0)) for row in range(2)] == ["a", "d"]
        assert await qt.ask("has_children", name="table", path=[[0, 0]])
        while await qt.ask("size", name="table", path=[[0, 0]]) != [1, 1]:
            await qt.hear("rows inserted", object="table", parent=[[0, 0]])
        assert await cell(qt, (0, 0), (0, 0)) == "b"


@pytest.mark.parametrize("static", [True, False], ids=["static", "dynamic"])
@shows(Feature.MODEL_CHILD, Role.REPLICA, *CPP)
async def test_a_table_of_an_object_of_ours_is_a_model(peer: str, static: bool, address: Address) -> None:
    hall = sources.Hall()
    async with Node() as node, cpp_node(peer) as qt:
        node.publish(hall, "Hall")
        url = address("local")
        await node.serve(f"{url}?protocol=1.3" if peer == QT5 else url)
        await qt.ask("connect", url=url)
        if static:
            await qt.ask("acquire_static", name="Hall", cls="Hall")
        else:
            await qt.ask("acquire", name="Hall")
        await qt.hear("state", object="Hall", state="Valid")
        assert await qt.ask("take", name="Hall", prop="rows", **{"as": "rows"}) == "QAbstractItemModelReplica"
        while await qt.ask("size", name="rows") != [3, 2]:
            await qt.hear("initialized", object="rows")
        (title,) = [int(role) for role, name in (await qt.ask("roles", name="rows")).items() if name == "title"]
        assert await cell(qt, (1, 0), role=title, name="rows") == "Aria"
        assert isinstance(hall.rows, TableSource)
        hall.rows.append(("Gigue", 200))
        await qt.hear("rows inserted", object="rows", first=3, last=3)
        assert await cell(qt, (3, 0), role=title, name="rows") == "Gigue"
