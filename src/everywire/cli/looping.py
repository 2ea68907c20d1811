"""Runs the coroutine of a verb: on uvloop where that is installed and worth its import, with a graceful end."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import importlib
import os
import signal
import stat
import sys
import threading
from collections.abc import Callable, Coroutine, Generator
from types import FrameType
from typing import Any, Final, TypeVar

from everywire.cli.ending import CTRL_C, Ended, OutputLost, end_at_once

T = TypeVar("T")

ENDING: Final = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Ctrl-C, a request to end, and a terminal that closes."""
STUCK: Final = 0.5
"""Seconds that a write may still take when the command was told to end."""


def fast_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return what makes the fastest loop there is; None means the stock one."""
    try:
        factory: Callable[[], asyncio.AbstractEventLoop] = importlib.import_module("uvloop").new_event_loop
    except ModuleNotFoundError:
        return None
    return factory


def run(main: Coroutine[Any, Any, T], *, fast: bool = False) -> T:
    """Run *main* to its end; a signal that asks to end cancels it, and unless it minds raises Ended here.

    *fast* is for what runs long: it takes uvloop, whose import a short command would only wait for.
    """
    signals = _Signals()
    try:
        with signals.taken(), asyncio.Runner(loop_factory=fast_loop() if fast else None) as runner:
            return runner.run(signals.cancelling(main))
    except asyncio.CancelledError:
        raise Ended(signals.code or CTRL_C) from None
    finally:
        main.close()  # it never began when the signal came too early


async def until_interrupted(end: Coroutine[Any, Any, object] | None = None) -> None:
    """Wait for Ctrl-C, SIGTERM or *end*, and return, so that whatever surrounds the caller ends in order."""
    try:
        await (asyncio.Event().wait() if end is None else end)
    except asyncio.CancelledError:
        _this_task().uncancel()


@contextlib.contextmanager
def needing_a_reader() -> Generator[None]:
    """Cancel the block and raise OutputLost when the output leads into a pipe that nobody reads any more.

    Whoever prints rarely would else notice it at the next line, and `watch … | head -1` would wait for a second change.
    """
    pipe, loop, task = _pipe(), asyncio.get_running_loop(), _this_task()
    gone = False

    def end() -> None:
        nonlocal gone
        gone = True
        loop.remove_reader(pipe)
        task.cancel()

    if pipe:
        loop.add_reader(pipe, end)  # a pipe's writing end is only ever "readable" by its failure
    try:
        yield
    except asyncio.CancelledError:
        if gone and not task.uncancel():
            raise OutputLost(BrokenPipeError(errno.EPIPE, "Broken pipe")) from None
        raise
    finally:
        if pipe:
            loop.remove_reader(pipe)


def _pipe() -> int:
    """Return the descriptor of the standard output when it is a pipe, else 0."""
    try:
        descriptor = sys.stdout.fileno()
        return descriptor if stat.S_ISFIFO(os.fstat(descriptor).st_mode) else 0
    except OSError:  # captured, as in a test
        return 0


class _Signals:
    """The signals that end a run: see the text of `ending`."""

    def __init__(self) -> None:
        self.code = 0
        """The exit code for the first one; 0 while there was none."""
        self._task: asyncio.Task[Any] | None = None

    @contextlib.contextmanager
    def taken(self) -> Generator[None]:
        """Handle them for the time of the block; those that are ignored stay so."""
        here = threading.current_thread() is threading.main_thread()
        former = {number: signal.getsignal(number) for number in ENDING if here}
        former = {number: handler for number, handler in former.items() if handler not in (signal.SIG_IGN, None)}
        for number in former:
            signal.signal(number, self._arrived)
        try:
            yield
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)

    async def cancelling(self, main: Coroutine[Any, Any, T]) -> T:
        """Await *main*, which the first signal cancels."""
        self._task = _this_task()
        if self.code:
            self._task.cancel()
        return await main

    def _arrived(self, number: int, _: FrameType | None) -> None:
        if self.code:
            end_at_once(self.code)
        self.code = 128 + number
        if self._task is not None and not self._task.done():
            loop = self._task.get_loop()
            self._task.cancel()
            loop.call_soon_threadsafe(lambda: None)  # wakes it
        if _is_writing():  # a reader that has stopped must not keep us
            signal.signal(signal.SIGALRM, self._end_if_stuck)
            signal.setitimer(signal.ITIMER_REAL, STUCK)

    def _end_if_stuck(self, *_: object) -> None:
        if _is_writing():
            end_at_once(self.code)


def _is_writing() -> bool:
    return bool(getattr(sys.stdout, "writing", False))


def _this_task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task is not None
    return task
