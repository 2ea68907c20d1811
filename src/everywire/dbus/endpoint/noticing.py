"""What a collection tells: objects that came, or went. To callbacks, and to whoever iterates."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any, Final, Generic, TypeVar
from weakref import WeakSet

from everywire.errors import ModelError
from everywire.model.slots import is_async
from everywire.model.state import Disconnect, report, without

T = TypeVar("T")

MOST_WAITING: Final = 1024
"""Notices that wait for a slow reader; beyond, the oldest are dropped and counted."""


class Notices(Generic[T]):
    """Tells of objects by their path: `connect` a function, or iterate with ``async for path, replica in …``."""

    def __init__(self) -> None:
        self._callbacks: tuple[Callable[[str, T], object], ...] = ()
        self._streams: WeakSet[NoticeStream[T]] = WeakSet()
        self._over = False

    def connect(self, callback: Callable[[str, T], object]) -> Disconnect:
        """Call *callback*, a plain function, with path and replica; return the function that ends it."""
        if is_async(callback):
            raise ModelError("a collection calls plain functions: iterate over its notices, or start a task in one")
        self._callbacks = (*self._callbacks, callback)

        def disconnect() -> None:
            self._callbacks = without(self._callbacks, callback)

        return disconnect

    def __aiter__(self) -> NoticeStream[T]:
        stream: NoticeStream[T] = NoticeStream()
        self._streams.add(stream)
        if self._over:
            stream.end()
        return stream

    def tell(self, path: str, replica: Any) -> None:
        """Tell everybody; for the collection."""
        for callback in self._callbacks:
            try:
                callback(path, replica)
            except Exception as error:  # noqa: BLE001  an observer's failure is not the collection's
                report(error, callback)
        for stream in tuple(self._streams):
            stream.put((path, replica))

    def end(self) -> None:
        """Tell nothing more: streams end."""
        self._over, self._callbacks = True, ()
        for stream in tuple(self._streams):
            stream.end()


class NoticeStream(AsyncIterator[tuple[str, T]]):
    """Notices as they come, from when it was made; `gap` counts those that a slow reader missed."""

    def __init__(self) -> None:
        self.gap = 0
        self._waiting: deque[tuple[str, T]] = deque()
        self._ready = asyncio.Event()
        self._over = False

    def put(self, notice: tuple[str, T]) -> None:
        """Take a notice."""
        if len(self._waiting) >= MOST_WAITING:
            self._waiting.popleft()
            self.gap += 1
        self._waiting.append(notice)
        self._ready.set()

    def end(self) -> None:
        """There will be no more."""
        self._over = True
        self._ready.set()

    def __aiter__(self) -> NoticeStream[T]:
        return self

    async def __anext__(self) -> tuple[str, T]:
        while not self._waiting:
            if self._over:
                raise StopAsyncIteration
            self._ready.clear()
            await self._ready.wait()
        return self._waiting.popleft()
