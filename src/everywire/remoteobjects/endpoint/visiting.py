"""One link of a host, between transport, engine and gate: what it may see, what it listens to, what it asks."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from everywire.codec.qdatastream import Reader
from everywire.errors import Code, Fault, LinkError
from everywire.model import Caller, Contract
from everywire.remoteobjects.codec import (
    AddObject,
    Dialect,
    Invoke,
    InvokeReply,
    ObjectInfo,
    ObjectList,
    Packet,
    PacketId,
    Ping,
    Pong,
    RemoveObject,
    encode_packet,
)
from everywire.remoteobjects.codec.extension import HELLO, NAME, WELCOME, Asked, read_request
from everywire.remoteobjects.codec.faults import encode_fault_reply
from everywire.remoteobjects.endpoint.extending import HostExtension
from everywire.remoteobjects.engine import Broken, Engine, Skipped, invoke_head
from everywire.remoteobjects.wire.doors import Refused, careful_invoke
from everywire.remoteobjects.wire.hosting import Hosted
from everywire.remoteobjects.wire.layout import definition_of
from everywire.remoteobjects.wire.memos import answer, entry, kept
from everywire.runtime import audit
from everywire.runtime.gate import Door, authorize
from everywire.runtime.inbound import InboundLink
from everywire.runtime.outbox import Outbox
from everywire.transport import Connection, Peer

if TYPE_CHECKING:
    from everywire.remoteobjects.endpoint.serving import HostServer

_NOTHING: Final[frozenset[str]] = frozenset()
"""One for all links: an empty set has 216 bytes."""

_NO_CLASSES: Final[Mapping[str, Contract]] = MappingProxyType({})

LARGEST_LIST: Final = 3 * 1024 * 1024
"""Bytes of one list of objects, about; a node takes frames of `Limits.frame`."""
_ENTRY: Final = 100
"""Bytes of an entry besides its names: lengths and signature."""

log: Final = logging.getLogger("everywire.remoteobjects")


class HostSession(InboundLink):
    """One link of a host."""

    __slots__ = (
        "_connection",
        "_dynamic",
        "_engine",
        "_exact",
        "_extension",
        "_forgetful",
        "_gone",
        "_hidden",
        "_known",
        "_server",
        "attached",
        "extended",
    )

    def __init__(self, server: HostServer) -> None:
        self._server = server
        self.attached: tuple[str, ...] = ()
        self._hidden = _NOTHING
        """The objects that the caller might not see when it was last looked at."""
        self._dynamic = self._exact = _NOTHING
        """The objects that it has by their definitions, and those of replicas generated from a .rep."""
        self._known: Mapping[str, Contract] = _NO_CLASSES
        """The classes of withdrawn objects of which it has kept a dynamic replica."""
        self._forgetful = _NOTHING
        """The objects whose replicas it has thrown away, and so those of their children and memos."""
        self.extended = False
        """Whether the peer is everywire too."""
        self._extension = HostExtension(self)
        self._engine = Engine(
            host=True,
            max_frame=server.node.limits.frame,
            routes=server.routes,
            careful=self._careful,
            dialect=server.dialect,
        )
        self._engine.types = server.types

    # What the transport calls.

    def connected(self, connection: Connection) -> None:
        """Greet the peer with the protocol's version and the objects it may see."""
        node = self._server.node
        self._connection = connection
        self._gone: asyncio.Future[None] | None = None
        super().__init__(
            caller=caller_of(connection.peer),
            limits=node.limits,
            tasks=node.tasks,
            outbox=Outbox(connection, node.limits, self._server.at_end_of_turn, self._extension.tell_gap),
            pause_reading=connection.pause_reading,
            resume_reading=connection.resume_reading,
            refusals=node.refusals,
        )
        if not self._server.make_room():
            connection.abort()
            return
        self._server.sessions[self] = None
        self._server.patience.add(connection)
        self.greet()

    @property
    def dialect(self) -> Dialect:
        """The protocol version of the link."""
        return self._server.dialect

    def put(self, packet: Packet) -> None:
        """Queue *packet*."""
        self.outbox.put(encode_packet(packet, self._server.dialect))

    @property
    def largest_message(self) -> int:
        """Bytes that are of use at once, where the transport has messages."""
        return self._engine.max_frame + 4

    @property
    def is_stranger(self) -> bool:
        """Whether it still has to log in."""
        return False

    def greet(self) -> None:
        """Say who we are and what the caller may see."""
        for part in self.first_list():
            self._engine.send(part)
        self._connection.write(self._engine.data_to_send())

    def first_list(self) -> list[ObjectList]:
        """Return the list of what the caller may see, in parts; a link that sees nothing may send little."""
        visible = [hosted for hosted in self._server.hosted.values() if self._sees(hosted)]
        self._hidden = self._now_hidden()
        if not visible and not self._server.node.policy.sees(self.caller):
            self._engine.max_frame = min(self.limits.frame, self.limits.frame_before_authentication)
        return in_parts(info for hosted in visible for info in (*entry(hosted.memo), hosted.info))

    def received(self, data: bytes) -> None:
        """Take one chunk through engine and gate."""
        self.receive(self._engine.receive_data(data))

    def paused(self) -> None:
        """The peer does not take what it is sent."""
        self.congested()

    def resumed(self) -> None:
        """The peer takes bytes again."""
        self.relieved()
        self._extension.wake()

    def lost(self, error: LinkError | None) -> None:
        """The link is gone."""
        log.debug("lost %s: %s", self.caller, error)
        self.close()
        self._server.sessions.pop(self, None)
        self._server.patience.remove(self._connection)
        for name in self.attached:
            hosted = self._server.hosted.get(name)
            if hosted is not None:
                hosted.leave(self)
        if self._gone is not None and not self._gone.done():
            self._gone.set_result(None)

    # What the server calls.

    def announce(self, hosted: Hosted) -> None:
        """Tell about a new object, or one that the caller may see from now on."""
        if self._exact:
            self._engine.routes.update(hosted.routes(dynamic=hosted.name not in self._exact))
        if not self._sees(hosted):
            self._hidden |= {hosted.name}
            return
        self._hidden -= {hosted.name}
        self._engine.max_frame = self.limits.frame
        self.outbox.put_notice(encode_packet(ObjectList((*entry(hosted.memo), hosted.info)), self.dialect))

    def withdrawn(self, hosted: Hosted) -> None:
        """An object is gone, its streams with it."""
        if self._exact:
            for head in hosted.routes(dynamic=True):
                self._engine.routes.pop(head, None)
        self._take_back(hosted, listed=hosted.name not in self._hidden and self._sees(hosted))
        self._hidden -= {hosted.name}
        self.forget(hosted.doors)
        if hosted.name in self._exact:
            self._keep_exact(self._exact - {hosted.name})
        if hosted.name in self._dynamic and hosted.name not in self._known:
            self._known = {**self._known, hosted.name: hosted.contract}
            if len(self._known) > self.limits.objects_per_link:  # a host may have ever new names
                oldest = next(iter(self._known))
                self._dynamic -= {oldest}
                self._forget_class(oldest)

    def child_shown(self, child: Hosted, root: Hosted) -> None:
        """A child object of the published *root* can be called from now on."""
        if self._exact:
            self._engine.routes.update(child.routes(dynamic=root.name not in self._exact))

    def child_gone(self, child: Hosted) -> None:
        """A child object is gone, its streams with it."""
        if self._exact:
            for head in child.routes(dynamic=True):
                self._engine.routes.pop(head, None)
        self._extension.withdrawn(child.name)
        self.forget(child.doors)

    def recheck(self) -> None:
        """Take back what the caller may no longer see, and tell about what it may see now."""
        super().recheck()
        before = self._hidden
        self._hidden = self._now_hidden()
        for hosted in self._server.hosted.values():
            if hosted.name in self._hidden:
                self._take_back(hosted, listed=hosted.name not in before)
            elif hosted.name in before:
                self.announce(hosted)

    def end(self) -> None:
        """Send what waits, then close."""
        self.outbox.flush()
        self._connection.close()

    def abort(self) -> None:
        """Cut the link."""
        self._connection.abort()

    async def wait_lost(self) -> None:
        """Wait until the link is gone."""
        if self not in self._server.sessions:
            return
        if self._gone is None:
            self._gone = self._loop.create_future()
        await asyncio.shield(self._gone)

    # What the gate calls.

    def refused(self, door: Door, token: Any, fault: Fault) -> None:
        """Answer a call, or end a stream, with *fault*; a stream's token is the stream itself."""
        if door.member.stream:
            self._extension.failed(token, fault)
        else:
            self.refuse(door.name, token, fault)

    def other(self, event: Any) -> None:
        """Handle what is not a call."""
        kind = event.__class__
        if kind is AddObject:
            self._attach(event)
        elif kind is RemoveObject:
            self._released(event.name)
        elif kind is Ping:
            self._pong(event.name)
        elif kind is Refused:
            self.refuse(event.name, event.token, self._what_to_tell(event))
        elif kind is Asked:
            self._extension.answer(event)
        elif kind is Skipped:
            self._refuse_unreadable(event)
        elif kind is Broken:
            log.warning("%s broke the protocol: %s", self.caller, event.error)
            self._server.node.refusals["protocol"] += 1
            self._connection.abort()

    # What the extension calls.

    def refuse(self, name: str, token: int, fault: Fault) -> None:
        """Answer the call *token* of the object *name* with *fault*; to Qt an invalid result has to do."""
        self.refusals[fault.code.name] += 1
        if token < 0:
            return
        if self.extended:
            self.outbox.put(encode_fault_reply(name, token, fault, self.dialect))
            return
        log.info("%s got no result from %.80r: %s", self.caller, name, fault)
        self.put(InvokeReply(name, token, None))

    def visible(self, name: str) -> Hosted:
        """Return the object *name*; raise Fault(NOT_FOUND) when there is none for this caller."""
        hosted = self._server.hosted.get(name) or self._server.nursery.find(name)
        if hosted is None or not self._may_attach(hosted):
            raise Fault(Code.NOT_FOUND, f"there is no object {name!r}", may_have_run=False)
        return hosted

    # Private.

    def _careful(self, packet: Packet) -> Any:
        if not isinstance(packet, Invoke):
            return packet
        if packet.name == NAME and self.extended:
            asked = read_request(packet)
            if asked is not None:
                return asked
        head = invoke_head(packet.name, packet.call, packet.index, self.dialect)
        return careful_invoke(packet, self._engine.routes.get(head))

    def _what_to_tell(self, refused: Refused) -> Fault:
        """Return why a call is refused: whoever may not use a member does not learn what its arguments should be."""
        if refused.door is not None:
            try:
                authorize(self, refused.door, ())
            except Fault as fault:
                return fault
        return refused.fault

    def _sees(self, hosted: Hosted) -> bool:
        return hosted.publication.policy.sees(self.caller)

    def _may_attach(self, hosted: Hosted) -> bool:
        if self._sees(hosted):
            return True
        audit.denied("object", self.caller, object=hosted.name)
        return False

    def _now_hidden(self) -> frozenset[str]:
        hosted = self._server.hosted
        return frozenset(name for name in hosted if not self._sees(hosted[name])) or _NOTHING

    def _attach(self, packet: AddObject) -> None:
        if (name := kept(packet.name)) is not None:
            self._remember(name, packet)
            return
        hosted = self._server.hosted.get(packet.name)
        if hosted is None or not self._may_attach(hosted):
            return  # as Qt: a node that waits for an absent object hears nothing
        if not packet.dynamic and self._knows_another_class(hosted):
            log.info("%s has a replica of %s from when that had another class", self.caller, hosted.name)
            return
        self._forget_class(hosted.name)
        if len(self.attached) >= self.limits.objects_per_link and hosted.name not in self.attached:
            self.refusals["objects_per_link"] += 1
            return
        if hosted.name not in self.attached:
            self.attached = (*self.attached, hosted.name)
        dynamic = packet.dynamic or hosted.name in self._dynamic or self._server.dynamic_only
        self._listen_as(hosted, dynamic=dynamic)
        if hosted.name in self._forgetful and not self.extended:
            self._sweep_remains(hosted)
        self.outbox.put(hosted.join(self, dynamic=dynamic, anew=packet.dynamic))

    def _sweep_remains(self, hosted: Hosted) -> None:
        """Have a node of Qt forget what is left of children: it finds that when it gets them again, and crashes.

        Of the names in a list of objects it forgets those of which it has no replica any more.
        """
        self._forgetful -= {hosted.name}
        children = (child.info for child in self._server.nursery.children_of(hosted))
        if remains := (*entry(hosted.memo), *children):
            self.put(ObjectList(remains))

    def _remember(self, name: str, packet: AddObject) -> None:
        """Take note of a node that has the definition of the object *name*, or has just got it."""
        hosted = self._server.hosted.get(name)
        if hosted is not None and hosted.memo and self._sees(hosted):
            self._dynamic |= {name}
            self.put(answer(packet))

    def _listen_as(self, hosted: Hosted, *, dynamic: bool) -> None:
        """See that the results of calls have the types that the listener knows."""
        if dynamic:
            self._dynamic |= {hosted.name}
        if dynamic == (hosted.name not in self._exact):
            return
        self._keep_exact(self._exact ^ {hosted.name})
        if self._exact:
            self._engine.routes.update(hosted.routes(dynamic=dynamic))

    def _keep_exact(self, names: frozenset[str]) -> None:
        """Note which objects are those of replicas generated from a .rep; only a link that has some has own routes."""
        if not names:
            self._engine.routes = self._server.routes
        elif not self._exact:
            self._engine.routes = dict(self._engine.routes)
        self._exact = names or _NOTHING

    def _take_back(self, hosted: Hosted, *, listed: bool) -> None:
        """Tell that an object is gone: a peer of Qt when it uses it, one of everywire also when it knows of it."""
        uses = hosted.name in self.attached
        if uses:
            self._detach(hosted.name)
            hosted.leave(self)
        if uses or (listed and self.extended):
            self.outbox.put_notice(encode_packet(RemoveObject(hosted.name), self.dialect))
        for shown in (hosted, *self._server.nursery.children_of(hosted)):
            self._extension.withdrawn(shown.name)

    def _detach(self, name: str) -> None:
        hosted = self._server.hosted.get(name)
        self.attached = tuple(attached for attached in self.attached if attached != name)
        if hosted is not None:
            hosted.leave(self)

    def _released(self, name: str) -> None:
        """The node has no replica of that name any more; its next one may be of the other kind."""
        if name in self.attached and len(self._forgetful) < self.limits.objects_per_link:
            self._forgetful |= {name}
        self._detach(name)
        self._dynamic -= {name}
        self._forget_class(name)

    def _forget_class(self, name: str) -> None:
        if name in self._known:
            self._known = {known: cls for known, cls in self._known.items() if known != name} or _NO_CLASSES

    def _knows_another_class(self, hosted: Hosted) -> bool:
        """Return whether a dynamic replica that comes back was one of another class: a program of Qt would crash."""
        known = self._known.get(hosted.name)
        return known is not None and definition_of(known) != definition_of(hosted.contract)

    def _pong(self, name: str) -> None:
        if name == HELLO:
            self.extended = True
            name = WELCOME
        self.put(Pong(name))

    def _refuse_unreadable(self, event: Skipped) -> None:
        """Answer a call whose arguments have an unknown type; its serial stands before the last four bytes."""
        reader = Reader(event.body, order=self.dialect.order, version=self.dialect.version)
        if reader.read_int("u16") == PacketId.INVOKE:
            serial = self.dialect.numbers.serial.unpack_from(event.body, len(event.body) - 8)[0]
            name, call, index = reader.read_string(), reader.read_int("i32"), reader.read_int("i32")
            door = self._engine.routes.get(invoke_head(name, call, index, self.dialect))
            fault = Fault(Code.INVALID_ARGUMENT, str(event.error), may_have_run=False)
            if door is None:  # not even which types are known here
                fault = Fault(Code.NOT_FOUND, "no such object or member", may_have_run=False)
            self.refuse(name, serial, self._what_to_tell(Refused(name, serial, fault, door)))


def refused_certificate(peer: Peer, reason: str) -> None:
    """Leave a line about a peer whose certificate the listener did not accept."""
    audit.denied("certificate", caller_of(peer), reason=reason)


def in_parts(entries: Iterable[ObjectInfo]) -> list[ObjectList]:
    """Return a list of objects as lists of which none is a larger frame than nodes take."""
    parts: list[list[ObjectInfo]] = [[]]
    size = 0
    for info in entries:
        length = len(info.name) + len(info.type_name or "")
        size += _ENTRY + (2 if info.name.isascii() else 4) * length
        if size > LARGEST_LIST:
            parts.append([])
            size = 0
        parts[-1].append(info)
    return [ObjectList(tuple(part)) for part in parts]


def caller_of(peer: Peer) -> Caller:
    """Return who is at the other end, as far as the link could establish it."""
    if peer.uid is not None:
        identity = f"uid:{peer.uid}"
    else:
        identity = peer.subject or "anonymous"
    return _caller(identity, peer.uid, peer.loopback, peer.encrypted, peer.address)


@lru_cache(maxsize=256)
def _caller(identity: str, uid: int | None, loopback: bool, encrypted: bool, address: str) -> Caller:  # noqa: FBT001
    """Return the one Caller of all links of a user of this machine."""
    return Caller(wire="qtro", identity=identity, uid=uid, loopback=loopback, encrypted=encrypted, address=address)
