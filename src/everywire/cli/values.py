"""Values between a terminal and a contract: text and JSON to values, values to JSON and to text for people.

JSON is as on every wire that speaks it (MAPPINGS 3): enums by name, flags as numbers, bytes in base64, times in
RFC 3339, whole numbers beyond 2**53 and numbers that are not finite as text.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import enum
import json
import math
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from typing import Any, Final, cast
from uuid import UUID

import msgspec

from everywire.cli.exits import listed, suggestion
from everywire.codec.json import encode
from everywire.errors import ModelError
from everywire.model import Object
from everywire.model.types import (
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
    short,
    type_name,
)

_EXACT_INTEGERS: Final = 2**53
"""Beyond it a JSON number is not read back exactly by everybody (RFC 8259 §6)."""

_BOOLS: Final = {
    **dict.fromkeys(("true", "yes", "on", "1"), True),
    **dict.fromkeys(("false", "no", "off", "0"), False),
}


# ------------------------------------------------------------------------------------------------------- inwards
def from_text(node: Type, text: str) -> Any:
    """Return the value of type *node* that a person wrote as *text*; raise ModelError that says what was expected.

    Lists, dicts, tuples and structs are JSON; so is a value of type Any, or plain text where it is no JSON.
    """
    if isinstance(node, OptionalOf):
        return None if text in ("null", "none", "None") else from_text(node.item, text)
    if isinstance(node, (ListOf, TupleOf, DictOf, StructOf)):
        return from_json(node, _parsed(text, f"{type_name(node)} as JSON"))
    if isinstance(node, AnyType):
        try:
            return msgspec.json.decode(text)
        except msgspec.DecodeError:
            return text
        except RecursionError:
            raise ModelError("expected JSON or text, got something that is nested too deep") from None
    return node.convert(_plain(node, text))


def from_json(node: Type, raw: Any) -> Any:
    """Return the value of type *node* that decoded JSON stands for; raise ModelError."""
    if isinstance(node, OptionalOf):
        return None if raw is None else from_json(node.item, raw)
    if isinstance(node, (ListOf, TupleOf)) and isinstance(raw, list):
        items = cast("list[Any]", raw)
        types = node.items if isinstance(node, TupleOf) and not node.variadic else ()
        inner = node.item if isinstance(node, ListOf) else node.items[0] if node.items else node
        return node.convert([from_json(types[n] if n < len(types) else inner, item) for n, item in enumerate(items)])
    if isinstance(node, (DictOf, StructOf)) and isinstance(raw, dict):
        return node.convert(_from_object(node, cast("dict[str, Any]", raw)))
    if isinstance(raw, str) and isinstance(node, (Exact, Int, Float, Bytes, EnumType)):
        return node.convert(_plain(node, raw))
    if isinstance(node, EnumType) and isinstance(raw, int):
        return node.from_int(raw)
    return node.convert(raw)


def parse_json(text: str) -> Any:
    """Return what the JSON *text* says; raise ModelError where it is none."""
    return _parsed(text, "JSON")


def _from_object(node: DictOf | StructOf, raw: dict[str, Any]) -> Mapping[Any, Any]:
    if isinstance(node, DictOf):
        return {from_text(node.key, key): from_json(node.value, value) for key, value in raw.items()}
    fields = {field.name: field.type for field in node.fields}
    return {key: from_json(fields[key], value) if key in fields else value for key, value in raw.items()}


def _parsed(text: str, expected: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise ModelError(f"expected {expected}, got {short(text)!r} ({error})") from None
    except RecursionError:
        raise ModelError(f"expected {expected}, got something that is nested too deep") from None


def _plain(node: Type, text: str) -> Any:
    """Return the value of a type that has one word for each value."""
    if isinstance(node, EnumType):
        return _member_of(node, text)
    try:
        return _READERS[node.kind if isinstance(node, Exact) else type(node)](text)
    except (ValueError, KeyError, msgspec.ValidationError):
        name = type_name(node)
        raise ModelError(f"expected {_FORMS.get(type(node)) or _FORMS.get(name, name)}, got {short(text)!r}") from None


def _member_of(node: EnumType, text: str) -> enum.Enum:
    names = node.cls.__members__
    if text not in names and text.lstrip("-").isdigit():
        return node.from_int(int(text))
    if node.flag:
        together: Any = node.zero
        for part in text.split("|"):
            together |= _one_of(node, part.strip())
        return cast("enum.Enum", together)
    return _one_of(node, text)


def _one_of(node: EnumType, text: str) -> enum.Enum:
    by_lower = {name.lower(): member for name, member in node.cls.__members__.items()}
    found = node.cls.__members__.get(text) or by_lower.get(text.lower())
    if found is None:
        names = tuple(node.cls.__members__)
        raise ModelError(f"expected {node.name} ({listed(names)}), got {text!r}.{suggestion(text, names)}")
    return found


def _duration(text: str) -> timedelta:
    try:
        return timedelta(seconds=float(text))
    except ValueError:
        return msgspec.convert(text, timedelta)


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from None


_READERS: Final[Mapping[type, Callable[[str], Any]]] = {
    bool: lambda text: _BOOLS[text.lower()],
    str: str,
    datetime: datetime.fromisoformat,
    date: date.fromisoformat,
    time: time.fromisoformat,
    timedelta: _duration,
    UUID: UUID,
    Int: lambda text: int(text, 0),
    Float: float,
    Bytes: _base64,
}

_FORMS: Final[Mapping[Any, str]] = {
    Int: "a whole number",
    Float: "a number",
    Bytes: "bytes in base64",
    "bool": "true or false",
    "datetime": "a time such as 2026-01-31T12:00:00",
    "date": "a date such as 2026-01-31",
    "time": "a time of day such as 12:00:00",
    "timedelta": "seconds, or a duration such as PT1H30M",
}
"""What people call the values of a type."""


# ------------------------------------------------------------------------------------------------------ outwards
def jsonable(value: Any) -> Any:
    """Return *value* made of what `msgspec.json.encode` writes as the module's text says."""
    if isinstance(value, enum.Enum):
        return value.value if isinstance(value, enum.Flag) else value.name
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _EXACT_INTEGERS:
        return str(value)
    if isinstance(value, Mapping):
        return {_key(key): jsonable(item) for key, item in cast("Mapping[Any, Any]", value).items()}
    if isinstance(value, (list, tuple)):
        return [jsonable(item) for item in cast("list[Any]", value)]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: jsonable(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, msgspec.Struct):
        return {name: jsonable(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, Object):  # a child object: its properties as they are now
        return {name: jsonable(item) for name, item in value._everywire.values.items()}
    return value


def to_json(value: Any) -> str:
    """Return *value* as one line of JSON."""
    return printable_json(encode(jsonable(value)).decode())


def printable_json(text: str) -> str:
    """Return JSON with every unprintable character, which could play tricks on a terminal, as an escape of JSON."""
    if text.isprintable():
        return text
    return "".join(mark if mark.isprintable() else json.dumps(mark)[1:-1] for mark in text)


def to_text(value: Any, unit: str = "") -> str:
    """Return *value* for people: numbers with their unit, texts as they are, whatever has parts as JSON.

    Control characters, which could play tricks on a terminal, are shown as escapes; lines and tabs stay.
    """
    if isinstance(value, str):
        return "\n".join("\t".join(map(visible, line.split("\t"))) for line in value.split("\n"))
    if isinstance(value, enum.Enum):
        return str(value.name or value.value)
    plain = jsonable(value)
    text = repr(plain) if type(plain) in (int, float) else to_json(value).strip('"')
    return f"{text} {unit}" if unit else text


def visible(text: str) -> str:
    """Return *text*, which may come from a stranger, with every unprintable character as an escape."""
    if text.isprintable():
        return text
    return "".join(mark if mark.isprintable() else mark.encode("unicode_escape").decode() for mark in text)


def _key(key: Any) -> str:
    plain = jsonable(key)
    return plain if isinstance(plain, str) else to_json(key).strip('"')
