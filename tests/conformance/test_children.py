"""Child objects on every wire that carries them: replicas of their own, that come, change and go with their parent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from everywire import (
    Code,
    Fault,
    Node,
    Object,
    Property,
    ReplicaState,
    Role,
    SignatureMismatch,
    connect,
    contract_of,
    link_of,
    prop,
    signal,
    slot,
)
from everywire.runtime.policy import Policy
from tests.conformance.plant import Bell, Heard, States
from tests.conformance.wires import QUICK, Place

VALID, SUSPECT = ReplicaState.VALID, ReplicaState.SUSPECT


class Valve(Object):
    """Lets water through."""

    open: Property[bool] = prop(False, writable=True)

    @signal
    def stuck(self, degrees: int) -> None: ...

    @slot
    async def turn(self, degrees: int) -> int:
        self.stuck.emit(degrees)
        return degrees + 1


class Wheel(Object):
    """Has a pump that is as like as two peas, in a class of its own."""

    spin: Property[int] = prop(0)


class Pump(Object):
    """Moves water."""

    speed: Property[int] = prop(0, writable=True, unit="Hz")
    label: Property[str] = prop("")
    valve: Property[Valve] = prop(factory=Valve)

    def __init__(self) -> None:
        self.bell = Bell()
        self.held = 0

    @signal
    def stopped(self, why: str) -> None: ...

    @slot
    async def start(self, speed: int) -> int:
        self.speed = speed
        return speed * 2

    @slot
    async def hold(self) -> int:
        self.held += 1
        self.bell.ring()
        try:
            await asyncio.Event().wait()
        finally:
            self.held -= 1
            self.bell.ring()
        return 0

    @slot
    async def strokes(self, count: int) -> AsyncIterator[int]:
        for number in range(count):
            yield number


class Hall(Object):
    """Has two pumps, or one."""

    name: Property[str] = prop("")
    pump: Property[Pump] = prop(factory=Pump)
    other: Property[Pump | None] = prop(None)

    @slot
    async def settle(self) -> None:
        """Answer; whatever was told before has arrived with it."""


class Panel(Object):
    """What a panel needs of a hall."""

    name: Property[str] = prop("")

    @slot
    async def settle(self) -> None: ...


class Gauge(Object):
    speed: Property[int] = prop(0)


class Small(Object):
    """A hall of which only a part of the first pump is of interest."""

    pump: Property[Gauge] = prop(factory=Gauge)


class Wrong(Object):
    pump: Property[Wheel] = prop(factory=Wheel)


async def test_a_child_is_a_replica_with_values_of_its_own(family_place: Place) -> None:
    source = Hall()
    source.pump.speed, source.pump.valve.open = 7, True
    async with family_place.hosting(hall=source), family_place.connect("hall", Hall) as hall:
        assert isinstance(hall.pump, Pump)
        assert (hall.pump.speed, hall.pump.label, hall.pump.valve.open, hall.other) == (7, "", True, None)
        assert link_of(hall.pump).state is link_of(hall.pump.valve).state is VALID
        assert link_of(hall.pump).url == link_of(hall).url


async def test_a_child_tells_changes_and_signals(family_place: Place) -> None:
    source = Hall()
    async with family_place.hosting(hall=source), family_place.connect("hall", Hall) as hall:
        speeds, stops, opens, stuck = Heard(), Heard(), Heard(), Heard()
        Pump.speed.on_change(hall.pump, speeds)
        hall.pump.stopped.connect(stops)
        Valve.open.on_change(hall.pump.valve, opens)
        hall.pump.valve.stuck.connect(stuck)
        for speed in (1, 2, 2, 3):
            source.pump.speed = speed
        source.pump.stopped.emit("dry")
        source.pump.valve.open = True
        source.pump.valve.stuck.emit(4)
        await hall.settle()
        assert (speeds.items, stops.items, opens.items, stuck.items) == ([1, 2, 3], ["dry"], [True], [4])


async def test_a_child_is_called_pushed_to_and_streams(family_place: Place) -> None:
    source = Hall()
    async with family_place.hosting(hall=source), family_place.connect("hall", Hall) as hall:
        assert await hall.pump.start(21) == 42
        assert source.pump.speed == hall.pump.speed == 21
        assert await Pump.speed.push(hall.pump, 5) == source.pump.speed == 5
        assert await hall.pump.valve.turn(1) == 2
        assert await Valve.open.push(hall.pump.valve, True) is True
        assert [number async for number in hall.pump.strokes(3)] == [0, 1, 2]
        with pytest.raises(Fault, match="not writable") as caught:
            await Hall.other.push(hall, None)
        assert caught.value.code is Code.FAILED_PRECONDITION


async def test_a_call_of_a_child_can_be_cancelled(family_place: Place) -> None:
    source = Hall()
    async with family_place.hosting(hall=source), family_place.connect("hall", Hall) as hall:
        call = hall.pump.hold()
        await source.pump.bell.until(lambda: source.pump.held)
        call.cancel()
        await source.pump.bell.until(lambda: not source.pump.held)


async def test_a_child_that_takes_the_place_of_another_is_the_same_replica(family_place: Place) -> None:
    source, second = Hall(), Pump()
    second.label, second.valve.open = "second", True
    async with family_place.hosting(hall=source), family_place.connect("hall", Hall) as hall:
        first, pumps, labels = source.pump, Heard(), Heard()
        replica, valve = hall.pump, hall.pump.valve
        Hall.pump.on_change(hall, pumps)
        Pump.label.on_change(replica, labels)
        source.pump = second
        first.label = "nobody hears this"
        second.label = "changed"
        await hall.settle()
        assert (hall.pump, hall.pump.valve) == (replica, valve)
        assert (replica.label, valve.open) == ("changed", True)
        assert labels.items == ["second", "changed"]
        assert pumps.items == [replica]
        assert await replica.start(3) == 6
        assert (first.speed, second.speed) == (0, 3)


async def test_a_child_may_come_and_go(family_place: Place) -> None:
    source = Hall()
    async with family_place.hosting(hall=source), family_place.connect("hall", Hall) as hall:
        others = Heard()
        Hall.other.on_change(hall, others)
        source.other = Pump()
        await others.count(1)
        replica, first = hall.other, source.other
        first.label = "here"
        await hall.settle()
        assert (replica.label, link_of(replica).state) == ("here", VALID)
        states = States(replica)
        waiting = replica.hold()
        await first.bell.until(lambda: first.held)
        source.other = None
        with pytest.raises(Fault) as caught:
            await waiting
        assert caught.value.code is Code.UNAVAILABLE
        await states.reached(SUSPECT)
        assert hall.other != replica
        assert replica.label == "here", "values stay readable"
        with pytest.raises(Fault) as caught:
            await replica.start(1)
        assert caught.value.code is Code.UNAVAILABLE
        source.other = pump = Pump()
        pump.label = "again"
        await states.reached(VALID)
        await hall.settle()
        assert hall.other is replica
        assert replica.label == "again"
        assert others.items == [replica, None, replica]


async def test_one_child_of_two_parents_is_two_replicas(family_place: Place) -> None:
    source = Hall()
    source.other = source.pump
    async with (
        family_place.hosting(hall=source, pump=source.pump),
        family_place.connect("hall", Hall) as hall,
        family_place.connect("pump", Pump) as alone,
    ):
        assert len({id(hall.pump), id(hall.other), id(alone)}) == 3
        await hall.other.start(4)
        await hall.settle()
        await Pump.speed.wait_for(alone, lambda speed: speed == 4)
        assert (hall.pump.speed, hall.other.speed) == (4, 4)


async def test_children_stand_and_fall_with_their_parent(family_place: Place) -> None:
    source = Hall()
    async with family_place.hosting(hall=source) as node, family_place.connect("hall", Hall) as hall:
        pump, states, inner = hall.pump, States(hall.pump), States(hall.pump.valve)
        call = pump.hold()
        await source.pump.bell.until(lambda: source.pump.held)
        node.withdraw("hall")
        await states.reached(SUSPECT)
        await inner.reached(SUSPECT)
        with pytest.raises(Fault) as caught:
            await call
        assert caught.value.code is Code.UNAVAILABLE
        source.pump.speed = 9
        node.publish(source, "hall")
        await states.reached(VALID)
        await inner.reached(VALID)
        await hall.settle()
        assert hall.pump is pump
        assert pump.speed == 9
        assert await pump.valve.turn(2) == 3


async def test_a_host_that_comes_back_has_the_same_children(family_place: Place) -> None:
    first, second = Hall(), Hall()
    second.pump.speed = 3
    async with Node(limits=QUICK) as node:
        node.publish(first, "hall")
        await family_place.serve(node)
        async with family_place.connect("hall", Hall) as hall:
            pump, halls, pumps = hall.pump, Heard(), Heard()
            Hall.pump.on_change(hall, halls)
            Pump.speed.on_change(pump, pumps)
            states = States(pump)
            await node.aclose()
            await states.reached(SUSPECT)
            async with family_place.hosting(hall=second):
                await states.reached(VALID)
                await hall.settle()
                assert hall.pump is pump
                assert (halls.items, pumps.items) == ([], [3])
                assert await pump.start(1) == 2


async def test_children_end_with_the_block_of_their_parent(family_place: Place) -> None:
    async with family_place.hosting(hall=Hall()):
        async with family_place.connect("hall", Hall) as hall:
            pump = hall.pump
        assert pump.speed == 0
        with pytest.raises(Fault) as caught:
            await pump.start(1)
        assert caught.value.code is Code.UNAVAILABLE
        assert link_of(pump).closed


async def test_a_built_class_has_children_too(family_place: Place) -> None:
    source = Hall()
    source.other = Pump()
    async with family_place.hosting(hall=source), family_place.connect("hall") as hall:
        assert await hall.other.start(2) == 4
        assert contract_of(hall.pump).members["speed"].unit == "Hz"
        assert type(hall.pump).__name__ == "Pump"
        assert await hall.pump.valve.turn(5) == 6
        heard = Heard()
        type(hall).pump.on_change(hall, heard)
        source.pump = Pump()
        await heard.count(1)


async def test_a_class_may_want_less_of_a_child_or_no_child(family_place: Place) -> None:
    source = Hall()
    source.pump.speed = 8
    async with (
        family_place.hosting(hall=source),
        family_place.connect("hall", Small) as small,
        family_place.connect("hall", Panel) as panel,
    ):
        assert type(small.pump).__name__ == "Gauge"
        assert small.pump.speed == 8
        source.pump.label = "unheard"
        source.pump = Pump()
        source.pump.stopped.emit("unheard")
        source.name = "north"
        await panel.settle()
        assert panel.name == "north"


async def test_a_child_of_another_class_is_a_mismatch(family_place: Place) -> None:
    async with family_place.hosting(hall=Hall()):
        with pytest.raises(SignatureMismatch, match="property spin is missing"):
            async with family_place.connect("hall", Wrong):
                pytest.fail("a pump is no wheel")


async def test_a_child_is_guarded_as_its_parent(family_place: Place) -> None:
    policy = Policy()
    policy.require(Role.ADMIN, Hall.settle)
    source, guard = Hall(), Policy(role=lambda _: Role.VIEWER)
    async with Node(limits=QUICK, policy=policy) as node:
        node.publish(source, "hall", policy=guard)
        await family_place.serve(node)
        async with family_place.connect("hall", Hall) as hall:
            with pytest.raises(Fault) as caught:
                await hall.pump.start(1)
            assert caught.value.code is Code.PERMISSION_DENIED
            with pytest.raises(Fault) as caught:
                await Valve.open.push(hall.pump.valve, True)
            assert caught.value.code is Code.PERMISSION_DENIED
            states = States(hall.pump)
            guard.role = lambda _: Role.STRANGER
            guard.forget()
            await states.reached(SUSPECT)


async def test_a_child_can_be_reached_through_a_bridge(family_place: Place) -> None:
    source = Hall()
    async with (
        family_place.hosting(hall=source),
        family_place.connect("hall", Hall) as hall,
        Node(limits=QUICK) as bridge,
    ):
        bridge.publish(hall, "far")
        (url,) = await bridge.serve("memory:children-bridge")
        async with connect(url, "far", Hall) as far:
            assert await far.pump.start(3) == 6
            await Pump.speed.wait_for(far.pump, lambda speed: speed == 3)
            source.other = Pump()
            await Hall.other.wait_for(far, lambda other: other is not None)
            other: Any = far.other
            assert await other.valve.turn(1) == 2
