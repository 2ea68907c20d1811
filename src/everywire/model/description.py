"""A contract as JSON and back: what every wire that can carry it serves, so that a class arrives exactly.

Types are texts (``"f64"``, ``"str"``) or objects with one key (``{"list": "f64"}``, ``{"struct": "Reading"}``); structs
and enums are described once, under ``types``. Reading builds Python classes for those that are not given.
"""

from __future__ import annotations

import dataclasses
import enum
import keyword
from collections.abc import Mapping
from typing import Any, Final, cast

import msgspec

from everywire.errors import ModelError
from everywire.model.contract import MISSING, Contract, Kind, Member, Parameter
from everywire.model.reading import named_types
from everywire.model.types import (
    ANY,
    BOOL,
    BYTES,
    DATE,
    DATETIME,
    DURATION,
    MAX_DEPTH,
    STR,
    TIME,
    UUID_,
    DictOf,
    EnumType,
    Field,
    Float,
    Int,
    ListOf,
    OptionalOf,
    StructOf,
    TupleOf,
    Type,
)

_PLAIN: Final[Mapping[str, Type]] = {
    "bool": BOOL,
    "str": STR,
    "bytes": BYTES,
    "datetime": DATETIME,
    "date": DATE,
    "time": TIME,
    "duration": DURATION,
    "uuid": UUID_,
    "any": ANY,
    "f64": Float(),
    "f32": Float(32),
    **{f"i{bits}": Int(bits) for bits in (8, 16, 32, 64)},
    **{f"u{bits}": Int(bits, signed=False) for bits in (8, 16, 32, 64)},
}
_NAMES: Final[Mapping[Type, str]] = {node: name for name, node in _PLAIN.items()}
_JSON_SAFE: Final = (bool, int, float, str, type(None))


def describe(contract: Contract) -> bytes:
    """Return *contract* as JSON."""
    types: dict[str, Any] = {}
    for member in contract.members.values():
        for node in named_types(member):
            types[node.name] = _describe_named(node)
    members = [_describe_member(member) for member in contract.members.values()]
    return msgspec.json.encode({"name": contract.name, "doc": contract.doc, "types": types, "members": members})


def read_description(data: bytes) -> Contract:
    """Return the contract in *data*, which a stranger may have written; raise ModelError when it is not one."""
    try:
        raw = msgspec.json.decode(data, type=_Description)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise ModelError(f"not a contract: {error}") from None
    types: dict[str, Type] = {}
    for name, described in raw.types.items():
        types[name] = _read_named(name, described, types)
    members: dict[str, Member] = {}
    for item in raw.members:
        if item.name in members:
            raise ModelError(f"not a contract: two members are called {item.name!r}")
        members[item.name] = _read_member(item, types)
    return Contract(raw.name, members, raw.doc)


class _Value(msgspec.Struct):
    name: str
    type: Any
    default: Any = msgspec.UNSET
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None


class _Member(msgspec.Struct):
    kind: str
    name: str
    parameters: list[_Value]
    result: Any = None
    writable: bool = False
    stream: bool = False
    timeout: float | None = None
    doc: str = ""
    number: int | None = None
    wire_name: str = ""


class _Named(msgspec.Struct):
    fields: list[_Value] | None = None
    members: dict[str, Any] | None = None
    flag: bool = False


class _Description(msgspec.Struct):
    name: str
    members: list[_Member]
    doc: str = ""
    types: dict[str, _Named] = {}


def _describe_member(member: Member) -> dict[str, Any]:
    return {
        "kind": member.kind.value,
        "name": member.name,
        "parameters": [_describe_parameter(parameter) for parameter in member.parameters],
        "result": None if member.result is None else describe_type(member.result),
        "writable": member.writable,
        "stream": member.stream,
        "timeout": member.timeout,
        "doc": member.doc,
        "number": member.number,
        "wire_name": member.wire_name,
    }


def _describe_parameter(parameter: Parameter) -> dict[str, Any]:
    found: dict[str, Any] = {"name": parameter.name, "type": describe_type(parameter.type), "unit": parameter.unit}
    if isinstance(parameter.type, (Int, Float)):
        found.update(minimum=parameter.type.low, maximum=parameter.type.high)
    if parameter.default is not MISSING and isinstance(parameter.default, _JSON_SAFE):
        found["default"] = parameter.default
    elif isinstance(parameter.default, enum.Enum):
        found["default"] = parameter.default.name
    return found


def describe_type(node: Type) -> Any:
    """Return the JSON form of a type, without bounds."""
    if isinstance(node, Int):
        return node.name
    if isinstance(node, Float):
        return node.name
    if isinstance(node, ListOf):
        return {"list": describe_type(node.item)}
    if isinstance(node, TupleOf):
        return {"array" if node.variadic else "tuple": [describe_type(item) for item in node.items]}
    if isinstance(node, DictOf):
        return {"dict": [describe_type(node.key), describe_type(node.value)]}
    if isinstance(node, OptionalOf):
        return {"optional": describe_type(node.item)}
    if isinstance(node, (StructOf, EnumType)):
        return {"struct" if isinstance(node, StructOf) else "enum": node.name}
    return _NAMES[node]


def _describe_named(node: StructOf | EnumType) -> dict[str, Any]:
    if isinstance(node, StructOf):
        return {"fields": [{"name": field.name, "type": describe_type(field.type)} for field in node.fields]}
    plain = all(isinstance(member.value, (int, str)) for member in node.cls)
    values = {name: (m.value if plain else place) for place, (name, m) in enumerate(node.cls.__members__.items())}
    return {"members": values, "flag": node.flag}


def _read_member(item: _Member, types: Mapping[str, Type]) -> Member:
    try:
        kind = Kind(item.kind)
    except ValueError:
        raise ModelError(f"not a contract: {item.name!r} is of unknown kind") from None
    parameters = tuple(_read_parameter(parameter, types) for parameter in item.parameters)
    if kind is Kind.PROPERTY and len(parameters) != 1:
        raise ModelError(f"not a contract: the property {item.name!r} needs one type")
    result = None if item.result is None else _read_type(item.result, types)
    return Member(
        kind,
        item.name,
        parameters,
        result=result,
        writable=item.writable,
        stream=item.stream,
        timeout=item.timeout,
        doc=item.doc,
        number=item.number,
        wire_name=item.wire_name,
    )


def _read_parameter(item: _Value, types: Mapping[str, Type]) -> Parameter:
    node = _read_type(item.type, types)
    if isinstance(node, Int):
        low, high = (None if bound is None else int(bound) for bound in (item.minimum, item.maximum))
        node = dataclasses.replace(node, low=low, high=high)
    elif isinstance(node, Float):
        node = dataclasses.replace(node, low=item.minimum, high=item.maximum)
    default: Any = MISSING if item.default is msgspec.UNSET else item.default
    if isinstance(node, EnumType) and isinstance(default, str):
        default = node.cls.__members__.get(default, MISSING)
    return Parameter(item.name, node, default, item.unit)


def _read_type(raw: Any, types: Mapping[str, Type], depth: int = MAX_DEPTH) -> Type:
    if isinstance(raw, str) and raw in _PLAIN:
        return _PLAIN[raw]
    if depth and isinstance(raw, dict) and len(cast("dict[Any, Any]", raw)) == 1:
        ((key, inner),) = cast("dict[str, Any]", raw).items()
        if key in ("struct", "enum") and inner in types:
            return types[inner]
        if key == "list":
            return ListOf(_read_type(inner, types, depth - 1))
        if key == "optional":
            return OptionalOf(_read_type(inner, types, depth - 1))
        if key in ("tuple", "array", "dict") and isinstance(inner, list):
            nodes = tuple(_read_type(item, types, depth - 1) for item in cast("list[Any]", inner))
            if key == "tuple" or (key == "array" and len(nodes) == 1):
                return TupleOf(nodes, variadic=key == "array")
            if key == "dict" and len(nodes) == 2:
                return DictOf(*nodes)
    raise ModelError("not a contract: a type of unknown form")


def _read_named(name: str, described: _Named, types: Mapping[str, Type]) -> Type:
    if not name.isidentifier() or keyword.iskeyword(name):
        raise ModelError(f"not a contract: {name!r} cannot be the name of a class")
    if described.members:
        base = enum.Flag if described.flag else enum.Enum
        try:
            return EnumType(cast("type[enum.Enum]", base(name, described.members)))
        except (TypeError, ValueError) as error:
            raise ModelError(f"not a contract: enum {name}: {error}") from None
    fields = [(field.name, _read_type(field.type, types)) for field in described.fields or ()]
    bad = [field for field, _ in fields if not field.isidentifier() or keyword.iskeyword(field)]
    if bad or len({field for field, _ in fields}) != len(fields):
        raise ModelError(f"not a contract: the fields of {name} cannot be attributes")
    cls = dataclasses.make_dataclass(name, [(field, Any) for field, _ in fields])
    return StructOf(cls, tuple(Field(field, node) for field, node in fields))
