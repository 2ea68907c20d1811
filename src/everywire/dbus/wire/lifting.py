"""What arrived in a body as values that a type converts, by the signature that it arrived with; compiled once.

The signature may be the type's own or what a foreign service sends; a pair that can never fit is a ModelError when it
is compiled, a value that does not fit one when it is lifted. Bodies hold what their signatures say, because whoever
read them has seen to it; bounds, lengths and structs are left for `convert` to check.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any, Final
from uuid import UUID

from everywire.dbus.codec import Node, Variant
from everywire.dbus.wire.coding import (
    BOUNDS,
    EPOCH,
    Coder,
    at,
    each,
    each_its_own,
    entries,
    is_textual,
    is_vardict,
    optional_or_value,
    placed,
    same,
    unfit,
    whole,
)
from everywire.dbus.wire.signatures import one_type, signature_of
from everywire.dbus.wire.variants import plain_lift
from everywire.errors import ModelError
from everywire.model.names import proposal
from everywire.model.types import (
    DATETIME,
    DURATION,
    AnyType,
    Bytes,
    DictOf,
    EnumType,
    Exact,
    Field,
    Float,
    Handle,
    Int,
    ListOf,
    OptionalOf,
    StructOf,
    TupleOf,
    Type,
    holds_handle,
    short,
)

MOST_KNOWN: Final = 64
"""Signatures of variants, or keys of dicts, that are remembered per place in a type: a stranger may send many."""


def compile_lift(node: Type, signature: str | None = None) -> Coder:
    """Return what makes of values that arrived with *signature* what `node.convert` takes; `same` if they are that.

    Without *signature* it is the type's own. Raises ModelError when no value can fit, and for types with file
    descriptors: `compile_lift_fds` lifts these.
    """
    if holds_handle(node):
        raise ModelError(f"{node.name} holds file descriptors, which a message carries beside its body")
    return _Lifting().of(node, one_type(signature or signature_of(node)))


def compile_lift_fds(node: Type, signature: str | None = None) -> Callable[[Any, Sequence[Any]], Any]:
    """Return `compile_lift` for a type with file descriptors: it takes a value and the descriptors of the message.

    Values get the owners that came with the message, not duplicates. Not to be used by two threads at a time.
    """
    lifting = _Lifting()
    inner = lifting.of(node, one_type(signature or signature_of(node)))

    def lift(raw: Any, fds: Sequence[Any]) -> Any:
        lifting.fds = fds
        try:
            return inner(raw)
        finally:
            lifting.fds = ()  # else they would stay open until the next value

    return lift


class _Lifting:
    """Compiles one type; knows where descriptors come from."""

    def __init__(self) -> None:
        self.fds: Sequence[Any] = ()

    def of(self, node: Type, shape: Node) -> Coder:
        """Return what lifts values of *shape* for *node*."""
        if isinstance(node, AnyType):
            return plain_lift(shape)
        if shape.code == "v":
            return self.variant(node)
        if isinstance(node, OptionalOf):
            return self.optional(node, shape)
        found = self.compound(node, shape) if shape.code in "a(" else self.scalar(node, shape.code)
        if found is None:
            raise unfit(node.name, shape)
        return found

    def variant(self, node: Type) -> Coder:
        """Only the value says of which signature it is."""
        known: dict[str, Coder] = {}
        optional = isinstance(node, OptionalOf)

        def lift(raw: Variant) -> Any:
            signature = raw.signature
            if optional and signature == "g" and not raw.value:
                return None
            one = known.get(signature)
            if one is None:
                if len(known) >= MOST_KNOWN:
                    known.clear()
                one = known[signature] = self.of(node, one_type(signature))
            return one(raw.value)

        return lift

    def optional(self, node: OptionalOf, shape: Node) -> Coder:
        return optional_or_value(
            node,
            shape,
            lambda: _none_or_one(self.of(node.item, shape.parts[0]), node.name),
            lambda: self.of(node.item, shape),
        )

    def scalar(self, node: Type, code: str) -> Coder | None:
        match node:
            case Int():
                return same if code in BOUNDS else whole if code == "d" else None
            case Float():
                return same if code == "d" or code in BOUNDS else None
            case EnumType():
                return _lift_enum(node, code)
            case Exact():
                return _lift_exact(node, code)
            case Handle() if code == "h":
                return self.descriptor
            case _:
                return None

    def descriptor(self, index: int) -> Any:
        if index >= len(self.fds):
            raise ModelError(f"file descriptor {index} of a message that carries {len(self.fds)}")
        return self.fds[index]

    def compound(self, node: Type, shape: Node) -> Coder | None:
        match node:
            case Bytes():
                return same if str(shape) == "ay" else None
            case DictOf():
                return self.dict(node, shape)
            case StructOf() if is_vardict(shape):
                return self.fields(node, shape.parts[0].parts[1])
            case StructOf() if shape.code == "(":
                return self.struct(node, shape)
            case ListOf() | TupleOf() if shape.code == "(" or shape.parts[0].code != "{":
                return self.items(node, shape)
            case _:
                return None

    def items(self, node: ListOf | TupleOf, shape: Node) -> Coder | None:
        """A list or tuple of an array or struct; how many items there are is for `convert` to see."""
        fixed = isinstance(node, TupleOf) and not node.variadic
        if not fixed and shape.code == "a":
            one = self.of(node.parts[0], shape.parts[0])
            if one is same:
                return list if shape.parts[0].code == "y" else same
            return each(one)
        parts = node.parts if fixed else node.parts * len(shape.parts)
        shapes = shape.parts if shape.code == "(" else shape.parts * len(parts)
        if len(parts) != len(shapes):
            return None
        lifts = [self.of(*pair) for pair in zip(parts, shapes, strict=True)]
        if all(lift is same for lift in lifts):
            return list if str(shape) == "ay" else same
        every = each_its_own(lifts)
        return lambda raw: every(raw) if len(raw) == len(lifts) else raw

    def struct(self, node: StructOf, shape: Node) -> Coder | None:
        if len(node.fields) != len(shape.parts):
            return None
        names = [field.name for field in node.fields]
        lifts = [self.of(field.type, part) for field, part in zip(node.fields, shape.parts, strict=True)]
        if all(lift is same for lift in lifts):
            return lambda raw: dict(zip(names, raw, strict=True))
        every = each_its_own(lifts, names)
        return lambda raw: dict(zip(names, every(raw), strict=True))

    def dict(self, node: DictOf, shape: Node) -> Coder | None:
        if shape.code == "(" or len(shape.parts[0].parts) != 2:  # an array of entries, or of pairs
            return None
        (entry,) = shape.parts
        key, value = (self.of(*pair) for pair in zip(node.parts, entry.parts, strict=True))
        if entry.code == "{":
            return entries(key, value)
        convert = node.key.convert  # makes keys that can be looked up, which lists cannot

        def key_of(raw: Any) -> Any:
            return convert(key(raw))

        return lambda raw: {at(name, key_of, name): at(name, value, item) for name, item in raw}

    def fields(self, node: StructOf, shape: Node) -> Coder:
        """Fields by name; entries that the struct does not name are left out: services add to such dicts."""
        lifts = {field.name: self.field(field, shape) for field in node.fields}
        known: dict[str, str] = {}

        def name_of(key: str) -> str:
            if len(known) >= MOST_KNOWN:
                known.clear()
            known[key] = name = key if key in lifts else proposal(key)
            return name

        def lift(raw: dict[str, Any]) -> dict[str, Any]:
            named = {known.get(key) or name_of(key): item for key, item in raw.items()}
            return {name: at(name, one, named[name]) for name, one in lifts.items() if name in named}

        return lift

    def field(self, field: Field, shape: Node) -> Coder:
        """What may be missing may also be what could never arrive, in a dict whose values are all of one type."""
        try:
            return self.of(field.type, shape)
        except ModelError as error:
            if field.required:
                raise placed(error, field.name) from None
            return _refusing(str(error))


def _refusing(words: str) -> Coder:
    def refuse(_raw: Any) -> Any:
        raise ModelError(words)

    return refuse


def _none_or_one(one: Coder, name: str) -> Coder:
    def lift(raw: Any) -> Any:
        if len(raw) > 1:
            raise ModelError(f"expected no item or one for {name}, got {len(raw)}")
        return one(raw[0]) if raw else None

    return lift


# Scalars.


def _lift_enum(node: EnumType, code: str) -> Coder | None:
    if node.flag:
        return node.from_int if code in BOUNDS else None
    if code in BOUNDS:
        found: dict[Any, Any] = {member.value: member for member in node.cls if type(member.value) is int}
    elif code == "s":
        found = {member.value: member for member in node.cls} if is_textual(node) else {}
        found |= node.cls.__members__
    else:
        found = {}
    if not found:
        return None

    def lift(raw: Any) -> Any:
        member = found.get(raw)
        if member is None:
            told = short(raw) if code in BOUNDS else repr(short(raw))
            raise ModelError(f"{told} is not a {node.name}: there are {', '.join(map(str, list(found)[:10]))}")
        return member

    return lift


def _lift_exact(node: Exact, code: str) -> Coder | None:
    if node.kind is bool:
        return same if code == "b" else None
    if node.kind is str:
        return same if code in "sog" else None
    if node == DURATION:
        return _span if code in BOUNDS else None
    if node == DATETIME and code in "xt":
        return _instant
    return _reader(_READ[node.kind], node.name) if code == "s" else None


def _span(raw: int) -> timedelta:
    return timedelta(microseconds=raw)


def _instant(raw: int) -> datetime:
    try:
        return EPOCH + timedelta(microseconds=raw)
    except OverflowError:
        raise ModelError(f"{raw} microseconds since 1970 are beyond the year 9999, or before the year 1") from None


def _reader(read: Callable[[str], Any], name: str) -> Coder:
    def lift(raw: str) -> Any:
        try:
            return read(raw)
        except ValueError as error:
            raise ModelError(f"{short(raw)!r} is not a {name}: {short(str(error))}") from None

    return lift


_READ: Final[Mapping[type, Callable[[str], Any]]] = {
    datetime: datetime.fromisoformat,
    date: date.fromisoformat,
    time: time.fromisoformat,
    UUID: UUID,
}
