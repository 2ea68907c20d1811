"""Text and JSON to values and back."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest

from everywire.cli.values import from_json, from_text, jsonable, parse_json, to_json, to_text, visible
from everywire.errors import ModelError, OutOfRange
from everywire.model.types import (
    ANY,
    BOOL,
    BYTES,
    DATE,
    DATETIME,
    DURATION,
    STR,
    TIME,
    UUID_,
    DictOf,
    EnumType,
    Field,
    Float,
    Int,
    ListOf,
    OptionalOf,
    StructOf,
    TupleOf,
    Type,
)


class Color(enum.Enum):
    RED = "red"
    GREEN = "green"


class Access(enum.Flag):
    READ = 1
    WRITE = 2


@dataclass
class Point:
    x: float
    color: Color = Color.RED


class Size(msgspec.Struct):
    width: int


COLOR = EnumType(Color)
ACCESS = EnumType(Access)
POINT = StructOf(Point, (Field("x", Float()), Field("color", COLOR, required=False)))
KEY = UUID(int=7)


@pytest.mark.parametrize(
    "node,text,value",
    [
        (BOOL, "true", True),
        (BOOL, "Off", False),
        (STR, "null", "null"),
        (Int(), "0x10", 16),
        (Int(), "-3", -3),
        (Float(), "2.5e3", 2500.0),
        (Float(), "inf", math.inf),
        (BYTES, "aGk=", b"hi"),
        (DATETIME, "2026-01-31T12:00:00", datetime(2026, 1, 31, 12)),  # noqa: DTZ001
        (DATE, "2026-01-31", date(2026, 1, 31)),
        (TIME, "12:30:00", time(12, 30)),
        (DURATION, "1.5", timedelta(seconds=1.5)),
        (DURATION, "PT1M", timedelta(minutes=1)),
        (UUID_, str(KEY), KEY),
        (COLOR, "green", Color.GREEN),
        (COLOR, "1", Color.GREEN),
        (ACCESS, "READ|write", Access.READ | Access.WRITE),
        (ACCESS, "3", Access.READ | Access.WRITE),
        (OptionalOf(Int()), "null", None),
        (OptionalOf(Int()), "4", 4),
        (ListOf(Float()), "[1, 2.5]", [1.0, 2.5]),
        (TupleOf((Int(), STR)), '[1, "a"]', (1, "a")),
        (TupleOf((Int(),), variadic=True), "[1, 2]", (1, 2)),
        (DictOf(Int(), COLOR), '{"1": "RED"}', {1: Color.RED}),
        (POINT, '{"x": 1, "color": "GREEN"}', Point(1.0, Color.GREEN)),
        (POINT, '{"x": "NaN", "color": 0}', Point(math.nan, Color.RED)),
        (ANY, '{"a": [1]}', {"a": [1]}),
        (ANY, "just text", "just text"),
    ],
)
def test_text_becomes_a_value_of_its_type(node: Type, text: str, value: Any) -> None:
    assert repr(from_text(node, text)) == repr(value)


@pytest.mark.parametrize(
    "node,text,message",
    [
        (BOOL, "maybe", "expected true or false, got 'maybe'"),
        (Int(), "1.5", "expected a whole number, got '1.5'"),
        (Float(), "warm", "expected a number, got 'warm'"),
        (BYTES, "%", "expected bytes in base64"),
        (DATE, "tomorrow", "a date such as 2026-01-31"),
        (DURATION, "long", "a duration such as PT1H30M"),
        (UUID_, "7", "expected UUID, got '7'"),
        (COLOR, "gren", r"expected Color \(RED, GREEN\), got 'gren'. Did you mean 'GREEN'\?"),
        (COLOR, "9", "9 is not a Color"),
        (ACCESS, "RUN", "expected Access"),
        (ACCESS, "8", "8 is not a Access"),
        (ListOf(Int()), "1, 2", r"expected list\[i64\] as JSON"),
        (POINT, '{"y": 1}', "Point has no field y"),
        (POINT, "[1]", "expected Point, got list"),
        (TupleOf((Int(), Int())), "[1]", "expected 2 items"),
        (ListOf(BOOL), "[1]", "expected bool"),
    ],
)
def test_a_text_that_does_not_fit_says_what_was_expected(node: Type, text: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        from_text(node, text)


def test_a_number_outside_its_width_is_out_of_range() -> None:
    with pytest.raises(OutOfRange, match="256 is not within 0 and 255"):
        from_text(Int(8, signed=False), "256")


def test_json_that_is_none_is_named() -> None:
    with pytest.raises(ModelError, match=r"expected JSON, got '\{'"):
        parse_json("{")


@pytest.mark.parametrize(
    "value,json",
    [
        (None, "null"),
        (True, "true"),
        (2**53, "9007199254740992"),
        (2**53 + 1, '"9007199254740993"'),
        (math.nan, '"NaN"'),
        (-math.inf, '"-Infinity"'),
        (math.inf, '"Infinity"'),
        (b"hi", '"aGk="'),
        (Color.GREEN, '"GREEN"'),
        (Access.READ | Access.WRITE, "3"),
        (Point(1.0), '{"x":1.0,"color":"RED"}'),
        (Size(3), '{"width":3}'),
        ((1, "a"), '[1,"a"]'),
        ({1: Color.RED, Color.RED: None}, '{"1":"RED","RED":null}'),
        (timedelta(seconds=90), '"PT90S"'),
        (datetime(2026, 1, 31, tzinfo=UTC), '"2026-01-31T00:00:00Z"'),
    ],
)
def test_values_are_written_as_on_every_wire_that_speaks_json(value: Any, json: str) -> None:
    assert to_json(value) == json


@pytest.mark.parametrize(
    "node,value",
    [
        (Float(), math.nan),
        (Int(), 2**60),
        (ListOf(POINT), [Point(1.0, Color.GREEN)]),
        (ACCESS, Access.READ | Access.WRITE),
        (DATETIME, datetime(2026, 1, 31, tzinfo=UTC)),
        (DURATION, timedelta(seconds=1.5)),
        (BYTES, b"\x00\xff"),
        (OptionalOf(UUID_), KEY),
    ],
)
def test_what_was_written_is_read_back(node: Type, value: Any) -> None:
    assert repr(from_json(node, parse_json(to_json(value)))) == repr(value)


@pytest.mark.parametrize(
    "value,unit,text",
    [
        (21.0, "Cel", "21.0 Cel"),
        (5, "", "5"),
        (True, "", "true"),
        ("two words", "", "two words"),
        (Color.RED, "", "RED"),
        (Access.READ | Access.WRITE, "", "READ|WRITE"),
        (math.nan, "%", "NaN %"),
        ([1, 2], "mm", "[1,2] mm"),
        (None, "", "null"),
        (date(2026, 1, 31), "", "2026-01-31"),
        ("red\x1b[31m\talert\nline", "", "red\\x1b[31m\talert\nline"),
    ],
)
def test_people_see_values_with_their_units(value: Any, unit: str, text: str) -> None:
    assert to_text(value, unit) == text


def test_a_flag_without_a_name_shows_its_number() -> None:
    assert to_text(Access(0)) == "0"


def test_text_of_strangers_cannot_move_the_cursor() -> None:
    assert visible("a\r\x9b2Jb\n") == "a\\r\\x9b2Jb\\n"


def test_a_class_is_no_value_of_itself() -> None:
    assert jsonable(Point) is Point
