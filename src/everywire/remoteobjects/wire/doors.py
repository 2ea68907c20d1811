"""The doors of an object on Qt Remote Objects: slots, streams and writable properties, with decoders and replies."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from everywire.errors import Code, Fault, ModelError
from everywire.model import Member, Object, Parameter
from everywire.model.compile import compile_check
from everywire.model.slots import may_suspend
from everywire.remoteobjects.codec import Dialect, Invoke
from everywire.remoteobjects.engine import reply_head
from everywire.remoteobjects.wire.coders import invoke_decoder, reply_encoder
from everywire.remoteobjects.wire.looks import Wired, wired
from everywire.remoteobjects.wire.qttypes import lift
from everywire.runtime.gate import Door, Invoked, invalid
from everywire.runtime.node import Publication


def looks_of(parameters: tuple[Parameter, ...], *, exact: bool = False) -> tuple[Wired, ...]:
    """Return what the values of *parameters* travel as."""
    return tuple(wired(parameter.type, parameter.marks, exact=exact) for parameter in parameters)


def slot_door(publication: Publication, member: Member, dialect: Dialect, *, exact: bool = False) -> Door:
    """Return the door of a slot."""
    result = None if member.result is None else wired(member.result, member.result_marks, exact=exact)
    method: Callable[..., Awaitable[Any]] = getattr(publication.object, member.name)
    function = getattr(method, "__func__", method)
    what = f"{publication.name}.{member.name}"
    return Door(
        publication.name,
        member,
        owner=publication.object,
        method=method,
        check=compile_check(member),
        reply=reply_encoder(result, reply_head(publication.name, dialect), what, dialect),
        policy=publication.policy,
        suspends=may_suspend(function),
        decode=invoke_decoder(looks_of(member.parameters, exact=exact), Invoked, dialect, token=True),
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


def write_door(publication: Publication, member: Member, dialect: Dialect, *, exact: bool = False) -> Door:
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
        reply=reply_encoder(None, reply_head(publication.name, dialect), f"{publication.name}.{member.name}", dialect),
        policy=publication.policy,
        suspends=bridge,
        decode=invoke_decoder(looks_of(member.parameters, exact=exact), Invoked, dialect, token=True),
    )


class Refused(msgspec.Struct, frozen=True, gc=False):
    """A call of the general path that does not reach the gate."""

    name: str
    token: int
    fault: Fault
    door: Door | None = None
    """Where the call would have gone; the fault is for those only who may use it."""


def careful_invoke(packet: Invoke, door: Door | None) -> Invoked | Refused:
    """Return the event for a call that no fast decoder recognized, its arguments lifted to the contract's types."""
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
