"""Who may do what: roles of callers and rules of objects. Decides; the gate asks."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from weakref import WeakSet

from everywire.model import Caller, Kind, Member, Role


def default_role(caller: Caller) -> Role:
    """Return the role of *caller*: full trust for the same user and root, and for loopback during development.

    A login has the role that it was granted. Another user of this machine, and whoever has no identity, is a stranger.
    A client certificate that the listener verified makes an operator.
    """
    if caller.role is not None:
        return caller.role
    if caller.uid is not None:
        own = os.getuid() if hasattr(os, "getuid") else caller.uid
        return Role.ADMIN if caller.uid in (0, own) else Role.STRANGER
    if caller.loopback:
        return Role.ADMIN
    return Role.STRANGER if caller.identity == "anonymous" else Role.OPERATOR


class Follower(Protocol):
    """Who is told when a policy changes: a node whose objects it guards."""

    def recheck(self) -> None:
        """Take back what callers may no longer see."""
        ...


@dataclass(slots=True)
class Policy:
    """Rules for one object or node.

    *role* gives a caller's role. *required* holds, by member name, the least role for it; without an entry VIEWER
    reads, hears and calls slots that only read, OPERATOR calls and writes. *hide* makes a refused member look absent
    (NOT_FOUND) instead of PERMISSION_DENIED. Change it with `require` and `forget`: both hold from the next call on,
    and links whose callers may no longer see an object lose it.
    """

    role: Callable[[Caller], Role] = default_role
    required: dict[str, Role] = field(default_factory=dict[str, Role])
    hide: bool = False
    revision: int = 0
    """Counts changes; a permission that a link remembers holds for the revision that gave it."""

    followers: WeakSet[Follower] = field(default_factory=WeakSet[Follower], repr=False, compare=False)
    """The nodes whose objects it guards."""

    def sees(self, caller: Caller) -> bool:
        """Return whether *caller* may know of the object, read it and hear it."""
        return self.role(caller) >= Role.VIEWER

    def allows(self, caller: Caller, member: Member) -> bool:
        """Return whether *caller* may call the slot, or write the property, *member*."""
        role = self.role(caller)
        least = self.required.get(member.name, Role.VIEWER if member.reads else Role.OPERATOR)
        return role >= least and role >= (Role.VIEWER if member.kind is not Kind.PROPERTY else Role.OPERATOR)

    def require(self, role: Role, *members: Any) -> None:
        """Let only *role* and above use *members* (handles such as `Thermostat.target`, slots, or names)."""
        for member in members:
            self.required[_name(member)] = role
        self.forget()

    def forget(self) -> None:
        """Make every link ask again: call it when what `role` answers has changed."""
        self.revision += 1
        for follower in tuple(self.followers):
            follower.recheck()


def allow(role: Role, *members: Any) -> Policy:
    """Return a policy under which only *role* and above may use *members*; the others keep the default."""
    return Policy(required={_name(member): role for member in members})


def roles(table: Mapping[str, Role], *, default: Callable[[Caller], Role] = default_role) -> Policy:
    """Return a policy that knows identities (``uid:1000``, certificate subjects) by name."""
    return Policy(role=lambda caller: table[caller.identity] if caller.identity in table else default(caller))


def _name(member: Any) -> str:
    return member if isinstance(member, str) else str(getattr(member, "name", None) or member.__name__)
