"""How a replica stands to its source on every wire: withdrawn, restarted, lost, back again; and bridges."""

from __future__ import annotations

import asyncio

import pytest

from everywire import Code, Fault, LinkError, Node, Object, Property, ReplicaState, connect, link_of, prop
from tests.conformance.plant import Boiler, Counters, Desk, Heard, LooseBoiler, Pump, States
from tests.conformance.wires import QUICK, Place

VALID, SUSPECT = ReplicaState.VALID, ReplicaState.SUSPECT


async def test_a_withdrawn_object_makes_its_replica_suspect_until_it_is_published_again(place: Place) -> None:
    source = Counters()
    async with place.hosting(counters=source) as node, place.connect("counters", Counters) as replica:
        states, first, ticks = States(replica), Heard(), Heard()
        Counters.first.on_change(replica, first)
        replica.ticked.connect(ticks)
        source.first = 1
        await replica.settle()
        node.withdraw("counters")
        await states.reached(SUSPECT)
        assert replica.first == 1, "values stay readable"
        source.first, source.second = 2, 3
        node.publish(source, "counters")
        await states.reached(VALID)
        await first.count(2)
        source.ticked.emit(9)
        await replica.settle()
        assert (first.items, ticks.items, replica.total) == ([1, 2], [9], 5)
        assert states.items == [SUSPECT, VALID]


async def test_a_block_need_not_wait_for_its_source_and_hears_what_differs_from_the_defaults(place: Place) -> None:
    source = Counters()
    source.first = 4
    async with place.hosting(counters=source), connect(place.url, "counters", Counters, wait=False) as replica:
        states, first, second = States(replica), Heard(), Heard()
        Counters.first.on_change(replica, first)
        Counters.second.on_change(replica, second)
        assert (link_of(replica).state, replica.first, replica.total) == (ReplicaState.DEFAULT, 0, 0)
        await link_of(replica).wait_valid(timeout=5)
        assert (replica.first, replica.total) == (4, 4)
        await replica.settle()
        assert (states.items, first.items, second.items) == ([VALID], [4], [])


async def test_an_object_that_is_withdrawn_as_soon_as_it_was_attached_to_gives_a_replica_all_the_same(
    place: Place,
) -> None:
    """It was valid, and will be again."""
    source = Counters()
    async with place.hosting(counters=source) as node:

        async def withdraw() -> None:
            while not place.attached(node):
                await asyncio.sleep(0)
            node.withdraw("counters")

        withdrawing = node.spawn(withdraw())
        async with place.connect("counters", Counters) as replica:
            await withdrawing
            states = States(replica)
            node.publish(source, "counters")
            await states.reached(VALID)
            await replica.settle()


async def test_a_block_that_ends_while_its_object_comes_back_ends_in_peace(place: Place) -> None:
    source = Counters()
    async with place.hosting(counters=source) as node:
        for _ in range(3):
            async with place.connect("counters", Counters) as replica:
                states = States(replica)
                node.withdraw("counters")
                await states.reached(SUSPECT)
                node.publish(source, "counters")


async def test_a_host_that_comes_back_changes_only_what_has_really_changed(place: Place) -> None:
    first, second = Counters(), Counters()
    first.first, first.second, first.text, first.tags = 1, 2, "a", [1]
    second.first, second.second, second.text, second.tags = 1, 5, "a", [1]
    async with Node(limits=QUICK) as node:
        node.publish(first, "counters")
        await place.serve(node)
        async with place.connect("counters", Counters) as replica:
            states, changes = States(replica), Heard()
            for name in ("first", "second", "text", "tags", "total", "setting"):
                getattr(Counters, name).on_change(replica, lambda value, name=name: changes((name, value)))
            await node.aclose()
            await states.reached(SUSPECT)
            with pytest.raises(Fault) as caught:
                await replica.settle()
            assert caught.value.code is Code.UNAVAILABLE
            async with place.hosting(counters=second):
                await states.reached(VALID)
                await replica.settle()
                assert sorted(changes.items) == [("second", 5), ("total", 6)]
                assert states.items == [SUSPECT, VALID]


async def test_whoever_hears_of_a_host_that_is_back_finds_all_values_as_new(place: Place) -> None:
    source, found = Counters(), Heard()
    async with Node(limits=QUICK) as first:
        first.publish(source, "counters")
        await place.serve(first)
        async with place.connect("counters", Counters) as replica:
            states = States(replica)
            link_of(replica).state_changed.connect(lambda state: found(state, replica.first, replica.second))
            Counters.first.on_change(replica, lambda value: found(value, replica.first, replica.second))
            await first.aclose()
            await states.reached(SUSPECT)
            source.first, source.second = 7, 9
            async with place.hosting(counters=source):
                await states.reached(VALID)
                await replica.settle()
            assert found.items[:3] == [(SUSPECT, 0, 0), (VALID, 7, 9), (7, 7, 9)]


async def test_a_replica_of_something_else_takes_nothing_of_it(place: Place) -> None:
    """The host's link stays, for it may show another object again; what happens to this one is no news."""

    class Other(Object):
        first: Property[int] = prop(5)
        text: Property[str] = prop("")

    other = Other()
    async with place.hosting(it=Counters()) as node, place.connect("it", Counters) as replica:
        states = States(replica)
        node.withdraw("it")
        node.publish(other, "it")
        await states.reached(ReplicaState.SIGNATURE_MISMATCH)
        async with place.connect("it", Other) as witness:
            texts = Heard()
            Other.text.on_change(witness, texts)
            other.first = 77
            other.text = "told"
            await texts.count(1)
            for _ in range(20):
                await asyncio.sleep(0)
        assert replica.first == 0


async def test_the_states_of_a_replica_follow_its_link_as_often_as_it_is_lost(place: Place) -> None:
    async with Node(limits=QUICK) as node:
        node.publish(Desk(), "desk")
        await place.serve(node)
        async with place.connect("desk", Desk) as replica:
            assert link_of(replica).state is VALID
            states = States(replica)
            await node.aclose()
            await states.reached(SUSPECT)
            for _ in range(2):
                async with place.hosting(desk=Desk()):
                    await states.reached(VALID)
                    assert await replica.add(1) == 1101
                await states.reached(SUSPECT)
            assert states.items == [SUSPECT, VALID, SUSPECT, VALID, SUSPECT]
            assert isinstance(link_of(replica).error, LinkError)


async def test_an_object_that_comes_back_as_something_else_is_a_mismatch(place: Place) -> None:
    async with Node(limits=QUICK) as node:
        node.publish(Desk(), "it")
        await place.serve(node)
        async with place.connect("it", Desk) as replica:
            states = States(replica)
            await node.aclose()
            async with place.hosting(it=Pump()):
                await states.reached(ReplicaState.SIGNATURE_MISMATCH)
                assert "add" in str(link_of(replica).error)
            async with place.hosting(it=Desk()):
                await states.reached(VALID)
                assert await replica.add(1) == 1101


async def test_a_replica_waits_for_a_host_that_comes_later(place: Place) -> None:
    async with place.hosting(desk=Desk()):
        pass
    started = Heard()
    async with Node(limits=QUICK) as node:

        async def wait_for_host() -> None:
            started(1)
            async with place.connect("desk", Desk, timeout=10.0) as replica:
                started(await replica.add(1))

        node.spawn(wait_for_host())
        await started.count(1)
        async with place.hosting(desk=Desk()):
            assert await started.count(2) == [1, 1101]


async def test_a_replica_waits_for_an_object_that_is_published_later(place: Place) -> None:
    async with place.hosting(other=Pump()) as node:
        connected = Heard()

        async def wait_for_object() -> None:
            async with place.connect("desk", Desk, timeout=10.0) as replica:
                connected(await replica.add(1))

        waiting = node.spawn(wait_for_object())
        async with place.connect("other", Pump):
            node.publish(Desk(), "desk")
        assert await connected.count(1) == [1101]
        await waiting


async def test_waiting_ends_with_a_reason(place: Place) -> None:
    async with place.hosting(desk=Desk()):
        with pytest.raises(Fault, match="it offers desk"):
            async with place.connect("dusk", Desk, timeout=0.4):
                pass
    with pytest.raises(LinkError):
        async with place.connect("desk", Desk, timeout=0):
            pass


# ------------------------------------------------------------------------------------------------------------ bridges
async def test_a_replica_published_on_another_wire_is_a_bridge(place: Place, other_place: Place) -> None:
    source = Boiler()
    async with (
        place.hosting(boiler=source),
        place.connect("boiler", Boiler) as middle,
        other_place.hosting(room=middle),
        other_place.connect("room", Boiler) as far,
    ):
        assert (far.target, far.error) == (21.0, 1.0)
        heard, changes = Heard(), Heard()
        far.overheated.connect(heard)
        Boiler.current.on_change(far, changes)
        source.overheated.emit(80.0, "attic")
        source.current = 25.5
        assert await heard.count(1) == [(80.0, "attic")]
        assert await changes.count(1) == [25.5]
        assert await far.boost(3) == 180
        assert await Boiler.target.push(far, 30.0) == source.target == 30.0


async def test_faults_and_refusals_cross_a_bridge(place: Place, other_place: Place) -> None:
    source = Desk()
    async with (
        place.hosting(desk=source, boiler=Boiler()),
        place.connect("desk", Desk) as desk,
        place.connect("boiler", LooseBoiler) as boiler,
        other_place.hosting(far=desk, far_boiler=boiler),
        other_place.connect("far", Desk) as far,
        other_place.connect("far_boiler", LooseBoiler) as far_boiler,
    ):
        with pytest.raises(Fault) as caught:
            await far.refuse("ABORTED", "no")
        assert (caught.value.code, caught.value.message) == (Code.ABORTED, "no")
        with pytest.raises(Fault):
            await LooseBoiler.target.push(far_boiler, 99.0)
        held = far.hold(1)
        await source.bell.until(lambda: source.holding)
        held.cancel()
        await source.bell.until(lambda: source.cancelled == [1])


async def test_a_bridge_survives_the_loss_of_its_source(place: Place) -> None:
    async with Node(limits=QUICK) as node:
        node.publish(Counters(), "counters")
        await place.serve(node)
        async with place.connect("counters", Counters) as middle, Node(limits=QUICK) as bridge:
            states = States(middle)
            bridge.publish(middle, "numbers")
            (url,) = await bridge.serve("memory:bridge")
            async with connect(url, "numbers", Counters) as far:
                await node.aclose()
                await states.reached(SUSPECT)
                with pytest.raises(Fault) as caught:
                    await far.settle()
                assert caught.value.code is Code.UNAVAILABLE
                source = Counters()
                source.first = 7
                async with place.hosting(counters=source):
                    await states.reached(VALID)
                    assert await Counters.first.wait_for(far, lambda value: value == 7) == 7
                    await far.settle()
