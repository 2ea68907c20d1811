"""D-Bus: objects, signals and slots on a bus and from peer to peer.

`DBus` are the settings of the wire; `interface` gives a class the name of its interface; `ObjectPath`, `Signature` and
`UnixFd` are types that D-Bus has and other wires have not. `collection` is all objects of a service, live; `names`
tells which services come and go; `refresh` reads a replica again whose service does not tell changes.
`everywire.dbus.session` speaks the protocol without the object model. All is loaded when it is first used. Needs the
extra `dbus`.
"""

from __future__ import annotations

import importlib
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from everywire.errors import MissingExtra as _MissingExtra

if find_spec("dbus_fast") is None:
    raise _MissingExtra("dbus")

if TYPE_CHECKING:
    from everywire.dbus.endpoint.collections import Collection, collection
    from everywire.dbus.endpoint.replicas import refresh
    from everywire.dbus.endpoint.settings import DBus
    from everywire.dbus.endpoint.watching import NameChange, Names, names
    from everywire.dbus.wire.declaring import interface
    from everywire.dbus.wire.markers import ObjectPath, Signature
    from everywire.transport.descriptors import UnixFd

_MODULES: Final = {
    "Collection": "everywire.dbus.endpoint.collections",
    "DBus": "everywire.dbus.endpoint.settings",
    "NameChange": "everywire.dbus.endpoint.watching",
    "Names": "everywire.dbus.endpoint.watching",
    "ObjectPath": "everywire.dbus.wire.markers",
    "Signature": "everywire.dbus.wire.markers",
    "UnixFd": "everywire.transport.descriptors",
    "collection": "everywire.dbus.endpoint.collections",
    "interface": "everywire.dbus.wire.declaring",
    "names": "everywire.dbus.endpoint.watching",
    "refresh": "everywire.dbus.endpoint.replicas",
}

__all__ = (
    "Collection",
    "DBus",
    "NameChange",
    "Names",
    "ObjectPath",
    "Signature",
    "UnixFd",
    "collection",
    "interface",
    "names",
    "refresh",
)


if not TYPE_CHECKING:  # for checkers a name that is not here is an error

    def __getattr__(name: str) -> Any:
        module = _MODULES.get(name)
        if module is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(module), name)
        globals()[name] = value
        return value
