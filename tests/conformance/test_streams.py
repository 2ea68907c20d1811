"""Streams over every wire: order, back-pressure, and every way to end."""

from __future__ import annotations

import asyncio
import gc
from contextlib import aclosing

import pytest

from everywire import Code, Fault
from tests.conformance.plant import Reading, Tap
from tests.conformance.wires import Place

AHEAD = 64
"""Items that a wire may at most take ahead of its reader."""


@pytest.mark.loops("asyncio", "uvloop")
async def test_items_arrive_in_order_and_the_stream_ends(place: Place) -> None:
    tap = Tap()
    async with place.hosting(tap=tap), place.connect("tap", Tap) as replica:
        assert [n async for n in replica.numbers(1000)] == list(range(1000))
        assert [n async for n in replica.numbers(0)] == []
        readings = [item async for item in replica.readings(["a", "b"])]
        assert readings == [Reading(20.0, "a"), Reading(20.0, "b")]
        assert tap.open == 0


async def test_a_generator_is_not_advanced_beyond_what_its_reader_has_room_for(place: Place) -> None:
    tap = Tap()
    async with place.hosting(tap=tap), place.connect("tap", Tap) as replica:
        async with aclosing(replica.numbers(10_000)) as numbers:
            for expected in range(300):
                assert await anext(numbers) == expected
                assert tap.yielded <= expected + 1 + AHEAD
        await tap.bell.until(lambda: not tap.open)


async def test_several_streams_run_side_by_side(place: Place) -> None:
    async with place.hosting(tap=Tap()), place.connect("tap", Tap) as replica:

        async def total() -> int:
            return sum([n async for n in replica.numbers(200)])

        assert await asyncio.gather(*[total() for _ in range(5)]) == [19900] * 5


async def test_closing_a_stream_ends_the_generator(place: Place) -> None:
    tap = Tap()
    async with place.hosting(tap=tap), place.connect("tap", Tap) as replica:
        async with aclosing(replica.waiting()) as items:
            assert await anext(items) == 0
            assert tap.open == 1
        await tap.bell.until(lambda: not tap.open)


async def test_dropping_a_stream_ends_the_generator(place: Place) -> None:
    tap = Tap()
    async with place.hosting(tap=tap), place.connect("tap", Tap) as replica:
        items = replica.waiting()
        assert await anext(items) == 0
        del items
        gc.collect()
        await tap.bell.until(lambda: not tap.open)


async def test_a_stream_fails_with_its_fault_after_its_items(place: Place) -> None:
    async with place.hosting(tap=Tap()), place.connect("tap", Tap) as replica:
        stream = replica.failing(3)
        assert [await anext(stream) for _ in range(3)] == [0, 1, 2]
        with pytest.raises(Fault) as caught:
            await anext(stream)
        assert (caught.value.code, caught.value.message) == (Code.DATA_LOSS, "the sensor fell off")


async def test_an_exception_in_a_stream_tells_its_class_and_nothing_more(place: Place) -> None:
    async with place.hosting(tap=Tap()), place.connect("tap", Tap) as replica:
        with pytest.raises(Fault) as caught:
            async for _ in replica.exploding():
                pass
        assert caught.value.code is Code.UNKNOWN
        assert "ValueError" in caught.value.message
        assert "swordfish" not in str(caught.value)


async def test_a_lost_link_ends_the_stream_at_both_ends(place: Place) -> None:
    tap = Tap()
    async with place.hosting(tap=tap) as node, place.connect("tap", Tap) as replica:
        items = replica.waiting()
        assert await anext(items) == 0
        reader = asyncio.ensure_future(anext(items))
        await asyncio.sleep(0)
        await node.aclose()
        with pytest.raises(Fault) as caught:
            await reader
        assert caught.value.code is Code.UNAVAILABLE
        await tap.bell.until(lambda: not tap.open)


async def test_a_replica_that_closes_ends_its_streams(place: Place) -> None:
    tap = Tap()
    async with place.hosting(tap=tap):
        async with place.connect("tap", Tap) as replica:
            items = replica.waiting()
            assert await anext(items) == 0
        await tap.bell.until(lambda: not tap.open)
        with pytest.raises(Fault):
            await anext(items)


async def test_a_stream_and_a_call_of_one_object_do_not_meet(place: Place) -> None:
    """Found by a raw peer: both count from one."""
    tap = Tap()
    async with place.hosting(tap=tap), place.connect("tap", Tap) as replica:
        call, other = replica.hold(), replica.hold()
        first, second = replica.waiting(), replica.waiting()
        assert (await anext(first), await anext(second)) == (0, 0)
        await first.aclose()
        other.cancel()
        await tap.bell.until(lambda: tap.open == 1)
        assert [n async for n in replica.numbers(1)] == [0], "what was on its way has arrived"
        assert not call.done()
        tap.released = True
        tap.bell.ring()
        assert await call == 1
        assert tap.open == 1, "cancelling the second call has left the second stream alone"
        await second.aclose()
        await tap.bell.until(lambda: not tap.open)
