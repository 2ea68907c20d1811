"""everywire's host in the suite `scaling`."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc

from benchmarks import machine
from benchmarks.actor import Order, Stage
from benchmarks.actors.loops import run_on
from everywire import Limits, Node, Object, i32, slot


class Counter(Object):
    """The one slot that is called."""

    @slot
    async def add_one(self, number: i32) -> i32:
        """Return the number after this one."""
        return number + 1


async def _host(stage: Stage) -> None:
    def obey(order: Order) -> None:
        gc.collect()
        if order["order"] == "trace":
            tracemalloc.start()
        heap = tracemalloc.get_traced_memory()[0] if tracemalloc.is_tracing() else None
        stage.done({"resident": machine.resident_bytes(), "heap": heap})

    connections = stage.options["connections"] + 16
    async with Node(limits=Limits(connections=connections, connections_per_user=connections)) as node:
        node.publish(Counter(), "counter")
        await node.serve(f"local:{stage.directory / 'counter'}")
        stage.obey_in_loop(obey)
        stage.ready()
        await asyncio.Event().wait()


ROLES = {"host": lambda stage: run_on(stage.options["loop"], _host(stage))}
