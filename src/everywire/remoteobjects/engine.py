"""The state machine of one Qt Remote Objects link, either role: bytes in, events out. No I/O, no clock.

Frames whose head (packet id, object name, call, index) is in `routes` take the fast path: the route's decoder was
compiled when the object was published or attached. Everything else, and whatever a fast decoder does not recognize,
takes the general path through the codec, with the same result. Both give their events in one ordered list.

A route is a `Route` for signals and property changes, a `Door` for calls, and the table of waiting calls for an
object's replies. A change's route knows how its *echo* begins, the notify signal that follows and says nothing new, so
that it is passed over with one comparison. Some changes *rebind*: they bring a child object, or another one. Where the
frames behind such a one go is certain when it is handled; until the end of their chunk they are left as packets.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from itertools import chain, repeat
from typing import Any, Final, TypeVar

import msgspec

from everywire.codec.qdatastream import NO_TYPES, Reader, UserTypes
from everywire.errors import Code, Fault, LocalProtocolError, ModelError, RemoteProtocolError
from everywire.remoteobjects.codec import (
    DIALECTS,
    QTRO_1_3,
    QTRO_2_0,
    Dialect,
    Handshake,
    InvokeReply,
    Packet,
    UnknownUserType,
    decode_packet,
    encode_packet,
)
from everywire.remoteobjects.codec.faults import FAULT_MARK, read_fault_reply

E = TypeVar("E", bound=BaseException)

MAX_FRAME: Final = 4 * 1024 * 1024
MOST_LISTED: Final = 65_536
"""Objects that a host may show."""
LONGEST_NAME: Final = 4096
"""Characters of the name, type and signature of an object that is taken note of, together."""

_SMALLEST: Final = 6
_INVOKE, _REPLY, _CHANGE = 6, 7, 8
_AFTER_NAME: Final = {_INVOKE: 8, _REPLY: 0, _CHANGE: 4}  # bytes of call and index, of nothing, of the index
_BIG_ENDIAN: Final = b"\x00\x00\x00\x16"  # how a host of Qt 5 begins: the size of its handshake


class Broken(msgspec.Struct, frozen=True):
    """The peer broke the protocol; always the last event."""

    error: RemoteProtocolError


class Skipped(msgspec.Struct, frozen=True):
    """A sound frame held a value of a type nobody here knows; the link goes on."""

    error: UnknownUserType
    body: bytes


class Answered(msgspec.Struct, frozen=True, gc=False):
    """A call of ours has its result."""

    call: Any
    value: Any


class Failed(msgspec.Struct, frozen=True):
    """A call of ours was refused or failed."""

    call: Any
    fault: Fault


class Heard(msgspec.Struct, frozen=True, gc=False):
    """A signal or a property's new value arrived; `route` knows whose."""

    route: Any
    arguments: tuple[Any, ...]


class Ignored:
    """What a decoder returns for a frame that says nothing new; it becomes no event."""


IGNORED: Final = Ignored()

Event = Any
"""What `receive_data` returns: what a route's decoder makes, Answered, Failed, Skipped, a Packet, or Broken."""


class Waiting:
    """What a call of ours expects: `decode` reads the reply on the fast path, `lift` on the general one."""

    __slots__ = ("decode", "lift", "timeout")

    def __init__(
        self, decode: Callable[[bytes, int, int], Any], lift: Callable[[Any], Any], timeout: float | None
    ) -> None:
        self.decode, self.lift, self.timeout = decode, lift, timeout


class Odd:
    """What a fast decoder returns for a frame it does not recognize."""


class Engine:
    """Both directions of one link.

    *host* is the role: a host greets with a handshake in its *dialect* and hears calls; a node hears everything else,
    in whichever dialect its host speaks. *careful* turns a packet of the general path into an event with full checks;
    without it packets are the events.
    """

    __slots__ = (
        "_begun",
        "_broken",
        "_careful",
        "_greeted",
        "_late",
        "_need",
        "_out",
        "_sniffed",
        "_unpackers",
        "dialect",
        "host",
        "max_frame",
        "routes",
        "types",
    )

    def __init__(
        self,
        *,
        host: bool,
        max_frame: int = MAX_FRAME,
        routes: dict[bytes, Any] | None = None,
        careful: Callable[[Packet], Event] | None = None,
        dialect: Dialect = QTRO_2_0,
    ) -> None:
        self.host = host
        self._speak(dialect)
        self.max_frame = max_frame
        self.routes: dict[bytes, Any] = {} if routes is None else routes
        self.types: UserTypes = NO_TYPES
        """Enums and gadgets that the peer has announced, by C++ name."""
        self._careful = careful
        self._greeted = self._sniffed = host
        self._broken = self._late = False
        self._begun: bytearray | None = None
        """The beginning of a frame, without what a list of chunks would cost when a peer sends byte by byte."""
        self._need = 0
        self._out = encode_packet(Handshake(dialect.protocol), dialect) if host else b""

    def receive_data(self, data: bytes) -> list[Event]:
        """Take bytes from the peer; return the events of all whole frames, in order."""
        if self._broken:
            return []
        if self._begun is not None:
            self._begun += data
            if len(self._begun) < self._need:
                return []
            data = bytes(self._begun)
            self._begun = None
        if not self._sniffed:
            if len(data) < len(_BIG_ENDIAN):
                if data:
                    self._begun, self._need = bytearray(data), len(_BIG_ENDIAN)
                return []
            self._sniffed = True
            self._speak(QTRO_1_3 if data.startswith(_BIG_ENDIAN) else QTRO_2_0)
        events: list[Event] = []
        self._late = False
        try:
            end = self._frames(data, events)
        except RemoteProtocolError as error:
            self._broken = True
            events.append(Broken(_bare(error)))
            return events
        if end < len(data):
            self._begun = bytearray(data[end:])
        return events

    def receive_eof(self) -> list[Event]:
        """Take the end of the peer's bytes; an end within a frame breaks the protocol."""
        if self._broken or self._begun is None:
            return []
        self._broken = True
        return [Broken(RemoteProtocolError("the peer ended within a frame"))]

    def data_to_send(self) -> bytes:
        """Return, and forget, the bytes to write."""
        data, self._out = self._out, b""
        return data

    def send(self, packet: Packet) -> None:
        """Queue a packet; hot paths make their frames themselves."""
        self._out += encode_packet(packet, self.dialect)

    def _speak(self, dialect: Dialect) -> None:
        self.dialect = dialect
        """The host's, which a node knows from the handshake on."""
        numbers = dialect.numbers
        self._unpackers = numbers.head.unpack_from, numbers.serial.unpack_from, numbers.size.unpack_from

    def _frames(self, data: bytes, events: list[Event]) -> int:
        """Append the events of all whole frames of *data*; return where the first incomplete one starts."""
        route: Callable[[bytes], Any] = self.routes.get
        append, ignored, (unpack, serial_at, size_at) = events.append, IGNORED, self._unpackers
        position, total, limit = 0, len(data), self.max_frame
        # Of the frame before: size and head, how long these are, how long the frame was. Often the next begins alike.
        begin, lead, width, packet_id, found = b"", 0, total + 1, 0, None
        while total - position >= 10:
            if total - position >= width and data.startswith(begin, position):
                arguments, end = position + lead, position + width
            else:
                size, packet_id, name_length = unpack(data, position)
                if not _SMALLEST <= size <= limit:
                    raise self._bad_size(data, position, size)
                end = position + 4 + size
                if end > total:
                    self._need = end - position
                    return position
                arguments = position + 10 + name_length + _AFTER_NAME.get(packet_id, limit)
                found, width = None, total + 1
                if arguments <= end:
                    found = route(data[position + 4 : arguments])
                    begin, lead, width = data[position:arguments], arguments - position, end - position
            event: Any = None
            try:
                if found is None:
                    pass
                elif packet_id == _INVOKE:
                    event = found.decode(found, data, arguments, end)
                elif packet_id == _REPLY:
                    serial = serial_at(data, arguments)[0]
                    entry = found.get(serial)
                    if entry is not None:
                        value = entry[0].decode(data, arguments + 4, end)
                        if value is not Odd:
                            del found[serial]
                            event = Answered(entry[1], value)
                else:
                    event = found.decode(found, data, arguments, end)
                    if event is not None and found.echo_size <= total - end and data.startswith(found.echo, end):
                        end += found.echo_size
            except (struct.error, UnicodeDecodeError, RemoteProtocolError, LocalProtocolError, ModelError):
                # The general path finds out what is wrong, and says it. Local: a head that goes on behind the frame.
                event = None
            if event is None:
                if _INVOKE <= packet_id <= _CHANGE and arguments > end:
                    raise RemoteProtocolError("a name that goes on behind its frame")  # or is null: once, as it is slow
                event = self._general(data[position + 4 : end])
                if packet_id == _CHANGE and found is not None and found.rebinds:
                    self._late, route, width = True, _nobody, total + 1
            if event is not ignored:
                append(event)
            position = end
        if total - position >= 4:
            size = size_at(data, position)[0]
            if not _SMALLEST <= size <= limit:
                raise self._bad_size(data, position, size)
            self._need = size + 4
        else:
            self._need = 4  # so that a bad size is noticed with its last byte, however the stream is cut
        return position

    def _general(self, body: bytes) -> Event:
        if FAULT_MARK in body and (fault := self._fault(body)) is not None:
            return fault
        try:
            packet = decode_packet(body, from_host=not self.host, types=self.types, dialect=self.dialect)
        except UnknownUserType as error:
            return self._failed_reply(body, error) or Skipped(_bare(error), body)
        if not self._greeted:
            self._greet(packet)
        elif isinstance(packet, Handshake):
            raise RemoteProtocolError("a second handshake")
        if isinstance(packet, InvokeReply):
            return self._answer(packet)
        return packet if self._careful is None or self._late else self._careful(packet)

    def _greet(self, packet: Packet) -> None:
        if not isinstance(packet, Handshake):
            raise RemoteProtocolError("the host did not begin with a handshake")
        dialect = DIALECTS.get(packet.version)
        if dialect is None or dialect.order != self.dialect.order:
            known = " and ".join((", ".join((*DIALECTS,)[:-1]), (*DIALECTS,)[-1]))
            raise RemoteProtocolError(f"the host speaks {packet.version[:80]!r}; this node speaks {known}")
        self._speak(dialect)
        self._greeted = True

    def _answer(self, packet: InvokeReply) -> Event:
        """Match a reply that the fast path did not take with the call that waits for it."""
        waiting = self.routes.get(reply_head(packet.name, self.dialect), {})
        entry = waiting.pop(packet.serial, None)
        if entry is None:
            return packet
        try:
            return Answered(entry[1], entry[0].lift(packet.value))
        except Fault as fault:
            return Failed(entry[1], _bare(fault))

    def _fault(self, body: bytes) -> Event | None:
        """A reply that holds a Fault, which only a host that speaks the extension sends."""
        reply = read_fault_reply(body, self.dialect)
        if reply is None or self.host:
            return None
        name, serial, fault = reply
        entry = self.routes.get(reply_head(name, self.dialect), {}).pop(serial, None)
        return None if entry is None else Failed(entry[1], fault)

    def _failed_reply(self, body: bytes, error: UnknownUserType) -> Event | None:
        """A result of an unknown type fails its call, so that nobody waits for it until the deadline."""
        reader = Reader(body, order=self.dialect.order, version=self.dialect.version)
        if reader.read_int("u16") != _REPLY:
            return None
        waiting = self.routes.get(reply_head(reader.read_string(), self.dialect), {})
        entry = waiting.pop(reader.read_int("i32"), None)
        return None if entry is None else Failed(entry[1], unreadable(error))

    def _bad_size(self, data: bytes, position: int, size: int) -> RemoteProtocolError:
        text = f"a frame of {size} bytes is not within {_SMALLEST} and {self.max_frame}, the Limits.frame of this end"
        begin = data[position : position + 4]  # no more: however the stream is cut, the error is the same
        if not self._greeted:
            text = _foreign(begin) or f"{text}: the host begins with {begin!r}, which is not Qt Remote Objects"
        elif self.host and (begin in _HTTP or begin.startswith(_TLS)):
            text += f"; it looks like {'HTTP' if begin in _HTTP else 'TLS'}, which has addresses of its own"
        return RemoteProtocolError(text)


_HTTP: Final = (b"GET ", b"HEAD", b"POST", b"PUT ", b"DELE", b"OPTI", b"PRI ")
_TLS: Final = b"\x16\x03"


def _nobody(_head: bytes) -> None:
    """Where frames go while that is not certain."""


def _foreign(begin: bytes) -> str | None:
    """Return what a host speaks that *begin*s so, and what to do; None for what nobody here knows."""
    if begin in (b"HTTP", b"<!DO", b"<htm"):
        return "the host speaks HTTP; use http:// or https://"
    return None


def serials() -> Iterator[int]:
    """Count as Qt does: from 1, and around before the sign bit; 0 is for heartbeats, -1 means no reply.

    No generator: one that Ctrl-C interrupts is at its end.
    """
    return chain.from_iterable(repeat(range(1, 2**31 - 1)))


def unreadable(error: Exception) -> Fault:
    """Return the Fault for a result that cannot be read."""
    return Fault(Code.INTERNAL, f"the result cannot be read: {error}")


def _bare(error: E) -> E:
    """Return *error* without its tracebacks: these hold the frames, and so the chunk and, in a circle, its events."""
    link: BaseException | None = error
    while link is not None:
        link.__traceback__ = None
        link = link.__cause__ or link.__context__
    return error


def reply_head(name: str, dialect: Dialect = QTRO_2_0) -> bytes:
    """Return the head under which `routes` holds the waiting calls of an object."""
    return _head(_REPLY, name, dialect)


def change_head(name: str, index: int, dialect: Dialect = QTRO_2_0) -> bytes:
    """Return the head of a property's change."""
    return _head(_CHANGE, name, dialect) + dialect.numbers.serial.pack(index)


def invoke_head(name: str, call: int, index: int, dialect: Dialect = QTRO_2_0) -> bytes:
    """Return the head of a call, a property write, or a signal."""
    pack = dialect.numbers.serial.pack
    return _head(_INVOKE, name, dialect) + pack(call) + pack(index)


def _head(packet_id: int, name: str, dialect: Dialect) -> bytes:
    text = name.encode(dialect.numbers.text, "surrogatepass")
    return dialect.numbers.name.pack(packet_id, len(text)) + text
