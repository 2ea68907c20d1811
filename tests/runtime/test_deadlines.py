"""Deadlines of waiting calls by the clock of a fake loop: coarse, but no call waits for ever."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from everywire import Code, Fault
from everywire.remoteobjects.engine import Odd, Waiting
from everywire.remoteobjects.wire.replicating import Channel
from everywire.runtime.deadlines import SWEEP, Deadlines
from everywire.runtime.replica import ReplicaLink
from tests.remoteobjects.samples import NodeLink, Pending, Thermostat


class FakeTimer:
    def __init__(self, act: Callable[[], None]) -> None:
        self.act: Callable[[], None] | None = act

    def cancel(self) -> None:
        self.act = None


class FakeLoop:
    """A loop whose time passes on demand."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timer: FakeTimer | None = None

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, act: Callable[[], None]) -> FakeTimer:
        assert delay == SWEEP
        self.timer = FakeTimer(act)
        return self.timer

    def sweep(self) -> None:
        self.now += SWEEP
        timer, self.timer = self.timer, None
        assert timer is not None
        assert timer.act is not None
        timer.act()


class Waiter:
    """A channel with calls that wait, and the deadlines that watch it."""

    def __init__(self) -> None:
        self.loop = FakeLoop()
        loop: Any = self.loop
        self.deadlines = Deadlines(loop)
        self.link = NodeLink()
        replica = ReplicaLink("local:x", "hall", Thermostat, None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        self.channel = Channel(replica, lambda fault: fault, Pending)
        self.channel.link = self.link
        self.deadlines.watch(self.channel)

    def call(self, serial: int, timeout: float | None) -> Pending:
        call = Pending()
        self.channel.waiting[serial] = Waiting(lambda *_: Odd, lambda raw: raw, timeout), call
        return call


def test_a_call_fails_when_its_time_is_over_and_the_host_is_asked_to_stop_it() -> None:
    waiter = Waiter()
    call = waiter.call(1, 2 * SWEEP)
    for _ in range(2):
        waiter.loop.sweep()
    assert not call.done()
    waiter.loop.sweep()
    assert isinstance(call.error, Fault)
    assert call.error.code is Code.DEADLINE_EXCEEDED
    assert waiter.link.cancelled == [("hall", 1)]
    assert waiter.channel.waiting == {}


def test_a_call_meets_its_deadline_also_when_the_calls_behind_it_are_answered_between_the_sweeps() -> None:
    waiter = Waiter()
    call = waiter.call(1, 3 * SWEEP)
    for serial in range(2, 10):
        waiter.call(serial, 30.0)
        waiter.loop.sweep()
        del waiter.channel.waiting[serial]
    assert call.done()


def test_a_call_without_a_deadline_costs_no_more_the_longer_it_waits() -> None:
    waiter = Waiter()
    call = waiter.call(1, None)
    for _ in range(100):
        waiter.loop.sweep()
    assert not call.done()
    assert waiter.deadlines._seen == {waiter.channel: {1: SWEEP}}


def test_nothing_is_swept_once_no_call_waits_or_the_link_is_closed() -> None:
    waiter = Waiter()
    waiter.channel.sweeping = True
    waiter.loop.sweep()
    assert waiter.loop.timer is None
    assert not waiter.channel.sweeping
    waiter.call(1, None)
    waiter.deadlines.watch(waiter.channel)
    timer = waiter.loop.timer
    waiter.deadlines.close()
    assert timer is not None
    assert timer.act is None
