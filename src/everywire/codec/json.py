"""Values as JSON data and back, by their types, as people and browsers expect them; the table is in docs/wires/http.md.

`lowered` gives data that `encode` writes; `lifted` reads what a stranger sent, and checks it. Whoever handles many
values of one type compiles its coder once. Values inside a variant that JSON has no form for are objects with one key:
``{"$bytes": "aGk="}``, ``{"$datetime": "2026-11-20T12:00:00"}``.
"""

from __future__ import annotations

import dataclasses
import enum
import math
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from typing import Any, Final, cast
from uuid import UUID

import msgspec

from everywire.errors import ModelError
from everywire.model.types import (
    BOOL,
    MAX_DEPTH,
    STR,
    AnyType,
    Bytes,
    DictOf,
    EnumType,
    Exact,
    Float,
    Int,
    ListOf,
    OptionalOf,
    StructOf,
    TupleOf,
    Type,
    refuse,
    short,
)

SAFE: Final = 1 << 53
"""Whole numbers beyond it are texts: a JavaScript reader would round them."""

_NONFINITE: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_DIGITS: Final = re.compile(r"-?[0-9]{1,20}")  # 64 bits have no more
TAGS: Final[Mapping[type, str]] = {
    bytes: "$bytes",
    datetime: "$datetime",
    date: "$date",
    time: "$time",
    timedelta: "$duration",
    UUID: "$uuid",
}
"""The keys under which values of these classes stand in a variant, as texts."""

Coder = Callable[[Any], Any]


def encode(data: Any) -> bytes:
    """Return JSON data as bytes; a lone surrogate becomes U+FFFD, as in a browser's WebSocket (USVString)."""
    try:
        return msgspec.json.encode(data)
    except UnicodeEncodeError:
        return msgspec.json.encode(_scrubbed(msgspec.to_builtins(data)))


def decode(text: bytes | str) -> Any:
    """Return the JSON data in *text*, which a stranger may have written; raise ModelError when it is not JSON.

    Of two members of an object with one name the last one counts, as for JSON.parse.
    """
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ModelError(f"not JSON: {error}") from None


def lowered(node: Type, value: Any) -> Any:
    """Return the JSON data of a checked *value* of the type *node*."""
    lower = compile_lower(node)
    return value if lower is None else lower(value)


def lifted(node: Type, raw: Any) -> Any:
    """Return the value of the type *node* that the JSON data *raw* stands for; raise ModelError or OutOfRange."""
    lift = compile_lift(node)
    return node.convert(raw if lift is None else lift(raw))


# ------------------------------------------------------------------------------------------------------ values to JSON
def compile_lower(node: Type) -> Coder | None:
    """Return the function that `lowered` applies; None where a value is JSON data as it stands."""
    match node:
        case Int():
            low, high = node.bounds
            return None if low >= -SAFE and high <= SAFE else _lower_int
        case Float():
            return _lower_float
        case EnumType():
            return _lower_flag if node.flag else _lower_enum
        case ListOf() | TupleOf() | OptionalOf():
            return _compile_lower_parts(node)
        case DictOf():
            key, item = _key_lower(node.key), compile_lower(node.value) or _same
            return lambda value: {key(name): item(part) for name, part in value.items()}
        case StructOf():
            parts = [(field.name, compile_lower(field.type) or _same) for field in node.fields]
            return lambda value: {name: lower(getattr(value, name)) for name, lower in parts}
        case AnyType():
            return _lower_any
        case _:
            return None


def _compile_lower_parts(node: ListOf | TupleOf | OptionalOf) -> Coder | None:
    lowers = [compile_lower(part) for part in node.parts]
    if not any(lowers):
        return None
    every = [lower or _same for lower in lowers]
    if isinstance(node, TupleOf) and not node.variadic:
        return lambda value: [lower(item) for lower, item in zip(every, value, strict=True)]
    one = every[0]
    if isinstance(node, OptionalOf):
        return lambda value: None if value is None else one(value)
    return lambda value: [one(item) for item in value]


def _same(value: Any) -> Any:
    return value


def _lower_int(value: int) -> int | str:
    return value if -SAFE <= value <= SAFE else str(value)


def _lower_float(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _lower_enum(value: enum.Enum) -> str:
    return value.name


def _lower_flag(value: enum.Flag) -> int | str:
    return _lower_int(value.value)


def _lower_any(value: Any) -> Any:
    if isinstance(value, enum.Enum):
        return _lower_flag(value) if isinstance(value, enum.Flag) else value.name
    if isinstance(value, (list, tuple)):
        return [_lower_any(item) for item in cast("list[Any]", value)]
    if isinstance(value, dict):
        found = {key: _lower_any(item) for key, item in cast("dict[str, Any]", value).items()}
        return {"$dict": found} if len(found) == 1 and next(iter(found)).startswith("$") else found
    if isinstance(value, float) and not math.isfinite(value):
        return {"$float": _lower_float(value)}
    if isinstance(value, int) and not -SAFE <= value <= SAFE:
        return {"$int": str(value)}
    tag = next((tag for kind, tag in TAGS.items() if isinstance(value, kind)), None)  # a datetime is a date, too
    if tag is not None:
        return {tag: value}
    names = _field_names(value)
    return {name: _lower_any(getattr(value, name)) for name in names} if names else value


def _field_names(value: Any) -> list[str]:
    if dataclasses.is_dataclass(value):
        return [field.name for field in dataclasses.fields(value)]
    return list(getattr(value, "__struct_fields__", ()))


# ------------------------------------------------------------------------------------------------------ JSON to values
def compile_lift(node: Type) -> Coder | None:
    """Return the function that makes of JSON data what `node.convert` takes; None where the data is that already.

    It raises ModelError where a text is wrong; what is of a wrong kind altogether is left for `convert` to refuse.
    """
    match node:
        case EnumType():
            return (lambda raw: _lift_flag(node, raw)) if node.flag else (lambda raw: _lift_member(node, raw))
        case Int():
            return _lift_int
        case Float():
            return _lift_float
        case Bytes():
            return lambda raw: _lift_text(node, bytes, raw)
        case Exact(kind=kind) if kind not in (bool, str):
            return lambda raw: _lift_text(node, kind, raw)
        case ListOf() | OptionalOf() | TupleOf():
            return _compile_lift_parts(node)
        case DictOf():
            return _compile_lift_dict(node)
        case StructOf():
            lifts = {field.name: compile_lift(field.type) or _same for field in node.fields}
            return lambda raw: _lift_fields(raw, lifts)
        case AnyType():
            return lambda raw: _lift_any(raw, MAX_DEPTH)
        case _:
            return None


def _compile_lift_parts(node: ListOf | TupleOf | OptionalOf) -> Coder | None:
    lifts = [compile_lift(part) for part in node.parts]
    if not any(lifts):
        return None
    every = [lift or _same for lift in lifts]
    one = every[0]
    if isinstance(node, OptionalOf):
        return lambda raw: None if raw is None else one(raw)

    def lift(raw: Any) -> Any:
        if not isinstance(raw, list):
            return raw
        items = cast("list[Any]", raw)
        fixed = isinstance(node, TupleOf) and not node.variadic
        if fixed and len(items) != len(every):
            return items
        return [_at(n, every[n] if fixed else one, item) for n, item in enumerate(items)]

    return lift


def _compile_lift_dict(node: DictOf) -> Coder | None:
    item = compile_lift(node.value)
    if item is None and node.key == STR:
        return None
    key = _key_lift(node.key)

    def lift(raw: Any) -> Any:
        if not isinstance(raw, dict):
            return raw
        items = cast("dict[str, Any]", raw).items()
        return {_at(name, key, name): _at(name, item or _same, part) for name, part in items}

    return lift


def _lift_fields(raw: Any, lifts: dict[str, Coder]) -> Any:
    """Lift the members of an object for a struct; unknown ones are left for `convert` to refuse."""
    if not isinstance(raw, dict):
        return raw
    return {name: _at(name, lifts.get(name, _same), item) for name, item in cast("dict[str, Any]", raw).items()}


def _at(place: object, lift: Coder, raw: Any) -> Any:
    """Lift one part of a value; an error names its place."""
    try:
        return lift(raw)
    except ModelError as error:
        raise type(error)(f"at {short(place)}: {error}") from None


def _lift_member(node: EnumType, raw: Any) -> Any:
    if not isinstance(raw, str):
        return raw
    found = node.cls.__members__.get(raw)
    if found is None:
        names = ", ".join(list(node.cls.__members__)[:10])
        raise ModelError(f"{short(raw)!r} is not a {node.name}: there are {names}")
    return found


def _lift_flag(node: EnumType, raw: Any) -> Any:
    number = _lift_int(raw)
    return node.from_int(number) if type(number) is int else raw


def _lift_int(raw: Any) -> Any:
    return int(raw) if isinstance(raw, str) and _DIGITS.fullmatch(raw) else raw


def _lift_float(raw: Any) -> Any:
    return _NONFINITE.get(raw, raw) if isinstance(raw, str) else raw


def _lift_text(node: Type, kind: Any, raw: Any) -> Any:
    if not isinstance(raw, str):
        raise refuse(raw, f"{node.name} as a text")
    try:
        return msgspec.convert(raw, kind)
    except msgspec.ValidationError as error:
        raise ModelError(f"{short(raw)!r} is not a {node.name}: {error}") from None


def _lift_any(raw: Any, depth: int) -> Any:
    if isinstance(raw, (list, dict)) and depth == 0:
        raise ModelError(f"nested deeper than {MAX_DEPTH} levels")
    if isinstance(raw, list):
        return [_lift_any(item, depth - 1) for item in cast("list[Any]", raw)]
    if not isinstance(raw, dict):
        return raw
    found = cast("dict[str, Any]", raw)
    if len(found) == 1:
        ((key, inner),) = found.items()
        if key == "$dict" and isinstance(inner, dict):
            found = cast("dict[str, Any]", inner)
        elif key in UNTAG and isinstance(inner, str):
            return _at(key, UNTAG[key], inner)
    return {key: _at(key, lambda item: _lift_any(item, depth - 1), item) for key, item in found.items()}


def _lift_digits(raw: str) -> int:
    if _DIGITS.fullmatch(raw) is None:
        raise ModelError(f"{short(raw)!r} is not a whole number of 64 bits")
    return int(raw)


UNTAG: Final[Mapping[str, Coder]] = {
    **{tag: compile_lift(Bytes() if kind is bytes else Exact(kind)) or _same for kind, tag in TAGS.items()},
    "$float": lambda raw: Float().convert(_lift_float(raw)),
    "$int": _lift_digits,
}
"""What makes values of the texts under such keys; it raises ModelError."""


# ------------------------------------------------------------------------------------------------------ keys of objects
# A key is the text of its value where the type says how to read it back; of other types it is their JSON.
_OWN_TEXT: Final = (Exact, Bytes, EnumType, Int, Float)


def _key_lower(node: Type) -> Coder:
    if node == STR:
        return _same
    lower = compile_lower(node) or _same

    def text(key: Any) -> str:
        data = msgspec.to_builtins(lower(key))
        return data if isinstance(data, str) and isinstance(node, _OWN_TEXT) else encode(data).decode()

    return text


def _key_lift(node: Type) -> Coder:
    if node == STR:
        return _same
    lift = compile_lift(node) or _same

    def key(text: str) -> Any:
        if not isinstance(node, _OWN_TEXT):
            return node.convert(lift(decode(text)))
        raw = lift(text) if node != BOOL else text
        return node.convert(decode(text) if raw is text else raw)  # a number, true or false

    return key


def _scrubbed(data: Any) -> Any:
    if isinstance(data, str):
        return data.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(data, dict):
        return {_scrubbed(key): _scrubbed(item) for key, item in cast("dict[str, Any]", data).items()}
    return [_scrubbed(item) for item in cast("list[Any]", data)] if isinstance(data, (list, tuple)) else data


__all__ = ("SAFE", "TAGS", "UNTAG", "Coder", "compile_lift", "compile_lower", "decode", "encode", "lifted", "lowered")
