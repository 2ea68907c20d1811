"""Hypothesis strategies for every type of the algebra, and one class that has a member of each. No tests."""

from __future__ import annotations

import string
from datetime import date, datetime, time, timedelta
from typing import Any, Final
from uuid import UUID

from hypothesis import strategies as st

from everywire import Object, Property, contract_of, prop, signal, slot
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
)
from tests.conformance.plant import SAMPLES


def _everything() -> type[Object]:
    """A class with a writable property, a signal and a slot of every type."""
    namespace: dict[str, Any] = {"__annotations__": {}}
    for sample in SAMPLES:
        annotation = sample.annotation

        async def echo(self: Object, value: Any) -> Any:
            return value

        def said(self: Object, value: Any, number: int) -> None: ...

        echo.__annotations__ = {"value": annotation, "return": annotation}
        said.__annotations__ = {"value": annotation, "number": int, "return": None}
        namespace["__annotations__"][f"value_{sample.name}"] = Property[annotation]
        namespace[f"value_{sample.name}"] = prop(factory=lambda sample=sample: sample.values[0], writable=True)
        namespace[f"said_{sample.name}"] = signal(said)
        namespace[f"echo_{sample.name}"] = slot(echo)
    return type("Everything", (Object,), namespace)


Everything: Final = _everything()
CONTRACT: Final = contract_of(Everything)
KINDS: Final = tuple(sample.name for sample in SAMPLES)
TYPES: Final[dict[str, Type]] = {name: CONTRACT.members[f"value_{name}"].type for name in KINDS}

_MILLISECONDS: Final = st.integers(0, 999).map(lambda number: number * 1000)
_TIMES: Final = st.builds(time, st.integers(0, 23), st.integers(0, 59), st.integers(0, 59), _MILLISECONDS)
_TEXT: Final = st.text(max_size=20)  # without lone surrogates
_EXACT: Final[dict[type, st.SearchStrategy[Any]]] = {
    bool: st.booleans(),
    str: _TEXT,
    date: st.dates(),
    time: _TIMES,
    datetime: st.builds(datetime.combine, st.dates(), _TIMES),
    timedelta: st.integers(-(10**15), 10**15).map(lambda number: timedelta(milliseconds=number)),
    UUID: st.uuids(),
}
_ANY: Final = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | _TEXT | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(string.ascii_letters), inner, max_size=3),
    max_leaves=6,
)


def values_of(node: Type) -> st.SearchStrategy[Any]:
    """Return a strategy for checked values of *node*."""
    match node:
        case Exact():
            return _EXACT[node.kind]
        case Int():
            return st.integers(*node.bounds)
        case Float():
            return st.floats(node.low, node.high, allow_nan=False, width=node.bits)  # type: ignore[arg-type]
        case Bytes():
            return st.binary(max_size=40)
        case EnumType() if node.flag:
            return st.sets(st.sampled_from(list(node.cls))).map(lambda some: _union(node.cls, some))
        case EnumType():
            return st.sampled_from(list(node.cls))
        case ListOf():
            return st.lists(values_of(node.item), max_size=4)
        case TupleOf() if node.variadic:
            return st.lists(values_of(node.items[0]), max_size=4).map(tuple)
        case TupleOf():
            return st.tuples(*map(values_of, node.items))
        case DictOf():
            return st.dictionaries(values_of(node.key), values_of(node.value), max_size=4)
        case OptionalOf():
            return st.none() | values_of(node.item)
        case StructOf():
            return st.builds(node.cls, **{field.name: values_of(field.type) for field in node.fields})
        case AnyType():
            return _ANY
    raise AssertionError(f"no strategy for {node!r}")


def _union(cls: Any, some: set[Any]) -> Any:
    number = 0
    for member in some:
        number |= member.value
    return cls(number)


VALUES: Final = {name: values_of(node) for name, node in TYPES.items()}
