"""Endpoints of Qt Remote Objects on asyncio: hosts of published objects and connections of nodes."""

from __future__ import annotations

from everywire.remoteobjects.session.connecting import NodeSession, open_session
from everywire.remoteobjects.session.serving import HostServer, HostSession

__all__ = ("HostServer", "HostSession", "NodeSession", "open_session")
