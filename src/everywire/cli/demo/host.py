"""The process that holds the plant: serves it on every wire, and knows the truth.

Run as `python -m everywire.cli.demo.host DIRECTORY REGISTRY [ADDRESS]`, with the URL of a registry and the address of a
message bus, which is taken for that of the session; see `orders`. A guest in the same process uses memory:.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from everywire import Node, connect
from everywire.cli.demo.buses import SERVICE
from everywire.cli.demo.guest import Guest, state_of
from everywire.cli.demo.orders import Order, obey
from everywire.cli.looping import run
from everywire.cli.plant import Mode, Pump, Thermostat
from everywire.errors import MissingExtra

SECOND: Final = 1.0
OUTSIDE: Final = 18.0
"""Where the room cools down to without hot water, in degrees Celsius."""


class Plant:
    """The sources, and what the demo can ask of their host."""

    def __init__(self, addresses: Mapping[str, str], room: Thermostat, pump: Pump) -> None:
        self._addresses, self._room, self._pump = addresses, room, pump
        self._ticking: asyncio.TimerHandle | None = None

    @property
    def orders(self) -> dict[str, Order]:
        """What its host can be told to do."""
        return {"addresses": self.addresses, "truth": self.truth, "overheat": self.overheat, "live": self.live}

    async def addresses(self) -> dict[str, Any]:
        """Return where it is served."""
        return dict(self._addresses)

    async def truth(self) -> dict[str, Any]:
        """Return what the sources hold."""
        return state_of(self._room, self._pump)

    async def overheat(self, celsius: float, sensor: str) -> dict[str, Any]:
        """Take a hot reading; return the truth once the alarm has stopped the pump, from another process."""
        self._room.measure(celsius, sensor)
        await Pump.mode.wait_for(self._pump, lambda mode: mode is Mode.STOPPED)
        return await self.truth()

    async def live(self) -> dict[str, Any]:
        """Begin anew, and let the room warm up and cool down by itself, once a second."""
        self._room.measure(self._room.target - 1)
        self._pump.mode = Mode.RUNNING
        self._tick()
        return {}

    def end(self) -> None:
        """Stand still."""
        if self._ticking is not None:
            self._ticking.cancel()

    def _tick(self) -> None:
        goal = self._room.target if self._pump.mode is Mode.RUNNING else OUTSIDE
        self._room.measure(self._room.current + (goal - self._room.current) / 10)
        self._ticking = asyncio.get_running_loop().call_later(SECOND, self._tick)


async def serve_everywhere(node: Node, directory: Path, registry: str, bus: str) -> dict[str, str]:
    """Serve on every wire that is installed, and on the bus *bus* if there is one; return addresses by their names."""
    if bus:
        os.environ["DBUS_SESSION_BUS_ADDRESS"] = bus
    wires = {
        "local": f"local:{directory / 'plant'}",
        "qt5": f"local:{directory / 'qt5'}?protocol=1.3",
        "tcp": f"tcp://127.0.0.1:0?registry={registry.removeprefix('registry+')}",
        "websocket": "qtro+ws://127.0.0.1:0",
        "http": "http://127.0.0.1:0",
        "http+local": f"http+local:{directory / 'http'}",
        "dbus": f"dbus:session?service={SERVICE}" if bus else "",
        "dbus+local": f"dbus+local:{directory / 'peer'}",
        "memory": "memory:plant",
    }
    addresses: dict[str, str] = {}
    for name, wire in wires.items():
        if not wire:
            continue
        with suppress(MissingExtra):
            (addresses[name],) = await node.serve(wire)
    return addresses | {"registry": registry}


async def main(directory: Path, registry: str, bus: str) -> None:
    """Serve the plant, then obey."""
    room, pump = Thermostat(), Pump()
    async with Node() as node:
        node.publish(room, "thermostat")
        node.publish(pump, "pump")
        plant = Plant(await serve_everywhere(node, directory, registry, bus), room, pump)
        async with (
            connect("memory:plant", "thermostat", Thermostat) as near_room,
            connect("memory:plant", "pump", Pump) as near_pump,
        ):
            await obey(plant.orders | Guest(near_room, near_pump).orders)
        plant.end()


if __name__ == "__main__":
    run(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else ""), fast=True)
