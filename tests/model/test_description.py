"""Contracts as JSON and back: nothing is lost, and nothing a stranger writes raises anything but ModelError."""

from __future__ import annotations

import gc
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everywire.errors import ModelError
from everywire.model import Contract, Kind, Member, Object, Parameter, contract_of
from everywire.model.building import build_class
from everywire.model.description import describe, describe_type, read_description
from everywire.model.types import EnumType, StructOf, Type
from tests.model.samples import Everything, Room
from tests.model.test_compile import nodes


def shape(node: Type | None) -> Any:
    """Everything about a type but the identity of its classes."""
    match node:
        case StructOf():
            fields = [(field.name, shape(field.type), field.required) for field in node.fields]
            return ("struct", node.name, fields, node.frozen)
        case EnumType():
            return ("enum", node.name, dict(node.keys), list(node.cls.__members__), node.flag)
        case None:
            return None
        case _ if node.parts:
            return (type(node), getattr(node, "variadic", None), [shape(part) for part in node.parts])
        case _:
            return node


def facts(contract: Contract) -> Any:
    """Everything that a contract says, comparable across classes that were built."""
    members = [
        (
            member.kind,
            name,
            [(p.name, shape(p.type), plain(p.default), p.unit) for p in member.parameters],
            shape(member.result),
            (member.writable, member.stream, member.timeout, member.doc, member.number, member.wire_name),
        )
        for name, member in contract.members.items()
    ]
    return contract.name, contract.doc, members


def plain(value: Any) -> str:
    """Text of a default, by which equal ones of different classes compare: enums by name, structs by fields."""
    return repr(value).replace("(1, 2)", "0")  # an enum of odd values gets places for values


@pytest.mark.parametrize("cls", [Room, Everything])
def test_a_contract_survives_json(cls: type[Object]) -> None:
    contract = contract_of(cls)
    found = read_description(describe(contract))
    assert facts(found) == facts(contract)
    assert describe(found) == describe(contract)


@given(st.lists(nodes(), max_size=4), st.booleans())
def test_every_type_survives_json(types: list[Type], stream: bool) -> None:
    parameters = tuple(Parameter(f"p{n}", node, node.zero, "Cel") for n, node in enumerate(types))
    result = types[0] if types else None
    members = {
        "told": Member(Kind.SIGNAL, "told", parameters),
        "act": Member(Kind.SLOT, "act", parameters[::-1], result=result, stream=stream and result is not None),
        **{f"p{n}": Member(Kind.PROPERTY, f"p{n}", (Parameter(f"p{n}", node),)) for n, node in enumerate(types)},
    }
    contract = Contract("C", members)
    assert facts(read_description(describe(contract))) == facts(contract)


def test_bounds_go_with_the_type_wherever_it_stands() -> None:
    members = contract_of(Everything).members
    assert describe_type(members["r"].type) == {"list": {"i64": [0, 9]}}
    assert describe_type(members["g"].type) == {"f64": [0.0, None]}


# ---------------------------------------------------------------------------------------------------- hostile
def described(**changes: Any) -> bytes:
    return json.dumps({"name": "C", "members": [], **changes}).encode()


def member(**changes: Any) -> dict[str, Any]:
    return {"kind": "slot", "name": "act", "parameters": [], **changes}


def parameter(kind: Any, **changes: Any) -> dict[str, Any]:
    return {"name": "p", "type": kind, **changes}


def of_type(kind: Any, **changes: Any) -> bytes:
    return described(members=[member(parameters=[parameter(kind)])], **changes)


def tower(height: int, width: int) -> dict[str, Any]:
    """Structs of structs, each with *width* of the one below: exponential in its text."""
    types: dict[str, Any] = {"T0": {"fields": [parameter("f64")]}}
    for level in range(1, height):
        fields = [{"name": f"p{n}", "type": {"struct": f"T{level - 1}"}} for n in range(width)]
        types[f"T{level}"] = {"fields": fields}
    return types


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"null",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"name": "' + b"x" * 10,
        described(name=5),
        described(members={}),
        described(members=[5]),
        described(members=[member(kind="field")]),
        described(members=[member(), member()]),
        described(members=[member(kind="property")]),
        described(members=[member(timeout=0)]),
        described(members=[member(timeout=-1)]),
        described(members=[member(stream=True)]),
        described(members=[member(kind="signal", stream=True, result="f64")]),
        described(members=[member(parameters=[parameter("i64", default=1), parameter("i64")])]),
        described(members=[member(parameters=[parameter("i64", default="x")])]),
        described(members=[member(parameters=[parameter("i8", default=200)])]),
        described(
            members=[member(parameters=[parameter({"enum": "E"}, default="C")])], types={"E": {"members": {"A": 1}}}
        ),
        described(members=[member(result="complex")]),
        of_type("complex"),
        of_type(None),
        of_type(5),
        of_type([]),
        of_type({}),
        of_type({"list": "f64", "optional": "f64"}),
        of_type({"list": ["f64"]}),
        of_type({"struct": "Nowhere"}),
        of_type({"struct": ["f64"]}),
        of_type({"struct": {}}),
        of_type({"enum": "T0"}, types=tower(1, 0)),
        of_type({"array": ["f64", "f64"]}),
        of_type({"array": []}),
        of_type({"tuple": "f64"}),
        of_type({"dict": ["str"]}),
        of_type({"dict": [{"list": "str"}, "str"]}),
        of_type({"f64": [2, 1]}),
        of_type({"f64": [1]}),
        of_type({"f64": ["1", 2]}),
        of_type({"f64": 5}),
        of_type({"str": [1, 2]}),
        of_type({"i8": [200, None]}),
        of_type({"i64": [0, 10**400]}),
        of_type({"f64": [0, 10**400]}),
        of_type({"f64": [0, 1]}).replace(b"[0, 1]", b"[0, " + b"1" * 5000 + b"]"),
        described(types={"class": {"fields": []}}),
        described(types={"__class__": {"fields": []}}),
        described(types={"a b": {"fields": []}}),
        described(types={"x\ny": {"members": {"A": 1}}}),
        described(types={"S": {"fields": [parameter("f64"), parameter("f64")]}}),
        described(types={"S": {"fields": [{"name": "__init__", "type": "f64"}]}}),
        described(types={"S": {"fields": [{"name": "import", "type": "f64"}]}}),
        described(types={"S": {"fields": [{"name": "x = 1", "type": "f64"}]}}),
        described(types={"S": {"fields": [parameter({"struct": "S"})]}}),
        described(types={"E": {"members": {}}}),
        described(types={"E": {"members": {"A": 1.5}}}),
        described(types={"E": {"members": {"A": True}}}),
        described(types={"E": {"members": {"mro": 1}}}),
        described(types={"E": {"members": {"__init__": 1}}}),
        described(types={"E": {"members": {"_ignore_": "A"}}}),
        described(types={"E": {"members": {"A": "x"}, "flag": True}}),
        described(types={"E": {"members": {"A": -1}, "flag": True}}),
        described(types={"E": {"members": {"A": 1 << 64}, "flag": True}}),
        described(types={"E": {"members": {"A": 0}, "flag": True}}),
        described(types=tower(40, 2)),
        described(types=tower(4, 30)),
        described(types=tower(70, 1)),
        of_type({"tuple": [{"struct": "T11"}] * 5}, types=tower(12, 2)),
        described(members=[member(result={"tuple": [{"struct": "T11"}] * 5})], types=tower(12, 2)),
    ],
    ids=lambda data: data[:60].decode("latin-1") if isinstance(data, bytes) else None,
)
def test_what_is_no_contract_is_a_model_error(data: bytes) -> None:
    with pytest.raises(ModelError, match="not a contract: "):
        read_description(data)


def test_deep_types_are_refused() -> None:
    kind: Any = "f64"
    for _ in range(63):
        kind = {"list": kind}
    read_description(of_type(kind))
    with pytest.raises(ModelError):
        read_description(of_type({"list": {"list": kind}}))


JSON = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(max_size=4),
        st.sampled_from(["f64", "i8", "str", "any", "list", "slot", "property", "E", "S", "name", "value", "__doc__"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.text(max_size=3) | st.sampled_from(["list", "dict", "tuple", "array", "struct", "enum", "f64"]),
            inner,
            max_size=2,
        ),
    ),
    max_leaves=6,
)
NAMES = st.one_of(st.sampled_from(["E", "S", "a", "name", "value", "mro", "_x", "__x__", "class"]), st.text(max_size=3))
DESCRIPTIONS = st.fixed_dictionaries(
    {
        "name": NAMES,
        "members": st.lists(
            st.fixed_dictionaries(
                {
                    "kind": st.sampled_from(["slot", "signal", "property", "x"]),
                    "name": NAMES,
                    "parameters": st.lists(
                        st.fixed_dictionaries({"name": NAMES, "type": JSON}, optional={"default": JSON, "unit": JSON}),
                        max_size=2,
                    ),
                },
                optional={"result": JSON, "timeout": JSON, "stream": st.booleans(), "number": JSON, "doc": NAMES},
            ),
            max_size=3,
        ),
    },
    optional={
        "types": st.dictionaries(
            NAMES,
            st.one_of(
                JSON,
                st.fixed_dictionaries(
                    {"members": st.dictionaries(NAMES, st.one_of(st.integers(-2, 4), NAMES), max_size=3)},
                    optional={"flag": st.booleans()},
                ),
                st.fixed_dictionaries(
                    {
                        "fields": st.lists(
                            st.fixed_dictionaries({"name": NAMES, "type": JSON}, optional={"required": st.booleans()}),
                            max_size=3,
                        )
                    },
                    optional={"frozen": st.booleans()},
                ),
            ),
            max_size=3,
        )
    },
)


@settings(max_examples=400)
@given(DESCRIPTIONS)
def test_whatever_a_stranger_writes_is_a_contract_or_a_model_error(raw: Any) -> None:
    try:
        contract = read_description(json.dumps(raw).encode())
    except ModelError:
        return
    assert facts(read_description(describe(contract))) == facts(contract)
    instance = build_class(contract)()
    for name, found in contract.members.items():
        if found.kind is Kind.PROPERTY:
            assert instance._everywire.values[name] == found.type.zero


@given(st.binary(max_size=60))
def test_any_bytes_are_a_contract_or_a_model_error(data: bytes) -> None:
    with pytest.raises(ModelError):
        read_description(data)


def test_the_classes_of_a_contract_go_with_it() -> None:
    def count() -> int:
        gc.collect()
        return sum(1 for found in gc.get_objects() if isinstance(found, type) and found.__name__ == "Forgotten")

    read_description(described(types={"Forgotten": {"fields": [parameter("f64")]}}))
    assert count() == 0


@pytest.mark.parametrize(
    "raw",
    [
        {"members": [{"kind": "slot", "name": f"m{n}", "parameters": []} for n in range(5000)]},
        {"members": [{"kind": "slot", "name": "m", "parameters": [{"name": "p", "type": "f64"}] * 300}]},
        {"members": [], "types": {"E": {"members": {f"a{n}": n for n in range(5000)}}}},
    ],
)
def test_a_description_larger_than_any_real_one_is_refused(raw: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match="are the most"):
        read_description(json.dumps({"name": "C", **raw}).encode())
