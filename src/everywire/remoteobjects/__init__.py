"""Qt Remote Objects: real Qt programs use our objects, and theirs are replicas of ours (wire "QtRO 2.0").

`RemoteObjects` is the wire's settings; `open_session` speaks the protocol without the object model.
"""

from __future__ import annotations

from everywire.remoteobjects.endpoint.settings import RemoteObjects
from everywire.remoteobjects.session import NodeSession, open_session

__all__ = ("NodeSession", "RemoteObjects", "open_session")
