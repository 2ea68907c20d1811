"""`Requests`: the gate for calls that come alone, as on HTTP: limit, authorize, validate, invoke, check the result.

A link that carries many calls drives them through `inbound`; where each call has a task of its own there is no chunk to
drive and no link to stop reading, so what is too much is refused instead of held back. How a call looks on the wire,
and who the caller is, is the wire's business.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any, Final

from everywire.errors import Code, Fault, ModelError
from everywire.model import Caller
from everywire.model.compile import checked_result
from everywire.runtime.attempts import origin_of
from everywire.runtime.gate import CurrentCall, Door, authorize, current_link, fault_of, invalid
from everywire.runtime.limits import Limits, Refusals
from everywire.runtime.tasks import TaskSet

MOST_ACCOUNTS: Final = 4096
"""Callers whose use is remembered; beyond, the one that was heard of longest ago begins afresh."""

Read = Callable[[], tuple[Any, ...]]
"""Gives the arguments of a call, in order; raises ModelError. Asked only when the caller may use the member."""


class Requests:
    """The calls of one server of a wire; `close` answers those that wait, and what runs is the node's to end."""

    def __init__(self, limits: Limits, tasks: TaskSet, refusals: Refusals) -> None:
        self._limits, self._tasks, self._refusals = limits, tasks, refusals
        self._loop = asyncio.get_running_loop()
        self._accounts: OrderedDict[str, _Account] = OrderedDict()
        self._running: set[_Running] = set()
        self._closed = False

    def charge(self, caller: Caller) -> None:
        """Count one request of *caller*; raise Fault(RESOURCE_EXHAUSTED) when its peer sends too many a second.

        Whoever is on this machine has no rate limit.
        """
        rate = self._limits.calls_per_second
        if rate is None or caller.loopback or caller.uid is not None:
            return
        account, now = self._account(caller), self._loop.time()
        earned = min(account.earned + (now - account.refilled) * rate, float(self._limits.calls_burst))
        account.refilled = now
        if earned < 1:
            account.earned = earned
            self._refusals["calls_per_second"] += 1
            raise Fault(Code.RESOURCE_EXHAUSTED, "too many requests a second: send fewer", may_have_run=False)
        account.earned = earned - 1

    def permit(self, caller: Caller, door: Door) -> None:
        """Raise Fault unless *caller* may use *door*; `call` asks again, so this is for what comes before its body."""
        authorize(_Asking(caller), door, ())

    async def call(self, caller: Caller, door: Door, read: Read) -> Any:
        """Take one call through the gate and return its checked result; raise Fault, and nothing else.

        Who waits may be cancelled or go away: the slot is finished, and its result dropped.
        """
        if self._closed:
            raise _closing()
        authorize(_Asking(caller), door, ())
        arguments = _checked(door, read)
        if door.suspends:
            return await self._in_a_task(caller, door, arguments)
        previous = current_link.set(CurrentCall(caller, door.name, door.member))
        try:
            value = await door.method(*arguments)  # it cannot suspend
        except BaseException as error:  # noqa: BLE001  whatever the slot did is told as a Fault
            if not isinstance(error, (Exception, asyncio.CancelledError)):
                self._loop.call_soon(_raise, error)  # a program told to end: whoever runs this task would swallow it
            raise fault_of(error, door) from None
        finally:
            current_link.reset(previous)
        return _fitting(door, value)

    def arguments(self, caller: Caller, door: Door, read: Read) -> tuple[Any, ...]:
        """Return the checked arguments with which *caller* may start the stream *door*; raise Fault."""
        if self._closed:
            raise _closing()
        authorize(_Asking(caller), door, ())
        return _checked(door, read)

    async def pull(
        self, caller: Caller, door: Door, arguments: tuple[Any, ...], take: Callable[[Any], Awaitable[None]]
    ) -> None:
        """Run a stream to its end, in the present task: *take* each item, and pull the next when it was taken.

        Raises Fault. The generator is closed however this ends.
        """
        previous = current_link.set(CurrentCall(caller, door.name, door.member))
        made: Any = door.method  # an async generator function, says the contract
        try:
            async with aclosing(made(*arguments)) as stream:
                async for item in stream:
                    await take(_fitting(door, item))
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001  whatever the slot did is told as a Fault
            raise fault_of(error, door) from None
        finally:
            current_link.reset(previous)

    def running(self) -> list[asyncio.Task[Any]]:
        """Return the tasks of slots that run, also of those nobody waits for any more."""
        return [entry.task for entry in self._running]

    def close(self) -> None:
        """Take no more calls, and answer those that wait."""
        self._closed = True
        for entry in tuple(self._running):
            entry.answer(fault=Fault(Code.UNAVAILABLE, "the host is closing"))

    # Private.

    async def _in_a_task(self, caller: Caller, door: Door, arguments: tuple[Any, ...]) -> Any:
        account = self._account(caller)
        if account.pending >= self._limits.pending_calls:
            self._refusals["pending_calls"] += 1
            refused = f"{account.pending} calls of yours run already: wait for some of them"
            raise Fault(Code.RESOURCE_EXHAUSTED, refused, may_have_run=False)
        account.pending += 1
        task = self._tasks.spawn(_run(caller, door, arguments), awaited=True)
        entry = _Running(task, door, account, self._loop, self._running.discard)
        self._running.add(entry)
        value = await entry.answered
        return _fitting(door, value)

    def _account(self, caller: Caller) -> _Account:
        name = account_of(caller)
        account = self._accounts.get(name)
        if account is not None:
            self._accounts.move_to_end(name)
            return account
        self._accounts[name] = account = _Account(float(self._limits.calls_burst), self._loop.time())
        if len(self._accounts) > MOST_ACCOUNTS:
            idle = next((name for name, old in self._accounts.items() if not old.pending and old is not account), None)
            if idle is not None:
                del self._accounts[idle]
        return account


def account_of(caller: Caller) -> str:
    """Return under which name the use of *caller* is remembered: its own, or where it comes from."""
    return caller.identity if caller.identity != "anonymous" else f"at {origin_of(caller.address)}"


class _Account:
    """What one caller has used: requests that it may still send now, and calls that run."""

    __slots__ = ("earned", "pending", "refilled")

    def __init__(self, earned: float, now: float) -> None:
        self.earned, self.refilled, self.pending = earned, now, 0


class _Asking:
    """What `authorize` needs; nothing is remembered between calls that come alone."""

    __slots__ = ("caller", "granted")

    def __init__(self, caller: Caller) -> None:
        self.caller = caller
        self.granted: dict[Door, int] = {}


class _Running:
    """A slot in a task of its own, its deadline, and the answer that somebody waits for, or nobody any more."""

    __slots__ = ("_account", "_door", "_ended", "_timer", "answered", "task")

    def __init__(
        self,
        task: asyncio.Task[Any],
        door: Door,
        account: _Account,
        loop: asyncio.AbstractEventLoop,
        ended: Callable[[_Running], None],
    ) -> None:
        self.task, self._door, self._account, self._ended = task, door, account, ended
        self.answered: asyncio.Future[Any] = loop.create_future()
        self._timer = None if door.timeout is None else loop.call_later(door.timeout, self._expired)
        task.add_done_callback(self._done)

    def answer(self, value: Any = None, *, fault: Fault | None = None) -> None:
        """Answer, unless that was done or nobody waits."""
        if self.answered.done():
            return
        if fault is None:
            self.answered.set_result(value)
        else:
            self.answered.set_exception(fault)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._account.pending -= 1
        self._ended(self)
        if self._timer is not None:
            self._timer.cancel()
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if error is None:
            self.answer(task.result())
        else:
            self.answer(fault=fault_of(error, self._door))  # which logs it, also when nobody waits

    def _expired(self) -> None:
        """Answer at once: what the slot does to clean up may wait too."""
        late = f"{self._door.member.name} ran longer than {self._door.timeout} s"
        self.answer(fault=Fault(Code.DEADLINE_EXCEEDED, late))
        self.task.cancel()


async def _run(caller: Caller, door: Door, arguments: tuple[Any, ...]) -> Any:
    current_link.set(CurrentCall(caller, door.name, door.member))
    return await door.method(*arguments)


def _checked(door: Door, read: Read) -> tuple[Any, ...]:
    try:
        return door.check(read())
    except ModelError as error:
        raise invalid(error) from None


def _fitting(door: Door, value: Any) -> Any:
    try:
        return checked_result(door.member.result, value)
    except ModelError as error:
        what = f"{door.name}.{door.member.name}"
        raise Fault(Code.INTERNAL, f"the result of {what} does not fit its type: {error}") from error


def _closing() -> Fault:
    return Fault(Code.UNAVAILABLE, "the host is closing", may_have_run=False)


def _raise(error: BaseException) -> None:
    raise error
