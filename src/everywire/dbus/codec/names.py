"""Which names are valid (D-Bus Specification, "Valid Names"); errors say what a valid one looks like."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from everywire.errors import ModelError
from everywire.model.types import short

LONGEST: Final = 255
"""Bytes of a bus, interface, error or member name."""

_ELEMENT: Final = "[A-Za-z_][A-Za-z0-9_]*"
_PATH: Final = re.compile(r"/|(?:/[A-Za-z0-9_]+)+")
_INTERFACE: Final = re.compile(rf"{_ELEMENT}(?:\.{_ELEMENT})+")
_MEMBER: Final = re.compile(_ELEMENT)
_UNIQUE: Final = r":[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)+"
_WELL_KNOWN: Final = r"[A-Za-z_-][A-Za-z0-9_-]*(?:\.[A-Za-z_-][A-Za-z0-9_-]*)+"
_BUS_NAME: Final = re.compile(rf"{_UNIQUE}|{_WELL_KNOWN}")


def check_path(text: str) -> str:
    """Return *text*; raise ModelError unless it is an object path."""
    return _check_path(text) if len(text) <= LONGEST else _check_path.__wrapped__(text)  # long ones are not remembered


@lru_cache(4096)
def _check_path(text: str) -> str:
    if _PATH.fullmatch(text) is None:
        raise ModelError(f"{short(text)!r} is no object path: one looks like /org/acme/Plant, of letters, digits and _")
    return text


@lru_cache(4096)
def check_interface(text: str) -> str:
    """Return *text*; raise ModelError unless it is the name of an interface."""
    return _check(text, _INTERFACE, "interface name: one looks like org.acme.Thermostat1, of two elements or more")


@lru_cache(4096)
def check_error_name(text: str) -> str:
    """Return *text*; raise ModelError unless it is the name of an error."""
    return _check(text, _INTERFACE, "name of an error: one looks like org.acme.Error.TooHot, of two elements or more")


@lru_cache(4096)
def check_member(text: str) -> str:
    """Return *text*; raise ModelError unless it is the name of a method or signal."""
    return _check(text, _MEMBER, "name of a method or signal: one looks like SetPoint, of letters, digits and _")


@lru_cache(4096)
def check_bus_name(text: str) -> str:
    """Return *text*; raise ModelError unless it is a unique or well-known name."""
    return _check(text, _BUS_NAME, "bus name: one looks like org.acme.Climate or :1.42")


def _check(text: str, valid: re.Pattern[str], what: str) -> str:
    if len(text) > LONGEST or valid.fullmatch(text) is None:
        raise ModelError(f"{short(text)!r} is no {what}, at most {LONGEST} bytes long")
    return text
