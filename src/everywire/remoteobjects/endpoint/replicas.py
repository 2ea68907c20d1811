"""Replicas over Qt Remote Objects: a session that binds channels, pulls streams and keeps deadlines."""

from __future__ import annotations

import asyncio
import itertools
import logging
import weakref
from typing import Any, Final

from everywire.errors import Code, Fault, LinkError, ModelError, RemoteProtocolError
from everywire.model import Contract, Member
from everywire.model.description import read_description
from everywire.remoteobjects.codec import CallKind, ClassDefinition, Invoke, Packet, RemoveObject
from everywire.remoteobjects.codec.extension import NAME, Method, Told, ToldBy, ask, fault_of_code, read_told
from everywire.remoteobjects.endpoint.deadlines import Deadlines
from everywire.remoteobjects.endpoint.streaming import WINDOW, IncomingStream
from everywire.remoteobjects.session import NodeSession
from everywire.remoteobjects.wire.layout import Layout, layout_of, read_definition_of
from everywire.remoteobjects.wire.qttypes import lower
from everywire.remoteobjects.wire.replicating import Channel, careful_news
from everywire.runtime.node import Node
from everywire.runtime.pending import PendingCall
from everywire.runtime.replica import ReplicaLink, ReplicaState
from everywire.transport import Connection

log: Final = logging.getLogger("everywire.remoteobjects")


class ReplicaSession(NodeSession):
    """One connection to a host for replicas; see `runtime.wires.ClientSession`."""

    def __init__(self, node: Node) -> None:
        super().__init__(node.limits)
        self._tasks = node.tasks
        self._channels: dict[str, Channel] = {}
        self._streams: weakref.WeakValueDictionary[int, IncomingStream] = weakref.WeakValueDictionary()
        self._stream_numbers = itertools.count(1)
        self._shown = asyncio.Event()
        self._deadlines = Deadlines(self.loop)

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
        channel = _channel_of(replica, self.loop)
        definition, values = await self.acquire(replica.name)
        if definition is None:
            raise RemoteProtocolError("the host answered a dynamic listener without a class definition")
        offered, layout = await self._contract(replica.name, definition)
        self._channels[replica.name] = channel
        channel.attach(self, offered, layout, values)
        replica.remote = _Remote(self, channel)

    def connected(self, connection: Connection) -> None:
        """Begin; channels write straight to the connection."""
        super().connected(connection)
        self.write = connection.write
        if self._outbox is not None:
            self.join = self._outbox.join

    # What channels call.

    def sweep(self, channel: Channel) -> None:
        """Look after the deadlines of *channel* while it has waiting calls."""
        self._deadlines.watch(channel)

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

    # What the session calls.

    def careful(self, packet: Packet) -> Any:
        """Return the event for a packet that no fast decoder recognized."""
        if isinstance(packet, Invoke) and packet.name == NAME and self.extended:
            return read_told(packet) or packet
        return careful_news(self.engine, packet)

    def other(self, event: Any) -> None:
        """Handle what is neither a result nor news on the fast path."""
        kind = type(event)
        if kind is ToldBy:
            self._told(event)
            return
        super().other(event)
        if kind is RemoveObject:
            self._removed(event.name)

    def listed(self, names: tuple[str, ...]) -> None:
        """Attach those again whose source the host had withdrawn."""
        self._shown.set()
        for name in names:
            channel = self._channels.get(name)
            if channel is not None and channel.link is None:
                self._tasks.spawn(self._attach_again(channel.replica))

    def end(self, reason: Exception, fault: Fault) -> None:
        """The link is gone: replicas are suspect, waiting calls fail, streams end."""
        super().end(reason, fault)
        self._deadlines.close()
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


class _Remote:
    """What `Property.push` reaches on a valid replica."""

    def __init__(self, session: ReplicaSession, channel: Channel) -> None:
        self._session, self._channel = session, channel

    async def push(self, member: Member, value: Any) -> None:
        """Ask the host to take *value*; return when it has answered and every change before the answer was heard.

        An everywire host answers with a Fault; Qt answers nothing, so there the answer is a fence (MAPPINGS 2).
        """
        channel = self._channel
        values = channel.replica.instance._everywire.values
        before = values.get(member.name)
        sent, index = channel.sent_type(member), channel.push_index(member)
        if index is not None:
            await channel.invoke(CallKind.METHOD, index, (sent,), (value,))
        else:
            self._session.send(channel.write_frame(member, value))
            await self._session.ping(channel.replica.name)
        now = values.get(member.name)
        if now is before and now != value:
            raise Fault(Code.FAILED_PRECONDITION, f"the source kept {now!r}")


def _channel_of(replica: ReplicaLink, loop: asyncio.AbstractEventLoop) -> Channel:
    """Return the channel of a replica, which outlives its connections."""
    channel = getattr(replica, "channel", None)
    if not isinstance(channel, Channel):

        def failed(fault: Fault) -> PendingCall[Any]:
            call: PendingCall[Any] = PendingCall(loop=loop)
            call.set_exception(fault)
            return call

        channel = Channel(replica, failed, PendingCall)
        replica.channel = channel
    return channel
