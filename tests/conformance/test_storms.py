"""Laws 7, 8 and 10 on every wire: after a storm of changes, calls and losses all agree, in order, and nothing hangs."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable
from typing import Any

import pytest

from everywire import Fault, Limits, Node, Object, ReplicaState
from everywire.model import Kind, contract_of
from tests.conformance.plant import CARRIERS, SAMPLES, Counters, Desk, Feeder, Heard, States
from tests.conformance.wires import QUICK, Place

TIGHT = Limits(drain=0.0, unsent_soft=4096)
"""A link that is congested again and again."""


def values_of(thing: Object) -> dict[str, Any]:
    return {member.name: getattr(thing, member.name) for member in contract_of(thing).of_kind(Kind.PROPERTY)}


async def storm(rng: random.Random, source: Counters, turns: int) -> None:
    """Change the source in random ways, with turns of the loop between."""
    for _ in range(turns):
        match rng.randrange(7):
            case 0:
                source.first = rng.randrange(-5, 5)
            case 1:
                source.second += 1
            case 2:
                source.text = "x" * rng.randrange(3000)
            case 3:
                source.tags = [rng.randrange(9) for _ in range(rng.randrange(5))]
            case 4:
                source.ticked.emit(source.second)
            case 5:
                source.setting = rng.randrange(100)
            case _:
                await asyncio.sleep(0)


@pytest.mark.parametrize("limits", [QUICK, TIGHT], ids=["roomy", "tight"])
@pytest.mark.loops("asyncio", "uvloop")
async def test_after_a_storm_every_replica_equals_its_source(
    place: Place, limits: Limits, soak: Callable[[int, int], int], record_property: Callable[[str, object], None]
) -> None:
    seed = random.randrange(2**32)
    record_property("seed", seed)
    rng, source = random.Random(seed), Counters()
    async with (
        place.hosting(counters=source, limits=limits),
        place.connect("counters", Counters, limits=limits) as one,
        place.connect("counters") as two,
    ):
        for _ in range(soak(4, 50)):
            async with asyncio.TaskGroup() as group:
                group.create_task(storm(rng, source, 300))
                for number in range(20):
                    group.create_task(_push(one, number))
            await one.settle()
            await two.settle()
            assert values_of(one) == values_of(two) == values_of(source)


async def _push(replica: Counters, value: int) -> None:
    with contextlib.suppress(Fault):  # another writer was faster, and the source kept its value
        await Counters.setting.push(replica, value)


async def test_after_a_storm_of_values_of_every_type_the_replicas_equal_their_sources(place: Place) -> None:
    rng = random.Random(2)
    sources = {sample.name: CARRIERS[sample.name][0]() for sample in SAMPLES}
    async with place.hosting(**sources) as node:
        assert len(node.published) == len(SAMPLES)
        for sample in rng.sample(SAMPLES, 6):
            async with place.connect(sample.name, CARRIERS[sample.name][0]) as replica:
                for value in rng.choices(sample.values, k=50):
                    sources[sample.name].shown = value  # type: ignore[attr-defined]
                await replica.echo(sample.values[0])
                assert values_of(replica) == values_of(sources[sample.name])


@pytest.mark.loops("asyncio", "uvloop")
async def test_what_one_object_tells_is_heard_in_its_order_however_congested_the_link_is(place: Place) -> None:
    """Law 8; what a replica has seen when a signal arrives is at least as new as when it was emitted (SEMANTICS 6)."""
    rng, source = random.Random(8), Counters()
    async with (
        place.hosting(counters=source, limits=TIGHT),
        place.connect("counters", Counters, limits=TIGHT) as replica,
    ):
        ticks, seconds, behind = Heard(), Heard(), Heard()
        replica.ticked.connect(ticks)
        Counters.second.on_change(replica, seconds)
        replica.ticked.connect(lambda number: replica.second < number and behind(number))
        for number in range(1, 2000):
            source.second = number
            source.ticked.emit(number)
            if not rng.randrange(50):
                source.text = "x" * rng.randrange(5000)
            if not rng.randrange(100):
                await asyncio.sleep(0)
        await replica.settle()
        assert ticks.items == list(range(1, 2000)), "signals are dropped only above the hard limit"
        assert seconds.items == sorted(seconds.items)
        assert replica.second == 1999
        assert behind.items == []


async def test_every_call_ends_whatever_happens_to_the_link(place: Place) -> None:
    """Law 10: a result or a Fault, and each slot ran at most once."""
    rng, source = random.Random(10), Desk()
    ended: list[object] = []
    async with Node(limits=QUICK) as first:
        first.publish(source, "desk")
        await place.serve(first)
        async with place.connect("desk", Desk) as desk:
            states = States(desk)
            calls = [desk.add(n) if rng.randrange(2) else desk.hold(n) for n in range(150)]
            cancelled = [call for call in calls if not rng.randrange(10) and call.cancel()]
            await asyncio.sleep(0)
            await first.aclose()
            ended += await asyncio.gather(*calls, return_exceptions=True)
            await states.reached(ReplicaState.SUSPECT)
            ended += await asyncio.gather(desk.add(1000), return_exceptions=True)
            async with place.hosting(desk=source):
                await states.reached(ReplicaState.VALID)
                assert await desk.add(2000) == 3100
    assert len(ended) == 151
    assert all(isinstance(end, int | Fault | asyncio.CancelledError) for end in ended)
    assert sum(isinstance(end, asyncio.CancelledError) for end in ended) == len(cancelled)
    assert max(source.order.count(n) for n in source.order) == 1, "no slot ran twice"
    assert 1000 not in source.order


async def test_a_busy_object_delays_nobody_else(place: Place) -> None:
    feeder, desk_source = Feeder(), Desk()
    async with (
        place.hosting(feeder=feeder, desk=desk_source),
        place.connect("feeder", Feeder) as busy,
        place.connect("desk", Desk) as desk,
    ):
        for number in range(50):
            feeder.block = bytes([number]) * 65536
            feeder.crumbled.emit(number, b"crumbs")
            assert await desk.add(number) == number + 1100
        await busy.settle()
        assert busy.block == feeder.block


async def test_no_change_is_missed_while_a_replica_attaches(place: Place) -> None:
    source = Counters()
    async with place.hosting(counters=source) as node:

        async def change() -> None:
            while source.second < 400:
                source.second += 1
                await asyncio.sleep(0)

        changing = node.spawn(change())
        while not changing.done():
            async with place.connect("counters", Counters) as replica:
                seen = [replica.second]
                Counters.second.on_change(replica, seen.append)
                await replica.settle()
                assert seen == list(range(seen[0], seen[-1] + 1)), "each value, none twice and none left out"
