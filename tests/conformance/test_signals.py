"""Signals over every wire: order, connections, and a signal on one wire that drives a slot on another."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from everywire import Node
from tests.conformance.plant import Boiler, Counters, Heard, Pump
from tests.conformance.wires import Place
from tests.harness import LoopReports


async def test_signals_arrive_with_their_arguments_in_order(place: Place) -> None:
    counters = Counters()
    async with place.hosting(counters=counters), place.connect("counters", Counters) as replica:
        heard = Heard()
        replica.ticked.connect(lambda number: heard(("tick", number)))
        replica.tocked.connect(lambda number, text: heard(("tock", number, text)))
        for number in range(300):
            counters.ticked.emit(number)
            counters.tocked.emit(-number, str(number))
        await replica.settle()
        assert heard.items == [
            item for number in range(300) for item in (("tick", number), ("tock", -number, str(number)))
        ]


async def test_signals_and_changes_keep_their_common_order(place: Place) -> None:
    counters = Counters()
    async with place.hosting(counters=counters), place.connect("counters", Counters) as replica:
        seen = Heard()
        replica.ticked.connect(lambda number: seen((number, replica.first)))
        for number in range(100):
            counters.first = number
            counters.ticked.emit(number)
        await replica.settle()
        assert seen.items == [(number, number) for number in range(100)]


async def test_what_a_slot_tells_arrives_before_its_answer(place: Place) -> None:
    pump = Pump()
    async with place.hosting(pump=pump), place.connect("pump", Pump) as replica:
        stopped = Heard()
        replica.stopped.connect(stopped)
        assert await replica.stroke() == 1
        assert replica.strokes == 1
        await replica.stop(80.0, "attic")
        assert stopped.items == [80.0]


async def test_a_connection_takes_leading_arguments_ends_and_happens_once(place: Place) -> None:
    boiler = Boiler()
    async with place.hosting(boiler=boiler), place.connect("boiler", Boiler) as replica:
        all_, first, once = Heard(), Heard(), Heard()
        disconnect = replica.overheated.connect(all_)
        replica.overheated.connect(lambda celsius: first(celsius, "only"))
        replica.overheated.connect(once, once=True)
        boiler.overheated.emit(1.0, "a")
        await replica.drain()
        disconnect()
        boiler.overheated.emit(2.0, "b")
        await replica.drain()
        assert all_.items == once.items == [(1.0, "a")]
        assert first.items == [(1.0, "only"), (2.0, "only")]


async def test_iterating_over_a_signal_yields_tuples(place: Place) -> None:
    counters = Counters()
    async with (
        place.hosting(counters=counters),
        place.connect("counters", Counters) as replica,
        aclosing(aiter(replica.ticked)) as stream,
    ):
        counters.ticked.emit(1)
        counters.ticked.emit(2)
        assert [await anext(stream), await anext(stream)] == [(1,), (2,)]


async def test_an_observer_that_raises_is_reported_and_harms_nobody(place: Place, loop_reports: LoopReports) -> None:
    counters = Counters()
    async with place.hosting(counters=counters), place.connect("counters", Counters) as replica:
        heard = Heard()

        def fail(number: int) -> None:
            raise ValueError(number)

        replica.ticked.connect(fail)
        replica.ticked.connect(heard)
        Counters.first.on_change(replica, fail)
        counters.ticked.emit(5)
        counters.first = 6
        await replica.settle()
        assert (heard.items, replica.first) == ([5], 6)
        assert [report["exception"].args for report in loop_reports] == [(5,), (6,)]
        loop_reports.clear()


async def test_a_signal_on_one_wire_drives_a_slot_on_another(place: Place, other_place: Place) -> None:
    boiler, pump = Boiler(), Pump()
    pump.running = True
    async with (
        place.hosting(boiler=boiler),
        other_place.hosting(pump=pump),
        place.connect("boiler", Boiler) as room,
        other_place.connect("pump", Pump) as far_pump,
    ):
        stopped = Heard()
        far_pump.stopped.connect(stopped)
        room.overheated.connect(far_pump.stop)
        boiler.overheated.emit(81.0, "attic")
        boiler.overheated.emit(82.0, "cellar")
        assert await stopped.count(2) == [81.0, 82.0]
        assert pump.running is False
        assert await Pump.running.wait_for(far_pump, lambda running: not running) is False


async def test_a_source_here_drives_a_slot_elsewhere(place: Place) -> None:
    pump = Pump()
    async with place.hosting(pump=pump), place.connect("pump", Pump) as far_pump, Node() as node:
        boiler = Boiler()
        node.publish(boiler, "boiler")
        boiler.overheated.connect(far_pump.stop)
        boiler.overheated.emit(81.0, "attic")
        stopped = Heard()
        far_pump.stopped.connect(stopped)
        assert await stopped.count(1) == [81.0]


async def test_a_slot_that_fails_for_a_signal_is_reported_and_the_next_one_runs(
    place: Place, loop_reports: LoopReports
) -> None:
    counters = Counters()
    async with place.hosting(counters=counters), place.connect("counters", Counters) as replica:
        done = Heard()

        async def work(number: int) -> None:
            await asyncio.sleep(0)
            if number == 1:
                raise ValueError("odd")
            done(number)

        replica.ticked.connect(work)
        for number in range(3):
            counters.ticked.emit(number)
        assert await done.count(2) == [0, 2]
        assert len(loop_reports) == 1
        loop_reports.clear()


async def test_a_closed_replica_hears_nothing_more(place: Place) -> None:
    counters = Counters()
    async with place.hosting(counters=counters):
        async with place.connect("counters", Counters) as replica:
            heard = Heard()
            replica.ticked.connect(heard)
            Counters.first.on_change(replica, heard)
        async with place.connect("counters", Counters) as other:
            counters.ticked.emit(1)
            counters.first = 1
            await other.settle()
        assert heard.items == []


@pytest.mark.loops("asyncio", "uvloop")
async def test_a_burst_within_one_turn_arrives_whole(place: Place) -> None:
    counters = Counters()
    async with place.hosting(counters=counters), place.connect("counters", Counters) as replica:
        ticks = Heard()
        replica.ticked.connect(ticks)
        for number in range(5000):
            counters.ticked.emit(number)
        await replica.settle()
        assert ticks.items == list(range(5000))
