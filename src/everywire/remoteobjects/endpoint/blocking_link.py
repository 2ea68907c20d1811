"""One connection of a thread without a loop to a host: what a channel is bound to, and where its events go.

It greets, attaches and speaks; when to do so, and when to try again, is in `blocking`.
"""

from __future__ import annotations

import itertools
import logging
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from threading import get_ident
from typing import TYPE_CHECKING, Any, Final

from everywire.errors import Code, EverywireError, Fault, LinkError, RemoteProtocolError
from everywire.model import Contract, Member
from everywire.remoteobjects.codec import (
    ADAPTER,
    AddObject,
    Handshake,
    Init,
    InitDynamic,
    Invoke,
    ObjectInfo,
    ObjectList,
    Packet,
    Ping,
    Pong,
    PropertyChange,
    RemoveObject,
    UserTypes,
    decode_packet,
    encode_packet,
)
from everywire.remoteobjects.codec.extension import (
    HELLO,
    LOGIN_FIRST,
    MEMO,
    NAME,
    WELCOME,
    Method,
    Told,
    ToldBy,
    ask,
    fault_of_code,
    read_told,
)
from everywire.remoteobjects.endpoint.attaching import NOTHING_OFFERED, generated, offered_in, unreadable_object
from everywire.remoteobjects.endpoint.incoming import Incoming
from everywire.remoteobjects.endpoint.silence import excuses
from everywire.remoteobjects.engine import (
    LONGEST_NAME,
    MOST_LISTED,
    Answered,
    Broken,
    Engine,
    Failed,
    Heard,
    Odd,
    Skipped,
    Waiting,
    reply_head,
    serials,
)
from everywire.remoteobjects.wire.looks import user_types
from everywire.remoteobjects.wire.qttypes import lower
from everywire.remoteobjects.wire.replicating import PUSH_TIMEOUT, Channel, Misfit, careful_news
from everywire.runtime.blocking import BlockingCall, Clock, check_thread
from everywire.runtime.deadlines import Deadlines
from everywire.runtime.incoming import WINDOW
from everywire.runtime.limits import Limits
from everywire.runtime.outbox import LARGE, TURN_FRAMES
from everywire.transport.blocking import BlockingStream
from everywire.transport.heartbeat import Heartbeat, silent

if TYPE_CHECKING:
    from everywire.remoteobjects.endpoint.blocking import BlockingSession

log: Final = logging.getLogger("everywire.remoteobjects")


class BlockingLink:
    """One connection; see `wire.replicating.Link`."""

    def __init__(
        self, session: BlockingSession, stream: BlockingStream, limits: Limits, clock: Clock, *, heartbeat: float
    ) -> None:
        self.loop, self.stream = session, stream
        self.engine = Engine(host=False, max_frame=limits.frame, careful=self._careful)
        self.extended = self.login_first = self.heard_hello = False
        self.objects: dict[str, ObjectInfo] | None = None
        """What the host shows, by name; None before it has said."""
        self.frames: list[bytes] = []
        self.attaching: Attaching | None = None
        self.over: Fault | None = None
        """Why the host is about to end the link."""
        self.ended = False
        self._channel: Channel = session.channel
        self.limits = limits
        self._deadlines = Deadlines(clock)
        self.heart = Heartbeat(clock.call_later, heartbeat, ask=self._ask_alive, dead=_dead, excused=self._excused)
        self._asked = Asked(self)
        self._rest: Iterator[Any] | None = None
        """The events of a chunk that are not handled yet, while one of them is."""
        self._streams: weakref.WeakValueDictionary[int, PulledStream] = weakref.WeakValueDictionary()
        self._stream_numbers = itertools.count(1)
        self._dropped_streams: deque[int] = deque()
        self.write = self.join = self._queue()

    # What channels call.

    def pending(self) -> BlockingCall:
        """Return a new pending call."""
        return BlockingCall(self.loop)

    def sweep(self, channel: Any) -> None:
        """Look after the deadlines of *channel* while it has waiting calls."""
        self._deadlines.watch(channel)

    def cancel(self, name: str, serial: int) -> None:
        """Ask an everywire host to stop a call."""
        if self.extended and name != NAME:
            self.ask(Method.CANCEL, name, serial)

    def open_stream(self, channel: Channel, member: Member, arguments: tuple[Any, ...]) -> PulledStream:
        """Start a stream of the host and grant it room."""
        number = next(self._stream_numbers)
        stream = PulledStream(self, channel.replica.name, member, number)
        lowered = [lower(p.type, value) for p, value in zip(member.parameters, arguments, strict=True)]
        opening = ask(Method.OPEN, channel.replica.name, member.name, lowered, number, dialect=self.engine.dialect)
        self.send(channel.bounded(opening))
        self.ask(Method.GRANT, number, WINDOW)
        self._streams[number] = stream
        return stream

    def remote(self, channel: Channel) -> Remote:
        """Return what pushes to the source of *channel*."""
        return Remote(self, channel)

    def learn(self, name: str, types: UserTypes) -> None:
        """Take what a host says about types, those of the object *name* or of its children."""
        del name
        self.engine.types = {**self.engine.types, **types}

    def misfit(self, name: str, problem: str) -> None:
        """Take note of a value of the object *name* that does not fit."""
        log.warning("%s sent a value that does not fit: %s", name, problem)

    # What streams and pushes call.

    def send(self, frame: bytes) -> None:
        """Queue a frame."""
        self.join(frame)

    def put(self, packet: Packet) -> None:
        """Queue a packet; known is how only from the host's handshake on."""
        self.join(encode_packet(packet, self.engine.dialect))

    def ask(self, method: Method, *arguments: Any, serial: int = -1) -> None:
        """Tell an everywire host something, or ask it with a *serial*."""
        self.join(ask(method, *arguments, serial=serial, dialect=self.engine.dialect))

    def close_stream(self, number: int) -> None:
        """Tell the host that a stream is not wanted any more; called in any thread, told at the next occasion."""
        self._dropped_streams.append(number)

    def request(self, method: Method, *arguments: Any) -> BlockingCall:
        """Ask an everywire host; return the pending answer."""
        serial, call = self._asked.expect()
        self.ask(method, *arguments, serial=serial)
        return call

    def ping(self, name: str) -> BlockingCall:
        """Return a call that is finished when the host has handled everything sent before."""
        serial, call = self._asked.expect()
        self._asked.pongs.append((name, serial))
        self.put(Ping(name))
        return call

    # What the session calls.

    @property
    def handling(self) -> bool:
        """Whether an event is being handled: whoever asks is called by its observers."""
        return self._rest is not None

    @property
    def unsaid(self) -> bool:
        """Whether there is something to write."""
        return bool(self.frames or self._dropped_streams or self.stream.rest or self.stream.going)

    def flush(self) -> None:
        """Write what was collected, as far as the host takes it now."""
        stream, frames = self.stream, self.frames
        while self._dropped_streams:
            number = self._dropped_streams.popleft()
            self._streams.pop(number, None)
            frames.append(ask(Method.CLOSE, number, dialect=self.engine.dialect))
        if stream.going:
            stream.push()  # an interrupt came
        if frames:
            stream.going = b"".join(frames)
            del frames[:]  # without a call in between: each frame is in one of the two
            stream.push()
        elif stream.rest:
            stream.flush()

    def catch_up(self) -> None:
        """Handle the events that stand before whatever comes next: a callback waits for a call in their midst."""
        if self._rest is not None:
            self._handle(self._rest)

    def receive(self, data: bytes) -> None:
        """Take one chunk; raises RemoteProtocolError when the host broke the protocol."""
        self.heart.heard = True
        events = self.engine.receive_data(data)
        before, self._rest = self._rest, iter(events)
        try:
            self._handle(self._rest)
        finally:
            self._rest = before
        self.stream.taken.clear()

    def attach(self, contract: Contract | None) -> Attaching:
        """Ask for the object; the channel is bound within the event of its values."""
        name = self._channel.replica.name
        info = (self.objects or {}).get(name)
        self._channel = self.loop.channel_for(is_model=self.shows_model(name))
        is_model, wanted = self._channel.is_model, self._channel.wanted
        exact = not (self.extended or is_model) and generated(wanted, info, self.engine.dialect)
        self.attaching = attaching = Attaching(wanted if exact else contract, exact=exact)
        if exact and wanted is not None:
            self.engine.types = user_types(wanted)  # before the values come, which do not say it
        self.put(AddObject(name, dynamic=not (exact or is_model)))
        return attaching

    def shows_model(self, name: str) -> bool:
        """Return whether the object *name* is one of Qt's item models, which every peer knows."""
        info = (self.objects or {}).get(name)
        return info is not None and info.type_name == ADAPTER

    def end(self, fault: Fault) -> None:
        """The link is gone: whoever waits hears why."""
        self.ended = True
        self.heart.stop()
        self._deadlines.close()
        for _, call in tuple(self._asked.waiting.values()):
            if not call.finished:
                call.set_exception(fault)
                call.seen()  # who asked hears of the end of the link itself
        self._asked.waiting.clear()
        for stream in list(self._streams.values()):
            stream.ended(fault)

    # Private.

    def _ask_alive(self) -> None:
        name = self._channel.replica.name
        self._asked.pongs.append((name, -1))  # nobody waits for it
        self.put(Ping(name))

    def _excused(self) -> bool:
        """Return whether the host has a reason to answer nothing; see `excuses`."""
        waiting = [*self._channel.all_waiting()]
        return excuses(waiting, self.limits, extended=self.extended)

    def _queue(self) -> Callable[[bytes], None]:
        frames, append, owner = self.frames, self.frames.append, get_ident()

        def queue(frame: bytes) -> None:
            """Collect a frame for the next `flush`, which joins all in one write."""
            if get_ident() != owner or len(frames) >= TURN_FRAMES or len(frame) >= LARGE:
                self._make_room(owner)
            append(frame)

        return queue

    def _make_room(self, owner: int) -> None:
        """Write what was collected; raise Fault when more waits already than may, WrongThread to others."""
        check_thread(owner)
        self.loop.flush()
        if self.ended:
            raise self._channel.replica.unavailable()
        if len(self.stream.rest) > self.limits.unsent_hard:
            refused = "the host does not read and too many calls wait: try again later"
            raise Fault(Code.RESOURCE_EXHAUSTED, refused, may_have_run=False)

    def _handle(self, events: Iterator[Any]) -> None:
        for event in events:
            kind = event.__class__
            if kind is Answered:
                call = event.call
                if not call.finished:
                    call.value, call.finished = event.value, True
            elif kind is Heard:
                event.route.tell(*event.arguments)
            else:
                self._other(event)

    def _careful(self, packet: Packet) -> Any:
        if isinstance(packet, Invoke) and packet.name == NAME and self.extended:
            return read_told(packet) or packet
        return careful_news(self.engine, packet)

    def _other(self, event: Any) -> None:
        """Handle what is neither a result nor news on the fast path; `ReplicaSession.other` does it in a loop."""
        name = self._channel.replica.name
        if isinstance(event, Skipped):
            event = self._again(event)
        if isinstance(event, (PropertyChange, Invoke)):
            event = careful_news(self.engine, event)  # it came in one chunk with the values it follows
        match event:
            case Heard():
                event.route.tell(*event.arguments)
            case Failed():
                if not event.call.finished:
                    event.call.set_exception(event.fault)
            case Misfit():
                self.misfit(event.name, event.problem)
            case Skipped():
                if unreadable_object(event, self.engine.dialect) == name and self.attaching is not None:
                    self.attaching.error = event.error
            case ToldBy():
                self._told(event)
            case Handshake():
                self.engine.routes[reply_head(NAME, self.engine.dialect)] = self._asked.waiting
                self.put(Ping(HELLO))
            case ObjectList():
                self._list(event)
            case InitDynamic() | Init() if event.name == name and self.attaching is not None:
                self._attach_now(self.attaching, event)
            case RemoveObject() if event.name == name:
                (self.objects or {}).pop(name, None)
                self.loop.withdrawn()
            case Pong():
                self._pong(event.name)
            case Broken():
                raise event.error
            case _:
                pass  # other objects, replies nobody waits for any more

    def _again(self, event: Skipped) -> Any:
        """Read a packet again whose types the object in the same chunk has announced."""
        from everywire.remoteobjects.codec.tables import TABLE_TYPES  # models announce none

        try:
            types, dialect = {**TABLE_TYPES, **self.engine.types}, self.engine.dialect
            return self._careful(decode_packet(event.body, from_host=True, types=types, dialect=dialect))
        except RemoteProtocolError:
            return event

    def _list(self, packet: ObjectList) -> None:
        found = self.objects = self.objects or {}
        for info in packet.entries:
            if info.name.startswith(MEMO):
                continue
            if len(info.name) + len(info.type_name or "") + len(info.signature or "") <= LONGEST_NAME:
                found.setdefault(info.name, info)
        if len(found) > MOST_LISTED:
            raise RemoteProtocolError(f"the host shows more than {MOST_LISTED} objects")
        if any(info.name == self._channel.replica.name for info in packet.entries):
            self.loop.shown()

    def _pong(self, name: str) -> None:
        if name in (WELCOME, HELLO, LOGIN_FIRST) and not self.heard_hello:
            self.heard_hello = True
            self.extended, self.login_first = name != HELLO, name == LOGIN_FIRST
            return
        self._asked.pong(name)

    def _attach_now(self, attaching: Attaching, packet: InitDynamic | Init) -> None:
        """Bind the channel within the event of its values: the next event may be a change of them."""
        channel, self.attaching = self._channel, None
        try:
            if isinstance(packet, InitDynamic):
                self.engine.types = packet.definition.user_types()
            offered, layout = NOTHING_OFFERED if channel.is_model else offered_in(packet, attaching.contract)
            channel.replica.remote = self.remote(channel)  # before observers hear of the link: they may push
            channel.attach(self, offered, layout, packet.values, exact=attaching.exact)
        except EverywireError as error:
            channel.replica.remote = None
            attaching.error = error
        else:
            channel.when_valid(attaching.settled)

    def _told(self, event: ToldBy) -> None:
        match event.what, event.arguments:
            case Told.ITEM, (int(number), raw) if number in self._streams:
                self._streams[number].arrived(raw)
            case Told.END, (int(number),) if number in self._streams:
                self._streams.pop(number).ended()
            case Told.FAILED, (int(number), code, message) if number in self._streams:
                self._streams.pop(number).ended(fault_of_code(code, message))
            case Told.GAP, (int(signals),):
                self._channel.replica.missed(signals)
            case Told.OVER, (code, message):
                self.over = fault_of_code(code, message)
            case _:
                pass


def _dead(seconds: float) -> None:
    raise LinkError(silent(seconds))


class Attaching:
    """The channel on its way to its object."""

    def __init__(self, contract: Contract | None, *, exact: bool) -> None:
        self.contract, self.exact = contract, exact
        self.done = False
        self.error: Exception | None = None

    def settled(self, error: Exception | None) -> None:
        """The replica is valid, or cannot be."""
        self.done, self.error = error is None, error


class Asked:
    """What the link itself waits for: answers of the extension, and pongs. Deadlines sweep it like a channel."""

    def __init__(self, link: BlockingLink) -> None:
        self.sweeping = False
        self.waiting: dict[int, tuple[Waiting, BlockingCall]] = {}
        self.pongs: deque[tuple[str, int]] = deque()
        self._link = link
        self._next_serial = serials().__next__

    def expect(self) -> tuple[int, BlockingCall]:
        """Return a serial and the call that waits for it."""
        serial, call = self._next_serial(), self._link.pending()
        call.link = self
        self.waiting[serial] = (_PLAIN, call)
        if not self.sweeping:
            self.sweeping = True
            self._link.sweep(self)
        return serial, call

    def pong(self, name: str) -> None:
        """Finish the oldest call that waits for this pong."""
        for entry in self.pongs:
            if entry[0] == name:
                self.pongs.remove(entry)
                _, call = self.waiting.pop(entry[1], (None, None))
                if call is not None and not call.finished:
                    call.set_result(None)
                return

    def give_up(self, token: int) -> None:
        """Forget a call that waits for too long; a late pong is still counted."""
        self.waiting.pop(token, None)

    def cancelled(self, call: BlockingCall) -> None:
        """Forget *call*."""
        for serial, (_, candidate) in tuple(self.waiting.items()):
            if candidate is call:
                self.give_up(serial)


_PLAIN: Final = Waiting(lambda _data, _start, _end: Odd, lambda raw: raw, PUSH_TIMEOUT)


class Remote:
    """What `Property.push` reaches on a valid replica."""

    def __init__(self, link: BlockingLink, channel: Channel) -> None:
        self._link, self._channel = link, channel

    async def push(self, member: Member, value: Any) -> None:
        """Ask the host to take *value*; return when it has answered and every change before the answer was heard.

        An everywire host answers with a Fault; Qt answers nothing, so there the answer is a fence (MAPPINGS 2).
        """
        channel = self._channel
        pushing = channel.push(member, value)
        if pushing is not None:
            await pushing
        else:
            self._link.send(channel.write_frame(member, value))
            await self._link.ping(channel.replica.name)


class PulledStream(Incoming):
    """The node's end of a stream in a thread without a loop."""

    def __init__(self, link: BlockingLink, name: str, member: Member, number: int) -> None:
        super().__init__(link, name, member, number)
        self._link = link
        self._waiter: BlockingCall | None = None

    async def wait(self) -> None:
        """Wait for an item, or for the end."""
        self._waiter = self._link.pending()
        await self._waiter

    def wake(self) -> None:
        """There is an item, or the end."""
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            waiter.set_result(None)

    async def aclose(self) -> None:
        """Tell the host at once that no more items are wanted."""
        await super().aclose()
        self._link.loop.flush()

    def dropped(self) -> None:
        """Nobody holds the stream any more."""
        self._link.close_stream(self.number)
