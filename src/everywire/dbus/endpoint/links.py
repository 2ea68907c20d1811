"""One caller of a host: calls through the gate, answers, what it listens to, its streams. On a bus or between peers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any, Final, Protocol

from everywire.dbus.codec import NO_REPLY, Kind, Message, marshal
from everywire.dbus.codec.errors import error_of
from everywire.dbus.codec.heads import head_of
from everywire.dbus.endpoint.answering import answer
from everywire.dbus.session.handling import told
from everywire.dbus.wire.framing import SERIAL, Recipient
from everywire.dbus.wire.hosting import SERIALS, DBusObject, token_of
from everywire.dbus.wire.lowering import Fds
from everywire.dbus.wire.standard import EVERYWIRE_OBJECT, OBJECT_MANAGER
from everywire.dbus.wire.tree import ObjectTree, no_method, no_object, no_property
from everywire.errors import Code, Fault, ModelError
from everywire.model import Caller
from everywire.model import Kind as MemberKind
from everywire.runtime.gate import Door, authorize
from everywire.runtime.hosted import Listening
from everywire.runtime.inbound import InboundLink
from everywire.runtime.node import Node
from everywire.runtime.outbox import Outbox
from everywire.runtime.policy import Policy
from everywire.runtime.streaming import OutgoingStreams
from everywire.transport.descriptors import Carrying

log: Final = logging.getLogger("everywire.dbus")

ABSENT: Final = "no such object or member"
"""The gate's words for what a caller may not see."""


class LinkServer(Protocol):
    """What a link needs of its server."""

    @property
    def node(self) -> Node:
        """The node whose objects are served."""
        ...

    @property
    def tree(self) -> ObjectTree:
        """The objects."""
        ...

    def everybody_hears(self, hosted: DBusObject) -> bool:
        """Return whether what an object tells goes to whoever wants it."""
        ...


class DBusLink(InboundLink):
    """The half of a link, or one sender's share of it, on which calls arrive."""

    __slots__ = ("_paths", "_server", "attached", "destination", "ear", "number", "ours", "shown", "streams")

    def __init__(
        self,
        server: LinkServer,
        caller: Caller,
        *,
        number: int,
        destination: str,
        outbox: Outbox,
        pause_reading: Callable[[], None],
        resume_reading: Callable[[], None],
    ) -> None:
        node = server.node
        super().__init__(
            caller=caller,
            limits=node.limits,
            tasks=node.tasks,
            outbox=outbox,
            pause_reading=pause_reading,
            resume_reading=resume_reading,
            refusals=node.refusals,
        )
        self._server = server
        self.number, self.destination = number, destination
        self.ours = False
        """Whether the caller is everywire too."""
        self.attached: dict[DBusObject, bool] = {}
        """What it hears of; True where it asked for that."""
        self.shown: set[DBusObject] | None = None
        """The objects that it knows of, if it wants to know which come and go."""
        self.streams = OutgoingStreams(self, self)
        self._paths: dict[int, str] = {}
        """The object of each stream."""
        self.ear: Listening = self
        """What observers give their frames to."""
        server.tree.recipients[number] = Recipient(destination)

    @property
    def tree(self) -> ObjectTree:
        """The objects."""
        return self._server.tree

    @property
    def busy(self) -> bool:
        """Whether something runs or waits for it."""
        return bool(self._running or self._backlog)

    def events_of(self, calls: Iterable[Message]) -> list[Any]:
        """Return the events for *calls*."""
        event_of, number = self.tree.event_of, self.number
        return [event_of(call, number) for call in calls]

    def sees(self, hosted: DBusObject) -> bool:
        """Return whether the caller may know of an object."""
        return hosted.publication.policy.sees(self.caller)

    def may_be_told(self, policy: Policy) -> bool:
        """Return whether the caller may know of something that it has not asked about: not where the *policy* fails."""
        try:
            return policy.sees(self.caller)
        except Exception:
            log.exception("a policy cannot say what %s may see: nothing", self.caller.identity)
            return False

    def no_descriptors_yet(self) -> Fds:
        """Return what takes the descriptors of an answer; it raises ModelError where the link passes none."""
        return []

    # What the server calls.

    def announce(self, hosted: DBusObject) -> None:
        """Tell about a new object, or one that may be seen now."""
        if self.shown is None or hosted in self.shown:
            return
        if self.may_be_told(hosted.publication.policy):
            self.shown.add(hosted)
            if not self._server.everybody_hears(hosted):
                self.outbox.put_notice(added_frame(self.tree, hosted, self.destination, self.no_descriptors_yet()))

    def withdrawn(self, hosted: DBusObject) -> None:
        """An object is gone, or may not be seen any more; its streams and what it told with it."""
        known = hosted in self.attached or (self.shown is not None and hosted in self.shown)
        self.detach(hosted)
        if self.shown is not None:
            self.shown.discard(hosted)
        self.streams.withdrawn(hosted.name)
        self.forget(hosted.doors.values())
        if known and not self._server.everybody_hears(hosted):
            self.outbox.put_notice(removed_frame(self.tree, hosted, self.destination))

    def recheck(self) -> None:
        """Lose what may no longer be seen, and hear of what may be seen now."""
        super().recheck()
        for hosted in self.tree.objects.values():
            if not self.may_be_told(hosted.publication.policy):
                self.withdrawn(hosted)
            else:
                self.announce(hosted)
                if hosted in self.attached:
                    self._listen(hosted)

    def close(self) -> None:
        """The caller is gone."""
        super().close()
        for hosted in self.attached:
            hosted.links.pop(self.ear, None)
        self.attached.clear()
        self.tree.recipients.pop(self.number, None)

    def tell_gap(self, signals: int) -> None:
        """Tell that so many signals were dropped."""
        for hosted in self.attached:
            self.outbox.put(own_signal(self.destination, hosted.path, "Gap", "t", signals))

    # What the gate calls.

    def refused(self, door: Door, token: Any, fault: Fault) -> None:
        """Answer a call, or end a stream, with *fault*."""
        if door.member.stream:
            self.refusals[fault.code.name] += 1
            self.streams.failed(token, fault)
        else:
            self.refuse(token, self._absent(door, fault) if fault.message == ABSENT else fault)

    def other(self, event: Any) -> None:
        """Answer what is no call of a door."""
        call: Message = event
        try:
            signature, body, fds = answer(self, call)
            if call.flags & NO_REPLY:
                return
            raw = marshal(signature, body)
        except Fault as fault:
            self.refuse(token_of(call, self.number), fault)
        except ModelError as error:
            untold = Fault(Code.INTERNAL, f"the answer to {call.member} cannot be sent: {error}")
            self.refuse(token_of(call, self.number), untold)
        except Exception as error:  # noqa: BLE001  a policy's failure must not harm the others on this connection
            self.refuse(token_of(call, self.number), told(error, call.member))
        else:
            head = self.tree.recipients[self.number].head(signature, len(fds))
            self.outbox.put(_carrying(head.frame(SERIAL, raw, call.serial), fds))

    def refuse(self, token: int, fault: Fault) -> None:
        """Answer the call *token* with *fault*."""
        self.refusals[fault.code.name] += 1
        if token >= 0:
            self.outbox.put(self.failure(token & SERIALS, fault))

    def failure(self, serial: int, fault: Fault) -> bytes:
        """Return the frame that answers the call *serial* with *fault*."""
        name, signature, body = error_of(fault, getattr(fault, "error_name", ""), ours=self.ours)
        head = head_of(Kind.ERROR, NO_REPLY, "", "", "", name, self.destination, signature, 0)
        return head.frame(SERIAL, marshal(signature, body), serial)

    # What answers call.

    def attach(self, hosted: DBusObject) -> None:
        """Tell the caller from now on what an object tells; raises Fault."""
        if hosted not in self.attached and len(self.attached) >= self.limits.objects_per_link:
            self.refusals["objects_per_link"] += 1
            most = f"{self.limits.objects_per_link} objects are the most that one caller attaches to"
            raise Fault(Code.RESOURCE_EXHAUSTED, most, may_have_run=False)
        self.attached[hosted] = True
        self._listen(hosted)

    def interested(self, hosted: DBusObject) -> None:
        """The caller has read an object: it hears what not all may hear, if there is room for one more."""
        if self._server.everybody_hears(hosted) or hosted in self.attached:
            return
        if len(self.attached) < self.limits.objects_per_link:
            self.attached[hosted] = False
            self._listen(hosted)

    def detach(self, hosted: DBusObject) -> None:
        """Tell nothing more."""
        self.attached.pop(hosted, None)
        hosted.links.pop(self.ear, None)

    def manage(self) -> None:
        """Tell the caller from now on which objects come and go."""
        self.shown = {hosted for hosted in self.tree.objects.values() if self.sees(hosted)}

    def cancel_call(self, hosted: DBusObject, serial: int) -> None:
        """Stop a running call."""
        self.cancel(hosted.name, serial | self.number << 32)

    def open_stream(self, hosted: DBusObject, name: str, arguments: list[Any], number: int) -> None:
        """Start a stream; raises Fault."""
        member = hosted.streams.get(name)
        if member is None:
            raise no_method(hosted.path, name)
        door = hosted.doors[member.name]
        try:
            authorize(self, door, ())
        except Fault as fault:
            raise (no_method(hosted.path, name) if fault.message == ABSENT else fault) from None
        given: Any = arguments
        if number in self._paths:
            raise Fault(Code.ALREADY_EXISTS, f"a stream {number} is open already", may_have_run=False)
        self._paths[number] = hosted.path
        try:
            self.streams.open(door, given, number)
        except Fault:
            del self._paths[number]
            raise

    def grant(self, number: int, items: int) -> None:
        """Let a stream go on."""
        self.streams.grant(number, items)

    def close_stream(self, number: int) -> None:
        """End a stream."""
        self.streams.stop(number)
        self._paths.pop(number, None)

    # What streams call.

    def tell_item(self, door: Door, number: int, item: Any) -> None:
        """Send an item of a stream."""
        hosted: DBusObject = door.decode
        fds = self.no_descriptors_yet()
        value = hosted.item(door.member, item, fds)
        frame = own_signal(self.destination, hosted.path, "Item", "uv", number, value, fds=len(fds))
        self.outbox.put(_carrying(frame, fds))

    def tell_failed(self, number: int, fault: Fault) -> None:
        """Send that a stream ended with *fault*."""
        name, _, (text, *_) = error_of(fault)
        self._end_stream(number, name, text)

    def tell_ended(self, number: int) -> None:
        """Send that a stream has no more items."""
        self._end_stream(number, "", "")

    # Private.

    def _listen(self, hosted: DBusObject) -> None:
        if self._server.everybody_hears(hosted):
            hosted.links.pop(self.ear, None)
        else:
            hosted.links[self.ear] = None

    def _end_stream(self, number: int, name: str, text: str) -> None:
        path = self._paths.pop(number, None)
        if path is not None:
            self.outbox.put(own_signal(self.destination, path, "Ended", "uss", number, name, text))

    def _absent(self, door: Door, fault: Fault) -> Fault:
        """Return the gate's refusal in the words for what there never was."""
        if fault.code is not Code.NOT_FOUND or fault.may_have_run:
            return fault
        hosted: DBusObject = door.decode
        if not door.policy.sees(self.caller):
            return no_object(hosted.path)
        name = hosted.places[door.member.name].name
        return (no_property if door.member.kind is MemberKind.PROPERTY else no_method)(hosted.path, name)


def added_frame(tree: ObjectTree, hosted: DBusObject, to: str, fds: Fds) -> bytes:
    """Return the frame that tells about a new object, *to* one caller or (empty) to everybody."""
    signature = "oa{sa{sv}}"
    body = marshal(signature, (hosted.path, tree.shown(hosted, fds)))
    manager = OBJECT_MANAGER.name
    head = head_of(Kind.SIGNAL, NO_REPLY, tree.base, manager, "InterfacesAdded", "", to, signature, len(fds))
    return _carrying(head.frame(SERIAL, body), fds)


def removed_frame(tree: ObjectTree, hosted: DBusObject, to: str) -> bytes:
    """Return the frame that tells that an object is gone, *to* one caller or (empty) to everybody."""
    body = marshal("oas", (hosted.path, tree.names_of(hosted)))
    manager = OBJECT_MANAGER.name
    head = head_of(Kind.SIGNAL, NO_REPLY, tree.base, manager, "InterfacesRemoved", "", to, "oas", 0)
    return head.frame(SERIAL, body)


def own_signal(to: str, path: str, member: str, signature: str, *values: Any, fds: int = 0) -> bytes:
    """Return the frame of a signal of `org.everywire.Object1`, *to* one caller or (empty) to everybody."""
    head = head_of(Kind.SIGNAL, NO_REPLY, path, EVERYWIRE_OBJECT.name, member, "", to, signature, fds)
    return head.frame(SERIAL, marshal(signature, values))


def _carrying(frame: bytes, fds: Fds) -> bytes:
    return Carrying.of(frame, fds) if fds else frame
