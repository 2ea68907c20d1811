"""Objects and connections brought together: how a node serves, and opens, Qt Remote Objects."""

from __future__ import annotations

from everywire.remoteobjects.endpoint.settings import RemoteObjects

__all__ = ("RemoteObjects",)
