"""Our objects on Qt Remote Objects: doors, frames and class definitions of one published object, for all its links.

Everything is made once, when the object is published: routes that lead a frame's head to a door, and encoders that turn
a change into the bytes that every link gets. It knows links only as something with an outbox.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

import msgspec

from everywire.errors import Code, Fault, ModelError
from everywire.model import Kind, Member, Object
from everywire.model.compile import compile_check
from everywire.model.properties import Readable
from everywire.model.signals import Signal
from everywire.model.slots import may_suspend
from everywire.model.state import Disconnect
from everywire.remoteobjects.codec import (
    CallKind,
    Init,
    InitDynamic,
    Invoke,
    ObjectInfo,
    Typed,
    encode_packet,
)
from everywire.remoteobjects.engine import change_head, invoke_head, reply_head
from everywire.remoteobjects.wire.coders import change_encoder, invoke_decoder, reply_encoder, signal_encoder
from everywire.remoteobjects.wire.layout import Layout, definition_of, layout_of
from everywire.remoteobjects.wire.qttypes import lift, lower, qt_type, variant
from everywire.runtime.gate import Door, Invoked, invalid
from everywire.runtime.hosted import refuse_handles
from everywire.runtime.node import Publication
from everywire.runtime.outbox import Outbox

log: Final = logging.getLogger("everywire.remoteobjects")


class Listening(Protocol):
    """A link that has attached to objects."""

    @property
    def outbox(self) -> Outbox:
        """What waits to be written to it."""
        ...


class HostedObject:
    """One published object as Qt Remote Objects sees it."""

    def __init__(self, publication: Publication) -> None:
        self.publication = publication
        self.name, self.contract = publication.name, publication.contract
        refuse_handles(self.contract, "Qt Remote Objects")
        self.layout: Layout = layout_of(self.contract)
        self.routes: dict[bytes, Door] = {}
        self.links: dict[Listening, None] = {}  # in order of attachment
        self._definition = definition_of(self.contract)
        self._disconnects: list[Disconnect] = []
        self._streams: dict[str, Door] = {}
        for member in self.contract.members.values():
            self._add(member)

    @property
    def info(self) -> ObjectInfo:
        """The entry in the list of objects."""
        return ObjectInfo(self.name, self.contract.name)

    def attached(self, *, dynamic: bool) -> bytes:
        """Return the frame that answers AddObject: the present values, to a dynamic listener with the class."""
        values = tuple(self._value(member) for member in self.contract.of_kind(Kind.PROPERTY))
        if dynamic:
            return encode_packet(InitDynamic(self.name, self._definition, values))
        return encode_packet(Init(self.name, values))

    def door(self, packet: Invoke) -> Door | None:
        """Return the door that a call of the general path leads to."""
        return self.routes.get(invoke_head(self.name, packet.call, packet.index))

    def stream(self, name: str) -> Door:
        """Return the door of the stream *name*; raise Fault(NOT_FOUND)."""
        member = self.contract.members.get(name)
        if member is None or not member.stream:
            raise Fault(Code.NOT_FOUND, f"{self.name} has no stream {name!r}", may_have_run=False)
        if name not in self._streams:
            self._streams[name] = stream_door(self.publication, member)
        return self._streams[name]

    @property
    def doors(self) -> tuple[Door, ...]:
        """Every door that leads to the object."""
        return (*self.routes.values(), *self._streams.values())

    def close(self) -> None:
        """Stop listening to the object, and let no call through that has arrived already."""
        for disconnect in self._disconnects:
            disconnect()
        self._disconnects.clear()
        for door in self.doors:
            door.shut()

    def _add(self, member: Member) -> None:
        if member.kind is Kind.PROPERTY:
            self._add_property(member)
        elif member.kind is Kind.SIGNAL:
            self._add_signal(member)
        elif not member.stream:
            index = self.layout.slots[member.name]
            self._route(CallKind.METHOD, index, slot_door(self.publication, member))

    def _add_property(self, member: Member) -> None:
        index = self.layout.properties[member.name]
        notify = invoke_head(self.name, 0, self.layout.notifies[member.name])
        encode = change_encoder(member.type, change_head(self.name, index), notify, index)
        key, links = (self, member), self.links

        def tell(value: Any) -> None:
            if links:
                frame, alone = encode(value), len(links) == 1
                for link in links:
                    link.outbox.put_change(key, frame, alone=alone)

        state = self.publication.object._everywire
        self._disconnects.append(state.listen(member.name, tell, first=True))
        if member.writable:
            door = write_door(self.publication, member)
            self._route(CallKind.WRITE_PROPERTY, index, door)
            self._route(CallKind.METHOD, self.layout.pushes[member.name], door)

    def _add_signal(self, member: Member) -> None:
        types = tuple(parameter.type for parameter in member.parameters)
        encode = signal_encoder(types, invoke_head(self.name, 0, self.layout.signals[member.name]))
        links = self.links

        def tell(*arguments: Any) -> None:
            if links:
                frame, alone = encode(*arguments), len(links) == 1
                for link in links:
                    link.outbox.put_signal(frame, alone=alone)

        handle: Signal[*tuple[Any, ...]] = type(self.publication.object).__everywire_declared__[member.name]
        self._disconnects.append(handle.bound(self.publication.object).attach(tell, first=True))

    def _route(self, call: CallKind, index: int, door: Door) -> None:
        self.routes[invoke_head(self.name, call, index)] = door

    def _value(self, member: Member) -> Any:
        handle: Readable[Any] = type(self.publication.object).__everywire_declared__[member.name]
        value = getattr(self.publication.object, handle.name)
        try:
            variant(member.type, value)
        except ModelError as error:  # a time with a zone, for example; one value must not hide the others
            log.warning("%s.%s cannot be sent over Qt Remote Objects: %s", self.name, member.name, error)
            return None
        lowered, number = lower(member.type, value), qt_type(member.type).number
        return Typed(number, lowered) if number else lowered


def slot_door(publication: Publication, member: Member) -> Door:
    """Return the door of a slot."""
    method: Callable[..., Awaitable[Any]] = getattr(publication.object, member.name)
    function = getattr(method, "__func__", method)
    what = f"{publication.name}.{member.name}"
    return Door(
        publication.name,
        member,
        owner=publication.object,
        method=method,
        check=compile_check(member),
        reply=reply_encoder(member.result, reply_head(publication.name), what),
        policy=publication.policy,
        suspends=may_suspend(function),
        decode=invoke_decoder(tuple(parameter.type for parameter in member.parameters), Invoked, token=True),
    )


def stream_door(publication: Publication, member: Member) -> Door:
    """Return the door of a stream: it lifts its arguments, and has no reply, for items have no frame of their own."""
    check, types = compile_check(member), [parameter.type for parameter in member.parameters]

    def lift_and_check(raw: tuple[Any, ...]) -> tuple[Any, ...]:
        lifted = [lift(node, value) for node, value in zip(types, raw, strict=False)]
        return check((*lifted, *raw[len(lifted) :]))

    return Door(
        publication.name,
        member,
        owner=publication.object,
        method=getattr(publication.object, member.name),
        check=lift_and_check,
        reply=lambda _token, _value: b"",
        policy=publication.policy,
        suspends=True,
    )


def write_door(publication: Publication, member: Member) -> Door:
    """Return the door of a writable property: Qt's push method and property write are the same call."""
    source: Object = publication.object

    async def write(value: Any) -> None:
        await source._write(member.name, value)

    async def assign(value: Any) -> None:
        setattr(source, member.name, value)

    bridge = source._everywire.link is not None
    return Door(
        publication.name,
        member,
        owner=source,
        method=write if bridge else assign,
        check=compile_check(member),
        reply=reply_encoder(None, reply_head(publication.name), f"{publication.name}.{member.name}"),
        policy=publication.policy,
        suspends=bridge,
        decode=invoke_decoder((member.type,), Invoked, token=True),
    )


class Refused(msgspec.Struct, frozen=True, gc=False):
    """A call of the general path that does not reach the gate."""

    name: str
    token: int
    fault: Fault
    door: Door | None = None
    """Where the call would have gone; the fault is for those only who may use it."""


def careful_invoke(packet: Invoke, hosted: HostedObject | None) -> Invoked | Refused:
    """Return the event for a call that no fast decoder recognized, its arguments lifted to the contract's types."""
    door = None if hosted is None else hosted.door(packet)
    if door is None:
        return Refused(
            packet.name, packet.serial, Fault(Code.NOT_FOUND, "no such object or member", may_have_run=False)
        )
    parameters = door.member.parameters
    if len(packet.arguments) > len(parameters):
        problem = f"{door.member.name} takes {len(parameters)} arguments, got {len(packet.arguments)}"
        return Refused(packet.name, packet.serial, Fault(Code.INVALID_ARGUMENT, problem, may_have_run=False), door)
    try:
        arguments = tuple(lift(p.type, raw) for p, raw in zip(parameters, packet.arguments, strict=False))
    except ModelError as error:
        return Refused(packet.name, packet.serial, invalid(error), door)
    return Invoked(door, arguments, packet.serial)
