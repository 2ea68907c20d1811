"""Values as JSON: every type comes back as it was, and whatever a stranger writes is a value or a named refusal."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta, timezone
from typing import Any, ClassVar
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everywire import ModelError, OutOfRange
from everywire.codec.json import SAFE, compile_lift, compile_lower, decode, encode, lifted, lowered
from everywire.model.annotations import type_of
from everywire.model.types import ANY, BYTES, STR, AnyType, DictOf, Float, Int, ListOf, OptionalOf, Type
from tests.conformance.plant import CARRIERS, SAMPLES, Batch, Level, Mode, Point, Reading, Valves
from tests.harness import soak
from tests.laws.values import KINDS, TYPES, VALUES

NINE = timezone(timedelta(hours=9, minutes=30))
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=9)
    | st.sampled_from(["NaN", "OFF", "12", "aGk=", "2026-01-01", "P1D", "$int"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(max_size=5) | st.sampled_from(["celsius", "x_mm", "$bytes", "$dict"]), inner, max_size=3
        )
    ),
    max_leaves=8,
)


def crossed(node: Type, value: Any) -> Any:
    """Return *value* after its way through bytes."""
    return lifted(node, decode(encode(lowered(node, value))))


# -------------------------------------------------------------------------------------------------- there and back
@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=soak(25, 1000))
@given(data=st.data())
def test_a_value_of_every_type_comes_back_as_it_was(kind: str, data: st.DataObject) -> None:
    node, value = TYPES[kind], data.draw(VALUES[kind])
    back = crossed(node, value)
    assert back == value
    assert isinstance(node, AnyType) or type(back) is type(value)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_the_samples_of_the_conformance_suite_come_back(sample: Any) -> None:
    assert CARRIERS[sample.name]
    for value in sample.values:
        back = crossed(type_of(sample.annotation), value)
        assert (back, type(back)) == (value, type(value))


@pytest.mark.parametrize(
    "value, text",
    [
        (SAFE, b"9007199254740992"),
        (SAFE + 1, b'"9007199254740993"'),
        (-(2**63), b'"-9223372036854775808"'),
        (True, b"true"),
        (0.1, b"0.1"),
        (math.inf, b'"Infinity"'),
        (-math.inf, b'"-Infinity"'),
        (b"hi", b'"aGk="'),
        (Mode.OFF, b'"OFF"'),
        (Level.HIGH, b'"HIGH"'),
        (Valves.INLET | Valves.DRAIN, b"9"),
        (datetime(2026, 11, 20, 12, 0, tzinfo=NINE), b'"2026-11-20T12:00:00+09:30"'),
        (date(2026, 11, 20), b'"2026-11-20"'),
        (time(23, 59), b'"23:59:00"'),
        (timedelta(seconds=-2), b'"-PT2S"'),
        (UUID(int=9), b'"00000000-0000-0000-0000-000000000009"'),
        (Reading(1.0, "a"), b'{"celsius":1.0,"sensor":"a","taken_at":null}'),
    ],
)
def test_values_look_as_the_table_says(value: Any, text: bytes) -> None:
    node = type_of(type(value))
    assert encode(lowered(node, value)) == text
    assert lifted(node, decode(text)) == value


def test_a_variant_says_what_json_has_no_form_for() -> None:
    moment = datetime(2026, 11, 20, 12, 0)  # noqa: DTZ001
    for value, data in (
        (b"hi", {"$bytes": "aGk="}),
        (moment, {"$datetime": "2026-11-20T12:00:00"}),
        (date(2026, 11, 20), {"$date": "2026-11-20"}),
        (time(1, 2), {"$time": "01:02:00"}),
        (timedelta(days=1), {"$duration": "P1D"}),
        (UUID(int=1), {"$uuid": str(UUID(int=1))}),
        (math.inf, {"$float": "Infinity"}),
        (2**64 - 1, {"$int": "18446744073709551615"}),
        ({"$int": 5}, {"$dict": {"$int": 5}}),
        ({"$dict": {"$dict": 1}}, {"$dict": {"$dict": {"$dict": {"$dict": 1}}}}),
        ({"$int": 5, "b": 1}, {"$int": 5, "b": 1}),
        ([{"$x": 1}], [{"$dict": {"$x": 1}}]),
    ):
        assert decode(encode(lowered(ANY, value))) == data
        assert crossed(ANY, value) == value
    assert math.isnan(crossed(ANY, math.nan))


def test_members_and_structs_in_a_variant_are_plain_data_for_who_reads_them() -> None:
    @dataclass
    class Part:
        kind: ClassVar[str] = "part"
        mode: Mode
        data: bytes = field(default=b"x")

    class Whole(msgspec.Struct, rename="camel"):
        inner_part: Part
        corners: tuple[Point, ...] = ()

    assert lowered(ANY, Whole(Part(Mode.OFF), (Point(1, 2),))) == {
        "inner_part": {"mode": "OFF", "data": {"$bytes": b"x"}},
        "corners": [{"x_mm": 1, "y_mm": 2}],
    }
    assert lowered(ANY, Valves.INLET | Valves.DRAIN) == 9


KEYS = {
    bool: {True: 1, False: 2},
    int: {0: 1, -5: 2, 2**63 - 1: 3},
    float: {0.5: 1, math.inf: 2, 1e300: 3},
    str: {"": 1, "5": 2, "true": 3, "null": 4},
    bytes: {b"": 1, b"\xff": 2},
    date: {date(2026, 1, 1): 1},
    UUID: {UUID(int=5): 1},
    Mode: {Mode.OFF: 1, Mode.COOLING: 2},
    Valves: {Valves.NONE: 1, Valves.INLET | Valves.DRAIN: 2},
    str | None: {None: 1, "null": 2, "": 3},
    int | None: {None: 1, 5: 2},
    tuple[int, str]: {(1, "a"): 1, (2, "[]"): 2},
    Point: {Point(1, 2): 1},
}


@pytest.mark.parametrize("kind", KEYS, ids=str)
def test_keys_of_every_type_come_back(kind: Any) -> None:
    node = type_of(dict[kind, int])
    assert crossed(node, KEYS[kind]) == KEYS[kind]
    assert all(isinstance(key, str) for key in lowered(node, KEYS[kind]))


def test_keys_are_texts_that_people_would_write() -> None:
    assert list(lowered(type_of(dict[int, int]), {-5: 1})) == ["-5"]
    assert list(lowered(type_of(dict[bool, int]), {True: 1})) == ["true"]
    assert list(lowered(type_of(dict[Mode, int]), {Mode.OFF: 1})) == ["OFF"]
    assert list(lowered(type_of(dict[float, int]), {0.5: 1, math.nan: 1})) == ["0.5", "NaN"]


def test_what_is_json_already_is_not_walked_through() -> None:
    for annotation in (bool, str, list[str], dict[str, str], str | None, tuple[str, ...], tuple[str, bool]):
        node = type_of(annotation)
        assert compile_lift(node) is None
        assert compile_lower(node) is None or isinstance(node, DictOf)
    for node in (Int(8), Int(32, signed=False), BYTES, ListOf(Int(16)), OptionalOf(BYTES)):
        assert compile_lower(node) is None
    assert compile_lift(Float()) is not None


# ---------------------------------------------------------------------------------------------------- what both read
@pytest.mark.parametrize(
    "node, raw, value",
    [
        (Int(), "12", 12),
        (Int(), 2**60, 2**60),
        (Int(8), "-128", -128),
        (Float(), 5, 5.0),
        (type_of(Mode), "HEATING", Mode.HEATING),
        (type_of(Valves), "9", Valves.INLET | Valves.DRAIN),
        (type_of(datetime), "2026-11-20T12:00:00Z", datetime(2026, 11, 20, 12, tzinfo=timezone.utc)),  # noqa: UP017
        (type_of(Reading), {"celsius": 1, "sensor": ""}, Reading(1.0, "")),
        (type_of(tuple[int, ...]), ["1", 2], (1, 2)),
        (ANY, {"$int": 5}, {"$int": 5}),
        (ANY, {"$bytes": None}, {"$bytes": None}),
        (ANY, {"$unknown": "x"}, {"$unknown": "x"}),
    ],
)
def test_other_spellings_are_read_too(node: Type, raw: Any, value: Any) -> None:
    assert lifted(node, raw) == value


# ------------------------------------------------------------------------------------------------------------ refusals
@pytest.mark.parametrize(
    "annotation, raw, words",
    [
        (bool, 1, "expected bool, got int"),
        (int, True, "expected int, got bool"),
        (int, 5.5, "expected int, got float"),
        (int, "5.5", "expected int, got str"),
        (int, " 5", "expected int, got str"),
        (int, "1_0", "expected int, got str"),
        (int, "9" * 5000, "expected int, got str"),
        (int, 2**63, "not within"),
        (float, "1", "expected float, got str"),
        (float, "nan", "expected float, got str"),
        (float, 10**400, "too large"),
        (str, 5, "expected str, got int"),
        (str, None, "expected str, got NoneType"),
        (bytes, "%%%", "is not a bytes"),
        (bytes, [1, 2], "expected bytes as a text, got list"),
        (datetime, 5, "expected datetime as a text"),
        (datetime, "yesterday", "'yesterday' is not a datetime"),
        (date, "2026-13-01", "is not a date"),
        (UUID, "x" * 500, "is not a UUID"),
        (Mode, "BOILING", "'BOILING' is not a Mode: there are OFF, HEATING, COOLING"),
        (Mode, 1, "expected Mode, got int"),
        (Mode, ["OFF"], "expected Mode, got list"),
        (Valves, 1 << 40, "is not a Valves"),
        (Valves, True, "expected Valves, got bool"),
        (Valves, {}, "expected Valves, got dict"),
        (list[int], {}, "expected list"),
        (list[int], "12", "expected list"),
        (list[bytes], ["aGk=", "%"], "at 1: '%' is not a bytes"),
        (list[list[int]], [[1], [2, "x"]], "at 1: at 1: expected int"),
        (tuple[int, Mode], [1], "expected 2 items, got 1"),
        (tuple[int, Mode], [1, "OF"], "at 1: 'OF' is not a Mode"),
        (dict[int, str], {"a": ""}, "at a: not JSON"),
        (dict[int, str], {"1.5": ""}, "at 1.5: expected int"),
        (dict[Mode, float], {"OFF": "x"}, "Mode.OFF: 'off'>: expected float"),
        (dict[Mode, bytes], {"OFF": "%"}, "at OFF: '%' is not"),
        (dict[int, str], [], "expected dict"),
        (Reading, [], "expected Reading"),
        (Reading, {"celsius": 1}, "lacks sensor"),
        (Reading, {"celsius": 1, "sensor": "", "taken_at": "x"}, "at taken_at: 'x' is not a datetime"),
        (Reading, {"celsius": 1, "sensor": "", "colour": {}}, "no field colour"),
        (
            Batch,
            {"label": "", "mode": "OFF", "readings": [{"celsius": "x"}]},
            "at readings: at 0: Reading lacks sensor",
        ),
        (int | None, "x", "expected int"),
        (Any, {"$bytes": "%"}, "at $bytes: '%' is not a bytes"),
        (Any, [{"a": {"$float": "x"}}], r"at a: at $float: expected float"),
        (Any, {"$int": "x"}, "at $int: 'x' is not a whole number"),
        (Any, 10**30, "is not within 0 and"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(annotation: Any, raw: Any, words: str) -> None:
    with pytest.raises(ModelError) as caught:
        lifted(type_of(annotation), raw)
    assert words in str(caught.value)
    assert len(str(caught.value)) < 500


def test_a_number_out_of_its_width_is_out_of_range_and_not_only_wrong() -> None:
    for node, raw in ((Int(8), 128), (Int(8), "-129"), (Float(low=5, high=35), 99), (Float(), 10**400)):
        with pytest.raises(OutOfRange):
            lifted(node, raw)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[1,]",
        b"nul",
        b"NaN",
        b"\xff",
        b"'a'",
        b"1 2",
        b'"\\ud800"',
        b"1e999",
        b"9" * 5000,
        b"9" * 1_000_000,
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
    ],
    ids=lambda text: f"{text[:8]!r}x{len(text)}",
)
def test_what_is_not_json_is_named_so(text: bytes) -> None:
    with pytest.raises(ModelError, match="not JSON"):
        decode(text)


def test_a_deep_value_is_refused_before_anything_walks_through_it() -> None:
    for opened, closed in (("[", "]"), ('{"a":', "}"), ('[{"$dict":{"$a":', "}}]")):
        deep = decode(f"{opened * 70}1{closed * 70}")
        with pytest.raises(ModelError, match="nested deeper than 64 levels"):
            lifted(ANY, deep)
        assert lifted(ANY, decode(f"{opened * 20}1{closed * 20}"))


def test_of_two_members_with_one_name_the_last_one_counts() -> None:
    assert lifted(type_of(Point), decode(b'{"x_mm":1,"y_mm":2,"x_mm":3}')) == Point(3, 2)


def test_a_lone_surrogate_becomes_a_replacement_character() -> None:
    text = "a\ud800b"
    assert decode(encode(lowered(STR, text))) == "a�b"
    assert decode(encode({"\udfff": [text, 1, None, {"k": b"\xff"}]})) == {"�": ["a�b", 1, None, {"k": "/w=="}]}
    assert decode(encode(["\ud83c\udf21", "\ud800"])) == ["\U0001f321", "�"], "a pair is one character"
    assert decode(encode(lowered(type_of(tuple[str, ...]), ("a", text)))) == ["a", "a�b"]
    assert decode(encode(lowered(type_of(dict[tuple[str, int], list[str]]), {(text, 1): [text]}))) == {
        '["a�b",1]': ["a�b"]
    }


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=soak(40, 2000))
@given(raw=JSON)
def test_whatever_a_stranger_writes_is_a_value_or_refused(kind: str, raw: Any) -> None:
    node = TYPES[kind]
    refused, value = "", None
    try:
        value = lifted(node, decode(encode(raw)))
    except ModelError as error:
        refused = str(error)
    assert len(refused) < 1000
    if not refused:
        assert repr(node.convert(value)) == repr(value), "which also holds of NaN"
        assert repr(crossed(node, value)) == repr(value)


@given(
    text=st.binary(max_size=60)
    | st.text(st.sampled_from('{}[]:,"\\$ue0123456789.tfnalsr'), max_size=60).map(str.encode)
)
def test_whatever_bytes_come_are_data_or_refused(text: bytes) -> None:
    try:
        data = decode(text)
    except ModelError:
        return
    assert decode(encode(data)) == data


class Huge(enum.Flag):
    TOP = 1 << 63


def test_flags_beyond_what_javascript_counts_are_texts() -> None:
    node = type_of(Huge)
    assert lowered(node, Huge.TOP) == "9223372036854775808"
    assert crossed(node, Huge.TOP) is Huge.TOP
    assert crossed(type_of(dict[Huge, int]), {Huge.TOP: 1}) == {Huge.TOP: 1}


class Kept(enum.Flag, boundary=enum.KEEP):
    ONE = 1


def test_flags_that_keep_unknown_bits_keep_those_that_wires_carry() -> None:
    node = type_of(Kept)
    for number in (1 << 5, 1 << 63):
        assert crossed(node, Kept(number)) == Kept(number)
    with pytest.raises(ModelError, match="is not a Kept"):
        lifted(node, 1 << 64)
