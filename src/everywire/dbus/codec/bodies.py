"""Reading bodies, which nobody may have checked: every rule of the wire format, by readers compiled per signature.

A reader takes the data, where to begin and how deep the value stands, and returns the value and where it ends. It
raises RemoteProtocolError, and nothing else (IndexError and struct.error, for what ends too early, become one above).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from everywire.dbus.codec._dbusfast import Variant
from everywire.dbus.codec.inlined import MAX_ARRAY, ZEROS, Read, ReadBody, inlined_reader
from everywire.dbus.codec.names import check_path
from everywire.dbus.codec.repeated import CHANGES, repeated_reader
from everywire.dbus.codec.signatures import ALIGNMENT, NUMBERS, Node, layout_of, parse_signature
from everywire.errors import ModelError, RemoteProtocolError

MALFORMED: Final = (RemoteProtocolError, ModelError, UnicodeDecodeError, IndexError, struct.error, RecursionError)

DEEPEST: Final = 64
"""Containers within containers, those in variants counted too."""

_NOT_TERMINATED: Final = "a text does not end with NUL, or holds it"
_WORTH_IT: Final = 256
"""Bodies of a signature that were read before code is generated: that takes as long as reading hundreds, and a peer may
send any number of signatures once."""


def read_body(signature: str, body: bytes, order: str) -> tuple[Any, ...]:
    """Return the values of *body*, in the byte *order* ``<`` or ``>``; raise RemoteProtocolError."""
    try:
        return body_reader(signature, order).read(body)
    except (IndexError, struct.error):
        raise RemoteProtocolError(f"{len(body)} bytes are no body of {signature!r}: too few or too many") from None
    except (ModelError, UnicodeDecodeError, RecursionError) as error:
        raise RemoteProtocolError(f"a malformed body: {error}") from None


class BodyReader:
    """What reads whole bodies of one signature: `read`, which becomes a faster one when it was used often."""

    __slots__ = ("_general", "_left", "_nodes", "_order", "_repeats", "read")

    def __init__(self, signature: str, order: str) -> None:
        self.read: ReadBody
        """Returns the values of a body; for one that does not fit it raises one of `MALFORMED`."""
        layout = layout_of(signature, order)
        if layout is not None and "x" not in layout.format:  # what is between values must be looked at
            self.read = layout.unpack
            return
        self._nodes, self._order = parse_signature(signature), order
        self._general, self._repeats = general_reader(signature, order), signature == CHANGES
        self._left = _WORTH_IT
        self.read = self._counted

    def _counted(self, body: bytes) -> tuple[Any, ...]:
        self._left -= 1
        if self._left <= 0:
            read = inlined_reader(self._nodes, self._order, self._general, value_reader)
            self.read = repeated_reader(read, self._order) if self._repeats else read
        return self._general(body)


@lru_cache(1024)
def body_reader(signature: str, order: str) -> BodyReader:
    """Return what reads bodies of *signature*; raise ModelError when it is none."""
    return BodyReader(signature, order)


def general_reader(signature: str, order: str) -> ReadBody:
    """Return what reads bodies of *signature* piece by piece, by all rules."""
    readers = _readers(signature, order)

    def read(body: bytes) -> tuple[Any, ...]:
        values: list[Any] = []
        at = 0
        for read_value in readers:
            value, at = read_value(body, at, 0)
            values.append(value)
        if at != len(body):
            raise IndexError
        return tuple(values)

    return read


@lru_cache(1024)
def _readers(signature: str, order: str) -> tuple[Read, ...]:
    return tuple(value_reader(node, order) for node in parse_signature(signature))


def value_reader(node: Node, order: str) -> Read:
    """Return what reads one value of *node*."""
    code = node.code
    if code in NUMBERS:
        return _fixed(struct.Struct(order + NUMBERS[code]))
    match code:
        case "b":
            return _boolean(order)
        case "s":
            return _text(order)
        case "o":
            return _path(order)
        case "g":
            return _read_signature
        case "v":
            return _variant(order)
        case "a":
            return _array(node.parts[0], order)
        case _:
            return _struct(tuple(value_reader(part, order) for part in node.parts))


def _aligned(data: bytes, at: int, mask: int) -> int:
    """Return where the next value with an alignment of *mask* + 1 begins; what is between is zero."""
    end = (at + mask) & ~mask
    if data[at:end] not in ZEROS:  # where it ends too early, so does what follows
        raise RemoteProtocolError(f"padding at {at} is not zero")
    return end


def _fixed(layout: struct.Struct) -> Read:
    unpack, size = layout.unpack_from, layout.size
    mask = size - 1

    def read(data: bytes, at: int, depth: int) -> tuple[Any, int]:  # noqa: ARG001  all readers look alike
        if at & mask:
            at = _aligned(data, at, mask)
        return unpack(data, at)[0], at + size

    return read


def _boolean(order: str) -> Read:
    number = _fixed(struct.Struct(order + "I"))

    def read(data: bytes, at: int, depth: int) -> tuple[bool, int]:
        value, at = number(data, at, depth)
        if value > 1:
            raise RemoteProtocolError(f"a boolean is 0 or 1, not {value}")
        return bool(value), at

    return read


def _text(order: str) -> Read:
    unpack = struct.Struct(order + "I").unpack_from

    def read(data: bytes, at: int, depth: int) -> tuple[str, int]:  # noqa: ARG001
        if at & 3:
            at = _aligned(data, at, 3)
        begin = at + 4
        end = begin + unpack(data, at)[0]
        raw = data[begin:end]
        if data[end] or 0 in raw:  # raises IndexError when it ends before
            raise RemoteProtocolError(_NOT_TERMINATED)
        return raw.decode(), end + 1

    return read


def _path(order: str) -> Read:
    text = _text(order)

    def read(data: bytes, at: int, depth: int) -> tuple[str, int]:
        value, at = text(data, at, depth)
        return check_path(value), at

    return read


def _read_signature(data: bytes, at: int, depth: int) -> tuple[str, int]:  # noqa: ARG001
    begin = at + 1
    end = begin + data[at]
    if data[end]:  # raises IndexError when it ends before
        raise RemoteProtocolError(_NOT_TERMINATED)
    value = data[begin:end].decode()
    parse_signature(value)
    return value, end + 1


def _variant(order: str) -> Read:
    def read(data: bytes, at: int, depth: int) -> tuple[Variant, int]:
        if depth >= DEEPEST:
            raise RemoteProtocolError(f"containers deeper than {DEEPEST}")
        begin = at + 1
        end = begin + data[at]
        if data[end]:
            raise RemoteProtocolError(_NOT_TERMINATED)
        signature, read_value = _content(data[begin:end], order)
        value, at = read_value(data, end + 1, depth + 1)
        return Variant(signature, value, False), at

    return read


@lru_cache(1024)
def _content(raw: bytes, order: str) -> tuple[str, Read]:
    """Return what a variant says that it holds, and what reads that."""
    signature = raw.decode()
    readers = _readers(signature, order)
    if len(readers) != 1:
        raise RemoteProtocolError(f"a variant holds one value, not {signature!r}")
    return signature, readers[0]


def _struct(readers: tuple[Read, ...]) -> Read:
    def read(data: bytes, at: int, depth: int) -> tuple[list[Any], int]:
        if depth >= DEEPEST:
            raise RemoteProtocolError(f"containers deeper than {DEEPEST}")
        if at & 7:
            at = _aligned(data, at, 7)
        values: list[Any] = []
        for part in readers:
            value, at = part(data, at, depth + 1)
            values.append(value)
        return values, at

    return read


def _array(item: Node, order: str) -> Read:
    unpack = struct.Struct(order + "I").unpack_from
    mask = ALIGNMENT[item.code] - 1
    read_items = _items_reader(item, order)

    def read(data: bytes, at: int, depth: int) -> tuple[Any, int]:
        if depth >= DEEPEST:
            raise RemoteProtocolError(f"containers deeper than {DEEPEST}")
        if at & 3:
            at = _aligned(data, at, 3)
        size = unpack(data, at)[0]
        if size > MAX_ARRAY:
            raise RemoteProtocolError(f"an array of {size} bytes; {MAX_ARRAY} are the most")
        at += 4
        if at & mask:
            at = _aligned(data, at, mask)
        end = at + size
        if end > len(data):
            raise IndexError
        return read_items(data, at, end, depth + 1), end

    return read


ReadItems = Callable[[bytes, int, int, int], Any]
"""Like `Read` for what stands between two places, and is an array's."""


def _items_reader(item: Node, order: str) -> ReadItems:
    if item.code == "y":
        return lambda data, at, end, _depth: data[at:end]
    if item.code in NUMBERS:
        return _numbers(NUMBERS[item.code], order)
    if item.code == "{":
        key, value = (value_reader(part, order) for part in item.parts)
        return _entries(key, value)
    return _items(value_reader(item, order))


def _numbers(code: str, order: str) -> ReadItems:
    width = struct.calcsize(code)

    def read_items(data: bytes, at: int, end: int, depth: int) -> list[Any]:  # noqa: ARG001
        count, rest = divmod(end - at, width)
        if rest:
            raise RemoteProtocolError("an array ends in the midst of an item")
        return list(struct.unpack_from(f"{order}{count}{code}", data, at))

    return read_items


def _items(read: Read) -> ReadItems:
    def read_items(data: bytes, at: int, end: int, depth: int) -> list[Any]:
        found: list[Any] = []
        while at < end:
            value, at = read(data, at, depth)
            found.append(value)
        if at != end:
            raise RemoteProtocolError("an array ends in the midst of an item")
        return found

    return read_items


def _entries(read_key: Read, read_value: Read) -> ReadItems:
    def read_items(data: bytes, at: int, end: int, depth: int) -> dict[Any, Any]:
        if depth >= DEEPEST and at < end:
            raise RemoteProtocolError(f"containers deeper than {DEEPEST}")
        found: dict[Any, Any] = {}
        while at < end:
            if at & 7:
                at = _aligned(data, at, 7)
            key, at = read_key(data, at, depth + 1)
            found[key], at = read_value(data, at, depth + 1)
        if at != end:
            raise RemoteProtocolError("an array ends in the midst of an item")
        return found

    return read_items
