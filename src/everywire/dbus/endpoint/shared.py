"""What replicas share: one connection for all that use a bus, and for all of one service its owner and its objects.

Fifty replicas of a service cost one connection, one rule for the owner, one for its ObjectManager, and a rule each.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from itertools import count, islice
from typing import Final, Protocol, TypeVar

from everywire.dbus.codec import Kind, Message, Variant
from everywire.dbus.codec.errors import FREEDESKTOP, fault_of
from everywire.dbus.endpoint.settings import LOOKS, Place
from everywire.dbus.session import BUS, Connection, Match, Subscription, bus_address
from everywire.dbus.session.listening import in_words_of_dbus
from everywire.dbus.session.subscribing import Following
from everywire.errors import AddressError, Code, Fault, LinkError
from everywire.runtime.limits import Limits
from everywire.runtime.node import Node

log: Final = logging.getLogger("everywire.dbus")

MANAGER: Final = "org.freedesktop.DBus.ObjectManager"
MOST_OBJECTS: Final = 65_536
"""Objects of one service that are known: it must not fill our memory with them."""
MOST_WITHIN: Final = 1024
"""Interfaces of one object, and properties of one interface, that are known."""

Interfaces = dict[str, dict[str, Variant]]
"""Properties by the interface that they belong to."""


class Watcher(Protocol):
    """Who follows a service."""

    def owner_changed(self, old: str, new: str) -> None:
        """Somebody else has the name, or nobody."""
        ...

    def appeared(self, path: str, interfaces: Interfaces) -> None:
        """The service shows an object, or more of one."""
        ...

    def vanished(self, path: str, interfaces: tuple[str, ...]) -> None:
        """The service shows less of an object, or no longer shows it."""
        ...


class Tree:
    """The objects below the path of an ObjectManager, as the service tells them; `objects` is None while it has not."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.objects: dict[str, Interfaces] | None = None

    def add(self, path: str, interfaces: Interfaces) -> None:
        """Take more of an object; of a service without measure only so many."""
        if self.objects is not None and (path in self.objects or len(self.objects) < MOST_OBJECTS):
            known = self.objects.setdefault(path, {})
            known.update(islice(interfaces.items(), MOST_WITHIN))
            for interface in tuple(islice(known, MOST_WITHIN, None)):
                del known[interface]

    def change(self, path: str, interface: str, changed: dict[str, Variant], invalidated: list[str]) -> None:
        """Take new values of an object's properties."""
        known = (self.objects or {}).get(path, {}).get(interface)
        if known is None:
            return
        for name, value in changed.items():
            if name in known or len(known) < MOST_WITHIN:
                known[name] = value
        for name in invalidated:
            known.pop(name, None)

    def remove(self, path: str, interfaces: tuple[str, ...]) -> None:
        """Take less of an object."""
        known = None if self.objects is None else self.objects.get(path)
        if known is None or self.objects is None:
            return
        for interface in interfaces:
            known.pop(interface, None)
        if not known:
            del self.objects[path]


class Service:
    """One service of a bus, or the peer itself when the name is empty, followed for all its replicas."""

    def __init__(self, bus: SharedBus, name: str) -> None:
        self.bus, self.name = bus, name
        self.connection = bus.connection
        self.users = 0
        self.opening = asyncio.Lock()
        self.owner = ""
        """The unique name behind it; empty while nobody has it, and between peers."""
        self.trees: dict[str, Tree] = {}
        self.attached: Counter[str] = Counter()
        """How many replicas have attached to each object: a host knows only the connection, and detaches that."""
        self._watchers: dict[Watcher, None] = {}
        self._asking: set[asyncio.Timeout] = set()
        self._following: Following | None = None
        self._managed: Subscription | None = None

    @property
    def present(self) -> bool:
        """Whether somebody can be asked."""
        return bool(self.owner) or not self.name

    @property
    def destination(self) -> str:
        """Whom to call: the owner, or while there is none the name, by which the bus may start a service."""
        return self.owner or self.name

    async def open(self) -> None:
        """Begin to follow; the rules come first, so that nothing is missed after the first question."""
        if self._managed is not None:
            return
        if self.name == BUS:
            self.owner = BUS
        elif self.name and self._following is None:  # else it was followed, but the other rule was refused
            self._following = await self.connection.follow(self.name, self._owner_changed)
            self.owner = self._following.owner
        rule = Match(kind=Kind.SIGNAL, sender=self.name, interface=MANAGER)
        self._managed = await self.connection.match(rule, self._heard)

    def close(self) -> None:
        """Follow no more."""
        for what in (self._following, self._managed):
            if what is not None:
                what.close()
        self._following = self._managed = None

    def watch(self, watcher: Watcher) -> Callable[[], None]:
        """Tell *watcher* what happens to the service; return what ends that."""
        self._watchers[watcher] = None
        return lambda: self._watchers.pop(watcher, None) and None

    @asynccontextmanager
    async def with_owner(self) -> AsyncGenerator[None, None]:
        """Ask the owner within the block; raise Fault(UNAVAILABLE) as soon as it is not the owner any more.

        It may be alive and never answer, while the next one waits to be asked.
        """
        try:
            async with asyncio.timeout(None) as asking:
                self._asking.add(asking)
                try:
                    yield
                finally:
                    self._asking.discard(asking)
        except TimeoutError:
            text = f"{self.name} changed its owner while it was asked"
            raise Fault(Code.UNAVAILABLE, text, may_have_run=False) from None

    async def tree(self, path: str, timeout: float | None) -> Tree:
        """Return what the ObjectManager at *path* manages, asked once; raise Fault when there is none."""
        tree = self.trees.setdefault(path, Tree(path))
        if tree.objects is None:
            asked = Message(
                kind=Kind.CALL,
                destination=self.destination,
                path=path,
                interface=MANAGER,
                member="GetManagedObjects",
            )
            await ask_at_once(self.connection, asked, lambda answer: self._load(tree, answer), timeout)
        return tree

    # Private.

    def _load(self, tree: Tree, answer: Message) -> None:
        """Take all objects, within the event of the answer: the next may tell of another.

        Not from who had the name when it was asked and has it no more.
        """
        if answer.signature == "a{oa{sa{sv}}}" and (not self.name or answer.sender == self.owner):
            tree.objects = dict(answer.body[0])

    def _owner_changed(self, old: str, new: str) -> None:
        self.owner = new
        for tree in self.trees.values():
            tree.objects = None
        for watcher in tuple(self._watchers):
            watcher.owner_changed(old, new)
        for asking in self._asking if old else ():
            asking.reschedule(self.connection.loop.time())

    def _heard(self, message: Message) -> None:
        if self.owner and message.sender != self.owner:
            return
        match message.member, message.signature:
            case "InterfacesAdded", "oa{sa{sv}}":
                path, interfaces = message.body
                if message.path in self.trees:
                    self.trees[message.path].add(path, interfaces)
                for watcher in tuple(self._watchers):
                    watcher.appeared(path, interfaces)
            case "InterfacesRemoved", "oas":
                path, names = message.body
                if message.path in self.trees:
                    self.trees[message.path].remove(path, tuple(names))
                for watcher in tuple(self._watchers):
                    watcher.vanished(path, tuple(names))
            case _:
                pass


Key = tuple[asyncio.AbstractEventLoop, str, Limits]


class SharedBus:
    """A connection that several sessions use; the last one closes it."""

    def __init__(self, connection: Connection, key: Key | None = None) -> None:
        self.connection, self.key = connection, key
        self.users = 0
        self.numbers = count(1)
        """Numbers of streams: a host tells those of one caller apart by them."""
        self._services: dict[str, Service] = {}

    async def service(self, name: str) -> Service:
        """Return the service *name*, followed; raise LinkError or Fault."""
        service = self._services.setdefault(name, Service(self, name))
        service.users += 1
        try:
            async with service.opening:
                await service.open()
        except BaseException:
            self.release(service)
            raise
        return service

    def release(self, service: Service) -> None:
        """Need a service no more."""
        service.users -= 1
        if not service.users:
            self._services.pop(service.name, None)
            service.close()


class _Slot:
    """Where the connection to one bus is, or is being made."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.wanted = 0
        self.bus: SharedBus | None = None


_SLOTS: Final[dict[Key, _Slot]] = {}
"""By loop, because a connection lives in one; by limits, because they bound what it takes."""


async def lease(bus: str, limits: Limits) -> SharedBus:
    """Return the connection to *bus*, made if nobody has one yet; `give_back` ends its use. Raises LinkError."""
    key = (asyncio.get_running_loop(), bus_address(bus), limits)
    slot = _SLOTS.setdefault(key, _Slot())
    slot.wanted += 1
    try:
        async with slot.lock:
            if slot.bus is None or slot.bus.connection.closed.done():
                slot.bus = SharedBus(await Connection.open(bus, limits=limits, timeout=limits.handshake), key)
            slot.bus.users += 1
            return slot.bus
    finally:
        slot.wanted -= 1
        _tidy(key, slot)


async def open_bus(place: Place, node: Node) -> SharedBus:
    """Return the connection that a consumer at *place* uses: a shared one to a bus, its own to a peer.

    Raises LinkError; AddressError when a bus is given without a service.
    """
    if place.peer is not None:
        address, limits = in_words_of_dbus(str(place.peer)), node.limits
        opening = Connection.open(address, bus=False, limits=limits, refusals=node.refusals, timeout=limits.handshake)
        alone = SharedBus(await opening)
        alone.users = 1
        return alone
    if not place.service:
        raise AddressError(f"dbus:{place.bus} does not say which service is meant; {LOOKS}")
    return await lease(place.bus, node.limits)


async def give_back(bus: SharedBus) -> None:
    """Use a connection no more; the last one closes it."""
    bus.users -= 1
    if bus.users > 0:
        return
    slot = None if bus.key is None else _SLOTS.get(bus.key)
    if bus.key is not None and slot is not None and slot.bus is bus:
        slot.bus = None
        _tidy(bus.key, slot)
    await bus.connection.close()


def _tidy(key: Key, slot: _Slot) -> None:
    if not slot.wanted and slot.bus is None and _SLOTS.get(key) is slot:
        del _SLOTS[key]


T = TypeVar("T")


async def ask_at_once(
    connection: Connection, message: Message, take: Callable[[Message], T], timeout: float | None
) -> T:
    """Send a call; *take* gets the answer within its event, before the next message is looked at. Raises Fault."""
    done: asyncio.Future[T] = connection.loop.create_future()

    def heard(answer: Message | Exception) -> None:
        if done.done():
            return
        try:
            done.set_result(take(checked_answer(answer)))
        except Exception as error:  # noqa: BLE001  it belongs to who asked, not to the connection
            done.set_exception(error)

    serial = connection.request(message, heard)
    try:
        async with asyncio.timeout(timeout):
            return await done
    except TimeoutError:
        whom = message.destination or "the peer"
        raise LinkError(f"{whom} did not answer {message.member} within {timeout:g} s") from None
    finally:
        connection.forget(serial)
        if done.done() and not done.cancelled():
            done.exception()  # counts as seen: who asked may have been cancelled


def checked_answer(answer: Message | Exception) -> Message:
    """Return what answers a call; raise Fault, or why none comes."""
    if isinstance(answer, Exception):
        raise answer
    if answer.kind is Kind.ERROR:
        raise fault_in(answer)
    return answer


def fault_in(answer: Message) -> Fault:
    """Return what an error tells; a service that went away without answering is one that is not available."""
    from_bus = answer.sender == BUS
    if from_bus and answer.error_name == f"{FREEDESKTOP}NoReply":
        return Fault(Code.UNAVAILABLE, "the service went away without answering")
    return fault_of(answer.error_name, answer.body, from_bus=from_bus)


__all__ = (
    "MANAGER",
    "Interfaces",
    "Service",
    "SharedBus",
    "Tree",
    "Watcher",
    "ask_at_once",
    "checked_answer",
    "fault_in",
    "give_back",
    "lease",
    "open_bus",
)
