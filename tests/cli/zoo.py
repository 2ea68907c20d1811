"""A host of what is hard to show: every kind of type, long and hostile texts, names that need quotes, 200 members.

As a program, `zoo.py URL…` prints its addresses and serves until stdin ends.
"""

from __future__ import annotations

import asyncio
import enum
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any

from everywire import Node, Object, Property, Range, Unit, f32, prop, signal, slot, u8

HOSTILE = "Says [bold]boo[/bold] \x1b]0;owned\x07 and \x1b[2J\u202eevil, `touch /tmp/x`."
LONG = """Moves.

It moves in a way that takes many words to tell, more than any terminal has columns, and this sentence goes on for that
reason alone.

    And it has a second paragraph.
"""


class Mood(enum.Enum):
    CALM = "calm"
    WILD = "wild"


class Level(enum.Enum):
    LOW = 1
    HIGH = 10


class Access(enum.Flag):
    READ = 1
    WRITE = 2


@dataclass(frozen=True)
class Point:
    x: float
    y: float = 0.0


@dataclass(frozen=True)
class Path:
    points: tuple[Point, ...]
    name: str | None = None


class Beast(Object):
    __doc__ = HOSTILE

    mood: Property[Mood] = prop(Mood.CALM, writable=True, doc=LONG)
    tame: Property[bool] = prop(False, writable=True, doc=HOSTILE)
    level: Property[Level] = prop(Level.LOW)
    access: Property[Access] = prop(Access.READ, writable=True)
    cry: Property[str] = prop("[red]\x1b[2Jroar[/red]", writable=True)
    weight: Property[f32] = prop(4.5, unit="kg", minimum=0)
    speed: Property[int] = prop(3, unit="m/s", minimum=0, maximum=20, writable=True)
    born: Property[datetime | None] = prop(None)
    way: Property[Path] = prop(Path((Point(1.0, 2.0),)))
    table: Property[dict[str, list[Point]]] = prop(factory=dict)
    pair: Property[tuple[int, str]] = prop((1, "a"))
    anything: Property[Any] = prop(None)

    @signal
    def roared(self, loud: Annotated[float, Range(0, 130), Unit("dB")], mood: Mood) -> None:
        """On request."""

    @slot
    async def feed(self, what: str, mood: Mood = Mood.WILD, fast: bool = False, count: u8 = 1) -> str:
        """Give it something."""
        self.mood = mood
        return what * count

    @slot(timeout=2.5)
    async def run(self, along: Path, within: timedelta = timedelta(seconds=90)) -> Path | None:
        return along

    @slot(timeout=None)
    async def steps(self, until: int = 3) -> AsyncIterator[Point]:
        """Give each step."""
        for number in range(until):
            yield Point(float(number))


def crowd() -> type[Object]:
    """A class with 200 properties."""
    space: dict[str, Any] = {f"channel_{n}": prop(0.0, doc=f"Channel {n}.") for n in range(200)}
    annotations = dict.fromkeys(space, Property[float])
    return type("Crowd", (Object,), {**space, "__annotations__": annotations, "__module__": __name__})


async def main(urls: list[str]) -> None:
    async with Node() as node:
        node.publish(Beast(), "beast")
        node.publish(Beast(), "big $(beast)")
        node.publish(crowd()(), "crowd")
        print(*await node.serve(*urls), flush=True)  # noqa: T201  the test reads it
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
