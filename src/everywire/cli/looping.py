"""Runs the coroutine of a verb: on uvloop where that is installed and worth its import, with a graceful end."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import signal
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def fast_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return what makes the fastest loop there is; None means the stock one."""
    try:
        factory: Callable[[], asyncio.AbstractEventLoop] = importlib.import_module("uvloop").new_event_loop
    except ModuleNotFoundError:
        return None
    return factory


def run(main: Coroutine[Any, Any, T], *, fast: bool = False) -> T:
    """Run *main* to its end; Ctrl-C and SIGTERM cancel it, and unless it minds raise KeyboardInterrupt here.

    *fast* is for what runs long: it takes uvloop, whose import a short command would only wait for.
    """
    with asyncio.Runner(loop_factory=fast_loop() if fast else None) as runner:
        try:
            return runner.run(_cancelled_by_sigterm(main))
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None


async def until_interrupted() -> None:
    """Wait for Ctrl-C or SIGTERM and return, so that whatever surrounds the caller ends in order."""
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        _this_task().uncancel()


async def _cancelled_by_sigterm(main: Coroutine[Any, Any, T]) -> T:
    with contextlib.suppress(NotImplementedError):  # the loops of Windows know no signals
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, _this_task().cancel)
    return await main


def _this_task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task is not None
    return task
