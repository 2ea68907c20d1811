"""Driving coroutines, streams and signals in a thread without a loop, by working its links."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from functools import partial
from typing import Any, TypeVar, TypeVarTuple, cast, overload

from everywire.errors import LocalProtocolError
from everywire.model import BoundSignal, Object
from everywire.model.signals import QUEUE_LIMIT
from everywire.runtime.blocking import LONGEST_WAIT, BlockingCall, PumpedReplica, needs_loop, turn, workplace
from everywire.runtime.replica import link_of

T = TypeVar("T")
R = TypeVar("R")
Ts = TypeVarTuple("Ts")


def run(coroutine: Coroutine[Any, Any, R]) -> R:
    """Run *coroutine* to its end and return its result; it may wait for calls of this thread's replicas.

    A call that `sync.run` waits for fails at its deadline, and is cancelled by Ctrl-C, after which the link still
    works. Calls that were made before are sent together. Raises Fault when the call failed, NeedsLoop when *coroutine*
    waits for something that only an event loop can do, WrongThread when the replica belongs to another thread.
    """
    driven: Any = coroutine
    if driven.__class__ is BlockingCall:
        if driven.finished and driven.failure is None:
            return driven.value  # type: ignore[no-any-return]
        return driven.result()  # type: ignore[no-any-return]
    return _drive(driven, _wait)  # type: ignore[no-any-return]


def spawn(coroutine: Coroutine[Any, Any, object]) -> None:
    """Start *coroutine*, which goes on whenever this thread is in `sync`; its failure is reported like an observer's.

    For callbacks, and for programs that must not wait: those of a user interface.
    """
    workplace.tasks.spawn(coroutine)
    for pump in workplace.pumps:
        pump.flush()


def process(timeout: float | None = 0.0) -> bool:
    """Hear what has arrived at this thread's replicas; return whether anything had.

    If nothing has, wait at most *timeout* seconds for it (None: for ever).
    """
    pumps = workplace.pumps
    if timeout is None and not pumps:
        raise LocalProtocolError("this thread has no replica to wait for: use sync.connect in it first")
    end = time.monotonic() + (LONGEST_WAIT if timeout is None else timeout)
    while True:
        left = LONGEST_WAIT if timeout is None else end - time.monotonic()
        if turn(pumps, left):
            return True
        if left <= 0:
            return False


def until(condition: Callable[[], T], timeout: float | None = None) -> T:
    """Work this thread's links until *condition*() is true, and return what it gave; TimeoutError after *timeout*.

    `sync.until(lambda: room.current > 21, timeout=60)` waits for a property.
    """
    end = time.monotonic() + (LONGEST_WAIT if timeout is None else timeout)
    while not (value := condition()):
        left = None if timeout is None else end - time.monotonic()
        if left is not None and left <= 0:
            raise TimeoutError(f"not true within {timeout:g} s")
        process(left)
    return value


@overload
def iterate(source: BoundSignal[*Ts], timeout: float | None = ...) -> Iterator[tuple[*Ts]]: ...
@overload
def iterate(source: AsyncIterator[T], timeout: float | None = ...) -> Iterator[T]: ...
def iterate(source: Any, timeout: float | None = None) -> Iterator[Any]:
    """Iterate over a stream of a replica, or over the emissions of a signal from now on, as tuples.

    Leaving the loop closes the stream at its host. TimeoutError when the next item takes longer than *timeout* seconds.
    """
    if isinstance(source, BoundSignal):
        return _Emissions(cast("BoundSignal[*tuple[Any, ...]]", source), timeout)
    return _items(source, timeout)


def descriptor(replica: Object) -> int:
    """Return the file descriptor that becomes readable when *replica* has news, for `process` to take.

    For the loop of a user interface, such as Qt's QSocketNotifier. Only a replica with `background=True` has one that
    outlives its connections; raises LocalProtocolError for another.
    """
    link = link_of(replica)
    found = getattr(link.pump, "descriptor", None) if isinstance(link, PumpedReplica) else None
    if found is None:
        raise LocalProtocolError("only a replica of sync.connect(…, background=True) has a descriptor that stays")
    return int(found)


def _wait(call: BlockingCall) -> None:
    call.loop.wait(call)


def _drive(coroutine: Any, wait: Callable[[BlockingCall], None]) -> Any:
    step: Callable[[], Any] = partial(coroutine.send, None)
    while True:
        try:
            waits_for = step()
        except StopIteration as end:
            return end.value
        except RuntimeError as error:
            if str(error) == "no running event loop":
                raise needs_loop(coroutine) from error
            raise
        step = partial(coroutine.send, None)
        if waits_for.__class__ is BlockingCall:
            try:
                wait(waits_for)
            except BaseException as error:  # noqa: BLE001  Ctrl-C too belongs to the coroutine, which may clean up
                step = partial(coroutine.throw, error)
        else:
            step = partial(coroutine.throw, needs_loop(waits_for))


def _items(stream: AsyncIterator[T], timeout: float | None) -> Iterator[T]:
    close: Any = getattr(stream, "aclose", None)
    try:
        while True:
            try:
                item = _drive(anext(stream), _waiting(timeout))
            except StopAsyncIteration:
                return
            yield item
    finally:
        if close is not None:
            run(close())


def _waiting(timeout: float | None) -> Callable[[BlockingCall], None]:
    """Return what waits for a call, and for all calls together at most *timeout* seconds."""
    if timeout is None:
        return _wait
    end = time.monotonic() + timeout

    def wait(call: BlockingCall) -> None:
        while not call.finished:
            left = end - time.monotonic()
            if left <= 0:
                call.cancel()
                raise TimeoutError(f"nothing within {timeout:g} s")
            turn((call.loop,), left)

    return wait


class _Emissions(Iterator[tuple[Any, ...]]):
    """The emissions of a signal; listens from its creation until it is forgotten."""

    def __init__(self, signal: BoundSignal[*tuple[Any, ...]], timeout: float | None) -> None:
        self._timeout = timeout
        self._waiting = waiting = deque[tuple[Any, ...]]()

        def take(*arguments: Any) -> None:
            if len(waiting) >= QUEUE_LIMIT:
                waiting.popleft()
                signal.dropped += 1
            waiting.append(arguments)

        self._disconnect = signal.attach(take)

    def __next__(self) -> tuple[Any, ...]:
        until(lambda: self._waiting, self._timeout)
        return self._waiting.popleft()

    def __del__(self) -> None:
        self._disconnect()
