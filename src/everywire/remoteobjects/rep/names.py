"""What Qt calls members, parameters, fields and keys: their names in camelCase, unless a mark says otherwise."""

from __future__ import annotations

import enum

from everywire.model import Member, Parameter
from everywire.model.marks import wire_name_in
from everywire.model.names import camel
from everywire.model.types import EnumType, Field
from everywire.remoteobjects.rep.marks import enum_form


def wire_name(member: Member) -> str:
    """Return what Qt calls *member*."""
    return member.wire_name or camel(member.name)


def parameter_name(parameter: Parameter) -> str:
    """Return what Qt calls a parameter of a signal or slot."""
    return declared_name(parameter).partition("=")[0]


def declared_name(parameter: Parameter) -> str:
    """Return the name of a parameter with what repc takes for a part of it: ``level=0``."""
    return wire_name_in(parameter.marks) or camel(parameter.name)


def field_name(field: Field) -> str:
    """Return what Qt calls a value in a POD."""
    return wire_name_in(field.marks) or camel(field.name)


def key_numbers(cls: type[enum.Enum]) -> dict[str, int]:
    """Return the keys of an enum as Qt calls them, with their numbers as an int of C++, second names included."""
    told, node = enum_form(cls).keys, EnumType(cls)
    numbers = ((told.get(name, name), node.to_int(member)) for name, member in cls.__members__.items())
    return {name: (number + 2**31) % 2**32 - 2**31 for name, number in numbers}


def enum_name(cls: type[enum.Enum]) -> str:
    """Return what Qt calls an enum."""
    return enum_form(cls).name or cls.__name__


def push_name(wire: str) -> str:
    """Return what repc calls the method that writes the property *wire*: only the first letter changes."""
    return f"push{wire[:1].upper()}{wire[1:]}"
