"""Where each member of a contract stands in Qt's lists: names, order, indices, and class definitions both ways.

The order is repc's (MAPPINGS 2): properties as declared; signals: every `xxxChanged` in property order, then the
declared ones; methods: `pushXxx` of the writable properties in order, then the slots. Streams have no place.
"""

from __future__ import annotations

import enum
import sys
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any, Final

from everywire.errors import ModelError
from everywire.model import Contract, Kind, Member, Object, Parameter
from everywire.model.description import MOST_MEMBERS, MOST_PARAMETERS
from everywire.model.names import is_public, pascal, proposal
from everywire.model.types import ANY, AnyType, EnumType, Int, ObjectOf, OptionalOf, Type, child_type
from everywire.remoteobjects.codec import ClassDefinition, EnumDef, MethodDef, PropertyDef, SignalDef
from everywire.remoteobjects.rep.marks import CppType, Modifier, cpp_enum, modifier_of
from everywire.remoteobjects.rep.names import parameter_name, push_name, wire_name
from everywire.remoteobjects.wire.looks import wired
from everywire.remoteobjects.wire.qttypes import lift, qt_type
from everywire.remoteobjects.wire.typenames import python_type

POINTER: Final = "QObject*"
"""What Qt calls the type of every property that holds an object."""

MODEL: Final = "QAbstractItemModel*"
"""And of every one that holds an item model, which is a table here."""

MOST_OVERLOADS: Final = 64
"""Members of one name in a foreign class; further ones are left out, for each is compared with each."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The indices of one contract, or of a foreign class definition, by Python name of the member."""

    properties: dict[str, int] = field(default_factory=dict[str, int])
    notifies: dict[str, int] = field(default_factory=dict[str, int])
    signals: dict[str, int] = field(default_factory=dict[str, int])
    pushes: dict[str, int] = field(default_factory=dict[str, int])
    slots: dict[str, int] = field(default_factory=dict[str, int])


def layout_of(contract: Contract) -> Layout:
    """Return the indices of a contract of ours."""
    properties = contract.of_kind(Kind.PROPERTY)
    notifying = [member.name for member in properties if notifies(member)]
    pushed = [member.name for member in properties if is_pushed(member)]
    signals = [member.name for member in contract.of_kind(Kind.SIGNAL)]
    slots = [member.name for member in contract.of_kind(Kind.SLOT) if not member.stream]
    return Layout(
        properties={member.name: place for place, member in enumerate(properties)},
        notifies={name: place for place, name in enumerate(notifying)},
        signals={name: place for place, name in enumerate(signals, len(notifying))},
        pushes={name: place for place, name in enumerate(pushed)},
        slots={name: place for place, name in enumerate(slots, len(pushed))},
    )


def layout_in(definition: ClassDefinition, contract: Contract) -> Layout | None:
    """Return where a class definition has the members of *contract*, of the same class; None if it lacks some.

    The description of an everywire host knows no CONSTANT and no READWRITE, so the order alone does not tell.
    """
    properties, signals, methods = map(_places, names_in(definition))
    layout = Layout()
    try:
        for name, member in contract.members.items():
            wire = wire_name(member)
            if member.kind is Kind.SIGNAL:
                layout.signals[name] = signals[wire].pop(0)
            elif member.kind is Kind.PROPERTY:
                layout.properties[name] = properties[wire].pop(0)
                if changed := signals.get(f"{wire}Changed"):
                    layout.notifies[name] = changed[0]
                if pushes := methods.get(push_name(wire)):
                    layout.pushes[name] = pushes[0]
            elif not member.stream:
                layout.slots[name] = methods[wire].pop(0)
    except (KeyError, IndexError):
        return None
    return layout


def _places(names: tuple[str, ...]) -> dict[str, list[int]]:
    """Return the places of each name; overloads have several."""
    found: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        found.setdefault(name, []).append(place)
    return found


def notifies(member: Member) -> bool:
    """Return whether a property has a notify signal."""
    return Modifier.CONSTANT not in member.parameters[0].marks


def is_pushed(member: Member) -> bool:
    """Return whether replicas write a property by its push method."""
    return member.writable and modifier_of(member.parameters[0].marks, writable=True) is Modifier.READPUSH


def definition_of(contract: Contract) -> ClassDefinition:
    """Return the class definition that dynamic listeners get: only types that every Qt knows."""
    properties = contract.of_kind(Kind.PROPERTY)
    changed = {
        member.name: SignalDef(_signature(f"{wire_name(member)}Changed", member.parameters), (wire_name(member),))
        for member in properties
        if notifies(member)
    }
    signals = [SignalDef(_signature(wire_name(m), m.parameters), _names(m)) for m in contract.of_kind(Kind.SIGNAL)]
    pushes = [
        MethodDef(_signature(push_name(wire_name(member)), member.parameters), "void", (wire_name(member),))
        for member in properties
        if is_pushed(member)
    ]
    slots = [
        MethodDef(
            _signature(wire_name(member), member.parameters),
            "void" if member.result is None else wired(member.result, member.result_marks).name,
            _names(member),
        )
        for member in contract.of_kind(Kind.SLOT)
        if not member.stream
    ]
    return ClassDefinition(
        type_name=contract.name,
        signals=(*changed.values(), *signals),
        methods=(*pushes, *slots),
        properties=tuple(
            PropertyDef(
                wire_name(member), _type_name(member.parameters[0]), _notify_signature(changed.get(member.name))
            )
            for member in properties
        ),
    )


def _notify_signature(change: SignalDef | None) -> str | None:
    return None if change is None else change.signature


def _type_name(parameter: Parameter) -> str:
    if child_type(parameter.type) is None:
        return wired(parameter.type, parameter.marks).name
    return MODEL if holds_table(parameter) else POINTER


def holds_table(parameter: Parameter) -> bool:
    """Return whether a property is declared to hold a table, if it holds any child."""
    child = child_type(parameter.type)
    declared = any(isinstance(mark, CppType) and mark.name == MODEL for mark in parameter.marks)
    return child is not None and (declared or is_table_class(child.cls))


def is_table_class(cls: type) -> bool:
    """Return whether *cls* is one of tables; programs without tables never load what those need."""
    tables = sys.modules.get("everywire.tables.table")
    return tables is not None and issubclass(cls, tables.Table)


def read_definition_of(definition: ClassDefinition, name: str) -> tuple[Contract, Layout]:
    """Return the contract and the indices that a foreign class definition describes; nothing in it is trusted.

    A `pushXxx` method beside a property `xxx`, and a signal that is a property's notify signal, are part of the
    property. A property without a push method may be writable or not: Qt does not say, so it counts as writable and
    the source decides. Names that are taken (overloads, clones for default arguments) get a number. Raises ModelError
    for a class that is larger than any real one.
    """
    count = len(definition.properties) + len(definition.signals) + len(definition.methods)
    if count > MOST_MEMBERS:
        raise ModelError(f"{name} has {count} members; {MOST_MEMBERS} are the most that a replica can have")
    reading = _Reading(definition)
    for place, prop in enumerate(definition.properties):
        reading.add_property(place, prop)
    for place, signal in enumerate(definition.signals):
        reading.add_signal(place, signal)
    for place, method in enumerate(definition.methods):
        reading.add_method(place, method)
    return Contract(definition.type_name or pascal(name), reading.members), reading.layout


def names_in(definition: ClassDefinition) -> tuple[tuple[str, ...], ...]:
    """Return what Qt calls the properties, signals and methods: two classes with the same have the same indices."""
    return (
        tuple(prop.name for prop in definition.properties),
        tuple(_plain(signal.signature) for signal in definition.signals),
        tuple(_plain(method.signature) for method in definition.methods),
    )


def adapt(wanted: Contract, offered: Contract, layout: Layout, *, exact: bool) -> tuple[Contract, Layout]:
    """Return *offered* and *layout* under the Python names of *wanted*, matched by what Qt calls each member.

    Of overloads the one that fits best is taken. Members that nobody wants are left out. Unless the contract is
    *exact*, a type of *wanted* that travels as the offered one stands for it: Qt's definitions know no timedelta.
    """
    by_wire: dict[str, list[Member]] = {}
    for member in offered.members.values():
        overloads = by_wire.setdefault(wire_name(member), [])
        if len(overloads) < MOST_OVERLOADS:
            overloads.append(member)
    members: dict[str, Member] = {}
    names: dict[str, str] = {}
    for name, member in wanted.members.items():
        found = max(by_wire.get(wire_name(member), ()), key=lambda other: _likeness(member, other), default=None)
        if found is not None:
            members[name] = found if exact else _as_meant(member, found)
            names[name] = found.name
    tables = {
        table: {name: places[theirs] for name, theirs in names.items() if theirs in places}
        for table, places in ((key, getattr(layout, key)) for key in Layout.__dataclass_fields__)
    }
    return Contract(offered.name, members), Layout(**tables)


def loosened(contract: Contract, layout: Layout, values: tuple[object, ...]) -> Contract:
    """Return *contract* with Any in place of each property type that the present value does not fit.

    For contracts read from definitions: PySide, for one, announces an enum and sends an invalid QVariant.
    """
    members = dict(contract.members)
    for member in contract.of_kind(Kind.PROPERTY):
        place = layout.properties[member.name]
        if child_type(member.type) is not None:
            continue
        try:
            lift(member.type, values[place] if place < len(values) else None)
        except ModelError:
            members[member.name] = replace(member, parameters=(replace(member.parameters[0], type=ANY),))
    return replace(contract, members=members)


class _Reading:
    """Collects members and indices while a foreign definition is read."""

    def __init__(self, definition: ClassDefinition) -> None:
        self.members: dict[str, Member] = {}
        self.layout = Layout()
        self._enums = {item.name: enum_type(item) for item in definition.enums}
        self._pushes: dict[str, str] = {}
        """Qt's name of each push method to the Python name of its property."""
        self._notified: dict[str, list[str]] = {}
        """Qt's name of each notify signal to the Python names of its properties; it is listed once for each."""
        self._numbers: dict[str, int] = {}
        self._overloads: Counter[str] = Counter()

    def add_property(self, place: int, prop: PropertyDef) -> None:
        if self._is_surplus(prop.name):
            return
        python, type_text = self._free(prop.name), _container_or(prop.type_name, prop.notify)
        child = type_text in (POINTER, MODEL)
        node = OptionalOf(ObjectOf(Object)) if child else python_type(type_text, self._enums)
        parameter = Parameter(python, node, marks=_declared(type_text))
        self.members[python] = Member(Kind.PROPERTY, python, (parameter,), writable=not child, wire_name=prop.name)
        self.layout.properties[python] = place
        self._pushes.setdefault(push_name(prop.name), python)
        if prop.notify:
            self._notified.setdefault(_plain(prop.notify), []).append(python)

    def add_signal(self, place: int, signal: SignalDef) -> None:
        plain = _plain(signal.signature)
        if self._notified.get(plain):
            self.layout.notifies[self._notified[plain].pop(0)] = place
            return
        if self._is_surplus(plain):
            return
        python = self._free(plain)
        parameters = self._parameters(signal.signature, signal.parameters)
        self.members[python] = Member(Kind.SIGNAL, python, parameters, wire_name=plain)
        self.layout.signals[python] = place

    def add_method(self, place: int, method: MethodDef) -> None:
        plain = _plain(method.signature)
        parameters = self._parameters(method.signature, method.parameters)
        if plain in self._pushes and len(parameters) == 1:
            self.layout.pushes.setdefault(self._pushes[plain], place)
            return
        if self._is_surplus(plain):
            return
        python = self._free(plain)
        void = method.return_type in ("", "void")
        result = None if void else python_type(method.return_type, self._enums)
        self.members[python] = Member(
            Kind.SLOT, python, parameters, result=result, wire_name=plain, result_marks=_declared(method.return_type)
        )
        self.layout.slots[python] = place

    def _is_surplus(self, wire: str) -> bool:
        self._overloads[wire] += 1
        return self._overloads[wire] > MOST_OVERLOADS

    def _free(self, wire: str) -> str:
        """Return a name that is not taken: the proposal, Qt's own, or the proposal with a number."""
        python = proposal(wire)
        for name in (python, wire):
            if name not in self.members and not name.startswith("_"):
                return name
        base = python.lstrip("_") or "member"  # names with an underscore in front are the object's own
        name, number = base, self._numbers.get(base, 1)
        while name in self.members:
            number += 1
            name = f"{base}_{number}"
        self._numbers[base] = number
        return name

    def _parameters(self, signature: str, names: tuple[str, ...]) -> tuple[Parameter, ...]:
        inner = signature.partition("(")[2].rpartition(")")[0]
        found: dict[str, Parameter] = {}
        texts = _split(inner)
        if len(texts) > MOST_PARAMETERS:
            raise ModelError(f"{signature[:80]!r} has {len(texts)} parameters; {MOST_PARAMETERS} are the most")
        for place, type_text in enumerate(texts):
            name = proposal(names[place]) if place < len(names) else ""
            if not is_public(name) or name in found:
                name = f"argument_{place}"
            found[name] = Parameter(name, python_type(type_text, self._enums), marks=_declared(type_text))
        return tuple(found.values())


def _declared(type_text: str) -> tuple[CppType, ...]:
    return (CppType(type_text),) if type_text else ()


def _container_or(type_text: str, notify: str | None) -> str:
    """Return the type of a property; Qt 6 says what containers of gadgets hold in the notify signal only."""
    if type_text not in ("QtROSequentialContainer", "QtROAssociativeContainer"):
        return type_text
    inner = _split((notify or "").partition("(")[2].rpartition(")")[0])
    return inner[0] if inner else type_text


def _likeness(wanted: Member, offered: Member) -> tuple[bool, ...]:
    """Return how well *offered* stands for *wanted*, to be compared."""
    pairs = zip(wanted.parameters, offered.parameters, strict=False)
    return (
        wanted.kind is offered.kind,
        len(wanted.parameters) == len(offered.parameters),
        all(qt_type(ours.type) == qt_type(theirs.type) for ours, theirs in pairs),
        wanted.name == offered.name,
    )


def _as_meant(wanted: Member, offered: Member) -> Member:
    """Return *offered* with the types of *wanted*, where both travel alike."""
    if len(wanted.parameters) != len(offered.parameters):
        return offered
    parameters = tuple(
        replace(theirs, type=_meant(ours.type, theirs.type))
        for ours, theirs in zip(wanted.parameters, offered.parameters, strict=True)
    )
    result = offered.result
    if wanted.result is not None and result is not None:
        result = _meant(wanted.result, result)
    return replace(offered, parameters=parameters, result=result)


def _meant(ours: Type, theirs: Type) -> Type:
    alike = not isinstance(theirs, AnyType) and qt_type(ours) == qt_type(theirs)
    return ours if alike else theirs


def _signature(name: str, parameters: tuple[Parameter, ...]) -> str:
    return f"{name}({','.join(map(_type_name, parameters))})"


def _names(member: Member) -> tuple[str, ...]:
    return tuple(map(parameter_name, member.parameters))


def _plain(signature: str) -> str:
    return signature.partition("(")[0]


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


_BASES: Final = {1: "qint8", 2: "qint16"}


def enum_type(item: EnumDef) -> Type:
    """Return the Python enum of a foreign one, or a number's type when Python cannot have it."""
    base: Any = enum.IntFlag if item.is_flag else enum.IntEnum
    keys = dict(item.keys)
    usable = (key.isidentifier() and key[0] != "_" and not hasattr(base, key) for key in keys)
    if not 0 < len(keys) <= MOST_MEMBERS or not all(usable):
        return Int(32)
    made: type[enum.Enum] = base(item.name if is_public(item.name) else "Enumeration", keys)
    if item.size in _BASES:
        cpp_enum(_BASES[item.size])(made)
    # As wide as it is there: what is 200 to an unsigned byte comes as -56.
    made = cpp_enum({1: "qint8", 2: "qint16"}.get(item.size, ""), scoped=item.is_scoped)(made)
    return EnumType(made) if len(made) else Int(32)  # a flag with only zero has no members
