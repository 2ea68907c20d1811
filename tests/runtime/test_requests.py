"""Calls that come alone, on their way through the gate."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from everywire import Code, Fault, Limits, ModelError, Policy, Role
from everywire.model import Caller
from everywire.runtime import requests as module
from everywire.runtime.gate import current_link
from everywire.runtime.limits import Refusals
from everywire.runtime.requests import Requests
from everywire.runtime.tasks import TaskSet
from tests.harness import LoopReports
from tests.runtime.fakes import ADMIN, REMOTE, Ending, Pump, door

ANYBODY = Policy(role=lambda _: Role.ADMIN)


class Desk:
    """Requests with the tasks and counts that they are given."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.tasks, self.refusals = TaskSet(asyncio.get_running_loop()), Refusals()
        self.requests = Requests(limits or Limits(), self.tasks, self.refusals)
        self.pump = Pump()

    async def call(self, name: str, *arguments: Any, caller: Caller = ADMIN, policy: Policy = ANYBODY) -> Any:
        return await self.requests.call(caller, door(self.pump, name, policy=policy), lambda: arguments)

    async def fault(self, name: str, *arguments: Any, **options: Any) -> Fault:
        with pytest.raises(Fault) as raised:
            await self.call(name, *arguments, **options)
        return raised.value

    def later(self, name: str, *arguments: Any, caller: Caller = ADMIN) -> asyncio.Task[Any]:
        return asyncio.ensure_future(self.call(name, *arguments, caller=caller))

    async def idle(self) -> None:
        while len(self.tasks) or self.requests.running():
            await asyncio.sleep(0)


async def test_a_slot_that_cannot_suspend_runs_in_place() -> None:
    desk = Desk()
    assert await desk.call("double", 4) == 8
    assert len(desk.tasks) == 0
    assert desk.requests.running() == []


async def test_any_other_slot_has_a_task_that_is_known_as_running() -> None:
    desk = Desk()
    waiting = desk.later("wait", 5)
    while not desk.pump.heard:
        await asyncio.sleep(0)
    assert len(desk.requests.running()) == 1
    desk.pump.go.set()
    assert await waiting == 5
    await desk.idle()


@pytest.mark.parametrize("name", ["who", "who_later"])
async def test_a_slot_knows_who_calls(name: str) -> None:
    desk = Desk()
    assert await desk.call(name, caller=REMOTE) == f"CN=remote pump.{name}"
    assert current_link.get() is None


async def test_who_may_not_call_is_refused_before_arguments_are_read() -> None:
    desk = Desk()

    def read() -> tuple[Any, ...]:
        raise AssertionError("read")

    guarded = door(desk.pump, "double", policy=Policy(role=lambda _: Role.VIEWER))
    with pytest.raises(Fault, match="PERMISSION_DENIED") as raised:
        await desk.requests.call(REMOTE, guarded, read)
    assert not raised.value.may_have_run
    with pytest.raises(Fault, match="PERMISSION_DENIED"):
        desk.requests.permit(REMOTE, guarded)
    with pytest.raises(Fault, match="PERMISSION_DENIED"):
        desk.requests.arguments(REMOTE, guarded, read)


async def test_arguments_and_results_are_checked() -> None:
    desk = Desk()
    fault = await desk.fault("double", "much")
    assert (fault.code, fault.may_have_run) == (Code.INVALID_ARGUMENT, False)
    assert (await desk.fault("double", 1 << 70)).code is Code.OUT_OF_RANGE
    assert (await desk.fault("double", 1 << 62)).code is Code.INTERNAL  # its double has no 64 bits

    def unreadable() -> tuple[Any, ...]:
        raise ModelError("not so")

    with pytest.raises(Fault, match="not so"):
        await desk.requests.call(ADMIN, door(desk.pump, "double"), unreadable)


@pytest.mark.parametrize("name", ["fail", "fail_later"])
async def test_what_a_slot_raises_is_a_fault_without_details(name: str, caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk()
    fault = await desk.fault(name)
    assert fault.code is Code.UNKNOWN
    assert "swordfish" not in fault.message
    assert "swordfish" in caplog.text
    assert (await desk.fault("refuse")).message == "not now"
    assert (await desk.fault("give_up")).code is Code.CANCELLED


@pytest.mark.parametrize("name", ["end", "end_later"])
async def test_a_program_told_to_end_within_a_slot_is_not_kept(name: str, loop_reports: LoopReports) -> None:
    desk = Desk()
    assert (await desk.fault(name)).code is Code.UNKNOWN
    await asyncio.sleep(0)
    if name == "end":
        (report,) = loop_reports
        loop_reports.clear()
        assert isinstance(report["exception"], Ending)


async def test_a_slot_that_takes_too_long_is_answered_at_once_and_ended() -> None:
    desk = Desk()
    fault = await desk.fault("stubborn")
    assert (fault.code, fault.may_have_run) == (Code.DEADLINE_EXCEEDED, True)
    assert len(desk.requests.running()) == 1
    desk.pump.go.set()
    await desk.idle()
    assert desk.pump.heard == ["asked", "cleaned"]


async def test_who_stops_waiting_does_not_stop_the_slot(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk()
    waiting, failing = desk.later("wait", 5), desk.later("fail_later")
    await asyncio.sleep(0)
    for task in (waiting, failing):
        task.cancel()
    await asyncio.wait((waiting, failing))
    desk.pump.go.set()
    await desk.idle()
    assert desk.pump.heard == [5]
    assert "swordfish" in caplog.text  # also when nobody waits


async def test_running_calls_are_limited_for_each_caller() -> None:
    desk = Desk(Limits(pending_calls=2))
    calls = [desk.later("wait", n) for n in range(2)]
    while len(desk.pump.heard) < 2:
        await asyncio.sleep(0)
    fault = await desk.fault("wait", 3)
    assert (fault.code, fault.may_have_run) == (Code.RESOURCE_EXHAUSTED, False)
    assert desk.refusals["pending_calls"] == 1
    assert await desk.call("double", 1) == 2  # it has no task
    other = desk.later("wait", 4, caller=REMOTE)
    desk.pump.go.set()
    assert await asyncio.gather(*calls, other) == [0, 1, 4]
    await desk.idle()
    assert await desk.call("wait", 5) == 5


class Clock:
    """The loop's time as tests want it."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        patch.setattr(asyncio.get_running_loop(), "time", lambda: self.now)


async def test_the_rate_of_a_remote_caller_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    desk, clock = Desk(Limits(calls_per_second=10, calls_burst=3)), Clock(monkeypatch)
    for _ in range(3):
        desk.requests.charge(REMOTE)
    with pytest.raises(Fault, match="RESOURCE_EXHAUSTED"):
        desk.requests.charge(REMOTE)
    clock.now += 0.1
    desk.requests.charge(REMOTE)
    with pytest.raises(Fault, match="RESOURCE_EXHAUSTED"):
        desk.requests.charge(REMOTE)
    clock.now += 1000
    for _ in range(3):
        desk.requests.charge(REMOTE)
    with pytest.raises(Fault, match="RESOURCE_EXHAUSTED"):
        desk.requests.charge(REMOTE)
    assert desk.refusals["calls_per_second"] == 3


async def test_who_is_on_this_machine_has_no_rate_and_none_can_be_asked_for() -> None:
    desk = Desk(Limits(calls_per_second=0.001, calls_burst=1))
    for caller in (ADMIN, Caller(wire="fake", loopback=True, address="127.0.0.1:1")):
        for _ in range(10):
            desk.requests.charge(caller)
    free = Desk(Limits(calls_per_second=None, calls_burst=1))
    for _ in range(10):
        free.requests.charge(REMOTE)


async def test_strangers_are_told_apart_by_address_and_networks_not_by_host() -> None:
    desk = Desk(Limits(calls_per_second=0.001, calls_burst=1))

    def charge(address: str) -> bool:
        try:
            desk.requests.charge(Caller(wire="fake", address=address))
        except Fault:
            return False
        return True

    assert charge("192.0.2.1:1")
    assert not charge("192.0.2.1:2")
    assert charge("192.0.2.2:1")
    assert charge("[2001:db8::1]:1")
    assert not charge("[2001:db8::2]:1")
    assert charge("[2001:db8:0:1::1]:1")


async def test_few_callers_are_remembered_and_those_with_calls_longest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_ACCOUNTS", 3)
    desk = Desk(Limits(calls_per_second=0.001, calls_burst=1))
    waiting = desk.later("wait", 1, caller=REMOTE)
    while not desk.pump.heard:
        await asyncio.sleep(0)
    for n in range(10):
        desk.requests.charge(Caller(wire="fake", address=f"192.0.2.{n}:1"))
    assert len(desk.requests._accounts) == 3
    assert "CN=remote" in desk.requests._accounts
    desk.pump.go.set()
    assert await waiting == 1


async def test_closing_answers_who_waits_and_takes_no_more() -> None:
    desk = Desk()
    waiting = desk.later("wait", 5)
    while not desk.pump.heard:
        await asyncio.sleep(0)
    desk.requests.close()
    with pytest.raises(Fault, match="UNAVAILABLE") as raised:
        await waiting
    assert raised.value.may_have_run
    refused = await desk.fault("double", 1)
    assert (refused.code, refused.may_have_run) == (Code.UNAVAILABLE, False)
    with pytest.raises(Fault, match="UNAVAILABLE"):
        desk.requests.arguments(ADMIN, door(desk.pump, "drops"), tuple)
    await desk.tasks.aclose()


async def test_a_stream_is_pulled_item_by_item_and_closed() -> None:
    desk, taken = Desk(), asyncio.Queue[Any]()
    drops = door(desk.pump, "drops", policy=ANYBODY)
    arguments = desk.requests.arguments(REMOTE, drops, tuple)
    pulling = asyncio.ensure_future(desk.requests.pull(REMOTE, drops, arguments, taken.put))
    assert await taken.get() == 1
    pulling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await pulling
    desk.pump.go.set()
    await desk.requests.pull(REMOTE, drops, arguments, taken.put)
    assert taken.qsize() == 1
