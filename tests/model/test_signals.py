"""Emitting, connecting, blocking; coroutine functions and slots as receivers."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest

from everywire.errors import LocalProtocolError, ModelError, NeedsLoop
from everywire.model import BoundSignal, Emitted, Object, Signal, contract_of, signal, slot
from everywire.model.signals import QUEUE_LIMIT, current_home
from tests.harness import LoopReports
from tests.model.samples import Broken, ClosedHome, Recorder, Room, TaskHome


class Pump(Object):
    def __init__(self) -> None:
        self.log: list[Any] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.running = 0

    def note(self, *arguments: Any) -> None:
        self.log.append(arguments)

    @slot
    async def take(self, celsius: float, sensor: str) -> None:
        self.running += 1
        assert self.running == 1
        await self.gate.wait()
        self.log.append((celsius, sensor))
        self.running -= 1

    @slot
    async def stop(self) -> None:
        self.log.append("stopped")

    @slot
    async def fail(self, celsius: float) -> None:
        self.log.append(celsius)
        raise RuntimeError("no water")

    @slot
    async def stream(self, celsius: float) -> AsyncIterator[float]:
        yield celsius


@pytest.fixture
def room() -> Room:
    return Room()


def test_an_emission_reaches_everybody_with_converted_arguments(room: Room) -> None:
    one, two = Recorder(), Recorder()
    room.overheated.connect(one)
    room.overheated.connect(two)
    room.overheated.emit(40, "attic")
    assert one.told == two.told == [(40.0, "attic")]
    assert type(one.told[0][0]) is float


@pytest.mark.parametrize("arguments", [("x", "attic"), (1.0,), (1.0, "attic", 2), (1.0, 2), ()])
def test_arguments_that_do_not_fit_are_refused_and_nobody_hears(room: Room, arguments: Any) -> None:
    recorder = Recorder()
    room.overheated.connect(recorder)
    with pytest.raises(ModelError, match="overheated"):
        room.overheated.emit(*arguments)
    assert recorder.told == []


def test_connecting_twice_calls_twice_and_each_connection_ends_alone(room: Room) -> None:
    recorder = Recorder()
    stop = room.beeped.connect(recorder)
    room.beeped.connect(recorder)
    room.beeped.emit()
    stop()
    stop()
    room.beeped.emit()
    assert len(recorder.told) == 3


class Fewer:
    """Callables with fewer parameters than the signal."""

    def __init__(self) -> None:
        self.log: list[Any] = []

    def none(self) -> None:
        self.log.append(())

    def one(self, celsius: float) -> None:
        self.log.append(celsius)

    def optional(self, celsius: float, sensor: str = "", more: int = 5) -> None:
        self.log.append((celsius, sensor, more))

    def many(self, *arguments: Any) -> None:
        self.log.append(arguments)

    def named(self, celsius: float, *, log: bool = True) -> None:
        self.log.append((celsius, log))


def test_a_callable_with_fewer_parameters_gets_the_leading_arguments(room: Room) -> None:
    fewer = Fewer()
    for callback in (fewer.none, fewer.one, fewer.optional, fewer.many, fewer.named, partial(fewer.optional, 7.0)):
        room.overheated.connect(callback)
    room.overheated.emit(1.0, "x")
    assert fewer.log == [(), 1.0, (1.0, "x", 5), (1.0, "x"), (1.0, True), (7.0, 1.0, "x")]


def test_a_builtin_without_a_signature_gets_all_arguments(room: Room) -> None:
    found: dict[float, str] = {}
    room.overheated.connect(found.setdefault)
    room.overheated.connect(max)
    room.overheated.connect(dict)  # reported only if it is called, and its failure is the test below

    assert room.overheated.connect(print)


def test_a_callable_that_needs_other_arguments_is_refused(room: Room) -> None:
    with pytest.raises(ModelError, match="carries 2 arguments, but the callable to connect needs 3"):
        room.overheated.connect(lambda a, b, c: None)
    with pytest.raises(ModelError, match="arguments by place only, but the callable to connect needs volume"):
        room.beeped.connect(lambda *, volume: None)


def test_once_is_called_once(room: Room) -> None:
    recorder = Recorder()
    room.overheated.connect(recorder, once=True)
    room.overheated.emit(1.0, "a")
    room.overheated.emit(2.0, "b")
    assert recorder.told == [(1.0, "a")]


def test_once_can_be_disconnected_before(room: Room) -> None:
    recorder = Recorder()
    stop = room.overheated.connect(recorder, once=True)
    stop()
    room.overheated.emit(1.0, "a")
    assert recorder.told == []


def test_once_is_called_once_even_when_another_listener_emits_again(room: Room) -> None:
    recorder = Recorder()

    def again(celsius: float) -> None:
        if celsius > 0:
            room.overheated.emit(celsius - 1, "again")

    room.overheated.connect(again)
    room.overheated.connect(recorder, once=True)
    room.overheated.emit(2.0, "first")
    assert recorder.told == [(0.0, "again")]


def test_a_weak_connection_lets_its_target_go(room: Room) -> None:
    pump, log = Pump(), Pump()
    pump.log = log.log
    room.overheated.connect(pump.note, weak=True)
    room.overheated.emit(1.0, "a")
    del pump
    gc.collect()
    room.overheated.emit(2.0, "b")
    assert log.log == [(1.0, "a")]
    assert "with 0 connections" in repr(room.overheated)


def test_a_weak_connection_of_a_function_ends_with_it(room: Room) -> None:
    log: list[float] = []

    def note(celsius: float) -> None:
        log.append(celsius)

    room.overheated.connect(note, weak=True)
    room.overheated.emit(1.0, "a")
    del note
    gc.collect()
    room.overheated.emit(2.0, "b")
    assert log == [1.0]


def test_a_connection_is_strong_unless_said_otherwise(room: Room) -> None:
    log: list[Any] = []
    pump = Pump()
    pump.log = log
    room.overheated.connect(pump.note)
    del pump
    gc.collect()
    room.overheated.emit(1.0, "a")
    assert log == [(1.0, "a")]


def test_blocked_silences_signals_and_watchers_also_when_nested(room: Room) -> None:
    recorder, events = Recorder(), Recorder()
    room.beeped.connect(recorder)
    room._everywire.watch(events)
    with room.beeped.blocked():
        with room.beeped.blocked():
            room.beeped.emit()
        room.beeped.emit()
    assert (recorder.told, events.told) == ([], [])
    room.beeped.emit()
    assert len(recorder.told) == len(events.told) == 1


def test_a_listener_that_raises_harms_nobody_else(room: Room, unraisable: Recorder) -> None:
    first, broken, last = Recorder(), Broken(), Recorder()
    for listener in (first, broken, last):
        room.overheated.connect(listener)
    room.overheated.emit(1.0, "a")
    assert first.told == last.told == [(1.0, "a")]
    assert [told.exc_value for told in unraisable.told] == [broken.error]


def test_watchers_hear_emissions_as_words(room: Room) -> None:
    events = Recorder()
    room._everywire.watch(events)
    room.overheated.emit(1.0, "a")
    assert events.told == [Emitted(contract_of(Room).members["overheated"], (1.0, "a"))]


def test_the_signal_of_an_object_is_one_and_of_the_class_is_the_declaration(room: Room) -> None:
    assert room.overheated is room.overheated
    assert isinstance(room.overheated, BoundSignal)
    assert isinstance(Room.overheated, Signal)
    assert Room.overheated.__doc__ == "A sensor is above the limit."
    assert repr(room.overheated) == "<signal overheated with 0 connections>"


def test_disconnect_all_drops_every_connection(room: Room) -> None:
    recorder = Recorder()
    room.beeped.connect(recorder)
    room.beeped.connect(recorder, once=True)
    room.beeped.disconnect_all()
    room.beeped.emit()
    assert recorder.told == []


def test_a_signal_only_declares() -> None:
    with pytest.raises(ModelError, match="is a plain 'def'"):

        @signal  # type: ignore[arg-type]
        async def wrong(self: Object) -> None:
            """Declare wrongly."""


class UnreadSignals(Object):
    @signal
    def bad(self, x: complex) -> None:
        """Tell what no wire could carry."""


def test_a_signal_of_an_unsupported_type_says_so_when_it_is_used() -> None:
    with pytest.raises(ModelError, match=r"UnreadSignals.bad: the parameter 'x'"):
        _ = UnreadSignals().bad


def test_a_replica_only_hears(room: Room) -> None:
    room._everywire.link = object()
    recorder = Recorder()
    room.overheated.connect(recorder)
    with pytest.raises(LocalProtocolError, match="only the source emits"):
        room.overheated.emit(1.0, "a")
    room.overheated.deliver((2.0, "b"))
    assert recorder.told == [(2.0, "b")]


# -------------------------------------------------------------------------------- coroutine functions and slots
def test_a_coroutine_function_without_a_node_is_refused_with_advice(room: Room) -> None:
    with pytest.raises(NeedsLoop, match="publish one of the objects, or connect inside 'async with Node"):
        room.overheated.connect(Pump.take.__get__(Pump()))


def test_a_stream_cannot_be_connected(room: Room) -> None:
    with pytest.raises(ModelError, match="cannot be connected to a stream"):
        room.overheated.connect(Pump().stream)


async def test_a_slot_runs_in_the_tasks_of_either_objects_home(room: Room) -> None:
    home, other, third = TaskHome(), TaskHome(), TaskHome()
    pump = Pump()
    room._everywire.home = home
    room.overheated.connect(pump.stop)
    room._everywire.home = None
    pump._everywire.home = other
    room.overheated.connect(pump.stop)
    pump._everywire.home = None
    token = current_home.set(third)
    room.overheated.connect(pump.stop)
    current_home.reset(token)
    room.overheated.emit(1.0, "a")
    for used in (home, other, third):
        assert len(used.tasks) == 1
        await used.finish()
    assert pump.log == ["stopped"] * 3


async def test_awaitables_run_one_at_a_time_in_emission_order(room: Room) -> None:
    home, pump = TaskHome(), Pump()
    room._everywire.home = home
    pump.gate.clear()
    room.overheated.connect(pump.take)
    for number in range(5):
        room.overheated.emit(number, "a")
    assert len(home.tasks) == 1
    pump.gate.set()
    await home.finish()
    assert [celsius for celsius, _ in pump.log] == [0.0, 1.0, 2.0, 3.0, 4.0]
    room.overheated.emit(5.0, "later")
    await home.finish()
    assert pump.log[-1] == (5.0, "later")


async def test_the_queue_of_a_slow_slot_is_bounded_and_its_overflow_counted(room: Room) -> None:
    home, pump = TaskHome(), Pump()
    room._everywire.home = home
    room.overheated.connect(pump.take)
    for number in range(QUEUE_LIMIT + 3):
        room.overheated.emit(number, "a")
    assert room.overheated.dropped == 3
    await home.finish()
    assert len(pump.log) == QUEUE_LIMIT
    assert pump.log[0][0] == 3.0


async def test_a_slot_that_fails_is_reported_and_goes_on(room: Room, loop_reports: LoopReports) -> None:
    home, pump = TaskHome(), Pump()
    room._everywire.home = home
    room.overheated.connect(pump.fail)
    room.overheated.emit(1.0, "a")
    room.overheated.emit(2.0, "b")
    await home.finish()
    assert pump.log == [1.0, 2.0]
    assert [str(context["exception"]) for context in loop_reports] == ["no water"] * 2
    loop_reports.clear()


class Slow:
    """An object whose call is a coroutine."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    async def __call__(self, celsius: float) -> None:
        self.told.append(celsius)


async def test_once_and_fewer_parameters_go_with_coroutines(room: Room) -> None:
    home, slow = TaskHome(), Slow()
    room._everywire.home = home
    room.overheated.connect(slow, once=True)
    room.overheated.emit(1.0, "a")
    room.overheated.emit(2.0, "b")
    await home.finish()
    assert slow.told == [1.0]


async def test_a_weakly_connected_slot_lets_its_object_go(room: Room) -> None:
    home, pump = TaskHome(), Pump()
    log = pump.log
    room._everywire.home = home
    room.overheated.connect(pump.stop, weak=True)
    room.overheated.emit(1.0, "a")
    await home.finish()
    room.overheated.emit(2.0, "b")  # waits in the queue while its target dies
    del pump
    gc.collect()
    await home.finish()
    room.overheated.emit(3.0, "c")
    assert log == ["stopped"]
    assert "with 0 connections" in repr(room.overheated)


async def test_a_home_that_refuses_does_not_block_the_connection_for_ever(
    room: Room, loop_reports: LoopReports
) -> None:
    home, pump = ClosedHome(), Pump()
    room._everywire.home = home
    room.overheated.connect(pump.take)
    room.overheated.emit(1.0, "lost")
    assert str(loop_reports.pop()["exception"]) == "the home is closed"
    home.open = True
    room.overheated.emit(2.0, "heard")
    await home.inner.finish()
    assert pump.log == [(2.0, "heard")]
