"""What tells a dynamic replica of Qt that comes back from one that was generated from a .rep.

Both attach with the same words: Qt asks for a class definition but once, and a replica that has one expects values of
the types that it was told, in a program that ends when it gets others. So a dynamic listener is given something to
keep: one property more, a child object without members, under a name that nobody else hears. When it comes back, its
node finds that name in the list of objects and asks for it, before it asks for the object.

Only classes need it whose values look different to the two, those with structures or typed containers.
"""

from __future__ import annotations

from functools import cache
from typing import Final

from everywire.codec.qdatastream import ObjectReference
from everywire.model import Contract
from everywire.model.types import child_type
from everywire.remoteobjects.codec import (
    AddObject,
    ClassDefinition,
    Dialect,
    Init,
    InitDynamic,
    ObjectInfo,
    PropertyDef,
)
from everywire.remoteobjects.codec.extension import MEMO
from everywire.remoteobjects.codec.references import ReferenceKind, encode_class, encode_values
from everywire.remoteobjects.rep.names import wire_name
from everywire.remoteobjects.wire.looks import wired

PROPERTY: Final = PropertyDef("everywire", "QObject*")
_CLASS: Final = ClassDefinition(type_name="Memo")


def memo_of(name: str, contract: Contract) -> str:
    """Return the name of the memo of the object *name*; empty when its class needs none, or leaves no place for it."""
    taken = any(wire_name(member) == PROPERTY.name for member in contract.members.values())
    return f"{MEMO}{name}" if looks_differ(contract) and not taken else ""


@cache
def looks_differ(contract: Contract) -> bool:
    """Return whether dynamic replicas and those generated from a .rep get values of different types."""
    for member in contract.members.values():
        parts = [(parameter.type, parameter.marks) for parameter in member.parameters]
        if member.result is not None and not member.stream:
            parts.append((member.result, member.result_marks))
        for node, marks in parts:
            if child_type(node) is not None:
                continue
            if wired(node, marks).number != wired(node, marks, exact=True).number:
                return True
    return False


def reference(memo: str, dialect: Dialect) -> ObjectReference:
    """Return the value of the property."""
    definition, values = encode_class(_CLASS, dialect), encode_values((), dialect)
    return ObjectReference(memo, _CLASS.type_name or "", ReferenceKind.CLASS, definition, values)


def entry(memo: str) -> tuple[ObjectInfo, ...]:
    """Return what stands before the object in the list of objects."""
    return (ObjectInfo(memo, _CLASS.type_name),) if memo else ()


def answer(asked: AddObject) -> InitDynamic | Init:
    """Return what answers a node that has kept a memo, or has just been given one."""
    return InitDynamic(asked.name, _CLASS, ()) if asked.dynamic else Init(asked.name, ())


def kept(name: str) -> str | None:
    """Return the name of the object whose memo is called *name*; None when it is none."""
    return name.removeprefix(MEMO) if name.startswith(MEMO) else None
