"""Which Qt type a contract's type travels as, and values both ways, whoever chose their type."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everywire import f32, i8, i16, i32, u8, u16, u32, u64
from everywire.codec.qdatastream import Opaque, Point, Reader, Typed, TypeId, Writer
from everywire.errors import ModelError, OutOfRange
from everywire.model.annotations import type_of
from everywire.model.types import (
    ANY,
    BOOL,
    BYTES,
    DATE,
    DATETIME,
    STR,
    TIME,
    UUID_,
    DictOf,
    EnumType,
    Float,
    Int,
    ListOf,
    Type,
)
from everywire.remoteobjects.codec import EnumDef
from everywire.remoteobjects.wire.layout import enum_type
from everywire.remoteobjects.wire.looks import variant, wired
from everywire.remoteobjects.wire.qttypes import enum_member, enum_number, lift, lower, qt_type
from everywire.remoteobjects.wire.typenames import Foreign, Nullable, Sent, python_type


class Mode(enum.Enum):
    OFF = 0
    HEAT = 3


class Word(enum.Enum):
    YES = "y"
    NO = "n"


class Access(enum.Flag):
    READ = 1
    OWN = 1 << 31


@dataclass(frozen=True)
class Reading:
    at_1: float
    taken_at: str = ""


@dataclass(frozen=True)
class Picky:
    level: int

    def __post_init__(self) -> None:
        if self.level < 0:
            raise ValueError("below zero")


class Packed(msgspec.Struct):
    reading: Reading
    readings: list[Reading]


TYPES: Final[dict[Any, tuple[TypeId, str]]] = {
    bool: (TypeId.BOOL, "bool"),
    i8: (TypeId.SIGNED_CHAR, "signed char"),
    u8: (TypeId.UCHAR, "uchar"),
    i16: (TypeId.SHORT, "short"),
    u16: (TypeId.USHORT, "ushort"),
    i32: (TypeId.INT, "int"),
    u32: (TypeId.UINT, "uint"),
    int: (TypeId.LONG_LONG, "qlonglong"),
    u64: (TypeId.ULONG_LONG, "qulonglong"),
    float: (TypeId.DOUBLE, "double"),
    f32: (TypeId.FLOAT, "float"),
    str: (TypeId.QSTRING, "QString"),
    bytes: (TypeId.QBYTE_ARRAY, "QByteArray"),
    Mode: (TypeId.INT, "int"),
    Access: (TypeId.INT, "int"),
    datetime: (TypeId.QDATE_TIME, "QDateTime"),
    date: (TypeId.QDATE, "QDate"),
    time: (TypeId.QTIME, "QTime"),
    timedelta: (TypeId.LONG_LONG, "qlonglong"),
    UUID: (TypeId.QUUID, "QUuid"),
    list[str]: (TypeId.QSTRING_LIST, "QStringList"),
    list[int]: (TypeId.QVARIANT_LIST, "QVariantList"),
    tuple[str, ...]: (TypeId.QVARIANT_LIST, "QVariantList"),
    dict[str, int]: (TypeId.QVARIANT_MAP, "QVariantMap"),
    Reading: (TypeId.QVARIANT_MAP, "QVariantMap"),
    Packed: (TypeId.QVARIANT_MAP, "QVariantMap"),
    int | None: (TypeId.INVALID, "QVariant"),
    Any: (TypeId.INVALID, "QVariant"),
}


@pytest.mark.parametrize("annotation,expected", TYPES.items(), ids=str)
def test_dynamic_listeners_get_only_types_that_every_qt_knows(annotation: Any, expected: tuple[TypeId, str]) -> None:
    assert qt_type(type_of(annotation)) == expected


def sent(node: Type, value: Any) -> Any:
    """What the codec reads from the bytes of a value."""
    reader = Reader(variant(wired(node), value))
    raw = reader.read_variant()
    reader.expect_end()
    return raw


def whole(moment: Any) -> Any:
    """The moment in whole milliseconds, all that Qt counts."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


moments = st.datetimes(timezones=st.none() | st.just(UTC)).map(whole)
texts = st.text(st.characters(codec="utf-16"), max_size=5)
SAMPLES: Final[list[tuple[Any, st.SearchStrategy[Any]]]] = [
    (bool, st.booleans()),
    (i8, st.integers(-128, 127)),
    (u8, st.integers(0, 255)),
    (i16, st.integers(-(2**15), 2**15 - 1)),
    (u16, st.integers(0, 2**16 - 1)),
    (i32, st.integers(-(2**31), 2**31 - 1)),
    (u32, st.integers(0, 2**32 - 1)),
    (int, st.integers(-(2**63), 2**63 - 1)),
    (u64, st.integers(0, 2**64 - 1)),
    (float, st.floats(allow_nan=False)),
    (f32, st.floats(width=32, allow_nan=False)),
    (str, texts),
    (bytes, st.binary(max_size=5)),
    (Mode, st.sampled_from(Mode)),
    (Word, st.sampled_from(Word)),
    (Access, st.sampled_from([Access(0), Access.READ, Access.OWN, Access.READ | Access.OWN])),
    (datetime, moments),
    (date, st.dates()),
    (time, st.times().map(whole)),
    (timedelta, st.integers(-(10**14), 10**14).map(lambda ms: timedelta(milliseconds=ms))),
    (UUID, st.uuids()),
    (Reading, st.builds(Reading, st.floats(allow_nan=False), texts)),
]


def grown(samples: list[tuple[Any, st.SearchStrategy[Any]]]) -> st.SearchStrategy[tuple[Any, Any]]:
    """(annotation, value) of every type, alone and inside of each container."""
    found: list[st.SearchStrategy[tuple[Any, Any]]] = []
    for kind, values in samples:
        found.append(st.tuples(st.just(kind), values))
        found.append(st.tuples(st.just(kind | None), st.none() | values))
        found.append(st.tuples(st.just(list[kind]), st.lists(values, max_size=3)))
        found.append(st.tuples(st.just(tuple[kind, str]), st.tuples(values, texts)))
        found.append(st.tuples(st.just(tuple[kind, ...]), st.lists(values, max_size=3).map(tuple)))
        found.append(st.tuples(st.just(dict[str, kind]), st.dictionaries(texts, values, max_size=3)))
        found.append(st.tuples(st.just(list[list[kind]]), st.lists(st.lists(values, max_size=2), max_size=2)))
        if kind not in (bytes, Reading, Access):
            found.append(st.tuples(st.just(dict[kind, bool]), st.dictionaries(values, st.booleans(), max_size=3)))
    return st.one_of(found)


@given(grown(SAMPLES))
def test_every_value_comes_back_as_it_was(sample: tuple[Any, Any]) -> None:
    annotation, value = sample
    node = type_of(annotation)
    assert lift(node, sent(node, value)) == value


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | texts | st.binary(max_size=3) | moments,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
        max_leaves=8,
    )
)
def test_a_value_of_type_any_comes_back_as_it_was(value: Any) -> None:
    assert lift(ANY, sent(ANY, value)) == value


def test_structures_travel_with_qt_names_and_come_back_from_either_spelling() -> None:
    node = type_of(Packed)
    value = Packed(Reading(1.5, "noon"), [Reading(2.0)])
    raw = {"reading": {"at1": 1.5, "takenAt": "noon"}, "readings": [{"at1": 2.0, "takenAt": ""}]}
    assert sent(node, value) == raw
    assert lift(node, raw) == value
    assert lift(type_of(Reading), {"at_1": 1.5, "taken_at": "noon"}) == value.reading
    assert lift(type_of(Reading), {"at1": 1.5}) == Reading(1.5)


def test_what_a_variant_of_ours_holds_keeps_no_class() -> None:
    value = [Mode.HEAT, Reading(1.0, "a"), Packed(Reading(1.0), []), (1, {"x": Word.NO}), Point(1, 2)]
    readings: dict[str, Any] = {"at1": 1.0, "takenAt": "a"}
    packed = {"reading": {"at1": 1.0, "takenAt": ""}, "readings": []}
    assert sent(ANY, value) == [3, readings, packed, [1, {"x": 1}], Point(1, 2)]


@pytest.mark.parametrize(
    "milliseconds,span",
    [
        (1, timedelta(microseconds=500)),
        (0, timedelta(microseconds=499)),
        (-1, timedelta(microseconds=-501)),
        (86_399_999_999_999_999 + 1, timedelta.max),
    ],
)
def test_a_span_is_rounded_to_milliseconds_without_losing_digits(milliseconds: int, span: timedelta) -> None:
    assert lower(type_of(timedelta), span) == milliseconds


@pytest.mark.parametrize(
    "annotation,key,text",
    [
        (bool, True, "true"),
        (int, -5, "-5"),
        (float, 0.5, "0.5"),
        (Mode, Mode.HEAT, "HEAT"),
        (date, date(2024, 1, 2), "2024-01-02"),
        (datetime, datetime(2024, 1, 2, 3, 4, tzinfo=UTC), "2024-01-02T03:04:00+00:00"),
        (time, time(3, 4), "03:04:00"),
        (timedelta, timedelta(seconds=-1.5), "-1500"),
        (UUID, UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    ],
)
def test_keys_are_text_to_qt_and_themselves_to_us(annotation: Any, key: Any, text: str) -> None:
    node = type_of(dict[annotation, int])
    assert lower(node, {key: 1}) == {text: 1}
    assert lift(node, {text: 1}) == {key: 1}
    with pytest.raises(ModelError, match="is not a key"):
        lift(node, {"nonsense": 1})


def test_a_map_of_qt_with_keys_of_its_own_type_needs_no_text() -> None:
    assert lift(type_of(dict[int, str]), {5: "five"}) == {5: "five"}
    with pytest.raises(ModelError):
        lift(type_of(dict[int, str]), {b"x": "five"})


def test_a_key_that_cannot_be_text_is_refused() -> None:
    with pytest.raises(ModelError, match="text keys"):
        lower(type_of(dict[bytes, int]), {b"x": 1})


def test_a_flag_uses_the_sign_bit_as_qt_does() -> None:
    node = type_of(Access)
    assert enum_number(node, Access.OWN | Access.READ) == 1 - 2**31  # type: ignore[arg-type]
    assert enum_member(node, 1 - 2**31) == Access.OWN | Access.READ  # type: ignore[arg-type]
    with pytest.raises(ModelError):
        enum_member(type_of(Mode), -1)  # type: ignore[arg-type]


WRONG: Final[list[tuple[Any, Any]]] = [
    (Mode, True),
    (Mode, 9),
    (Mode, "HEAT"),
    (timedelta, 2**62),
    (timedelta, float("nan")),
    (timedelta, "soon"),
    (tuple[int, str], [1]),
    (tuple[int, str], 5),
    (list[int], "12"),
    (list[int], ["x"]),
    (dict[str, int], [1]),
    (dict[str, int], {"a": "x"}),
    (Reading, {"at1": 1.0, "nonsense": 2}),
    (Reading, {"takenAt": ""}),
    (Reading, [1.0, ""]),
    (Picky, {"level": -1}),
    (list[Picky], [{"level": -1}]),
    (date, None),
    (int, None),
    (u8, 256),
    (f32, 1e300),
    (str, b"x"),
    (bytes, "x"),
    (UUID, "x"),
]


@pytest.mark.parametrize("annotation,raw", WRONG, ids=str)
def test_a_value_that_does_not_fit_is_a_model_error(annotation: Any, raw: Any) -> None:
    with pytest.raises(ModelError):
        lift(type_of(annotation), raw)


raws = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64)
    | st.floats()
    | texts
    | st.binary(max_size=3)
    | st.datetimes()
    | st.dates()
    | st.times()
    | st.uuids()
    | st.just(Point(1, 2))
    | st.just(Opaque("PySide::PyObjectWrapper", b"pickle")),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.tuples(inner, inner)
        | st.dictionaries(texts | st.sampled_from(["level", "at1", "takenAt"]) | st.integers(), inner, max_size=2)
    ),
    max_leaves=5,
)


@given(st.sampled_from([*TYPES, Picky, list[Picky], dict[Mode, timedelta], timedelta | None]), raws)
def test_whatever_a_peer_sends_is_a_fitting_value_or_a_model_error(annotation: Any, raw: Any) -> None:
    node = type_of(annotation)
    try:
        value = lift(node, raw)
    except ModelError:
        return
    assert node.convert(value) == value or value != value  # noqa: PLR0124  NaN


def test_an_opaque_value_comes_out_as_its_bytes_wherever_it_is() -> None:
    wrapped = Opaque("PySide::PyObjectWrapper", b"\x80\x04N.")
    assert lift(ANY, wrapped) == b"\x80\x04N."
    assert lift(ANY, {1: [wrapped]}) == {"1": [b"\x80\x04N."]}
    assert lift(type_of(list[Any]), [wrapped]) == [b"\x80\x04N."]


# Names of foreign types.


@pytest.mark.parametrize(
    "name,node",
    [
        ("int", Int(32)),
        ("const QString&", STR),
        ("signed char", Int(8)),
        ("qint8", Int(8)),
        ("uchar", Int(8, signed=False)),
        ("unsigned int", Int(32, signed=False)),
        ("qint64", Int()),
        ("qulonglong", Int(64, signed=False)),
        ("qreal", Float()),
        ("float", Float(32)),
        ("bool", BOOL),
        ("QByteArray", BYTES),
        ("QUuid", UUID_),
        ("QDateTime", Nullable(DATETIME)),
        ("QDate", Nullable(DATE)),
        ("QTime", Nullable(TIME)),
        ("QList<QString>", ListOf(STR)),
        ("QVariantList", ListOf(ANY)),
        ("QMap<QString,QVariant>", DictOf(STR, ANY)),
        ("QVariant", ANY),
        ("QPoint", Foreign("QPoint")),
        ("char", Foreign("char")),
        ("long", Foreign("long")),
        ("PyObject", Foreign("PyObject")),
        ("", Foreign("")),
    ],
)
def test_a_foreign_type_has_a_twin_or_keeps_its_name(name: str, node: Type) -> None:
    assert python_type(name, {}) == node


@pytest.mark.parametrize(
    "name,value,raw",
    [
        ("QPoint", Point(1, 2), Typed(TypeId.QPOINT, Point(1, 2))),
        ("long", 5, Typed(TypeId.LONG, 5)),
        ("QList<int>", [1, 2], Typed("QList<int>", [1, 2])),
        ("QMap<QString,QList<int>>", {"a": [1]}, Typed("QMap<QString,QList<int>>", {"a": [1]})),
        ("QPair<int,bool>", (1, True), Typed("QPair<int,bool>", [1, True])),
    ],
)
def test_an_argument_is_sent_as_exactly_the_type_that_its_receiver_declares(name: str, value: Any, raw: Typed) -> None:
    node = Sent(Foreign(name))
    assert lower(node, value) == raw
    writer = Writer()
    writer.write_variant(raw)
    assert variant(wired(node), value) == writer.to_bytes()
    assert qt_type(Foreign(name)).name == qt_type(node).name == "QVariant"


@pytest.mark.parametrize("name", ["PyObject", "Demo::Pod", "QList<Pod>", "QFont", "", "QList<", "std::vector<int>"])
def test_a_type_whose_form_is_not_known_is_never_sent(name: str) -> None:
    with pytest.raises(ModelError, match="cannot be sent"):
        variant(wired(Sent(Foreign(name))), 5)


@pytest.mark.parametrize(
    "name,value", [("QList<int>", ["x"]), ("QPoint", [1, 2]), ("QPair<int,bool>", [1]), ("long", "x")]
)
def test_a_value_that_is_not_of_the_declared_type_is_never_sent(name: str, value: Any) -> None:
    with pytest.raises(ModelError):
        variant(wired(Sent(Foreign(name))), value)


def test_a_wider_number_of_ours_is_checked_against_the_narrower_one_of_the_receiver() -> None:
    node = Sent(Int(32))
    assert sent(node, -5) == -5
    assert qt_type(node) == (TypeId.INT, "int")
    with pytest.raises(OutOfRange):
        variant(wired(node), 2**31)


def test_a_null_date_travels_as_a_null_date() -> None:
    for name in ("QDate", "QTime", "QDateTime"):
        node = python_type(name, {})
        assert qt_type(node).name == name
        assert variant(wired(node), None)[:4] == int(qt_type(node).number).to_bytes(4, "little")
        assert lift(node, sent(node, None)) is None


def test_an_enum_of_a_foreign_unsigned_byte_comes_as_a_negative_number() -> None:
    node = enum_type(EnumDef("Tiny", is_flag=False, is_scoped=True, size=1, keys=(("A", 1), ("B", 200))))
    assert isinstance(node, EnumType)
    assert [enum_member(node, number).name for number in (1, 200, -56)] == ["A", "B", "B"]
    assert enum_number(node, enum_member(node, 200)) == -56


@pytest.mark.parametrize(
    "name,value,sent",
    [
        ("QMap<int,QString>", {"1": "a"}, {1: "a"}),
        ("QHash<Demo::Mode,QMap<double,bool>>", {"-2": {"1.5": True}}, {-2: {1.5: True}}),
        ("QMap<QString,int>", {"1": 2}, {"1": 2}),
        ("QList<QPair<QString,QMap<uint,int>>>", [["1", {"7": 1}]], [["1", {7: 1}]]),
        ("QMap<int,QString>", {"x": "a"}, {"x": "a"}),
        ("QMap<int,int>", 5, 5),
    ],
)
def test_keys_that_are_numbers_to_qt_are_sent_as_numbers(name: str, value: object, sent: object) -> None:
    assert Foreign(name).typed(value) == Typed(name, sent)
