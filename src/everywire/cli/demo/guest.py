"""A program that uses the plant through replicas, typed or without a class, and reports what it saw.

Run as `python -m everywire.cli.demo.guest URL [--typed]`; see `orders`.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from typing import Any

from everywire import connect
from everywire.cli.demo.orders import Order, obey
from everywire.cli.looping import run
from everywire.cli.plant import Pump, Thermostat


class Guest:
    """Two replicas, and what was heard of them."""

    def __init__(self, room: Any, pump: Any) -> None:
        self._room, self._pump = room, pump
        # On replicas without a class, too, the class has the handles that push, watch and wait.
        self._room_class: Any = type(room)
        self._pump_class: Any = type(pump)
        self._current = room.current
        self._alarm: asyncio.Future[tuple[float, str]] = asyncio.get_running_loop().create_future()
        self._room_class.current.on_change(room, self._hear_current)
        room.overheated.connect(self._hear_alarm, once=True)

    @property
    def orders(self) -> dict[str, Order]:
        """What a guest can be told to do."""
        return {"read": self.read, "act": self.act, "hear": self.hear}

    async def read(self) -> dict[str, Any]:
        """Report the values it sees."""
        return state_of(self._room, self._pump)

    async def act(self, target: float, minutes: int) -> dict[str, Any]:
        """Push a target and call a slot; report what came back."""
        pushed: float = await self._room_class.target.push(self._room, target)
        return {"pushed": pushed, "result": await self._room.boost(minutes)}

    async def hear(self) -> dict[str, Any]:
        """Wait for the alarm, and for the pump to be stopped by it; report what was heard."""
        celsius, sensor = await self._alarm
        await self._pump_class.flow.wait_for(self._pump, _is_zero)
        return {"signal": [celsius, sensor], "change": self._current}

    def _hear_current(self, celsius: float) -> None:
        self._current = celsius

    def _hear_alarm(self, celsius: float, sensor: str) -> None:
        self._alarm.set_result((celsius, sensor))


def state_of(room: Any, pump: Any) -> dict[str, Any]:
    """Return everything that can be read of the plant, from sources or replicas."""
    thermostat = {name: getattr(room, name) for name in ("target", "current", "last", "remaining", "error")}
    return thermostat | {"mode": pump.mode, "flow": pump.flow}


async def main(url: str, *, typed: bool) -> None:
    """Connect, then obey."""
    classes: Mapping[str, Any] = {"thermostat": Thermostat, "pump": Pump} if typed else {}
    async with (
        connect(url, "thermostat", classes.get("thermostat")) as room,
        connect(url, "pump", classes.get("pump")) as pump,
    ):
        await obey(Guest(room, pump).orders)


def _is_zero(flow: float) -> bool:
    return flow == 0


if __name__ == "__main__":
    run(main(sys.argv[1], typed="--typed" in sys.argv), fast=True)
