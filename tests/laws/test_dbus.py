"""The laws of the D-Bus engine in its own words: values survive, memory is bounded, two engines and a cable agree."""

from __future__ import annotations

import itertools
import struct
from collections import deque
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everywire import ModelError, RemoteProtocolError
from everywire.dbus.codec import (
    Kind,
    Message,
    Node,
    Variant,
    decode_message,
    encode_message,
    frame_size,
    marshal,
    parse_signature,
)
from everywire.dbus.codec.bodies import MALFORMED, BodyReader, general_reader, read_body, value_reader
from everywire.dbus.codec.inlined import inlined_reader
from everywire.dbus.codec.repeated import repeated_reader
from everywire.dbus.engine import MOST_DESCRIPTORS, Authenticated, Broken, Engine, Oversized, Refused, Unreadable
from tests.laws.dbus import (
    BODIES,
    FRAMES,
    GUID,
    MAX_FRAME,
    MESSAGES,
    ORDERS,
    SUBJECTS,
    UID,
    values_of,
    write_body,
    write_message,
)
from tests.laws.test_bounds import grown

CALL = Message(kind=Kind.CALL, path="/org/acme/Plant", interface="org.acme.Plant1", member="Boost")
KIB = 1024


def client(**settings: Any) -> Engine:
    return Engine("client", **{"max_frame": MAX_FRAME, "uid": UID, **settings})


def server(**settings: Any) -> Engine:
    return Engine("server", **{"max_frame": MAX_FRAME, "uid": UID, "guid": GUID, **settings})


def ready(**settings: Any) -> Engine:
    """Return a client that has authenticated."""
    engine = client(**settings)
    engine.data_to_send()
    (event,) = engine.receive_data(f"OK {GUID}\r\nAGREE_UNIX_FD\r\n".encode())
    assert event == Authenticated(GUID, descriptors=True)
    assert engine.data_to_send() == b"NEGOTIATE_UNIX_FD\r\nBEGIN\r\n"
    return engine


# --------------------------------------------------------------------------------------------- law 3: values survive
@given(body=BODIES)
def test_what_we_write_is_what_the_specification_says(body: tuple[str, tuple[Any, ...]]) -> None:
    signature, values = body
    assert marshal(signature, values) == write_body(signature, values, "<")


@given(body=BODIES, order=ORDERS)
def test_values_survive_in_both_byte_orders(body: tuple[str, tuple[Any, ...]], order: str) -> None:
    signature, values = body
    assert read_body(signature, write_body(signature, values, order), order) == values


@given(message=MESSAGES, serial=st.integers(1, 2**32 - 1), order=ORDERS)
def test_messages_survive(message: Message, serial: int, order: str) -> None:
    for frame in (write_message(message, serial, order), encode_message(message, serial)):
        assert frame_size(frame) == len(frame)
        found = decode_message(frame)
        assert found is not None
        for field in message.__struct_fields__:
            if field != "serial" and not (field == "sender" and frame[0] == ord("l") and not found.sender):
                assert getattr(found, field) == getattr(message, field), field
        assert found.serial == serial


@given(frame=FRAMES, cut=st.integers(0, 400))
def test_a_frame_that_ends_early_is_refused_by_name(frame: bytes, cut: int) -> None:
    body = int.from_bytes(frame[4:8], "little" if frame[0] == ord("l") else "big")
    if cut and body > cut:
        order = "<I" if frame[0] == ord("l") else ">I"
        shorter = frame[:4] + struct.pack(order, body - cut) + frame[8:-cut]
        with pytest.raises(RemoteProtocolError):
            decode_message(shorter)


# ------------------------------------------------------------- readers with code of their own are as the general ones
def outcome(read: Callable[[bytes], tuple[Any, ...]], raw: bytes) -> str:
    """Return what *read* makes of *raw*; text, for NaN equals nothing."""
    try:
        return repr(read(raw))
    except MALFORMED:
        return "refused"


def both_say(signature: str, raw: bytes, order: str) -> str:
    """Return what comes of *raw* by the general reader, which the generated one agrees with."""
    general = general_reader(signature, order)
    read = inlined_reader(parse_signature(signature), order, general, value_reader)
    said = outcome(general, raw)
    assert outcome(read, raw) == said
    return said


CHANGES = st.lists(
    st.tuples(st.integers(0, 200), st.sampled_from([0, 1, 2, 3, 4, 7, 8, 100, 115, 118, 255]) | st.integers(0, 255)),
    max_size=3,
)


@given(body=BODIES, order=ORDERS, changes=CHANGES, cut=st.integers(0, 9))
def test_generated_readers_are_as_the_general_ones(
    body: tuple[str, tuple[Any, ...]], order: str, changes: list[tuple[int, int]], cut: int
) -> None:
    signature, values = body
    raw = bytearray(write_body(signature, values, order))
    assert both_say(signature, bytes(raw), order) == repr(values)
    for place, byte in changes:
        if place < len(raw):
            raw[place] = byte
            both_say(signature, bytes(raw), order)
    both_say(signature, bytes(raw[: max(0, len(raw) - cut)]), order)
    both_say(signature, bytes(raw) + bytes(cut), order)


COMMON = ["sa{sv}as", "a{sv}", "v", "s", "as", "(ids)", "b", "a(yv)", "a{oa{sa{sv}}}", "aaaaaas", "ya(xsb)g", ""]


@pytest.mark.parametrize("signature", COMMON)
@given(
    raw=st.binary(max_size=40) | st.lists(st.sampled_from(b"\0\0\0\1\2\4vsbday"), max_size=40).map(bytes), order=ORDERS
)
def test_generated_readers_are_as_the_general_ones_for_any_bytes(signature: str, raw: bytes, order: str) -> None:
    both_say(signature, raw, order)


@pytest.mark.parametrize("order", "<>")
def test_no_byte_of_a_change_is_read_otherwise_by_generated_readers(order: str) -> None:
    changed = {
        "Heat": Variant("d", 2.5),
        "On": Variant("b", True),
        "Name": Variant("s", "hall"),
        "In": Variant("as", ["a"]),
    }
    raw = write_body("sa{sv}as", ("a.B1", changed, ["Old"]), order)
    said = {
        both_say("sa{sv}as", raw[:place] + bytes((byte,)) + raw[place + 1 :], order)
        for place in range(len(raw))
        for byte in (0, 1, 2, 100, 255)
    }
    assert "refused" in said
    assert len(said) > 20


@pytest.mark.parametrize("depth", [62, 63, 64, 65])
@pytest.mark.parametrize("signature", ["v", "av", "(v)", "a{sv}", "aav"])
def test_generated_readers_count_the_same_depth(signature: str, depth: int) -> None:
    value: Any = Variant("y", 7)
    for _ in range(depth - 1):
        value = Variant("v", value)
    bodies: dict[str, Any] = {"v": value, "av": [value], "(v)": [value], "a{sv}": {"a": value}, "aav": [[value]]}
    raw = write_body(signature, (bodies[signature],), "<")
    deeper = {"v": 0, "av": 1, "(v)": 1, "a{sv}": 2, "aav": 2}[signature]
    assert (both_say(signature, raw, "<") == "refused") is (depth + deeper > 64)


def test_a_reader_that_is_used_often_gets_code_of_its_own_and_reads_on() -> None:
    reader = BodyReader("sa{sv}as", "<")
    raw = marshal("sa{sv}as", ("a.B1", {"Heat": Variant("d", 2.5)}, []))
    at_first, read = reader.read, [reader.read(raw) for _ in range(1000)]
    assert read == [("a.B1", {"Heat": Variant("d", 2.5)}, [])] * 1000
    assert reader.read != at_first
    for broken in (raw[:-1], raw + b"\0", b""):
        with pytest.raises(MALFORMED):
            reader.read(broken)


# One property, or two of which names and types are as long as those of others.
ENTRIES = st.tuples(
    st.sampled_from(["A", "B", "Heat", "Cool", "H\u00e9"]),
    st.sampled_from("dxiuqybs").flatmap(lambda code: values_of(Node(code)).map(lambda value: Variant(code, value)))
    | st.integers(0, 2**64 - 1).map(lambda bits: Variant("d", struct.unpack("<d", struct.pack("<Q", bits))[0])),
)


def change(interface: str, entries: list[tuple[str, Variant]], gone: list[str], order: str) -> bytes:
    """Return the body of PropertiesChanged; names may come twice in it."""
    pairs = [list(entry) for entry in entries]
    return write_body("sa(sv)as", (interface, pairs, gone), order)  # entries of dicts are written as structs are


@given(
    bodies=st.lists(
        st.tuples(
            st.sampled_from(["a.B1", "a.B2", "org.acme.Climate1"]),
            st.lists(ENTRIES, min_size=1, max_size=2),
            st.sampled_from([[], [], [], ["Old"]]),
            st.sampled_from([(0, None)] * 4) | st.tuples(st.integers(0, 80), st.integers(0, 255)),
        ),
        max_size=12,
    ),
    order=ORDERS,
)
def test_what_is_remembered_of_changes_makes_no_difference(bodies: list[Any], order: str) -> None:
    general = general_reader("sa{sv}as", order)
    read = repeated_reader(general, order)
    for interface, entries, gone, (place, byte) in bodies:
        raw = bytearray(change(interface, entries, gone, order))
        for _ in range(2):
            assert outcome(read, bytes(raw)) == outcome(general, bytes(raw))
        if byte is not None and place < len(raw):
            raw[place] = byte
            assert outcome(read, bytes(raw)) == outcome(general, bytes(raw))


@pytest.mark.parametrize("code", "dxtiunqyh")
def test_a_remembered_change_is_no_excuse_for_any_byte(code: str) -> None:
    general = general_reader("sa{sv}as", "<")
    read = repeated_reader(general, "<")
    raw = change("org.acme.Climate1", [("Heat", Variant(code, 7))], [], "<")
    assert read(raw) == general(raw)
    for place in range(len(raw)):
        for byte in range(256):
            other = raw[:place] + bytes((byte,)) + raw[place + 1 :]
            assert outcome(read, other) == outcome(general, other)
    assert read(raw)[1] is not read(raw)[1]  # whoever gets it may keep it, and change it


def test_what_is_remembered_of_changes_is_bounded() -> None:
    read = repeated_reader(general_reader("sa{sv}as", "<"), "<")
    numbers = itertools.count()

    def tell() -> None:
        for number in itertools.islice(numbers, 3000):
            read(change("a.B1", [(f"P{number:0400}", Variant("d", 1.5))], [], "<"))

    assert grown(tell) < 512 * KIB


# ------------------------------------------------------------------------------------------------- law 4: bounded
@pytest.mark.parametrize("place", [4, 12], ids=["body", "header"])
@pytest.mark.parametrize("size", [2**27, 2**31 - 1, 2**32 - 8])
@pytest.mark.parametrize("order", "<>")
def test_a_size_that_no_message_has_breaks_the_link_at_once(place: int, size: int, order: str) -> None:
    frame = bytearray(write_message(CALL, 1, order)[:16])
    frame[place : place + 4] = struct.pack(order + "I", size)
    (event,) = ready().receive_data(bytes(frame))
    assert type(event) is Broken
    assert "are the most" in str(event.error)


@pytest.mark.parametrize("announced", [2**26, 2**26 + 1, 2**31 - 1, 2**32 - 1])
@pytest.mark.parametrize("signature", ["as", "a{sv}", "aai", "ax", "s", "ay", "v"])
def test_a_declared_length_reserves_no_memory(signature: str, announced: int) -> None:
    raw = struct.pack("<I", announced) + bytes(12)

    def act() -> None:
        with pytest.raises(RemoteProtocolError):
            read_body(signature, raw, "<")

    assert grown(act) < 16 * KIB


def test_a_message_that_is_too_large_is_passed_by_and_the_next_is_heard() -> None:
    large = encode_message(Message(kind=Kind.CALL, path="/a", member="Take", signature="ay", body=(bytes(2000),)), 7)
    engine = ready()
    events = [event for n in range(0, len(large), 100) for event in engine.receive_data(large[n : n + 100])]
    events += engine.receive_data(encode_message(CALL, 8))
    told, message = events
    assert isinstance(told, Oversized)
    assert (told.head.member, told.head.serial, told.size) == ("Take", 7, len(large))
    assert message.serial == 8


def test_what_is_passed_by_is_not_kept() -> None:
    head = encode_message(Message(kind=Kind.CALL, path="/a", member="Take", signature="ay", body=(b"",)), 7)
    size = 100 * KIB * KIB
    start = head[:4] + struct.pack("<I", size) + head[8:-4] + struct.pack("<I", size - 4)
    engine = ready()
    engine.receive_data(start)

    def act() -> None:
        for _ in range(100):
            assert engine.receive_data(bytes(64 * KIB)) == []

    assert grown(act) < 256 * KIB


def test_a_header_that_is_too_large_breaks_the_link() -> None:
    frame = encode_message(Message(kind=Kind.CALL, path="/" + "a" * 2 * MAX_FRAME, member="Take"), 7)
    (event,) = ready().receive_data(frame)
    assert type(event) is Broken
    assert "header alone" in str(event.error)


@pytest.mark.parametrize("depth", [65, 5000, 100_000])
def test_variants_in_variants_break_the_link_instead_of_the_stack(depth: int) -> None:
    fields = write_body("yyyyuua(yv)", (ord("l"), 1, 0, 1, 0, 7, [
        [1, Variant("o", "/a")], [3, Variant("s", "Take")], [8, Variant("g", "v")],
    ]), "<")  # fmt: skip
    body = b"\x01v\0" * depth + b"\x01y\0\x07"
    frame = fields[:4] + struct.pack("<I", len(body)) + fields[8:] + bytes(-len(fields) % 8) + body
    (event,) = ready(max_frame=2**20).receive_data(frame)
    assert type(event) is Broken
    assert "deeper than 64" in str(event.error)


@pytest.mark.parametrize("subject", SUBJECTS, ids=str)
def test_a_line_without_end_breaks_the_authentication(subject: Any) -> None:
    engine = subject.make().engine
    events = engine.receive_data(b"\0" if str(subject) == "dbus_server" else b"")
    for _ in range(20):
        events += engine.receive_data(b"A" * KIB)
    assert [type(event) for event in events] == [Broken]


def test_descriptors_that_no_message_announces_break_the_link() -> None:
    engine = ready()
    engine.receive_descriptors(range(MOST_DESCRIPTORS))
    assert engine.receive_data(encode_message(CALL, 1))
    engine.receive_descriptors([MOST_DESCRIPTORS])
    (_, event) = engine.receive_data(encode_message(CALL, 2))
    assert type(event) is Broken


# -------------------------------------------------------------------------------------------- law 5: engines and cable
@given(
    messages=st.lists(MESSAGES, max_size=5),
    cuts=st.lists(st.integers(1, 200), max_size=30),
    anonymous=st.booleans(),
    uid=st.sampled_from([UID, None]),
)
def test_two_engines_and_a_cable_reach_the_same_state(
    messages: list[Message], cuts: list[int], anonymous: bool, uid: int | None
) -> None:
    one, two = client(uid=uid, anonymous=True, max_frame=2**20), server(uid=uid, anonymous=True, max_frame=2**20)
    heard: list[Any] = []
    sizes = iter(cuts)

    def carry(source: Engine, target: Engine) -> bool:
        data = source.data_to_send()
        while data:
            size = next(sizes, len(data))
            heard.extend(target.receive_data(data[:size]))
            data = data[size:]
        return bool(heard)

    for _ in range(10):
        carry(one, two)
        carry(two, one)
    assert [type(event) for event in heard].count(Authenticated) == 2
    assert {event.anonymous for event in heard} == {uid is None}
    del heard[:]
    for message in messages:
        one.send(message)
    carry(one, two)
    assert [(message.member, message.body) for message in heard] == [(m.member, m.body) for m in messages]
    assert [message.serial for message in heard] == list(range(1, len(messages) + 1))
    assert one.receive_eof() == two.receive_eof() == []


# ------------------------------------------------------------------------------------------------- who may come in
def hears(engine: Engine, *lines: str) -> list[str]:
    """Return what *engine* answers to *lines*."""
    engine.data_to_send()
    for line in lines:
        engine.receive_data(f"{line}\r\n".encode())
    return engine.data_to_send().decode().splitlines()


def test_a_server_lets_in_whom_the_kernel_knows_and_nobody_else() -> None:
    mine, other = str(UID).encode().hex(), str(UID + 1).encode().hex()
    assert hears(server(), f"\0AUTH EXTERNAL {mine}") == [f"OK {GUID}"]
    assert hears(server(), f"\0AUTH EXTERNAL {other}") == ["REJECTED EXTERNAL"]
    assert hears(server(), "\0AUTH EXTERNAL", "DATA") == ["DATA", f"OK {GUID}"]
    assert hears(server(uid=None), f"\0AUTH EXTERNAL {mine}") == ["REJECTED"]
    assert hears(server(), "\0AUTH ANONYMOUS") == ["REJECTED EXTERNAL"]
    assert hears(server(anonymous=True), "\0AUTH ANONYMOUS 61") == [f"OK {GUID}"]
    assert hears(server(), "\0AUTH DBUS_COOKIE_SHA1 00", "HELLO") == [
        "REJECTED EXTERNAL",
        'ERROR "not understood, or not now"',
    ]
    assert hears(server(descriptors=False), f"\0AUTH EXTERNAL {mine}", "NEGOTIATE_UNIX_FD")[1].startswith("ERROR")


@pytest.mark.parametrize("early", ["\0BEGIN", "\0AUTH EXTERNAL 39\r\nBEGIN"])
def test_who_begins_without_having_authenticated_is_out(early: str) -> None:
    (event,) = server().receive_data(f"{early}\r\n".encode() + encode_message(CALL, 1))
    assert isinstance(event.error, Refused)


def test_a_server_does_not_listen_for_ever_to_who_guesses() -> None:
    engine = server()
    events = [event for _ in range(9) for event in engine.receive_data(b"\0AUTH EXTERNAL 39\r\n"[bool(_) :])]
    assert isinstance(events[-1].error, Refused)


def test_a_client_says_who_it_is_and_then_that_it_is_nobody() -> None:
    engine = client(anonymous=True)
    assert engine.data_to_send() == b"\0AUTH EXTERNAL " + str(UID).encode().hex().encode() + b"\r\n"
    assert hears(engine, "REJECTED ANONYMOUS") == ["AUTH ANONYMOUS"]
    (event,) = engine.receive_data(b"REJECTED KERBEROS_V4\r\n")
    assert isinstance(event.error, Refused)
    assert "KERBEROS_V4" in str(event.error)


@pytest.mark.parametrize("line", ["WELCOME", "OK", "OK ", "BEGIN"])
def test_a_server_that_says_something_else_is_none(line: str) -> None:
    (event,) = client().receive_data(f"{line}\r\n".encode())
    assert type(event) is Broken


def test_a_client_asks_for_descriptors_only_where_they_can_pass() -> None:
    assert hears(client(descriptors=False), f"OK {GUID}") == ["BEGIN"]
    assert hears(client(), f"OK {GUID}", "ERROR not here") == ["NEGOTIATE_UNIX_FD", "BEGIN"]


# -------------------------------------------------------------------------------------------------- what else may come
def test_a_malformed_body_that_came_through_a_bus_is_told_and_the_link_goes_on() -> None:
    said = Message(kind=Kind.SIGNAL, path="/a", interface="a.B", member="C", signature="b", body=(True,))
    frame = bytearray(encode_message(said, 3))
    frame[-4] = 9
    engine = ready(bus=True)
    told, message = engine.receive_data(bytes(frame) + encode_message(CALL, 4))
    assert isinstance(told, Unreadable)
    assert "0 or 1" in str(told.error)
    assert message.serial == 4
    (broken,) = ready(bus=False).receive_data(bytes(frame))
    assert type(broken) is Broken


def test_a_kind_of_message_that_nobody_knows_yet_is_ignored() -> None:
    frame = bytearray(encode_message(CALL, 3))
    frame[1] = 77
    (message,) = ready().receive_data(bytes(frame) + encode_message(CALL, 4))
    assert message.serial == 4


def test_descriptors_go_with_the_message_that_announces_them() -> None:
    engine = ready()
    frames = [
        encode_message(Message(kind=Kind.CALL, path="/a", member="Take", signature="h", body=(0,), fds=fds), n)
        for n, fds in enumerate((("a",), ("b", "c")), 1)
    ]
    engine.receive_descriptors(["one", "two", "three"])
    assert [message.fds for message in engine.receive_data(b"".join(frames))] == [("one",), ("two", "three")]
    (event,) = engine.receive_data(frames[0])
    assert "announces 1 file descriptors, and 0 came" in str(event.error)


def test_the_serial_begins_anew_and_is_never_zero() -> None:
    engine = ready()
    engine.serial = 2**32 - 2
    assert [engine.send(CALL), engine.send(CALL), engine.send(CALL)] == [2**32 - 1, 1, 2]


# ------------------------------------------------------------------------------------------------- what cannot be sent
@pytest.mark.parametrize(
    "fields",
    [
        {"path": "org/acme"}, {"path": "/a/"}, {"path": "/a//b"}, {"path": "/ä"}, {"member": "a.b"}, {"member": "1a"},
        {"member": "x" * 256}, {"interface": "acme"}, {"interface": "a..b"}, {"interface": "1a.b"},
        {"destination": "acme"}, {"destination": ":1"}, {"destination": "org.1acme"}, {"signature": "z"},
        {"signature": "()"}, {"signature": "a"}, {"signature": "a{vs}"}, {"signature": "{ss}"}, {"signature": "(s"},
        {"signature": "a" * 33 + "s"}, {"signature": "s" * 256}, {"signature": "s"}, {"signature": "s", "body": (1,)},
        {"signature": "y", "body": (256,)}, {"signature": "o", "body": ("a",)}, {"signature": "g", "body": ("z",)},
        {"signature": "s", "body": ("a\0b",)}, {"signature": "s", "body": ("\ud800",)}, {"body": (1,)},
        {"signature": "s", "body": ("a", "b")}, {"signature": "v", "body": (1,)}, {"path": ""}, {"member": ""},
        {"kind": Kind.SIGNAL}, {"kind": Kind.ERROR, "reply_serial": 1},
    ],
    ids=str,
)  # fmt: skip
def test_what_no_message_can_hold_is_refused_before_anything_is_sent(fields: dict[str, Any]) -> None:
    engine = ready()
    parts = {"kind": Kind.CALL, "path": "/a", "member": "Take", **fields}
    with pytest.raises(ModelError):
        engine.send(Message(**parts))
    assert engine.data_to_send() == b""
    assert engine.serial == 0


# ------------------------------------------------------------------------------------------------ what is not let in
def broken_fields(*changed: tuple[int, Variant], kind: int = 1, serial: int = 7, body: bytes = b"") -> bytes:
    fields = [[1, Variant("o", "/a")], [3, Variant("s", "Take")], *map(list, changed)]
    head = write_body("yyyyuua(yv)", (ord("l"), kind, 0, 1, len(body), serial, fields), "<")
    return head + bytes(-len(head) % 8) + body


@pytest.mark.parametrize(
    "frame",
    {
        "serial zero": broken_fields(serial=0),
        "twice the same field": broken_fields((3, Variant("s", "Take"))),
        "a field of another type": broken_fields((2, Variant("o", "/a"))),
        "field zero": broken_fields((0, Variant("s", "x"))),
        "an interface that is none": broken_fields((2, Variant("s", "acme"))),
        "a destination that is none": broken_fields((6, Variant("s", "acme"))),
        "the local interface": broken_fields((2, Variant("s", "org.freedesktop.DBus.Local"))),
        "a body without signature": broken_fields(body=b"\0"),
        "a signature without body": broken_fields((8, Variant("g", "s"))),
        "a body that goes on": broken_fields((8, Variant("g", "y")), body=b"\0\0"),
        "a boolean of two": broken_fields((8, Variant("g", "b")), body=b"\2\0\0\0"),
        "padding that is not zero": broken_fields((8, Variant("g", "yu")), body=b"\1\1\0\0\1\0\0\0"),
        "a text that is not UTF-8": broken_fields((8, Variant("g", "s")), body=b"\1\0\0\0\xff\0"),
        "a text without end": broken_fields((8, Variant("g", "s")), body=b"\1\0\0\0aa"),
        "a text with NUL": broken_fields((8, Variant("g", "s")), body=b"\2\0\0\0a\0\0"),
        "a path that is none": broken_fields((8, Variant("g", "o")), body=b"\1\0\0\0a\0"),
        "a signature that is none": broken_fields((8, Variant("g", "g")), body=b"\1z\0"),
        "a variant of two": broken_fields((8, Variant("g", "v")), body=b"\2yy\0\1\1"),
        "a variant of nothing": broken_fields((8, Variant("g", "v")), body=b"\0\0"),
        "an array in the midst of an item": broken_fields((8, Variant("g", "ai")), body=b"\3\0\0\0\0\0\0\0"),
        "an answer to nothing": broken_fields(kind=2),
        "an error without name": broken_fields((5, Variant("u", 1)), kind=3),
        "a signal without interface": broken_fields(kind=4),
    }.items(),
    ids=lambda item: item[0],
)  # fmt: skip
def test_what_libdbus_would_not_take_breaks_the_link(frame: tuple[str, bytes]) -> None:
    with pytest.raises(RemoteProtocolError):
        decode_message(frame[1], deque())
    (event,) = ready().receive_data(frame[1])
    assert type(event) is Broken
    assert str(event.error)


def test_fields_of_later_versions_are_ignored() -> None:
    message = decode_message(broken_fields((99, Variant("a{sv}", {"a": Variant("x", 5)}))))
    assert message is not None
    assert (message.path, message.member) == ("/a", "Take")
