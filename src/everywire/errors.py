"""Every exception that everywire raises, on one page.

EverywireError
├── ModelError            a class or value does not fit its contract (your bug, raised where you wrote it)
│   └── OutOfRange        the value has the right type but lies outside its range or width
├── AddressError          a URL or name that cannot be an address
├── TokenError            a file of tokens, or a token, that cannot be used: missing, open to others, malformed
├── LinkError             no connection: refused, lost, timed out
│   ├── AddressInUse      somebody else listens at this address
│   └── InsecureBind      an address reachable from other machines, without encryption and authentication
├── LimitExceeded         more than `Limits` allows
├── SignatureMismatch     the remote object is not what the class expects; lists every difference
├── LocalProtocolError    you asked an engine or stream for something its state forbids
├── RemoteProtocolError   the peer broke the protocol; the link is closed
├── WrongThread           an object was touched from a thread that does not own it
├── NeedsLoop             something needs a running event loop and there is none
├── ForkedError           a node was used in a forked child
├── MissingExtra          an optional library is not installed; the message is the pip command
├── UnsupportedPlatform   this system lacks a facility
└── Fault                 a call was answered with an error; `code` says which

StoreWarning              kept values of a replica cannot be read or saved; it goes on without
"""

from __future__ import annotations

import enum
from typing import Final

MAX_FAULT_MESSAGE: Final = 1024
"""Longest message of a `Fault` in bytes of UTF-8; longer ones are cut."""


class EverywireError(Exception):
    """Base of all errors raised by this package."""


class ModelError(EverywireError, TypeError):
    """A class or value does not fit its contract."""


class OutOfRange(ModelError, ValueError):
    """A value of the right type outside its range or integer width."""


class AddressError(EverywireError, ValueError):
    """A URL or name that cannot be an address; the message says what an address looks like."""


class TokenError(EverywireError, ValueError):
    """A token, or a file of tokens, cannot be used; the message says why and what to do, and holds no secret."""


class LinkError(EverywireError, ConnectionError):
    """The connection could not be made, or was lost."""


class AddressInUse(LinkError):
    """Somebody else listens at this address; a living listener is never displaced."""


class InsecureBind(LinkError):
    """Refused: other machines could reach this address without encryption and authentication."""


class LimitExceeded(EverywireError):
    """More bytes, connections or calls than the limits allow."""


class SignatureMismatch(EverywireError):
    """The remote object does not offer what the class expects.

    `differences` has one line for each member that is missing or of another type.
    """

    def __init__(self, message: str, differences: tuple[str, ...] = ()) -> None:
        super().__init__("\n  ".join((message, *differences)))
        self.differences = differences


class LocalProtocolError(EverywireError):
    """The state of an engine or stream forbids what was asked of it."""


class RemoteProtocolError(EverywireError):
    """The peer broke the protocol; its link is closed."""


class WrongThread(EverywireError, RuntimeError):
    """An object was touched from a thread that does not own it; the message shows `node.call`."""


class NeedsLoop(EverywireError, RuntimeError):
    """There is no running event loop or node for something that needs one."""


class ForkedError(EverywireError, RuntimeError):
    """A node was used in a forked child; make a new one there."""


class MissingExtra(EverywireError, ImportError):
    """An optional library is missing; the message is the command that installs it."""

    def __init__(self, extra: str) -> None:
        super().__init__(f"pip install 'everywire[{extra}]'")
        self.extra = extra


class UnsupportedPlatform(EverywireError, OSError):
    """This system lacks the facility; the message says which."""


class StoreWarning(UserWarning):
    """Kept values of a replica could not be read or saved; it goes on with the defaults of its class."""


class Code(enum.Enum):
    """Why a call failed: gRPC's sixteen error codes with their numbers (grpc.io, status codes)."""

    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


class Fault(EverywireError):
    """A call was answered with an error.

    Slots raise it to answer with a chosen code; callers catch it. `may_have_run` is False only when the slot has
    certainly not run: the request was never written, or the gate refused it.
    """

    def __init__(self, code: Code, message: str = "", *, may_have_run: bool = True) -> None:
        text = message or code.name.lower().replace("_", " ")
        encoded = text.encode("utf-8", "replace")
        if len(encoded) > MAX_FAULT_MESSAGE:
            text = encoded[: MAX_FAULT_MESSAGE - 3].decode("utf-8", "ignore") + "…"
        super().__init__(text)
        self.code: Final = code
        self.message: Final = text
        self.may_have_run: Final = may_have_run

    def __repr__(self) -> str:
        return f"Fault({self.code.name}, {self.message!r})"

    def __str__(self) -> str:
        return f"{self.code.name}: {self.message}"
