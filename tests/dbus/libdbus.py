"""The reference implementation's opinion about bytes: libdbus's own reader, called by ctypes."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import pytest

TEXTS: Final = ("path", "interface", "member", "error_name", "destination", "sender", "signature")


@dataclass(frozen=True)
class Opinion:
    """What libdbus says: nothing yet, why it refuses, or the header that it read."""

    incomplete: bool = False
    refused: str = ""
    header: dict[str, Any] | None = None


class _Error(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("message", ctypes.c_char_p),
        ("bits", ctypes.c_uint),
        ("padding", ctypes.c_void_p),
    )


@lru_cache(1)
def _library() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL("libdbus-1.so.3")
    except OSError:
        pytest.skip("no libdbus here; `make test` as root installs the Debian package dbus-daemon, which needs it")
    library.dbus_message_demarshal.restype = ctypes.c_void_p
    library.dbus_message_demarshal.argtypes = (ctypes.c_char_p, ctypes.c_int, ctypes.POINTER(_Error))
    library.dbus_message_demarshal_bytes_needed.argtypes = (ctypes.c_char_p, ctypes.c_int)
    library.dbus_error_init.argtypes = library.dbus_error_free.argtypes = (ctypes.POINTER(_Error),)
    library.dbus_message_unref.argtypes = (ctypes.c_void_p,)
    for name in (*TEXTS, "type", "serial", "reply_serial", "no_reply"):
        getter = getattr(library, f"dbus_message_get_{name}")
        getter.argtypes = (ctypes.c_void_p,)
        getter.restype = ctypes.c_char_p if name in TEXTS else ctypes.c_uint
    return library


def opinion(data: bytes) -> Opinion:
    """What libdbus makes of the message that begins with *data*, without any file descriptor."""
    library = _library()
    needed = library.dbus_message_demarshal_bytes_needed(data, len(data))
    if needed < 0:
        return Opinion(refused="not a message")
    if needed == 0 or needed > len(data):
        return Opinion(incomplete=True)
    error = _Error()
    library.dbus_error_init(error)
    message = library.dbus_message_demarshal(data[:needed], needed, error)
    if not message:
        words = (error.message or b"").decode()
        library.dbus_error_free(error)
        return Opinion(refused=words)
    header = {name: _value(getattr(library, f"dbus_message_get_{name}")(message)) for name in TEXTS}
    for name in ("type", "serial", "reply_serial", "no_reply"):
        header[name] = getattr(library, f"dbus_message_get_{name}")(message)
    library.dbus_message_unref(message)
    return Opinion(header=header)


def _value(text: bytes | None) -> str:
    return "" if text is None else text.decode()
