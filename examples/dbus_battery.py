"""A battery of UPower, as every desktop has it: its class says what is wanted of it, and changes are heard."""

import asyncio
import sys

from everywire import Object, Property, connect, i64, prop, u32
from everywire.dbus import interface


@interface("org.freedesktop.UPower.Device")
class Battery(Object):
    model: Property[str] = prop("")
    percentage: Property[float] = prop(0.0)
    state: Property[u32] = prop(0)
    time_to_full: Property[i64] = prop(0)


async def main(url: str) -> None:
    async with connect(url, ".") as power:  # without a class: what the service tells of itself
        print("on battery:", power.on_battery, "devices:", *await power.enumerate_devices())
        for path in await power.enumerate_devices():
            async with connect(url, path, Battery) as battery:
                print(battery.model, "has", battery.percentage, "%")
                full = await Battery.percentage.wait_for(battery, lambda percentage: percentage >= 80)
                print("and now", full, "%")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "dbus:system?service=org.freedesktop.UPower"))
