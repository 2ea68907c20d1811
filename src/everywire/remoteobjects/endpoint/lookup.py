"""`connect("registry+…", name)`: asks a registry where the object is, goes there, and follows when it moves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from everywire.errors import Code, Fault, LinkError
from everywire.model import Contract
from everywire.remoteobjects.codec.registry import Location
from everywire.remoteobjects.endpoint.following import Follower
from everywire.remoteobjects.endpoint.registry import Registry
from everywire.remoteobjects.endpoint.settings import RemoteObjects
from everywire.runtime.node import Node
from everywire.runtime.replica import ReplicaLink, ReplicaState
from everywire.runtime.rhythm import NEAR
from everywire.runtime.supervisor import Supervisor

CALM: Final = 1.0
"""Seconds for which an object is to stay where it is before it may move without a pause."""


class LookupSession:
    """One replica's way through a registry to its source; see `runtime.wires.ClientSession`.

    The link to the host is kept by a supervisor of its own, as if the user had named the host: a registry that goes
    away harms nobody who has found what he looked for.
    """

    def __init__(self, registry: Registry, node: Node) -> None:
        self._registry, self._node = registry, node
        self._follower = Follower(registry, node)
        self._follower.heard.append(self._heard)
        self._replica: ReplicaLink | None = None
        self._place = ""
        """Where the object is, or was when the registry last knew."""
        self._moved = asyncio.Event()
        self._ended: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
        self._tasks: list[asyncio.Task[Any]] = []
        self.on_offered: Callable[[], object] | None = None
        """Called when the registry knows something else."""

    async def open(self) -> None:
        """Connect to the registry; raises what `RegistrySession.open` raises."""
        await self._follower.open()

    @property
    def offered(self) -> tuple[str, ...] | None:
        """The names that the registry knows; None while there is no link to it."""
        return None if self._follower.session is None else tuple(self._follower.locations)

    @property
    def locations(self) -> tuple[Location, ...]:
        """What the registry knows."""
        return tuple(self._follower.locations.values())

    async def contract(self, name: str) -> Contract:
        """Ask the object's host; see `runtime.wires.ClientSession`. Raises LinkError for a place not trusted."""
        location = self._follower.locations.get(name)
        if location is None:
            raise Fault(Code.NOT_FOUND, f"{self._registry.url} knows no object {name!r}", may_have_run=False)
        host = await RemoteObjects(url=self._registry.place_of(location)).open(self._node)
        try:
            return await host.contract(name)
        finally:
            await host.close()

    async def attach(self, replica: ReplicaLink, *, patient: bool) -> None:
        """Bind *replica* to its source, wherever that is from now on; see `runtime.wires.ClientSession`."""
        self._replica = replica
        location = self._follower.locations.get(replica.name)
        if location is None and not patient:
            raise replica.not_offered(self._follower.locations)
        self._heard(None, location)
        if not self._place and not patient:
            raise replica.error or replica.unavailable()
        self._spawn(self._follower.run())
        settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._spawn(self._keep(replica, settled, patient=patient))
        await settled

    async def wait_lost(self) -> Exception | None:
        """Wait until the link to the registry is lost; with a replica until this is closed, for then all comes back."""
        if self._replica is None and self._follower.session is not None:
            return await self._follower.session.wait_lost()
        return await asyncio.shield(self._ended)

    async def close(self) -> None:
        """End the links to the host and to the registry."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await self._follower.close()
        if not self._ended.done():
            self._ended.set_result(None)

    async def _keep(self, replica: ReplicaLink, settled: asyncio.Future[None], *, patient: bool) -> None:
        """Keep *replica* linked to where its object is; *settled* is for the first place alone."""
        loop = asyncio.get_running_loop()
        while True:
            if not self._place:
                await self._moved.wait()
            self._moved.clear()
            begun = loop.time()
            host = Supervisor(RemoteObjects(url=self._place), self._node, replica, patient=patient)
            moved = self._node.tasks.spawn(self._moved.wait(), awaited=True)
            found = self._node.tasks.spawn(host.settled.wait(), awaited=True)
            running = self._node.tasks.spawn(host.run(), awaited=True)
            try:
                await asyncio.wait((moved, found, running), return_when=asyncio.FIRST_COMPLETED)
                if (found.done() or running.done()) and not settled.done():
                    _settle(settled, running, replica)
                    patient = True
                await moved
            finally:
                for task in (moved, found, running):
                    task.cancel()
                await asyncio.wait((moved, found, running))
            if loop.time() - begun < CALM:  # else a registry could have us connect here and there without end
                await asyncio.sleep(NEAR)

    def _heard(self, _removed: Location | None, added: Location | None) -> None:
        """Follow the object; where it is gone, its host's link says so, and comes back if the host does."""
        if self.on_offered is not None:
            self.on_offered()
        if self._replica is None or added is None or added.name != self._replica.name:
            return
        try:
            place = self._registry.place_of(added)
        except LinkError as error:
            self._follower.complain(error)
            self._node.refusals["untrusted_places"] += 1
            if not self._place:
                self._replica.become(self._replica.state, error)
            return
        if place != self._place:
            self._moved.set()
            self._place = place

    def _spawn(self, coroutine: Any) -> None:
        self._tasks.append(self._node.tasks.spawn(coroutine))


def _settle(settled: asyncio.Future[None], running: asyncio.Task[None], replica: ReplicaLink) -> None:
    """Tell who attaches what became of it."""
    error = running.exception() if running.done() and not running.cancelled() else None
    if error is not None:
        settled.set_exception(error)
    elif replica.state in (ReplicaState.VALID, ReplicaState.SUSPECT):
        settled.set_result(None)
    else:
        settled.set_exception(replica.error or replica.unavailable())
