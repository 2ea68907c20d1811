"""jeepney in the second part of the suite `dbus`: a blocking connection sends, asyncio connections receive."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from jeepney import DBusAddress, HeaderFields, MatchRule, new_signal
from jeepney.bus_messages import message_bus
from jeepney.io import asyncio as awaiting
from jeepney.io import blocking as waiting

from benchmarks.actor import Order, Stage
from benchmarks.actors.hearing import Audience
from benchmarks.actors.telling import publish
from benchmarks.buses import METER, METER_INTERFACE, PROPERTIES, SERVICE, bus_address, start_bus


async def _publish(stage: Stage) -> None:
    daemon = start_bus(stage.directory)
    connection = waiting.open_dbus_connection(bus_address(stage.directory))
    waiting.Proxy(message_bus, connection).RequestName(SERVICE)
    meter, properties = DBusAddress(METER, interface=METER_INTERFACE), DBusAddress(METER, interface=PROPERTIES)

    def change(number: float) -> None:
        body = (METER_INTERFACE, {"Value": ("d", number)}, [])
        connection.send(new_signal(properties, "PropertiesChanged", "sa{sv}as", body))

    stage.ready(daemon)
    signal = {"signal": lambda number: connection.send(new_signal(meter, "Ticked", "d", (number,)))}
    await publish(stage, {"property": change, **signal})


async def _subscribe(stage: Stage) -> None:
    audience = Audience(stage.options["replicas"], stage.done)
    kept: list[asyncio.Task[None]] = []
    for replica in audience.replicas:
        connection = await awaiting.open_dbus_connection(bus_address(stage.directory))
        async with awaiting.DBusRouter(connection) as router:
            bus = awaiting.Proxy(message_bus, router)
            for interface, member in ((METER_INTERFACE, "Ticked"), (PROPERTIES, "PropertiesChanged")):
                rule = MatchRule(type="signal", sender=SERVICE, path=METER, interface=interface, member=member)
                await bus.AddMatch(rule)
        kept.append(asyncio.create_task(_receive(connection, replica.hear)))

    def obey(order: Order) -> None:
        audience.expect(order["first"], order["count"], stamped=order["stamped"])
        stage.done()

    stage.obey_in_loop(obey)
    stage.ready()
    await asyncio.Event().wait()


async def _receive(connection: awaiting.DBusConnection, hear: Callable[[float], None]) -> None:
    while True:
        message = await connection.receive()
        if message.header.fields.get(HeaderFields.path) == METER:
            hear(message.body[0] if len(message.body) == 1 else message.body[1]["Value"][1])


ROLES = {
    "publisher": lambda stage: asyncio.run(_publish(stage)),
    "subscriber": lambda stage: asyncio.run(_subscribe(stage)),
}
