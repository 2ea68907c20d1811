"""Waiting for signals and properties, on top of `connect`: the only module of the model that knows asyncio."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Final, Generic, TypeVar, TypeVarTuple

if TYPE_CHECKING:
    from everywire.model.objects import Object
    from everywire.model.properties import Readable
    from everywire.model.signals import BoundSignal

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

STREAM_LIMIT: Final = 1024
"""Emissions that wait for a slow `async for`; beyond it the oldest is dropped and counted in `gap`."""


class SignalStream(AsyncIterator[tuple[*Ts]]):
    """The emissions of one signal as an async iterator of tuples.

    It listens from its creation until it is closed or forgotten. `gap` counts the emissions that were dropped because
    the reader was too slow.
    """

    def __init__(self, signal: BoundSignal[*Ts]) -> None:
        self._buffer: _Buffer[*Ts] = _Buffer(signal)
        # Only the buffer is connected: a stream whose `async for` ended by `break` is forgotten, and so disconnected.
        self._disconnect = signal.attach(self._buffer.take)

    @property
    def gap(self) -> int:
        """Emissions lost so far."""
        return self._buffer.gap

    async def __anext__(self) -> tuple[*Ts]:
        buffer = self._buffer
        while not buffer.waiting:
            buffer.ready.clear()
            await buffer.ready.wait()
        return buffer.waiting.popleft()

    async def aclose(self) -> None:
        """Stop listening."""
        self._disconnect()

    def __del__(self) -> None:
        self._disconnect()


class _Buffer(Generic[*Ts]):
    def __init__(self, signal: BoundSignal[*Ts]) -> None:
        self.gap = 0
        self.waiting: deque[tuple[*Ts]] = deque()
        self.ready = asyncio.Event()
        self._signal = signal

    def take(self, *arguments: *Ts) -> None:
        if len(self.waiting) >= STREAM_LIMIT:
            self.waiting.popleft()
            self.gap += 1
            self._signal.dropped += 1
        self.waiting.append(arguments)
        self.ready.set()


class PropertyWatch(AsyncIterator[T]):
    """The present and every newer value of one property as an async iterator; a slow reader skips to the latest."""

    def __init__(self, instance: Object, handle: Readable[T]) -> None:
        self._instance, self._handle = instance, handle
        self._news = news = asyncio.Event()
        news.set()
        self._disconnect = handle.on_change(instance, lambda _: news.set())  # holds the event, not the watch

    async def __anext__(self) -> T:
        await self._news.wait()
        self._news.clear()
        return present_value(self._instance, self._handle)

    async def aclose(self) -> None:
        """Stop watching."""
        self._disconnect()

    def __del__(self) -> None:
        disconnect = getattr(self, "_disconnect", None)  # None when connecting has failed
        if disconnect is not None:
            disconnect()


def present_value(instance: Object, handle: Readable[T]) -> T:
    """Return the value of a property, also of one whose name is no attribute."""
    values = instance._everywire.values
    value: T = values[handle.name] if handle.name in values else getattr(instance, handle.name)
    return value


async def wait_for_property(instance: Object, handle: Readable[T], condition: Callable[[T], object]) -> T:
    """Wait until *condition* is true of the value; every value is looked at, none is skipped."""
    present = present_value(instance, handle)
    if condition(present):
        return present
    met: asyncio.Future[T] = asyncio.get_running_loop().create_future()

    def look(value: T) -> None:
        try:
            if not met.done() and condition(value):
                met.set_result(value)
        except Exception as error:  # noqa: BLE001  it belongs to who waits, not to the setter
            met.set_exception(error)

    disconnect = handle.on_change(instance, look)
    try:
        return await met
    finally:
        disconnect()


def report_to_loop(error: BaseException, source: object) -> bool:
    """Give *error* to the running loop's exception handler; return False when no loop runs in this thread."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return False
    loop.call_exception_handler({"message": "an observer failed", "exception": error, "observer": source})
    return True
