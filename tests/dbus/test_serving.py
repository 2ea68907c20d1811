"""Objects of a node on a bus, as any program of D-Bus sees them: methods, properties, signals, introspection, paths."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from everywire import ModelError, Node, Object, Property, prop, signal, slot
from everywire.dbus import UnixFd, interface
from everywire.dbus.introspection import parse
from everywire.dbus.session import NO_REPLY, Connection, Kind, Match, Message, Variant
from everywire.model.description import describe, read_description
from everywire.model.reading import contract_of
from tests.dbus.hosts import (
    BASE,
    ERROR,
    HALL,
    INTROSPECTABLE,
    MANAGER,
    OBJECT,
    PEER,
    PROPERTIES,
    SERVICE,
    THERMOSTAT,
    Thermostat,
    ask,
    at,
    error,
    get_all,
    hosting,
    introspect,
    result,
)
from tests.dbus.pipes import pipe_with, read


# ------------------------------------------------------------------------------------------------------------ methods
async def test_methods_answer_with_their_results(each_bus: str) -> None:
    source = Thermostat()
    async with hosting(at(each_bus), hall=source), await Connection.open(each_bus) as client:
        answer = await ask(client, "Boost", "xs", 5, "draught")
        assert (answer.signature, answer.body, answer.sender != client.unique_name) == ("s", ("5 draught",), True)
        assert await result(client, "Boost", "x", 5) == ("5 cold",), "a default may be left out"
        answer = await ask(client, "Split", "s", "hot")
        assert (answer.signature, answer.body) == ("sx", ("HOT", 3)), "a tuple is several results"
        answer = await ask(client, "Reset")
        assert (answer.signature, answer.body) == ("", ())
        assert source.ran == ["boost 5", "boost 5", "reset"]


async def test_a_call_without_an_interface_finds_its_method(bus: str) -> None:
    async with hosting(at(bus), hall=Thermostat()), await Connection.open(bus) as client:
        assert await result(client, "Boost", "x", 1, interface="") == ("1 cold",)
        assert await result(client, "Ping", interface="") == ()
        (value,) = await result(client, "Get", "ss", "", "Target", interface="")
        assert value == Variant("d", 21.0)
        assert await result(client, "Set", "ssv", "", "Target", Variant("d", 22.0), interface="") == ()
        assert await error(client, "Nonsense", interface="") == f"{ERROR}UnknownMethod"


async def test_a_call_that_wants_no_answer_gets_none_and_runs(bus: str) -> None:
    source = Thermostat()
    async with hosting(at(bus), hall=source), await Connection.open(bus) as client:
        heard: list[object] = []
        for member, signature, *body in (("Reset", ""), ("Nonsense", ""), ("Boost", "s", "x"), ("Explode", "")):
            message = Message(
                kind=Kind.CALL, destination=SERVICE, path=HALL, interface=THERMOSTAT, member=member,
                signature=signature, body=tuple(body), flags=NO_REPLY,
            )  # fmt: skip
            client.request(message, heard.append)
        assert await result(client, "Boost", "x", 1) == ("1 cold",)
        assert (heard, source.ran) == ([], ["reset", "boost 1"])


@pytest.mark.parametrize(
    "place, member, arguments, expected",
    [
        ({}, "Nonsense", (), "UnknownMethod"),
        ({}, "Count", ("x", 3), "UnknownMethod"),
        ({"interface": "org.acme.Other1"}, "Boost", ("x", 1), "UnknownInterface"),
        ({"path": f"{BASE}/cellar"}, "Boost", ("x", 1), "UnknownObject"),
        ({"path": f"{HALL}/deeper"}, "Boost", ("x", 1), "UnknownObject"),
        ({"path": BASE}, "Boost", ("x", 1), "UnknownInterface"),
        ({}, "Boost", ("s", "x"), "InvalidArgs"),
        ({}, "Boost", ("xss", 1, "a", "b"), "InvalidArgs"),
        ({}, "Boost", (), "InvalidArgs"),
        ({"interface": PROPERTIES}, "Get", ("s", THERMOSTAT), "InvalidArgs"),
        ({"interface": PROPERTIES}, "Get", ("ss", THERMOSTAT, "Nonsense"), "UnknownProperty"),
        ({"interface": PROPERTIES}, "Get", ("ss", "org.acme.Other1", "Target"), "UnknownInterface"),
        ({"interface": PROPERTIES}, "GetAll", ("s", "org.acme.Other1"), "UnknownInterface"),
        ({"interface": PROPERTIES}, "Set", ("ssv", THERMOSTAT, "Target", Variant("s", "x")), "InvalidArgs"),
        ({"interface": PROPERTIES}, "Set", ("ssv", THERMOSTAT, "Label", Variant("s", "x")), "PropertyReadOnly"),
        ({"interface": PROPERTIES}, "Set", ("ssv", OBJECT, "Contract", Variant("s", "x")), "PropertyReadOnly"),
        ({"interface": PROPERTIES}, "Set", ("ssv", THERMOSTAT, "Nonsense", Variant("s", "x")), "UnknownProperty"),
        ({"interface": PROPERTIES}, "Set", ("ssv", "org.acme.Other1", "Target", Variant("d", 1.0)), "UnknownInterface"),
        ({"interface": PROPERTIES}, "Set", ("ss", THERMOSTAT, "Target"), "InvalidArgs"),
        ({"interface": PROPERTIES, "path": BASE}, "GetAll", ("s", ""), "UnknownInterface"),
        ({"interface": MANAGER}, "GetManagedObjects", (), "UnknownInterface"),
        ({"interface": INTROSPECTABLE}, "Introspect", ("s", "x"), "InvalidArgs"),
        ({"interface": OBJECT}, "Open", ("usav", 1, "Nonsense", []), "UnknownMethod"),
        ({"interface": PEER}, "Nonsense", (), "UnknownMethod"),
    ],
)
async def test_what_is_not_there_or_does_not_fit_is_answered_by_its_name(
    bus: str, place: dict[str, Any], member: str, arguments: tuple[Any, ...], expected: str
) -> None:
    source = Thermostat()
    async with hosting(at(bus), hall=source), await Connection.open(bus) as client:
        assert await error(client, member, *arguments, **place) == ERROR + expected
        assert (source.ran, source.target) == ([], 21.0)


async def test_faults_arrive_by_their_names_and_exceptions_tell_nothing(bus: str) -> None:
    async with hosting(at(bus), hall=Thermostat()), await Connection.open(bus) as client:
        assert await error(client, "Refuse", "s", "PERMISSION_DENIED") == f"{ERROR}AccessDenied"
        assert await error(client, "Refuse", "s", "ABORTED") == "org.everywire.Error.Aborted"
        answer = await ask(client, "Explode")
        assert (answer.error_name, "ValueError" in answer.body[0], "swordfish" in answer.body[0]) == (
            f"{ERROR}Failed", True, False,
        )  # fmt: skip


# --------------------------------------------------------------------------------------------------------- properties
async def test_properties_are_read_and_written(each_bus: str) -> None:
    source = Thermostat()
    async with hosting(at(each_bus), hall=source), await Connection.open(each_bus) as client:
        expected = {"Target": 21.0, "Label": "hall", "Readings": [], "Warm": True}
        assert await get_all(client) == await get_all(client, "") == expected
        assert await get_all(client, PEER) == {}
        assert await result(
            client, "Set", "ssv", THERMOSTAT, "Target", Variant("d", 18.5), interface=PROPERTIES
        ) == ()  # fmt: skip
        assert (source.target, source.warm) == (18.5, False)
        assert await result(client, "Get", "ss", THERMOSTAT, "Warm", interface=PROPERTIES) == (Variant("b", False),)
        out = await error(client, "Set", "ssv", THERMOSTAT, "Target", Variant("d", 99.0), interface=PROPERTIES)
        assert out == "org.everywire.Error.OutOfRange"
        assert source.target == 18.5


async def test_the_contract_is_asked_for_by_name_and_left_out_of_what_people_read(bus: str) -> None:
    async with hosting(at(bus), hall=Thermostat()), await Connection.open(bus) as client:
        (told,) = await result(client, "Get", "ss", OBJECT, "Contract", interface=PROPERTIES)
        assert str(read_description(told.value.encode())) == str(contract_of(Thermostat))
        assert json.loads(told.value) == json.loads(describe(contract_of(Thermostat)))
        assert await get_all(client, OBJECT) == {}


async def test_a_value_that_d_bus_cannot_carry_is_told_as_invalidated_and_left_out(bus: str) -> None:
    source = Thermostat()
    async with hosting(at(bus), hall=source) as node, await Connection.open(bus) as client:
        await result(client, "Attach", interface=OBJECT)
        heard = await client.messages(Match(path=HALL))
        source.label = "a\0b"
        assert (await anext(heard)).body == (THERMOSTAT, {}, ["Label"])
        assert "Label" not in await get_all(client)
        refused = await error(client, "Get", "ss", THERMOSTAT, "Label", interface=PROPERTIES)
        assert refused != f"{ERROR}UnknownProperty"
        source.over_heated.emit(1.0, "\ud800")
        source.over_heated.emit(2.0, "attic")
        assert (await anext(heard)).body == (2.0, "attic")
        assert node.refusals["uncarried"] >= 3


# ----------------------------------------------------------------------------------------------- signals and audience
async def test_on_the_bus_of_a_session_everybody_hears_changes_and_signals(
    bus: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", bus)
    source = Thermostat()
    async with hosting(at("session"), hall=source) as node, await Connection.open(bus) as client:
        assert node.addresses == (f"dbus:session?service={SERVICE}",)
        heard = await client.messages(Match(sender=SERVICE))
        source.target = 30.0
        source.over_heated.emit(80.0, "attic")
        message = await anext(heard)
        assert (message.interface, message.member, message.signature) == (PROPERTIES, "PropertiesChanged", "sa{sv}as")
        assert (message.path, message.destination) == (HALL, "")
        assert message.body == (THERMOSTAT, {"Target": Variant("d", 30.0)}, [])
        message = await anext(heard)
        assert (message.interface, message.member, message.body) == (THERMOSTAT, "OverHeated", (80.0, "attic"))
        node.publish(Thermostat(), "cellar")
        added = await anext(heard)
        assert (added.path, added.member, added.body[0]) == (BASE, "InterfacesAdded", f"{BASE}/cellar")
        assert added.body[1][THERMOSTAT]["Target"] == Variant("d", 21.0)
        node.withdraw("cellar")
        removed = await anext(heard)
        assert (removed.member, removed.body[0], THERMOSTAT in removed.body[1]) == (
            "InterfacesRemoved", f"{BASE}/cellar", True,
        )  # fmt: skip


async def test_on_a_bus_of_strangers_only_who_has_asked_and_may_hear_is_told(each_bus: str) -> None:
    source = Thermostat()
    async with (
        hosting(at(each_bus), hall=source),
        await Connection.open(each_bus) as attached,
        await Connection.open(each_bus) as reads,
        await Connection.open(each_bus) as listens,
    ):
        streams = [await one.messages(Match(path=HALL)) for one in (attached, reads, listens)]
        (values,) = await result(attached, "Attach", interface=OBJECT)
        assert values["Target"] == Variant("d", 21.0)
        await get_all(reads)
        source.target = 30.0
        for one, stream in zip((attached, reads), streams, strict=False):
            told = await anext(stream)
            assert (told.destination, told.body[1]) == (one.unique_name, {"Target": Variant("d", 30.0)})
        await result(attached, "Detach", interface=OBJECT)
        source.target = 31.0
        assert (await anext(streams[1])).body[1] == {"Target": Variant("d", 31.0)}
        await result(attached, "Boost", "x", 1)  # behind anything that would have been told
        await result(listens, "Boost", "x", 1)
        assert not any(streams[n]._waiting for n in (0, 2))


async def test_who_knows_the_objects_hears_which_come_and_go(bus: str) -> None:
    async with hosting(at(bus), hall=Thermostat()) as node, await Connection.open(bus) as client:
        (managed,) = await result(client, "GetManagedObjects", path=BASE, interface=MANAGER)
        assert list(managed) == [HALL]
        assert {THERMOSTAT, OBJECT, PROPERTIES, PEER, INTROSPECTABLE} == set(managed[HALL])
        assert managed[HALL][THERMOSTAT]["Label"] == Variant("s", "hall")
        heard = await client.messages(Match(path=BASE))
        node.publish(Thermostat(), "cellar")
        told = await anext(heard)
        assert (told.member, told.body[0], told.destination) == (
            "InterfacesAdded", f"{BASE}/cellar", client.unique_name,
        )  # fmt: skip
        node.withdraw("hall")
        assert (await anext(heard)).body[0] == HALL
        assert await error(client, "Boost", "x", 1) == f"{ERROR}UnknownObject"


async def test_the_order_of_one_objects_news_is_kept(bus: str) -> None:
    source = Thermostat()
    async with hosting(at(bus), hall=source), await Connection.open(bus) as client:
        heard = await client.messages(Match(path=HALL))
        await result(client, "Attach", interface=OBJECT)
        for number in range(300):
            source.readings = [float(number)]
            source.over_heated.emit(float(number), "attic")
        seen = [await anext(heard) for _ in range(600)]
        numbers = [m.body[0] if m.member == "OverHeated" else m.body[1]["Readings"].value[0] for m in seen]
        assert numbers == [float(number) for number in range(300) for _ in (1, 2)]


# ------------------------------------------------------------------------------------------------ introspection, paths
async def test_every_path_tells_what_is_there(bus: str) -> None:
    async with hosting(at(bus), hall=Thermostat(), cellar=Thermostat()), await Connection.open(bus) as client:
        for path, below in (("/", "org"), ("/org", "acme"), ("/org/acme", "Climate")):
            node = parse(await introspect(client, path))
            assert [child.name for child in node.nodes] == [below]
            assert [one.name for one in node.interfaces] == [PEER, INTROSPECTABLE]
        base = parse(await introspect(client, BASE))
        assert [child.name for child in base.nodes] == ["hall", "cellar"]
        assert MANAGER in [one.name for one in base.interfaces]
        hall = parse(await introspect(client, HALL))
        assert [one.name for one in hall.interfaces] == [THERMOSTAT, PROPERTIES, OBJECT, PEER, INTROSPECTABLE]
        (own, *_) = hall.interfaces
        assert [(method.name, method.in_signature, method.out_signature) for method in own.methods][:2] == [
            ("Boost", "xs", "s"), ("Split", "s", "sx"),
        ]  # fmt: skip
        assert own.doc == "Keeps one room warm."
        assert await error(client, "Introspect", path="/org/acme/Other", interface=INTROSPECTABLE) == (
            f"{ERROR}UnknownObject"
        )


async def test_every_path_has_the_interface_peer(bus: str) -> None:
    async with hosting(at(bus), hall=Thermostat()), await Connection.open(bus) as client:
        for path in ("/", BASE, HALL, "/nothing/here"):
            assert await result(client, "Ping", path=path, interface=PEER) == ()
            (machine,) = await result(client, "GetMachineId", path=path, interface=PEER)
            assert len(machine) == 32


async def test_names_that_are_no_elements_of_paths_are_escaped(bus: str) -> None:
    async with Node() as node, await Connection.open(bus) as client:
        for name in ("room 1", "größe", "."):
            node.publish(Thermostat(), name)
        await node.serve(at(bus))
        for path in (f"{BASE}/room_201", f"{BASE}/gr_c3_b6_c3_9fe", BASE):
            assert await result(client, "Boost", "x", 1, path=path) == ("1 cold",)
        (managed,) = await result(client, "GetManagedObjects", path=BASE, interface=MANAGER)
        assert set(managed) == {f"{BASE}/room_201", f"{BASE}/gr_c3_b6_c3_9fe"}, "an object does not manage itself"


async def test_path_and_interface_can_be_given(bus: str) -> None:
    url = at(bus, "&path=/plant&interface=org.acme.Heating")
    async with hosting(url, hall=Thermostat()) as node, await Connection.open(bus) as client:
        assert await result(client, "Boost", "x", 1, path="/plant/hall", interface="org.acme.Heating") == ("1 cold",)
        assert node.addresses == (f"dbus:{bus}?service={SERVICE}&path=/plant",)


@interface("org.acme.Valve1", {"shut": "CloseNow"})
class Valve(Object):
    state: Property[str] = prop("open")

    @slot
    async def shut(self) -> str:
        return "shut"


@interface("org.acme.Motor1")
class Drive(Valve):
    speed: Property[int] = prop(3, writable=True)

    @signal
    def stalled(self, speed: int) -> None: ...

    @slot
    async def run(self) -> int:
        return self.speed


async def test_an_object_of_several_classes_has_several_interfaces(bus: str) -> None:
    drive = Drive()
    async with hosting(at(bus), hall=drive), await Connection.open(bus) as client:
        assert await result(client, "CloseNow", interface="org.acme.Valve1") == ("shut",)
        assert await result(client, "Run", interface="org.acme.Motor1") == (3,)
        assert await error(client, "CloseNow", interface="org.acme.Motor1") == f"{ERROR}UnknownMethod"
        assert await get_all(client, "org.acme.Valve1") == {"State": "open"}
        assert await get_all(client, "org.acme.Motor1") == {"Speed": 3}
        assert await get_all(client, "") == {"State": "open", "Speed": 3}
        assert await result(client, "Set", "ssv", "", "Speed", Variant("x", 7), interface=PROPERTIES) == ()
        heard = await client.messages(Match(path=HALL))
        drive.state = "shut"
        drive.stalled.emit(7)
        assert (await anext(heard)).body == ("org.acme.Valve1", {"State": Variant("s", "shut")}, [])
        assert (await anext(heard)).interface == "org.acme.Motor1"


async def test_a_class_that_d_bus_cannot_carry_is_refused_when_it_is_published(bus: str) -> None:
    class Deep(Object):
        value: Property[dict[str, dict[str, dict[str, Any]]]] = prop(factory=dict)

    class Struct(Object):
        nothing: Property[tuple[()]] = prop(())

    async with hosting(at(bus), fine=Deep()) as node:
        with pytest.raises(ModelError, match=r"Struct\.nothing: "):
            node.publish(Struct(), "hall")
        assert list(node.published) == ["fine"]


# ----------------------------------------------------------------------------------------------------- open files
class Archive(Object):
    page: Property[UnixFd] = prop(factory=lambda: pipe_with("first"), writable=True)

    @signal
    def printed(self, page: UnixFd) -> None: ...

    @slot
    async def fetch(self, text: str) -> UnixFd:
        return pipe_with(text)

    @slot
    async def keep(self, page: UnixFd) -> str:
        return read(page)


async def test_open_files_travel_in_both_directions(each_bus: str) -> None:
    source = Archive()
    place = {"path": f"{BASE}/archive", "interface": f"{SERVICE}.Archive1"}
    async with hosting(at(each_bus), archive=source), await Connection.open(each_bus) as client:
        answer = await ask(client, "Fetch", "s", "hello", **place)
        assert (answer.signature, answer.body, read(answer.fds[0])) == ("h", (0,), "hello")
        assert await result(client, "Keep", "h", 0, **place, fds=(pipe_with("mine"),)) == ("mine",)
        place["interface"] = PROPERTIES
        got = await ask(client, "Get", "ss", "", "Page", **place)
        assert (got.body[0].signature, read(got.fds[got.body[0].value])) == ("h", "first")
        heard = await client.messages(Match(path=place["path"]))
        await result(client, "GetAll", "s", "", **place)
        source.printed.emit(pipe_with("paper"))
        told = await anext(heard)
        assert read(told.fds[told.body[0]]) == "paper"


# ----------------------------------------------------------------------------------------------- streams and cancelling
async def test_a_stream_sends_what_is_granted_and_ends_by_name(bus: str) -> None:
    source = Thermostat()
    async with hosting(at(bus), hall=source), await Connection.open(bus) as client:
        heard = await client.messages(Match(path=HALL, interface=OBJECT))
        await result(client, "Open", "usav", 7, "Count", [Variant("x", 5)], interface=OBJECT)
        await result(client, "Grant", "uu", 7, 2, interface=OBJECT)
        items = [await anext(heard) for _ in range(2)]
        assert [message.body for message in items] == [(7, Variant("x", n)) for n in range(2)]
        assert items[0].destination == client.unique_name
        await result(client, "Boost", "x", 1)
        assert not heard._waiting, "no more was granted"
        await result(client, "Grant", "uu", 7, 64, interface=OBJECT)
        assert [(await anext(heard)).body[1].value for _ in range(3)] == [2, 3, 4]
        ended = await anext(heard)
        assert (ended.member, ended.signature, ended.body) == ("Ended", "uss", (7, "", ""))
        assert await source.ended.get() == "counted 5"


async def test_a_stream_that_is_closed_or_whose_reader_leaves_ends(bus: str) -> None:
    source = Thermostat()
    async with hosting(at(bus), hall=source) as node, await Connection.open(bus) as client:
        await result(client, "Open", "usav", 1, "Count", [Variant("x", 100)], interface=OBJECT)
        await result(client, "Grant", "uu", 1, 1, interface=OBJECT)
        await result(client, "Close", "u", 1, interface=OBJECT)
        assert await source.ended.get() == "counted 100"
        other = await Connection.open(bus)
        await result(other, "Open", "usav", 1, "count", [Variant("x", 50)], interface=OBJECT)
        await result(other, "Grant", "uu", 1, 1, interface=OBJECT)
        await other.close()
        assert await source.ended.get() == "counted 50"
        heard = await client.messages(Match(path=HALL, interface=OBJECT))
        await result(client, "Open", "usav", 2, "Count", [Variant("s", "many")], interface=OBJECT)
        assert (await anext(heard)).body[:2] == (2, f"{ERROR}InvalidArgs")
        await result(client, "Open", "usav", 3, "Count", [Variant("x", 9)], interface=OBJECT)
        assert await error(client, "Open", "usav", 3, "Count", [Variant("x", 9)], interface=OBJECT) == (
            "org.everywire.Error.AlreadyExists"
        )
        node.withdraw("hall")
        assert (await anext(heard)).body[:2] == (3, "org.everywire.Error.Unavailable")


async def test_a_call_is_cancelled_by_its_serial_and_by_its_caller_only(bus: str) -> None:
    source = Thermostat()
    async with (
        hosting(at(bus), hall=source),
        await Connection.open(bus) as client,
        await Connection.open(bus) as other,
    ):
        serial = client.next_serial() + 1
        held = asyncio.ensure_future(ask(client, "Hold", "x", 1))
        await asyncio.sleep(0)
        while "hold 1" not in source.ran:
            await result(client, "Boost", "x", 0)
        await result(other, "Cancel", "u", serial, interface=OBJECT)
        await result(client, "Cancel", "u", serial, interface=OBJECT)
        answer = await held
        assert (answer.error_name, answer.reply_serial) == ("org.everywire.Error.Cancelled", serial)
        assert await source.ended.get() == "cancelled 1"

