"""Connections that others mean harm, and callers that fail: one question, one caller, never the connection."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from everywire import Code, Fault, Limits
from everywire.dbus.codec import encode_message
from everywire.dbus.engine import MOST_DESCRIPTORS, Authenticated, Broken, Engine, Overlong
from everywire.dbus.session import BUS, BUS_PATH, Connection, Kind, Match, Message
from everywire.runtime.limits import KIB
from tests.dbus import lab
from tests.harness import LoopReports

GET_ID = Message(kind=Kind.CALL, destination=BUS, path=BUS_PATH, interface=BUS, member="GetId")


async def test_nobody_answers_in_the_place_of_the_bus(bus: str) -> None:
    """A bus configured as that of a session lets answers through that nobody asked for, and serials can be guessed."""
    async with await Connection.open(bus, limits=Limits(frame=64 * KIB)) as ours, await Connection.open(bus) as liar:
        heard = list[Any]()
        for serial, text in ((1000, "forged"), (1001, "forged" * 20_000)):
            ours.expect(serial, heard.append, BUS)
            liar.send(
                Message(
                    kind=Kind.RETURN, reply_serial=serial, destination=ours.unique_name, signature="s", body=(text,)
                )
            )
        await liar.ask_bus("GetId", "")
        await ours.ask_bus("GetId", "")
        assert (heard, ours.refusals["spoofed"]) == ([], 2)
        for serial in (1000, 1001):
            ours.forget(serial)


async def test_who_fails_at_its_answer_costs_the_others_nothing(bus: str, loop_reports: LoopReports) -> None:
    def fail(_: object) -> None:
        raise ValueError("mine alone")

    async with await Connection.open(bus) as ours:
        ours.request(GET_ID, fail)
        assert len(await ours.ask_bus("GetId", "")) == 1
        assert not ours.closed.done()
    (report,) = loop_reports
    assert str(report["exception"]) == "mine alone"
    loop_reports.clear()


async def test_streams_that_were_closed_are_forgotten(bus: str) -> None:
    async with await Connection.open(bus) as ours:
        for _ in range(10):
            stream = await ours.messages(Match(member="Nothing"))
            await stream.aclose()
        del stream
        assert len(ours._streams) == 0


async def test_a_rule_that_the_bus_refuses_is_refused_to_all_who_want_it() -> None:
    with lab.running(limits={"max_match_rules_per_connection": 2}) as own:
        async with await Connection.open(own.address) as ours:
            kept = [await ours.match(Match(member=member), print) for member in ("A", "B")]
            wanted = [ours.match(Match(member="C"), print) for _ in range(3)]
            told = await asyncio.gather(*wanted, return_exceptions=True)
            assert [fault.code for fault in told if isinstance(fault, Fault)] == [Code.RESOURCE_EXHAUSTED] * 3
            kept[0].close()
            again = await asyncio.gather(*(ours.match(Match(member="B"), print) for _ in range(3)))
            for subscription in (*again, kept[1]):
                subscription.close()
            for member in ("D", "E"):
                await ours.match(Match(member=member), print)


async def test_a_rule_whose_taker_gave_up_is_taken_back() -> None:
    with lab.running(limits={"max_match_rules_per_connection": 1}) as own:
        async with await Connection.open(own.address) as ours:
            with own.frozen():
                wanting = asyncio.ensure_future(ours.match(Match(member="A"), print))
                await asyncio.sleep(0)
                wanting.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await wanting
            await ours.match(Match(member="B"), print)


# ----------------------------------------------------------------------------------------------------------- the engine
def agreed(**settings: Any) -> Engine:
    """A client that has authenticated, and may pass descriptors."""
    engine = Engine("client", max_frame=1000, uid=0, **settings)
    engine.receive_data(b"OK 0123\r\n")
    (done,) = engine.receive_data(b"AGREE_UNIX_FD\r\n")
    assert isinstance(done, Authenticated)
    return engine


def test_descriptors_come_only_where_both_ends_agreed_to_pass_them() -> None:
    for said in (b"", b"OK 0123\r\n", b"OK 0123\r\nERROR\r\n"):
        engine = Engine("client", max_frame=1000, uid=0)
        engine.receive_data(said)
        engine.receive_descriptors(["any"])
        assert isinstance(engine.receive_data(b"l")[-1], Broken)


def test_so_many_descriptors_wait_as_one_message_can_carry() -> None:
    begun = encode_message(GET_ID, 1)[:40]
    engine = agreed()
    engine.receive_descriptors(range(MOST_DESCRIPTORS))
    assert engine.receive_data(begun) == []
    engine.receive_descriptors(["one more"])
    (broken,) = engine.receive_data(b"")
    assert isinstance(broken, Broken)


def test_a_header_that_is_too_large_breaks_a_peers_link_and_passes_on_a_bus() -> None:
    large = encode_message(Message(kind=Kind.SIGNAL, path="/" + "a" * 2000, interface="a.b", member="C"), 1)
    good = encode_message(GET_ID, 2)
    for size in (1, 20, 5000):
        engine = agreed(bus=True)
        engine.receive_descriptors(["its own"])
        stream = large + good
        events = [event for at in range(0, len(stream), size) for event in engine.receive_data(stream[at : at + size])]
        overlong, message = events
        assert isinstance(overlong, Overlong)
        assert (message.member, message.fds) == ("GetId", ())
    (broken,) = agreed().receive_data(large)
    assert isinstance(broken, Broken)


def test_descriptors_that_are_lacking_cost_their_message_on_a_bus() -> None:
    wanting = encode_message(Message(kind=Kind.CALL, path="/", member="A", fds=("one", "two")), 1)
    for bus in (True, False):
        engine = agreed(bus=bus)
        engine.receive_descriptors(["one"])
        first, *rest = engine.receive_data(wanting + encode_message(GET_ID, 2))
        assert isinstance(first, Broken) is not bus
        assert [event.member for event in rest] == ["GetId"] * bus
