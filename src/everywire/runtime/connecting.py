"""`connect`: a replica as an async context manager."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, TypeVar, overload

from everywire.errors import ModelError, SignatureMismatch
from everywire.model import Object
from everywire.model.signals import current_home
from everywire.runtime.limits import DEFAULT_LIMITS, Limits
from everywire.runtime.node import Node
from everywire.runtime.replica import ReplicaLink, ReplicaState
from everywire.runtime.supervisor import Supervisor
from everywire.runtime.wires import Wire, wire_of

S = TypeVar("S", bound=Object)

CONNECT_TIMEOUT = 10.0
"""Seconds that `connect` waits for the first valid state, attempts included."""


@overload
def connect(
    url: str | Wire, name: str, contract: type[S], *, timeout: float | None = ..., limits: Limits = ...
) -> AbstractAsyncContextManager[S]: ...
@overload
def connect(
    url: str | Wire, name: str, contract: None = None, *, timeout: float | None = ..., limits: Limits = ...
) -> AbstractAsyncContextManager[Any]: ...
def connect(
    url: str | Wire,
    name: str,
    contract: type[Object] | None = None,
    *,
    timeout: float | None = CONNECT_TIMEOUT,
    limits: Limits = DEFAULT_LIMITS,
) -> AbstractAsyncContextManager[Any]:
    """Return a context manager that gives a replica of the object *name* at *url*.

    With a class the replica is typed as it; without one a class is built from the remote contract. Entering waits
    until the replica is valid, at most *timeout* seconds (None: for ever; 0: one attempt); from then on the link comes
    back by itself. Raises LinkError when nobody answers, Fault(NOT_FOUND) when the host has no such object,
    SignatureMismatch when the object is not what the class expects.
    """
    if contract is not None and not _is_class(contract):
        raise ModelError("the third argument of connect is a class derived from Object, or nothing")
    return Connecting(wire_of(url), name, contract, timeout=timeout, limits=limits)


def _is_class(given: object) -> bool:
    return isinstance(given, type) and issubclass(given, Object)


class Connecting:
    """The context manager that `connect` returns; one link for one replica."""

    def __init__(
        self, wire: Wire, name: str, cls: type[Object] | None, *, timeout: float | None, limits: Limits
    ) -> None:
        self._wire, self._name, self._cls, self._timeout = wire, name, cls, timeout
        self._node = Node(limits=limits)
        self._link: ReplicaLink

    async def __aenter__(self) -> Any:
        self._node.open()
        home = current_home.get()
        if home is None or (isinstance(home, Node) and home.closed):  # a task may outlive the block it was made in
            home = self._node
        self._link = link = ReplicaLink(self._wire.url, self._name, self._cls, home)
        supervisor = Supervisor(self._wire, self._node, link, patient=self._timeout != 0)
        task = self._node.tasks.spawn(supervisor.run(), awaited=True)
        try:
            await self._wait_valid(supervisor, task)
            if isinstance(link.error, SignatureMismatch):
                raise link.error
            if link.state not in (ReplicaState.VALID, ReplicaState.SUSPECT):  # suspect: it was valid, and comes back
                raise self._why_not(supervisor)
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

    def _why_not(self, supervisor: Supervisor) -> Exception:
        offered = supervisor.session.offered if supervisor.session is not None else None
        return self._link.why_not_valid(offered, self._timeout)

    async def _close(self) -> None:
        self._link.close()
        await self._node.aclose()
