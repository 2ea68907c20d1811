"""A small plant to try things on: `everywire serve everywire.cli.plant:Thermostat --on local:climate`. No library."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Final

from everywire import Object, Property, Unit, computed, prop, signal, slot, u16

LIMIT: Final = 30.0
"""Degrees Celsius above which a thermostat says that it is too hot."""
RISE: Final = 0.1
"""Degrees Celsius that full power heats a room in one minute."""


class Mode(enum.Enum):
    """What a pump does."""

    STOPPED = "stopped"
    RUNNING = "running"


@dataclass(frozen=True)
class Reading:
    """One measurement."""

    celsius: float
    sensor: str


class Thermostat(Object):
    """Keeps one room warm."""

    target: Property[float] = prop(21.0, writable=True, unit="Cel", minimum=5, maximum=35, doc="What one wants.")
    current: Property[float] = prop(20.0, unit="Cel", doc="The temperature of the last reading.")
    last: Property[Reading] = prop(Reading(20.0, "wall"), doc="The last reading.")
    remaining: Property[int] = prop(0, unit="s", doc="Seconds that a boost needs to reach the target.")

    @computed(target, current)
    def error(self) -> Annotated[float, Unit("Cel")]:
        """How far the room is from the target."""
        return round(self.target - self.current, 3)

    @signal
    def overheated(self, celsius: float, sensor: str) -> None:
        """A sensor has come above the limit of 30 °C."""

    @slot
    async def boost(self, minutes: u16 = 10) -> int:
        """Heat at full power; return the seconds until the target is reached."""
        self.remaining = round(max(0.0, self.error) / RISE * 60)
        self.measure(self.current + RISE * minutes)
        return self.remaining

    @slot
    async def readings(self, every: float = 1.0) -> AsyncIterator[Reading]:
        """Give a reading every so many seconds."""
        while True:
            yield self.last
            await asyncio.sleep(every)

    def measure(self, celsius: float, sensor: str = "wall") -> None:
        """Take a reading."""
        was_cool = self.current <= LIMIT
        self.current = round(celsius, 3)
        self.last = Reading(self.current, sensor)
        if was_cool and self.current > LIMIT:
            self.overheated.emit(self.current, sensor)


class Pump(Object):
    """Moves the hot water."""

    mode: Property[Mode] = prop(Mode.RUNNING, writable=True)
    speed: Property[float] = prop(1.0, writable=True, minimum=0, maximum=1, doc="As a part of full speed.")

    @computed(mode, speed)
    def flow(self) -> Annotated[float, Unit("l/min")]:
        """What comes out of it."""
        return 12.0 * self.speed if self.mode is Mode.RUNNING else 0.0

    @slot
    async def start(self) -> None:
        """Run."""
        self.mode = Mode.RUNNING

    @slot
    async def stop(self) -> None:
        """Stand still."""
        self.mode = Mode.STOPPED
