"""How a host's objects come into registries: its own, and those of others, for as long as the host is there."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Final, Protocol

from everywire.errors import AddressError
from everywire.remoteobjects.codec.registry import REGISTRY, Location
from everywire.remoteobjects.endpoint.announced import announce, retract
from everywire.remoteobjects.endpoint.following import Follower
from everywire.remoteobjects.endpoint.registry import PREFIX, Registry
from everywire.remoteobjects.endpoint.serving import HostServer
from everywire.remoteobjects.endpoint.trusting import TRANSPORTS, can_be_dialed, leads_here
from everywire.remoteobjects.session.registry import RegistrySession
from everywire.remoteobjects.wire.registry import HostedRegistry, RegistryObject
from everywire.runtime.node import Node, Publication
from everywire.transport import Address, parse_address

INSIST: Final = 5.0
"""Seconds after which an entry that a registry did not take is offered again: Qt's never says that a name is free."""


class Announcer(Protocol):
    """Somebody who is to know where objects are."""

    def add(self, location: Location) -> None:
        """An object can be found."""
        ...

    def remove(self, name: str) -> None:
        """An object can no longer be found."""
        ...

    def clear(self) -> None:
        """Nothing can be found any more: the host takes no new links."""
        ...

    async def close(self) -> None:
        """Say no more."""
        ...


class OwnRegistry:
    """Puts the objects of a registry's own host into it."""

    def __init__(self, registry: RegistryObject) -> None:
        self._registry = registry

    def add(self, location: Location) -> None:
        """See `Announcer`."""
        self._registry.tell(self._registry.claims.add(self, location))

    def remove(self, name: str) -> None:
        """See `Announcer`."""
        self._registry.tell(self._registry.claims.remove(self, name))

    def clear(self) -> None:
        """See `Announcer`."""
        self._registry.tell(*self._registry.claims.drop(self))

    async def close(self) -> None:
        """Nothing is left to do."""


class Registrar:
    """Keeps one registry informed: again when it was restarted, and when a name comes free that somebody else had."""

    def __init__(self, registry: Registry, node: Node) -> None:
        self._follower = Follower(registry, node)
        self._follower.opened.append(self._introduce)
        self._follower.heard.append(self._heard)
        self._own: dict[str, Location] = {}
        self._tasks = [node.tasks.spawn(self._follower.run()), node.tasks.spawn(self._insist())]

    def add(self, location: Location) -> None:
        """See `Announcer`."""
        self._own[location.name] = location
        if self._follower.session is not None:
            self._follower.session.register(location)

    def remove(self, name: str) -> None:
        """See `Announcer`."""
        location = self._own.pop(name, None)
        if location is not None and self._follower.session is not None:
            self._follower.session.withdraw(location)

    def clear(self) -> None:
        """See `Announcer`."""
        for name in tuple(self._own):
            self.remove(name)

    async def close(self) -> None:
        """End the link to the registry, which forgets what it was told on it."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _introduce(self, session: RegistrySession) -> None:
        for location in self._own.values():
            session.register(location)

    def _heard(self, removed: Location | None, added: Location | None) -> None:
        location = added or removed
        own = None if location is None else self._own.get(location.name)
        if own is None or added == own:
            return
        if added is not None:
            self._follower.complain(f"{self._follower.registry.url} has {added.name} at {added.url} already")
        elif removed != own and self._follower.session is not None:  # the name is free again
            self._follower.session.register(own)

    async def _insist(self) -> None:
        while True:
            await asyncio.sleep(INSIST)
            session = self._follower.session
            for name, location in self._own.items():
                if session is not None and self._follower.locations.get(name) != location:
                    session.register(location)


class AnnouncingServer:
    """A host's server whose objects are in registries; see `runtime.wires.Server`."""

    def __init__(self, server: HostServer, announcers: Iterable[Announcer], *, url: str, shown_as: str) -> None:
        self.server, self.url = server, shown_as
        self._announcers, self._where = tuple(announcers), url
        announce(url, server.node)
        for hosted in server.hosted.values():
            self._announce(hosted.publication)

    def added(self, publication: Publication) -> None:
        """Show a newly published object, and say where it is."""
        self.server.added(publication)
        self._announce(publication)

    def removed(self, publication: Publication) -> None:
        """Take an object back, first of all from the registries."""
        for announcer in self._announcers:
            announcer.remove(publication.name)
        self.server.removed(publication)

    def recheck(self) -> None:
        """See `runtime.wires.Server`."""
        self.server.recheck()

    def running(self) -> list[asyncio.Task[Any]]:
        """See `runtime.wires.Server`."""
        return self.server.running()

    async def stop_accepting(self) -> None:
        """Take no new links, and tell nobody to come."""
        for announcer in self._announcers:
            announcer.clear()
        await self.server.stop_accepting()

    async def close(self) -> None:
        """Close every link."""
        retract(self._where, self.server.node)
        try:
            for announcer in self._announcers:
                await announcer.close()
        finally:
            await self.server.close()

    def _announce(self, publication: Publication) -> None:
        info = self.server.hosted[publication.name].info
        if info.name != REGISTRY:
            for announcer in self._announcers:
                announcer.add(Location(info.name, info.type_name or "", self._where))


async def host_registry(server: HostServer, address: Address, advertised_url: str) -> AnnouncingServer:
    """Let *server* listen at *address* with a registry, which the objects of its node are in."""
    node = server.node
    registry = RegistryObject(node.limits.objects_per_link, node.refusals)
    hosted = HostedRegistry(registry, node.policy, server.dialect)
    server.hosted[hosted.name] = hosted
    server.routes.update(hosted.routes(dynamic=True))
    server.types.update(hosted.user_types)
    await server.listen(address)
    where = advertised(server.url, advertised_url)
    return AnnouncingServer(server, [OwnRegistry(registry)], url=where, shown_as=f"{PREFIX}{server.url}")


def register(server: HostServer, wanted: Iterable[str | Registry], advertised_url: str) -> AnnouncingServer:
    """Put the objects of *server*, which listens, into registries; raise AddressError where nobody could find it."""
    registries = [Registry(url=registry) if isinstance(registry, str) else registry for registry in wanted]
    url = advertised(server.url, advertised_url)
    for registry in registries:
        there = registry.reached().address
        if leads_here(parse_address(url)) and not leads_here(there):
            raise AddressError(
                f"{registry.url} is on another machine, where {url} leads nobody to this one: say "
                "?advertised=tcp://NAME:PORT, with the name under which others reach it"
            )
    return AnnouncingServer(
        server, [Registrar(registry, server.node) for registry in registries], url=url, shown_as=server.url
    )


def advertised(url: str, wanted: str) -> str:
    """Return what a registry is told of a host that listens at *url*; raise AddressError for what nobody can dial."""
    address = parse_address(wanted or url)
    if address.transport not in TRANSPORTS or address.settings:
        raise AddressError(f"{address} is nowhere that others could connect to: a registry knows {_known()}")
    if not can_be_dialed(address):
        raise AddressError(
            f"others cannot connect to {address}: say ?advertised=tcp://NAME:PORT, with the name under which they "
            "reach this machine"
        )
    return str(address)


def _known() -> str:
    return ", ".join(f"{transport}:" for transport in sorted(TRANSPORTS))
