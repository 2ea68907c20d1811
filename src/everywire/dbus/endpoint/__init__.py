"""Objects of a node on D-Bus, in both roles."""

from __future__ import annotations

from everywire.dbus.endpoint.settings import DBus

__all__ = ("DBus",)
