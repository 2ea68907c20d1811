"""The child objects of a server: found by name like published ones, but in no list, and guarded as their parents."""

from __future__ import annotations

import logging
import secrets
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from everywire.errors import ModelError
from everywire.remoteobjects.codec import QTRO_2_0, Dialect
from everywire.remoteobjects.codec.extension import MEMO
from everywire.remoteobjects.codec.references import RESERVED_PREFIXES, ReferenceKind, child_name

if TYPE_CHECKING:
    from everywire.remoteobjects.endpoint.serving import HostServer
    from everywire.remoteobjects.wire.hosting import Hosted, HostedObject

log: Final = logging.getLogger("everywire.remoteobjects")


def check_root_name(name: str) -> None:
    """Raise ModelError when *name* of a published object looks like that of a child."""
    if name.startswith((*RESERVED_PREFIXES, MEMO)):
        raise ModelError(f"Qt Remote Objects cannot carry an object called {name!r}: so it calls objects of its own")


class Nursery:
    """Where a server knows the children of its objects; see `wire.hosting.Room`.

    With *dynamic_only* no replica generated from a .rep looks for children of children under the names that it makes
    itself, so they get others each time a host is started: Qt's nodes do not survive to hear the old ones again.
    """

    def __init__(self, server: HostServer, *, dynamic_only: bool) -> None:
        self._server = server
        self._first_turn = 1 + secrets.randbelow(1 << 32) if dynamic_only else 0
        self._children: dict[str, tuple[Hosted, HostedObject]] = {}
        """Children by name, with the published object that each belongs to."""
        self._turns: Counter[str] = Counter()
        self._ambiguous: set[str] = set()
        """Names of two children, which the log has told."""

    def turn_of(self, name: str) -> int:
        """Return how often an object has been published as *name*, counting now."""
        self._turns[name] += 1
        return self._first_turn + self._turns[name]

    def find(self, name: str) -> Hosted | None:
        """Return the child object *name*."""
        found = self._children.get(name)
        return None if found is None else found[0]

    def children_of(self, hosted: Hosted) -> Iterator[Hosted]:
        """Yield the children of *hosted*, all the way down."""
        return (child for child, root in self._children.values() if root is hosted)

    def child_name(self, parent: str, prop: str, dialect: Dialect, kind: ReferenceKind) -> str:
        """Return a name for the child that the property *prop* of *parent* holds, which no other object has."""
        name = child_name(parent, prop, dialect, kind)
        if name in self._children and (longer := child_name(parent, prop, QTRO_2_0, kind)) != name:
            if longer not in self._ambiguous:
                self._ambiguous.add(longer)
                log.warning("Qt 5 calls two children %s: one is %s, where only dynamic replicas look", name, longer)
            return longer
        return name

    def child_shown(self, child: Hosted, root: HostedObject) -> None:
        """A child object can be called from now on."""
        server = self._server
        self._children[child.name] = child, root
        server.routes.update(child.routes(dynamic=True))
        server.types.update(child.user_types)
        for session in server.sessions:
            session.child_shown(child, root)

    def child_gone(self, child: Hosted) -> None:
        """A child object is closed: its streams end, and calls of it find nobody."""
        server = self._server
        if self.find(child.name) is child:
            del self._children[child.name]
        for head in child.routes(dynamic=True):
            server.routes.pop(head, None)
        for session in server.sessions:
            session.child_gone(child)
