"""Serves a thermostat until Ctrl-C; thermostat_client.py uses it, and so does `everywire get local:climate hall`."""

import asyncio
import contextlib
import sys

from everywire import Object, Property, prop, serve, signal, slot


class Thermostat(Object):
    """Keeps one room warm."""

    target: Property[float] = prop(21.0, writable=True, unit="Cel", minimum=5, maximum=35)
    current: Property[float] = prop(20.0, unit="Cel")

    @signal
    def warmed(self, celsius: float) -> None:
        """The room has become warmer."""

    @slot
    async def boost(self, minutes: int = 10) -> float:
        """Heat at full power; return the new temperature."""
        self.current += 0.1 * minutes
        self.warmed.emit(self.current)
        return self.current


async def main(url: str) -> None:
    async with serve(Thermostat(), "hall", on=[url]) as node:
        print("hall is served at", *node.addresses, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "local:climate"))
