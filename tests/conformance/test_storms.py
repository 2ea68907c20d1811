"""Laws 7, 8 and 10 on every wire: after a storm of changes, calls and losses all agree, in order, and nothing hangs."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from everywire import Code, Fault, Limits, Node, Object, ReplicaState, connect, link_of, slot
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
                values = place.wire.carried(sample.values)
                for value in rng.choices(values, k=50):
                    sources[sample.name].shown = value  # type: ignore[attr-defined]
                await replica.echo(values[0])
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


class Mill(Counters):
    """Counts what it is asked to, and says so at once or a turn of the loop later."""

    @slot
    async def grind(self) -> int:
        self.second += 1
        self.ticked.emit(self.second)
        return self.second

    @slot
    async def grind_later(self) -> int:
        await asyncio.sleep(0)
        return await self.grind()


async def guest(rng: random.Random, mill: Any) -> None:
    """Call in random ways; nothing may come back in time, and no answer may precede the change that it caused."""
    heard, link = [mill.second], link_of(mill)

    def newer(number: int) -> None:
        assert number >= heard[-1]
        heard.append(number)

    def not_behind(number: int) -> None:
        assert mill.second >= number

    Mill.second.on_change(mill, newer)
    mill.ticked.connect(not_behind)
    for _ in range(rng.randrange(1, 12)):
        calls = [mill.grind() if rng.randrange(2) else mill.grind_later() for _ in range(rng.randrange(1, 20))]
        for call in calls[1:]:
            if not rng.randrange(4):
                call.cancel()
        try:
            number = await calls[0]
            assert mill.second >= number or link.state is not ReplicaState.VALID
        except Fault as fault:
            if fault.code not in (Code.UNAVAILABLE, Code.NOT_FOUND):  # withdrawn meanwhile
                raise
        await asyncio.gather(*calls, return_exceptions=True)


@pytest.mark.parametrize("limits", [QUICK, TIGHT], ids=["roomy", "tight"])
@pytest.mark.loops("asyncio", "uvloop")
async def test_replicas_that_come_and_go_while_their_source_does_find_it_as_it_is(
    place: Place, limits: Limits, soak: Callable[[int, int], int], record_property: Callable[[str, object], None]
) -> None:
    seed = random.randrange(2**32)
    record_property("seed", seed)
    rng, source = random.Random(seed), Mill()
    async with place.hosting(mill=source, limits=limits) as node:

        async def visits(rng: random.Random) -> None:
            for _ in range(soak(3, 30)):
                async with place.connect("mill", Mill, limits=limits) as mill:
                    await guest(rng, mill)

        async def weather() -> None:
            while True:
                await storm(rng, source, 40)
                node.withdraw("mill")
                if rng.randrange(2):
                    await asyncio.sleep(0)
                node.publish(source, "mill")
                for _ in range(rng.randrange(200)):
                    await asyncio.sleep(0)

        weathering = asyncio.ensure_future(weather())
        async with asyncio.TaskGroup() as group:
            for _ in range(6):
                group.create_task(visits(random.Random(rng.random())))
        weathering.cancel()
        await asyncio.wait((weathering,))
        if "mill" not in node.published:
            node.publish(source, "mill")
        async with place.connect("mill", Mill, limits=limits) as mill:
            await mill.settle()
            assert values_of(mill) == values_of(source)


async def test_a_chain_of_bridges_carries_a_storm_to_its_end(place: Place, folder: Path) -> None:
    """Also back through the program that it began in."""
    rng, source = random.Random(5), Mill()
    async with (
        place.hosting(mill=source, limits=TIGHT),
        place.connect("mill", Mill, limits=TIGHT) as near,
        Node(limits=TIGHT) as second,
    ):
        second.publish(near, "near")
        (middle,) = await second.serve(f"local:{folder}/middle")
        async with connect(middle, "near", Mill, limits=TIGHT) as between, Node(limits=TIGHT) as third:
            third.publish(between, "far")
            (end,) = await third.serve("http://127.0.0.1:0")
            async with connect(end, "far", Mill, limits=TIGHT) as far:
                async with asyncio.TaskGroup() as group:
                    group.create_task(storm(rng, source, 500))
                    group.create_task(guest(rng, far))
                    for number in range(10):
                        group.create_task(_push(far, number))
                await far.settle()
                assert values_of(far) == values_of(between) == values_of(near) == values_of(source)
