"""Both ends of a memory link on asyncio: nothing is delivered from within the call that causes it."""

from __future__ import annotations

import asyncio
import os
import weakref
from typing import Any, Final

from everywire.errors import AddressInUse, Code, Fault, LinkError, ModelError
from everywire.memory.streaming import PulledStream
from everywire.memory.wire import Frame, MemoryObject, Shown, hear
from everywire.model import Caller, Contract, Member, Object, contract_of
from everywire.model.reading import child_members
from everywire.model.types import child_type
from everywire.runtime.channel import Channel
from everywire.runtime.deadlines import Deadlines
from everywire.runtime.gate import Door, Invoked, authorize, invalid
from everywire.runtime.inbound import InboundLink
from everywire.runtime.matching import differences
from everywire.runtime.node import Node, Publication
from everywire.runtime.outbox import Outbox
from everywire.runtime.pending import calls_of
from everywire.runtime.replica import ChildLink, ReplicaLink, ReplicaState

_SERVERS: Final[dict[str, MemoryServer]] = {}


class MemoryServer:
    """A node's objects under one name of this process, or without a name, for who holds the node."""

    def __init__(self, node: Node, url: str = "") -> None:
        if url in _SERVERS:
            raise AddressInUse(f"{url} is served already in this process: choose another name")
        self.node, self.url = node, url
        self.loop = asyncio.get_running_loop()
        self.hosted = {name: MemoryObject(publication) for name, publication in node.published.items()}
        self.sessions: set[NodeSession] = set()
        if url:
            _SERVERS[url] = self

    def added(self, publication: Publication) -> None:
        """Show a newly published object."""
        self.hosted[publication.name] = MemoryObject(publication)
        for session in self.sessions:
            session.shown.set()

    def removed(self, publication: Publication) -> None:
        """Take an object back."""
        hosted = self.hosted.pop(publication.name)
        doors = [door for one in hosted.family() for door in one.doors.values()]
        hosted.close()
        for session in tuple(self.sessions):
            session.host.forget(doors)
            session.withdrawn(hosted)

    def recheck(self) -> None:
        """Take objects from links whose callers may no longer see them."""
        for session in tuple(self.sessions):
            session.host.recheck()
            session.recheck()

    def running(self) -> list[asyncio.Task[Any]]:
        """Return the tasks of running slots."""
        return [task for session in self.sessions for task in session.host.running()]

    async def stop_accepting(self) -> None:
        """Take no new links."""
        if _SERVERS.get(self.url) is self:
            del _SERVERS[self.url]

    async def close(self) -> None:
        """Close every link."""
        await self.stop_accepting()
        for session in tuple(self.sessions):
            session.host.outbox.flush()
            await asyncio.sleep(0)  # what was flushed is heard before the end
            await session.end(LinkError("the host closed the link"))
        for hosted in self.hosted.values():
            hosted.close()


def find_server(url: str) -> MemoryServer:
    """Return the server at *url*; raise LinkError."""
    server = _SERVERS.get(url)
    if server is None:
        raise LinkError(f"nobody serves {url} in this process: serve it first, or use local: between processes")
    if server.loop is not asyncio.get_running_loop():
        raise LinkError(f"{url} is served by another loop: memory links stay within one loop, use local: instead")
    return server


class HostLink(InboundLink):
    """The source's end of a link."""

    def __init__(self, session: NodeSession, node: Node) -> None:
        self._session = session
        uid = os.getuid() if hasattr(os, "getuid") else None
        super().__init__(
            caller=Caller(wire="memory", identity="anonymous" if uid is None else f"uid:{uid}", uid=uid, loopback=True),
            limits=node.limits,
            tasks=node.tasks,
            outbox=Outbox(session, node.limits, asyncio.get_running_loop().call_soon, join=tuple),
            pause_reading=lambda: None,
            resume_reading=lambda: None,
            refusals=node.refusals,
        )

    def refused(self, door: Door, token: Any, fault: Fault) -> None:
        """Answer with *fault*."""
        self.refusals[fault.code.name] += 1
        self.outbox.put(("failed", (door.name, token), fault))

    def other(self, event: Any) -> None:
        """Handle the wish to cancel a call."""
        _, name, token = event
        self.cancel(name, token)


class NodeSession:
    """The replica's end of a link."""

    def __init__(self, server: MemoryServer) -> None:
        self.server = server
        self.loop = asyncio.get_running_loop()
        self.shown = asyncio.Event()
        self._gone: asyncio.Future[Exception | None] = self.loop.create_future()
        self._channels: dict[str, Channel] = {}
        self._sources: dict[Channel, MemoryObject] = {}
        """What each channel is bound to."""
        self._calls: list[Any] = []
        self._deadlines = Deadlines(self.loop)
        self._streams: weakref.WeakSet[PulledStream] = weakref.WeakSet()
        self.host = HostLink(self, server.node)
        server.sessions.add(self)

    @property
    def offered(self) -> tuple[str, ...]:
        """The names of the host's objects that this end may see."""
        caller = self.host.caller
        return tuple(n for n, hosted in self.server.hosted.items() if hosted.publication.policy.sees(caller))

    async def contract(self, name: str) -> Contract:
        """Return the contract of the host's object *name*."""
        if name not in self.offered:
            raise Fault(Code.NOT_FOUND, f"no object {name!r} at {self.server.url}", may_have_run=False)
        return self.server.hosted[name].contract

    async def attach(self, replica: ReplicaLink, *, patient: bool) -> None:
        """Bind *replica* to its source; see `runtime.wires.ClientSession`."""
        while replica.name not in self.offered:
            if not patient:
                raise replica.not_offered(self.offered)
            self.shown.clear()
            await self.shown.wait()
        hosted = self.server.hosted[replica.name]
        hosted.links[self.host] = None  # first: an observer of the replica may change the source in turn
        try:
            self._bind(replica, Shown(hosted, hosted.values()))
        except BaseException:
            hosted.links.pop(self.host, None)
            raise

    async def wait_lost(self) -> Exception | None:
        """Wait until the link is gone; return why."""
        return await asyncio.shield(self._gone)

    async def close(self) -> None:
        """Close the link."""
        await self.end(LinkError("the link was closed"))

    async def end(self, error: LinkError) -> None:
        """End the streams, then the link."""
        await self._end_streams(error)
        self.cut(error)

    # What channels call.

    def call(self, channel: Channel, member: Member, arguments: tuple[Any, ...], token: int) -> None:
        """Give a call to the host in the next turn of the loop."""
        self._send(Invoked(self._sources[channel].doors[member.name], arguments, token))

    def cancel(self, channel: Channel, token: int) -> None:
        """Let the host stop a call."""
        self._send(("cancel", channel.replica.name, token))

    def open_stream(self, channel: Channel, member: Member, arguments: tuple[Any, ...]) -> PulledStream:
        """Return a stream of the host; raises Fault when the caller may not use it or *arguments* do not fit."""
        door = self._sources[channel].doors[member.name]
        authorize(self.host, door, arguments)
        try:
            checked = door.check(arguments)
        except ModelError as error:
            raise invalid(error) from None
        stream = PulledStream(self.server.node.tasks, self.host.caller, door, checked)
        self._streams.add(stream)
        return stream

    def sweep(self, channel: Channel) -> None:
        """Look after the deadlines of *channel* while it has waiting calls."""
        self._deadlines.watch(channel)

    # What the host's end calls.

    def write(self, frames: tuple[Frame, ...]) -> None:
        """Take what the host's outbox writes."""
        self.loop.call_soon(self._receive, frames)

    def abort(self) -> None:
        """Cut the link, as an outbox does with a peer that is too slow."""
        self.cut(LinkError("the link was cut"))

    def recheck(self) -> None:
        """Lose what may no longer be seen; look again for what was waited for."""
        offered = self.offered
        for channel, hosted in tuple(self._sources.items()):
            if channel.replica.name not in offered and not isinstance(channel.replica, ChildLink):
                self.withdrawn(hosted)
        self.shown.set()

    def withdrawn(self, hosted: MemoryObject) -> None:
        """The host takes an object back."""
        hosted.links.pop(self.host, None)
        if hosted in self._sources.values():
            self.host.outbox.flush()
            self.loop.call_soon(self.cut, LinkError(f"the host withdrew {hosted.name}"))

    def cut(self, error: LinkError) -> None:
        """End the link."""
        if self._gone.done():
            return
        self._gone.set_result(error)
        self.server.sessions.discard(self)
        self.host.close()
        self._deadlines.close()
        if self._streams:
            self.server.node.tasks.spawn(self._end_streams(error))
        for hosted in self._sources.values():
            hosted.links.pop(self.host, None)
        self._sources.clear()
        for channel in self._channels.values():
            if channel.replica.state is ReplicaState.VALID:
                channel.replica.become(ReplicaState.SUSPECT, error)
            channel.detach(Fault(Code.UNAVAILABLE, str(error)))

    def _bind(self, replica: ReplicaLink, shown: Shown) -> None:
        """Let *replica* stand for an object, and the replicas of its children for those."""
        hosted = shown.hosted
        if not isinstance(replica.channel, Channel):
            replica.channel = Channel(replica, calls_of(self.loop), children=True)
        channel = self._channels[replica.name] = replica.channel
        self._sources[channel] = hosted

        def its_class(_: Contract) -> type[Object]:
            return type(hosted.publication.object)

        try:
            channel.attach(self, hosted.contract, self._values(replica, shown), its_class)
        except BaseException:
            del self._sources[channel]
            raise

    def _values(self, replica: ReplicaLink, shown: Shown) -> dict[str, Any]:
        """Return the values of an object, its children as replicas; without them where the classes differ."""
        offered = shown.hosted.contract
        wanted = contract_of(replica.cls) if replica.cls is not None else offered
        if differences(wanted, offered):
            return {}
        children = {m.name: self._child(replica, m, shown.values[m.name]) for m in child_members(wanted)}
        return {**shown.values, **children}

    def _child(self, replica: ReplicaLink, member: Member, shown: Shown | None) -> Object | None:
        """Return the replica of the child that the property *member* holds."""
        node = child_type(member.type)
        known = replica.children.get(member.name)
        if known is not None:
            self._sources.pop(known.channel, None)
        if node is None or shown is None:
            replica.child_lost(member.name, LinkError(f"{replica.name} has no {member.name} now"))
            return None
        link = replica.child(member.name, shown.hosted.name, node.cls)
        self._bind(link, shown)
        return link.instance  # type: ignore[no-any-return]

    def _hear(self, frame: Frame) -> None:
        word, (name, about), value = frame
        channel = self._channels.get(name)
        if channel is None:
            return  # the class of the replica leaves out a child that the host has
        if word != "child":
            hear(channel, frame)
            return
        member = contract_of(channel.replica.instance).members.get(about)
        if member is not None:
            instance: Object = channel.replica.instance
            handle: Any = type(instance).__everywire_declared__[about]
            channel.replica.child_changed(handle, self._child(channel.replica, member, value))

    async def _end_streams(self, error: LinkError) -> None:
        for stream in tuple(self._streams):
            await stream.finish(Fault(Code.UNAVAILABLE, f"the link was lost: {error}"))
        self._streams.clear()

    def _send(self, event: Any) -> None:
        """Give an event to the host in the next turn of the loop."""
        if not self._calls:
            self.loop.call_soon(self._deliver)
        self._calls.append(event)

    def _deliver(self) -> None:
        calls, self._calls = self._calls, []
        if not self._gone.done():
            self.host.receive(calls)

    def _receive(self, frames: tuple[Frame, ...]) -> None:
        if self._gone.done():
            return
        for frame in frames:
            self._hear(frame)
