"""Qt Remote Objects: real Qt programs use our objects, and theirs are replicas of ours (wire "QtRO 2.0").

`RemoteObjects` is the wire's settings; `open_session` speaks the protocol without the object model. What needs asyncio
is loaded when it is first used, so that programs without a loop never do.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from everywire.model.marks import WireName
    from everywire.remoteobjects.codec.registry import Location
    from everywire.remoteobjects.endpoint import RemoteObjects
    from everywire.remoteobjects.endpoint.directory import Directory, open_registry
    from everywire.remoteobjects.endpoint.registry import Registry
    from everywire.remoteobjects.endpoint.ways import Streams
    from everywire.remoteobjects.rep.faults import RepError
    from everywire.remoteobjects.rep.marks import (
        CONSTANT,
        PERSISTED,
        READONLY,
        READPUSH,
        READWRITE,
        SOURCEONLYSETTER,
        CppType,
        Roles,
        cpp_enum,
        cpp_flag,
        wire_named,
    )
    from everywire.remoteobjects.session import NodeSession, open_session

_MARKS: Final = (
    "CONSTANT", "PERSISTED", "READONLY", "READPUSH", "READWRITE", "SOURCEONLYSETTER", "CppType", "Roles",
    "cpp_enum", "cpp_flag", "wire_named",
)  # fmt: skip
_MODULES: Final = {
    **dict.fromkeys(_MARKS, "everywire.remoteobjects.rep.marks"),
    "RepError": "everywire.remoteobjects.rep.faults",
    "WireName": "everywire.model.marks",
    "Directory": "everywire.remoteobjects.endpoint.directory",
    "Location": "everywire.remoteobjects.codec.registry",
    "NodeSession": "everywire.remoteobjects.session",
    "Registry": "everywire.remoteobjects.endpoint.registry",
    "RemoteObjects": "everywire.remoteobjects.endpoint",
    "Streams": "everywire.remoteobjects.endpoint.ways",
    "open_registry": "everywire.remoteobjects.endpoint.directory",
    "open_session": "everywire.remoteobjects.session",
}

__all__ = (
    "CONSTANT",
    "PERSISTED",
    "READONLY",
    "READPUSH",
    "READWRITE",
    "SOURCEONLYSETTER",
    "CppType",
    "Directory",
    "Location",
    "NodeSession",
    "Registry",
    "RemoteObjects",
    "RepError",
    "Roles",
    "Streams",
    "WireName",
    "cpp_enum",
    "cpp_flag",
    "open_registry",
    "open_session",
    "wire_named",
)


if not TYPE_CHECKING:  # for checkers a name that is not here is an error

    def __getattr__(name: str) -> Any:
        module = _MODULES.get(name)
        if module is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(module), name)
        globals()[name] = value
        return value
