"""A proxy shows the objects of another host on a node, under their own names, for as long as they are there.

What it publishes are replicas, so calls and writes go through the node's gate to the source, and changes come back. An
object is shown while its replica is valid: whoever uses it through the proxy sees it go, and come back, as it does.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from typing import Any, Final, Protocol
from weakref import WeakSet

from everywire.errors import (
    EverywireError,
    Fault,
    LinkError,
    ModelError,
    RemoteProtocolError,
    SignatureMismatch,
    TokenError,
)
from everywire.model import Object
from everywire.runtime.limits import Refusals
from everywire.runtime.policy import Policy
from everywire.runtime.replica import ReplicaLink, ReplicaState
from everywire.runtime.rhythm import FAR, LOCKED_OUT, NEAR, is_locked_out, is_near, pause
from everywire.runtime.tasks import TaskSet
from everywire.runtime.wires import ClientSession, Wire

log: Final = logging.getLogger("everywire.proxy")

LOOK: Final = 1.0
"""Seconds between looks for new objects, on wires that do not say when a host shows one."""

Accept = Callable[[str, str], bool]
"""Whether to show an object, by its name and its class; that is empty where the host does not tell beforehand."""


class Proxy(Protocol):
    """Objects of others that a node shows."""

    async def open(self) -> None:
        """Connect, and stay connected; raises LinkError when nobody answers."""
        ...

    async def close(self) -> None:
        """Take all objects back and end the links."""
        ...


async def start_proxy(node: Any, wire: Wire, accept: Accept | None, policy: Policy | None) -> Proxy:
    """Return a proxy that shows what is at *wire* on *node*; see `Node.proxy`."""
    accepts: Accept = accept or all_of_them
    make: Callable[..., Proxy] | None = getattr(wire, "proxy", None)
    proxy = make(node, accepts, policy) if make is not None else HostProxy(node, wire, accepts, policy=policy)
    await proxy.open()
    return proxy


def all_of_them(_name: str, _class: str) -> bool:
    """Accept every object."""
    return True


class Showing(Protocol):
    """What a proxy needs of the node."""

    refusals: Refusals

    @property
    def closed(self) -> bool:
        """Whether the node has ended."""
        ...

    @property
    def tasks(self) -> TaskSet:
        """The tasks that the node owns."""
        ...

    def publish(self, source: Any, name: str, *, policy: Policy | None = None) -> None:
        """Show an object."""
        ...

    def withdraw(self, name: str) -> None:
        """Take it back."""
        ...


_PROXIED: Final[WeakSet[Object]] = WeakSet()


def is_proxied(source: Object) -> bool:
    """Return whether a proxy of this program shows *source*."""
    return source in _PROXIED


class Shown:
    """One object of the host: its replica, which is published while it is valid."""

    def __init__(
        self, node: Any, wire: Wire, name: str, policy: Policy | None, changed_class: Callable[[Shown], None]
    ) -> None:
        self.link = ReplicaLink(wire.url, name, None, node)
        self._changed_class = changed_class
        self.attaching: asyncio.Task[None] | None = None
        self._node: Showing = node
        self._policy, self._published = policy, False
        self.link.state_changed.connect(self._changed)

    def close(self) -> None:
        """Take the object back for good."""
        if self.attaching is not None:
            self.attaching.cancel()
        self._withdraw()
        self.link.close()

    def _changed(self, state: ReplicaState) -> None:
        if state is not ReplicaState.VALID:
            self._withdraw()
            if state is ReplicaState.SIGNATURE_MISMATCH:
                self._changed_class(self)
        elif not self._published and not self._node.closed:
            try:
                _PROXIED.add(self.link.instance)
                self._node.publish(self.link.instance, self.link.name, policy=self._policy)
                self._published = True
            except EverywireError as error:  # the name is taken, or a type of that name is known already
                self._node.refusals["proxied_objects"] += 1
                log.warning("%s at %s cannot be shown: %s", self.link.name, self.link.url, error)

    def _withdraw(self) -> None:
        published, self._published = self._published, False
        if published and not self._node.closed:
            self._node.withdraw(self.link.name)


class HostProxy:
    """Shows the objects of one host: all that *accept* lets through, or of these the *wanted* ones."""

    def __init__(
        self, node: Any, wire: Wire, accept: Accept, *, policy: Policy | None = None, wanted: set[str] | None = None
    ) -> None:
        self.wanted = wanted
        self.error: Exception | None = None
        """Why there is no link."""
        self._node, self._wire, self._accept, self._policy = node, wire, accept, policy
        self._shown: dict[str, Shown] = {}
        self._apart: dict[str, HostProxy] = {}
        """What needs a link of its own: Qt 5 gives children of two objects one name."""
        self._session: ClientSession | None = None
        self._look = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Connect, and stay connected from now on; raises what `Wire.open` raises."""
        self._session = await self._wire.open(self._node)
        self.start()

    def start(self) -> None:
        """Connect as soon as that is possible, and stay connected."""
        self._task = self._node.tasks.spawn(self._run())

    async def close(self) -> None:
        """Take all objects back and end the link."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait((task,))

    def look(self) -> None:
        """Look again for what the host shows and what of it is wanted."""
        self._look.set()

    async def _run(self) -> None:
        failures = 0
        try:
            while True:
                try:
                    if self._session is None:
                        self._session = await self._wire.open(self._node)
                    failures, self.error = 0, None
                    self.error = await self._live(self._session)
                except (LinkError, RemoteProtocolError, Fault, TokenError) as error:
                    failures += 1
                    if failures == 1:
                        log.warning("no link to %s: %s", self._wire.url, error)
                    self.error = error
                finally:
                    await self._end_session()
                near = is_near(self._wire.url)
                wait = pause(failures, near=near, first=NEAR, longest=FAR, scatter=random.uniform)
                await asyncio.sleep(LOCKED_OUT if is_locked_out(self.error) else wait)
        finally:
            for shown in self._shown.values():
                shown.close()
            self._shown.clear()
            apart, self._apart = self._apart, {}
            for proxy in apart.values():
                await proxy.close()

    async def _live(self, session: ClientSession) -> Exception | None:
        """Show what the host offers until the link is gone; return why it is."""
        hook = hasattr(session, "on_offered")
        if hook:
            session.on_offered = self._look.set  # type: ignore[attr-defined]
        lost = self._node.tasks.spawn(session.wait_lost(), awaited=True)
        try:
            while not lost.done():
                self._look.clear()
                self._consider(session)
                looked = self._node.tasks.spawn(self._look.wait(), awaited=True)
                try:
                    await asyncio.wait(
                        (lost, looked), timeout=None if hook else LOOK, return_when=asyncio.FIRST_COMPLETED
                    )
                finally:
                    looked.cancel()
                    await asyncio.wait((looked,))
            return lost.result()  # type: ignore[no-any-return]
        finally:
            lost.cancel()
            await asyncio.wait((lost,))

    def _consider(self, session: ClientSession) -> None:
        offered = session.offered or ()
        for name in [name for name in self._shown if self.wanted is not None and name not in self.wanted]:
            self._shown.pop(name).close()
            release = getattr(session, "release", None)
            if release is not None:
                release(name)
        for name in [name for name in self._apart if self.wanted is not None and name not in self.wanted]:
            self._node.tasks.spawn(self._apart.pop(name).close())
        for name in offered:
            if name in self._apart:
                continue
            shown = self._shown.get(name)
            if shown is None:
                if not self._is_wanted(session, name):
                    continue
                if len(self._shown) >= self._node.limits.objects_per_link:
                    self._node.refusals["proxied_objects"] += 1
                    continue
                shown = self._shown[name] = Shown(self._node, self._wire, name, self._policy, self._renew)
            if shown.attaching is None:
                shown.attaching = self._node.tasks.spawn(self._attach(session, shown))

    def _is_wanted(self, session: ClientSession, name: str) -> bool:
        if self.wanted is not None and name not in self.wanted:
            return False
        tell = getattr(session, "class_name_of", None)
        return name not in self._node.published and self._accept(name, tell(name) if tell is not None else "")

    async def _attach(self, session: ClientSession, shown: Shown) -> None:
        try:
            await session.attach(shown.link, patient=True)
        except (LinkError, RemoteProtocolError, Fault):
            pass  # the link is gone, which its loop notices too
        except SignatureMismatch as error:
            shown.link.become(ReplicaState.SIGNATURE_MISMATCH, error)
        except ModelError as error:
            self._leave_out(shown, error)

    def _renew(self, shown: Shown) -> None:
        """Show what has another class than before as another object: a replica keeps its class."""
        if self._shown.get(shown.link.name) is not shown:
            return
        name = shown.link.name
        if shown.link.was_valid:
            self._shown.pop(name).close()
            self.look()
        elif self.wanted == {name}:
            self._leave_out(shown, shown.link.error)
        else:
            self._shown.pop(name).close()
            self._apart[name] = HostProxy(self._node, self._wire, all_of_them, policy=self._policy, wanted={name})
            self._apart[name].start()

    def _leave_out(self, shown: Shown, error: Exception | None) -> None:
        """Do not try again as long as this link lasts."""
        self._node.refusals["proxied_objects"] += 1
        log.warning("%s at %s cannot be read: %s", shown.link.name, shown.link.url, error)

    async def _end_session(self) -> None:
        session, self._session = self._session, None
        attaching = [shown.attaching for shown in self._shown.values() if shown.attaching is not None]
        for shown in self._shown.values():
            shown.attaching = None
            shown.link.remote = None
            if shown.link.state is ReplicaState.VALID:
                shown.link.become(ReplicaState.SUSPECT, self.error)
        for task in attaching:
            task.cancel()
        if attaching:
            await asyncio.wait(attaching)
        if session is not None:
            await session.close()
