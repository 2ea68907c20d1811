"""The host's end of a WebSocket: one object, its changes and signals out, the calls of one replica in, over ASGI."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final, Protocol

from msgspec import UNSET

from everywire.errors import Fault
from everywire.http.messages import (
    GOING_AWAY,
    NORMAL,
    POLICY_VIOLATION,
    SUBPROTOCOL,
    UNSUPPORTED_DATA,
    Asked,
    Broken,
    tell,
    tell_broken_off,
    tell_fault,
)
from everywire.http.outgoing import Pump
from everywire.http.wire import HttpObject, Refused
from everywire.model import Caller
from everywire.runtime.gate import Door, Invoked
from everywire.runtime.inbound import InboundLink
from everywire.runtime.node import Node
from everywire.runtime.outbox import Outbox, Turn
from everywire.runtime.streaming import OutgoingStreams
from everywire.runtime.tokens import Login

log: Final = logging.getLogger("everywire.http")

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

LAST_WORDS: Final = 2.0
"""Seconds that a closing host gives a peer to take what waits for it."""
CLOSING: Final = "the host closes"
LONGEST_REASON: Final = 123
"""Bytes of the reason in a closing frame (RFC 6455 section 5.5)."""


class SocketServer(Protocol):
    """What a WebSocket needs of the server that it came to."""

    @property
    def node(self) -> Node:
        """The node whose objects are served."""
        ...

    @property
    def hosted(self) -> dict[str, HttpObject]:
        """The objects by name."""
        ...

    @property
    def closing(self) -> bool:
        """Whether it takes nobody any more."""
        ...

    @property
    def turn(self) -> Turn:
        """The turn that all its links share."""
        ...

    @property
    def links(self) -> set[Any]:
        """Everything that listens."""
        ...

    def listening(self, link: Any) -> None:
        """Remember *link*."""
        ...


async def serve_socket(
    server: SocketServer,
    hosted: HttpObject,
    caller: Caller,
    login: Login,
    scope: Message,
    receive: Receive,
    send: Send,
) -> None:
    """Serve *hosted* to one WebSocket that was admitted as *caller* by *login*, until it ends."""
    await receive()  # websocket.connect
    offered = SUBPROTOCOL in scope.get("subprotocols", ())
    await send({"type": "websocket.accept", "subprotocol": SUBPROTOCOL if offered else None})
    if server.closing:  # meanwhile
        await send({"type": "websocket.close", "code": GOING_AWAY, "reason": CLOSING})
        return
    extensions: dict[str, Any] = scope.get("extensions") or {}
    abort = getattr(extensions.get("everywire"), "abort", None)
    await HostSocket(server, hosted, caller, login, send, abort=abort).run(receive)


class HostSocket:
    """One WebSocket of a host, from its acceptance to its end; *abort*, where there is one, cuts its connection."""

    def __init__(
        self,
        server: SocketServer,
        hosted: HttpObject,
        caller: Caller,
        login: Login,
        send: Send,
        *,
        abort: Callable[[], None] | None = None,
    ) -> None:
        self._server, self._hosted, self._send, self._abort = server, hosted, send, abort
        self._reading = asyncio.Event()
        self._reading.set()
        self._gone = asyncio.Event()
        self._ending = self._is_cut = self._is_revoked = False
        self._task: asyncio.Task[Any] | None = None
        self._login = login
        self._pump = Pump(self._send_frame, self, server.node.limits.unsent_soft)
        self._link = SocketLink(self, server, hosted, caller, self._pump, self._reading)

    async def run(self, receive: Receive) -> None:
        """Serve until the peer leaves, or is left."""
        self._task = asyncio.current_task()
        pumping = self._server.node.tasks.spawn(self._pump.run(), awaited=True)
        pumping.add_done_callback(self._pumped)
        self._server.listening(self)
        try:
            self._attach()
            await self._read(receive)
        except asyncio.CancelledError:
            if not self._is_cut or self._task is None:
                raise
            self._task.uncancel()
        finally:
            self._ending, self._task = True, None
            self._hosted.links.pop(self._link, None)
            self._server.links.discard(self)
            self._link.close()
            pumping.cancel()
            await asyncio.wait((pumping,))
            self._gone.set()

    # What the server calls.

    def recheck(self) -> None:
        """Leave when the caller may no longer see the object."""
        self._link.recheck()
        if not self._login.holds:
            self._revoke(())
        elif not self._sees():
            self.withdrawn(self._hosted)

    def withdrawn(self, hosted: HttpObject) -> None:
        """The object is gone: tell it, and leave."""
        if hosted is self._hosted and not self._ending:
            self._link.forget(hosted.doors.values())
            hosted.links.pop(self._link, None)
            self._link.streams.withdrawn(hosted.name)
            self._link.outbox.put(tell(withdrawn=hosted.name))
            self.end(NORMAL, f"the host withdrew {hosted.name}")

    def running(self) -> list[asyncio.Task[Any]]:
        """Return the tasks of slots that run for it."""
        return self._link.running()

    async def close(self) -> None:
        """Send what waits, then leave; a peer that does not take it in time is cut."""
        self.end(GOING_AWAY, CLOSING)
        try:
            async with asyncio.timeout(LAST_WORDS):
                await self._gone.wait()
        except TimeoutError:
            self._pump.abort()
            await self._gone.wait()

    # What the link and the pump call.

    def end(self, code: int, reason: str) -> None:
        """Send what waits, then leave with *code*."""
        if not self._ending:
            self._ending = True
            self._link.outbox.flush()
            cut = reason.encode()[:LONGEST_REASON].decode(errors="ignore")
            self._pump.end({"type": "websocket.close", "code": code, "reason": cut})

    def congested(self) -> None:
        """The peer does not take what it is sent."""
        self._link.congested()

    def relieved(self) -> None:
        """The peer reads again."""
        self._link.relieved()
        self._link.streams.wake()

    def cut(self) -> None:
        """The peer is given up."""
        if self._task is not None:
            self._is_cut = True
            self._task.cancel()
            if self._abort is not None:
                self._abort()

    # Private.

    def _pumped(self, _: object) -> None:
        """Nothing is sent any more: the peer is gone, which nobody hears while it is not read."""
        if self._task is not None and not self._ending:
            self._is_cut = True
            self._task.cancel()

    def _attach(self) -> None:
        hosted = self._hosted
        if self._server.hosted.get(hosted.name) is not hosted or not self._sees():
            self.withdrawn(hosted)  # while the WebSocket was accepted
            return
        self._link.outbox.put(hosted.hello())
        hosted.links[self._link] = None

    async def _read(self, receive: Receive) -> None:
        while True:
            await self._reading.wait()
            message = await receive()
            if message["type"] == "websocket.disconnect":
                return
            if self._ending:
                continue  # it has not heard yet that we leave
            text = message.get("text")
            event = Broken(UNSUPPORTED_DATA, "a message is text") if text is None else self._hosted.event_of(text)
            if self._login.holds:
                self._link.receive([event])
            else:
                self._revoke((event,))

    def _revoke(self, unanswered: tuple[Any, ...]) -> None:
        """The login does not hold any more: say so to whoever waits for an answer, and leave."""
        if self._ending:
            return
        fault = self._login.over(self._link.caller)
        self._is_revoked = True
        self._hosted.links.pop(self._link, None)
        self._link.outbox.flush()
        self._pump.drop()
        for event in (*self._link.unanswered(), *unanswered):
            if isinstance(event, (Invoked, Refused)):
                self._link.outbox.put(tell_fault(event.token, fault))
        self._link.streams.fail(fault)
        self.end(POLICY_VIOLATION, fault.message)

    def _sees(self) -> bool:
        return self._hosted.publication.policy.sees(self._link.caller)

    async def _send_frame(self, frame: Any) -> None:
        if not isinstance(frame, bytes):
            await self._send(frame)
        elif self._is_revoked or self._login.holds:
            await self._send({"type": "websocket.send", "text": frame.decode()})
        else:
            self._revoke(())


class SocketLink(InboundLink):
    """The half of a WebSocket on which calls arrive."""

    def __init__(
        self,
        socket: HostSocket,
        server: SocketServer,
        hosted: HttpObject,
        caller: Caller,
        pump: Pump,
        reading: asyncio.Event,
    ) -> None:
        self._socket, self._hosted, node = socket, hosted, server.node
        super().__init__(
            caller=caller,
            limits=node.limits,
            tasks=node.tasks,
            outbox=Outbox(pump, node.limits, server.turn.call_soon, self._tell_gap, join=tuple),
            pause_reading=reading.clear,
            resume_reading=reading.set,
            refusals=node.refusals,
        )
        self.streams = OutgoingStreams(self, self)

    def unanswered(self) -> tuple[Any, ...]:
        """Return the events that wait for their turn, and forget them."""
        waiting, self._backlog = self._backlog, []
        return tuple(waiting)

    # What the gate calls.

    def refused(self, door: Door, token: Any, fault: Fault) -> None:
        """Answer a call, or end a stream, with *fault*."""
        self.refusals[fault.code.name] += 1
        if door.member.stream:
            self.streams.failed(token, fault)
        else:
            self.outbox.put(tell_fault(token, fault))

    def other(self, event: Any) -> None:
        """Handle what is not a call."""
        match event:
            case Refused():
                self._refuse(event.token, event.fault)
            case Asked():
                self._asked(event)
            case Broken():
                log.warning("%s broke the protocol: %s", self.caller, event.reason)
                self.refusals["protocol"] += 1
                self._socket.end(event.code, event.reason)
            case _:
                raise TypeError(event)

    # What streams call.

    def tell_item(self, door: Door, number: int, item: Any) -> None:
        """Send an item of a stream."""
        self.outbox.put(self._hosted.item_frame(number, door.member, item))

    def tell_failed(self, number: int, fault: Fault) -> None:
        """Send that a stream ended with *fault*."""
        self.outbox.put(tell_broken_off(number, fault))

    def tell_ended(self, number: int) -> None:
        """Send that a stream has no more items."""
        self.outbox.put(tell(ended=number))

    # Private.

    def _asked(self, asked: Asked) -> None:
        if asked.cancel is not UNSET:
            self.cancel(self._hosted.name, asked.cancel)
        elif asked.open is not UNSET:
            self._open(asked.open, asked)
        elif asked.grant is not UNSET:
            self.streams.grant(asked.grant, asked.items)
        elif asked.close is not UNSET:
            self.streams.stop(asked.close)

    def _open(self, number: int, asked: Asked) -> None:
        arguments: Any = asked.arguments
        try:
            self.streams.open(self._hosted.stream(asked.slot), arguments, number)
        except Fault as fault:
            self.refusals[fault.code.name] += 1
            self.tell_failed(number, fault)

    def _refuse(self, number: int, fault: Fault) -> None:
        self.refusals[fault.code.name] += 1
        self.outbox.put(tell_fault(number, fault))

    def _tell_gap(self, signals: int) -> None:
        self.refusals["dropped_signals"] += signals
        self.outbox.put(tell(gap=signals))
