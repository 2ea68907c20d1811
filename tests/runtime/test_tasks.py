from __future__ import annotations

import asyncio
from contextvars import ContextVar, copy_context

import pytest

from everywire import LocalProtocolError
from everywire.runtime.tasks import TaskSet
from tests.harness import LoopReports

variable: ContextVar[int] = ContextVar("variable", default=0)


def task_set() -> TaskSet:
    return TaskSet(asyncio.get_running_loop())


async def fail() -> None:
    raise ValueError("as expected")


async def fail_later() -> None:
    await asyncio.sleep(0)
    raise ValueError("as expected")


async def test_a_task_that_fails_is_reported_and_its_siblings_go_on(loop_reports: LoopReports) -> None:
    tasks = task_set()
    done = asyncio.Event()
    tasks.spawn(fail())
    tasks.spawn(fail_later())
    waiting = tasks.spawn(done.wait())
    while len(loop_reports) < 2:
        await asyncio.sleep(0)
    assert [str(report["exception"]) for report in loop_reports] == ["as expected"] * 2
    loop_reports.clear()
    assert len(tasks) == 1
    done.set()
    assert await waiting is True
    await asyncio.sleep(0)
    assert len(tasks) == 0


@pytest.mark.parametrize("function", [fail, fail_later])
async def test_a_failure_that_is_awaited_is_not_reported(function: object) -> None:
    task = task_set().spawn(function(), awaited=True)  # type: ignore[operator]
    with pytest.raises(ValueError, match="as expected"):
        await task


async def test_an_awaited_task_can_be_handed_to_the_report(loop_reports: LoopReports) -> None:
    tasks = task_set()
    task = tasks.spawn(fail_later(), awaited=True)
    tasks.report(task)
    while not loop_reports:
        await asyncio.sleep(0)
    assert loop_reports.pop()["task"] is task


async def test_a_cancelled_task_is_no_failure() -> None:
    tasks = task_set()
    task = tasks.spawn(asyncio.Event().wait())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert len(tasks) == 0


async def test_closing_cancels_what_runs_even_what_has_just_begun() -> None:
    tasks = task_set()
    ended: list[str] = []

    async def tidy(name: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append(name)

    tasks.spawn(tidy("old"))
    await asyncio.sleep(0)
    tasks.spawn(tidy("new"))
    await tasks.aclose()
    assert sorted(ended) == ["new", "old"]
    assert len(tasks) == 0


async def test_a_closed_set_takes_no_tasks() -> None:
    tasks = task_set()
    assert not tasks.closed
    await tasks.aclose()
    assert tasks.closed
    with pytest.raises(LocalProtocolError, match="closed: make a new one"):
        tasks.spawn(fail())


async def test_a_task_may_close_the_set_it_belongs_to() -> None:
    tasks = task_set()
    other = tasks.spawn(asyncio.Event().wait())
    closing = tasks.spawn(tasks.aclose(), awaited=True)
    await closing
    assert other.cancelled()


@pytest.mark.parametrize("turns", [0, 1, 2])
async def test_closing_that_is_cancelled_leaves_no_task_running(turns: int) -> None:
    tasks = task_set()
    running = tasks.spawn(asyncio.Event().wait())
    closing = asyncio.create_task(tasks.aclose())
    await asyncio.sleep(0)  # it has begun
    for _ in range(turns):
        await asyncio.sleep(0)
    closing.cancel()
    await asyncio.wait([closing, running])
    assert running.cancelled()


async def test_a_task_runs_in_the_context_it_is_given() -> None:
    context = copy_context()
    context.run(variable.set, 7)

    async def read() -> int:
        return variable.get()

    tasks = task_set()
    assert await tasks.spawn(read(), context=context, awaited=True) == 7
    assert await tasks.spawn(read(), awaited=True) == 0
