from __future__ import annotations

import asyncio
import gc

import pytest

from everywire import Code, Fault, Node, Policy, Role, connect
from everywire.testing import pair
from tests.memory.plant import Oven, SmallOven


async def test_a_stream_gives_its_items_one_by_one_and_ends_with_its_reader() -> None:
    source = Oven()
    async with pair(source) as oven:
        stream = oven.count(3)
        assert [await anext(stream) for _ in range(3)] == [0, 1, 2]
        await stream.aclose()  # type: ignore[attr-defined]
        assert source.seen == ["closed"]
        with pytest.raises(StopAsyncIteration):
            await anext(stream)


async def test_a_stream_that_ends_by_itself_ends_the_loop() -> None:
    source = Oven()
    source.go.set()
    async with pair(source) as oven:
        assert [item async for item in oven.count(2)] == [0, 1]


async def test_the_end_of_the_link_ends_a_stream_that_waits() -> None:
    source = Oven()
    async with Node() as node:
        node.publish(source, "oven")
        await node.serve("memory:kitchen")
        async with connect("memory:kitchen", "oven", Oven) as oven:
            stream = oven.count(0)
            reading = asyncio.ensure_future(anext(stream))
            for _ in range(5):
                await asyncio.sleep(0)
            await node.aclose()
            with pytest.raises(Fault) as lost:
                await reading
            assert lost.value.code is Code.UNAVAILABLE
            assert source.seen == ["closed"]


async def test_the_withdrawal_of_its_object_ends_a_stream() -> None:
    source = Oven()
    async with Node() as node:
        node.publish(source, "oven")
        await node.serve("memory:kitchen")
        async with connect("memory:kitchen", "oven", Oven) as oven:
            stream = oven.count(5)
            assert await anext(stream) == 0
            node.withdraw("oven")
            with pytest.raises(Fault, match="the host withdrew oven"):
                while True:
                    await anext(stream)


async def test_a_stream_passes_the_gate_with_policy_and_checks() -> None:
    policy = Policy()
    async with pair(Oven(), "oven", SmallOven, policy=policy) as small:  # type: ignore[type-var]
        with pytest.raises(Fault) as refused:
            small.count(1000)
        assert (refused.value.code, refused.value.may_have_run) == (Code.OUT_OF_RANGE, False)
        policy.role = lambda _: Role.VIEWER
        policy.forget()
        with pytest.raises(Fault) as refused:
            small.count(1)
        assert refused.value.code is Code.PERMISSION_DENIED


async def test_a_stream_that_fails_tells_its_reader_no_secret() -> None:
    async with pair(Oven()) as oven:
        stream = oven.burn()
        assert await anext(stream) == 1
        for _ in range(2):
            with pytest.raises(Fault, match="ValueError in burn") as failed:
                await anext(stream)
            assert "swordfish" not in failed.value.message


async def test_a_reader_that_is_cancelled_ends_its_stream() -> None:
    source = Oven()
    async with pair(source) as oven:
        stream = oven.count(0)
        reading = asyncio.ensure_future(anext(stream))
        for _ in range(5):
            await asyncio.sleep(0)
        reading.cancel()
        await asyncio.wait([reading])
        while source.seen != ["closed"]:
            await asyncio.sleep(0)
        with pytest.raises(StopAsyncIteration):
            await anext(stream)


async def test_a_stream_that_is_dropped_is_closed_at_the_source() -> None:
    source = Oven()
    async with pair(source) as oven:
        stream = oven.count(1)
        assert await anext(stream) == 0
        del stream
        gc.collect()
        while source.seen != ["closed"]:
            await asyncio.sleep(0)


async def test_a_stream_that_another_thread_drops_is_closed_in_the_loops_thread() -> None:
    source = Oven()
    async with pair(source) as oven:
        streams = [oven.count(1)]
        assert await anext(streams[0]) == 0
        await asyncio.to_thread(streams.clear)
        while source.seen != ["closed"]:
            await asyncio.sleep(0)
