"""`websockets` without I/O over the floor, so that every transport of ours will do: one request, or one WebSocket."""

from __future__ import annotations

import asyncio
import logging
from typing import Final, Protocol

import msgspec
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import OPEN
from websockets.typing import Subprotocol
from websockets.uri import WebSocketURI

from everywire.errors import Code, Fault, LinkError, RemoteProtocolError
from everywire.http.messages import GOING_AWAY, NORMAL, POLICY_VIOLATION, SUBPROTOCOL
from everywire.runtime.limits import Limits
from everywire.transport import Address, Connection, dial

_QUIET: Final = logging.getLogger("everywire.http.websocket")
_QUIET.setLevel(logging.INFO)  # its lines of debugging hold every header, so the token too

LEAVE_TIMEOUT: Final = 1.0
"""Seconds that a leaving client waits for the host to have read everything and to say goodbye."""

RESTARTING: Final = 1012
"""The code with which servers say that they are about to end (IANA's registry)."""


class Answer(msgspec.Struct, frozen=True):
    """What a host answers to a request."""

    status: int
    reason: str = ""
    media: str = ""
    body: bytes = b""


class Hears(Protocol):
    """Who is told what a WebSocket brings."""

    def heard(self, text: bytes) -> None:
        """One message."""
        ...

    def paused(self) -> None:
        """The host does not take what it is sent."""
        ...

    def resumed(self) -> None:
        """The host reads again."""
        ...

    def lost(self, reason: Exception) -> None:
        """The last call."""
        ...


class ClientConnection:
    """A `transport.Receiver` that makes one request at *address*; *url* is what the user calls it."""

    def __init__(self, url: str, address: Address, limits: Limits, listener: Hears | None = None) -> None:
        self._url, self._address, self._limits, self._listener = url, address, limits, listener
        loop = asyncio.get_running_loop()
        self._answer: asyncio.Future[Answer] = loop.create_future()
        self._lost: asyncio.Future[None] = loop.create_future()
        self._connection: Connection | None = None
        self._fragments = bytearray()
        self._problem: Exception | None = None
        self._protocol: ClientProtocol
        self._request: Request

    async def ask(self, path: str, token: str, *, upgrade: bool) -> Answer:
        """Return the answer to GET *path*; afterwards `upgraded` tells whether this is a WebSocket of ours."""
        try:
            self._prepare(path, token, upgrade=upgrade)
            return await self._ask()
        except BaseException:
            self.abort()
            raise
        finally:
            if not upgrade:
                self.abort()

    @property
    def upgraded(self) -> bool:
        """Whether messages can be sent."""
        return self._protocol.handshake_exc is None and self._protocol.subprotocol == SUBPROTOCOL

    def framed(self, message: bytes) -> bytes:
        """Return *message* as `write` takes it, alone or joined with others; nothing after the end."""
        if self._protocol.state is not OPEN:
            return b""
        self._protocol.send_text(message)
        return b"".join(self._protocol.data_to_send())

    def write(self, data: bytes) -> None:
        """Send framed messages."""
        if self._connection is not None:
            self._connection.write(data)

    def abort(self) -> None:
        """Cut the connection."""
        if self._connection is not None:
            self._connection.abort()

    async def leave(self) -> None:
        """Say goodbye and wait until the host has read everything."""
        if self._connection is None:
            return
        if self._protocol.state is OPEN:
            self._protocol.send_close(NORMAL)
            self._flush()
        try:
            async with asyncio.timeout(LEAVE_TIMEOUT):
                await asyncio.shield(self._lost)
        except TimeoutError:
            self._connection.abort()
            await asyncio.shield(self._lost)

    # What the transport calls.

    def connected(self, connection: Connection) -> None:
        """Send the request."""
        self._connection = connection
        self._protocol.send_request(self._request)
        self._flush()

    def received(self, data: bytes) -> None:
        """Take bytes."""
        self._protocol.receive_data(data)
        self._handle_events()
        self._flush()

    def paused(self) -> None:
        """The host does not take what it is sent."""
        if self._listener is not None:
            self._listener.paused()

    def resumed(self) -> None:
        """The host reads again."""
        if self._listener is not None:
            self._listener.resumed()

    def lost(self, error: LinkError | None) -> None:
        """The connection is gone."""
        if self._protocol.parser_exc is None and not self._protocol.reader.eof:
            self._protocol.receive_eof()
            self._handle_events()
        reason = self._reason(error)
        if not self._answer.done():
            if self._problem is None and (error is None or isinstance(error.__cause__, ConnectionResetError)):
                secure = "" if self._address.transport == "tls" else "want https://, or "
                reason = LinkError(f"{self._url} closed the connection unanswered; it may {secure}be of another wire")
            elif reason is error:
                reason = LinkError(f"{self._url}: {error}")
            self._answer.set_exception(reason)
            self._answer.exception()  # counts as seen: who asks may have been cancelled
        self._lost.set_result(None)
        if self._listener is not None:
            self._listener.lost(reason)

    # Private.

    def _prepare(self, path: str, token: str, *, upgrade: bool) -> None:
        address = self._address
        near = address.transport not in ("tcp", "tls")
        host, port = ("localhost", 80) if near else (address.host, address.port)
        self._protocol = ClientProtocol(
            WebSocketURI(address.transport == "tls", host, port, path, ""),
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            max_size=self._limits.frame,
            logger=_QUIET,
        )
        self._request = self._protocol.connect()
        headers = self._request.headers
        if not upgrade:
            for name in tuple(headers):
                if name.lower() != "host":
                    del headers[name]
            headers["Connection"], headers["Accept"] = "close", "application/json"
        if token:
            headers["Authorization"] = f"Bearer {token}"

    async def _ask(self) -> Answer:
        limits = self._limits
        await dial(self._address, self, write_limit=limits.unsent_soft, timeout=limits.handshake, known_as=self._url)
        try:
            async with asyncio.timeout(limits.handshake):
                return await asyncio.shield(self._answer)
        except TimeoutError:
            raise LinkError(f"{self._url} accepted the connection but did not answer") from None

    def _handle_events(self) -> None:
        for event in self._protocol.events_received():
            if isinstance(event, Response):
                if not self._answer.done():
                    media = event.headers.get("Content-Type", "")
                    self._answer.set_result(
                        Answer(event.status_code, event.reason_phrase, media, bytes(event.body or b""))
                    )
            elif isinstance(event, Frame):
                self._handle_frame(event)
        problem = self._protocol.parser_exc
        if problem is not None and self._problem is None and not isinstance(problem, EOFError):
            self._problem = RemoteProtocolError(f"the host broke the WebSocket protocol: {problem}")
        refused = self._protocol.handshake_exc
        if refused is not None and not isinstance(refused.__cause__, EOFError) and not self._answer.done():
            cause = str(refused.__cause__ or refused)
            said = "speaks HTTP/1.0, as no everywire host does" if "HTTP/1.0" in cause else "does not speak HTTP"
            error = RemoteProtocolError(f"{self._url} {said}: {cause}")
            self._answer.set_exception(error)
            self._answer.exception()

    def _handle_frame(self, frame: Frame) -> None:
        """Take one frame; pings are answered and the end is noted by the protocol itself."""
        if frame.opcode not in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT) or self._listener is None:
            return
        if frame.fin and not self._fragments:
            self._listener.heard(bytes(frame.data))
            return
        self._fragments += frame.data
        if frame.fin:
            message, self._fragments = bytes(self._fragments), bytearray()
            self._listener.heard(message)

    def _flush(self) -> None:
        """Write what the protocol has to say; its empty bytes mean that nothing more will follow."""
        if self._connection is None:
            return
        data = b"".join(self._protocol.data_to_send())
        if data:
            self._connection.write(data)
        over = (self._protocol.close_rcvd, self._protocol.parser_exc, self._protocol.handshake_exc)
        if any(end is not None for end in over):
            self._connection.close()

    def _reason(self, error: LinkError | None) -> Exception:
        if self._problem is not None:
            return self._problem
        closed = self._protocol.close_rcvd
        if closed is None:
            return error or LinkError("the host closed the connection")
        if closed.code == POLICY_VIOLATION:
            return Fault(Code.UNAUTHENTICATED, closed.reason)
        if closed.code in (NORMAL, GOING_AWAY, RESTARTING):
            return LinkError(closed.reason or "the host closed the link")
        return LinkError(f"the host cut the link: {closed.reason or closed.code}")
