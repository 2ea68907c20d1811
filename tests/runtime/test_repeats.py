"""Calls with keys: one run, the same answer, and bounds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from everywire import Code, Fault
from everywire.runtime import repeats as module
from everywire.runtime.repeats import KeyReused, Repeats
from everywire.runtime.tasks import TaskSet
from tests.harness import LoopReports


class Work:
    """Counts its runs; waits where it is told to."""

    def __init__(self) -> None:
        self.runs = 0
        self.go = asyncio.Event()
        self.go.set()

    def __call__(self, answer: bytes | Fault = b"done") -> Callable[[], Coroutine[Any, Any, bytes]]:
        async def run() -> bytes:
            self.runs += 1
            await self.go.wait()
            if isinstance(answer, Fault):
                raise answer
            return answer

        return run


class Memory:
    """Repeats with their tasks."""

    def __init__(self) -> None:
        self.tasks = TaskSet(asyncio.get_running_loop())
        self.repeats, self.work = Repeats(self.tasks), Work()

    async def once(self, key: str = "k", answer: bytes | Fault = b"ok", *, who: str = "me", call: bytes = b"c") -> Any:
        return await self.repeats.once(who, key, call, self.work(answer))


async def test_a_call_runs_once_for_each_key_and_caller() -> None:
    memory = Memory()
    assert [await memory.once(), await memory.once(), await memory.once("l")] == [b"ok"] * 3
    assert memory.work.runs == 2
    await memory.once(who="you")
    assert memory.work.runs == 3


async def test_who_asks_while_it_runs_waits_and_may_go() -> None:
    memory = Memory()
    memory.work.go.clear()
    first, second, third = (asyncio.ensure_future(memory.once()) for _ in range(3))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait((first,))
    memory.work.go.set()
    assert await second == await third == b"ok"
    assert memory.work.runs == 1


async def test_a_key_belongs_to_one_call() -> None:
    memory = Memory()
    await memory.once()
    with pytest.raises(KeyReused) as refused:
        await memory.once(call=b"other")
    assert not refused.value.may_have_run


async def test_a_fault_is_an_answer_unless_the_call_cannot_have_run() -> None:
    memory = Memory()
    faults = []
    for _ in range(2):
        with pytest.raises(Fault) as raised:
            await memory.once(answer=Fault(Code.ABORTED, "not now"))
        faults.append(raised.value)
    assert [fault.message for fault in faults] == ["not now"] * 2
    assert faults[0] is not faults[1]
    assert memory.work.runs == 1
    for _ in range(2):
        with pytest.raises(Fault):
            await memory.once("l", Fault(Code.PERMISSION_DENIED, may_have_run=False))
    assert memory.work.runs == 3
    assert len(memory.repeats) == 1


async def test_the_end_of_a_node_is_no_answer(loop_reports: LoopReports) -> None:
    memory = Memory()
    memory.work.go.clear()
    waiting = asyncio.ensure_future(memory.once())
    await asyncio.sleep(0)
    await memory.tasks.aclose()
    with pytest.raises(Fault, match="UNAVAILABLE"):
        await waiting
    assert len(memory.repeats) == 0
    assert loop_reports == []


async def test_answers_are_kept_for_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = Memory()
    await memory.once()
    monkeypatch.setattr(module, "KEPT_FOR", 0.0)
    await memory.once("other")
    assert len(memory.repeats) == 1
    await memory.once()
    assert memory.work.runs == 3


async def test_one_caller_cannot_push_out_the_keys_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_OF_ONE", 3)
    memory = Memory()
    await memory.once(who="you")
    for n in range(10):
        await memory.once(str(n))
    assert len(memory.repeats) == 4
    runs = memory.work.runs
    await memory.once(who="you")
    await memory.once("9")
    assert memory.work.runs == runs
    await memory.once("0")
    assert memory.work.runs == runs + 1


async def test_keys_are_bounded_in_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_KEYS", 3)
    memory = Memory()
    for n in range(10):
        await memory.once(who=str(n))
    assert len(memory.repeats) == 3


async def test_an_answer_that_was_given_up_for_space_is_not_run_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 100)
    monkeypatch.setattr(module, "LONGEST_ANSWER", 60)
    memory = Memory()
    assert await memory.once("long", b"x" * 61) == b"x" * 61
    for key in ("a", "b", "c"):
        assert await memory.once(key, b"x" * 50) == b"x" * 50
    assert memory.repeats._bytes == 100
    for key in ("long", "a"):
        with pytest.raises(Fault, match="no longer kept") as raised:
            await memory.once(key)
        assert (raised.value.code, raised.value.may_have_run) == (Code.ABORTED, True)
    assert await memory.once("b") == b"x" * 50
    assert memory.work.runs == 4
