"""Values as JSON data and back."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given

from everywire.errors import ModelError
from everywire.model.annotations import type_of
from everywire.model.plain import from_plain, to_plain
from everywire.model.types import ANY, BYTES, DATE, STR, DictOf, EnumType, Float, Int, ListOf, OptionalOf, TupleOf, Type
from tests.model.samples import Doors, Mode, Reading
from tests.model.test_compile import LEAVES, VALUES, nodes, outcome, same


def without_any(node: Type) -> bool:
    """Values of type Any carry no type with them in JSON."""
    return node is not ANY and all(map(without_any, node.parts))


@given(nodes(), VALUES)
def test_every_value_survives_json(node: Type, value: Any) -> None:
    kind, converted = outcome(lambda: node.convert(value))
    if kind is None and without_any(node):
        raw = msgspec.json.decode(msgspec.json.encode(to_plain(node, converted)))
        assert same(from_plain(node, raw), converted)


@pytest.mark.parametrize("node", [node for node in LEAVES if without_any(node)], ids=str)
def test_the_zero_of_every_type_survives_json(node: Type) -> None:
    raw = json.loads(msgspec.json.encode(to_plain(node, node.zero)))
    assert from_plain(node, raw) == node.zero


@pytest.mark.parametrize(
    "node, raw",
    [
        (Int(), "x"),
        (Float(), "x"),
        (Float(low=0.0), "nan"),
        (STR, 5),
        (BYTES, "é"),
        (DATE, "yesterday"),
        (EnumType(Mode), "BOTH"),
        (EnumType(Mode), []),
        (EnumType(Doors), 4),
        (EnumType(Doors), "LEFT"),
        (ListOf(Int()), 5),
        (ListOf(Int()), "x"),
        (TupleOf((Int(),)), [1, 2]),
        (TupleOf((Int(),), variadic=True), 5),
        (DictOf(STR, Int()), [[1]]),
        (DictOf(STR, Int()), 5),
        (type_of(Reading), 5),
        (type_of(Reading), {"at": "x"}),
        (OptionalOf(Int()), "x"),
        (ANY, {"a": 2**70}),
    ],
)
def test_what_is_no_value_of_the_type_is_a_model_error(node: Type, raw: Any) -> None:
    with pytest.raises(ModelError):
        from_plain(node, raw)
