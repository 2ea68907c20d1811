"""Nodes of the type algebra: what each takes, refuses, copies, and says about itself."""

from __future__ import annotations

import array
import enum
import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any
from uuid import UUID

import pytest

from everywire.errors import ModelError, OutOfRange
from everywire.model.annotations import type_of
from everywire.model.types import (
    ANY,
    BOOL,
    BYTES,
    DATE,
    DATETIME,
    DURATION,
    MAX_DEPTH,
    STR,
    TIME,
    UUID_,
    DictOf,
    EnumType,
    Float,
    Int,
    ListOf,
    OptionalOf,
    TupleOf,
    Type,
    equal,
    is_atom,
    python_type,
    short,
    type_name,
)
from tests.model.samples import Doors, Mode, Number, Odd, Point, Reading, Span


class Text(str):
    __slots__ = ()


class Stamp(datetime):
    pass


class Day(date):
    pass


class Clock(time):
    pass


class Lapse(timedelta):
    pass


class Key(UUID):
    pass


class Real(float):
    pass


class Whole(enum.IntEnum):
    ONE = 1


@dataclass
class Careful:
    share: float

    def __post_init__(self) -> None:
        if self.share > 1:
            raise ValueError("a share is at most 1")


PLAIN: list[tuple[Type, Any]] = [
    (BOOL, True),
    (Int(), -(2**63)),
    (Int(64, signed=False), 2**64 - 1),
    (Float(), 1.5),
    (STR, "ü"),
    (BYTES, b"\0"),
    (DATETIME, datetime(2024, 1, 1, tzinfo=UTC)),
    (DATE, date(2024, 1, 1)),
    (TIME, time(1)),
    (DURATION, timedelta(1)),
    (UUID_, UUID(int=1)),
    (EnumType(Mode), Mode.ON),
]


@pytest.mark.parametrize("node, value", PLAIN)
def test_a_value_of_the_exact_type_is_taken_as_it_stands(node: Type, value: Any) -> None:
    assert node.convert(value) is value
    assert node.immutable


@pytest.mark.parametrize("node, value", PLAIN)
def test_every_other_type_is_refused_with_its_name(node: Type, value: Any) -> None:
    for _, wrong in [*PLAIN, (None, None), (None, object()), (None, 1j), (None, [])]:
        numbers = isinstance(node, Float) and type(wrong) is int
        if type(wrong) is not type(value) and not numbers:
            with pytest.raises(ModelError, match=type(wrong).__name__):
                node.convert(wrong)


@pytest.mark.parametrize(
    "node, value",
    [
        (STR, Text("a")),
        (DATETIME, Stamp(2024, 1, 2, 3, 4, 5, 6, tzinfo=UTC, fold=1)),
        (DATE, Day(2024, 1, 2)),
        (TIME, Clock(1, 2, 3, 4, tzinfo=UTC, fold=1)),
        (DURATION, Lapse(1, 2, 3)),
        (UUID_, Key(int=4)),
        (Float(), Real(1.5)),
        (Int(), Whole.ONE),
        (ANY, Text("a")),
        (ANY, Real(1.5)),
        (ANY, Stamp(2024, 1, 2)),
    ],
)
def test_a_subclass_loses_its_class_and_keeps_its_value(node: Type, value: Any) -> None:
    converted = node.convert(value)
    assert converted == value or isinstance(value, enum.Enum)
    if not (node is ANY and isinstance(value, enum.Enum)):
        assert type(converted) in (str, datetime, date, time, timedelta, UUID, float, int)
    assert getattr(converted, "fold", 0) == getattr(value, "fold", 0)


def test_a_moment_is_no_day() -> None:
    with pytest.raises(ModelError, match="expected date, got datetime"):
        DATE.convert(datetime(2024, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize("bits", [8, 16, 32, 64])
@pytest.mark.parametrize("signed", [True, False])
def test_an_integer_keeps_to_its_width(bits: int, signed: bool) -> None:
    node = Int(bits, signed=signed)
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    assert (node.convert(low), node.convert(high)) == (low, high)
    for outside in (low - 1, high + 1, 10**400):
        with pytest.raises(OutOfRange, match=node.name):
            node.convert(outside)


def test_bounds_of_an_integer_are_included() -> None:
    node = Int(low=-1, high=3)
    assert [node.convert(n) for n in (-1, 3)] == [-1, 3]
    for outside in (-2, 4):
        with pytest.raises(OutOfRange):
            node.convert(outside)


def test_a_bool_is_no_number() -> None:
    for node in (Int(), Float()):
        with pytest.raises(ModelError, match="got bool"):
            node.convert(True)


def test_numbers_of_other_libraries_become_floats() -> None:
    assert Float().convert(Decimal("1.5")) == 1.5
    assert Float().convert(Fraction(3, 2)) == 1.5
    assert Float().convert(2) == 2.0
    assert type(Float().convert(2)) is float


class Pair:
    """Like an array of two numbers: it has `__float__`, but is no float."""

    def __float__(self) -> float:
        raise TypeError("only arrays of one number can be converted")


def test_an_array_is_no_float() -> None:
    with pytest.raises(ModelError, match="expected float, got Pair"):
        Float().convert(Pair())


def test_a_float_of_32_bits_is_rounded_to_them() -> None:
    assert Float(32).convert(0.1) == pytest.approx(0.1, abs=1e-8)
    assert Float(32).convert(0.1) != 0.1
    with pytest.raises(OutOfRange, match="f32"):
        Float(32).convert(1e39)
    with pytest.raises(OutOfRange, match="f64"):
        Float().convert(10**400)


@pytest.mark.parametrize("node", [Float(low=0), Float(high=1), Float(low=0, high=1)])
def test_nan_lies_outside_every_bound(node: Float) -> None:
    with pytest.raises(OutOfRange):
        node.convert(math.nan)
    assert math.isnan(Float().convert(math.nan))


def test_bytes_take_a_copy_of_any_buffer() -> None:
    data = bytearray(b"ab")
    converted = BYTES.convert(data)
    data[0] = 0
    assert converted == b"ab"
    assert BYTES.convert(memoryview(b"abcd")[::2]) == b"ac"
    assert BYTES.convert(array.array("B", [1, 2])) == b"\1\2"
    released = memoryview(b"a")
    released.release()
    with pytest.raises(ModelError):
        BYTES.convert(released)


def test_a_value_that_is_no_member_is_told_which_there_are() -> None:
    many = enum.Enum("Many", [f"M{n}" for n in range(20)])
    with pytest.raises(ModelError, match=r"expected Mode, got int; Mode has OFF, ON$"):
        EnumType(Mode).convert(1)
    with pytest.raises(ModelError, match=r"M10, M11, …$"):
        EnumType(many).convert("M1")
    with pytest.raises(ModelError, match="another class Mode: connect with your class, or take"):
        EnumType(Mode).convert(enum.Enum("Mode", "OFF ON").OFF)


def test_an_enum_has_numbers_by_value_or_by_place() -> None:
    assert EnumType(Number).keys == {"ONE": 1, "TWO": 2}
    assert EnumType(Mode).keys == {"OFF": 0, "ON": 1}
    assert EnumType(Odd).to_int(Odd.HALF) == 1
    assert EnumType(Odd).from_int(1) is Odd.HALF
    assert EnumType(Number).from_int(2) is Number.TWO
    for foreign in (3, -1, 2**300):
        with pytest.raises(ModelError, match="is not a Number"):
            EnumType(Number).from_int(foreign)


def test_a_flag_combines_whatever_its_bits() -> None:
    node = EnumType(Doors)
    both = Doors.LEFT | Doors.HATCH
    assert node.convert(both) is both
    assert node.to_int(both) == 1 + (1 << 40)
    assert node.from_int(1 + (1 << 40)) is both
    assert node.from_int(0) is Doors(0)
    with pytest.raises(ModelError, match="4 is not a Doors"):
        node.from_int(4)


def test_a_list_is_copied_and_its_items_converted() -> None:
    given = [1, 2.5]
    node = ListOf(Float())
    converted = node.convert(given)
    given.append(3)
    assert converted == [1.0, 2.5]
    assert node.convert(range(2)) == [0.0, 1.0]
    for wrong in ("12", b"12", bytearray(b"1"), memoryview(b"1"), {1: 2}, 5):
        with pytest.raises(ModelError, match=r"expected list\[f64\]"):
            node.convert(wrong)
    with pytest.raises(ModelError, match="at 1: expected float, got str"):
        node.convert([1.0, "x"])


def test_a_tuple_has_its_own_length_or_any() -> None:
    assert TupleOf((Int(), STR)).convert([1, "a"]) == (1, "a")
    assert TupleOf((Int(),), variadic=True).convert((1, 2, 3)) == (1, 2, 3)
    assert TupleOf(()).convert([]) == ()
    with pytest.raises(ModelError, match="expected 2 items, got 1"):
        TupleOf((Int(), STR)).convert([1])
    with pytest.raises(ModelError, match="at 1: expected str"):
        TupleOf((Int(), STR)).convert([1, 2])
    with pytest.raises(ModelError, match="got set"):
        TupleOf((Int(),), variadic=True).convert({1})


def test_a_dict_is_copied_and_an_error_names_the_key() -> None:
    node = DictOf(STR, ListOf(Int()))
    given = {"a": [1]}
    converted = node.convert(given)
    given["a"].append(2)
    assert converted == {"a": [1]}
    with pytest.raises(ModelError, match="at b: at 0: expected int, got str"):
        node.convert({"b": ["x"]})
    with pytest.raises(ModelError, match="at 5: expected str, got int"):
        node.convert({5: []})
    with pytest.raises(ModelError, match="expected dict"):
        node.convert([("a", [])])


def test_a_dict_needs_keys_that_cannot_change() -> None:
    assert DictOf(TupleOf((Int(), STR)), STR).convert({(1, "a"): "b"}) == {(1, "a"): "b"}
    with pytest.raises(ModelError, match=r"list\[i64\] is not"):
        DictOf(ListOf(Int()), STR)


def test_an_optional_value_may_be_none() -> None:
    assert OptionalOf(Int()).convert(None) is None
    assert OptionalOf(Int()).convert(5) == 5
    assert OptionalOf(Int()).immutable
    assert not OptionalOf(ListOf(Int())).immutable


def test_a_struct_is_copied_field_by_field() -> None:
    node = type_of(Reading)
    given = Reading(5, "x", ["a"])
    converted = node.convert(given)
    given.tags.append("b")
    assert converted == Reading(5.0, "x", ["a"])
    assert type(converted.celsius) is float
    assert node.convert({"celsius": 1}) == Reading(1.0)


@pytest.mark.parametrize(
    "value, message",
    [
        (Reading("x"), "at celsius: expected float, got str"),  # type: ignore[arg-type]
        ({"celsius": 1, "kelvin": 2}, "Reading has no field kelvin"),
        ({"at": "x"}, "Reading lacks celsius"),
        (5, "expected Reading, got int"),
        ({"celsius": 1.0, 7: 8}, "has no field 7"),
    ],
)
def test_a_wrong_struct_is_refused_with_the_field(value: Any, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        type_of(Reading).convert(value)


def test_a_struct_that_refuses_its_values_is_a_model_error() -> None:
    with pytest.raises(ModelError, match="Careful: a share is at most 1"):
        type_of(Careful).convert({"share": 2})


def test_a_struct_is_immutable_when_it_is_frozen_to_the_bottom() -> None:
    assert type_of(Span).immutable
    assert not type_of(Reading).immutable


def test_any_takes_what_wires_know_and_copies_it() -> None:
    inner: dict[str, Any] = {"a": [1, (2.5, None)], "b": Reading(1, tags=["x"])}
    converted = ANY.convert(inner)
    inner["a"].append(3)
    inner["b"].tags.append("y")
    assert converted == {"a": [1, [2.5, None]], "b": Reading(1.0, tags=["x"])}
    assert ANY.convert(bytearray(b"a")) == b"a"
    assert ANY.convert(memoryview(b"a")) == b"a"
    assert ANY.convert(Mode.ON) is Mode.ON
    assert ANY.convert(Point(1)) == Point(1.0)
    assert ANY.convert(Span(Point(1.0))) == Span(Point(1.0))
    assert ANY.convert(Fraction(1, 2)) == 0.5


@pytest.mark.parametrize("value", [{1, 2}, {1: 2}, object(), 1j, [set()], lambda: None, Decimal(1)])
def test_any_refuses_what_no_wire_knows(value: Any) -> None:
    with pytest.raises(ModelError):
        ANY.convert(value)


def test_any_keeps_integers_to_64_bits() -> None:
    assert ANY.convert(2**64 - 1) == 2**64 - 1
    assert ANY.convert(-(2**63)) == -(2**63)
    for outside in (2**64, -(2**63) - 1):
        with pytest.raises(OutOfRange):
            ANY.convert(outside)


def test_any_is_bounded_in_depth() -> None:
    value: Any = 1
    for _ in range(MAX_DEPTH):
        value = [value]
    assert ANY.convert(value) == value
    with pytest.raises(ModelError, match="deeper than 64"):
        ANY.convert([value])
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(ModelError, match="deeper"):
        ANY.convert({"a": endless})


NODES: list[Type] = [
    *(node for node, _ in PLAIN),
    Int(16, signed=False, low=3),
    Int(high=-2),
    Float(32, low=2.0),
    Float(high=-1.0),
    EnumType(Doors),
    ListOf(STR),
    TupleOf((Int(), STR)),
    TupleOf((Int(),), variadic=True),
    DictOf(STR, Int()),
    OptionalOf(STR),
    type_of(Span),
    type_of(Reading),
    ANY,
]


@pytest.mark.parametrize("node", NODES, ids=type_name)
def test_the_zero_of_a_type_is_a_value_of_it(node: Type) -> None:
    assert node.convert(node.zero) == node.zero


@pytest.mark.parametrize(
    "node, annotation",
    [
        (Int(16), int),
        (Float(32, low=1), float),
        (BYTES, bytes),
        (UUID_, UUID),
        (EnumType(Mode), Mode),
        (type_of(Reading), Reading),
        (ListOf(Int()), list[int]),
        (TupleOf((Int(), STR)), tuple[int, str]),
        (TupleOf((Int(),), variadic=True), tuple[int, ...]),
        (TupleOf(()), tuple[()]),
        (DictOf(STR, ANY), dict[str, Any]),
        (OptionalOf(ListOf(STR)), list[str] | None),
        (ANY, Any),
    ],
)
def test_a_node_says_which_annotation_a_person_would_write(node: Type, annotation: Any) -> None:
    assert python_type(node) == annotation
    assert type_of(annotation).name.replace("i64", "i16").replace("f64", "f32") == node.name.replace(
        "i64", "i16"
    ).replace("f64", "f32")


def test_a_value_is_equal_to_one_of_its_own_class_only() -> None:
    assert equal(math.nan, float("nan"))
    assert equal((1.0, math.nan), (1.0, float("nan")))
    assert equal(Point(float("nan")), Point(float("nan")))
    assert equal(Span(Point(float("nan"))), Span(Point(float("nan"))))
    assert not equal(1, 1.0)
    assert not equal(1, True)
    assert not equal((1,), (1, 2))
    assert not equal(Point(1.0), Point(2.0))
    assert not equal(float("nan"), 1.0)
    assert equal(None, None)


def test_atoms_are_values_without_parts() -> None:
    assert all(map(is_atom, (None, 1, "", b"", Mode.ON, timedelta())))
    assert not any(map(is_atom, ([], (), {}, Point(1.0))))


def test_texts_of_strangers_are_cut() -> None:
    assert len(short("x" * 1000)) == 78
    assert short(10**1000) == "a number of more than 256 bits"
    assert short(["a"]) == "['a']"


def test_the_base_of_the_nodes_does_nothing_itself() -> None:
    node = Type()
    for act in (lambda: node.name, lambda: node.zero, lambda: node.convert(1)):
        with pytest.raises(NotImplementedError):
            act()
    assert node.test("v") is None
    assert node.parts == ()
