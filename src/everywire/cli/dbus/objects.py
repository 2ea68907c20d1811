"""One object of any service: its members by every name that they go by, read, set and called. Prints nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from everywire.cli.arguments import member_named, words_by_parameter
from everywire.cli.dbus.raw import lifted, lowered, of_default
from everywire.cli.dbus.services import ANSWER, PROPERTIES, Service, told
from everywire.cli.exits import listed, suggestion
from everywire.dbus.codec import NO_REPLY, Message, Variant, check_interface, check_member, parse_signature
from everywire.dbus.introspection import Interface
from everywire.dbus.wire.contracts import Place, python_name
from everywire.dbus.wire.described import Description, described, is_common
from everywire.dbus.wire.signatures import types_of_signature
from everywire.errors import Code, Fault, ModelError
from everywire.model import Contract, Kind, Member, Parameter
from everywire.model.contract import DEFAULT_TIMEOUT
from everywire.model.description import read_description
from everywire.transport.descriptors import UnixFd

EVERYWIRE: Final = "org.everywire.Object1"
UNKNOWN: Final = "?"
"""The signature of an answer that nobody told of."""
MOST_NEAR: Final = 8
"""Paths that an error names."""


@dataclass(frozen=True, slots=True)
class Found:
    """A member and where it is."""

    member: Member
    place: Place

    @property
    def name(self) -> str:
        """What it goes by in Python."""
        return self.member.name

    @property
    def full_name(self) -> str:
        """What it goes by on D-Bus."""
        return f"{self.place.interface}.{self.place.name}"


class BusObject:
    """An object as its service describes it."""

    def __init__(self, service: Service, path: str, interfaces: Iterable[Interface]) -> None:
        self.service, self.path = service, path
        self.interfaces: Mapping[str, Interface] = {interface.name: interface for interface in interfaces}
        self._own = described(interface for name, interface in self.interfaces.items() if not is_common(name))
        self._common = described(interface for name, interface in self.interfaces.items() if is_common(name))

    # What it has.

    @property
    def contract(self) -> Contract:
        """What it is made of, without the interfaces that all objects have."""
        return self._own.contract

    def of_kind(self, *kinds: Kind) -> list[Found]:
        """Return the members of these kinds, without those that all objects have."""
        return [
            Found(member, self._own.places[name])
            for name, member in self.contract.members.items()
            if member.kind in kinds
        ]

    def part(self, interface: str) -> Contract:
        """Return what the object has of *interface*."""
        about = self._common if is_common(interface) else self._own
        found = self.interfaces[interface]
        members = {
            name: replace(member, wire_name="" if python_name(member.wire_name) == name else member.wire_name)
            for name, member in about.contract.members.items()
            if about.places[name].interface == interface
        }
        return Contract(interface, members, found.doc)

    def find(self, name: str, *kinds: Kind) -> Found:
        """Return the member that *name* means: in Python's spelling, in that of D-Bus, or with its interface.

        Raises ModelError with what there is, and where several are meant.
        """
        if "." in name:
            return self._qualified(name, *kinds)
        found = [
            (here, place)
            for here, place in self._own.places.items()
            if place.name == name and self.contract.members[here].kind in kinds
        ]
        if name not in self.contract.members and len(found) == 1:
            name = found[0][0]
        elif name not in self.contract.members:
            several = found or [
                (here, place)
                for here, place in self._own.places.items()
                if python_name(place.name) == name and self.contract.members[here].kind in kinds
            ]
            if several:
                full = [f"{place.interface}.{place.name}" for _, place in several]
                raise ModelError(f"{self.path} has several {name}: say which, {listed(full)}")
        member = member_named(self._named, name, *kinds)
        return Found(member, self._own.places[member.name])

    def _qualified(self, name: str, *kinds: Kind) -> Found:
        interface, _, last = name.rpartition(".")
        if interface not in self.interfaces:
            known = [*self.interfaces]
            raise ModelError(
                f"{self.path} has no interface {interface!r}; it has {listed(known)}.{suggestion(interface, known)}"
            )
        about: Description = self._common if is_common(interface) else self._own
        there = {here: place.name for here, place in about.places.items() if place.interface == interface}
        members = {here: about.contract.members[here] for here in there}
        meant = [here for here, wire in there.items() if last in (here, wire, python_name(wire))]
        fitting = [here for here in meant if members[here].kind in kinds]
        member = member_named(Contract(interface, members), (fitting or meant or [last])[0], *kinds)
        return Found(member, about.places[member.name])

    @property
    def _named(self) -> Contract:
        """The contract with a name for errors."""
        return Contract(self.path, self.contract.members)

    # What is done with it.

    async def get(self, found: Found) -> Any:
        """Return the value of a property; raise Fault."""
        if not found.place.readable:
            raise ModelError(f"{found.full_name} can be set but not read")
        place = found.place
        answer = await self._ask(PROPERTIES, "Get", "ss", (place.interface, place.name))
        return self.value(found, answer.body[0] if answer.signature == "v" else None, answer.fds)

    async def get_all(self, interface: str) -> Message:
        """Return the message with the values of an interface's properties; raise Fault."""
        return await self._ask(PROPERTIES, "GetAll", "s", (interface,))

    def value(self, found: Found, variant: Variant | None, fds: tuple[Any, ...] = ()) -> Any:
        """Return the value of a property that came as *variant*."""
        if variant is None:
            return None
        return lifted(found.member.parameters[0].type, variant.signature, variant.value, fds)

    async def streams(self) -> frozenset[str]:
        """Return the names of the slots that give streams, which only an object of everywire has."""
        if EVERYWIRE not in self.interfaces:
            return frozenset()
        answer = await self._ask(PROPERTIES, "Get", "ss", (EVERYWIRE, "Contract"))
        contract = read_description(answer.body[0].value)
        return frozenset(member.name for member in contract.of_kind(Kind.SLOT) if member.stream)

    async def set(self, found: Found, text: str) -> Any:
        """Set a property to the value that *text* means; return what it then has, None where it cannot be read."""
        place, fds = found.place, list[UnixFd]()
        value = lowered(found.name, found.member.parameters[0], place.signature, text, fds)
        body = (place.interface, place.name, Variant(place.signature, value))
        await self._ask(PROPERTIES, "Set", "ssv", body, fds=tuple(fds), interactive=True)
        return await self.get(found) if place.readable else None

    async def call(self, found: Found, words: Sequence[str], *, timeout: float) -> Any:
        """Call a method with the arguments that *words* mean; return its result, several as a list; raise Fault."""
        place, member = found.place, found.member
        body, fds = arguments(member, place, words)
        if place.no_reply:
            call = self.service.message(
                self.path, place.interface, place.name, place.signature, body, fds, flags=NO_REPLY
            )
            self.service.connection.send(call)
            return None
        longest = member.timeout if member.timeout != DEFAULT_TIMEOUT else max(ANSWER, timeout)
        answer = await self._ask(
            place.interface, place.name, place.signature, body, fds=fds, timeout=longest, interactive=True
        )
        return results(member, answer)

    async def _ask(
        self, interface: str, member: str, signature: str, body: tuple[Any, ...], **more: Any
    ) -> Message:
        try:
            return await self.service.ask(self.path, interface, member, signature, body, **more)
        except Fault as fault:
            raise told(self.service, fault) from fault


def arguments(member: Member, place: Place, words: Sequence[str]) -> tuple[tuple[Any, ...], tuple[UnixFd, ...]]:
    """Return the body of a call with the arguments that *words* mean, and its descriptors; raise ModelError."""
    given = words_by_parameter(member, words)
    fds: list[UnixFd] = []
    body = [
        lowered(f"{member.name}({parameter.name})", parameter, str(shape), text, fds)
        if (text := given.get(parameter.name)) is not None
        else of_default(parameter, str(shape))
        for parameter, shape in zip(member.parameters, parse_signature(place.signature), strict=True)
    ]
    return tuple(body), tuple(fds)


def results(member: Member, answer: Message) -> Any:
    """Return what a method answered: None, a value, or a list of several."""
    shapes = parse_signature(answer.signature)
    types = types_of_signature(answer.signature)
    if len(shapes) == 1 and member.result is not None:
        types = (member.result,)
    values = [
        lifted(node, str(shape), raw, answer.fds) for node, shape, raw in zip(types, shapes, answer.body, strict=True)
    ]
    return None if not values else values[0] if len(values) == 1 else values


def undescribed(name: str, kind: Kind, signature: str) -> Found:
    """Return the member *name*, with its interface, whose arguments have *signature*; raise ModelError.

    For those of which no introspection data tell.
    """
    interface, _, last = name.rpartition(".")
    if not interface:
        raise ModelError(f"{name!r} lacks its interface: one looks like org.acme.Thermostat1.Boost")
    types = types_of_signature(signature)
    parameters = tuple(Parameter(f"arg{number}", node) for number, node in enumerate(types))
    place = Place(check_interface(interface), check_member(last), signature, result=UNKNOWN)
    return Found(Member(kind, last, parameters), place)


async def look(service: Service, path: str) -> BusObject:
    """Return the object at *path*; raise ModelError with near paths where there is none."""
    try:
        node = await service.introspect(path)
    except Fault as fault:
        if fault.code not in (Code.NOT_FOUND, Code.UNKNOWN, Code.INVALID_ARGUMENT):
            raise told(service, fault) from fault
        raise await _nothing_at(service, path, fault.message) from fault
    if not node.interfaces:
        raise await _nothing_at(service, path, "")
    return BusObject(service, path, node.interfaces)


async def _nothing_at(service: Service, path: str, why: str) -> ModelError:
    """Return the error for a path without an object, with those that are there."""
    above, near = path, list[str]()
    while above != "/" and not near:
        above = above.rpartition("/")[0] or "/"
        try:
            node = await service.introspect(above)
        except Fault:
            continue
        near = [f"{above.rstrip('/')}/{inner.name}" for inner in node.nodes if inner.name]
    is_are = "is" if len(near) == 1 else "are"
    there = f"below {above} there {is_are} {listed(near, MOST_NEAR)}" if near else "'everywire tree' shows what it has"
    known = any(said in why.lower() for said in ("no such", "no object", "unknown object", "not found"))
    reason = f" ({why})" if why and not known else ""
    return ModelError(f"{service.title} has no object {path}{reason}; {there}.{suggestion(path, near)}")
