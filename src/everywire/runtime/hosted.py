"""One published object as a wire shows it: a door for each callable member, and what its observers send to links.

A wire that knows members by name derives from `HostedObject` and says how its frames look. Qt Remote Objects, which
knows members by number and is measured in microseconds, has its own.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, Protocol

from everywire.errors import Code, Fault, ModelError
from everywire.model import Contract, Kind, Member
from everywire.model.compile import compile_check
from everywire.model.signals import BoundSignal
from everywire.model.slots import may_suspend
from everywire.model.state import Disconnect
from everywire.model.types import holds_handle
from everywire.runtime.children import without_children
from everywire.runtime.gate import Door
from everywire.runtime.node import Publication
from everywire.runtime.outbox import Outbox
from everywire.runtime.replica import members


def refuse_handles(contract: Contract, wire: str) -> None:
    """Raise ModelError naming the member whose values *wire* cannot pass on."""
    for member in contract.members.values():
        for node in (*(parameter.type for parameter in member.parameters), member.result):
            if node is not None and holds_handle(node):
                advice = "serve the object on a wire that passes open files on, such as D-Bus"
                raise ModelError(f"{contract.name}.{member.name}: {wire} cannot carry {node.name}; {advice}")


class Listening(Protocol):
    """A link that has attached to objects."""

    @property
    def outbox(self) -> Outbox:
        """What waits to be given to it."""
        ...


class HostedObject:
    """One published object, for all links of one server."""

    wire = ""
    """What the wire is called, in a message about what it leaves out; empty where it carries child objects."""

    def __init__(self, publication: Publication, links: dict[Listening, None] | None = None) -> None:
        self.publication = publication
        self.links: dict[Listening, None] = {} if links is None else links
        """Who hears of changes and signals, in order of attachment."""
        self.doors: dict[str, Door] = {}
        """By member: what may be called, written or streamed."""
        self._disconnects: list[Disconnect] = []
        for member in self.contract.members.values():
            self._add(member)

    # What wires override.

    def change_encoder(self, member: Member) -> Callable[[Any], Any]:
        """Return what makes the frame of a property's new value."""
        raise NotImplementedError

    def signal_encoder(self, member: Member) -> Callable[..., Any]:
        """Return what makes the frame of a signal from its arguments."""
        raise NotImplementedError

    def reply_encoder(self, member: Member) -> Callable[[Any, Any], Any]:
        """Return what makes the frame of a result from the caller's token and the value; it may raise ModelError."""
        raise NotImplementedError

    def argument_check(self, member: Member) -> Callable[[Any], tuple[Any, ...]]:
        """Return what makes checked arguments of those that arrived; it may raise ModelError.

        A wire that reads arguments by their types does it here: then nobody learns about them who may not call.
        """
        return compile_check(member)

    # What wires use.

    @property
    def name(self) -> str:
        """The name under which it is published."""
        return self.publication.name

    @cached_property
    def contract(self) -> Contract:
        """What the object shows on this wire."""
        contract = self.publication.contract
        return without_children(contract, self.wire) if self.wire else contract

    def value(self, member: Member) -> Any:
        """Return the present value of a property."""
        return members(self.publication.object)[member.name].value

    def values(self) -> dict[str, Any]:
        """Return copies of the present values."""
        return {m.name: m.type.convert(self.value(m)) for m in self.contract.of_kind(Kind.PROPERTY)}

    def close(self) -> None:
        """Stop listening to the object, and let no call through that has arrived already."""
        for disconnect in self._disconnects:
            disconnect()
        for door in self.doors.values():
            door.shut()

    # Private.

    def _add(self, member: Member) -> None:
        source = self.publication.object
        if member.kind is Kind.PROPERTY:
            self._disconnects.append(source._everywire.listen(member.name, self._tell_change(member), first=True))
            if member.writable:
                suspends = may_suspend(type(source)._write)
                self.doors[member.name] = self._door(member, self._writer(member), suspends=suspends)
        elif member.kind is Kind.SIGNAL:
            signal: BoundSignal[*tuple[Any, ...]] = members(source)[member.name]
            self._disconnects.append(signal.attach(self._tell_signal(member), first=True))
        else:
            method = members(source)[member.name]
            suspends = member.stream or may_suspend(getattr(method, "__func__", method))
            self.doors[member.name] = self._door(member, method, suspends=suspends)

    def _door(self, member: Member, method: Callable[..., Any], *, suspends: bool) -> Door:
        publication, encode = self.publication, self.reply_encoder(member)

        def reply(token: Any, value: Any) -> Any:
            try:
                return encode(token, value)
            except ModelError as error:
                what = f"{publication.name}.{member.name}"
                raise Fault(Code.INTERNAL, f"the result of {what} does not fit its type: {error}") from error

        return Door(
            publication.name,
            member,
            owner=publication.object,
            method=method,
            check=self.argument_check(member),
            reply=reply,
            policy=publication.policy,
            suspends=suspends,
        )

    def _writer(self, member: Member) -> Callable[[Any], Any]:
        source = self.publication.object

        async def write(value: Any) -> None:
            await source._write(member.name, value)

        return write

    def _tell_change(self, member: Member) -> Callable[[Any], None]:
        key, links, encode = (self, member), self.links, self.change_encoder(member)

        def tell(value: Any) -> None:
            if links:
                frame, alone = encode(value), len(links) == 1
                for link in tuple(links):  # one that is too slow may be cut, and leave, meanwhile
                    link.outbox.put_change(key, frame, alone=alone)

        return tell

    def _tell_signal(self, member: Member) -> Callable[..., None]:
        links, encode = self.links, self.signal_encoder(member)

        def tell(*arguments: Any) -> None:
            if links:
                frame, alone = encode(*arguments), len(links) == 1
                for link in tuple(links):  # one that is too slow may be cut, and leave, meanwhile
                    link.outbox.put_signal(frame, alone=alone)

        return tell
