"""Interfaces of D-Bus as one contract: what an object of any service looks like in Python, and where its members are.

Names are proposed as everywhere (`model.names.proposal`); these rules make them unambiguous, in the order in which the
members are written:

1. A name that members of several interfaces would have is prefixed with the last word of the interface, without its
   version: ``device_type`` and ``wired_type``.
2. Among what then still has one name, properties come before methods and these before signals; the others get
   ``_slot`` or ``_signal`` at their end, and from the third on a number. This holds too for a signal ``StateChanged``
   beside a property ``State``, for wires that tell changes by a signal of that name.
3. A name that would be a keyword stays as it is on D-Bus (``Import``), or gets an underscore (``import_``).
4. What the annotation ``org.everywire.Name`` says comes before the proposal.

The name on D-Bus stays in `Member.wire_name`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import msgspec

from everywire.dbus.introspection import DEPRECATED, NO_REPLY, Argument, Interface, Method, Property, Signal
from everywire.dbus.introspection import Member as Described
from everywire.dbus.wire.contracts import (
    DEFAULT,
    MARKERS,
    MAXIMUM,
    MINIMUM,
    NAME,
    NUMBER,
    RESULT,
    TIMEOUT,
    TYPE,
    TYPES,
    UNIT,
    Place,
    is_deprecated,
    python_name,
)
from everywire.dbus.wire.signatures import signature_of, type_of_signature
from everywire.errors import ModelError
from everywire.model import MISSING, Contract, Kind, Member, Parameter
from everywire.model.annotations import bounded
from everywire.model.contract import DEFAULT_TIMEOUT
from everywire.model.description import read_description
from everywire.model.names import is_public, pascal, snake
from everywire.model.plain import from_plain
from everywire.model.types import TupleOf, Type
from everywire.model.typetext import read_type_text

_KINDS: Final[Mapping[type[Described], Kind]] = {
    Property: Kind.PROPERTY,
    Method: Kind.SLOT,
    Signal: Kind.SIGNAL,
}
_ORDER: Final = tuple(_KINDS.values())
"""Whose name comes first where several would have one."""


@dataclass(frozen=True, slots=True)
class Description:
    """What an object offers: a contract, and where each of its members is."""

    contract: Contract
    places: Mapping[str, Place]

    def find(self, member: Member, interface: str = "", name: str = "") -> str | None:
        """Return what the member of a class that stands for the object is called here; None when there is none.

        It is the one that is called *name* on D-Bus where that is given, else the one with the same name, else the
        only one whose D-Bus name is the member's in PascalCase, or proposes its name; in *interface* alone if given.
        """
        fitting = [
            here
            for here, place in self.places.items()
            if self.contract.members[here].kind is member.kind
            and (not interface or place.interface == interface)
            and (place.name == name if name else self._means(here, place, member.name))
        ]
        return member.name if member.name in fitting else fitting[0] if len(fitting) == 1 else None

    def candidates(self, name: str) -> tuple[Place, ...]:
        """Return where members are whose D-Bus name could be meant by the Python *name*."""
        return tuple(place for here, place in self.places.items() if self._means(here, place, name))

    def _means(self, here: str, place: Place, name: str) -> bool:
        return name == here or place.name == pascal(name) or python_name(place.name) == name


def described(interfaces: Iterable[Interface], name: str = "") -> Description:
    """Return the contract *name* of an object with *interfaces*; those that every object has are to be left out before.

    What everywire's own annotations say is used where it fits the signatures; a contract with structs, enums, units,
    ranges and defaults arrives the same, but for streams, which have no place in interfaces.
    """
    offered = tuple(interfaces)
    entries = _entries(offered)
    names = _names(entries)
    places = {names[n]: _place(entry) for n, entry in enumerate(entries)}
    members = {names[n]: _member(names[n], entry) for n, entry in enumerate(entries)}
    name = name or next(map(class_name, offered), "Object")
    doc = next((interface.doc for interface in offered if interface.doc), "")
    return Description(Contract(name, members, doc), places)


def is_common(interface: str) -> bool:
    """Return whether *interface* is one that objects have besides what makes them what they are."""
    return interface.startswith("org.freedesktop.DBus.") or interface == "org.everywire.Object1"


def class_name(interface: Interface) -> str:
    """Return the name of a class for *interface*: what we have written into it, else its last word."""
    told = interface.annotations.get(TYPE, "")
    return told if is_public(told) else _last_word(interface.name)


def _last_word(interface: str) -> str:
    """Return the last word of an interface's name without its version: ``Device`` of ``org.acme.Device2``."""
    words = interface.split(".")
    last = words[-1].rstrip("0123456789_") or words[-2]  # org.acme.v1
    name = pascal(snake(last) if last.isupper() else last)
    return name if is_public(name) else f"{name}_" if is_public(f"{name}_") else "Object"


# ------------------------------------------------------------------------------------------------------------- names
class _Entry(NamedTuple):
    """A member and its interface."""

    interface: Interface
    member: Described
    named: Mapping[str, Type]
    """The structs and enums of the interface."""

    @property
    def kind(self) -> Kind:
        return _KINDS[type(self.member)]

    @property
    def python_name(self) -> str:
        told = self.member.annotations.get(NAME, "")
        return told if is_public(told) else python_name(self.member.name)


def _entries(interfaces: Iterable[Interface]) -> list[_Entry]:
    found: dict[tuple[str, Kind, str], _Entry] = {}
    for interface in interfaces:
        named = {**MARKERS, **_named_types(interface)}
        for member in interface.members:
            entry = _Entry(interface, member, named)
            found.setdefault((interface.name, entry.kind, member.name), entry)
    return list(found.values())


def _names(entries: Sequence[_Entry]) -> list[str]:
    interfaces: dict[str, set[str]] = {}
    for entry in entries:
        interfaces.setdefault(entry.python_name, set()).add(entry.interface.name)
    names = [""] * len(entries)
    taken = _Taken()
    for n, entry in sorted(enumerate(entries), key=lambda item: _ORDER.index(item[1].kind)):
        plain = entry.python_name
        several = len(interfaces[plain]) > 1
        wanted = f"{snake(_last_word(entry.interface.name))}_{plain}" if several and is_public(plain) else plain
        names[n] = taken.take(wanted, entry.kind)
    return names


class _Taken:
    """The names that are given away, with those that some wires make of properties; compared as such wires do."""

    def __init__(self) -> None:
        self._names: set[str] = set()
        self._made: set[str] = set()
        self._numbers: dict[tuple[str, Kind], int] = {}

    def take(self, wanted: str, kind: Kind) -> str:
        """Return *wanted*, or what comes instead of it."""
        name, number = wanted, self._numbers.get((wanted, kind), 1)
        while self._is_taken(name, kind):
            name = f"{wanted}_{kind.value}" if number == 1 else f"{wanted}_{kind.value}{number}"
            number += 1
        self._numbers[wanted, kind] = number  # so that many of one name are not counted again and again
        self._names.add(pascal(name))
        if kind is Kind.PROPERTY:
            self._made.update(_made_of(name))
        return name

    def _is_taken(self, name: str, kind: Kind) -> bool:
        key = pascal(name)
        made = _made_of(name) if kind is Kind.PROPERTY else ()
        return key in self._names or key in self._made or not self._names.isdisjoint(made)


def _made_of(name: str) -> tuple[str, str]:
    return pascal(f"push_{name}"), pascal(f"{name}_changed")


# ----------------------------------------------------------------------------------------------------------- members
def _place(entry: _Entry) -> Place:
    interface, member, _ = entry
    match member:
        case Property():
            emits, readable = interface.emits_changed(member), member.access.readable
            return Place(interface.name, member.name, member.signature, emits=emits, readable=readable)
        case Signal():
            return Place(interface.name, member.name, member.signature)
        case Method():
            no_reply = member.annotations.get(NO_REPLY) == "true"
            return Place(interface.name, member.name, member.in_signature, member.out_signature, no_reply=no_reply)


def _member(name: str, entry: _Entry) -> Member:
    interface, member, named = entry
    ours = TYPE in interface.annotations and pascal(name) == member.name
    doc, wire_name = _doc(member), "" if ours else member.name
    match member:
        case Property():
            value = Argument(member.signature, name, member.annotations)
            parameter = _parameter(value, name, named)
            number = _number(member.annotations.get(NUMBER, ""))
            return Member(
                Kind.PROPERTY,
                name,
                (parameter,),
                writable=member.access.writable,
                doc=doc,
                number=None if number is None else int(number),
                wire_name=wire_name,
            )
        case Signal():
            return Member(Kind.SIGNAL, name, _parameters(member.arguments, named), doc=doc, wire_name=wire_name)
        case Method():
            timeout = _timeout(member.annotations.get(TIMEOUT, ""))
            parameters = _parameters(member.inputs, named)
            result = _result(member, named)
            return Member(Kind.SLOT, name, parameters, result=result, timeout=timeout, doc=doc, wire_name=wire_name)


def _parameters(arguments: Sequence[Argument], named: Mapping[str, Type]) -> tuple[Parameter, ...]:
    names: list[str] = []
    for n, argument in enumerate(arguments):
        name = argument.name if is_public(argument.name) else python_name(argument.name)
        if not is_public(name) or name in (*names, "self"):
            name = f"arg{n}"
        while name in names:
            name += "_"
        names.append(name)
    found = [_parameter(argument, name, named) for name, argument in zip(names, arguments, strict=True)]
    last = max((n for n, parameter in enumerate(found) if parameter.default is MISSING), default=-1)
    return tuple(
        Parameter(parameter.name, parameter.type, unit=parameter.unit) if n < last else parameter
        for n, parameter in enumerate(found)
    )


def _parameter(argument: Argument, name: str, named: Mapping[str, Type]) -> Parameter:
    annotations = argument.annotations
    node = _type(argument.signature, annotations.get(TYPE, ""), named)
    default: Any = MISSING
    try:
        node = bounded(node, _number(annotations.get(MINIMUM, "")), _number(annotations.get(MAXIMUM, "")))
        if DEFAULT in annotations:
            default = from_plain(node, msgspec.json.decode(annotations[DEFAULT]))
    except (ModelError, msgspec.MsgspecError, RecursionError):
        default = MISSING  # what does not fit says nothing
    return Parameter(name, node, default, annotations.get(UNIT, ""))


def _result(method: Method, named: Mapping[str, Type]) -> Type | None:
    types = tuple(_parameter(out, out.name, named).type for out in method.outputs)
    told = method.annotations.get(TYPE, "")
    if told and len(types) < 2 and _is_tuple_of(told, types, named):
        return TupleOf(types)
    return TupleOf(types) if len(types) > 1 else types[0] if types else None


def _is_tuple_of(text: str, types: tuple[Type, ...], named: Mapping[str, Type]) -> bool:
    try:
        return read_type_text(text, named) == TupleOf(types)
    except ModelError:
        return False


def _type(signature: str, text: str, named: Mapping[str, Type]) -> Type:
    """Return the type that *text* means where it has the *signature*, else what the signature means."""
    if text:
        try:
            node = read_type_text(text, named)
            if signature_of(node) == signature:
                return node
        except ModelError:
            pass  # somebody else's annotation, or an older one of ours
    return type_of_signature(signature)


def _named_types(interface: Interface) -> Mapping[str, Type]:
    """Return the structs and enums of which an annotation tells, read as those of a whole contract are."""
    text = interface.annotations.get(TYPES, "")
    if not text:
        return {}
    try:
        types: Any = msgspec.json.decode(text, type=dict[str, dict[str, Any]])
        members = [
            {"kind": "property", "name": f"p{n}", "parameters": [{"name": "p", "type": {_form(types[name]): name}}]}
            for n, name in enumerate(types)
        ]
        contract = read_description(msgspec.json.encode({"name": "Types", "types": types, "members": members}))
    except (ModelError, msgspec.MsgspecError, RecursionError):
        return {}
    return {member.type.name: member.type for member in contract.members.values()}


def _form(described_type: Mapping[str, Any]) -> str:
    return "struct" if described_type.get("members") is None else "enum"


def _number(text: str) -> float | None:
    try:
        number = int(text) if text.removeprefix("-").isdecimal() else float(text)
        return number if math.isfinite(number) else None
    except (ValueError, OverflowError):
        return None


def _timeout(text: str) -> float | None:
    if text == "none":
        return None
    seconds = _number(text)
    return seconds if seconds is not None and seconds > 0 else DEFAULT_TIMEOUT


def _doc(member: Described) -> str:
    """Return what is said of a member for people, with what Python has no other place for."""
    parts = [member.doc]
    if member.annotations.get(DEPRECATED) == "true" and not is_deprecated(member.doc):
        parts.insert(0, "Deprecated.")
    if isinstance(member, Method):
        parts += [_doc_of("Args:", member.inputs)]
        if names := [out.name for out in member.outputs if out.name and not out.name.startswith(RESULT)]:
            several = len(member.outputs) > 1 and len(names) == len(member.outputs)
            parts += [f"Returns ({', '.join(names)})." if several else "", _doc_of("Returns:", member.outputs)]
    elif isinstance(member, Signal):
        parts += [_doc_of("Args:", member.arguments)]
    return "\n\n".join(filter(None, parts))


def _doc_of(head: str, arguments: Sequence[Argument]) -> str:
    lines = [f"    {argument.name or '…'}: {' '.join(argument.doc.split())}" for argument in arguments if argument.doc]
    return "\n".join((head, *lines)) if lines else ""
