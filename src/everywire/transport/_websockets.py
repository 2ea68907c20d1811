"""WebSockets (RFC 6455) as byte streams, by the websockets library's protocol without I/O.

A `WebSocketEnd` is the receiver of a socket's bytes and the connection of another receiver, who cannot tell it from a
socket. Bytes travel in binary messages whose borders mean nothing, as Qt's examples have it; compression is never
agreed on. A listener knows its own names, and takes pages of no origin that was not allowed (see `web_names`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any, Final

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidStatus
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from everywire.errors import AddressError, LinkError
from everywire.transport.address import TLS, Address, bracketed
from everywire.transport.heartbeat import IDLE, Heartbeat
from everywire.transport.shapes import Connection, Peer, Receiver
from everywire.transport.web_names import OwnNames, host_name, listed, origin_of

LARGEST: Final = 256 * 1024
"""Bytes of the largest message that is sent, and of the smallest limit on those that are taken."""
MOST_TAKEN: Final = 4 * 1024 * 1024
"""Bytes of the largest message that is taken where the receiver has no `largest_message` of its own."""
LONGEST_REQUEST: Final = 16 * 1024
"""Bytes of an opening handshake."""
OPENING: Final = 5.0
"""Seconds that a dialer may take to ask for a WebSocket, as for a TLS handshake."""
MOST_WAITING: Final = 64
"""Dialers of one listener that have not asked for a WebSocket yet; the oldest makes room for one more."""
LAST_WORDS: Final = 1.0
"""Seconds that who closes waits for the peer's closing frame."""

_LOG: Final = logging.getLogger("everywire.transport")
_QUIET: Final = logging.getLogger("everywire.transport.websocket")
_QUIET.setLevel(logging.WARNING)  # the library's lines of debugging hold every header
_BAD_REQUEST: Final = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
_IN_ORDER: Final = frozenset({CloseCode.NORMAL_CLOSURE, CloseCode.GOING_AWAY, CloseCode.NO_STATUS_RCVD})


class WebSocketEnd:
    """What both roles share; a `Receiver` below and, from the handshake on, a `Connection` above."""

    closes_with = CloseCode.NORMAL_CLOSURE

    def __init__(self, protocol: Any, make_receiver: Callable[[], Receiver]) -> None:
        self._protocol = protocol
        self._make_receiver = make_receiver
        self._call_later: Final = asyncio.get_running_loop().call_later
        self._lower: Connection
        self._upper: Receiver | None = None
        self._open = self._closing = self._stopped = self._congested = False
        self._late_pong = b""
        self._why: LinkError | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._heart = Heartbeat(self._call_later, IDLE, ask=self._ask, dead=self._died, excused=self._excused)

    # What the socket's link calls.

    def connected(self, connection: Connection) -> None:
        """The socket is there, TLS included."""
        self._lower = connection
        self._timer = self._call_later(OPENING, connection.abort)
        self.begin()

    def received(self, data: bytes) -> None:
        """Take bytes of the socket."""
        self._take(data)
        self._flush(pongs=True)

    def _take(self, data: bytes) -> None:
        self._heart.heard = True
        protocol = self._protocol
        if self._upper is not None:
            most = max(LARGEST, getattr(self._upper, "largest_message", MOST_TAKEN))
            protocol.max_message_size = protocol.max_size = most  # the name of it in version 16, and in 15
        protocol.receive_data(data)
        for event in protocol.events_received():
            if isinstance(event, Frame):
                self._frame(event)
            else:
                self.answer(event)
        if protocol.parser_exc is not None and self._why is None:
            self._why = LinkError(f"{self.peer.transport} connection lost: {protocol.parser_exc}")
            self._open = False
            self._wait_for_end()

    def paused(self) -> None:
        """The peer does not take what it is sent."""
        self._congested = True
        if self._upper is not None and not self._closing:
            self._upper.paused()

    def resumed(self) -> None:
        """The peer takes bytes again."""
        self._congested = False
        pong, self._late_pong = self._late_pong, b""
        if pong:
            self._lower.write(pong)
        if self._upper is not None and not self._closing:
            self._upper.resumed()

    def lost(self, error: LinkError | None) -> None:
        """The socket is gone."""
        self._heart.stop()
        if self._timer is not None:
            self._timer.cancel()
        own, self._open, self._closing = self._closing, False, True
        reason = error if own else self._why or error or self._why_closed()
        if self._upper is None:
            self._protocol.receive_eof()  # an answer of HTTP may last until the end
            self.not_opened(reason)
        else:
            self._upper.lost(reason)

    # What the receiver above calls.

    @property
    def peer(self) -> Peer:
        """Who is at the other end of the socket."""
        return self._lower.peer

    @property
    def unsent(self) -> int:
        """Bytes that the kernel has not taken yet."""
        return self._lower.unsent

    def write(self, data: bytes) -> None:
        """Send *data* in binary messages."""
        if self._open:
            for start in range(0, len(data), LARGEST):
                self._protocol.send_binary(data if len(data) <= LARGEST else data[start : start + LARGEST])
            self._flush()

    def end(self) -> bool:
        """A WebSocket has no half-open state."""
        return False

    def close(self) -> None:
        """Send what is unsent and a closing frame, wait a moment for the peer's, and close."""
        if self._closing:
            return
        self._closing, self._open = True, False
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(self.closes_with)
            self._flush()
            self._lower.resume_reading()
            self._timer = self._call_later(LAST_WORDS, self._lower.close)
        else:
            self._lower.close()

    def abort(self) -> None:
        """Close at once."""
        self._closing, self._open = True, False
        self._lower.abort()

    def pause_reading(self) -> None:
        """Leave arriving bytes in the kernel."""
        self._stopped = True
        self._lower.pause_reading()

    def resume_reading(self) -> None:
        """Undo `pause_reading`."""
        self._stopped = False
        self._lower.resume_reading()

    # What a role does.

    def begin(self) -> None:
        """Begin the handshake."""

    def answer(self, event: Any) -> None:
        """Take the other end's half of the handshake."""
        raise NotImplementedError

    def not_opened(self, reason: LinkError | None) -> None:
        """The socket was lost before there was a WebSocket."""

    def opened(self) -> None:
        """The handshake is over: from now on the receiver above is in charge."""
        if self._timer is not None:
            self._timer.cancel()
        self._flush()
        self._open = self._protocol.state is State.OPEN
        self._heart.start()
        self._upper = upper = self._make_receiver()
        try:
            upper.connected(self)
        except BaseException:
            self.abort()
            raise

    def flush(self) -> None:
        """Write what the protocol has to say."""
        self._flush()

    # Private.

    def _frame(self, frame: Frame) -> None:
        if self._closing or self._upper is None:
            return
        if frame.opcode is Opcode.BINARY or frame.opcode is Opcode.CONT:
            if frame.data:
                self._upper.received(bytes(frame.data))
        elif frame.opcode is Opcode.TEXT:
            self._open = False
            self._why = LinkError(f"{self.peer.transport} connection lost: the peer sent text, not bytes")
            self._protocol.fail(CloseCode.UNSUPPORTED_DATA, "binary messages only")
            self._wait_for_end()
        elif frame.opcode is Opcode.CLOSE:
            self._open = False
            self._wait_for_end()
            ended: Callable[[], None] | None = getattr(self._upper, "ended", None)
            if ended is not None:
                ended()

    def _wait_for_end(self) -> None:
        """The server closes the socket; a client waits for that, but not for ever."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._call_later(LAST_WORDS, self._lower.close)

    def _flush(self, *, pongs: bool = False) -> None:
        parts = self._protocol.data_to_send()
        if not parts:
            return
        if pongs and self._congested and self._protocol.state is State.OPEN:
            # A peer that reads nothing could ask for pongs for ever; the newest answers all (RFC 6455 section 5.5.3).
            self._late_pong = parts[-1]
            return
        self._lower.write(b"".join(parts))
        if not parts[-1]:  # the protocol's word for the end
            self._lower.close()

    def _why_closed(self) -> LinkError | None:
        close = self._protocol.close_rcvd
        transport = self.peer.transport
        if close is None:
            return LinkError(f"{transport} connection lost: it ended without a closing frame")
        if close.code in _IN_ORDER:
            return None
        return LinkError(f"{transport} connection lost: the peer closed it with {close}")

    def _excused(self) -> bool:
        return self._stopped or not self._open or self._lower.unsent > 0

    def _ask(self) -> None:
        self._protocol.send_ping(b"")
        self._flush()

    def _died(self, seconds: float) -> None:
        self._why = LinkError(f"{self.peer.transport} connection lost: the peer said nothing for {seconds:g} s")
        self._lower.abort()


class Door:
    """Whom a listener lets in: by path, Host and Origin."""

    def __init__(self, address: Address, refused: Callable[[], None]) -> None:
        self._names = OwnNames(listed(address.settings.get("host", "")), address.host)
        self._origins = frozenset(map(origin_of, listed(address.settings.get("origin", ""))))
        self._path = address.path
        self._refused = refused
        self._waiting: dict[ListeningEnd, None] = {}  # oldest first

    def came(self, end: ListeningEnd) -> None:
        """Somebody has connected, who may never ask for anything."""
        self._waiting[end] = None
        if len(self._waiting) > MOST_WAITING:
            oldest = next(iter(self._waiting))
            self.refuse("it asked for nothing, and others wait")
            oldest.abort()
            self.left(oldest)

    def left(self, end: ListeningEnd) -> None:
        """It is let in, or gone."""
        self._waiting.pop(end, None)

    def objection(self, request: Request) -> tuple[HTTPStatus, str] | None:
        """Return what is wrong with *request*, if anything; count and log it."""
        found = self._host(request.headers.get_all("Host")) or self._origin(request.headers.get_all("Origin"))
        if found is None and request.path.partition("?")[0] != self._path:
            found = HTTPStatus.NOT_FOUND, f"there is no WebSocket at this path; it is at {self._path}"
        if found is not None:
            self.refuse(found[1])
        return found

    def refuse(self, why: str) -> None:
        """Count and log a refusal."""
        self._refused()
        _LOG.info("a WebSocket was refused: %s", why)

    def _host(self, headers: Iterable[str]) -> tuple[HTTPStatus, str] | None:
        hosts = tuple(headers)
        name = host_name(hosts[0]) if len(hosts) == 1 else None
        if name is None:
            return HTTPStatus.BAD_REQUEST, "the header Host names no host"
        if name not in self._names:
            why = f"this server is not {name}; if it is, name it: host={name} in the URL it is served on"
            return HTTPStatus.MISDIRECTED_REQUEST, why
        return None

    def _origin(self, headers: Iterable[str]) -> tuple[HTTPStatus, str] | None:
        for origin in headers:
            try:
                if origin_of(origin) in self._origins:
                    continue
            except AddressError:
                pass
            why = "pages of another origin may not use this server unless it is served with origin=… for them"
            return HTTPStatus.FORBIDDEN, why
        return None


class ListeningEnd(WebSocketEnd):
    """The listener's end."""

    closes_with = CloseCode.GOING_AWAY

    def __init__(self, make_receiver: Callable[[], Receiver], door: Door) -> None:
        super().__init__(ServerProtocol(max_size=LARGEST, logger=_QUIET), make_receiver)
        self._door = door
        self._taken = 0

    def begin(self) -> None:
        """Wait for the request."""
        self._door.came(self)

    def lost(self, error: LinkError | None) -> None:
        """The socket is gone."""
        self._door.left(self)
        super().lost(error)

    def received(self, data: bytes) -> None:
        """Take bytes; a request that is none, or too long, ends the connection."""
        if self._upper is None:
            self._taken += len(data)
            if self._taken > LONGEST_REQUEST:
                self._refuse_bytes("its request is too long")
                return
        self._take(data)
        failure = self._protocol.handshake_exc
        if self._upper is None and failure is not None and not self._protocol.accept_called:
            self._refuse_bytes(str(failure))
        self._flush(pongs=True)

    def answer(self, event: Any) -> None:
        """Accept the dialer's request, or say why not."""
        protocol = self._protocol
        objection = self._door.objection(event)
        response = protocol.accept(event) if objection is None else protocol.reject(*objection)
        if objection is None and response.status_code != HTTPStatus.SWITCHING_PROTOCOLS:
            self._door.refuse(str(protocol.handshake_exc))
        protocol.send_response(response)
        self._door.left(self)
        if protocol.state is State.OPEN:
            self.opened()
        else:
            self.flush()

    def _refuse_bytes(self, why: str) -> None:
        if not self._closing:
            self._door.refuse(why)
            self._lower.write(_BAD_REQUEST)
            self.close()


class DialingEnd(WebSocketEnd):
    """The dialer's end; `up` is done when the WebSocket is there."""

    def __init__(self, address: Address, receiver: Receiver) -> None:
        scheme = "wss" if address.transport in TLS else "ws"
        uri = parse_uri(f"{scheme}://{bracketed(address.host)}:{address.port}{address.path}")
        super().__init__(ClientProtocol(uri, max_size=LARGEST, logger=_QUIET), lambda: receiver)
        self.up: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def begin(self) -> None:
        """Ask for a WebSocket."""
        self._protocol.send_request(self._protocol.connect())
        self.flush()

    def answer(self, event: Any) -> None:
        """Take the listener's answer; its closing frame may have come in the same chunk."""
        if self._protocol.handshake_exc is None:
            self.opened()
            if not self.up.done():
                self.up.set_result(None)

    def not_opened(self, reason: LinkError | None) -> None:
        """Say why there is no WebSocket."""
        failure = self._protocol.handshake_exc
        if not self.up.done():
            self.up.set_exception(_refusal(failure) if failure is not None else reason or LinkError(_HUNG_UP))
            self.up.exception()  # counts as seen: who dialled may have given up


_HUNG_UP: Final = "the listener hung up within the WebSocket handshake"


def _refusal(failure: Exception) -> LinkError:
    if isinstance(failure, InvalidStatus):
        response: Response = failure.response
        said = bytes(response.body or b"").decode("utf-8", "replace").strip()[:200]
        if said.startswith(("{", "<")):  # a page or a document, not words for people
            said = "is this the address of a WebSocket?"
        return LinkError(f"it answered {response.status_code} {response.reason_phrase}{': ' if said else ''}{said}")
    cause: BaseException = failure
    while cause.__cause__ is not None:
        cause = cause.__cause__
    if isinstance(cause, EOFError):
        return LinkError(_HUNG_UP)
    return LinkError(f"it does not speak WebSocket: {cause}")
