"""`open_registry`: what a registry knows, for programs that want to see it, and signals when it changes."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType

from everywire.model import Object, signal
from everywire.remoteobjects.codec.registry import Location
from everywire.remoteobjects.endpoint.following import Follower
from everywire.remoteobjects.endpoint.registry import Registry
from everywire.runtime.limits import DEFAULT_LIMITS, Limits
from everywire.runtime.node import Node


class Directory(Object):
    """The objects that a registry knows; what it said last while there is no link to it."""

    @signal
    def added(self, location: Location) -> None:
        """An object can be found, or is elsewhere now: `removed` came first then."""

    @signal
    def removed(self, location: Location) -> None:
        """An object can no longer be found there."""

    def __init__(self, follower: Follower) -> None:
        self._follower = follower
        follower.heard.append(self._heard)

    @property
    def locations(self) -> Mapping[str, Location]:
        """Where objects are, by name."""
        return MappingProxyType(self._follower.locations)

    @property
    def connected(self) -> bool:
        """Whether there is a link to the registry."""
        return self._follower.session is not None

    def _heard(self, removed: Location | None, added: Location | None) -> None:
        if removed is not None:
            self.removed.emit(removed)
        if added is not None:
            self.added.emit(added)


@asynccontextmanager
async def open_registry(
    registry: str | Registry, *, limits: Limits = DEFAULT_LIMITS
) -> AsyncGenerator[Directory, None]:
    """Look into a registry; the link comes back by itself until the end of the block.

    ```python
    async with open_registry("registry+tcp://127.0.0.1:65212") as registry:
        print(registry.locations["hall"].url)
        async for (location,) in registry.added: ...
    ```
    Raises LinkError when nobody answers, Fault(NOT_FOUND) when it is no registry.
    """
    settings = Registry(url=registry) if isinstance(registry, str) else registry
    async with Node(limits=limits) as node:
        follower = Follower(settings, node)
        await follower.open()
        directory = Directory(follower)
        node.spawn(follower.run())
        yield directory
