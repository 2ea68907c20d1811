"""The objects that the tests of the memory wire share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from everywire import Object, Property, computed, current_call, prop, signal, slot, u8


@dataclass
class Reading:
    celsius: float
    marks: list[int]


class Oven(Object):
    """Bakes."""

    target: Property[float] = prop(180.0, writable=True, minimum=0, maximum=300)
    current: Property[float] = prop(20.0)
    history: Property[list[int]] = prop(factory=list)
    last: Property[Reading] = prop(factory=lambda: Reading(20.0, []))

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.seen: list[object] = []

    @computed(target, current)
    def error(self) -> float:
        return self.target - self.current

    @signal
    def beeped(self, times: int, notes: list[int]) -> None: ...

    @slot
    async def bake(self, minutes: u8 = 10) -> int:
        self.current += minutes
        self.beeped.emit(minutes, [1, 2])
        self.seen.append(minutes)
        return minutes * 60

    @slot
    async def wait(self, answer: int) -> int:
        self.seen.append(f"began {answer}")
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.seen.append(f"cancelled {answer}")
            raise
        self.seen.append(f"ended {answer}")
        return answer

    @slot
    async def reverse(self, reading: Reading) -> Reading:
        self.last = reading
        return reading

    @slot
    async def who(self) -> str:
        return current_call().caller.identity

    @slot
    async def lie(self) -> int:
        return "much"  # type: ignore[return-value]

    @slot
    async def burn(self) -> AsyncIterator[int]:
        yield 1
        raise ValueError("the password is swordfish")

    @slot
    async def count(self, upto: u8) -> AsyncIterator[int]:
        try:
            for number in range(upto):
                yield number
            await self.go.wait()
        finally:
            self.seen.append("closed")


class SmallOven(Object):
    """What a panel needs of an oven."""

    target: Property[float] = prop(0.0, writable=True)

    @slot
    async def bake(self, minutes: int) -> int: ...

    @slot
    async def count(self, upto: int) -> AsyncIterator[int]:
        yield 0


class Fridge(Object):
    """Shares a name with an oven, and little else."""

    target: Property[str] = prop("", writable=True)
    light: Property[bool] = prop(False)
