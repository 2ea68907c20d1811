"""Checked values as the bodies of messages hold them, by the signature that the receiver wants; compiled once.

That is a type's own signature (`signature_of`) or what a foreign method declares; a pair that can never fit is a
ModelError when it is compiled, a value that does not fit one when it is lowered. Texts are not looked at here: whoever
writes bytes refuses NUL and lone surrogates.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any, Final

from everywire.dbus.codec import Node, Variant, check_path, check_signature
from everywire.dbus.wire.coding import (
    BOUNDS,
    TEXTS,
    Coder,
    each,
    each_its_own,
    entries,
    is_textual,
    is_vardict,
    microseconds,
    number_check,
    optional_or_value,
    same,
    since_epoch,
    unfit,
    whole,
)
from everywire.dbus.wire.signatures import MOST_CONTAINERS, one_type, signature_of
from everywire.dbus.wire.untyped import lower_untyped
from everywire.dbus.wire.variants import NOTHING
from everywire.errors import LocalProtocolError, ModelError
from everywire.model.types import (
    DATETIME,
    DURATION,
    AnyType,
    Bytes,
    DictOf,
    EnumType,
    Exact,
    Float,
    Handle,
    Int,
    ListOf,
    OptionalOf,
    StructOf,
    TupleOf,
    Type,
    holds_handle,
)

Fds = list[Any]
"""Owners of file descriptors, `UnixFd`, in the order in which a body counts them."""


def compile_lower(node: Type, signature: str | None = None, *, foreign: bool = False) -> Coder | None:
    """Return what makes of checked values of *node* what a body of *signature* holds; None where they are that.

    Without *signature* it is the type's own. To a *foreign* service an Enum of texts goes by value, because that is
    what such a service knows; between two ends of ours, and to whoever uses an object of ours, by name. Raises
    ModelError when no value can fit, and for types with file descriptors: `compile_lower_fds` lowers these.
    """
    if holds_handle(node):
        raise ModelError(f"{node.name} holds file descriptors, which a message carries beside its body")
    found = _Lowering(foreign=foreign).of(node, one_type(signature or signature_of(node)), MOST_CONTAINERS)
    return None if found is same else found


def compile_lower_fds(node: Type, signature: str | None = None, *, foreign: bool = False) -> Callable[[Any, Fds], Any]:
    """Return `compile_lower` for a type with file descriptors: it takes a value and the descriptors of the message.

    It appends a duplicate of each descriptor and leaves its index in the body: the message owns what it carries, and
    the sender may close theirs at once. Not to be used by two threads at a time.
    """
    lowering = _Lowering(foreign=foreign)
    inner = lowering.of(node, one_type(signature or signature_of(node)), MOST_CONTAINERS)

    def lower(value: Any, fds: Fds) -> Any:
        lowering.fds = fds
        try:
            return inner(value)
        finally:
            lowering.fds = []  # else they would stay open until the next value

    return lower


class _Lowering:
    """Compiles one type; knows where descriptors go."""

    def __init__(self, *, foreign: bool) -> None:
        self.foreign = foreign
        self.fds: Fds = []

    def of(self, node: Type, shape: Node, room: int) -> Coder:
        """Return what lowers *node* to *shape*, inside which *room* containers may stand in each other."""
        if isinstance(node, AnyType):
            return lower_untyped(shape, room, foreign=self.foreign)
        if isinstance(node, OptionalOf):
            return self.optional(node, shape, room)
        if shape.code == "v":
            own = signature_of(node)
            inner = self.of(node, one_type(own), room - 1)
            return lambda value: Variant(own, inner(value), False)
        found = self.compound(node, shape, room) if shape.code in "a(" else self.scalar(node, shape.code)
        if found is None:
            raise unfit(node.name, shape)
        return found

    def optional(self, node: OptionalOf, shape: Node, room: int) -> Coder:
        """No item or one, where that is meant; else the value, which must be there."""
        if shape.code == "v":
            present = self.of(node.item, shape, room)
            return lambda value: NOTHING if value is None else present(value)
        return optional_or_value(
            node,
            shape,
            lambda: self.none_or_one(node.item, shape.parts[0], room),
            lambda: _required(self.of(node.item, shape, room), shape),
        )

    def none_or_one(self, node: Type, shape: Node, room: int) -> Coder:
        one = self.of(node, shape, room - 1)
        if shape.code == "y":
            return lambda value: b"" if value is None else bytes((one(value),))
        return lambda value: [] if value is None else [one(value)]

    def scalar(self, node: Type, code: str) -> Coder | None:
        match node:
            case Int() | Float():
                return _lower_number(node, code)
            case EnumType():
                return _lower_enum(node, code, foreign=self.foreign)
            case Exact():
                return _lower_exact(node, code)
            case Handle() if code == "h":
                return self.descriptor
            case _:
                return None

    def descriptor(self, value: Any) -> int:
        if value is None:
            raise ModelError("there is no file descriptor to send")
        try:
            self.fds.append(value.duplicate())
        except (LocalProtocolError, OSError) as error:
            raise ModelError(f"a file descriptor that cannot be sent: {error}") from None
        return len(self.fds) - 1

    def compound(self, node: Type, shape: Node, room: int) -> Coder | None:
        match node:
            case Bytes():
                return same if str(shape) == "ay" else None
            case DictOf():
                return self.dict(node, shape, room)
            case StructOf() if is_vardict(shape):
                return self.fields(node, shape.parts[0].parts[1], room)
            case TupleOf() | StructOf() if shape.code == "(":
                return self.struct(node, shape, room)
            case ListOf() | TupleOf() if shape.code == "a" and shape.parts[0].code != "{":
                return self.items(node, shape.parts[0], room)
            case _:
                return None

    def items(self, node: ListOf | TupleOf, shape: Node, room: int) -> Coder:
        lowers = [self.of(part, shape, room - 1) for part in node.parts]
        if isinstance(node, TupleOf) and not node.variadic:
            every = each_its_own(lowers)
        else:
            every = same if lowers[0] is same else each(lowers[0])
        if shape.code == "y":
            return bytes if every is same else lambda value: bytes(every(value))
        return every

    def struct(self, node: TupleOf | StructOf, shape: Node, room: int) -> Coder | None:
        if len(node.parts) != len(shape.parts):
            return None
        lowers = [self.of(part, inner, room - 1) for part, inner in zip(node.parts, shape.parts, strict=True)]
        plain = all(lower is same for lower in lowers)
        if isinstance(node, TupleOf):
            return same if plain else each_its_own(lowers)
        names = [field.name for field in node.fields]
        if plain and len(names) > 1:
            return attrgetter(*names)
        every = each_its_own(lowers, names)
        return lambda value: every([getattr(value, name) for name in names])

    def dict(self, node: DictOf, shape: Node, room: int) -> Coder | None:
        if shape.code == "(" or len(shape.parts[0].parts) != 2:  # an array of entries, or of pairs
            return None
        (entry,) = shape.parts
        key, value = (self.of(*pair, room - 2) for pair in zip(node.parts, entry.parts, strict=True))
        if entry.code == "{":
            return entries(key, value)
        return lambda given: [(key(name), value(item)) for name, item in given.items()]

    def fields(self, node: StructOf, shape: Node, room: int) -> Coder:
        """Fields by name; what is None is left out, as in the dicts of options that services take."""
        parts: list[tuple[str, Coder, bool]] = []
        for field in node.fields:
            optional = isinstance(field.type, OptionalOf)
            inner = field.type.item if isinstance(field.type, OptionalOf) else field.type
            parts.append((field.name, self.of(inner, shape, room - 2), optional))

        def lower(value: Any) -> dict[str, Any]:
            found: dict[str, Any] = {}
            for name, one, optional in parts:
                item = getattr(value, name)
                if not (optional and item is None):
                    found[name] = one(item)
            return found

        return lower


# Scalars.


def _required(lower: Coder, shape: Node) -> Coder:
    def present(value: Any) -> Any:
        if value is None:
            raise ModelError(f"None has no form as the D-Bus type {str(shape)!r}")
        return lower(value)

    return present


def _lower_number(node: Int | Float, code: str) -> Coder | None:
    if code == "d":
        return same if isinstance(node, Float) else float
    if code not in BOUNDS:
        return None
    check = number_check(code)
    if isinstance(node, Float):
        return lambda value: check(whole(value))
    (least, most), (low, high) = node.bounds, BOUNDS[code]
    return same if low <= least and most <= high else check


def _lower_enum(node: EnumType, code: str, *, foreign: bool) -> Coder | None:
    if code == "s" and not node.flag:
        return attrgetter("value" if foreign and is_textual(node) else "name")
    if code in BOUNDS and (node.flag or all(type(member.value) is int for member in node.cls)):
        check = number_check(code)
        return lambda value: check(value.value)
    return None


def _lower_exact(node: Exact, code: str) -> Coder | None:
    if node.kind is bool:
        return same if code == "b" else None
    if node.kind is str:
        own = code == "s" or (node.form is not None and node.form.name == code)
        return same if own else _CHECKS.get(code)
    if (node == DURATION and code in BOUNDS) or (node == DATETIME and code in "xt"):
        check, count = number_check(code), since_epoch if node == DATETIME else microseconds
        return lambda value: check(count(value))
    return TEXTS.get(node.kind) if code == "s" else None


_CHECKS: Final[Mapping[str, Coder]] = {"o": check_path, "g": check_signature}
