"""Our host against peers that know only packets: what it says, what it refuses, and that nobody else notices."""

from __future__ import annotations

import asyncio
import gc
import struct
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from everywire import Code, Fault, Limits, Object, Policy, Property, Role, allow, connect, prop, signal, slot, u16
from everywire.remoteobjects.codec import (
    AddObject,
    CallKind,
    Handshake,
    Init,
    InitDynamic,
    Invoke,
    InvokeReply,
    ObjectInfo,
    ObjectList,
    Ping,
    Pong,
    PropertyChange,
    RemoveObject,
    UserTyped,
    encode_packet,
)
from everywire.remoteobjects.endpoint.visiting import in_parts
from everywire.remoteobjects.wire.hosting import HostedObject
from tests.remoteobjects.peers import at_once, hosting, raw_node

ADD, COUNT, LABEL, NOTHING = 2, 3, 4, 5  # pushTarget and pushMode come first
TARGET, CURRENT, MODE = 0, 1, 2


class Machine(Object):
    target: Property[float] = prop(21.0, writable=True, minimum=5, maximum=35)
    current: Property[float] = prop(20.0)
    mode: Property[int] = prop(0, writable=True)

    @signal
    def beeped(self, number: int) -> None: ...

    @slot
    async def add(self, first: int, second: int = 100) -> int:
        return first + second

    @slot
    async def count(self, minutes: u16) -> int:
        self.mode += 1
        return minutes

    @slot
    async def label(self, text: str) -> str:
        return text.upper()

    @slot
    async def nothing(self) -> None:
        self.current += 1.0


def call(index: int, *arguments: Any, serial: int = 1, name: str = "it") -> Invoke:
    return Invoke(name, CallKind.METHOD, index, arguments, serial)


# ------------------------------------------------------------------------------------------------------ conversation
async def test_a_host_greets_with_its_version_and_its_objects(folder: Path) -> None:
    async with hosting(folder, it=Machine(), other=Machine()) as (_, url), raw_node(url, greeted=False) as peer:
        assert await peer.packet() == Handshake("QtRO 2.0")
        listed = await peer.packet()
        assert isinstance(listed, ObjectList)
        assert [(info.name, info.type_name) for info in listed.entries] == [("it", "Machine"), ("other", "Machine")]


async def test_a_dynamic_listener_gets_the_class_and_a_static_one_the_values(folder: Path) -> None:
    async with hosting(folder, it=Machine()) as (_, url), raw_node(url) as peer:
        await peer.send(AddObject("it", dynamic=True))
        init = await peer.find(InitDynamic)
        assert init.values == (21.0, 20.0, 0)
        assert [method.signature for method in init.definition.methods][:3] == [
            "pushTarget(double)",
            "pushMode(qlonglong)",
            "add(qlonglong,qlonglong)",
        ]
        await peer.send(AddObject("it", dynamic=False))
        assert (await peer.find(Init)).values == (21.0, 20.0, 0)


async def test_a_listener_hears_changes_and_signals_until_it_detaches(folder: Path) -> None:
    source = Machine()
    async with hosting(folder, it=source) as (_, url), raw_node(url) as peer:
        source.current = 1.0
        await peer.send(AddObject("it", dynamic=False))
        await peer.find(Init)
        source.current = 2.0
        source.beeped.emit(7)
        assert (await peer.find(PropertyChange)).value == 2.0
        assert (await peer.find(Invoke)).property_index == CURRENT
        assert (await peer.find(Invoke)).arguments == (7,)
        await peer.send(RemoveObject("it"))
        await peer.fence()
        source.current = 3.0
        peer.seen.clear()
        await peer.fence()
        assert [type(packet) for packet in peer.seen] == [Pong]


async def test_a_call_is_answered_and_one_without_a_serial_only_runs(folder: Path) -> None:
    source = Machine()
    async with hosting(folder, it=source) as (_, url), raw_node(url) as peer:
        await peer.send(call(ADD, 1, 2, serial=9), call(ADD, 1, serial=10), call(NOTHING, serial=-1))
        assert (await peer.result(9), await peer.result(10)) == (3, 101)
        await peer.fence()
        assert source.current == 21.0


async def test_a_property_write_and_a_push_are_the_same(folder: Path) -> None:
    source = Machine()
    async with hosting(folder, it=source) as (_, url), raw_node(url) as peer:
        await peer.send(Invoke("it", CallKind.WRITE_PROPERTY, TARGET, (25.0,)))
        await peer.fence()
        assert source.target == 25.0
        await peer.send(call(0, 26.0, serial=3))
        assert await peer.result(3) is None
        assert source.target == 26.0


async def test_a_ping_comes_back_and_a_host_of_qt_is_imitated_to_whoever_does_not_ask(folder: Path) -> None:
    async with hosting(folder, it=Machine()) as (_, url), raw_node(url) as peer:
        await peer.send(Ping("anything"))
        assert await peer.packet() == Pong("anything")
        await peer.send(call(ADD, "x", serial=4))
        assert await peer.packet() == InvokeReply("it", 4, None), "Qt has no word for a fault"


async def test_a_node_that_waits_for_an_absent_object_hears_nothing_until_it_is_there(folder: Path) -> None:
    async with hosting(folder) as (node, url), raw_node(url) as peer:
        await peer.send(AddObject("it", dynamic=True))
        await peer.fence()
        assert [type(packet) for packet in peer.seen[-1:]] == [Pong]
        node.publish(Machine(), "it")
        assert [info.name for info in (await peer.find(ObjectList)).entries] == ["it"]


async def test_a_withdrawn_object_is_taken_back_from_its_listeners(folder: Path) -> None:
    async with hosting(folder, it=Machine()) as (node, url), raw_node(url, extended=True) as peer:
        await peer.send(AddObject("it", dynamic=False))
        await peer.find(Init)
        node.withdraw("it")
        assert await peer.find(RemoveObject) == RemoveObject("it")
        assert (await peer.refusal(call(ADD, 1))).code is Code.NOT_FOUND


# --------------------------------------------------------------------------------------------------------- bad input
REFUSED = {
    "unknown object": (call(ADD, 1, name="nobody"), Code.NOT_FOUND),
    "unknown method": (call(99, 1), Code.NOT_FOUND),
    "negative method": (call(-1, 1), Code.NOT_FOUND),
    "unknown property": (Invoke("it", CallKind.WRITE_PROPERTY, 99, (1,), 1), Code.NOT_FOUND),
    "read-only property": (Invoke("it", CallKind.WRITE_PROPERTY, CURRENT, (1.0,), 1), Code.NOT_FOUND),
    "a property read, which Qt never sends": (Invoke("it", CallKind.READ_PROPERTY, TARGET, (), 1), Code.NOT_FOUND),
    "too many arguments": (call(ADD, 1, 2, 3), Code.INVALID_ARGUMENT),
    "too few arguments": (call(ADD), Code.INVALID_ARGUMENT),
    "text for a number": (call(ADD, "one"), Code.INVALID_ARGUMENT),
    "a number for text": (call(LABEL, 1), Code.INVALID_ARGUMENT),
    "a list for a number": (call(ADD, [1]), Code.INVALID_ARGUMENT),
    "nothing for a number": (call(ADD, None), Code.INVALID_ARGUMENT),
    "a foreign type": (call(ADD, UserTyped("Pod", b"\0" * 8)), Code.INVALID_ARGUMENT),
    "below the width": (call(COUNT, -1), Code.OUT_OF_RANGE),
    "above the width": (call(COUNT, 65536), Code.OUT_OF_RANGE),
    "above the maximum": (Invoke("it", CallKind.WRITE_PROPERTY, TARGET, (99.0,), 1), Code.OUT_OF_RANGE),
    "above the maximum, pushed": (call(0, 99.0), Code.OUT_OF_RANGE),
}


@pytest.mark.parametrize("what", REFUSED)
async def test_a_call_that_does_not_fit_is_refused_by_name_and_the_link_goes_on(folder: Path, what: str) -> None:
    packet, code = REFUSED[what]
    source = Machine()
    async with hosting(folder, it=source) as (node, url), raw_node(url, extended=True) as peer:
        fault = await peer.refusal(packet)
        assert (fault.code, fault.may_have_run) == (code, False)
        assert node.refusals[code.name] == 1
        await peer.send(call(ADD, 1, 2, serial=5))
        assert await peer.result(5) == 3
        assert (source.target, source.mode) == (21.0, 0)


def framed(body: bytes) -> bytes:
    return struct.pack("<I", len(body)) + body


BREAKING = {
    "a frame of no bytes": bytes(4),
    "a frame of all memory": b"\xff" * 4,
    "a frame above the limit": struct.pack("<I", 4 * 1024 * 1024 + 1),
    "an unknown packet": framed(struct.pack("<HI", 99, 0)),
    "a packet that only hosts send": encode_packet(InvokeReply("it", 1, 2)),
    "a second greeting": encode_packet(Handshake("QtRO 2.0")),
    "a name longer than the frame": framed(struct.pack("<HI", 4, 1000) + b"\0"),
    "a name of half a letter": framed(struct.pack("<HI", 10, 3) + b"abc"),
    "a call without a count": framed(encode_packet(call(ADD, 1))[4:22]),
    "text of the web": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "noise": bytes(range(7, 250, 3)) * 20,
    "surplus bytes": framed(encode_packet(Ping("a"))[4:] + b"\0"),
    "a call of an unknown kind": framed(encode_packet(call(ADD, 1))[4:14] + struct.pack("<i", 7) + bytes(20)),
}


@pytest.mark.parametrize("what", BREAKING)
@pytest.mark.loops("asyncio", "uvloop")
async def test_a_broken_protocol_closes_the_link_and_disturbs_nobody_else(folder: Path, what: str) -> None:
    async with (
        hosting(folder, it=Machine()) as (node, url),
        connect(url, "it", Machine) as honest,
        raw_node(url, extended=True) as peer,
    ):
        await peer.send(BREAKING[what])
        with at_once(0.1):
            assert await honest.add(1, 2) == 3
        await peer.ended()
        assert node.refusals["protocol"] == 1
        with at_once(0.1):
            assert await honest.add(3, 4) == 7


async def test_what_came_before_the_broken_frame_is_still_done(folder: Path) -> None:
    source = Machine()
    async with hosting(folder, it=source) as (_, url), raw_node(url) as peer:
        await peer.send(call(NOTHING, serial=-1), b"\xff" * 8)
        await peer.ended()
        assert source.current == 21.0


async def test_a_peer_that_ends_within_a_frame_costs_its_own_link_only(folder: Path) -> None:
    async with hosting(folder, it=Machine()) as (_, url), connect(url, "it", Machine) as honest:
        async with raw_node(url) as peer:
            await peer.send(encode_packet(call(ADD, 1))[:9])
            peer.end()
            await peer.ended()
        assert await honest.add(1, 2) == 3


async def test_a_frame_limit_of_the_node_holds(folder: Path) -> None:
    limits = Limits(drain=0.0, frame=1000)
    async with hosting(folder, limits=limits, it=Machine()) as (_, url), raw_node(url) as peer:
        await peer.send(call(LABEL, "x" * 400, serial=1))
        assert await peer.result(1) == "X" * 400
        await peer.send(call(LABEL, "x" * 600, serial=2))
        await peer.ended()


async def test_a_peer_that_does_not_read_its_answers_is_not_read_either(folder: Path) -> None:
    limits = Limits(drain=0.0, unsent_soft=32 * 1024)
    text = "x" * 2000
    source = Machine()
    calls = [encode_packet(call(LABEL, text, serial=n)) for n in range(1, 2001)]
    calls.append(encode_packet(call(NOTHING, serial=-1)))
    async with (
        hosting(folder, limits=limits, it=source) as (_, url),
        connect(url, "it", Machine) as honest,
        raw_node(url) as peer,
    ):
        sending = asyncio.ensure_future(peer.send(*calls))
        with at_once(1.0):
            assert await honest.add(1, 2) == 3
        assert source.current == 20.0, "the last call waits until the answers are read"
        for serial in range(1, 2001):
            assert await peer.result(serial) == text.upper()
        await sending
        await peer.fence()
        assert source.current == 21.0


# ------------------------------------------------------------------------------------------------------------- limits
async def test_at_the_connection_limit_the_oldest_link_that_never_attached_is_cut(folder: Path) -> None:
    limits = Limits(drain=0.0, connections=3)
    async with hosting(folder, limits=limits, it=Machine()) as (node, url), AsyncExitStack() as stack:
        attached = await stack.enter_async_context(connect(url, "it", Machine))
        silent = await stack.enter_async_context(raw_node(url))
        younger = await stack.enter_async_context(raw_node(url))
        newcomer = await stack.enter_async_context(raw_node(url))
        await silent.ended()
        await younger.fence()
        await newcomer.fence()
        assert await attached.add(1, 2) == 3
        assert node.refusals["connections"] == 1


async def test_at_the_connection_limit_a_newcomer_is_refused_when_all_others_are_in_use(folder: Path) -> None:
    limits = Limits(drain=0.0, connections=2)
    async with hosting(folder, limits=limits, it=Machine()) as (node, url):
        async with connect(url, "it", Machine) as one, connect(url, "it", Machine) as two:
            async with raw_node(url, greeted=False) as newcomer:
                await newcomer.ended()
            assert (await one.add(1, 2), await two.add(1, 2)) == (3, 3)
        assert node.refusals["connections"] == 1
        async with connect(url, "it", Machine) as again:
            assert await again.add(1, 2) == 3


async def test_a_link_attaches_to_a_limited_number_of_objects(folder: Path) -> None:
    limits = Limits(drain=0.0, objects_per_link=1)
    async with hosting(folder, limits=limits, it=Machine(), other=Machine()) as (node, url), raw_node(url) as peer:
        await peer.send(AddObject("it", dynamic=False), AddObject("other", dynamic=False))
        await peer.fence()
        assert [packet.name for packet in peer.seen if isinstance(packet, Init)] == ["it"]
        assert node.refusals["objects_per_link"] == 1


# ------------------------------------------------------------------------------------------------------------- policy
async def test_a_stranger_sees_no_objects_and_can_neither_attach_nor_call(folder: Path) -> None:
    strangers = Policy(role=lambda _: Role.STRANGER)
    async with hosting(folder, policy=strangers, it=Machine()) as (_, url), raw_node(url, extended=True) as peer:
        assert peer.seen[1] == ObjectList(())
        await peer.send(AddObject("it", dynamic=True))
        assert (await peer.refusal(call(ADD, 1))).code is Code.NOT_FOUND
        await peer.fence()
        assert not any(isinstance(packet, InitDynamic) for packet in peer.seen)


async def test_a_stranger_does_not_learn_from_wrong_arguments_that_there_is_something_to_call(folder: Path) -> None:
    strangers = Policy(role=lambda _: Role.STRANGER)
    async with hosting(folder, policy=strangers, it=Machine()) as (_, url), raw_node(url, extended=True) as peer:
        absent = await peer.refusal(call(99))
        for arguments in ((1, 2, 3), ("text",), (1.5,)):
            refused = await peer.refusal(call(ADD, *arguments))
            assert (refused.code, refused.message) == (absent.code, absent.message)


async def test_a_caller_who_may_not_use_a_slot_is_told_that_and_not_what_is_wrong_with_the_arguments(
    folder: Path,
) -> None:
    policy = allow(Role.ADMIN, Machine.add)
    policy.role = lambda _: Role.OPERATOR
    async with hosting(folder, policy=policy, it=Machine()) as (_, url), raw_node(url, extended=True) as peer:
        assert (await peer.refusal(call(ADD, "text"))).code is Code.PERMISSION_DENIED


async def test_a_stranger_may_send_small_frames_only(folder: Path) -> None:
    strangers = Policy(role=lambda _: Role.STRANGER)
    async with hosting(folder, policy=strangers, it=Machine()) as (node, url):
        async with raw_node(url) as peer:
            await peer.send(Ping("x" * 10_000))
            await peer.ended()
        assert node.refusals["protocol"] == 1
        strangers.role = lambda _: Role.VIEWER
        async with raw_node(url) as peer:
            await peer.fence("x" * 10_000)


async def test_names_from_the_wire_cannot_forge_lines_in_the_log(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "everywire")
    async with hosting(folder, it=Machine()) as (_, url), raw_node(url) as peer:
        await peer.send(call(ADD, 1, name="it\n2026 root logged in \x1b[2J" + "x" * 100_000))
        await peer.find(InvokeReply)
    assert caplog.messages
    assert all(message.isprintable() and len(message) < 500 for message in caplog.messages)


async def test_each_user_has_a_limited_number_of_connections(folder: Path) -> None:
    limits = Limits(drain=0.0, connections_per_user=1)
    async with (
        hosting(folder, limits=limits, it=Machine()) as (_, url),
        raw_node(url),
        raw_node(url, greeted=False) as second,
    ):
        await second.ended()
        assert second.seen == []


async def test_a_role_that_is_taken_away_is_gone_with_the_next_call(folder: Path) -> None:
    role = [Role.OPERATOR]
    policy = Policy(role=lambda _: role[0])
    async with hosting(folder, policy=policy, it=Machine()) as (node, url), connect(url, "it", Machine) as machine:
        assert await machine.add(1, 2) == 3
        role[0] = Role.VIEWER
        policy.require(Role.OPERATOR, Machine.add)
        node.recheck()
        with pytest.raises(Fault) as caught:
            await machine.add(1, 2)
        assert caught.value.code is Code.PERMISSION_DENIED
        with pytest.raises(Fault):
            await Machine.target.push(machine, 22.0)


class Archive(Object):
    """An object that says much when it is asked for little."""

    pages: Property[bytes] = prop(bytes(200_000))

    def __init__(self) -> None:
        self.asked = 0

    @slot
    async def page(self) -> bytes:
        self.asked += 1
        return self.pages


@pytest.mark.loops("asyncio", "uvloop")
async def test_a_node_that_asks_for_much_and_reads_nothing_is_not_served_further(folder: Path) -> None:
    archive = Archive()
    async with hosting(folder, it=archive) as (_, url), raw_node(url) as peer:
        await peer.send(b"".join(encode_packet(call(0, serial=n)) for n in range(1, 2000)))
        while not archive.asked:
            await asyncio.sleep(0)
        assert archive.asked <= 128
        assert [len(await peer.result(n)) for n in range(1, 2000)] == [200_000] * 1999
        assert archive.asked == 1999


@pytest.mark.loops("asyncio", "uvloop")
async def test_a_node_that_asks_for_an_object_again_and_again_and_reads_nothing_gets_it_when_it_reads(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    join = HostedObject.join

    def counted(self: HostedObject, link: Any, *, dynamic: bool, anew: bool) -> bytes:
        made.append(self.name)
        return join(self, link, dynamic=dynamic, anew=anew)

    monkeypatch.setattr(HostedObject, "join", counted)
    async with hosting(folder, it=Archive()) as (_, url), raw_node(url) as peer:
        await peer.send(encode_packet(AddObject("it", dynamic=False)) * 1000)
        while not made:
            await asyncio.sleep(0)
        assert len(made) < 64
        for _ in range(1000):
            await peer.find(Init)


# ---------------------------------------------------------------------------------------------------- objects that go
class Leaver(Object):
    """An object that has itself withdrawn."""

    left: Property[int] = prop(0)

    def __init__(self, leave: Callable[[], None] = lambda: None) -> None:
        self.leave = leave

    @slot
    async def go(self) -> None:
        self.leave()

    @slot
    async def stay(self) -> None:
        self.left += 1

    @slot
    async def minutes(self) -> AsyncIterator[int]:
        yield 1
        await asyncio.Event().wait()


async def test_a_call_behind_the_one_that_withdraws_its_object_does_not_run(folder: Path) -> None:
    async with hosting(folder) as (node, url), raw_node(url, extended=True) as peer:
        source = Leaver(lambda: node.withdraw("it"))
        node.publish(source, "it")
        await peer.send(call(1, serial=1), call(0, serial=2), call(1, serial=3))
        assert await peer.result(1) is None
        assert await peer.result(2) is None
        refused = await peer.result(3)
        assert (refused.code, refused.may_have_run) == (Code.NOT_FOUND, False)
        assert source.left == 1


async def test_a_link_keeps_nothing_of_an_object_that_was_withdrawn(folder: Path) -> None:
    async with hosting(folder, limits=Limits(drain=0.0, objects_per_link=2)) as (node, url), raw_node(url) as peer:
        gone: list[weakref.ref[Leaver]] = []
        for number in range(5):
            source = Leaver()
            gone.append(weakref.ref(source))
            node.publish(source, f"it{number}")
            await peer.send(AddObject(f"it{number}", dynamic=False), call(1, name=f"it{number}"))
            await peer.find(Init)
            await peer.find(InvokeReply)
            node.withdraw(f"it{number}")
            await peer.find(RemoveObject)
        del source
        gc.collect()
        assert [reference() for reference in gone] == [None] * 5
        assert node.refusals["objects_per_link"] == 0


async def test_the_streams_of_an_object_end_when_it_is_withdrawn(folder: Path) -> None:
    async with hosting(folder, it=Leaver()) as (node, url), connect(url, "it", Leaver) as it:
        stream = it.minutes()
        assert await anext(stream) == 1
        node.withdraw("it")
        with pytest.raises(Fault, match="withdrew it"):
            await anext(stream)


async def test_an_object_that_a_caller_may_see_from_now_on_is_shown(folder: Path) -> None:
    allowed = [Role.STRANGER]
    policy = Policy(role=lambda _: allowed[0])
    async with hosting(folder, policy=policy, it=Machine()) as (_, url), raw_node(url) as peer:
        allowed[0] = Role.VIEWER
        policy.forget()
        assert [info.name for info in (await peer.find(ObjectList)).entries] == ["it"]
        policy.forget()
        await peer.fence()
        assert [packet for packet in peer.seen if isinstance(packet, ObjectList)][2:] == [], "it is shown once"


def test_a_long_list_of_objects_comes_in_parts_that_nodes_take() -> None:
    names = [f"{number:06} {mark * 200}" for number in range(6_000) for mark in ("x", "\N{OX}")]
    entries = [ObjectInfo(name, "Thing", "0" * 40) for name in names]
    parts = in_parts(iter(entries))
    assert [info for part in parts for info in part.entries] == entries
    assert len(parts) > 1
    assert all(len(encode_packet(part)) < Limits().frame for part in parts)
    assert in_parts(iter(())) == [ObjectList(())]
    assert in_parts(iter(entries[:99])) == [ObjectList(tuple(entries[:99]))]
