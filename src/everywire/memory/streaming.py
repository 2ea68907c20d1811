"""Streams of the memory wire: the reader pulls each item, so nothing has to wait anywhere. Opens and closes no link."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

from everywire.model import Caller
from everywire.runtime.gate import CurrentCall, Door, current_link, fault_of
from everywire.runtime.tasks import TaskSet


class PulledStream(AsyncIterator[Any]):
    """What calling a stream of a replica returns.

    Each item is made in a task of the host's node, so that the end of the link can interrupt a generator that waits.
    """

    def __init__(self, tasks: TaskSet, caller: Caller, door: Door, arguments: tuple[Any, ...]) -> None:
        self._tasks, self._door = tasks, door
        self._loop = asyncio.get_running_loop()
        self._call = CurrentCall(caller, door.name, door.member)
        self._generator: Any = door.method(*arguments)
        self._step: asyncio.Task[Any] | None = None
        self._end: BaseException | None = None

    def __aiter__(self) -> PulledStream:
        return self

    async def __anext__(self) -> Any:
        if self._end is not None:
            raise self._end
        self._step = step = self._tasks.spawn(self._advance(), awaited=True)
        try:
            return await step
        except BaseException as error:
            if self._end is None:
                self._end = StopAsyncIteration() if isinstance(error, asyncio.CancelledError) else error
            elif step.cancelled():
                raise self._end from None
            raise
        finally:
            self._step = None

    async def aclose(self) -> None:
        """End the generator; no more items are wanted."""
        await self.finish(StopAsyncIteration())

    async def finish(self, reason: BaseException) -> None:
        """End the generator; whoever asks for an item from now on gets *reason*."""
        if self._end is None:
            self._end = reason
        if self._step is not None:
            self._step.cancel()
            await asyncio.wait((self._step,))
        await self._generator.aclose()

    def __del__(self) -> None:
        if self._end is None:
            with suppress(RuntimeError):  # the loop is closed
                # Later and in the loop's thread: garbage is collected in any thread, in the midst of anything.
                self._loop.call_soon_threadsafe(_end_forgotten, self._tasks, self._generator)

    async def _advance(self) -> Any:
        current_link.set(self._call)
        node = self._door.member.result
        try:
            item = await anext(self._generator)
            return item if node is None else node.convert(item)
        except StopAsyncIteration:
            raise
        except Exception as error:  # noqa: BLE001  the slot's failure is the reader's answer
            await self._generator.aclose()
            raise fault_of(error, self._door) from None


def _end_forgotten(tasks: TaskSet, generator: Any) -> None:
    if not tasks.closed:
        tasks.spawn(generator.aclose())
