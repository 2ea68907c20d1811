"""Annotations to nodes of the type algebra; not their meaning, which is in `model/types.py`.

A slice may have types of its own: a node among the metadata of ``Annotated`` stands for what is annotated, and a class
may name its node in an attribute (`NODE`).
"""

from __future__ import annotations

import dataclasses
import enum
import math
import sys
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from contextvars import ContextVar
from datetime import date, datetime, time, timedelta
from typing import Annotated, Any, Final, Union, cast, get_args, get_origin
from uuid import UUID

import msgspec

from everywire.errors import ModelError
from everywire.model.marks import Mark, Range, Unit, Width
from everywire.model.names import is_public
from everywire.model.types import (
    ANY,
    BOOL,
    BYTES,
    DATE,
    DATETIME,
    DURATION,
    NODE,
    STR,
    TIME,
    UUID_,
    DictOf,
    EnumType,
    Field,
    Float,
    Int,
    ListOf,
    ObjectOf,
    OptionalOf,
    StructOf,
    TupleOf,
    Type,
)
from everywire.model.types.objects import DECLARED

_PLAIN: Final[Mapping[Any, Type]] = {
    bool: BOOL,
    int: Int(),
    float: Float(),
    str: STR,
    bytes: BYTES,
    bytearray: BYTES,
    memoryview: BYTES,
    datetime: DATETIME,
    date: DATE,
    time: TIME,
    timedelta: DURATION,
    UUID: UUID_,
    Any: ANY,
    object: ANY,
}

_STRUCTS: dict[type, StructOf] = {}  # one node per class, because reading one is slow


def type_of(annotation: Any) -> Type:
    """Return the node for *annotation*; raise ModelError when no wire could carry it."""
    try:
        if annotation in _PLAIN:
            return _PLAIN[annotation]
    except TypeError:  # an unhashable annotation is none of the plain ones
        pass
    origin = get_origin(annotation)
    if origin is Annotated:
        return _annotated(annotation)
    if origin in (Union, types.UnionType):
        return _union(get_args(annotation))
    if origin is not None:
        return _generic(annotation, origin, get_args(annotation))
    return _class(annotation)


def hints_of(declared: Any, scope: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the evaluated annotations of a class or function; *scope* has names that its module lacks."""
    try:
        return typing.get_type_hints(declared, localns=None if scope is None else {**scope}, include_extras=True)
    except (NameError, AttributeError, SyntaxError, TypeError) as error:
        raise unresolved(error) from None


def unresolved(error: Exception) -> ModelError:
    """Return the error for an annotation that Python itself cannot evaluate."""
    return ModelError(f"{error}; names in annotations must be importable from the module")


def unit_of(annotation: Any) -> str:
    """Return the unit that *annotation* carries, or an empty text."""
    metadata: Iterable[Any] = getattr(annotation, "__metadata__", ())
    return next((item.symbol for item in metadata if isinstance(item, Unit)), "")


def marks_of(annotation: Any) -> tuple[Mark, ...]:
    """Return the words for single wires that *annotation* carries."""
    metadata: Iterable[Any] = getattr(annotation, "__metadata__", ())
    return tuple(item for item in metadata if isinstance(item, Mark))


def bounded(node: Type, low: float | None, high: float | None) -> Type:
    """Return *node* with bounds; only numbers have them."""
    low, high = _finite(low), _finite(high)
    if low is None and high is None:
        return node
    if isinstance(node, Int):
        least = node.low if low is None else math.ceil(low)
        most = node.high if high is None else math.floor(high)
        whole = dataclasses.replace(node, low=least, high=most)
        if whole.bounds[0] <= whole.bounds[1]:
            return whole
    elif isinstance(node, Float):
        real = dataclasses.replace(
            node, low=node.low if low is None else float(low), high=node.high if high is None else float(high)
        )
        if real.low is None or real.high is None or real.low <= real.high:
            return real
    else:
        raise ModelError("only numbers have a minimum and a maximum")
    raise ModelError(f"no {node.name} lies within {low} and {high}")


def _finite(bound: float | None) -> float | None:
    """Return *bound*, or None for an infinite one, which bounds nothing."""
    if bound is None:
        return None
    if bound in (math.inf, -math.inf):
        return None
    if not abs(bound) <= sys.float_info.max:  # NaN, or an int that no float can hold
        raise ModelError("a bound is a number that a float can hold")
    return bound


def _annotated(annotation: Any) -> Type:
    base, *metadata = get_args(annotation)
    node = next((item for item in metadata if isinstance(item, Type)), None) or type_of(base)
    for width in [item for item in metadata if isinstance(item, Width)]:
        node = _width(node, width)
    for bounds in [item for item in metadata if isinstance(item, Range)]:
        node = bounded(node, bounds.low, bounds.high)
    return node


def _width(node: Type, width: Width) -> Type:
    if isinstance(node, Int) and width.bits in (8, 16, 32, 64):
        return dataclasses.replace(node, bits=width.bits, signed=width.signed)
    if isinstance(node, Float) and width.bits in (32, 64):
        return dataclasses.replace(node, bits=width.bits)
    raise ModelError(f"no number of {width.bits} bits")


def _union(arguments: tuple[Any, ...]) -> Type:
    others = [argument for argument in arguments if argument is not type(None)]
    if len(others) == 1:
        return OptionalOf(type_of(others[0]))
    raise ModelError("of unions only 'T | None' goes on every wire; use Any or a dataclass for others")


def _generic(annotation: Any, origin: Any, arguments: tuple[Any, ...]) -> Type:
    if inner := [mark for argument in arguments for mark in marks_of(argument)]:
        raise ModelError(f"{inner[0]!r} stands inside another type: write Annotated[the whole type, {inner[0]!r}]")
    if origin in (list, Sequence):
        return ListOf(type_of(arguments[0]))
    if origin in (dict, Mapping):
        return DictOf(type_of(arguments[0]), type_of(arguments[1]))
    if origin is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:
        return TupleOf((type_of(arguments[0]),), variadic=True)
    if origin is tuple:
        return TupleOf(tuple(type_of(argument) for argument in arguments))
    raise unsupported(annotation)


def _class(annotation: Any) -> Type:
    if annotation in (list, dict, tuple):
        raise ModelError(f"a bare {annotation.__name__} has no item type: write {annotation.__name__}[…]")
    if not isinstance(annotation, type):
        raise unsupported(annotation)
    cls: type[Any] = annotation
    if isinstance(own := getattr(cls, NODE, None), Type):
        return own
    if hasattr(cls, DECLARED):
        return ObjectOf(cls)
    if issubclass(cls, enum.Enum):
        if not len(cls):
            raise ModelError(f"the enum {cls.__name__} has no members")
        if private := [name for name in cls.__members__ if not is_public(name)]:
            raise ModelError(f"the members of {cls.__name__} need public names, not {', '.join(private)}")
        return EnumType(cls)
    if dataclasses.is_dataclass(cls) or issubclass(cls, msgspec.Struct):
        return _struct(cls)
    raise unsupported(annotation)


def _struct(cls: type) -> StructOf:
    known = _STRUCTS.get(cls)
    if known is not None:
        return known
    if cls in (path := _reading.get()):
        raise ModelError(f"{cls.__name__} contains itself; wires carry values, not references: use a list of ids")
    token = _reading.set((*path, cls))
    try:
        hints = hints_of(cls)
        fields = tuple(
            Field(name, _field(cls, name, hints[name]), required=required, marks=marks_of(hints[name]))
            for name, required in _field_names(cls)
        )
    finally:
        _reading.reset(token)
    node = StructOf(cls, fields, frozen=_is_frozen(cls))
    _STRUCTS[cls] = node
    return node


_reading: ContextVar[tuple[type, ...]] = ContextVar("_reading", default=())


def _field(cls: type, name: str, annotation: Any) -> Type:
    if not is_public(name):
        raise ModelError(f"{cls.__name__}.{name}: a field of a struct on a wire has no leading underscore")
    try:
        return type_of(annotation)
    except ModelError as error:
        raise ModelError(f"{cls.__name__}.{name}: {error}") from None


def _field_names(cls: Any) -> list[tuple[str, bool]]:
    if dataclasses.is_dataclass(cls):
        return [
            (f.name, f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING)
            for f in dataclasses.fields(cls)
            if f.init
        ]
    return [(f.name, f.required) for f in msgspec.structs.fields(cls)]


def _is_frozen(cls: Any) -> bool:
    if dataclasses.is_dataclass(cls):
        parameters: Any = getattr(cls, "__dataclass_params__", None)
        return bool(parameters.frozen)
    return bool(cast("type[msgspec.Struct]", cls).__struct_config__.frozen)


def unsupported(annotation: Any) -> ModelError:
    """Return the error for an annotation that no wire could carry."""
    text = getattr(annotation, "__name__", None) or str(annotation)
    return ModelError(
        f"the type {text} cannot go on a wire; use bool, int, float, str, bytes, Enum, Flag, datetime, date, time, "
        "timedelta, UUID, list, dict, tuple, T | None, a dataclass or msgspec.Struct, Any, or for a property a class "
        "derived from Object"
    )
