"""`browse`: what a host shows, kept up to date, without a replica of any of it."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager, suppress
from types import TracebackType
from typing import Any, Final

from everywire.errors import Fault, LinkError, RemoteProtocolError, TokenError
from everywire.model import Object, Property, prop, signal
from everywire.runtime.limits import DEFAULT_LIMITS, Limits
from everywire.runtime.node import Node
from everywire.runtime.rhythm import LOCKED_OUT, is_locked_out, is_near, pause
from everywire.runtime.wires import ClientSession, Wire, wire_of

BROWSE_TIMEOUT: Final = 10.0
"""Seconds that `browse` waits for the first list, attempts included."""
LOOK: Final = 1.0
"""Seconds between looks on wires that do not say when a host shows something else."""

_MENDING: Final = (LinkError, RemoteProtocolError, Fault, TokenError)


class Host(Object):
    """What a host shows; an object like any other, so that it can be watched, waited for, and published."""

    online: Property[bool] = prop(False, doc="whether there is a link to the host")
    objects: Property[tuple[str, ...]] = prop((), doc="the names that it shows, or showed when it was last online")

    @signal
    def added(self, name: str) -> None:
        """The host shows another object."""

    @signal
    def removed(self, name: str) -> None:
        """The host shows an object no more."""


def browse(
    url: str | Wire, *, timeout: float | None = BROWSE_TIMEOUT, wait: bool = True, limits: Limits = DEFAULT_LIMITS
) -> AbstractAsyncContextManager[Host]:
    """Return a context manager that gives a `Host`: the names of the objects at *url*, and signals when they change.

    Entering waits for the first list, at most *timeout* seconds (None: for ever; 0: one attempt), or without *wait* not
    at all; from then on the link comes back by itself. Raises LinkError when nobody answers, Fault when we are not let
    in. At a registry the names are those that it knows. A host of Qt tells that an object is gone only to who uses it.
    """
    return _Browsing(wire_of(url), timeout=timeout, wait=wait, limits=limits)


class _Browsing:
    """The context manager that `browse` returns."""

    def __init__(self, wire: Wire, *, timeout: float | None, wait: bool, limits: Limits) -> None:
        self._wire, self._timeout, self._wait = wire, timeout, wait
        self._node = Node(limits=limits)
        self._host = Host()
        self._error: Exception | None = None
        self._settled = asyncio.Event()

    async def __aenter__(self) -> Host:
        self._node.open()
        self._host._everywire.home = self._node
        task = self._node.tasks.spawn(self._follow(), awaited=True)
        try:
            if self._wait:
                await self._first(task)
        except BaseException:
            await self._node.aclose()
            raise
        self._node.tasks.report(task)
        return self._host

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._node.aclose()

    async def _first(self, task: asyncio.Task[Any]) -> None:
        settled = self._node.tasks.spawn(self._settled.wait(), awaited=True)
        await asyncio.wait((settled, task), timeout=self._timeout or None, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            await task
        if not self._host.online:
            raise self._error or LinkError(f"{self._wire.url} did not answer within {self._timeout:g} s")

    async def _follow(self) -> None:
        """Stay connected: connect again and again; ends only by cancellation."""
        failures, near = 0, is_near(self._wire.url)
        while True:
            try:
                session = await self._wire.open(self._node)
                try:
                    failures, self._error = 0, None
                    await self._watch(session)
                finally:
                    await session.close()
            except _MENDING as error:
                failures += 1
                self._error = error
                if self._timeout == 0:
                    self._settled.set()
            self._host.online = False
            refused = is_locked_out(self._error)
            await asyncio.sleep(LOCKED_OUT if refused else pause(failures, near=near))

    async def _watch(self, session: ClientSession) -> None:
        """Show what *session* says until it is lost."""
        look = asyncio.Event()
        tells = hasattr(session, "on_offered")
        if tells:
            session.on_offered = look.set  # type: ignore[attr-defined]
        if self._node.tasks.closed:  # meanwhile, and about to cancel this
            return
        lost = self._node.tasks.spawn(session.wait_lost(), awaited=True)
        lost.add_done_callback(lambda _: look.set())
        try:
            while not lost.done():
                look.clear()
                self._show(session.offered)
                with suppress(TimeoutError):
                    async with asyncio.timeout(None if tells else LOOK):
                        await look.wait()
            self._error = lost.result()
        finally:
            lost.cancel()

    def _show(self, offered: tuple[str, ...] | None) -> None:
        if offered is None:
            return
        host, before = self._host, self._host.objects
        host.objects = offered
        host.online = True
        self._settled.set()
        for name in before:
            if name not in offered:
                host.removed.emit(name)
        for name in offered:
            if name not in before:
                host.added.emit(name)
