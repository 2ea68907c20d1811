"""When waiting calls are given up: one timer for all of a connection, as one for each costs more than its message."""

from __future__ import annotations

import asyncio
from typing import Any


class Timeouts:
    """The calls of one connection that wait for a limited time, by serial."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: dict[int, tuple[float, asyncio.Future[Any]]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0
        """When the timer looks at the calls."""

    def add(self, serial: int, timeout: float, answer: asyncio.Future[Any]) -> None:
        """Fail *answer* with TimeoutError in *timeout* seconds, unless it is `discard`-ed or done by then."""
        due = self._loop.time() + timeout
        self._waiting[serial] = due, answer
        if self._timer is None or due < self._due:
            self._set(due)

    def discard(self, serial: int) -> None:
        """Let a call be; the timer stays, because the next call most often needs it."""
        self._waiting.pop(serial, None)

    def close(self) -> None:
        """Let all be."""
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set(self, due: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._due = due
        self._timer = self._loop.call_at(due, self._look)

    def _look(self) -> None:
        """Fail those whose time has come; come again when the next is due."""
        self._timer = None
        now = max(self._loop.time(), self._due)  # a loop may call a hair too early
        for serial, (due, answer) in tuple(self._waiting.items()):
            if due <= now:
                del self._waiting[serial]
                if not answer.done():
                    answer.set_exception(TimeoutError())
        if self._waiting:
            self._set(min(due for due, _ in self._waiting.values()))
