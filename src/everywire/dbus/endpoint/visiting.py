"""The callers on a bus: one link for each sender, with limits of its own, on the one connection to the bus.

Who a sender is, the bus is asked once; until it has answered, what that sender says waits. It is forgotten when its
name goes away. A bus cannot be told to hold one sender back, so what they have waiting is bounded, and refused beyond.
"""

from __future__ import annotations

import os
import select
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, cast

from everywire.dbus.codec import NO_AUTO_START, Kind, Message
from everywire.dbus.endpoint.links import DBusLink, LinkServer
from everywire.dbus.session import BUS, BUS_PATH, Connection
from everywire.dbus.wire.framing import addressed, destination_field
from everywire.dbus.wire.hosting import token_of
from everywire.errors import Code, Fault
from everywire.model import Caller, Role
from everywire.runtime.gate import Invoked
from everywire.runtime.limits import KIB
from everywire.runtime.outbox import Outbox
from everywire.transport.descriptors import Carrying

WEIGHT: Final = 256
"""What a waiting call costs in memory at least."""
DESCRIPTOR_WEIGHT: Final = 64 * KIB
"""What a descriptor of a waiting call counts: a process has a thousand of them, and memory for more than that."""


class Unicast:
    """The way of what observers tell to one caller: their frames with a destination, in the connection's outbox."""

    __slots__ = ("_field", "_shared")

    def __init__(self, shared: Outbox, name: str) -> None:
        self._shared, self._field = shared, destination_field(name)

    @property
    def outbox(self) -> Any:
        """What takes frames: itself."""
        return self

    def put_change(self, key: Any, frame: bytes, *, alone: bool = True) -> None:
        """Send a property's value; see `Outbox.put_change`."""
        self._shared.put_change((key, self), addressed(frame, self._field, Carrying.of), alone=alone)

    def put_signal(self, frame: bytes, *, alone: bool = True) -> None:
        """Send a signal; see `Outbox.put_signal`."""
        self._shared.put_signal(addressed(frame, self._field, Carrying.of), alone=alone)


class Everybody:
    """The way of what observers tell to whoever wants it: the bus knows who."""

    __slots__ = ("outbox",)

    def __init__(self, shared: Outbox) -> None:
        self.outbox = shared


class Visitor(DBusLink):
    """One sender."""

    __slots__ = ("_visitors", "held")

    def __init__(self, visitors: Visitors, caller: Caller, number: int, name: str) -> None:
        outbox = visitors.connection.outbox
        super().__init__(
            visitors.server,
            caller,
            number=number,
            destination=name,
            outbox=outbox,
            pause_reading=_nothing,
            resume_reading=_nothing,
        )
        self._visitors = visitors
        self.held = 0
        """Bytes, about, of what waits for its turn."""
        self.ear = Unicast(outbox, name)

    @property
    def idle(self) -> bool:
        """Whether nothing is lost when it is forgotten."""
        return not (self.busy or self.attached or self.shown)

    def receive(self, events: list[Any]) -> None:
        """Take the events of one chunk through the gate; what is too much while others wait is refused."""
        if self._backlog:
            for event in events:
                self._wait(event)
        else:
            super().receive(events)

    def keep(self, rest: Any) -> None:
        """Keep the rest of a chunk until it is its turn."""
        kept = list(rest)
        super().keep(kept)
        self._hold(sum(_weight(_call_of(event)) for event in kept))

    def congested(self) -> None:
        """The bus does not take what it is sent: the connection is not read, and nothing is served meanwhile."""
        self._hold_credit()

    def relieved(self) -> None:
        """Go on: the bus reads again."""
        self._go_on()
        self.streams.wake()

    def close(self) -> None:
        """The sender is gone."""
        super().close()
        self._hold(-self.held)

    def _go_on(self) -> None:
        if self._backlog and not self.outbox.congested and self._calls_running < self.limits.pending_calls:
            self._hold(-self.held)  # what is kept again is counted again
        super()._go_on()

    def _wait(self, event: Any) -> None:
        call = _call_of(event)
        weight = _weight(call)
        if len(self._backlog) < self.limits.calls_burst and self._visitors.has_room(self.held, weight):
            self._hold(weight)
            self._backlog.append(event)
        else:
            self.refuse(token_of(call, self.number), too_many())

    def _hold(self, weight: int) -> None:
        self.held += weight
        self._visitors.held += weight


class Visitors:
    """The senders on one connection to a bus."""

    def __init__(self, server: LinkServer, connection: Connection, *, trusted: bool, guarded: bool) -> None:
        self.server, self.connection = server, connection
        self.closing = False
        self.held = 0
        """Bytes, about, of calls that wait, of all senders."""
        self.everybody = Everybody(connection.outbox)
        self._trusted, self._guarded = trusted, guarded
        self._known: dict[str, Visitor] = {}
        self._asked: dict[str, list[Message]] = {}
        """Calls of senders of whom the bus has not said yet who they are."""
        self._number = 0

    def __iter__(self) -> Any:
        return iter(tuple(self._known.values()))

    def calls(self, messages: list[Message]) -> None:
        """Take the calls of one chunk, those of one sender together as far as they came so."""
        count = len(messages)
        if count == 1:
            visitor = self._known.get(messages[0].sender)
            if visitor is not None:
                visitor.receive(visitor.events_of(messages))
                return
        at = 0
        while at < count:
            sender, end = messages[at].sender, at + 1
            while end < count and messages[end].sender == sender:
                end += 1
            self._take(sender, messages[at:end])
            at = end

    def left(self, message: Message) -> None:
        """Forget a sender whose name went away; what it said before, it said (`_learned`)."""
        if message.signature != "sss":
            return
        visitor = self._known.pop(message.body[0], None)
        if visitor is not None:
            visitor.close()

    def close(self) -> None:
        """The connection is gone."""
        self._asked.clear()
        for visitor in tuple(self._known.values()):
            visitor.close()
        self._known.clear()

    def has_room(self, held: int, weight: int) -> bool:
        """Return whether a sender that has *held* waiting may have *weight* more."""
        limits = self.server.node.limits
        if not held:  # one message at least, however large
            return self.held <= limits.unsent_hard
        return held + weight <= limits.frame and self.held + weight <= limits.unsent_hard

    # Private.

    def _take(self, sender: str, calls: list[Message]) -> None:
        visitor = self._known.get(sender)
        if visitor is not None:
            visitor.receive(visitor.events_of(calls))
            return
        waiting = self._asked.get(sender)
        if waiting is None:
            waiting = self._ask(sender, calls)
        limits = self.server.node.limits
        held = sum(map(_weight, waiting))
        for call in calls:
            weight = _weight(call)
            if len(waiting) < limits.calls_burst and self.has_room(held, weight):
                waiting.append(call)
                held += weight
                self.held += weight
            else:
                self._refuse(call, too_many())

    def _ask(self, sender: str, calls: Sequence[Message]) -> list[Message]:
        """Ask the bus who *sender* is; return what its calls wait in."""
        if self.closing:
            return self._refuse_all(calls, Fault(Code.UNAVAILABLE, "the host closes", may_have_run=False))
        most = self.server.node.limits.connections
        if len(self._known) + len(self._asked) >= most and not self._evict(lambda _: True):
            self.server.node.refusals["connections"] += 1
            return self._refuse_all(calls, too_many())
        asked = Message(
            kind=Kind.CALL,
            destination=BUS,
            path=BUS_PATH,
            interface=BUS,
            member="GetConnectionCredentials",
            signature="s",
            body=(sender,),
            flags=NO_AUTO_START,
        )
        waiting: list[Message] = []
        try:
            self.connection.request(asked, lambda told: self._learned(sender, waiting, told))
        except Fault as fault:  # the bus does not read, or is gone
            return self._refuse_all(calls, fault)
        self._asked[sender] = waiting
        return waiting

    def _learned(self, sender: str, waiting: list[Message], told: Message | Exception) -> None:
        """The bus has said who *sender* is, or that it is gone: what it has asked for still happens as anybody's."""
        self.held -= sum(map(_weight, waiting))
        if self._asked.get(sender) is not waiting:
            return
        del self._asked[sender]
        if isinstance(told, Exception):
            return
        caller = self._caller(sender, told)
        limits = self.server.node.limits
        same = [visitor for visitor in self._known.values() if visitor.caller.uid == caller.uid]
        if len(same) >= limits.connections_per_user and not self._evict(lambda one: one.caller.uid == caller.uid):
            self.server.node.refusals["connections"] += 1
            for call in waiting:
                self._refuse(call, too_many())
            return
        self._number += 1
        visitor = Visitor(self, caller, self._number, sender)
        if told.kind is Kind.RETURN:
            self._known[sender] = visitor
        visitor.receive(visitor.events_of(waiting))
        if told.kind is not Kind.RETURN:
            visitor.close()

    def _caller(self, sender: str, told: Message) -> Caller:
        """Return who *sender* is, by what the bus says."""
        found: Mapping[str, Any] = {}
        if told.kind is Kind.RETURN and told.signature == "a{sv}":
            found = {key: variant.value for key, variant in told.body[0].items()}
        uid, pid = found.get("UnixUserID"), found.get("ProcessID")
        if not isinstance(uid, int):
            role = Role.STRANGER if self._guarded else None
            return Caller(wire="dbus", address=sender, role=role, loopback=self._trusted)
        label = bytes(found.get("LinuxSecurityLabel", b"")).rstrip(b"\0").decode(errors="replace")
        executable = executable_of(pid, _process(found, told.fds)) if isinstance(pid, int) else ""
        return Caller(
            wire="dbus", identity=f"uid:{uid}", uid=uid, pid=pid, executable=executable, label=label, address=sender
        )

    def _evict(self, fits: Callable[[Visitor], bool]) -> bool:
        """Forget the oldest sender that *fits*, with nothing going on; return whether there was one."""
        name = next((name for name, visitor in self._known.items() if visitor.idle and fits(visitor)), None)
        if name is None:
            name = next((name for name, visitor in self._known.items() if _unasked(visitor) and fits(visitor)), None)
        if name is None:
            return False
        self._known.pop(name).close()
        return True

    def _refuse_all(self, calls: Sequence[Message], fault: Fault) -> list[Message]:
        for call in calls:
            self._refuse(call, fault)
        cast("list[Message]", calls).clear()
        return []

    def _refuse(self, call: Message, fault: Fault) -> None:
        self.server.node.refusals[fault.code.name] += 1
        self.connection.fail(call, fault)


def too_many() -> Fault:
    """Return the Fault for a call that has to wait where too many wait."""
    text = "too many of your calls wait here already: wait for some answers"
    return Fault(Code.RESOURCE_EXHAUSTED, text, may_have_run=False)


def executable_of(pid: int, process: Any = None) -> str:
    """Return the program that the process *pid* runs, as the kernel tells; empty where it does not.

    With the descriptor of the *process* it is certain that the number was not given to another one meanwhile.
    """
    try:
        found = os.readlink(f"/proc/{pid}/exe")  # noqa: PTH115  it may be no path any more
    except OSError:
        return ""
    return "" if process is not None and _has_ended(process) else found


def _has_ended(process: Any) -> bool:
    asked = select.poll()  # not select: that takes no descriptor beyond 1023
    try:
        asked.register(process, select.POLLIN)
        return bool(asked.poll(0))
    except OSError:
        return True


def _process(found: Mapping[str, Any], fds: Sequence[Any]) -> Any:
    index = found.get("ProcessFD")
    return fds[index] if isinstance(index, int) and index < len(fds) else None


def _unasked(visitor: Visitor) -> bool:
    """Return whether all that is lost with a sender is what it never asked for."""
    return not (visitor.busy or visitor.shown or any(visitor.attached.values()))


def _call_of(event: Any) -> Message:
    call: Any = event.arguments if type(event) is Invoked else event
    return cast("Message", call)


def _weight(call: Message) -> int:
    """Return about how many bytes a call that waits occupies."""
    return WEIGHT + sum(map(_size, call.body)) + DESCRIPTOR_WEIGHT * len(call.fds)


def _size(value: Any) -> int:
    if isinstance(value, (str, bytes)):
        return 64 + len(value)
    if isinstance(value, list):
        return 64 + sum(map(_size, cast("list[Any]", value)))
    if isinstance(value, dict):
        return 256 + sum(_size(key) + _size(item) for key, item in cast("dict[Any, Any]", value).items())
    inner = getattr(value, "value", None)
    return 32 if inner is None else 64 + _size(inner)


def _nothing() -> None:
    """Do nothing: one sender on a bus cannot be held back."""


__all__ = ("Everybody", "Unicast", "Visitor", "Visitors", "executable_of", "too_many")
