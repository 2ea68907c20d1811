"""`InboundLink`: the half of a link on which calls arrive; runs chunks through the gate and owns what must wait.

It is the same for every wire that parses chunks into events; a wire's session adds how a Fault looks and what its other
events mean.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final

from everywire.errors import Code, Fault
from everywire.model import Caller
from everywire.runtime.gate import CurrentCall, Door, current_link, drive, fault_of, run_to_end
from everywire.runtime.limits import Limits, Refusals
from everywire.runtime.outbox import Outbox
from everywire.runtime.tasks import TaskSet

UNLIMITED: Final = 1 << 62
SWEEP: Final = 0.25
"""Seconds between looks for slots that run too long: deadlines are this coarse, so that no call needs a timer."""

Finish = Callable[[Any], None]


class InboundLink:
    """Calls of one peer on their way through the gate."""

    def __init__(
        self,
        *,
        caller: Caller,
        limits: Limits,
        tasks: TaskSet,
        outbox: Outbox,
        pause_reading: Callable[[], None],
        resume_reading: Callable[[], None],
        refusals: Refusals,
    ) -> None:
        self.caller, self.limits, self.outbox, self.refusals = caller, limits, outbox, refusals
        self.frames = outbox.frames
        self.door: Door | None = None
        self.granted: set[Door] = set()
        self.closed = False
        self._loop = asyncio.get_running_loop()
        self._tasks = tasks
        self._pause_reading, self._resume_reading = pause_reading, resume_reading
        self._running: dict[asyncio.Task[Any], tuple[Door, Any, float]] = {}
        self._expired: set[asyncio.Task[Any]] = set()
        self._sweep: asyncio.TimerHandle | None = None
        self._backlog: list[Any] = []
        local = caller.uid is not None or caller.loopback
        self._rate = None if local else limits.calls_per_second
        self._refilled = self._loop.time()
        self.credit = UNLIMITED if self._rate is None else limits.calls_burst

    # What a session calls.

    def receive(self, events: list[Any]) -> None:
        """Take the events of one chunk through the gate and write the answers in one go."""
        if self._backlog:
            self._backlog += events
            return
        self._drive(events)

    def congested(self) -> None:
        """Stop serving: the peer does not take what it was sent."""
        self.outbox.pause()
        self.credit = 0
        self._pause_reading()

    def relieved(self) -> None:
        """Go on: the peer reads again."""
        self.outbox.resume()
        if not self.outbox.congested:
            self._go_on()

    def close(self) -> None:
        """End: what runs is finished, its results are dropped; streams and waiting calls end now."""
        self.closed = True
        self._backlog.clear()
        for task, (door, _, _) in tuple(self._running.items()):
            if door.member.stream:
                task.cancel()

    def cancel(self, door_name: str, token: Any) -> None:
        """Cancel the running call *token*, on the wish of its caller."""
        for task, (door, its_token, _) in tuple(self._running.items()):
            if its_token == token and door.name == door_name:
                task.cancel()

    def task_of(self, door: Door, token: Any) -> asyncio.Task[Any] | None:
        """Return the task of the running call *token*."""
        return next((task for task, (d, t, _) in self._running.items() if d is door and t == token), None)

    def recheck(self) -> None:
        """Forget remembered permissions: a policy has changed."""
        self.granted.clear()

    # What wires override.

    def refused(self, door: Door, token: Any, fault: Fault) -> None:
        """Answer with *fault*; wires say how."""
        raise NotImplementedError

    def other(self, event: Any) -> None:
        """Handle an event that is not a call."""
        raise NotImplementedError

    # What the gate calls.

    def start(self, door: Door, arguments: tuple[Any, ...], token: Any) -> None:
        """Run a slot that may suspend in a task of its own."""
        self.start_task(door, token, door.method(*arguments), lambda value: self._reply(door, token, value))

    def exhausted(self, rest: Iterable[Any]) -> bool:
        """Say whether to stop here, keeping *rest* for later; otherwise credit was renewed."""
        if not self.outbox.congested and len(self._running) < self.limits.pending_calls and self._refill():
            return False
        self._backlog = [*rest, *self._backlog]
        self._pause_reading()
        return True

    def start_task(self, door: Door, token: Any, work: Awaitable[Any], finish: Finish) -> None:
        """Run *work* for a call as an owned task within the door's deadline, then *finish* with its value."""
        if len(self._running) + 1 >= self.limits.pending_calls:
            self.credit = 0
        task = self._tasks.spawn(self._run(door, token, work, finish))
        if not task.done():
            self._running[task] = (door, token, self._loop.time())
            if self._sweep is None:
                self._sweep = self._loop.call_later(SWEEP, self._end_late_ones)

    async def _run(self, door: Door, token: Any, work: Awaitable[Any], finish: Finish) -> None:
        current_link.set(CurrentCall(self.caller, door.name, door.member))
        task = asyncio.current_task()
        try:
            finish(await work)
        except Exception as error:  # noqa: BLE001  one slot's failure is the caller's answer, not the node's end
            self._refused_later(door, token, fault_of(error, door))
        except asyncio.CancelledError as error:
            expired = task in self._expired
            late = Fault(Code.DEADLINE_EXCEEDED, f"{door.member.name} ran longer than {door.timeout} s")
            self._refused_later(door, token, late if expired else fault_of(error, door))
            if not expired:
                raise
        finally:
            if task is not None:
                self._expired.discard(task)
                self._running.pop(task, None)
            if self.credit <= 0:
                self._loop.call_soon(self._go_on)

    def _reply(self, door: Door, token: Any, value: Any) -> None:
        if token >= 0 and not self.closed:
            self.outbox.put(door.reply(token, value))

    def _refused_later(self, door: Door, token: Any, fault: Fault) -> None:
        if not self.closed:
            self.refused(door, token, fault)
            self.outbox.flush()

    # Private.

    def _drive(self, events: Iterable[Any]) -> None:
        outbox = self.outbox
        outbox.begin()
        previous = current_link.set(self)
        try:
            run_to_end(drive(self, events))
        finally:
            current_link.reset(previous)
            self.door = None
            outbox.flush()

    def _go_on(self) -> None:
        if self.closed or self.outbox.congested or len(self._running) >= self.limits.pending_calls:
            return
        if self._rate is None:
            self.credit = UNLIMITED
        backlog, self._backlog = self._backlog, []
        if backlog:
            self._drive(backlog)
        if not self._backlog and not self.outbox.congested:
            self._resume_reading()

    def _refill(self) -> bool:
        if self._rate is None:
            self.credit = UNLIMITED
            return True
        now = self._loop.time()
        earned = int((now - self._refilled) * self._rate)
        if earned < 1:
            self.refusals["calls_per_second"] += 1
            self._loop.call_later(1 / self._rate, self._go_on)
            return False
        self._refilled = now
        self.credit = min(earned, self.limits.calls_burst)
        return True

    def _end_late_ones(self) -> None:
        self._sweep = None
        now = self._loop.time()
        for task, (door, _, started) in tuple(self._running.items()):
            if door.timeout is not None and not door.member.stream and now - started >= door.timeout:
                self._expired.add(task)
                task.cancel()
        if self._running:
            self._sweep = self._loop.call_later(SWEEP, self._end_late_ones)
