"""File descriptors over real buses: they arrive, in order and open, and none stays behind (CVE-2014-3637)."""

from __future__ import annotations

import array
import asyncio
import gc
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from everywire.dbus.codec import encode_message
from everywire.dbus.engine import Authenticated, Engine, Unreadable
from everywire.dbus.session import BUS, BUS_PATH, Answer, Connection, Kind, Match, Message, UnixFd, serve_peers
from everywire.errors import Fault, LocalProtocolError
from everywire.runtime.limits import Limits
from tests.dbus import lab, tools
from tests.dbus.pipes import pipes_with, read
from tests.dbus.programs import INTERFACE, PATH, SERVICE, peer

MOST = 16
"""Descriptors that dbus-daemon lets through in one message."""


class Echo:
    """Answers each call with the descriptors that it brought, in reverse."""

    def __init__(self, connection: Connection) -> None:
        self.calls = 0
        connection.handle(PATH, self)

    def __call__(self, call: Message) -> Answer:
        self.calls += 1
        count = len(call.fds)
        return Answer("ah", list(range(count)), fds=tuple(reversed(call.fds)))


async def pass_through(ours: Connection, service: str, words: list[str]) -> list[str]:
    """Send pipes with *words* to an `Echo` and read those that come back."""
    ends = pipes_with(words)
    call = Message(
        kind=Kind.CALL, destination=service, path=PATH, interface=INTERFACE, member="Echo",
        signature="ah", body=(list(range(len(ends))),), fds=tuple(ends),
    )  # fmt: skip
    try:
        answer = await ours.ask(call)
    finally:
        for end in ends:
            end.close()
    (places,) = answer.body
    return [read(answer.fds[place]) for place in places]


@pytest.mark.parametrize("count", range(MOST + 1))
async def test_so_many_descriptors_arrive_in_order(count: int, each_bus: str) -> None:
    async with await Connection.open(each_bus) as ours, await Connection.open(each_bus) as theirs:
        Echo(theirs)
        words = [f"pipe {number}" for number in range(count)]
        assert await pass_through(ours, theirs.unique_name, words) == words[::-1]


async def test_thousands_of_descriptors_leave_none_open(each_bus: str, soak: Callable[[int, int], int]) -> None:
    rounds = soak(400, 10_000)
    async with await Connection.open(each_bus) as ours, await Connection.open(each_bus) as theirs:
        echo = Echo(theirs)
        gc.collect()  # what earlier tests have left
        before = tools.descriptors()
        for number in range(rounds):
            words = [f"{number}.{place}" for place in range(number % 5)]
            assert await pass_through(ours, theirs.unique_name, words) == words[::-1]
        assert echo.calls == rounds
        gc.collect()
        assert tools.descriptors() == before


async def test_descriptors_that_nobody_takes_are_closed(each_bus: str, soak: Callable[[int, int], int]) -> None:
    """Calls that nobody handles, signals that nobody wants, answers that nobody waits for."""
    async with await Connection.open(each_bus) as ours, await Connection.open(each_bus) as theirs:
        before = tools.descriptors()
        for _ in range(soak(50, 2000)):
            ends = pipes_with(["lost"] * 4)
            parts: dict[str, Any] = {
                "destination": theirs.unique_name, "interface": INTERFACE, "member": "Nothing",
                "signature": "hhhh", "body": (0, 1, 2, 3), "fds": tuple(ends),
            }  # fmt: skip
            ours.send(Message(kind=Kind.SIGNAL, path=PATH, **parts))
            with pytest.raises(Fault):
                await ours.ask(Message(kind=Kind.CALL, path="/nowhere", **parts))
            for end in ends:
                end.close()
            del ends, parts
        gc.collect()
        assert tools.descriptors() == before


async def test_more_descriptors_than_the_bus_allows_cost_the_connection_and_nothing_else(bus: str) -> None:
    """dbus-daemon cuts off who sends more than `max_message_unix_fds`; calls that wait are told."""
    async with await Connection.open(bus) as theirs:
        Echo(theirs)
        before = tools.descriptors()
        ours = await Connection.open(bus)
        with pytest.raises(Fault) as failed:
            await pass_through(ours, theirs.unique_name, ["x"] * (MOST + 1))
        assert failed.value.code.name in ("UNAVAILABLE", "RESOURCE_EXHAUSTED")
        await ours.close()
        async with await Connection.open(bus) as others:
            assert await pass_through(others, theirs.unique_name, ["y"]) == ["y"]
        gc.collect()
        assert tools.descriptors() == before


@pytest.mark.interop
@pytest.mark.timeout(60)
@pytest.mark.parametrize("kind", ["jeepney", "sdbus", "qt"])
async def test_descriptors_pass_to_and_from_other_programs(kind: str, each_bus: str) -> None:
    async with peer(kind, "serve", each_bus) as serving, await Connection.open(each_bus) as ours:
        before = len(tools.descriptors(serving.program.pid))
        (end,) = pipes_with(["through a pipe"])
        asked: dict[str, Any] = {"kind": Kind.CALL, "destination": SERVICE, "path": PATH, "interface": INTERFACE}
        for _ in range(20):
            (end,) = pipes_with(["through a pipe"])
            answer = await ours.ask(Message(**asked, member="ReadAll", signature="h", body=(0,), fds=(end,)))
            assert answer.body == ("through a pipe",)
            answer = await ours.ask(Message(**asked, member="OpenText", signature="s", body=("and back",)))
            assert read(answer.fds[answer.body[0]]) == "and back"
        assert len(tools.descriptors(serving.program.pid)) <= before + 2


async def test_a_descriptor_that_was_taken_or_closed_cannot_be_sent(bus: str) -> None:
    async with await Connection.open(bus) as ours:
        (end,) = pipes_with(["x"])
        end.close()
        parts: dict[str, Any] = {
            "destination": BUS, "path": BUS_PATH, "interface": BUS, "member": "GetId",
            "signature": "h", "body": (0,), "fds": (end,),
        }  # fmt: skip
        with pytest.raises(LocalProtocolError, match="taken or closed"):
            await ours.ask(Message(kind=Kind.CALL, **parts))
        with pytest.raises(LocalProtocolError, match="taken or closed"):
            ours.send(Message(kind=Kind.SIGNAL, **parts))
        assert await ours.ask_bus("GetId", "")


async def test_what_was_sent_may_be_closed_at_once_even_if_it_still_waits(own_bus: lab.Bus) -> None:
    async with await Connection.open(own_bus.address) as ours, await Connection.open(own_bus.address) as theirs:
        stream = await theirs.messages(Match(interface=INTERFACE))
        before = tools.descriptors()
        with own_bus.frozen():
            for number in range(20):  # more than the socket takes
                (end,) = pipes_with([str(number)])
                filler = "x" * 100_000
                ours.send(signal_with(filler, theirs.unique_name, end))
                end.close()
        for number in range(20):
            message = await anext(stream)
            assert read(message.fds[0]) == str(number)
        del message
        gc.collect()
        assert tools.descriptors() == before


# ------------------------------------------------------------------------------------------ messages nobody has checked
class Raw:
    """A member of a bus that sends what it likes, byte by byte."""

    def __init__(self, address: str) -> None:
        self._link = socket.socket(socket.AF_UNIX)
        self._link.settimeout(10)
        self._link.connect(address.removeprefix("unix:path="))
        self._link.sendall(b"\0AUTH EXTERNAL\r\nDATA\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n")
        said = b""
        while said.count(b"\r\n") < 3:
            said += self._link.recv(1000)
        self._serial = 0
        self.send(Message(kind=Kind.CALL, destination=BUS, path=BUS_PATH, interface=BUS, member="Hello"))

    def send(self, message: Message, *ends: UnixFd) -> None:
        self._serial += 1
        self.send_bytes(encode_message(message, self._serial), *ends)

    def send_bytes(self, data: bytes, *ends: UnixFd) -> None:
        numbers = array.array("i", [end.fileno() for end in ends])
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, numbers)] if ends else []
        sent = self._link.sendmsg([data], rights)
        assert sent == len(data)

    def close(self) -> None:
        self._link.close()


def signal_with(text: str, to: str, end: Any) -> Message:
    return Message(
        kind=Kind.SIGNAL, path=PATH, interface=INTERFACE, member="Given", destination=to,
        signature="sh", body=(text, 0), fds=(end,),
    )  # fmt: skip


def test_a_malformed_body_takes_its_descriptors_with_it() -> None:
    """Daemons look into bodies, but by rules of their own; what one lets through must not shift the next one's."""
    engine = Engine("client", max_frame=10_000, uid=0, bus=True)
    engine.receive_data(b"OK 0123\r\n")
    (agreed,) = engine.receive_data(b"AGREE_UNIX_FD\r\n")
    assert isinstance(agreed, Authenticated)
    good = encode_message(signal_with("text", ":1.5", "any"), 7)
    engine.receive_descriptors(["wrong", "right"])
    unreadable, message = engine.receive_data(good.replace(b"text\0", b"t\xffxt\0") + good)
    assert isinstance(unreadable, Unreadable)
    assert isinstance(message, Message)
    assert (unreadable.head.fds, message.fds) == (("wrong",), ("right",))


async def test_a_message_that_is_too_large_takes_its_descriptors_with_it(each_bus: str) -> None:
    async with await Connection.open(each_bus, limits=Limits(frame=10_000)) as ours:
        stream = await ours.messages(Match(interface=INTERFACE))
        raw = await asyncio.to_thread(Raw, each_bus)
        wrong, right = pipes_with(["wrong", "right"])
        raw.send(signal_with("x" * 20_000, ours.unique_name, wrong), wrong)
        raw.send(signal_with("second", ours.unique_name, right), right)
        wrong.close()
        right.close()
        message = await anext(stream)
        assert (message.body, read(message.fds[0])) == (("second", 0), "right")
        assert ours.refusals["frame"] == 1
        raw.close()


async def test_a_message_of_an_unknown_kind_takes_its_descriptors_with_it(folder: Path) -> None:
    """Between peers nobody stands that would keep it away."""
    connected: asyncio.Queue[Connection] = asyncio.Queue()
    got: asyncio.Queue[Message] = asyncio.Queue()

    class Takes:
        def calls(self, messages: list[Message]) -> None:
            for message in messages:
                got.put_nowait(message)

    def begin(connection: Connection) -> None:
        connection.host = Takes()
        connected.put_nowait(connection)

    server = await serve_peers(f"unix:path={folder / 'peer'}", begin)
    raw = await asyncio.to_thread(Raw, f"unix:path={folder / 'peer'}")
    wrong, right = pipes_with(["wrong", "right"])
    strange = bytearray(encode_message(signal_with("first", "org.acme.A", wrong), 5))
    strange[1] = 9
    raw.send_bytes(bytes(strange), wrong)
    call = Message(kind=Kind.CALL, path=PATH, member="Take", signature="h", body=(0,), fds=(right,))
    raw.send(call, right)
    wrong.close()
    right.close()
    assert (await got.get()).member == "Hello"
    taken = await got.get()
    assert read(taken.fds[0]) == "right"
    raw.close()
    await server.close()


def test_the_numbers_of_the_wire_are_ours() -> None:
    """A descriptor is an index of 32 bits into those that came with the message."""
    (end,) = pipes_with(["x"])
    frame = encode_message(signal_with("text", ":1.5", end), 1)
    end.close()
    assert frame.endswith(struct.pack("<I4sxxxxI", 4, b"text", 0))
