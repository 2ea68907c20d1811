"""Between the cells of a table and the rows of a program: which column or role is which field, and values as meant."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, cast

from everywire.errors import ModelError
from everywire.model.annotations import type_of
from everywire.model.compile import compile_convert
from everywire.model.names import camel, snake
from everywire.model.types import (
    DURATION,
    DictOf,
    EnumType,
    Exact,
    Field,
    Float,
    Int,
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
    roles: tuple[int, ...] = field(init=False)
    """The roles that are needed."""
    _plan: tuple[tuple[str, int, tuple[int, ...], Any], ...] = field(init=False)

    def __post_init__(self) -> None:
        roles = tuple(dict.fromkeys(role for place in self.places for role in place.roles))
        plan = tuple((p.name, p.column, p.roles, _converter(p.field)) for p in self.places)
        object.__setattr__(self, "roles", roles)
        object.__setattr__(self, "_plan", plan)

    def row(self, values_of: ValuesOf) -> Any:
        """Return a row; raise ModelError when its values are not those of the class."""
        by_role = {role: values_of(role) for role in self.roles}
        found: dict[str, Any] = {}
        for name, column, roles, convert in self._plan:
            value = None
            for role in roles:
                values = by_role[role]
                if column < len(values) and (value := values[column]) is not None:
                    break
            found[name] = value if convert is None else convert(value)
        return found if self.node is None else self._made(found)

    def _made(self, found: dict[str, Any]) -> Any:
        assert self.node is not None
        try:
            return self.node.cls(**found)
        except (TypeError, ValueError) as error:  # its own __post_init__ refuses the values
            raise ModelError(f"{self.node.name}: {error}") from error


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
    for wanted in node.fields:
        place = _named(wanted.name, by_column) or _named(wanted.name, by_role)
        if place is not None:
            places.append(Place(wanted.name, place.column, place.roles, wanted))
        elif wanted.required:
            offered = ", ".join(dict.fromkeys((*by_column, *by_role))) or "nothing"
            raise ModelError(f"the table has no column and no role for {node.name}.{wanted.name}; it has {offered}")
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


def _converter(field: Field | None) -> Callable[[Any], Any] | None:
    """Return what makes a field's value of a variant; None where any will do."""
    if field is None:
        return None
    node, convert = field.type, compile_convert(field.name, field.type)
    if isinstance(node, (Int, Float, Exact)) and node != DURATION:
        return convert

    def revived(raw: Any) -> Any:
        try:
            return convert(revive(node, raw))
        except OverflowError as error:
            raise ModelError(f"{field.name}: {error}") from None

    return revived


def _named(name: str, places: Mapping[str, Place]) -> Place | None:
    for candidate in (name, camel(name)):
        if candidate in places:
            return places[candidate]
    return next((place for known, place in places.items() if snake(known.replace(" ", "_")) == name), None)
