"""everywire in the suite `tables`: a table of rows, and a replica that goes through it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from importlib import import_module
from time import perf_counter_ns
from typing import Any

from benchmarks.actor import Order, Stage
from benchmarks.actors.loops import run_on
from benchmarks.actors.rows import checked, row
from everywire import Node, connect
from everywire.tables import Table, TableSource


@dataclass(frozen=True)
class Reading:
    """One row."""

    number: int
    name: str
    level: float
    note: str


async def _host(stage: Stage) -> None:
    async with Node() as node:
        node.publish(TableSource([Reading(*row(number)) for number in range(stage.options["rows"])]), "rows")
        await node.serve(f"local:{stage.directory / 'rows'}")
        stage.ready()
        await asyncio.Event().wait()


async def _replica(stage: Stage) -> None:
    for module in ("endpoint.replicas", "wire.tablelinks"):
        import_module(f"everywire.remoteobjects.{module}")  # Qt has loaded its libraries, too
    orders: asyncio.Queue[Order] = asyncio.Queue()
    stage.obey_in_loop(orders.put_nowait)
    stage.ready()
    await orders.get()  # "connect"
    begun = perf_counter_ns()
    async with connect(f"local:{stage.directory / 'rows'}", "rows", Table.caching(1000)) as table:
        checked(_values(await table.fetch(0, 49)), 0)
        stage.done(perf_counter_ns() - begun)
        while True:
            match await orders.get():
                case {"order": "all", "page": size, "rows": rows}:
                    stage.done(await _all(table, size, rows))
                case {"order": "jumps", "places": places, "page": size}:
                    stage.done([await _jump(table, place, size) for place in places])


async def _all(table: Any, size: int, rows: int) -> int:
    begun, count = perf_counter_ns(), 0
    async for page in table.pages(size):
        checked(_values(page), count)
        count += len(page)
    if count != rows:
        raise RuntimeError(f"{count} rows of {rows}")
    return perf_counter_ns() - begun


async def _jump(table: Any, place: int, size: int) -> int:
    begun = perf_counter_ns()
    checked(_values(await table.fetch(place, place + size - 1)), place)
    return perf_counter_ns() - begun


def _values(rows: list[Any]) -> list[tuple[Any, ...]]:
    return [tuple(each.values()) for each in rows]


ROLES = {
    "host": lambda stage: run_on(stage.options["loop"], _host(stage)),
    "replica": lambda stage: run_on(stage.options["loop"], _replica(stage)),
}
