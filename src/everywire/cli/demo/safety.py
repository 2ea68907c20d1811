"""A process whose work is one line: a signal of one object drives a slot of another, elsewhere, by another wire.

Run as `python -m everywire.cli.demo.safety URL URL`; see `orders`.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from everywire import connect
from everywire.cli.demo.orders import obey
from everywire.cli.looping import run
from everywire.cli.plant import Pump, Thermostat


async def main(room_url: str, pump_url: str) -> None:
    """Connect the alarm to the pump, then obey."""
    alarm: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
    async with connect(room_url, "thermostat", Thermostat) as room, connect(pump_url, "pump", Pump) as pump:
        room.overheated.connect(pump.stop)
        room.overheated.connect(lambda celsius, sensor: alarm.set_result([celsius, sensor]), once=True)

        async def ready() -> dict[str, Any]:
            return {}

        async def hear() -> dict[str, Any]:
            """Report the alarm, and what the pump does then."""
            await Pump.flow.wait_for(pump, lambda flow: flow == 0)
            return {"signal": await alarm, "mode": pump.mode}

        await obey({"ready": ready, "hear": hear})


if __name__ == "__main__":
    run(main(*sys.argv[1:]), fast=True)
