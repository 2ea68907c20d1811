from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from everywire import Code, ModelError, Policy, Role, current_call
from everywire.runtime.gate import fault_of, run_to_end
from everywire.runtime.limits import Limits
from tests.runtime.fakes import ADMIN, Ending, FakeLink, Pump, call, door


async def test_a_chunk_of_calls_is_answered_in_order_and_in_one_write() -> None:
    link, pump = FakeLink(), Pump()
    link.receive([call(pump, "double", n, token=n) for n in range(3)])
    assert link.writer.written == ["0=0;1=2;2=4;"]
    assert pump.heard == [0, 1, 2]


async def test_a_negative_token_wants_no_reply() -> None:
    link, pump = FakeLink(), Pump()
    link.receive([call(pump, "double", 4, token=-1)])
    link.receive([call(pump, "wait", 5, token=-1)])
    pump.go.set()
    while len(link.tasks):
        await asyncio.sleep(0)
    assert pump.heard == [4, 5]
    assert link.writer.written == []


async def test_what_is_no_call_reaches_the_link_in_its_place() -> None:
    link, pump = FakeLink(), Pump()
    link.receive(["first", call(pump, "double", 1), "last"])
    assert link.others == ["first", "last"]
    assert link.answers == "1=2;"


async def test_the_caller_is_authorized_before_its_arguments_are_looked_at() -> None:
    link, pump = FakeLink(), Pump()
    policy = Policy(role=lambda _: Role.VIEWER)
    link.receive([call(pump, "double", "no number", policy=policy)])
    assert [fault.code for fault in link.faults] == [Code.PERMISSION_DENIED]
    assert not link.faults[0].may_have_run


async def test_limits_come_before_the_question_who_calls() -> None:
    asked: list[str] = []

    def role(caller: Any) -> Role:
        asked.append(caller.identity)
        return Role.ADMIN

    link, pump = FakeLink(Limits(pending_calls=1)), Pump()
    link.receive([call(pump, "wait", 1), call(pump, "double", 2, policy=Policy(role=role))])
    assert asked == []
    pump.go.set()
    await link.until_answered("1=1;1=4;")
    assert asked


async def test_arguments_are_checked_before_the_slot_runs() -> None:
    link, pump = FakeLink(), Pump()
    link.receive([call(pump, "double", "x"), call(pump, "double"), call(pump, "double", 1, 2)])
    assert [fault.code for fault in link.faults] == [Code.INVALID_ARGUMENT] * 3
    assert [fault.may_have_run for fault in link.faults] == [False] * 3
    assert "double(value)" in link.faults[0].message
    assert pump.heard == []


async def test_an_argument_out_of_range_is_told_apart_from_one_of_the_wrong_type() -> None:
    link, pump = FakeLink(), Pump()
    link.receive([call(pump, "double", 2**70)])
    assert [fault.code for fault in link.faults] == [Code.OUT_OF_RANGE]


async def test_a_result_that_does_not_fit_is_a_fault_and_the_calls_behind_it_go_on() -> None:
    def reply(token: int, value: Any) -> str:
        raise ModelError("the result is secret")

    link, pump = FakeLink(), Pump()
    odd = door(pump, "double", reply=reply)
    event = call(pump, "double", 3, token=2)
    link.receive([type(event)(odd, (1,), 1), event])
    assert link.answers.endswith("2=6;")
    assert link.faults[0].code is Code.UNKNOWN
    assert "secret" not in link.faults[0].message


@pytest.mark.parametrize("name", ["fail", "fail_later", "set_wrongly"])
async def test_the_text_of_an_exception_stays_in_the_hosts_log(name: str, caplog: pytest.LogCaptureFixture) -> None:
    link, pump = FakeLink(), Pump()
    link.receive([call(pump, name)])
    await link.until_answered("1!UNKNOWN;")
    fault = link.faults[0]
    assert "swordfish" not in fault.message
    assert "99" not in fault.message.partition("(id ")[0]
    assert fault.may_have_run
    token = fault.message.partition("(id ")[2][:8]
    assert f"[{token}]" in caplog.text
    assert caplog.records[-1].exc_info is not None


async def test_a_fault_that_a_slot_raises_reaches_the_caller_as_it_is() -> None:
    link, pump = FakeLink(), Pump()
    link.receive([call(pump, "refuse")])
    assert (link.faults[0].code, link.faults[0].message) == (Code.ABORTED, "not now")


async def test_a_slot_that_raises_cancelled_answers_so_and_loses_no_call_behind_it() -> None:
    link, pump = FakeLink(), Pump()
    link.receive([call(pump, "give_up"), call(pump, "double", 2, token=2)])
    assert link.answers == "1!CANCELLED;2=4;"


async def test_a_slot_that_ends_the_program_is_answered_and_the_calls_behind_it_come_when_it_goes_on() -> None:
    link, pump = FakeLink(), Pump()
    with pytest.raises(Ending):
        link.receive([call(pump, "end"), call(pump, "double", 2, token=2)])
    assert link.answers == "1!UNKNOWN;"
    assert not link.reading
    link.receive([call(pump, "double", 3, token=3)])
    await link.until_answered("1!UNKNOWN;2=4;3=6;")
    assert link.reading


async def test_a_task_that_ends_the_program_still_answers_its_caller() -> None:
    link, pump = FakeLink(), Pump()
    work = door(pump, "end_later")
    driver = link._run(work, 1, pump.end_later(), lambda _: None)
    driver.send(None)
    with pytest.raises(Ending):
        driver.send(None)
    assert [fault.code for fault in link.faults] == [Code.UNKNOWN]


async def test_current_call_says_who_called_what_in_place_and_in_a_task() -> None:
    link, pump = FakeLink(), Pump()
    link.receive([call(pump, "who"), call(pump, "who_later", token=2)])
    await link.until_answered("1=uid:0 pump.who;2=uid:0 pump.who_later;")


async def test_current_call_outside_of_a_call_is_a_lookup_error() -> None:
    with pytest.raises(LookupError, match="remote caller"):
        current_call()
    link, pump = FakeLink(), Pump()
    link.receive([call(pump, "double", 1)])
    with pytest.raises(LookupError):
        current_call()


async def test_a_task_that_outlives_the_call_is_nobodys_call() -> None:
    pump, link = Pump(), FakeLink()
    found: list[object] = []

    async def background() -> None:
        await asyncio.sleep(0)
        try:
            found.append(current_call())
        except LookupError as error:
            found.append(error)

    tasks: list[asyncio.Task[None]] = []
    pump.dripped.connect(lambda _: tasks.append(asyncio.create_task(background())))
    link.receive([call(pump, "drip", 1), call(pump, "who", token=2)])
    await tasks[0]
    assert isinstance(found[0], LookupError)


async def test_a_permission_is_remembered_and_a_refusal_never() -> None:
    answers = [Role.VIEWER, Role.VIEWER, Role.ADMIN, Role.ADMIN]
    policy = Policy(role=lambda _: answers.pop(0))
    link, pump = FakeLink(), Pump()
    used = call(pump, "double", 1, policy=policy)
    link.receive([used])
    link.receive([used])
    link.receive([used])
    assert link.answers == "1!PERMISSION_DENIED;1=2;1=2;"
    assert answers == []


@pytest.mark.parametrize("by", ["require", "forget"])
async def test_a_changed_policy_holds_at_the_next_call_even_of_the_same_chunk(by: str) -> None:
    roles = {"now": Role.OPERATOR}
    policy = Policy(role=lambda _: roles["now"])
    link, pump = FakeLink(), Pump()

    def revoke(_: int) -> None:
        if by == "require":
            policy.require(Role.ADMIN, Pump.double)
        else:
            roles["now"] = Role.VIEWER
            policy.forget()

    pump.dripped.connect(revoke)
    used = call(pump, "double", 1, policy=policy)
    link.receive([used, call(pump, "drip", 1, token=2), used])
    assert link.answers == "1=2;2=None;1!PERMISSION_DENIED;"


async def test_a_policy_that_changes_while_it_is_asked_is_asked_again() -> None:
    policy = Policy()
    asked: list[int] = []

    def role(_: Any) -> Role:
        asked.append(policy.revision)
        if len(asked) == 1:
            policy.forget()  # as another thread may
        return Role.ADMIN

    policy.role = role
    link, pump = FakeLink(), Pump()
    used = call(pump, "double", 1, policy=policy)
    link.receive([used])
    link.receive([used])
    link.receive([used])
    assert asked == [0, 1, 1, 1]


async def test_strangers_and_hiding_policies_make_a_member_look_absent() -> None:
    link, pump = FakeLink(), Pump()
    hiding = Policy(role=lambda _: Role.VIEWER, hide=True)
    stranger = Policy(role=lambda _: Role.STRANGER)
    link.receive([call(pump, "double", 1, policy=hiding), call(pump, "double", 1, policy=stranger)])
    assert [fault.code for fault in link.faults] == [Code.NOT_FOUND] * 2
    assert not any("double" in fault.message or "pump" in fault.message for fault in link.faults)


async def test_a_refusal_leaves_one_line_of_audit_without_the_arguments(caplog: pytest.LogCaptureFixture) -> None:
    link, pump = FakeLink(), Pump()
    link.receive([call(pump, "double", 4711, policy=Policy(role=lambda _: Role.VIEWER))])
    (record,) = caplog.records
    line = json.loads(record.getMessage())
    del line["time"]
    assert record.name == "everywire.audit"
    expected = {"denied": "call", "caller": "uid:0", "wire": "fake", "address": "", "object": "pump"}
    assert line == {**expected, "member": "double", "seen": True}


async def test_forgetting_permissions_asks_again() -> None:
    asked: list[object] = []
    policy = Policy(role=lambda caller: asked.append(caller) or Role.ADMIN)
    link, pump = FakeLink(), Pump()
    used = call(pump, "double", 1, policy=policy)
    link.receive([used])
    before = len(asked)
    link.receive([used])
    assert len(asked) == before
    link.recheck()
    link.receive([used])
    assert len(asked) == 2 * before
    assert asked[0] is ADMIN


def test_a_driver_that_suspends_is_a_mistake_of_the_program() -> None:
    async def suspends() -> None:
        await asyncio.sleep(0)

    with pytest.raises(RuntimeError, match="cannot suspend"):
        run_to_end(suspends())


def test_a_fault_of_a_cancelled_call_names_the_member() -> None:
    async def main() -> None:
        assert "double was cancelled" in fault_of(asyncio.CancelledError(), door(Pump(), "double")).message

    asyncio.run(main())
