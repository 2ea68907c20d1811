"""Python classes from D-Bus interfaces: what `connect` takes, and what a source derives from.

One class for each interface, with structs and enums where everywire has described them, and tuples for other structs.
The same description gives the same text. Names are identifiers before they are written, everything else is a literal.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby, pairwise
from typing import Final

from everywire.dbus.introspection import Interface
from everywire.dbus.wire.contracts import MARKERS, TYPE, Place, marked_word, results_at
from everywire.dbus.wire.described import Description, class_name, described
from everywire.dbus.wire.signatures import result_types
from everywire.errors import ModelError
from everywire.model import MISSING, Contract, Kind, Member, Parameter
from everywire.model.contract import DEFAULT_TIMEOUT
from everywire.model.description import describe
from everywire.model.literals import WIDTH, docstring, factory_of, literal, pieces, text
from everywire.model.names import is_public, pascal
from everywire.model.reading import named_types
from everywire.model.spelling import Spelling
from everywire.model.types import EnumType, Float, Int, StructOf, Type
from everywire.model.typetext import without_bounds

_HOMES: Final[Mapping[str, tuple[str, ...]]] = {
    "builtins": ("NotImplementedError", "bool", "bytes", "dict", "float", "int", "list", "str", "tuple"),
    "dataclasses": ("dataclass", "field"),
    "datetime": ("date", "datetime", "time", "timedelta"),
    "enum": ("Enum", "Flag"),
    "typing": ("Annotated", "Any", "cast"),
    "uuid": ("UUID",),
    "everywire": (
        "Object", "Property", "Range", "Unit", "f32", "i16", "i32", "i8", "prop", "signal", "slot", "u16", "u32", "u64",
        "u8",
    ),
    "everywire.dbus": ("interface", *MARKERS),
}  # fmt: skip


def python_source(interfaces: Iterable[Interface], source: str = "") -> str:
    """Return a module with a class for each of *interfaces*, which were read from *source*.

    Raises ModelError when two of them describe different structs or enums of one name.
    """
    offered = list({interface.name: interface for interface in interfaces}.values())
    descriptions = [described([interface]) for interface in offered]
    types = _types(description.contract for description in descriptions)
    names = _class_names(offered, types)
    shadowed = {name for description in descriptions for name in description.contract.members}
    shadowed |= {field.name for node in types.values() if isinstance(node, StructOf) for field in node.fields}
    spelling = Spelling(_HOMES, shadowed, {*names, *types}, marked_word)
    parts = [_type_lines(node, spelling) for node in types.values()]
    parts += [
        _class_lines(name, interface, description, spelling)
        for name, interface, description in zip(names, offered, descriptions, strict=True)
    ]
    body = ["\n".join(part) for part in parts]  # before the imports, which it asks for
    head = [
        f'"""Classes for D-Bus interfaces{text(f" of {source}")[1:-1] if source else ""}.\n',
        "Written by `everywire gen python`: what is changed here is lost when it is written again.",
        '"""\n',
        "from __future__ import annotations\n",
        *spelling.imports(),
    ]
    return "\n".join(head) + "".join(f"\n\n{part}\n" for part in body)


# ------------------------------------------------------------------------------------------------- structs and enums
def _types(contracts: Iterable[Contract]) -> dict[str, StructOf | EnumType]:
    found: dict[str, tuple[StructOf | EnumType, bytes]] = {}
    for contract in contracts:
        for member in contract.members.values():
            for node in named_types(member):
                told = describe(Contract("", {"p": Member(Kind.PROPERTY, "p", (Parameter("p", node),))}))
                if found.setdefault(node.name, (node, told))[1] != told:
                    raise ModelError(
                        f"two interfaces have different types of the name {node.name}: "
                        "write a file with one interface for each"
                    )
    return {name: node for name, (node, _) in found.items()}


def _type_lines(node: StructOf | EnumType, spelling: Spelling) -> Iterator[str]:
    if isinstance(node, EnumType):
        yield f"class {node.name}({spelling('Flag' if node.flag else 'Enum')}):"
        yield from (f"    {name} = {_enum_value(member.value)}" for name, member in node.cls.__members__.items())
    else:
        options = {
            "frozen": node.frozen,
            "kw_only": any(one.required < other.required for one, other in pairwise(node.fields)),
        }
        given = ", ".join(f"{name}=True" for name, wanted in options.items() if wanted)
        yield f"@{spelling('dataclass')}{f'({given})' if given else ''}"
        yield f"class {node.name}:"
        for field in node.fields:
            default = "" if field.required else f" = {_field_default(field.type, spelling)}"
            yield f"    {field.name}: {spelling.annotation(field.type)}{default}"
    if alias := spelling.alias(node):
        yield f"\n\n{alias} = {node.name}"


def _enum_value(value: object) -> str:
    return text(value) if isinstance(value, str) else repr(value)


def _field_default(node: Type, spelling: Spelling) -> str:
    if factory := factory_of(node, spelling):
        made = factory if factory.startswith("lambda") else spelling.annotation(node)  # pyright wants the item's type
        return f"{spelling('field')}(default_factory={made})"
    return literal(node, node.zero, spelling)


# ----------------------------------------------------------------------------------------------------------- classes
def _class_names(interfaces: Sequence[Interface], types: Mapping[str, Type]) -> list[str]:
    """Return a name for each class: the last word of its interface, or as many as it takes to tell them apart."""
    plain = [class_name(interface) for interface in interfaces]
    found: list[str] = []
    for name, interface in zip(plain, interfaces, strict=True):
        words = [word for word in interface.name.split(".")[:-1] if word.rstrip("0123456789_")]
        longer = name
        while longer in types or longer in found or (longer == name and plain.count(name) > 1):
            longer = f"{pascal(words.pop())}{longer}" if words else f"{longer}_"
        found.append(longer)
    return found


def _class_lines(name: str, interface: Interface, description: Description, spelling: Spelling) -> Iterator[str]:
    contract = description.contract
    usable = {name: member for name, member in contract.members.items() if _is_name(name)}
    yield from _decorator_lines(interface.name, usable.values(), description.places, spelling)
    yield f"class {name}({spelling('Object')}):"
    wrap = TYPE not in interface.annotations
    parts = [[*docstring(contract.doc, "    ", wrap=wrap)]]
    for is_property, members in groupby(usable.values(), lambda member: member.kind is Kind.PROPERTY):
        if is_property:
            parts.append([line for member in members for line in _property(member, spelling)])
        else:
            parts += [[*_function(member, spelling, wrap=wrap)] for member in members]
    left = [repr(name) for name in contract.members if name not in usable]
    parts.append([f"    # {name} cannot be written here; members(…)[{name}] has it." for name in left])
    parts[-1] += [] if contract.doc or usable else ["    pass"]
    yield "\n\n".join("\n".join(part) for part in parts if part)


def _is_name(name: str) -> bool:
    """Return whether *name* can be written: Python reads some letters as others."""
    return is_public(name) and unicodedata.normalize("NFKC", name) == name


def _decorator_lines(
    interface: str, members: Iterable[Member], places: Mapping[str, Place], spelling: Spelling
) -> Iterator[str]:
    names = {member.name: places[member.name].name for member in members}
    told = [f"{text(name)}: {text(there)}" for name, there in names.items() if there != pascal(name)]
    structs = [text(m.name) for m in members if results_at(m, places[m.name]) != result_types(m.result)]
    parts = [text(interface)]
    parts += [f"{{{', '.join(told)}}}"] if told else []
    parts += [f"structs=({', '.join(structs)},)"] if structs else []
    begin = f"@{spelling('interface')}("
    line = f"{begin}{', '.join(parts)})"
    if len(line) <= WIDTH:
        yield line
        return
    yield begin
    yield f"    {text(interface)},"
    if told:
        yield from ("    {", *(f"        {item}," for item in told), "    },")
    if structs:
        yield from ("    structs=(", *(f"        {item}," for item in structs), "    ),")
    yield ")"


def _property(member: Member, spelling: Spelling) -> Iterator[str]:
    (parameter,) = member.parameters
    node = parameter.type
    factory = factory_of(node, spelling)
    options = [f"factory={factory}" if factory else literal(node, node.zero, spelling)]
    options += ["writable=True"] if member.writable else []
    options += [f"unit={text(parameter.unit)}"] if parameter.unit else []
    if isinstance(node, (Int, Float)):
        bounds = (("minimum", node.low), ("maximum", node.high))
        options += [f"{name}={bound!r}" for name, bound in bounds if bound is not None]
    options += [] if member.number is None else [f"number={member.number}"]
    annotation = f"{spelling('Property')}[{spelling.annotation(without_bounds(node))}]"
    begin = f"    {member.name}: {annotation} = {spelling('prop')}("
    doc = [f"doc={text(member.doc)}"] if member.doc else []
    line = f"{begin}{', '.join([*options, *doc])})"
    if len(line) <= WIDTH:
        yield line
        return
    yield begin
    yield from (f"        {option}," for option in options)
    if doc and len(doc[0]) <= WIDTH - 9:
        yield f"        {doc[0]},"
    elif doc:
        yield "        doc=("
        yield from pieces(member.doc, " " * 12)
        yield "        ),"
    yield "    )"


def _function(member: Member, spelling: Spelling, *, wrap: bool) -> Iterator[str]:
    is_slot = member.kind is Kind.SLOT
    timeout = f"(timeout={member.timeout!r})" if is_slot and member.timeout != DEFAULT_TIMEOUT else ""
    yield f"    @{spelling('slot' if is_slot else 'signal')}{timeout}"
    begin = f"    {'async ' if is_slot else ''}def {member.name}("
    end = f") -> {'None' if member.result is None else spelling.annotation(member.result)}:"
    parameters = ["self", *(_parameter(n, parameter, spelling) for n, parameter in enumerate(member.parameters))]
    line = f"{begin}{', '.join(parameters)}{end}"
    if len(line) <= WIDTH:
        yield line
    else:
        yield begin
        yield from (f"        {parameter}," for parameter in parameters)
        yield f"    {end}"
    doc = [*docstring(member.doc, "        ", wrap=wrap)]
    yield from doc
    if is_slot:
        yield f"        raise {spelling('NotImplementedError')}"
    elif not doc:
        yield "        ..."


def _parameter(number: int, parameter: Parameter, spelling: Spelling) -> str:
    name = parameter.name if _is_name(parameter.name) else f"arg{number}"
    told = f"{name}: {spelling.annotation(parameter.type, parameter.unit)}"
    return told if parameter.default is MISSING else f"{told} = {literal(parameter.type, parameter.default, spelling)}"
