"""Both projections of the memory wire: what a source tells becomes a tuple, what a replica calls an event of the gate.

Values that could be changed in place are copied on the way, so the two sides share nothing. For a child object `Shown`
travels, from which the replica's end makes a replica of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

from everywire.model import Kind, Member, Object, contract_of
from everywire.model.compile import checked_result, compile_check
from everywire.model.types import child_type
from everywire.runtime.channel import Channel
from everywire.runtime.children import Nest
from everywire.runtime.hosted import HostedObject, Listening
from everywire.runtime.node import Publication

Frame = tuple[str, Any, Any]
"""A word, what it is about, and its value: changed, emitted, answered, failed."""


class MemoryObject(HostedObject):
    """One published object as the memory wire sees it, or a child of one, whose links are those of its parent."""

    def __init__(
        self, publication: Publication, links: dict[Listening, None] | None = None, *, depth: int = 1
    ) -> None:
        self._nest = Nest(publication.object, self._host, depth=depth)
        self._depth = depth
        super().__init__(publication, links)
        for member in self.contract.of_kind(Kind.PROPERTY):
            if child_type(member.type) is not None:
                self._nest.follow(member)

    def change_encoder(self, member: Member) -> Callable[[Any], Frame]:
        """Return what copies a new value."""
        about = (self.name, member.name)
        if child_type(member.type) is not None:
            return lambda child: ("child", about, self._shown(member, child))
        return lambda value: ("changed", about, member.type.convert(value))

    def signal_encoder(self, member: Member) -> Callable[..., Frame]:
        """Return what copies the arguments of a signal."""
        about, copied = (self.name, member.name), compile_check(member)
        return lambda *arguments: ("emitted", about, copied(arguments))

    def reply_encoder(self, member: Member) -> Callable[[int, Any], Frame]:
        """Return what copies a result."""
        return lambda token, value: ("answered", (self.name, token), checked_result(member.result, value))

    def value(self, member: Member) -> Any:
        """Return the present value of a property; for a child object what the wire makes of it."""
        value = super().value(member)
        return value if child_type(member.type) is None else self._shown(member, value)

    def values(self) -> dict[str, Any]:
        """Return copies of the present values."""
        found = {member: self.value(member) for member in self.contract.of_kind(Kind.PROPERTY)}
        return {m.name: m.type.convert(v) if child_type(m.type) is None else v for m, v in found.items()}

    def close(self) -> None:
        """Stop listening to the object and its children, and let no call through that has arrived already."""
        self._nest.close()
        super().close()

    def family(self) -> Iterator[MemoryObject]:
        """Yield the object and its children, all the way down."""
        yield self
        for child in self._nest:
            yield from child.family()

    def _shown(self, member: Member, child: Object | None) -> Shown | None:
        hosted = self._nest.show(member, child)
        return None if hosted is None else Shown(hosted, hosted.values())

    def _host(self, member: Member, child: Object) -> MemoryObject:
        node = child_type(member.type)
        contract = contract_of(type(child) if node is None or node.cls is Object else node.cls)
        name = f"{self.name}/{member.name}"
        publication = replace(self.publication, name=name, object=child, contract=contract)
        return MemoryObject(publication, self.links, depth=self._depth + 1)


class Shown(NamedTuple):
    """A child object in the place of a property's value, with the values that its properties have then."""

    hosted: MemoryObject
    values: dict[str, Any]


def hear(channel: Channel, frame: Frame) -> None:
    """Give a frame of the host to the channel of its object."""
    word, (_, about), value = frame
    match word:
        case "changed" | "emitted":
            member = contract_of(channel.replica.instance).members.get(about)
            if member is None:
                return  # the host has more members than the class of the replica
            copied = compile_check(member)(value if word == "emitted" else (value,))
            if word == "emitted":
                channel.emitted(about, copied)
            else:
                channel.changed(about, *copied)
        case "answered":
            channel.answered(about, value)
        case _:
            channel.failed(about, value)
