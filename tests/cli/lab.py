"""A host with a member of every type; as a program, `lab.py URL…` prints its addresses and serves until stdin ends."""

from __future__ import annotations

import asyncio
import enum
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from everywire import Code, Fault, Node, Object, Policy, Property, Role, prop, signal, slot, u8


class Color(enum.Enum):
    RED = "red"
    GREEN = "green"


class Access(enum.Flag):
    READ = 1
    WRITE = 2


@dataclass(frozen=True)
class Point:
    x: float
    y: float
    color: Color = Color.RED


class Lab(Object):
    """Knows every type.

    And says so at length.
    """

    number: Property[int] = prop(5, writable=True, minimum=-10, maximum=10)
    ratio: Property[float] = prop(0.5, writable=True, unit="%")
    label: Property[str] = prop("plain", writable=True)
    color: Property[Color] = prop(Color.RED, writable=True)
    fixed: Property[bool] = prop(True)

    @signal
    def ticked(self, count: int, color: Color) -> None:
        """On request."""

    @slot
    async def tick(self, count: int) -> None:
        self.number += 1
        self.ticked.emit(count, Color.GREEN)

    @slot
    async def echo_point(self, point: Point) -> Point:
        return point

    @slot
    async def echo_list(self, values: list[float]) -> list[float]:
        return values

    @slot
    async def echo_any(self, value: Any) -> Any:
        return value

    @slot
    async def echo_text(self, text: str, suffix: str = "") -> str:
        return text + suffix

    @slot
    async def echo_byte(self, byte: u8) -> int:
        return byte

    @slot
    async def echo_access(self, access: Access) -> Access:
        return access

    @slot
    async def echo_bytes(self, data: bytes) -> bytes:
        return data

    @slot
    async def echo_times(self, at: datetime, day: date, hour: time, span: timedelta, key: UUID) -> list[str]:
        return [at.isoformat(), day.isoformat(), hour.isoformat(), str(span.total_seconds()), str(key)]

    @slot
    async def count(self, until: int) -> AsyncIterator[int]:
        for number in range(until):
            yield number

    @slot
    async def refuse(self) -> None:
        raise Fault(Code.FAILED_PRECONDITION, "not today\x1b[31m")


async def main(urls: list[str]) -> None:
    async with Node() as node:
        node.publish(Lab(), "lab")
        node.publish(Lab(), "museum", policy=Policy(role=lambda _: Role.VIEWER))
        print(*await node.serve(*urls), flush=True)  # noqa: T201  the test reads it
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
