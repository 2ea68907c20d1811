"""Who means a host harm, on a bus and as a peer: it costs them their own call, and nobody else anything."""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import select
import socket
import struct
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from everywire import AddressInUse, Caller, Limits, LinkError, Node, Policy, Role
from everywire.dbus.codec import Head, encode_message, marshal
from everywire.dbus.endpoint.serving import BusServer
from everywire.dbus.endpoint.visiting import Visitors, executable_of
from everywire.dbus.session import BUS, BUS_PATH, Connection, Kind, Match, Message, UnixFd, serve_peers
from everywire.errors import EverywireError, RemoteProtocolError
from everywire.runtime.limits import KIB
from tests.dbus import lab
from tests.dbus.hosts import (
    BASE,
    ERROR,
    HALL,
    INTROSPECTABLE,
    MANAGER,
    OBJECT,
    SERVICE,
    THERMOSTAT,
    Thermostat,
    ask,
    at,
    error,
    hosting,
    result,
    strange_peer,
    until,
)


def server_of(node: Node) -> BusServer:
    (server,) = node._servers
    assert isinstance(server, BusServer)
    return server


def connection_of(node: Node) -> Connection:
    visitors = server_of(node).visitors
    assert visitors is not None
    return visitors.connection


def call_of(member: str, signature: str = "", *body: Any, path: str = HALL, fds: tuple[Any, ...] = ()) -> Message:
    return Message(
        kind=Kind.CALL, destination=SERVICE, path=path, interface=THERMOSTAT, member=member, signature=signature,
        body=body, fds=fds,
    )  # fmt: skip


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@contextmanager
def pipe() -> Iterator[int]:
    reading, writing = os.pipe()
    try:
        yield reading
    finally:
        os.close(reading)
        os.close(writing)


# ------------------------------------------------------------------------------------------------------------ messages
async def test_a_message_whose_header_alone_is_too_large_is_passed_by(each_bus: str) -> None:
    """Nobody can be answered then, as who it was stands in the header; the connection stays, and descriptors right."""
    source, long = Thermostat(), "/" + "a" * 70_000
    async with (
        hosting(at(each_bus), hall=source, limits=Limits(frame=64 * KIB)) as node,
        await Connection.open(each_bus) as client,
    ):
        with pipe() as reading:
            before, connection = open_files(), connection_of(node)
            for _ in range(3):
                client.request(call_of("Reset", path=long, fds=(UnixFd(reading),)), lambda _: None)
            assert await result(client, "Boost", "x", 1, fds=(UnixFd(reading),)) == ("1 cold",)
            assert connection_of(node) is connection
            assert (source.ran, node.refusals["frame"]) == (["boost 1"], 3)
            gc.collect()
            assert open_files() == before


async def test_so_many_descriptors_as_fit_may_come_with_a_message_in_several_parts(own_broker: lab.Broker) -> None:
    """dbus-broker lets them pass, dbus-daemon only sixteen."""
    source = Thermostat()
    async with (
        hosting(at(own_broker.address), hall=source) as node,
        await Connection.open(own_broker.address) as client,
    ):
        connection = connection_of(node)
        with pipe() as reading:
            carried = tuple([UnixFd(reading) for _ in range(250)])
            assert await result(client, "Boost", "xs", 1, "x" * 900_000, fds=carried)
        assert connection_of(node) is connection


@contextmanager
def room_for(count: int) -> Iterator[None]:
    """Within the block this process can open *count* more files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with pipe() as reading:
        highest, filling = max(int(entry.name) for entry in Path("/proc/self/fd").iterdir()), list[int]()
        while not filling or filling[-1] < highest:
            filling.append(os.dup(reading))
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (filling[-1] + 1 + count, hard))
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for number in filling:
                os.close(number)


async def test_descriptors_that_there_is_no_room_for_cost_one_call(each_bus: str) -> None:
    async with hosting(at(each_bus), hall=Thermostat()) as node, await Connection.open(each_bus) as client:
        await result(client, "Boost", "x", 1)
        connection, answers = connection_of(node), list[Any]()
        with pipe() as reading:
            client.request(call_of("Boost", "x", 1, fds=tuple([UnixFd(reading) for _ in range(10)])), answers.append)
        with room_for(3):
            await until(lambda: answers)
            assert answers[0].error_name == f"{ERROR}InvalidArgs"
            assert await result(client, "Boost", "x", 2) == ("2 cold",)
        assert connection_of(node) is connection


async def test_calls_that_wait_keep_few_descriptors(each_bus: str) -> None:
    source = Thermostat()
    async with (
        hosting(at(each_bus), hall=source, limits=Limits(pending_calls=2, drain=0.0)),
        await Connection.open(each_bus) as greedy,
        await Connection.open(each_bus) as other,
    ):
        answers = list[Any]()
        for number in range(2):
            greedy.request(call_of("Hold", "x", number), answers.append)
        while len(source.ran) < 2:
            await ask(other, "Who")
        with pipe() as reading:
            before = open_files()
            for number in range(300):
                greedy.request(
                    call_of("Boost", "x", number, fds=tuple([UnixFd(reading) for _ in range(10)])), answers.append
                )
                await result(greedy, "GetId", interface=BUS, path=BUS_PATH, to=BUS)
            await ask(other, "Who")
            assert 0 < open_files() - before < 100
            source.gate.set()
            await until(lambda: len(answers) == 302)
            gc.collect()
            assert open_files() == before


# ------------------------------------------------------------------------------------------------------------- senders
async def test_what_a_program_said_before_it_left_still_happens(bus: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`dbus-send` does not wait: the bus tells that it left before it tells who it was."""
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", bus)
    request, source = Connection.request, Thermostat()

    def left_meanwhile(self: Connection, message: Message, on_reply: Any) -> int:
        if message.member == "GetConnectionCredentials":
            name = message.body[0]
            gone = Message(kind=Kind.SIGNAL, signature="sss", body=(name, name, ""))
            assert isinstance(self.host, Visitors)
            self.loop.call_soon(self.host.left, gone)
        return request(self, message, on_reply)

    async with hosting(at("session"), hall=source), await Connection.open(bus) as client:
        with monkeypatch.context() as patch:
            patch.setattr(Connection, "request", left_meanwhile)
            assert await result(client, "Boost", "x", 1) == ("1 cold",)
        for _ in range(10):
            command = ("dbus-send", "--type=method_call", f"--bus={bus}", f"--dest={SERVICE}", HALL)
            program = await asyncio.create_subprocess_exec(*command, f"{THERMOSTAT}.Reset")
            assert await program.wait() == 0
        await result(client, "Boost", "x", 2)
        assert source.ran == ["boost 1", *["reset"] * 10, "boost 2"]


def test_who_calls_is_found_also_in_a_process_with_many_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(4096, hard)), hard))
    process = os.pidfd_open(os.getpid())
    high = os.dup2(process, 2000)
    os.close(process)
    try:
        with pytest.raises(ValueError, match="out of range"):
            select.select([high], [], [], 0)
        with UnixFd(high) as descriptor:
            assert executable_of(os.getpid(), descriptor) == str(Path("/proc/self/exe").readlink())
    finally:
        os.close(high)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_nobody_else_tells_a_host_who_left_and_who_has_its_name(each_bus: str) -> None:
    async with (
        hosting(at(each_bus), hall=Thermostat()) as node,
        await Connection.open(each_bus) as client,
        await Connection.open(each_bus) as liar,
    ):
        await result(client, "Attach", interface=OBJECT)
        host = connection_of(node).unique_name
        for name, old, new in (
            (client.unique_name, client.unique_name, ""), (SERVICE, host, ""), (SERVICE, host, liar.unique_name),
        ):  # fmt: skip
            liar.send(_to(host, "NameOwnerChanged", "sss", name, old, new))
            liar.send(_to(host, "NameLost", "s", SERVICE))
        await result(liar, "Boost", "x", 1)
        assert server_of(node).owns_name
        assert {link.destination: len(link.attached) for link in server_of(node).links()} == {
            client.unique_name: 1, liar.unique_name: 0,
        }  # fmt: skip


def _to(name: str, member: str, signature: str, *body: str) -> Message:
    return Message(
        kind=Kind.SIGNAL, path=BUS_PATH, interface=BUS, member=member, destination=name, signature=signature, body=body
    )


# -------------------------------------------------------------------------------------------------------------- policy
async def test_an_address_that_is_the_sessions_is_the_bus_of_the_session(
    bus: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever listens there without having asked hears, as with the word `session`."""
    for session, hears in ((f"{bus},guid={'0' * 32}", True), ("unix:path=/nowhere", False)):
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", session)
        source = Thermostat()
        async with hosting(at(bus), hall=source), await Connection.open(bus) as client:
            heard = await client.messages(Match(sender=SERVICE, path=HALL))
            source.target = 30.0
            await result(client, "Ping", interface="org.freedesktop.DBus.Peer")
            assert bool(heard._waiting) is hears


async def test_a_policy_that_knows_no_unknown_callers_shows_them_nothing(
    own_bus: lab.Bus, caplog: pytest.LogCaptureFixture
) -> None:
    """What it raises must not keep a host from a bus that came back."""
    known: dict[int | None, Role] = {os.getuid(): Role.ADMIN}
    source, policy = Thermostat(), Policy(role=lambda caller: known[caller.uid])
    async with hosting(at(own_bus.address), hall=source, policy=policy) as node:
        await own_bus.restart()
        await until(lambda: server_of(node).owns_name)
        node.publish(Thermostat(), "cellar")
        async with await Connection.open(own_bus.address) as client:
            heard = await client.messages(Match(sender=SERVICE, path=HALL))
            source.target = 30.0
            assert await result(client, "Boost", "x", 1) == ("1 cold",)
            assert not heard._waiting
    assert "cannot say what unknown callers may see" in caplog.text


async def test_a_policy_that_fails_for_one_caller_still_takes_from_the_others_what_they_may_not_see(bus: str) -> None:
    failing = ""

    def role(caller: Caller) -> Role:
        if failing and caller.address == failing:
            raise KeyError(failing)
        return Role.OPERATOR if caller.address and not failing else Role.STRANGER

    policy = Policy(role=role)
    async with (
        hosting(at(bus), hall=Thermostat(), policy=policy) as node,
        await Connection.open(bus) as bad,
        await Connection.open(bus) as good,
    ):
        for client in (bad, good):
            await result(client, "GetManagedObjects", path=BASE, interface=MANAGER)
            await result(client, "Attach", interface=OBJECT)
        heard = await good.messages(Match(path=BASE))
        failing = bad.unique_name
        policy.forget()
        assert (await anext(heard)).member == "InterfacesRemoved"
        assert not any(link.attached for link in server_of(node).links())
        assert await error(good, "Introspect", interface=INTROSPECTABLE) == f"{ERROR}UnknownObject"


# --------------------------------------------------------------------------------------------------------------- peers
async def test_a_strange_peer_keeps_no_descriptors_open_here(folder: Path) -> None:
    """Nor does one that has not said who it is."""
    async with hosting(f"dbus+local:{folder / 'peer'}", hall=Thermostat()):
        (folder / "peer").chmod(0o777)
        folder.chmod(0o777)
        begun = encode_message(
            Message(kind=Kind.CALL, path="/hall", interface="local.Thermostat1", member="Who", fds=tuple(range(200))), 7
        )[:-9]
        stranger = await strange_peer(folder / "peer")
        silent = socket.socket(socket.AF_UNIX)
        silent.connect(str(folder / "peer"))
        with pipe() as reading:
            before = open_files()
            for sock, data in ((stranger._link._ends._socket, begun), (silent, b"\0AU")):  # type: ignore[attr-defined]
                sock.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", [reading] * 200))])
            await stranger.closed
            silent.setblocking(False)
            assert await stranger.loop.sock_recv(silent, 1) == b""
            gc.collect()
            assert open_files() <= before
        silent.close()
        await stranger.close()


# ----------------------------------------------------------------------------------------------------- unreliable buses
class Unreliable:
    """A bus that answers all but one question well."""

    def __init__(self, connection: Connection, stage: str, how: str) -> None:
        self._connection, self._stage, self._how = connection, stage, how

    def calls(self, messages: list[Message]) -> None:
        for call in messages:
            if call.member == self._stage:
                self._fail(call)
            else:
                match call.member:
                    case "Hello":
                        self._answer(call, "s", ":1.7")
                    case "GetNameOwner":
                        self._answer(call, "s", ":1.9")
                    case "RequestName":
                        self._answer(call, "u", 3 if self._stage == "GetConnectionCredentials" else 1)
                    case _:
                        self._answer(call)

    def _fail(self, call: Message) -> None:
        match self._how:
            case "hangs up":
                self._connection.abort()
            case "talks nonsense":
                self._connection._link.write(b"nonsense" * 10)
            case "answers nothing":
                self._answer(call)
            case _:
                self._answer(call, "as", ["something", "else"])

    def _answer(self, call: Message, signature: str = "", *body: Any) -> None:
        """As the bus, which our own connections cannot claim to be."""
        sender = struct.pack("<4BI", 7, 1, ord("s"), 0, len(BUS)) + BUS.encode() + b"\0"
        frame = Head(Kind.RETURN, 1, signature=signature).frame(1, marshal(signature, body), call.serial)
        size = int.from_bytes(frame[12:16], "little")
        fields = frame[16 : 16 + size] + bytes(-size % 8) + sender
        head = frame[:12] + struct.pack("<I", len(fields)) + fields
        self._connection._link.write(head + bytes(-len(head) % 8) + frame[16 + size + -size % 8 :])


@pytest.mark.parametrize("how", ["hangs up", "talks nonsense", "answers nothing", "answers something else"])
@pytest.mark.parametrize(
    "stage", ["Hello", "GetNameOwner", "RequestName", "GetConnectionCredentials", "ReleaseName"]
)
async def test_a_bus_that_fails_while_a_host_joins_or_leaves_is_a_named_error(
    stage: str, how: str, folder: Path
) -> None:
    def begin(connection: Connection) -> None:
        connection.host = Unreliable(connection, stage, how)

    async with await serve_peers(f"unix:path={folder / 'bus'}", begin), Node() as node:
        node.publish(Thermostat(), "hall")
        failed: EverywireError | None = None
        try:
            await node.serve(at(f"unix:path={folder / 'bus'}"))
        except EverywireError as told:
            failed = told
        if stage == "ReleaseName":
            assert failed is None
        else:
            assert isinstance(failed, LinkError | AddressInUse | RemoteProtocolError), failed
