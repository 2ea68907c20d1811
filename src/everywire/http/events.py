"""Event streams (SSE): what happens to an object, or the values of one member, until the client leaves.

The stream of an object has the messages of a WebSocket, one in each event; that of a member has bare values. A client
that reads slowly costs what its outbox may hold: newer values take the place of older ones, and dropped signals are
counted for it, in the stream of a signal by an event of the type `gap`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from everywire.http.exchange import Exchange
from everywire.http.hosting import HttpHost
from everywire.http.messages import tell
from everywire.http.outgoing import Pump
from everywire.http.wire import HttpObject, body_encoder
from everywire.model import Kind, Member
from everywire.runtime.limits import SlowPeer
from everywire.runtime.outbox import Outbox
from everywire.runtime.replica import members
from everywire.transport.shapes import CLOSE_TIMEOUT

HEARTBEAT: Final = 15.0
"""Seconds of silence after which a comment is sent: proxies close streams on which nothing moves."""

MEDIA: Final = b"text/event-stream"
BEGIN: Final = b"retry: 1000\n\n"
"""Milliseconds after which a browser comes back."""
_BEAT: Final = b":\n\n"
_END: Final = None


def joined(frames: list[bytes]) -> tuple[bytes]:
    """Return the events of several frames, which have no line breaks, as one chunk."""
    return (b"".join([b"data: %b\n\n" % frame for frame in frames]),)


class EventStream:
    """One client that listens to an object, or to one *member* of it."""

    def __init__(self, host: HttpHost, hosted: HttpObject, exchange: Exchange, member: Member | None = None) -> None:
        self._host, self._hosted, self._exchange, self._member = host, hosted, exchange, member
        self._limits = limits = host.node.limits
        self._pump = Pump(self._send, self, limits.unsent_soft)
        self.outbox = Outbox(self._pump, limits, host.turn.call_soon, self._tell_gap, join=joined)
        self._loop = asyncio.get_running_loop()
        self._gone = asyncio.Event()
        self._disconnects: list[Callable[[], None]] = []
        self._beat: asyncio.TimerHandle | None = None
        self._cutting: asyncio.TimerHandle | None = None
        self._pumping: asyncio.Task[Any] | None = None
        self._sent = False

    async def run(self) -> None:
        """Serve until the client leaves, or is left."""
        exchange, tasks = self._exchange, self._host.node.tasks
        if exchange.line is not None:
            exchange.line.patient = True
        await exchange.start(200, MEDIA, ((b"x-accel-buffering", b"no"),))
        self._pump.write((BEGIN,))
        self._attach()
        self._host.listening(self)
        watching = tasks.spawn(self._watch(), awaited=True)
        self._pumping = tasks.spawn(self._pump.run(), awaited=True)
        self._beat = self._loop.call_later(HEARTBEAT, self._heartbeat)
        try:
            await asyncio.wait((self._pumping,))
        finally:
            self._detach()
            for task in (watching, self._pumping):
                task.cancel()
            self._gone.set()

    # What the host calls.

    def recheck(self) -> None:
        """End when the caller may no longer see the object."""
        if not self._exchange.login.holds:
            self._revoke()
        elif not self._hosted.publication.policy.sees(self._exchange.caller):
            self.withdrawn(self._hosted)

    def withdrawn(self, hosted: HttpObject) -> None:
        """The object is gone: tell it, and end."""
        if hosted is self._hosted:
            if self._member is None:
                self.outbox.put(tell(withdrawn=hosted.name))
            self._finish()

    def running(self) -> list[asyncio.Task[Any]]:
        """Return nothing: a stream of events calls nobody."""
        return []

    async def close(self) -> None:
        """Send what waits, then end; a client that does not take it in time is cut."""
        self._finish()
        try:
            async with asyncio.timeout(min(CLOSE_TIMEOUT, self._limits.drain)):
                await self._gone.wait()
        except TimeoutError:
            self._pump.abort()
            await self._gone.wait()

    # What the pump calls.

    def congested(self) -> None:
        """The client does not take what it is sent; give it up when that lasts and the limits say so."""
        self.outbox.pause()
        if self._limits.slow_peer is SlowPeer.DISCONNECT and self._cutting is None:
            self._cutting = self._loop.call_later(self._limits.write_deadline, self._cut_slow_client)

    def relieved(self) -> None:
        """The client reads again."""
        if self._cutting is not None:
            self._cutting.cancel()
            self._cutting = None
        self.outbox.resume()

    def cut(self) -> None:
        """The client is given up."""
        self._detach()
        if self._exchange.line is not None:
            self._exchange.line.abort()
        if self._pumping is not None:
            self._pumping.cancel()

    # Private.

    def _attach(self) -> None:
        hosted, member = self._hosted, self._member
        sees = hosted.publication.policy.sees(self._exchange.caller)
        if self._host.hosted.get(hosted.name) is not hosted or not sees:
            self.withdrawn(hosted)  # while the head was sent
        elif member is None:
            self.outbox.put(hosted.hello())
            hosted.links[self] = None
        elif member.kind is Kind.PROPERTY:
            self._follow_property(member)
        else:
            self._follow_signal(member)

    def _follow_property(self, member: Member) -> None:
        source, body, key = self._hosted.publication.object, self._hosted.bodies[member.name], (self._hosted, member)
        self.outbox.put_change(key, body(self._hosted.value(member)))

        def tell_it(value: Any) -> None:
            self.outbox.put_change(key, body(value))

        self._disconnects.append(source._everywire.listen(member.name, tell_it, first=True))

    def _follow_signal(self, member: Member) -> None:
        bodies = [body_encoder(parameter.type) for parameter in member.parameters]

        def tell_it(*values: Any) -> None:
            parts = [body(value) for body, value in zip(bodies, values, strict=True)]
            self.outbox.put_signal(b"[" + b",".join(parts) + b"]")

        signal: Any = members(self._hosted.publication.object)[member.name]
        self._disconnects.append(signal.attach(tell_it, first=True))

    def _detach(self) -> None:
        self._hosted.links.pop(self, None)
        self._host.links.discard(self)
        while self._disconnects:
            self._disconnects.pop()()
        for timer in (self._beat, self._cutting):
            if timer is not None:
                timer.cancel()

    def _finish(self) -> None:
        self._detach()
        self.outbox.flush()
        self._pump.end(_END)

    def _revoke(self) -> None:
        """The login does not hold any more: say nothing of what waits, and end."""
        self._exchange.login.over(self._exchange.caller)
        self._detach()
        self._pump.drop()
        self._pump.end(_END)

    async def _watch(self) -> None:
        while (await self._exchange.receive())["type"] != "http.disconnect":
            pass
        self._pump.abort()

    async def _send(self, chunk: bytes | None) -> None:
        if chunk is not _END and chunk is not _BEAT and not self._exchange.login.holds:
            self._revoke()
            return
        self._sent = True
        await self._exchange.send({"type": "http.response.body", "body": chunk or b"", "more_body": chunk is not _END})

    def _heartbeat(self) -> None:
        if not self._sent and not self.outbox.congested:
            self._pump.write((_BEAT,))
        self._sent = False
        self._beat = self._loop.call_later(HEARTBEAT, self._heartbeat)

    def _tell_gap(self, signals: int) -> None:
        self._host.node.refusals["dropped_signals"] += signals
        self.outbox.put(tell(gap=signals) if self._member is None else b"%d\nevent: gap" % signals)

    def _cut_slow_client(self) -> None:
        self._cutting = None
        self._host.node.refusals["write_deadline"] += 1
        self.outbox.cut()
