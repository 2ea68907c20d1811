"""Objects of a node without a bus: who may connect, what peers hear, and libraries that take us for a bus."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from dbus_fast import Message as FastMessage
from dbus_fast.aio import MessageBus

from everywire import (
    AddressError,
    AddressInUse,
    InsecureBind,
    Limits,
    Node,
    Object,
    Policy,
    Property,
    Role,
    Tokens,
    prop,
    signal,
    slot,
)
from everywire.dbus import DBus, UnixFd
from everywire.dbus.endpoint.peers import PeersServer
from everywire.dbus.introspection import parse
from everywire.dbus.session import Connection, Kind, Match, Variant
from everywire.runtime.limits import KIB
from tests.dbus import tools
from tests.dbus.hosts import (
    ERROR,
    INTROSPECTABLE,
    MANAGER,
    OBJECT,
    PROPERTIES,
    Thermostat,
    ask,
    error,
    get_all,
    hosting,
    introspect,
    result,
    strange_peer,
    until,
)
from tests.dbus.pipes import pipe_with, read

HALL = "/hall"
LOCAL = "local.Thermostat1"
AT_HALL: dict[str, Any] = {"path": HALL, "interface": LOCAL}


def server_of(node: Node) -> PeersServer:
    (server,) = node._servers
    assert isinstance(server, PeersServer)
    return server


async def dial(node: Node, **settings: Any) -> Connection:
    return await Connection.open(server_of(node).address, bus=False, **settings)


@pytest.fixture(params=["local:{}/plant", "localabstract:{}/plant", "tcp://127.0.0.1:0"])
def url(request: pytest.FixtureRequest, folder: Path) -> str:
    """The URL of each transport."""
    return f"dbus+{request.param.format(folder)}"


async def test_peers_use_objects_as_programs_on_a_bus_do(url: str) -> None:
    source = Thermostat()
    async with hosting(url, hall=source) as node, await dial(node) as client:
        assert await result(client, "Boost", "x", 1, **AT_HALL) == ("1 cold",)
        assert await result(client, "Split", "s", "hot", **AT_HALL) == ("HOT", 3)
        assert (await get_all(client, LOCAL, path=HALL))["Target"] == 21.0
        place = {"path": HALL, "interface": PROPERTIES}
        assert await result(client, "Set", "ssv", LOCAL, "Target", Variant("d", 30.0), **place) == ()
        assert source.target == 30.0
        assert await error(client, "Nonsense", **AT_HALL) == f"{ERROR}UnknownMethod"
        assert [node.name for node in parse(await introspect(client, "/")).nodes] == ["hall"]
        (managed,) = await result(client, "GetManagedObjects", path="/", interface=MANAGER)
        assert list(managed) == [HALL]
        await result(client, "Open", "usav", 1, "Count", [Variant("x", 2)], path=HALL, interface=OBJECT)
        heard = await client.messages(Match(interface=OBJECT))
        await result(client, "Grant", "uu", 1, 9, path=HALL, interface=OBJECT)
        assert [(await anext(heard)).member for _ in range(3)] == ["Item", "Item", "Ended"]


async def test_a_slot_learns_from_the_kernel_who_calls(folder: Path) -> None:
    async with hosting(f"dbus+local:{folder}/plant", hall=Thermostat()) as node, await dial(node) as client:
        (who,) = await result(client, "Who", **AT_HALL)
        assert who == [f"uid:{os.getuid()}", str(os.getpid()), os.path.realpath(sys.executable), "", "", "dbus"]
    async with hosting("dbus+tcp://127.0.0.1:0", hall=Thermostat()) as node, await dial(node) as client:
        (who,) = await result(client, "Who", **AT_HALL)
        assert (who[0], who[1], who[4].startswith("127.0.0.1:")) == ("anonymous", "None", True)


async def test_a_service_gives_peers_the_paths_and_interfaces_that_it_has_on_a_bus(folder: Path) -> None:
    url = f"dbus+local:{folder}/plant?service=org.acme.Climate"
    async with hosting(url, hall=Thermostat()) as node, await dial(node) as client:
        assert node.addresses == (url,)
        assert await result(client, "Boost", "x", 1) == ("1 cold",)


# --------------------------------------------------------------------------------------------------------- what is told
async def test_a_peer_hears_everything_until_it_chooses(folder: Path) -> None:
    hall, cellar = Thermostat(), Thermostat()
    async with (
        hosting(f"dbus+local:{folder}/plant", hall=hall, cellar=cellar) as node,
        await dial(node) as listens,
        await dial(node) as chooses,
    ):
        everything, chosen = await listens.messages(Match()), await chooses.messages(Match())
        for peer in (listens, chooses):
            await result(peer, "Boost", "x", 1, **AT_HALL)
        hall.over_heated.emit(1.0, "attic")
        for stream in (everything, chosen):
            told = await anext(stream)
            assert (told.path, told.member, told.body) == (HALL, "OverHeated", (1.0, "attic"))
        await result(chooses, "Attach", path="/cellar", interface=OBJECT)
        hall.target, cellar.target = 30.0, 31.0
        assert (await anext(everything)).body[1] == {"Target": Variant("d", 30.0)}
        assert (await anext(everything)).body[1] == {"Target": Variant("d", 31.0)}
        told = await anext(chosen)
        assert (told.path, told.body[1]) == ("/cellar", {"Target": Variant("d", 31.0)})
        await result(chooses, "Detach", path="/cellar", interface=OBJECT)
        cellar.target = 32.0
        node.publish(Thermostat(), "attic")
        for stream, expected in ((everything, ["PropertiesChanged", "InterfacesAdded"]), (chosen, ["InterfacesAdded"])):
            assert [(await anext(stream)).member for _ in expected] == expected
        node.withdraw("hall")
        for stream in (everything, chosen):
            removed = await anext(stream)
            assert (removed.path, removed.member, removed.body[0]) == ("/", "InterfacesRemoved", HALL)


async def test_a_peer_that_does_not_read_costs_a_bounded_amount_and_is_told_what_it_missed(folder: Path) -> None:
    limits = Limits(unsent_soft=64 * KIB, unsent_hard=256 * KIB)
    source = Thermostat()
    async with (
        hosting(f"dbus+local:{folder}/plant", limits=limits, hall=source) as node,
        await dial(node) as sleepy,
        await dial(node) as awake,
    ):
        heard = await sleepy.messages(Match(path=HALL))
        await result(sleepy, "Boost", "x", 1, **AT_HALL)
        sleepy.pause_reading()
        for number in range(500):
            source.over_heated.emit(float(number), "x" * 4096)
            source.target = 20.0 + number % 10
            if not number % 50:
                await result(awake, "Boost", "x", number, **AT_HALL)
        (link, _) = server_of(node).links()
        assert link.outbox.waiting_bytes <= limits.unsent_hard
        sleepy.resume_reading()
        numbers, values, gap = list[float](), list[float](), 0
        while not numbers or numbers[-1] < 499.0 or values[-1] != 29.0:
            told = await anext(heard)
            if told.member == "OverHeated":
                numbers.append(told.body[0])
            elif told.member == "PropertiesChanged" and "Target" in told.body[1]:
                values.append(told.body[1]["Target"].value)
            elif told.member == "Gap":
                gap += told.body[0]
        assert numbers == sorted(numbers)
        assert (gap > 0, gap + len(numbers)) == (True, 500)
        assert node.refusals["dropped_signals"] == gap


# ------------------------------------------------------------------------------------------------------ who may connect
async def test_another_user_sees_nothing_and_sends_little(folder: Path) -> None:
    source = Thermostat()
    async with hosting(f"dbus+local:{folder}/plant", hall=source) as node:
        (folder / "plant").chmod(0o666)
        other = await strange_peer(folder / "plant")
        nothing = await ask(other, "Boost", "x", 1, **AT_HALL)
        absent = await ask(other, "Boost", "x", 1, path="/none", interface=LOCAL)
        assert (nothing.error_name, nothing.body[0].replace(HALL, "/none")) == (absent.error_name, absent.body[0])
        assert nothing.error_name == f"{ERROR}UnknownObject"
        assert parse(await introspect(other, "/")).nodes == ()
        heard = await other.messages(Match())
        source.target = 30.0
        assert await error(other, "Boost", "xs", 1, "x" * 20_000, **AT_HALL) == f"{ERROR}LimitsExceeded"
        assert not heard._waiting
        node.publish(Thermostat(), "public", policy=Policy(role=lambda _: Role.OPERATOR))
        assert (await anext(heard)).body[0] == "/public"
        assert await result(other, "Boost", "xs", 1, "x" * 20_000, path="/public", interface=LOCAL)
        await other.close()


async def test_addresses_that_others_reach_are_refused_and_logins_are_not_pretended(tmp_path: Path) -> None:
    with pytest.raises(InsecureBind):
        async with hosting("dbus+tcp://0.0.0.0:0", hall=Thermostat()):
            pass
    async with hosting(DBus(url="dbus+tcp://0.0.0.0:0", insecure=True), hall=Thermostat()) as node:
        assert node.addresses[0].startswith("dbus+tcp://0.0.0.0:")
    async with Node(tokens=Tokens(tmp_path / "tokens")) as node:
        with pytest.raises(InsecureBind, match="D-Bus over TCP has none"):
            await node.serve("dbus+tcp://127.0.0.1:0")


async def test_an_address_in_use_and_settings_of_a_bus_are_refused(folder: Path) -> None:
    url = f"dbus+local:{folder}/plant"
    async with hosting(url, hall=Thermostat()):
        with pytest.raises(AddressInUse):
            async with hosting(url, hall=Thermostat()):
                pass
    with pytest.raises(AddressError, match="names on a bus"):
        async with hosting(f"{url}?queue=yes", hall=Thermostat()):
            pass


async def test_connections_are_bounded(folder: Path) -> None:
    async with hosting(f"dbus+local:{folder}/plant", limits=Limits(connections=2), hall=Thermostat()) as node:
        kept = [await dial(node) for _ in range(2)]
        with pytest.raises(ConnectionError):
            await dial(node)
        await kept.pop().close()
        await until(lambda: len(tuple(server_of(node).links())) == 1)
        async with await dial(node) as again:
            assert await result(again, "Boost", "x", 1, **AT_HALL) == ("1 cold",)
        await kept.pop().close()


async def test_closing_a_node_answers_what_runs_and_ends_every_link(folder: Path) -> None:
    source = Thermostat()
    async with Node() as node:
        node.publish(source, "hall")
        await node.serve(f"dbus+local:{folder}/plant")
        client = await dial(node)
        held = asyncio.ensure_future(result(client, "Hold", "x", 3, **AT_HALL))
        await until(lambda: source.ran)
        closing = asyncio.ensure_future(node.aclose(grace=5.0))
        await asyncio.sleep(0)
        source.gate.set()
        await closing
        assert await held == (3,)
        assert await client.closed is not None
        await client.close()


async def test_a_peer_that_breaks_the_protocol_is_cut_and_counted(folder: Path) -> None:
    async with hosting(f"dbus+local:{folder}/plant", hall=Thermostat()) as node, await dial(node) as honest:
        for words in (b"GET / HTTP/1.1\r\n\r\n", b"\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n" + b"\xff" * 64):
            reader, writer = await asyncio.open_unix_connection(str(folder / "plant"))
            writer.write(words)
            while await reader.read(4096):
                pass
            writer.close()
        assert node.refusals["protocol"] == 2
        assert await result(honest, "Boost", "x", 1, **AT_HALL) == ("1 cold",)


# ----------------------------------------------------------------------------------------------------------- open files
class Archive(Object):
    page: Property[UnixFd] = prop(factory=lambda: pipe_with("first"))
    count: Property[int] = prop(0)

    @signal
    def printed(self, page: UnixFd) -> None: ...

    @slot
    async def fetch(self, text: str) -> UnixFd:
        self.count += 1
        return pipe_with(text)


async def test_open_files_go_over_unix_sockets_only(url: str) -> None:
    source, place = Archive(), {"path": "/archive", "interface": "local.Archive1"}
    async with hosting(url, archive=source) as node, await dial(node) as client:
        heard = await client.messages(Match(path="/archive"))
        if "tcp" in url:
            assert await error(client, "Fetch", "s", "x", **place) == "org.everywire.Error.FailedPrecondition"
            assert source.count == 0, "it is not run for nothing"
            source.printed.emit(pipe_with("paper"))
            source.count = 7
            assert (await anext(heard)).body[1] == {"Count": Variant("x", 7)}
        else:
            answer = await ask(client, "Fetch", "s", "x", **place)
            assert read(answer.fds[0]) == "x"
            assert (await anext(heard)).body[1] == {"Count": Variant("x", 1)}
            source.printed.emit(pipe_with("paper"))
            assert read((await anext(heard)).fds[0]) == "paper"


async def test_a_property_that_is_an_open_file_is_left_out_where_none_can_go(folder: Path) -> None:
    async with hosting("dbus+tcp://127.0.0.1:0", archive=Archive()) as node, await dial(node) as client:
        place = {"path": "/archive", "interface": PROPERTIES}
        assert await error(client, "Get", "ss", "", "Page", **place) == "org.everywire.Error.FailedPrecondition"
        (values,) = await result(client, "GetAll", "s", "", **place)
        assert set(values) == {"Count"}


# ------------------------------------------------------------------------------------------- libraries made for buses
async def test_a_client_that_takes_us_for_a_bus_goes_on(folder: Path) -> None:
    source = Thermostat()
    async with hosting(f"dbus+local:{folder}/plant", hall=source) as node:
        client = await MessageBus(bus_address=f"unix:path={folder}/plant").connect()
        try:
            assert client.unique_name is not None
            assert client.unique_name.startswith(":1.")
            call = FastMessage(
                destination="org.acme.Any", path=HALL, interface=LOCAL, member="Boost", signature="xs", body=[1, "x"]
            )
            answer = await client.call(call)
            assert answer is not None
            assert answer.body == ["1 x"]
            proxy = client.get_proxy_object("org.acme.Any", HALL, await client.introspect("org.acme.Any", HALL))
            room: Any = proxy.get_interface(LOCAL)
            assert await room.call_split("hot") == ["HOT", 3]
            assert await room.get_target() == 21.0
        finally:
            client.disconnect()
            await until(lambda: not tuple(server_of(node).links()))


async def test_gdbus_and_busctl_use_a_peer(folder: Path) -> None:
    source, address = Thermostat(), f"unix:path={folder}/plant"
    async with hosting(f"dbus+local:{folder}/plant", hall=source):
        assert await tools.gdbus_call(address, "org.acme.Any", HALL, f"{LOCAL}.Boost", "3", "'x'") == ("3 x",)
        assert LOCAL in await tools.gdbus_introspect(address, "org.acme.Any", HALL)
        assert await tools.busctl_call(address, "org.acme.Any", HALL, LOCAL, "Split", "s", "hot") == ["HOT", 3]
        assert await tools.dbus_send(address, "", HALL, f"{LOCAL}.Boost", "int64:1", bus=False) == ["1 cold"]
    assert source.ran == ["boost 3", "boost 1"]


async def test_hello_is_said_once_and_other_words_for_a_bus_lead_nowhere(folder: Path) -> None:
    async with hosting(f"dbus+local:{folder}/plant", hall=Thermostat()) as node, await dial(node) as client:
        bus = {"path": "/org/freedesktop/DBus", "interface": "org.freedesktop.DBus", "to": "org.freedesktop.DBus"}
        (name,) = await result(client, "Hello", **bus)
        assert name.startswith(":1.")
        assert (await ask(client, "Hello", **bus)).kind is Kind.ERROR
        assert await result(client, "AddMatch", "s", "type='signal'", **bus) == ()
        assert await error(client, "RequestName", "su", "org.acme.A", 0, **bus) == f"{ERROR}UnknownObject"
        assert await result(client, "Introspect", path="/", interface=INTROSPECTABLE)
