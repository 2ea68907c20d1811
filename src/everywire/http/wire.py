"""The projection of one published object on HTTP: members to JSON, and what replicas ask for to doors. No asyncio.

Members have their Python names. A frame is a message of `messages.py`, made once for all who listen. The arguments of
a call stay as they arrived until the gate has found that the caller may call: the door's own check reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, cast

import msgspec
from msgspec import UNSET

from everywire.codec.json import compile_lift, compile_lower, encode
from everywire.errors import Code, Fault, ModelError
from everywire.http.messages import Asked, Broken, read_asked
from everywire.model import MISSING, Kind, Member
from everywire.model.compile import checked_result, compile_check
from everywire.model.description import describe
from everywire.model.types import Type, short
from everywire.runtime.gate import Door, Invoked
from everywire.runtime.hosted import HostedObject
from everywire.runtime.node import Publication

Encode = Callable[[Any], bytes]

ABSENT: Final = "no such object or member"
"""The gate's words for what a caller may not see."""


class Refused(msgspec.Struct, frozen=True):
    """A call that leads to no door."""

    token: int
    fault: Fault


class HttpObject(HostedObject):
    """One published object as HTTP shows it."""

    wire = "HTTP"

    def __init__(self, publication: Publication) -> None:
        self.publication = publication
        self.bodies: dict[str, Encode] = {}
        """By member: what makes JSON of a property's value, a slot's checked result or a stream's item."""
        for member in self.contract.members.values():
            self.bodies[member.name] = body_encoder(member.type if member.kind is Kind.PROPERTY else member.result)
        self.description = describe(self.contract)
        """The contract as JSON."""
        super().__init__(publication)

    # What the floor asks for.

    def change_encoder(self, member: Member) -> Encode:
        """Return what makes the frame of a property's new value."""
        head, body = _head("changed", member.name) + b',"value":', self.bodies[member.name]
        return lambda value: head + body(value) + b"}"

    def signal_encoder(self, member: Member) -> Callable[..., bytes]:
        """Return what makes the frame of a signal."""
        head = _head("emitted", member.name) + b',"arguments":['
        bodies = [body_encoder(parameter.type) for parameter in member.parameters]
        if len(bodies) == 1:
            (body,) = bodies
            return lambda *values: head + body(values[0]) + b"]}"
        return lambda *values: head + b",".join([b(v) for b, v in zip(bodies, values, strict=True)]) + b"]}"

    def reply_encoder(self, member: Member) -> Callable[[int, Any], bytes]:
        """Return what makes the frame of a result; without a result it has no value."""
        result, body = member.result, self.bodies[member.name]
        if result is None:
            return lambda token, _: b'{"answered":%d}' % token
        return lambda token, value: b'{"answered":%d,"value":%b}' % (token, body(checked_result(result, value)))

    def argument_check(self, member: Member) -> Callable[[Any], tuple[Any, ...]]:
        """Return what reads arguments, a list by position or a dict by name, and checks them."""
        bind, check = argument_reader(member), compile_check(member)
        return lambda raw: check(bind(raw))

    # What servers use.

    def property_json(self, member: Member) -> bytes:
        """Return the present value of a property as JSON."""
        return self.bodies[member.name](self.value(member))

    def values_json(self) -> bytes:
        """Return the present values of all properties as a JSON object."""
        parts = [encode(m.name) + b":" + self.property_json(m) for m in self.contract.of_kind(Kind.PROPERTY)]
        return b"{" + b",".join(parts) + b"}"

    def hello(self) -> bytes:
        """Return the frame that everybody who listens hears first."""
        return b'{"contract":%b,"values":%b}' % (self.description, self.values_json())

    def item_frame(self, number: int, member: Member, item: Any) -> bytes:
        """Return the frame of a stream's item; raise ModelError when it does not fit."""
        return b'{"item":%d,"value":%b}' % (number, self.bodies[member.name](checked_result(member.result, item)))

    def event_of(self, text: str) -> Invoked | Refused | Asked | Broken:
        """Return the event for what a replica says: a call for the gate, or what concerns a running one."""
        asked = read_asked(text)
        if isinstance(asked, Broken):
            return asked
        if asked.call is not UNSET:
            return self._called(asked.call, asked.slot, asked.arguments)
        if asked.push is not UNSET:
            return self._pushed(asked.push, asked)
        return asked

    def stream(self, name: str) -> Door:
        """Return the door of the stream *name*; raise Fault(NOT_FOUND)."""
        door = self.doors.get(name)
        if door is None or not door.member.stream:
            raise Fault(Code.NOT_FOUND, ABSENT, may_have_run=False)
        return door

    # Private.

    def _called(self, number: int, name: str, arguments: Any) -> Invoked | Refused:
        door = self.doors.get(name)
        if door is None or door.member.kind is not Kind.SLOT:
            return Refused(number, Fault(Code.NOT_FOUND, ABSENT, may_have_run=False))
        if door.member.stream:
            advice = f'{name} is a stream: {{"open": number}} starts it'
            return Refused(number, Fault(Code.INVALID_ARGUMENT, advice, may_have_run=False))
        return Invoked(door, arguments, number)

    def _pushed(self, number: int, asked: Asked) -> Invoked | Refused:
        door, member = self.doors.get(asked.property), self.contract.members.get(asked.property)
        if member is None or member.kind is not Kind.PROPERTY:
            return Refused(number, Fault(Code.NOT_FOUND, ABSENT, may_have_run=False))
        if door is None:
            fault = Fault(Code.FAILED_PRECONDITION, f"{member.name} is not writable", may_have_run=False)
            return Refused(number, fault)
        if asked.value is UNSET:
            return Refused(number, Fault(Code.INVALID_ARGUMENT, "a push needs a value", may_have_run=False))
        return Invoked(door, (asked.value,), number)


def body_encoder(node: Type | None) -> Encode:
    """Return what makes JSON of checked values of a type; without a type there is nothing to say."""
    lower = None if node is None else compile_lower(node)
    return encode if lower is None else lambda value: encode(lower(value))


def argument_reader(member: Member) -> Callable[[Any], tuple[Any, ...]]:
    """Return what makes a tuple of JSON arguments, for the check of *member*; it raises ModelError.

    Arguments are a list by position, or a dict by name in which those with defaults may be missing.
    """
    parameters = member.parameters
    places = {parameter.name: n for n, parameter in enumerate(parameters)}
    lifts = [compile_lift(parameter.type) for parameter in parameters]
    plain = not any(lifts)

    def read(raw: Any) -> tuple[Any, ...]:
        given = _by_position(member, places, cast("dict[str, Any]", raw)) if isinstance(raw, dict) else raw
        if plain or len(given) > len(lifts):
            return tuple(given)
        found: list[Any] = []
        for parameter, lift, value in zip(parameters, lifts, given, strict=False):
            try:
                found.append(value if lift is None or value is parameter.default else lift(value))
            except ModelError as error:
                raise type(error)(f"{member.name}({parameter.name}): {error}") from None
        return tuple(found)

    return read


def _by_position(member: Member, places: Mapping[str, int], given: Mapping[str, Any]) -> list[Any]:
    """Return named arguments in their order, up to the last one that is given; defaults stand for missing ones."""
    names = ", ".join(places) or "none"
    if unknown := [name for name in given if name not in places]:
        raise ModelError(f"{member.name} has no argument {short(unknown[0])}; it has {names}")
    found: list[Any] = []
    for parameter in member.parameters[: 1 + max((places[name] for name in given), default=-1)]:
        value = given.get(parameter.name, parameter.default)
        if value is MISSING:
            raise ModelError(f"{member.name} needs the argument {parameter.name}; its arguments are {names}")
        found.append(value)
    return found


def _head(verb: str, name: str) -> bytes:
    return b'{"%b":%b' % (verb.encode(), encode(name))
