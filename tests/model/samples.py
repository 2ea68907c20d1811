"""Classes and helpers that the tests of the model share: one room of every kind of member, and named fakes."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any
from uuid import UUID

import msgspec

from everywire.model import Object, Property, Range, Unit, computed, f32, i8, prop, signal, slot, u16, u64


class Mode(enum.Enum):
    OFF = "off"
    ON = "on"


class Number(enum.Enum):
    ONE = 1
    TWO = 2
    UNO = 1  # noqa: PIE796  an alias


class Odd(enum.Enum):
    PAIR = (1, 2)
    HALF = 0.5


class Doors(enum.Flag):
    LEFT = 1
    RIGHT = 2
    HATCH = 1 << 40


@dataclass
class Reading:
    celsius: float
    at: str = ""
    tags: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Point:
    x: float
    y: float = 0.0


class Span(msgspec.Struct, frozen=True):
    start: Point
    end: Point | None = None


SPAN = Span(Point(1.0))


class Room(Object):
    """Keeps one room warm."""

    target: Property[float] = prop(21, writable=True, unit="Cel", minimum=5, maximum=35, doc="Wanted.", number=7)
    current: Property[float] = prop(20.0)
    history: Property[list[float]] = prop(factory=list)
    mode: Property[Mode] = prop(Mode.OFF)
    last: Property[Reading] = prop(factory=lambda: Reading(1.0))
    place: Property[Point] = prop(Point(1.0))
    extra: Property[Any] = prop(None)
    pair: Property[tuple[float, str]] = prop((0.0, ""))

    @computed(target, current)
    def error(self) -> float:
        """How far off."""
        return self.target - self.current

    @computed(error)
    def twice(self) -> float:
        return self.error * 2

    @signal
    def overheated(self, celsius: float, sensor: str) -> None:
        """A sensor is above the limit."""

    @signal
    def beeped(self) -> None:
        """It made a noise."""

    @slot
    async def boost(self, minutes: u16 = 10) -> int:
        """Heat at full power."""
        return minutes * 60

    @slot(timeout=2.5)
    async def reset(self) -> None:
        """Forget everything."""

    @slot
    async def readings(self, every: float) -> AsyncIterator[float]:
        yield every


class Everything(Object):
    """One member of every type."""

    a: Property[bool] = prop(True)
    b: Property[int] = prop(-1)
    c: Property[i8] = prop(1)
    d: Property[u64] = prop(2**64 - 1)
    e: Property[Annotated[int, Range(-5, 5)]] = prop(0)
    f: Property[f32] = prop(0.5)
    g: Property[Annotated[float, Range(low=0), Unit("Cel")]] = prop(0.5)
    h: Property[str] = prop("")
    i: Property[bytes] = prop(b"")
    j: Property[Mode] = prop(Mode.ON)
    k: Property[Doors] = prop(Doors.LEFT)
    l: Property[Odd] = prop(Odd.HALF)
    m: Property[datetime] = prop(datetime(2024, 5, 6, tzinfo=UTC))
    n: Property[date] = prop(date(2024, 5, 6))
    o: Property[time] = prop(time(1, 2, 3))
    p: Property[timedelta] = prop(timedelta(seconds=1.5))
    q: Property[UUID] = prop(UUID(int=5))
    r: Property[list[Annotated[int, Range(0, 9)]]] = prop(factory=list)
    s: Property[dict[str, list[Reading]]] = prop(factory=dict)
    t: Property[tuple[int, str]] = prop((1, ""))
    u: Property[tuple[Point, ...]] = prop(())
    v: Property[Span | None] = prop(None)
    w: Property[Reading] = prop(factory=lambda: Reading(1.0))
    x: Property[Any] = prop(None)
    y: Property[Number] = prop(Number.TWO)
    z: Property[dict[Point, int]] = prop(factory=dict)

    @signal
    def told(self, one: Mode, two: tuple[int, ...], three: Span) -> None:
        """Tell."""

    @slot
    async def asked(
        self,
        one: float = float("inf"),
        two: bytes = b"\0\xff",
        three: Span = SPAN,
        four: tuple[Mode, ...] = (Mode.ON,),
        five: Doors = Doors.LEFT | Doors.HATCH,
        six: datetime | None = datetime(2024, 1, 2, tzinfo=UTC),
        seven: str | None = None,
        eight: dict[str, int] = {"a": 1},  # noqa: B006  copied when the contract is read
        nine: list[timedelta] = [timedelta(1)],  # noqa: B006
        ten: Odd = Odd.PAIR,
    ) -> Reading | None:
        """Ask."""

    @slot(timeout=None)
    async def streamed(self, every: float) -> AsyncIterator[Span]:
        yield Span(Point(every))


class Recorder:
    """An observer that remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def __call__(self, *arguments: Any) -> None:
        self.told.append(arguments[0] if len(arguments) == 1 else arguments)


class Broken:
    """An observer that always fails."""

    def __init__(self) -> None:
        self.error = RuntimeError("broken observer")

    def __call__(self, *_arguments: Any) -> None:
        raise self.error


class TaskHome:
    """A home, as a node is one: it runs coroutines as tasks in the order they come."""

    def __init__(self) -> None:
        self.tasks: list[asyncio.Task[Any]] = []

    def spawn(self, coroutine: Coroutine[Any, Any, object]) -> object:
        self.tasks.append(asyncio.get_running_loop().create_task(coroutine))
        return self.tasks[-1]

    async def finish(self) -> None:
        await asyncio.gather(*self.tasks)


class ClosedHome:
    """A home that takes no more coroutines until it is opened."""

    def __init__(self) -> None:
        self.open = False
        self.inner = TaskHome()

    def spawn(self, coroutine: Coroutine[Any, Any, object]) -> object:
        if self.open:
            return self.inner.spawn(coroutine)
        coroutine.close()
        raise RuntimeError("the home is closed")
