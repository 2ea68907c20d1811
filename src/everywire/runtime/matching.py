"""Whether a remote object is what a class expects: contracts compared member by member. Changes neither."""

from __future__ import annotations

from collections.abc import Iterator

from everywire.model import Contract, Kind, Member, Object, contract_of
from everywire.model.types import (
    ANY,
    AnyType,
    DictOf,
    EnumType,
    Exact,
    Float,
    Int,
    ListOf,
    ObjectOf,
    OptionalOf,
    StructOf,
    TupleOf,
    Type,
    child_type,
)


def differences(wanted: Contract, offered: Contract, *, streams: bool = True, children: bool = True) -> tuple[str, ...]:
    """Return what keeps a replica of *wanted* from standing for *offered*: one line for each member.

    Without *streams*, or *children*, the wire leaves those out. Classes of children are compared likewise.
    """
    return tuple(_differences(wanted, offered, streams, children, set()))


_Compared = set[tuple[Contract, Contract]]
"""Contracts whose comparison has begun: classes of children may name each other."""


def _differences(
    wanted: Contract,
    offered: Contract,
    streams: bool,  # noqa: FBT001
    children: bool,  # noqa: FBT001
    compared: _Compared,
) -> Iterator[str]:
    compared.add((wanted, offered))
    for name, member in wanted.members.items():
        other = offered.members.get(name)
        if member.stream and not streams:
            continue
        child = child_type(member.type) if member.kind is Kind.PROPERTY else None
        if child is not None and not children:
            continue
        if other is None:
            yield f"{member.kind.value} {name} is missing"
        elif other.kind is not member.kind or not _assignable(member, other):
            yield f"expected {member}, offered {other}"
        elif (
            child is not None
            and (theirs := child_type(other.type)) is not None
            and Object
            not in (
                child.cls,
                theirs.cls,
            )
        ):
            pair = contract_of(child.cls), contract_of(theirs.cls)
            if pair not in compared:
                yield from (f"{name}: {line}" for line in _differences(*pair, streams, children, compared))


def _assignable(wanted: Member, offered: Member) -> bool:
    if wanted.kind is Kind.PROPERTY and wanted.writable and not offered.writable:
        return False
    if wanted.stream != offered.stream or len(wanted.parameters) != len(offered.parameters):
        return False
    pairs = [(w.type, o.type) for w, o in zip(wanted.parameters, offered.parameters, strict=True)]
    if wanted.result is not None or offered.result is not None:
        if wanted.result is None or offered.result is None:
            return wanted.result is None  # a result nobody wants is no difference
        pairs.append((wanted.result, offered.result))
    return all(fits(w, o) for w, o in pairs)


def fits(wanted: Type, offered: Type) -> bool:
    """Return whether values of the type *offered* can be values of the type *wanted*."""
    if isinstance(wanted, AnyType) or isinstance(offered, AnyType):
        return True
    if isinstance(wanted, (Int, Float)) and isinstance(offered, type(wanted)):
        return True  # widths and ranges are checked with each value
    if isinstance(wanted, Float) and isinstance(offered, Int):
        return True
    if isinstance(wanted, ObjectOf):
        return child_type(offered) is not None  # whether there is one is seen when the value comes
    if isinstance(wanted, OptionalOf):
        return fits(wanted.item, offered.item if isinstance(offered, OptionalOf) else offered)
    if type(wanted) is not type(offered):
        return False
    if isinstance(wanted, StructOf) and isinstance(offered, StructOf):
        return wanted.name == offered.name and _fields_fit(wanted, offered)
    if isinstance(wanted, EnumType):
        return wanted.name == offered.name
    if isinstance(wanted, Exact):
        return wanted == offered
    parts, others = _parts(wanted), _parts(offered)
    return len(parts) == len(others) and all(fits(w, o) for w, o in zip(parts, others, strict=True))


def _fields_fit(wanted: StructOf, offered: StructOf) -> bool:
    """Return whether the values of *offered*, which come with all their fields, can be values of *wanted*."""
    theirs = {field.name: field.type for field in offered.fields}
    if not theirs.keys() <= {field.name for field in wanted.fields}:
        return False
    return all(fits(f.type, theirs[f.name]) if f.name in theirs else not f.required for f in wanted.fields)


def _parts(node: Type) -> tuple[Type, ...]:
    """Return the types that a list, tuple or dict is made of; variable length counts as one more."""
    match node:
        case ListOf():
            return (node.item,)
        case TupleOf():
            return (*node.items, ANY) if node.variadic else node.items
        case DictOf():
            return (node.key, node.value)
        case _:
            return ()
