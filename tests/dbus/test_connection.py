"""Connections between peers, without a bus: calls, answers, signals, descriptors, and peers that misbehave."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from everywire import AddressInUse, Code, Fault, Limits, LinkError, LocalProtocolError, ModelError
from everywire.dbus.codec import encode_message
from everywire.dbus.session import (
    NO_REPLY,
    Answer,
    Connection,
    Kind,
    Match,
    Message,
    PeerServer,
    UnixFd,
    serve_peers,
)
from everywire.dbus.session.subscribing import MOST_WAITING
from tests.dbus import lab

SMALL = Limits(frame=4096, handshake=0.3)
EXTERNAL = b"\0AUTH EXTERNAL " + str(os.getuid()).encode().hex().encode() + b"\r\n"


@asynccontextmanager
async def pair(
    answer: Callable[[Message], Any] | None = None, *, limits: Limits = SMALL, **settings: Any
) -> AsyncIterator[tuple[Connection, Connection, PeerServer]]:
    """Give a client, the server's end of it, and the server."""
    came: asyncio.Queue[Connection] = asyncio.Queue()

    def arrived(connection: Connection) -> None:
        if answer is not None:
            connection.handle("/it", answer, subtree=True)
        came.put_nowait(connection)

    with lab.folder() as folder:
        server = await serve_peers(f"unix:path={folder}/peer", arrived, limits=limits, **settings)
        try:
            async with await Connection.open(server.address, bus=False, limits=limits) as client:
                yield client, await came.get(), server
        finally:
            await server.close()


def open_now() -> int:
    return len([*Path("/proc/self/fd").iterdir()])


def upper(call: Message) -> Answer:
    return Answer("s", call.body[0].upper())


async def raw(server: PeerServer, *lines: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect as a client that says what it is told to."""
    reader, writer = await asyncio.open_unix_connection(server.url.removeprefix("local:"))
    writer.writelines(lines)
    return reader, writer


async def test_peers_call_each_other_in_both_directions() -> None:
    async with pair(upper) as (client, server_end, _):
        client.handle("/it", lambda call: Answer("s", call.body[0] * 2))
        assert await client.call("", "/it", "a.B", "Up", "s", "hot") == ("HOT",)
        assert await client.call("", "/it/below", "a.B", "Up", "s", "deep") == ("DEEP",)
        assert await server_end.call("", "/it", "a.B", "Twice", "s", "hot") == ("hothot",)
        assert (client.unique_name, client.is_bus) == ("", False)
        assert server_end.peer.uid == os.getuid()
        assert server_end.peer.pid == os.getpid()


async def test_answers_find_their_calls_whatever_their_order() -> None:
    gates: dict[str, asyncio.Future[None]] = {}

    async def later(call: Message) -> Answer:
        await gates.setdefault(call.body[0], asyncio.get_running_loop().create_future())
        return Answer("s", call.body[0])

    async with pair(later) as (client, _, _):
        calls = [asyncio.ensure_future(client.call("", "/it", "a.B", "Wait", "s", name)) for name in "abc"]
        while len(gates) < 3:
            await asyncio.sleep(0)
        for name in "cab":
            gates[name].set_result(None)
        assert await asyncio.gather(*calls) == [("a",), ("b",), ("c",)]


async def test_failures_of_handlers_are_their_callers_answer() -> None:
    def answer(call: Message) -> Answer:
        match call.member:
            case "Refuse":
                raise Fault(Code.FAILED_PRECONDITION, "not now")
            case "Fail":
                raise ZeroDivisionError
            case _:
                return Answer("u", "no number")

    async with pair(answer) as (client, _, _):
        with pytest.raises(Fault) as refused:
            await client.call("", "/it", "a.B", "Refuse")
        assert (refused.value.code, refused.value.message) == (Code.FAILED_PRECONDITION, "not now")
        with pytest.raises(Fault, match="ZeroDivisionError in Fail") as failed:
            await client.call("", "/it", "a.B", "Fail")
        assert failed.value.code is Code.UNKNOWN
        with pytest.raises(Fault, match="does not fit its signature") as odd:
            await client.call("", "/it", "a.B", "Odd")
        assert odd.value.code is Code.INTERNAL
        with pytest.raises(Fault) as nobody:
            await client.call("", "/nobody", "a.B", "Up")
        assert nobody.value.code is Code.NOT_FOUND


async def test_every_peer_can_be_pinged_and_says_on_which_machine_it_is() -> None:
    async with pair() as (client, _, _):
        assert await client.call("", "/", "org.freedesktop.DBus.Peer", "Ping") == ()
        (machine,) = await client.call("", "/", "org.freedesktop.DBus.Peer", "GetMachineId")
        assert len(machine) == 32
        with pytest.raises(Fault) as unknown:
            await client.call("", "/", "org.freedesktop.DBus.Peer", "Pong")
        assert unknown.value.code is Code.NOT_FOUND


async def test_signals_come_in_order_until_the_subscription_is_closed() -> None:
    async with pair(upper) as (client, server_end, _):
        heard: list[int] = []
        rule = Match(path="/it", sender="org.acme.Ignored")  # between peers nobody has a name
        subscription = await client.match(rule, lambda message: heard.append(message.body[0]))
        stream = await client.messages(Match(member="Told"))
        for number in range(100):
            server_end.emit("/it", "a.B", "Told", "i", number)
        await client.call("", "/it", "a.B", "Up", "s", "fence")
        assert heard == list(range(100))
        subscription.close()
        subscription.close()
        server_end.emit("/it", "a.B", "Told", "i", 100)
        await client.call("", "/it", "a.B", "Up", "s", "fence")
        assert len(heard) == 100
        assert [(await anext(stream)).body[0] for _ in range(101)] == list(range(101))
        await stream.aclose()
        with pytest.raises(StopAsyncIteration):
            await anext(stream)


async def test_a_slow_reader_misses_the_oldest_and_is_told_how_many() -> None:
    async with pair(upper) as (client, server_end, _):
        stream = await client.messages(Match())
        for number in range(MOST_WAITING + 10):
            server_end.emit("/it", "a.B", "Told", "i", number)
        await client.call("", "/it", "a.B", "Up", "s", "fence")
        assert (await anext(stream)).body == (10,)
        assert stream.gap == 10


async def test_a_listener_that_fails_is_not_the_others_business(loop_reports: list[dict[str, Any]]) -> None:
    async with pair(upper) as (client, server_end, _):
        heard: list[Message] = []

        def fail(_: Message) -> None:
            raise ZeroDivisionError

        await client.match(Match(), fail)
        await client.match(Match(), heard.append)
        server_end.emit("/it", "a.B", "Told")
        await client.call("", "/it", "a.B", "Up", "s", "fence")
        assert len(heard) == 1
        assert [type(context["exception"]) for context in loop_reports] == [ZeroDivisionError]
        loop_reports.clear()


async def test_descriptors_travel_both_ways_and_none_is_left_open() -> None:
    def give_back(call: Message) -> Answer:
        return Answer("ah", list(range(len(call.fds))), fds=call.fds[::-1])

    async with pair(give_back) as (client, _, _):
        before = open_now()
        for count in (0, 1, 2, 16) * 20:
            pipes = [os.pipe() for _ in range(count)]
            sent = tuple(UnixFd.owning(write) for _, write in pipes)
            answer = await client.ask(
                Message(kind=Kind.CALL, path="/it", member="Give", signature="ah", body=(list(range(count)),), fds=sent)
            )
            for (read, _), descriptor in zip(pipes, reversed(answer.fds), strict=True):
                os.write(descriptor.fileno(), b"through")
                assert os.read(read, 10) == b"through"
                os.close(read)
            del sent, answer
            if count:
                del descriptor
        await client.call("", "/", "org.freedesktop.DBus.Peer", "Ping")  # the last message is let go of after its turn
        gc.collect()
        assert open_now() == before


async def test_descriptors_that_nobody_looks_at_are_closed() -> None:
    async with pair(lambda _: None) as (client, _, _):
        before = open_now()
        read, write = os.pipe()
        with UnixFd.owning(write) as given:
            for _ in range(200):
                call = Message(kind=Kind.CALL, path="/it", member="Drop", signature="h", body=(0,), fds=(given,) * 5)
                await client.ask(call)
        del call
        await client.call("", "/", "org.freedesktop.DBus.Peer", "Ping")  # the last message is let go of after its turn
        gc.collect()
        assert os.read(read, 1) == b""  # every writing end is closed
        os.close(read)
        assert open_now() == before


async def test_a_connection_over_tcp_passes_no_descriptors() -> None:
    server = await serve_peers("tcp:host=127.0.0.1,port=0", lambda c: c.handle("/it", upper) and None, anonymous=True)
    try:
        async with await Connection.open(server.address, bus=False) as client:
            assert await client.call("", "/it", "a.B", "Up", "s", "hot") == ("HOT",)
            read, write = os.pipe()
            with UnixFd.owning(read) as given, UnixFd.owning(write), pytest.raises(ModelError, match="only Unix"):
                client.send(Message(kind=Kind.CALL, path="/it", member="Up", signature="h", body=(0,), fds=(given,)))
    finally:
        await server.close()


async def test_a_call_that_nobody_answers_ends_by_name_and_its_late_answer_harms_nobody() -> None:
    asked: list[Message] = []
    async with pair() as (client, server_end, _):

        class Silent:
            def calls(self, messages: list[Message]) -> None:
                asked.extend(messages)

        server_end.host = Silent()
        with pytest.raises(Fault, match=r"did not answer Wait within 0\.05 s") as late:
            await client.call("", "/it", "a.B", "Wait", timeout=0.05)
        assert late.value.code is Code.DEADLINE_EXCEEDED
        server_end.reply(asked[0])
        server_end.host = server_end._handlers
        assert await client.call("", "/", "org.freedesktop.DBus.Peer", "Ping") == ()


async def test_calls_that_wait_fail_when_the_link_is_lost() -> None:
    async with pair() as (client, server_end, _):
        server_end.handle("/it", lambda _: asyncio.get_running_loop().create_future())
        waiting = [asyncio.ensure_future(client.call("", "/it", "a.B", "Wait")) for _ in range(3)]
        stream = await client.messages(Match())
        await asyncio.sleep(0)
        await client.call("", "/", "org.freedesktop.DBus.Peer", "Ping")
        server_end.abort()
        for fault in await asyncio.gather(*waiting, return_exceptions=True):
            assert isinstance(fault, Fault)
            assert fault.code is Code.UNAVAILABLE
        assert isinstance(await client.closed, LinkError)
        with pytest.raises(LinkError):
            await anext(stream)
        with pytest.raises(Fault, match="connection is closed") as refused:
            await client.call("", "/it", "a.B", "Up")
        assert not refused.value.may_have_run


async def test_a_call_without_an_answer_is_answered_by_nobody() -> None:
    async with pair(upper) as (client, _, _):
        client.send(Message(kind=Kind.CALL, path="/it", member="Up", signature="s", body=("a",), flags=NO_REPLY))
        client.send(Message(kind=Kind.CALL, path="/none", member="Up", flags=NO_REPLY))
        answer = await client.ask(Message(kind=Kind.CALL, path="/it", member="Up", signature="s", body=("b",)))
        assert (answer.serial, answer.body) == (1, ("B",))


async def test_more_calls_than_may_run_are_refused_and_the_others_answered() -> None:
    async def never(_: Message) -> Answer:
        await asyncio.get_running_loop().create_future()
        raise AssertionError

    async with pair(never, limits=Limits(pending_calls=3)) as (client, _, _):
        calls = [asyncio.ensure_future(client.call("", "/it", "a.B", "Wait")) for _ in range(5)]
        done, waiting = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
        while len(done) < 2:
            more, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            done |= more
        faults = [call.exception() for call in done]
        assert [fault.code for fault in faults if isinstance(fault, Fault)] == [Code.RESOURCE_EXHAUSTED] * 2
        for call in waiting:
            call.cancel()
        await asyncio.wait(waiting)


async def test_a_message_that_is_too_large_is_answered_and_the_connection_goes_on() -> None:
    async with pair(upper) as (client, server_end, _):
        with pytest.raises(Fault, match=r"Limits.frame allows 4096") as refused:
            await client.call("", "/it", "a.B", "Up", "s", "x" * 10_000)
        assert refused.value.code is Code.RESOURCE_EXHAUSTED
        assert server_end.refusals["frame"] == 1
        assert await client.call("", "/it", "a.B", "Up", "s", "hot") == ("HOT",)


async def test_an_answer_that_is_too_large_fails_its_call_only() -> None:
    async with pair(lambda _: Answer("ay", bytes(10_000))) as (client, _, _):
        with pytest.raises(Fault, match=r"Limits.frame") as too_large:
            await client.call("", "/it", "a.B", "Take")
        assert (too_large.value.code, too_large.value.may_have_run) == (Code.RESOURCE_EXHAUSTED, True)
        assert await client.call("", "/", "org.freedesktop.DBus.Peer", "Ping") == ()


async def test_a_peer_that_breaks_the_protocol_is_cut_and_others_do_not_notice() -> None:
    async with pair(upper) as (client, _, server):
        reader, writer = await raw(server, EXTERNAL, b"BEGIN\r\n", b"not a message at all")
        assert (await reader.read()).startswith(b"OK ")
        writer.close()
        assert server._refusals["protocol"] == 1
        assert await client.call("", "/it", "a.B", "Up", "s", "hot") == ("HOT",)


async def test_a_peer_that_does_not_say_who_it_is_is_cut_in_time() -> None:
    async with pair(upper) as (client, _, server):
        reader, writer = await raw(server, b"\0")
        assert await reader.read() == b""
        writer.close()
        assert server._refusals["handshake"] == 1
        assert await client.call("", "/it", "a.B", "Up", "s", "hot") == ("HOT",)


async def test_who_lies_about_who_it_is_is_not_let_in() -> None:
    async with pair(upper) as (_, _, server):
        reader, writer = await raw(server, b"\0AUTH EXTERNAL 3132333435\r\n", b"BEGIN\r\n")
        assert await reader.read() == b"REJECTED EXTERNAL\r\n"
        writer.close()


async def test_calls_in_the_chunk_that_ends_the_authentication_are_answered() -> None:
    async with pair(upper) as (_, _, server):
        call = Message(kind=Kind.CALL, path="/it", member="Up", signature="s", body=("hot",))
        reader, writer = await raw(server, EXTERNAL + b"NEGOTIATE_UNIX_FD\r\nBEGIN\r\n" + encode_message(call, 1))
        assert b"AGREE_UNIX_FD\r\n" in await reader.readuntil(b"HOT\0")
        writer.close()
        await writer.wait_closed()


async def test_an_address_of_another_server_is_noticed() -> None:
    async with pair() as (_, _, server):
        elsewhere = server.address.replace(server.guid, "0" * 32)
        with pytest.raises(LinkError, match="answered by another server"):
            await Connection.open(elsewhere, bus=False)


async def test_the_places_of_an_address_are_tried_in_turn(tmp_path: Path) -> None:
    async with pair(upper) as (_, _, server):
        address = f"unix:path={tmp_path}/nobody;{server.address}"
        async with await Connection.open(address, bus=False) as client:
            assert await client.call("", "/it", "a.B", "Up", "s", "hot") == ("HOT",)
        with pytest.raises(LinkError, match=r"nobody.*nobody2"):
            await Connection.open(f"unix:path={tmp_path}/nobody;unix:path={tmp_path}/nobody2", bus=False)


async def test_a_server_that_accepts_and_says_nothing_is_given_up(tmp_path: Path) -> None:
    with lab.folder() as folder, socket.socket(socket.AF_UNIX) as silent:
        silent.bind(f"{folder}/silent")
        silent.listen()
        with pytest.raises(LinkError, match=r"accepted the connection but did not answer within 0\.1 s"):
            await Connection.open(f"unix:path={folder}/silent", bus=False, timeout=0.1)


async def test_a_living_address_is_not_taken() -> None:
    async with pair() as (_, _, server):
        with pytest.raises(AddressInUse):
            await serve_peers(server.address.partition(",")[0], lambda _: None)


async def test_a_server_makes_a_new_name_in_a_folder() -> None:
    with lab.folder() as folder:
        one = await serve_peers(f"unix:tmpdir={folder}", lambda c: c.handle("/it", upper) and None)
        two = await serve_peers(f"unix:dir={folder}", lambda _: None)
        assert one.address != two.address
        async with await Connection.open(one.address, bus=False) as client:
            assert await client.call("", "/it", "a.B", "Up", "s", "hot") == ("HOT",)
        await one.close()
        await two.close()
        assert [*folder.glob("dbus-*")] == []


async def test_two_handlers_of_one_path_are_refused_and_one_can_be_taken_away() -> None:
    async with pair() as (client, server_end, _):
        away = server_end.handle("/it", upper)
        with pytest.raises(ModelError, match="has a handler already"):
            server_end.handle("/it", upper)
        assert await client.call("", "/it", "a.B", "Up", "s", "hot") == ("HOT",)
        away()
        with pytest.raises(Fault, match="no object at /it"):
            await client.call("", "/it", "a.B", "Up", "s", "hot")


async def test_a_peer_gives_no_names() -> None:
    async with pair() as (client, _, _):
        with pytest.raises(LocalProtocolError, match="leads to a peer"):
            await client.request_name("org.acme.Plant")


async def test_a_peer_that_does_not_read_is_held_back_and_what_it_was_told_is_bounded() -> None:
    limits = Limits(unsent_soft=64 * 1024, unsent_hard=256 * 1024)
    async with pair(upper, limits=limits) as (client, server_end, _):
        client.pause_reading()
        for number in range(2000):
            server_end.emit("/it", "a.B", "Told", "is", number, "x" * 1000)
        assert server_end.outbox.congested
        assert server_end.outbox.waiting_bytes <= limits.unsent_hard
        heard = await client.messages(Match())
        client.resume_reading()
        await client.call("", "/it", "a.B", "Up", "s", "fence")
        numbers = [heard._waiting[n].body[0] for n in range(len(heard._waiting))]
        assert numbers == sorted(numbers)
        assert server_end.refusals["dropped_signals"] > 0
        assert heard.gap + len(numbers) + server_end.refusals["dropped_signals"] == 2000
