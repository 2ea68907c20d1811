"""Which cell of a table is the current one is known to those who come later, too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from everywire import Object, Property, ReplicaState, Table, TableSource, connect, link_of, prop
from everywire.tables import TableIndex
from tests.remoteobjects.peers import hosting
from tests.tables.samples import Reading, readings


class Shelf(Object):
    rows: Property[Table[Any]] = prop(factory=lambda: selected(1))


def selected(row: int) -> TableSource[Any]:
    """A table whose current cell is in *row*."""
    source = TableSource(readings(3))
    source.current = TableIndex((row,), 1)
    return source


async def test_the_current_cell_is_known_from_the_beginning(tmp_path: Path) -> None:
    shelf = Shelf()
    async with hosting(tmp_path, rows=selected(2), shelf=shelf) as (_, url):
        async with connect(url, "rows", Table[Reading]) as table:
            assert table.current == TableIndex((2,), 1)
        async with connect(url, "shelf", Shelf) as replica:
            assert replica.rows.current == TableIndex((1,), 1)
            shelf.rows = selected(0)
            await Shelf.rows.wait_for(replica, lambda rows: link_of(rows).state is ReplicaState.VALID)
            await Table.current.wait_for(replica.rows, lambda index: index == TableIndex((0,), 1))
