"""What goes wrong on real buses: silence, floods, programs and daemons that die in a call. Named, and in time."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from everywire.dbus.session import BUS, Answer, Connection, Kind, Match, Message, MessageStream, UnixFd, serve_peers
from everywire.errors import Code, Fault, LinkError, ModelError
from tests.dbus import lab, tools
from tests.dbus.programs import INTERFACE, PATH, SERVICE, peer

HOLE, ECHO, SPAMMED = "org.acme.Hole", "org.acme.Echo", "org.acme.Spammed"


def memory() -> int:
    """Bytes of RAM that this process occupies."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def fails(call: object) -> Fault:
    with pytest.raises(Fault) as failed:
        await call  # type: ignore[misc]
    return failed.value


async def ended(stream: MessageStream) -> Exception | None:
    """Read to the end of a stream; return why it ended."""
    try:
        async for _ in stream:
            pass
    except LinkError as error:
        return error
    return None


# -------------------------------------------------------------------------------------------------------- silence
async def test_one_who_waits_and_fails_does_not_keep_the_others_waiting(
    own_bus: lab.Bus, loop_reports: list[dict[str, object]]
) -> None:
    ours, told = await Connection.open(own_bus.address), list[Message | Exception]()

    def fail(answer: Message | Exception) -> None:
        raise ValueError("what was asked is forgotten")

    async with tools.black_hole(own_bus.address, HOLE):
        for on_reply in (fail, told.append, fail, told.append):
            call = Message(kind=Kind.CALL, destination=HOLE, path="/", interface=HOLE, member="Anything")
            ours.request(call, on_reply)
        await ours.ask_bus("GetId", "")
        own_bus.kill()
        await ours.closed
    assert [type(answer) for answer in told] == [Fault, Fault]
    assert [str(report["exception"]) for report in loop_reports] == ["what was asked is forgotten"] * 2
    loop_reports.clear()
    await ours.close()


async def test_a_service_that_never_answers_is_named_when_the_time_is_over(each_bus: str) -> None:
    async with await Connection.open(each_bus) as ours, tools.black_hole(each_bus, HOLE):
        fault = await fails(ours.call(HOLE, "/", HOLE, "Anything", timeout=0.1))
        assert fault.code is Code.DEADLINE_EXCEEDED
        assert HOLE in fault.message
        assert fault.may_have_run is not False


async def test_a_bus_that_hangs_up_on_us_and_a_place_that_is_no_bus_are_told(folder: Path) -> None:
    """A session's bus does not say a word to other users; a peer may even give a name."""
    address = f"unix:path={folder}/none"

    def hang_up(peer: Connection) -> None:
        peer.handle("/", lambda _: peer.abort(), subtree=True)

    def give_name(peer: Connection) -> None:
        peer.handle("/", lambda _: Answer("s", ":1.1"), subtree=True)

    for way, words in ((hang_up, "hung up after the login: buses do so with"), (give_name, "is no message bus: ")):
        async with await serve_peers(address, way):
            with pytest.raises(LinkError, match=f"none {words}"):
                await Connection.open(address)


async def test_a_late_answer_disturbs_nobody(each_bus: str) -> None:
    async with await Connection.open(each_bus) as ours, tools.echo(each_bus, ECHO, "--sleep-ms=300"):
        fault = await fails(ours.call(ECHO, "/", ECHO, "Anything", timeout=0.05))
        assert fault.code is Code.DEADLINE_EXCEEDED
        assert await ours.call(ECHO, "/", ECHO, "Anything") == ()


async def test_the_silence_of_one_service_does_not_hold_up_another(each_bus: str) -> None:
    async with (
        await Connection.open(each_bus) as ours,
        tools.black_hole(each_bus, HOLE, "--no-read"),
        tools.echo(each_bus, ECHO),
    ):
        async with asyncio.TaskGroup() as group:
            silent = [group.create_task(fails(ours.call(HOLE, "/", HOLE, "A", timeout=1))) for _ in range(20)]
            for _ in range(200):
                assert await ours.call(ECHO, "/", ECHO, "Anything") == ()
            assert not any(task.done() for task in silent)
        assert {task.result().code for task in silent} == {Code.DEADLINE_EXCEEDED}


async def test_a_call_to_nobody_says_so_at_once(each_bus: str) -> None:
    async with await Connection.open(each_bus) as ours:
        fault = await fails(ours.call("org.acme.Nobody", "/", "org.acme.Nobody", "Anything"))
        assert (fault.code, fault.may_have_run) == (Code.UNAVAILABLE, False)
        fault = await fails(ours.call(":1.999999", "/", "org.acme.Nobody", "Anything"))
        assert fault.code is Code.UNAVAILABLE


# ---------------------------------------------------------------------------------------------- deaths in a call
async def test_a_service_that_dies_in_a_call_is_told_at_once(each_bus: str) -> None:
    async with await Connection.open(each_bus) as ours, peer("jeepney", "serve", each_bus) as serving:
        reading, writing = os.pipe()
        try:
            call = Message(
                kind=Kind.CALL, destination=SERVICE, path=PATH, interface=INTERFACE, member="ReadAll",
                signature="h", body=(0,), fds=(UnixFd(reading),),
            )  # fmt: skip
            async with asyncio.TaskGroup() as group:
                asked = group.create_task(fails(ours.ask(call)))
                await serving.program.hear("called", member="ReadAll")  # it waits for the end of our pipe
                await serving.program.kill()
            assert asked.result().code in (Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED)
            assert asked.result().may_have_run is not False
        finally:
            os.close(reading)
            os.close(writing)


async def test_a_daemon_that_is_killed_in_a_call_ends_it_and_everything_that_waits(own_bus: lab.Bus) -> None:
    async with tools.black_hole(own_bus.address, HOLE):
        ours = await Connection.open(own_bus.address)
        stream = await ours.messages(Match(interface=INTERFACE))
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(fails(ours.call(HOLE, "/", HOLE, "Anything"))) for _ in range(10)]
            waiting = group.create_task(ended(stream))
            await ours.ask_bus("GetId", "")
            own_bus.kill()
            reason = await asyncio.shield(ours.closed)
            assert isinstance(reason, LinkError)
            assert isinstance(await waiting, LinkError)
        assert {task.result().code for task in asked} == {Code.UNAVAILABLE}
        fault = await fails(ours.call(BUS, "/", BUS, "GetId"))
        assert (fault.code, fault.may_have_run) == (Code.UNAVAILABLE, False)
        await ours.close()
        await own_bus.resurrect()
        async with await Connection.open(own_bus.address) as again:
            assert await again.ask_bus("GetId", "")


async def test_a_broker_that_is_killed_in_a_call_ends_it(own_broker: lab.Broker) -> None:
    async with tools.black_hole(own_broker.address, HOLE):
        ours = await Connection.open(own_broker.address)
        async with asyncio.TaskGroup() as group:
            asked = group.create_task(fails(ours.call(HOLE, "/", HOLE, "Anything")))
            await ours.ask_bus("GetId", "")
            own_broker.kill()
        assert asked.result().code is Code.UNAVAILABLE
        await ours.close()


async def test_a_frozen_daemon_is_a_matter_of_the_deadline_and_then_goes_on(own_bus: lab.Bus) -> None:
    async with await Connection.open(own_bus.address) as ours:
        with own_bus.frozen():
            fault = await fails(ours.call(BUS, "/", BUS, "GetId", timeout=0.1))
            assert fault.code is Code.DEADLINE_EXCEEDED
        assert await ours.ask_bus("GetId", "")


async def test_a_daemon_that_ends_in_order_is_a_lost_link_too(own_bus: lab.Bus) -> None:
    ours = await Connection.open(own_bus.address)
    own_bus.stop()
    assert "closed" in str(await asyncio.shield(ours.closed))
    await ours.close()


# -------------------------------------------------------------------------------------------------------- floods
async def test_a_flood_of_calls_is_answered_and_others_lose_nothing(
    each_bus: str, soak: Callable[[int, int], int]
) -> None:
    count = soak(20_000, 500_000)
    async with await Connection.open(each_bus) as ours, await Connection.open(each_bus) as other:
        came = 0

        def take(call: Message) -> Answer:
            nonlocal came
            came += 1
            return Answer(call.signature, *call.body)

        ours.handle("/", take, subtree=True)
        await ours.request_name(SPAMMED)
        before = memory()
        async with asyncio.TaskGroup() as group:
            flood = group.create_task(tools.spam(each_bus, SPAMMED, f"--count={count}", "--flood", limit=600))
            answered = 0
            while not flood.done():
                assert await other.call(SPAMMED, "/", "org.acme.A", "Add", "i", answered) == (answered,)
                answered += 1
        assert flood.result().code == 0, flood.result().err
        assert came == count + answered
        assert answered > 10
        assert memory() - before < 64 << 20


async def test_a_flood_without_replies_piles_up_in_the_bus_and_not_here(own_bus: lab.Bus) -> None:
    """30 MB of calls come as fast as they can; what we have not read yet is the kernel's and the bus's to keep."""
    count, payload = 30_000, b"x" * 1000
    async with await Connection.open(own_bus.address) as ours:
        await ours.request_name(SPAMMED)
        done = asyncio.Event()
        came = 0

        def take(call: Message) -> None:
            nonlocal came
            came += 1
            if came == count:
                done.set()

        ours.handle("/", take, subtree=True)
        before = memory()
        options = (f"--count={count}", "--no-reply", "--stdin")
        flooded = asyncio.create_task(tools.spam(own_bus.address, SPAMMED, *options, stdin=payload))
        try:
            await done.wait()
        finally:
            assert (await flooded).code == 0
        assert memory() - before < 32 << 20


async def test_a_reader_that_is_slow_misses_signals_and_is_told_how_many(each_bus: str) -> None:
    async with await Connection.open(each_bus) as ours, await Connection.open(each_bus) as sender:
        slow = await ours.messages(Match(interface=INTERFACE, member="Tick"))
        ended = await ours.messages(Match(interface=INTERFACE, member="End"))
        for number in range(5000):
            sender.emit(PATH, INTERFACE, "Tick", "u", number)
        sender.emit(PATH, INTERFACE, "End")
        await anext(ended)
        first = (await anext(slow)).body[0]
        assert slow.gap == first == 5000 - 1024
        rest = [(await anext(slow)).body[0] for _ in range(1023)]
        assert rest == list(range(first + 1, 5000))


async def test_a_member_that_does_not_read_is_the_buses_business_and_others_hear_all(own_bus: lab.Bus) -> None:
    async with (
        await Connection.open(own_bus.address) as ours,
        await Connection.open(own_bus.address) as others,
        tools.black_hole(own_bus.address, HOLE, "--no-read"),
    ):
        heard = await others.messages(Match(interface=INTERFACE, member="Last"))
        for number in range(2000):
            call = Message(
                kind=Kind.CALL, destination=HOLE, path="/", member="A", signature="s", body=("x" * 1000,), flags=1
            )
            ours.send(call)
            if number % 100 == 0:
                assert await ours.ask_bus("GetId", "")
        ours.emit("/", INTERFACE, "Last")
        await anext(heard)


async def test_a_call_that_is_too_large_for_the_bus_fails_by_name(each_bus: str) -> None:
    async with await Connection.open(each_bus) as ours:
        with pytest.raises((ModelError, Fault)):
            await ours.call(BUS, "/", BUS, "GetNameOwner", "ay", bytes(1 << 28))
        assert await ours.ask_bus("GetId", "")


# ------------------------------------------------------------------------------------------------------- answers
async def test_errors_of_other_programs_are_faults_with_their_name_and_words(each_bus: str) -> None:
    async with await Connection.open(each_bus) as ours, peer("sdbus", "serve", each_bus):
        fault = await fails(ours.call(SERVICE, PATH, INTERFACE, "Refuse", "s", "not today"))
        assert fault.code is Code.UNKNOWN
        assert "org.acme.Plant.Error.Refused" in fault.message
        assert "not today" in fault.message
        fault = await fails(ours.call(SERVICE, PATH, INTERFACE, "NoSuch"))
        assert fault.code is Code.NOT_FOUND
        fault = await fails(ours.call(SERVICE, PATH, INTERFACE, "AddOne", "s", "one"))
        assert fault.code is Code.INVALID_ARGUMENT


async def test_an_answer_of_every_type_is_read_from_other_programs(each_bus: str) -> None:
    async with await Connection.open(each_bus) as ours, peer("jeepney", "serve", each_bus):
        values = (1, -2, 3, -4, 5, -6, 7, 1.5, True, "é")
        assert await ours.call(SERVICE, PATH, INTERFACE, "Basics", "ynqiuxtdbs", *values) == values
        assert await ours.call(SERVICE, PATH, INTERFACE, "Move", "(dd)", [3.0, 4.0]) == ([3.0, 4.0],)
        assert await ours.call(SERVICE, PATH, INTERFACE, "Data", "ay", b"\x00\xff") == (b"\x00\xff",)
        assert await ours.call(SERVICE, PATH, INTERFACE, "Split", "s", "hall") == ("HALL", 4)
