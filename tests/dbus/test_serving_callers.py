"""Who calls on a bus, what they may do there, and how much of it: identity, policy, strangers, floods."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable
from typing import Any

import pytest

from everywire import Caller, Limits, Node, Policy, Role, Tokens, allow
from everywire.dbus.endpoint.serving import BusServer
from everywire.dbus.endpoint.visiting import Visitor, Visitors
from everywire.dbus.introspection import parse
from everywire.dbus.session import Connection, Kind, Match, Message, Variant
from everywire.runtime.limits import KIB, MIB
from tests.dbus import lab
from tests.dbus.hosts import (
    BASE,
    ERROR,
    HALL,
    INTROSPECTABLE,
    MANAGER,
    OBJECT,
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
    stranger,
    until,
)

ROOM = f'<policy context="default"><allow send_destination="{SERVICE}"/></policy>'
NOTHING: tuple[str, tuple[str]] = (f"{ERROR}UnknownObject", (f"there is no object at {HALL}",))


@pytest.fixture
def open_bus(system_bus: lab.Bus) -> str:
    """The address of a bus of several users, each of whom may call our service."""
    system_bus.rule("climate", ROOM)
    return system_bus.address


def visitors_of(node: Node) -> Visitors:
    (server,) = node._servers
    assert isinstance(server, BusServer)
    assert server.visitors is not None
    return server.visitors


async def refusal(client: Connection, member: str, *arguments: Any, **place: Any) -> tuple[str, tuple[Any, ...]]:
    answer = await ask(client, member, *arguments, **place)
    assert answer.kind is Kind.ERROR
    return answer.error_name, answer.body[:1]


# ------------------------------------------------------------------------------------------------------------ identity
async def test_a_slot_learns_from_the_bus_who_calls(each_bus: str) -> None:
    async with hosting(at(each_bus), hall=Thermostat()), await Connection.open(each_bus) as client:
        (who,) = await result(client, "Who")
        assert who[:3] == [f"uid:{os.getuid()}", str(os.getpid()), os.path.realpath(sys.executable)]
        assert who[4:] == [client.unique_name, "dbus"]


async def test_the_bus_is_asked_once_for_each_sender_and_calls_wait_in_their_order(
    bus: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    request = Connection.request

    def counting(self: Connection, message: Message, on_reply: Any) -> int:
        if message.member == "GetConnectionCredentials":
            asked.append(message.body[0])
        return request(self, message, on_reply)

    monkeypatch.setattr(Connection, "request", counting)
    source = Thermostat()
    async with hosting(at(bus), hall=source) as node, await Connection.open(bus) as client:
        await asyncio.gather(*(ask(client, "Boost", "x", number) for number in range(50)))
        await result(client, "Boost", "x", 50)
        assert source.ran == [f"boost {number}" for number in range(51)]
        assert asked == [client.unique_name]
        await client.close()
        await until(lambda: not tuple(visitors_of(node)))
        assert len(node.refusals) == 0


async def test_who_is_gone_before_the_bus_could_say_who_it_was_is_nobody(
    bus: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the bus of a session nobody is a stranger: `dbus-send` does not wait for an answer."""
    monkeypatch.setattr(Visitors, "_caller", _vanished(Visitors._caller))
    for session, url, ran in ((bus, at("session"), ["boost 1"]), ("unix:path=/nowhere", at(bus), [])):
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", session)
        source = Thermostat()
        async with hosting(url, hall=source), await Connection.open(bus) as client:
            await ask(client, "Boost", "x", 1)
            assert source.ran == ran


def _vanished(caller: Callable[..., Caller]) -> Callable[..., Caller]:
    gone = Message(kind=Kind.ERROR, error_name=f"{ERROR}NameHasNoOwner", signature="s", body=("gone",))
    return lambda self, sender, _: caller(self, sender, gone)


async def test_where_logins_are_demanded_nobody_in_particular_gets_in(
    bus: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", bus)
    source = Thermostat()
    async with Node(tokens=Tokens(tmp_path / "tokens")) as node:
        node.publish(source, "hall")
        await node.serve(at("session"))
        async with await Connection.open(bus) as client:
            assert await result(client, "Boost", "x", 1) == ("1 cold",), "the bus vouches for this user"
        monkeypatch.setattr(Visitors, "_caller", _vanished(Visitors._caller))
        async with await Connection.open(bus) as client:
            assert await refusal(client, "Boost", "x", 2) == NOTHING


# ----------------------------------------------------------------------------------------------------------- strangers
async def test_to_another_user_nothing_is_there_and_nothing_is_told(
    open_bus: str, caplog: pytest.LogCaptureFixture
) -> None:
    source = Thermostat()
    async with hosting(at(open_bus), hall=source) as node, await stranger(open_bus) as other:
        heard = await other.messages(Match(kind=None, sender=SERVICE))
        for member, arguments, interface in (
            ("Boost", ("x", 1), THERMOSTAT),
            ("Boost", ("s", "not even the right type"), THERMOSTAT),
            ("Nonsense", (), THERMOSTAT),
            ("Nonsense", (), "org.acme.Nonsense1"),
            ("Get", ("ss", THERMOSTAT, "Target"), PROPERTIES),
            ("GetAll", ("s", ""), PROPERTIES),
            ("Set", ("ssv", THERMOSTAT, "Target", Variant("d", 30.0)), PROPERTIES),
            ("Set", ("ssv", THERMOSTAT, "Target", Variant("s", "wrong")), PROPERTIES),
            ("Introspect", (), INTROSPECTABLE),
            ("Attach", (), OBJECT),
            ("Open", ("usav", 1, "Count", [Variant("x", 1)]), OBJECT),
        ):
            assert await refusal(other, member, *arguments, interface=interface) == NOTHING, member
        absent = await refusal(other, "Boost", "x", 1, path=f"{BASE}/none")
        assert absent == (NOTHING[0], (NOTHING[1][0].replace(HALL, f"{BASE}/none"),)), "in the same words"
        assert parse(await introspect(other, BASE)).nodes == ()
        assert await result(other, "GetManagedObjects", path=BASE, interface=MANAGER) == ({},)
        source.target = 30.0
        source.over_heated.emit(1.0, "attic")
        node.publish(Thermostat(), "cellar")
        node.withdraw("cellar")
        await result(other, "Ping", interface="org.freedesktop.DBus.Peer")
        assert not heard._waiting
        assert (source.ran, node.refusals["NOT_FOUND"]) == ([], 12)
    lines = [json.loads(record.message) for record in caplog.records if record.name == "everywire.audit"]
    assert {line["caller"] for line in lines} == {f"uid:{lab.NOBODY}"}
    assert {line["address"] for line in lines} == {other.unique_name}
    assert [line["member"] for line in lines if line["denied"] == "call"][:2] == ["boost", "boost"]
    assert any(line["denied"] == "object" and line["object"] == "hall" for line in lines)


async def test_a_viewer_reads_and_hears_and_may_do_nothing(open_bus: str) -> None:
    source = Thermostat()
    policy = Policy(role=lambda caller: Role.VIEWER if caller.uid == lab.NOBODY else Role.STRANGER)
    async with hosting(at(open_bus), hall=source, policy=policy), await stranger(open_bus) as other:
        heard = await other.messages(Match(path=HALL))
        assert (await get_all(other))["Target"] == 21.0
        for arguments in (("x", 1), ("s", "the type is nobody's business")):
            assert (await refusal(other, "Boost", *arguments))[0] == f"{ERROR}AccessDenied"
        for value in (Variant("d", 30.0), Variant("s", "x"), Variant("d", 99.0)):
            arguments = ("ssv", THERMOSTAT, "Target", value)
            assert (await refusal(other, "Set", *arguments, interface=PROPERTIES))[0] == f"{ERROR}AccessDenied"
        assert source.ran == []
        source.target = 30.0
        assert (await anext(heard)).body[1] == {"Target": Variant("d", 30.0)}


async def test_a_hidden_member_is_refused_in_the_words_for_what_there_is_not(open_bus: str) -> None:
    policy = allow(Role.ADMIN, "boost", "target", "count")
    policy.role, policy.hide = lambda _: Role.OPERATOR, True
    async with hosting(at(open_bus), hall=Thermostat(), policy=policy), await stranger(open_bus) as other:
        for interface in (THERMOSTAT, ""):
            hidden = await refusal(other, "Boost", "x", 1, interface=interface)
            absent = await refusal(other, "Boast", "x", 1, interface=interface)
            assert hidden == (absent[0], (absent[1][0].replace("Boast", "Boost"),))
        for given in (THERMOSTAT, ""):
            hidden = await refusal(other, "Set", "ssv", given, "Target", Variant("d", 1.0), interface=PROPERTIES)
            absent = await refusal(other, "Set", "ssv", given, "Terget", Variant("d", 1.0), interface=PROPERTIES)
            assert hidden == (absent[0], (absent[1][0].replace("Terget", "Target"),))
        hidden = await refusal(other, "Open", "usav", 1, "Count", [], interface=OBJECT)
        absent = await refusal(other, "Open", "usav", 1, "Cant", [], interface=OBJECT)
        assert hidden == (absent[0], (absent[1][0].replace("Cant", "Count"),))


async def test_rights_that_are_taken_away_and_given_hold_at_once(open_bus: str) -> None:
    role = Role.OPERATOR
    policy = Policy(role=lambda caller: role if caller.uid == lab.NOBODY else Role.STRANGER)
    source = Thermostat()
    async with hosting(at(open_bus), hall=source, policy=policy), await stranger(open_bus) as other:
        heard = await other.messages(Match(path_namespace=BASE))
        await result(other, "GetManagedObjects", path=BASE, interface=MANAGER)
        await result(other, "Attach", interface=OBJECT)
        assert await result(other, "Boost", "x", 1) == ("1 cold",)
        await result(other, "Open", "usav", 1, "Count", [Variant("x", 5)], interface=OBJECT)
        role = Role.STRANGER
        policy.forget()
        source.target = 30.0
        told = [await anext(heard), await anext(heard)]
        assert {message.member for message in told} == {"Ended", "InterfacesRemoved"}
        assert await refusal(other, "Boost", "x", 1) == NOTHING
        role = Role.OPERATOR
        policy.forget()
        added = await anext(heard)
        assert (added.member, added.body[0]) == ("InterfacesAdded", HALL)
        assert added.body[1][THERMOSTAT]["Target"] == Variant("d", 30.0)
        assert await result(other, "Boost", "x", 2) == ("2 cold",)


async def test_an_object_for_all_is_told_to_all_until_it_no_longer_is(open_bus: str) -> None:
    role = Role.VIEWER
    policy = Policy(role=lambda caller: Role.ADMIN if caller.uid == 0 else role)
    source = Thermostat()
    async with hosting(at(open_bus), hall=source, policy=policy) as node, await stranger(open_bus) as other:
        heard = await other.messages(Match(sender=SERVICE, path=HALL))
        source.target = 30.0
        told = await anext(heard)
        assert (told.destination, told.body[1]) == ("", {"Target": Variant("d", 30.0)})
        role = Role.STRANGER
        node.recheck()
        source.target = 31.0
        await result(other, "Ping", interface="org.freedesktop.DBus.Peer")
        assert not heard._waiting


async def test_a_policy_that_fails_harms_nobody_else(bus: str) -> None:
    def role(_: Caller) -> Role:
        raise ValueError("the database is away")

    bad = Policy(role=role)
    async with hosting(at(bus), hall=Thermostat()) as node, await Connection.open(bus) as client:
        bad.role = lambda _: Role.ADMIN
        node.publish(Thermostat(), "cellar", policy=bad)
        bad.role = role
        for member, arguments, interface in (
            ("Boost", ("x", 1), THERMOSTAT), ("GetAll", ("s", ""), PROPERTIES), ("Introspect", (), INTROSPECTABLE),
        ):  # fmt: skip
            told = await refusal(client, member, *arguments, path=f"{BASE}/cellar", interface=interface)
            assert (told[0], "database" in told[1][0]) == (f"{ERROR}Failed", False)
        assert await result(client, "Boost", "x", 1) == ("1 cold",)
        bad.role = lambda _: Role.ADMIN


# -------------------------------------------------------------------------------------------------------------- limits
async def test_each_sender_has_its_own_limit_of_running_calls(bus: str) -> None:
    source, limits = Thermostat(), Limits(pending_calls=4, drain=0.0)
    async with (
        hosting(at(bus), hall=source, limits=limits),
        await Connection.open(bus) as greedy,
        await Connection.open(bus) as other,
    ):
        calls = [asyncio.ensure_future(ask(greedy, "Hold", "x", number)) for number in range(20)]
        while len(source.ran) < 4:
            await ask(other, "Who")
        assert await result(other, "Boost", "x", 1) == ("1 cold",)
        assert source.ran == [*(f"hold {number}" for number in range(4)), "boost 1"]
        source.gate.set()
        assert [(await call).body for call in calls] == [(number,) for number in range(20)]
        assert [ran for ran in source.ran if ran != "boost 1"] == [f"hold {number}" for number in range(20)]


async def test_what_one_sender_has_waiting_is_bounded_in_number_and_refused_beyond(bus: str) -> None:
    source, limits = Thermostat(), Limits(pending_calls=2, calls_burst=10, drain=0.0)
    async with (
        hosting(at(bus), hall=source, limits=limits) as node,
        await Connection.open(bus) as greedy,
        await Connection.open(bus) as other,
    ):
        calls = [asyncio.ensure_future(ask(greedy, "Hold", "x", number)) for number in range(2)]
        while len(source.ran) < 2:
            await ask(other, "Who")
        calls += [asyncio.ensure_future(ask(greedy, "Hold", "x", number)) for number in range(2, 6)]
        await ask(other, "Who")
        late = [asyncio.ensure_future(ask(greedy, "Hold", "x", number)) for number in range(6, 30)]
        refused = 0
        for call in asyncio.as_completed(late):
            answer = await call
            refused += answer.error_name == f"{ERROR}LimitsExceeded"
            if refused == 30 - 12:
                source.gate.set()
        assert refused == 30 - 12
        assert node.refusals["RESOURCE_EXHAUSTED"] == refused
        assert [(await call).body for call in calls] == [(number,) for number in range(6)]
        assert visitors_of(node).held == 0


async def test_of_a_flood_of_large_calls_a_bounded_amount_is_kept(bus: str) -> None:
    source = Thermostat()
    limits = Limits(pending_calls=1, frame=2 * MIB, unsent_hard=4 * MIB, drain=0.0)
    big = "x" * MIB
    async with hosting(at(bus), hall=source, limits=limits) as node, await Connection.open(bus) as other:
        floods = [await Connection.open(bus, limits=Limits(unsent_hard=64 * MIB)) for _ in range(4)]
        held = [asyncio.ensure_future(ask(flood, "Hold", "x", number)) for number, flood in enumerate(floods)]
        while len(source.ran) < len(floods):
            await ask(other, "Who")
        answers, most = list[Any](), 0
        for _ in range(25):
            for flood in floods:
                flood.request(_call("Boost", "xs", 1, big), answers.append)
            await ask(other, "Who")
            most = max(most, visitors_of(node).held)
        await until(lambda: len(answers) >= 100 - 6)
        assert most <= limits.unsent_hard + limits.frame
        assert {answer.error_name for answer in answers} == {f"{ERROR}LimitsExceeded"}
        assert node.refusals["RESOURCE_EXHAUSTED"] == len(answers)
        source.gate.set()
        await asyncio.gather(*held)
        await until(lambda: len(answers) == 100)
        assert visitors_of(node).held == 0
        for flood in floods:
            await flood.close()


def _call(member: str, signature: str, *body: Any) -> Message:
    return Message(
        kind=Kind.CALL, destination=SERVICE, path=HALL, interface=THERMOSTAT, member=member, signature=signature,
        body=body,
    )  # fmt: skip


async def test_a_message_that_is_too_large_is_refused_and_costs_nobody_the_connection(bus: str) -> None:
    source = Thermostat()
    async with (
        hosting(at(bus), hall=source, limits=Limits(frame=64 * KIB)) as node,
        await Connection.open(bus) as client,
    ):
        assert await error(client, "Boost", "xs", 1, "x" * 70_000) == f"{ERROR}LimitsExceeded"
        assert await result(client, "Boost", "x", 2) == ("2 cold",)
        assert (source.ran, node.refusals["frame"]) == (["boost 2"], 1)


async def test_senders_are_forgotten_for_others_unless_something_goes_on(bus: str) -> None:
    source, limits = Thermostat(), Limits(connections=3, drain=0.0)
    async with hosting(at(bus), hall=source, limits=limits) as node:
        clients = [await Connection.open(bus) for _ in range(6)]
        for number, client in enumerate(clients):
            assert await result(client, "Boost", "x", number) == (f"{number} cold",)
        assert len(tuple(visitors_of(node))) == 3
        for client in clients[:3]:
            await result(client, "Attach", interface=OBJECT)
        assert await error(clients[3], "Boost", "x", 1) == f"{ERROR}LimitsExceeded"
        assert node.refusals["connections"] == 1
        await result(clients[0], "Detach", interface=OBJECT)
        assert await result(clients[3], "Boost", "x", 1) == ("1 cold",)
        for client in clients:
            await client.close()


async def test_one_user_does_not_take_the_places_of_others(open_bus: str) -> None:
    policy = Policy(role=lambda _: Role.OPERATOR)
    limits = Limits(connections=10, connections_per_user=2)
    async with hosting(at(open_bus), hall=Thermostat(), policy=policy, limits=limits) as node:
        others = [await stranger(open_bus) for _ in range(3)]
        for other in others[:2]:
            await result(other, "Attach", interface=OBJECT)
        assert await error(others[2], "Boost", "x", 1) == f"{ERROR}LimitsExceeded"
        async with await Connection.open(open_bus) as ours:
            assert await result(ours, "Boost", "x", 1) == ("1 cold",)
        assert node.refusals["connections"] == 1
        for other in others:
            await other.close()


async def test_who_attaches_to_too_many_objects_is_told(bus: str) -> None:
    rooms = {f"room{number}": Thermostat() for number in range(4)}
    async with (
        hosting(at(bus), limits=Limits(objects_per_link=2), **rooms) as node,
        await Connection.open(bus) as client,
    ):
        for number in range(2):
            await result(client, "Attach", path=f"{BASE}/room{number}", interface=OBJECT)
        assert await error(client, "Attach", path=f"{BASE}/room2", interface=OBJECT) == f"{ERROR}LimitsExceeded"
        assert await get_all(client, path=f"{BASE}/room3"), "who reads is answered, and told nothing more"
        (visitor,) = visitors_of(node)
        assert isinstance(visitor, Visitor)
        assert len(visitor.attached) == 2
        assert node.refusals["objects_per_link"] == 1


async def test_hostile_senders_are_answered_and_harm_nobody(open_bus: str) -> None:
    source = Thermostat()
    async with hosting(at(open_bus), hall=source), await stranger(open_bus) as hostile:
        odd = ("a\ufffdb" * 1000, "", ".", "x" * 60_000)
        for text in odd:
            for interface, member, signature, body in (
                (PROPERTIES, "Get", "ss", (text, text)),
                (PROPERTIES, "GetAll", "s", (text,)),
                (PROPERTIES, "Set", "ssv", (text, text, Variant("v", Variant("a{sv}", {text: Variant("s", text)})))),
                (OBJECT, "Open", "usav", (0xFFFF_FFFF, text, [Variant("s", text)] * 100)),
                (OBJECT, "Grant", "uu", (0xFFFF_FFFF, 0xFFFF_FFFF)),
                (OBJECT, "Cancel", "u", (0,)),
                (OBJECT, "Close", "u", (0,)),
            ):
                assert (await ask(hostile, member, signature, *body, interface=interface)).kind is Kind.ERROR
        async with await Connection.open(open_bus) as ours:
            for text in odd:
                for interface, member, signature, body in (
                    (PROPERTIES, "Get", "ss", (text, text)),
                    (PROPERTIES, "Set", "ssv", (text, text, Variant("s", text))),
                    (OBJECT, "Open", "usav", (0xFFFF_FFFF, text, [Variant("s", text)] * 100)),
                ):
                    assert (await ask(ours, member, signature, *body, interface=interface)).kind is Kind.ERROR
            await result(ours, "Grant", "uu", 0xFFFF_FFFF, 0xFFFF_FFFF, interface=OBJECT)
            await result(ours, "Cancel", "u", 0, interface=OBJECT)
            await result(ours, "Close", "u", 0, interface=OBJECT)
            assert await result(ours, "Boost", "x", 1) == ("1 cold",)
    assert source.ran == ["boost 1"]
