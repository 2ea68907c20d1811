"""uvicorn's WebSocket protocol with the bounds that it lacks: what a hostile peer could make it keep or answer.

uvicorn has three implementations. This one pauses its transport while the application is busy, and its `send` waits
while the peer does not read, which is what everything above relies on.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final

from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode, Frame

from everywire.transport.shapes import CLOSE_TIMEOUT

log: Final = logging.getLogger("everywire.http")

MOST_FRAGMENTS: Final = 1024
"""Frames of one message: a fragment of one byte costs its sender seven, and us fifty."""

_BAD_REQUEST: Final = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class BoundedSocket(WebSocketsSansIOProtocol):
    """One WebSocket on the server's side, between transport and application."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.conn.debug = False  # its lines of debugging hold every header, so tokens too

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        once: Any = _ClosedOnce(transport)
        super().connection_made(once)

    def data_received(self, data: bytes) -> None:
        """Take bytes; a request that is none, or anything else that was not foreseen, ends the connection."""
        try:
            super().data_received(data)
        except Exception as error:  # noqa: BLE001  a stranger's bytes must not reach the loop's exception handler
            log.warning("a WebSocket could not be read: %r", error)
            self.transport.abort()
            return
        if not self.handshake_initiated and self.conn.handshake_exc is not None:
            log.info("a WebSocket's request was refused: %s", self.conn.handshake_exc)
            self.handshake_initiated = True
            self.transport.write(_BAD_REQUEST)
            self.transport.close()

    def pause_writing(self) -> None:
        """Stop reading too: pings are answered, and a peer that never reads could send them for ever."""
        super().pause_writing()
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        """Read on, unless the application is behind."""
        super().resume_writing()
        if not self.read_paused:
            self.transport.resume_reading()

    def keepalive_timeout(self) -> None:
        """Cut a peer that does not answer pings; its answer cannot be seen while we do not read."""
        if self.read_paused or not self.writable.is_set():
            self.pong_timer = None
            self.schedule_ping()
            return
        super().keepalive_timeout()

    async def send(self, message: Any) -> None:
        """Send; a refusal completes the handshake, of which uvicorn would say that it is not."""
        if message["type"] == "websocket.send" and self.transport.is_closing():
            raise ClientDisconnected  # uvicorn hears of it with a later turn of the loop, and would write on till then
        await super().send(message)
        if self.initial_response is not None and self.close_sent:
            self.handshake_complete = True

    async def receive(self) -> Any:
        """Return the next message, and read on when it was the last one and the peer reads as well."""
        message: Any = await self.queue.get()
        if self.read_paused and self.queue.empty():
            self.read_paused = False
            if self.writable.is_set():
                self.transport.resume_reading()
        return message

    def handle_cont(self, event: Frame) -> None:
        """Take a fragment."""
        if self.close_sent:
            return
        if len(self.frames) >= MOST_FRAGMENTS:
            self.conn.fail(CloseCode.MESSAGE_TOO_BIG, f"more than {MOST_FRAGMENTS} fragments")
            self.handle_parser_exception()
            return
        super().handle_cont(event)

    def on_task_complete(self, task: asyncio.Task[None]) -> None:
        """The application has left: a peer that does not take the rest is cut."""
        super().on_task_complete(task)
        if not self.disconnected and self.transport.get_write_buffer_size():
            self.loop.call_later(CLOSE_TIMEOUT, self.transport.abort)


class _ClosedOnce:
    """A transport that is closed once only: asyncio's TLS is broken afterwards, and cannot even be aborted."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self._closed = False
        self.write = transport.write

    def close(self) -> None:
        """Close."""
        if not self._closed:
            self._closed = True
            self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
