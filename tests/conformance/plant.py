"""The objects that the conformance suite puts on every wire, a sample of each type, and who watches them. No tests."""

from __future__ import annotations

import asyncio
import enum
import math
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec

from everywire import (
    Code,
    Fault,
    Object,
    Property,
    Range,
    ReplicaState,
    computed,
    current_call,
    f32,
    i8,
    i16,
    i32,
    link_of,
    prop,
    signal,
    slot,
    u8,
    u16,
    u32,
    u64,
)


# ---------------------------------------------------------------------------------------------------- kinds of values
class Mode(enum.Enum):
    OFF = "off"
    HEATING = "heating"
    COOLING = "cooling"


class Level(enum.IntEnum):
    LOW = -5
    HIGH = 70_000


class Valves(enum.Flag):
    NONE = 0
    INLET = 1
    OUTLET = 2
    DRAIN = 8


@dataclass(frozen=True)
class Point:
    x_mm: int
    y_mm: int


@dataclass
class Reading:
    celsius: float
    sensor: str
    taken_at: datetime | None = None


class Batch(msgspec.Struct):
    label: str
    mode: Mode
    readings: list[Reading]
    corners: tuple[Point, ...] = ()


@dataclass(frozen=True)
class Sample:
    """A type of the algebra with values of it; they differ from each other."""

    name: str
    annotation: Any
    values: tuple[Any, ...]


NOON: Final = datetime(2026, 11, 20, 12, 0, 0, 250_000)  # noqa: DTZ001  naive is Qt's local time
BATCH: Final = Batch("b", Mode.HEATING, [Reading(1.5, "attic", NOON), Reading(-1.0, "")], (Point(1, 2), Point(-3, 4)))
SAMPLES: Final = (
    Sample("bool", bool, (False, True)),
    Sample("int", int, (0, 1, -1, 2**63 - 1, -(2**63))),
    Sample("i8", i8, (0, -128, 127)),
    Sample("i16", i16, (0, -(2**15), 2**15 - 1)),
    Sample("i32", i32, (0, -(2**31), 2**31 - 1)),
    Sample("u8", u8, (0, 255)),
    Sample("u16", u16, (0, 2**16 - 1)),
    Sample("u32", u32, (0, 2**32 - 1)),
    Sample("u64", u64, (0, 2**64 - 1)),
    Sample("float", float, (0.0, 0.1, -1e300, math.inf, -math.inf, 5e-324)),
    Sample("f32", f32, (0.0, 0.5, -1.5)),
    Sample("ranged", Annotated[float, Range(5, 35)], (5.0, 21.5, 35.0)),
    Sample("str", str, ("", "plain", "zwölf Grüße", "\U0001f321 hot", "a\0b", "x" * 5000)),
    Sample("bytes", bytes, (b"", b"\0\xff", bytes(range(256)) * 20)),
    Sample("enum", Mode, tuple(Mode)),
    Sample("int_enum", Level, tuple(Level)),
    Sample("flag", Valves, (Valves.NONE, Valves.INLET | Valves.DRAIN, Valves.OUTLET)),
    Sample("datetime", datetime, (NOON, NOON.replace(year=1), NOON.replace(year=9999))),
    Sample("date", date, (date(2026, 11, 20), date(1, 1, 1), date(9999, 12, 31))),
    Sample("time", time, (time(0), time(23, 59, 59, 999_000))),
    Sample("duration", timedelta, (timedelta(), timedelta(days=3, milliseconds=1), -timedelta(seconds=2))),
    Sample("uuid", UUID, (UUID(int=0), UUID("12345678-1234-5678-9abc-def012345678"))),
    Sample("list_float", list[float], ([], [1.0, -2.5])),
    Sample("list_str", list[str], ([], ["a", "", "ü"])),
    Sample("list_list", list[list[int]], ([], [[], [1, 2]])),
    Sample("dict_str", dict[str, int], ({}, {"a": 1, "": -2})),
    Sample("dict_int", dict[int, str], ({}, {-1: "a", 2: "b"})),
    Sample("dict_enum", dict[Mode, float], ({}, {Mode.OFF: 0.5, Mode.COOLING: 1.0})),
    Sample("tuple", tuple[int, str, Mode], ((1, "a", Mode.OFF), (2, "", Mode.HEATING))),
    Sample("array", tuple[int, ...], ((), (1, 2, 3))),
    Sample("optional", int | None, (None, 0, 7)),
    Sample("optional_struct", Reading | None, (None, Reading(1.0, "a"))),
    Sample("frozen_struct", Point, (Point(0, 0), Point(-1, 2))),
    Sample("struct", Reading, (Reading(0.0, ""), Reading(20.5, "attic", NOON))),
    Sample("nested_struct", Batch, (Batch("", Mode.OFF, []), BATCH)),
    Sample("list_struct", list[Reading], ([], [Reading(1.0, "a"), Reading(2.0, "b", NOON)])),
    Sample("any", Any, (None, True, 7, 2**40, 0.5, "text", b"raw", [1, "a", None], {"a": [1.5]}, NOON, UUID(int=9))),
)


def carrier(sample: Sample) -> type[Object]:
    """Return a class that carries values of one type in every way a member can."""

    async def echo(self: Object, value: Any) -> Any:
        return value

    async def echo_later(self: Object, value: Any) -> Any:
        await asyncio.sleep(0)
        return value

    async def repeat(self: Object, value: Any, times: Any) -> Any:
        for _ in range(times):
            yield value

    def said(self: Object, value: Any) -> None: ...

    annotation = sample.annotation
    echo.__annotations__ = echo_later.__annotations__ = {"value": annotation, "return": annotation}
    repeat.__annotations__ = {"value": annotation, "times": int, "return": AsyncIterator[annotation]}
    said.__annotations__ = {"value": annotation, "return": None}
    namespace = {
        "__annotations__": {"value": Property[annotation], "shown": Property[annotation]},
        "value": prop(factory=lambda: sample.values[0], writable=True),
        "shown": prop(factory=lambda: sample.values[0]),
        "said": signal(said),
        "echo": slot(echo),
        "echo_later": slot(echo_later),
        "repeat": slot(repeat),
    }
    return type("Carrier", (Object,), namespace)


CARRIERS: Final = {sample.name: (carrier(sample), sample) for sample in SAMPLES}


class Bell:
    """Wakes everybody who waits for a condition to become true."""

    def __init__(self) -> None:
        self._next = asyncio.Event()

    def ring(self) -> None:
        """Something has changed."""
        rung, self._next = self._next, asyncio.Event()
        rung.set()

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until *condition* is true."""
        while not condition():
            await self._next.wait()


# ------------------------------------------------------------------------------------------------------------ objects
class Boiler(Object):
    """Keeps one room warm."""

    target: Property[float] = prop(21.0, writable=True, unit="Cel", minimum=5, maximum=35, doc="Where to.")
    current: Property[float] = prop(20.0, unit="Cel")
    mode: Property[Mode] = prop(Mode.OFF, writable=True)
    last: Property[Reading] = prop(factory=lambda: Reading(20.0, "attic"))

    @computed(target, current)
    def error(self) -> float:
        """How far the room is from the target."""
        return self.target - self.current

    @signal
    def overheated(self, celsius: float, sensor: str) -> None:
        """A sensor is above the limit."""

    @slot
    async def boost(self, minutes: u16 = 10, reason: str = "cold") -> int:
        """Heat at full power; return the seconds until the target is reached."""
        self.current += 1.0
        return minutes * 60

    @slot(timeout=None)
    async def drain(self) -> None:
        """Let the water out."""


class LooseBoiler(Object):
    """The same members, with types so loose that only the source can refuse."""

    target: Property[Any] = prop(None, writable=True)
    mode: Property[Any] = prop(None, writable=True)

    @slot
    async def boost(self, minutes: Any, reason: str = "") -> Any:
        raise NotImplementedError


class Pump(Object):
    running: Property[bool] = prop(False)
    strokes: Property[int] = prop(0)

    @signal
    def stopped(self, celsius: float) -> None: ...

    @slot
    async def stop(self, celsius: float, sensor: str) -> None:
        self.running = False
        self.stopped.emit(celsius)

    @slot
    async def stroke(self) -> int:
        self.strokes += 1
        return self.strokes


class Counters(Object):
    """Tells everything in the order in which it happens."""

    first: Property[int] = prop(0)
    second: Property[int] = prop(0)
    text: Property[str] = prop("")
    tags: Property[list[int]] = prop(factory=list)
    setting: Property[int] = prop(0, writable=True)

    @computed(first, second)
    def total(self) -> int:
        return self.first + self.second

    @signal
    def ticked(self, number: int) -> None: ...

    @signal
    def tocked(self, number: int, text: str) -> None: ...

    @slot
    async def settle(self) -> None:
        """Answer; whatever was told before has arrived with it."""


class Desk(Object):
    """Answers every kind of call; notes which slots hold, and which were cancelled."""

    calls: Property[int] = prop(0)

    def __init__(self) -> None:
        self.bell = Bell()
        self.order: list[int] = []
        self.holding: set[int] = set()
        self.released: set[int] = set()
        self.cancelled: list[int] = []

    @slot
    async def add(self, first: int, second: int = 100, third: int = 1000) -> int:
        self.order.append(first)
        return first + second + third

    @slot
    async def nothing(self) -> None:
        self.calls += 1

    @slot
    async def hold(self, number: int) -> int:
        """Answer when the test releases *number*."""
        self.order.append(number)
        self.holding.add(number)
        self.bell.ring()
        try:
            await self.bell.until(lambda: number in self.released)
        except asyncio.CancelledError:
            self.cancelled.append(number)
            raise
        finally:
            self.holding.discard(number)
            self.bell.ring()
        return number

    @slot
    async def divide(self, number: int, by: int) -> tuple[int, int]:
        return divmod(number, by)

    @slot
    async def find(self, name: str) -> Reading | None:
        return Reading(20.5, name, NOON) if name else None

    @slot
    async def mirror(self, mode: Mode, valves: Valves = Valves.NONE) -> Mode:
        return Mode.OFF if valves else mode

    @slot
    async def anything(self, value: Any) -> Any:
        return value

    @slot
    async def refuse(self, code: str, message: str) -> None:
        raise Fault(Code[code], message)

    @slot
    async def refuse_later(self, code: str, message: str) -> None:
        await asyncio.sleep(0)
        raise Fault(Code[code], message)

    @slot
    async def explode(self) -> int:
        raise ValueError("the password is swordfish")

    @slot
    async def explode_later(self) -> int:
        await asyncio.sleep(0)
        raise ValueError("the password is swordfish")

    @slot
    async def lie(self) -> int:
        return "not a number"  # type: ignore[return-value]

    @slot(timeout=0.2)
    async def never(self) -> int:
        await asyncio.Event().wait()
        return 0

    @slot
    async def who(self) -> str:
        call = current_call()
        return f"{call.object}.{call.member.name} for {call.caller.wire}"

    @slot
    async def who_later(self) -> str:
        await asyncio.sleep(0)
        return await self.who()

    def release(self, *numbers: int) -> None:
        """Let slots end that hold."""
        self.released.update(numbers)
        self.bell.ring()


class Tap(Object):
    """Streams. `open` counts generators that have not ended, `yielded` what they gave."""

    def __init__(self) -> None:
        self.open = 0
        self.yielded = 0
        self.released = False
        self.bell = Bell()

    @slot
    async def numbers(self, count: int) -> AsyncIterator[int]:
        self.open += 1
        try:
            for number in range(count):
                self.yielded = number + 1
                self.bell.ring()
                yield number
        finally:
            self.open -= 1
            self.bell.ring()

    @slot
    async def hold(self) -> int:
        """Answer when the test says so."""
        await self.bell.until(lambda: self.released)
        return 1

    @slot
    async def readings(self, sensors: list[str]) -> AsyncIterator[Reading]:
        for sensor in sensors:
            yield Reading(20.0, sensor)

    @slot
    async def failing(self, after: int) -> AsyncIterator[int]:
        for number in range(after):
            yield number
        raise Fault(Code.DATA_LOSS, "the sensor fell off")

    @slot
    async def exploding(self) -> AsyncIterator[int]:
        yield 1
        raise ValueError("the password is swordfish")

    @slot
    async def waiting(self) -> AsyncIterator[int]:
        """Give one item and then nothing more."""
        self.open += 1
        try:
            yield 0
            await asyncio.Event().wait()
        finally:
            self.open -= 1
            self.bell.ring()


class Feeder(Object):
    """Talks a lot: for peers that do not listen."""

    block: Property[bytes] = prop(b"")
    serial: Property[int] = prop(0)

    @signal
    def crumbled(self, number: int, crumbs: bytes) -> None: ...

    @slot
    async def settle(self) -> int:
        return self.serial

    @slot(timeout=None)
    async def hang(self) -> None:
        await asyncio.Event().wait()


# ----------------------------------------------------------------------------------------------------------- watchers
class Heard:
    """Takes down what it is called with; a test waits until enough has arrived."""

    def __init__(self) -> None:
        self.items: list[Any] = []
        self._bell = Bell()

    def __call__(self, *arguments: Any) -> None:
        self.items.append(arguments[0] if len(arguments) == 1 else arguments)
        self._bell.ring()

    async def until(self, condition: Callable[[list[Any]], object]) -> list[Any]:
        """Wait until *condition* is true of all items; return them."""
        await self._bell.until(lambda: condition(self.items))
        return self.items

    async def count(self, number: int) -> list[Any]:
        """Wait for *number* items; return them all."""
        return await self.until(lambda items: len(items) >= number)


class States(Heard):
    """Takes down the states of one replica from now on."""

    def __init__(self, replica: Object) -> None:
        super().__init__()
        self._link = link_of(replica)
        self._link.state_changed.connect(self)

    async def reached(self, state: ReplicaState) -> None:
        """Wait until the replica is, or is again, in *state*."""
        await self.until(lambda _: self._link.state is state)
