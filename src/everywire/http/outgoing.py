"""`Pump`: sends what an outbox writes through an awaitable `send`, one frame after the other, and says when it stalls.

ASGI has no `write`: a server's `send` waits while its client does not read. The pump stands between an outbox, which
never waits, and that; what it holds is bounded by the outbox, which stops writing once it was told to.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Protocol

log = logging.getLogger("everywire.http")


class Paced(Protocol):
    """Who is told how the client keeps up: an inbound link, for instance."""

    def congested(self) -> None:
        """More waits than should: write no more than must be."""
        ...

    def relieved(self) -> None:
        """Most of it is sent."""
        ...

    def cut(self) -> None:
        """The client is given up; nothing more will be sent to it."""
        ...


class Pump:
    """An outbox's writer over *send*; made with ``join=tuple``, so that frames stay apart.

    *limit* is the number of waiting bytes above which *owner* is told. Somebody runs `run` as a task; when it returns,
    nothing more is sent.
    """

    def __init__(self, send: Callable[[Any], Awaitable[None]], owner: Paced, limit: int) -> None:
        self._send, self._owner, self._limit = send, owner, limit
        self._waiting: deque[Any] = deque()
        self._size = 0
        self._stalled = self._ending = self._ended = False
        self._more = asyncio.Event()

    def write(self, frames: Iterable[bytes]) -> None:
        """Take frames; dropped once the pump is ending."""
        if self._ending:
            return
        for frame in frames:
            self._waiting.append(frame)
            self._size += len(frame)
        self._more.set()
        if self._size > self._limit and not self._stalled:
            self._stalled = True
            self._owner.congested()

    def drop(self) -> None:
        """Forget what waits: the client may not have it any more."""
        self._waiting.clear()
        self._size = 0

    def end(self, last: Any) -> None:
        """Give *last* to `send` after everything that waits, and stop then."""
        if not self._ending:
            self._ending = True
            self._waiting.append(last)
            self._more.set()

    def abort(self) -> None:
        """Drop what waits, as an outbox does with a peer that is too slow."""
        self._ending = self._ended = True
        self._waiting.clear()
        self._more.set()
        self._owner.cut()

    async def run(self) -> None:
        """Send until the end, or until the client is gone."""
        try:
            while not self._ended:
                await self._send_waiting()
                if self._ending:
                    return
                self._more.clear()
                await self._more.wait()
        except Exception as error:  # noqa: BLE001  each server has its own for a client that has left
            log.debug("cannot send to a client: %r", error)
        finally:
            self._ending = True
            self._waiting.clear()

    async def _send_waiting(self) -> None:
        while self._waiting:
            frame = self._waiting.popleft()
            await self._send(frame)
            if isinstance(frame, bytes):
                self._size = max(0, self._size - len(frame))
            if self._stalled and self._size <= self._limit // 4:
                self._stalled = False
                self._owner.relieved()
