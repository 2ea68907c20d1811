"""Child objects of published ones: they belong to the node like their parents, for as long as they are there.

A child may be published under a name of its own too, and may be the child of several objects. A node counts in how many
places it shows each object, and lets go of it when the last one is gone.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from threading import get_ident
from typing import Any, Final, Generic, Protocol, TypeVar

from everywire.errors import ModelError
from everywire.model import MISSING, Contract, Member, Object, contract_of
from everywire.model.reading import child_members
from everywire.model.state import Disconnect, State, report, without
from everywire.model.types import child_type
from everywire.runtime.limits import MOST_NESTED

log: Final = logging.getLogger("everywire.node")

_SAID: Final[set[tuple[str, str, str]]] = set()
"""Wires, classes and members of which the log has said already that they are left out."""


def children(source: Object, contract: Contract | None = None) -> Iterator[tuple[str, Object]]:
    """Yield the properties of *source* that hold a child now, with the child."""
    for member in child_members(contract or contract_of(source)):
        state = source._everywire
        child: Any = state.values.get(member.name, MISSING)
        if child is MISSING and state.link is None:
            child = getattr(source, member.name, None)  # computed, and not asked for yet
        if isinstance(child, Object):
            yield member.name, child


def checked_family(source: Object, *, above: tuple[Object, ...], most: int, thread: int) -> int:
    """Return how many children *source* has, all the way down; *above* are those whose child it is.

    Raises ModelError when an object holds itself, they are nested too deeply or too many, or one belongs to a node in
    another thread.
    """
    count = 0
    path = (*above, source)
    if any(source is one for one in above):
        raise ModelError(f"the {type(source).__name__} object holds itself: a child cannot be its own parent")
    if len(path) > MOST_NESTED:
        raise ModelError(f"children of children more than {MOST_NESTED} deep: publish those far down by themselves")
    owner = source._everywire.owner
    if owner is not None and owner != thread:
        raise ModelError(f"a {type(source).__name__} object belongs to a node in another thread already")
    for _, child in children(source):
        count += 1 + checked_family(child, above=path, most=most - count - 1, thread=thread)
        if count > most:
            advice = "raise Limits.children or publish some by themselves"
            raise ModelError(f"more than {most} children, all the way down; {advice}")
    return count


class Household:
    """The objects that a node shows, and in how many places each."""

    def __init__(self, take: Callable[[Object], object], release: Callable[[Object], object], most: int) -> None:
        self.most, self.thread = most, 0
        self._take, self._release = take, release
        self._held: dict[int, tuple[Object, int]] = {}

    def __iter__(self) -> Iterator[Object]:
        return iter([source for source, _ in self._held.values()])

    def hold(self, source: Object) -> None:
        """Show *source* in one more place."""
        _, count = self._held.get(id(source), (source, 0))
        self._held[id(source)] = source, count + 1
        self._take(source)

    def drop(self, source: Object) -> None:
        """Show *source* in one place less; let go of it after the last."""
        _, count = self._held.pop(id(source))
        if count > 1:
            self._held[id(source)] = source, count - 1
        else:
            self._release(source)


class Family:
    """One object that a node shows, with its children as they come and go."""

    def __init__(self, household: Household, source: Object, above: tuple[Object, ...] = ()) -> None:
        self._household, self._source, self._guard = household, source, self._check
        self._path = (*above, source)
        self._children: dict[str, Family] = {}
        self._disconnects: list[Disconnect] = []
        household.hold(source)
        contract = contract_of(source)
        state = source._everywire
        for name, child in children(source, contract):
            self._children[name] = Family(household, child, self._path)
        for member in child_members(contract):
            self._disconnects.append(state.listen(member.name, partial(self._replaced, member.name), first=True))
        if self._disconnects:
            state.guards = (*state.guards, self._guard)

    def close(self) -> None:
        """Let go of the object and its children."""
        state: State = self._source._everywire
        state.guards = without(state.guards, self._guard)
        for disconnect in self._disconnects:
            disconnect()
        for child in self._children.values():
            child.close()
        self._household.drop(self._source)

    def _check(self, name: str, child: Object | None) -> None:
        """Refuse a *child* that cannot be shown; what it takes the place of does not count."""
        if child is not None:
            most, thread = self._household.most, self._household.thread or get_ident()
            try:
                checked_family(child, above=self._path, most=most, thread=thread)
            except ModelError as error:
                raise ModelError(f"{name}: {error}") from None

    def _replaced(self, name: str, child: Object | None) -> None:
        before = self._children.pop(name, None)
        if child is not None:
            try:
                self._check(name, child)  # a computed one is not asked about before
                self._children[name] = Family(self._household, child, self._path)
            except ModelError as error:
                report(error, self._replaced)
        if before is not None:
            before.close()  # last: the new one may hold the same objects


H = TypeVar("H", bound="Hosted")


class Hosted(Protocol):
    """What a wire makes of a published object, or of a child of one."""

    publication: Any

    def close(self) -> None:
        """Stop listening to the object."""
        ...


class Nest(Generic[H]):
    """What a wire shows of the children of one object: for each, as it comes, what *host* makes of it."""

    def __init__(self, source: Object, host: Callable[[Member, Object], H], *, depth: int) -> None:
        self._source, self._host, self._depth = source, host, depth
        self._shown: dict[str, H] = {}
        self._disconnects: list[Disconnect] = []

    def follow(self, member: Member) -> None:
        """Show the child that the property holds, and each that takes its place.

        Whoever tells of the property asks `show`, for it may be told before.
        """
        listen = self._source._everywire.listen
        self._disconnects.append(listen(member.name, partial(self.show, member), first=True))
        self.show(member, dict(children(self._source)).get(member.name))

    def show(self, member: Member, child: Object | None) -> H | None:
        """Return what is shown of *child*, which the property holds now."""
        before = self._shown.get(member.name)
        if before is not None and before.publication.object is child:
            return before
        if before is not None:
            del self._shown[member.name]
            before.close()
        if child is None:
            return None
        if self._depth >= MOST_NESTED:  # computed ones only: others were refused when they were set
            name = f"{type(self._source).__name__}.{member.name}"
            log.warning("%s is not shown: children more than %d deep, or without end", name, MOST_NESTED)
            return None
        shown = self._shown[member.name] = self._host(member, child)
        return shown

    def __iter__(self) -> Iterator[H]:
        return iter(self._shown.values())

    def close(self) -> None:
        """Show nothing any more."""
        for disconnect in self._disconnects:
            disconnect()
        for hosted in self._shown.values():
            hosted.close()
        self._shown.clear()


def childless(contract: Contract) -> Contract:
    """Return *contract* without the members that hold child objects."""
    left_out = {member.name for member in child_members(contract)}
    if not left_out:
        return contract
    return replace(contract, members={name: m for name, m in contract.members.items() if name not in left_out})


def without_children(contract: Contract, wire: str) -> Contract:
    """Return *contract* for a *wire* that carries no child objects: it leaves them out, as the log says once."""
    for member in child_members(contract):
        if (said := (wire, contract.name, member.name)) not in _SAID:
            _SAID.add(said)
            log.warning(
                "%s.%s: %s carries no child objects and leaves it out; publish the %s under a name of its own",
                *(contract.name, member.name, wire, (child_type(member.type) or member.type).name),
            )
    return childless(contract)
