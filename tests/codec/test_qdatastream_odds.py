"""QDataStream at its edges: null and strange text, user types, times that Python and Qt see differently."""

from __future__ import annotations

import struct
from datetime import UTC, date, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from everywire.codec.qdatastream import (
    ObjectReference,
    Opaque,
    Reader,
    TypeId,
    UnknownUserType,
    UserTyped,
    Writer,
)
from everywire.codec.qdatastream.names import CORE, TypeName, parse_type_name
from everywire.codec.qdatastream.stream import Order
from everywire.errors import LocalProtocolError, RemoteProtocolError
from tests.codec.streams import (
    EXACT,
    NEVER_SENT,
    blob,
    decode,
    encode,
    orders,
    u32,
    user,
)


# ------------------------------------------------------------------------------------------------- text and nothing
def test_null_and_empty_text_differ_only_for_those_who_ask() -> None:
    data = u32(0xFFFFFFFF, 0)
    reader = Reader(data)
    assert [reader.read_optional_string(), reader.read_optional_string()] == [None, ""]
    reader = Reader(data)
    assert [reader.read_string(), reader.read_bytes()] == ["", b""]
    writer = Writer()
    writer.write_string(None)
    writer.write_bytes(b"")
    assert writer.to_bytes() == data


@given(st.text(st.characters(codec=None, categories=["Cs", "L"])), orders)
@example("\ud83d", "<")
@example("a\ude00b", ">")
def test_lone_surrogates_are_kept(text: str, order: Order) -> None:
    arrived = decode(encode(text, order), order)
    assert arrived.encode("utf-16", "surrogatepass") == text.encode("utf-16", "surrogatepass")


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), orders)
def test_c_strings_carry_their_nul(text: str, order: Order) -> None:
    writer = Writer(order=order)
    writer.write_c_string(text)
    assert writer.to_bytes().endswith(b"\0")
    assert Reader(writer.to_bytes(), order=order).read_c_string() == text


@pytest.mark.parametrize("data", [blob(b"ab"), blob(b"a\0b\0"), blob(b"\xff\0"), b"\x02\0\0\0a"])
def test_a_broken_c_string_is_refused(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        Reader(data).read_c_string()


def test_a_reader_stays_within_its_bounds() -> None:
    reader = Reader(b"\1\2\3\4", 1, 3)
    assert reader.read_int("u16") == 0x0302
    assert (reader.position, reader.remaining) == (3, 0)
    with pytest.raises(RemoteProtocolError):
        reader.read_bool()
    with pytest.raises(LocalProtocolError):
        Reader(b"1234", 2, 5)
    with pytest.raises(RemoteProtocolError, match="left over"):
        Reader(b"1").expect_end()


@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview])
def test_any_buffer_can_be_read(wrap: type[bytes]) -> None:
    assert decode(wrap(encode(["a", b"b", 1]))) == ["a", b"b", 1]


# ------------------------------------------------------------------------------------------------------- user types
def test_enums_are_read_by_their_size_and_gadgets_by_their_properties() -> None:
    assert decode(user("Demo::Mode", b"\xff")) == -1
    assert decode(user("Demo::Flags", u32(5))) == 5
    assert decode(user("Wide", u32(1, 1))) == 2**32 + 1
    assert decode(user("Pt", encode(1) + encode("up"))) == {"x": 1, "y": "up"}
    assert decode(user("QList<Pt>", u32(1) + encode(1) + encode(2))) == [{"x": 1, "y": 2}]
    assert decode(user("QMap<Demo::Mode,Pt>", u32(1) + b"\2" + encode(1) + encode(2))) == {2: {"x": 1, "y": 2}}


@pytest.mark.parametrize("order,version", [("<", 20), (">", 20)])
def test_lists_and_maps_of_gadgets_are_big_endian_streams_of_their_own(order: Order, version: int) -> None:
    point = encode(1, ">") + encode(2, ">")
    inner = blob(b"Pt", order=">") + u32(2, order=">") + point * 2
    sequence = user("QRemoteObjectPackets::QSQ_", blob(b"QList<Pt>", b"Pt", inner, order=order), order, version)
    assert decode(sequence, order, version) == [{"x": 1, "y": 2}] * 2

    inner = blob(b"Demo::Mode", b"Pt", order=">") + u32(1, order=">") + b"\1" + point
    parts = (b"QMap<Demo::Mode,Pt>", b"Demo::Mode", b"Pt", inner)
    association = user("QRemoteObjectPackets::QAS_", blob(*parts, order=order), order, version)
    assert decode(association, order, version) == {1: {"x": 1, "y": 2}}


def test_a_list_of_unknown_gadgets_is_opaque_because_its_length_is_known() -> None:
    inner = blob(b"Strange", order=">") + u32(1, order=">") + b"anything"
    data = encode([UserTyped("QRemoteObjectPackets::QSQ_", blob(b"QList<Strange>", b"Strange", inner)), 5])
    assert decode(data) == [Opaque("QList<Strange>", inner), 5]


def test_a_reference_to_an_object_is_read_with_its_null_pointer() -> None:
    text = blob("c".encode("utf-16-le"), "T".encode("utf-16-le"))
    name = "QRemoteObjectPackets::QRO_"
    assert decode(user(name, text + b"\0" + blob(b"def") + b"\1")) == ObjectReference("c", "T", 0, b"def", None)
    assert decode(user(name, text + b"\1" + blob(b"", b"")[:4] + b"\0" + blob(b"par"))).parameters == b"par"
    with pytest.raises(RemoteProtocolError, match="kind 3"):
        decode(user(name, text + b"\3" + blob(b"") + b"\1"))


@pytest.mark.parametrize("parameters", [None, b"", b"par"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_a_reference_to_an_object_comes_back(order: Order, parameters: bytes | None) -> None:
    reference = ObjectReference("Class::hall::pump", "Pump", 0, b"definition", parameters)
    assert decode(encode(reference, order), order) == reference


@pytest.mark.parametrize(
    "name", ["Strange", "QList<Strange>", "QMap<int>", "QList<int", "QList<>", "<", "", "QVariantList<int>", "A" * 2000]
)
def test_an_unknown_user_type_says_its_name_so_that_the_frame_can_be_skipped(name: str) -> None:
    with pytest.raises(UnknownUserType) as caught:
        decode(user(name, u32(1) + b"any"))
    assert caught.value.type_name in name
    assert len(str(caught.value)) < 200


def test_an_empty_list_of_unknown_things_is_simply_empty() -> None:
    assert decode(user("QList<QtPrivate::ModelIndex>", u32(0))) == []


@pytest.mark.parametrize("number", [27, 58, 999, 4111, 70000])
def test_an_unknown_type_number_is_an_unknown_type(number: int) -> None:
    with pytest.raises(UnknownUserType):
        decode(u32(number) + b"\0")


def test_template_names_are_taken_apart() -> None:
    nested = TypeName("QMap", (TypeName("QString"), TypeName("QList", (TypeName("unsigned int"),))))
    assert parse_type_name(" QMap<QString, QList<unsigned  int> >") == nested
    for malformed in ("", "a<", "a<b", "a<b>>", "a,b", "a<,b>", "a<b>c", "<a>", "a<" * 40 + "b" + ">" * 40):
        assert parse_type_name(malformed) is None
    assert set(CORE.values()) <= {*EXACT, *NEVER_SENT, TypeId.QTEXT_FORMAT}


# ------------------------------------------------------------------------------------------------------ times at odds
def test_dates_beyond_pythons_calendar_are_opaque() -> None:
    head = struct.pack("<IB", TypeId.QDATE, 0)
    assert decode(head + struct.pack("<q", 1721425)) == Opaque("QDate", struct.pack("<q", 1721425))
    assert decode(head + struct.pack("<q", 1721426)) == date.min
    assert decode(head + struct.pack("<q", 5373485)).type_name == "QDate"
    moment = struct.pack("<qiB", 2**62, 0, 1)
    assert decode(struct.pack("<IB", TypeId.QDATE_TIME, 0) + moment) == Opaque("QDateTime", moment)


def zoned(name: str, rest: bytes = b"") -> bytes:
    return struct.pack("<IBqiB", TypeId.QDATE_TIME, 0, 2460312, 0, 3) + blob(name.encode("utf-16-le")) + rest


@pytest.mark.parametrize(
    "name",
    ["Mars/Olympus", "-No Time Zone Specified!", "../../etc/passwd", "/etc/passwd", "Europe", "", "a\0b", "x" * 99],
)
def test_a_zone_unknown_here_makes_the_moment_opaque(name: str) -> None:
    assert decode(zoned(name)).type_name == "QDateTime"


def test_the_short_zone_forms_of_qt_65_are_understood() -> None:
    assert decode(zoned("QTimeZone::UTC")).tzinfo is UTC
    assert decode(zoned("QTimeZone::LocalTime")).tzinfo is None
    assert decode(zoned("AheadOfUtcBy", u32(60))).utcoffset() == timedelta(minutes=1)


@pytest.mark.parametrize(
    "data",
    [
        struct.pack("<IBi", TypeId.QTIME, 0, 86_400_000),
        struct.pack("<IBi", TypeId.QTIME, 0, -2),
        struct.pack("<IBqiB", TypeId.QDATE_TIME, 0, 2460312, 0, 4),
        struct.pack("<IBqiBi", TypeId.QDATE_TIME, 0, 2460312, 0, 2, 86_400),
    ],
)
def test_impossible_times_are_refused(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        decode(data)
