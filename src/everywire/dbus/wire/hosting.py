"""The projection of one published object on D-Bus: members to methods, properties and signals. No asyncio.

A call's arguments stay as they arrived until the gate has found that the caller may call: the door's own check reads
them. Its token is its serial, and above 32 bits the number of who called.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, Final, cast

from everywire.dbus.codec import NO_REPLY, Message, Variant, marshal
from everywire.dbus.introspection import Interface
from everywire.dbus.wire.coding import same
from everywire.dbus.wire.contracts import Place, interfaces_of, member_name, placed, results_at
from everywire.dbus.wire.declaring import declared_in
from everywire.dbus.wire.framing import (
    SERIAL,
    Carry,
    Recipients,
    compile_body,
    compile_changed,
    compile_signal,
    compile_value,
    invalidated,
)
from everywire.dbus.wire.lifting import compile_lift, compile_lift_fds
from everywire.dbus.wire.lowering import Fds, compile_lower, compile_lower_fds
from everywire.dbus.wire.signatures import body_signature, signature_of
from everywire.errors import ModelError
from everywire.model import MISSING, Kind, Member
from everywire.model.compile import checked_result, compile_check
from everywire.model.description import describe
from everywire.model.types import Type, holds_handle
from everywire.runtime.gate import Door
from everywire.runtime.hosted import HostedObject
from everywire.runtime.node import Publication

log: Final = logging.getLogger("everywire.dbus")

SERIALS: Final = 0xFFFF_FFFF
"""The lower half of a token, and the largest serial."""

Trouble = Callable[[str], object]
"""Counts something that could not be told, by its name in `Refusals`."""


def token_of(call: Message, number: int) -> int:
    """Return the token of a *call* by the caller with this *number*; negative where nobody waits for an answer."""
    return -1 if call.flags & NO_REPLY else call.serial | number << 32


class DBusObject(HostedObject):
    """One published object as D-Bus shows it, at *path*, with the members that say nothing else in *interface*."""

    wire = "D-Bus"

    def __init__(
        self,
        publication: Publication,
        path: str,
        interface: str,
        *,
        recipients: Recipients,
        trouble: Trouble,
        carry: Carry,
    ) -> None:
        self.publication, self.path = publication, path
        self.places = placed(self.contract, interface, declared_in(type(publication.object)))
        self.interfaces: tuple[Interface, ...] = interfaces_of(self.contract, self.places)
        self.properties: dict[str, dict[str, Member]] = {interface.name: {} for interface in self.interfaces}
        """By interface and name."""
        self.streams: dict[str, Member] = {}
        """By name on D-Bus, and by name in Python."""
        self.description = describe(self.contract).decode()
        """The contract as JSON."""
        self.xml = ""
        """What it shows as XML, once somebody has asked."""
        self._recipients, self._trouble, self._carry = recipients, trouble, carry
        self._told: set[str] = set()
        """Members of which the log has already said that a value cannot be carried."""
        self._variants: dict[str, Callable[[Any, Fds], Variant]] = {}
        for member in self.contract.members.values():
            self._know(member)
        super().__init__(publication)
        for door in self.doors.values():
            door.decode = self

    # What the floor asks for.

    def change_encoder(self, member: Member) -> Callable[[Any], bytes]:
        """Return what makes the frame of a property's new value, or that there is one which cannot be carried."""
        place = self.places[member.name]
        instead = invalidated(self.path, place.interface, place.name)
        if holds_handle(member.type):
            return lambda _: instead  # whoever wants the open file gets one of their own
        tell = compile_changed(self.path, place.interface, place.name, member.type)

        def encode(value: Any) -> bytes:
            try:
                return tell(value)
            except ModelError as error:
                self._untold(member, error)
                return instead

        return encode

    def signal_encoder(self, member: Member) -> Callable[..., bytes]:
        """Return what makes the frame of a signal."""
        place = self.places[member.name]
        nodes = [parameter.type for parameter in member.parameters]
        tell = compile_signal(self.path, place.interface, place.name, nodes, self._carry)
        return lambda *values: tell(values)

    def reply_encoder(self, member: Member) -> Callable[[int, Any], bytes]:
        """Return what makes the frame of a result, or of nothing where a property was written."""
        recipients, result, carry = self._recipients, member.result, self._carry
        if result is None or member.kind is Kind.PROPERTY:
            return lambda token, _: recipients[token >> 32].head("").frame(SERIAL, b"", token & SERIALS)
        nodes = (result,) if member.stream else results_at(member, self.places[member.name])
        signature, write, single = body_signature(nodes), compile_body(nodes), nodes == (result,)
        check = result.convert
        if single and not holds_handle(result):
            bare = compile_value(result)
            return lambda token, value: (
                recipients[token >> 32].head(signature).frame(SERIAL, bare(check(value)), token & SERIALS)
            )

        def encode(token: int, value: Any) -> bytes:
            value = check(value)
            body, fds = write((value,) if single else value)
            head = recipients[token >> 32].head(signature, len(fds))
            frame = head.frame(SERIAL, body, token & SERIALS)
            return carry(frame, fds) if fds else frame

        return encode

    def argument_check(self, member: Member) -> Callable[[Any], tuple[Any, ...]]:
        """Return what reads the arguments out of a message, or of a stream's variants, and checks them."""
        check = compile_check(member)
        if member.kind is Kind.PROPERTY:
            read_value = _variant_reader(self.places[member.name].name, member.type)
            return lambda message: check((read_value(message.body[2], message.fds),))
        if member.stream:
            read_each = _stream_reader(member)
            return lambda variants: check(read_each(variants))
        read = _argument_reader(self.places[member.name].name, member)
        return lambda message: check(read(message))

    # What hosts use.

    def routes(self) -> dict[tuple[str, str, str], Door]:
        """Return the doors of what can be called, by path, interface (or none) and member."""
        found: dict[tuple[str, str, str], Door] = {}
        for name, place in self.places.items():
            if self.contract.members[name].kind is Kind.SLOT:
                found[self.path, place.interface, place.name] = door = self.doors[name]
                found.setdefault((self.path, "", place.name), door)
        return found

    def find_property(self, interface: str, name: str) -> Member | None:
        """Return the property *name* of *interface*, or of any where that is empty."""
        tables = self.properties.values() if not interface else (self.properties.get(interface, {}),)
        return next((table[name] for table in tables if name in table), None)

    def variant(self, member: Member, fds: Fds) -> Variant:
        """Return the present value of a property; descriptors in it are appended to *fds*."""
        return self._variants[member.name](self.value(member), fds)

    def variants(self, interface: str, fds: Fds, *, careful: bool = False) -> dict[str, Variant]:
        """Return the present values in *interface*; a *careful* call leaves out what D-Bus cannot carry."""
        found: dict[str, Variant] = {}
        for name, member in self.properties.get(interface, {}).items():
            if (value := self._carried(member, fds, careful=careful)) is not None:
                found[name] = value
        return found

    def results_in_descriptors(self, member: Member) -> bool:
        """Return whether the result of a slot, or an item of a stream, holds file descriptors."""
        return member.kind is Kind.SLOT and member.result is not None and holds_handle(member.result)

    def item(self, member: Member, value: Any, fds: Fds) -> Variant:
        """Return an item of a stream; raise ModelError when it does not fit."""
        return self._variants[member.name](checked_result(member.result, value), fds)

    # Private.

    def _know(self, member: Member) -> None:
        if member.kind is Kind.PROPERTY:
            place: Place = self.places[member.name]
            self.properties[place.interface][place.name] = member
            self._variants[member.name] = _variant_maker(member.type)
        elif member.stream:
            self.streams[member.name] = self.streams[member_name(member)] = member
            if member.result is not None:
                try:
                    self._variants[member.name] = _variant_maker(member.result)
                except ModelError as error:
                    raise ModelError(f"{self.contract.name}.{member.name}: {error}") from None

    def _carried(self, member: Member, fds: Fds, *, careful: bool) -> Variant | None:
        count = len(fds)
        try:
            value = self.variant(member, fds)
            if careful:
                marshal("v", (value,))
        except ModelError as error:
            del fds[count:]
            self._untold(member, error)
            return None
        return value

    def _tell_signal(self, member: Member) -> Callable[..., None]:
        tell = super()._tell_signal(member)

        def tell_if_carried(*arguments: Any) -> None:
            try:
                tell(*arguments)
            except ModelError as error:
                self._untold(member, error)

        return tell_if_carried

    def _untold(self, member: Member, error: ModelError) -> None:
        self._trouble("uncarried")
        if member.name not in self._told:  # once: it may happen a thousand times a second
            self._told.add(member.name)
            log.warning("%s.%s has a value that D-Bus cannot carry: %s", self.name, member.name, error)


def _variant_maker(node: Type) -> Callable[[Any, Fds], Variant]:
    signature = signature_of(node)
    if holds_handle(node):
        carry = compile_lower_fds(node)
        return lambda value, fds: Variant(signature, carry(value, fds), False)
    lower = compile_lower(node)
    if lower is None:
        return lambda value, _: Variant(signature, value, False)
    return lambda value, _: Variant(signature, lower(value), False)


def _lift(node: Type) -> Callable[[Any, Sequence[Any]], Any]:
    if holds_handle(node):
        return compile_lift_fds(node)
    lift = compile_lift(node)
    return lambda raw, _: lift(raw)


def _variant_reader(name: str, node: Type) -> Callable[[Variant, Sequence[Any]], Any]:
    """Return what takes a value of *node* out of a variant; it raises ModelError when another type is in there."""
    signature, lift = signature_of(node), _lift(node)

    def read(variant: Variant, fds: Sequence[Any]) -> Any:
        if variant.signature != signature:
            if signature == "v":  # some leave out the variant within the variant
                return lift(variant, fds)
            raise ModelError(f"{name} is of type {signature!r}, and the value of type {variant.signature!r}")
        return lift(variant.value, fds)

    return read


def _argument_reader(name: str, member: Member) -> Callable[[Message], tuple[Any, ...]]:
    """Return what takes arguments out of a call; trailing ones with defaults may be missing."""
    parameters = member.parameters
    signature = body_signature(parameter.type for parameter in parameters)
    lifts = [_lift(parameter.type) for parameter in parameters]
    required = sum(parameter.default is MISSING for parameter in parameters)
    shorter = {body_signature(p.type for p in parameters[:count]) for count in range(required, len(parameters))}
    plain = not any(holds_handle(parameter.type) for parameter in parameters)
    simple = [compile_lift(parameter.type) for parameter in parameters] if plain else []
    as_it_is = signature if plain and all(lift is same for lift in simple) else None

    def read(message: Message) -> tuple[Any, ...]:
        if message.signature == as_it_is:
            return message.body
        if message.signature != signature and message.signature not in shorter:
            wanted = f"takes arguments of type {signature!r}" if signature else "takes no arguments"
            raise ModelError(f"{name} {wanted}, and got {message.signature!r}")
        body = message.body
        try:
            if plain:
                return tuple([lift(value) for lift, value in zip(simple, body, strict=False)])
            return tuple([lift(value, message.fds) for lift, value in zip(lifts, body, strict=False)])
        except ModelError as error:
            raise type(error)(f"{name}: {error}") from None

    return read


def _stream_reader(member: Member) -> Callable[[Sequence[Variant]], tuple[Any, ...]]:
    reads = [_variant_reader(parameter.name, parameter.type) for parameter in member.parameters]

    def read(variants: Sequence[Variant]) -> tuple[Any, ...]:
        given = cast("list[Variant]", variants)
        if len(given) > len(reads):
            raise ModelError(f"{member.name} takes {len(reads)} arguments at most, got {len(given)}")
        return tuple([one(variant, ()) for one, variant in zip(reads, given, strict=False)])

    return read
