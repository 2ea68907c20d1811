"""Replicas over Qt Remote Objects: a session that binds channels, pulls streams and keeps deadlines."""

from __future__ import annotations

import asyncio
import itertools
import logging
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from everywire.errors import Code, EverywireError, Fault, LinkError, RemoteProtocolError
from everywire.model import Contract, Member
from everywire.remoteobjects.codec import (
    ADAPTER,
    AddObject,
    Init,
    InitDynamic,
    Invoke,
    Packet,
    PropertyChange,
    RemoveObject,
    decode_packet,
)
from everywire.remoteobjects.codec.extension import NAME, Method, Told, ToldBy, ask, fault_of_code, read_told
from everywire.remoteobjects.codec.registry import REGISTRY, REGISTRY_TYPES
from everywire.remoteobjects.endpoint.attaching import (
    NOTHING_OFFERED,
    described,
    generated,
    offered_in,
    unreadable_object,
)
from everywire.remoteobjects.endpoint.silence import excuses
from everywire.remoteobjects.endpoint.streaming import IncomingStream
from everywire.remoteobjects.endpoint.ways import End, Way
from everywire.remoteobjects.engine import Heard, Skipped
from everywire.remoteobjects.session import NodeSession
from everywire.remoteobjects.wire.looks import user_types
from everywire.remoteobjects.wire.qttypes import lower
from everywire.remoteobjects.wire.replicating import (
    PUSH_TIMEOUT,
    Channel,
    Misfit,
    careful_news,
    channel_class,
    contract_of_models,
)
from everywire.runtime.credentials import Credential
from everywire.runtime.deadlines import Deadlines
from everywire.runtime.incoming import WINDOW
from everywire.runtime.node import Node
from everywire.runtime.pending import PendingCall
from everywire.runtime.replica import ReplicaLink, ReplicaState
from everywire.transport import Address, Connection
from everywire.transport.heartbeat import IDLE

log: Final = logging.getLogger("everywire.remoteobjects")


class ReplicaSession(NodeSession):
    """One connection to a host for replicas; see `runtime.wires.ClientSession`."""

    def __init__(
        self, node: Node, credential: Credential | None = None, *, heartbeat: float = IDLE, way: Way | None = None
    ) -> None:
        super().__init__(node.limits, credential=credential, heartbeat=heartbeat)
        self._way = way
        self._end: End | None = None
        self._tasks, self._refusals = node.tasks, node.refusals
        self._channels: dict[str, Channel] = {}
        self._attaching: dict[str, _Attaching] = {}
        self._streams: weakref.WeakValueDictionary[int, IncomingStream] = weakref.WeakValueDictionary()
        self._stream_numbers = itertools.count(1)
        self._shown = asyncio.Event()
        self.on_offered: Callable[[], object] | None = None
        """Called when the host shows another object, or one less."""
        self._deadlines = Deadlines(self.loop)

    async def reach(self, url: str | Address) -> None:
        """Connect, by an address or another way."""
        if self._way is None:
            await super().reach(url)
        else:
            self._end = await self._way.reach(self, self.limits, self._tasks)

    async def open(self, url: str | Address) -> None:
        """Connect, log in and hear what the host shows; a child that ended meanwhile is named with its exit code."""
        try:
            await super().open(url)
        except LinkError as error:
            if self._end is None or not (how := await self._end()):
                raise
            raise LinkError(f"{error}: {how}") from None

    async def close(self) -> None:
        """Close the connection, and wait until what it led to has ended."""
        await super().close()
        if self._end is not None:
            await self._end()

    async def contract(self, name: str) -> Contract:
        """Return what the host tells about the object *name*; see `runtime.wires.ClientSession`."""
        if name not in self.objects:
            raise Fault(Code.NOT_FOUND, f"the host has no object {name!r}", may_have_run=False)
        if self._is_model(name):
            return contract_of_models()
        if (exact := await self._contract(name)) is not None:
            return exact
        shown = await self._acquire(name, dynamic=True)
        self.release(name)
        return offered_in(shown, None)[0]

    def class_name_of(self, name: str) -> str:
        """Return the class of the object *name*, as the host's list has it."""
        return self.objects[name].type_name or ""

    async def attach(self, replica: ReplicaLink, *, patient: bool) -> None:
        """Bind *replica* to its source; see `runtime.wires.ClientSession`."""
        while replica.name not in self.objects:
            if not patient:
                raise replica.not_offered(self.objects)
            self._shown.clear()
            await self._shown.wait()
        name = replica.name
        if name == REGISTRY:
            self.learn("entries of registries", REGISTRY_TYPES)
        if name not in self._attaching:
            channel = _channel_of(replica, self.loop, channel_class(is_model=self._is_model(name)))
            self._attaching[name] = attaching = _Attaching(channel, self.loop.create_future())
            try:
                attaching.contract = await self._contract(name)
                self._ask_for(name)
                await attaching.done
            finally:
                self._attaching.pop(name, None)

    def connected(self, connection: Connection) -> None:
        """Begin; channels write straight to the connection."""
        super().connected(connection)
        if self._outbox is not None:
            self.write, self.join = self._outbox.first, self._outbox.join

    # What channels call.

    def sweep(self, channel: Channel) -> None:
        """Look after the deadlines of *channel* while it has waiting calls."""
        self._deadlines.watch(channel)

    def cancel(self, name: str, serial: int) -> None:
        """Ask an everywire host to stop a call."""
        if self.extended:
            self.ask(Method.CANCEL, name, serial)

    def open_stream(self, channel: Channel, member: Member, arguments: tuple[Any, ...]) -> IncomingStream:
        """Start a stream of the host and grant it room."""
        number = next(self._stream_numbers)
        stream = IncomingStream(self, channel.replica.name, member, number)
        self._streams[number] = stream
        lowered = [lower(p.type, value) for p, value in zip(member.parameters, arguments, strict=True)]
        opening = ask(Method.OPEN, channel.replica.name, member.name, lowered, number, dialect=self.engine.dialect)
        self.send(channel.bounded(opening))
        self.ask(Method.GRANT, number, WINDOW)
        return stream

    def remote(self, channel: Channel) -> Any:
        """Return what pushes to the source of *channel*."""
        return _Remote(self, channel)

    def misfit(self, name: str, problem: str) -> None:
        """Take note of a value of the object *name* that does not fit."""
        log.warning("%s sent a value that does not fit: %s", name, problem)
        self._refusals["misfits"] += 1

    def ask(self, method: Method, *arguments: Any) -> None:
        """Tell an everywire host what needs no answer."""
        self.send(ask(method, *arguments, dialect=self.engine.dialect))

    def close_stream(self, number: int) -> None:
        """Tell the host that a stream is not wanted any more."""
        self._streams.pop(number, None)
        if not self._gone.done():
            self.ask(Method.CLOSE, number)

    # What the session calls.

    @property
    def pinged_as(self) -> str:
        """The name that heartbeats carry."""
        return next(iter(self._channels), "")

    def may_be_silent(self) -> bool:
        """Return whether the host has a reason to answer nothing; see `excuses`."""
        waiting = [waiting for channel in self._channels.values() for waiting in channel.all_waiting()]
        return excuses(waiting, self.limits, extended=self.extended) or super().may_be_silent()

    def careful(self, packet: Packet) -> Any:
        """Return the event for a packet that no fast decoder recognized."""
        if isinstance(packet, Invoke) and packet.name == NAME and self.extended:
            return read_told(packet) or packet
        return careful_news(self.engine, packet)

    def other(self, event: Any) -> None:
        """Handle what is neither a result nor news on the fast path."""
        match event:
            case ToldBy():
                self._told(event)
                return
            case InitDynamic() | Init() if event.name in self._attaching:
                self._attach_now(self._attaching[event.name], event)
                return
            case Skipped():
                event = self._again(event)
                self._fail_unreadable(event)
            case PropertyChange() | Invoke():
                event = careful_news(self.engine, event)  # it came in one chunk with the values it follows
            case RemoveObject():
                self._removed(event.name)
            case _:
                pass
        if isinstance(event, Heard):
            event.route.tell(*event.arguments)
        elif isinstance(event, RemoveObject):
            super().other(event)
            if self.on_offered is not None:
                self.on_offered()
        elif isinstance(event, Misfit):
            self.misfit(event.name, event.problem)
        else:
            super().other(event)

    def listed(self, names: tuple[str, ...]) -> None:
        """Attach those again whose source the host had withdrawn."""
        self._shown.set()
        if self.on_offered is not None:
            self.on_offered()
        for name in names:
            channel = self._channels.get(name)
            if name in self._attaching:
                self._ask_for(name)  # it was withdrawn meanwhile
            elif channel is not None and channel.link is None and not self._tasks.closed:
                self._tasks.spawn(self._attach_again(channel.replica))

    def end(self, reason: Exception, fault: Fault) -> None:
        """The link is gone: replicas are suspect, waiting calls fail, streams end."""
        super().end(reason, fault)
        self._deadlines.close()
        for attaching in self._attaching.values():
            if not attaching.done.done():
                attaching.done.set_exception(fault)
                attaching.done.exception()  # counts as seen: who attaches may wait for something else yet
        for channel in self._channels.values():
            self._suspect(channel, reason, fault)
        for stream in list(self._streams.values()):
            stream.ended(fault)

    # Private.

    def _suspect(self, channel: Channel, reason: Exception, fault: Fault) -> None:
        channel.replica.remote = None
        if channel.replica.state is ReplicaState.VALID:
            channel.replica.become(ReplicaState.SUSPECT, reason)
        channel.detach(fault)

    def _removed(self, name: str) -> None:
        """The source is gone, the connection stays: as in Qt the replica is suspect until the host shows it again."""
        channel = self._channels.get(name)
        if channel is not None:
            error = LinkError(f"the host withdrew {name}")
            self._suspect(channel, error, Fault(Code.UNAVAILABLE, str(error)))

    async def _attach_again(self, replica: ReplicaLink) -> None:
        try:
            await self.attach(replica, patient=True)
        except Exception as error:  # noqa: BLE001  a source that came back different: the supervisor starts over
            log.warning("%s came back, but: %s", replica.name, error)
            await self.close()

    async def _contract(self, name: str) -> Contract | None:
        """Return the exact contract of an everywire host's object; None when the class definition is all there is."""
        if not self.extended or self._is_model(name):
            return None
        return described(name, await self.request(Method.CONTRACT, name))

    def _is_model(self, name: str) -> bool:
        """Return whether the object *name* is one of Qt's item models, which every peer knows."""
        info = self.objects.get(name)
        return info is not None and info.type_name == ADAPTER

    def _ask_for(self, name: str) -> None:
        attaching = self._attaching[name]
        if attaching.channel.is_model:
            self.put(AddObject(name, dynamic=False))
            return
        if self.extended:
            if attaching.contract is not None:
                self.put(AddObject(name, dynamic=True))
            return
        wanted = attaching.channel.wanted
        attaching.exact = generated(wanted, self.objects.get(name), self.engine.dialect)
        attaching.contract = wanted if attaching.exact else None
        if attaching.contract is not None:
            self.learn(name, user_types(attaching.contract))  # before the values come, which do not say it
        self.put(AddObject(name, dynamic=not attaching.exact))

    def _attach_now(self, attaching: _Attaching, packet: InitDynamic | Init) -> None:
        """Bind the channel within the event of its values: the next event may be a change of them."""
        channel, contract = attaching.channel, attaching.contract
        if attaching.done.done():
            return
        try:
            if isinstance(packet, InitDynamic):
                self.learn(packet.name, packet.definition.user_types())
            offered, layout = NOTHING_OFFERED if channel.is_model else offered_in(packet, contract)
            self._channels[packet.name] = channel
            channel.replica.remote = self.remote(channel)  # before observers hear of the link: they may push
            channel.attach(self, offered, layout, packet.values, exact=attaching.exact)
        except EverywireError as error:
            channel.replica.remote = None
            attaching.done.set_exception(error)
        else:
            channel.when_valid(attaching.settled)

    def _fail_unreadable(self, event: Any) -> None:
        """End the wait for an object whose values cannot be read."""
        name = unreadable_object(event, self.engine.dialect) or ""
        attaching, init = self._attaching.get(name), self._inits.pop(name, None)
        if attaching is not None and not attaching.done.done():
            attaching.done.set_exception(event.error)
        if init is not None and not init.done():
            init.set_exception(event.error)

    def _again(self, event: Skipped) -> Any:
        """Read a packet again whose types an object in the same chunk has announced."""
        from everywire.remoteobjects.codec.tables import TABLE_TYPES  # models announce none

        types, dialect = {**TABLE_TYPES, **self.engine.types}, self.engine.dialect
        try:
            return self.careful(decode_packet(event.body, from_host=True, types=types, dialect=dialect))
        except RemoteProtocolError:
            return event

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
                    channel.replica.missed(signals)
            case Told.OVER, (code, message):
                self._broken = fault_of_code(code, message)
            case _:
                pass


@dataclass(slots=True)
class _Attaching:
    """A channel on its way to an object of the host."""

    channel: Channel
    done: asyncio.Future[None]
    contract: Contract | None = None
    exact: bool = False
    """Whether the object is generated from the same .rep as our class."""

    def settled(self, error: Exception | None) -> None:
        """The replica is valid, or cannot be."""
        if self.done.done():
            return
        if error is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(error)


class _Remote:
    """What `Property.push` reaches on a valid replica."""

    def __init__(self, session: ReplicaSession, channel: Channel) -> None:
        self._session, self._channel = session, channel

    async def push(self, member: Member, value: Any) -> None:
        """Ask the host to take *value*; return when it has answered and every change before the answer was heard.

        An everywire host answers with a Fault; Qt answers nothing, so there the answer is a fence (MAPPINGS 2).
        """
        channel = self._channel
        pushing = channel.push(member, value)
        if pushing is not None:
            await pushing
        else:
            self._session.send(channel.write_frame(member, value))
            try:
                async with asyncio.timeout(PUSH_TIMEOUT):
                    await self._session.ping(channel.replica.name)
            except TimeoutError:
                raise Fault(Code.DEADLINE_EXCEEDED, f"no answer within {PUSH_TIMEOUT:g} s") from None


def _channel_of(replica: ReplicaLink, loop: asyncio.AbstractEventLoop, kind: type[Channel]) -> Channel:
    """Return the channel of a replica, which outlives its connections."""
    channel: Any = getattr(replica, "channel", None)
    if type(channel) is not kind:

        def failed(fault: Fault) -> PendingCall[Any]:
            call: PendingCall[Any] = PendingCall(loop=loop)
            call.set_exception(fault)
            return call

        replica.channel = channel = kind(replica, failed, PendingCall)
    return channel  # type: ignore[no-any-return]
