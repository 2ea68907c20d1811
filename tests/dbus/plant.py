"""The boiler that foreign programs use and offer, as an object of ours; peers/boiler.py says the same without us."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any

from everywire import Code, Fault, Object, Property, i16, i32, prop, signal, slot, u8, u16, u32, u64
from everywire.dbus import UnixFd, interface
from tests.dbus.pipes import pipe_with, read


class Gear(enum.Enum):
    IDLE = 0
    FIRST = 1
    REVERSE = 7


@dataclass(frozen=True)
class Spot:
    x: float
    y: float


class Simple(Object):
    """What QtDBus can do from Python too: no structures, and integers of one size."""

    level: Property[float] = prop(1.5, writable=True)
    label: Property[str] = prop("plain", writable=True)
    table: Property[dict[str, Any]] = prop(factory=lambda: {"rate": 0.5, "name": "hall"})

    @signal
    def fired(self, count: i32, why: str) -> None: ...

    @slot
    async def add_one(self, number: i32) -> i32:
        return number + 1

    @slot
    async def shift(self, gear: Gear) -> Gear:
        gears = list(Gear)
        return gears[(gears.index(gear) + 1) % len(gears)]

    @slot
    async def data(self, data: bytes) -> bytes:
        return data

    @slot
    async def wrap(self, value: Any) -> Any:
        return value

    @slot
    async def read_all(self, source: UnixFd) -> str:
        return read(source)

    @slot
    async def refuse(self, why: str) -> None:
        raise Fault(Code.FAILED_PRECONDITION, why)

    @slot
    async def fire(self, count: i32) -> None:
        for number in range(count):
            self.fired.emit(number, "asked")


@interface("org.acme.Plant.Boiler1")
class Boiler(Simple):
    """Heats the hall."""

    spot: Property[Spot] = prop(Spot(1.0, 2.0))

    @signal
    def moved(self, spot: Spot) -> None: ...

    @slot
    async def split(self, text: str) -> tuple[str, i32]:
        return text.upper(), len(text)

    @slot
    async def move(self, spot: Spot) -> Spot:
        self.spot = spot
        self.moved.emit(spot)
        return spot

    @slot
    async def tally(self, words: list[str]) -> dict[str, i32]:
        return {word: words.count(word) for word in words}

    @slot
    async def rows(self, rows: list[tuple[i32, str]]) -> list[tuple[i32, str]]:
        return rows

    @slot
    async def basics(
        self, a: u8, b: i16, c: u16, d: i32, e: u32, f: int, g: u64, h: float, i: bool, j: str
    ) -> tuple[u8, i16, u16, i32, u32, int, u64, float, bool, str]:
        return a, b, c, d, e, f, g, h, i, j

    @slot
    async def open_text(self, text: str) -> UnixFd:
        return pipe_with(text)
