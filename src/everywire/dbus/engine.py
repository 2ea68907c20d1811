"""One D-Bus connection as a state machine: authentication, then messages cut out of the stream. No I/O, no clock.

A client of a bus, a client of a peer and the server of a peer differ in the lines of their authentication only
(D-Bus Specification, "Authentication Protocol"); names and calls are the session's business.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from everywire.dbus.codec import (
    Message,
    decode_message,
    decode_plain,
    encode_message,
    frame_size,
    head_size,
    read_head,
)
from everywire.dbus.codec.heads import FIRST
from everywire.errors import RemoteProtocolError

MOST_LINE: Final = 16 * 1024
"""Bytes of a line of the authentication."""
MOST_ATTEMPTS: Final = 8
"""Attempts that a client has to authenticate."""
MOST_DESCRIPTORS: Final = 253
"""Descriptors that wait for their message: as many as the kernel lets travel with one (SCM_MAX_FD)."""


class Authenticated(msgspec.Struct, frozen=True):
    """Both ends agreed: from here on there are messages. `anonymous`: nobody said who the client is."""

    guid: str
    descriptors: bool
    anonymous: bool = False


class Oversized(msgspec.Struct, frozen=True):
    """A message that was too large, and passed by: its header and its size."""

    head: Message
    size: int


class Overlong(msgspec.Struct, frozen=True):
    """A message with a header that is too large to be read, which a bus let through; it was passed by."""

    error: RemoteProtocolError


class Unreadable(msgspec.Struct, frozen=True):
    """A message whose body is malformed, although a bus let it through: its header and what is wrong."""

    head: Message
    error: RemoteProtocolError


class Broken(msgspec.Struct, frozen=True):
    """The peer broke the protocol; nothing follows."""

    error: RemoteProtocolError


class Refused(RemoteProtocolError):
    """The server accepts nothing that we can say about who we are."""


class Engine:
    """One end of a connection; `receive_data` returns its events in order, the last one being `Broken` if any is.

    *role* is ``client`` or ``server``. *uid* is ours as a client, the peer's as a server (None: not known). *anonymous*
    allows to go on without one. *max_frame* bounds a message; a larger one is passed by. *bus*: a daemon stands
    between, so that a malformed body is somebody else's fault.
    """

    def __init__(
        self,
        role: str,
        *,
        max_frame: int,
        uid: int | None,
        guid: str = "",
        anonymous: bool = False,
        descriptors: bool = True,
        bus: bool = False,
    ) -> None:
        self.max_frame = max_frame
        self.most_descriptors = 0
        """Descriptors that may wait for the rest of their message; none before both ends agreed to pass any."""
        self.serial = 0
        """The number of the last message that was sent."""
        self._bus = bus
        self._handshake: _Client | _Server | None
        if role == "client":
            self._handshake = _Client(uid, anonymous=anonymous, descriptors=descriptors)
        else:
            self._handshake = _Server(uid, guid, anonymous=anonymous, descriptors=descriptors)
        self._buffer = bytearray()
        self._need = FIRST
        """Bytes that the buffer must hold before it is looked at again."""
        self._skip = 0
        """Bytes of a message that is passed by."""
        self._came: deque[Any] = deque()
        self._output: list[bytes] = [self._handshake.opening()]
        self._broken = False
        self._plain = False
        """Whether the next byte begins a message, and nothing else is waited for."""

    # What goes out.

    def next_serial(self) -> int:
        """Return the number of the next message: never zero, for it is a u32 that begins anew."""
        self.serial = serial = self.serial + 1 if self.serial < 0xFFFF_FFFF else 1
        return serial

    def send(self, message: Message) -> int:
        """Queue *message*; return its serial. Raises ModelError when it cannot be sent."""
        frame = encode_message(message, self.serial + 1 if self.serial < 0xFFFF_FFFF else 1)
        self._output.append(frame)
        return self.next_serial()

    def data_to_send(self) -> bytes:
        """Return what is to be written."""
        data = b"".join(self._output)
        self._output.clear()
        return data

    # What comes in.

    def receive_descriptors(self, descriptors: Iterable[Any]) -> None:
        """Take file descriptors that came with the data which is received next."""
        self._came.extend(descriptors)
        self._plain = False

    def receive_data(self, data: bytes) -> list[Any]:
        """Return the events of *data* and of what was kept from before."""
        events: list[Any] = []
        if self._plain:
            at = self._plainly(data, 0, events)
            if at == len(data):
                return events
            data = data[at:]
        if not self._broken:
            self._receive(data, events)
        return events

    def _receive(self, data: bytes, events: list[Any]) -> None:
        """Take *data* the careful way."""
        try:
            if self._handshake is None and not self._buffer and not self._skip:
                self._messages(data, events)
            else:
                self._take(data, events)
            if len(self._came) > self.most_descriptors:
                raise RemoteProtocolError(f"{len(self._came)} file descriptors came that no message announces")
        except RemoteProtocolError as error:
            self._broken = True
            self._buffer.clear()
            self._came.clear()
            events.append(Broken(error))
        self._plain = self._handshake is None and not (self._buffer or self._skip or self._came or self._broken)

    def receive_eof(self) -> list[Any]:
        """Return what the end of the stream means: an error where it came in the midst of something."""
        if self._broken or not (self._buffer or self._skip):
            return []
        self._broken = True
        what = "the authentication" if self._handshake is not None else "a message"
        return [Broken(RemoteProtocolError(f"the connection ended within {what}"))]

    # Private.

    def _take(self, data: bytes, events: list[Any]) -> None:
        """Go on with what was begun."""
        if self._skip:
            passed = min(self._skip, len(data))
            self._skip -= passed
            data = data[passed:]
        self._buffer += data
        if self._handshake is not None:
            self._authenticate(events)
        if self._handshake is None and len(self._buffer) >= self._need:
            data = bytes(self._buffer)
            self._buffer.clear()
            self._messages(data, events)

    def _authenticate(self, events: list[Any]) -> None:
        handshake = self._handshake
        while handshake is not None:
            line = _next_line(self._buffer, first=handshake.first)
            if line is None:
                return
            answer, done = handshake.heard(line)
            if answer:
                self._output.append(answer)
            if done is not None:
                events.append(done)
                self._handshake = handshake = None
                self.most_descriptors = MOST_DESCRIPTORS if done.descriptors else 0

    def _messages(self, data: bytes, events: list[Any]) -> None:
        """Cut messages out of *data*, which begins with one; keep the rest."""
        at, end = 0, len(data)
        while end - (at := self._plainly(data, at, events)) >= FIRST:
            size = self._carefully(data, at, events)
            if not size:
                return
            at += size
        self._need = FIRST
        if at < end:
            self._buffer += data[at:]

    def _plainly(self, data: bytes, at: int, events: list[Any]) -> int:
        """Take messages from *at* on by the short way; return where it ends."""
        end = len(data)
        if end <= self.max_frame:  # else one of them may be too large
            while end - at >= FIRST:
                found = decode_plain(data, at, end)
                if found is None:
                    break
                message, at = found
                events.append(message)
        return at

    def _carefully(self, data: bytes, at: int, events: list[Any]) -> int:
        """Take the one message at *at* and return its size here; zero: it is not whole, and what there is was kept."""
        size, here = frame_size(data, at), len(data) - at
        if size > self.max_frame:
            passed = self._pass_by(data[at:], size, events)
            if passed:
                return passed
        elif size <= here:
            frame = data[at : at + size]
            message: Message | Unreadable | None
            try:
                message = decode_message(frame, self._came)
            except RemoteProtocolError as error:
                message = self._unreadable(frame, error)
            if message is not None:
                events.append(message)
            return size
        else:
            self._need = size
        self._buffer += data[at:]
        return 0

    def _unreadable(self, frame: bytes, error: RemoteProtocolError) -> Unreadable | None:
        """Return what is left of a malformed message that somebody sent through a bus; a peer's breaks the link."""
        if not self._bus:
            raise error
        head = read_head(frame, self._came, lacking=True)
        return None if head is None else Unreadable(head, error)

    def _pass_by(self, data: bytes, size: int, events: list[Any]) -> int:
        """Tell about a message that is too large once its header is there; return how much of it *data* holds."""
        needed = head_size(data)
        if needed > self.max_frame:
            allowed = f"{self.max_frame} are allowed"
            error = RemoteProtocolError(f"a message whose header alone has {needed} bytes; {allowed}")
            if not self._bus:
                raise error
            # Nobody can be answered. Descriptors come with the first byte of their message, and before the next one.
            self._came.clear()
            events.append(Overlong(error))
        elif len(data) < needed:
            self._need = needed
            return 0
        elif (head := read_head(data, self._came)) is not None:
            events.append(Oversized(head, size))
        here = min(size, len(data))
        self._skip = size - here
        self._need = FIRST
        return here


def _next_line(buffer: bytearray, *, first: bool) -> str | None:
    """Take the next line out of *buffer*; the very first byte of a client is NUL. None: it has not come yet."""
    if first and buffer:
        if buffer[0]:
            raise RemoteProtocolError("a client begins with a NUL byte")
        del buffer[0]
        return "\0"
    end = buffer.find(b"\r\n")
    if end < 0:
        if len(buffer) > MOST_LINE:
            raise RemoteProtocolError(f"a line of the authentication has more than {MOST_LINE} bytes")
        return None
    line = bytes(buffer[:end])
    del buffer[: end + 2]
    if end > MOST_LINE or not line.isascii():
        raise RemoteProtocolError("a line of the authentication is too long, or not ASCII")
    return line.decode()


class _Client:
    """What a client says: EXTERNAL, else ANONYMOUS where that is allowed, then whether descriptors may be sent."""

    first = False

    def __init__(self, uid: int | None, *, anonymous: bool, descriptors: bool) -> None:
        self._mechanisms = [f"EXTERNAL {str(uid).encode().hex()}"] if uid is not None else []
        if anonymous:
            self._mechanisms.append("ANONYMOUS")
        self._descriptors, self._guid, self._trying = descriptors, "", ""

    def opening(self) -> bytes:
        return b"\0" + self._try()

    def heard(self, line: str) -> tuple[bytes, Authenticated | None]:
        word, _, rest = line.partition(" ")
        if self._guid:  # it was asked about descriptors
            agreed = word == "AGREE_UNIX_FD"
            if not agreed and word != "ERROR":
                raise RemoteProtocolError(f"the server answers {line!r} to NEGOTIATE_UNIX_FD")
            return b"BEGIN\r\n", self._done(descriptors=agreed)
        match word:
            case "OK":
                self._guid = rest.strip()
                if not self._guid:
                    raise RemoteProtocolError("the server does not say which one it is: OK without a GUID")
                if self._descriptors:
                    return b"NEGOTIATE_UNIX_FD\r\n", None
                return b"BEGIN\r\n", self._done(descriptors=False)
            case "REJECTED":
                if not self._mechanisms:
                    raise Refused(f"the server refuses us; it would accept {rest or 'nothing'}")
                return self._try(), None
            case "DATA":
                return b"DATA\r\n", None
            case "ERROR":
                return b"CANCEL\r\n", None
            case _:
                raise RemoteProtocolError(f"the server answers {line[:80]!r} to AUTH")

    def _try(self) -> bytes:
        self._trying = self._mechanisms.pop(0) if self._mechanisms else ""
        return f"AUTH {self._trying}".strip().encode() + b"\r\n"

    def _done(self, *, descriptors: bool) -> Authenticated:
        return Authenticated(self._guid, descriptors, anonymous=self._trying == "ANONYMOUS")


class _Server:
    """What a server answers: a client is who the kernel says it is, or nobody in particular where that is allowed."""

    def __init__(self, uid: int | None, guid: str, *, anonymous: bool, descriptors: bool) -> None:
        self._uid, self._guid, self._anonymous, self._agreeable = uid, guid, anonymous, descriptors
        self.first = True
        """Whether the NUL byte that begins a connection is still to come."""
        self._asked = ""
        """The mechanism that waits for its data."""
        self._accepted = ""
        self._descriptors = False
        self._attempts = 0

    def opening(self) -> bytes:
        return b""

    def heard(self, line: str) -> tuple[bytes, Authenticated | None]:
        if self.first:
            self.first = False
            return b"", None
        word, _, rest = line.partition(" ")
        match word:
            case "AUTH" if not self._accepted:
                mechanism, space, data = rest.strip().partition(" ")
                return self._authenticate(mechanism, data.strip(), given=bool(space)), None
            case "DATA" if self._asked:
                return self._authenticate(self._asked, rest.strip(), given=True), None
            case "CANCEL" | "ERROR":
                self._accepted = ""
                return self._rejected(), None
            case "NEGOTIATE_UNIX_FD" if self._accepted and self._agreeable:
                self._descriptors = True
                return b"AGREE_UNIX_FD\r\n", None
            case "BEGIN":
                if not self._accepted:
                    raise Refused("the client begins without having authenticated")
                done = Authenticated(self._guid, self._descriptors, anonymous=self._accepted == "ANONYMOUS")
                return b"", done
            case _:
                return b'ERROR "not understood, or not now"\r\n', None

    def _authenticate(self, mechanism: str, data: str, *, given: bool) -> bytes:
        self._asked = ""
        if mechanism == "EXTERNAL" and self._uid is not None:
            if not given:
                self._asked = mechanism
                return b"DATA\r\n"
            if data in ("", str(self._uid).encode().hex()):
                return self._accept(mechanism)
        elif mechanism == "ANONYMOUS" and self._anonymous:
            return self._accept(mechanism)
        return self._rejected()

    def _accept(self, mechanism: str) -> bytes:
        self._accepted = mechanism
        return f"OK {self._guid}\r\n".encode()

    def _rejected(self) -> bytes:
        self._attempts += 1
        if self._attempts > MOST_ATTEMPTS:
            raise Refused(f"the client failed to authenticate {MOST_ATTEMPTS} times")
        external = ["EXTERNAL"] if self._uid is not None else []
        return " ".join(["REJECTED", *external, *(["ANONYMOUS"] if self._anonymous else [])]).encode() + b"\r\n"
