"""Connections of Qt Remote Objects on asyncio, without the object model."""

from __future__ import annotations

from everywire.remoteobjects.session.node import NodeSession, open_session

__all__ = ("NodeSession", "open_session")
