"""`everywire.dbus.session` in the second part of the suite `dbus`: signals emitted and matched, without objects."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from benchmarks.actor import Order, Stage
from benchmarks.actors.hearing import Audience
from benchmarks.actors.loops import run_on
from benchmarks.actors.telling import Tell, publish
from benchmarks.buses import METER, METER_INTERFACE, PROPERTIES, SERVICE, bus_address, peer_address, start_bus
from everywire import Limits
from everywire.dbus.session import Connection, Match, Message, Variant, serve_peers

_LIMITS = Limits(unsent_soft=1 << 30, unsent_hard=1 << 30, connections=1000, connections_per_user=1000)


async def _publish(stage: Stage) -> None:
    if stage.options["bus"]:
        daemon = start_bus(stage.directory)
        async with await Connection.open(bus_address(stage.directory), limits=_LIMITS) as connection:
            await connection.request_name(SERVICE)
            stage.ready(daemon)
            await publish(stage, _tell([connection]))
    else:
        peers: list[Connection] = []
        await serve_peers(peer_address(stage.directory), peers.append, limits=_LIMITS)
        stage.ready()
        await publish(stage, _tell(peers))


def _tell(connections: list[Connection]) -> dict[str, Tell]:
    def change(number: float) -> None:
        changed = {"Value": Variant("d", number)}
        for connection in connections:
            connection.emit(METER, PROPERTIES, "PropertiesChanged", "sa{sv}as", METER_INTERFACE, changed, [])

    def signal(number: float) -> None:
        for connection in connections:
            connection.emit(METER, METER_INTERFACE, "Ticked", "d", number)

    return {"property": change, "signal": signal}


def _changed(hear: Callable[[float], None]) -> Callable[[Message], None]:
    return lambda message: hear(message.body[1]["Value"].value)


def _ticked(hear: Callable[[float], None]) -> Callable[[Message], None]:
    return lambda message: hear(message.body[0])


async def _subscribe(stage: Stage) -> None:
    audience = Audience(stage.options["replicas"], stage.done)
    bus: bool = stage.options["bus"]
    address = bus_address(stage.directory) if bus else peer_address(stage.directory)
    kept: list[Connection] = []
    for replica in audience.replicas:
        connection = await Connection.open(address, bus=bus)
        kept.append(connection)
        for interface, member, take in (
            (PROPERTIES, "PropertiesChanged", _changed(replica.hear)),
            (METER_INTERFACE, "Ticked", _ticked(replica.hear)),
        ):
            rule = Match(sender=SERVICE if bus else "", path=METER, interface=interface, member=member)
            await connection.match(rule, take)

    def obey(order: Order) -> None:
        audience.expect(order["first"], order["count"], stamped=order["stamped"])
        stage.done()

    stage.obey_in_loop(obey)
    stage.ready()
    await asyncio.Event().wait()


ROLES = {
    "publisher": lambda stage: run_on(stage.options["loop"], _publish(stage)),
    "subscriber": lambda stage: run_on(stage.options["loop"], _subscribe(stage)),
}
