"""everywire: one object, every wire. A typed Python class is published at once over many inter-process mechanisms.

Declare with `Object`, `prop`, `computed`, `signal`, `slot`; publish with `Node` or `serve`; use from elsewhere with
`connect`; look with `link_of`, `contract_of`, `members`, `current_call`; guard with `Policy`, `allow`, `Limits`.
What goes wrong is an `EverywireError`; the answer to a call that failed is a `Fault`. `everywire.testing` has fakes,
`everywire.transport` byte streams without objects.

The names below are loaded when they are first used, so that `import everywire` costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from everywire.errors import (
        AddressError,
        AddressInUse,
        Code,
        EverywireError,
        Fault,
        ForkedError,
        InsecureBind,
        LimitExceeded,
        LinkError,
        LocalProtocolError,
        MissingExtra,
        ModelError,
        NeedsLoop,
        OutOfRange,
        RemoteProtocolError,
        SignatureMismatch,
        StoreWarning,
        TokenError,
        UnsupportedPlatform,
        WrongThread,
    )
    from everywire.memory import Memory
    from everywire.model import (
        BoundSignal,
        Caller,
        Computed,
        Contract,
        Kind,
        Member,
        Object,
        Property,
        Range,
        Role,
        Signal,
        Unit,
        computed,
        contract_of,
        f32,
        i8,
        i16,
        i32,
        i64,
        prop,
        signal,
        slot,
        u8,
        u16,
        u32,
        u64,
    )
    from everywire.model.marks import PERSISTED
    from everywire.remoteobjects import RemoteObjects
    from everywire.runtime.browsing import Host, browse
    from everywire.runtime.connecting import connect
    from everywire.runtime.gate import CurrentCall, current_call
    from everywire.runtime.limits import Limits, SlowPeer
    from everywire.runtime.node import Node
    from everywire.runtime.pending import PendingCall
    from everywire.runtime.persistence import FileStore, PersistedStore
    from everywire.runtime.policy import Policy, allow, roles
    from everywire.runtime.replica import ReplicaLink, ReplicaState, link_of, members
    from everywire.runtime.serving import serve
    from everywire.runtime.tokens import Tokens
    from everywire.tables import AsyncTableSource, Table, TableSource, TreeSource

_MODULES: Final = {
    "everywire.errors": (
        "AddressError", "AddressInUse", "Code", "EverywireError", "Fault", "ForkedError", "InsecureBind",
        "LimitExceeded", "LinkError", "LocalProtocolError", "MissingExtra", "ModelError", "NeedsLoop", "OutOfRange",
        "RemoteProtocolError", "SignatureMismatch", "StoreWarning", "TokenError", "UnsupportedPlatform", "WrongThread",
    ),
    "everywire.model": (
        "BoundSignal", "Caller", "Computed", "Contract", "Kind", "Member", "Object", "Property", "Range", "Role",
        "Signal", "Unit", "computed", "contract_of", "f32", "i16", "i32", "i64", "i8", "prop", "signal", "slot", "u16",
        "u32", "u64", "u8",
    ),
    "everywire.model.marks": ("PERSISTED",),
    "everywire.memory": ("Memory",),
    "everywire.remoteobjects": ("RemoteObjects",),
    "everywire.runtime.browsing": ("Host", "browse"),
    "everywire.runtime.connecting": ("connect",),
    "everywire.runtime.gate": ("CurrentCall", "current_call"),
    "everywire.runtime.limits": ("Limits", "SlowPeer"),
    "everywire.runtime.node": ("Node",),
    "everywire.runtime.pending": ("PendingCall",),
    "everywire.runtime.persistence": ("FileStore", "PersistedStore"),
    "everywire.runtime.policy": ("Policy", "allow", "roles"),
    "everywire.runtime.replica": ("ReplicaLink", "ReplicaState", "link_of", "members"),
    "everywire.runtime.serving": ("serve",),
    "everywire.runtime.tokens": ("Tokens",),
    "everywire.tables": ("AsyncTableSource", "Table", "TableSource", "TreeSource"),
}  # fmt: skip
_HOME: Final = {name: module for module, names in _MODULES.items() for name in names}

__version__ = "0.1.0"
__all__ = (
    "PERSISTED",
    "AddressError",
    "AddressInUse",
    "AsyncTableSource",
    "BoundSignal",
    "Caller",
    "Code",
    "Computed",
    "Contract",
    "CurrentCall",
    "EverywireError",
    "Fault",
    "FileStore",
    "ForkedError",
    "Host",
    "InsecureBind",
    "Kind",
    "LimitExceeded",
    "Limits",
    "LinkError",
    "LocalProtocolError",
    "Member",
    "Memory",
    "MissingExtra",
    "ModelError",
    "NeedsLoop",
    "Node",
    "Object",
    "OutOfRange",
    "PendingCall",
    "PersistedStore",
    "Policy",
    "Property",
    "Range",
    "RemoteObjects",
    "RemoteProtocolError",
    "ReplicaLink",
    "ReplicaState",
    "Role",
    "Signal",
    "SignatureMismatch",
    "SlowPeer",
    "StoreWarning",
    "Table",
    "TableSource",
    "TokenError",
    "Tokens",
    "TreeSource",
    "Unit",
    "UnsupportedPlatform",
    "WrongThread",
    "allow",
    "browse",
    "computed",
    "connect",
    "contract_of",
    "current_call",
    "f32",
    "i8",
    "i16",
    "i32",
    "i64",
    "link_of",
    "members",
    "prop",
    "roles",
    "serve",
    "signal",
    "slot",
    "u8",
    "u16",
    "u32",
    "u64",
)


if not TYPE_CHECKING:  # for checkers a name that is not here is an error

    def __getattr__(name: str) -> Any:
        module = _HOME.get(name)
        if module is None:
            raise AttributeError(f"module 'everywire' has no attribute {name!r}")
        value = getattr(importlib.import_module(module), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
