"""Threads with a loop: `LoopThread`, and `serve` from a program without one."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import signal
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from everywire import (
    Code,
    Fault,
    ForkedError,
    LinkError,
    LocalProtocolError,
    ModelError,
    NeedsLoop,
    Object,
    Property,
    WrongThread,
    connect,
    prop,
    slot,
    sync,
)
from tests.conformance.plant import Boiler, Counters, Desk
from tests.conformance.wires import QUICK, Place
from tests.sync.hosts import started


class Lamp(Object):
    level: Property[float] = prop(0.0, writable=True)

    @slot
    async def dim(self, by: float) -> float:
        """Later, so that a loop is needed."""
        await asyncio.sleep(0)
        self.level -= by
        return self.level


async def where() -> str:
    await asyncio.sleep(0)
    return threading.current_thread().name


# ---------------------------------------------------------------------------------------------------------- LoopThread
def test_a_loop_thread_runs_coroutines_and_functions() -> None:
    with sync.LoopThread("mine") as thread:
        assert thread.run(where()) == "mine"
        assert thread.call(threading.get_ident).result() != threading.get_ident()
        assert thread.call(where).result() == "mine"
        assert thread.alive
        loop = thread.run(running_loop())
        assert type(loop).__module__.startswith("uvloop")
    assert not thread.alive
    with pytest.raises(NeedsLoop, match=r"with sync\.LoopThread"):
        thread.run(where())
    with pytest.raises(LocalProtocolError, match="make a new one"):
        thread.start()


async def running_loop() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()


def test_without_uvloop_it_runs_the_stock_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "uvloop", None)
    with sync.LoopThread() as thread:
        assert type(thread.run(running_loop())).__module__.startswith("asyncio")


def test_what_raises_there_raises_here() -> None:
    async def fail() -> None:
        raise ValueError("there")

    with sync.LoopThread() as thread:
        with pytest.raises(ValueError, match="there"):
            thread.run(fail())
        with pytest.raises(ZeroDivisionError):
            thread.call(divmod, 1, 0).result()


def test_leaving_cancels_what_still_runs() -> None:
    ended: list[str] = []
    waits = threading.Event()

    async def wait() -> None:
        waits.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")

    with sync.LoopThread() as thread:
        future = thread.call(wait)
        waits.wait()
    assert ended == ["cancelled"]
    with pytest.raises(concurrent.futures.CancelledError):
        future.result()


def test_its_own_thread_cannot_wait_for_it() -> None:
    with sync.LoopThread() as thread:

        async def run_again() -> None:
            thread.run(where())

        with pytest.raises(LocalProtocolError, match="await instead"):
            thread.run(run_again())


def test_ctrl_c_cancels_what_is_waited_for() -> None:
    ended = threading.Event()
    main = threading.main_thread().ident
    assert main is not None

    async def wait() -> None:
        signal.pthread_kill(main, signal.SIGINT)
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with sync.LoopThread() as thread:
            with pytest.raises(KeyboardInterrupt):
                thread.run(wait())
            assert ended.wait(5)
            assert thread.run(where())
    finally:
        signal.signal(signal.SIGINT, former)


def test_an_async_block_is_held_open() -> None:
    steps: list[str] = []

    @asynccontextmanager
    async def block() -> AsyncIterator[int]:
        task = asyncio.current_task()
        steps.append("in")
        yield 5
        steps.append("out")
        assert asyncio.current_task() is task

    with sync.LoopThread() as thread:
        with thread.enter(block()) as value:
            assert (value, steps) == (5, ["in"])
        assert steps == ["in", "out"]
        with pytest.raises(LinkError), thread.enter(connect("memory:nowhere", "x", timeout=0)):
            pass


def test_a_forked_child_is_told_to_make_its_own() -> None:
    with sync.LoopThread() as thread:
        child = os.fork()
        if not child:
            try:
                thread.run(where())
            except ForkedError:
                os._exit(0)
            finally:
                os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
        assert thread.run(where())


FORGETFUL = """
from everywire import sync
kind, url = sys.argv[1:]
thread = sync.LoopThread()
thread.start()
block = sync.connect("memory:nowhere", "x", background=True, timeout=0)
sync.serve(Counters(), "counters", on=url).__enter__()
print(thread.run(asyncio.sleep(0, "ready")), flush=True)
"""


def test_a_program_that_leaves_no_block_still_ends(place: Place) -> None:
    with started(FORGETFUL, "asyncio", place.listen) as program:
        assert program.line() == "ready"
        assert program.wait() == 0


# --------------------------------------------------------------------------------------------------------------- serve
def test_an_object_is_served_without_a_loop_and_reached_by_its_node(place: Place) -> None:
    lamp = Lamp()
    with sync.serve(lamp, "lamp", on=[place.listen], limits=QUICK) as node:
        (url,) = node.addresses
        with sync.connect(url, "lamp", Lamp) as replica:
            assert node.call(setattr, lamp, "level", 0.75).result() is None
            assert sync.until(lambda: replica.level, 5) == 0.75
            assert sync.run(replica.dim(0.25)) == 0.5
            assert lamp.level == 0.5
        with pytest.raises(WrongThread, match=r"node\.call"):
            lamp.level = 1.0
    lamp.level = 1.0
    with pytest.raises(LinkError), sync.connect(url, "lamp", Lamp, timeout=0):
        pass


def test_one_url_is_enough_and_memory_is_one_of_them() -> None:
    with (
        sync.serve(Lamp(), "lamp", on="memory:lamp-of-a-script", limits=QUICK),
        sync.connect("memory:lamp-of-a-script", "lamp", Lamp) as lamp,
    ):
        assert sync.run(Lamp.level.push(lamp, 0.5)) == 0.5
        assert sync.run(lamp.dim(0.25)) == 0.25
        assert lamp.level == 0.25


def test_what_cannot_be_served_says_why(place: Place) -> None:
    with pytest.raises(ModelError, match="is reserved"), sync.serve(Lamp(), "everywire", on=place.listen):
        pass
    with (
        sync.serve(Lamp(), "lamp", on=place.listen, limits=QUICK),
        pytest.raises(LinkError, match="somebody listens"),
        sync.serve(Lamp(), "lamp", on=place.listen),
    ):
        pass


def test_one_thread_serves_all_and_ends_with_the_last(place: Place) -> None:
    def background() -> int:
        return sum(thread.name == "everywire background" for thread in threading.enumerate())

    assert background() == 0
    with sync.serve(Boiler(), "boiler", on=place.listen, limits=QUICK) as node:
        assert background() == 1
        with sync.connect(node.addresses[0], "boiler", Boiler, background=True) as boiler:
            assert background() == 1
            assert sync.run(boiler.boost(1)) == 60
        assert background() == 1
    assert background() == 0


def test_many_threads_use_it_at_once(place: Place) -> None:
    results: list[int] = []
    with sync.serve(Desk(), "desk", on=place.listen, limits=QUICK) as node:

        def work() -> None:
            for _ in range(5):
                with sync.connect(node.addresses[0], "desk", Desk, background=True) as desk:
                    results.append(sync.run(desk.add(1)))

        threads = [threading.Thread(target=work) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert results == [1101] * 30


def test_a_replica_whose_thread_ended_fails_its_calls(place: Place) -> None:
    with (
        sync.serve(Counters(), "counters", on=place.listen, limits=QUICK) as node,
        sync.connect(node.addresses[0], "counters", Counters, background=True) as counters,
    ):
        counters._everywire.link.pump._thread.close()
        with pytest.raises(Fault) as caught:
            sync.run(counters.settle())
        assert (caught.value.code, caught.value.may_have_run) == (Code.UNAVAILABLE, False)


def test_ctrl_c_while_a_block_is_entered_does_not_wait_for_it() -> None:
    main = threading.main_thread().ident
    assert main is not None

    @asynccontextmanager
    async def slow() -> AsyncIterator[None]:
        signal.pthread_kill(main, signal.SIGINT)
        await asyncio.Event().wait()
        yield

    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with sync.LoopThread() as thread:
            with pytest.raises(KeyboardInterrupt), thread.enter(slow()):
                pass
            assert thread.run(where())
    finally:
        signal.signal(signal.SIGINT, former)
