"""What `get` prints of a table: its first rows under the names of its columns. Tables are known by what they offer."""

from __future__ import annotations

from typing import Any, Final

from everywire.cli.printing import print_json, print_table
from everywire.cli.reaching import Target
from everywire.cli.values import jsonable, to_text
from everywire.model import Contract, Object, contract_of
from everywire.runtime.replica import members

MOST_SHOWN: Final = 20
"""Rows that a person is shown."""
MOST_TOLD: Final = 1000
"""Rows that a program is told."""
_MEMBERS: Final = frozenset({"columns", "row_count", "rows", "size_of", "cells", "rows_inserted", "model_reset"})


def is_table(room: object) -> bool:
    """Return whether a replica is that of a table, whatever its class."""
    return isinstance(room, Object) and is_of_table(contract_of(room))


def is_of_table(contract: Contract) -> bool:
    """Return whether a contract is that of a table."""
    return contract.members.keys() >= _MEMBERS


async def print_rows(target: Target, table: Object) -> None:
    """Print the first rows of a table, and how many more there are."""
    found = members(table)
    size: Any = await found["size_of"](())
    rows: list[dict[str, Any]] = await found["rows"](0, MOST_TOLD if target.json else MOST_SHOWN)
    columns: tuple[str, ...] = found["columns"].value
    if target.json:
        print_json({"columns": columns, "row_count": size.rows, "rows": jsonable(rows)})
        return
    numbers = [head for n, head in enumerate(columns) if rows and _is_number([*rows[0].values()], n)]
    cells = [[_text(value) for value in row.values()] for row in rows]
    print_table(columns, [_filled(row, len(columns)) for row in cells], numbers=numbers)
    if size.rows > len(rows):
        print(f"… and {size.rows - len(rows)} more rows")


def _text(value: Any) -> str:
    return "" if value is None else to_text(value)


def _filled(row: list[str], columns: int) -> list[str]:
    return [*row[:columns], *[""] * (columns - len(row))]


def _is_number(values: list[Any], place: int) -> bool:
    return place < len(values) and isinstance(values[place], (int, float)) and not isinstance(values[place], bool)
