"""Match rules, spoofed senders and monitors on real buses."""

from __future__ import annotations

import asyncio

import pytest

from everywire.dbus.session import BUS, Connection, Kind, Match, Message
from everywire.errors import Code, Fault, LocalProtocolError
from tests.dbus import lab, tools
from tests.dbus.programs import INTERFACE, PATH, SERVICE, peer

END = "End"
"""The member of the signal that is sent last: when it has come, so has everything before it."""


class Heard:
    """The messages that came to a connection, whether or not somebody there wants them."""

    def __init__(self, connection: Connection) -> None:
        self.members: list[str] = []
        self.ended = asyncio.Event()
        self._give = connection.signalled
        connection.signalled = self.take  # type: ignore[method-assign]

    def take(self, message: Message) -> None:
        if message.interface != BUS:
            self.members.append(message.member)
        if message.member == END:
            self.ended.set()
        self._give(message)


RULES = [
    (Match(interface=INTERFACE, member="Wanted"), "Wanted"),
    (Match(path="/org/acme/hall"), "AtHall"),
    (Match(path_namespace="/org/acme/hall"), "AtHall InHall"),
    (Match(args={0: "boiler", 1: "é,'x"}), "Quoted"),
    (Match(args={0: ""}), "Empty"),
    (Match(arg_paths={0: "/org/acme/"}), "PathBelow PathRoot"),
    (Match(arg_paths={0: "/org/acme/hall"}), "PathBelow PathRoot"),
    (Match(arg0namespace="org.acme"), "NameSelf NameBelow"),
    (Match(interface="org.acme.Other1"), "Other"),
]


def emit_all(sender: Connection) -> None:
    """Signals of which each rule wants some."""
    sender.emit("/", INTERFACE, "Wanted")
    sender.emit("/org/acme/hall", INTERFACE, "AtHall")
    sender.emit("/org/acme/hall/east", INTERFACE, "InHall")
    sender.emit("/org/acme/hallway", INTERFACE, "NotInHall")
    sender.emit("/", INTERFACE, "Quoted", "ss", "boiler", "é,'x")
    sender.emit("/", INTERFACE, "NotQuoted", "ss", "boiler", "é")
    sender.emit("/", INTERFACE, "Empty", "s", "")
    sender.emit("/", INTERFACE, "PathBelow", "o", "/org/acme/hall")
    sender.emit("/", INTERFACE, "PathRoot", "s", "/")
    sender.emit("/", INTERFACE, "PathBeside", "o", "/org/other")
    sender.emit("/", INTERFACE, "NameSelf", "s", "org.acme")
    sender.emit("/", INTERFACE, "NameBelow", "s", "org.acme.Plant")
    sender.emit("/", INTERFACE, "NameBeside", "s", "org.acmeplus")
    sender.emit("/", "org.acme.Other1", "Other")
    sender.emit("/", INTERFACE, END)


@pytest.mark.parametrize("rule, wanted", RULES, ids=str)
async def test_the_bus_and_we_understand_a_rule_alike(rule: Match, wanted: str, each_bus: str) -> None:
    """The bus sends what it thinks the rule wants; we deliver what we think it wants."""
    async with await Connection.open(each_bus) as ours, await Connection.open(each_bus) as sender:
        delivered: list[str] = []
        await ours.match(rule, lambda message: delivered.append(message.member))
        await ours.match(Match(member=END), lambda message: None)
        heard = Heard(ours)
        emit_all(sender)
        await heard.ended.wait()
        assert set(heard.members) == {*wanted.split(), END}
        assert set(delivered) == set(wanted.split())


async def test_a_rule_that_nobody_wants_any_more_is_taken_from_the_bus(each_bus: str) -> None:
    async with await Connection.open(each_bus) as ours, await Connection.open(each_bus) as sender:
        rule = Match(interface=INTERFACE, member="Wanted")
        first = await ours.match(rule, lambda message: None)
        second = await ours.match(rule, lambda message: None)
        await ours.match(Match(member=END), lambda message: None)
        heard = Heard(ours)
        first.close()
        await ours.ask_bus("GetId", "")
        sender.emit("/", INTERFACE, "Wanted")
        sender.emit("/", INTERFACE, END)
        await heard.ended.wait()
        assert heard.members == ["Wanted", END]
        second.close()
        second.close()
        await ours.ask_bus("GetId", "")
        heard.ended.clear()
        emit_all(sender)
        await heard.ended.wait()
        assert heard.members == ["Wanted", END, END]


async def test_signals_of_a_program_come_in_order_and_none_is_missing(each_bus: str) -> None:
    async with await Connection.open(each_bus) as ours, peer("sdbus", "serve", each_bus) as serving:
        stream = await ours.messages(Match(sender=SERVICE, path=PATH, member="Fired"))
        await serving.fire(1000)
        numbers = [(await anext(stream)).body for _ in range(1000)]
        assert numbers == [(number, "asked") for number in range(1000)]
        assert stream.gap == 0


async def test_only_the_owner_of_a_name_signals_in_its_name(each_bus: str) -> None:
    """CVE-2024-34397 of GLib: a bus delivers unicast signals to us whatever our rules say."""
    async with (
        await Connection.open(each_bus) as ours,
        await Connection.open(each_bus) as forger,
        await Connection.open(each_bus) as owner,
    ):
        await owner.request_name(SERVICE, allow_replacement=True)
        got: list[str] = []
        done = asyncio.Event()

        def take(message: Message) -> None:
            got.append(message.sender)
            if message.body == ("last",):
                done.set()

        await ours.match(Match(sender=SERVICE, path=PATH, interface=INTERFACE), take)
        for _ in range(100):
            forger.emit(PATH, INTERFACE, "Moved", "s", "forged")
            forger.emit(PATH, INTERFACE, "Moved", "s", "forged", to=ours.unique_name)
        await forger.ask_bus("GetId", "")
        owner.emit(PATH, INTERFACE, "Moved", "s", "true")
        owner.emit(PATH, INTERFACE, "Moved", "s", "last", to=ours.unique_name)
        await done.wait()
        assert got == [owner.unique_name] * 2
        assert ours.refusals["spoofed"] == 100

        done.clear()
        assert (await forger.request_name(SERVICE, replace=True)).owned
        owner.emit(PATH, INTERFACE, "Moved", "s", "late", to=ours.unique_name)
        await owner.ask_bus("GetId", "")
        forger.emit(PATH, INTERFACE, "Moved", "s", "last")
        await done.wait()
        assert got == [owner.unique_name] * 2 + [forger.unique_name]
        assert ours.refusals["spoofed"] == 101


async def test_a_forged_change_of_owner_is_not_believed(each_bus: str) -> None:
    async with (
        await Connection.open(each_bus) as ours,
        await Connection.open(each_bus) as forger,
        await Connection.open(each_bus) as owner,
    ):
        await owner.request_name(SERVICE)
        following = await ours.follow(SERVICE, lambda old, new: None)
        forged = (SERVICE, owner.unique_name, forger.unique_name)
        forger.emit("/org/freedesktop/DBus", BUS, "NameOwnerChanged", "sss", *forged, to=ours.unique_name)
        await forger.ask_bus("GetId", "")
        await ours.ask_bus("GetId", "")
        assert following.owner == owner.unique_name


async def test_an_answer_counts_only_from_who_was_asked(each_bus: str) -> None:
    """Whoever is asked something answers in the place of another that was asked too; the bus does not let it."""
    async with (
        await Connection.open(each_bus) as ours,
        await Connection.open(each_bus) as asked,
        await Connection.open(each_bus) as other,
    ):
        calls: asyncio.Queue[Message] = asyncio.Queue()

        class Silent:
            def calls(self, messages: list[Message]) -> None:
                for message in messages:
                    calls.put_nowait(message)

        asked.host = other.host = Silent()
        async with asyncio.TaskGroup() as group:
            answer = group.create_task(ours.call(asked.unique_name, "/", INTERFACE, "AddOne", "i", 1))
            call = await calls.get()
            other.send(Message(kind=Kind.RETURN, reply_serial=call.serial, destination=ours.unique_name))
            await other.ask_bus("GetId", "")
            asked.reply(call, "i", 2)
        assert answer.result() == (2,)


async def test_a_monitor_hears_everything_and_says_nothing(each_bus: str) -> None:
    async with await Connection.open(each_bus) as watching, await Connection.open(each_bus) as ours:
        stream = await watching.monitor()
        with pytest.raises(LocalProtocolError, match="monitor"):
            await watching.call(BUS, "/", BUS, "GetId")
        await ours.ask_bus("ListNames", "")
        seen = []
        async for message in stream:
            seen.append(message)
            if message.kind is Kind.RETURN and message.destination == ours.unique_name:
                break
        call = next(message for message in seen if message.member == "ListNames")
        assert (call.sender, call.destination) == (ours.unique_name, BUS)
        assert seen[-1].reply_serial == call.serial
        assert ours.unique_name in seen[-1].body[0]


async def test_a_monitor_with_rules_hears_only_that(each_bus: str) -> None:
    async with await Connection.open(each_bus) as watching, await Connection.open(each_bus) as sender:
        stream = await watching.monitor(Match(interface=INTERFACE), Match(kind=Kind.CALL, member="GetId"))
        emit_all(sender)
        await sender.ask_bus("GetId", "")
        members = []
        async for message in stream:
            members.append(message.member)
            if message.member == "GetId":
                break
        assert members[:2] == ["NameLost", "Wanted"]  # a monitor has no name any more, and is told so
        assert "Other" not in members


async def test_a_monitor_of_another_user_is_refused(system_bus: lab.Bus) -> None:
    command = ("busctl", f"--address={system_bus.address}", "monitor")
    refused = await tools.run(*lab.as_nobody(*command))
    assert refused.code != 0
    async with await Connection.open(system_bus.address) as ours:
        await ours.monitor()


async def test_a_rule_that_the_bus_does_not_understand_is_told(each_bus: str) -> None:
    async with await Connection.open(each_bus) as ours:
        with pytest.raises(Fault) as failed:
            await ours.ask_bus("AddMatch", "s", "type='nonsense'")
        assert failed.value.code is Code.INVALID_ARGUMENT
