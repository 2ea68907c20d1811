"""Values of type Any by the signature that a receiver wants: each value must be looked at when it is lowered."""

from __future__ import annotations

import enum
import operator
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, cast

from everywire.dbus.codec import Node, check_path, check_signature
from everywire.dbus.wire.coding import (
    BOUNDS,
    TEXTS,
    Coder,
    each,
    each_its_own,
    entries,
    field_names,
    microseconds,
    number_check,
    since_epoch,
    whole,
)
from everywire.dbus.wire.variants import TOO_DEEP, variant_of
from everywire.errors import ModelError
from everywire.model.types import refuse, short


def lower_untyped(shape: Node, room: int, *, foreign: bool) -> Coder:
    """Return what lowers values of type Any to *shape*, inside which *room* containers may stand in each other.

    Whole numbers, texts, times, enums, lists, dicts and dataclasses become what *shape* says, where they can: a dict
    with keys of numbers is written with text keys in a value of type Any.
    """
    if room < 1 and shape.code in "av(":
        raise ModelError(TOO_DEEP)
    match shape.code:
        case "v":
            return lambda value: variant_of(value, room)
        case "(":
            return _lower_struct([lower_untyped(part, room - 1, foreign=foreign) for part in shape.parts])
        case "a":
            return _lower_array(shape.parts[0], room - 1, foreign=foreign)
        case "h":
            raise ModelError("a file descriptor in a value of type Any: declare a UnixFd where it stands")
        case "s" if foreign:
            return lambda value: _text(value.value if isinstance(value, enum.Enum) else value)
        case code:
            return _SCALARS[code]


def _lower_array(item: Node, room: int, *, foreign: bool) -> Coder:
    if item.code == "y":
        return _octets
    if item.code != "{":
        every = each(lower_untyped(item, room, foreign=foreign))
        return lambda value: every(_items(value))
    key, value = item.parts
    code = _KEYS.get(key.code) or lower_untyped(key, room - 1, foreign=foreign)
    both = entries(code, lower_untyped(value, room - 1, foreign=foreign))
    return lambda given: both(_dict(given))


def _lower_struct(lowers: list[Coder]) -> Coder:
    every = each_its_own(lowers)

    def lower(value: Any) -> list[Any]:
        names = field_names(value)
        parts = [getattr(value, name) for name in names] if names else _items(value)
        if len(parts) != len(lowers):
            raise ModelError(f"expected {len(lowers)} items, got {len(parts)}")
        return every(parts)  # type: ignore[no-any-return]

    return lower


def _dict(given: Any) -> dict[Any, Any]:
    if isinstance(given, dict):
        return cast("dict[Any, Any]", given)
    names = field_names(given)
    if not names:
        raise refuse(given, "a dict")
    return {name: part for name in names if (part := getattr(given, name)) is not None}


def _items(value: Any) -> Sequence[Any]:
    if not isinstance(value, (list, tuple)):
        raise refuse(value, "a list")
    return cast("Sequence[Any]", value)


def _octets(value: Any) -> bytes:
    return value if isinstance(value, bytes) else bytes(_EVERY_BYTE(_items(value)))


def _number(value: Any) -> int:
    if isinstance(value, enum.Enum):
        value = value.value
    if isinstance(value, timedelta):
        return microseconds(value)
    if isinstance(value, datetime):
        return since_epoch(value)
    if isinstance(value, float):
        return whole(value)
    if isinstance(value, bool):
        raise refuse(value, "a whole number")
    try:
        return operator.index(value)
    except TypeError:
        raise refuse(value, "a whole number") from None


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise refuse(value, "bool")
    return value


def _real(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise refuse(value, "float")
    return float(value)


def _text(value: Any) -> str:
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, str):
        return value
    lower = TEXTS.get(value.__class__)
    if lower is None:
        raise refuse(value, "a text")
    return str(lower(value))


def _integer(code: str) -> Coder:
    check = number_check(code)
    return lambda value: check(_number(value))


def _path(value: Any) -> str:
    return check_path(_text(value))


def _signature(value: Any) -> str:
    return check_signature(_text(value))


_SCALARS: Final[Mapping[str, Coder]] = {
    **{code: _integer(code) for code in BOUNDS},
    "b": _truth,
    "d": _real,
    "s": _text,
    "o": _path,
    "g": _signature,
}
_EVERY_BYTE: Final = each(_integer("y"))


def _key(read: Callable[[str], Any], what: str) -> Coder:
    def key(text: Any) -> Any:
        try:
            return read(text)
        except (ValueError, KeyError):
            raise ModelError(f"the key {short(text)!r} is not {what}") from None

    return key


def _whole_key(code: str) -> Coder:
    read, check = _key(int, "a whole number"), number_check(code)
    return lambda text: check(read(text))


_KEYS: Final[Mapping[str, Coder]] = {code: _whole_key(code) for code in BOUNDS} | {
    "d": _key(float, "a number"),
    "b": _key({"true": True, "false": False}.__getitem__, "true or false"),
}
"""What makes keys of the text keys that a dict in a value of type Any has."""
