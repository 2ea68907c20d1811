"""What tests share: running coroutines on a checked loop, counts for soak, the network guard. No fixtures."""

from __future__ import annotations

import asyncio
import concurrent.futures
import ctypes
import gc
import importlib
import ipaddress
import os
import socket
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, TypeVar

import pytest

T = TypeVar("T")
LoopFactory = Callable[[], asyncio.AbstractEventLoop]
LoopReports = list[dict[str, Any]]
"""Contexts given to the loop's exception handler; see `asyncio.loop.call_exception_handler`."""

SOAK: Final = os.environ.get("EVERYWIRE_SOAK", "") not in ("", "0")
"""Whether this is `make soak`: full counts instead of small ones."""


def soak(small: int, full: int) -> int:
    """How often to do a thing: `small` in `make test`, `full` in `make soak`."""
    return full if SOAK else small


KINDS: Final = ("asyncio", "uvloop", "qasync", "qtasyncio")
"""The loops of the standard library and of libuv, Qt's loop by qasync, and a loop in a thread beside Qt's own."""


def loop_factory(kind: str) -> LoopFactory:
    """What makes a loop of one of `KINDS`; beside QtAsyncio's loop runs a stock one."""
    if kind == "asyncio":
        return asyncio.new_event_loop
    if kind == "qtasyncio":
        return asyncio.SelectorEventLoop  # while it runs, QtAsyncio is the policy of every thread
    if kind == "uvloop":
        factory: LoopFactory = importlib.import_module("uvloop").new_event_loop
        return factory
    if kind == "qasync":
        return qt_loop
    raise ValueError(f"no loop of kind {kind!r}; there are {', '.join(KINDS)}")


def qt_application() -> Any:
    """The one QApplication of this process, without a screen."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    keep_shared_objects()
    widgets: Any = importlib.import_module("PySide6.QtWidgets")
    return widgets.QApplication.instance() or widgets.QApplication([])


@lru_cache(1)
def keep_shared_objects() -> None:
    """Outlive PySide6 6.12, which gives back a reference to None too many with each call of a void function.

    It aborts when none is left. From Python 3.12 on these objects are immortal; here they become nearly so.
    """
    if sys.version_info < (3, 12):
        for shared in (None, True, False):
            ctypes.c_ssize_t.from_address(id(shared)).value += 1 << 40


def qt_loop() -> asyncio.AbstractEventLoop:
    """A fresh asyncio loop that Qt turns, by qasync."""
    application = qt_application()
    loop: asyncio.AbstractEventLoop = importlib.import_module("qasync").QEventLoop(application)
    return loop


def beside_qt(main: Callable[[], T]) -> T:
    """Run *main* in a thread while PySide6.QtAsyncio, which has no sockets, turns Qt's loop here and waits for it."""
    qt_application()
    qt: Any = importlib.import_module("PySide6.QtAsyncio")
    with concurrent.futures.ThreadPoolExecutor(1) as thread:

        async def wait() -> T:
            return await asyncio.wrap_future(thread.submit(main))

        result: T = qt.run(wait(), keep_running=False)
    gc.collect()  # here: what is Qt's and garbage would else be collected in some other thread, which ends the process
    return result


def run(
    function: Callable[..., Awaitable[T]],
    *args: object,
    kind: str = "asyncio",
    reports: LoopReports | None = None,
    limit: float | None = 18.0,
) -> T:
    """Run `function(*args)` on a fresh loop; fail if it leaves a task behind or the loop reported an exception.

    `limit` in seconds ends a test that waits for ever; an idle uvloop does not see the alarm of pytest-timeout.

    Async tests run this way by themselves; a synchronous test calls it, for instance under Hypothesis.
    What the caller takes out of `reports` is forgiven.
    """
    reports = [] if reports is None else reports

    async def checked() -> T:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: reports.append(context))
        try:
            async with asyncio.timeout(limit):
                result = await function(*args)
        except BaseException as error:
            for problem in _left_behind():
                error.add_note(problem)
            raise
        problems = _left_behind()
        if problems:
            pytest.fail("\n".join(problems))
        return result

    def run_it() -> T:
        with asyncio.Runner(debug=False, loop_factory=loop_factory(kind)) as runner:
            result = runner.run(checked())
            gc.collect(1)  # a task whose exception nobody fetched reports when it is collected
            return result

    result = beside_qt(run_it) if kind == "qtasyncio" else run_it()
    if reports:
        pytest.fail("the loop's exception handler was called:\n" + "\n".join(map(_told, reports)))
    return result


def _left_behind() -> list[str]:
    current = asyncio.current_task()
    tasks = [task for task in asyncio.all_tasks() if task is not current and not task.done()]
    return [f"left pending at the end of the test: {task!r}" for task in tasks]


def _told(context: dict[str, Any]) -> str:
    return f"  {context.get('message')}: {context.get('exception')!r}"


class LoopbackOnly:
    """Takes the place of `socket.connect` and refuses every peer but loopback and Unix sockets in temporary folders.

    uvloop connects in C and is not seen; the same test on the stock loop is.
    """

    def __init__(self, connect: Callable[..., Any]) -> None:
        self._connect = connect
        self._folders = [Path(tempfile.gettempdir()).resolve()]
        if "PYTEST_DEBUG_TEMPROOT" in os.environ:
            self._folders.append(Path(os.environ["PYTEST_DEBUG_TEMPROOT"]).resolve())

    def __get__(self, sock: socket.socket | None, owner: type | None = None) -> Callable[..., Any]:
        def connect(address: Any) -> Any:
            assert sock is not None
            if not self.allows(sock.family, address):
                pytest.fail(f"a test may reach only loopback and temporary folders, not {address!r}")
            return self._connect(sock, address)

        return connect

    def allows(self, family: int, address: Any) -> bool:
        """Whether a test may connect to `address`."""
        if family == socket.AF_UNIX:
            name = os.fsdecode(address)
            if not name or name.startswith("\0"):
                return True
            path = Path(name).resolve()
            return any(path.is_relative_to(folder) for folder in self._folders)
        if family in (socket.AF_INET, socket.AF_INET6):
            host = address[0]
            try:
                return host in ("", "localhost") or ipaddress.ip_address(host).is_loopback
            except ValueError:
                return False
        return False


@contextmanager
def unmeasured() -> Iterator[None]:
    """Run a block whose cost is bounded without the tracer of coverage, which would be most of that cost."""
    tracer = sys.gettrace()
    sys.settrace(None)
    try:
        yield
    finally:
        sys.settrace(tracer)
