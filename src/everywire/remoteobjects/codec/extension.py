"""What two everywire peers say to each other beyond Qt, under the reserved object name `everywire` (MAPPINGS 2).

A write with an answer needs no method of its own: it is a call of the object's `pushXxx` with a serial.

After the handshake a node sends `Ping(HELLO)`. Qt echoes it; an everywire host answers `Pong(WELCOME)`, and only then
does either side use the methods and signals below. A host that demands a login answers `Pong(LOGIN_FIRST)` instead: it
then hears `authenticate` alone, and shows its objects when that has succeeded. The table's order is fixed: indices are
the protocol.
"""

from __future__ import annotations

import enum
from typing import Any, Final

import msgspec

from everywire.codec.qdatastream import Typed, TypeId
from everywire.errors import Code, Fault
from everywire.remoteobjects.codec.dialect import QTRO_2_0, Dialect
from everywire.remoteobjects.codec.packets import CallKind, Invoke, InvokeReply, encode_packet

HELLO: Final = "everywire/1?"
WELCOME: Final = "everywire/1!"
LOGIN_FIRST: Final = "everywire/1!login"
NAME: Final = "everywire"
MEMO: Final = "everywire::"
"""How the names begin of what dynamic replicas of Qt are given to keep; see `wire.memos`."""


class Method(enum.IntEnum):
    """What a node may ask; the host answers those with a result."""

    CONTRACT = 0
    """contract(name) -> JSON bytes."""
    AUTHENTICATE = 1
    """authenticate(mechanism, data) -> bytes: one message of a login, see `runtime.scram`."""
    CANCEL = 2
    """cancel(name, serial): stop a running call."""
    OPEN = 3
    """open(name, slot, arguments, stream) -> none: start a stream; *stream* is the node's number for it."""
    GRANT = 4
    """grant(stream, items): the node has room for that many more."""
    CLOSE = 5
    """close(stream)."""


class Told(enum.IntEnum):
    """What a host tells without being asked."""

    ITEM = 0
    """item(stream, value)."""
    END = 1
    """end(stream)."""
    FAILED = 2
    """failed(stream, code, message)."""
    GAP = 3
    """gap(signals): that many signals were dropped on this link because the node was too slow."""
    OVER = 4
    """over(code, message): the login does not hold any more; the link is closed after this."""


class Asked(msgspec.Struct, frozen=True, gc=False):
    """A request of a node."""

    method: Method
    arguments: tuple[Any, ...]
    serial: int


class ToldBy(msgspec.Struct, frozen=True, gc=False):
    """Something a host told."""

    what: Told
    arguments: tuple[Any, ...]


def ask(method: Method, *arguments: Any, serial: int = -1, dialect: Dialect = QTRO_2_0) -> bytes:
    """Return the frame of a request."""
    return encode_packet(Invoke(NAME, CallKind.METHOD, method, arguments, serial, -1), dialect)


def tell(what: Told, *arguments: Any, dialect: Dialect = QTRO_2_0) -> bytes:
    """Return the frame of something a host tells."""
    return encode_packet(Invoke(NAME, CallKind.METHOD, what, arguments, -1, -1), dialect)


def answer(serial: int, value: Any = None, dialect: Dialect = QTRO_2_0) -> bytes:
    """Return the frame that answers a request."""
    typed = Typed(TypeId.QBYTE_ARRAY, value) if isinstance(value, bytes) else value
    return encode_packet(InvokeReply(NAME, serial, typed), dialect)


def read_request(packet: Invoke) -> Asked | None:
    """Return the request in *packet*; None when it is none that this version knows."""
    if packet.name != NAME or packet.call != CallKind.METHOD or packet.index not in _METHODS:
        return None
    return Asked(Method(packet.index), packet.arguments, packet.serial)


def read_told(packet: Invoke) -> ToldBy | None:
    """Return what a host told in *packet*; None when this version does not know it."""
    if packet.name != NAME or packet.index not in _TOLD:
        return None
    return ToldBy(Told(packet.index), packet.arguments)


_METHODS: Final = frozenset(item.value for item in Method)
_TOLD: Final = frozenset(item.value for item in Told)


def fault_of_code(code: object, message: object) -> Fault:
    """Return the Fault of a stream that failed remotely, or of a login that is over."""
    known = {item.value: item for item in Code}
    return Fault(known.get(code, Code.UNKNOWN) if isinstance(code, int) else Code.UNKNOWN, str(message))
