"""Packets of Qt Remote Objects: bytes captured from Qt, round trips, and hosts and nodes that mean no good."""

from __future__ import annotations

import contextlib
import struct
from datetime import date
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everywire.codec.qdatastream import Enumeration, Reader, Writer
from everywire.codec.qdatastream.stream import Order
from everywire.errors import ModelError, RemoteProtocolError
from everywire.remoteobjects.codec import (
    QTRO_1_3,
    QTRO_2_0,
    AddObject,
    CallKind,
    ClassDefinition,
    Dialect,
    EnumDef,
    GadgetDef,
    Handshake,
    Init,
    InitDynamic,
    Invoke,
    InvokeReply,
    MethodDef,
    ObjectInfo,
    ObjectList,
    ObjectReference,
    Opaque,
    Packet,
    PacketId,
    Ping,
    Pong,
    PropertyChange,
    PropertyDef,
    RemoveObject,
    SignalDef,
    Typed,
    TypeId,
    UnknownUserType,
    UserTyped,
    decode_definition,
    decode_packet,
    encode_definition,
    encode_packet,
)

HEAD: Final = 4
"""The size before each body, in bytes."""


def body(packet: Packet, order: Order = "<", version: int = 20) -> bytes:
    return encode_packet(packet, Dialect("", order, version, version))[HEAD:]


def from_host(packet: Packet) -> bool:
    return not isinstance(packet, AddObject | Ping)


def text(value: str) -> str:
    """A QString, little endian, in hexadecimal."""
    data = value.encode("utf-16-le")
    return struct.pack("<I", len(data)).hex() + data.hex()


# ------------------------------------------------------------------------------------------------- bytes of real Qt
CAPTURED: Final[list[tuple[Packet, str]]] = [
    (Handshake("QtRO 2.0"), f"160000000100{text('QtRO 2.0')}"),
    (AddObject("Src", dynamic=True), "0d00000004000600000053007200630001"),
    (
        Invoke("Src", CallKind.WRITE_PROPERTY, 0, (11,)),
        f"290000000600{text('Src')}02000000000000000100000002000000000b000000ffffffffffffffff",
    ),
]
LAID_OUT: Final[list[tuple[Packet, str]]] = [
    (
        ObjectList((ObjectInfo("Src"), ObjectInfo("M", "Adapter", "ab12"))),
        f"090002000000{text('Src')}ffffffffffffffff{text('M')}{text('Adapter')}0400000061623132",
    ),
    (Init("Src", (True,)), f"0200{text('Src')}01000000010000000001"),
    (RemoveObject("Src"), f"0500{text('Src')}"),
    (InvokeReply("Src", 3, None), f"0700{text('Src')}030000000000000001"),
    (PropertyChange("Src", 1, True), f"0800{text('Src')}01000000010000000001"),
    (Ping("Src"), f"0a00{text('Src')}"),
    (Pong("Src"), f"0b00{text('Src')}"),
]


@pytest.mark.parametrize("packet,captured", CAPTURED, ids=lambda part: type(part).__name__)
def test_frames_are_written_and_read_as_qt_writes_them(packet: Packet, captured: str) -> None:
    frame = bytes.fromhex(captured)
    assert encode_packet(packet).hex() == captured
    assert decode_packet(frame[HEAD:], from_host=from_host(packet)) == packet


@pytest.mark.parametrize("packet,expected", LAID_OUT, ids=lambda part: type(part).__name__)
def test_bodies_are_laid_out_as_specified(packet: Packet, expected: str) -> None:
    assert body(packet).hex() == expected
    assert decode_packet(bytes.fromhex(expected), from_host=from_host(packet)) == packet


def test_qt_5_frames_are_big_endian_throughout() -> None:
    frame = encode_packet(Handshake("QtRO 1.3"), QTRO_1_3)
    assert frame.hex() == "000000160001" + "00000010" + "QtRO 1.3".encode("utf-16-be").hex()
    assert decode_packet(frame[HEAD:], from_host=True, dialect=QTRO_1_3) == Handshake("QtRO 1.3")


DEMO: Final = ClassDefinition(
    "Demo",
    enums=(EnumDef("Mode", is_flag=False, is_scoped=True, size=1, keys=(("Off", 0), ("On", -1))),),
    qt_enums=("Qt::Orientation",),
    gadgets=(
        GadgetDef("Pt", (("x", "int"), ("y", "QString"))),
        GadgetDef("Holder", (), (EnumDef("Inner", is_flag=True, is_scoped=False, size=0, keys=()),)),
    ),
    signals=(SignalDef("modeChanged(Demo::Mode)", ("mode",)),),
    methods=(MethodDef("add(int,int)", "int", ("a", "b")), MethodDef("stop()")),
    properties=(PropertyDef("mode", "Mode", "modeChanged(Demo::Mode)"), PropertyDef("fixed", "int")),
)


def array(data: bytes) -> bytes:
    """A QByteArray, big endian."""
    return struct.pack(">I", len(data)) + data


def count(number: int) -> bytes:
    return struct.pack(">I", number)


def test_a_definition_is_laid_out_as_qt_lays_it_out() -> None:
    assert encode_definition(DEMO) == b"".join(
        [
            array("Demo".encode("utf-16-be")),
            count(1),
            array(b"Mode") + b"\0\1" + count(1) + count(2),
            array(b"Off") + count(0) + array(b"On") + count(0xFFFFFFFF),
            count(1) + array(b"Qt::Orientation"),
            count(2),
            array(b"Pt") + count(2) + array(b"x") + array(b"int") + array(b"y") + array(b"QString") + count(0),
            array(b"Holder") + count(0) + count(1) + array(b"Inner") + b"\1\0" + count(0) + count(0),
            count(1) + array(b"modeChanged(Demo::Mode)") + count(1) + array(b"mode"),
            count(2),
            array(b"add(int,int)") + array(b"int") + count(2) + array(b"a") + array(b"b"),
            array(b"stop()") + array(b"") + count(0),
            count(2),
            # Names and types of properties, and nothing else, carry a NUL.
            array(b"mode\0") + array(b"Mode\0") + array(b"modeChanged(Demo::Mode)"),
            array(b"fixed\0") + array(b"int\0") + count(0xFFFFFFFF),
        ]
    )
    assert decode_definition(encode_definition(DEMO)) == DEMO


def test_a_definition_tells_a_reader_the_types_of_its_class() -> None:
    mode = Enumeration(1, "i8")
    assert DEMO.user_types() == {
        "Mode": mode,
        "Demo::Mode": mode,
        "DemoSource::Mode": mode,
        "DemoReplica::Mode": mode,
        "Qt::Orientation": 4,
        "Pt": (("x", "int"), ("y", "QString")),
        "Holder::Inner": 0,
    }
    point = Writer()
    point.write_variant(11)
    point.write_variant("up")
    frame = body(PropertyChange("demo", 0, UserTyped("Pt", point.to_bytes())))
    change = decode_packet(frame, from_host=True, types=DEMO.user_types())
    assert change == PropertyChange("demo", 0, {"x": 11, "y": "up"})
    with pytest.raises(UnknownUserType, match="Pt"):
        decode_packet(frame, from_host=True)


def test_only_enums_that_repc_has_generated_are_narrow_in_lists_of_qt_5() -> None:
    keys = (("Off", 0), ("On", 200))
    enum = EnumDef("Mode", is_flag=False, is_scoped=False, size=4, keys=keys)
    of_repc = Enumeration(4, "u8")
    assert ClassDefinition(None, (enum,)).user_types() == {"Mode": 4}
    assert ClassDefinition(gadgets=(GadgetDef("ModeEnum", (), (enum,)),)).user_types() == {"ModeEnum::Mode": of_repc}
    assert ClassDefinition(gadgets=(GadgetDef("Other", (), (enum,)),)).user_types() == {"Other::Mode": 4}
    types = ClassDefinition("Demo", (enum,)).user_types()
    # as DemoSimpleSource of Qt 6.4.2 sends it
    data = bytes.fromhex("000001000018000000514c6973743c44656d6f536f757263653a3a4d6f64653e00020000000200000000000000")
    assert Reader(data, types=types).read_variant() == [2, 0]


def test_an_enum_of_a_class_without_a_name_is_found_by_what_the_class_declares() -> None:
    enum = EnumDef("Tiny", is_flag=False, is_scoped=True, size=1, keys=(("A", 1),))
    listed = PropertyDef("tinies", "QMap<QString,QList<Things::Tiny>>")
    assert ClassDefinition(None, (enum,), properties=(listed,)).user_types() == {"Tiny": 1, "Things::Tiny": 1}
    signal = SignalDef("grown(Things::Tiny,int)")
    assert ClassDefinition(None, (enum,), signals=(signal,)).user_types() == {"Tiny": 1, "Things::Tiny": 1}
    for method in (MethodDef("grow(Things::Tiny)"), MethodDef("size()", "Things::Tiny")):
        assert ClassDefinition(None, (enum,), methods=(method,)).user_types() == {"Tiny": 1, "Things::Tiny": 1}
    assert ClassDefinition(None, (enum,), properties=(PropertyDef("a", "Things::Other"),)).user_types() == {"Tiny": 1}


def test_surplus_bytes_behind_a_definition_are_refused() -> None:
    with pytest.raises(RemoteProtocolError, match="left over"):
        decode_definition(encode_definition(DEMO) + b"\0")


# ------------------------------------------------------------------------------------------------------ round trips
i32s = st.integers(-(2**31), 2**31 - 1)
names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
name_lists = st.lists(names, max_size=3).map(tuple)
objects = st.text(max_size=8)
scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text() | st.binary() | st.dates()
plain = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=5)
values = st.lists(plain, max_size=3).map(tuple)
members = st.lists(st.tuples(names, names), max_size=3).map(tuple)
keys = st.lists(st.tuples(names, i32s), max_size=3).map(tuple)
enums = st.builds(EnumDef, names, st.booleans(), st.booleans(), st.integers(0, 2**32 - 1), keys)


def some(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(strategy, max_size=2).map(tuple)


definitions = st.builds(
    ClassDefinition,
    st.none() | objects,
    some(enums),
    name_lists,
    some(st.builds(GadgetDef, names, members, some(enums))),
    some(st.builds(SignalDef, names, name_lists)),
    some(st.builds(MethodDef, names, names, name_lists)),
    some(st.builds(PropertyDef, names, names, st.none() | names)),
)
signatures = st.none() | st.text("0123456789abcdef")
packets = st.one_of(
    st.builds(Handshake, objects),
    st.builds(Init, objects, values),
    st.builds(InitDynamic, objects, definitions, values),
    st.builds(AddObject, objects, st.booleans()),
    st.builds(RemoveObject, objects),
    st.builds(Invoke, objects, st.sampled_from(CallKind), i32s, values, i32s, i32s),
    st.builds(InvokeReply, objects, i32s, plain),
    st.builds(PropertyChange, objects, i32s, plain),
    st.builds(ObjectList, some(st.builds(ObjectInfo, objects, st.none() | objects, signatures))),
    st.builds(Ping, objects),
    st.builds(Pong, objects),
)
orders = st.sampled_from(["<", ">"])
versions = st.integers(18, 24)


@given(packets, orders, versions)
def test_every_packet_comes_back(packet: Packet, order: Order, version: int) -> None:
    frame = encode_packet(packet, Dialect("", order, version, version))
    assert struct.unpack_from(order + "I", frame) == (len(frame) - HEAD,)
    arrived = decode_packet(frame[HEAD:], from_host=from_host(packet), dialect=Dialect("", order, version, version))
    assert arrived == packet
    assert type(arrived) is type(packet)


@given(definitions, orders, versions)
def test_every_definition_comes_back(definition: ClassDefinition, order: Order, version: int) -> None:
    data = encode_definition(definition, order=order, version=version)
    assert decode_definition(data, order=order, version=version) == definition


def test_values_may_ask_for_their_exact_type() -> None:
    packet = Invoke("m", CallKind.METHOD, 1, (Typed(TypeId.ULONG, 9), Typed("QList<int>", [1, 2])), serial=4)
    assert decode_packet(body(packet), from_host=False) == Invoke("m", CallKind.METHOD, 1, (9, [1, 2]), serial=4)


def test_a_signal_may_carry_more_arguments_than_anyone_declared() -> None:
    bogus = UserTyped("QList<QtPrivate::ModelIndex>", b"\0\0\0\0")
    reset = Invoke("model", CallKind.METHOD, 6, (bogus,))
    assert decode_packet(body(reset), from_host=True) == Invoke("model", CallKind.METHOD, 6, ([],))


def test_a_child_object_arrives_as_a_reference_with_its_definition() -> None:
    definition = encode_definition(DEMO)
    parts = ["Class::Root::child".encode("utf-16-le"), "Demo".encode("utf-16-le")]
    sized = [struct.pack("<I", len(part)) + part for part in (*parts, definition)]
    payload = sized[0] + sized[1] + b"\0" + sized[2] + b"\1"
    packet = PropertyChange("Root", 2, UserTyped("QRemoteObjectPackets::QRO_", payload))
    arrived = decode_packet(body(packet), from_host=True)
    assert arrived == PropertyChange("Root", 2, ObjectReference("Class::Root::child", "Demo", 0, definition, None))
    assert decode_definition(definition) == DEMO


def test_what_a_packet_cannot_carry_is_refused_before_anything_is_sent() -> None:
    for packet in (
        Invoke("m", CallKind.METHOD, 2**31, ()),
        PropertyChange("m", 0, object()),
        PropertyChange("m", 0, Opaque("QFont", b"")),
        ObjectList((ObjectInfo("m", "T", "€"),)),
    ):
        with pytest.raises(ModelError):
            encode_packet(packet)


# ------------------------------------------------------------------------------------------------------ hostile bytes
@pytest.mark.parametrize("number", [0, 12, 255, 0xFFFF])
@pytest.mark.parametrize("host", [True, False])
def test_an_unknown_packet_id_is_refused(number: int, host: bool) -> None:
    with pytest.raises(RemoteProtocolError, match=f"packet id {number}"):
        decode_packet(struct.pack("<H", number) + bytes(40), from_host=host)


def test_each_side_may_send_only_its_own_packets() -> None:
    only_nodes = {PacketId.ADD_OBJECT, PacketId.PING}
    both = {PacketId.INVOKE, PacketId.REMOVE_OBJECT}
    for packet_id in PacketId:
        head = struct.pack("<H", packet_id)
        for host in (True, False):
            allowed = packet_id in both or (packet_id in only_nodes) is not host
            # An allowed id gets as far as the bytes that are missing behind it.
            with pytest.raises(RemoteProtocolError, match="wanted" if allowed else "never does"):
                decode_packet(head, from_host=host)


@pytest.mark.parametrize(
    "packet", [packet for packet, _ in CAPTURED + LAID_OUT], ids=lambda packet: type(packet).__name__
)
def test_bytes_left_over_in_a_frame_are_refused(packet: Packet) -> None:
    with pytest.raises(RemoteProtocolError, match="left over"):
        decode_packet(body(packet) + b"\0", from_host=from_host(packet))


def test_a_call_of_unknown_kind_is_refused() -> None:
    frame = bytearray(body(Invoke("m", CallKind.METHOD, 0, ())))
    frame[8] = 3
    with pytest.raises(RemoteProtocolError, match="kind 3"):
        decode_packet(frame, from_host=False)


@pytest.mark.parametrize("packet", [Init("m", ()), InitDynamic("m", ClassDefinition(), ()), ObjectList(())])
def test_a_count_beyond_the_frame_is_refused_at_once(packet: Packet) -> None:
    frame = body(packet)
    with pytest.raises(RemoteProtocolError, match="items announced"):
        decode_packet(frame[:-4] + b"\xff\xff\xff\x7f", from_host=True)


def test_names_that_are_not_utf_8_are_refused() -> None:
    data = encode_definition(ClassDefinition(signals=(SignalDef("over()"),))).replace(b"over", b"\xff\xfe\xfd\xfc")
    with pytest.raises(RemoteProtocolError, match="UTF-8"):
        decode_definition(data)


def test_deep_nesting_in_an_argument_is_refused() -> None:
    deep = struct.pack("<IBI", TypeId.QVARIANT_LIST, 0, 1) * 10_000
    frame = struct.pack("<HIiiI", PacketId.INVOKE, 0, 0, 0, 1) + deep
    with pytest.raises(RemoteProtocolError, match="too deeply"):
        decode_packet(frame, from_host=False)


def decode_somehow(data: bytes, *, host: bool, order: Order = "<") -> None:
    with contextlib.suppress(RemoteProtocolError):
        dialect = QTRO_2_0 if order == "<" else QTRO_1_3
        decode_packet(data, from_host=host, types=DEMO.user_types(), dialect=dialect)


numbered = st.tuples(st.integers(0, 12), st.binary(max_size=120)).map(lambda pair: struct.pack("<H", pair[0]) + pair[1])


@given(st.binary(max_size=80) | numbered, st.booleans(), orders)
def test_garbage_raises_nothing_but_protocol_errors(data: bytes, host: bool, order: Order) -> None:
    decode_somehow(data, host=host, order=order)


@given(st.data(), packets)
def test_damaged_packets_raise_nothing_but_protocol_errors(data: st.DataObject, packet: Packet) -> None:
    damaged = bytearray(body(packet))
    for position in data.draw(st.lists(st.integers(2, len(damaged) - 1), min_size=1, max_size=4)):
        damaged[position] = data.draw(st.integers(0, 255))
    decode_somehow(bytes(damaged), host=from_host(packet))


@given(st.data(), packets)
def test_a_packet_cut_short_is_always_noticed(data: st.DataObject, packet: Packet) -> None:
    whole = body(packet)
    with pytest.raises(RemoteProtocolError):
        decode_packet(whole[: data.draw(st.integers(0, len(whole) - 1))], from_host=from_host(packet))


def test_a_date_of_a_qt_calendar_beyond_ours_does_not_break_the_frame() -> None:
    beyond = Typed(TypeId.LONG_LONG, 2**60)
    frame = body(Init("m", (beyond, date(2024, 1, 2)))).replace(
        struct.pack("<IBq", TypeId.LONG_LONG, 0, 2**60), struct.pack("<IBq", TypeId.QDATE, 0, 2**60)
    )
    arrived = decode_packet(frame, from_host=True)
    assert arrived == Init("m", (Opaque("QDate", struct.pack("<q", 2**60)), date(2024, 1, 2)))
