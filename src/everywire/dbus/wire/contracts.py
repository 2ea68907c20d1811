"""A contract as interfaces of D-Bus: names, signatures, and in annotations all that a signature does not say.

`placed` says where each member of a contract is, `interfaces_of` writes the interfaces; `described.py` reads them back.
An annotation is there only where the signature alone would be read as something else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from everywire.dbus.codec.names import check_member
from everywire.dbus.codec.signatures import parse_signature
from everywire.dbus.introspection import (
    DEPRECATED,
    EMITS_CHANGED,
    QT_TYPE,
    Access,
    Argument,
    Interface,
    Method,
    Property,
    Signal,
)
from everywire.dbus.introspection import Member as Described
from everywire.dbus.wire.declaring import Declared
from everywire.dbus.wire.markers import PATH, SIGNATURE
from everywire.dbus.wire.qtnames import qt_annotation
from everywire.dbus.wire.signatures import body_signature, one_type, result_types, signature_of, type_of_signature
from everywire.errors import ModelError
from everywire.model import MISSING, Contract, Kind, Member, Parameter
from everywire.model.contract import DEFAULT_TIMEOUT
from everywire.model.description import describe
from everywire.model.names import is_public, pascal, proposal
from everywire.model.plain import to_plain
from everywire.model.reading import named_types
from everywire.model.types import DESCRIPTOR, Exact, Float, Int, TupleOf, Type
from everywire.model.typetext import type_text, without_bounds, word_of

TYPE: Final = "org.everywire.Type"
"""The type as Python writes it; of an interface the name of the class, of a method that of an unusual result."""
NAME: Final = "org.everywire.Name"
"""What a member is called in Python, where its name here would not propose that."""
UNIT: Final = "org.everywire.Unit"
"""The unit, in UCUM notation."""
MINIMUM: Final = "org.everywire.Minimum"
"""The smallest value."""
MAXIMUM: Final = "org.everywire.Maximum"
"""The largest value."""
DEFAULT: Final = "org.everywire.Default"
"""What a parameter is when the caller leaves it out, as JSON; on D-Bus callers write it out."""
TIMEOUT: Final = "org.everywire.Timeout"
"""Seconds that a method may take, or ``none``."""
NUMBER: Final = "org.everywire.Number"
"""The number of a property on wires that have numbers."""
TYPES: Final = "org.everywire.Types"
"""The structs and enums of an interface, as in the contract's JSON."""

RESULT: Final = "result"
"""Name of a method's only out argument; several are ``result0``, ``result1``, …"""

MARKERS: Final[Mapping[str, Type]] = {"ObjectPath": PATH, "Signature": SIGNATURE, "UnixFd": DESCRIPTOR}
"""The types that D-Bus has and other wires have not, by the names that annotations know."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a member is on D-Bus, and with what signatures."""

    interface: str
    name: str
    signature: str
    """Of the value of a property, the arguments of a signal, the arguments of a call."""
    result: str = ""
    """Of the answer to a call."""
    emits: str = "true"
    """What is told when a property changes: ``true``, ``invalidates``, ``const`` or ``false``."""
    readable: bool = True
    """Whether a property can be read at all."""
    no_reply: bool = False
    """Whether a call is never answered."""


def placed(contract: Contract, interface: str, declared: Mapping[str, Declared] | None = None) -> dict[str, Place]:
    """Return where each member of *contract* is: in *interface*, but for what a class has *declared* otherwise.

    Streams have no place; they go through org.everywire.Object1. Raises ModelError naming the member that D-Bus cannot
    carry, or that has the name of another.
    """
    found: dict[str, Place] = {}
    taken: dict[tuple[str, Kind, str], str] = {}
    for name, member in contract.members.items():
        if member.stream:
            continue
        try:
            place = found[name] = _place(member, (declared or {}).get(name) or Declared(interface))
        except ModelError as error:
            raise ModelError(f"{contract.name}.{name}: {error}") from None
        other = taken.setdefault((place.interface, member.kind, place.name), name)
        if other != name:
            raise ModelError(f"{contract.name}: {other} and {name} would both be {place.interface}.{place.name}")
    return found


def member_name(member: Member) -> str:
    """Return what a member is called on D-Bus: the name it came with where that could be one here, else PascalCase."""
    came = member.wire_name
    return came if came[:1].isupper() and _MEMBER.fullmatch(came) else pascal(member.name)


_MEMBER: Final = re.compile("[A-Za-z0-9_]{1,255}", re.ASCII)


def python_name(name: str) -> str:
    """Return the Python name that is proposed for *name* of D-Bus."""
    proposed = proposal(name)
    return f"{proposed}_" if not is_public(proposed) and is_public(f"{proposed}_") else proposed


def _checked_name(member: Member, name: str) -> str:
    """Return *name*; that of a property has no rules, and some services have dashes in it."""
    return name if member.kind is Kind.PROPERTY and name.isprintable() else check_member(name)


def _place(member: Member, at: Declared) -> Place:
    name = _checked_name(member, at.name or member_name(member))
    signature = body_signature(parameter.type for parameter in member.parameters)
    results = (member.result,) if at.one_struct and member.result is not None else result_types(member.result)
    return Place(at.interface, name, signature, body_signature(results))


def results_at(member: Member, place: Place) -> tuple[Type, ...]:
    """Return the types of the values that answer a call: a tuple is several, or one struct where *place* says so."""
    results = result_types(member.result)
    if member.result is None or results == (member.result,) or len(parse_signature(place.result)) != 1:
        return results
    return (member.result,) if len(results) > 1 or signature_of(member.result) == place.result else results


def interfaces_of(contract: Contract, places: Mapping[str, Place]) -> tuple[Interface, ...]:
    """Return the interfaces of an object: its members where *places* says that they are, in the contract's order."""
    members: dict[str, list[Member]] = {}
    for name, place in places.items():
        members.setdefault(place.interface, []).append(contract.members[name])
    return tuple(_interface(contract, interface, inner, places) for interface, inner in members.items())


def _interface(contract: Contract, name: str, members: list[Member], places: Mapping[str, Place]) -> Interface:
    types = _types(Contract(contract.name, {member.name: member for member in members}))
    annotations = {TYPE: contract.name, **({TYPES: types} if types else {}), **_deprecation(contract.doc)}
    return Interface(
        name, tuple(_described(member, places[member.name]) for member in members), annotations, contract.doc
    )


def _types(contract: Contract) -> str:
    """Return the structs and enums of *contract* as JSON; nothing when it has none."""
    if not any(named_types(member) for member in contract.members.values()):
        return ""
    types: Any = msgspec.json.decode(describe(contract))["types"]
    return msgspec.json.encode(types).decode()


def _described(member: Member, place: Place) -> Described:
    match member.kind:
        case Kind.PROPERTY:
            return _property(member, place.name)
        case Kind.SIGNAL:
            return _signal(member, place.name)
        case Kind.SLOT:
            return _method(member, place)


def _property(member: Member, name: str) -> Property:
    (parameter,) = member.parameters
    annotations = {
        **_naming(member, name),
        EMITS_CHANGED: "true",
        **dict(_told(parameter)),
        **dict(_qt_names("", (parameter.type,))),
        **({} if member.number is None else {NUMBER: str(member.number)}),
        **_deprecation(member.doc),
    }
    access = Access.READ_WRITE if member.writable else Access.READ
    return Property(name, signature_of(parameter.type), access, annotations, member.doc)


def _signal(member: Member, name: str) -> Signal:
    types = tuple(parameter.type for parameter in member.parameters)
    annotations = {**_naming(member, name), **dict(_qt_names(".Out", types)), **_deprecation(member.doc)}
    return Signal(name, tuple(map(_argument, member.parameters)), annotations, member.doc)


def _method(member: Member, place: Place) -> Method:
    results = results_at(member, place)
    names = [RESULT] if len(results) == 1 else [f"{RESULT}{number}" for number in range(len(results))]
    unusual = len(results) < 2 and isinstance(member.result, TupleOf) and result_types(member.result) == results
    annotations = {
        **_naming(member, place.name),
        **({TYPE: text_of(member.result)} if unusual and member.result is not None else {}),
        **({} if member.timeout == DEFAULT_TIMEOUT else {TIMEOUT: _timeout(member.timeout)}),
        **dict(_qt_names(".In", tuple(parameter.type for parameter in member.parameters))),
        **dict(_qt_names(".Out", results)),
        **_deprecation(member.doc),
    }
    return Method(
        place.name,
        tuple(map(_argument, member.parameters)),
        tuple(_argument(Parameter(name, node)) for name, node in zip(names, results, strict=True)),
        annotations,
        member.doc,
    )


def _naming(member: Member, name: str) -> dict[str, str]:
    return {} if python_name(name) == member.name else {NAME: member.name}


def _timeout(seconds: float | None) -> str:
    return "none" if seconds is None else repr(seconds)


def _argument(parameter: Parameter) -> Argument:
    return Argument(signature_of(parameter.type), parameter.name, dict(_told(parameter)))


def _told(parameter: Parameter) -> Iterator[tuple[str, str]]:
    """Yield the annotations that say of a value what its signature does not."""
    node = without_bounds(parameter.type)
    if text_of(node) != text_of(type_of_signature(signature_of(node))):
        yield TYPE, text_of(node)
    if parameter.unit:
        yield UNIT, parameter.unit
    if isinstance(parameter.type, (Int, Float)):
        for name, bound in ((MINIMUM, parameter.type.low), (MAXIMUM, parameter.type.high)):
            if bound is not None:
                yield name, repr(bound)
    if parameter.default is not MISSING:
        yield DEFAULT, msgspec.json.encode(to_plain(parameter.type, parameter.default)).decode()


def _qt_names(which: str, types: tuple[Type, ...]) -> Iterator[tuple[str, str]]:
    for number, node in enumerate(types):
        if name := qt_annotation(node, one_type(signature_of(node))):
            yield f"{QT_TYPE}{which}{number if which else ''}", name


def _deprecation(doc: str) -> dict[str, str]:
    return {DEPRECATED: "true"} if is_deprecated(doc) else {}


def is_deprecated(doc: str) -> bool:
    """Return whether a description says of its member that it should not be used any more."""
    return _DEPRECATED.search(doc) is not None


_DEPRECATED: Final = re.compile(r"^(\.\. )?deprecated\b", re.IGNORECASE | re.MULTILINE)


def text_of(node: Type) -> str:
    """Return what an annotation says for a type."""
    return type_text(node, word=marked_word)


def marked_word(node: Type) -> str:
    """Return the name of a type without parts, of those that only D-Bus has too."""
    if isinstance(node, Exact) and node.form is not None:
        return next((word for word, marker in MARKERS.items() if getattr(marker, "form", None) == node.form), "str")
    return word_of(node)
