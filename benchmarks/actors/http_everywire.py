"""everywire in the suite `http`: its own server, its application under uvicorn's server, and a replica over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from time import perf_counter_ns
from typing import Final

from benchmarks.actor import Order, Stage
from benchmarks.actors.http_paths import obey_bursts, run_uvicorn
from benchmarks.actors.loops import run_on
from benchmarks.figures import percentile
from benchmarks.peer import WrongAnswer
from everywire import Limits, Node, Object, Property, connect, prop, signal, slot
from everywire.http import Http, asgi

_UNBOUNDED: Final = 1 << 30


class Counter(Object):
    """What is served."""

    value: Property[float] = prop(21.5)

    @signal
    def ticked(self, number: int) -> None:
        """Something was counted."""

    @slot
    async def add_one(self, number: int) -> int:
        """Return the number after this one."""
        return number + 1


@asynccontextmanager
async def _node(stage: Stage) -> AsyncGenerator[Node]:
    counter = Counter()
    # Above the soft limit a host holds events back, and above the hard one it drops them: a burst must stay below.
    async with Node(limits=Limits(unsent_soft=_UNBOUNDED, unsent_hard=_UNBOUNDED)) as node:
        node.publish(counter, "counter")
        obey_bursts(stage, counter.ticked.emit)
        yield node


async def _serve(stage: Stage) -> None:
    async with _node(stage) as node:
        (url,) = await node.serve(Http(url="http://127.0.0.1:0"))
        stage.ready(port=int(url.rpartition(":")[2]))
        await asyncio.Event().wait()


async def _serve_mounted(stage: Stage) -> None:
    async with _node(stage) as node:
        await run_uvicorn(stage, asgi(node))


async def _replica(stage: Stage) -> None:
    orders: asyncio.Queue[Order] = asyncio.Queue()
    async with connect(f"http://127.0.0.1:{stage.options['port']}", "counter", Counter) as counter:
        stage.obey_in_loop(orders.put_nowait)
        stage.ready()
        while True:
            order = await orders.get()
            stage.done(await _windows(counter, order["seconds"], order["connections"]))


async def _windows(counter: Counter, seconds: float, depth: int) -> dict[str, float | None]:
    """Issue *depth* calls, await all, repeat."""
    latencies: list[int] = []
    number = 0
    begun = before = perf_counter_ns()
    end = begun + int(seconds * 1e9)
    while before < end:
        for answer in [counter.add_one(number + offset) for offset in range(depth)]:
            number += 1
            if await answer != number:
                raise WrongAnswer(f"add_one({number - 1}) was not answered with {number}")
        now = perf_counter_ns()
        latencies.append(now - before)
        before = now
    return {
        "rate": number / (before - begun) * 1e9,
        "p50_us": percentile(latencies, 0.50) / 1e3 if depth == 1 else None,
        "p99_us": percentile(latencies, 0.99) / 1e3 if depth == 1 else None,
    }


ROLES = {
    "server": lambda stage: run_on("uvloop", _serve(stage)),
    "mounted": lambda stage: run_on("uvloop", _serve_mounted(stage)),
    "replica": lambda stage: run_on("uvloop", _replica(stage)),
}
