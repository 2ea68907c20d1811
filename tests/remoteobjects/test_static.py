"""What replicas generated from a .rep are sent: exact C++ types, in both dialects; and who counts as such a replica."""

from __future__ import annotations

import asyncio
import enum
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final

import pytest

from everywire import (
    Code,
    Limits,
    ModelError,
    Node,
    Object,
    Policy,
    Property,
    Role,
    connect,
    i32,
    prop,
    signal,
    slot,
    u8,
)
from everywire.codec.qdatastream import Point, TypeId
from everywire.model import contract_of
from everywire.remoteobjects import CONSTANT, READWRITE, CppType, RemoteObjects, cpp_enum, open_session
from everywire.remoteobjects.codec import (
    QTRO_1_2,
    QTRO_1_3,
    QTRO_2_0,
    AddObject,
    CallKind,
    Dialect,
    Init,
    InitDynamic,
    Invoke,
    InvokeReply,
    ObjectInfo,
    ObjectList,
    ObjectReference,
    Packet,
    PacketId,
    PropertyChange,
    RemoveObject,
    Typed,
    UserTypes,
    decode_packet,
    encode_packet,
)
from everywire.remoteobjects.rep.signature import signature_of
from everywire.remoteobjects.wire.hosting import HostedObject
from everywire.remoteobjects.wire.layout import definition_of, layout_of
from tests.remoteobjects.peers import RawPeer, hosting, raw_node
from tests.remoteobjects.samples import Listener, published

DIALECTS: Final = pytest.mark.parametrize("dialect", [QTRO_2_0, QTRO_1_3, QTRO_1_2], ids=lambda d: d.protocol)


@dataclass(frozen=True)
class Spot:
    x: i32 = 0
    label: str = ""


@dataclass
class Track:
    spots: list[Spot] = field(default_factory=list)
    scale: Annotated[float, CppType("float")] = 1.0


@cpp_enum("quint8", scoped=True)
class Gear(enum.Enum):
    IDLE = 0
    FAST = 200


class Camera(Object):
    serial: Property[Annotated[str, CONSTANT]] = prop("A-17")
    zoom: Property[Annotated[i32, READWRITE]] = prop(1, writable=True)
    home: Property[Annotated[str, CppType("QUrl")]] = prop("file:/", writable=True)
    spot: Property[Spot] = prop(Spot(1, "here"), writable=True)
    spots: Property[list[Spot]] = prop(factory=lambda: [Spot(2, "there")])
    named: Property[dict[str, Spot]] = prop(factory=lambda: {"a": Spot(3)})
    track: Property[Track] = prop(factory=Track)
    gear: Property[Gear] = prop(Gear.FAST, writable=True)
    counts: Property[dict[i32, float]] = prop(factory=lambda: {1: 2.0})
    pixel: Property[Point] = prop(Point(4, 5))
    maybe: Property[Spot | None] = prop(Spot(6))

    @signal
    def moved(self, to: Spot, gear: Gear) -> None: ...
    @slot
    async def shift(self, spots: list[Spot], by: u8) -> list[Spot]:
        return [Spot(spot.x + by, spot.label) for spot in spots]


TYPES: Final[UserTypes] = {
    "Spot": (("x", "int"), ("label", "QString")),
    "Track": (("spots", "QList<Spot>"), ("scale", "float")),
}
EXACT: Final = (
    Typed(TypeId.QSTRING, "A-17"),
    Typed(TypeId.INT, 1),
    Typed(TypeId.QURL, "file:/"),
    Typed("Spot", {"x": 1, "label": "here"}),
    Typed("QList<Spot>", [{"x": 2, "label": "there"}]),
    Typed("QMap<QString,Spot>", {"a": {"x": 3, "label": ""}}),
    Typed("Track", {"spots": [], "scale": 1.0}),
    Typed(TypeId.SIGNED_CHAR, -56),
    Typed("QMap<int,double>", {1: 2.0}),
    Typed(TypeId.QPOINT, Point(4, 5)),
    Typed("Spot", {"x": 6, "label": ""}),
)


def host(dialect: Dialect) -> tuple[Camera, HostedObject]:
    source = Camera()
    return source, HostedObject(published(source), dialect)


def frame(packet: Packet, dialect: Dialect) -> bytes:
    return encode_packet(packet, dialect, TYPES)


@DIALECTS
def test_a_static_listener_gets_exact_types(dialect: Dialect) -> None:
    _, hosted = host(dialect)
    assert hosted.join(Listener(), dynamic=False, anew=False) == frame(Init("hall", EXACT), dialect)


@DIALECTS
def test_changes_and_signals_are_made_for_each_kind_of_listener(dialect: Dialect) -> None:
    source, hosted = host(dialect)
    static, dynamic = Listener(), Listener()
    hosted.join(static, dynamic=False, anew=False)
    hosted.join(dynamic, dynamic=True, anew=True)
    source.spots = [Spot(7)]
    source.moved.emit(Spot(8), Gear.IDLE)
    place, notify, moved = (getattr(layout_of(hosted.contract), kind) for kind in ("properties", "notifies", "signals"))

    def told(spots: Any, to: Any) -> list[bytes]:
        change = PropertyChange("hall", place["spots"], spots)
        again = Invoke("hall", CallKind.METHOD, notify["spots"], (spots,), -1, place["spots"])
        gear = Typed(TypeId.SIGNED_CHAR if isinstance(to, Typed) and to.type == "Spot" else TypeId.INT, 0)
        said = Invoke("hall", CallKind.METHOD, moved["moved"], (to, gear), -1, -1)
        return [frame(change, dialect) + frame(again, dialect), frame(said, dialect)]

    seven, eight = {"x": 7, "label": ""}, {"x": 8, "label": ""}
    exact = told(Typed("QList<Spot>", [seven]), Typed("Spot", eight))
    assert [data for _, data in static.outbox.sent] == exact
    plain = told(Typed(TypeId.QVARIANT_LIST, [seven]), Typed(TypeId.QVARIANT_MAP, eight))
    assert [data for _, data in dynamic.outbox.sent] == plain


def test_a_constant_has_no_notify_signal_and_readwrite_no_push_method() -> None:
    contract = contract_of(Camera)
    layout, definition = layout_of(contract), definition_of(contract)
    assert "serial" not in layout.notifies
    assert layout.notifies["zoom"] == 0
    assert layout.signals == {"moved": len(contract.members) - 3}
    assert list(layout.pushes) == ["home", "spot", "gear"]
    assert layout.slots == {"shift": 3}
    assert definition.properties[0].notify is None
    assert definition.signals[0].signature == "zoomChanged(int)"
    assert definition.methods[0].signature == "pushHome(QUrl)"


@DIALECTS
async def test_a_static_listener_calls_and_is_answered_in_exact_types(dialect: Dialect, folder: Path) -> None:
    source = Camera()
    async with Node() as node:
        node.publish(source, "hall")
        (url,) = await node.serve(RemoteObjects(url=f"local:{folder}/host", protocol=dialect.protocol[5:]))
        reader, writer = await asyncio.open_unix_connection(url.removeprefix("local:"))

        async def packet() -> tuple[bytes, Packet]:
            size = await reader.readexactly(4)
            body = await reader.readexactly(int.from_bytes(size, "little" if dialect.order == "<" else "big"))
            return size + body, decode_packet(body, from_host=True, types=TYPES, dialect=dialect)

        await packet()
        _, listed = await packet()
        assert isinstance(listed, ObjectList)
        assert listed.entries[-1] == ObjectInfo("hall", "Camera", signature_of(contract_of(Camera), qt5=dialect.is_qt5))
        writer.write(frame(AddObject("hall", dynamic=False), dialect))
        assert (await packet())[0] == frame(Init("hall", EXACT), dialect)
        layout = layout_of(contract_of(Camera))
        spots = Typed("QList<Spot>", [{"x": 1, "label": "a"}])
        call = Invoke("hall", CallKind.METHOD, layout.slots["shift"], (spots, Typed(TypeId.UCHAR, 2)), 9, -1)
        writer.write(frame(call, dialect))
        result = Typed("QList<Spot>", [{"x": 3, "label": "a"}])
        assert (await packet())[0] == frame(InvokeReply("hall", 9, result), dialect)
        pushed = Typed("Spot", {"x": 5, "label": "z"})
        writer.write(frame(Invoke("hall", CallKind.METHOD, layout.pushes["spot"], (pushed,), -1, -1), dialect))
        change = PropertyChange("hall", layout.properties["spot"], pushed)
        assert (await packet())[0] == frame(change, dialect)
        await packet()
        idle, index = Typed(TypeId.SIGNED_CHAR, 0), layout.properties["gear"]
        writer.write(frame(Invoke("hall", CallKind.WRITE_PROPERTY, index, (idle,), -1, -1), dialect))
        await packet()
        assert (source.spot, source.gear) == (Spot(5, "z"), Gear.IDLE)
        writer.close()


async def test_one_link_may_listen_in_both_ways_to_objects_that_come_and_go(folder: Path) -> None:
    async with hosting(folder, static=Camera(), dynamic=Camera()) as (node, url), raw_node(url) as peer:
        await peer.send(AddObject("static", dynamic=False), AddObject("dynamic", dynamic=True))
        await peer.body()
        await peer.find(InitDynamic)
        index = layout_of(contract_of(Camera)).slots["shift"]
        arguments = (Typed("QList<Spot>", []), Typed(TypeId.UCHAR, 2))
        for name, kind in (("static", "QList<Spot>"), ("dynamic", TypeId.QVARIANT_LIST)):
            await peer.send(encode_packet(Invoke(name, CallKind.METHOD, index, arguments, 4, -1), QTRO_2_0, TYPES))
            assert await peer.body() == encode_packet(InvokeReply(name, 4, Typed(kind, [])), QTRO_2_0, TYPES)[4:]
        node.withdraw("dynamic")
        assert (await peer.find(RemoveObject)).name == "dynamic"
        node.publish(Camera(), "dynamic")
        await peer.send(AddObject("dynamic", dynamic=False))  # as a dynamic replica of Qt does that has its class
        values = (await peer.find(Init)).values
        assert values[3] == {"x": 1, "label": "here"}


async def test_a_dynamic_listener_is_known_by_what_it_was_given_to_keep(folder: Path) -> None:
    async with hosting(folder, hall=Camera()) as (_, url):
        async with raw_node(url) as peer:
            listed = next(packet for packet in peer.seen if isinstance(packet, ObjectList)) if peer.seen else None
            await peer.send(AddObject("hall", dynamic=True))
            first = await peer.find(InitDynamic)
            assert first.definition.properties[-1].name == "everywire"
            memo = first.values[-1]
            assert isinstance(memo, ObjectReference)
            await peer.send(AddObject(memo.name, dynamic=True))
            assert (await peer.find(InitDynamic)).values == ()
        assert listed is not None
        assert [info.name for info in listed.entries] == [memo.name, "hall"], "the memo is asked for before the object"
        async with raw_node(url) as peer:
            await peer.send(AddObject(memo.name, dynamic=False), AddObject("hall", dynamic=False))
            assert await peer.find(Init) == Init(memo.name, ())
            assert (await peer.find(Init)).values[3] == {"x": 1, "label": "here"}


class Plain(Object):
    level: Property[float] = prop(0.0)


async def test_a_class_that_looks_the_same_to_all_needs_nothing_to_be_kept(folder: Path) -> None:
    async with hosting(folder, hall=Plain()) as (node, url), raw_node(url) as peer:
        await peer.send(AddObject("hall", dynamic=True), AddObject("everywire::hall", dynamic=True))
        first = await peer.find(InitDynamic)
        assert [prop.name for prop in first.definition.properties] == ["level"]
        await peer.fence()
        assert not any(isinstance(packet, InitDynamic) and packet is not first for packet in peer.seen)
        with pytest.raises(ModelError, match="everywire::x"):
            node.publish(Plain(), "everywire::x")
        async with open_session(url) as session:
            assert list(session.objects) == ["hall"]


async def test_a_host_may_speak_to_all_as_to_dynamic_listeners(folder: Path) -> None:
    async with Node() as node:
        node.publish(Camera(), "hall")
        (url,) = await node.serve(f"local:{folder}/host?dynamic_only=yes")
        async with raw_node(url) as peer:
            await peer.send(AddObject("hall", dynamic=False))
            assert (await peer.find(Init)).values[3] == {"x": 1, "label": "here"}


@DIALECTS
async def test_between_our_own_the_class_is_the_same_whatever_the_dialect(dialect: Dialect, folder: Path) -> None:
    source = Camera()
    async with Node() as node:
        node.publish(source, "hall")
        (url,) = await node.serve(RemoteObjects(url=f"local:{folder}/host", protocol=dialect.protocol[5:]))
        async with connect(url, "hall", Camera) as camera:
            assert camera.spots == [Spot(2, "there")]
            assert camera.counts == {1: 2.0}
            assert camera.gear is Gear.FAST
            assert await camera.shift([Spot(1)], 4) == [Spot(5)]
            assert await Camera.zoom.push(camera, 3) == 3
            assert await Camera.home.push(camera, "file:/x") == "file:/x"
            source.serial = "B-1"
            assert await Camera.serial.wait_for(camera, lambda serial: serial == "B-1")


def is_exact(reply: bytes) -> bool:
    return b"QList<Spot>" in reply


async def shifted(peer: RawPeer) -> bytes:
    """The reply to a call of `shift`, as it came."""
    spots = Typed("QList<Spot>", [{"x": 1, "label": "a"}])
    index = layout_of(contract_of(Camera)).slots["shift"]
    await peer.send(frame(Invoke("camera", CallKind.METHOD, index, (spots, 2), 5, -1), QTRO_2_0))
    while True:
        body = await peer.body()
        if body.startswith(PacketId.INVOKE_REPLY.to_bytes(2, "little")):
            return body


async def joined(peer: RawPeer, *, anew: bool) -> None:
    await peer.send(AddObject("camera", anew))
    await peer.find(InitDynamic if anew else Init)


async def test_results_are_exact_for_who_attaches_again_to_what_was_published_anew(tmp_path: Path) -> None:
    async with hosting(tmp_path, camera=Camera()) as (node, url), raw_node(url) as peer:
        peer.types = TYPES
        await joined(peer, anew=False)
        assert is_exact(await shifted(peer))
        node.withdraw("camera")
        node.publish(Camera(), "camera")
        await peer.find(ObjectList)
        await joined(peer, anew=False)
        assert is_exact(await shifted(peer))


async def test_results_are_exact_for_who_was_shut_out_meanwhile(tmp_path: Path) -> None:
    role = [Role.OPERATOR]
    policy = Policy(role=lambda _: role[0])
    async with hosting(tmp_path, policy=policy, camera=Camera()) as (_, url), raw_node(url) as peer:
        peer.types = TYPES
        await joined(peer, anew=False)
        for now in (Role.STRANGER, Role.OPERATOR):
            role[0] = now
            policy.forget()
        await peer.find(RemoveObject)
        await peer.find(ObjectList)
        await joined(peer, anew=False)
        assert is_exact(await shifted(peer))


async def test_a_link_that_has_both_forms_in_turn_gets_what_each_expects(tmp_path: Path) -> None:
    async with hosting(tmp_path, camera=Camera()) as (_, url), raw_node(url) as peer:
        peer.types = TYPES
        for _ in range(3):
            await joined(peer, anew=True)
            assert not is_exact(await shifted(peer))
            await peer.send(RemoveObject("camera"))
            await joined(peer, anew=False)
            assert is_exact(await shifted(peer))


async def test_a_link_that_had_a_static_replica_reaches_what_is_published_later(tmp_path: Path) -> None:
    async with hosting(tmp_path, camera=Camera()) as (node, url), raw_node(url) as peer:
        peer.types = TYPES
        await joined(peer, anew=False)
        await joined(peer, anew=True)
        node.publish(Camera(), "other")
        await peer.find(ObjectList)
        zoom = layout_of(contract_of(Camera)).properties["zoom"]
        await peer.send(Invoke("other", CallKind.WRITE_PROPERTY, zoom, (7,), 1, -1))
        await peer.result(1)
        assert node.published["other"].object.zoom == 7


async def test_who_sees_nothing_does_not_learn_which_types_are_known(tmp_path: Path) -> None:
    policy = Policy(role=lambda _: Role.STRANGER)
    index = layout_of(contract_of(Camera)).slots["shift"]
    async with hosting(tmp_path, camera=Camera(), policy=policy) as (_, url), raw_node(url, extended=True) as peer:
        for name in ("camera", "nothing"):
            for cls in ("Spot", "Unknown"):
                value = Typed(cls, {"x": 1, "label": "a"})
                types = {cls: TYPES["Spot"]}
                packet = Invoke(name, CallKind.METHOD, index, (value,), 1, -1)
                fault = await peer.refusal(encode_packet(packet, QTRO_2_0, types))
                assert (fault.code, fault.message) == (Code.NOT_FOUND, "no such object or member")


async def test_a_link_remembers_few_of_the_names_that_are_gone(tmp_path: Path) -> None:
    limits = Limits(drain=0.0, objects_per_link=4)
    async with hosting(tmp_path, limits=limits) as (node, url), raw_node(url) as peer:
        for number in range(20):
            name = f"camera {number}"
            node.publish(Camera(), name)
            await peer.find(ObjectList)
            await peer.send(AddObject(name, True))
            await peer.find(InitDynamic)
            if number % 2:
                await peer.send(RemoveObject(name))
                await peer.fence()
            node.withdraw(name)
        (session,) = node._servers[0].sessions
        assert len(session._dynamic) <= 4
        assert len(session._forgetful) <= 4
        assert len(session._known) <= 4
        assert session.attached == ()
