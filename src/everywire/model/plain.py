"""Values as JSON data and back, by their types: for the defaults in a contract's description."""

from __future__ import annotations

import math
from typing import Any, cast

import msgspec

from everywire.errors import ModelError
from everywire.model.types import DictOf, EnumType, Float, ListOf, OptionalOf, StructOf, TupleOf, Type, short


def to_plain(node: Type, value: Any) -> Any:
    """Return a checked *value* of the type *node* as what JSON has."""
    match node:
        case OptionalOf():
            return None if value is None else to_plain(node.item, value)
        case ListOf():
            return [to_plain(node.item, item) for item in value]
        case TupleOf():
            items = node.items * len(value) if node.variadic else node.items
            return [to_plain(item, part) for item, part in zip(items, value, strict=True)]
        case DictOf():
            return [[to_plain(node.key, key), to_plain(node.value, item)] for key, item in value.items()]
        case StructOf():
            return {field.name: to_plain(field.type, getattr(value, field.name)) for field in node.fields}
        case EnumType():
            return value.value if node.flag else value.name
        case Float() if not math.isfinite(value):
            return str(value)  # JSON has no NaN and no infinity
        case _:
            return msgspec.to_builtins(value)


def from_plain(node: Type, raw: Any) -> Any:
    """Return the value of the type *node* that `to_plain` gave *raw*; raise ModelError for anything else."""
    try:
        return node.convert(_revive(node, raw))
    except ModelError:
        raise
    except (TypeError, ValueError, KeyError) as error:  # a stranger's: too few parts, no such member, no such text
        raise ModelError(f"{short(raw)} is not a {node.name}: {short(str(error))}") from None


def _revive(node: Type, raw: Any) -> Any:
    match node:
        case OptionalOf():
            return None if raw is None else _revive(node.item, raw)
        case ListOf():
            return [_revive(node.item, item) for item in raw]
        case TupleOf():
            items = node.items * len(raw) if node.variadic else node.items
            return [_revive(item, part) for item, part in zip(items, raw, strict=True)]
        case DictOf():
            return {_revive(node.key, key): _revive(node.value, item) for key, item in raw}
        case StructOf():
            given = cast("dict[str, Any]", dict(raw))
            return {field.name: _revive(field.type, given[field.name]) for field in node.fields if field.name in given}
        case EnumType():
            return node.cls(raw) if node.flag else node.cls[raw]
        case Float():
            return float(raw) if isinstance(raw, str) else raw
        case _:
            return raw if node.exact is None else cast("Any", msgspec.convert(raw, node.exact))
