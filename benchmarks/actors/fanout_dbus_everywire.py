"""everywire in the second part of the suite `dbus`: one published meter, and its replicas.

Replicas of one thread share their connection to a bus. Where each is to have one of its own, as listeners of the other
peers have, they are given addresses that differ: behind the bus each names a second place, which nobody ever asks.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Final

from benchmarks.actor import Order, Stage
from benchmarks.actors.fanout_everywire import Meter
from benchmarks.actors.hearing import Audience
from benchmarks.actors.loops import run_on
from benchmarks.actors.telling import publish
from benchmarks.buses import bus_address, start_bus
from benchmarks.peers.dbus_everywire import at_peer, on_bus
from everywire import Limits, Node, connect

_UNBOUNDED: Final = 1 << 30


def _url(stage: Stage, number: int = 0) -> str:
    if not stage.options["bus"]:
        return at_peer(stage.directory)
    url = on_bus(stage.directory)
    if stage.options["shared"] or not number:
        return url
    return url.replace("session", f"{bus_address(stage.directory)};unix:path=/nowhere/{number}")


async def _publish(stage: Stage) -> None:
    # Above the soft limit a property's newer value replaces the waiting one; see fanout_everywire.py.
    limits = Limits(unsent_soft=_UNBOUNDED, unsent_hard=_UNBOUNDED, connections=1000, connections_per_user=1000)
    daemons = [start_bus(stage.directory)] if stage.options["bus"] else []
    meter = Meter()

    def change(number: float) -> None:
        meter.value = number

    async with Node(limits=limits) as node:
        node.publish(meter, "meter")
        await node.serve(_url(stage))
        stage.ready(*daemons)
        await publish(stage, {"property": change, "signal": meter.ticked.emit})


async def _subscribe(stage: Stage) -> None:
    audience = Audience(stage.options["replicas"], stage.done)

    def obey(order: Order) -> None:
        audience.expect(order["first"], order["count"], stamped=order["stamped"])
        stage.done()

    async with AsyncExitStack() as connections:
        for number, replica in enumerate(audience.replicas, 1):
            meter = await connections.enter_async_context(connect(_url(stage, number), "meter", Meter))
            Meter.value.on_change(meter, replica.hear)
            meter.ticked.connect(replica.hear)
        stage.obey_in_loop(obey)
        stage.ready()
        await asyncio.Event().wait()


ROLES = {
    "publisher": lambda stage: run_on(stage.options["loop"], _publish(stage)),
    "subscriber": lambda stage: run_on(stage.options["loop"], _subscribe(stage)),
}
