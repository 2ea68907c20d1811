"""Streams of slots as the answer to one POST: a line of JSON for each item (NDJSON), or an event (SSE).

The next item is pulled when the client took the last one, as far as the system's buffers show that; the generator is
closed when the client leaves. A failure is the last line, ``{"$problem": …}``, or the event ``failed``: by then the
status was sent.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from everywire.errors import Code, Fault
from everywire.http.exchange import Exchange
from everywire.http.hosting import HttpHost
from everywire.http.problems import problem_of
from everywire.http.wire import HttpObject
from everywire.runtime.gate import Door

NDJSON: Final = b"application/x-ndjson"
EVENTS: Final = b"text/event-stream"


class ResultStream:
    """One stream of a slot, for one client."""

    def __init__(self, host: HttpHost, hosted: HttpObject, door: Door, exchange: Exchange) -> None:
        self._host, self._hosted, self._door, self._exchange = host, hosted, door, exchange
        self._events = exchange.accepts(EVENTS)
        self._body = hosted.bodies[door.member.name]
        self._pulling: asyncio.Task[Any] | None = None
        self._fault: Fault | None = None

    async def run(self, arguments: tuple[Any, ...]) -> None:
        """Serve the stream to its end, or until the client leaves."""
        exchange, tasks = self._exchange, self._host.node.tasks
        if exchange.line is not None:
            exchange.line.patient = True
        await exchange.start(200, EVENTS if self._events else NDJSON, ((b"x-accel-buffering", b"no"),))
        watching = tasks.spawn(self._watch(), awaited=True)
        self._pulling = tasks.spawn(self._pull(arguments), awaited=True)
        self._host.listening(self)
        try:
            await asyncio.wait((self._pulling,))
        finally:
            self._host.links.discard(self)
            watching.cancel()
            self._pulling.cancel()
        await self._finish(self._outcome(self._pulling))

    # What the host calls.

    def recheck(self) -> None:
        """End when the caller may no longer use the slot; asked as for a call, with its line in the audit trail."""
        if self._fault is not None:
            return  # it ends already
        caller, login = self._exchange.caller, self._exchange.login
        if not login.holds:
            self._end(login.over(caller))
            return
        try:
            self._host.requests.permit(caller, self._door)
        except Fault as fault:
            self._end(fault)

    def withdrawn(self, hosted: HttpObject) -> None:
        """The object is gone."""
        if hosted is self._hosted:
            self._end(_unavailable("the host withdrew it"))

    def running(self) -> list[asyncio.Task[Any]]:
        """Return nothing: a closing node does not wait for streams, which may have no end."""
        return []

    async def close(self) -> None:
        """End: the client is told why."""
        self._end(_unavailable("the host is closing"))
        if self._pulling is not None:
            await asyncio.wait((self._pulling,))

    # Private.

    async def _pull(self, arguments: tuple[Any, ...]) -> None:
        await self._host.requests.pull(self._exchange.caller, self._door, arguments, self._take)

    async def _take(self, item: Any) -> None:
        body = self._body(item)
        chunk = b"data: %b\n\n" % body if self._events else body + b"\n"
        await self._exchange.send({"type": "http.response.body", "body": chunk, "more_body": True})

    async def _watch(self) -> None:
        while (await self._exchange.receive())["type"] != "http.disconnect":
            pass
        self._end(_unavailable("the client left"))

    def _end(self, fault: Fault) -> None:
        if self._pulling is not None and not self._pulling.done() and self._fault is None:
            self._fault = fault
            self._pulling.cancel()

    def _outcome(self, pulling: asyncio.Task[Any]) -> Fault | None:
        if self._fault is not None or pulling.cancelled():
            return self._fault or _unavailable("the host is closing")
        error = pulling.exception()
        if error is None or isinstance(error, Fault):
            return error
        raise error

    async def _finish(self, fault: Fault | None) -> None:
        if fault is None:
            last = b"event: ended\ndata: null\n\n" if self._events else b""
        else:
            problem = problem_of(fault).body()
            last = b"event: failed\ndata: %b\n\n" % problem if self._events else b'{"$problem":%b}\n' % problem
        await self._exchange.send({"type": "http.response.body", "body": last, "more_body": False})


def _unavailable(why: str) -> Fault:
    return Fault(Code.UNAVAILABLE, why)
