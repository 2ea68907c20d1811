"""The five words every wire translates: Changed and Emitted go out, a Call comes in, a Reply or a Fault answers it.

They are msgspec Structs without garbage-collector tracking because a busy link makes hundreds of thousands a second;
`Fault`, the fifth word, is an exception and lives in `errors.py`.
"""

from __future__ import annotations

import enum
from typing import Any

import msgspec

from everywire.model.contract import Member


class Changed(msgspec.Struct, frozen=True, gc=False):
    """A property has a new value; `revision` counts the changes of its object."""

    member: Member
    value: Any
    revision: int


class Emitted(msgspec.Struct, frozen=True, gc=False):
    """A signal was emitted."""

    member: Member
    arguments: tuple[Any, ...]


class Role(enum.IntEnum):
    """What a caller may do at most; each role includes those before it."""

    STRANGER = 0
    """Nothing: not even learn that an object exists."""
    VIEWER = 1
    """Read properties and hear signals."""
    OPERATOR = 2
    """Also call slots and set writable properties."""
    ADMIN = 3


class Caller(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Who calls, as far as the link could establish it; nothing here comes from a message.

    `identity` is a stable name for policy and audit: ``uid:1000``, the subject of a client certificate, ``token:NAME``,
    or ``anonymous``. `role` is what a login was granted; None where the link has only an identity and the policy
    decides. `loopback` says that the peer is on this machine although it has no identity. `pid`, `executable` and the
    security `label` are known where the system tells: of a process on this machine, when it connected.
    """

    wire: str
    identity: str = "anonymous"
    role: Role | None = None
    uid: int | None = None
    loopback: bool = False
    encrypted: bool = False
    address: str = ""
    pid: int | None = None
    executable: str = ""
    label: str = ""

    def __str__(self) -> str:
        who = self.identity if self.identity.isprintable() else repr(self.identity)  # a line of a log stays one
        return f"{who}{' (loopback)' if self.loopback and self.identity == 'anonymous' else ''} on {self.wire}"


class Call(msgspec.Struct, frozen=True, gc=False):
    """A remote call or property write with everything a policy or an audit may want to know."""

    target: str
    member: Member
    arguments: tuple[Any, ...]
    caller: Caller


class Reply(msgspec.Struct, frozen=True, gc=False):
    """A call's result."""

    value: Any


Event = Changed | Emitted
