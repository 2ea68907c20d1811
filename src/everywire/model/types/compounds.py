"""Types of values with parts: lists, tuples, dicts, structs, and a value that may be absent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from everywire.errors import ModelError
from everywire.model.marks import Mark
from everywire.model.types.base import Type, refuse, short


@dataclass(frozen=True, slots=True)
class ListOf(Type):
    """A list of items of one type."""

    item: Type

    @property
    def name(self) -> str:
        return f"list[{self.item.name}]"

    @property
    def parts(self) -> tuple[Type, ...]:
        return (self.item,)

    @property
    def immutable(self) -> bool:
        return False

    @property
    def zero(self) -> list[Any]:
        return []

    def convert(self, value: Any) -> list[Any]:
        if isinstance(value, (str, bytes, bytearray, memoryview, Mapping)) or not isinstance(value, Iterable):
            raise refuse(cast("object", value), self.name)
        return _convert_items(self.item, cast("Iterable[Any]", value))


@dataclass(frozen=True, slots=True)
class TupleOf(Type):
    """A tuple: one type for each item, or one for all when `variadic`."""

    items: tuple[Type, ...]
    variadic: bool = False

    @property
    def name(self) -> str:
        return f"tuple[{', '.join(item.name for item in self.items) or '()'}{', ...' if self.variadic else ''}]"

    @property
    def parts(self) -> tuple[Type, ...]:
        return self.items

    @property
    def immutable(self) -> bool:
        return all(item.immutable for item in self.items)

    @property
    def zero(self) -> tuple[Any, ...]:
        return () if self.variadic else tuple(item.zero for item in self.items)

    def convert(self, value: Any) -> tuple[Any, ...]:
        if not isinstance(value, (tuple, list)):
            raise refuse(value, self.name)
        values = cast("tuple[Any, ...]", value)
        if self.variadic:
            return tuple(_convert_items(self.items[0], values))
        if len(values) != len(self.items):
            raise ModelError(f"expected {len(self.items)} items, got {len(values)}")
        return tuple([_convert_at(n, item, v) for n, (item, v) in enumerate(zip(self.items, values, strict=True))])


@dataclass(frozen=True, slots=True)
class DictOf(Type):
    """A mapping with keys of one immutable type and values of one type."""

    key: Type
    value: Type

    def __post_init__(self) -> None:
        if not self.key.immutable:
            raise ModelError(f"the keys of a dict must be immutable, and {self.key.name} is not")

    @property
    def name(self) -> str:
        return f"dict[{self.key.name}, {self.value.name}]"

    @property
    def parts(self) -> tuple[Type, ...]:
        return (self.key, self.value)

    @property
    def immutable(self) -> bool:
        return False

    @property
    def zero(self) -> dict[Any, Any]:
        return {}

    def convert(self, value: Any) -> dict[Any, Any]:
        if not isinstance(value, Mapping):
            raise refuse(value, self.name)
        items = cast("Mapping[Any, Any]", value).items()
        return {_convert_at(key, self.key, key): _convert_at(key, self.value, item) for key, item in items}


@dataclass(frozen=True, slots=True)
class OptionalOf(Type):
    """A value or None."""

    item: Type

    @property
    def name(self) -> str:
        return f"{self.item.name} | None"

    @property
    def parts(self) -> tuple[Type, ...]:
        return (self.item,)

    @property
    def immutable(self) -> bool:
        return self.item.immutable

    @property
    def zero(self) -> None:
        return None

    def convert(self, value: Any) -> Any:
        return None if value is None else self.item.convert(value)

    def test(self, variable: str) -> str | None:
        inner = self.item.test(variable)
        return None if inner is None else f"({variable} is None or {inner})"


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a struct."""

    name: str
    type: Type
    required: bool = True
    marks: tuple[Mark, ...] = field(default=(), compare=False)
    """Words for single wires."""


@dataclass(frozen=True, slots=True)
class StructOf(Type):
    """A dataclass or msgspec.Struct: a POD, gadget, message or structure on the wires."""

    cls: type
    fields: tuple[Field, ...]
    frozen: bool = False

    @property
    def name(self) -> str:
        return self.cls.__name__

    @property
    def parts(self) -> tuple[Type, ...]:
        return tuple(field.type for field in self.fields)

    @property
    def immutable(self) -> bool:
        return self.frozen and all(field.type.immutable for field in self.fields)

    @property
    def zero(self) -> Any:
        return self._make({field.name: field.type.zero for field in self.fields if field.required})

    def convert(self, value: Any) -> Any:
        """Return a checked copy; a mapping with the fields' names is accepted too."""
        if isinstance(value, self.cls):
            return self._make({f.name: _convert_at(f.name, f.type, getattr(value, f.name)) for f in self.fields})
        if not isinstance(value, Mapping):
            raise refuse(value, self.name)
        given = cast("Mapping[Any, Any]", value)
        known = {field.name for field in self.fields}
        if unknown := sorted(str(key) for key in given if key not in known):
            raise ModelError(f"{self.name} has no field {', '.join(map(short, unknown[:5]))}")
        if missing := [f.name for f in self.fields if f.required and f.name not in given]:
            raise ModelError(f"{self.name} lacks {', '.join(missing)}")
        return self._make({f.name: _convert_at(f.name, f.type, given[f.name]) for f in self.fields if f.name in given})

    def _make(self, values: dict[str, Any]) -> Any:
        try:
            return self.cls(**values)
        except (TypeError, ValueError) as error:  # its own __post_init__ refuses the values
            raise ModelError(f"{self.name}: {error}") from error


def _convert_items(item: Type, values: Iterable[Any]) -> list[Any]:
    return [_convert_at(n, item, value) for n, value in enumerate(values)]


def _convert_at(place: object, item: Type, value: Any) -> Any:
    """Convert one part of a value; an error names its place."""
    try:
        return item.convert(value)
    except ModelError as error:
        raise type(error)(f"at {short(place)}: {error}") from None
