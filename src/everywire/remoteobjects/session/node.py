"""One connection to a host of Qt Remote Objects, usable by itself, without the object model.

```python
async with open_session("local:climate") as session:
    print(session.objects)
    definition, values = await session.acquire("hall")
    print(await session.invoke("hall", 2, 10))
```
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

from everywire.errors import Code, Fault, LinkError, RemoteProtocolError
from everywire.remoteobjects.codec import (
    AddObject,
    CallKind,
    ClassDefinition,
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
    encode_packet,
)
from everywire.remoteobjects.codec.extension import HELLO, LOGIN_FIRST, MEMO, WELCOME
from everywire.remoteobjects.engine import (
    LONGEST_NAME,
    MOST_LISTED,
    Answered,
    Broken,
    Engine,
    Failed,
    Heard,
    Odd,
    Waiting,
    reply_head,
    serials,
)
from everywire.runtime.credentials import Credential, wanted
from everywire.runtime.limits import DEFAULT_LIMITS, Limits
from everywire.runtime.outbox import Outbox
from everywire.runtime.pending import PendingCall
from everywire.transport import Address, Connection, dial, parse_address
from everywire.transport.heartbeat import IDLE, Heartbeat, silent

News = Callable[[Packet], object]

_CLOSED: Final = "the host closed the connection"
_HUNG_UP: Final = "the host hung up without a word of Qt Remote Objects; another wire or TLS may be spoken there"


class NodeSession:
    """One connection to a host; a `transport.Receiver`."""

    def __init__(
        self,
        limits: Limits = DEFAULT_LIMITS,
        *,
        probe: bool = True,
        credential: Credential | None = None,
        heartbeat: float = IDLE,
    ) -> None:
        self.limits = limits
        self.objects: dict[str, ObjectInfo] = {}
        """What the host shows, by name."""
        self.extended = False
        """Whether the host is everywire too; only asked for with *probe*."""
        self.news: News | None = None
        """Called with every packet that nobody waits for: changes, signals, removals, new lists."""
        self.frames: list[bytes] = []
        self.loop = asyncio.get_running_loop()
        self.engine = Engine(host=False, max_frame=limits.frame, careful=self.careful)
        self._probe = probe
        self._credential = credential
        self._ready: asyncio.Future[None] = self.loop.create_future()
        self._gone: asyncio.Future[Exception | None] = self.loop.create_future()
        self._listed = self._probed = self._login_first = False
        self._broken: Exception | None = None
        self._types: dict[str, UserTypes] = {}
        self._inits: dict[str, asyncio.Future[InitDynamic | Init]] = {}
        self._pongs: dict[str, list[asyncio.Future[None]]] = {}
        self._calls: dict[str, tuple[dict[int, tuple[Waiting, Any]], Callable[[], int]]] = {}
        self._connection: Connection | None = None
        self._outbox: Outbox | None = None
        self._heart = Heartbeat(
            self.loop.call_later, heartbeat, ask=self._ask_alive, dead=self._dead, excused=self.may_be_silent
        )

    async def reach(self, url: str | Address) -> None:
        """Connect."""
        await dial(url, self, write_limit=self.limits.unsent_soft, timeout=self.limits.handshake)

    async def open(self, url: str | Address) -> None:
        """Connect, log in where the host demands it, and wait for its list of objects.

        Raises LinkError, RemoteProtocolError, TokenError, or Fault(UNAUTHENTICATED) when the host does not let us in.
        """
        await self.reach(url)
        try:
            async with asyncio.timeout(self.limits.handshake):
                await self._ready
                if self._login_first:
                    await self._log_in(url)
        except TimeoutError:
            await self.close()
            said = "did not finish the login" if self._login_first else "said nothing of Qt Remote Objects"
            raise LinkError(f"{url} accepted the connection but {said}") from None
        except (LinkError, RemoteProtocolError) as error:
            await self.close()
            raise type(error)(f"{url}: {error}") from error
        except BaseException:
            await self.close()
            raise
        self._heart.start()

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
    def largest_message(self) -> int:
        """Bytes that are of use at once, where the transport has messages."""
        return self.engine.max_frame + 4

    @property
    def offered(self) -> tuple[str, ...] | None:
        """The names of the host's objects; None before it has said."""
        return tuple(self.objects) if self._listed else None

    async def acquire(self, name: str, *, dynamic: bool = True) -> tuple[ClassDefinition | None, tuple[Any, ...]]:
        """Attach to the object *name*; return its class definition (None unless *dynamic*) and its values."""
        packet = await self._acquire(name, dynamic=dynamic)
        definition = packet.definition if isinstance(packet, InitDynamic) else None
        if definition is not None:
            self.learn(name, definition.user_types())
        return definition, packet.values

    def learn(self, name: str, types: UserTypes) -> None:
        """Take what is said about the types of the object *name*, in place of what was said before."""
        self._types[name] = types
        self.engine.types = dict(itertools.chain.from_iterable(types.items() for types in self._types.values()))

    def release(self, name: str) -> None:
        """Detach from the object *name*."""
        self.put(RemoveObject(name))

    def invoke(self, name: str, index: int, *arguments: Any, call: CallKind = CallKind.METHOD) -> Any:
        """Call the method *index* of the object *name*; return the pending call of its plain result."""
        if self._gone.done():
            failed = self.pending()
            failed.set_exception(Fault(Code.UNAVAILABLE, "the connection is closed", may_have_run=False))
            return failed
        if name not in self._calls:
            self._calls[name] = ({}, serials().__next__)
            self.engine.routes.setdefault(reply_head(name, self.engine.dialect), self._calls[name][0])
        waiting, next_serial = self._calls[name]
        serial, pending = next_serial(), self.pending()
        waiting[serial] = (_PLAIN, pending)
        self.put(Invoke(name, call, index, arguments, serial, -1))
        return pending

    async def ping(self, name: str = "") -> None:
        """Wait until the host has handled everything sent before, and has answered."""
        if self._gone.done():
            raise LinkError("the connection is closed")
        pong: asyncio.Future[None] = self.loop.create_future()
        self._pongs.setdefault(name, []).append(pong)
        self.put(Ping(name))
        await pong

    def send(self, frame: bytes) -> None:
        """Queue a frame."""
        if self._outbox is not None:
            self._outbox.put(frame)

    def put(self, packet: Packet) -> None:
        """Queue a packet; known is how only from the host's handshake on."""
        self.send(encode_packet(packet, self.engine.dialect))

    def flush(self) -> None:
        """Write what this turn has collected, without waiting for its end."""
        if self._outbox is not None:
            self._outbox.flush()

    def pending(self) -> PendingCall[Any]:
        """Return a new pending call."""
        return PendingCall(loop=self.loop)

    # What the transport calls.

    def connected(self, connection: Connection) -> None:
        """Begin; the host speaks first."""
        self._connection = connection
        self._outbox = outbox = Outbox(connection, self.limits, self.loop.call_soon)
        self.frames = outbox.frames

    def received(self, data: bytes) -> None:
        """Take one chunk: results to their callers, news to their replicas, in order."""
        self._heart.heard = True
        for event in self.engine.receive_data(data):
            kind = event.__class__
            if kind is Answered:
                if not event.call.done():
                    event.call.set_result(event.value)
            elif kind is Heard:
                event.route.tell(*event.arguments)
            else:
                self.other(event)

    def paused(self) -> None:
        """The host does not take what it is sent."""
        if self._outbox is not None:
            self._outbox.pause()

    def resumed(self) -> None:
        """The host takes bytes again."""
        if self._outbox is not None:
            self._outbox.resume()

    def lost(self, error: LinkError | None) -> None:
        """The connection is gone: whoever waits hears why."""
        self._heart.stop()
        self.engine.receive_eof()
        if error is None or isinstance(error.__cause__, ConnectionResetError):
            error = error if self._probed or self._listed else LinkError(_HUNG_UP)
        reason = self._broken or error or LinkError(_CLOSED)
        self.end(reason, Fault(Code.UNAVAILABLE, f"the link was lost: {reason}"))
        if not self._ready.done():
            self._ready.set_exception(reason)
        if not self._gone.done():
            self._gone.set_result(reason)

    # What the projection of objects overrides.

    def careful(self, packet: Packet) -> Any:
        """Return the event for a packet of the general path."""
        return packet

    def other(self, event: Any) -> None:
        """Handle an event that is neither a result nor news on the fast path."""
        match event:
            case Handshake() if self._probe:
                self.put(Ping(HELLO))
            case ObjectList():
                self._list(event)
            case InitDynamic() | Init() if event.name in self._inits:
                init = self._inits.pop(event.name)
                if not init.done():
                    init.set_result(event)
            case Pong():
                self._pong(event.name)
            case Failed():
                if not event.call.done():
                    event.call.set_exception(event.fault)
            case Broken():
                self._broken = event.error
                if self._connection is not None:
                    self._connection.abort()
            case Invoke() | PropertyChange() | Init() | InitDynamic() | RemoveObject():
                self._pass_on(event)
            case _:
                pass  # replies nobody waits for any more, values of unknown type

    def listed(self, names: tuple[str, ...]) -> None:
        """Take note that the host shows *names*."""

    @property
    def pinged_as(self) -> str:
        """The name that heartbeats carry: Qt's have that of a replica, and a host answers to any."""
        return ""

    def may_be_silent(self) -> bool:
        """Return whether the host has a reason to answer nothing: it does not read while too many calls run."""
        return sum(len(table) for table, _ in self._calls.values()) >= self.limits.pending_calls

    def end(self, reason: Exception, fault: Fault) -> None:
        """Fail everybody who waits."""
        del reason
        waiting: list[asyncio.Future[Any]] = [*self._inits.values(), *itertools.chain(*self._pongs.values())]
        waiting += [call for table, _ in self._calls.values() for _, call in table.values()]
        for future in waiting:
            if not future.done():
                future.set_exception(fault)

    # Private.

    def _ask_alive(self) -> None:
        pong: asyncio.Future[None] = self.loop.create_future()
        pong.add_done_callback(_seen)
        self._pongs.setdefault(self.pinged_as, []).append(pong)
        self.put(Ping(self.pinged_as))

    def _dead(self, seconds: float) -> None:
        self._broken = LinkError(silent(seconds))
        if self._connection is not None:
            self._connection.abort()

    def _pass_on(self, packet: Any) -> None:
        if isinstance(packet, RemoveObject):
            self.objects.pop(packet.name, None)
        if self.news is not None:
            self.news(packet)

    def _list(self, packet: ObjectList) -> None:
        for info in packet.entries:
            if info.name.startswith(MEMO):
                continue
            if len(info.name) + len(info.type_name or "") + len(info.signature or "") <= LONGEST_NAME:
                self.objects.setdefault(info.name, info)
        if len(self.objects) > MOST_LISTED:
            self.other(Broken(RemoteProtocolError(f"the host shows more than {MOST_LISTED} objects")))
        if self._listed:
            self._pass_on(packet)
        self._listed = True
        self.listed(tuple(info.name for info in packet.entries))
        self._check_ready()

    def _check_ready(self) -> None:
        heard = self._probed or not self._probe
        if heard and (self._listed or self._login_first) and not self._ready.done():
            self._ready.set_result(None)

    async def _log_in(self, url: str | Address) -> None:
        from everywire.remoteobjects.session.login import log_in  # it needs hashes that others do not

        if not self._credential:
            address = parse_address(url) if isinstance(url, str) else url
            raise Fault(Code.UNAUTHENTICATED, wanted(url, address, "RemoteObjects"), may_have_run=False)
        name, secret = await asyncio.to_thread(self._credential.read)
        try:
            await log_in(self, name, secret)
        except Fault as fault:
            if fault.code is Code.UNAVAILABLE and self._gone.done():
                raise self._gone.result() or fault from None
            raise Fault(fault.code, f"{url}: {fault.message}", may_have_run=False) from None
        self._login_first = False
        self._ready = self.loop.create_future()
        self._check_ready()
        if self._gone.done() and not self._ready.done():
            raise self._gone.result() or LinkError(_CLOSED)
        await self._ready

    def _pong(self, name: str) -> None:
        if name in (WELCOME, HELLO, LOGIN_FIRST) and not self._probed:
            self.extended = name != HELLO
            self._login_first = name == LOGIN_FIRST
            self._probed = True
            self._check_ready()
            return
        waiting = self._pongs.get(name)
        if waiting:
            pong = waiting.pop(0)
            if not pong.done():
                pong.set_result(None)

    async def _acquire(self, name: str, *, dynamic: bool) -> InitDynamic | Init:
        if self._gone.done():
            raise LinkError("the connection is closed")
        init = self._inits.get(name)
        if init is None:
            init = self._inits[name] = self.loop.create_future()
            self.put(AddObject(name, dynamic))
        return await asyncio.shield(init)


def _seen(pong: asyncio.Future[None]) -> None:
    """Nobody waits for the answer to a heartbeat."""
    if not pong.cancelled():
        pong.exception()


_PLAIN: Final = Waiting(lambda _data, _start, _end: Odd, lambda raw: raw, None)


@asynccontextmanager
async def open_session(
    url: str, *, token: str = "", limits: Limits = DEFAULT_LIMITS, heartbeat: float = IDLE
) -> AsyncGenerator[NodeSession, None]:
    """Connect to a host of Qt Remote Objects without the object model; with *token*, ``NAME.SECRET``, log in.

    A host that has said nothing for *heartbeat* seconds is asked whether it is there; 0 never asks.
    """
    session = NodeSession(limits, credential=Credential(token=token), heartbeat=heartbeat)
    await session.open(url)
    try:
        yield session
    finally:
        await session.close()
