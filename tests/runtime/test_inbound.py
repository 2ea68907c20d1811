from __future__ import annotations

import asyncio

import pytest

from everywire import Code, Fault, Limits, Role
from everywire.runtime import inbound
from everywire.runtime.inbound import InboundLink
from everywire.runtime.limits import SlowPeer
from tests.runtime.fakes import ADMIN, REMOTE, FakeLink, Pump, call, door


@pytest.fixture(autouse=True)
def _fast_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbound, "SWEEP", 0.002)


async def test_a_slot_that_waits_runs_beside_the_calls_behind_it() -> None:
    link, pump = FakeLink(), Pump()
    link.receive([call(pump, "wait", 1), call(pump, "double", 2, token=2)])
    assert link.answers == "2=4;"
    pump.go.set()
    await link.until_answered("2=4;1=1;")


async def test_calls_of_one_link_start_in_order_of_arrival() -> None:
    link, pump = FakeLink(), Pump()
    pump.go.set()
    link.receive([call(pump, "wait", n, token=n) for n in range(5)])
    await link.until_answered("0=0;1=1;2=2;3=3;4=4;")
    assert pump.heard == [0, 1, 2, 3, 4]


async def test_at_the_limit_of_running_calls_the_link_is_not_read_and_goes_on_when_one_ends() -> None:
    link, pump = FakeLink(Limits(pending_calls=2)), Pump()
    chunk = [call(pump, "wait", n, token=n) for n in range(2)]
    link.receive(chunk + [call(pump, "double", n, token=n) for n in range(2, 4)])
    await asyncio.sleep(0)
    assert pump.heard == [0, 1]
    assert not link.reading
    link.receive([call(pump, "double", 4, token=4)])
    assert pump.heard == [0, 1]
    pump.go.set()
    await link.until_answered("0=0;1=1;2=4;3=6;4=8;")
    assert link.reading
    assert link.faults == []


async def test_streams_do_not_count_as_running_calls_for_their_readers_word_must_arrive() -> None:
    link, pump = FakeLink(Limits(pending_calls=1)), Pump()
    for number in range(3):
        link.start_task(door(pump, "drops"), number, pump.go.wait(), lambda _: None)
    link.receive([call(pump, "double", 1)])
    assert link.answers == "1=2;"
    pump.go.set()
    while len(link.tasks):
        await asyncio.sleep(0)


async def test_a_remote_peer_is_slowed_to_its_rate_by_not_reading_and_loses_no_call() -> None:
    link, pump = FakeLink(Limits(calls_per_second=0.001, calls_burst=2), caller=REMOTE), Pump()
    link.receive([call(pump, "double", n, token=n) for n in range(5)])
    assert link.answers == "0=0;1=2;"
    assert not link.reading
    for answers, reading in (("0=0;1=2;2=4;3=6;", False), ("0=0;1=2;2=4;3=6;4=8;", True)):
        link._refilled -= 1_000_000
        link._rate_allows()
        assert (link.answers, link.reading) == (answers, reading)
    assert link.refusals["calls_per_second"] == 2
    assert link.faults == []
    link.close()


async def test_a_slowed_peer_goes_on_by_itself() -> None:
    link, pump = FakeLink(Limits(calls_per_second=500, calls_burst=1), caller=REMOTE), Pump()
    link.receive([call(pump, "double", n, token=n) for n in range(5)])
    await link.until_answered("0=0;1=2;2=4;3=6;4=8;")
    assert link.reading


async def test_credit_that_returns_within_a_chunk_loses_no_call() -> None:
    count = 3 * inbound.BATCH
    link, pump = FakeLink(Limits(calls_per_second=1.0, calls_burst=count), caller=REMOTE), Pump()
    link.receive([call(pump, "double", n, token=n) for n in range(count)])
    assert pump.heard == list(range(count))


async def test_an_idle_peer_earns_no_more_than_its_burst() -> None:
    link, pump = FakeLink(Limits(calls_per_second=0.001, calls_burst=3), caller=REMOTE), Pump()
    link._refilled -= 1_000_000
    link.receive([call(pump, "double", n, token=n) for n in range(9)])
    assert len(pump.heard) == 3
    link.close()


async def test_an_idle_peer_cannot_save_what_it_was_given_before() -> None:
    burst = 4 * inbound.BATCH
    link, pump = FakeLink(Limits(calls_per_second=0.001, calls_burst=burst), caller=REMOTE), Pump()
    link.receive([call(pump, "double", 0)])
    link._refilled -= 1_000_000
    link.receive([call(pump, "double", n) for n in range(3 * burst)])
    assert burst <= len(pump.heard) <= burst + inbound.BATCH
    link.close()


async def test_credit_survives_a_pause_of_the_link() -> None:
    link, pump = FakeLink(Limits(calls_per_second=0.001, calls_burst=4), caller=REMOTE), Pump()
    link.receive([call(pump, "double", 0)])
    link.congested()
    link.relieved()
    link.receive([call(pump, "double", n) for n in range(1, 9)])
    assert len(pump.heard) == 4
    link.close()


async def test_while_the_rate_is_exceeded_one_timer_waits_however_many_calls_end() -> None:
    link, pump = FakeLink(Limits(calls_per_second=0.001, calls_burst=4), caller=REMOTE), Pump()
    link.receive([call(pump, "wait", n, token=n) for n in range(6)])
    pump.go.set()
    await link.until_answered("0=0;1=1;2=2;3=3;")
    await asyncio.sleep(0)
    assert link.refusals["calls_per_second"] == 1
    link.close()


async def test_a_link_that_may_be_served_again_is_served_at_once() -> None:
    link, pump = FakeLink(), Pump()
    link._hold_credit()
    link.receive([call(pump, "double", n, token=n) for n in range(2)])
    assert link.answers == "0=0;1=2;"


async def test_links_on_this_machine_have_no_rate_limit() -> None:
    link, pump = FakeLink(Limits(calls_per_second=0.001, calls_burst=1), caller=ADMIN), Pump()
    link.receive([call(pump, "double", n) for n in range(200)])
    assert len(pump.heard) == 200


async def test_a_call_past_its_deadline_is_cancelled_and_answered_so() -> None:
    link, pump = FakeLink(), Pump()
    link.receive([call(pump, "hurry"), call(pump, "wait", 1, token=2)])
    await link.until_answered("1!DEADLINE_EXCEEDED;")
    assert pump.heard == [1, "cancelled"]
    assert "hurry ran longer than 0.01 s" in link.faults[0].message
    pump.go.set()
    await link.until_answered("1!DEADLINE_EXCEEDED;2=1;")


async def test_a_late_slot_may_take_its_time_to_clean_up() -> None:
    link, pump = FakeLink(), Pump()
    link.receive([call(pump, "stubborn")])
    while pump.heard != ["asked"]:
        await asyncio.sleep(0)
    sweeps = link._loop.time() + 5 * inbound.SWEEP
    while link._loop.time() < sweeps:
        await asyncio.sleep(0)
    assert pump.heard == ["asked"]
    pump.go.set()
    await link.until_answered("1!DEADLINE_EXCEEDED;")
    assert pump.heard == ["asked", "cleaned"]


async def test_without_running_calls_no_timer_looks_for_late_ones() -> None:
    link, pump = FakeLink(), Pump()
    pump.go.set()
    link.receive([call(pump, "wait", 1)])
    await link.until_answered("1=1;")
    while link._sweep is not None:
        await asyncio.sleep(0)
    assert not link._running


async def test_the_caller_may_cancel_its_call_even_before_its_first_step() -> None:
    link, pump = FakeLink(), Pump()
    link.receive([call(pump, "wait", 1, token=5), call(pump, "wait", 2, token=6)])
    link.cancel("pump", 5)
    link.cancel("pump", 77)
    link.cancel("other", 6)
    await link.until_answered("5!CANCELLED;")
    pump.go.set()
    await link.until_answered("5!CANCELLED;6=2;")
    assert not link._running


async def test_when_the_link_ends_running_slots_finish_unanswered_and_streams_are_cancelled() -> None:
    link, pump = FakeLink(), Pump()
    ended: list[str] = []

    async def stream() -> None:
        try:
            await pump.go.wait()
        except asyncio.CancelledError:
            ended.append("stream")
            raise

    link.receive([call(pump, "wait", 1), call(pump, "fail_later", token=2)])
    link.start_task(door(pump, "drops"), 3, stream(), lambda _: None)
    task = link.task_of(link._running[next(iter(link._running))][0], 1)
    assert task is not None
    assert link.task_of(door(pump, "wait"), 9) is None
    link.close()
    while not ended:
        await asyncio.sleep(0)
    pump.go.set()
    assert await asyncio.wait_for(asyncio.wait([task]), 5)
    while len(link.tasks):
        await asyncio.sleep(0)
    assert pump.heard == [1]
    assert link.answers == ""


async def test_calls_that_wait_when_the_link_ends_never_start() -> None:
    link, pump = FakeLink(Limits(pending_calls=1)), Pump()
    link.receive([call(pump, "wait", 1), call(pump, "double", 2)])
    link.close()
    assert link._backlog == [], "their memory is free at once"
    pump.go.set()
    while len(link.tasks):
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert pump.heard == [1]


async def test_a_peer_that_does_not_read_is_not_served_until_it_reads() -> None:
    link, pump = FakeLink(), Pump()
    link.congested()
    link.receive([call(pump, "double", 1)])
    assert pump.heard == []
    assert not link.reading
    link.relieved()
    assert link.answers == "1=2;"
    assert link.reading


async def test_congestion_in_the_middle_of_a_chunk_stops_after_the_running_call() -> None:
    link, pump = FakeLink(), Pump()
    pump.dripped.connect(lambda number: link.outbox.put_signal(f"s{number};"))
    link.writer.room = 1
    link.receive([call(pump, "drip", 300), call(pump, "double", 1, token=2)])
    assert pump.heard == []
    signals = "".join(f"s{n};" for n in range(300))
    assert len(link.writer.written) == 1
    link.relieved()
    await link.until_answered(signals + "1=None;2=2;")


async def test_what_waits_may_congest_the_link_again() -> None:
    link, pump = FakeLink(), Pump()
    link.congested()
    link.outbox.put("waiting;")
    link.receive([call(pump, "double", 1)])
    link.writer.room = 1
    link.relieved()
    assert link.outbox.congested
    assert pump.heard == []
    link.relieved()
    assert link.answers == "waiting;1=2;"


async def test_a_peer_that_stays_slow_past_the_write_deadline_is_cut_when_the_limits_say_so() -> None:
    link = FakeLink(Limits(write_deadline=0.005, slow_peer=SlowPeer.DISCONNECT))
    link.congested()
    link.outbox.put_signal("s")
    await link.writer.aborted.wait()
    assert link.refusals["write_deadline"] == 1
    assert link.outbox.waiting_bytes == 0


async def test_a_peer_that_reads_in_time_is_not_cut() -> None:
    link = FakeLink(Limits(write_deadline=3600, slow_peer=SlowPeer.DISCONNECT))
    link.congested()
    first = link._cut
    link.congested()
    assert link._cut is first
    assert first is not None
    link.relieved()
    assert link._cut is None
    assert first.cancelled()
    link.congested()
    second = link._cut
    assert second is not None
    link.close()
    assert second.cancelled()


async def test_with_drop_oldest_a_slow_peer_is_kept_for_ever() -> None:
    link = FakeLink(Limits(write_deadline=0.0))
    link.congested()
    assert link._cut is None
    await asyncio.sleep(0)
    assert not link.writer.aborted.is_set()


async def test_a_link_without_a_wire_says_nothing() -> None:
    link, pump = FakeLink(), Pump()
    with pytest.raises(NotImplementedError):
        InboundLink.refused(link, door(pump, "double"), 1, Fault(Code.ABORTED))
    with pytest.raises(NotImplementedError):
        InboundLink.other(link, "event")


async def test_what_a_remote_peer_asks_beside_calls_counts_for_its_rate() -> None:
    link = FakeLink(Limits(calls_per_second=200.0, calls_burst=3), REMOTE)
    link.receive(list(range(5)))
    assert link.others == [0, 1, 2]
    assert not link.reading
    while len(link.others) < 5:
        await asyncio.sleep(0)
    assert link.others == [0, 1, 2, 3, 4]
    link.close()


async def test_at_the_limit_of_running_calls_what_is_no_call_still_comes_through() -> None:
    for caller in (ADMIN, REMOTE):
        link, pump = FakeLink(Limits(pending_calls=1), caller), Pump()
        running = call(pump, "wait", 1)
        running.door.policy.role = lambda _: Role.ADMIN
        link.receive([running, "cancel", call(pump, "double", 2, token=2), "behind"])
        assert link.others == ["cancel"]
        pump.go.set()
        await link.until_answered("1=1;2=4;")
        assert link.others == ["cancel", "behind"]
        link.close()


async def test_what_is_no_call_waits_while_the_peer_does_not_read() -> None:
    link = FakeLink()
    link.congested()
    link.receive(["again", "and again"])
    assert link.others == []
    link.relieved()
    assert link.others == ["again", "and again"]
