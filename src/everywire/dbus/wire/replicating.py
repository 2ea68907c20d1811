"""What a replica knows of its object on D-Bus: where each member is, and coders for it, made when it attaches.

Pure: `View` says what to send and reads what came; who sends and hears it is the endpoint's business.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from everywire.dbus.codec import NO_REPLY, Head, Kind, Node, Variant, marshal, parse_signature
from everywire.dbus.wire.contracts import Place
from everywire.dbus.wire.types import (
    Coder,
    carries_descriptors,
    compile_lift,
    compile_lift_fds,
    compile_lower,
    compile_lower_fds,
    same,
    signature_of,
)
from everywire.errors import ModelError
from everywire.model import Contract, Member
from everywire.model import Kind as What
from everywire.model.plain import from_plain, to_plain
from everywire.model.types import OptionalOf, StructOf, TupleOf, Type

PROPERTIES: Final = "org.freedesktop.DBus.Properties"
OBJECT: Final = "org.everywire.Object1"

Raw = Sequence[Any]
Lift = Callable[[Any, Raw], Any]
"""Makes a checked value of what a body holds, and of the descriptors that came with it."""
Lower = Callable[[Any, list[Any]], Any]
"""Makes of a checked value what a body holds; descriptors go into the list."""


# --------------------------------------------------------------------------------------------------------- one value
class Value:
    """The coders of one value: of our type *wanted*, sent as *signature* by who has the type *offered* (None: foreign).

    Raises ModelError when the two can never fit.
    """

    __slots__ = ("_convert", "_lifts", "lift", "lower", "node", "offered", "signature", "with_fds")

    def __init__(
        self, wanted: Type, offered: Type | None, signature: str, *, sent: bool, checks: bool = True
    ) -> None:
        """*sent*: it is lowered, too. Not *checks*: whoever gets what is lifted sees to it that it is of the type."""
        self._convert: Coder = wanted.convert if checks else same
        self.node, self.offered, self.signature = wanted, offered, signature
        self.with_fds = carries_descriptors(wanted) or "h" in signature
        self._lifts: dict[str, Lift] = {}
        self.lift: Lift = self._lift_of(signature)
        self.lower: Lower = self._lower_of(signature) if sent else _never

    def from_variant(self, variant: Variant, fds: Raw) -> Any:
        """Return the value in a variant, which may be of another signature than was announced; raise ModelError."""
        signature = variant.signature
        if signature == self.signature:
            return self.lift(variant.value, fds)
        if self.signature == "v":
            return self.lift(variant, fds)
        lift = self._lifts.get(signature)
        if lift is None:
            if len(self._lifts) >= MOST_SIGNATURES:
                self._lifts.clear()
            lift = self._lifts[signature] = self._lift_of(signature)
        return lift(variant.value, fds)

    def variant(self, value: Any, fds: list[Any]) -> Variant:
        """Return *value* as a variant."""
        lowered = self.lower(value, fds)
        return lowered if self.signature == "v" else Variant(self.signature, lowered, False)

    def _lift_of(self, signature: str) -> Lift:
        node, offered = self.node, self.offered
        if offered is None or _alike(node, offered):
            return _lifting(node, signature, self._convert, with_fds=self.with_fds)
        theirs = _lifting(offered, signature, offered.convert, with_fds=self.with_fds)
        return lambda raw, fds: from_plain(node, to_plain(offered, theirs(raw, fds)))

    def _lower_of(self, signature: str) -> Lower:
        node, offered = self.node, self.offered
        if offered is None or _alike(node, offered):
            return _lowering(node, signature, with_fds=self.with_fds, foreign=offered is None)
        theirs = _lowering(offered, signature, with_fds=self.with_fds, foreign=False)
        return lambda value, fds: theirs(from_plain(offered, to_plain(node, value)), fds)


MOST_SIGNATURES: Final = 16
"""Other signatures than the announced one that are remembered of a value."""


_READ: Final = {"d": float, "s": str, "b": bool, "ay": bytes}
"""Of what class values of a signature are."""


def _same(value: Any, _fds: Raw) -> Any:
    return value


def _never(_value: Any, _fds: list[Any]) -> Any:
    raise ModelError("this value is never sent")


def _lifting(node: Type, signature: str, convert: Coder, *, with_fds: bool) -> Lift:
    if with_fds:
        lift_fds = compile_lift_fds(node, signature)
        return lambda raw, fds: convert(lift_fds(raw, fds))
    lift = compile_lift(node, signature)
    if lift is same:
        if node.exact is not None and node.exact is _READ.get(signature):
            return _same  # nothing that is read could be refused
        return lambda raw, _fds: convert(raw)
    if convert is same:
        return lambda raw, _fds: lift(raw)
    return lambda raw, _fds: convert(lift(raw))


def _lowering(node: Type, signature: str, *, with_fds: bool, foreign: bool) -> Lower:
    if with_fds:
        return compile_lower_fds(node, signature, foreign=foreign)
    lower: Coder | None = compile_lower(node, signature, foreign=foreign)
    if lower is None or lower is same:
        return _same
    return lambda value, _fds: lower(value)


def _alike(wanted: Type, offered: Type) -> bool:
    """Return whether two types that fit have structs with the same fields in the same order: D-Bus sends no names."""
    if isinstance(wanted, OptionalOf) and not isinstance(offered, OptionalOf):
        return _alike(wanted.item, offered)
    if isinstance(wanted, StructOf) and isinstance(offered, StructOf):
        names = ([field.name for field in struct.fields] for struct in (wanted, offered))
        if next(names) != next(names):
            return False
    return all(map(_alike, wanted.parts, offered.parts))


# --------------------------------------------------------------------------------------------------------- one member
class Reading:
    """A property: its value, and whether and how it is read."""

    __slots__ = ("name", "place", "value")

    def __init__(self, wanted: Member, offered: Member | None, place: Place) -> None:
        self.name, self.place = wanted.name, place
        node = None if offered is None else offered.type
        self.value = Value(wanted.type, node, place.signature, sent=wanted.writable)


class Hearing:
    """A signal: what makes its arguments, which may come with another signature than was announced."""

    __slots__ = ("_known", "_member", "_offered", "name")

    def __init__(self, wanted: Member, offered: Member | None, place: Place) -> None:
        self.name, self._member, self._offered = wanted.name, wanted, offered
        values = _parameters(wanted, offered, place.signature, sent=False)
        self._known = {place.signature: _lifts(values)}

    def arguments(self, signature: str, body: Raw, fds: Raw) -> tuple[Any, ...]:
        """Return the arguments of one emission; raise ModelError."""
        lifts = self._known.get(signature)
        if lifts is None:
            values = _parameters(self._member, self._offered, signature, sent=False)
            lifts = _lifts(values)
            if len(self._known) < MOST_SIGNATURES:
                self._known[signature] = lifts
        if not lifts:
            return tuple(body)
        return tuple([lift(raw, fds) for lift, raw in zip(lifts, body, strict=True)])


def _lifts(values: Sequence[Value]) -> list[Lift]:
    """Return what makes arguments of what was read; none where they are wanted as they were read."""
    lifts = [value.lift for value in values]
    return [] if all(lift is _same for lift in lifts) else lifts


class Calling:
    """A slot: what makes the body of a call, and the result of an answer."""

    __slots__ = ("_as_it_is", "_lowers", "_result", "_signature", "member", "no_reply", "place", "with_fds")

    def __init__(self, wanted: Member, offered: Member | None, place: Place) -> None:
        self.member, self.place, self.no_reply = wanted, place, place.no_reply
        self._signature = place.signature
        values = _parameters(wanted, offered, place.signature, sent=True)
        self.with_fds = any(value.with_fds for value in values)
        self._lowers = [value.lower for value in values]
        self._as_it_is = all(lower is _same for lower in self._lowers)
        self._result = _result(wanted.result, None if offered is None else (offered.result,), place.result)

    def head(self, path: str, destination: str, fds: int = 0) -> Head:
        """Return the header of calls to the object at *path*."""
        return Head(
            Kind.CALL,
            NO_REPLY if self.no_reply else 0,
            path=path,
            interface=self.place.interface,
            member=self.place.name,
            destination=destination,
            signature=self._signature,
            fds=fds,
        )

    def body(self, arguments: tuple[Any, ...], fds: list[Any]) -> bytes:
        """Return the body of a call with checked *arguments*; raise ModelError."""
        if not arguments:
            return b""
        if self._as_it_is:
            return marshal(self._signature, arguments)
        lowered = [lower(value, fds) for lower, value in zip(self._lowers, arguments, strict=True)]
        return marshal(self._signature, lowered)

    def result(self, signature: str, body: Raw, fds: Raw) -> Any:
        """Return the result in an answer; raise ModelError when it is not what was announced."""
        if self._result is None:
            return None
        if signature != self.place.result:
            raise ModelError(f"an answer with {signature or 'nothing'} where {self.place.result} was announced")
        return self._result(body, fds)


def _parameters(wanted: Member, offered: Member | None, signature: str, *, sent: bool) -> list[Value]:
    codes = parse_signature(signature)
    if len(codes) != len(wanted.parameters):
        raise ModelError(f"{len(wanted.parameters)} arguments where {signature or 'none'} is wanted")
    theirs = [None] * len(codes) if offered is None else [parameter.type for parameter in offered.parameters]
    return [
        Value(parameter.type, node, str(code), sent=sent)
        for parameter, node, code in zip(wanted.parameters, theirs, codes, strict=True)
    ]


def _result(wanted: Type | None, offered: tuple[Type | None] | None, signature: str) -> Lift | None:
    """Return what makes a slot's result of all values of an answer, unchecked; None where nobody wants it."""
    if wanted is None:
        return None
    codes = parse_signature(signature)
    theirs = None if offered is None else offered[0]
    if isinstance(wanted, TupleOf) and not wanted.variadic and len(wanted.items) == len(codes):
        try:
            return _several(wanted, theirs, codes)
        except ModelError:
            if len(codes) != 1:
                raise
    if not codes:
        raise ModelError(f"no result where {wanted.name} is wanted")
    if len(codes) == 1:
        one = Value(wanted, theirs, signature, sent=False, checks=False)
        return lambda body, fds: one.lift(body[0], fds)
    # Several results are the fields of one struct.
    whole = Value(wanted, theirs, f"({signature})", sent=False, checks=False)
    return lambda body, fds: whole.lift(list(body), fds)


def _several(wanted: TupleOf, offered: Type | None, codes: Sequence[Node]) -> Lift:
    theirs: Sequence[Type | None] = [None] * len(codes)
    if isinstance(offered, TupleOf) and len(offered.items) == len(codes):
        theirs = offered.items
    items = zip(wanted.items, theirs, map(str, codes), strict=True)
    values = [Value(*item, sent=False, checks=False) for item in items]
    return lambda body, fds: tuple([value.lift(raw, fds) for value, raw in zip(values, body, strict=True)])


# --------------------------------------------------------------------------------------------------------- one object
class View:
    """An object as one replica sees it: its contract, and the coders of the members that it has on D-Bus.

    *offered* is the contract that the host tells, None for a foreign service; *pairs* say where members are. What does
    not fit is in `misfits`, one line for each.
    """

    def __init__(
        self, wanted: Contract, offered: Contract | None, pairs: Iterable[tuple[Member, Place]]
    ) -> None:
        self.contract, self.offered = wanted, offered
        self.readings: dict[str, Reading] = {}
        self.properties: dict[tuple[str, str], Reading] = {}
        """By interface and name on D-Bus."""
        self.signals: dict[tuple[str, str], Hearing] = {}
        self.calls: dict[str, Calling] = {}
        self.streams: dict[str, Streaming] = {}
        self.misfits: list[str] = []
        self.unusable: set[str] = set()
        for member, place in pairs:
            try:
                self._add(member, None if offered is None else offered.members[member.name], place)
            except ModelError as error:
                self.unusable.add(member.name)
                told = "" if place.result or not place.signature else f" ({place.signature})"
                self.misfits.append(f"expected {member}, offered {place.interface}.{place.name}{told}: {error}")
        if offered is not None:
            streams = [member for member in wanted.members.values() if member.stream]
            self.streams = {m.name: Streaming(m, offered.members[m.name]) for m in streams}

    @property
    def interfaces(self) -> tuple[str, ...]:
        """Those that have readable properties of the replica."""
        return tuple(dict.fromkeys(r.place.interface for r in self.readings.values() if r.place.readable))

    @property
    def used(self) -> frozenset[str]:
        """Those that the replica needs for anything."""
        places = [reading.place.interface for reading in self.readings.values()]
        places += [calling.place.interface for calling in self.calls.values()]
        return frozenset((*places, *(interface for interface, _ in self.signals)))

    def of_interface(self, interface: str) -> list[Reading]:
        """Return the readable properties of *interface*."""
        return [r for r in self.readings.values() if r.place.interface == interface and r.place.readable]

    def _add(self, member: Member, offered: Member | None, place: Place) -> None:
        match member.kind:
            case What.PROPERTY:
                reading = Reading(member, offered, place)
                self.readings[member.name] = self.properties[place.interface, place.name] = reading
            case What.SIGNAL:
                self.signals[place.interface, place.name] = Hearing(member, offered, place)
            case What.SLOT:
                self.calls[member.name] = Calling(member, offered, place)


class Streaming:
    """A stream of an everywire host: its arguments as variants, its items out of variants."""

    __slots__ = ("_arguments", "_item", "name")

    def __init__(self, wanted: Member, offered: Member) -> None:
        self.name = wanted.name
        pairs = zip(wanted.parameters, offered.parameters, strict=True)
        self._arguments = [Value(w.type, o.type, signature_of(o.type), sent=True) for w, o in pairs]
        node, theirs = wanted.result, offered.result
        if node is None or theirs is None:
            raise ModelError(f"{wanted.name}: a stream needs a type of items")
        self._item = Value(node, theirs, signature_of(theirs), sent=False)

    def arguments(self, values: tuple[Any, ...]) -> list[Variant]:
        """Return checked *values* as they are sent; raise ModelError."""
        fds: list[Any] = []
        return [value.variant(given, fds) for value, given in zip(self._arguments, values, strict=True)]

    def item(self, raw: Variant) -> Any:
        """Return an item; raise ModelError."""
        return self._item.from_variant(raw, ())


def host_values(view: View, raw: Mapping[str, Variant], fds: Raw) -> dict[str, Any]:
    """Return the values in an answer to `Attach`; raise ModelError naming one that does not fit.

    They come by name, and where several interfaces have one, with the interface before it. A value that D-Bus cannot
    carry is not among them.
    """
    found: dict[str, Any] = {}
    for reading in view.readings.values():
        place = reading.place
        variant = raw.get(f"{place.interface}.{place.name}") or raw.get(place.name)
        if variant is not None:
            try:
                found[reading.name] = reading.value.from_variant(variant, fds)
            except ModelError as error:
                raise ModelError(f"{reading.name}: {error}") from None
    return found
