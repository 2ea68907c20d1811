"""Children, models, structures and figures between us and PySide6; and what PySide6 itself cannot say in a .rep."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any, Final

import pytest

from everywire import (
    ModelError,
    Node,
    Object,
    Property,
    ReplicaState,
    connect,
    i32,
    link_of,
    members,
    prop,
    signal,
    slot,
)
from everywire.codec.qdatastream import Line, PointF, Rect, RectF, Size
from everywire.remoteobjects import CONSTANT, CppType, open_session
from everywire.tables import TableSource
from tests.interop import sources
from tests.interop.matrix import PYSIDE, Feature, Role, qt_cannot, shows
from tests.interop.programs import QtProgram, qt_program

pytestmark = pytest.mark.interop

Address = Callable[[str], str]
CBOR_SHOWN: Final = "(1), QCborValue(2)"
"""In what PySide6 6.12 shows of [1, 2] and {1: 2}."""


@asynccontextmanager
async def offered(url: str, name: str) -> AsyncIterator[tuple[QtProgram, Any]]:
    """An object of a PySide6 program, and our replica of a class built from what it announces."""
    async with qt_program("host") as qt:
        done, where = await qt.ask("serve", url=url, names=[name])
        assert done == [True]
        async with connect(where, name) as replica:
            yield qt, replica


@asynccontextmanager
async def used(url: str, **objects: Object) -> AsyncIterator[tuple[Node, QtProgram]]:
    """Our objects, and a PySide6 program with a dynamic replica of each."""
    async with Node() as node, qt_program("node") as qt:
        for name, source in objects.items():
            node.publish(source, name)
        await node.serve(url)
        assert await qt.ask("connect", url=url)
        for name in objects:
            await qt.ask("acquire", name=name)
            await qt.hear("state", object=name, state="Valid")
        yield node, qt


async def answer(qt: QtProgram, name: str, slot: str, *arguments: list[Any]) -> Any:
    """What a slot returns to PySide6."""
    return (await qt.ask("ask", name=name, slot=slot, arguments=arguments, wait=True))["value"]


# --------------------------------------------------------------------------------------------------------- children
@shows(Feature.CHILD, Role.HOST, PYSIDE)
@shows(Feature.CHILD_NESTED, Role.HOST, PYSIDE)
@shows(Feature.CHILD_REPLACED, Role.HOST, PYSIDE)
async def test_a_child_of_a_python_object_is_a_replica_and_may_be_replaced(address: Address) -> None:
    async with offered(address("local"), "machine") as (_, machine):
        first = machine.wheel
        assert (first.turns, await first.add_one(1)) == (4, 2)
        assert await members(first)["turns"].push(7) == 7
        assert (first.hub.width, await first.hub.add_one(2)) == (12, 3)
        await machine.replace_wheel(9)
        assert await machine.add_one(0) == 1
        assert (machine.wheel.turns, await machine.wheel.add_one(2)) == (9, 3)
        await machine.replace_wheel(-1)
        assert await machine.add_one(0) == 1
        assert machine.wheel is None


@shows(Feature.CHILD, Role.REPLICA, PYSIDE)
@shows(Feature.CHILD_NESTED, Role.REPLICA, PYSIDE)
@shows(Feature.CHILD_REPLACED, Role.REPLICA, PYSIDE)
async def test_a_child_of_ours_is_a_replica_in_python_and_may_be_replaced(address: Address) -> None:
    hall = sources.Hall()
    async with used(address("local"), hall=hall) as (_, qt):
        assert await qt.ask("take", name="hall", prop="pump", child="pump")
        await qt.hear("state", object="pump", state="Valid")
        assert await qt.ask("take", name="pump", prop="valve", child="valve")
        assert await qt.ask("listen", name="valve", signal="turned(int)")
        assert await answer(qt, "valve", "turn(int)", ["int", 4]) == ["str", "turned by 4"]
        assert (await qt.hear("heard", object="valve"))["arguments"] == [["int", 4]]
        assert await qt.ask("get", name="valve", prop="opening") == ["int", 5]
        hall.pump = sources.Pump(6)
        assert await answer(qt, "hall", "addOne(int)", ["int", 1]) == ["int", 2]
        assert await qt.ask("take", name="hall", prop="pump", child="next")
        assert await qt.ask("get", name="next", prop="speed") == ["int", 6]
        assert await answer(qt, "next", "addOne(int)", ["int", 1]) == ["int", 2]
        hall.pump = None
        assert await answer(qt, "hall", "addOne(int)", ["int", 1]) == ["int", 2]
        assert await qt.ask("take", name="hall", prop="pump", child="none") is None


@shows(Feature.MODEL_CHILD, Role.HOST, PYSIDE)
async def test_a_model_of_a_python_object_is_a_table(address: Address) -> None:
    async with offered(address("local"), "machine") as (_, machine):
        table = machine.rows
        assert [table.cell(row) for row in range(len(await table.fetch(roles=[0])))] == ["first", "second"]
        inserted: asyncio.Queue[Any] = asyncio.Queue()
        table.rows_inserted.connect(lambda *where: inserted.put_nowait(where))
        await machine.append("third")
        assert await inserted.get() == ((), 2, 2)
        await table.fetch(roles=[0])
        assert table.cell(2) == "third"


@shows(Feature.MODEL_BACK, Role.HOST, PYSIDE)
@shows(Feature.NESTED_BACK, Role.HOST, PYSIDE)
async def test_an_object_of_python_with_a_model_comes_back(address: Address) -> None:
    url = address("local")
    async with qt_program("host") as first:
        await first.ask("serve", url=url, names=["machine"])
        async with connect(url, "machine") as machine:
            await first.kill()
            await link_of(machine).wait_for(ReplicaState.SUSPECT)
            async with qt_program("host") as second:
                await second.ask("serve", url=url, names=["machine"])
                await link_of(machine).wait_valid()
                assert len(await machine.rows.fetch(roles=[0])) == 2
                assert await machine.wheel.hub.add_one(1) == 2


@shows(Feature.MODEL_BACK, Role.REPLICA, PYSIDE)
@shows(Feature.NESTED_BACK, Role.REPLICA, PYSIDE)
async def test_an_object_of_ours_with_a_model_comes_back_in_python(address: Address) -> None:
    url = f"{address('local')}?dynamic_only=yes"
    async with qt_program("node") as qt:
        for life in range(2):
            async with Node() as node:
                node.publish(sources.Hall(), "hall")
                (where,) = await node.serve(url)
                if life == 0:
                    await qt.ask("connect", url=where)
                    await qt.ask("acquire", name="hall")
                await qt.hear("state", object="hall", state="Valid")
                assert await qt.ask("take", name="hall", prop="rows", child="rows")
                assert await cell(qt, 1) == "Aria"
                assert await qt.ask("take", name="hall", prop="pump", child="pump")
                assert await qt.ask("take", name="pump", prop="valve", child="valve")
                assert await answer(qt, "valve", "turn(int)", ["int", 4]) == ["str", "turned by 4"]
            await qt.hear("state", object="hall", state="Suspect")


@shows(Feature.MODEL_CHILD, Role.REPLICA, PYSIDE)
async def test_a_table_of_an_object_of_ours_is_a_model_in_python(address: Address) -> None:
    hall = sources.Hall()
    async with used(address("local"), hall=hall) as (_, qt):
        assert await qt.ask("take", name="hall", prop="rows", child="rows") == "QAbstractItemModelReplica"
        assert await cell(qt, 1) == "Aria"
        assert isinstance(hall.rows, TableSource)
        hall.rows.append(("Gigue", 200))
        await qt.hear("rows inserted", first=3, last=3)
        assert await cell(qt, 3) == "Gigue"


async def cell(qt: QtProgram, row: int) -> Any:
    """A title, as a view gets it: asked for, and looked at again when data arrive."""
    roles = await qt.ask("roles", name="rows")
    (title,) = [int(role) for role, name in roles.items() if name == "title"]
    while True:
        known, value = await qt.ask("cell", name="rows", row=row, column=0, role=title)
        if known:
            return value[1]
        await qt.hear("data changed")


# ----------------------------------------------------------------------------------------------------------- values
@dataclass(frozen=True)
class Spot:
    x_pos: float
    label: str


class Holder(Object):
    """The class of the .rep."""

    spot: Property[Spot] = prop(Spot(1.5, "here"), writable=True)

    @signal
    def moved(self, spot: Spot) -> None: ...

    @slot
    async def move(self, spot: Spot, by: float) -> Spot:
        moved = Spot(spot.x_pos + by, spot.label)
        self.moved.emit(moved)
        return moved

    @slot
    async def add_one(self, number: i32) -> i32:
        return number + 1


HOLDER: Final = """
POD Spot(double xPos, QString label)
class Holder
{
    PROP(Spot spot)
    SIGNAL(moved(Spot spot))
    SLOT(Spot move(Spot spot, double by))
    SLOT(int addOne(int number))
};
"""


@shows(Feature.PODS, Role.HOST, PYSIDE)
async def test_structures_of_a_rep_go_both_ways(address: Address) -> None:
    async with qt_program("host") as qt:
        _, where = await qt.ask("serve", url=address("local"), names=["holder"])
        async with connect(where, "holder", Holder) as holder:
            heard: list[Spot] = []
            holder.moved.connect(heard.append)
            assert holder.spot == Spot(1.5, "here")
            assert await Holder.spot.push(holder, Spot(2.5, "there")) == Spot(2.5, "there")
            assert (await qt.ask("get", name="holder", prop="spot"))[1] == [["float", 2.5], ["str", "there"]]
            assert await holder.move(Spot(1.0, "q"), 0.5) == Spot(1.5, "q")
            assert heard == [Spot(1.5, "q")]


@shows(Feature.PODS, Role.REPLICA, PYSIDE)
async def test_structures_of_ours_are_those_of_a_generated_replica(address: Address) -> None:
    holder, url = Holder(), address("local")
    async with Node() as node, qt_program("node") as qt:
        node.publish(holder, "holder")
        await node.serve(url)
        await qt.ask("connect", url=url)
        await qt.ask("acquire_static", name="holder", rep=HOLDER, cls="Holder")
        await qt.hear("state", object="holder", state="Valid")
        assert (await qt.ask("get", name="holder", prop="spot"))[1] == [["float", 1.5], ["str", "here"]]
        assert await qt.ask("listen", name="holder", signal="spotChanged(Spot)")
        holder.spot = Spot(3.5, "new")
        assert (await qt.hear("heard"))["arguments"][0][1] == [["float", 3.5], ["str", "new"]]


@shows(Feature.GEOMETRY, Role.HOST, PYSIDE)
@shows(Feature.DOCUMENTS, Role.HOST, PYSIDE)
@shows(Feature.CBOR, Role.HOST, PYSIDE)
async def test_figures_json_and_cbor_are_pushed_to_python(address: Address) -> None:
    values = {
        "pointf": (PointF(1.5, -2.5), "QPointF(1.500000, -2.500000)"),
        "size": (Size(3, 4), "QSize(3, 4)"),
        "rect": (Rect(1, 2, 30, 40), "QRect(1, 2, 30, 40)"),
        "rectf": (RectF(1.5, 2.5, 3.0, 4.0), "QRectF(1.500000, 2.500000, 3.000000, 4.000000)"),
        "line": (Line(1, 2, 3, 4), "QLine(1, 2, 3, 4)"),
    }
    async with offered(address("local"), "sheet") as (qt, sheet):
        for name, (value, shown) in values.items():
            assert await members(sheet)[name].push(value) == value
            assert (name, (await qt.ask("get", name="sheet", prop=name))[1].partition("QtCore.")[2]) == (name, shown)
        assert await members(sheet)["object"].push({"a": [1, None]}) == {"a": [1, None]}
        assert await members(sheet)["array"].push([1, "b"]) == [1, "b"]
        assert await sheet.echo({"a": {"b": True}}) == {"a": {"b": True}}
        for name, value in (("items", b"\x82\x01\x02"), ("map", b"\xa1\x01\x02")):
            assert await members(sheet)[name].push(value) == value
            assert CBOR_SHOWN in (await qt.ask("get", name="sheet", prop=name))[1]


class Sheet(Object):
    """Figures and JSON of ours."""

    size: Property[Size] = prop(Size(3, 4))
    rectf: Property[RectF] = prop(RectF(1.5, 2.5, 3.0, 4.0))
    line: Property[Line] = prop(Line(1, 2, 3, 4))
    object: Property[Annotated[dict[str, Any], CppType("QJsonObject")]] = prop(factory=lambda: {"a": [1, None]})
    array: Property[Annotated[list[Any], CppType("QJsonArray")]] = prop(factory=lambda: [1, "b"])
    map: Property[Annotated[Any, CppType("QCborMap")]] = prop(b"\xa1\x01\x02")
    serial: Property[Annotated[str, CONSTANT]] = prop("A-17")
    note: Property[str] = prop("free")


@shows(Feature.GEOMETRY, Role.REPLICA, PYSIDE)
@shows(Feature.DOCUMENTS, Role.REPLICA, PYSIDE)
@shows(Feature.CBOR, Role.REPLICA, PYSIDE)
@shows(Feature.CONSTANT, Role.REPLICA, PYSIDE)
async def test_python_sees_figures_json_cbor_and_a_constant_of_ours(address: Address) -> None:
    sheet = Sheet()
    async with used(address("local"), sheet=sheet) as (_, qt):
        for name, shown in (
            ("size", "PySide6.QtCore.QSize(3, 4)"),
            ("rectf", "PySide6.QtCore.QRectF(1.500000, 2.500000, 3.000000, 4.000000)"),
            ("line", "PySide6.QtCore.QLine(1, 2, 3, 4)"),
        ):
            assert (name, (await qt.ask("get", name="sheet", prop=name))[1]) == (name, shown)
        table = ["dict", {"a": ["list", [["int", 1], ["NoneType", None]]]}]
        assert await qt.ask("get", name="sheet", prop="object") == table
        assert (await qt.ask("get", name="sheet", prop="array"))[0] == "QJsonArray"
        assert CBOR_SHOWN in (await qt.ask("get", name="sheet", prop="map"))[1]
        assert await qt.ask("get", name="sheet", prop="serial") == ["str", "A-17"]
        assert not await qt.ask("listen", name="sheet", signal="serialChanged(QString)")
        assert await qt.ask("listen", name="sheet", signal="noteChanged(QString)")
        sheet.note = "taken"
        assert (await qt.hear("heard"))["arguments"] == [["str", "taken"]]


# -------------------------------------------------------------------------------------------------- limits of PySide6
@qt_cannot(
    "PySide6 gives the classes of a `RepFile` no signature, so nobody can compare it.",
    Feature.MISMATCH, Role.HOST, PYSIDE,
)  # fmt: skip
async def test_a_source_of_a_repfile_has_no_signature(address: Address) -> None:
    async with qt_program("host") as qt:
        _, where = await qt.ask("serve", url=address("local"), names=["holder"])
        async with open_session(where) as session:
            assert [(info.name, info.signature) for info in session.objects.values()] == [("holder", None)]


@qt_cannot(
    "PySide6 gives the classes of a `RepFile` no signature, so nobody can compare it.",
    Feature.MISMATCH, Role.REPLICA, PYSIDE,
)  # fmt: skip
async def test_a_replica_of_a_repfile_takes_any_class_for_its_own(address: Address) -> None:
    url = address("local")
    async with Node() as node, qt_program("node") as qt:
        node.publish(Holder(), "holder")
        await node.serve(url)
        await qt.ask("connect", url=url)
        other = "class Other { PROP(double level) SLOT(int addOne(int number)) };"
        await qt.ask("acquire_static", name="holder", rep=other, cls="Other")
        await qt.hear("state", object="holder", state="Valid")


NO_SUCH_REP: Final = "PySide6 takes no .rep file with such types."
NO_REP: Final = {
    Feature.PODS_NESTED: (
        "POD Spot(double xPos, QString label)\nPOD Reading(Spot spot)\nclass Hall { PROP(Reading reading) };"
    ),
    Feature.POD_LISTS: "POD Spot(double xPos, QString label)\nclass Hall { PROP(QList<Spot> spots) };",
    Feature.NESTED_BACK_STATIC: "class Pump { PROP(int speed) };\nclass Hall { CLASS pump(Pump) };",
    Feature.FLAGS: "class Hall { ENUM Stop {Flute=1, Reed=2}\nFLAG(Stops Stop)\nPROP(Stops stops) };",
}


@pytest.mark.parametrize("feature", NO_REP, ids=lambda feature: feature.name.lower())
async def test_pyside6_refuses_such_a_rep(feature: Feature) -> None:
    async with qt_program("node") as qt:
        assert await qt.ask("refuses", rep=NO_REP[feature])


for _role in Role:
    for _feature in (*NO_REP, Feature.POD_LIST_RESULTS):
        qt_cannot(NO_SUCH_REP, _feature, _role, PYSIDE)(test_pyside6_refuses_such_a_rep)


@qt_cannot("PySide6 sends an enum of Python as a pickle.", Feature.ENUMS, Role.HOST, PYSIDE)
async def test_an_enum_of_python_is_a_pickle_that_stays_closed(address: Address) -> None:
    async with offered(address("local"), "machine") as (_, machine):
        assert machine.gear.startswith(b"\x80\x04")
        with pytest.raises(ModelError, match="PyObjectWrapper"):
            await members(machine)["gear"].push(5)
        assert link_of(machine).state.name == "VALID"
