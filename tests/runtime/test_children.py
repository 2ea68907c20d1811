"""Children of published objects: whose they are, and what a node refuses."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Any

import pytest

from everywire import Limits, Node, Object, Property, computed, connect, prop, signal, slot
from everywire.errors import LocalProtocolError, ModelError, WrongThread
from everywire.model import contract_of
from everywire.runtime import children
from everywire.runtime.children import checked_family, childless, without_children
from everywire.runtime.limits import MOST_NESTED
from everywire.runtime.matching import differences


class Valve(Object):
    open: Property[bool] = prop(False)


class Pump(Object):
    speed: Property[int] = prop(0)
    valve: Property[Valve | None] = prop(None)
    spare: Property[Pump | None] = prop(None)

    @signal
    def stopped(self) -> None: ...

    @slot
    async def stop(self) -> None: ...


class Hall(Object):
    name: Property[str] = prop("")
    pump: Property[Pump] = prop(factory=Pump)
    other: Property[Pump | None] = prop(None)
    which: Property[int] = prop(0)

    @computed(which)
    def itself(self) -> Hall | None:
        return self if self.which else None


class Wide(Object):
    """One that wants other children than there are."""

    pump: Property[Pump] = prop(factory=Pump)


def owner(source: Object) -> int | None:
    return source._everywire.owner


async def test_children_belong_to_the_node_of_their_parent() -> None:
    hall, second = Hall(), Pump()
    hall.pump.valve = valve = Valve()
    first = hall.pump
    async with Node() as node:
        node.publish(hall, "hall")
        assert {owner(source) for source in (hall, first, valve)} == {threading.get_ident()}
        assert owner(second) is None
        hall.pump = second
        assert owner(second) == threading.get_ident()
        assert owner(first) is owner(valve) is None
        assert first._everywire.home is None
        second.valve = valve
        assert valve._everywire.publishers == (node,)
        node.withdraw("hall")
        assert [owner(source) for source in (hall, second, valve)] == [None] * 3
        hall.pump = first  # nobody guards it any more
        assert owner(first) is None


async def test_a_node_that_ends_lets_go_of_children() -> None:
    hall = Hall()
    async with Node() as node:
        node.publish(hall, "hall")
    assert owner(hall.pump) is None
    assert not list(node.household)
    assert hall._everywire.guards == ()


async def test_a_child_may_be_published_and_belong_to_several() -> None:
    hall, wide, pump = Hall(), Wide(), Pump()
    hall.pump = hall.other = wide.pump = pump
    async with Node() as node:
        for source, name in ((hall, "hall"), (wide, "wide"), (pump, "pump")):
            node.publish(source, name)
        node.withdraw("hall")
        node.withdraw("pump")
        assert owner(pump) == threading.get_ident()
        wide.pump = Pump()
        assert owner(pump) is None


async def test_a_child_of_a_published_object_is_set_in_its_own_thread_only() -> None:
    hall = Hall()
    raised: list[Exception] = []

    def touch() -> None:
        try:
            hall.pump.speed = 3
        except WrongThread as error:
            raised.append(error)

    async with Node() as node:
        node.publish(hall, "hall")
        thread = threading.Thread(target=touch)
        thread.start()
        thread.join()
        assert len(raised) == 1


async def test_a_node_that_is_entered_later_owns_children_from_then_on() -> None:
    hall = Hall()
    node = Node()
    made = threading.Thread(target=lambda: node.publish(hall, "hall"))
    made.start()
    made.join()
    assert owner(hall.pump) != threading.get_ident()
    async with node:
        assert owner(hall.pump) == threading.get_ident()
        hall.pump.speed = 1
        hall.other = Pump()


# ----------------------------------------------------------------------------------------------------------- refused
async def test_an_object_that_holds_itself_is_refused() -> None:
    pump = Pump()
    pump.spare = pump
    hall = Hall()
    hall.pump.spare = Pump()
    async with Node() as node:
        with pytest.raises(ModelError, match="the Pump object holds itself"):
            node.publish(pump, "pump")
        assert not node.published
        assert owner(pump) is None
        node.publish(hall, "hall")
        with pytest.raises(ModelError, match="spare: the Pump object holds itself"):
            hall.pump.spare.spare = hall.pump
        assert hall.pump.spare.spare is None
        with pytest.raises(ModelError, match="other: the Pump object holds itself"):
            hall.other = pump
        assert hall.other is None


async def test_a_computed_child_that_makes_a_ring_is_reported_and_not_shown() -> None:
    reported: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context["exception"]))
    hall = Hall()
    async with Node() as node:
        node.publish(hall, "hall")
        hall.which = 1
        assert [str(error) for error in reported] == [
            "itself: the Hall object holds itself: a child cannot be its own parent"
        ]


async def test_children_of_children_have_an_end() -> None:
    first = last = Pump()
    for _ in range(MOST_NESTED - 1):
        last.spare = Pump()
        last = last.spare
    assert checked_family(first, above=(), most=1000, thread=threading.get_ident()) == MOST_NESTED - 1
    async with Node() as node:
        node.publish(first, "pump")
        with pytest.raises(ModelError, match=f"spare: children of children more than {MOST_NESTED} deep"):
            last.spare = Pump()
        with pytest.raises(ModelError, match="deep"):
            node.publish(type("Above", (Object,), _holding(first))(), "above")


async def test_children_are_counted_wherever_they_are() -> None:
    wide: Any = type(
        "Many", (Object,), {k: v for n in range(5) for k, v in _child(f"pump_{n}").items()} | _annotated(5)
    )
    async with Node(limits=Limits(children=4)) as node:
        with pytest.raises(ModelError, match=r"more than 4 children, all the way down; raise Limits\.children"):
            node.publish(wide(), "many")


async def test_a_child_in_another_threads_hands_is_refused() -> None:
    hall, taken = Hall(), Pump()
    taken._everywire.owner = -7
    async with Node() as node:
        node.publish(hall, "hall")
        with pytest.raises(ModelError, match="other: a Pump object belongs to a node in another thread already"):
            hall.other = taken
        hall.pump.valve = Valve()


def _child(name: str) -> dict[str, Any]:
    return {name: prop(factory=Pump)}


def _annotated(count: int) -> dict[str, Any]:
    return {"__annotations__": {f"pump_{n}": Property[Pump] for n in range(count)}}


def _holding(pump: Pump) -> dict[str, Any]:
    return {"__annotations__": {"pump": Property[Pump]}, "pump": prop(factory=lambda: pump)}


# ------------------------------------------------------------------------------------------ wires that have no children
def test_a_contract_without_children_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    children._SAID.clear()
    contract = contract_of(Hall)
    with caplog.at_level(logging.WARNING, "everywire.node"):
        left = without_children(contract, "Telegraphy")
        assert list(without_children(contract, "Telegraphy").members) == list(left.members) == ["name", "which"]
    assert [record.getMessage() for record in caplog.records] == [
        f"Hall.{name}: Telegraphy carries no child objects and leaves it out; publish the {cls} under a name of its own"
        for name, cls in (("pump", "Pump"), ("other", "Pump"), ("itself", "Hall"))
    ]
    assert childless(contract_of(Valve)) is contract_of(Valve)


@pytest.mark.parametrize("wire", ["http://127.0.0.1:0", "dbus+local:{folder}/bus"])
async def test_a_replica_over_such_a_wire_lacks_its_children_only(wire: str, tmp_path: Any) -> None:
    hall = Hall()
    hall.name = "north"
    async with Node() as node:
        node.publish(hall, "hall")
        (url,) = await node.serve(wire.format(folder=tmp_path))
        async with connect(url, "hall", Hall) as typed:
            assert typed.name == "north"
            with pytest.raises(LocalProtocolError, match=r"pump has no value yet: .* carries no child objects"):
                _ = typed.pump
        async with connect(url, "hall") as untyped:
            assert untyped.name == "north"
            assert "pump" not in contract_of(untyped).members
        hall.pump = Pump()
        hall.other = Pump()


# ---------------------------------------------------------------------------------------------------------- matching
def test_classes_of_children_are_compared_member_by_member() -> None:
    class Small(Object):
        speed: Property[int] = prop(0)

    class Odd(Object):
        speed: Property[str] = prop("")
        flow: Property[float] = prop(0.0)

    def holder(cls: type[Object]) -> type[Object]:
        return type("Hall", (Object,), {"__annotations__": {"pump": Property[cls]}, "pump": prop(factory=cls)})  # type: ignore[valid-type]

    offered = contract_of(Hall)
    assert differences(offered, offered) == ()
    assert differences(contract_of(holder(Small)), offered) == ()
    assert differences(contract_of(holder(Odd)), offered) == (
        "pump: expected speed: str, offered speed: i64",
        "pump: property flow is missing",
    )
    assert differences(contract_of(holder(Odd)), offered, children=False) == ()
    assert differences(contract_of(holder(Object)), offered) == ()
