"""Qt Remote Objects: real Qt programs use our objects, and theirs are replicas of ours (wire "QtRO 2.0").

`RemoteObjects` is the wire's settings; `open_session` speaks the protocol without the object model. What needs asyncio
is loaded when it is first used, so that programs without a loop never do.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from everywire.remoteobjects.endpoint import RemoteObjects
    from everywire.remoteobjects.session import NodeSession, open_session

_MODULES: Final = {
    "NodeSession": "everywire.remoteobjects.session",
    "RemoteObjects": "everywire.remoteobjects.endpoint",
    "open_session": "everywire.remoteobjects.session",
}

__all__ = ("NodeSession", "RemoteObjects", "open_session")


def __getattr__(name: str) -> Any:
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(module), name)
    globals()[name] = value
    return value
