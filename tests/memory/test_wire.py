from __future__ import annotations

import asyncio
from typing import Any

import pytest

from everywire import (
    Code,
    Fault,
    LocalProtocolError,
    ModelError,
    Node,
    OutOfRange,
    ReplicaState,
    SignatureMismatch,
    connect,
    contract_of,
    link_of,
    members,
)
from everywire.model import Contract, Kind, Member, Object, Parameter
from everywire.model.annotations import type_of
from everywire.model.building import build_class
from everywire.testing import Heard, pair
from tests.memory.plant import Fridge, Oven, Reading, SmallOven

URL = "memory:kitchen"


# ---------------------------------------------------------------------------------------------------------- values
async def test_a_replica_has_the_sources_values_and_follows_their_changes_in_order() -> None:
    source = Oven()
    source.history = [1]
    async with pair(source) as oven:
        assert (oven.target, oven.error, oven.history, oven.last) == (180.0, 160.0, [1], Reading(20.0, []))
        heard = Heard()
        Oven.current.on_change(oven, heard)
        Oven.error.on_change(oven, heard)
        source.current = 30.0
        source.current = 40.0
        assert await heard.wait(4) == [(30.0,), (150.0,), (40.0,), (140.0,)]


async def test_source_and_replica_share_no_value_that_could_change_in_place() -> None:
    source = Oven()
    source.history = [1]
    async with pair(source) as oven:
        heard = Heard()
        oven.beeped.connect(heard)
        source.history.append(2)
        oven.last.marks.append(9)
        assert oven.history == [1]
        assert source.last.marks == []
        source.history = [3]
        await Oven.history.wait_for(oven, lambda value: value == [3])
        oven.history.append(4)
        assert source.history == [3]
        notes = [5]
        source.beeped.emit(1, notes)
        ((_, received),) = await heard.wait(1)
        received.append(6)
        assert notes == [5]
        reading = Reading(1.0, [1])
        returned = await oven.reverse(reading)
        returned.marks.append(2)
        reading.marks.append(3)
        assert source.last == Reading(1.0, [1])


async def test_two_replicas_share_no_signal_argument() -> None:
    source = Oven()
    async with Node() as node:
        node.publish(source, "oven")
        await node.serve(URL)
        async with connect(URL, "oven", Oven) as one, connect(URL, "oven", Oven) as other:
            first, second = Heard(), Heard()
            one.beeped.connect(first)
            other.beeped.connect(second)
            source.beeped.emit(1, [7])
            ((_, notes),) = await first.wait(1)
            notes.append(8)
            assert await second.wait(1) == [(1, [7])]


async def test_a_change_is_heard_before_the_answer_of_the_call_that_made_it() -> None:
    async with pair(Oven()) as oven:
        order: list[object] = []
        Oven.current.on_change(oven, order.append)
        oven.beeped.connect(order.append)
        order.append(await oven.bake(5))
        assert order == [25.0, 5, 300]


# ---------------------------------------------------------------------------------------------------------- pushes
async def test_a_push_is_taken_checked_or_refused() -> None:
    source = Oven()
    async with pair(source) as oven:
        assert await Oven.target.push(oven, 200) == 200.0
        assert (source.target, oven.target) == (200.0, 200.0)
        with pytest.raises(OutOfRange):
            await Oven.target.push(oven, 999.0)
        with pytest.raises(Fault, match="current is not writable"):
            await Oven.current.push(oven, 1.0)
    async with pair(source, "oven", SmallOven) as small:  # type: ignore[type-var]
        with pytest.raises(Fault) as refused:
            await SmallOven.target.push(small, 999.0)
        assert (refused.value.code, refused.value.may_have_run) == (Code.OUT_OF_RANGE, False)
        assert source.target == 200.0


async def test_a_source_may_keep_its_value_against_a_push() -> None:
    source = Oven()
    Oven.target.on_change(source, lambda value: setattr(source, "target", 180.0) if value > 250 else None)
    async with pair(source) as oven:
        with pytest.raises(Fault, match=r"the source kept 180\.0") as refused:
            await Oven.target.push(oven, 260.0)
        assert refused.value.code is Code.FAILED_PRECONDITION
        assert oven.target == 180.0


# --------------------------------------------------------------------------------------------------------- classes
async def test_a_smaller_class_hears_only_what_it_knows() -> None:
    source = Oven()
    async with pair(source, "oven", SmallOven) as small:  # type: ignore[type-var]
        assert await small.bake(1) == 60
        source.current = 1.0
        source.target = 100.0
        assert await SmallOven.target.wait_for(small, lambda value: value == 100.0)
        with pytest.raises(AttributeError, match="only properties, signals and slots are replicated"):
            _ = small.current
        with pytest.raises(Fault) as refused:
            await small.bake(1000)
        assert refused.value.code is Code.OUT_OF_RANGE


async def test_another_class_is_a_mismatch_that_lists_every_difference() -> None:
    async with Node() as node:
        node.publish(Oven(), "oven")
        await node.serve(URL)
        with pytest.raises(SignatureMismatch) as mismatch:
            async with connect(URL, "oven", Fridge):
                pass
        assert len(mismatch.value.differences) == 2
        assert "oven at memory:kitchen is not a Fridge" in str(mismatch.value)


async def test_a_replica_that_fits_again_becomes_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("everywire.runtime.supervisor.NEAR", 0.0)
    async with Node() as node:
        node.publish(Fridge(), "device")
        await node.serve(URL)
        async with connect(URL, "device", Fridge) as fridge:
            states = Heard()
            link_of(fridge).state_changed.connect(states)
            node.withdraw("device")
            node.publish(Oven(), "device")
            await states.wait(2)
            assert states.calls[-1] == (ReplicaState.SIGNATURE_MISMATCH,)
            assert isinstance(link_of(fridge).error, SignatureMismatch)
            await node.aclose()
        assert fridge.target == ""


async def test_without_a_class_the_replica_has_the_sources() -> None:
    async with Node() as node:
        node.publish(Oven(), "oven")
        await node.serve(URL)
        async with connect(URL, "oven") as oven:
            assert isinstance(oven, Oven)
            assert contract_of(oven) is contract_of(Oven)
            assert await oven.bake(minutes=2) == 120
            with pytest.raises(ModelError):
                oven.bake("long")


# ---------------------------------------------------------------------------------------------------------- bridge
async def test_a_replica_published_again_is_a_bridge_in_both_directions() -> None:
    source = Oven()
    async with Node() as kitchen, Node() as hall:
        kitchen.publish(source, "oven")
        await kitchen.serve("memory:kitchen")
        async with connect("memory:kitchen", "oven", Oven) as near:
            hall.publish(near, "oven")
            await hall.serve("memory:hall")
            async with connect("memory:hall", "oven", Oven) as far:
                beeps = Heard()
                far.beeped.connect(beeps)
                assert await far.bake(5) == 300
                assert await beeps.wait(1) == [(5, [1, 2])]
                assert far.current == source.current == 25.0
                assert await Oven.target.push(far, 222.0) == 222.0
                assert source.target == near.target == 222.0
                assert [item async for item in take(far.count(3), 3)] == [0, 1, 2]
                waiting = far.wait(1)
                while "began 1" not in source.seen:
                    await asyncio.sleep(0)
                waiting.cancel()
                while "cancelled 1" not in source.seen:
                    await asyncio.sleep(0)
                await kitchen.aclose()
                with pytest.raises(Fault) as lost:
                    await far.bake(1)
                assert (lost.value.code, lost.value.may_have_run) == (Code.UNAVAILABLE, False)
                with pytest.raises(Fault) as lost:
                    await Oven.target.push(far, 1.0)
                assert lost.value.code is Code.UNAVAILABLE
                assert far.current == 25.0


async def take(items: Any, count: int) -> Any:
    """Give the first items of a stream, then close it."""
    async for item in items:
        yield item
        count -= 1
        if not count:
            break
    await items.aclose()


NUMBER = type_of(int)
FOREIGN = Contract(
    "Foreign",
    {
        "class": Member(Kind.PROPERTY, "class", (Parameter("class", NUMBER),)),
        "import": Member(Kind.SLOT, "import", (Parameter("from", NUMBER),), NUMBER),
        "on fire": Member(Kind.SIGNAL, "on fire", (Parameter("where", NUMBER),)),
    },
)


async def test_names_that_are_no_identifiers_travel_too() -> None:
    source: Object = build_class(FOREIGN)()
    async with Node() as node:
        node.publish(source, "foreign")
        await node.serve(URL)
        async with connect(URL, "foreign") as replica:
            found, heard = members(replica), Heard()
            assert found["class"].value == 0
            found["on fire"].connect(heard)
            members(source)["on fire"].emit(3)
            assert await heard.wait(1) == [(3,)]
            with pytest.raises(Fault) as refused:
                await found["import"](1)
            assert refused.value.code is Code.UNIMPLEMENTED


async def test_a_source_is_not_told_by_replicas_signals() -> None:
    async with pair(Oven()) as oven:
        with pytest.raises(LocalProtocolError, match="only the source emits"):
            oven.beeped.emit(1, [])
