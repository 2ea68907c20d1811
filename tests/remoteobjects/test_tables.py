"""Tables as models of Qt, against peers that know only packets: what is said, what is refused, what does no harm."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from everywire import (
    Code,
    Fault,
    Limits,
    LinkError,
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
)
from everywire.codec.qdatastream import Size, Typed, TypeId, UserTyped
from everywire.errors import ModelError, RemoteProtocolError
from everywire.remoteobjects.codec import (
    ADAPTER,
    QTRO_1_3,
    QTRO_2_0,
    AddObject,
    CallKind,
    Dialect,
    Init,
    InitDynamic,
    Invoke,
    InvokeReply,
    ObjectInfo,
    ObjectList,
    Ping,
    Pong,
    PropertyChange,
    decode_packet,
    encode_packet,
)
from everywire.remoteobjects.codec.cells import Entry, Place
from everywire.remoteobjects.codec.extension import HELLO
from everywire.remoteobjects.codec.tables import (
    TABLE_TYPES,
    Snapshot,
    TableMethod,
    TableProperty,
    TableSignal,
    Written,
)
from everywire.remoteobjects.wire.tables import MOST_WAITING, HostedTable
from everywire.runtime.node import Publication
from everywire.runtime.outbox import Outbox
from everywire.tables import ItemRole, Orientation, TableIndex
from tests.remoteobjects.peers import GREETING, RawPeer, hosting, raw_host, raw_node
from tests.tables.samples import Reading, machine, readings

WRITTEN = Written(QTRO_2_0)
CELL = ((1, 0),)


async def packet(peer: RawPeer) -> Any:
    """Return the next packet, with values of models."""
    return decode_packet(await peer.body(), from_host=True, types=TABLE_TYPES)


async def ask(peer: RawPeer, method: int, *arguments: Any, serial: int = 7) -> Any:
    """Call a method of the model `rows` and return what answers it."""
    await peer.send(Invoke("rows", CallKind.METHOD, method, arguments, serial))
    while True:
        found = await packet(peer)
        if isinstance(found, InvokeReply):
            assert found.serial == serial
            return found.value


@asynccontextmanager
async def attached(url: str) -> AsyncIterator[RawPeer]:
    """A node that has attached to the model `rows`."""
    async with raw_node(url) as peer:
        await peer.send(AddObject("rows", dynamic=False))
        assert isinstance(await packet(peer), Init)
        yield peer


# ------------------------------------------------------------------------------------------------------ what is said
async def test_a_table_is_listed_as_a_model_and_tells_its_roles(folder: Path) -> None:
    async with hosting(folder, rows=TableSource(readings(3))) as (_, url), raw_node(url, greeted=False) as peer:
        listed = await peer.find(ObjectList)
        assert listed.entries == (ObjectInfo("rows", ADAPTER),)
        await peer.send(AddObject("rows", dynamic=False))
        init = await packet(peer)
        assert isinstance(init, Init)
        roles, names = init.values
        assert roles == [0, 2, 257, 258]
        assert (names[257], names[0], names[3]) == (b"sensor", b"display", b"toolTip")  # type: ignore[index]


async def test_who_asks_for_the_class_gets_that_of_all_models(folder: Path) -> None:
    async with hosting(folder, rows=TableSource(readings(3))) as (_, url), raw_node(url) as peer:
        await peer.send(AddObject("rows", dynamic=True))
        init = await packet(peer)
        assert isinstance(init, InitDynamic)
        assert init.definition.type_name == ADAPTER
        assert [len(part) for part in (init.definition.signals, init.definition.methods)] == [10, 6]


async def test_the_methods_of_a_model_answer_as_those_of_qt(folder: Path) -> None:
    w = WRITTEN
    async with hosting(folder, rows=TableSource(readings(9), writable=["value"])) as (_, url), attached(url) as peer:
        assert await ask(peer, TableMethod.SIZE, w.indexes(())) == Size(2, 9)
        assert await ask(peer, TableMethod.SIZE, w.indexes(CELL)) == Size(2, 0)
        cells = await ask(peer, TableMethod.ROWS, w.indexes(((7, 0),)), w.indexes(((99, 1),)), w.integers([0, 3]))
        assert [(cell.places, list(cell.values), cell.flags) for cell in cells] == [
            ((Place(7, 0),), ["s7", None], 161),
            ((Place(7, 1),), [7.0, None], 163),
            ((Place(8, 0),), ["s8", None], 161),
            ((Place(8, 1),), [8.0, None], 163),
        ]
        one = await ask(peer, TableMethod.ROWS, w.indexes(((2, 1),)), w.indexes(((2, 1),)), w.integers([]))
        assert [list(cell.values) for cell in one] == [[2.0, 2.0, None, None]]
        asked = w.orientations([1, 2, 1]), w.integers([1, 5, 9]), w.integers([0, 0, 0])
        assert await ask(peer, TableMethod.HEADERS, *asked) == ["value", 6, None]
        for count in (Typed(TypeId.ULONG, 3), 3, Typed(TypeId.ULONG_LONG, 3)):
            snapshot = await ask(peer, TableMethod.CACHE, count, w.integers([2]))
            assert isinstance(snapshot, Snapshot)
            assert (snapshot.rows, snapshot.columns, list(snapshot.roles)) == (9, 2, [2])
            assert [list(cell.values) for cell in snapshot.entries] == [["s0"], [0.0], ["s1"]]


async def test_the_first_cells_of_a_tree_come_with_those_below_them(folder: Path) -> None:
    async with hosting(folder, rows=TreeSource(machine())) as (_, url), attached(url) as peer:
        snapshot = await ask(peer, TableMethod.CACHE, Typed(TypeId.ULONG, 1000), WRITTEN.integers([0]))

        def seen(entries: Any) -> list[Any]:
            return [[entry.values[0], *seen(entry.below)] for entry in entries if entry.places[-1].column == 0]

        assert seen(snapshot.entries) == [
            ["pump", ["rotor", ["blade"]], ["seal"]], ["tank"], ["valve", ["spring"]],
        ]  # fmt: skip
        first = snapshot.entries[0]
        assert (first.children, first.rows, first.columns) == (True, 2, 2)
        few = await ask(peer, TableMethod.CACHE, Typed(TypeId.ULONG, 3), WRITTEN.integers([0]))
        assert seen(few.entries) == [["pump", ["rotor", ["blade"]]]]


async def test_changes_are_told_as_the_signals_of_qt(folder: Path) -> None:
    source = TableSource(readings(5))
    async with hosting(folder, rows=source) as (_, url), attached(url) as peer:
        source.append(Reading("x", 0.0))
        source.remove(0)
        source.set(1, 1, 5.5)
        source.move(0, 2)
        source.sort(lambda row: row.value)
        source.current = TableIndex((1,), 1)
        source.roles = {0: "display"}
        source.reset([])
        heard: list[Any] = []
        while not heard or heard[-1][0] is not TableSignal.MODEL_RESET:
            found = await packet(peer)
            if isinstance(found, Invoke):
                heard.append((TableSignal(found.index), *found.arguments))
            else:
                assert isinstance(found, PropertyChange)
                heard.append((TableProperty(found.index), found.value))
    assert heard == [
        (TableSignal.ROWS_INSERTED, (), 5, 5),
        (TableSignal.ROWS_REMOVED, (), 0, 0),
        (TableSignal.DATA_CHANGED, ((1, 1),), ((1, 1),), [0, 2, 257, 258]),
        (TableSignal.ROWS_MOVED, (), 0, 0, (), 2),
        (TableSignal.DATA_CHANGED, ((0, 0),), ((1, 1),), [0, 2, 257, 258]),
        (TableSignal.LAYOUT_CHANGED, (), 1),
        (TableSignal.CURRENT_CHANGED, ((1, 1),), ()),
        (TableProperty.AVAILABLE_ROLES, [0]),
        (TableProperty.ROLE_NAMES, heard[8][1]),
        (TableSignal.AVAILABLE_ROLES_CHANGED,),
        (TableSignal.CURRENT_CHANGED, (), ((1, 1),)),
        (TableSignal.MODEL_RESET,),
    ]


@pytest.mark.parametrize(
    "dialect, names",
    [
        (QTRO_2_0, {b"QtPrivate::IndexList", b"QtPrivate::DataEntries", b"QList<int>"}),
        (QTRO_1_3, {b"IndexList", b"DataEntries", b"QVector<int>", b"QIntHash"}),
    ],
)
def test_types_have_the_names_of_the_dialect(dialect: Dialect, names: set[bytes]) -> None:
    written = Written(dialect)
    values = (
        written.indexes(CELL),
        written.entries([Entry((Place(1, 0),), ["x"])]),
        written.integers([1]),
        written.role_names({257: "x"}),
    )
    frame = encode_packet(InvokeReply("rows", 1, list(values)), dialect)
    assert all(name + b"\0" in frame for name in names)
    reply = decode_packet(frame[4:], from_host=True, types=TABLE_TYPES, dialect=dialect)
    assert isinstance(reply, InvokeReply)
    assert reply.value == [((1, 0),), [Entry((Place(1, 0),), ["x"])], [1], {257: b"x"}]


# ------------------------------------------------------------------------------------------------ what is refused
async def test_what_a_model_is_not_asked_is_refused_and_harms_nobody(folder: Path) -> None:
    w = WRITTEN
    nonsense: tuple[tuple[int, tuple[Any, ...]], ...] = (
        (TableMethod.SIZE, ()),
        (TableMethod.SIZE, (5,)),
        (TableMethod.SIZE, (w.indexes(()), w.indexes(()))),
        (TableMethod.ROWS, (w.indexes(()), w.indexes(()), w.integers([]))),
        (TableMethod.ROWS, (w.indexes(CELL), w.indexes(CELL), ["0"])),
        (TableMethod.ROWS, (w.indexes(CELL), w.indexes(CELL))),
        (TableMethod.HEADERS, (1, 2, 3)),
        (TableMethod.SET_CURRENT, (w.indexes(CELL), "all")),
        (TableMethod.SET_CURRENT, (w.indexes(((-1, 0),)), 0x13)),
        (TableMethod.SET_DATA, (w.indexes(()), 1.0, 2)),
        (TableMethod.SET_DATA, (w.indexes(((1, 1),)), "warm", 2)),
        (TableMethod.SET_DATA, (w.indexes(((99, 1),)), 1.0, 2)),
        (TableMethod.SET_DATA, (w.indexes(((1, 0), (0, 0))), "x", 2)),
        (TableMethod.CACHE, (-5, w.integers([]))),
        (TableMethod.CACHE, ("all", w.integers([]))),
        (6, ()),
    )
    source = TableSource(readings(3), writable=True)
    async with hosting(folder, rows=source) as (node, url), attached(url) as peer:
        for method, arguments in nonsense:
            assert await ask(peer, method, *arguments) is None, (method, arguments)
        assert await ask(peer, TableMethod.SIZE, w.indexes(())) == Size(2, 3)
        assert sum(node.refusals.values()) == len(nonsense)
        assert source.here == readings(3)


async def test_an_answer_has_bounds_whatever_is_asked(folder: Path) -> None:
    w, most = WRITTEN, 2**31 - 1
    async with hosting(folder, rows=TableSource(readings(50))) as (_, url), attached(url) as peer:

        async def cells(start: Any, end: Any) -> int:
            found = await ask(peer, TableMethod.ROWS, w.indexes(start), w.indexes(end), w.integers([0]))
            return len(found)

        assert await cells(((-most, -most),), ((most, most),)) == 100
        assert await cells(((5, 0),), ((1, 0),)) == 0
        assert await cells(((5, 0),), ((5, 1), (5, 0))) == 0
        assert await cells(((0, 1), (5, 0)), ((0, 1), (5, 0))) == 0
        snapshot = await ask(peer, TableMethod.CACHE, Typed(TypeId.ULONG, 2**64 - 1), w.integers([0]))
        assert len(snapshot.entries) == 100
        far = w.orientations([1, 9]), w.integers([most, 0]), w.integers([0, 0])
        assert await ask(peer, TableMethod.HEADERS, *far) == [None, None]


async def test_a_place_deeper_than_any_tree_is_no_place(folder: Path) -> None:
    deep = tuple((0, 0) for _ in range(100))
    async with hosting(folder, rows=TreeSource(machine())) as (node, url), attached(url) as peer:
        await peer.send(Invoke("rows", CallKind.METHOD, TableMethod.SIZE, (WRITTEN.indexes(deep),), 1))
        await peer.ended()
        assert node.refusals["protocol"] == 1


async def test_viewers_may_not_write_as_policies_say(folder: Path) -> None:
    source = TableSource(readings(3), writable=True)
    policy = Policy(role=lambda _: Role.VIEWER)
    async with hosting(folder, policy=policy, rows=source) as (node, url), attached(url) as peer:
        assert await ask(peer, TableMethod.SIZE, WRITTEN.indexes(())) == Size(2, 3)
        assert await ask(peer, TableMethod.SET_DATA, WRITTEN.indexes(((1, 1),)), 5.0, 2) is None
        assert await ask(peer, TableMethod.SET_CURRENT, WRITTEN.indexes(CELL), 0x13) is None
        assert node.refusals["PERMISSION_DENIED"] == 2
        assert (source.here, source.current) == (readings(3), None)


async def test_a_value_that_qt_has_no_type_for_hides_no_other(folder: Path) -> None:
    source: TableSource[Any] = TableSource([(1, object(), "a"), (2, 3, "b")], columns=["a", "b", "c"])
    async with hosting(folder, rows=source) as (_, url), attached(url) as peer:
        w = WRITTEN
        cells = await ask(peer, TableMethod.ROWS, w.indexes(((0, 0),)), w.indexes(((1, 2),)), w.integers([2]))
        assert [cell.values[0] for cell in cells] == [1, None, "a", 2, 3, "b"]
        snapshot = await ask(peer, TableMethod.CACHE, 100, w.integers([2]))
        assert [cell.values[0] for cell in snapshot.entries] == [1, None, "a", 2, 3, "b"]


async def test_large_rows_come_in_several_answers(folder: Path) -> None:
    rows = [Reading(f"{n}" * 100_000, float(n)) for n in range(60)]
    async with hosting(folder, rows=TableSource(rows)) as (_, url), connect(url, "rows", Table[Reading]) as table:
        assert await table.fetch() == rows  # 24 MB in all, where a frame has at most 4
        assert link_of(table).state is ReplicaState.VALID


# ------------------------------------------------------------------------------------------------ who does not read
class Pipe:
    """What a connection of a stalled link takes."""

    def __init__(self) -> None:
        self.data = b""
        self.aborted = False

    def write(self, data: bytes) -> None:
        self.data += data

    def abort(self) -> None:
        self.aborted = True


class Stalled:
    """A link whose peer does not read."""

    def __init__(self, limits: Limits) -> None:
        self.pipe = Pipe()
        self.outbox = Outbox(self.pipe, limits, lambda end: end())

    def told(self) -> list[TableSignal]:
        """Return the signals that were written."""
        data, found = self.pipe.data, []
        while data:
            size = int.from_bytes(data[:4], "little")
            said = decode_packet(data[4 : 4 + size], from_host=True, types=TABLE_TYPES)
            if isinstance(said, Invoke):
                found.append(TableSignal(said.index))
            data = data[4 + size :]
        return found


def stalled(source: Table[Any], limits: Limits) -> tuple[HostedTable, Stalled]:
    hosted = HostedTable(Publication("rows", source, contract_of(source), Policy()), QTRO_2_0)
    link = Stalled(limits)
    hosted.join(link, dynamic=False, anew=False)
    return hosted, link


@pytest.mark.parametrize("hard", [16 * 1024 * 1024, 64 * 1024])
def test_a_link_that_does_not_read_is_told_that_all_is_new_instead_of_each_change(hard: int) -> None:
    source = TableSource(readings(3))
    hosted, link = stalled(source, Limits(unsent_hard=hard))
    source.append(Reading("first", 0.0))
    link.outbox.pause()
    for n in range(5000):
        source.set(n % 3, 1, float(n))
    assert link.outbox.waiting_bytes < 256 * 1024
    assert not link.pipe.aborted
    link.outbox.resume()
    told = link.told()
    assert told[0] is TableSignal.ROWS_INSERTED
    assert told[-1] is TableSignal.MODEL_RESET
    assert told.count(TableSignal.MODEL_RESET) == 1
    assert len(told) <= MOST_WAITING + 2
    source.append(Reading("last", 0.0))
    assert link.told()[-1] is TableSignal.ROWS_INSERTED
    hosted.close()


def test_what_is_told_after_a_reply_is_not_thought_to_be_in_an_older_reset() -> None:
    source = TableSource(readings(3))
    hosted, link = stalled(source, Limits())
    link.outbox.pause()
    for n in range(MOST_WAITING + 10):
        source.set(0, 1, float(n))
    link.outbox.put(encode_packet(InvokeReply("rows", 1, None)))  # an answer with the rows as they were then
    source.set(0, 1, -1.0)
    link.outbox.resume()
    assert link.told().count(TableSignal.MODEL_RESET) == 2
    hosted.close()


# ------------------------------------------------------------------------------------- hosts that are not what they say
Script = Callable[[RawPeer], Awaitable[None]]


def host_of(rows: Callable[[Invoke], Any], then: Script | None = None) -> Script:
    """Be a host whose model `rows` has three rows; *rows* answers who asks for cells, *then* is what follows."""

    async def script(peer: RawPeer) -> None:
        await peer.send(GREETING, ObjectList((ObjectInfo("rows", ADAPTER),)))
        await peer.find(Ping, lambda ping: ping.name == HELLO)
        await peer.send(Pong(HELLO))
        follow = asyncio.create_task(then(peer)) if then is not None else None
        try:
            while True:
                said = decode_packet(await peer.body(), from_host=False, types=TABLE_TYPES)
                match said:
                    case AddObject():
                        roles = WRITTEN.integers([0, 2]), WRITTEN.role_names({0: "display", 2: "edit"})
                        await peer.send(Init("rows", roles))
                    case Invoke(index=TableMethod.SIZE):
                        await peer.send(InvokeReply("rows", said.serial, Size(1, 3)))
                    case Invoke(index=TableMethod.HEADERS):
                        await peer.send(InvokeReply("rows", said.serial, ["name"]))
                    case Invoke(index=TableMethod.ROWS):
                        await peer.send(InvokeReply("rows", said.serial, rows(said)))
                    case Ping():
                        await peer.send(Pong(said.name))
                    case _:
                        pass
        except (LinkError, RemoteProtocolError):
            pass
        finally:
            if follow is not None:
                follow.cancel()
                await asyncio.gather(follow, return_exceptions=True)

    return script


def entry(row: int, column: int = 0, value: Any = "x") -> Entry:
    return Entry((Place(row, column),), [value, value])


@pytest.mark.parametrize(
    "answer",
    [
        None,
        "rows",
        [1, 2, 3],
        WRITTEN.entries([entry(7)]),
        WRITTEN.entries([entry(0, 1)]),
        WRITTEN.entries([entry(1), entry(0)]),
        WRITTEN.entries([Entry((), [1, 2])]),
        WRITTEN.entries([Entry((Place(0, 0), Place(0, 0)), [1, 2])]),
        WRITTEN.entries([]),
        WRITTEN.entries([Entry((Place(0, 0),), [])]),
        UserTyped("QtPrivate::DataEntries", b"\xff\xff\xff\xff"),
        UserTyped("QtPrivate::DataEntries", b"\0\0\0\0trailing"),
        UserTyped("Sheep", b"\0\0\0\0"),
    ],
    ids=range(13),
)
async def test_answers_that_are_none_are_faults_and_never_rows(folder: Path, answer: Any) -> None:
    async with (
        raw_host(f"local:{folder}/host", host_of(lambda _: answer)) as url,
        connect(url, "rows", Table, timeout=5.0) as table,
    ):
        assert (table.row_count, table.columns) == (3, ("name",))
        if isinstance(answer, UserTyped) and answer.type_name == "QtPrivate::DataEntries":
            with pytest.raises(Fault):  # the frame itself is broken, and so is the link
                await table.fetch()
            return
        if answer == WRITTEN.entries([Entry((Place(0, 0),), [])]):
            assert (await table.fetch(0, 0)) == [{"name": None}]
            return
        with pytest.raises(Fault):
            await table.fetch()
        assert link_of(table).state is ReplicaState.VALID


async def test_signals_that_make_no_sense_are_counted_and_nothing_else(folder: Path) -> None:
    w = WRITTEN
    nonsense: tuple[tuple[int, tuple[Any, ...]], ...] = (
        (TableSignal.ROWS_INSERTED, ()),
        (TableSignal.ROWS_INSERTED, (w.indexes(()), 5, 2)),
        (TableSignal.ROWS_INSERTED, (w.indexes(()), -1, 2)),
        (TableSignal.ROWS_INSERTED, ("root", 0, 1)),
        (TableSignal.ROWS_REMOVED, (w.indexes(()), "0", "1")),
        (TableSignal.ROWS_MOVED, (w.indexes(()), 0, 1, w.indexes(()), -4)),
        (TableSignal.DATA_CHANGED, (1, 2, 3)),
        (TableSignal.DATA_CHANGED, (w.indexes(CELL), w.indexes(CELL), ["0"])),
        (TableSignal.HEADER_DATA_CHANGED, (9, 0, 1)),
        (TableSignal.COLUMNS_INSERTED, (w.indexes(()), 0, 2**31 - 1)),
        (TableSignal.LAYOUT_CHANGED, (w.indexes(()), 77)),
        (TableSignal.CURRENT_CHANGED, (5, w.indexes(()))),
    )
    go = asyncio.Event()

    async def then(peer: RawPeer) -> None:
        await go.wait()
        for index, arguments in nonsense:
            await peer.send(Invoke("rows", CallKind.METHOD, index, arguments))
        await peer.send(Invoke("rows", CallKind.METHOD, TableSignal.ROWS_INSERTED, (w.indexes(()), 3, 3, "surplus")))

    rows = WRITTEN.entries([entry(0), entry(1), entry(2)])
    async with (
        raw_host(f"local:{folder}/host", host_of(lambda _: rows, then)) as url,
        connect(url, "rows", Table, timeout=5.0) as table,
    ):
        assert await table.fetch() == [{"name": "x"}] * 3
        go.set()
        await Table.row_count.wait_for(table, lambda count: count == 4)
        assert link_of(table).state is ReplicaState.VALID
        assert [table.cell(n, role=ItemRole.EDIT) for n in range(3)] == ["x", "x", "x"]


async def test_a_model_of_more_rows_than_it_sends_is_found_out(folder: Path) -> None:
    def rows(said: Invoke) -> Any:
        return WRITTEN.entries([entry(0)] if said.arguments[0] == ((0, 0),) else [])

    async with (
        raw_host(f"local:{folder}/host", host_of(rows)) as url,
        connect(url, "rows", Table, timeout=5.0) as table,
    ):
        with pytest.raises(Fault, match="does not send row 1"):
            await table.fetch()


async def test_a_model_that_does_not_say_its_size_is_none(folder: Path) -> None:
    async def script(peer: RawPeer) -> None:
        await peer.send(GREETING, ObjectList((ObjectInfo("rows", ADAPTER),)))
        await peer.find(Ping, lambda ping: ping.name == HELLO)
        await peer.send(Pong(HELLO))
        await peer.find(AddObject)
        await peer.send(Init("rows", ()))
        said = decode_packet(await peer.body(), from_host=False, types=TABLE_TYPES)
        assert isinstance(said, Invoke)
        await peer.send(InvokeReply("rows", said.serial, None))
        await peer.ended()

    async with raw_host(f"local:{folder}/host", script) as url:
        with pytest.raises(Fault, match="how large"):
            async with connect(url, "rows", Table, timeout=1.0):
                pass


@pytest.mark.parametrize(
    "values",
    [(5,), (None, None), ("ab",), (["a"],), ([1], {"a": 5}), ([1], {"1": b"x"})],
    ids=range(6),
)
async def test_a_model_whose_roles_are_none_is_a_mismatch(folder: Path, values: tuple[Any, ...]) -> None:
    async def script(peer: RawPeer) -> None:
        await peer.send(GREETING, ObjectList((ObjectInfo("rows", ADAPTER),)))
        await peer.find(Ping, lambda ping: ping.name == HELLO)
        await peer.send(Pong(HELLO))
        await peer.find(AddObject)
        await peer.send(Init("rows", values))
        await peer.ended()

    async with raw_host(f"local:{folder}/host", script) as url:
        with pytest.raises(SignatureMismatch, match="model"):
            async with connect(url, "rows", Table, timeout=5.0):
                pass


async def test_rows_that_cannot_be_asked_for_are_an_error_and_no_endless_wait(folder: Path) -> None:
    rows = WRITTEN.entries([entry(0), entry(1), entry(2)])
    async with (
        raw_host(f"local:{folder}/host", host_of(lambda _: rows)) as url,
        connect(url, "rows", Table, timeout=5.0) as table,
        asyncio.timeout(5.0),
    ):
        wrong, right = await asyncio.gather(table.fetch(roles=(2**40,)), table.fetch(), return_exceptions=True)
        assert isinstance(wrong, ModelError)
        assert right == [{"name": "x"}] * 3, "who asks for something else in the same turn gets it"


async def test_who_gave_up_on_rows_leaves_no_unheard_failure_when_the_link_is_lost(folder: Path) -> None:
    def hang_up(_said: Invoke) -> None:
        raise LinkError("this host ends instead of an answer")

    async def use(url: str) -> None:
        async with connect(url, "rows", Table, timeout=5.0) as table:
            fetching = asyncio.create_task(table.fetch())
            while not link_of(table).channel.waiting:
                await asyncio.sleep(0)
            fetching.cancel()
            await asyncio.gather(fetching, return_exceptions=True)
            await link_of(table).wait_for(ReplicaState.SUSPECT, timeout=5.0)

    async with raw_host(f"local:{folder}/host", host_of(hang_up)) as url:
        await use(url)
        await asyncio.sleep(0)
        gc.collect()  # a failure that nobody has heard is told now, and the test fails


async def test_headers_without_end_are_refused_before_they_are_counted_out(folder: Path) -> None:
    async with (
        raw_host(f"local:{folder}/host", host_of(lambda _: None)) as url,
        connect(url, "rows", Table, timeout=5.0) as table,
    ):
        with pytest.raises(Fault, match="headers at once") as caught:
            await table.fetch_headers(Orientation.VERTICAL, last=2**31 - 2)
        assert caught.value.code is Code.OUT_OF_RANGE
