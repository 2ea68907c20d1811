"""Tables, and trees of rows: what Qt calls item models, on every wire.

Publish a `TableSource` of structs, dicts, tuples or a data frame, a `TreeSource`, or an `AsyncTableSource` whose rows
one has to wait for; connect with `Table`, or ``Table[Reading]``. On Qt Remote Objects they are models of Qt; on other
wires objects with a small contract, which `Table` is.
"""

from __future__ import annotations

from everywire.tables.provided import AsyncTableSource, Provider
from everywire.tables.rows import TableSource, TreeSource
from everywire.tables.source import Source
from everywire.tables.table import Table
from everywire.tables.words import (
    ItemFlag,
    ItemRole,
    LayoutHint,
    Orientation,
    TableIndex,
    TableRow,
    TableSize,
)

__all__ = (
    "AsyncTableSource",
    "ItemFlag",
    "ItemRole",
    "LayoutHint",
    "Orientation",
    "Provider",
    "Source",
    "Table",
    "TableIndex",
    "TableRow",
    "TableSize",
    "TableSource",
    "TreeSource",
)
