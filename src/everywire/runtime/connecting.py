"""`connect`: a replica as an async context manager."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar, overload

from everywire.errors import ModelError, SignatureMismatch
from everywire.model import Object
from everywire.model.signals import current_home
from everywire.runtime.limits import DEFAULT_LIMITS, Limits
from everywire.runtime.node import Node
from everywire.runtime.replica import ReplicaLink, ReplicaState
from everywire.runtime.supervisor import Supervisor
from everywire.runtime.wires import Wire, wire_of, within

if TYPE_CHECKING:
    from everywire.runtime.persistence import Keeper, PersistedStore

S = TypeVar("S", bound=Object)

KEPT_AFTER = 1.0
"""Seconds after which a change of a kept value is saved."""
CONNECT_TIMEOUT = 10.0
"""Seconds that `connect` waits for the first valid state, attempts included."""


@overload
def connect(
    url: str | Wire | Node,
    name: str,
    contract: type[S],
    *,
    timeout: float | None = ...,
    wait: bool = ...,
    store: PersistedStore | None = ...,
    limits: Limits = ...,
) -> AbstractAsyncContextManager[S]: ...
@overload
def connect(
    url: str | Wire | Node, name: str, contract: None = None, *, timeout: float | None = ..., limits: Limits = ...
) -> AbstractAsyncContextManager[Any]: ...
def connect(
    url: str | Wire | Node,
    name: str,
    contract: type[Object] | None = None,
    *,
    timeout: float | None = CONNECT_TIMEOUT,
    wait: bool = True,
    store: PersistedStore | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> AbstractAsyncContextManager[Any]:
    """Return a context manager that gives a replica of the object *name* at *url*, or of a running node itself.

    With a class the replica is typed as it; without one a class is built from the remote contract. Entering waits
    until the replica is valid, at most *timeout* seconds (None: for ever; 0: one attempt); from then on the link comes
    back by itself. Raises LinkError when nobody answers, Fault(NOT_FOUND) when the host has no such object,
    SignatureMismatch when the object is not what the class expects.

    Without *wait* the block begins at once, whether there is a source or not: the replica has the defaults of its class
    until `link_of(replica).wait_valid()` returns. A *store* (`FileStore`) keeps the values of properties marked
    PERSISTED, and the replica begins with those.
    """
    if contract is not None and not _is_class(contract):
        raise ModelError("the third argument of connect is a class derived from Object, or nothing")
    wire = within(url) if isinstance(url, Node) else wire_of(url)
    return Connecting(wire, name, contract, timeout=timeout, limits=limits, wait=wait, store=store)


def _is_class(given: object) -> bool:
    return isinstance(given, type) and issubclass(given, Object)


class Connecting:
    """The context manager that `connect` returns; one link for one replica."""

    def __init__(
        self,
        wire: Wire,
        name: str,
        cls: type[Object] | None,
        *,
        timeout: float | None,
        limits: Limits,
        wait: bool = True,
        store: PersistedStore | None = None,
    ) -> None:
        self._wire, self._name, self._cls, self._timeout = wire, name, cls, timeout
        self._wait, self._store = wait, store
        self._keeper: Keeper | None = None
        self._node = Node(limits=limits)
        self._link: ReplicaLink

    async def __aenter__(self) -> Any:
        self._node.open()
        home = current_home.get()
        if home is None or (isinstance(home, Node) and home.closed):  # a task may outlive the block it was made in
            home = self._node
        self._link = link = ReplicaLink(self._wire.url, self._name, self._cls, home)
        patient = self._timeout != 0 or not self._wait
        supervisor = Supervisor(self._wire, self._node, link, patient=patient, endless=not self._wait)
        link.offered = lambda: None if supervisor.session is None else supervisor.session.offered
        try:
            await self._begin(link)
            task = self._node.tasks.spawn(supervisor.run(), awaited=True)
            if not self._wait:
                task.add_done_callback(self._failed)
                self._node.tasks.report(task)
                return link.instance
            await self._wait_valid(supervisor, task)
            if isinstance(link.error, SignatureMismatch):
                raise link.error
            if link.state not in (ReplicaState.VALID, ReplicaState.SUSPECT):  # suspect: it was valid, and comes back
                raise link.why_not_valid(link.offered(), self._timeout)
        except BaseException:
            await self._close()
            raise
        self._node.tasks.report(task)  # from now on nobody awaits it
        return link.instance

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    async def _wait_valid(self, supervisor: Supervisor, task: asyncio.Task[Any]) -> None:
        settled = self._node.tasks.spawn(supervisor.settled.wait(), awaited=True)
        await asyncio.wait((settled, task), timeout=self._timeout or None, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            await task  # an error that no reconnecting mends: a wrong address, a missing extra

    async def _begin(self, link: ReplicaLink) -> None:
        """Make the replica before its source was found, where that is wanted."""
        if self._wait and self._store is None:
            return
        from everywire.runtime.persistence import Keeper, begin  # who only waits needs nothing of it

        if self._store is None:
            begin(link, {})
            return
        dirty = asyncio.Event()
        self._keeper = keeper = Keeper(link, self._store, dirty.set)
        begin(link, await asyncio.to_thread(keeper.restore))
        keeper.listen()
        self._node.tasks.spawn(_keep(keeper, dirty))

    def _failed(self, task: asyncio.Task[Any]) -> None:
        """Remember the error of an attempt that no reconnecting mends: a wrong address, a missing extra."""
        if not task.cancelled() and isinstance(error := task.exception(), Exception):
            self._link.become(self._link.state, error)

    async def _close(self) -> None:
        last = None if self._keeper is None else self._keeper.to_save()
        self._link.close()
        try:
            await self._node.aclose()
        finally:
            if self._keeper is not None:
                await asyncio.to_thread(self._keeper.save, last)


async def _keep(keeper: Keeper, dirty: asyncio.Event) -> None:
    """Save what has changed, at most once in `KEPT_AFTER` seconds."""
    while True:
        await dirty.wait()
        await asyncio.sleep(KEPT_AFTER)
        dirty.clear()
        await asyncio.to_thread(keeper.save, keeper.to_save())
