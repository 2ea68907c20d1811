"""A host of tables, for the tests of the command line."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass, field

from everywire import Node, Object, Property, Table, TableSource, TreeSource, prop


@dataclass
class Reading:
    """A row."""

    sensor: str
    value: float
    note: str | None = None


@dataclass
class Part:
    """A row of a tree."""

    name: str
    parts: list[Part] = field(default_factory=list)


class Store(Object):
    """Has a table inside."""

    label: Property[str] = prop("north")
    readings: Property[Table[Reading]] = prop(factory=TableSource[Reading])


async def main(urls: list[str]) -> None:
    store = Store()
    store.readings = TableSource([Reading("inner", 1.5)])
    readings = [Reading(f"s{n}", n / 2) for n in range(50)]
    rows = TableSource(readings, headers={"value": "Value [Cel]"}, writable=["value"])
    async with Node() as node:
        node.publish(rows, "rows")
        node.publish(TreeSource([Part("pump", [Part("seal")]), Part("tank")], children="parts"), "parts")
        if urls[0].startswith("local:"):
            node.publish(store, "store")
        print(*await node.serve(*urls), flush=True)  # noqa: T201  the test reads it
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
