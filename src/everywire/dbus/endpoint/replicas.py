"""Replicas over D-Bus: what a node knows of one service on a bus, or of a peer."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

from everywire.dbus.codec import Kind, Message
from everywire.dbus.endpoint.attaching import INTROSPECTABLE, Attachment, contract_in
from everywire.dbus.endpoint.settings import Place
from everywire.dbus.endpoint.shared import Interfaces, Service, SharedBus, ask_at_once, give_back, open_bus
from everywire.dbus.introspection import Node as Described
from everywire.dbus.introspection import parse
from everywire.dbus.wire.fitting import foreign_description, is_ours, own_interfaces
from everywire.dbus.wire.names import name_of, path_of
from everywire.dbus.wire.replicating import OBJECT, PROPERTIES
from everywire.errors import AddressError, Code, Fault, LinkError, ModelError, RemoteProtocolError, SignatureMismatch
from everywire.model import Contract, Object
from everywire.runtime.limits import Refusals
from everywire.runtime.node import Node
from everywire.runtime.replica import ReplicaLink, link_of
from everywire.runtime.rhythm import pause

log: Final = logging.getLogger("everywire.dbus")

T = TypeVar("T")


async def open_session(node: Node, place: Place) -> DBusSession:
    """Connect to the bus or peer at *place*; raises LinkError, AddressError."""
    session = DBusSession(node, place)
    try:
        await session.open()
    except BaseException:
        await session.close()
        raise
    return session


class DBusSession:
    """What a node knows of one service or peer; see `runtime.wires.ClientSession`."""

    def __init__(self, node: Node, place: Place) -> None:
        self._node, self._place = node, place
        self._gone: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()
        self._offered: tuple[str, ...] | None = None
        self._bus: SharedBus | None = None
        self._service: Service | None = None
        self._attached: list[_Following] = []

    @property
    def refusals(self) -> Refusals:
        """What was not taken, by reason."""
        return self._node.refusals

    async def open(self) -> None:
        """Connect, follow the service, and ask what it offers where somebody is there to ask."""
        place = self._place
        self._bus = await open_bus(place, self._node)
        self._bus.connection.closed.add_done_callback(self._closed)
        self._service = await self._bus.service("" if place.peer is not None else place.service)
        await self._look()

    @property
    def offered(self) -> tuple[str, ...] | None:
        """The names of the service's objects, if they are everywire's and it said so."""
        tree = None if self._service is None else self._service.trees.get(self._place.base)
        if tree is None or tree.objects is None:
            return self._offered
        ours = [path for path, interfaces in tree.objects.items() if OBJECT in interfaces]
        return tuple(name_of(path, self._place.base) for path in ours) if ours or not tree.objects else None

    async def contract(self, name: str) -> Contract:
        """Return what the object *name* tells of itself."""
        path = path_of(name, self._place.base)
        node = await self._introspect(path)
        interface = self._place.interface
        if is_ours(node.interfaces):
            try:
                return await self._ask(path, PROPERTIES, "Get", contract_in, OBJECT, "Contract")
            except ModelError as error:
                raise RemoteProtocolError(f"{path} of {self._place.url} shows itself wrongly: {error}") from error
        own = own_interfaces(node.interfaces, interface)
        if not own:
            where = f"{path} of {self._place.url}"
            raise Fault(Code.NOT_FOUND, f"there is no object at {where}", may_have_run=False)
        return foreign_description(own).contract

    async def attach(self, replica: ReplicaLink, *, patient: bool) -> None:
        """Bind *replica* to its source; see `runtime.wires.ClientSession`."""
        following = _Following(self, self._node, self._followed, replica, self._place)
        self._attached.append(following)
        await following.attach(patient=patient)

    async def wait_lost(self) -> Exception | None:
        """Wait until the connection is gone; return why."""
        return await asyncio.shield(self._gone)

    async def close(self) -> None:
        """Want nothing more of the service; the last one who uses the connection closes it."""
        for following in self._attached:
            following.close()
        self.lost(LinkError("the link was closed"))
        bus, self._bus = self._bus, None
        if bus is None:
            return
        bus.connection.closed.remove_done_callback(self._closed)
        if self._service is not None:
            bus.release(self._service)
        await give_back(bus)

    def lost(self, reason: Exception) -> None:
        """The connection is gone, or something that only a new session mends."""
        for following in self._attached:
            following.suspend(reason)
        if not self._gone.done():
            self._gone.set_result(reason)

    # Private.

    @property
    def _followed(self) -> Service:
        if self._service is None:
            raise LinkError(f"no link to {self._place.url}")
        return self._service

    def _closed(self, closed: asyncio.Future[Exception | None]) -> None:
        self.lost(closed.result() or LinkError("the link was closed"))

    async def _look(self) -> None:
        """Ask for the objects below the base path; a service without ObjectManager does not say."""
        try:
            await self._followed.tree(self._place.base, self._node.limits.handshake)
        except (Fault, LinkError) as error:
            log.debug("%s does not say what it offers: %s", self._place.url, error)

    async def _introspect(self, path: str) -> Described:
        def read(answer: Message) -> Described:
            if answer.signature != "s":
                raise RemoteProtocolError(f"{path} describes itself with {answer.signature or 'nothing'}")
            return parse(answer.body[0], limit=self._node.limits.frame)

        return await self._ask(path, INTROSPECTABLE, "Introspect", read)

    async def _ask(self, path: str, interface: str, member: str, read: Callable[[Message], T], *names: str) -> T:
        service = self._followed
        call = Message(
            kind=Kind.CALL,
            destination=service.destination,
            path=path,
            interface=interface,
            member=member,
            signature="s" * len(names),
            body=names,
        )
        return await ask_at_once(service.connection, call, read, self._node.limits.handshake)


class _Following:
    """A replica that follows its object through the lives of its service; a `shared.Watcher`."""

    def __init__(
        self, session: DBusSession, node: Node, service: Service, replica: ReplicaLink, place: Place
    ) -> None:
        self._session, self._node, self._service, self._place = session, node, service, place
        try:
            path = path_of(replica.name, place.base)
        except ModelError as error:
            raise AddressError(f"{replica.name!r} cannot be the name of an object on D-Bus: {error}") from None
        self._replica = replica
        self._attachment = Attachment(session, service, replica, path, place.interface)
        self._news = asyncio.Event()
        self._over = False
        self._tasks: set[asyncio.Task[Any]] = set()
        """What brings the replica back; ends with the session, for the next one does it anew."""
        self._refused = False
        """Whether the object is not what the replica expects: as soon as it may be another one, begin anew."""
        self._forget = service.watch(self)

    async def attach(self, *, patient: bool, start: bool = True) -> None:
        """Bind the replica; while there is no object, wait when *patient*, else raise.

        *start*: the bus may start the service; one that has left comes back when it wants, or is called.
        """
        attempts = 0
        while True:
            self._news.clear()
            while not start and not self._service.present:
                await self._news.wait()
                self._news.clear()
            error = await self._try()
            if error is None:
                return
            if not patient:
                raise error
            self._replica.become(self._replica.state, error)
            attempts += 1
            await self._wait(attempts, error)

    def suspend(self, reason: Exception) -> None:
        """The session is over."""
        self._end()
        self._attachment.suspend(reason)

    def close(self) -> None:
        """Follow no more."""
        self._end()
        self._forget()
        self._attachment.close()

    # What the service tells.

    def owner_changed(self, old: str, new: str) -> None:
        """Somebody else has the name, or nobody."""
        self._news.set()
        if not new and self._attachment.dozes:
            self._attachment.doze()  # it was started, and left before we knew what it is
        if self._refused:
            self._session.lost(LinkError(f"{self._service.name} has a new owner"))
        elif self._attachment.bound and new != self._attachment.destination:
            name = self._service.name
            self._return(LinkError(f"{name} has a new owner" if new else f"nobody owns {name} any more"))
            if not new:
                self._spawn(self._doze())

    def appeared(self, path: str, interfaces: Interfaces) -> None:
        """The service shows an object."""
        if path == self._attachment.path:
            self._news.set()

    def vanished(self, path: str, interfaces: tuple[str, ...]) -> None:
        """The service shows less of an object."""
        attachment = self._attachment
        if path == attachment.path and self._refused:
            self._session.lost(LinkError(f"the service withdrew {attachment.where}"))
        elif path == attachment.path and attachment.bound:
            needed = {OBJECT} if attachment.view.offered is not None else attachment.view.used
            if not needed.isdisjoint(interfaces):
                self._return(LinkError(f"the service withdrew {attachment.where}"))

    # Private.

    async def _try(self) -> Exception | None:
        """Attach; return why there is nothing to attach to yet."""
        service, replica = self._service, self._replica
        try:
            async with service.with_owner():
                await self._attachment.attach()
        except SignatureMismatch:
            self._refused = True
            raise
        except Fault as fault:
            if fault.code is Code.UNAVAILABLE and not service.connection.closed.done():
                return LinkError(f"{replica.url} is not there: {fault.message}")
            if fault.code is not Code.NOT_FOUND:
                raise
            await self._session._look()
            offered = self._session.offered
            if offered is not None:
                return replica.not_offered(offered)
            where = f"no object {replica.name!r} at {replica.url}, path {self._attachment.path}"
            return Fault(Code.NOT_FOUND, f"{where}: {fault.message}", may_have_run=False)
        return None

    async def _wait(self, attempts: int, error: Exception) -> None:
        """Wait for news; for some time only where a service does not tell of its objects, or has just changed."""
        tree = self._service.trees.get(self._place.base)
        told = isinstance(error, Fault) and tree is not None and tree.objects is not None
        telling = told or not self._service.present
        try:
            async with asyncio.timeout(None if telling else pause(attempts, near=False, scatter=random.uniform)):
                await self._news.wait()
        except TimeoutError:
            return

    def _return(self, reason: Exception) -> None:
        """Attach again as soon as that is possible."""
        self._attachment.suspend(reason)
        self._spawn(self._come_back())

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        if self._over or self._node.tasks.closed:
            work.close()
            return
        task = self._node.tasks.spawn(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _end(self) -> None:
        self._over = True
        for task in self._tasks - {asyncio.current_task()}:
            task.cancel()

    async def _doze(self) -> None:
        """Let calls start the service again, if the bus can."""
        service = self._service
        try:
            startable = service.name in await service.connection.names(activatable=True)
        except (Fault, LinkError):
            return
        if startable and not service.present and not self._over and not self._attachment.bound:
            self._attachment.doze()

    async def _come_back(self) -> None:
        try:
            await self.attach(patient=True, start=False)
        except Exception as error:  # noqa: BLE001  an object that came back different: the supervisor starts over
            if not self._over:
                log.debug("%s came back, but: %s", self._replica.name, error)
                self._session.lost(error)


async def refresh(replica: Object) -> None:
    """Read all properties of a replica on D-Bus again; observers hear of those that have changed.

    For services that do not tell: properties annotated with ``EmitsChangedSignal`` ``false``, and objects of QtDBus,
    which emit notify signals but never PropertiesChanged. Raises Fault, LinkError; ModelError for another replica.
    """
    carrier = getattr(link_of(replica).channel, "carrier", None)
    if carrier is None:
        raise link_of(replica).unavailable()
    if not isinstance(carrier, Attachment):
        raise ModelError(f"{replica!r} is not linked over D-Bus")
    await carrier.refresh()
