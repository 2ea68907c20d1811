"""A proxy for all the hosts of a registry: each entry's object is shown on a node while the entry is there."""

from __future__ import annotations

import logging
from typing import Any, Final

from everywire.errors import LinkError
from everywire.remoteobjects.codec.registry import Location
from everywire.remoteobjects.endpoint.announced import came_from_a_proxy
from everywire.remoteobjects.endpoint.following import Follower
from everywire.remoteobjects.endpoint.registry import Registry
from everywire.remoteobjects.endpoint.settings import RemoteObjects
from everywire.runtime.node import Node
from everywire.runtime.policy import Policy
from everywire.runtime.proxying import Accept, HostProxy

log: Final = logging.getLogger("everywire.registry")


class RegistryProxy:
    """Shows the objects that a registry knows; one link for each of their hosts.

    What a proxy of this program has registered is left out: so two nodes of one program may each show what the other's
    network has, and nothing comes back.
    """

    def __init__(self, registry: Registry, node: Node, accept: Accept, policy: Policy | None) -> None:
        self._registry, self._node, self._accept, self._policy = registry, node, accept, policy
        self._follower = Follower(registry, node)
        self._follower.heard.append(self._heard)
        self._hosts: dict[str, HostProxy] = {}
        self._places: dict[str, str] = {}
        """Name -> where it is, of the objects that are shown."""
        self._task: Any = None

    async def open(self) -> None:
        """Connect to the registry, and stay connected; raises what `RegistrySession.open` raises."""
        await self._follower.open()
        self._task = self._node.tasks.spawn(self._follower.run())

    async def close(self) -> None:
        """Take all objects back and end the links."""
        if self._task is not None:
            self._task.cancel()
        hosts, self._hosts = self._hosts, {}
        self._places.clear()
        for host in hosts.values():
            await host.close()
        await self._follower.close()

    def _heard(self, removed: Location | None, added: Location | None) -> None:
        name = added.name if added is not None else removed.name if removed is not None else ""
        place = "" if added is None else self._place_of(added)
        before = self._places.pop(name, "")
        if place:
            self._places[name] = place
        if place != before:
            self._show(name, before, wanted=False)
            self._show(name, place, wanted=True)

    def _place_of(self, location: Location) -> str:
        """Return the URL of an entry whose object is to be shown."""
        if came_from_a_proxy(location) or not self._accept(location.name, location.type_name):
            return ""
        try:
            return self._registry.place_of(location)
        except LinkError as error:
            log.warning("%s", error)
            self._node.refusals["untrusted_places"] += 1
            return ""

    def _show(self, name: str, place: str, *, wanted: bool) -> None:
        if not place:
            return
        host = self._hosts.get(place)
        if host is None:
            wire = RemoteObjects(url=place)
            host = self._hosts[place] = HostProxy(
                self._node, wire, lambda _name, _class: True, policy=self._policy, wanted=set()
            )
            host.start()
        assert host.wanted is not None
        (host.wanted.add if wanted else host.wanted.discard)(name)
        host.look()
        if not host.wanted:
            del self._hosts[place]
            self._node.tasks.spawn(host.close())
