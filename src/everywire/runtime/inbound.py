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
from everywire.runtime.limits import Limits, Refusals, SlowPeer
from everywire.runtime.outbox import Outbox
from everywire.runtime.tasks import TaskSet

BATCH: Final = 64
"""Calls that start before the link is looked at again: whether it takes the answers, and the rate of its peer."""
SWEEP: Final = 0.25
"""Seconds between looks for slots that run too long: deadlines are this coarse, so that no call needs a timer."""

Finish = Callable[[Any], None]
_NONE: Final[frozenset[asyncio.Task[Any]]] = frozenset()


class InboundLink:
    """Calls of one peer on their way through the gate."""

    __slots__ = (
        "_backlog",
        "_calls_running",
        "_cut",
        "_earned",
        "_expired",
        "_loop",
        "_pause_reading",
        "_rate",
        "_refill_timer",
        "_refilled",
        "_resume_reading",
        "_running",
        "_sweep",
        "_tasks",
        "caller",
        "closed",
        "credit",
        "door",
        "frames",
        "granted",
        "limits",
        "outbox",
        "refusals",
    )
    # A host may have thousands: what few links need is made when it is needed.

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
        self.granted: dict[Door, int] = {}
        self.closed = False
        self._loop = asyncio.get_running_loop()
        self._tasks = tasks
        self._pause_reading, self._resume_reading = pause_reading, resume_reading
        self._running: dict[asyncio.Task[Any], tuple[Door, Any, float]] = {}
        self._calls_running = 0
        self._expired = _NONE
        self._sweep: asyncio.TimerHandle | None = None
        self._cut: asyncio.TimerHandle | None = None
        self._backlog: list[Any] = []
        local = caller.uid is not None or caller.loopback
        self._rate = None if local else limits.calls_per_second
        self._refilled = self._loop.time()
        self._earned = float(limits.calls_burst)
        self._refill_timer: asyncio.TimerHandle | None = None
        self.credit = 0

    # What a session calls.

    def receive(self, events: list[Any]) -> None:
        """Take the events of one chunk through the gate and write the answers in one go."""
        if self._backlog:
            self._backlog += events
            return
        outbox = self.outbox
        outbox.begin()
        previous = current_link.set(self)
        try:
            run_to_end(drive(self, events))
        finally:
            current_link.reset(previous)
            self.door = None
            outbox.flush()

    def congested(self) -> None:
        """Stop serving: the peer does not take what it was sent; cut it when that lasts and the limits say so."""
        self.outbox.pause()
        self._hold_credit()
        self._pause_reading()
        if self._cut is None and self.limits.slow_peer is SlowPeer.DISCONNECT:
            self._cut = self._loop.call_later(self.limits.write_deadline, self._cut_slow_peer)

    def relieved(self) -> None:
        """Go on: the peer reads again."""
        self._end_timers()
        self.outbox.resume()
        if not self.outbox.congested:
            self._go_on()

    def close(self) -> None:
        """End: what runs is finished, its results are dropped; streams and waiting calls end now."""
        self.closed = True
        self._end_timers()
        self._backlog.clear()
        for task, (door, _, _) in self._running.items():
            if door.member.stream:
                self.stop(task)

    def cancel(self, door_name: str, token: Any) -> None:
        """Cancel the running call *token*, on the wish of its caller."""
        for task, (door, its_token, _) in self._running.items():
            if its_token == token and door.name == door_name and not door.member.stream:  # those have their own numbers
                self.stop(task)

    def stop(self, task: asyncio.Task[Any]) -> None:
        """Cancel a running call, after its first step: a task that never began could not answer its caller."""
        self._loop.call_soon(task.cancel)

    def task_of(self, door: Door, token: Any) -> asyncio.Task[Any] | None:
        """Return the task of the running call *token*."""
        return next((task for task, (d, t, _) in self._running.items() if d is door and t == token), None)

    def running(self) -> list[asyncio.Task[Any]]:
        """Return the tasks of slots that run for this link."""
        return [task for task, (door, _, _) in self._running.items() if not door.member.stream]

    def recheck(self) -> None:
        """Forget remembered permissions; wires also take back what the caller may no longer see."""
        self.granted.clear()

    def forget(self, doors: Iterable[Door]) -> None:
        """Forget *doors*, whose object was taken back: a link must not keep it alive."""
        for door in doors:
            self.granted.pop(door, None)

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

    def stalled(self) -> bool:
        """Say whether to stop at an event that is no call: at the limit of running calls those still come through."""
        if self.outbox.congested:
            return True
        return self._rate is not None and self._calls_running < self.limits.pending_calls and not self._refill()

    def exhausted(self) -> bool:
        """Say whether to stop here; otherwise credit was renewed."""
        self.outbox.spill()  # so that a peer that does not read is noticed in the midst of a chunk
        return self.outbox.congested or self._calls_running >= self.limits.pending_calls or not self._refill()

    def keep(self, rest: Iterable[Any]) -> None:
        """Keep the *rest* of a chunk until the link may be served again; until then it is not read."""
        self._backlog = [*rest, *self._backlog]
        self._pause_reading()
        self._hold_credit()
        self._loop.call_soon(self._go_on)  # for a chunk that stopped because a slot told the program to end

    def start_task(self, door: Door, token: Any, work: Awaitable[Any], finish: Finish) -> None:
        """Run *work* for a call as an owned task within the door's deadline, then *finish* with its value."""
        task = self._tasks.spawn(self._run(door, token, work, finish))
        if task.done():
            return
        self._running[task] = (door, token, self._loop.time())
        if not door.member.stream:  # a stream waits for its reader: were it counted, the reader's word could not come
            self._calls_running += 1
            if self._calls_running >= self.limits.pending_calls:
                self._hold_credit()
        if self._sweep is None:
            self._sweep = self._loop.call_later(SWEEP, self._end_late_ones)

    async def _run(self, door: Door, token: Any, work: Awaitable[Any], finish: Finish) -> None:
        current_link.set(CurrentCall(self.caller, door.name, door.member))
        task: Any = asyncio.current_task()
        try:
            finish(await work)
        except BaseException as error:
            expired = task in self._expired
            self._refused_later(door, token, _late(door) if expired else fault_of(error, door))
            if not expired and not isinstance(error, Exception):  # a cancelled task, or a program told to end
                raise
        finally:
            if self._expired:
                self._expired -= {task}
            if self._running.pop(task, None) is not None and not door.member.stream:
                self._calls_running -= 1
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

    def _go_on(self) -> None:
        if self.closed or self.outbox.congested or self._refill_timer is not None:
            return
        if self._calls_running >= self.limits.pending_calls:
            return
        if self._rate is None:
            self.credit = BATCH
        backlog, self._backlog = self._backlog, []
        if backlog:
            self.receive(backlog)
        if not self._backlog and not self.outbox.congested:
            self._resume_reading()

    def _refill(self) -> bool:
        if self._rate is None:
            self.credit = BATCH
            return True
        now = self._loop.time()
        self._earned = min(self._earned + (now - self._refilled) * self._rate, self.limits.calls_burst)
        self._refilled = now
        if self._earned < 1:
            self.refusals["calls_per_second"] += 1
            self._refill_timer = self._loop.call_later((1 - self._earned) / self._rate, self._rate_allows)
            return False
        self.credit = min(int(self._earned), BATCH)
        self._earned -= self.credit
        return True

    def _rate_allows(self) -> None:
        self._refill_timer = None
        self._go_on()

    def _hold_credit(self) -> None:
        """Stop the gate at the next call; what the peer has earned stays its own."""
        if self._rate is not None:
            self._earned += self.credit
        self.credit = 0

    def _end_timers(self) -> None:
        for timer in (self._cut, self._refill_timer):
            if timer is not None:
                timer.cancel()
        self._cut = self._refill_timer = None

    def _cut_slow_peer(self) -> None:
        self._cut = None
        self.refusals["write_deadline"] += 1
        self.outbox.cut()

    def _end_late_ones(self) -> None:
        self._sweep = None
        now = self._loop.time()
        for task, (door, _, started) in self._running.items():
            late = door.timeout is not None and not door.member.stream and now - started >= door.timeout
            if late and task not in self._expired:  # once: what it does to clean up may wait too
                self._expired |= {task}
                self.stop(task)
        if self._running:
            self._sweep = self._loop.call_later(SWEEP, self._end_late_ones)


def _late(door: Door) -> Fault:
    return Fault(Code.DEADLINE_EXCEEDED, f"{door.member.name} ran longer than {door.timeout} s")
