from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from everywire import Code, Fault, Limits, LinkError, Node, Policy, ReplicaState, Role, connect, link_of
from everywire.memory.session import find_server
from everywire.runtime import supervisor
from everywire.testing import Heard, pair
from tests.harness import LoopReports
from tests.memory.plant import Oven

URL = "memory:kitchen"
VALID, SUSPECT = ReplicaState.VALID, ReplicaState.SUSPECT


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "NEAR", 0.0)


@asynccontextmanager
async def kitchen(*, policy: Policy | None = None, limits: Limits | None = None) -> AsyncIterator[tuple[Node, Oven]]:
    """A node that serves an oven."""
    async with Node(limits=limits or Limits()) as node:
        oven = Oven()
        node.publish(oven, "oven", policy=policy)
        await node.serve(URL)
        yield node, oven


def states_of(replica: Any) -> Heard:
    heard = Heard()
    link_of(replica).state_changed.connect(heard)
    return heard


# ---------------------------------------------------------------------------------------------------------- calls
async def test_a_call_returns_what_the_slot_returns() -> None:
    async with pair(Oven()) as oven:
        assert await oven.bake(5) == 300
        assert await oven.bake() == 600
        assert await asyncio.gather(*(oven.bake(n) for n in range(3))) == [0, 60, 120]


async def test_nothing_happens_from_within_the_call() -> None:
    source = Oven()
    async with pair(source) as oven:
        call = oven.bake(5)
        assert source.seen == []
        assert await call == 300


async def test_a_result_that_does_not_fit_is_an_internal_fault() -> None:
    async with pair(Oven()) as oven:
        with pytest.raises(Fault, match=r"object\.lie does not fit its type") as broken:
            await oven.lie()
        assert broken.value.code is Code.INTERNAL
        assert await oven.bake(1) == 60


async def test_the_caller_is_this_user() -> None:
    async with pair(Oven()) as oven:
        assert (await oven.who()).startswith("uid:")


async def test_a_call_on_its_way_can_be_cancelled_and_stops_the_slot() -> None:
    source = Oven()
    async with pair(source) as oven:
        call = oven.wait(1)
        fresh = oven.wait(2)
        fresh.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        call.cancel()
        assert await oven.bake(1) == 60
        while "cancelled 1" not in source.seen:
            await asyncio.sleep(0)
        assert "ended 2" not in source.seen
        source.go.set()
        assert await oven.wait(3) == 3


async def test_cancelling_a_call_that_was_answered_meanwhile_harms_nothing() -> None:
    async with pair(Oven()) as oven:
        call = oven.bake(1)
        await call
        assert not call.cancel()
        late = oven.bake(2)
        link_of(oven).channel.waiting.clear()
        late.cancel()
        assert await oven.bake(3) == 180


async def test_calls_above_the_limit_wait_and_are_not_lost() -> None:
    source = Oven()
    async with pair(source, limits=Limits(pending_calls=2)) as oven:
        calls = [oven.wait(n) for n in range(5)]
        while len(source.seen) < 2:
            await asyncio.sleep(0)
        assert source.seen == ["began 0", "began 1"]
        source.go.set()
        assert await asyncio.gather(*calls) == [0, 1, 2, 3, 4]


# ----------------------------------------------------------------------------------------------- the end of a link
async def test_calls_in_flight_when_the_host_closes_fail_and_may_have_run() -> None:
    async with kitchen(limits=Limits(drain=0.0)) as (node, source), connect(URL, "oven", Oven) as oven:
        states = states_of(oven)
        running = oven.wait(1)
        while not source.seen:
            await asyncio.sleep(0)
        await node.aclose()
        with pytest.raises(Fault, match="the host closed the link") as lost:
            await running
        assert (lost.value.code, lost.value.may_have_run) == (Code.UNAVAILABLE, True)
        assert states.calls == [(SUSPECT,)]
        assert oven.target == 180.0
        with pytest.raises(Fault, match="oven is suspect: no link to memory:kitchen") as never:
            await oven.bake(1)
        assert (never.value.code, never.value.may_have_run) == (Code.UNAVAILABLE, False)
        with pytest.raises(Fault) as never:
            await Oven.target.push(oven, 1.0)
        assert not never.value.may_have_run
        with pytest.raises(Fault) as never:
            oven.count(1)
        assert not never.value.may_have_run


async def test_a_call_that_was_queued_but_not_delivered_may_have_run() -> None:
    async with kitchen() as (_, source), connect(URL, "oven", Oven) as oven:
        (session,) = find_server(URL).sessions
        call = oven.bake(1)
        session.abort()
        with pytest.raises(Fault, match="the link was cut") as lost:
            await call
        assert lost.value.may_have_run
        assert source.seen == []


async def test_a_lost_call_that_nobody_awaits_is_reported(loop_reports: LoopReports) -> None:
    async with kitchen():
        async with connect(URL, "oven", Oven) as oven:
            oven.wait(1)
        while not loop_reports:
            await asyncio.sleep(0)
    assert "never retrieved" in loop_reports.pop()["message"]


async def test_a_slot_that_runs_when_its_caller_goes_is_finished_and_its_result_dropped() -> None:
    async with kitchen() as (_, source):
        async with connect(URL, "oven", Oven) as oven:
            call = oven.wait(1)
            while not source.seen:
                await asyncio.sleep(0)
        with pytest.raises(Fault):
            await call
        source.go.set()
        while "ended 1" not in source.seen:
            await asyncio.sleep(0)


async def test_what_slots_answer_while_the_host_drains_still_arrives() -> None:
    async with kitchen() as (node, source), connect(URL, "oven", Oven) as oven:
        call = oven.wait(1)
        while not source.seen:
            await asyncio.sleep(0)
        closing = node.spawn(asyncio.sleep(0))
        await closing
        asyncio.get_running_loop().call_soon(source.go.set)
        await node.aclose(grace=10)
        assert await call == 1


async def test_what_the_host_says_just_before_it_closes_is_heard() -> None:
    async with kitchen() as (node, source), connect(URL, "oven", Oven) as oven:
        heard = Heard()
        oven.beeped.connect(heard)
        source.beeped.emit(1, [])
        source.beeped.emit(2, [])
        await node.aclose()
        assert heard.calls == [(1, []), (2, [])]


async def test_the_host_that_comes_back_has_the_replica_back_with_its_present_values() -> None:
    async with connect_later() as oven:
        states, changes = states_of(oven), Heard()
        Oven.target.on_change(oven, changes)
        Oven.current.on_change(oven, changes)
        async with kitchen() as (_, source):
            source.target = 200.0
            await states.wait(1)
            assert states.calls[-1] == (VALID,)
            await changes.wait(1)
            assert await oven.bake(1) == 60
        assert changes.calls[0] == (200.0,)


@asynccontextmanager
async def connect_later() -> AsyncIterator[Any]:
    """A replica whose host has gone."""
    async with Node() as node:
        node.publish(Oven(), "oven")
        await node.serve(URL)
        connection = connect(URL, "oven", Oven)
        oven = await connection.__aenter__()
    try:
        yield oven
    finally:
        await connection.__aexit__(None, None, None)


async def test_two_replicas_hear_the_same_and_end_apart() -> None:
    async with kitchen() as (_, source), connect(URL, "oven", Oven) as one:
        heard = Heard()
        one.beeped.connect(heard)
        async with connect(URL, "oven", Oven) as other:
            other_heard = Heard()
            other.beeped.connect(other_heard)
            await other.bake(1)
            assert await heard.wait(1) == await other_heard.wait(1) == [(1, [1, 2])]
        source.beeped.emit(2, [])
        assert (await heard.wait(2))[1] == (2, [])
        assert len(other_heard.calls) == 1
        assert await one.bake(3) == 180


# ---------------------------------------------------------------------------------------- withdraw and publish again
async def test_a_withdrawn_object_is_suspect_until_it_is_published_again() -> None:
    async with kitchen() as (node, source), connect(URL, "oven", Oven) as oven:
        states = states_of(oven)
        waiting = oven.wait(1)
        while not source.seen:
            await asyncio.sleep(0)
        node.withdraw("oven")
        with pytest.raises(Fault, match="the host withdrew oven") as lost:
            await waiting
        assert lost.value.code is Code.UNAVAILABLE
        assert states.calls == [(SUSPECT,)]
        source.current = 77.0
        await asyncio.sleep(0)
        assert oven.current == 20.0
        for _ in range(5):
            await asyncio.sleep(0)
        another = Oven()
        another.current = 55.0
        node.publish(another, "oven")
        await states.wait(2)
        assert oven.current == 55.0
        assert await oven.bake(1) == 60
        assert another.seen == [1]
        source.go.set()


async def test_withdrawing_one_object_leaves_the_replicas_of_others_alone() -> None:
    async with kitchen() as (node, _), connect(URL, "oven", Oven) as oven:
        node.publish(Oven(), "other")
        states = states_of(oven)
        node.withdraw("other")
        await oven.bake(1)
        assert states.calls == []


async def test_a_call_made_after_the_withdrawal_does_not_reach_the_object() -> None:
    async with kitchen() as (node, source), connect(URL, "oven", Oven) as oven:
        node.withdraw("oven")
        call = oven.bake(1)
        with pytest.raises(Fault):
            await call
        assert source.seen == []


async def test_a_replica_waits_for_an_object_that_is_published_later() -> None:
    async with Node() as node:
        await node.serve(URL)
        connection = connect(URL, "oven", Oven)
        waiting = asyncio.create_task(connection.__aenter__())
        for _ in range(5):
            await asyncio.sleep(0)
        node.publish(Oven(), "other")
        for _ in range(5):
            await asyncio.sleep(0)
        assert not waiting.done()
        node.publish(Oven(), "oven")
        oven = await waiting
        assert await oven.bake(1) == 60
        await connection.__aexit__(None, None, None)


# --------------------------------------------------------------------------------------------------------- policy
async def test_strangers_do_not_learn_that_an_object_exists() -> None:
    async with kitchen(policy=Policy(role=lambda _: Role.STRANGER)):
        with pytest.raises(Fault, match="it offers nothing") as missing:
            async with connect(URL, "oven", Oven, timeout=0):
                pass
        assert missing.value.code is Code.NOT_FOUND


async def test_a_changed_policy_holds_at_the_next_call() -> None:
    policy = Policy()
    async with kitchen(policy=policy) as (_, source), connect(URL, "oven", Oven) as oven:
        assert await oven.bake(1) == 60
        policy.require(Role.ADMIN, Oven.bake)
        assert await oven.bake(1) == 60
        policy.role = lambda _: Role.VIEWER
        policy.forget()
        for refused in (lambda: oven.bake(1), lambda: Oven.target.push(oven, 1.0)):
            with pytest.raises(Fault) as fault:
                await refused()
            assert (fault.value.code, fault.value.may_have_run) == (Code.PERMISSION_DENIED, False)
        with pytest.raises(Fault):
            oven.count(1)
        assert len(source.seen) == 2
        source.current = 99.0
        assert await Oven.current.wait_for(oven, lambda value: value == 99.0)


@pytest.mark.parametrize("in_thread", [False, True])
async def test_who_may_no_longer_see_an_object_hears_nothing_more_of_it(in_thread: bool) -> None:
    role = [Role.ADMIN]
    policy = Policy(role=lambda _: role[0])
    async with kitchen(policy=policy) as (node, source), connect(URL, "oven", Oven) as oven:
        node.publish(Oven(), "free", policy=Policy())
        async with connect(URL, "free", Oven) as free:
            states, heard = states_of(oven), Heard()
            oven.beeped.connect(heard)
            role[0] = Role.STRANGER
            if in_thread:
                await asyncio.get_running_loop().run_in_executor(None, policy.forget)
            else:
                policy.forget()
            source.beeped.emit(1, [])
            await states.wait(1)
            assert states.calls == [(SUSPECT,)]
            source.current = 66.0
            assert await free.bake(1) == 60
            assert heard.calls == []
            assert oven.current == 20.0
            role[0] = Role.VIEWER
            policy.forget()
            await states.wait(2)
            assert oven.current == 66.0


async def test_a_policy_forgets_nodes_that_are_gone() -> None:
    policy = Policy()
    async with kitchen(policy=policy):
        assert len(policy.followers) == 1
    policy.forget()


# ---------------------------------------------------------------------------------------------- the session itself
async def test_a_session_can_be_cut_like_any_other_link() -> None:
    async with kitchen(), connect(URL, "oven", Oven) as oven:
        states = states_of(oven)
        (session,) = find_server(URL).sessions
        session.host.outbox.cut()
        session.abort()
        assert str(await session.wait_lost()) == "the link was cut"
        await states.wait(2)
        assert states.calls == [(SUSPECT,), (VALID,)]


async def test_what_was_on_its_way_when_the_link_was_cut_is_not_heard() -> None:
    async with kitchen() as (_, source), connect(URL, "oven", Oven) as oven:
        (session,) = find_server(URL).sessions
        source.current = 44.0
        session.abort()
        assert link_of(oven).state is SUSPECT
        await asyncio.sleep(0)
        assert link_of(oven).state is SUSPECT
        assert oven.current == 20.0


async def test_a_forked_child_gives_up_its_copy_of_a_link() -> None:
    async with kitchen() as (_, source), connect(URL, "oven", Oven) as oven:
        waiting = oven.wait(1)
        link_of(oven).abandon()
        for call, text, may_have_run in ((waiting, "parent process", True), (oven.bake(1), "no link to", False)):
            with pytest.raises(Fault, match=text) as lost:
                await call
            assert (lost.value.code, lost.value.may_have_run) == (Code.UNAVAILABLE, may_have_run)
        assert str(link_of(oven).error) == "the link belongs to the parent process: connect again"
        source.go.set()


async def test_a_link_error_is_raised_when_the_only_attempt_finds_no_server() -> None:
    with pytest.raises(LinkError):
        find_server("memory:nowhere")


async def test_what_an_observer_of_the_state_changes_at_the_source_arrives() -> None:
    async with kitchen() as (node, source), connect(URL, "oven", Oven) as oven:
        states, changes = states_of(oven), Heard()
        Oven.current.on_change(oven, changes)
        beeps = Heard()
        oven.beeped.connect(beeps)

        def warm(state: ReplicaState) -> None:
            if state is VALID:
                source.current = 99.0
                source.beeped.emit(3, [])

        link_of(oven).state_changed.connect(warm)
        node.withdraw("oven")
        await states.wait(1)
        node.publish(source, "oven")
        await beeps.wait(1)
        assert oven.current == 99.0
