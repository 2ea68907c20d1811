"""The two measuring loops, written once for awaited and once for blocking calls; only PySide6 and C have their own.

One window for all: issue `depth` calls, then await all, repeat. The clock is read once per call one at a time (its
20 to 40 ns are in the result) and once per window.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter_ns
from typing import Any

from benchmarks.peer import Client, Missing, Ready, Timing, WrongAnswer, expect

LoopFactory = Callable[[], asyncio.AbstractEventLoop]


@dataclass(frozen=True, slots=True)
class AwaitedCalls:
    """How a call is made in an asyncio program."""

    call: Callable[[int], Awaitable[int]]
    """Make a call that is awaited at once."""
    begin: Callable[[int], Awaitable[int]]
    """Make a call that is sent although it is awaited later; a plain coroutine function needs a task for that."""


@dataclass(frozen=True, slots=True)
class BlockingCalls:
    """How a call is made in a program without a loop."""

    call: Callable[[int], int]
    begin: Callable[[int], Any] | None = None
    """Send a call and return what `finish` needs; None when the API waits for each answer."""
    finish: Callable[[Any], int] = int


def served(
    start: Callable[[Path], AbstractAsyncContextManager[object]], loop_factory: LoopFactory | None = None
) -> Callable[[Path, Ready], None]:
    """The server role of an asyncio peer: enter `start`, be ready, stay until killed."""

    async def stay(directory: Path, ready: Ready) -> None:
        async with start(directory):
            ready()
            await asyncio.Event().wait()

    def serve(directory: Path, ready: Ready) -> None:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(stay(directory, ready))

    return serve


def awaited(
    connect: Callable[[Path], AbstractAsyncContextManager[AwaitedCalls]], loop_factory: LoopFactory | None = None
) -> Callable[[Path], AbstractContextManager[Client]]:
    """The client role of an asyncio peer: `connect` gives the calls, one loop runs connection and samples."""

    @contextmanager
    def client(directory: Path) -> Generator[Client]:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            connection = connect(directory)
            yield _AwaitedClient(runner, runner.run(connection.__aenter__()))
            runner.run(connection.__aexit__(None, None, None))

    return client


def blocking(
    connect: Callable[[Path], AbstractContextManager[BlockingCalls]],
) -> Callable[[Path], AbstractContextManager[Client]]:
    """The client role of a peer whose calls block."""

    @contextmanager
    def client(directory: Path) -> Generator[Client]:
        with connect(directory) as calls:
            yield _BlockingClient(calls)

    return client


class _AwaitedClient:
    def __init__(self, runner: asyncio.Runner, calls: AwaitedCalls) -> None:
        self._runner = runner
        self._calls = calls

    def sequential(self, seconds: float) -> Timing:
        return self._runner.run(self._sequential(seconds))

    def outstanding(self, seconds: float, depth: int) -> Timing:
        return self._runner.run(self._outstanding(seconds, depth))

    async def _sequential(self, seconds: float) -> Timing:
        call = self._calls.call
        latencies: list[int] = []
        number = 0
        begun = before = perf_counter_ns()
        end = begun + int(seconds * 1e9)
        while before < end:
            if (answer := await call(number)) != number + 1:
                expect(answer, number)
            now = perf_counter_ns()
            latencies.append(now - before)
            before = now
            number += 1
        return Timing(number, before - begun, latencies)

    async def _outstanding(self, seconds: float, depth: int) -> Timing:
        begin = self._calls.begin
        number = 0
        begun = now = perf_counter_ns()
        end = begun + int(seconds * 1e9)
        while now < end:
            pending = [begin(number + offset) for offset in range(depth)]
            for answer in pending:
                number += 1
                if await answer != number:
                    raise WrongAnswer(f"add_one({number - 1}) was not answered with {number}")
            now = perf_counter_ns()
        return Timing(number, now - begun, [])


class _BlockingClient:
    def __init__(self, calls: BlockingCalls) -> None:
        self._calls = calls

    def sequential(self, seconds: float) -> Timing:
        call = self._calls.call
        latencies: list[int] = []
        number = 0
        begun = before = perf_counter_ns()
        end = begun + int(seconds * 1e9)
        while before < end:
            if (answer := call(number)) != number + 1:
                expect(answer, number)
            now = perf_counter_ns()
            latencies.append(now - before)
            before = now
            number += 1
        return Timing(number, before - begun, latencies)

    def outstanding(self, seconds: float, depth: int) -> Timing:
        begin, finish = self._calls.begin, self._calls.finish
        if begin is None:
            raise Missing("its API waits for each answer")
        number = 0
        begun = now = perf_counter_ns()
        end = begun + int(seconds * 1e9)
        while now < end:
            pending = [begin(number + offset) for offset in range(depth)]
            for answer in pending:
                number += 1
                if finish(answer) != number:
                    raise WrongAnswer(f"add_one({number - 1}) was not answered with {number}")
            now = perf_counter_ns()
        return Timing(number, now - begun, [])
