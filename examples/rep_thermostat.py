"""Serves the class of rep_thermostat.rep to programs of Qt 6 and Qt 5; `everywire gen python` wrote the class."""

import asyncio
from enum import Enum

from everywire import Node, Object, Property, connect, i32, prop, slot
from everywire.remoteobjects import cpp_enum


@cpp_enum(scope="Thermostat")
class Mode(Enum):
    Off = 0
    Heating = 1


class Thermostat(Object):
    target: Property[float] = prop(21.0, writable=True)
    mode: Property[Mode] = prop(Mode.Off)

    @slot
    async def boost(self, minutes: i32) -> i32:
        raise NotImplementedError


class MyThermostat(Thermostat):
    async def boost(self, minutes: i32) -> i32:
        self.mode = Mode.Heating
        return minutes * 60


async def main() -> None:
    async with Node() as node:
        node.publish(MyThermostat(), "hall")
        for url in await node.serve("tcp://127.0.0.1:0", "tcp://127.0.0.1:0?protocol=1.3"):
            async with connect(url, "hall", Thermostat) as hall:  # as acquire<ThermostatReplica>("hall") in C++ does
                print(await hall.boost(5), "s,", hall.mode.name)


if __name__ == "__main__":
    asyncio.run(main())
