"""Tables that tests share. No tests."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import timedelta

import msgspec

from everywire import f32, u8


class Mode(enum.Enum):
    OFF = 0
    AUTO = 1


class Reading(msgspec.Struct):
    """A row as most have it."""

    sensor: str
    value: float


class Frozen(msgspec.Struct, frozen=True):
    sensor: str
    value: float = 0.0


@dataclass
class Rich:
    """A row of types that wires have no variants of."""

    mode: Mode
    level: u8
    ratio: f32
    span: timedelta
    tags: list[str] = field(default_factory=list)
    note: str | None = None


@dataclass
class Part:
    """A row with rows below it."""

    name: str
    count: int = 1
    children: list[Part] = field(default_factory=list)


def readings(count: int) -> list[Reading]:
    return [Reading(f"s{n}", float(n)) for n in range(count)]


def machine() -> list[Part]:
    return [
        Part("pump", 1, [Part("rotor", 2, [Part("blade", 7)]), Part("seal", 4)]),
        Part("tank", 3),
        Part("valve", 9, [Part("spring", 1)]),
    ]
