"""A link on a transport of the event loop: everything on uvloop, and TLS on any loop.

It adds to asyncio's Protocol what a `Connection` promises: named errors, a bounded close, one call for a write.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import replace
from typing import Final, Protocol, cast, final

from everywire.errors import LinkError
from everywire.transport.failures import link_lost, not_taken, refused_after_handshake
from everywire.transport.shapes import CLOSE_TIMEOUT, DEFAULT_WRITE_LIMIT, Peer, Receiver
from everywire.transport.tls import subject_text, was_refused


class Write(Protocol):
    """The method of a transport that takes bytes."""

    def __call__(self, data: bytes, /) -> None: ...


@final
class LoopLink(asyncio.Protocol):
    """A `Connection` over an asyncio transport, and the protocol object which that transport drives.

    A plain Protocol, for uvloop reads into one buffer of its own anyway: a BufferedProtocol cost 2 to 3 % of a call.

    `peer` is what is known before; once the transport is up and its handshake over, the certificate is added. Until
    then the receiver hears nothing, so nothing can be sent before a TLS handshake is finished.
    """

    __slots__ = (
        "_closing",
        "_deadline",
        "_ending",
        "_failure",
        "_heard",
        "_lost",
        "_make_receiver",
        "_reading",
        "_receiver",
        "_released",
        "_tls",
        "_transport",
        "_write_limit",
        "peer",
        "write",
    )
    write: Write
    """While the connection is up the transport's own method, so that a write costs one call."""

    def __init__(
        self,
        make_receiver: Callable[[], Receiver],
        peer: Peer,
        *,
        write_limit: int = DEFAULT_WRITE_LIMIT,
        released: Callable[[], None] | None = None,
    ) -> None:
        self._make_receiver: Final = make_receiver
        self.peer = peer
        self._write_limit: Final = write_limit
        self._released: Final = released
        self._failure: LinkError | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._closing = False
        self._ending = False
        self.write = _ignore
        self._heard = False
        self._lost = False
        self._reading = True

    # -- what the loop calls ------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are Transports in all but their class, so isinstance would be wrong here.
        self._transport = cast("asyncio.Transport", transport)
        self.write = self._transport.write
        self._transport.set_write_buffer_limits(high=self._write_limit, low=self._write_limit // 4)
        self._tls: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
        if self._tls is not None:
            subject = subject_text(transport.get_extra_info("peercert"))
            self.peer = replace(self.peer, encrypted=True, subject=subject)
        self._receiver = self._make_receiver()
        try:
            self._receiver.connected(self)
        except BaseException:
            self.abort()
            raise

    def data_received(self, data: bytes) -> None:
        self._heard = True
        self._receiver.received(data)

    def eof_received(self) -> bool:
        ended: Callable[[], None] | None = getattr(self._receiver, "ended", None)
        if ended is not None:
            ended()
        if self.peer.encrypted:
            return False  # TLS closes after this whatever is answered
        if ended is None:
            self.close()
        return True

    def pause_writing(self) -> None:
        if not self._closing:
            self._receiver.paused()

    def resume_writing(self) -> None:
        if not self._closing:
            self._receiver.resumed()

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        error = self._failure
        if error is None and exc is not None:
            error = link_lost(self.peer.transport, exc)
        elif error is None and not (self._closing or self._heard) and self._tls is not None and was_refused(self._tls):
            error = refused_after_handshake()
        self._closing = self._lost = True
        self.write = _ignore
        try:
            self._receiver.lost(error)
        finally:
            if self._released is not None:
                self._released()

    # -- what the receiver calls --------------------------------------------------------------------------------------

    @property
    def unsent(self) -> int:
        """Bytes not taken yet; over TLS those not encrypted yet (what is encrypted waits in 64 KiB more at most)."""
        return 0 if self._lost else self._transport.get_write_buffer_size()

    def end(self) -> bool:
        if not self._transport.can_write_eof():
            return False
        if not self._closing and not self._ending:
            self._ending = True
            self.write = _ignore
            self._transport.write_eof()
        return True

    def close(self) -> None:
        if self._closing:
            return
        self._closing = True
        self.write = _ignore
        # asyncio's TLS transport breaks when closed twice, and an end of the peer has closed it already.
        if not self._transport.is_closing():
            self._transport.close()
        loop = asyncio.get_running_loop()
        if self.unsent:
            self._deadline = loop.call_later(CLOSE_TIMEOUT, self._give_up)
        elif self._tls is not None and not self._lost:
            self._deadline = loop.call_later(FAREWELL, self._transport.abort)  # Qt, for one, never says good-bye

    def abort(self) -> None:
        self._closing = True
        self.write = _ignore
        if not self._lost:
            self._transport.abort()

    def pause_reading(self) -> None:
        if self._reading and not self._transport.is_closing():
            self._reading = False
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        if not self._reading and not self._transport.is_closing():
            self._reading = True
            self._transport.resume_reading()

    def _give_up(self) -> None:
        self._failure = not_taken(self.peer.transport, self.unsent)
        self._transport.abort()


FAREWELL: Final = 1.0
"""Seconds that a TLS link, all of which is sent, waits for the peer to say that it has ended, too."""


def _ignore(_data: bytes, /) -> None:
    """Take what is written before the connection is up, or after `end`, `close` or loss."""
