"""What a thread without an event loop has instead: calls that wait by pumping their link, and tasks driven beside it.

A `Pump` is one replica's way to its source. Its thread works it: while a call waits, before a property is read, and in
`process`. So callbacks run in that thread and nowhere else. Nothing in here knows asyncio.
"""

from __future__ import annotations

import os
import selectors
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Generator, Iterable
from contextlib import suppress
from threading import get_ident
from types import TracebackType
from typing import Any, Final, NamedTuple, NoReturn, Protocol

import msgspec

from everywire.errors import Code, Fault, NeedsLoop, WrongThread
from everywire.model import Object
from everywire.model.state import report
from everywire.runtime.replica import LINKS, ReplicaLink, ReplicaProperty, replica_class

LONGEST_WAIT: Final = 3600.0
"""Seconds for which nobody needs to look again."""
NOTICED: Final = 1.0
"""Longest wait within the kernel: a signal that comes just before one is noticed by Python only when it is over."""


class Interest(NamedTuple):
    """What a pump waits for: a descriptor (-1: none), selectors' events of it, and when to look again in any case."""

    descriptor: int
    events: int
    seconds: float


class Pump(Protocol):
    """One replica's way to its source, worked by the thread that connected it."""

    owner: int
    """That thread."""

    def wait(self, call: BlockingCall) -> None:
        """Work until *call* is finished."""
        ...

    def work(self) -> bool:
        """Do what can be done without waiting; return whether there was anything."""
        ...

    def refresh(self) -> None:
        """Take what has arrived, before a property is read; never waits, and does nothing within a callback."""
        ...

    def flush(self) -> None:
        """Let calls that were made leave, without waiting."""
        ...

    def mend(self) -> None:
        """Where the link is lost, let one more attempt to come back take its time, within bounds."""
        ...

    def interest(self) -> Interest:
        """Return what to wait for before `work` is worth its while."""
        ...

    def abandoned(self) -> None:
        """In a forked child: let go of the connection, which belongs to the parent."""
        ...


class BlockingLife(Pump, Protocol):
    """What `blocking` of a wire returns, where the wire has that method: a replica's link without a loop."""

    @property
    def settled(self) -> bool:
        """Whether the replica is valid, or can never be as things stand, or the only attempt failed."""
        ...

    @property
    def offered(self) -> tuple[str, ...] | None:
        """The names of the objects that the host shows; None while it has not said."""
        ...

    def close(self) -> None:
        """Write what was asked for, and end."""
        ...


class BlockingCall(msgspec.Struct, eq=False):
    """A call on its way, as `PendingCall` is one in a loop: `sync.run` and `await` give its result.

    A Struct, because one is made for every call.
    """

    loop: Pump
    """What has to be worked until the call is finished."""
    link: Any = None
    """Who is told when the caller gives up; None when the call was never written."""
    token: Any = None
    """By which the link finds it again."""
    finished: bool = False
    value: Any = None
    failure: Unawaited | None = None

    def done(self) -> bool:
        """Return whether there is a result, or a failure."""
        return self.finished

    def set_result(self, value: Any) -> None:
        """Finish with *value*."""
        self.value, self.finished = value, True

    def set_exception(self, error: BaseException) -> None:
        """Finish with *error*."""
        self.failure, self.finished = Unawaited(error), True

    def cancel(self, _message: object = None) -> bool:
        """Give up, and ask the host to stop it where the wire can; return False when the call is already done."""
        if self.finished:
            return False
        self.set_exception(Fault(Code.CANCELLED, "the caller gave up"))
        self.seen()
        if self.link is not None:
            self.link.cancelled(self)
        return True

    def result(self) -> Any:
        """Wait for the result; raise what the call failed with."""
        if not self.finished:
            self.loop.wait(self)
        elif self.failure is not None and self.link is None:
            self.loop.mend()  # so that the next call has a link again
        if self.failure is None:
            return self.value
        raise self.seen()

    def seen(self) -> BaseException:
        """Return the failure, which from now on is no news to the caller."""
        assert self.failure is not None
        return self.failure.take()

    def __await__(self) -> Generator[Any, None, Any]:
        while not self.finished:
            yield self
        return self.result()

    # The protocol of collections.abc.Coroutine, which `sync.run` takes.

    def send(self, _value: object) -> Any:
        """Advance: give itself to who drives it, until it is finished."""
        if self.finished:
            raise StopIteration(self.result())
        return self

    def throw(self, kind: Any, value: BaseException | None = None, traceback: TracebackType | None = None, /) -> Any:
        """Raise inside the wait."""
        error: BaseException = kind if isinstance(kind, BaseException) else (value or kind())
        raise error.with_traceback(traceback or error.__traceback__)

    def close(self) -> None:
        """End the wait; the call itself goes on."""

    def __repr__(self) -> str:
        if not self.finished:
            return "<pending call of a replica without a loop; 'sync.run(…)' waits for it, an asyncio task cannot>"
        return "<finished call of a replica without a loop>"


class Unawaited:
    """The failure of a call; reported when nobody has asked for it in the end."""

    def __init__(self, error: BaseException) -> None:
        self.error = error
        self._seen = False

    def take(self) -> BaseException:
        """Return the failure: it is not to be reported any more."""
        self._seen = True
        return self.error

    def __del__(self) -> None:
        if not self._seen:
            _report_unawaited(self.error)


def _report_unawaited(error: BaseException) -> None:
    """Give *error* to the running loop's exception handler, as asyncio does, else raise it for `sys.unraisablehook`."""
    if "asyncio" in sys.modules:
        import asyncio

        with suppress(RuntimeError):
            context = {"message": "a call that nobody waited for has failed", "exception": error}
            asyncio.get_running_loop().call_exception_handler(context)
            return
    raise error


class Clock:
    """Stands for an event loop's clock: its timers go off when `tick` is called late enough."""

    def __init__(self) -> None:
        self.time: Final = time.monotonic
        self._timers: list[Alarm] = []
        """The next one first."""

    def call_later(self, delay: float, callback: Callable[[], object], /) -> Alarm:
        """Call *callback* at the first tick after *delay* seconds."""
        alarm = Alarm(self._timers, self.time() + delay, callback)
        self._timers.append(alarm)
        self._timers.sort(key=Alarm.when)
        return alarm

    @property
    def remaining(self) -> float:
        """Seconds until a tick is due."""
        return max(0.0, self._timers[0].due - self.time()) if self._timers else LONGEST_WAIT

    def tick(self) -> None:
        """Let the timer go off whose time has come."""
        if self._timers and self.time() >= self._timers[0].due:
            self._timers.pop(0).callback()


class Alarm:
    """A timer of a `Clock`."""

    __slots__ = ("_timers", "callback", "due")

    def __init__(self, timers: list[Alarm], due: float, callback: Callable[[], object]) -> None:
        self._timers, self.due, self.callback = timers, due, callback

    def when(self) -> float:
        """Return when it goes off."""
        return self.due

    def cancel(self) -> None:
        """Let it not go off."""
        if self in self._timers:
            self._timers.remove(self)


class Tasks:
    """Coroutines that go on while the links of their thread are worked: what a node's tasks are where a loop is.

    They may wait for calls of replicas of the same thread, and for nothing else.
    """

    def __init__(self) -> None:
        self.waiting: list[tuple[Coroutine[Any, Any, object], BlockingCall]] = []

    def spawn(self, coroutine: Coroutine[Any, Any, object]) -> None:
        """Run *coroutine* to its first wait; its failure is reported like an observer's."""
        self._step(coroutine, None)

    def step(self) -> None:
        """Let go on whoever waited for a call that is finished."""
        for entry in tuple(self.waiting):
            if entry[1].finished and entry in self.waiting:
                self.waiting.remove(entry)
                self._step(entry[0], None)

    def end(self, pump: Pump) -> None:
        """End whoever waits for a call through *pump*, whose block is left."""
        for coroutine, call in tuple(self.waiting):
            if call.loop is pump:
                self.waiting.remove((coroutine, call))
                call.cancel()
                coroutine.close()

    def _step(self, coroutine: Coroutine[Any, Any, object], error: BaseException | None) -> None:
        try:
            waits_for = coroutine.send(None) if error is None else coroutine.throw(error)
        except StopIteration:
            return
        except Exception as failure:  # noqa: BLE001  nobody waits for a task
            report(failure, coroutine)
            return
        if isinstance(waits_for, BlockingCall):
            self.waiting.append((coroutine, waits_for))
        else:
            self._step(coroutine, needs_loop(waits_for))


class _Workplace(threading.local):
    def __init__(self) -> None:
        self.pumps: list[Pump] = []
        self.tasks = Tasks()

    def enter(self, pump: Pump) -> None:
        """Let `sync.process` work *pump* too."""
        self.pumps.append(pump)

    def leave(self, pump: Pump) -> None:
        """Forget *pump*, and end the tasks that wait through it."""
        if pump in self.pumps:  # else left in another thread than it was entered in
            self.pumps.remove(pump)
        self.tasks.end(pump)


workplace: Final = _Workplace()
"""The calling thread's pumps, and the tasks that are driven beside them."""


class PumpedReplica(ReplicaLink):
    """The link of a replica that its own thread works."""

    block = "with sync.connect(…)"

    pump: Pump

    def __init__(self, url: str, name: str, cls: type[Object] | None) -> None:
        super().__init__(url, name, cls, workplace.tasks)

    def class_for(self, cls: type[Object]) -> type[Object]:
        """Return the subclass of *cls* whose properties are read from the link first."""
        return replica_class(cls, PumpedProperty)

    def refresh(self) -> None:
        """Take what has arrived."""
        self.pump.refresh()

    def abandon(self) -> None:
        """In a forked child: nothing may be written to the parent's connection."""
        self.pump.abandoned()
        super().abandon()

    def mend(self) -> None:
        """Give a lost link the time to come back."""
        check_thread(self.pump.owner)
        if self.remote is None:
            self.pump.mend()


class PumpedProperty(ReplicaProperty[Any]):
    """Stands for a property: takes what has arrived before it is read."""

    pushing = "sync.run({}.push(replica, value))"
    class_kept_as = "__everywire_pumped_class__"

    def __get__(self, instance: Object | None, owner: type[Object]) -> Any:
        if instance is not None:
            instance._everywire.link.refresh()
        return super().__get__(instance, owner)


def turn(pumps: Iterable[Pump], seconds: float) -> bool:
    """Work *pumps*, and if there is nothing to do wait at most *seconds* for one of them, and work again."""
    pumps = tuple(pumps)
    worked = [pump.work() for pump in pumps]
    if any(worked) or seconds <= 0:
        return any(worked)
    interests = [pump.interest() for pump in pumps]
    seconds = min([seconds, *(interest.seconds for interest in interests)])
    _wait_for(interests, max(0.0, min(seconds, NOTICED)))
    worked = [pump.work() for pump in pumps]
    return any(worked)


def _wait_for(interests: list[Interest], seconds: float) -> None:
    watched = [interest for interest in interests if interest.descriptor >= 0 and interest.events]
    if not watched:
        time.sleep(seconds)
        return
    with getattr(selectors, "PollSelector", selectors.SelectSelector)() as selector:
        for interest in watched:
            selector.register(interest.descriptor, interest.events)
        selector.select(seconds)


def check_thread(owner: int) -> None:
    """Raise WrongThread unless *owner* is the calling thread."""
    if owner != get_ident():
        wrong_thread()


def wrong_thread() -> NoReturn:
    """Raise the error for using a replica in a thread that did not connect it."""
    raise WrongThread(
        "this replica belongs to the thread that connected it: call sync.connect in this thread too, "
        "or hand the work over, for instance by a queue.Queue"
    )


def needs_loop(awaited: object) -> NeedsLoop:
    """Return the error for a coroutine that waits for something that only a loop can do."""
    return NeedsLoop(
        f"{awaited!r} can be awaited only in an event loop: sync.run waits for calls of replicas and nothing else. "
        "sync.connect(…, background=True) gives a replica that lives in a loop, sync.LoopThread().run(…) runs such code"
    )


def _disown() -> None:
    for link in tuple(LINKS):
        if isinstance(link, PumpedReplica):
            link.abandon()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_disown)
