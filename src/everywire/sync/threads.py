"""A thread with an event loop, for programs that have none: `LoopThread`, and the one that `sync` itself uses."""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import importlib
import os
import threading
from collections.abc import Callable, Coroutine, Generator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, contextmanager, suppress
from types import TracebackType
from typing import Any, Generic, ParamSpec, Self, TypeVar, overload

from everywire.errors import ForkedError, LocalProtocolError, NeedsLoop
from everywire.runtime.blocking import NOTICED

P = ParamSpec("P")
R = TypeVar("R")


class _Handoff(Generic[R]):
    """Hands one outcome to a thread that waits for it.

    Not a concurrent Future: Ctrl-C within the wait for one may leave its lock held for ever, because its condition is
    entered in Python, between any two steps of which the interrupt may come.
    """

    def __init__(self) -> None:
        self.ready = False
        self._value: Any = None
        self._error: BaseException | None = None
        self._lock = threading.Lock()
        self._lock.acquire()

    def set(self, value: R) -> None:
        """Hand over *value*."""
        self._value, self.ready = value, True
        self._lock.release()

    def fail(self, error: BaseException) -> None:
        """Hand over *error*."""
        self._error, self.ready = error, True
        self._lock.release()

    def wait(self) -> R:
        """Wait for the outcome; return or raise it."""
        while not (self.ready or self._lock.acquire(timeout=NOTICED)):
            pass
        if self._error is not None:
            raise self._error
        return self._value  # type: ignore[no-any-return]

    async def fill(self, coroutine: Coroutine[Any, Any, R]) -> None:
        """Hand over what becomes of *coroutine*."""
        try:
            value = await coroutine
        except BaseException as error:
            self.fail(error)
            if not isinstance(error, Exception):
                raise
        else:
            self.set(value)


class LoopThread:
    """A thread that runs an event loop, uvloop's where that is installed; a context manager.

    ```python
    with sync.LoopThread() as thread:
        page = thread.run(fetch("…"))                       # a coroutine, waited for
        with thread.enter(connect("http://…", "hall", Thermostat)) as room:
            thread.call(room.boost, 5).add_done_callback(print)  # a function, run there; gives a concurrent Future
    ```

    Leaving the block cancels what still runs, and ends the thread.
    """

    def __init__(self, name: str = "everywire loop") -> None:
        self._thread = threading.Thread(target=self._main, name=name, daemon=True)
        self._process = os.getpid()
        self._started = _Handoff[asyncio.AbstractEventLoop]()
        self._end: asyncio.Event

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def alive(self) -> bool:
        """Whether it runs, in this process."""
        return self._thread.is_alive() and os.getpid() == self._process

    def start(self) -> None:
        """Start the thread; `with` does it. Raises LocalProtocolError the second time."""
        if self._thread.ident is not None:
            raise LocalProtocolError("a LoopThread is started once; make a new one")
        self._thread.start()
        self._started.wait()
        atexit.register(self.close)  # before the interpreter takes the ground from under it

    def close(self) -> None:
        """Cancel what still runs, and end the thread; `with` does it."""
        atexit.unregister(self.close)
        if not self.alive:
            return
        self._here()  # it cannot wait for its own end
        self._started.wait().call_soon_threadsafe(self._end.set)
        self._thread.join()

    def run(self, coroutine: Coroutine[Any, Any, R]) -> R:
        """Run *coroutine* in the loop and return its result; an interrupt such as Ctrl-C cancels it."""
        try:
            loop = self._here()
        except BaseException:
            coroutine.close()
            raise
        outcome = _Handoff[R]()
        future = asyncio.run_coroutine_threadsafe(outcome.fill(coroutine), loop)
        try:
            return outcome.wait()
        except BaseException:
            if not outcome.ready:
                future.cancel()
            raise

    @overload
    def call(
        self, function: Callable[P, Coroutine[Any, Any, R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> concurrent.futures.Future[R]: ...
    @overload
    def call(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> concurrent.futures.Future[R]: ...
    def call(self, function: Callable[P, Any], /, *args: P.args, **kwargs: P.kwargs) -> concurrent.futures.Future[Any]:
        """Run *function* in the thread, and await it there if it is a coroutine function; return its future."""
        loop = self._loop()

        async def perform() -> Any:
            value = function(*args, **kwargs)
            return await value if isinstance(value, Coroutine) else value  # pyright: ignore[reportUnknownVariableType]

        return asyncio.run_coroutine_threadsafe(perform(), loop)

    @contextmanager
    def enter(self, manager: AbstractAsyncContextManager[R]) -> Generator[R]:
        """Hold an `async with` block open in the loop, for the time of a `with` block here; gives what it gives."""
        entered, ended = _Handoff[R](), _Handoff[None]()
        left = asyncio.Event()
        loop = self._here()
        task = asyncio.run_coroutine_threadsafe(ended.fill(_hold(manager, entered, left)), loop)
        try:
            yield entered.wait()
        finally:
            if not entered.ready:
                task.cancel()  # interrupted while it was being entered
            else:
                if self.alive:
                    loop.call_soon_threadsafe(left.set)
                with suppress(asyncio.CancelledError):  # the thread has ended, and so has the block
                    ended.wait()

    def _main(self) -> None:
        with asyncio.Runner(loop_factory=fast_loop()) as runner:
            runner.run(self._stay())

    async def _stay(self) -> None:
        self._end = asyncio.Event()
        self._started.set(asyncio.get_running_loop())
        await self._end.wait()

    def _loop(self) -> asyncio.AbstractEventLoop:
        if os.getpid() != self._process:
            raise ForkedError("this LoopThread belongs to the parent process: make a new one in the child")
        if not self.alive:
            raise NeedsLoop("the LoopThread is not running: use it inside 'with sync.LoopThread() as thread:'")
        return self._started.wait()

    def _here(self) -> asyncio.AbstractEventLoop:
        """Return the loop, for somebody who waits for it and so must not be it."""
        if threading.current_thread() is self._thread:
            raise LocalProtocolError("this is the LoopThread's own thread, which cannot wait for itself: await instead")
        return self._loop()


async def _hold(manager: AbstractAsyncContextManager[R], entered: _Handoff[R], left: asyncio.Event) -> None:
    try:
        async with manager as value:
            entered.set(value)
            await left.wait()
    except BaseException as error:
        if entered.ready:
            raise
        entered.fail(error)


def fast_loop() -> Callable[[], asyncio.AbstractEventLoop]:
    """Return what makes uvloop's loops, or where it is not installed the stock ones.

    Not what the policy makes: beside PySide6.QtAsyncio that is a loop without sockets.
    """
    try:
        factory: Callable[[], asyncio.AbstractEventLoop] = importlib.import_module("uvloop").new_event_loop
    except ModuleNotFoundError:
        stock: Callable[[], asyncio.AbstractEventLoop]
        stock = getattr(asyncio, "ProactorEventLoop", asyncio.SelectorEventLoop)
        return stock
    return factory


class _Shared:
    """The one thread of `background=True` and `serve`: it runs while somebody uses it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._thread: LoopThread

    @contextmanager
    def used(self) -> Generator[LoopThread]:
        with self._lock:
            if not self._users:
                self._thread = LoopThread("everywire background")
                self._thread.start()
            self._users += 1
            thread = self._thread
        try:
            yield thread
        finally:
            with self._lock:
                self._users -= 1
                if not self._users:
                    thread.close()


_shared = _Shared()


def shared_thread() -> AbstractContextManager[LoopThread]:
    """Return a context manager that gives the thread of this process."""
    return _shared.used()


def _forget() -> None:
    global _shared  # a child has none of its parent's threads
    _shared = _Shared()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
