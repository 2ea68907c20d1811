"""Waiting for signals and properties, on top of `connect`: the only module of the model that knows asyncio."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, TypeVarTuple

if TYPE_CHECKING:
    from everywire.model.objects import Object
    from everywire.model.properties import Readable
    from everywire.model.signals import BoundSignal

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

STREAM_LIMIT: Final = 1024
"""Emissions that wait for a slow `async for`; beyond it the oldest is dropped and counted in `gap`."""


class SignalStream(Generic[*Ts]):
    """The emissions of one signal as an async iterator of tuples.

    It listens from its creation on. `gap` counts emissions that were dropped because the reader was too slow.
    """

    def __init__(self, signal: BoundSignal[*Ts]) -> None:
        self.gap = 0
        self._waiting: deque[tuple[*Ts]] = deque()
        self._reader: asyncio.Future[None] | None = None
        self._disconnect = signal.attach(self._take)

    def __aiter__(self) -> AsyncIterator[tuple[*Ts]]:
        return self

    async def __anext__(self) -> tuple[*Ts]:
        while not self._waiting:
            self._reader = asyncio.get_running_loop().create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        return self._waiting.popleft()

    async def aclose(self) -> None:
        """Stop listening."""
        self._disconnect()

    def __del__(self) -> None:
        disconnect = getattr(self, "_disconnect", None)
        if disconnect is not None:
            disconnect()

    def _take(self, *arguments: *Ts) -> None:
        if len(self._waiting) >= STREAM_LIMIT:
            self._waiting.popleft()
            self.gap += 1
        self._waiting.append(arguments)
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)


async def watch_property(instance: Object, handle: Readable[T]) -> AsyncIterator[T]:
    """Iterate over the present and every newer value; a slow reader skips to the latest."""
    changed = asyncio.Event()
    disconnect = handle.on_change(instance, lambda _: changed.set())
    try:
        while True:
            changed.clear()
            yield getattr(instance, handle.name)
            await changed.wait()
    finally:
        disconnect()


async def wait_for_property(instance: Object, handle: Readable[T], condition: Callable[[T], object]) -> T:
    """Wait until *condition* is true of the value; every value is looked at, none is skipped."""
    present: T = getattr(instance, handle.name)
    if condition(present):
        return present
    met: asyncio.Future[T] = asyncio.get_running_loop().create_future()

    def look(value: T) -> None:
        if not met.done() and condition(value):
            met.set_result(value)

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
    context: dict[str, Any] = {"message": f"an observer failed: {source!r}", "exception": error}
    loop.call_exception_handler(context)
    return True
