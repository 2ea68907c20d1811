"""A contract as JSON and back: what every wire that can carry it serves, so that a class arrives exactly.

Types are texts (``"f64"``, ``"str"``) or objects with one key (``{"list": "f64"}``, ``{"f64": [5, 35]}`` with bounds,
``{"struct": "Reading"}``); structs and enums are described once, under ``types``, inner ones first, and the classes of
child objects once, under ``objects``. Reading builds Python classes for all of them; a stranger's text becomes their
names only after it was checked, and never source.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Final, NamedTuple, cast

import msgspec

from everywire.errors import ModelError
from everywire.model.annotations import bounded
from everywire.model.building import empty_class, fill_class
from everywire.model.contract import MISSING, Contract, Kind, Member, Parameter
from everywire.model.names import is_public
from everywire.model.objects import Object
from everywire.model.plain import from_plain, to_plain
from everywire.model.reading import check_objects, contract_of, named_types, with_children
from everywire.model.types import (
    ANY,
    BOOL,
    BYTES,
    DATE,
    DATETIME,
    DESCRIPTOR,
    DURATION,
    MAX_DEPTH,
    STR,
    TIME,
    UUID_,
    AnyType,
    DictOf,
    EnumType,
    Field,
    Float,
    Int,
    ListOf,
    ObjectOf,
    OptionalOf,
    StructOf,
    TupleOf,
    Type,
    child_type,
    python_type,
    short,
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
    "descriptor": DESCRIPTOR,
    "f64": Float(),
    "f32": Float(32),
    **{f"i{bits}": Int(bits) for bits in (8, 16, 32, 64)},
    **{f"u{bits}": Int(bits, signed=False) for bits in (8, 16, 32, 64)},
}
Named = Mapping[str, StructOf | EnumType | ObjectOf]
"""The types that a description has described, by name."""

_NAMES: Final[Mapping[Type, str]] = {node: name for name, node in _PLAIN.items()}

MAX_WEIGHT: Final = 4096
"""Most types that a described type may consist of: structs of structs grow exponentially with their text."""

MOST_MEMBERS: Final = 4096
"""Members of a described class or enum, and types of a description: a stranger must not keep us busy for long."""

MOST_CLASSES: Final = 256
"""Classes of child objects of a description."""

MOST_PARAMETERS: Final = 256
"""Parameters of a described signal or slot."""


def describe(contract: Contract) -> bytes:
    """Return *contract* as JSON."""
    types: dict[str, Any] = {}
    objects: dict[str, Any] = {}
    for described in with_children([contract]):
        for member in described.members.values():
            for node in named_types(member):
                types[node.name] = _describe_named(node)
            child = child_type(member.type) if member.kind is Kind.PROPERTY else None
            if child is not None and _name_of_class(child):
                objects[child.name] = _describe_class(contract_of(child.cls))
    found = {"name": contract.name, "doc": contract.doc, "types": types, "members": _describe_members(contract)}
    return msgspec.json.encode({**found, "objects": objects} if objects else found)


def read_description(data: bytes) -> Contract:
    """Return the contract in *data*, which a stranger may have written; raise ModelError when it is not one."""
    try:
        raw = msgspec.json.decode(data, type=_Description)
        _check_counts(raw)
        types: dict[str, StructOf | EnumType | ObjectOf] = {}
        sizes: dict[str, _Size] = {}
        for name, described in raw.types.items():
            types[name] = node = _read_named(name, described, types)
            sizes[name] = _checked_size(node, sizes)
        _read_classes(raw.objects, types, sizes)
        members = _read_members(raw.members, types, sizes)
    except (ModelError, msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise ModelError(f"not a contract: {error}") from None
    return Contract(raw.name, members, raw.doc)


class _Value(msgspec.Struct):
    name: str
    type: Any
    default: Any = msgspec.UNSET
    unit: str = ""


class _Field(msgspec.Struct):
    name: str
    type: Any
    required: bool = True


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
    fields: list[_Field] | None = None
    frozen: bool = False
    members: dict[str, int | str] | None = None
    flag: bool = False


class _Class(msgspec.Struct):
    members: list[_Member]
    doc: str = ""


class _Description(msgspec.Struct):
    name: str
    members: list[_Member]
    doc: str = ""
    types: dict[str, _Named] = {}
    objects: dict[str, _Class] = {}


def _check_counts(raw: _Description) -> None:
    members = [*raw.members, *(member for described in raw.objects.values() for member in described.members)]
    counts = [(len(members), MOST_MEMBERS), (len(raw.types), MOST_MEMBERS), (len(raw.objects), MOST_CLASSES)]
    counts += [(len(member.parameters), MOST_PARAMETERS) for member in members]
    for named in raw.types.values():
        counts += [(len(named.members or ()), MOST_MEMBERS), (len(named.fields or ()), MOST_MEMBERS)]
    for count, most in counts:
        if count > most:
            raise ModelError(f"{count} members, parameters or fields where {most} are the most")


def _describe_class(contract: Contract) -> dict[str, Any]:
    return {"doc": contract.doc, "members": _describe_members(contract)}


def _describe_members(contract: Contract) -> list[dict[str, Any]]:
    return [_describe_member(member) for member in contract.members.values()]


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
    if parameter.default is not MISSING:
        found["default"] = to_plain(parameter.type, parameter.default)
    return found


def describe_type(node: Type) -> Any:
    """Return the JSON form of a type."""
    match node:
        case Int() | Float():
            return node.name if node.low is None and node.high is None else {node.name: [node.low, node.high]}
        case ListOf():
            return {"list": describe_type(node.item)}
        case TupleOf():
            return {"array" if node.variadic else "tuple": [describe_type(item) for item in node.items]}
        case DictOf():
            return {"dict": [describe_type(node.key), describe_type(node.value)]}
        case OptionalOf():
            return {"optional": describe_type(node.item)}
        case StructOf():
            return {"struct": node.name}
        case EnumType():
            return {"enum": node.name}
        case ObjectOf():
            return {"object": _name_of_class(node)}
        case AnyType():  # also those by which a wire remembers what the other side calls it
            return "any"
        case _:
            return _NAMES[node]


def _name_of_class(node: ObjectOf) -> str:
    """Return the name of a class of children; none where any object will do."""
    return "" if node.cls is Object else node.name


def _describe_named(node: StructOf | EnumType) -> dict[str, Any]:
    if isinstance(node, StructOf):
        fields = [{"name": f.name, "type": describe_type(f.type), "required": f.required} for f in node.fields]
        return {"fields": fields, "frozen": node.frozen}
    plain = all(type(member.value) in (int, str) for member in node.cls)
    places = {member: place for place, member in enumerate(node.cls)}
    members = node.cls.__members__.items()
    return {"members": {name: m.value if plain or node.flag else places[m] for name, m in members}, "flag": node.flag}


def _read_classes(described: Mapping[str, _Class], types: dict[str, Any], sizes: Mapping[str, _Size]) -> None:
    """Add the classes of child objects to *types*; they may name each other, and themselves."""
    for name, item in described.items():
        if not is_public(name) or name in types:
            raise ModelError(f"{short(name)} cannot be the name of a class, or is that of a type")
        types[name] = ObjectOf(empty_class(name, item.doc))
    contracts = {
        name: Contract(name, _read_members(item.members, types, sizes), item.doc) for name, item in described.items()
    }
    _check_endings(contracts)
    for name, contract in contracts.items():
        fill_class(types[name].cls, contract)


def _check_endings(contracts: Mapping[str, Contract]) -> None:
    """Raise ModelError when an object of one of the classes must hold objects without end."""
    needs = {
        name: [m.type.name for m in contract.of_kind(Kind.PROPERTY) if isinstance(m.type, ObjectOf)]
        for name, contract in contracts.items()
    }
    while ready := [name for name, others in needs.items() if not any(other in needs for other in others)]:
        for name in ready:
            del needs[name]
    if needs:
        raise ModelError(f"{short(next(iter(needs)))} must hold one of its own, and so on without end")


def _read_members(items: list[_Member], types: Named, sizes: Mapping[str, _Size]) -> dict[str, Member]:
    members: dict[str, Member] = {}
    for item in items:
        if item.name in members:
            raise ModelError(f"two members are called {short(item.name)}")
        members[item.name] = member = _read_member(item, types)
        check_objects(member)
        for part in (*(parameter.type for parameter in member.parameters), member.result):
            _checked_size(part or ANY, sizes)
    return members


def _read_member(item: _Member, types: Named) -> Member:
    kind = Kind(item.kind)
    parameters = tuple(_read_parameter(parameter, types) for parameter in item.parameters)
    if kind is Kind.PROPERTY and len(parameters) != 1:
        raise ModelError(f"the property {short(item.name)} needs one type")
    if sorted(parameters, key=lambda parameter: parameter.default is not MISSING) != list(parameters):
        raise ModelError(f"{short(item.name)} has a parameter without a default after one with")
    if item.stream and (kind is not Kind.SLOT or item.result is None):
        raise ModelError(f"the stream {short(item.name)} needs a type of items")
    if item.timeout is not None and not item.timeout > 0:
        raise ModelError(f"the timeout of {short(item.name)} is not above 0")
    return Member(
        kind,
        item.name,
        parameters,
        result=None if item.result is None else _read_type(item.result, types),
        writable=item.writable,
        stream=item.stream,
        timeout=item.timeout,
        doc=item.doc,
        number=item.number,
        wire_name=item.wire_name,
    )


def _read_parameter(item: _Value, types: Named) -> Parameter:
    node = _read_type(item.type, types)
    default = MISSING if item.default is msgspec.UNSET else from_plain(node, item.default)
    return Parameter(item.name, node, default, item.unit)


def _read_type(raw: Any, types: Named, depth: int = MAX_DEPTH) -> Type:
    if isinstance(raw, str) and raw in _PLAIN:
        return _PLAIN[raw]
    if depth and isinstance(raw, dict) and len(cast("dict[str, Any]", raw)) == 1:
        ((key, inner),) = cast("dict[str, Any]", raw).items()
        found = _read_compound(key, inner, types, depth - 1)
        if found is not None:
            return found
    raise ModelError("a type of unknown form")


def _read_compound(key: str, inner: Any, types: Named, depth: int) -> Type | None:
    if isinstance(inner, list):
        items = cast("list[Any]", inner)
        if isinstance(number := _PLAIN.get(key), (Int, Float)):
            return bounded(number, *msgspec.convert(items, tuple[float | int | None, float | int | None]))
        nodes = tuple(_read_type(item, types, depth) for item in items)
        if key == "tuple" or (key == "array" and len(nodes) == 1):
            return TupleOf(nodes, variadic=key == "array")
        return DictOf(*nodes) if key == "dict" and len(nodes) == 2 else None
    if (key, inner) == ("object", ""):
        return ObjectOf(Object)
    if (kind := _KINDS.get(key)) is not None and isinstance(inner, str):
        named = types.get(inner)
        return named if isinstance(named, kind) else None
    node = {"list": ListOf, "optional": OptionalOf}.get(key)
    return None if node is None else node(_read_type(inner, types, depth))


_KINDS: Final[Mapping[str, type[StructOf | EnumType | ObjectOf]]] = {
    "struct": StructOf,
    "enum": EnumType,
    "object": ObjectOf,
}


def _read_named(name: str, described: _Named, types: Named) -> StructOf | EnumType:
    if not is_public(name):
        raise ModelError(f"{short(name)} cannot be the name of a class")
    if described.members is not None:
        return _read_enum(name, described.members, flag=described.flag)
    return _read_struct(name, described, types)


def _read_enum(name: str, members: Mapping[str, int | str], *, flag: bool) -> EnumType:
    if bad := [key for key in members if not is_public(key) or key == "mro"]:
        raise ModelError(f"the enum {name} cannot have a member {short(bad[0])}")
    if flag and not all(isinstance(value, int) and 0 <= value < 1 << 64 for value in members.values()):
        raise ModelError(f"the members of the flag {name} need whole numbers of 64 bits")
    base: Any = enum.Flag if flag else enum.Enum
    cls: type[enum.Enum] = base(name, dict(members), module=__name__)
    if not len(cls):
        raise ModelError(f"the enum {name} has no members")
    return EnumType(cls)


def _read_struct(name: str, described: _Named, types: Named) -> StructOf:
    fields = tuple(Field(f.name, _read_type(f.type, types), f.required) for f in described.fields or ())
    names = {field.name for field in fields}
    if len(names) != len(fields) or not all(map(is_public, names)):
        raise ModelError(f"the fields of {name} cannot be attributes")
    cls = msgspec.defstruct(
        name,
        [_field_of_struct(field) for field in fields],
        frozen=described.frozen,
        kw_only=any(one.required > other.required for other, one in pairwise(fields)),
        module=__name__,
    )
    return StructOf(cls, fields, described.frozen)


def _field_of_struct(field: Field) -> Any:
    """Return what `defstruct` takes; a description has no defaults of fields, so the type's zero stands in."""
    annotation = python_type(field.type)
    if field.required:
        return (field.name, annotation)
    node = field.type
    return (field.name, annotation, msgspec.field(default_factory=lambda: node.zero))


class _Size(NamedTuple):
    weight: int
    """Of how many types a type consists, a struct counted wherever it is used."""
    depth: int


def _checked_size(node: Type, known: Mapping[str, _Size]) -> _Size:
    """Return the size of a type; raise ModelError when it is too large for code that walks through it."""

    def sum_up(parts: tuple[Type, ...]) -> _Size:
        sizes = [known[part.name] if isinstance(part, StructOf) else sum_up(part.parts) for part in parts]
        return _Size(1 + sum(size.weight for size in sizes), 1 + max((size.depth for size in sizes), default=0))

    size = sum_up(node.parts)
    if size.weight > MAX_WEIGHT or size.depth > MAX_DEPTH:
        raise ModelError(f"a type that is deeper than {MAX_DEPTH} or consists of more than {MAX_WEIGHT} types")
    return size
