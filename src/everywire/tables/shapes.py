"""Between the cells of a table and the rows of a program: which column or role is which field, and values as meant."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, cast

from everywire.errors import ModelError
from everywire.model.annotations import type_of
from everywire.model.names import camel, snake
from everywire.model.types import (
    DURATION,
    DictOf,
    EnumType,
    Field,
    ListOf,
    OptionalOf,
    StructOf,
    TupleOf,
    Type,
    short,
)
from everywire.tables.words import ItemRole

VALUE_ROLES: Final = (int(ItemRole.EDIT), int(ItemRole.DISPLAY))
"""Where the value of a cell is looked for: models that cannot be edited may only have what they display."""

ValuesOf = Callable[[int], Sequence[Any]]
"""Gives the values of one role in all columns of a row."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a field's value is: a column, under the roles that have values, or the first column under one role."""

    name: str
    column: int
    roles: tuple[int, ...]
    field: Field | None = None


@dataclass(frozen=True, slots=True)
class RowShape:
    """How the rows of one table become the rows of a program: instances of a struct class, or dicts."""

    node: StructOf | None
    places: tuple[Place, ...]

    @property
    def roles(self) -> tuple[int, ...]:
        """The roles that are needed."""
        return tuple(dict.fromkeys(role for place in self.places for role in place.roles))

    def row(self, values_of: ValuesOf) -> Any:
        """Return a row; raise ModelError when its values are not those of the class."""
        found = {place.name: _first(place, values_of) for place in self.places}
        if self.node is None:
            return found
        for place in self.places:
            if place.field is not None:
                found[place.name] = _revived(place, found[place.name])
        return self.node.convert(found)


def shape_of(row_type: type | None, columns: Sequence[str], roles: Mapping[int, str]) -> RowShape:
    """Return how rows of a table with *columns* and *roles* look; raise ModelError when *row_type* does not fit."""
    values = tuple(role for role in VALUE_ROLES if role in roles or not roles)
    named = {name: role for role, name in roles.items() if name and role >= ItemRole.USER}
    by_column = {name: Place(name, n, values) for n, name in enumerate(columns)} if values else {}
    by_role = {name: Place(name, 0, (role,)) for name, role in named.items()}
    if row_type is None:
        plain = len(by_column) <= 1 and by_role  # a list for QML, whose rows are one cell
        return RowShape(None, tuple((by_role if plain else by_column or by_role).values()))
    node = type_of(row_type)
    if not isinstance(node, StructOf):
        raise ModelError(f"rows are dataclasses or msgspec structs, and {node.name} is neither")
    places: list[Place] = []
    for field in node.fields:
        place = _named(field.name, by_column) or _named(field.name, by_role)
        if place is not None:
            places.append(Place(field.name, place.column, place.roles, field))
        elif field.required:
            offered = ", ".join([*by_column, *by_role]) or "nothing"
            raise ModelError(f"the table has no column and no role for {node.name}.{field.name}; it has {offered}")
    return RowShape(node, tuple(places))


def revive(node: Type, raw: Any) -> Any:
    """Return *raw*, which came as a variant, as *node* takes it: wires have no variants of enums and structs."""
    match node:
        case OptionalOf():
            return None if raw is None else revive(node.item, raw)
        case EnumType() if not isinstance(raw, (enum.Enum, bool)):
            return _member(node, raw)
        case StructOf() if isinstance(raw, Mapping):
            given = {snake(str(key)): value for key, value in cast("Mapping[Any, Any]", raw).items()}
            return {f.name: revive(f.type, given[f.name]) for f in node.fields if f.name in given}
        case ListOf() if isinstance(raw, (list, tuple)):
            return [revive(node.item, item) for item in cast("Sequence[Any]", raw)]
        case TupleOf() if isinstance(raw, (list, tuple)):
            items = cast("Sequence[Any]", raw)
            nodes = node.items * len(items) if node.variadic else node.items
            return tuple(revive(part, item) for part, item in zip(nodes, items, strict=False))
        case DictOf() if isinstance(raw, Mapping):
            return {key: revive(node.value, value) for key, value in cast("Mapping[Any, Any]", raw).items()}
        case _ if node == DURATION and isinstance(raw, (int, float)) and not isinstance(raw, bool):
            return timedelta(milliseconds=raw)
        case _:
            return raw


def _member(node: EnumType, raw: Any) -> Any:
    try:
        if isinstance(raw, int):
            return node.from_int(raw)
        return node.cls[raw] if raw in node.cls.__members__ else node.cls(raw)
    except (ValueError, TypeError, KeyError):
        raise ModelError(f"{short(raw)} is no {node.name}") from None


def _first(place: Place, values_of: ValuesOf) -> Any:
    for role in place.roles:
        values = values_of(role)
        if place.column < len(values) and values[place.column] is not None:
            return values[place.column]
    return None


def _revived(place: Place, raw: Any) -> Any:
    assert place.field is not None
    try:
        return revive(place.field.type, raw)
    except (ModelError, OverflowError) as error:
        raise ModelError(f"at {place.name}: {error}") from None


def _named(name: str, places: Mapping[str, Place]) -> Place | None:
    for candidate in (name, camel(name)):
        if candidate in places:
            return places[candidate]
    return next((place for known, place in places.items() if snake(known.replace(" ", "_")) == name), None)
