"""A program without an event loop: a plain script that uses the plant, and reports what it saw.

Run as `python -m everywire.cli.demo.loopless URL`; it obeys the same orders as `guest`.
"""

from __future__ import annotations

import sys
from typing import Any

import msgspec

from everywire import sync
from everywire.cli.demo.guest import state_of
from everywire.cli.plant import Pump, Thermostat
from everywire.cli.values import to_json

PATIENCE = 30.0
"""Seconds to wait for what somebody else causes."""


def main(url: str) -> None:
    """Connect, then obey."""
    alarms: list[list[Any]] = []
    with sync.connect(url, "thermostat", Thermostat) as room, sync.connect(url, "pump", Pump) as pump:
        room.overheated.connect(lambda celsius, sensor: alarms.append([celsius, sensor]))
        for line in sys.stdin:
            print(to_json(obey(msgspec.json.decode(line), room, pump, alarms)), flush=True)


def obey(order: dict[str, Any], room: Thermostat, pump: Pump, alarms: list[list[Any]]) -> dict[str, Any]:
    """Do what is asked, and report it."""
    match order["do"]:
        case "read":
            return state_of(room, pump)
        case "act":
            pushed = sync.run(Thermostat.target.push(room, order["target"]))
            return {"pushed": pushed, "result": sync.run(room.boost(order["minutes"]))}
        case _:
            sync.until(lambda: alarms and pump.flow == 0, PATIENCE)
            return {"signal": alarms[0], "change": room.current}


if __name__ == "__main__":
    main(sys.argv[1])
