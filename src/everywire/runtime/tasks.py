"""`TaskSet`: the tasks that a node owns. Unlike a TaskGroup, one that fails does not take its siblings along."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from contextvars import Context
from typing import Any, Final

from everywire.errors import LocalProtocolError

_EAGER: Final = sys.version_info >= (3, 12)


class TaskSet:
    """Owns tasks: nothing runs on after `aclose`."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closed = False

    def __len__(self) -> int:
        return len(self._tasks)

    @property
    def closed(self) -> bool:
        """Whether it takes no more tasks."""
        return self._closed

    def spawn(
        self, coroutine: Coroutine[Any, Any, object], *, context: Context | None = None, awaited: bool = False
    ) -> asyncio.Task[Any]:
        """Run *coroutine* as an owned task, from its first step on where Python can start tasks eagerly (3.12).

        A failure goes to the loop's exception handler, unless the task is *awaited* by who spawned it.
        """
        if self._closed:
            coroutine.close()
            raise LocalProtocolError("this node is closed: make a new one")
        task: asyncio.Task[Any]
        if _EAGER:
            task = asyncio.Task(coroutine, loop=self._loop, eager_start=True, context=context)  # type: ignore[call-arg,unused-ignore]
        else:
            task = self._loop.create_task(coroutine, context=context)
        if not task.done():
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard if awaited else self._ended)
        elif not awaited:
            self._report(task)
        return task

    def report(self, task: asyncio.Task[Any]) -> None:
        """Give a failure of *task* to the loop's exception handler: nobody awaits it, or nobody any more."""
        task.add_done_callback(self._report)

    async def aclose(self) -> None:
        """Cancel the tasks and await them; one of them may call this, and is left alone."""
        self._closed = True
        try:
            await asyncio.sleep(0)  # new ones take their first step: a task that never began cannot clean up
        except asyncio.CancelledError:
            for task in self._tasks - {asyncio.current_task()}:
                task.cancel()  # nobody may be left to do it later
            raise
        while others := self._tasks - {asyncio.current_task()}:
            for task in others:
                task.cancel()
            await asyncio.wait(others)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        self._report(task)

    def _report(self, task: asyncio.Task[Any]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._loop.call_exception_handler({"message": "a task of a node failed", "exception": error, "task": task})
