"""Compiled checks give exactly what the general conversion gives, for every type and any value."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everywire.errors import ModelError, OutOfRange
from everywire.model import MISSING, Kind, Member, Parameter, contract_of
from everywire.model.annotations import type_of
from everywire.model.compile import compile_check, compile_convert, run_source
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
    Float,
    Int,
    ListOf,
    OptionalOf,
    TupleOf,
    Type,
    equal,
    type_name,
)
from tests.model.samples import Doors, Mode, Point, Reading, Room, Span

LEAVES: list[Type] = [
    BOOL,
    STR,
    BYTES,
    DATE,
    DATETIME,
    TIME,
    DURATION,
    UUID_,
    ANY,
    Float(),
    Float(32),
    Float(low=-1.0),
    Float(high=1.5),
    Float(32, low=0.0, high=2.0),
    *(Int(bits, signed=signed) for bits in (8, 16, 32, 64) for signed in (True, False)),
    Int(low=-3, high=3),
    EnumType(Mode),
    EnumType(Doors),
    type_of(Reading),
    type_of(Span),
]

VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**65), 2**65),
        st.integers(-4, 260),
        st.floats(),
        st.text(max_size=3),
        st.binary(max_size=3),
        st.sampled_from([Mode.ON, Doors.LEFT | Doors.RIGHT, Reading(1), Point(1), Span(Point(2)), bytearray(b"a")]),
        st.sampled_from([date(2024, 1, 1), datetime(2024, 1, 1, tzinfo=UTC), time(1), timedelta(1), UUID(int=1)]),
        st.just(object()),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner, inner),
        st.dictionaries(st.sampled_from(["celsius", "at", "x", "start"]), inner, max_size=2),
    ),
    max_leaves=4,
)


def nodes() -> st.SearchStrategy[Type]:
    immutable = st.sampled_from([leaf for leaf in LEAVES if leaf.immutable])
    return st.recursive(
        st.sampled_from(LEAVES),
        lambda inner: st.one_of(
            inner.map(ListOf),
            inner.map(OptionalOf),
            st.lists(inner, max_size=2).map(lambda items: TupleOf(tuple(items))),
            inner.map(lambda item: TupleOf((item,), variadic=True)),
            st.builds(DictOf, immutable, inner),
        ),
        max_leaves=3,
    )


def outcome(act: Any) -> tuple[Any, Any]:
    """Return the class of the error, or the value."""
    try:
        return None, act()
    except ModelError as error:
        return type(error), str(error)


def same(one: Any, other: Any) -> bool:
    """Like `equal`, and looking into lists and dicts for NaN."""
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return equal(one, other)


@given(nodes(), VALUES)
def test_a_compiled_conversion_equals_the_general_one(node: Type, value: Any) -> None:
    kind, compiled = outcome(lambda: compile_convert("p", node)(value))
    general_kind, general = outcome(lambda: node.convert(value))
    assert kind is general_kind
    assert same(compiled, general) if kind is None else compiled == f"p: {general}"


@given(st.lists(st.tuples(nodes(), VALUES), max_size=4), st.integers(0, 4))
def test_a_compiled_check_equals_converting_each_argument(pairs: list[tuple[Type, Any]], given_count: int) -> None:
    parameters = tuple(Parameter(f"p{n}", node, node.zero) for n, (node, _) in enumerate(pairs))
    arguments = tuple(value for _, value in pairs)[:given_count]
    kind, checked = outcome(lambda: compile_check(Member(Kind.SLOT, "act", parameters))(arguments))
    filled = (*arguments, *(parameter.default for parameter in parameters[len(arguments) :]))
    general_kind, general = outcome(lambda: tuple(p.type.convert(v) for p, v in zip(parameters, filled, strict=True)))
    assert kind is general_kind
    assert same(checked, general) if kind is None else "act(p" in checked


@given(nodes(), VALUES)
def test_conversion_is_done_after_once(node: Type, value: Any) -> None:
    kind, converted = outcome(lambda: node.convert(value))
    if kind is None:
        assert same(node.convert(converted), converted)


@given(nodes(), VALUES)
def test_what_passes_the_test_needs_no_conversion(node: Type, value: Any) -> None:
    test = node.test("v")
    names: dict[str, Any] = {kind.__name__: kind for kind in (bool, int, float, str, bytes, date, datetime, time)}
    names |= {"timedelta": timedelta, "UUID": UUID, "v": value}
    if test is not None and eval(test, names):
        assert node.convert(value) is value


@pytest.mark.parametrize("node", [leaf for leaf in LEAVES if leaf.exact is not None], ids=type_name)
def test_every_instance_of_an_exact_class_is_taken(node: Type) -> None:
    assert node.exact is not None
    value = math.nan if node.exact is float else node.zero
    assert node.convert(value) is value


def test_errors_name_the_member_and_the_parameter() -> None:
    check = compile_check(contract_of(Room).members["overheated"])
    with pytest.raises(ModelError, match=r"^overheated\(sensor\): expected str, got int$"):
        check((1.0, 2))
    boost = compile_check(contract_of(Room).members["boost"])
    with pytest.raises(OutOfRange, match=r"^boost\(minutes\): -1 is not within 0 and 65535"):
        boost((-1,))


def test_the_number_of_arguments_is_said() -> None:
    members = contract_of(Room).members
    with pytest.raises(ModelError, match="overheated takes 2 arguments, got 1"):
        compile_check(members["overheated"])((1.0,))
    with pytest.raises(ModelError, match="readings takes 1 argument, got 2"):
        compile_check(members["readings"])((1.0, 2.0))
    with pytest.raises(ModelError, match="boost takes 0 to 1 arguments, got 2"):
        compile_check(members["boost"])((1, 2))
    with pytest.raises(ModelError, match="reset takes 0 arguments, got 1"):
        compile_check(members["reset"])((1,))


def test_missing_arguments_are_filled_in_with_copies_of_their_defaults() -> None:
    default: list[float] = [1.0]
    check = compile_check(Member(Kind.SLOT, "a", (Parameter("x", ListOf(Float()), default),)))
    (filled,) = check(())
    assert filled == [1.0]
    assert filled is not default
    assert Parameter("x", STR).default is MISSING


def test_a_check_without_arguments_gives_none_back() -> None:
    assert compile_check(contract_of(Room).members["reset"])(()) == ()


def test_a_hostile_name_stays_data() -> None:
    member = Member(Kind.SLOT, "x): import os #", (Parameter("a\n  os.abort()", Int()),))
    assert compile_check(member)((5,)) == (5,)
    assert compile_convert('"]; raise SystemExit #', Int())(5) == 5


def test_generated_source_defines_what_it_says() -> None:
    assert run_source("def f(): return n\n", {"n": 5})["f"]() == 5
