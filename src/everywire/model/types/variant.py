"""`Any`, the type of values that bring their own: a variant."""

from __future__ import annotations

import enum
import numbers
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, Final, cast
from uuid import UUID

from everywire.errors import ModelError
from everywire.model.types.base import MAX_DEPTH, Type, refuse
from everywire.model.types.scalars import DATE, DATETIME, DURATION, STR, TIME, UUID_, Int

ATOMS: Final = (bool, int, float, str, bytes, datetime, date, time, timedelta, UUID)
"""The classes whose instances are values without parts."""


@dataclass(frozen=True, slots=True)
class AnyType(Type):
    """Any value that wires know: a variant."""

    @property
    def name(self) -> str:
        return "Any"

    @property
    def immutable(self) -> bool:
        return False

    @property
    def zero(self) -> None:
        return None

    def convert(self, value: Any) -> Any:
        return _copy_any(value, MAX_DEPTH)


ANY = AnyType()


def is_atom(value: object) -> bool:
    """Return whether *value*, of a property of type Any, can be compared instead of copied."""
    return value is None or isinstance(value, (*ATOMS, enum.Enum))


_UNCHANGED: Final = frozenset({type(None), *ATOMS} - {int})


def _copy_any(value: Any, depth: int) -> Any:
    kind = cast("type[object]", type(value))
    if kind in _UNCHANGED or (kind is int and -(2**63) <= value < 2**64) or isinstance(value, enum.Enum):
        return value
    if depth == 0 and isinstance(value, (list, tuple, dict)):
        raise ModelError(f"nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, (list, tuple)):
        return [_copy_any(item, depth - 1) for item in cast("list[Any]", value)]
    if isinstance(value, dict):
        found = cast("dict[Any, Any]", value)
        if not all(isinstance(key, str) for key in found):
            raise ModelError("a dict in a value of type Any needs text keys")
        return {str(key): _copy_any(item, depth - 1) for key, item in found.items()}
    return _plain_of(value)


def _plain_of(value: Any) -> Any:
    """Return a number of another library, a subclass of a plain class, a buffer or a struct as wires know it."""
    if isinstance(value, numbers.Integral):
        return (Int() if value < 0 else Int(signed=False)).convert(value)
    if isinstance(value, numbers.Real):
        return float(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(cast("bytes", value))
    for node in (STR, DATETIME, DATE, TIME, DURATION, UUID_):
        if isinstance(value, node.kind):
            return node.convert(value)
    if hasattr(value, "__dataclass_fields__") or hasattr(value, "__struct_fields__"):
        from everywire.model.annotations import type_of  # it builds on this module

        return type_of(type(value)).convert(value)
    raise refuse(value, "a value that wires know (number, text, bytes, time, UUID, list, dict, dataclass)")
