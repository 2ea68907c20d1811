"""The host's end without a bus: a server to which peers connect, each of them who the kernel says."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterable
from typing import Any, Final, Self

from everywire.dbus.codec import Message
from everywire.dbus.endpoint.hosting import DBusHost
from everywire.dbus.endpoint.links import DBusLink
from everywire.dbus.endpoint.settings import Place
from everywire.dbus.endpoint.visiting import executable_of
from everywire.dbus.engine import MOST_DESCRIPTORS
from everywire.dbus.session import BUS, Connection
from everywire.dbus.session.listening import PeerServer
from everywire.dbus.wire.hosting import DBusObject
from everywire.dbus.wire.lowering import Fds
from everywire.errors import AddressError, Code, Fault, InsecureBind, ModelError
from everywire.model import Caller
from everywire.runtime.gate import Invoked
from everywire.runtime.node import Node
from everywire.runtime.outbox import Outbox
from everywire.transport import Peer
from everywire.transport.descriptors import Carrying

log: Final = logging.getLogger("everywire.dbus")

INSECURE: Final = (
    "could be reached from other machines, and D-Bus has neither encryption nor a login over TCP: bind 127.0.0.1, or "
    "say insecure=True (--insecure) if everybody on the network is trusted"
)
_ANSWERED: Final = frozenset({"AddMatch", "RemoveMatch"})
"""What libraries made for buses ask of one before they use a peer; peers are told everything anyway."""


class PeersServer(DBusHost):
    """The objects of a node at one address of ours."""

    def __init__(self, node: Node, place: Place) -> None:
        super().__init__(node, place)
        self.numbers = itertools.count(1)
        self._links: dict[PeerLink, None] = {}
        self._server = PeerServer(self._connected, node.limits, node.refusals, anonymous=False)

    @classmethod
    async def listen(cls, node: Node, place: Place) -> Self:
        """Start accepting; raises AddressInUse, InsecureBind, LinkError, AddressError."""
        address = place.peer
        if address is None:
            raise AddressError("a server for peers needs an address of its own")
        if place.replace or place.queue or place.allow_replacement:
            raise AddressError("replace, queue and allow_replacement are about names on a bus; peers have none")
        if address.transport == "tcp" and node.tokens is not None:
            advice = "use dbus+local:, where the system vouches for users, or another wire"
            raise InsecureBind(f"{place.url}: this node demands logins, and D-Bus over TCP has none; {advice}")
        server = cls(node, place)
        try:
            await server._server.listen(address, insecure=place.insecure)
        except BaseException as error:
            await server.close()
            if isinstance(error, InsecureBind):
                raise InsecureBind(f"{place.url} {INSECURE}") from error
            raise
        settings = place.url.partition("?")[2]
        server.url = f"dbus+{server._server.url}{'?' if settings else ''}{settings}"
        return server

    @property
    def address(self) -> str:
        """Where peers connect to, in D-Bus's words: for ``connectToPeer`` of Qt, or ``gdbus --address``."""
        return self._server.address

    async def stop_accepting(self) -> None:
        """Take no new peers."""
        await self._server.stop_accepting()

    async def close(self) -> None:
        """End streams, send what waits, close every link."""
        for link in tuple(self._links):
            link.streams.fail(Fault(Code.UNAVAILABLE, "the host closes"))
        await self._server.close()
        for link in tuple(self._links):
            link.lost(None)
        self.tree.close()

    def links(self) -> Iterable[DBusLink]:
        """Return the peers."""
        return tuple(self._links)

    def gone(self, link: PeerLink) -> None:
        """Forget a peer."""
        self._links.pop(link, None)

    def _connected(self, connection: Connection) -> None:
        link = PeerLink(self, connection, next(self.numbers))
        self._links[link] = None
        for hosted in self.tree.objects.values():
            link.offer(hosted)
        link.measure()


class PeerLink(DBusLink):
    """One peer. It hears of all that it may see, as D-Bus has it, until it says that it wants to choose (`Attach`)."""

    __slots__ = ("_chooses", "_connection", "_host", "_said_hello")

    def __init__(self, server: PeersServer, connection: Connection, number: int) -> None:
        self._host, self._connection = server, connection
        self._chooses = self._said_hello = False
        super().__init__(
            server,
            caller_of(connection.peer),
            number=number,
            destination="",
            outbox=connection.outbox,
            pause_reading=connection.pause_reading,
            resume_reading=connection.resume_reading,
        )
        self.shown = set()
        if not connection.passes_descriptors:
            self.ear = WithoutDescriptors(connection.outbox)
        connection.host = self
        connection.on_paused, connection.on_resumed = self.congested, self.relieved
        connection.on_lost, connection.on_gap = self.lost, self.tell_gap

    def offer(self, hosted: DBusObject) -> None:
        """Let the peer hear of an object, unless it chooses what it hears."""
        if self.shown is None or not self.may_be_told(hosted.publication.policy):
            return
        self.shown.add(hosted)
        if not self._chooses and len(self.attached) < self.limits.objects_per_link:
            self.attached[hosted] = False
            self._listen(hosted)

    def no_descriptors_yet(self) -> Fds:
        """Return what takes the descriptors of an answer; it raises ModelError where the link passes none."""
        return [] if self._connection.passes_descriptors else NoDescriptors()

    def measure(self) -> None:
        """Take large messages, and descriptors that wait for the rest of theirs, only of who may see something."""
        known = bool(self.shown) or self.may_be_told(self._host.node.policy)
        limits, connection = self.limits, self._connection
        most = limits.frame if known else limits.frame_before_authentication
        connection.take(most, MOST_DESCRIPTORS if known and connection.passes_descriptors else 0)

    # What the connection calls.

    def calls(self, messages: list[Message]) -> None:
        """Take the calls of one chunk."""
        events = self.events_of(messages)
        if not self._connection.passes_descriptors:
            events = [event for event in events if self._can_answer(event)]
        self.receive(events)

    def lost(self, error: Exception | None) -> None:
        """The link is gone."""
        log.debug("lost %s: %s", self.caller, error)
        self._host.gone(self)
        self.close()

    def relieved(self) -> None:
        """The peer reads again."""
        super().relieved()
        self.streams.wake()

    # What the server and answers call.

    def announce(self, hosted: DBusObject) -> None:
        """Tell about a new object, or one that may be seen now."""
        if self.shown is not None and hosted not in self.shown:
            super().announce(hosted)
            self.offer(hosted)
            self.measure()

    def recheck(self) -> None:
        """Lose what may no longer be seen, and hear of what may be seen now."""
        super().recheck()
        self.measure()

    def attach(self, hosted: DBusObject) -> None:
        """Tell the peer from now on what an object tells, and nothing that it did not choose."""
        if not self._chooses:
            self._chooses = True
            for other in tuple(self.attached):
                self.detach(other)
        super().attach(hosted)

    def interested(self, hosted: DBusObject) -> None:
        """Do nothing: a peer that does not choose hears everything."""

    def other(self, event: Any) -> None:
        """Answer what is no call of a door; and what is asked of a bus, where a library takes us for one."""
        call: Message = event
        if call.destination == BUS and call.interface == BUS and (call.member == "Hello" or call.member in _ANSWERED):
            self._play_bus(call)
        else:
            super().other(call)

    # Private.

    def _play_bus(self, call: Message) -> None:
        connection = self._connection
        if call.member != "Hello":
            connection.reply(call)
        elif self._said_hello:
            connection.fail(call, Fault(Code.FAILED_PRECONDITION, "Hello was said already", may_have_run=False))
        else:
            self._said_hello = True
            connection.reply(call, "s", f":1.{self.number}")

    def _can_answer(self, event: Any) -> bool:
        """Return whether the link can carry what a call results in; refuse it otherwise, before it runs."""
        if type(event) is not Invoked or not event.door.decode.results_in_descriptors(event.door.member):
            return True
        text = "the result holds a file descriptor, which this connection does not pass: use a Unix socket"
        self.refuse(event.token, Fault(Code.FAILED_PRECONDITION, text, may_have_run=False))
        return False


class NoDescriptors(list[Any]):
    """Takes none."""

    def append(self, item: Any, /) -> None:
        """Raise ModelError."""
        raise ModelError("this connection does not pass file descriptors: only Unix sockets do")


class WithoutDescriptors:
    """The way of what observers tell to a peer that takes no file descriptors: frames with such are left out."""

    __slots__ = ("_shared",)

    def __init__(self, shared: Outbox) -> None:
        self._shared = shared

    @property
    def outbox(self) -> Any:
        """What takes frames: itself."""
        return self

    def put_change(self, key: Any, frame: bytes, *, alone: bool = True) -> None:
        """Send a property's value; see `Outbox.put_change`."""
        self._shared.put_change(key, frame, alone=alone)

    def put_signal(self, frame: bytes, *, alone: bool = True) -> None:
        """Send a signal; see `Outbox.put_signal`."""
        if not isinstance(frame, Carrying):
            self._shared.put_signal(frame, alone=alone)


def caller_of(peer: Peer) -> Caller:
    """Return who is at the other end, as far as the link could establish it."""
    if peer.uid is None:
        return Caller(wire="dbus", loopback=peer.loopback, address=peer.address)
    executable = executable_of(peer.pid) if peer.pid else ""
    return Caller(wire="dbus", identity=f"uid:{peer.uid}", uid=peer.uid, pid=peer.pid, executable=executable)


__all__ = ("PeerLink", "PeersServer", "caller_of")
