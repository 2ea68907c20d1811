"""Annotations to nodes: every type of SEMANTICS 1, widths, bounds, units, and what no wire could carry."""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping, Sequence
from dataclasses import InitVar, dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Annotated, Any, Optional, Union
from uuid import UUID

import msgspec
import pytest

from everywire.errors import ModelError
from everywire.model import Range, Unit, Width, f32, i8, i16, i32, i64, u8, u16, u32, u64
from everywire.model.annotations import bounded, hints_of, type_of, unit_of
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
    Exact,
    Float,
    Form,
    Handle,
    Int,
    ListOf,
    OptionalOf,
    StructOf,
    TupleOf,
    Type,
    holds_handle,
)
from tests.model.samples import Doors, Mode, Point, Reading, Span


@pytest.mark.parametrize(
    "annotation, node",
    [
        (bool, BOOL),
        (int, Int(64)),
        (i8, Int(8)),
        (i16, Int(16)),
        (i32, Int(32)),
        (i64, Int(64)),
        (u8, Int(8, signed=False)),
        (u16, Int(16, signed=False)),
        (u32, Int(32, signed=False)),
        (u64, Int(64, signed=False)),
        (float, Float()),
        (f32, Float(32)),
        (str, STR),
        (bytes, BYTES),
        (bytearray, BYTES),
        (memoryview, BYTES),
        (datetime, DATETIME),
        (date, DATE),
        (time, TIME),
        (timedelta, DURATION),
        (UUID, UUID_),
        (Mode, EnumType(Mode)),
        (Doors, EnumType(Doors)),
        (list[int], ListOf(Int())),
        (Sequence[int], ListOf(Int())),
        (dict[str, int], DictOf(STR, Int())),
        (Mapping[str, int], DictOf(STR, Int())),
        (tuple[int, str], TupleOf((Int(), STR))),
        (tuple[int, ...], TupleOf((Int(),), variadic=True)),
        (tuple[()], TupleOf(())),
        (int | None, OptionalOf(Int())),
        (Optional[str], OptionalOf(STR)),  # noqa: UP045  both spellings
        (Union[None, list[str]], OptionalOf(ListOf(STR))),  # noqa: UP007
        (Any, ANY),
        (object, ANY),
        (Annotated[float, Range(5, 35), Unit("Cel")], Float(low=5.0, high=35.0)),
        (Annotated[u16, Range(high=300)], Int(16, signed=False, high=300)),
        (Annotated[int, Range(0, 300), Width(16)], Int(16, low=0, high=300)),
        (Annotated[int, Range(0.5, 2.5)], Int(low=1, high=2)),
        (Annotated[float, Range(0, math.inf)], Float(low=0.0)),
        (Annotated[str, "a remark"], STR),
        (list[Annotated[int, Range(0, 9)]], ListOf(Int(low=0, high=9))),
    ],
)
def test_every_type_of_the_algebra_has_its_node(annotation: Any, node: Type) -> None:
    assert type_of(annotation) == node


@dataclass
class Partly:
    a: int
    b: int = field(default=1)
    c: int = field(init=False, default=2)


def test_a_struct_has_the_fields_that_can_be_given() -> None:
    node = type_of(Partly)
    assert isinstance(node, StructOf)
    assert [(f.name, f.required) for f in node.fields] == [("a", True), ("b", False)]
    span = type_of(Span)
    assert isinstance(span, StructOf)
    assert [(f.name, f.required) for f in span.fields] == [("start", True), ("end", False)]
    assert span.frozen
    assert type_of(Reading) is type_of(Reading)


class Plain:
    pass


class Empty(enum.Enum):
    pass


class Hidden(enum.Enum):
    _SECRET = 1


@dataclass
class Private:
    _x: int


@dataclass
class Linked:
    value: int
    next: Linked | None = None


@dataclass
class Unknown:
    value: Nowhere  # type: ignore[name-defined]  # noqa: F821


@dataclass
class Nested:
    inner: Deep


@dataclass
class Deep:
    value: complex


class Bad(msgspec.Struct):
    values: set[int]


@pytest.mark.parametrize(
    "annotation, message",
    [
        (Plain, "the type Plain cannot go on a wire; use bool"),
        (complex, "complex cannot go"),
        (set[int], "set"),
        (frozenset[int], "frozenset"),
        (list, r"a bare list has no item type: write list\[…\]"),
        (dict, "a bare dict"),
        (tuple, "a bare tuple"),
        (int | str, "of unions only 'T | None'"),
        (int | str | None, "of unions only"),
        (None, "None cannot go"),
        (type(None), "NoneType cannot go"),
        (Empty, "the enum Empty has no members"),
        (Hidden, "the members of Hidden need public names, not _SECRET"),
        (Private, "Private._x: a field of a struct on a wire has no leading underscore"),
        (Linked, "Linked contains itself"),
        (Unknown, "Unknown|Nowhere.*importable"),
        (Nested, "Nested.inner: Deep.value: the type complex"),
        (Bad, "Bad.values: the type set"),
        (dict[list[int], int], "keys of a dict must be immutable"),
        (Annotated[str, Range(0, 1)], "only numbers have a minimum"),
        (Annotated[str, Width(8)], "no number of 8 bits"),
        (Annotated[int, Width(7)], "no number of 7 bits"),
        (Annotated[float, Width(16)], "no number of 16 bits"),
        (Annotated[float, Range(2, 1)], "no f64 lies within 2 and 1"),
        (Annotated[u8, Range(300)], "no u8 lies within 300 and None"),
        (Annotated[int, Range(0.2, 0.8)], "no i64 lies within"),
        (Annotated[float, Range(math.nan)], "a bound is a number"),
        (Annotated[int, Range(0, 10**400)], "a bound is a number"),
        ([int], "cannot go on a wire"),
    ],
)
def test_what_no_wire_could_carry_is_refused_with_the_reason(annotation: Any, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        type_of(annotation)


def test_a_class_that_was_refused_once_is_refused_again() -> None:
    for _ in range(2):
        with pytest.raises(ModelError, match="contains itself"):
            type_of(Linked)


@dataclass
class WithInitOnly:
    a: int
    scale: InitVar[int] = 1


def test_init_only_variables_are_no_fields() -> None:
    assert type_of(WithInitOnly).convert({"a": 1}) == WithInitOnly(1)


def test_an_explicit_bound_replaces_the_one_of_the_annotation() -> None:
    node = type_of(Annotated[float, Range(5, 35)])
    assert bounded(node, None, 30) == Float(low=5.0, high=30.0)
    assert bounded(node, None, None) is node
    assert bounded(STR, None, math.inf) is STR


def test_the_unit_of_an_annotation_is_found() -> None:
    assert unit_of(Annotated[float, Range(0, 1), Unit("Cel")]) == "Cel"
    assert unit_of(float) == ""


def test_hints_of_a_function_can_name_what_its_class_body_has() -> None:
    def function(_a: Local) -> None:  # type: ignore[name-defined]  # noqa: F821
        """Name something that the module lacks."""

    assert hints_of(function, {"Local": Point})["_a"] is Point
    with pytest.raises(ModelError, match="'Local' is not defined; names in annotations must be importable"):
        hints_of(function)


def test_a_slice_brings_types_of_its_own_as_metadata_or_as_a_class_that_names_its_node() -> None:
    def check(text: str) -> None:
        if not text.startswith("+"):
            raise ModelError("a line begins with +")

    line = Exact(str, Form("line", check, "+"))
    node = type_of(dict[str, Annotated[str, line, Unit("1")]])
    assert node == DictOf(STR, STR), "other wires see a text"
    assert node.convert({"a": "+49"}) == {"a": "+49"}
    assert line.zero == "+"
    with pytest.raises(ModelError, match="at a: a line begins with"):
        node.convert({"a": "49"})

    class Door:
        __everywire_type__ = Handle("Door")

    door = Door()
    opened = type_of(list[Door])
    assert opened == ListOf(Handle("Door"))
    assert opened.name == "list[Door]"
    assert holds_handle(opened)
    assert not holds_handle(node)
    assert opened.convert([door, None]) == [door, None]
    for wrong in ([Door], [1]):
        with pytest.raises(ModelError, match="at 0: expected Door, got"):
            opened.convert(wrong)
