"""Replicas over HTTP: a session that asks what a host offers, and one WebSocket for each replica that it attaches."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from typing import Any, Final

import msgspec
from msgspec import UNSET

from everywire.codec.json import compile_lift, compile_lower
from everywire.errors import Code, EverywireError, Fault, LinkError, ModelError, RemoteProtocolError, SignatureMismatch
from everywire.http._client import ClientConnection
from everywire.http.client import Target, fetch, upgrade
from everywire.http.messages import Broken, Told, ask, read_told
from everywire.model import Contract, Kind, Member, contract_of
from everywire.model.building import build_class
from everywire.model.description import read_description
from everywire.model.types import ANY, AnyType, Type
from everywire.runtime.channel import Channel, too_large
from everywire.runtime.children import childless
from everywire.runtime.deadlines import Deadlines
from everywire.runtime.gate import invalid
from everywire.runtime.incoming import WINDOW
from everywire.runtime.matching import differences
from everywire.runtime.node import Node
from everywire.runtime.outbox import Outbox
from everywire.runtime.pending import calls_of
from everywire.runtime.replica import ReplicaLink, ReplicaState
from everywire.runtime.rhythm import is_near, pause
from everywire.runtime.streaming import IncomingStream, IncomingStreams

log: Final = logging.getLogger("everywire.http")


class _Entry(msgspec.Struct):
    """An object in a host's list."""

    name: str


class HttpSession:
    """What a node knows of one host; see `runtime.wires.ClientSession`."""

    def __init__(self, node: Node, target: Target) -> None:
        self._node, self._target = node, target
        self._offered: tuple[str, ...] | None = None
        self._gone: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()
        self._sockets: list[ReplicaSocket] = []

    async def open(self) -> None:
        """Ask what the host offers; raises LinkError, Fault(UNAUTHENTICATED) or RemoteProtocolError."""
        self._offered = await self._list()

    @property
    def offered(self) -> tuple[str, ...] | None:
        """The names of the host's objects that this caller may see, as of the last question."""
        return self._offered

    async def contract(self, name: str) -> Contract:
        """Return what the host tells about the object *name*."""
        path = self._target.object_path(name, "/contract")
        return _contract_in(await fetch(self._target, path, self._node.limits), name)

    async def attach(self, replica: ReplicaLink, *, patient: bool) -> None:
        """Bind *replica* to its source; see `runtime.wires.ClientSession`."""
        near, attempts = is_near(self._target.url), 0
        while True:
            if replica.name in (self._offered or ()):
                try:
                    await self._attach(replica)
                except Fault as fault:
                    if fault.code is not Code.NOT_FOUND:
                        raise
                else:
                    return
            if not patient:
                raise replica.not_offered(self._offered or ())
            attempts += 1
            await asyncio.sleep(pause(attempts, near=near, scatter=random.uniform))
            self._offered = await self._list()

    async def wait_lost(self) -> Exception | None:
        """Wait until a WebSocket of the session is gone, or the session is closed; return why."""
        return await asyncio.shield(self._gone)

    async def close(self) -> None:
        """Close every WebSocket."""
        self.lost(LinkError("the link was closed"))
        for socket in self._sockets:
            await socket.close()

    def lost(self, reason: Exception) -> None:
        """A WebSocket of the session is gone."""
        if not self._gone.done():
            self._gone.set_result(reason)

    async def _list(self) -> tuple[str, ...]:
        try:
            body = await fetch(self._target, "/objects", self._node.limits)
        except Fault as fault:
            if fault.code is not Code.NOT_FOUND:
                raise
            advice = "a URL ends where the host is mounted, and the object is named beside it"
            raise RemoteProtocolError(f"{self._target.url} is not where an everywire host begins; {advice}") from None
        try:
            return tuple(entry.name for entry in msgspec.json.decode(body, type=list[_Entry]))
        except msgspec.MsgspecError:
            url = self._target.url
            raise RemoteProtocolError(f"{url} speaks HTTP, but is no everywire host: it lists no objects") from None

    async def _attach(self, replica: ReplicaLink) -> None:
        socket = ReplicaSocket(self, self._node, replica)
        self._sockets.append(socket)
        try:
            await socket.open(self._target)
        except SignatureMismatch:
            raise  # the host may change its mind, and the end of the WebSocket tells
        except BaseException:
            self._sockets.remove(socket)
            socket.abort()
            raise


class ReplicaSocket:
    """One WebSocket for one replica: its channel's `Carrier`."""

    def __init__(self, session: HttpSession, node: Node, replica: ReplicaLink) -> None:
        self.loop = asyncio.get_running_loop()
        if not isinstance(replica.channel, Channel):
            replica.channel = Channel(replica, calls_of(self.loop))
        self._session, self._node = session, node
        self._replica, self._channel = replica, replica.channel
        self._connection: ClientConnection
        self._outbox: Outbox
        self._attached: asyncio.Future[None] = self.loop.create_future()
        self._deadlines = Deadlines(self.loop)
        self._streams = IncomingStreams(self)
        self._coders: dict[str, _Coders] = {}
        self._over = False

    async def open(self, target: Target) -> None:
        """Connect, and bind the replica to what the host shows."""
        self._connection = target.connection(self._node.limits, self)
        self._outbox = Outbox(self._connection, self._node.limits, self.loop.call_soon)
        await upgrade(target, target.object_path(self._replica.name, "/events"), self._connection)
        try:
            async with asyncio.timeout(self._node.limits.handshake):
                await self._attached
        except TimeoutError:
            raise LinkError(f"{target.url} accepted the connection but did not show {self._replica.name}") from None

    async def close(self) -> None:
        """Send what waits, then leave."""
        self._outbox.flush()
        await self._connection.leave()

    def abort(self) -> None:
        """Cut the connection; nothing of it is heard any more."""
        self._over = True
        self._connection.abort()

    # What the connection calls.

    def heard(self, text: bytes) -> None:
        """Take one message of the host."""
        if self._over:
            return
        told = read_told(text)
        if isinstance(told, Broken):
            self._break(told.reason)
        elif self._attached.done():
            self._take(told)
        elif told.contract is not UNSET:
            self._attach(told)

    def paused(self) -> None:
        """The host does not take what it is sent."""
        self._outbox.pause()

    def resumed(self) -> None:
        """The host reads again."""
        self._outbox.resume()

    def lost(self, reason: Exception) -> None:
        """The connection is gone: the replica is suspect, waiting calls fail, streams end."""
        fault = reason if isinstance(reason, Fault) else Fault(Code.UNAVAILABLE, f"the link was lost: {reason}")
        self._over = True
        self._deadlines.close()
        if not self._attached.done():
            self._attached.set_exception(reason)
            self._attached.exception()  # counts as seen: who attaches may have been cancelled
        if self._channel.carrier is self:
            self._replica.remote = None
            if self._replica.state is ReplicaState.VALID:
                self._replica.become(ReplicaState.SUSPECT, reason)
            self._channel.detach(fault)
        self._streams.end_all(fault)
        self._session.lost(reason)

    # What channels call.

    def call(self, channel: Channel, member: Member, arguments: tuple[Any, ...], token: int) -> None:
        """Send a call of a slot, or the write of a property; raises Fault when it cannot be sent."""
        lowered = self._lowered(member, arguments)
        if member.kind is Kind.PROPERTY:
            frame = self._framed(push=token, property=member.name, value=lowered[0])
        else:
            frame = self._framed(call=token, slot=member.name, arguments=lowered)
        if len(channel.waiting) == 1 and not self._outbox.frames:
            self._outbox.first(frame)
        else:
            self._outbox.join(frame)

    def cancel(self, channel: Channel, token: int) -> None:
        """Ask the host to stop a call."""
        self._send(cancel=token)

    def open_stream(self, channel: Channel, member: Member, arguments: tuple[Any, ...]) -> IncomingStream:
        """Start a stream of the host and grant it room; raises Fault."""
        lowered = self._lowered(member, arguments)
        stream = self._streams.new(self._coders[member.name].result)
        self._send(open=stream.number, slot=member.name, arguments=lowered)
        self._send(grant=stream.number, items=WINDOW)
        return stream

    def sweep(self, channel: Channel) -> None:
        """Look after the deadlines of *channel* while it has waiting calls."""
        self._deadlines.watch(channel)

    # What streams call.

    def ask_for(self, number: int, items: int) -> None:
        """Grant room for more items."""
        self._send(grant=number, items=items)

    def ask_to_stop(self, number: int) -> None:
        """Say that no more items are wanted."""
        self._send(close=number)

    # Private.

    def _send(self, **parts: Any) -> None:
        if not self._over:
            self._outbox.put(self._framed(**parts))

    def _framed(self, **parts: Any) -> bytes:
        message = ask(**parts)
        if len(message) > self._node.limits.frame:
            raise too_large(len(message))
        return self._connection.framed(message)

    def _lowered(self, member: Member, arguments: tuple[Any, ...]) -> list[Any]:
        lowers = self._coders[member.name].lowers
        try:
            return [lower(value) for lower, value in zip(lowers, arguments, strict=True)]
        except ModelError as error:
            raise invalid(error) from None

    def _break(self, reason: str) -> None:
        """Leave a host that breaks the protocol."""
        self.lost(RemoteProtocolError(f"the host sent something else than a message: {reason}"))
        self._connection.abort()

    def _attach(self, told: Told) -> None:
        """Bind the channel within the event of its values: the next message may be a change of them."""
        replica = self._replica
        try:
            offered = _contract_in(bytes(told.contract), replica.name)  # type: ignore[arg-type]
            wanted = childless(contract_of(replica.cls)) if replica.cls is not None else offered
            self._coders = {
                name: _Coders(member, offered.members[name])
                for name, member in wanted.members.items()
                if name in offered.members
            }
            values: dict[str, Any] = {}
            if not differences(wanted, offered):  # else the channel says what is different, not a value that is odd
                values = self._values_of(wanted, told.values)
            self._channel.attach(self, offered, values, build_class)
        except EverywireError as error:
            self._over = True  # what happens to this object is no news to the replica
            if isinstance(error, ModelError):
                error = RemoteProtocolError(f"the host showed {replica.name} wrongly: {error}")
            self._attached.set_exception(error)
        else:
            self._attached.set_result(None)

    def _values_of(self, wanted: Contract, raw: dict[str, Any]) -> dict[str, Any]:
        """Return the values of all properties; raise ModelError when one is missing or does not fit."""
        properties = wanted.of_kind(Kind.PROPERTY)
        if missing := [member.name for member in properties if member.name not in raw]:
            raise ModelError(f"it lacks values of {', '.join(missing)}")
        return {member.name: self._coders[member.name].value(raw[member.name]) for member in properties}

    def _take(self, told: Told) -> None:
        """Take what a host tells after its first message."""
        channel, coders = self._channel, self._coders
        try:
            if told.changed is not UNSET:
                if told.changed in coders:
                    channel.changed(told.changed, coders[told.changed].value(told.value))
            elif told.emitted is not UNSET:
                if told.emitted in coders:
                    channel.emitted(told.emitted, coders[told.emitted].arguments(told.arguments))
            elif told.answered is not UNSET:
                self._answered(told.answered, told.value)
            elif told.failed is not UNSET:
                channel.failed(told.failed, told.fault or Fault(Code.UNKNOWN))
            elif told.item is not UNSET:
                self._streams.item(told.item, told.value)
            elif told.ended is not UNSET:
                self._streams.end(told.ended, told.fault)
            elif told.gap is not UNSET:
                self._replica.missed(told.gap)
        except ModelError as error:
            log.warning("%s sent a value that does not fit: %s", self._replica.name, error)
            self._node.refusals["misfits"] += 1

    def _answered(self, token: int, raw: Any) -> None:
        member = self._channel.expected(token)
        if member is None:
            return  # nobody waits any more
        try:
            value = self._coders[member.name].result(raw) if member.result is not None else None
        except ModelError as error:
            self._channel.failed(token, Fault(Code.INTERNAL, f"the result does not fit its type: {error}"))
        else:
            self._channel.answered(token, value)


class _Coders:
    """What makes JSON of the values of one member of a replica, and values of JSON.

    The host codes by its own types. They are ours but for a variant on either side, and for the classes of structs and
    enums, whose JSON is the same.
    """

    def __init__(self, wanted: Member, offered: Member) -> None:
        self._name = wanted.name
        pairs = [(w.type, o.type) for w, o in zip(wanted.parameters, offered.parameters, strict=False)]
        self.lowers = [_lower(*pair) for pair in pairs]
        self._lifts = [_lift(*pair) for pair in pairs]
        self.result: Callable[[Any], Any] = _nothing
        if wanted.result is not None:
            self.result = _lift(wanted.result, offered.result or ANY)

    def value(self, raw: Any) -> Any:
        """Return the value of a property."""
        return self.arguments([raw])[0]

    def arguments(self, raw: list[Any]) -> tuple[Any, ...]:
        """Return the arguments of a signal."""
        if len(raw) != len(self._lifts):
            raise ModelError(f"{self._name}: {len(raw)} arguments where {len(self._lifts)} are wanted")
        try:
            return tuple([lift(value) for lift, value in zip(self._lifts, raw, strict=True)])
        except ModelError as error:
            raise type(error)(f"{self._name}: {error}") from None


def _lower(wanted: Type, offered: Type) -> Callable[[Any], Any]:
    """Return what makes JSON of a checked value; where we know less than the host does, it checks too."""
    node = offered if isinstance(wanted, AnyType) or isinstance(offered, AnyType) else wanted
    lower = compile_lower(node) or _same
    return lower if node is wanted else lambda value: lower(node.convert(value))


def _lift(wanted: Type, offered: Type) -> Callable[[Any], Any]:
    """Return what makes a checked value of JSON; an absent value is None."""
    node = offered if isinstance(wanted, AnyType) or isinstance(offered, AnyType) else wanted
    lift, convert = compile_lift(node) or _same, wanted.convert
    if node is wanted:
        return lambda raw: convert(lift(None if raw is UNSET else raw))
    own = compile_lift(wanted) or _same

    def lift_twice(raw: Any) -> Any:
        raw = None if raw is UNSET else raw
        try:
            return convert(node.convert(lift(raw)))
        except ModelError:
            return convert(own(raw))  # a text of the host's variant may be a member of our enum

    return lift_twice


def _same(value: Any) -> Any:
    return value


def _nothing(_raw: Any) -> None:
    return None


def _contract_in(data: bytes, name: str) -> Contract:
    try:
        return read_description(data)
    except ModelError as error:
        raise RemoteProtocolError(f"the host described {name} wrongly: {error}") from error
