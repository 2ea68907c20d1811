"""D-Bus errors and Faults."""

from __future__ import annotations

from typing import Any

from everywire.errors import Code, Fault


def fault_of(name: str, body: tuple[Any, ...]) -> Fault:
    """Return the Fault for the error *name*."""
    text = body[0] if body and isinstance(body[0], str) else ""
    return Fault(Code.UNKNOWN, f"{name}: {text}")


def error_of(fault: Fault) -> tuple[str, str, tuple[Any, ...]]:
    """Return name, signature and body of the error that tells *fault*."""
    return "org.freedesktop.DBus.Error.Failed", "s", (fault.message,)
