"""One D-Bus message, and its bytes (D-Bus Specification, "Message Protocol")."""

from __future__ import annotations

import enum
import struct
from collections import deque
from typing import Any, Final

import msgspec

from everywire.dbus.codec._dbusfast import marshal
from everywire.dbus.codec.bodies import read_body
from everywire.dbus.codec.heads import FIRST, MAX_HEADER, MAX_MESSAGE, head_of, read_fields
from everywire.errors import ModelError, RemoteProtocolError

NO_REPLY: Final = 1
"""Flag of a call: nobody waits for an answer."""
NO_AUTO_START: Final = 2
"""Flag of a call: the bus does not start the service."""
INTERACTIVE: Final = 4
"""Flag of a call: the service may ask a person for authorization, and take long."""

_ORDERS: Final = {ord("l"): "<", ord("B"): ">"}
_NUMBERS: Final = {"<": struct.Struct("<4xIII").unpack_from, ">": struct.Struct(">4xIII").unpack_from}
"""By byte order: the size of the body, the serial, and the size of the fields."""
_UNCHECKED: Final = frozenset("ogv")
"""Types whose values dbus-fast writes as they come."""


class Kind(enum.IntEnum):
    """What a message is."""

    CALL = 1
    RETURN = 2
    ERROR = 3
    SIGNAL = 4


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One message; texts are empty, and numbers zero, where the header lacks the field.

    `body` has one item for each complete type of `signature`: bool, int, float, str, bytes for ``ay``, lists for other
    arrays and structs, dicts for ``a{…}``, `Variant` for ``v``. Values of type ``h`` are indexes into `fds`.
    """

    kind: Kind
    serial: int = 0
    reply_serial: int = 0
    path: str = ""
    interface: str = ""
    member: str = ""
    error_name: str = ""
    destination: str = ""
    sender: str = ""
    signature: str = ""
    body: tuple[Any, ...] = ()
    flags: int = 0
    fds: tuple[Any, ...] = ()

    @property
    def wants_reply(self) -> bool:
        """Whether it is a call that somebody waits for."""
        return self.kind is Kind.CALL and not self.flags & NO_REPLY


_KINDS: Final = (None, Kind.CALL, Kind.RETURN, Kind.ERROR, Kind.SIGNAL)


def encode_message(message: Message, serial: int) -> bytes:
    """Return *message* with the number *serial* as bytes; raise ModelError when it cannot be sent."""
    m = message
    if m.kind in (Kind.RETURN, Kind.ERROR) and not m.reply_serial:
        raise ModelError("an answer needs the serial of the call that it answers")
    head = head_of(
        m.kind, m.flags, m.path, m.interface, m.member, m.error_name, m.destination, m.signature, len(m.fds)
    )
    return head.frame(serial, marshal_checked(m.signature, m.body) if m.signature or m.body else b"", m.reply_serial)


def marshal_checked(signature: str, body: tuple[Any, ...]) -> bytes:
    """Return *body* as bytes; raise ModelError also for what dbus-fast writes and a bus hangs up for."""
    raw = marshal(signature, body)
    if not _UNCHECKED.isdisjoint(signature):
        try:
            read_body(signature, raw, "<")
        except RemoteProtocolError as error:
            raise ModelError(f"values do not fit the signature {signature!r}: {error}") from None
    return raw


def frame_size(data: bytes | bytearray | memoryview, at: int = 0) -> int:
    """Return the size of the message that begins in *data* at *at*, of which `FIRST` bytes are there.

    Raises RemoteProtocolError when no message begins so.
    """
    order = _ORDERS.get(data[at])
    if order is None:
        raise RemoteProtocolError(f"a message begins with l or B for its byte order, not with byte {data[at]}")
    if data[at + 3] != 1 or not data[at + 1]:
        raise RemoteProtocolError(f"a message of type {data[at + 1]} in version {data[at + 3]} of the protocol, not 1")
    body, _, fields = _NUMBERS[order](data, at)
    size: int = FIRST + fields + -fields % 8 + body
    if fields > MAX_HEADER or size > MAX_MESSAGE:
        raise RemoteProtocolError(f"a message of {size} bytes, {fields} of them header; {MAX_MESSAGE} are the most")
    return size


def decode_message(frame: bytes, descriptors: deque[Any] | None = None) -> Message | None:
    """Return the message in *frame*, which has `frame_size` bytes; None for one of a kind that nobody knows yet.

    It takes its file descriptors out of *descriptors*. Raises RemoteProtocolError for whatever libdbus would not take.
    """
    order, kind = _ORDERS[frame[0]], frame[1]
    size, serial, length = _NUMBERS[order](frame)
    fields, reply_serial = read_fields(frame[FIRST : FIRST + length], kind, order)
    begin = FIRST + length + -length % 8
    if not serial or (length & 7 and any(frame[FIRST + length : begin])):
        raise RemoteProtocolError("a message without serial, or with padding that is not zero")
    if kind in (2, 3) and not reply_serial:
        raise RemoteProtocolError("an answer that does not say to what")
    signature = fields.signature
    body = read_body(signature, frame[begin:], order) if size or signature else ()
    fds = _taken(descriptors, fields.fds) if fields.fds else ()  # also of a message that nobody reads
    if kind >= len(_KINDS):
        return None
    return Message(
        kind=_KINDS[kind],  # type: ignore[arg-type]
        serial=serial,
        reply_serial=reply_serial,
        path=fields.path,
        interface=fields.interface,
        member=fields.member,
        error_name=fields.error_name,
        destination=fields.destination,
        sender=fields.sender,
        signature=signature,
        body=body,
        flags=frame[2],
        fds=fds,
    )


def read_head(data: bytes, descriptors: deque[Any]) -> Message | None:
    """Return the message that begins with *data*, without its body; its descriptors are taken out of *descriptors*.

    For a message that is too large to be kept, or whose body is malformed; None for one of a kind that nobody knows
    yet. Raises RemoteProtocolError.
    """
    order, kind = _ORDERS[data[0]], data[1]
    _, serial, length = _NUMBERS[order](data)
    fields, reply_serial = read_fields(bytes(data[FIRST : FIRST + length]), kind, order)
    fds = _taken(descriptors, fields.fds)
    if kind >= len(_KINDS):
        return None
    parts = {name: getattr(fields, name) for name in ("path", "interface", "member", "error_name", "destination")}
    return Message(
        kind=_KINDS[kind],  # type: ignore[arg-type]
        serial=serial,
        reply_serial=reply_serial,
        sender=fields.sender,
        flags=data[2],
        fds=fds,
        **parts,
    )


def head_size(data: bytes | bytearray) -> int:
    """Return how many bytes `read_head` needs of the message that begins with *data*."""
    length: int = _NUMBERS[_ORDERS[data[0]]](data)[2]
    return FIRST + length


def _taken(descriptors: deque[Any] | None, count: int) -> tuple[Any, ...]:
    if descriptors is None or len(descriptors) < count:
        came = len(descriptors or ())
        raise RemoteProtocolError(f"a message announces {count} file descriptors, and {came} came with it")
    return tuple([descriptors.popleft() for _ in range(count)])
