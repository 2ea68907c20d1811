"""What lowering and lifting share: coders, and errors that name the place in a value."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final
from uuid import UUID

from everywire.dbus.codec import Node
from everywire.dbus.wire.signatures import INTEGERS, signature_of
from everywire.errors import ModelError, OutOfRange
from everywire.model.types import AnyType, Bytes, DictOf, EnumType, ListOf, OptionalOf, TupleOf, short

Coder = Callable[[Any], Any]

BOUNDS: Final[Mapping[str, tuple[int, int]]] = {
    code: (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    for code, (bits, signed) in INTEGERS.items()
}
"""Smallest and largest number of each type of whole numbers."""

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)


def same(value: Any) -> Any:
    """Return *value*: the coder of what needs none."""
    return value


def at(place: object, code: Coder, value: Any) -> Any:
    """Apply *code* to one part of a value; an error names its place."""
    try:
        return code(value)
    except ModelError as error:
        raise placed(error, place) from None


def placed(error: ModelError, place: object) -> ModelError:
    """Return *error* with the place in a value where it arose."""
    return type(error)(f"at {short(place)}: {error}")


def each(code: Coder) -> Coder:
    """Return what applies *code* to each item."""

    def every(items: Any) -> list[Any]:
        found: list[Any] = []
        try:
            found.extend(map(code, items))
        except ModelError as error:
            raise placed(error, len(found)) from None
        return found

    return every


def each_its_own(codes: Sequence[Coder], names: Sequence[str] = ()) -> Coder:
    """Return what applies each of *codes* to the item in its place, of which there are as many."""

    def every(items: Any) -> list[Any]:
        found: list[Any] = []
        try:
            found.extend(map(_apply, codes, items))
        except ModelError as error:
            raise placed(error, names[len(found)] if names else len(found)) from None
        return found

    return every


def _apply(code: Coder, item: Any) -> Any:
    return code(item)


def entries(key: Coder, value: Coder) -> Coder:
    """Return what applies *key* and *value* to the entries of a dict."""

    def every(given: Any) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        name: Any = None
        try:
            for name, item in given.items():
                found[key(name)] = value(item)
        except ModelError as error:
            raise placed(error, name) from None
        return found

    return same if key is same and value is same else every


def number_check(code: str) -> Coder:
    """Return what passes whole numbers on that the type *code* holds, and raises OutOfRange for others."""
    low, high = BOUNDS[code]

    def check(number: int) -> int:
        if not low <= number <= high:
            raise OutOfRange(f"{short(number)} is not within {low} and {high}, which the D-Bus type {code!r} holds")
        return number

    return check


def whole(value: float) -> int:
    """Return a float that is a whole number as one; raise ModelError for others."""
    if not value.is_integer():
        raise ModelError(f"{value!r} is no whole number")
    return int(value)


def microseconds(value: timedelta) -> int:
    """Return a span as D-Bus counts it."""
    return value // MICROSECOND


def since_epoch(value: datetime) -> int:
    """Return an instant as microseconds since 1970; raise ModelError for a naive datetime, which is none."""
    if value.utcoffset() is None:
        raise ModelError("a datetime without time zone is no instant: give it one, for instance datetime.UTC")
    return microseconds(value - EPOCH)


TEXTS: Final[Mapping[type, Coder]] = {
    datetime: datetime.isoformat,
    date: date.isoformat,
    time: time.isoformat,
    UUID: str,
}
"""What makes texts of values that D-Bus has no type for."""


def field_names(value: Any) -> tuple[str, ...]:
    """Return the names of the fields of a dataclass or Struct; empty for anything else."""
    return tuple(getattr(value, "__struct_fields__", ()) or getattr(value, "__dataclass_fields__", ()))


def optional_or_value(
    node: OptionalOf, shape: Node, as_optional: Callable[[], Coder], as_value: Callable[[], Coder]
) -> Coder:
    """Return the coder for an array of no item or one, or for the value itself: whichever *shape* is.

    It can be both, as ``av`` for a list that may be None. Then the type's own signature is no item or one, and a
    foreign one the value, where that can be an array at all.
    """
    if shape.code != "a" or shape.parts[0].code == "{":
        return as_value()
    text = str(shape)
    if text == signature_of(node):
        return as_optional()
    value_first = isinstance(node.item, (ListOf, TupleOf, DictOf, Bytes, AnyType)) or text == signature_of(node.item)
    first, second = (as_value, as_optional) if value_first else (as_optional, as_value)
    try:
        return first()
    except ModelError:
        return second()


def is_textual(node: EnumType) -> bool:
    """Whether all values of an enum are texts."""
    return all(type(member.value) is str for member in node.cls)


def is_vardict(shape: Node) -> bool:
    """Whether *shape* is a dict with keys of text, in which services name what they tell."""
    return shape.code == "a" and shape.parts[0].code == "{" and shape.parts[0].parts[0].code in "so"


def unfit(node_name: str, shape: Node) -> ModelError:
    """Return the error for a type and a signature that can never fit."""
    return ModelError(f"a {node_name} does not fit the D-Bus type {str(shape)!r}")
