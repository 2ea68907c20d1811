from __future__ import annotations

import asyncio
import inspect
from collections.abc import Coroutine
from typing import Any

import pytest

from everywire import Code, Fault
from everywire.runtime.pending import PendingCall
from tests.harness import LoopReports


class FakeLink:
    """Keeps the calls whose callers gave up."""

    def __init__(self) -> None:
        self.given_up: list[PendingCall[Any]] = []

    def cancelled(self, call: PendingCall[Any]) -> None:
        self.given_up.append(call)

    def call(self) -> PendingCall[int]:
        call: PendingCall[int] = PendingCall(loop=asyncio.get_running_loop())
        call.link = self
        return call


def later(call: PendingCall[int], value: int = 5) -> None:
    asyncio.get_running_loop().call_soon(call.set_result, value)


async def test_a_call_is_a_coroutine_by_type() -> None:
    call = FakeLink().call()
    assert isinstance(call, Coroutine)
    assert inspect.isawaitable(call)
    later(call)
    assert await call == 5


async def test_a_call_may_be_awaited_more_than_once() -> None:
    call = FakeLink().call()
    later(call)
    assert [await call, await call] == [5, 5]


async def test_create_task_takes_a_call_once_twice_and_after_its_end() -> None:
    call = FakeLink().call()
    tasks = [asyncio.create_task(call), asyncio.create_task(call)]
    await asyncio.sleep(0)
    later(call)
    assert [await task for task in tasks] == [5, 5]
    assert await asyncio.create_task(call) == 5


async def test_a_task_group_takes_calls_and_fails_with_their_faults() -> None:
    link = FakeLink()
    good, bad = link.call(), link.call()
    later(good)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(good)
    assert task.result() == 5
    asyncio.get_running_loop().call_soon(bad.set_exception, Fault(Code.ABORTED, "no"))
    with pytest.raises(ExceptionGroup) as raised:
        async with asyncio.TaskGroup() as group:
            group.create_task(bad)
    assert [type(error) for error in raised.value.exceptions] == [Fault]


async def test_gather_and_wait_for_take_calls() -> None:
    link = FakeLink()
    calls = [link.call() for _ in range(3)]
    for number, call in enumerate(calls):
        later(call, number)
    assert await asyncio.gather(*calls) == [0, 1, 2]
    assert await asyncio.wait_for(calls[0], 1) == 0
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(link.call(), 0)


async def test_cancelling_tells_the_link_once() -> None:
    link = FakeLink()
    call = link.call()
    assert call.cancel()
    assert not call.cancel()
    assert link.given_up == [call]
    with pytest.raises(asyncio.CancelledError):
        await call


async def test_a_call_that_is_done_cannot_be_cancelled() -> None:
    link = FakeLink()
    call = link.call()
    call.set_result(1)
    assert not call.cancel()
    assert link.given_up == []


async def test_cancelling_the_task_that_waits_cancels_the_call() -> None:
    link = FakeLink()
    waiting, fresh = link.call(), link.call()
    tasks = [asyncio.create_task(waiting), asyncio.create_task(fresh)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    tasks.append(asyncio.create_task(another := link.call()))
    tasks[1].cancel()
    tasks[2].cancel()  # before its first step
    await asyncio.wait(tasks)
    assert all(task.cancelled() for task in tasks)
    assert set(link.given_up) == {waiting, fresh, another}


async def test_asyncio_timeout_cancels_the_call() -> None:
    link = FakeLink()
    call = link.call()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await call
    assert link.given_up == [call]


async def test_a_call_without_a_link_can_be_cancelled_too() -> None:
    call: PendingCall[None] = PendingCall(loop=asyncio.get_running_loop())
    assert call.cancel()


async def test_a_failure_that_nobody_awaits_is_reported(loop_reports: LoopReports) -> None:
    call = FakeLink().call()
    call.set_exception(Fault(Code.ABORTED, "unheard"))
    del call
    (report,) = loop_reports
    loop_reports.clear()
    assert "PendingCall exception was never retrieved" in report["message"]
    assert isinstance(report["exception"], Fault)


async def test_throwing_into_a_call_raises_there() -> None:
    call = FakeLink().call()
    with pytest.raises(ValueError, match="odd"):
        call.throw(ValueError("odd"))
    with pytest.raises(ValueError, match="old form"):
        call.throw(ValueError, ValueError("old form"))
    with pytest.raises(ValueError):
        call.throw(ValueError)
    call.close()
    assert not call.done()
    later(call)
    assert await call == 5
