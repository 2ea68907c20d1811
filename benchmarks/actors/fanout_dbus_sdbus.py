"""sdbus in the second part of the suite `dbus`: an interface, and as many proxies as connections."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Any

from sdbus import (
    DbusInterfaceCommonAsync,
    DbusPropertyEmitsChangeFlag,
    dbus_property_async,
    dbus_signal_async,
    request_default_bus_name_async,
    sd_bus_open_user,
)

from benchmarks.actor import Order, Stage
from benchmarks.actors.hearing import Audience
from benchmarks.actors.telling import publish
from benchmarks.buses import METER, METER_INTERFACE, SERVICE, bus_address, start_bus
from benchmarks.peers.dbus_sdbus import open_bus


class Meter(DbusInterfaceCommonAsync, interface_name=METER_INTERFACE):
    """The interface in both roles."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    @dbus_property_async("d", flags=DbusPropertyEmitsChangeFlag)
    def value(self) -> float:
        """The last number."""
        return self.now

    @dbus_signal_async("d", ["number"])
    def ticked(self) -> float:
        """A number."""
        raise NotImplementedError

    def change(self, number: float) -> None:
        """Have another last number."""
        self.now = number
        self.properties_changed.emit((METER_INTERFACE, {"Value": ("d", number)}, []))


async def _publish(stage: Stage) -> None:
    daemon = start_bus(stage.directory)
    open_bus(stage.directory)
    meter = Meter()
    meter.export_to_dbus(METER)
    await request_default_bus_name_async(SERVICE)
    stage.ready(daemon)
    await publish(stage, {"property": meter.change, "signal": meter.ticked.emit})


async def _subscribe(stage: Stage) -> None:
    os.environ["DBUS_SESSION_BUS_ADDRESS"] = bus_address(stage.directory)
    audience = Audience(stage.options["replicas"], stage.done)
    kept: list[Any] = []
    for replica in audience.replicas:
        meter = Meter.new_proxy(SERVICE, METER, sd_bus_open_user())
        kept += [meter, *map(asyncio.create_task, (_hear(meter, replica.hear), _watch(meter, replica.hear)))]
        await asyncio.sleep(0)  # each sends its match rule,
        await meter.dbus_ping()  # so the bus has them when this is answered

    def obey(order: Order) -> None:
        audience.expect(order["first"], order["count"], stamped=order["stamped"])
        stage.done()

    stage.obey_in_loop(obey)
    stage.ready()
    await asyncio.Event().wait()


async def _hear(meter: Meter, hear: Callable[[float], None]) -> None:
    async for number in meter.ticked:
        hear(number)


async def _watch(meter: Meter, hear: Callable[[float], None]) -> None:
    async for _, changed, _ in meter.properties_changed:
        hear(changed["Value"][1])


ROLES = {
    "publisher": lambda stage: asyncio.run(_publish(stage)),
    "subscriber": lambda stage: asyncio.run(_subscribe(stage)),
}
