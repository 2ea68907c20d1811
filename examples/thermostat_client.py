"""Uses the thermostat that thermostat_host.py serves, through the same class."""

import asyncio
import sys

from thermostat_host import Thermostat

from everywire import Fault, connect


async def main(url: str) -> None:
    async with connect(url, "hall", Thermostat) as room:
        room.warmed.connect(lambda celsius: print(f"heard that it is {celsius:.1f} Cel"))
        print("target:", room.target)
        print("boosted to:", await room.boost(5))
        print("pushed:", await Thermostat.target.push(room, 22.5))
        try:
            await Thermostat.target.push(room, 99.0)
        except (Fault, ValueError) as refusal:
            print("refused:", refusal)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "local:climate"))
