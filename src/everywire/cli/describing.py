"""`everywire show`: what an object is made of, for people; the contract itself for programs."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import msgspec

from everywire.cli.inner import member_at
from everywire.cli.printing import columns, styled
from everywire.cli.reaching import Target, connected, contract_at, opened, tell_if_nothing
from everywire.cli.tables import is_of_table
from everywire.cli.values import printable_json, to_text, visible
from everywire.errors import Fault, LinkError, ModelError, RemoteProtocolError
from everywire.model import MISSING, Contract, Kind, Member, Parameter, contract_of
from everywire.model.contract import DEFAULT_TIMEOUT
from everywire.model.description import describe
from everywire.model.reading import named_types, with_children
from everywire.model.types import DictOf, EnumType, Float, Int, ListOf, OptionalOf, StructOf, TupleOf, Type

HEADS: Final = {Kind.PROPERTY: "Properties", Kind.SIGNAL: "Signals", Kind.SLOT: "Slots"}
WIDEST: Final = 48
"""Columns of a declaration beside which its description still begins on the same line."""
LONGEST_DEFAULT: Final = 40
NARROWEST: Final = 30
"""Columns that a description has at least, also on a narrow terminal."""


async def show(url: str, name: str | None, names: Sequence[str], *, timeout: float, json: bool) -> None:
    """Print the contract of the object *name*, or of its members *names*; without a name those of all objects."""
    if name is not None:
        async with connected(Target(url, name, timeout, json)) as room:
            contract = _part(contract_of(room), names)
        told = printable_json(describe(contract).decode()) if json else _for_people(name, contract)
    else:
        found = await _all(url, timeout)
        told = _all_as_json(found) if json else "\n\n".join(map(_one_of_all, found, found.values()))
        if not (found or json):
            tell_if_nothing(url, found)
            return
    print(told, flush=True)


async def _all(url: str, timeout: float) -> dict[str, Contract | Exception]:
    found: dict[str, Contract | Exception] = {}
    async with opened(url, timeout) as session:
        for name in session.offered or ():
            try:
                found[name] = await contract_at(session, url, name)
            except (Fault, ModelError, RemoteProtocolError, LinkError) as error:
                found[name] = error
    return found


def _all_as_json(found: Mapping[str, Contract | Exception]) -> str:
    raw = {name: msgspec.Raw(describe(told)) if isinstance(told, Contract) else None for name, told in found.items()}
    return printable_json(msgspec.json.encode(raw).decode())


def _one_of_all(name: str, told: Contract | Exception) -> str:
    if isinstance(told, Exception):
        return f"{styled(visible(name), bold=True)}: its contract cannot be read: {to_text(str(told))}"
    return _for_people(name, told)


def _for_people(name: str, contract: Contract) -> str:
    return "\n".join(lines(f"{name} ({contract.name})", contract))


def _part(contract: Contract, names: Sequence[str]) -> Contract:
    wanted = [member_at(contract, name) for name in names]
    return Contract(contract.name, {m.name: m for m in wanted}, contract.doc) if wanted else contract


# ----------------------------------------------------------------------------------------------------------- layout
def lines(title: str, contract: Contract, *, own: bool = True) -> Iterator[str]:
    """Yield the lines that show *contract* to a person, if its *own* with its types and the classes of its children."""
    yield styled(visible(title), bold=True)
    yield from _wrapped(contract.doc, columns())
    for kind, head in HEADS.items():
        rows = [(member_text(member), member.doc) for member in contract.of_kind(kind)]
        if rows:
            yield ""
            yield styled(head, bold=True)
            yield from _beside(rows)
    if own:
        yield from _inner_lines(contract)


def _inner_lines(contract: Contract) -> Iterator[str]:
    _, *inner = with_children([contract])
    children = [child for child in inner if not is_of_table(child)]
    members = (member for part in (contract, *children) for member in part.members.values())
    types = {node.name: node for member in members for node in named_types(member)}
    if types:
        yield ""
        yield styled("Types", bold=True)
        for node in types.values():
            yield from _type_lines(node)
    for child in children:
        if not child.members:  # nobody knows what it is before there is one
            continue
        yield ""
        yield from lines(f"{child.name}, a class of child objects", child, own=False)
    for table in filter(is_of_table, inner):
        yield ""
        yield styled(visible(f"{table.name}, a table: 'get' of the property prints its rows"), bold=True)


def _beside(rows: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Yield each declaration with its description beside it, or below where there is no room."""
    broad = min(WIDEST, max(len(text) for text, _ in rows))
    beside = columns() - broad - 5
    for text, doc in rows:
        if len(text) <= broad and beside >= NARROWEST:
            first, *others = [*_wrapped(doc, beside)] or [""]
            yield f"  {_bold_name(text, f'{text:{broad}}')}   {styled(first, dim=True)}".rstrip()
            yield from (f"{'':{broad + 5}}{styled(line, dim=True)}".rstrip() for line in others)
        else:
            first, *others = textwrap.wrap(text, max(columns() - 6, NARROWEST), break_on_hyphens=False)
            yield f"  {_bold_name(text, first)}"
            yield from (f"      {line}" for line in others)
            yield from (f"      {styled(line, dim=True)}".rstrip() for line in _wrapped(doc, columns() - 6))


def _bold_name(text: str, shown: str) -> str:
    end = next((place for place, mark in enumerate(text) if mark in "(:"), len(text))
    return styled(shown[:end], fg="cyan") + shown[end:]


def _wrapped(doc: str, width: int) -> Iterator[str]:
    """Yield the lines of a text that somebody far away wrote; paragraphs stay apart."""
    paragraphs = [" ".join(part.split()) for part in textwrap.dedent(doc).split("\n\n")]
    for place, paragraph in enumerate(part for part in paragraphs if part):
        if place:
            yield ""
        yield from textwrap.wrap(visible(paragraph), max(width, NARROWEST), break_on_hyphens=False)


# ------------------------------------------------------------------------------------------------------------- words
def member_text(member: Member) -> str:
    """Return the declaration of *member* on one line."""
    if member.kind is Kind.PROPERTY:
        text = parameter_text(member.parameters[0], member.name)
    else:
        text = f"{member.name}({', '.join(parameter_text(parameter) for parameter in member.parameters)})"
    if member.result is not None:
        text += f" -> {'stream of ' if member.stream else ''}{type_text(member.result)}"
    return visible(", ".join([text, *_marks(member)]))


def _marks(member: Member) -> Iterator[str]:
    if member.writable:
        yield "writable"
    if member.kind is Kind.SLOT and member.timeout != DEFAULT_TIMEOUT:
        yield "no timeout" if member.timeout is None else f"timeout {member.timeout:g} s"
    if member.number is not None:
        yield f"number {member.number}"
    if member.wire_name not in ("", member.name.rpartition(".")[2]):
        yield f"named {member.wire_name} there"


def parameter_text(parameter: Parameter, name: str = "") -> str:
    """Return the name, type, unit and default of *parameter*."""
    text = f"{name or parameter.name}: {type_text(parameter.type)}"
    if parameter.unit:
        text += f" {parameter.unit}"
    if parameter.default is MISSING:
        return text
    default = to_text(parameter.default)
    if isinstance(parameter.default, str):
        default = f'"{default}"'
    return f"{text} = {default if len(default) <= LONGEST_DEFAULT else f'{default[: LONGEST_DEFAULT - 1]}…'}"


def type_text(node: Type) -> str:
    """Return what a person would write for a type, with its range."""
    match node:
        case Int() | Float():
            return f"{node.name}{_range(node.low, node.high)}"
        case ListOf():
            return f"list[{type_text(node.item)}]"
        case TupleOf():
            inner = ", ".join(map(type_text, node.items)) or "()"
            return f"tuple[{inner}{', ...' if node.variadic else ''}]"
        case DictOf():
            return f"dict[{type_text(node.key)}, {type_text(node.value)}]"
        case OptionalOf():
            return f"{type_text(node.item)} | None"
        case _:
            return node.name


def _range(low: float | None, high: float | None) -> str:
    if low is None:
        return "" if high is None else f" ≤ {high:g}"
    return f" ≥ {low:g}" if high is None else f" {low:g}…{high:g}"


def _type_lines(node: StructOf | EnumType) -> Iterator[str]:
    if isinstance(node, EnumType):
        kind = "flags" if node.flag else "enum"
        names = ", ".join(_enum_member(name, member.value) for name, member in node.cls.__members__.items())
        text = f"{visible(node.name)}: {kind} {visible(names)}"
        room = max(columns() - 2, NARROWEST)
        yield from (f"  {line}" for line in textwrap.wrap(text, room, subsequent_indent="    "))
        return
    yield f"  {visible(node.name)}: struct"
    for field in node.fields:
        yield visible(f"    {field.name}: {type_text(field.type)}{'' if field.required else ', optional'}")


def _enum_member(name: str, value: object) -> str:
    """Return a member with its value, where the value says more than the name."""
    same = isinstance(value, str) and value.lower() == name.lower()
    return name if same or not isinstance(value, (int, str)) else f"{name} = {value!r}"
