"""A proxy for all the hosts of a registry: each entry's object is shown on a node while the entry is there."""

from __future__ import annotations

import asyncio
from typing import Any

from everywire.errors import LinkError
from everywire.remoteobjects.codec.registry import Location
from everywire.remoteobjects.endpoint.announced import came_from_a_proxy
from everywire.remoteobjects.endpoint.following import Follower
from everywire.remoteobjects.endpoint.registry import Registry
from everywire.remoteobjects.endpoint.settings import RemoteObjects
from everywire.runtime.node import Node
from everywire.runtime.policy import Policy
from everywire.runtime.proxying import Accept, HostProxy, all_of_them
from everywire.runtime.rhythm import NEAR


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
        """Name -> the URL of its host, as the registry says."""
        self._shown: dict[str, str] = {}
        """Name -> the URL of its host, as it is shown."""
        self._changed = asyncio.Event()
        self._tasks: list[asyncio.Task[Any]] = []

    async def open(self) -> None:
        """Connect to the registry, and stay connected; raises what `RegistrySession.open` raises."""
        await self._follower.open()
        self._tasks = [self._node.tasks.spawn(self._follower.run()), self._node.tasks.spawn(self._run())]

    async def close(self) -> None:
        """Take all objects back and end the links."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        hosts, self._hosts = self._hosts, {}
        for host in hosts.values():
            await host.close()

    def _heard(self, removed: Location | None, added: Location | None) -> None:
        if removed is not None:
            self._places.pop(removed.name, None)
        if added is not None and (place := self._place_of(added)):
            self._places[added.name] = place
        self._changed.set()

    def _place_of(self, location: Location) -> str:
        """Return the URL of an entry whose object is to be shown."""
        if came_from_a_proxy(location) or not self._accept(location.name, location.type_name):
            return ""
        if len(self._places) >= self._node.limits.objects_per_link:
            self._node.refusals["proxied_objects"] += 1
            return ""
        try:
            return self._registry.place_of(location)
        except LinkError as error:
            self._follower.complain(error)
            self._node.refusals["untrusted_places"] += 1
            return ""

    async def _run(self) -> None:
        """Show what the registry says, some times in a second: it could say something else for each packet."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            shown, places = self._shown, self._places
            names = [name for name in {**shown, **places} if shown.get(name) != places.get(name)]
            for name in names:
                self._leave(name)
            for name in names:
                self._enter(name)
            for place in [place for place, host in self._hosts.items() if not host.wanted]:
                await self._hosts.pop(place).close()
            await asyncio.sleep(NEAR)

    def _leave(self, name: str) -> None:
        host = self._hosts.get(self._shown.pop(name, ""))
        if host is not None and host.wanted is not None:
            host.wanted.discard(name)
            host.look()

    def _enter(self, name: str) -> None:
        place = self._places.get(name)
        if place is None:
            return
        host = self._hosts.get(place)
        if host is None:
            host = self._hosts[place] = HostProxy(
                self._node, RemoteObjects(url=place), all_of_them, policy=self._policy, wanted=set()
            )
            host.start()
        self._shown[name] = place
        if host.wanted is not None:
            host.wanted.add(name)
            host.look()
