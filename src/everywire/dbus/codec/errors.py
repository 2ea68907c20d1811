"""Errors of D-Bus and Faults: one table for both directions.

A name of freedesktop.org is sent where it says exactly what a code says; other codes have names of ours. Names that
neither know are foreign: their Fault is UNKNOWN and tells the name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from everywire.errors import Code, Fault

FREEDESKTOP: Final = "org.freedesktop.DBus.Error."
"""What the names of the specification begin with."""
OURS: Final = "org.everywire.Error."
"""What names of ours begin with; the code's name in PascalCase follows."""


class ErrorRow(NamedTuple):
    """One line of the table of errors."""

    code: Code
    sent: str
    """The name that a Fault with this code travels under."""
    understood: tuple[str, ...] = ()
    """Other names that become this code."""


def _row(code: Code, sent: str = "", *understood: str) -> ErrorRow:
    own = OURS + code.name.title().replace("_", "")
    names = tuple(FREEDESKTOP + name for name in understood)
    return ErrorRow(code, FREEDESKTOP + sent, (own, *names)) if sent else ErrorRow(code, own, names)


_SPAWN: Final = (
    "ChildExited", "ChildSignaled", "ConfigInvalid", "ExecFailed", "Failed", "FailedToSetup", "FileInvalid",
    "ForkFailed", "NoMemory", "PermissionsInvalid", "ServiceNotFound", "ServiceNotValid",
)  # fmt: skip

ERROR_TABLE: Final = (
    _row(Code.CANCELLED),
    _row(Code.UNKNOWN, "Failed"),
    _row(
        Code.INVALID_ARGUMENT, "InvalidArgs",
        "BadAddress", "InconsistentMessage", "InvalidFileContent", "InvalidSignature", "MatchRuleInvalid",
    ),
    _row(Code.DEADLINE_EXCEEDED, "Timeout", "NoReply", "TimedOut"),
    _row(
        Code.NOT_FOUND, "",
        "UnknownObject", "UnknownMethod", "UnknownInterface", "UnknownProperty", "FileNotFound", "MatchRuleNotFound",
        "UnixProcessIdUnknown", "AdtAuditDataUnknown", "SELinuxSecurityContextUnknown",
    ),
    _row(Code.ALREADY_EXISTS, "", "AddressInUse", "FileExists", "ObjectPathInUse"),
    _row(Code.PERMISSION_DENIED, "AccessDenied", "InteractiveAuthorizationRequired"),
    _row(Code.RESOURCE_EXHAUSTED, "LimitsExceeded", "NoMemory"),
    _row(Code.FAILED_PRECONDITION, "", "PropertyReadOnly"),
    _row(Code.ABORTED),
    _row(Code.OUT_OF_RANGE),
    _row(Code.UNIMPLEMENTED, "NotSupported"),
    _row(Code.INTERNAL, "", "IOError"),
    _row(
        Code.UNAVAILABLE, "",
        "ServiceUnknown", "NameHasNoOwner", "Disconnected", "NoServer", "NoNetwork",
        *(f"Spawn.{reason}" for reason in _SPAWN),
    ),
    _row(Code.DATA_LOSS),
    _row(Code.UNAUTHENTICATED, "AuthFailed"),
)  # fmt: skip
"""Every code with the names it goes and comes by; documentation is made of it."""

UNKNOWN_OBJECT: Final = FREEDESKTOP + "UnknownObject"
UNKNOWN_INTERFACE: Final = FREEDESKTOP + "UnknownInterface"
UNKNOWN_METHOD: Final = FREEDESKTOP + "UnknownMethod"
UNKNOWN_PROPERTY: Final = FREEDESKTOP + "UnknownProperty"
PROPERTY_READ_ONLY: Final = FREEDESKTOP + "PropertyReadOnly"

_SENT: Final[Mapping[Code, str]] = {row.code: row.sent for row in ERROR_TABLE}
_CODES: Final[Mapping[str, Code]] = {name: row.code for row in ERROR_TABLE for name in (row.sent, *row.understood)}
_AFTER_DELIVERY: Final = frozenset({FREEDESKTOP + "NoReply", FREEDESKTOP + "Disconnected"})


def error_of(fault: Fault, name: str = "", *, ours: bool = False) -> tuple[str, str, tuple[Any, ...]]:
    """Return name, signature and body of the error that tells *fault*.

    *name* stands for the code where D-Bus has a closer one, such as `UNKNOWN_METHOD`. A caller that is one of *ours* is
    told, by a second argument, when the slot has certainly not run; others are not, because GDBus shows no message of
    an error with two arguments.
    """
    text = fault.message.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
    found = name or _SENT[fault.code]
    return (found, "sb", (text, False)) if ours and not fault.may_have_run else (found, "s", (text,))


def fault_of(name: str, body: tuple[Any, ...] = (), *, from_bus: bool = False) -> Fault:
    """Return the Fault for the error *name*; *body* may be anything.

    An error *from_bus* itself, and not from the service, means that the call was not delivered: but for a service that
    went away while it had the call.
    """
    text = body[0] if body and isinstance(body[0], str) else ""
    told = len(body) > 1 and body[1] is False
    code = _CODES.get(name)
    if code is None:
        code, text = Code.UNKNOWN, f"{name}: {text}" if text else name
    return Fault(code, text, may_have_run=not (told or (from_bus and name not in _AFTER_DELIVERY)))


__all__ = (
    "ERROR_TABLE",
    "FREEDESKTOP",
    "OURS",
    "PROPERTY_READ_ONLY",
    "UNKNOWN_INTERFACE",
    "UNKNOWN_METHOD",
    "UNKNOWN_OBJECT",
    "UNKNOWN_PROPERTY",
    "ErrorRow",
    "error_of",
    "fault_of",
)
