"""What an annotation may say beside the type: bounds, a unit, a width. Read by `model/annotations.py`.

A `Mark` is a word for one wire only: contracts carry it along and give it no meaning.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Final


@dataclass(frozen=True, slots=True)
class Range:
    """Bounds, both included, for use in ``Annotated[float, Range(5, 35)]``."""

    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit of measure in UCUM notation, for use in ``Annotated[float, Unit("Cel")]``."""

    symbol: str


@dataclass(frozen=True, slots=True)
class Width:
    """Bits of a number on the wires, for use in ``Annotated[int, Width(16, signed=False)]``; `u16` is that."""

    bits: int
    signed: bool = True


class Mark:
    """Base of what an annotation says to one wire: the exact C++ type on Qt Remote Objects, for example.

    It stands outermost, ``Annotated[list[int], CppType("QList<int>")]``, and is no part of the type.
    """

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Persisted(Mark):
    """A replica keeps the last value of the property and has it before its source was ever found."""


PERSISTED: Final = Persisted()

@dataclass(frozen=True, slots=True)
class WireName(Mark):
    """What the other side calls a property, a parameter or a field, where that does not follow from its name."""

    name: str


def wire_name_in(marks: Iterable[Mark]) -> str:
    """Return what the other side calls a thing with these *marks*; nothing when they do not say it."""
    return next((mark.name for mark in marks if isinstance(mark, WireName)), "")


MARKS: Final = "__everywire_marks__"
"""The attribute in which a function declared as a signal or slot carries marks of its own."""

i8 = Annotated[int, Width(8)]
i16 = Annotated[int, Width(16)]
i32 = Annotated[int, Width(32)]
i64 = Annotated[int, Width(64)]
u8 = Annotated[int, Width(8, signed=False)]
u16 = Annotated[int, Width(16, signed=False)]
u32 = Annotated[int, Width(32, signed=False)]
u64 = Annotated[int, Width(64, signed=False)]
f32 = Annotated[float, Width(32)]
