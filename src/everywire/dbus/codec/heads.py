"""Headers of messages: prepared once for those that differ in serial and body only, and read with a memory."""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import Any, Final

import msgspec

from everywire.dbus.codec.bodies import read_body
from everywire.dbus.codec.names import check_bus_name, check_error_name, check_interface, check_member, check_path
from everywire.dbus.codec.signatures import check_signature
from everywire.errors import ModelError, RemoteProtocolError

MAX_MESSAGE: Final = 1 << 27
"""Bytes of a message, header included."""
MAX_HEADER: Final = 1 << 26
"""Bytes of the fields of a header."""
FIRST: Final = 16
"""Bytes before the fields."""

_LITTLE: Final = struct.Struct("<4sIII").pack
_ANSWER: Final = struct.Struct("<4sIII4sI").pack
REPLY_MARK: Final = b"\x05\x01u\0"
"""What the field of a reply serial begins with; the serial follows."""
REPLY_ONE: Final = REPLY_MARK + b"\1\0\0\0"
"""The field that names the call 1."""
_LOCAL: Final = ("/org/freedesktop/DBus/Local", "org.freedesktop.DBus.Local")

# Header field codes ("Header Fields"): name in `Fields`, type, and what checks it.
_FIELDS: Final[dict[int, tuple[str, str, Any]]] = {
    1: ("path", "o", check_path),
    2: ("interface", "s", check_interface),
    3: ("member", "s", check_member),
    4: ("error_name", "s", check_error_name),
    5: ("reply_serial", "u", None),
    6: ("destination", "s", check_bus_name),
    7: ("sender", "s", check_bus_name),
    8: ("signature", "g", check_signature),
    9: ("fds", "u", None),
}


class Fields(msgspec.Struct, frozen=True):
    """The fields of a header; texts are empty, and numbers zero, where it lacks them."""

    path: str = ""
    interface: str = ""
    member: str = ""
    error_name: str = ""
    reply_serial: int = 0
    destination: str = ""
    sender: str = ""
    signature: str = ""
    fds: int = 0


class Head:
    """The header of messages that differ in serial, body and reply serial only; ModelError for an invalid name."""

    __slots__ = ("_lead", "_most", "_size", "_tail")

    def __init__(
        self,
        kind: int,
        flags: int = 0,
        *,
        path: str = "",
        interface: str = "",
        member: str = "",
        error_name: str = "",
        destination: str = "",
        signature: str = "",
        fds: int = 0,
    ) -> None:
        if lacking := _lacking(kind, path, interface, member, error_name):
            raise ModelError(f"a message of its kind needs {lacking}")
        texts = {1: path, 2: interface, 3: member, 4: error_name, 6: destination, 8: signature}
        fields = b""
        for code, text in texts.items():
            if text:
                _, kind_of_text, check = _FIELDS[code]
                raw = check(text).encode()
                size = bytes((len(raw),)) if kind_of_text == "g" else len(raw).to_bytes(4, "little")
                fields = _padded(fields) + bytes((code, 1)) + kind_of_text.encode() + b"\0" + size + raw + b"\0"
        if fds:
            fields = _padded(fields) + b"\x09\x01u\0" + fds.to_bytes(4, "little")
        self._lead = b"l" + bytes((kind, flags, 1))
        self._size = len(fields)
        self._most = MAX_MESSAGE - 64 - self._size  # bytes of a body, with room for the reply serial and padding
        self._tail = _padded(fields)

    def frame(self, serial: int, body: bytes = b"", reply_serial: int = 0) -> bytes:
        """Return the message with *body*; raise ModelError when it is too large."""
        size = len(body)
        if size > self._most:
            raise ModelError(f"a message of {size} bytes; D-Bus carries {MAX_MESSAGE} at most")
        if reply_serial:
            first = _ANSWER(self._lead, size, serial, self._size + 8, REPLY_MARK, reply_serial)
        else:
            first = _LITTLE(self._lead, size, serial, self._size)
        return first + self._tail + body


@lru_cache(4096)
def head_of(
    kind: int,
    flags: int,
    path: str,
    interface: str,
    member: str,
    error_name: str,
    destination: str,
    signature: str,
    fds: int,
) -> Head:
    """Return the `Head` with these fields, made once."""
    return Head(
        kind,
        flags,
        path=path,
        interface=interface,
        member=member,
        error_name=error_name,
        destination=destination,
        signature=signature,
        fds=fds,
    )


def read_fields(raw: bytes, kind: int, order: str) -> Fields:
    """Return the fields in *raw*; raise RemoteProtocolError."""
    size = len(raw).to_bytes(4, "little" if order == "<" else "big")
    (items,) = read_body("a(yv)", size + bytes(4) + raw, order)  # the first item begins at 8, as it does in a message
    found: dict[str, Any] = {}
    for code, variant in items:
        if code == 0:
            raise RemoteProtocolError("a header field of the invalid code 0")
        if code not in _FIELDS:
            continue  # of a later version of the protocol
        name, signature, check = _FIELDS[code]
        if variant.signature != signature or name in found:
            raise RemoteProtocolError(f"the header field {name} comes twice, or as {variant.signature!r}")
        found[name] = variant.value
        if check is not None:
            _check(check, variant.value)
    fields = Fields(**found)
    if fields.path == _LOCAL[0] or fields.interface == _LOCAL[1]:
        raise RemoteProtocolError("a message from org.freedesktop.DBus.Local, which never travels")
    if lacking := _lacking(kind, fields.path, fields.interface, fields.member, fields.error_name):
        raise RemoteProtocolError(f"a message without {lacking}")
    return fields


def _check(check: Any, value: str) -> None:
    try:
        check(value)
    except ModelError as error:
        raise RemoteProtocolError(f"a malformed header: {error}") from None


def _lacking(kind: int, path: str, interface: str, member: str, error_name: str) -> str:
    """Return what a message of its kind needs and does not have; reply serials are looked at for each."""
    if kind in (1, 4) and not (path and member):
        return "a path and a member"
    if kind == 4 and not interface:
        return "an interface"
    return "the name of an error" if kind == 3 and not error_name else ""


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 8)
