"""`DBusHost`: the objects of a node on D-Bus, whoever calls: what servers on a bus and for peers have in common."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from everywire.dbus.endpoint.links import DBusLink
from everywire.dbus.endpoint.settings import Place
from everywire.dbus.wire.hosting import DBusObject
from everywire.dbus.wire.tree import ObjectTree
from everywire.runtime.node import Node, Publication
from everywire.transport.descriptors import Carrying


class DBusHost:
    """What a node knows as its server on D-Bus."""

    def __init__(self, node: Node, place: Place) -> None:
        self.node, self.place = node, place
        self.tree = ObjectTree(place.base, place.prefix, place.interface, trouble=self._count, carry=Carrying.of)
        self.closing = False
        self.url = place.url
        for publication in node.published.values():
            self.tree.add(publication)

    @property
    def hosted(self) -> dict[str, DBusObject]:
        """The objects by name."""
        return {hosted.name: hosted for hosted in self.tree.objects.values()}

    # What a node calls.

    def added(self, publication: Publication) -> None:
        """Show a newly published object."""
        self.show(self.tree.add(publication))

    def removed(self, publication: Publication) -> None:
        """Take an object back; who listens to it is told."""
        hosted = self.tree.remove(publication)
        if hosted is not None:
            self.hide(hosted)

    def recheck(self) -> None:
        """Take objects from callers who may no longer see them, and show them to those who may now."""
        for link in tuple(self.links()):
            link.recheck()

    def running(self) -> list[asyncio.Task[Any]]:
        """Return the tasks of slots that run for remote callers."""
        return [task for link in self.links() for task in link.running()]

    # What servers say.

    def links(self) -> Iterable[DBusLink]:
        """Return the callers that something is known of."""
        raise NotImplementedError

    def show(self, hosted: DBusObject) -> None:
        """Tell about a new object."""
        for link in tuple(self.links()):
            link.announce(hosted)

    def hide(self, hosted: DBusObject) -> None:
        """Tell that an object is gone."""
        for link in tuple(self.links()):
            link.withdrawn(hosted)

    def everybody_hears(self, hosted: DBusObject) -> bool:
        """Return whether what an object tells goes to whoever wants it."""
        del hosted
        return False

    # Private.

    def _count(self, trouble: str) -> None:
        self.node.refusals[trouble] += 1
