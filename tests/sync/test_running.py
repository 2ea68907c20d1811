"""`run`, `until`, `process`, `iterate`, `spawn`: what they wait for, what they refuse, and what Ctrl-C does to them."""

from __future__ import annotations

import asyncio
import dis
import gc
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from everywire import Code, Fault, LocalProtocolError, ModelError, NeedsLoop, ReplicaState, link_of, sync
from everywire.transport.blocking import BlockingStream
from tests.conformance.plant import Counters, Desk, Tap
from tests.conformance.wires import Place
from tests.sync.conftest import OWN_SOCKET, Connect, both_ways
from tests.sync.hosts import host_process, hosting, readable


# ------------------------------------------------------------------------------------------------- foreign awaitables
def test_what_only_a_loop_can_wait_for_is_refused_with_advice(place: Place, connect: Connect) -> None:
    with hosting(place, desk=Desk(), counters=Counters()):
        with connect(place.url, "desk", Desk) as desk:
            cleaned: list[bool] = []

            async def pause() -> None:
                try:
                    await asyncio.sleep(0)
                finally:
                    cleaned.append(True)

            with pytest.raises(NeedsLoop, match="background=True"):
                sync.run(pause())
            assert cleaned == [True]

            async def timeout() -> None:
                async with asyncio.timeout(1):
                    await desk.add(1)

            with pytest.raises(NeedsLoop, match="LoopThread"):
                sync.run(timeout())
            assert sync.run(desk.add(1)) == 1101
        with connect(place.url, "counters", Counters) as counters, pytest.raises(NeedsLoop, match="background=True"):
            sync.run(Counters.first.wait_for(counters, lambda value: value > 1))


def test_an_error_that_is_not_about_loops_stays_what_it_is() -> None:
    async def fail() -> None:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        sync.run(fail())


async def test_an_asyncio_task_that_awaits_such_a_call_is_told_what_to_do(place: Place, connect: Connect) -> None:
    with hosting(place, desk=Desk()), connect(place.url, "desk", Desk) as desk:
        with pytest.raises(RuntimeError, match=r"'sync\.run\(…\)' waits for it, an asyncio task cannot"):
            await asyncio.create_task(desk.add(1))
        assert sync.run(desk.add(1)) == 1101


@pytest.mark.loops("asyncio", "uvloop")
@both_ways
async def test_all_of_it_works_while_a_loop_runs_in_the_same_thread(place: Place, connect: Connect) -> None:
    """As in a notebook, whose cells are run by a task."""
    source = Counters()
    with hosting(place, desk=Desk(), counters=source, tap=Tap()) as host:
        with connect(place.url, "desk", Desk) as desk:
            assert sync.run(desk.add(1)) == 1101
            await asyncio.sleep(0)
            assert [sync.run(call) for call in [desk.add(n) for n in range(5)]] == [1100, 1101, 1102, 1103, 1104]
        with connect(place.url, "counters", Counters) as counters:
            host.set(source, first=7)
            assert sync.until(lambda: counters.first, 5) == 7
            assert sync.run(Counters.setting.push(counters, 3)) == 3
        with connect(place.url, "tap", Tap) as tap:
            assert list(sync.iterate(tap.numbers(100))) == list(range(100))


# ------------------------------------------------------------------------------------------------------------ waiting
@both_ways
def test_until_waits_for_a_property(place: Place, connect: Connect) -> None:
    source = Counters()
    with hosting(place, counters=source) as host, connect(place.url, "counters", Counters) as counters:
        later = host.node.call(count_up, source, 5)
        assert sync.until(lambda: counters.first >= 5 and counters.first, 5) == 5
        later.result()
        with pytest.raises(TimeoutError, match=r"within 0\.05 s"):
            sync.until(lambda: counters.first > 5, 0.05)


async def count_up(source: Counters, number: int) -> None:
    for value in range(1, number + 1):
        source.first = value
        source.ticked.emit(value)
        await asyncio.sleep(0)


@both_ways
def test_iterating_over_a_signal_gives_tuples_from_then_on(place: Place, connect: Connect) -> None:
    source = Counters()
    with hosting(place, counters=source) as host, connect(place.url, "counters", Counters) as counters:
        emissions = sync.iterate(counters.tocked, timeout=5)
        for number in range(3):
            host.do(source.tocked.emit, number, "x")
        assert [next(emissions) for _ in range(3)] == [(0, "x"), (1, "x"), (2, "x")]
        with pytest.raises(TimeoutError):
            next(sync.iterate(counters.ticked, timeout=0.05))
        del emissions
        gc.collect()
        assert "0 connections" in repr(counters.tocked)


@both_ways
def test_a_reader_of_signals_that_is_too_slow_loses_the_oldest(place: Place, connect: Connect) -> None:
    source = Counters()
    with hosting(place, counters=source) as host, connect(place.url, "counters", Counters) as counters:
        emissions = sync.iterate(counters.ticked, timeout=5)
        host.do(lambda: [source.ticked.emit(number) for number in range(1100)])
        sync.run(counters.settle())
        assert (next(emissions), counters.ticked.dropped) == ((76,), 76)


@both_ways
def test_process_hears_what_has_arrived(place: Place, connect: Connect) -> None:
    source, told = Counters(), list[int]()
    with hosting(place, counters=source) as host, connect(place.url, "counters", Counters) as counters:
        Counters.first.on_change(counters, told.append)
        assert not sync.process()
        begun = time.monotonic()
        assert not sync.process(0.05)
        assert time.monotonic() - begun >= 0.05
        host.set(source, first=1)
        assert sync.process(None)
        assert told == [1]


def test_process_without_replicas_is_a_mistake_unless_it_ends() -> None:
    with pytest.raises(LocalProtocolError, match=r"sync\.connect"):
        sync.process(None)
    assert not sync.process(0.01)


@both_ways
def test_process_works_every_replica_of_the_thread(place: Place, connect: Connect) -> None:
    first, second, told = Counters(), Counters(), list[str]()
    with (
        hosting(place, first=first, second=second) as host,
        connect(place.url, "first", Counters) as one,
        connect(place.url, "second", Counters) as two,
    ):
        Counters.first.on_change(one, lambda _: told.append("one"))
        Counters.first.on_change(two, lambda _: told.append("two"))
        host.set(second, first=1)
        host.set(first, first=1)
        sync.until(lambda: len(told) == 2, 5)
        assert sorted(told) == ["one", "two"]


@both_ways
def test_what_is_spawned_goes_on_while_the_thread_is_in_sync(place: Place, connect: Connect) -> None:
    done: list[int] = []
    with hosting(place, desk=Desk()), connect(place.url, "desk", Desk) as desk:

        async def work(number: int) -> None:
            done.append(await desk.add(number, 0, 0))
            done.append(await desk.add(number, 0, 10))

        sync.spawn(work(1))
        sync.spawn(work(2))
        assert done == []
        sync.until(lambda: len(done) == 4, 5)
        assert sorted(done) == [1, 2, 11, 12]


def test_the_failure_of_what_is_spawned_is_reported(
    place: Place, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    reported: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda report: reported.append(report.exc_value))
    with hosting(place, desk=Desk()), connect(place.url, "desk", Desk) as desk:
        sync.spawn(desk.refuse("ABORTED", "no"))
        sync.spawn(asyncio.sleep(0))
        sync.until(lambda: len(reported) == 2, 5)
    kinds = sorted(type(error).__name__ for error in reported)
    assert kinds == ["Fault", "NeedsLoop"]


# ---------------------------------------------------------------------------------------------------------- callbacks
@both_ways
def test_a_callback_may_call_and_what_followed_in_the_chunk_comes_first(place: Place, connect: Connect) -> None:
    source, told = Counters(), list[Any]()
    with (
        hosting(place, counters=source, desk=Desk()) as host,
        connect(place.url, "counters", Counters) as counters,
    ):

        def ask(number: int) -> None:
            told.append(("begin", number))
            if number == 1:
                sync.run(counters.settle())
            told.append(("end", number))

        counters.ticked.connect(ask)
        host.do(lambda: [source.ticked.emit(number) for number in (1, 2, 3)])
        sync.until(lambda: len(told) == 6, 5)
        assert told == [("begin", 1), ("begin", 2), ("end", 2), ("begin", 3), ("end", 3), ("end", 1)]


@both_ways
def test_within_a_callback_values_are_those_that_it_was_called_with(place: Place, connect: Connect) -> None:
    source, told = Counters(), list[tuple[int, int]]()
    with hosting(place, counters=source) as host, connect(place.url, "counters", Counters) as counters:
        Counters.first.on_change(counters, lambda value: told.append((value, counters.first)))
        host.do(lambda: [setattr(source, "first", number) for number in (1, 2, 3)])
        sync.until(lambda: counters.first == 3, 5)
        assert told == [(1, 1), (2, 2), (3, 3)]


def test_an_observer_that_fails_is_reported_and_the_rest_goes_on(
    place: Place, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    reported: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda report: reported.append(report.exc_value))
    with hosting(place, desk=Desk(), counters=Counters()) as host, connect(place.url, "counters", Counters) as counters:
        source = host.node.published["counters"].object
        told: list[int] = []
        Counters.first.on_change(counters, lambda value: 1 // 0)
        Counters.first.on_change(counters, told.append)
        host.do(setattr, source, "first", 4)
        sync.until(lambda: told, 5)
        assert (told, type(reported[0])) == ([4], ZeroDivisionError)


def test_a_failure_that_nobody_asked_for_is_reported(
    place: Place, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    reported: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda report: reported.append(report.exc_value))
    with hosting(place, desk=Desk()), connect(place.url, "desk", Desk) as desk:
        desk.refuse("ABORTED", "no")
        sync.run(desk.nothing())
        gc.collect()
        assert [error.code for error in reported] == [Code.ABORTED]


async def test_in_a_running_loop_its_handler_hears_of_it(
    place: Place, connect: Connect, loop_reports: list[dict[str, Any]]
) -> None:
    with hosting(place, desk=Desk()), connect(place.url, "desk", Desk) as desk:
        desk.refuse("ABORTED", "no")
        sync.run(desk.nothing())
        gc.collect()
        assert [report["exception"].code for report in loop_reports] == [Code.ABORTED]
        loop_reports.clear()


# ------------------------------------------------------------------------------------------------------------ streams
@both_ways
def test_leaving_the_loop_over_a_stream_closes_it_at_its_host(place: Place, connect: Connect) -> None:
    source = Tap()
    with hosting(place, tap=source) as host, connect(place.url, "tap", Tap) as tap:
        for number in sync.iterate(tap.numbers(1_000_000)):
            if number == 200:
                break
        host.until(source, lambda: not source.open)
        assert source.yielded < 500


@both_ways
def test_a_stream_that_nobody_reads_is_closed_when_it_is_forgotten(place: Place, connect: Connect) -> None:
    source = Tap()
    with hosting(place, tap=source) as host, connect(place.url, "tap", Tap) as tap:
        numbers = sync.iterate(tap.waiting())
        assert next(numbers) == 0
        del numbers
        gc.collect()
        sync.process()
        host.until(source, lambda: not source.open)


@both_ways
def test_the_end_of_a_stream_says_why(place: Place, connect: Connect) -> None:
    with hosting(place, tap=Tap()), connect(place.url, "tap", Tap) as tap:
        items: list[int] = []
        with pytest.raises(Fault, match="the sensor fell off"):
            items.extend(sync.iterate(tap.failing(3)))
        assert items == [0, 1, 2], "what came before the failure counts"
        with pytest.raises(TimeoutError):
            for _ in sync.iterate(tap.waiting(), timeout=0.1):
                pass
        with pytest.raises(ModelError):
            tap.numbers("many")
        assert list(sync.iterate(tap.numbers(3))) == [0, 1, 2]


@both_ways
def test_a_stream_ends_with_its_link(place: Place, connect: Connect) -> None:
    with host_process(place) as host, connect(place.url, "tap", Tap) as tap:
        numbers = sync.iterate(tap.waiting())
        assert next(numbers) == 0
        host.kill()
        with pytest.raises(Fault) as caught:
            next(numbers)
        assert caught.value.code is Code.UNAVAILABLE


# ------------------------------------------------------------------------------------------------------------- Ctrl-C
@contextmanager
def interrupted(after: threading.Event | None = None) -> Iterator[None]:
    """Let SIGINT come while this thread waits."""

    def interrupt() -> None:
        if after is not None:
            after.wait()
        signal.pthread_kill(main, signal.SIGINT)

    main = threading.main_thread().ident
    assert main is not None
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            yield
    finally:
        thread.join()
        signal.signal(signal.SIGINT, former)


@both_ways
def test_ctrl_c_cancels_the_call_and_leaves_the_link_as_it_was(place: Place, connect: Connect) -> None:
    source, waits = Desk(), threading.Event()
    with hosting(place, desk=source) as host, connect(place.url, "desk", Desk) as desk:
        states: list[ReplicaState] = []
        link_of(desk).state_changed.connect(states.append)
        holding = host.node.call(source.bell.until, lambda: source.holding)
        holding.add_done_callback(lambda _: waits.set())
        with interrupted(waits):
            sync.run(desk.hold(1))
        host.until(source, lambda: source.cancelled == [1])
        assert [sync.run(call) for call in [desk.add(n) for n in range(3)]] == [1100, 1101, 1102]
        assert states == []


@both_ways
def test_ctrl_c_reaches_the_coroutine_that_waits(place: Place, connect: Connect) -> None:
    source, waits, cleaned = Desk(), threading.Event(), list[int]()
    with hosting(place, desk=source) as host, connect(place.url, "desk", Desk) as desk:

        async def work() -> None:
            try:
                await desk.hold(1)
            finally:
                cleaned.append(await desk.add(1))

        host.node.call(source.bell.until, lambda: source.holding).add_done_callback(lambda _: waits.set())
        with interrupted(waits):
            sync.run(work())
        assert cleaned == [1101]


@both_ways
def test_ctrl_c_in_a_callback_leaves_a_link_that_works(place: Place, connect: Connect) -> None:
    source = Counters()
    with hosting(place, counters=source, desk=Desk()) as host, connect(place.url, "counters", Counters) as counters:

        def stop(_: object) -> None:
            raise KeyboardInterrupt

        disconnect = counters.ticked.connect(stop)
        host.do(lambda: [source.ticked.emit(1), setattr(source, "first", 9)])
        with pytest.raises(KeyboardInterrupt):
            sync.process(5)
        disconnect()
        sync.until(lambda: counters.first == 9, 5)
        sync.run(counters.settle())
        assert link_of(counters).state is ReplicaState.VALID


class Interrupting:
    """Raises KeyboardInterrupt at the nth place where the interpreter looks for signals: entries, calls, jumps back."""

    LOOKS = frozenset({"RESUME", "CALL", "CALL_FUNCTION_EX", "CALL_KW", "JUMP_BACKWARD"})

    def __init__(self, place: int) -> None:
        self._left = place
        self._looks_next: dict[Any, bool] = {}
        self.struck = False

    def __call__(self, frame: Any, event: str, argument: Any) -> Any:
        frame.f_trace_opcodes = True
        if event == "opcode" and "everywire" in frame.f_code.co_filename:
            looks = self._looks_next.get(frame, False)
            self._looks_next[frame] = dis.opname[frame.f_code.co_code[frame.f_lasti]] in self.LOOKS
            self._left -= looks
            if looks and self._left == 0:
                self.struck = True
                self._looks_next.clear()
                sys.settrace(None)
                raise KeyboardInterrupt
        return self


@pytest.mark.parametrize("place", [OWN_SOCKET[0], OWN_SOCKET[-1]], indirect=True, ids=lambda wire: wire.name)
def test_ctrl_c_at_any_place_of_a_call_loses_nothing(place: Place, connect: Connect) -> None:
    source = Desk()
    with hosting(place, desk=source, counters=Counters()), connect(place.url, "desk", Desk) as desk:
        assert sync.run(desk.add(1)) == 1101
        step, former = 1, sys.gettrace()
        while True:
            interrupting = Interrupting(step)
            try:
                sys.settrace(interrupting)
                try:
                    sync.run(desk.add(step, 0, 0))
                finally:
                    sys.settrace(former)
            except KeyboardInterrupt:
                pass
            if not interrupting.struck:
                break
            # A lost link comes back with the first call; one that has lost or kept bytes would answer wrongly.
            sync.until(lambda: link_of(desk).state is ReplicaState.VALID, 5)
            assert [sync.run(call) for call in [desk.add(n, 0, 0) for n in range(4)]] == [0, 1, 2, 3]
            step += 1
        assert step > 30


# -------------------------------------------------------------------------------------------------------- descriptors
def test_a_background_replica_has_a_descriptor_that_outlives_its_links(place: Place) -> None:
    with host_process(place) as host, sync.connect(place.url, "counters", Counters, background=True) as counters:
        descriptor, states = sync.descriptor(counters), list[ReplicaState]()
        link_of(counters).state_changed.connect(states.append)
        host.kill()
        assert readable(descriptor)
        with host_process(place):
            while link_of(counters).state is not ReplicaState.VALID or not states:
                assert readable(descriptor)
                sync.process()
            assert sync.descriptor(counters) == descriptor


def test_other_replicas_have_none_that_stays(place: Place, connect: Connect) -> None:
    with (
        hosting(place, desk=Desk()),
        connect(place.url, "desk", Desk) as desk,
        pytest.raises(LocalProtocolError, match="background=True"),
    ):
        sync.descriptor(desk)


# -------------------------------------------------------------------------------------------------------- what it costs
def test_a_program_on_its_own_socket_never_loads_asyncio(place: Place) -> None:
    program = (
        "import sys\n"
        "from everywire import Object, slot, sync\n"
        "class Desk(Object):\n"
        "    @slot\n"
        "    async def add(self, first: int, second: int = 100, third: int = 1000) -> int: ...\n"
        f"with sync.connect({place.listen!r}, 'desk', Desk) as desk:\n"
        "    print(sync.run(desk.add(1)), 'asyncio' in sys.modules)\n"
    )
    with hosting(place, desk=Desk()):
        bare = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}  # which loads it
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, env=bare)
    assert (done.stdout, done.stderr) == ("1101 False\n", "")


def test_the_streams_of_a_socket_know_when_bytes_may_be_lost() -> None:
    near, far = socket.socketpair()
    with far:
        stream = BlockingStream(near, "local")
        assert not stream.torn
        assert stream.receive_now() is None
        far.send(b"x")
        assert stream.receive() == b"x"
        assert stream.torn
        stream.taken.clear()
        assert not stream.torn
        stream.close()
