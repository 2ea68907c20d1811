from __future__ import annotations

import enum
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec
import pytest

from everywire import Object, Property, contract_of, f32, prop, signal, slot, u8
from everywire.model.annotations import type_of
from everywire.model.types import Type
from everywire.runtime.matching import differences, fits


class Mode(enum.Enum):
    OFF = 0


@dataclass
class Point:
    x: float


def other(kind: type, name: str) -> Any:
    """Return a type as another program has it: its own class, perhaps of the same name."""
    if kind is enum.Enum:
        return enum.Enum(name, {"OFF": 0})
    return dataclass(type(name, (), {"__annotations__": {"x": float}}))


@pytest.mark.parametrize(
    "wanted,offered,fit",
    [
        (int, u8, True),
        (u8, int, True),
        (float, f32, True),
        (float, int, True),
        (int, float, False),
        (bool, int, False),
        (bool, bool, True),
        (str, bytes, False),
        (bytes, bytes, True),
        (UUID, str, False),
        (Any, int, True),
        (int, Any, True),
        (Mode, other(enum.Enum, "Mode"), True),
        (Mode, other(enum.Enum, "Other"), False),
        (Point, other(object, "Point"), True),
        (Point, other(object, "Other"), False),
        (Point, other(enum.Enum, "Point"), False),
        (list[float], list[int], True),
        (list[int], list[str], False),
        (list[int], tuple[int, ...], False),
        (list[Any], list[int], True),
        (tuple[int, str], tuple[int, str], True),
        (tuple[int, str], tuple[int, int], False),
        (tuple[int], tuple[int, int], False),
        (tuple[int, ...], tuple[int, ...], True),
        (tuple[int, ...], tuple[str, ...], False),
        (tuple[int], tuple[int, ...], False),
        (dict[str, int], dict[str, int], True),
        (dict[str, int], dict[int, int], False),
        (dict[str, int], dict[str, str], False),
        (int | None, int, True),
        (int | None, int | None, True),
        (int | None, str | None, False),
        (int, int | None, False),
    ],
)
def test_a_type_fits_when_its_values_can_be_the_wanted_ones(wanted: Any, offered: Any, fit: bool) -> None:
    assert fits(type_of(wanted), type_of(offered)) is fit


class Wanted(Object):
    level: Property[float] = prop(0.0)
    set_point: Property[float] = prop(0.0, writable=True)
    gone: Property[int] = prop(0)
    kind: Property[int] = prop(0)

    @signal
    def rang(self, loud: bool) -> None: ...

    @slot
    async def ask(self, a: int) -> None: ...

    @slot
    async def answer(self) -> int: ...

    @slot
    async def items(self) -> AsyncIterator[int]:
        yield 1


class Offered(Object):
    level: Property[int] = prop(0)
    set_point: Property[float] = prop(0.0)
    extra: Property[int] = prop(0)

    @signal
    def kind(self) -> None: ...

    @signal
    def rang(self, loud: bool, long: bool) -> None: ...

    @slot
    async def ask(self, a: int) -> str: ...

    @slot
    async def answer(self) -> None: ...

    @slot
    async def items(self) -> int: ...


WANTED, OFFERED = contract_of(Wanted), contract_of(Offered)


def struct(**fields: Any) -> Type:
    """Return the type of a struct of another program: an annotation for each field, None when it may be absent."""
    named = [(name, kind) if kind is not None else (name, int, 0) for name, kind in fields.items()]
    return type_of(msgspec.defstruct("Point", named))


@pytest.mark.parametrize(
    "wanted,offered,fit",
    [
        (struct(x=float), struct(x=int), True),
        (struct(x=float), struct(x=str), False),
        (struct(x=float), struct(x=float, y=float), False),
        (struct(x=float), struct(x=float, y=None), False),
        (struct(x=float, y=float), struct(x=float), False),
        (struct(x=float, y=None), struct(x=float), True),
    ],
)
def test_a_struct_of_the_same_name_fits_when_its_fields_do(wanted: Type, offered: Type, fit: bool) -> None:
    assert fits(wanted, offered) is fit


def test_every_difference_has_a_line_and_what_is_more_is_none() -> None:
    assert differences(WANTED, OFFERED) == (
        "expected set_point: f64 (writable), offered set_point: f64",
        "property gone is missing",
        "expected kind: i64, offered signal kind()",
        "expected signal rang(loud: bool), offered signal rang(loud: bool, long: bool)",
        "expected slot answer() -> i64, offered slot answer()",
        "expected slot items() -> i64 (stream), offered slot items() -> i64",
    )


def test_on_a_wire_without_streams_a_stream_is_no_difference() -> None:
    found = differences(WANTED, OFFERED, streams=False)
    assert len(found) == 5
    assert not any("items" in line for line in found)


def test_a_class_is_no_different_from_itself() -> None:
    assert differences(WANTED, WANTED) == ()
    assert differences(OFFERED, OFFERED) == ()
