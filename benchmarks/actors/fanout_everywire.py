"""everywire in the suite `fanout`: one published meter, and as many replicas of it as connections."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from time import perf_counter_ns
from typing import Final

from benchmarks.actor import Order, Stage
from benchmarks.actors.hearing import Audience
from benchmarks.actors.loops import run_on
from everywire import Limits, Node, Object, Property, connect, prop, signal

_UNBOUNDED: Final = 1 << 30


class Meter(Object):
    """What is published."""

    value: Property[float] = prop(0.0)

    @signal
    def ticked(self, number: float) -> None:
        """Something was counted."""


async def _publish(stage: Stage) -> None:
    # Above the soft limit a property's newer value replaces the waiting one, and a burst of which every value is to be
    # heard must stay below. PySide6 has no limit.
    limits = Limits(unsent_soft=_UNBOUNDED, unsent_hard=_UNBOUNDED, connections=1000, connections_per_user=1000)
    meter = Meter()
    orders: asyncio.Queue[Order] = asyncio.Queue()
    async with Node(limits=limits) as node:
        node.publish(meter, "meter")
        await node.serve(f"local:{stage.directory / 'meter'}")
        stage.obey_in_loop(orders.put_nowait)
        stage.ready()
        while True:
            order = await orders.get()
            match order.pop("order"):
                case "burst":
                    stage.done(await _burst(meter, **order))
                case "paced":
                    stage.done(await _paced(meter, **order))
                case _:
                    stage.done()  # a replica that is valid has been attached


async def _burst(meter: Meter, kind: str, first: int, count: int, per_turn: int) -> int:
    begun = perf_counter_ns()
    emit = meter.ticked.emit
    for start in range(first, first + count, per_turn):
        numbers = range(start, min(start + per_turn, first + count))
        if kind == "property":
            for number in numbers:
                meter.value = float(number)
        else:
            for number in numbers:
                emit(float(number))
        await asyncio.sleep(0)
    return begun


async def _paced(meter: Meter, kind: str, count: int, interval: float) -> None:
    for _ in range(count):
        await asyncio.sleep(interval)
        if kind == "property":
            meter.value = float(perf_counter_ns())
        else:
            meter.ticked.emit(float(perf_counter_ns()))


async def _subscribe(stage: Stage) -> None:
    audience = Audience(stage.options["replicas"], stage.done)

    def obey(order: Order) -> None:
        audience.expect(order["first"], order["count"], stamped=order["stamped"])
        stage.done()

    async with AsyncExitStack() as connections:
        for replica in audience.replicas:
            meter = await connections.enter_async_context(connect(f"local:{stage.directory / 'meter'}", "meter", Meter))
            Meter.value.on_change(meter, replica.hear)
            meter.ticked.connect(replica.hear)
        stage.obey_in_loop(obey)
        stage.ready()
        await asyncio.Event().wait()


ROLES = {
    "publisher": lambda stage: run_on(stage.options["loop"], _publish(stage)),
    "subscriber": lambda stage: run_on(stage.options["loop"], _subscribe(stage)),
}
