"""A host of an object with objects inside, for the tests of the command line."""

from __future__ import annotations

import asyncio
import sys

from everywire import Node, Object, Property, prop, signal, slot


class Wheel(Object):
    """Turns."""

    turns: Property[int] = prop(3, writable=True, unit="Hz", doc="How fast.")

    @signal
    def spun(self, by: int) -> None: ...

    @slot
    async def spin(self, by: int) -> int:
        """Turn it."""
        self.turns += by
        self.spun.emit(by)
        return self.turns


class Mill(Object):
    """Has a wheel."""

    label: Property[str] = prop("north")
    wheel: Property[Wheel] = prop(factory=Wheel, doc="Outside.")
    spare: Property[Wheel | None] = prop(None)


async def main(urls: list[str]) -> None:
    async with Node() as node:
        node.publish(Mill(), "mill")
        print(*await node.serve(*urls), flush=True)  # noqa: T201  the test reads it
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
