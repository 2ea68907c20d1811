"""`async for` over signals, `watch` and `wait_for`."""

from __future__ import annotations

import asyncio
import gc
from contextlib import aclosing

import pytest

from everywire.model import Object, computed, prop
from everywire.model.waiting import STREAM_LIMIT, PropertyWatch, SignalStream
from tests.model.samples import Room


async def test_a_signal_is_iterated_as_tuples() -> None:
    room = Room()
    emissions, beeps = aiter(room.overheated), aiter(room.beeped)
    room.overheated.emit(1, "a")
    room.overheated.emit(2, "b")
    room.beeped.emit()
    assert [await anext(emissions), await anext(emissions)] == [(1.0, "a"), (2.0, "b")]
    assert await anext(beeps) == ()


async def test_a_waiting_reader_is_woken_by_an_emission() -> None:
    room = Room()

    async def read(count: int) -> list[tuple[float, str]]:
        found: list[tuple[float, str]] = []
        async for emission in room.overheated:
            found.append(emission)
            if len(found) == count:
                break
        return found

    loop = asyncio.get_running_loop()
    async with asyncio.TaskGroup() as group:
        reader = group.create_task(read(2))
        loop.call_soon(room.overheated.emit, 1.0, "a")
        loop.call_soon(lambda: loop.call_soon(room.overheated.emit, 2.0, "b"))
    assert reader.result() == [(1.0, "a"), (2.0, "b")]


async def test_two_tasks_may_read_one_stream() -> None:
    room = Room()
    emissions = aiter(room.overheated)
    async with asyncio.TaskGroup() as group:
        readers = [group.create_task(emissions.__anext__()) for _ in range(2)]
        asyncio.get_running_loop().call_soon(room.overheated.emit, 1.0, "a")
        asyncio.get_running_loop().call_soon(room.overheated.emit, 2.0, "b")
    assert sorted(reader.result() for reader in readers) == [(1.0, "a"), (2.0, "b")]


async def test_a_slow_reader_loses_the_oldest_and_the_gap_is_counted() -> None:
    room = Room()
    emissions = SignalStream(room.overheated)
    for number in range(STREAM_LIMIT + 5):
        room.overheated.emit(number, "a")
    assert emissions.gap == room.overheated.dropped == 5
    assert await anext(emissions) == (5.0, "a")


async def test_a_stream_left_by_break_is_disconnected() -> None:
    room = Room()
    asyncio.get_running_loop().call_soon(room.beeped.emit)
    async for _ in room.beeped:
        break
    gc.collect()
    assert "with 0 connections" in repr(room.beeped)


async def test_a_closed_stream_hears_no_more() -> None:
    room = Room()
    async with aclosing(SignalStream(room.beeped)) as beeps:
        room.beeped.emit()
        assert await anext(beeps) == ()
    assert "with 0 connections" in repr(room.beeped)


async def test_watch_gives_the_present_value_first_and_then_the_latest() -> None:
    room = Room()
    seen: list[float] = []
    async for value in Room.current.watch(room):
        seen.append(value)
        if value == 20.0:
            room.current = 1.0
            room.current = 2.0
        elif value == 2.0:
            asyncio.get_running_loop().call_soon(setattr, room, "current", 3.0)
        else:
            break
    assert seen == [20.0, 2.0, 3.0]
    gc.collect()
    assert room._everywire.listeners["current"] == ()


async def test_a_closed_watch_is_disconnected() -> None:
    room = Room()
    async with aclosing(PropertyWatch(room, Room.current)) as values:
        assert await anext(values) == 20.0
    assert room._everywire.listeners["current"] == ()


async def test_a_computed_property_can_be_watched() -> None:
    room = Room()
    seen: list[float] = []
    async for value in Room.twice.watch(room):
        seen.append(value)
        if len(seen) == 2:
            break
        asyncio.get_running_loop().call_soon(setattr, room, "target", 30)
    assert seen == [2.0, 20.0]


class Unready(Object):
    x = prop(1)

    @computed(x)
    def y(self) -> int:
        raise RuntimeError("not yet")


async def test_a_watch_that_cannot_start_leaves_nothing_behind() -> None:
    unready = Unready()
    with pytest.raises(RuntimeError, match="not yet"):
        Unready.y.watch(unready)
    gc.collect()
    assert unready._everywire.listeners == {}


async def test_wait_for_returns_at_once_when_the_condition_holds() -> None:
    room = Room()
    assert await Room.current.wait_for(room, lambda value: value == 20.0) == 20.0
    assert room._everywire.listeners == {}


async def test_wait_for_looks_at_every_value() -> None:
    room = Room()
    looked: list[float] = []

    def condition(value: float) -> bool:
        looked.append(value)
        return value == 2.0

    def change() -> None:
        for value in (1.0, 2.0, 3.0):
            room.current = value

    asyncio.get_running_loop().call_soon(change)
    assert await Room.current.wait_for(room, condition) == 2.0
    assert looked == [20.0, 1.0, 2.0]
    assert room.current == 3.0
    assert room._everywire.listeners["current"] == ()


async def test_a_condition_that_raises_ends_the_wait_with_its_error() -> None:
    room = Room()
    asyncio.get_running_loop().call_soon(setattr, room, "extra", "text")
    with pytest.raises(TypeError):
        await Room.extra.wait_for(room, lambda value: value is not None and value > 5)
    assert room._everywire.listeners["extra"] == ()


async def test_a_cancelled_wait_is_disconnected() -> None:
    room = Room()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await Room.current.wait_for(room, lambda value: value > 100)
    assert room._everywire.listeners["current"] == ()


async def test_a_property_whose_name_is_no_attribute_can_be_watched() -> None:
    room = Room()
    handle = Room.current
    room._everywire.values["strange name"] = 5.0
    strange = type(handle)(1.0, None, writable=False, unit="", minimum=None, maximum=None, doc="", number=None)
    strange.__set_name__(Room, "strange name")
    assert await anext(aiter(strange.watch(room))) == 5.0
