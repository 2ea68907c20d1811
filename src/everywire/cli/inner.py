"""Members of child objects on the command line: ``pump.speed`` is the property of the object that ``pump`` holds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

from everywire.cli.arguments import member_named
from everywire.errors import ModelError
from everywire.model import Contract, Kind, Member, Object, contract_of
from everywire.model.types import child_type
from everywire.runtime.replica import members


class Place(NamedTuple):
    """A member, the object that has it, and how a person names it."""

    path: str
    owner: Object
    member: Member

    @property
    def value(self) -> Any:
        """The present value of a property."""
        return members(self.owner)[self.member.name].value


def place_of(room: Object, path: str, *kinds: Kind) -> Place:
    """Return the member that *path* leads to; raise ModelError with what there is."""
    if path in contract_of(room).members or "." not in path:
        return Place(path, room, member_named(contract_of(room), path, *kinds))
    *names, last = path.split(".")
    owner = room
    for name in names:
        inner = members(owner)[_holder(contract_of(owner), name).name].value
        if inner is None:
            raise ModelError(f"{name} holds no object now, so there is no {path}")
        owner = inner
    return Place(path, owner, member_named(contract_of(owner), last, *kinds))


def member_at(contract: Contract, path: str) -> Member:
    """Return the member that *path* leads to, by what is told of the classes of children; its name is the path."""
    *above, last = [path] if path in contract.members else path.split(".")
    for name in above:
        child = child_type(_holder(contract, name).type)
        contract = contract_of(child.cls) if child is not None else contract
    member = member_named(contract, last, *Kind)
    return replace(member, name=path) if above else member


def _holder(contract: Contract, name: str) -> Member:
    member = member_named(contract, name, Kind.PROPERTY)
    if child_type(member.type) is None:
        raise ModelError(f"{name} holds no object but {member.type.name}: it has no members of its own")
    return member


def places_in(room: Object, *kinds: Kind, prefix: str = "") -> Iterator[Place]:
    """Yield the members of *room* and of its children, all the way down."""
    for kind in kinds:
        for member in contract_of(room).of_kind(kind):
            place = Place(f"{prefix}{member.name}", room, member)
            child = place.value if kind is Kind.PROPERTY and child_type(member.type) is not None else None
            if child is None:
                yield place
            else:
                yield from places_in(child, *kinds, prefix=f"{place.path}.")
