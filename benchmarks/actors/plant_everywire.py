"""everywire in the suites `restart`, `memory` and `stalled`: a host, and a process with replicas of its object."""

from __future__ import annotations

import asyncio
import gc
from contextlib import AsyncExitStack
from time import perf_counter_ns, process_time
from typing import Any

from benchmarks import machine
from benchmarks.actor import Order, Stage
from benchmarks.actors.loops import run_on
from benchmarks.actors.plants import Restart, Watch
from everywire import Limits, Node, Object, Property, ReplicaState, connect, link_of, prop, signal


class Plant(Object):
    """What is published."""

    level: Property[int] = prop(0)
    name: Property[str] = prop("mill")
    block: Property[bytes] = prop(b"")

    @signal
    def told(self, data: bytes) -> None:
        """A block of data."""


async def _host(stage: Stage) -> None:
    plant, orders = Plant(), asyncio.Queue[Order]()
    plant.level = stage.options.get("level", 0)
    room = 20_000  # all replicas are of one user
    async with Node(limits=Limits(connections=room, connections_per_user=room)) as node:
        node.publish(plant, "plant")
        await node.serve(stage.options["url"])
        stage.obey_in_loop(orders.put_nowait)
        stage.ready(up=perf_counter_ns())
        while True:
            match await orders.get():
                case {"order": "memory"}:
                    stage.done(_memory())
                case {"order": "publish", **how}:
                    stage.done(await _publish(plant, **how))


def _memory() -> dict[str, float]:
    gc.collect()
    return {"resident": machine.resident_bytes(), "cpu": process_time()}


async def _publish(plant: Plant, kind: str, size: int, rate: float, seconds: float) -> dict[str, float]:
    watch = Watch(rate, seconds)
    while watch.goes_on():
        for number in watch.due():
            data = number.to_bytes(8, "big") + bytes(size - 8)
            if kind == "property":
                plant.block = data
            else:
                plant.told.emit(data)
            watch.published()
        await asyncio.sleep(0.001)
    return watch.result()


async def _replicas(stage: Stage) -> None:
    before = machine.resident_bytes()
    async with AsyncExitStack() as connections:

        async def one() -> Any:
            opening = connect(stage.options["url"], "plant", Plant, timeout=60.0)
            return await connections.enter_async_context(opening)

        gate = asyncio.Semaphore(50)

        async def in_turn() -> Any:
            async with gate:
                return await one()

        replicas = await asyncio.gather(*(in_turn() for _ in range(stage.options.get("replicas", 1))))
        restart = Restart(stage.done)
        states = {ReplicaState.SUSPECT: restart.suspect, ReplicaState.VALID: restart.valid}
        link_of(replicas[0]).state_changed.connect(lambda state: states.get(state, restart.other)())
        Plant.level.on_change(replicas[0], restart.changed)
        Plant.name.on_change(replicas[0], restart.changed)

        def obey(order: Order) -> None:
            if order["order"] == "memory":
                stage.done(_memory() | {"before": before})
            else:
                restart.obey(order["order"])

        stage.obey_in_loop(obey)
        stage.ready()
        await asyncio.Event().wait()


ROLES = {
    "host": lambda stage: run_on(stage.options["loop"], _host(stage)),
    "replicas": lambda stage: run_on(stage.options["loop"], _replicas(stage)),
}
