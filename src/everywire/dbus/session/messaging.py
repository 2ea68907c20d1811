"""`Messaging`: messages over one link, and who waits for which answer; what the two ends say is above it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, Protocol
from weakref import WeakSet

from everywire.dbus.codec import NO_REPLY, Kind, Message, encode_message
from everywire.dbus.codec.errors import fault_of
from everywire.dbus.engine import Authenticated, Broken, Engine, Overlong, Oversized, Refused, Unreadable
from everywire.dbus.session.handling import failure
from everywire.dbus.session.matching import BUS
from everywire.dbus.session.subscribing import MessageStream, ended_by
from everywire.dbus.session.timeouts import Timeouts
from everywire.errors import Code, Fault, LinkError, LocalProtocolError, ModelError
from everywire.runtime.limits import Limits, Refusals
from everywire.runtime.outbox import Outbox
from everywire.runtime.tasks import TaskSet
from everywire.transport.descriptors import Carrying, PassingEnds, UnixFd
from everywire.transport.readiness import ReadinessLink
from everywire.transport.shapes import Peer

TIMEOUT: Final = 25.0
"""Seconds that a call waits by default, as in libdbus."""

_CALL: Final = Kind.CALL  # looked up for every message, and slow to find in an enum
_SIGNAL: Final = Kind.SIGNAL

OnReply = Callable[[Message | Exception], object]


class Host(Protocol):
    """Who answers calls, and hears of the connection's pace: the object layer, or `Handlers`."""

    def calls(self, messages: list[Message]) -> None:
        """Take the calls of one chunk, in order."""
        ...


class Messaging:
    """One end of a link that carries messages. Everything happens in the loop's thread."""

    def __init__(self, engine: Engine, *, bus: bool, limits: Limits, refusals: Refusals | None = None) -> None:
        self.is_bus, self.limits = bus, limits
        self.refusals = Refusals() if refusals is None else refusals
        self.unique_name = ""
        """Our name on the bus; empty between peers."""
        self.guid = ""
        """What the server calls itself."""
        self.anonymous = False
        """Whether the client did not say who it is."""
        self.loop = asyncio.get_running_loop()
        self.closed: asyncio.Future[Exception | None] = self.loop.create_future()
        """Done when the connection is gone, with the reason; None: it was closed here."""
        self.tasks = TaskSet(self.loop)
        self.outbox: Outbox
        self.peer: Peer
        self.host: Host
        self._engine = engine
        self.next_serial = engine.next_serial
        """Returns the number of the next message, for who makes frames itself."""
        self._link: ReadinessLink
        self._came: list[UnixFd] = []
        self.passes_descriptors = False
        self._ready: asyncio.Future[None] = self.loop.create_future()
        self._authenticating = True
        self._waiting: dict[int, tuple[OnReply, str]] = {}
        self._timeouts = Timeouts(self.loop)
        self._streams: WeakSet[MessageStream] = WeakSet()
        self._monitor: MessageStream | None = None
        self._closing = False
        self.on_ready: Callable[[Any], None] | None = None
        """Called when a peer has authenticated, before its first message is looked at."""
        self.on_paused: Callable[[], None] | None = None
        self.on_resumed: Callable[[], None] | None = None
        self.on_lost: Callable[[Exception | None], None] | None = None
        self.on_gap: Callable[[int], None] | None = None
        """Called with the number of signals that were dropped because the peer did not read."""

    def start(self, sock: Any, peer: Peer, released: Callable[[], None] | None = None) -> None:
        """Own the connected *sock* and speak on it."""
        ends = PassingEnds(sock)
        self.peer, self._came = peer, ends.came
        self._link = link = ReadinessLink(ends, self, peer, write_limit=self.limits.unsent_soft, released=released)
        self.outbox = Outbox(_Writer(link), self.limits, self.loop.call_soon, self._missed, _joined)
        link.start()

    def abort(self) -> None:
        """Cut the connection."""
        self._closing = True
        self._link.abort()

    def signalled(self, message: Message) -> None:
        """Give a signal to whom it concerns."""
        raise NotImplementedError

    def owned(self, name: str, sender: str) -> bool:
        """Return whether *sender* has, or had, the well-known *name*, as far as that is known."""
        raise NotImplementedError

    # What goes out.

    async def ask(
        self, message: Message, *, timeout: float | None = TIMEOUT, on_return: Callable[[], None] | None = None
    ) -> Message:
        """Send a call and return the message that answers it; raises Fault.

        *on_return* is called when it succeeds, before the next message is looked at.
        """
        answered: asyncio.Future[Message] = self.loop.create_future()

        def heard(answer: Message | Exception) -> None:
            if answered.done():
                return
            if isinstance(answer, Exception):
                answered.set_exception(answer)
            else:
                if on_return is not None and answer.kind is Kind.RETURN:
                    on_return()
                answered.set_result(answer)

        serial = self.request(message, heard)
        if timeout is not None:
            self._timeouts.add(serial, timeout, answered)
        try:
            answer = await answered
        except TimeoutError:
            late = f"{message.destination or 'the peer'} did not answer {message.member} within {timeout:g} s"
            raise Fault(Code.DEADLINE_EXCEEDED, late) from None
        finally:
            self.forget(serial)
            self._timeouts.discard(serial)
        if answer.kind is Kind.ERROR:
            from_bus = answer.sender == BUS and message.destination != BUS
            raise fault_of(answer.error_name, answer.body, from_bus=from_bus)
        return answer

    def request(self, message: Message, on_reply: OnReply) -> int:
        """Send a call; *on_reply* gets the answer, or why none comes. Returns the serial; raises Fault, ModelError."""
        if self.closed.done() or self._monitor is not None:
            raise self._gone()
        serial = self._engine.next_serial()
        frame = self._framed(message, serial)
        self._waiting[serial] = (on_reply, message.destination)
        try:
            self.write_call(frame)
        except Fault:
            del self._waiting[serial]
            raise
        return serial

    def expect(self, serial: int, on_reply: OnReply, destination: str = "") -> None:
        """Give the answer to the call *serial*, which the caller writes itself, to *on_reply*."""
        self._waiting[serial] = (on_reply, destination)

    def forget(self, serial: int) -> None:
        """Want the answer to the call *serial* no more."""
        self._waiting.pop(serial, None)

    def send(self, message: Message) -> int:
        """Send *message*, and wait for nothing; return its serial. Raises ModelError, and Fault when it is too late."""
        if self.closed.done() or self._monitor is not None:
            raise self._gone()
        serial = self._engine.next_serial()
        frame = self._framed(message, serial)
        if message.kind is Kind.SIGNAL:
            self.outbox.put_signal(frame)
        elif message.kind is Kind.CALL:
            self.write_call(frame)
        else:
            self.outbox.put(frame)
        return serial

    def write_call(self, frame: bytes) -> None:
        """Write the frame of a call; raises Fault when the peer does not read and too many wait.

        One that waits alone goes at once; others are joined with those of this turn, in one write.
        """
        outbox = self.outbox
        if len(self._waiting) == 1 and not outbox.frames:
            outbox.first(frame)
        else:
            outbox.join(frame)

    def emit(self, path: str, interface: str, member: str, signature: str = "", *body: Any, to: str = "") -> None:
        """Send a signal, to everybody who wants it, or *to* one only."""
        self.send(
            Message(
                kind=Kind.SIGNAL,
                path=path,
                interface=interface,
                member=member,
                destination=to,
                signature=signature,
                body=body,
                flags=NO_REPLY,
            )
        )

    def reply(self, call: Message, signature: str = "", *body: Any, fds: tuple[Any, ...] = ()) -> None:
        """Answer *call*, if somebody waits for it."""
        if not call.wants_reply or self.closed.done():
            return
        answer = Message(
            kind=Kind.RETURN,
            reply_serial=call.serial,
            destination=call.sender,
            signature=signature,
            body=body,
            fds=fds,
            flags=NO_REPLY,
        )
        self.send(answer)

    def fail(self, call: Message, fault: Fault, name: str = "") -> None:
        """Answer *call* with *fault*, if somebody waits for it; *name* stands for the name that its code has."""
        if call.wants_reply and not self.closed.done():
            self.send(failure(call, fault, name))

    # What the link, and who answers calls, call.

    def connected(self, connection: Any) -> None:
        """Begin to authenticate."""
        connection.write(self._engine.data_to_send())

    def received(self, data: bytes) -> None:
        """Take one chunk."""
        if self._came:
            self._engine.receive_descriptors(self._came)
            self._came.clear()
        events = self._engine.receive_data(data)
        if self._authenticating and (answer := self._engine.data_to_send()):
            self._link.write(answer)
        calls: list[Message] | None = None
        for event in events:
            if event.__class__ is not Message or self._monitor is not None:
                self._other(event)
                continue
            kind = event.kind
            if kind is _CALL:
                if calls is None:
                    calls = []
                calls.append(event)
            elif kind is _SIGNAL:
                self.signalled(event)
            else:
                self._answered(event)
        if calls is not None:
            self.host.calls(calls)

    def paused(self) -> None:
        """The peer does not take what it is sent."""
        self.outbox.pause()
        if self.on_paused is not None:
            self.on_paused()

    def resumed(self) -> None:
        """The peer reads again."""
        if self.on_resumed is not None:
            self.on_resumed()
        else:
            self.outbox.resume()

    def lost(self, error: LinkError | None) -> None:
        """The connection is gone: calls that wait fail, streams end."""
        reason: Exception | None = error
        if error is None and not self._closing:
            reason = LinkError("the bus closed the connection" if self.is_bus else "the peer closed the connection")
        self._end(reason)

    def take(self, most: int, descriptors: int) -> None:
        """Take messages of *most* bytes, and keep so many *descriptors* for the rest of a message that has begun."""
        self._engine.max_frame, self._engine.most_descriptors = most, descriptors

    def pause_reading(self) -> None:
        """Leave what comes in the kernel."""
        self._link.pause_reading()

    def resume_reading(self) -> None:
        """Undo `pause_reading`."""
        self._link.resume_reading()

    # Private.

    def _end(self, reason: Exception | None) -> None:
        if self.closed.done():
            return
        self.closed.set_result(reason)
        if not self._ready.done():
            self._ready.set_exception(reason or LinkError("the connection was closed"))
            self._ready.exception()  # counts as seen: who opened it may be gone
        self._timeouts.close()
        waiting, self._waiting = self._waiting, {}
        fault = Fault(Code.UNAVAILABLE, f"the link was lost: {reason}" if reason else "the connection was closed")
        for on_reply, _ in waiting.values():
            self._give(on_reply, fault)
        for stream in tuple(self._streams):
            stream.end(ended_by(reason))
        if self.on_lost is not None:
            self.on_lost(reason)

    def _framed(self, message: Message, serial: int) -> bytes:
        frame = encode_message(message, serial)
        if not message.fds:
            return frame
        if not self.passes_descriptors:
            raise ModelError("this connection does not pass file descriptors: only Unix sockets do")
        # Duplicates, so that the caller may close its own at once; a closed one is noticed before anything is sent.
        return Carrying.of(frame, tuple([UnixFd(descriptor) for descriptor in message.fds]))

    def _answered(self, answer: Message, instead: Fault | None = None) -> None:
        """Give an answer, or *instead* of it a Fault, to who waits; only who was asked answers, or the bus for them."""
        found = self._waiting.get(answer.reply_serial)
        if found is None:
            return  # nobody waits any more
        on_reply, asked = found
        if answer.sender not in (asked, BUS) and self.is_bus and not self._may_answer(asked, answer.sender):
            self.refusals["spoofed"] += 1
            return
        del self._waiting[answer.reply_serial]
        self._give(on_reply, instead or answer)

    def _give(self, on_reply: OnReply, answer: Message | Exception) -> None:
        try:
            on_reply(answer)
        except Exception as error:  # noqa: BLE001  one caller's failure must not cost the others their connection
            self.loop.call_exception_handler({"message": "who waits on D-Bus failed", "exception": error})

    def _may_answer(self, asked: str, sender: str) -> bool:
        """Return whether *sender* may be who was asked by another name than its own."""
        if asked == BUS:
            return not self.unique_name  # without a name we are heard by none but the bus
        return not asked.startswith(":") and self.owned(asked, sender)

    def _other(self, event: Any) -> None:
        """Take what is no message, and messages that a monitor hears."""
        if isinstance(event, Authenticated):
            self._authenticating = False
            self.guid, self.anonymous = event.guid, event.anonymous
            self.passes_descriptors = event.descriptors
            if self.on_ready is not None:
                self.on_ready(self)
            if not self._ready.done():
                self._ready.set_result(None)
        elif isinstance(event, Broken):
            self.refusals["protocol"] += 1
            error: Exception = event.error
            if isinstance(error, Refused):
                error = LinkError(f"authentication failed: {error}")
            self._end(error)
            self._link.abort()
        elif isinstance(event, (Oversized, Unreadable)):
            self._passed_by(event)
        elif isinstance(event, Overlong):
            self.refusals["frame"] += 1
        elif self._monitor is not None:
            self._monitor.put(event)

    def _passed_by(self, event: Oversized | Unreadable) -> None:
        """A message cannot be read: whoever waits for it, or for an answer to it, is told."""
        head = event.head
        if isinstance(event, Oversized):
            self.refusals["frame"] += 1
            allowed = f"Limits.frame allows {self.limits.frame}"
            fault = Fault(Code.RESOURCE_EXHAUSTED, f"a message of {event.size} bytes; {allowed}", may_have_run=False)
        else:
            self.refusals["protocol"] += 1
            fault = Fault(Code.INVALID_ARGUMENT, str(event.error), may_have_run=False)
        if head.kind is Kind.CALL and self._monitor is None:
            self.fail(head, fault)
        elif head.reply_serial:
            self._answered(head, Fault(fault.code, fault.message))

    def _missed(self, count: int) -> None:
        """Signals were dropped because the peer did not read."""
        self.refusals["dropped_signals"] += count
        if self.on_gap is not None:
            self.on_gap(count)

    def _gone(self) -> Fault:
        if self._monitor is not None:
            raise LocalProtocolError("a monitor only listens: open another connection to call and to send")
        reason = self.closed.result()
        why = f": {reason}" if reason else ""
        return Fault(Code.UNAVAILABLE, f"the connection is closed{why}", may_have_run=False)


class _Writer:
    """What an outbox writes to: parts that descriptors travel with are written one by one."""

    __slots__ = ("_link", "_write")

    def __init__(self, link: ReadinessLink) -> None:
        self._link, self._write = link, link.write

    def write(self, data: Any, /) -> None:
        """Write joined frames, or the frames of a batch of which one carries descriptors."""
        if data.__class__ is tuple:
            for part in data:
                self._write(part)
        else:
            self._write(data)

    def abort(self) -> None:
        """Cut the link."""
        self._link.abort()


def _joined(frames: list[Any]) -> Any:
    if len(frames) == 1:
        return frames[0]
    return tuple(frames) if any(frame.__class__ is Carrying for frame in frames) else b"".join(frames)

