"""Frames of what a host sends, made by functions that are compiled once per member: answers, signals, changes.

A body of one basic type is written here, any other by the marshaller. Nobody answers what goes out here, so its serial
is any number but zero (`SERIAL`), and one frame serves all links.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any, Final

from everywire.dbus.codec import NO_REPLY, Head, Kind, Variant, marshal
from everywire.dbus.wire.lowering import compile_lower, compile_lower_fds
from everywire.dbus.wire.signatures import body_signature, signature_of
from everywire.errors import ModelError
from everywire.model.types import Type, holds_handle

SERIAL: Final = 1
"""The number of messages that nobody refers to."""

Body = tuple[bytes, list[Any]]
"""Bytes, and the descriptors that travel beside them."""
WriteBody = Callable[[Sequence[Any]], Body]
"""Makes a body of checked values; raises ModelError for what D-Bus does not carry, such as NUL in a text."""
Carry = Callable[[bytes, Sequence[Any]], bytes]
"""Ties descriptors to a frame, so that both are sent together."""

_LAYOUTS: Final = {"y": "B", "b": "I", "n": "h", "q": "H", "i": "i", "u": "I", "x": "q", "t": "Q", "d": "d"}
_FIXED: Final = {code: struct.Struct(f"<{layout}").pack for code, layout in _LAYOUTS.items()}
_ALIGNMENT: Final = {"y": 1, "n": 2, "q": 2, "b": 4, "i": 4, "u": 4, "s": 4, "ay": 4, "x": 8, "t": 8, "d": 8}
_SIZE: Final = struct.Struct("<I").pack
_NOTHING: Final[list[Any]] = []


class Recipient:
    """Somebody who gets answers: the heads of these, by signature."""

    __slots__ = ("_heads", "destination")

    def __init__(self, destination: str) -> None:
        self.destination = destination
        """Their unique name; empty between peers."""
        self._heads: dict[tuple[str, int], Head] = {}

    def head(self, signature: str, fds: int = 0) -> Head:
        """Return the head of an answer."""
        head = self._heads.get((signature, fds))
        if head is None:
            head = Head(Kind.RETURN, NO_REPLY, destination=self.destination, signature=signature, fds=fds)
            self._heads[signature, fds] = head
        return head


Recipients = dict[int, Recipient]
"""By the number that stands in the upper half of a call's token."""


def compile_body(nodes: Sequence[Type]) -> WriteBody:
    """Return what makes the body of a message with one value of each of *nodes*."""
    if any(map(holds_handle, nodes)):
        return _carrying_body(nodes)
    if not nodes:
        return lambda _: (b"", _NOTHING)
    if len(nodes) == 1:
        write = compile_value(nodes[0])
        return lambda values: (write(values[0]), _NOTHING)
    signature = body_signature(nodes)
    lowers = [compile_lower(node) for node in nodes]
    if not any(lowers):
        return lambda values: (marshal(signature, tuple(values)), _NOTHING)
    coders = [lower or _same for lower in lowers]

    def write_all(values: Sequence[Any]) -> Body:
        return marshal(signature, [code(value) for code, value in zip(coders, values, strict=True)]), _NOTHING

    return write_all


def compile_value(node: Type) -> Callable[[Any], bytes]:
    """Return what makes the bytes of one value, as they stand at a multiple of eight."""
    signature, lower = signature_of(node), compile_lower(node)
    write = _writer(signature)
    return write if lower is None else lambda value: write(lower(value))


def compile_changed(path: str, interface: str, name: str, node: Type) -> Callable[[Any], bytes]:
    """Return what makes the frame that tells a property's new value; raises ModelError."""
    head = Head(
        Kind.SIGNAL,
        NO_REPLY,
        path=path,
        interface="org.freedesktop.DBus.Properties",
        member="PropertiesChanged",
        signature="sa{sv}as",
    )
    signature = signature_of(node)
    if signature not in _ALIGNMENT:
        lower = compile_lower(node) or _same

        def tell(value: Any) -> bytes:
            changed = {name: Variant(signature, lower(value), False)}
            return head.frame(SERIAL, marshal("sa{sv}as", (interface, changed, [])))

        return tell
    write = compile_value(node)
    begin = marshal("s", (interface,))
    begin += bytes(-len(begin) % 4)
    entry = marshal("sg", (name, signature))
    entry += bytes(-len(entry) % _ALIGNMENT[signature])
    gap = bytes(-(len(begin) + 4) % 8)

    def tell_basic(value: Any) -> bytes:
        raw = write(value)
        size = len(entry) + len(raw)
        return head.frame(SERIAL, b"".join((begin, _SIZE(size), gap, entry, raw, bytes(-size % 4), b"\0\0\0\0")))

    return tell_basic


def invalidated(path: str, interface: str, name: str) -> bytes:
    """Return the frame that tells that a property has a new value, and not which."""
    head = Head(
        Kind.SIGNAL,
        NO_REPLY,
        path=path,
        interface="org.freedesktop.DBus.Properties",
        member="PropertiesChanged",
        signature="sa{sv}as",
    )
    return head.frame(SERIAL, marshal("sa{sv}as", (interface, {}, [name])))


def compile_signal(
    path: str, interface: str, name: str, nodes: Sequence[Type], carry: Carry
) -> Callable[[Sequence[Any]], bytes]:
    """Return what makes the frame of a signal of its arguments; raises ModelError."""
    signature, write, heads = body_signature(nodes), compile_body(nodes), dict[int, Head]()

    def tell(values: Sequence[Any]) -> bytes:
        body, fds = write(values)
        head = heads.get(len(fds))
        if head is None:
            head = heads[len(fds)] = Head(
                Kind.SIGNAL,
                NO_REPLY,
                path=path,
                interface=interface,
                member=name,
                signature=signature,
                fds=len(fds),
            )
        frame = head.frame(SERIAL, body)
        return carry(frame, fds) if fds else frame

    return tell


def addressed(frame: bytes, field: bytes, carry: Carry) -> bytes:
    """Return the *frame* of a signal with one more field in its header, which `destination_field` made."""
    size = int.from_bytes(frame[12:16], "little")
    end = 16 + size + -size % 8
    begin = frame[16:end]
    told = b"".join((frame[:12], _SIZE(len(begin) + len(field)), begin, field, bytes(-len(field) % 8), frame[end:]))
    fds = getattr(frame, "descriptors", ())
    return carry(told, fds) if fds else told


def destination_field(name: str) -> bytes:
    """Return the field of a header that sends a message to *name* alone."""
    raw = name.encode()
    return b"\x06\x01s\0" + _SIZE(len(raw)) + raw + b"\0"


# Private.


def _same(value: Any) -> Any:
    return value


def _carrying_body(nodes: Sequence[Type]) -> WriteBody:
    signature, lowers = body_signature(nodes), [compile_lower_fds(node) for node in nodes]

    def write(values: Sequence[Any]) -> Body:
        fds: list[Any] = []
        body = marshal(signature, [lower(value, fds) for lower, value in zip(lowers, values, strict=True)])
        return body, fds

    return write


def _writer(signature: str) -> Callable[[Any], bytes]:
    if signature in _FIXED:
        return _FIXED[signature]
    if signature == "s":
        return _text
    if signature == "ay":
        return lambda value: _SIZE(len(value)) + value
    return lambda value: marshal(signature, (value,))


def _text(value: str) -> bytes:
    try:
        raw = value.encode()
    except UnicodeEncodeError:
        raise ModelError("a text with half a character (a lone surrogate), which D-Bus does not carry") from None
    if 0 in raw:
        raise ModelError("a text with NUL, which D-Bus does not carry")
    return _SIZE(len(raw)) + raw + b"\0"
