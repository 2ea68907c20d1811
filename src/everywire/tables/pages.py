"""Rows of a source as they travel, by a plan made once for each choice of roles: a page is hundreds of cells."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from operator import attrgetter, itemgetter
from typing import Any, Final

from everywire.model.types import DURATION, AnyType, EnumType, OptionalOf, Type
from everywire.tables.columns import Column, RowKind, StructRows
from everywire.tables.words import ItemRole

Values = tuple[tuple[Any, ...], ...]
"""For each column the values of the roles."""

MOST_PLANS: Final = 64


class Pages:
    """Makes what travels of rows: for each column the values of some roles."""

    def __init__(self, columns: Sequence[Column], kind: RowKind, fields: Mapping[int, int]) -> None:
        self._columns, self._fields = columns, fields
        self._values = _getter(columns, kind)
        self._shown = [n for n, column in enumerate(columns) if _is_shown_otherwise(column.type)]
        self._plans: dict[tuple[int, ...], tuple[Callable[[Any], tuple[Any, ...]], ...]] = {}

    def values(self, rows: Sequence[Any], roles: Sequence[int]) -> Iterator[Values]:
        """Yield what travels of each row."""
        plan, get, shown = self._plan(tuple(roles)), self._values, self._shown
        for row in rows:
            values = get(row)
            if shown:
                texts = [*values]
                for column in shown:
                    texts[column] = displayed(values[column])
                found = (*values, *texts, None)
            else:
                found = (*values, None)
            yield tuple([pick(found) for pick in plan])

    def _plan(self, roles: tuple[int, ...]) -> tuple[Callable[[Any], tuple[Any, ...]], ...]:
        plan = self._plans.get(roles)
        if plan is None:
            if len(self._plans) >= MOST_PLANS:  # of as many choices as strangers like
                self._plans.clear()
            plan = self._plans[roles] = tuple(_picker(self._places(n, roles)) for n in range(len(self._columns)))
        return plan

    def _places(self, column: int, roles: Sequence[int]) -> list[int]:
        """Return where the values of a cell are among those of its row."""
        count = len(self._columns)
        shown, nothing = (count, 2 * count) if self._shown else (0, count)
        found: list[int] = []
        for role in roles:
            if role == ItemRole.EDIT:
                found.append(column)
            elif role == ItemRole.DISPLAY:
                found.append(shown + column)
            else:
                found.append(self._fields.get(role, nothing) if column == 0 else nothing)
        return found


def displayed(value: Any) -> Any:
    """Return what people read for a value."""
    if isinstance(value, enum.Enum):
        return value.name
    return str(value) if isinstance(value, timedelta) else value


def _is_shown_otherwise(node: Type) -> bool:
    inner = node.item if isinstance(node, OptionalOf) else node
    return isinstance(inner, (EnumType, AnyType)) or inner == DURATION


def _picker(places: Sequence[int]) -> Callable[[Any], tuple[Any, ...]]:
    if len(places) > 1:
        return itemgetter(*places)
    return lambda values: tuple([values[place] for place in places])


def _getter(columns: Sequence[Column], kind: RowKind) -> Callable[[Any], tuple[Any, ...]]:
    names = [column.name for column in columns]
    if isinstance(kind, StructRows) and len(names) > 1:
        return attrgetter(*names)
    return lambda row: tuple([kind.get(row, name, place) for place, name in enumerate(names)])
