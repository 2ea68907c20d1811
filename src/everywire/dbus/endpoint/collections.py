"""`collection`: the objects of a service that are of one kind, as replicas that come and go with them."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any, Final, Generic, Self, TypeVar, overload

from everywire.dbus.codec import Kind, Message
from everywire.dbus.endpoint.attaching import CHANGED, Attachment
from everywire.dbus.endpoint.kinds import Kinds, ObjectKind
from everywire.dbus.endpoint.noticing import Notices
from everywire.dbus.endpoint.settings import DBus, Place
from everywire.dbus.endpoint.shared import Interfaces, Service, SharedBus, Tree, give_back, open_bus
from everywire.dbus.session import Connection, Match, Subscription
from everywire.dbus.wire.replicating import OBJECT, PROPERTIES
from everywire.errors import (
    Code,
    Fault,
    LinkError,
    ModelError,
    RemoteProtocolError,
    SignatureMismatch,
)
from everywire.model import Object
from everywire.model.signals import current_home
from everywire.runtime.connecting import CONNECT_TIMEOUT
from everywire.runtime.limits import DEFAULT_LIMITS, Limits, Refusals
from everywire.runtime.node import Node
from everywire.runtime.replica import ReplicaLink
from everywire.runtime.rhythm import is_near, pause

log: Final = logging.getLogger("everywire.dbus")

S = TypeVar("S", bound=Object)

MOST_OBJECTS: Final = 16_384
"""Replicas of one collection: a service must not fill our memory with objects."""


@overload
def collection(
    url: str | DBus, contract: type[S], *, timeout: float | None = ..., limits: Limits = ...
) -> Collection[S]: ...
@overload
def collection(
    url: str | DBus, contract: None = None, *, timeout: float | None = ..., limits: Limits = ...
) -> Collection[Any]: ...
def collection(
    url: str | DBus,
    contract: type[Object] | None = None,
    *,
    timeout: float | None = CONNECT_TIMEOUT,
    limits: Limits = DEFAULT_LIMITS,
) -> Collection[Any]:
    """Return the objects of a service as a live mapping.

    ``async with collection("dbus:system?service=org.bluez&path=/", Device) as devices: …``

    The path in *url* (default: that of the service's name) is where its ObjectManager is. With a class it has the
    objects that the class fits: those with the interfaces that `interface` gave it, or with ``interface=`` of the URL,
    or with all members that it wants. Without, it has every object, each of a class built for it.

    Entering waits until it has what there is, at most *timeout* seconds (None: for ever; 0: one attempt). Raises
    LinkError when nobody answers, Fault(NOT_FOUND) when there is no ObjectManager. All replicas share one connection.
    """
    wire = url if isinstance(url, DBus) else DBus(url=url)
    return Collection(wire.url, wire.place(), contract, timeout, limits)


class Collection(Mapping[str, S], Generic[S]):
    """Replicas by object path, live: an async context manager.

    While the service is gone its replicas stay, suspect; those that it does not show any more when it is back go then.
    """

    def __init__(
        self, url: str, place: Place, cls: type[Object] | None, timeout: float | None, limits: Limits
    ) -> None:
        self.added: Notices[S] = Notices()
        """Tells each new object: ``devices.added.connect(print)``, ``async for path, device in devices.added:``."""
        self.removed: Notices[S] = Notices()
        """Tells each object that is gone; its replica keeps its last values."""
        self._url, self._place, self._cls, self._timeout = url, place, cls, timeout
        self._node = Node(limits=limits)
        self._links: dict[str, ReplicaLink] = {}
        self._attached: dict[str, Attachment] = {}
        self._kinds = Kinds(place, cls, limits)
        self._dirty: dict[str, None] = {}
        """Paths of objects of which something has changed that is not settled yet."""
        self._news = asyncio.Event()
        self._complete = asyncio.Event()
        self._tried = asyncio.Event()
        self._gone: list[Exception] = []
        """Why the connection is gone, once it is."""
        self._error: Exception | None = None
        self._tree: Tree | None = None
        self._link = _Link(self)

    # A mapping.

    def __getitem__(self, path: str) -> S:
        instance: S = self._links[path].instance
        return instance

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._links))

    def __len__(self) -> int:
        return len(self._links)

    def __repr__(self) -> str:
        return f"<collection of {len(self)} objects at {self._url}>"

    # A context manager.

    async def __aenter__(self) -> Self:
        self._node.open()
        home = current_home.get()
        self._home = self._node if home is None or (isinstance(home, Node) and home.closed) else home
        task = self._node.tasks.spawn(self._run(), awaited=True)
        complete = self._node.tasks.spawn(self._complete.wait(), awaited=True)
        waited = {task, complete}
        if self._timeout == 0:
            waited.add(self._node.tasks.spawn(self._tried.wait(), awaited=True))
        try:
            await asyncio.wait(waited, timeout=self._timeout or None, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                await task
            if not self._complete.is_set():
                late = LinkError(f"{self._url} did not tell its objects within {self._timeout:g} s")
                raise self._error or late
        except BaseException:
            await self._close()
            raise
        self._node.tasks.report(task)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    async def _close(self) -> None:
        for attachment in self._attached.values():
            attachment.close()
        for link in self._links.values():
            link.close()
        self._suspend(LinkError("the collection was closed"))
        self.added.end()
        self.removed.end()
        await self._node.aclose()

    # What attachments and the service call.

    @property
    def refusals(self) -> Refusals:
        """What was not taken, by reason."""
        return self._node.refusals

    def lost(self, reason: Exception) -> None:
        """The connection is gone."""
        self._suspend(reason)
        self._gone.append(reason)
        self._news.set()

    def owner_changed(self, old: str, new: str) -> None:
        """Somebody else has the name, or nobody."""
        self._suspend(LinkError(f"{self._place.service} has a new owner" if new else f"nobody owns {old} any more"))
        self._tree = None
        self._news.set()

    def appeared(self, path: str, interfaces: Interfaces) -> None:
        """The service shows an object, or more of one."""
        self._look_at(path)

    def vanished(self, path: str, interfaces: tuple[str, ...]) -> None:
        """The service shows less of an object."""
        attachment = self._attached.get(path)
        if attachment is not None and attachment.bound:
            needed = {OBJECT} if attachment.view.offered is not None else attachment.view.used
            if not needed.isdisjoint(interfaces):
                self._remove(path)
        self._look_at(path)

    def _look_at(self, path: str) -> None:
        """Something has changed at *path*; a service may tell of more objects than are known."""
        known = self._tree is not None and path in (self._tree.objects or ())
        if known or path in self._links or path in self._attached:
            self._dirty[path] = None
            self._news.set()

    # Private: the link.

    async def _run(self) -> None:
        """Connect and follow again and again; ends only by cancellation, or by what no reconnecting mends."""
        failures = 0
        while True:
            self._gone.clear()
            self._tree = None
            try:
                await self._live()
            except (LinkError, RemoteProtocolError, Fault) as error:
                self._error = error
                self._tried.set()
                self._suspend(error)
                if not self._complete.is_set() and isinstance(error, Fault) and error.code is Code.NOT_FOUND:
                    raise
            finally:
                await self._link.close()
            failures = 0 if self._loaded() else failures + 1
            await asyncio.sleep(pause(failures, near=is_near(self._url), scatter=random.uniform))

    async def _live(self) -> None:
        """Follow the service until the connection is lost, which is raised."""
        link = self._link
        await link.open(self._place, self._node)
        service, started = link.service, False
        while True:
            self._news.clear()
            if self._gone:
                raise self._gone[0]
            if self._tree is None and (service.present or not started):
                started = True
                await self._load(service)
            while (tree := self._tree) is not None and self._dirty and not self._gone:
                path = next(iter(self._dirty))
                del self._dirty[path]
                await self._settle(tree, path)
            if tree is not None:
                self._complete.set()
            await self._news.wait()

    async def _load(self, service: Service) -> None:
        """Ask for all objects; the call starts a service that the bus can start."""
        try:
            async with service.with_owner():
                tree = await service.tree(self._place.base, self._node.limits.handshake)
        except Fault as fault:
            if fault.code is Code.UNAVAILABLE and not service.connection.closed.done():
                self._error = LinkError(f"{self._url} is not there: {fault.message}")
                self._tried.set()
                return
            if fault.code is Code.NOT_FOUND:
                where = f"there is no ObjectManager at {self._place.base} of {self._url}"
                raise Fault(Code.NOT_FOUND, f"{where}: say where with path=", may_have_run=False) from None
            raise
        if tree.objects is None:
            return  # the owner has changed meanwhile
        for path in tuple(self._links):
            if path not in tree.objects:
                self._remove(path)
        self._dirty.update(dict.fromkeys(tree.objects))
        self._tree = tree

    def _loaded(self) -> bool:
        return self._tree is not None

    def closed(self, closed: asyncio.Future[Exception | None]) -> None:
        """The connection is closed."""
        self.lost(closed.result() or LinkError("the link was closed"))

    def _suspend(self, reason: Exception) -> None:
        for attachment in self._attached.values():
            attachment.suspend(reason)
        self._attached.clear()

    # Private: objects.

    async def _settle(self, tree: Tree, path: str) -> None:
        """Have a replica of the object at *path* if there is one that fits, else none."""
        interfaces = (tree.objects or {}).get(path)
        if interfaces is None:
            self._remove(path)
            return
        if path in self._attached:
            return
        names, service = frozenset(interfaces), self._link.service
        try:
            async with service.with_owner():
                kind = await self._kinds.find(service, path, names)
                if tree.objects is None or tree.objects.get(path) is not interfaces or names != interfaces.keys():
                    self._dirty[path] = None  # it has changed meanwhile
                elif kind is None:
                    self._remove(path)
                else:
                    await self._bind(path, kind, interfaces)
        except (Fault, ModelError, RemoteProtocolError, SignatureMismatch) as error:
            if self._link.connection.closed.done():
                raise
            self.refusals["misfits"] += 1
            log.warning("%s of %s is left out: %s", path, self._url, error)

    async def _bind(self, path: str, kind: ObjectKind, interfaces: Interfaces) -> None:
        """Bind the replica of an object, a new one if there is none; its values are known already."""
        link = self._links.get(path)
        if link is None:
            if len(self._links) >= MOST_OBJECTS:
                raise RemoteProtocolError(f"more than {MOST_OBJECTS} objects")
            link = ReplicaLink(self._url, path, self._cls, self._home)
        service = self._link.service
        attachment = Attachment(self, service, link, path, self._place.interface, listens=False)
        self._attached[path] = attachment
        try:
            if kind.view is None:
                await attachment.attach()
            else:
                attachment.destination = service.owner
                attachment.bind(kind.view, kind.values(attachment, interfaces), kind.build)
                attachment.fetch_missing()
        except BaseException:
            self._attached.pop(path, None)
            raise
        if path not in self._links:
            self._links[path] = link
            self.added.tell(path, link.instance)

    def _remove(self, path: str) -> None:
        attachment, link = self._attached.pop(path, None), self._links.pop(path, None)
        if attachment is not None:
            attachment.close()
            attachment.suspend(LinkError(f"the service withdrew {path}"))
        if link is not None:
            self.removed.tell(path, link.instance)
            link.close()

    def heard(self, message: Message) -> None:
        """Take a signal of any of the objects."""
        service = self._link.service
        if service.owner and message.sender != service.owner:
            return
        attachment = self._attached.get(message.path)
        if attachment is not None:
            attachment.heard(message)
        elif message.interface == PROPERTIES and (message.member, message.signature) == CHANGED:
            tree = service.trees.get(self._place.base)  # not self._tree: it may be known since the message before
            if tree is not None:
                tree.change(message.path, *message.body)


class _Link:
    """A collection's use of a connection and a service; a `shared.Watcher`."""

    service: Service

    def __init__(self, collection: Collection[Any]) -> None:
        self._collection = collection
        self._bus: SharedBus | None = None
        self._service: Service | None = None
        self._subscription: Subscription | None = None
        self._forget: Callable[[], None] | None = None
        self.owner_changed = collection.owner_changed
        self.appeared = collection.appeared
        self.vanished = collection.vanished

    @property
    def connection(self) -> Connection:
        """The connection in use."""
        return self.service.connection

    async def open(self, place: Place, node: Node) -> None:
        """Connect, and hear whatever the objects below the path tell; the rules come before the first question."""
        self._bus = await open_bus(place, node)
        self._bus.connection.closed.add_done_callback(self._collection.closed)
        self.service = self._service = await self._bus.service(place.service if place.peer is None else "")
        self._forget = self._service.watch(self)
        rule = Match(kind=Kind.SIGNAL, sender=self._service.name, path_namespace=place.base)
        self._subscription = await self._service.connection.match(rule, self._collection.heard)

    async def close(self) -> None:
        """Use it no more."""
        if self._subscription is not None:
            self._subscription.close()
        if self._forget is not None:
            self._forget()
        bus, service = self._bus, self._service
        self._bus = self._service = self._subscription = self._forget = None
        if bus is not None:
            bus.connection.closed.remove_done_callback(self._collection.closed)
            if service is not None:
                bus.release(service)
            await give_back(bus)
