"""The node's end: one connection to a host, usable by replicas and, without the object model, by itself.

```python
async with open_session("local:climate") as session:
    print(session.objects)
    definition, values = await session.acquire("hall")
    await session.invoke("hall", 2, 10)
```
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

from everywire.errors import Code, Fault, LinkError, ModelError, RemoteProtocolError
from everywire.model import Contract, Member
from everywire.model.description import read_description
from everywire.remoteobjects.codec import (
    AddObject,
    CallKind,
    ClassDefinition,
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
    encode_packet,
)
from everywire.remoteobjects.engine import Answered, Broken, Engine, Failed, Heard, Odd, Waiting, reply_head
from everywire.remoteobjects.session.streaming import WINDOW, IncomingStream
from everywire.remoteobjects.wire.extension import (
    HELLO,
    NAME,
    WELCOME,
    Method,
    Told,
    ToldBy,
    ask,
    fault_of_code,
    read_told,
)
from everywire.remoteobjects.wire.layout import Layout, layout_of, read_definition_of
from everywire.remoteobjects.wire.qttypes import lower
from everywire.remoteobjects.wire.replicating import Channel, careful_news, serials
from everywire.runtime.limits import DEFAULT_LIMITS, Limits
from everywire.runtime.outbox import Outbox
from everywire.runtime.pending import PendingCall
from everywire.runtime.replica import ReplicaLink, ReplicaState
from everywire.transport import Connection, dial

log: Final = logging.getLogger("everywire.remoteobjects")

SWEEP: Final = 0.25
"""Seconds between looks for calls past their deadline."""

News = Callable[[Packet], None]


class NodeSession:
    """One connection to a host; a `transport.Receiver`."""

    def __init__(self, limits: Limits = DEFAULT_LIMITS, *, probe: bool = True) -> None:
        self.limits = limits
        self.objects: dict[str, ObjectInfo] = {}
        """What the host shows, by name."""
        self.extended = False
        """Whether the host is everywire too."""
        self.news: News | None = None
        """Called with every packet that no replica takes: changes, signals, removals, new lists."""
        self.frames: list[bytes] = []
        self.loop = asyncio.get_running_loop()
        self.engine = Engine(host=False, max_frame=limits.frame, careful=self._careful)
        self._probe = probe
        self._ready: asyncio.Future[None] = self.loop.create_future()
        self._gone: asyncio.Future[Exception | None] = self.loop.create_future()
        self._listed = self._probed = False
        self._inits: dict[str, asyncio.Future[InitDynamic | Init]] = {}
        self._pongs: dict[str, list[asyncio.Future[None]]] = {}
        self._channels: dict[str, Channel] = {}
        self._streams: weakref.WeakValueDictionary[int, IncomingStream] = weakref.WeakValueDictionary()
        self._stream_numbers = itertools.count(1)
        self._calls: dict[str, tuple[dict[int, tuple[Waiting, Any]], Callable[[], int]]] = {}
        self._shown = asyncio.Event()
        self._sweeping: set[Channel] = set()
        self._marks: dict[Channel, list[tuple[float, int]]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._connection: Connection | None = None
        self._outbox: Outbox | None = None

    async def open(self, url: str) -> None:
        """Connect and wait for the host's greeting and list of objects; raises LinkError or RemoteProtocolError."""
        await dial(url, self, write_limit=self.limits.unsent_soft, timeout=self.limits.handshake)
        try:
            async with asyncio.timeout(self.limits.handshake):
                await self._ready
        except TimeoutError:
            await self.close()
            raise LinkError(f"{url} accepted the connection but said nothing of Qt Remote Objects") from None
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Close the connection and wait until it is gone."""
        if self._connection is not None:
            if self._outbox is not None:
                self._outbox.flush()
            self._connection.close()
            await asyncio.shield(self._gone)

    async def wait_lost(self) -> Exception | None:
        """Wait until the connection is gone; return why."""
        return await asyncio.shield(self._gone)

    @property
    def offered(self) -> tuple[str, ...] | None:
        """The names of the host's objects; None before it has said."""
        return tuple(self.objects) if self._listed else None

    # The API without the object model.

    async def acquire(self, name: str, *, dynamic: bool = True) -> tuple[ClassDefinition | None, tuple[Any, ...]]:
        """Attach to the object *name*; return its class definition (None unless *dynamic*) and its values."""
        packet = await self._acquire(name, dynamic=dynamic)
        definition = packet.definition if isinstance(packet, InitDynamic) else None
        if definition is not None:
            self.engine.types = {**self.engine.types, **definition.user_types()}
        return definition, packet.values

    def release(self, name: str) -> None:
        """Detach from the object *name*."""
        self.send(encode_packet(RemoveObject(name)))

    def invoke(self, name: str, index: int, *arguments: Any, call: CallKind = CallKind.METHOD) -> Any:
        """Call the method *index* of the object *name*; return the pending call of its plain result."""
        if name not in self._calls:
            self._calls[name] = ({}, serials().__next__)
            self.engine.routes.setdefault(reply_head(name), self._calls[name][0])
        waiting, next_serial = self._calls[name]
        serial, pending = next_serial(), self.pending()
        waiting[serial] = (_PLAIN, pending)
        self.send(encode_packet(Invoke(name, call, index, arguments, serial, -1)))
        return pending

    async def ping(self, name: str = "") -> None:
        """Wait until the host has handled everything sent before, and has answered."""
        if self._gone.done():
            raise LinkError("the connection is closed")
        pong: asyncio.Future[None] = self.loop.create_future()
        self._pongs.setdefault(name, []).append(pong)
        self.send(encode_packet(Ping(name)))
        await pong

    def send(self, frame: bytes) -> None:
        """Queue a frame."""
        if self._outbox is not None:
            self._outbox.put(frame)

    # What the runtime calls.

    async def attach(self, replica: ReplicaLink, *, patient: bool) -> None:
        """Bind *replica* to its source; see `runtime.wires.ClientSession`."""
        while replica.name not in self.objects:
            if not patient:
                others = ", ".join(sorted(self.objects)) or "nothing"
                raise Fault(
                    Code.NOT_FOUND, f"no object {replica.name!r} at {replica.url}; it offers {others}",
                    may_have_run=False,
                )  # fmt: skip
            self._shown.clear()
            await self._shown.wait()
        channel = _channel_of(replica)
        definition, values = await self.acquire(replica.name)
        if definition is None:
            raise RemoteProtocolError("the host answered a dynamic listener without a class definition")
        offered, layout = await self._contract(replica.name, definition)
        self._channels[replica.name] = channel
        channel.attach(self, offered, layout, values)
        replica.remote = _Remote(self, channel)

    # What channels call.

    def write(self, data: bytes) -> None:
        """Write at once."""
        raise NotImplementedError  # replaced by the connection's own when there is one

    def join(self, frame: bytes) -> None:
        """Write with the others of this turn."""
        raise NotImplementedError

    def pending(self) -> PendingCall[Any]:
        """Return a new pending call."""
        return PendingCall(loop=self.loop)

    def sweep(self, channel: Channel) -> None:
        """Look after the deadlines of *channel* while it has waiting calls."""
        self._sweeping.add(channel)
        if self._timer is None:
            self._timer = self.loop.call_later(SWEEP, self._look_for_late_calls)

    def cancel(self, name: str, serial: int) -> None:
        """Ask an everywire host to stop a call."""
        if self.extended:
            self.send(ask(Method.CANCEL, name, serial))

    def open_stream(self, channel: Channel, member: Member, arguments: tuple[Any, ...]) -> IncomingStream:
        """Start a stream of the host and grant it room."""
        number = next(self._stream_numbers)
        stream = IncomingStream(self, channel.replica.name, member, number)
        self._streams[number] = stream
        lowered = [lower(p.type, value) for p, value in zip(member.parameters, arguments, strict=True)]
        self.send(ask(Method.OPEN, channel.replica.name, member.name, lowered, number))
        self.send(ask(Method.GRANT, number, WINDOW))
        return stream

    def close_stream(self, number: int) -> None:
        """Tell the host that a stream is not wanted any more."""
        self._streams.pop(number, None)
        if not self._gone.done():
            self.send(ask(Method.CLOSE, number))

    # What the transport calls.

    def connected(self, connection: Connection) -> None:
        """Begin; the host speaks first."""
        self._connection = connection
        self._outbox = outbox = Outbox(connection, self.limits, self.loop.call_soon)
        self.frames = outbox.frames
        self.write = connection.write  # type: ignore[method-assign]
        self.join = outbox.join  # type: ignore[method-assign]
        if self._probe:
            self.send(encode_packet(Ping(HELLO)))

    def received(self, data: bytes) -> None:
        """Take one chunk: results to their callers, news to their replicas, in order."""
        for event in self.engine.receive_data(data):
            kind = type(event)
            if kind is Answered:
                if not event.call.done():
                    event.call.set_result(event.value)
            elif kind is Heard:
                event.route.tell(*event.arguments)
            else:
                self._other(event)

    def paused(self) -> None:
        """The host does not take what it is sent."""
        if self._outbox is not None:
            self._outbox.pause()

    def resumed(self) -> None:
        """The host takes bytes again."""
        if self._outbox is not None:
            self._outbox.resume()

    def lost(self, error: LinkError | None) -> None:
        """The connection is gone: replicas are suspect, waiting calls fail, streams end."""
        reason = self._broken or error or LinkError("the host closed the connection")
        if self._timer is not None:
            self._timer.cancel()
        for event in self.engine.receive_eof():
            log.debug("%s", event.error)
        fault = Fault(Code.UNAVAILABLE, f"the link was lost: {reason}")
        for channel in self._channels.values():
            channel.sweeping = False
            if channel.replica.state is ReplicaState.VALID:
                channel.replica.become(ReplicaState.SUSPECT, reason)
            channel.detach(fault)
        for stream in list(self._streams.values()):
            stream.ended(fault)
        waiting: list[asyncio.Future[Any]] = [*self._inits.values(), *itertools.chain(*self._pongs.values())]
        waiting += [call for table, _ in self._calls.values() for _, call in table.values()]
        for future in waiting:
            if not future.done():
                future.set_exception(fault)
        if not self._ready.done():
            self._ready.set_exception(reason)
        if not self._gone.done():
            self._gone.set_result(reason)

    # Private.

    _broken: Exception | None = None

    def _careful(self, packet: Packet) -> Any:
        if isinstance(packet, Invoke) and packet.name == NAME and self.extended:
            return read_told(packet) or packet
        return careful_news(self.engine, packet)

    def _other(self, event: Any) -> None:
        match event:
            case ObjectList():
                self._list(event)
            case InitDynamic() | Init() if event.name in self._inits:
                init = self._inits.pop(event.name)
                if not init.done():
                    init.set_result(event)
            case Pong():
                self._pong(event.name)
            case RemoveObject():
                self._removed(event.name)
                self._pass_on(event)
            case Failed():
                if not event.call.done():
                    event.call.set_exception(event.fault)
            case ToldBy():
                self._told(event)
            case Broken():
                self._broken = event.error
                if self._connection is not None:
                    self._connection.abort()
            case Invoke() | PropertyChange() | Init() | InitDynamic():
                self._pass_on(event)
            case _:
                pass  # notify signals, replies nobody waits for any more, values of unknown type

    def _pass_on(self, packet: Any) -> None:
        if self.news is not None:
            self.news(packet)

    def _list(self, packet: ObjectList) -> None:
        for info in packet.entries:
            self.objects.setdefault(info.name, info)
        if self._listed:
            self._pass_on(packet)
            for info in packet.entries:
                self._shown_again(info.name)
        self._listed = True
        self._shown.set()
        self._check_ready()

    def _check_ready(self) -> None:
        if self._listed and (self._probed or not self._probe) and not self._ready.done():
            self._ready.set_result(None)

    def _pong(self, name: str) -> None:
        if name in (WELCOME, HELLO) and not self._probed:
            self.extended = name == WELCOME
            self._probed = True
            self._check_ready()
            return
        waiting = self._pongs.get(name)
        if waiting:
            pong = waiting.pop(0)
            if not pong.done():
                pong.set_result(None)

    def _removed(self, name: str) -> None:
        """The source is gone, the connection stays: as in Qt the replica is suspect until the host shows it again."""
        self.objects.pop(name, None)
        channel = self._channels.get(name)
        if channel is not None:
            channel.replica.become(ReplicaState.SUSPECT, LinkError(f"the host withdrew {name}"))
            channel.replica.remote = None
            channel.detach(Fault(Code.UNAVAILABLE, f"the host withdrew {name}"))

    def _shown_again(self, name: str) -> None:
        channel = self._channels.get(name)
        if channel is not None and channel.link is None:
            task = self.loop.create_task(self._attach_again(channel.replica))
            self._again.add(task)
            task.add_done_callback(self._again.discard)

    @property
    def _again(self) -> set[asyncio.Task[None]]:
        return self.__dict__.setdefault("_again_tasks", set())  # type: ignore[no-any-return]

    async def _attach_again(self, replica: ReplicaLink) -> None:
        try:
            await self.attach(replica, patient=True)
        except Exception as error:  # noqa: BLE001  a source that came back different: the supervisor starts over
            log.warning("%s came back, but: %s", replica.name, error)
            await self.close()

    async def _acquire(self, name: str, *, dynamic: bool) -> InitDynamic | Init:
        if self._gone.done():
            raise LinkError("the connection is closed")
        init = self._inits.get(name)
        if init is None:
            init = self._inits[name] = self.loop.create_future()
            self.send(encode_packet(AddObject(name, dynamic)))
        return await asyncio.shield(init)

    async def _contract(self, name: str, definition: ClassDefinition) -> tuple[Contract, Layout]:
        if not self.extended:
            return read_definition_of(definition, name)
        data = await self.request(Method.CONTRACT, name)
        try:
            contract = read_description(data)
        except ModelError as error:
            raise RemoteProtocolError(f"the host described {name} wrongly: {error}") from error
        return contract, layout_of(contract)

    async def request(self, method: Method, *arguments: Any) -> Any:
        """Ask an everywire host and wait for the answer."""
        return await self.invoke(NAME, method, *arguments)

    def _told(self, event: ToldBy) -> None:
        match event.what, event.arguments:
            case Told.ITEM, (int(number), raw) if number in self._streams:
                self._streams[number].arrived(raw)
            case Told.END, (int(number),) if number in self._streams:
                self._streams.pop(number).ended()
            case Told.FAILED, (int(number), code, message) if number in self._streams:
                self._streams.pop(number).ended(fault_of_code(code, message))
            case Told.GAP, (int(signals),):
                for channel in self._channels.values():
                    channel.replica.gap += signals
            case _:
                pass

    def _look_for_late_calls(self) -> None:
        """Fail calls past their deadline. Marks of (time, newest serial) stand for the time stamps calls do not have."""
        self._timer = None
        now = self.loop.time()
        for channel in tuple(self._sweeping):
            if not channel.waiting:
                channel.sweeping = False
                self._sweeping.discard(channel)
                self._marks.pop(channel, None)
                continue
            marks = self._marks.setdefault(channel, [])
            marks.append((now, next(reversed(channel.waiting))))
            _fail_late(channel, marks, now)
        if self._sweeping:
            self._timer = self.loop.call_later(SWEEP, self._look_for_late_calls)


def _fail_late(channel: Channel, marks: list[tuple[float, int]], now: float) -> None:
    place = {serial: n for n, serial in enumerate(channel.waiting)}
    for serial, (waiting, call) in list(channel.waiting.items()):
        if waiting.timeout is None:
            continue
        seen = next((time for time, newest in marks if place.get(newest, -1) >= place[serial]), now)
        if now - seen >= waiting.timeout:
            del channel.waiting[serial]
            if channel.link is not None:
                channel.link.cancel(channel.replica.name, serial)
            if not call.done():
                call.set_exception(Fault(Code.DEADLINE_EXCEEDED, f"no answer within {waiting.timeout:g} s"))
    while marks and marks[0][1] not in channel.waiting:
        del marks[0]


class _Remote:
    """What `Property.push` reaches on a valid replica."""

    def __init__(self, session: NodeSession, channel: Channel) -> None:
        self._session, self._channel = session, channel

    async def push(self, member: Member, value: Any) -> None:
        """Ask the host to take *value*; return when it has answered and every change before the answer was heard.

        An everywire host answers with a Fault; Qt answers nothing, so there the answer is a fence (MAPPINGS 2).
        """
        channel = self._channel
        values = channel.replica.instance._everywire.values
        before = values.get(member.name)
        types, index = (channel.sent_type(member),), channel.push_index(member)
        if index is not None:
            await channel.invoke(CallKind.METHOD, index, types, (value,))
        else:
            self._session.send(channel.write_frame(member, value))
            await self._session.ping(channel.replica.name)
        now = values.get(member.name)
        if now is before and now != value:
            raise Fault(Code.FAILED_PRECONDITION, f"the source kept {now!r}")


def _channel_of(replica: ReplicaLink) -> Channel:
    """Return the channel of a replica, which outlives its connections."""
    channel = getattr(replica, "channel", None)
    if not isinstance(channel, Channel):
        loop = asyncio.get_running_loop()

        def failed(fault: Fault) -> PendingCall[Any]:
            call: PendingCall[Any] = PendingCall(loop=loop)
            call.set_exception(fault)
            return call

        channel = Channel(replica, failed, PendingCall)
        replica.channel = channel
    return channel


_PLAIN: Final = Waiting(lambda _data, _start, _end: Odd, lambda raw: raw, None)


@asynccontextmanager
async def open_session(url: str, *, limits: Limits = DEFAULT_LIMITS) -> AsyncIterator[NodeSession]:
    """Connect to a host of Qt Remote Objects without the object model."""
    session = NodeSession(limits)
    await session.open(url)
    try:
        yield session
    finally:
        await session.close()
