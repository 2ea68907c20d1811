"""QDataStream: bytes captured from Qt, round trips of every type, and what Python values travel as."""

from __future__ import annotations

import dataclasses
import enum
import struct
import zoneinfo
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from typing import Any, Final
from uuid import UUID

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from everywire.codec.qdatastream import (
    BitArray,
    Color,
    EasingCurve,
    Line,
    LineF,
    Opaque,
    Point,
    PointF,
    Rect,
    RectF,
    RegularExpression,
    Size,
    SizeF,
    Typed,
    TypeId,
    UnknownUserType,
    UserTyped,
    natural_type,
)
from everywire.codec.qdatastream.names import number_on_wire, type_of_number
from everywire.codec.qdatastream.stream import Order
from everywire.codec.qdatastream.values import VALUES
from everywire.errors import ModelError
from tests.codec.streams import (
    BERLIN,
    EXACT,
    NEVER_SENT,
    decode,
    doubles,
    encode,
    i32s,
    integers,
    orders,
    scalars,
    u32,
    variants,
    versions,
    zones,
)
from tests.harness import soak

# ------------------------------------------------------------------------------------------------- bytes of real Qt
CAPTURED: Final[list[tuple[object, str]]] = [
    (None, "0000000001"),
    (True, "010000000001"),
    (11, "02000000000b000000"),
    (-1, "0200000000ffffffff"),
    (2**31, "04000000000000008000000000"),
    (1.5, "0600000000000000000000f83f"),
    ("a", "0a00000000020000006100"),
    ("", "0a0000000000000000"),
    (b"x", "0c000000000100000078"),
    (["a"], "0b0000000001000000020000006100"),
    ([1, "a"], "0900000000020000000200000000010000000a00000000020000006100"),
    ([], "090000000000000000"),
    ({"a": 1}, "080000000001000000020000006100020000000001000000"),
    (date(2024, 1, 2), "0e00000000988a250000000000"),
    (time(1, 2, 3), "0f00000000f8ce3800"),
    (datetime(2024, 1, 2, 1, 2, 3), "1000000000988a250000000000f8ce380000"),  # noqa: DTZ001  Qt's local time
    (datetime(2024, 1, 2, 1, 2, 3, tzinfo=UTC), "1000000000988a250000000000f8ce380001"),
    (
        datetime(2024, 1, 2, 1, 2, 3, tzinfo=BERLIN),
        "1000000000988a250000000000f8ce3800031a0000004500750072006f00700065002f004200650072006c0069006e00",
    ),
    (UUID("00112233-4455-6677-8899-aabbccddeeff"), "1e0000000033221100554477668899aabbccddeeff"),
    (Rect(1, 2, 3, 4), "130000000001000000020000000300000005000000"),
    (RectF(1, 2, 3, 4), "1400000000000000000000f03f000000000000004000000000000008400000000000001040"),
    (Size(1, 2), "15000000000100000002000000"),
    (SizeF(1, 2), "1600000000000000000000f03f0000000000000040"),
    (Line(1, 2, 3, 4), "170000000001000000020000000300000004000000"),
    (LineF(1, 2, 3, 4), "1800000000000000000000f03f000000000000004000000000000008400000000000001040"),
    (Point(1, 2), "19000000000100000002000000"),
    (PointF(1, 2), "1a00000000000000000000f03f0000000000000040"),
    (BitArray(10, b"\xff\x03"), "0d000000000a00000000000000ff03"),
    (EasingCurve(0), "1d0000000000000000000000000000"),
    (RegularExpression("a.*"), "2c000000000600000061002e002a0000000000"),
    (Color(1, 0xFFFF, 0x0101, 0x0202, 0x0303, 0), "031000000001ffff0101020203030000"),
]


@pytest.mark.parametrize("value,captured", CAPTURED, ids=lambda part: str(part)[:24])
def test_values_are_written_and_read_as_qt_writes_them(value: object, captured: str) -> None:
    assert encode(value).hex() == captured
    assert decode(bytes.fromhex(captured)) == value


CAPTURED_EXACT: Final[list[tuple[TypeId, object, str]]] = [
    (TypeId.QURL, "http://xn--4ca/x%20y", "110000000014000000687474703a2f2f786e2d2d3463612f7825323079"),
    (TypeId.QURL, "", "1100000000ffffffff"),
    (TypeId.QLOCALE, "de_DE", "12000000000a000000640065005f0044004500"),
    (TypeId.QDATE, None, "0e000000000000000000000080"),
    (TypeId.QTIME, None, "0f00000000ffffffff"),
    (TypeId.QDATE_TIME, None, "10000000000000000000000080ffffffff00"),
    (TypeId.QJSON_DOCUMENT, {"a": [1]}, "3000000000090000007b2261223a5b315d7d"),
    (TypeId.QJSON_DOCUMENT, None, "3000000000ffffffff"),
    (TypeId.QVECTOR3D, (1, 2, 3), "1310000000000000000000f03f00000000000000400000000000000840"),
    (TypeId.QKEY_SEQUENCE, [0x04000041], "0b100000000100000041000004"),
    (TypeId.QPOLYGON, [Point(1, 2)], "0710000000010000000100000002000000"),
]


@pytest.mark.parametrize("type_id,value,captured", CAPTURED_EXACT, ids=lambda part: str(part)[:24])
def test_exact_types_are_written_and_read_as_qt_writes_them(type_id: TypeId, value: object, captured: str) -> None:
    assert encode(Typed(type_id, value)).hex() == captured
    assert decode(bytes.fromhex(captured)) == value


def test_a_curve_with_settings_is_read_as_qt_writes_it() -> None:
    captured = "1d000000001e000000000000000001333333333333d33f000000000000f03f617138f3ab39fb3f0000000000000000"
    curve = decode(bytes.fromhex(captured))
    assert (curve.kind, curve.settings[:2]) == (30, (0.3, 1.0))
    assert encode(curve).hex() == captured


PYSIDE_UTC: Final = (
    "1000000000988a250000000000f8ce3800031a0000004f0066006600730065007400460072006f006d0055007400630006000000550054004300"
    "0000000006000000550054004300060000005500540043000000000006000000550054004300"
)
PYSIDE_PLUS_ONE: Final = (
    "1000000000988a250000000000f8ce3800031a0000004f0066006600730065007400460072006f006d0055007400630012000000550054004300"
    "2b00300031003a0030003000100e0000120000005500540043002b00300031003a0030003000120000005500540043002b00300031003a003000"
    "300000000000120000005500540043002b00300031003a0030003000"
)


@pytest.mark.parametrize(
    "captured,zone", [(PYSIDE_UTC, UTC), (PYSIDE_PLUS_ONE, timezone(timedelta(hours=1)))], ids=["utc", "+01:00"]
)
def test_pysides_long_form_of_fixed_zones_is_understood(captured: str, zone: tzinfo) -> None:
    assert decode(bytes.fromhex(captured)) == datetime(2024, 1, 2, 1, 2, 3, tzinfo=zone)


def test_a_python_object_pickled_by_pyside_is_never_opened() -> None:
    captured = (
        "0000010000180000005079536964653a3a50794f626a6563745772617070657200100000008004950500000000000000430178942e"
    )
    assert decode(bytes.fromhex(captured)) == Opaque("PySide::PyObjectWrapper", bytes.fromhex(captured)[-16:])


def test_an_enum_in_a_qvariant_goes_by_its_name() -> None:
    captured = bytes.fromhex("00000100001000000051743a3a4f7269656e746174696f6e0001000000")
    assert decode(captured, types={"Qt::Orientation": 4}) == 1
    with pytest.raises(UnknownUserType, match="Qt::Orientation"):
        decode(captured)


@pytest.mark.parametrize("number", [31, 39, 42, 43, 50])
def test_types_that_qt_cannot_stream_are_heads_without_a_value(number: int) -> None:
    value = decode(u32(number) + b"\0")
    assert (type(value), value.data) == (Opaque, b"")


# -------------------------------------------------------------------------------------------------- round trips
@given(variants, orders, versions)
def test_every_natural_value_comes_back(value: object, order: Order, version: int) -> None:
    assert decode(encode(value, order, version), order, version) == value


@pytest.mark.parametrize("type_id", sorted(EXACT), ids=lambda type_id: type_id.name)
@settings(max_examples=soak(20, 200))
@given(data=st.data(), order=orders, version=versions)
def test_every_exact_type_comes_back(type_id: TypeId, data: st.DataObject, order: Order, version: int) -> None:
    value = data.draw(EXACT[type_id])
    assert decode(encode(Typed(type_id, value), order, version), order, version) == value


def test_curve_points_travel_since_version_19() -> None:
    curve = EasingCurve(45, (0.3, 1.0, 1.7), (PointF(1, 2),), ((1.0, 2.0, 3.0, 4.0, 5.0),))
    assert decode(encode(curve, version=19), version=19) == curve
    assert decode(encode(curve, version=18), version=18) == EasingCurve(45, (0.3, 1.0, 1.7))


def test_the_round_trips_leave_no_type_out() -> None:
    assert set(EXACT) | NEVER_SENT == {
        *VALUES,
        TypeId.QVARIANT_MAP,
        TypeId.QVARIANT_LIST,
        TypeId.QVARIANT_HASH,
        TypeId.QVARIANT,
    }


NAMED: Final[dict[str, st.SearchStrategy[Any]]] = {
    "QList<int>": st.lists(i32s),
    "QVector<double>": st.lists(doubles),
    "QSet<QString>": st.lists(st.text()),
    "QMap<QString, int>": st.dictionaries(st.text(), i32s),
    "QHash<int,QByteArray>": st.dictionaries(i32s, st.binary()),
    "QIntHash": st.dictionaries(i32s, st.binary()),
    "std::pair<QString,unsigned  int>": st.tuples(st.text(), integers(32, signed=False)),
    "QPair<bool,QVariant>": st.tuples(st.booleans(), variants),
    "QList<QList<int> >": st.lists(st.lists(i32s)),
    "QMap<QString,QList<QVariantMap>>": st.dictionaries(
        st.text(), st.lists(st.dictionaries(st.text(), scalars, max_size=2), max_size=2), max_size=2
    ),
}


@given(st.sampled_from(sorted(NAMED)).flatmap(lambda name: st.tuples(st.just(name), NAMED[name])), orders, versions)
def test_containers_named_in_cpp_come_back(pair: tuple[str, object], order: Order, version: int) -> None:
    assert decode(encode(Typed(*pair), order, version), order, version) == pair[1]


def test_a_list_of_int_is_a_user_type_whose_number_depends_on_the_version() -> None:
    assert encode(Typed("QList<int>", [7])).hex() == "00000100000b000000514c6973743c696e743e000100000007000000"
    assert encode(Typed("QList<int>", [7]), ">", 18).hex() == "00000400000000000b514c6973743c696e743e000000000100000007"


@given(st.datetimes(allow_imaginary=True), zones, st.integers(0, 1))
@example(datetime(2024, 10, 27, 2, 30), BERLIN, 1)  # noqa: DTZ001  the zone follows
@example(datetime(2024, 10, 27, 2, 30), BERLIN, 0)  # noqa: DTZ001
@example(datetime(2024, 3, 31, 2, 30), BERLIN, 0)  # noqa: DTZ001
def test_a_moment_in_a_named_zone_stays_that_moment(wall: datetime, zone: zoneinfo.ZoneInfo, fold: int) -> None:
    moment = wall.replace(tzinfo=zone, fold=fold)
    arrived = decode(encode(moment))
    assert arrived.replace(tzinfo=None) == wall.replace(microsecond=wall.microsecond // 1000 * 1000)
    assert arrived.utcoffset() == moment.utcoffset()


def test_an_hour_that_the_clocks_repeat_is_sent_with_its_offset() -> None:
    twice = datetime(2024, 10, 27, 2, 30, tzinfo=BERLIN, fold=1)
    assert decode(encode(twice)).tzinfo == timezone(timedelta(hours=1))
    assert decode(encode(twice.replace(day=26))).tzinfo is BERLIN


def test_gui_types_have_other_numbers_before_version_20() -> None:
    assert [number_on_wire(TypeId.QCOLOR, version) for version in (18, 20)] == [67, 4099]
    assert [number_on_wire(TypeId.QKEY_SEQUENCE, version) for version in (18, 20)] == [75, 4107]
    for version in (18, 20):
        for type_id in EXACT:
            assert type_of_number(number_on_wire(type_id, version), version) is type_id
    assert type_of_number(4099, 18) is None
    assert [type_of_number(number_on_wire(TypeId.USER, version), version) for version in (18, 20)] == [TypeId.USER] * 2


# -------------------------------------------------------------------------------------------- what Python values are
class Mode(enum.Enum):
    OFF = 0
    HEAT = 2


class Access(enum.Flag):
    READ = 1
    WRITE = 2


class Colour(enum.StrEnum):
    RED = "red"


@dataclasses.dataclass
class Reading:
    celsius: float
    taken: date


class Reply(msgspec.Struct):
    ok: bool
    reading: Reading


@pytest.mark.parametrize(
    "value,type_id,arrives",
    [
        (Mode.HEAT, TypeId.INT, 2),
        (Access.READ | Access.WRITE, TypeId.INT, 3),
        (timedelta(seconds=1, microseconds=1500), TypeId.LONG_LONG, 1001),
        ((1, 2), TypeId.QVARIANT_LIST, [1, 2]),
        (("a",), TypeId.QSTRING_LIST, ["a"]),
        (["a", 1], TypeId.QVARIANT_LIST, ["a", 1]),
        (2**63, TypeId.ULONG_LONG, 2**63),
        (bytearray(b"ab"), TypeId.QBYTE_ARRAY, b"ab"),
        (memoryview(b"ab"), TypeId.QBYTE_ARRAY, b"ab"),
        (
            Reply(ok=True, reading=Reading(1.5, date(2024, 1, 2))),
            TypeId.QVARIANT_MAP,
            {"ok": True, "reading": {"celsius": 1.5, "taken": date(2024, 1, 2)}},
        ),
    ],
)
def test_python_values_travel_as_their_natural_type(value: object, type_id: TypeId, arrives: object) -> None:
    data = encode(value)
    assert struct.unpack_from("<I", data) == (type_id,)
    assert decode(data) == arrives


@pytest.mark.parametrize(
    "value,reason",
    [
        (2**64, "65 bits"),
        (10**5000, "bits"),
        ({1, 2}, "set"),
        (object(), "object"),
        ({1: 2}, "text keys"),
        (Colour.RED, "must be an int"),
        ([Colour.RED], "must be an int"),
        (Reading, "type"),
        (1j, "complex"),
        (Opaque("QFont", b""), "Opaque"),
        (time(1, tzinfo=UTC), "time zone"),
        (datetime(2024, 1, 1, tzinfo=timezone(timedelta(microseconds=1))), "whole number of seconds"),
        (Typed(TypeId.INT, 2**31), "2147483648 does not fit i32"),
        (Typed(TypeId.ULONG_LONG, 10**5000), "this int does not fit u64"),
        (Typed(TypeId.INT, "1"), "does not fit"),
        (Typed(TypeId.BOOL, 1), "int cannot be sent as bool"),
        (Typed(TypeId.DOUBLE, 10**400), "does not fit double"),
        (Typed(TypeId.QSTRING, 1), "QString"),
        (Typed(TypeId.QBYTE_ARRAY, "x"), "QByteArray"),
        (Typed(TypeId.QSTRING_LIST, "ab"), "QStringList"),
        (Typed(TypeId.QVARIANT_LIST, {}), "QVARIANT_LIST"),
        (Typed(TypeId.QVARIANT_MAP, []), "QVARIANT_MAP"),
        (Typed(TypeId.QURL, "\ud800"), "surrogate"),
        (Typed(TypeId.QCHAR, "ab"), "2 characters"),
        (Typed(TypeId.QCHAR, "😀"), "does not fit u16"),
        (Typed(TypeId.QUUID, "x"), "QUuid"),
        (Typed(TypeId.QPOINT, Size(1, 2)), "Point"),
        (Typed(TypeId.QVECTOR2D, (1, 2, 3)), "2 numbers"),
        (Typed(TypeId.QKEY_SEQUENCE, [1] * 5), "at most 4"),
        (Typed(TypeId.QBIT_ARRAY, BitArray(9, b"a")), "9 bits"),
        (Typed(TypeId.QRECT, Rect(2**31 - 1, 0, 2, 0)), "does not fit"),
        (Typed(TypeId.QJSON_VALUE, 1j), "QJsonObject"),
        (Typed(TypeId.QJSON_ARRAY, [1j]), "JSON"),
        (Typed(TypeId.QMODEL_INDEX, None), "no form"),
        (Typed(TypeId.QFONT, Opaque("QFont", b"")), "QFont cannot be sent, only Qt knows"),
        (Typed(TypeId.QTEXT_FORMAT, b""), "QTEXT_FORMAT"),
        (Typed(TypeId.QIMAGE, b"GIF89a"), "sent as PNG"),
        (Typed(TypeId.QCBOR_VALUE, 1), "QCborValue"),
        (Typed(TypeId.USER, b""), "USER"),
        (Typed("QList<Pt>", [1]), "UserTyped"),
        (UserTyped("PySide::PyObjectWrapper", b"\x80\x04N."), "never sent"),
        (Typed("PySide::PyObjectWrapper", Opaque("PySide::PyObjectWrapper", b"\x80\x04N.")), "never sent"),
        (Typed("QList<int", [1]), "not the name"),
        (Typed("QPair<int,int>", [1]), "2 values"),
        (UserTyped("a\0b", b""), "NUL"),
    ],
    ids=lambda part: str(type(part).__name__),
)
def test_what_has_no_form_on_the_wire_is_refused_by_name(value: object, reason: str) -> None:
    with pytest.raises(ModelError, match=reason):
        encode(value)


def test_a_list_that_contains_itself_is_refused() -> None:
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(ModelError, match="contains itself"):
        encode(endless)


def test_the_natural_type_can_be_asked_for() -> None:
    assert natural_type([]) is TypeId.QVARIANT_LIST
    assert natural_type(True) is TypeId.BOOL


def test_a_bit_array_is_a_sequence_of_bits() -> None:
    array = BitArray(10, b"\x05\x02")
    assert (len(array), [index for index, bit in enumerate(array) if bit]) == (10, [0, 2, 9])
