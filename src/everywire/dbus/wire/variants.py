"""Values of type Any as variants, and what foreign variants hold as values that Any takes.

What D-Bus has no type for stands there as in JSON: a dict with one key, ``{"$datetime": "2026-11-20T12:00:00"}``.
None is the empty signature.
"""

from __future__ import annotations

import enum
from typing import Any, Final, cast

import msgspec

from everywire.codec.json import TAGS, UNTAG
from everywire.dbus.codec import Node, Variant
from everywire.dbus.wire.coding import Coder, each, each_its_own, entries, field_names, same
from everywire.dbus.wire.signatures import INTEGERS, MOST_CONTAINERS, one_type
from everywire.errors import ModelError, OutOfRange
from everywire.model.types import refuse, short

MOST_KNOWN: Final = 1024
"""Signatures whose coders are kept: a stranger may send many."""

_CODES: Final = {bool: "b", float: "d", str: "s", bytes: "ay"}
NOTHING: Final = Variant("g", "")
_TAGGED: Final = frozenset({"$dict", *UNTAG})
TOO_DEEP: Final = "a value nested deeper than a message of D-Bus may be"


# --------------------------------------------------------------------------------------------------- values to variants
def variant_of(value: Any, room: int = MOST_CONTAINERS) -> Variant:
    """Return a value of type Any as a variant of at most *room* containers in each other; raise ModelError."""
    code = _CODES.get(value.__class__)
    if code is not None:
        return Variant(code, value, False)
    if value is None:
        return NOTHING
    if isinstance(value, enum.Enum):
        return Variant("s", value.name, False) if not isinstance(value, enum.Flag) else _number(value.value)
    if isinstance(value, int):
        return _number(value)
    if isinstance(value, (list, tuple)):
        inner = room - 2  # the variant and the array
        if inner < 1:
            raise ModelError(TOO_DEEP)
        return Variant("av", [variant_of(item, inner) for item in cast("list[Any]", value)], False)
    return _dict_of(value, room - 3)  # the variant, the array and the entry


def _number(value: int) -> Variant:
    if -(1 << 63) <= value < 1 << 64:
        return Variant("x" if value < 1 << 63 else "t", value, False)
    raise OutOfRange(f"{short(value)} has more than the 64 bits that numbers of D-Bus have")


def _dict_of(value: Any, room: int) -> Variant:
    if room < 1:
        raise ModelError(TOO_DEEP)
    if isinstance(value, dict):
        found = {key: variant_of(item, room) for key, item in cast("dict[str, Any]", value).items()}
        if len(found) == 1 and next(iter(found)) in _TAGGED:
            found = {"$dict": Variant("a{sv}", found, False)}
        return Variant("a{sv}", found, False)
    tag = next((tag for kind, tag in TAGS.items() if isinstance(value, kind)), None)  # a datetime is a date, too
    if tag is not None:
        return Variant("a{sv}", {tag: Variant("s", msgspec.to_builtins(value), False)}, False)
    names = field_names(value)
    if not names:
        raise refuse(value, "a value that wires know")
    return Variant("a{sv}", {name: variant_of(getattr(value, name), room) for name in names}, False)


# --------------------------------------------------------------------------------------------------- variants to values
_KNOWN: Final[dict[str, Coder]] = {}


def value_of(variant: Variant) -> Any:
    """Return what a variant holds as a value of type Any; raise ModelError when it is none."""
    signature = variant.signature
    return (_KNOWN.get(signature) or _known(signature))(variant.value)


def _known(signature: str) -> Coder:
    if len(_KNOWN) >= MOST_KNOWN:
        _KNOWN.clear()
    shape = one_type(signature)
    lift = plain_lift(shape)
    if signature == "g":
        lift = _lift_signature
    elif signature == "a{sv}":
        lift = _lift_tagged
    _KNOWN[signature] = lift
    return lift


def _lift_signature(text: str) -> str | None:
    return text or None


def _lift_tagged(raw: dict[str, Variant]) -> Any:
    if len(raw) == 1:
        ((key, inner),) = raw.items()
        if key == "$dict" and inner.signature == "a{sv}":
            raw = inner.value
        elif key in UNTAG and inner.signature == "s":
            return UNTAG[key](inner.value)
    return {key: value_of(item) for key, item in raw.items()}


def plain_lift(shape: Node) -> Coder:
    """Return what makes values that Any takes of values of a signature; `same` where they are that already."""
    match shape.code:
        case "v":
            return value_of
        case "h":
            return _refuse_descriptor
        case "(":
            return _lift_struct([plain_lift(part) for part in shape.parts])
        case "a":
            return _lift_array(shape.parts[0])
        case _:
            return same


def _lift_array(item: Node) -> Coder:
    if item.code == "{":
        return entries(_KEYS.get(item.parts[0].code, same), plain_lift(item.parts[1]))
    one = plain_lift(item)
    return same if one is same else each(one)


def _lift_struct(lifts: list[Coder]) -> Coder:
    return list if all(lift is same for lift in lifts) else each_its_own(lifts)


def _refuse_descriptor(_index: int) -> Any:
    raise ModelError("a file descriptor in a value of type Any: declare a UnixFd where it stands")


_KEYS: Final[dict[str, Coder]] = {
    **dict.fromkeys((*INTEGERS, "d"), lambda key: f"{key}"),
    "b": lambda key: "true" if key else "false",
    "h": _refuse_descriptor,
}
"""A dict in a value of type Any has text keys."""
