"""A table of readings: Qt programs see a QAbstractItemModel, this one rows of a dataclass; both hear changes."""

import asyncio
from dataclasses import dataclass

from everywire import Table, TableSource, connect, serve


@dataclass
class Reading:
    sensor: str
    celsius: float


async def main(url: str) -> None:
    table = TableSource([Reading(f"sensor {n}", n / 10) for n in range(100_000)], writable=["celsius"])
    async with (
        serve(table, "readings", on=url) as node,
        connect(node.addresses[0], "readings", Table[Reading]) as rows,
    ):
        print(rows.row_count, "rows,", *rows.columns)
        print(*await rows.fetch(50_000, 50_001), sep="\n")  # one request for these alone
        inserted: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        rows.rows_inserted.connect(lambda parent, first, last: inserted.set_result(first))
        table.insert(0, Reading("roof", 31.0))
        print("inserted at", await inserted, "is", await rows.row(0))
        await rows.set_data(0, 1, 18.5)  # what Qt calls setData
        print("now", table[0].celsius)


if __name__ == "__main__":
    asyncio.run(main("tcp://127.0.0.1:0"))
