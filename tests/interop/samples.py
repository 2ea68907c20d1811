"""Objects of ours that Qt programs use."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from everywire import (
    Code,
    Fault,
    Object,
    Property,
    computed,
    f32,
    i8,
    i16,
    i32,
    i64,
    prop,
    signal,
    slot,
    u8,
    u16,
    u32,
    u64,
)


class Mode(enum.Enum):
    OFF = 0
    HEAT = 3


class Access(enum.Flag):
    READ = 1
    WRITE = 2
    OWN = 1 << 31


@dataclass(frozen=True)
class Reading:
    celsius: float
    taken_at: str


MOMENT = datetime(2024, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
IDENT = UUID("00112233-4455-6677-8899-aabbccddeeff")


class Everything(Object):
    """A property of every type."""

    tiny: Property[i8] = prop(-8, writable=True)
    byte: Property[u8] = prop(200, writable=True)
    short: Property[i16] = prop(-1600, writable=True)
    word: Property[u16] = prop(60000, writable=True)
    number: Property[i32] = prop(-7, writable=True)
    unsigned: Property[u32] = prop(4_000_000_000, writable=True)
    long: Property[i64] = prop(-(2**40), writable=True)
    huge: Property[u64] = prop(2**63 + 5, writable=True)
    single: Property[f32] = prop(1.5, writable=True)
    real: Property[float] = prop(0.1, writable=True)
    truth: Property[bool] = prop(True, writable=True)
    text: Property[str] = prop("Grüße 😀", writable=True)
    data: Property[bytes] = prop(b"\0\xff", writable=True)
    mode: Property[Mode] = prop(Mode.HEAT, writable=True)
    access: Property[Access] = prop(Access.READ | Access.OWN, writable=True)
    names: Property[list[str]] = prop(factory=lambda: ["a", ""], writable=True)
    counts: Property[list[int]] = prop(factory=lambda: [1, 2**40], writable=True)
    readings: Property[list[Reading]] = prop(factory=lambda: [Reading(1.0, "a")], writable=True)
    table: Property[dict[str, int]] = prop(factory=lambda: {"a": 1}, writable=True)
    reading: Property[Reading] = prop(Reading(20.5, "noon"), writable=True)
    pair: Property[tuple[int, str]] = prop((1, "b"), writable=True)
    maybe: Property[int | None] = prop(None, writable=True)
    anything: Property[Any] = prop(factory=lambda: {"a": [1, None, {"b": b"x"}]}, writable=True)
    moment: Property[datetime] = prop(MOMENT, writable=True)
    day: Property[date] = prop(date(2024, 1, 2), writable=True)
    clock: Property[time] = prop(time(3, 4, 5, 678000), writable=True)
    span: Property[timedelta] = prop(timedelta(seconds=1.5), writable=True)
    ident: Property[UUID] = prop(IDENT, writable=True)


class Echo(Object):
    """A signal and a slot of every type: each slot emits its argument and returns it."""

    @signal
    def integers(self, a: i8, b: u8, c: i16, d: u16, e: i32, f: u32, g: i64, h: u64) -> None: ...
    @signal
    def others(self, a: bool, b: f32, c: float, d: str, e: bytes, f: Mode) -> None: ...
    @signal
    def many(self, a: list[str], b: list[int], c: dict[str, int], d: Reading, e: tuple[int, str]) -> None: ...
    @signal
    def times(self, a: datetime, b: date, c: time, d: timedelta, e: UUID) -> None: ...
    @signal
    def loose(self, a: int | None, b: Any) -> None: ...
    @signal
    def nothing(self) -> None: ...

    @slot
    async def emit_all(self) -> None:
        self.integers.emit(-8, 200, -1600, 60000, -7, 4_000_000_000, -(2**40), 2**63 + 5)
        self.others.emit(True, 1.5, 0.1, "Grüße 😀", b"\0\xff", Mode.HEAT)
        self.many.emit(["a", ""], [1, 2**40], {"a": 1}, Reading(1.0, "a"), (1, "b"))
        self.times.emit(MOMENT, date(2024, 1, 2), time(3, 4, 5, 678000), timedelta(seconds=1.5), IDENT)
        self.loose.emit(None, [1, {"b": b"x"}])
        self.loose.emit(5, None)
        self.nothing.emit()

    @slot
    async def tiny(self, value: i8) -> i8:
        return value

    @slot
    async def byte(self, value: u8) -> u8:
        return value

    @slot
    async def short(self, value: i16) -> i16:
        return value

    @slot
    async def word(self, value: u16) -> u16:
        return value

    @slot
    async def number(self, value: i32) -> i32:
        return value

    @slot
    async def unsigned(self, value: u32) -> u32:
        return value

    @slot
    async def long(self, value: int) -> int:
        return value

    @slot
    async def single(self, value: f32) -> f32:
        return value

    @slot
    async def real(self, value: float) -> float:
        return value

    @slot
    async def truth(self, value: bool) -> bool:
        return value

    @slot
    async def text(self, value: str) -> str:
        return value

    @slot
    async def data(self, value: bytes) -> bytes:
        return value

    @slot
    async def mode(self, value: Mode) -> Mode:
        return value

    @slot
    async def names(self, value: list[str]) -> list[str]:
        return value

    @slot
    async def counts(self, value: list[int]) -> list[int]:
        return value

    @slot
    async def table(self, value: dict[str, int]) -> dict[str, int]:
        return value

    @slot
    async def reading(self, value: Reading) -> Reading:
        return value

    @slot
    async def moment(self, value: datetime) -> datetime:
        return value

    @slot
    async def day(self, value: date) -> date:
        return value

    @slot
    async def clock(self, value: time) -> time:
        return value

    @slot
    async def span(self, value: timedelta) -> timedelta:
        return value

    @slot
    async def ident(self, value: UUID) -> UUID:
        return value

    @slot
    async def maybe(self, value: int | None) -> int | None:
        return value

    @slot
    async def anything(self, value: Any) -> Any:
        return value


class Namesake(Object):
    """Names that QRemoteObjectReplica and QObject use themselves."""

    state: Property[int] = prop(7, writable=True)
    node: Property[str] = prop("here")
    object_name: Property[str] = prop("me")

    @signal
    def initialized(self, why: str) -> None: ...

    @signal
    def destroyed(self) -> None: ...

    @slot
    async def is_initialized(self) -> str:
        return "ours"

    @slot
    async def delete_later(self) -> str:
        return "never"


class Boiler(Object):
    """Heats water."""

    set_point: Property[float] = prop(21.0, writable=True, minimum=5, maximum=95)
    current: Property[float] = prop(20.0)
    label: Property[str] = prop("boiler", writable=True)

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.stopped: list[str] = []

    @computed(set_point, current)
    def error(self) -> float:
        return self.set_point - self.current

    @signal
    def over_heated(self, celsius: float, sensor: str) -> None: ...

    @slot
    async def boost(self, minutes: i32 = 10) -> i32:
        return minutes * 60

    @slot
    async def stop(self, why: str) -> None:
        self.stopped.append(why)
        self.label = why

    @slot
    async def add_heat(self, celsius: float) -> None:
        self.current += celsius
        self.over_heated.emit(self.current, "attic")

    @slot
    async def refuse(self) -> i32:
        raise Fault(Code.FAILED_PRECONDITION, "not today")

    @slot
    async def fail(self) -> i32:
        raise ValueError("a bug")

    @slot
    async def later(self) -> str:
        await self.gate.wait()
        return "at last"

    @slot
    async def forecast(self, hours: i32) -> AsyncIterator[float]:
        for hour in range(hours):
            yield float(hour)


BOILER_REP = """
class Boiler
{
    PROP(double setPoint=0 READPUSH)
    PROP(double current=0 READONLY)
    PROP(QString label READPUSH)
    PROP(double error=0 READONLY)
    SIGNAL(overHeated(double celsius, QString sensor))
    SLOT(int boost(int minutes))
    SLOT(void stop(QString why))
    SLOT(void addHeat(double celsius))
    SLOT(int refuse())
    SLOT(int fail())
    SLOT(QString later())
};
"""
"""What `everywire gen rep` would write for Boiler: repc's order; a stream has no place."""
