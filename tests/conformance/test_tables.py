"""Tables on every wire: pages as they are wanted, exact notices, writing, selection, trees, and what a loss leaves."""

from __future__ import annotations

import asyncio
import random
import threading
import tracemalloc
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from everywire import (
    AsyncTableSource,
    Code,
    Fault,
    Limits,
    ModelError,
    Node,
    Policy,
    ReplicaState,
    Role,
    SignatureMismatch,
    Table,
    TableSource,
    TreeSource,
    connect,
    contract_of,
    link_of,
    sync,
)
from everywire.tables import ItemFlag, ItemRole, Orientation, TableIndex, TableSize
from tests.conformance.plant import Counters, States
from tests.conformance.wires import QUICK, Place
from tests.harness import soak
from tests.tables.samples import Mode, Part, Reading, Rich, machine, readings

MANY = 100_000


def asked(table: Any) -> int:
    """Return how many requests for rows a replica has sent."""
    requests: int = table._view.requests
    return requests


async def reads(table: Any, *parts: tuple[tuple[int, ...], Sequence[Any]]) -> None:
    """Wait until the rows below each parent are what is given."""
    told = asyncio.Event()
    for name in ("rows_inserted", "rows_removed", "rows_moved", "data_changed", "layout_changed", "model_reset"):
        getattr(table, name).connect(told.set)
    while True:
        told.clear()
        if all([await table.fetch(parent=parent) == list(rows) for parent, rows in parts]):
            return
        await told.wait()


# ----------------------------------------------------------------------------------------------------------- reading
async def test_a_replica_reads_what_the_source_has(place: Place) -> None:
    source = TableSource(readings(5), writable=["value"], headers={"value": "Value"})
    async with place.hosting(rows=source), place.connect("rows", Table[Reading]) as table:
        assert (table.row_count, table.columns) == (5, ("sensor", "Value"))
        assert table.roles == source.roles
        assert table.cell(1) is None
        assert await table.fetch() == readings(5)
        assert await table.row(3) == Reading("s3", 3.0)
        assert await table.fetch(3, 99) == readings(5)[3:]
        assert (table.cell(1), table.cell(1, 1), table.cell(1, 1, ItemRole.EDIT)) == ("s1", 1.0, 1.0)
        assert table.flags(1, 1) == source.flags(1, 1)
        assert [bool(ItemFlag.EDITABLE & table.flags(1, column)) for column in (0, 1)] == [False, True]
        assert [table.header(n) for n in range(3)] == ["sensor", "Value", None]
        assert await table.fetch_headers(Orientation.VERTICAL) == [1, 2, 3, 4, 5]
        assert (table.header(4, Orientation.VERTICAL), table.has_children(1)) == (5, False)
        assert table.size() == TableSize(5, 2)
        with pytest.raises(IndexError, match="no row 5"):
            await table.row(5)


async def test_without_a_type_rows_are_dicts(place: Place) -> None:
    async with place.hosting(rows=TableSource(readings(2))), place.connect("rows", Table) as table:
        assert await table.fetch() == [{"sensor": "s0", "value": 0.0}, {"sensor": "s1", "value": 1.0}]
        assert await table.rows(1, 5) == [{"sensor": "s1", "value": 1.0}]


async def test_without_a_class_a_table_is_found_out(place: Place) -> None:
    async with place.hosting(rows=TableSource(readings(2))), place.connect("rows") as table:
        assert set(contract_of(Table).members) <= set(contract_of(table).members)
        assert table.row_count == 2
        assert await table.rows(1, 1) == [{"sensor": "s1", "value": 1.0}]


async def test_values_that_wires_have_no_variants_of_come_back_as_their_types(place: Place) -> None:
    first = Rich(Mode.AUTO, 200, 0.5, timedelta(seconds=1.5), ["a", "b"])
    rows = [first, Rich(Mode.OFF, 0, 0.0, timedelta(0), [], "x")]
    async with place.hosting(rows=TableSource(rows)), place.connect("rows", Table[Rich]) as table:
        assert await table.fetch() == rows
        assert table.cell(0, 0) == "AUTO"


async def test_a_class_with_a_field_that_the_table_has_not_is_refused(place: Place) -> None:
    async with place.hosting(rows=TableSource(readings(2))), place.connect("rows", Table[Rich]) as table:
        with pytest.raises(ModelError, match=r"no role for Rich.mode; it has sensor, value"):
            await table.row(0)


async def test_an_object_is_no_table_and_a_table_no_other_object(place: Place) -> None:
    async with place.hosting(plant=Counters(), rows=TableSource(readings(2))):
        with pytest.raises(SignatureMismatch):
            async with place.connect("plant", Table):
                pass
        with pytest.raises(SignatureMismatch):
            async with place.connect("rows", Counters):
                pass


# ------------------------------------------------------------------------------------------------- pages and patience
async def test_scrolling_through_many_rows_asks_for_what_is_looked_at(place: Place) -> None:
    source = TableSource(readings(MANY))
    async with place.hosting(rows=source), place.connect("rows", Table[Reading].caching(1000)) as table:
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            dice = random.Random(7)
            for first in [dice.randrange(MANY - 50) for _ in range(soak(30, 300))]:
                assert (await table.fetch(first, first + 39))[-1] == Reading(f"s{first + 39}", first + 39.0)
                assert table._view.cache.rows <= 1000
            grown = tracemalloc.get_traced_memory()[0] - before
        finally:
            tracemalloc.stop()
        assert asked(table) <= soak(30, 300)
        assert grown < 6 * 1024 * 1024  # with all its rows the replica would have some 80


async def test_all_rows_come_by_pages_that_are_asked_for_ahead(place: Place) -> None:
    source = TableSource(readings(1050))
    async with place.hosting(rows=source), place.connect("rows", Table[Reading]) as table:
        pages = [page async for page in table.pages(500)]
        assert [len(page) for page in pages] == [500, 500, 50]
        assert [row for page in pages for row in page] == source.here
        assert asked(table) == 11
        assert [row async for row in table] == source.here
        assert asked(table) == 11


async def test_many_who_want_single_rows_share_requests(place: Place) -> None:
    async with place.hosting(rows=TableSource(readings(300))), place.connect("rows", Table[Reading]) as table:
        rows = await asyncio.gather(*(table.row(n) for n in (*range(20, 80), *range(25, 30), 299)))
        assert rows[:2] == [Reading("s20", 20.0), Reading("s21", 21.0)]
        assert asked(table) == 2


async def test_who_gives_up_does_not_end_it_for_others(place: Place) -> None:
    async with place.hosting(rows=TableSource(readings(300))), place.connect("rows", Table[Reading]) as table:
        first, second = asyncio.create_task(table.row(5)), asyncio.create_task(table.row(6))
        await asyncio.sleep(0)
        first.cancel()
        assert await second == Reading("s6", 6.0)
        assert first.cancelled()


async def test_rows_that_are_wanted_arrive_by_themselves(place: Place) -> None:
    async with place.hosting(rows=TableSource(readings(300))), place.connect("rows", Table) as table:
        arrived: asyncio.Queue[Any] = asyncio.Queue()
        forget = table.on_arrival(lambda *told: arrived.put_nowait(told))
        table.want(120, 139)
        assert await arrived.get() == ((), 120, 139)
        assert table.cell(130) == "s130"
        forget()


async def test_the_first_rows_are_there_when_that_is_wished(place: Place) -> None:
    kind = Table[Reading].caching(prefetch=250, roles=[ItemRole.EDIT])
    source = TableSource(readings(1000))
    async with place.hosting(rows=source), place.connect("rows", kind) as table:
        arrived: asyncio.Queue[Any] = asyncio.Queue()
        table.on_arrival(lambda *told: arrived.put_nowait(told[2]))
        while table.cell(249, 0, ItemRole.EDIT) is None:
            await arrived.get()
        assert table.cell(0, 1, ItemRole.EDIT) == 0.0
        assert (table.cell(0, 1), table.cell(250, 0, ItemRole.EDIT)) == (None, None)  # nobody has asked for these
        source.reset([Reading("other", 1.0)])
        while table.cell(0, 0, ItemRole.EDIT) != "other":
            await arrived.get()


# ------------------------------------------------------------------------------------------------------------ notices
async def test_each_change_is_told_and_what_is_kept_stays_true(place: Place) -> None:
    source = TableSource(readings(6))
    async with place.hosting(rows=source), place.connect("rows", Table[Reading]) as table:
        told: list[Any] = []
        for name in ("rows_inserted", "rows_removed", "rows_moved", "data_changed"):
            getattr(table, name).connect(lambda *a, name=name: told.append((name, *a, table.row_count)))
        await table.fetch()
        source.insert(1, Reading("new", 9.0))
        source.remove(0)
        source.set(2, "value", 7.5)
        source.move(0, 3)
        await reads(table, ((), source.here))
        assert told[:3] == [
            ("rows_inserted", (), 1, 1, 7),
            ("rows_removed", (), 0, 0, 6),
            ("data_changed", (), 2, 2, 1, 1, told[2][6], 6),
        ]
        assert ("rows_moved", (), 0, 0, (), 3, 6) in told
        assert [table.cell(n) for n in range(6)] == [row.sensor for row in source.here]


async def test_only_what_changed_is_asked_for_again(place: Place) -> None:
    source = TableSource(readings(1000))
    async with place.hosting(rows=source), place.connect("rows", Table[Reading]) as table:
        await table.fetch(0, 99)
        source.insert(50, Reading("new", 1.0))
        source.set(10, "value", 5.5)
        await Table.row_count.wait_for(table, lambda count: count == 1001)
        while await table.row(10) != source[10]:
            await asyncio.sleep(0)
        assert await table.fetch(0, 99) == source[0:100]
        assert asked(table) == 3


async def test_a_reset_and_a_new_order_are_told(place: Place) -> None:
    source = TableSource(readings(20))
    async with place.hosting(rows=source), place.connect("rows", Table[Reading]) as table:
        await table.fetch()
        source.sort(lambda row: -row.value)
        await reads(table, ((), source.here))
        source.reset(readings(3))
        await reads(table, ((), source.here))
        assert (table.row_count, table.size()) == (3, TableSize(3, 2))
        source.reset([])
        await reads(table, ((), []))


async def test_random_changes_leave_both_ends_the_same(place: Place) -> None:
    source, dice, number = TableSource(readings(50)), random.Random(3), 0
    async with place.hosting(rows=source), place.connect("rows", Table[Reading]) as table:
        for _ in range(soak(60, 600)):
            number += 1
            at = dice.randint(0, len(source))
            match dice.randrange(6):
                case 0 | 1:
                    source.insert(at, Reading(f"n{number}", number))
                case 2 if len(source) > 3:
                    source.remove(min(at, len(source) - 2), dice.randint(1, 2))
                case 3 if at < len(source):
                    source.set(at, "value", float(number))
                case 4 if at < len(source):
                    source.move(at, dice.randint(0, len(source)))
                case _:
                    await table.fetch(at, at + 9)
            if dice.random() < 0.3:
                await asyncio.sleep(0)
        await reads(table, ((), source.here))


# ------------------------------------------------------------------------------------------------------------ writing
async def test_a_replica_writes_where_the_source_lets_it(place: Place) -> None:
    source = TableSource(readings(3), writable=["value"])
    async with place.hosting(rows=source), place.connect("rows", Table[Reading]) as table:
        await table.set_data(1, 1, 5.5)
        assert source[1].value == 5.5
        await reads(table, ((), source.here))
        for row, column, value, code in (
            (1, 0, "x", Code.FAILED_PRECONDITION),
            (1, 1, "warm", Code.INVALID_ARGUMENT),
            (9, 1, 1.0, Code.OUT_OF_RANGE),
        ):
            with pytest.raises(Fault) as refused:
                await table.set_data(row, column, value)
            assert refused.value.code is code
        assert source.here == [Reading("s0", 0.0), Reading("s1", 5.5), Reading("s2", 2.0)]


async def test_the_current_cell_is_the_same_at_both_ends(place: Place) -> None:
    source = TableSource(readings(5))
    async with place.hosting(rows=source), place.connect("rows", Table) as table, place.connect("rows", Table) as other:
        await table.select(3, 1)
        assert source.current == TableIndex((3,), 1)
        await Table.current.wait_for(other, lambda index: index == TableIndex((3,), 1))
        source.current = TableIndex((0,), 0)
        await Table.current.wait_for(table, lambda index: index == TableIndex((0,), 0))
        source.insert(0, Reading("new", 0.0))
        await Table.current.wait_for(table, lambda index: index == TableIndex((1,), 0))


async def test_viewers_read_and_operators_write(place: Place) -> None:
    source, role = TableSource(readings(3), writable=True), Role.VIEWER
    policy = Policy(role=lambda _: role)
    async with place.hosting() as node:
        node.publish(source, "rows", policy=policy)
        async with place.connect("rows", Table[Reading]) as table:
            assert await table.fetch() == readings(3)
            with pytest.raises(Fault) as refused:
                await table.set_data(0, 0, "x")
            assert refused.value.code is Code.PERMISSION_DENIED
            with pytest.raises(Fault):
                await table.select(0)
            role = Role.OPERATOR
            policy.forget()
            await table.set_data(0, 0, "x")
            assert source[0].sensor == "x"


# -------------------------------------------------------------------------------------------------------------- trees
async def test_a_tree_is_read_as_it_is_opened(place: Place) -> None:
    tree = TreeSource(machine())
    async with place.hosting(parts=tree), place.connect("parts", Table) as table:
        assert await table.fetch() == [
            {"name": "pump", "count": 1}, {"name": "tank", "count": 3}, {"name": "valve", "count": 9},
        ]  # fmt: skip
        assert [table.has_children(n) for n in range(3)] == [True, False, True]
        assert table.size((0,)) is None
        assert await table.expand((0,)) == TableSize(2, 2)
        assert await table.fetch(parent=(0, 0)) == [{"name": "blade", "count": 7}]
        assert table.cell(0, 0, parent=(0, 0)) == "blade"
        assert await table.fetch(parent=(1,)) == []


async def test_changes_anywhere_in_a_tree_are_told(place: Place) -> None:
    tree = TreeSource(machine())
    async with place.hosting(parts=tree), place.connect("parts", Table) as table:
        await table.fetch(parent=(0,))
        await table.fetch(parent=(0, 0))
        tree.insert(0, Part("first"))
        tree.append(Part("bolt"), parent=(1, 1))
        tree.move(0, 0, parent=(1,), destination=(3,))
        tree.remove(2)
        here = [{"name": part.name, "count": part.count} for part in tree.here]
        await reads(table, ((), here), ((1,), [{"name": "seal", "count": 4}]), ((1, 0), [{"name": "bolt", "count": 1}]))
        moved = [{"name": "rotor", "count": 2}, {"name": "spring", "count": 1}]
        await reads(table, ((2,), moved), ((2, 0), [{"name": "blade", "count": 7}]))


# --------------------------------------------------------------------------------------------------- rows to wait for
class Shelf:
    """Rows that somebody else has, given a little later."""

    def __init__(self, count: int) -> None:
        self.rows_here = [Reading(f"s{n}", float(n)) for n in range(count)]
        self.asked = 0

    async def count(self, parent: tuple[int, ...]) -> int:
        await asyncio.sleep(0)
        return len(self.rows_here)

    async def rows(self, first: int, count: int, parent: Any, roles: Any) -> Sequence[Reading]:
        self.asked += 1
        found = self.rows_here[first : first + count]
        for _ in range(5):
            await asyncio.sleep(0)
        return found


async def test_rows_of_a_provider_are_asked_for_as_they_are_wanted(place: Place) -> None:
    shelf = Shelf(MANY)
    source = AsyncTableSource[Reading](shelf)
    async with place.hosting(rows=source), place.connect("rows", Table[Reading]) as table:
        assert await table.row(MANY - 1) == Reading(f"s{MANY - 1}", MANY - 1.0)
        assert await table.fetch(500, 599) == shelf.rows_here[500:600]
        assert shelf.asked == 2
        assert await table.expand() == TableSize(MANY, 2)


async def test_what_a_provider_tells_meanwhile_is_not_missed(place: Place) -> None:
    shelf = Shelf(300)
    source = AsyncTableSource[Reading](shelf)
    async with place.hosting(rows=source), place.connect("rows", Table[Reading]) as table:
        for n in range(soak(10, 100)):
            reading = asyncio.create_task(table.fetch(0, 149))
            for _ in range(3 * n % 20):
                await asyncio.sleep(0)
            shelf.rows_here.insert(n, Reading(f"new {n}", 0.0))
            source.inserted(n, n)
            await reading
        await reads(table, ((), shelf.rows_here))


async def test_the_failure_of_a_provider_is_a_fault(place: Place) -> None:
    class Broken(Shelf):
        async def rows(self, first: int, count: int, parent: Any, roles: Any) -> Sequence[Reading]:
            raise LookupError("the disk is gone")

    source = AsyncTableSource[Reading](Broken(10))
    async with place.hosting(rows=source), place.connect("rows", Table[Reading]) as table:
        with pytest.raises(Fault, match="LookupError") as failed:
            await table.row(1)
        assert failed.value.code is Code.UNKNOWN


# --------------------------------------------------------------------------------------------------------- the link
async def test_after_a_loss_nothing_old_is_taken_for_new(place: Place) -> None:
    async with place.hosting(rows=TableSource(readings(10))) as first:
        replica = place.connect("rows", Table[Reading])
        table = await replica.__aenter__()
        await table.fetch()
        states, resets = States(table), []
        table.model_reset.connect(lambda: resets.append(table.row_count))
    try:
        await states.reached(ReplicaState.SUSPECT)
        assert (table.cell(3), table.row_count) == ("s3", 10)  # as values of properties, what is known stays readable
        with pytest.raises(Fault) as gone:
            await table._view._table.size_of()
        assert gone.value.code is Code.UNAVAILABLE
        async with place.hosting(rows=TableSource([Reading("other", 1.0)])):
            await states.reached(ReplicaState.VALID)
            await reads(table, ((), [Reading("other", 1.0)]))
            assert (table.row_count, table.cell(3), resets) == (1, None, [1])
    finally:
        await replica.__aexit__(None, None, None)
    assert first.closed


async def test_a_replica_that_is_published_is_a_table_for_others(place: Place, folder: Path) -> None:
    source = TableSource(readings(300), writable=["value"])
    async with place.hosting(rows=source), place.connect("rows", Table[Reading]) as bridge, Node(limits=QUICK) as node:
        node.publish(bridge, "copy")
        urls = f"memory:{folder}/copy", f"local:{folder}/copy", f"local:{folder}/five?protocol=1.3"
        for url in await node.serve(*urls):
            async with connect(url, "copy", Table[Reading], limits=QUICK) as table:
                assert table.row_count == len(source)
                assert await table.row(250) == source[250]
                source.insert(0, Reading("new", 1.0))
                await table.set_data(5, 1, 77.0)
                await reads(table, ((), source.here))
                assert 77.0 in [row.value for row in source[4:7]]


def test_a_program_without_a_loop_reads_a_table(far_place: Place) -> None:
    source, ready, done = TableSource(readings(500), writable=True), threading.Event(), threading.Event()

    async def host() -> None:
        async with far_place.hosting(rows=source):
            ready.set()
            await asyncio.to_thread(done.wait)

    thread = threading.Thread(target=lambda: asyncio.run(host()))
    thread.start()
    try:
        assert ready.wait(10)
        with sync.connect(far_place.url, "rows", Table[Reading]) as table:
            assert (table.row_count, table.columns) == (500, ("sensor", "value"))
            assert sync.run(table.row(420)) == Reading("s420", 420.0)
            assert sync.run(table.fetch(10, 309)) == readings(310)[10:]
            sync.run(table.set_data(0, 1, 5.5))
            assert sync.run(table.row(0)) == Reading("s0", 5.5)
    finally:
        done.set()
        thread.join()


async def test_a_replica_that_does_not_read_costs_little_and_then_knows_all(far_place: Place) -> None:
    """A stalled link is told that all is new, instead of being told each of many changes."""
    source = TableSource(readings(10))
    small = Limits(drain=0.0, unsent_soft=16 * 1024, unsent_hard=64 * 1024)
    async with far_place.hosting(limits=small, rows=source), far_place.connect("rows", Table[Reading]) as table:
        await table.fetch()
        for n in range(soak(4_000, 20_000)):  # in one turn, so that nothing is read meanwhile
            source.set(n % 10, "value", float(n))
        await reads(table, ((), source.here))
        assert link_of(table).state is ReplicaState.VALID
