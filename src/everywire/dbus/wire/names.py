"""Names of objects as object paths and back, and names of interfaces; members are named in `contracts.py`.

An object NAME is at the base path + ``/`` + its name. Of a name a path holds letters, digits and ``_``; the bytes of
everything else (UTF-8) become ``_`` and two lower-case hexadecimal digits, and so does a ``_`` that would be read as
the beginning of such: ``room 1`` is ``room_201``, ``set_point`` stays. Every path has exactly one name.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from everywire.dbus.codec import check_interface, check_path
from everywire.errors import ModelError
from everywire.model.types import short

_OTHER: Final = re.compile(r"[^A-Za-z0-9_]+|_(?=[0-9a-f]{2})")
_ESCAPED: Final = re.compile(r"(?:_[0-9a-f]{2})+")


class NameRow(NamedTuple):
    """One line of the table of names."""

    python: str
    dbus: str
    example: str


NAME_TABLE: Final = (
    NameRow("object `hall`", "base path + `/hall`", "/org/acme/Climate/hall"),
    NameRow("object `room 1`", "other characters as `_` and hexadecimal digits of UTF-8", "/org/acme/Climate/room_201"),
    NameRow("`hall/fan`, of a consumer", "below the base path, as deep as wanted", "/org/acme/Climate/hall/fan"),
    NameRow("`.`", "the base path itself", "/org/acme/Climate"),
    NameRow("`/org/bluez/hci0`, of a consumer", "an absolute path", "/org/bluez/hci0"),
    NameRow("class `Thermostat`", "service (or `local`) + class + `1`", "org.acme.Climate.Thermostat1"),
    NameRow("property `set_point`", "PascalCase", "SetPoint, with PropertiesChanged"),
    NameRow("signal `over_heated`", "PascalCase", "OverHeated"),
    NameRow("slot `start_pump`", "PascalCase", "StartPump"),
)
"""What is called how, with examples for the service org.acme.Climate; documentation is made of it."""


def escape(name: str) -> str:
    """Return *name* as one element of a path; raise ModelError when it is empty or no Unicode."""
    if not name:
        raise ModelError("an empty name is no element of an object path: one looks like hall")
    try:
        return _OTHER.sub(lambda found: "".join(f"_{byte:02x}" for byte in found[0].encode()), name)
    except UnicodeEncodeError:
        raise ModelError(f"{short(name)!r} holds half a character, which no object path can: use whole ones") from None


def unescape(element: str) -> str | None:
    """Return the name that `escape` made *element* of; None when it made it of none: others have named it."""
    try:
        name = _ESCAPED.sub(lambda found: bytes.fromhex(found[0].replace("_", "")).decode(), element)
    except UnicodeDecodeError:
        return None
    return name if name and escape(name) == element else None


def path_of(name: str, base: str) -> str:
    """Return the object path of *name* below the path *base*; raise ModelError when there is none.

    ``.`` is *base* itself, ``a/b`` is deeper, and what begins with ``/`` is a path already.
    """
    if name.startswith("/"):
        return check_path(name)
    if name == ".":
        return base
    return "/".join((base.rstrip("/"), *map(escape, name.split("/"))))


def name_of(path: str, base: str) -> str:
    """Return the name that `path_of` makes *path* of: *path* itself when it is not below *base*, or others named it."""
    if path == base:
        return "."
    top = f"{base.rstrip('/')}/"
    if not path.startswith(top):
        return path
    names = [unescape(element) for element in path[len(top) :].split("/")]
    if any(name is None or "/" in name for name in names) or names == ["."]:
        return path
    return "/".join(map(str, names))


def interface_of(prefix: str, class_name: str) -> str:
    """Return the name of the interface of a class; raise ModelError when D-Bus has no such."""
    try:
        return check_interface(f"{prefix}.{class_name}1")
    except ModelError as error:
        raise ModelError(f"{error}: rename the class {short(class_name)}, or give interface=") from None
