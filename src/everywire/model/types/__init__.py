"""The closed type algebra of contracts: what a value may be, checked and converted the same way for every wire.

Each node converts a Python value to the value that is stored and sent (`convert`), says whether such values are
immutable (`immutable`: compared before they are announced), and which values it accepts as they stand (`exact`: all of
a class; `test`: source text for the compiled checks of `model/compile.py`). `model/annotations.py` builds nodes.
"""

from __future__ import annotations

import types
from typing import Any

from everywire.model.types.base import (
    MAX_DEPTH,
    Type,
    equal,
    refuse,
    short,
)
from everywire.model.types.compounds import (
    DictOf,
    Field,
    ListOf,
    OptionalOf,
    StructOf,
    TupleOf,
)
from everywire.model.types.handles import (
    DESCRIPTOR,
    NODE,
    Handle,
    holds_handle,
)
from everywire.model.types.objects import (
    ObjectOf,
    child_type,
    holds_object,
)
from everywire.model.types.scalars import (
    BOOL,
    BYTES,
    DATE,
    DATETIME,
    DURATION,
    STR,
    TIME,
    UUID_,
    Bytes,
    EnumType,
    Exact,
    Float,
    Form,
    Int,
)
from everywire.model.types.variant import (
    ANY,
    ATOMS,
    AnyType,
    is_atom,
)

__all__ = (
    "ANY",
    "ATOMS",
    "BOOL",
    "BYTES",
    "DATE",
    "DATETIME",
    "DESCRIPTOR",
    "DURATION",
    "MAX_DEPTH",
    "NODE",
    "STR",
    "TIME",
    "UUID_",
    "AnyType",
    "Bytes",
    "DictOf",
    "EnumType",
    "Exact",
    "Field",
    "Float",
    "Form",
    "Handle",
    "Int",
    "ListOf",
    "ObjectOf",
    "OptionalOf",
    "StructOf",
    "TupleOf",
    "Type",
    "child_type",
    "equal",
    "holds_handle",
    "holds_object",
    "is_atom",
    "python_type",
    "refuse",
    "short",
    "type_name",
)


def python_type(node: Type) -> Any:
    """Return the annotation a person would write for *node*, for signatures of replicas."""
    if node.exact is not None:
        return node.exact
    if isinstance(node, Exact):
        return node.kind
    if isinstance(node, (EnumType, StructOf, ObjectOf)):
        return node.cls
    if isinstance(node, ListOf):
        return types.GenericAlias(list, (python_type(node.item),))
    if isinstance(node, TupleOf):
        items = tuple(python_type(item) for item in node.items)
        return types.GenericAlias(tuple, (*items, ...) if node.variadic else items)
    if isinstance(node, DictOf):
        return types.GenericAlias(dict, (python_type(node.key), python_type(node.value)))
    if isinstance(node, OptionalOf):
        return python_type(node.item) | None
    return int if isinstance(node, Int) else float if isinstance(node, Float) else Any


def type_name(node: Type) -> str:
    """Return what a person would write for a type."""
    return node.name
