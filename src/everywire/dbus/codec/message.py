"""One D-Bus message, and its bytes (D-Bus Specification, "Message Protocol")."""

from __future__ import annotations

import enum
import struct
from collections import deque
from functools import lru_cache
from typing import Any, Final

import msgspec

from everywire.dbus.codec._dbusfast import marshal
from everywire.dbus.codec.bodies import MALFORMED, BodyReader, body_reader, read_body
from everywire.dbus.codec.heads import (
    FIRST,
    MAX_HEADER,
    MAX_MESSAGE,
    REPLY_MARK,
    REPLY_ONE,
    head_of,
    read_fields,
)
from everywire.errors import ModelError, RemoteProtocolError

NO_REPLY: Final = 1
"""Flag of a call: nobody waits for an answer."""
NO_AUTO_START: Final = 2
"""Flag of a call: the bus does not start the service."""
INTERACTIVE: Final = 4
"""Flag of a call: the service may ask a person for authorization, and take long."""

_LITTLE: Final = ord("l")
_BIG: Final = ord("B")
_FIRST: Final = {_LITTLE: struct.Struct("<4BIII").unpack_from, _BIG: struct.Struct(">4BIII").unpack_from}
"""By byte order: that, kind, flags, version, the size of the body, the serial, and the size of the fields."""
_ORDERS: Final = {_LITTLE: "<", _BIG: ">"}
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


_ANSWERS: Final = frozenset({2, 3})
_copied: Final = msgspec.structs.replace
_WORDS: Final = struct.Struct("<4sIII").unpack_from
"""As `_FIRST`, the first four bytes as one."""
_NUMBER: Final = struct.Struct("<I").unpack_from
_PLAIN: Final = frozenset(bytes((_LITTLE, kind, flags, 1)) for kind in range(1, 5) for flags in range(8))
"""What whole messages begin with, but for exotic ones."""
_REMEMBERED: Final = 1024
"""Bytes of the longest header that is remembered: somebody may send thousands of long ones."""
_RETURNS: Final = frozenset(lead for lead in _PLAIN if lead[1] in _ANSWERS)
_KINDS: Final = (None, Kind.CALL, Kind.RETURN, Kind.ERROR, Kind.SIGNAL)


def encode_message(message: Message, serial: int) -> bytes:
    """Return *message* with the number *serial* as bytes; raise ModelError when it cannot be sent."""
    m = message
    if m.kind in (Kind.RETURN, Kind.ERROR) and not m.reply_serial:
        raise ModelError("an answer needs the serial of the call that it answers")
    head = head_of(m.kind, m.flags, m.path, m.interface, m.member, m.error_name, m.destination, m.signature, len(m.fds))
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
    first = _FIRST.get(data[at])
    if first is None:
        raise RemoteProtocolError(f"a message begins with l or B for its byte order, not with byte {data[at]}")
    _, kind, _, version, body, _, fields = first(data, at)
    if version != 1 or not kind:
        raise RemoteProtocolError(f"a message of type {kind} in version {version} of the protocol; 1 is known")
    size: int = FIRST + fields + (-fields & 7) + body
    if fields > MAX_HEADER or size > MAX_MESSAGE:
        raise RemoteProtocolError(f"a message of {size} bytes, {fields} of them header; {MAX_MESSAGE} are the most")
    return size


def decode_plain(data: bytes, at: int, end: int) -> tuple[Message, int] | None:
    """Return the message in *data* at *at*, and where it ends, by the short way; None where that does not lead there.

    The short way is for messages that are whole before *end*, little-endian, without descriptors and well-formed;
    `decode_message` is for all, and says what is wrong. None of it is looked at that has been seen in a header before.
    """
    lead, size, serial, length = _WORDS(data, at)
    fields = at + FIRST
    padding = fields + length
    begin = padding + (-length & 7)
    after = begin + size
    if after > end or not serial or lead not in _PLAIN or length > _REMEMBERED:
        return None
    raw = data[fields:padding]
    reply_serial = 0
    try:
        if lead not in _RETURNS:
            known = _plain(raw, lead)
        elif raw.startswith(REPLY_MARK) and length >= 8:  # as we and sd-bus write it
            reply_serial = _NUMBER(raw, 4)[0]
            known = _plain_answer(raw[8:], lead) if reply_serial else None
        else:
            known = None
        if known is None or (begin != padding and any(data[padding:begin])):
            return None
        template, reader = known
        body = reader.read(data[begin:after])
    except MALFORMED:
        return None
    return _copied(template, serial=serial, reply_serial=reply_serial, body=body), after


def decode_message(frame: bytes, descriptors: deque[Any] | None = None) -> Message | None:
    """Return the message in *frame*, which has `frame_size` bytes; None for one of a kind that nobody knows yet.

    It takes its file descriptors out of *descriptors*. Raises RemoteProtocolError for whatever libdbus would not take.
    """
    order, kind, _, _, size, serial, length = _FIRST[frame[0]](frame)
    end = FIRST + length
    begin = end + (-length & 7)
    template, reply_serial, count = _headed(frame[FIRST:end], frame[:4])
    if not serial or (begin != end and any(frame[end:begin])):
        raise RemoteProtocolError("a message without serial, or with padding that is not zero")
    if not reply_serial and kind in _ANSWERS:
        raise RemoteProtocolError("an answer that does not say to what")
    signature = template.signature
    body = read_body(signature, frame[begin:], _ORDERS[order]) if size or signature else ()
    if not count and kind < len(_KINDS):
        return _copied(template, serial=serial, reply_serial=reply_serial, body=body)
    fds = _taken(descriptors, count) if count else ()  # also of a message that nobody reads
    if kind >= len(_KINDS):
        return None
    return _copied(template, serial=serial, reply_serial=reply_serial, body=body, fds=fds)


def read_head(data: bytes, descriptors: deque[Any], *, lacking: bool = False) -> Message | None:
    """Return the message that begins with *data*, without its body; its descriptors are taken out of *descriptors*.

    For a message that is too large to be kept, or whose body is malformed; None for one of a kind that nobody knows
    yet. Raises RemoteProtocolError; where descriptors may be *lacking*, because we had no room for them, not for that.
    """
    _, kind, _, _, _, serial, length = _FIRST[data[0]](data)
    template, reply_serial, count = _headed(bytes(data[FIRST : FIRST + length]), bytes(data[:4]))
    fds = _taken(descriptors, min(count, len(descriptors)) if lacking else count)
    if kind >= len(_KINDS):
        return None
    return _copied(template, serial=serial, reply_serial=reply_serial, signature="", fds=fds)


def head_size(data: bytes | bytearray) -> int:
    """Return how many bytes `read_head` needs of the message that begins with *data*."""
    length: int = _FIRST[data[0]](data)[-1]
    return FIRST + length


def _headed(raw: bytes, lead: bytes) -> tuple[Message, int, int]:
    """Return a message with the fields in *raw*, its reply serial, and how many descriptors it announces.

    *lead* is what comes before: byte order, kind, flags and version. The answers of one peer differ in the reply serial
    only, so that is made equal first.
    """
    if lead[1] in _ANSWERS and lead[0] == _LITTLE and len(raw) <= _REMEMBERED:
        at = raw.find(REPLY_MARK)
        # A second one could stand inside of a field; one that does alone leaves an answer without a reply serial.
        if at >= 0 and not at & 7 and len(raw) >= at + 8 and raw.find(REPLY_MARK, at + 1) < 0:
            template, count = _template(raw[:at] + REPLY_ONE + raw[at + 8 :], lead)
            if template.reply_serial:
                return template, _NUMBER(raw, at + 4)[0], count
    template, count = _template(raw, lead) if len(raw) <= _REMEMBERED else _template.__wrapped__(raw, lead)
    return template, template.reply_serial, count


@lru_cache(4096)
def _template(raw: bytes, lead: bytes) -> tuple[Message, int]:
    """Return what messages with these fields have in common, and how many descriptors they announce."""
    kind = lead[1]
    fields = read_fields(raw, kind, _ORDERS[lead[0]])
    template = Message(
        kind=_KINDS[kind] if kind < len(_KINDS) else kind,  # type: ignore[arg-type]
        reply_serial=fields.reply_serial,
        path=fields.path,
        interface=fields.interface,
        member=fields.member,
        error_name=fields.error_name,
        destination=fields.destination,
        sender=fields.sender,
        signature=fields.signature,
        flags=lead[2],
    )
    return template, fields.fds


@lru_cache(4096)
def _plain(raw: bytes, lead: bytes) -> tuple[Message, BodyReader] | None:
    """The same for those without descriptors, with what reads their bodies; None for others."""
    template, count = _template(raw, lead)
    return None if count else (template, body_reader(template.signature, "<"))


@lru_cache(4096)
def _plain_answer(raw: bytes, lead: bytes) -> tuple[Message, BodyReader] | None:
    """The same for answers, of whose fields *raw* lacks the first, the reply serial."""
    return _plain(REPLY_ONE + raw, lead)


def _taken(descriptors: deque[Any] | None, count: int) -> tuple[Any, ...]:
    if descriptors is None or len(descriptors) < count:
        came = len(descriptors or ())
        raise RemoteProtocolError(f"a message announces {count} file descriptors, and {came} came with it")
    return tuple([descriptors.popleft() for _ in range(count)])
