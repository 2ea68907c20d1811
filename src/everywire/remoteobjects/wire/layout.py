"""Where each member of a contract stands in Qt's lists: names, order, indices, and class definitions both ways.

The order is repc's (MAPPINGS 2): properties as declared; signals: every `xxxChanged` in property order, then the
declared ones; methods: `pushXxx` of the writable properties in order, then the slots. Streams have no place.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from everywire.errors import ModelError
from everywire.model import MISSING, Contract, Kind, Member, Parameter
from everywire.model.names import camel, pascal, proposal
from everywire.model.types import EnumType
from everywire.remoteobjects.codec import ClassDefinition, EnumDef, MethodDef, PropertyDef, SignalDef
from everywire.remoteobjects.wire.qttypes import python_type, qt_type


@dataclass(frozen=True, slots=True)
class Layout:
    """The indices of one contract, or of a foreign class definition, by Python name of the member."""

    properties: Mapping[str, int] = field(default_factory=dict[str, int])
    notifies: Mapping[str, int] = field(default_factory=dict[str, int])
    signals: Mapping[str, int] = field(default_factory=dict[str, int])
    pushes: Mapping[str, int] = field(default_factory=dict[str, int])
    slots: Mapping[str, int] = field(default_factory=dict[str, int])


def wire_name(member: Member) -> str:
    """Return what Qt calls *member*."""
    return member.wire_name or camel(member.name)


def layout_of(contract: Contract) -> Layout:
    """Return the indices of a contract of ours."""
    properties = contract.of_kind(Kind.PROPERTY)
    writable = [member for member in properties if member.writable]
    plain_slots = [member for member in contract.of_kind(Kind.SLOT) if not member.stream]
    places = {member.name: place for place, member in enumerate(properties)}
    return Layout(
        properties=places,
        notifies=places,
        signals={m.name: len(properties) + n for n, m in enumerate(contract.of_kind(Kind.SIGNAL))},
        pushes={member.name: place for place, member in enumerate(writable)},
        slots={m.name: len(writable) + n for n, m in enumerate(plain_slots)},
    )


def definition_of(contract: Contract) -> ClassDefinition:
    """Return the class definition that dynamic listeners get: only types that every Qt knows."""
    properties = contract.of_kind(Kind.PROPERTY)
    changed = [
        SignalDef(_signature(f"{wire_name(member)}Changed", member.parameters), (wire_name(member),))
        for member in properties
    ]
    signals = [SignalDef(_signature(wire_name(m), m.parameters), _names(m)) for m in contract.of_kind(Kind.SIGNAL)]
    pushes = [
        MethodDef(_signature(f"push{pascal(wire_name(member))}", member.parameters), "void", (wire_name(member),))
        for member in properties
        if member.writable
    ]
    slots = [
        MethodDef(
            _signature(wire_name(member), member.parameters),
            "void" if member.result is None else qt_type(member.result).name,
            _names(member),
        )
        for member in contract.of_kind(Kind.SLOT)
        if not member.stream
    ]
    return ClassDefinition(
        type_name=contract.name,
        signals=(*changed, *signals),
        methods=(*pushes, *slots),
        properties=tuple(
            PropertyDef(wire_name(member), qt_type(member.type).name, change.signature)
            for member, change in zip(properties, changed, strict=True)
        ),
    )


def read_definition_of(definition: ClassDefinition, name: str) -> tuple[Contract, Layout]:
    """Return the contract and the indices that a foreign class definition describes.

    A `pushXxx` method beside a property `xxx`, and a signal that is a property's notify signal, are part of the
    property. A property without a push method may be writable or not: Qt does not say, so it counts as writable and
    the source decides. A type without a twin becomes Any.
    """
    enums = {item.name: EnumType(_enum(item)) for item in definition.enums if item.keys}
    properties = {prop.name: place for place, prop in enumerate(definition.properties)}
    notified = {_plain(prop.notify): prop.name for prop in definition.properties if prop.notify}
    members: dict[str, Member] = {}
    found: dict[str, dict[str, int]] = {key: {} for key in ("notifies", "signals", "pushes", "slots")}
    names: dict[str, str] = {}
    for prop in definition.properties:
        python = names[prop.name] = _free(proposal(prop.name), prop.name, members)
        parameter = Parameter(python, python_type(prop.type_name, enums))
        members[python] = Member(Kind.PROPERTY, python, (parameter,), writable=True, wire_name=prop.name)
    for place, signal in enumerate(definition.signals):
        plain = _plain(signal.signature)
        if plain in notified:
            found["notifies"].setdefault(names[notified[plain]], place)
            continue
        python = _free(proposal(plain), plain, members)
        members[python] = Member(
            Kind.SIGNAL, python, _parameters(signal.signature, signal.parameters, enums), wire_name=plain
        )
        found["signals"][python] = place
    pushed = {f"push{pascal(prop)}": prop for prop in properties}
    for place, method in enumerate(definition.methods):
        plain = _plain(method.signature)
        if plain in pushed:
            found["pushes"][names[pushed[plain]]] = place
            continue
        python = _free(proposal(plain), plain, members)
        void = method.return_type in ("", "void")
        members[python] = Member(
            Kind.SLOT,
            python,
            _parameters(method.signature, method.parameters, enums),
            result=None if void else python_type(method.return_type, enums),
            wire_name=plain,
        )
        found["slots"][python] = place
    layout = Layout(properties={names[prop]: place for prop, place in properties.items()}, **found)
    return Contract(definition.type_name or pascal(name), members), layout


def adapt(wanted: Contract, offered: Contract, layout: Layout) -> tuple[Contract, Layout]:
    """Return *offered* and *layout* under the Python names of *wanted*, matched by what Qt calls each member."""
    ours = {wire_name(member): name for name, member in wanted.members.items()}
    names = {name: ours.get(wire_name(member), name) for name, member in offered.members.items()}
    tables = {
        table: {names[name]: place for name, place in getattr(layout, table).items()}
        for table in ("properties", "notifies", "signals", "pushes", "slots")
    }
    return Contract(offered.name, {names[name]: member for name, member in offered.members.items()}), Layout(**tables)


def _signature(name: str, parameters: tuple[Parameter, ...]) -> str:
    return f"{name}({','.join(qt_type(parameter.type).name for parameter in parameters)})"


def _names(member: Member) -> tuple[str, ...]:
    return tuple(camel(parameter.name) for parameter in member.parameters)


def _plain(signature: str) -> str:
    return signature.partition("(")[0]


def _free(python: str, wire: str, members: Mapping[str, Member]) -> str:
    """Return a name that is not taken: the proposal, the wire's own, or that with a number (overloads)."""
    candidates = [python, wire, *(f"{python}_{n}" for n in range(2, 1000))]
    for name in candidates:
        if name not in members:
            return name
    raise ModelError(f"more than a thousand members are called {wire!r}")


def _parameters(signature: str, names: tuple[str, ...], enums: Mapping[str, EnumType]) -> tuple[Parameter, ...]:
    inner = signature.partition("(")[2].rpartition(")")[0]
    found: list[Parameter] = []
    for place, type_name in enumerate(_split(inner)):
        given = proposal(names[place]) if place < len(names) and names[place] else ""
        taken = {parameter.name for parameter in found}
        name = given if given.isidentifier() and given not in taken else f"argument_{place}"
        found.append(Parameter(name, python_type(type_name, enums), MISSING))
    return tuple(found)


def _split(inner: str) -> list[str]:
    """Split a parameter list at its outer commas: ``QMap<int,int>,bool`` has two parameters."""
    parts: list[str] = []
    depth = start = 0
    for place, mark in enumerate(inner):
        depth += (mark == "<") - (mark == ">")
        if mark == "," and depth == 0:
            parts.append(inner[start:place])
            start = place + 1
    return [*parts, inner[start:]] if inner else []


def _enum(item: EnumDef) -> type[enum.Enum]:
    base = enum.IntFlag if item.is_flag else enum.IntEnum
    keys = {key: number for key, number in item.keys if key.isidentifier() and not key.startswith("_")}
    made: type[enum.Enum] = base(item.name if item.name.isidentifier() else "Enumeration", keys or {"NONE": 0})  # type: ignore[assignment]
    return made
