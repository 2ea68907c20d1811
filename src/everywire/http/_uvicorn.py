"""uvicorn's HTTP protocol with the bounds that it lacks, and with what the connection knows of its peer.

uvicorn's own server is not used: it takes over the program's signals, polls ten times a second and binds as it likes.
Here a listener of the transport hands over accepted sockets. What the protocol itself refuses is told as a problem.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from email.utils import formatdate
from functools import partial
from typing import Any, Final

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState
from websockets.protocol import OPEN

from everywire.errors import Code
from everywire.http._websockets import BoundedSocket
from everywire.http.exchange import LOCKED, SAFETY, Line
from everywire.http.problems import MEDIA, Problem
from everywire.runtime.limits import Limits, Refusals
from everywire.transport import Peer
from everywire.transport.linking import described

log: Final = logging.getLogger("everywire.http")

KEEP_ALIVE: Final = 60
"""Seconds for which an idle connection is kept."""
MOST_PIPELINED: Final = 32
"""Requests that wait for the answer to the one before them."""

Released = Callable[[], None]


class _Quiet:
    """A logger for uvicorn: what strangers send is no news, and everything else is ours to log."""

    level: Final = logging.CRITICAL

    def error(self, text: str, *arguments: Any, **options: Any) -> None:
        log.error(text.strip(), *arguments, **options)

    exception = error

    def debug(self, text: str, *arguments: Any, **_: Any) -> None:
        log.debug(text, *arguments)

    warning = info = debug


class State(ServerState):
    """What the connections of one server share."""

    def __init__(self) -> None:
        super().__init__()
        self.lost = asyncio.Event()
        """Set whenever a connection is gone."""
        self._second = 0

    def keep_date(self) -> None:
        """Make the header of the date, once a second (RFC 9110 section 6.6.1)."""
        now = int(time.time())
        if now != self._second:
            self._second = now
            self.default_headers = [(b"date", formatdate(now, usegmt=True).encode())]


def make_config(app: Any, limits: Limits) -> Config:
    """Return the configuration that the protocols of one server share; it touches no logger."""
    config = Config(
        app,
        http=HttpProtocol,
        ws=BoundedSocket,
        ws_max_size=limits.frame,
        ws_per_message_deflate=False,
        lifespan="off",
        log_config=None,
        log_level=None,
        access_log=True,  # False would silence the one logger of every uvicorn in the process
        interface="asgi3",
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE,
    )
    config.load()
    return config


class Joined:
    """The transport of one answer: its head leaves with the first bytes of its body, in one write.

    Two cost a system call more, and wake the client twice.
    """

    __slots__ = ("_head", "_loop", "_started", "_transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._head = b""
        self._started = False

    def write(self, data: bytes) -> None:
        """Keep the head until the turn ends, or the body comes."""
        if not self._started:
            self._started, self._head = True, data
            self._loop.call_soon(self._flush)
            return
        head, self._head = self._head, b""
        self._transport.write(head + data if head else data)

    def close(self) -> None:
        """Send what is kept, then close."""
        self._flush()
        self._transport.close()

    def is_closing(self) -> bool:
        """Whether the connection ends."""
        return self._transport.is_closing()

    def _flush(self) -> None:
        head, self._head = self._head, b""
        if head and not self._transport.is_closing():
            self._transport.write(head)


class HttpProtocol(HttpToolsProtocol):
    """One connection, until it is lost or becomes a WebSocket."""

    def __init__(
        self, config: Config, state: State, *, limits: Limits, refusals: Refusals, peer: Peer, released: Released
    ) -> None:
        super().__init__(config, state, {}, asyncio.get_running_loop())
        self.logger: Any = _Quiet()
        self.access_log = False
        self._limits, self._refusals, self._released, self._state = limits, refusals, released, state
        self.peer = peer
        self._active: RequestResponseCycle | None = None
        self._in_head, self._in_body, self._begun = True, False, False
        self._head_bytes = self._surplus = 0
        """Bytes of the present head; of the present body, those that nobody gets."""
        self._refused = False
        self._patience: asyncio.TimerHandle | None = None
        self._writing: asyncio.TimerHandle | None = None
        self._unsent = 0

    # What the transport calls.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin; the first request has to come soon."""
        super().connection_made(transport)
        self.peer = described(self.peer, transport)
        self._watch_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """End; also the request before those that were pipelined has to know."""
        active, self._active = self._active, None
        super().connection_lost(exc)
        if active is not None and not active.response_complete:
            active.disconnected = True
            active.message_event.set()
        self.pipeline.clear()
        self._end_timers()
        self._released()
        self._state.lost.set()

    def data_received(self, data: bytes) -> None:
        """Take bytes, within the bounds of a head, and of what comes with a body and nobody gets."""
        if self._refused:
            return
        if not self._in_body:
            self._in_head = True  # also an empty line before it: somebody begins a request
            self._head_bytes += len(data)
        else:
            self._surplus += len(data)
        super().data_received(data)
        if self.transport.get_protocol() is not self:
            return
        if self._in_head and self._head_bytes > self._limits.frame_before_authentication:
            self._refuse_head()
        elif self._surplus > self._limits.frame:
            self._refusals["frame"] += 1
            self.transport.abort()
        self._watch_reading()

    def eof_received(self) -> bool:  # type: ignore[override]
        """Let a client that has said everything wait for its answer; one that listens has left.

        Over TLS nobody can close one direction only.
        """
        active = None if self.scheme == "https" else self._active
        if active is None or active.response_complete or _line(active).patient or self._in_body:
            return False
        active.keep_alive = False
        return True

    def pause_writing(self) -> None:
        """The client does not take its answer: see whether it takes any of it."""
        super().pause_writing()
        if self._writing is None:
            self._unsent = self.transport.get_write_buffer_size()
            self._writing = self.loop.call_later(self._limits.write_deadline, self._look_at_writing)

    def resume_writing(self) -> None:
        """The client reads."""
        super().resume_writing()
        if self._writing is not None:
            self._writing.cancel()
            self._writing = None

    # What the parser calls.

    def on_message_begin(self) -> None:
        """A request begins."""
        self._state.keep_date()
        super().on_message_begin()
        scope: Any = self.scope
        scope["extensions"] = {"everywire": Line(self.peer, self.transport.abort)}
        self._in_head, self._begun, self._head_bytes, self._surplus = True, True, 0, 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; those behind a body in chunks say nothing that anybody reads, and have no end."""
        if not self._in_body:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is complete."""
        size = len(self.url)
        for name, value in self.headers:
            size += len(name) + len(value)
        if size > self._limits.frame_before_authentication:
            self._refuse_head()
            raise ValueError("too large")
        if not self.url.startswith(b"/"):
            self._take_absolute()
        if self._active is not None and len(self.pipeline) >= MOST_PIPELINED:
            raise ValueError("too many requests at once")
        self._in_head, self._in_body = False, True
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of a body: what the application will get is bounded there."""
        super().on_body(body)
        cycle: Any = self.cycle  # None before a WebSocket
        if cycle is not None and not cycle.response_complete:
            self._surplus = max(0, self._surplus - len(body))

    def on_message_complete(self) -> None:
        """The request is complete; nothing is expected before the next one."""
        self._in_body = self._begun = False
        super().on_message_complete()

    # What uvicorn calls.

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over, unless an answer is due on it: who sends that would not hear of its end."""
        if self._active is not None:
            problem = Problem(400, "a WebSocket cannot begin before the last answer ended", Code.INVALID_ARGUMENT)
            self._refuse(problem, "protocol")
            return
        self._end_timers()
        released, self._released = self._released, _nothing
        self.ws_protocol_class = partial(  # type: ignore[assignment]
            ServedSocket, line=Line(self.peer, self.transport.abort), released=released, state=self._state
        )
        super().handle_websocket_upgrade()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no request."""
        self._refuse(Problem(400, "this is no HTTP/1.1 request", Code.INVALID_ARGUMENT), "protocol")

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._active = cycle
        cycle.transport = Joined(self.transport, self.loop)  # type: ignore[assignment]
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        """One answer is sent; the next request that waits has its turn."""
        self._active = None
        super().on_response_complete()
        if not self.transport.is_closing():
            self._watch_reading()

    def shutdown(self) -> None:
        """Close after the present answer."""
        self.pipeline.clear()
        if self._active is None:
            self.transport.close()
        else:
            self._active.keep_alive = False

    # Private.

    def _take_absolute(self) -> None:
        """A target in absolute form names the host, whatever Host says (RFC 9112 section 3.2.2)."""
        parser: Any = self.parser
        if self.url == b"*" and parser.get_method() == b"OPTIONS":  # it asks about the server
            self.url = b"/"
            return
        scheme, found, rest = self.url.partition(b"://")
        authority, slash, path = rest.partition(b"/")
        if not found or scheme.lower() not in (b"http", b"https", b"ws", b"wss") or b"?" in authority:
            raise ValueError("no target of a request")
        self.url = slash + path if slash else b"/"
        self.headers[:] = [(b"host", authority), *(header for header in self.headers if header[0] != b"host")]

    def _watch_reading(self) -> None:
        """Have patience with a head, or with a body that nobody reads, for a while only."""
        pending = self._in_head or (self._in_body and self._active is None)
        if pending and self._patience is None:
            self._patience = self.loop.call_later(self._limits.handshake, self._lose_patience)
        elif not pending and self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _lose_patience(self) -> None:
        self._patience = None
        if self.flow.read_paused or self._active is not None:
            self._watch_reading()  # it is we who do not read, or answer first
            return
        self._refusals["handshake"] += 1
        if self._in_head and self._begun:
            self._refuse(Problem(408, "the request did not come in time", Code.DEADLINE_EXCEEDED))
        else:
            self.transport.abort()

    def _look_at_writing(self) -> None:
        """Cut a client that took nothing of its answer; one that listens is bounded otherwise."""
        self._writing = None
        unsent = self.transport.get_write_buffer_size()
        patient = self._active is not None and _line(self._active).patient
        if not patient and unsent >= self._unsent:
            self._refusals["write_deadline"] += 1
            self.transport.abort()
            return
        self._unsent = unsent
        self._writing = self.loop.call_later(self._limits.write_deadline, self._look_at_writing)

    def _refuse_head(self) -> None:
        most = self._limits.frame_before_authentication
        self._refuse(Problem(431, f"the head of a request has at most {most} bytes", Code.RESOURCE_EXHAUSTED), "head")

    def _refuse(self, problem: Problem, counted: str = "") -> None:
        """Answer with *problem* and hear nothing more; a whole request before it is answered first."""
        if self._refused:
            return
        self._refused = True
        if counted:
            self._refusals[counted] += 1
        self.pipeline.clear()
        active = self._active
        if active is not None:
            if not (self._in_body and active is self.cycle) or active.response_started:
                active.keep_alive = False
                return
            active.disconnected = True  # for the application: the rest of its body will not come
            active.message_event.set()
        body = problem.body()
        headers = [
            *self.server_state.default_headers,
            (b"content-type", MEDIA),
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
            LOCKED,
            *SAFETY,
        ]
        head = b"".join([b"%b: %b\r\n" % header for header in headers])
        self.transport.write(STATUS_LINE[problem.status] + head + b"\r\n" + body)
        self.transport.close()

    def _end_timers(self) -> None:
        for timer in (self._patience, self._writing):
            if timer is not None:
                timer.cancel()
        self._patience = self._writing = None
        self._unset_keepalive_if_required()


class ServedSocket(BoundedSocket):
    """A WebSocket that knows its peer."""

    def __init__(self, *, line: Line, released: Released, state: State, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.logger: Any = _Quiet()
        self._line, self._released, self._state = line, released, state

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        super().connection_lost(exc)
        self._released()
        self._state.lost.set()

    def shutdown(self) -> None:
        """Say goodbye, unless that was said already."""
        if self.handshake_complete and self.conn.state is not OPEN:
            self.transport.close()
        else:
            super().shutdown()

    async def run_asgi(self) -> None:
        """Run the application."""
        scope: Any = self.scope
        scope["extensions"]["everywire"] = self._line
        await super().run_asgi()


def _line(cycle: RequestResponseCycle) -> Line:
    scope: Any = cycle.scope
    found: Line = scope["extensions"]["everywire"]
    return found


def _nothing() -> None:
    """The connection is another's."""
