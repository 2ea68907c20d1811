"""R7: calls in flight when the host is killed end by name, at once, and none runs twice: a journal on disk knows."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from everywire import Code, Fault, Object, connect, slot
from tests.harness import SOAK, soak
from tests.interop.programs import qt_program
from tests.programs import Program
from tests.remoteobjects.promises.conftest import Figures
from tests.remoteobjects.promises.machinery import ours
from tests.remoteobjects.promises.things import Journal

CALLERS: Final = 16
SLOWEST: Final = 0.5
"""Seconds after the kill within which every call has ended; the promise is its deadline, 30 s, and 0.1 s."""


class Engine(Object):
    """What the Qt program offers: it tells of each call before it answers."""

    @slot
    async def remember(self, what: str) -> None: ...


@dataclass
class Ends:
    """How calls ended, by their number."""

    results: set[int] = field(default_factory=set[int])
    refused: set[int] = field(default_factory=set[int])
    lost: set[int] = field(default_factory=set[int])

    async def calling(self, call: Callable[[int], Awaitable[Any]], numbers: Iterator[int]) -> None:
        """Call until a call fails, which only a lost link may do."""
        for number in numbers:
            try:
                answer = await call(number)
            except Fault as fault:
                if fault.code is not Code.UNAVAILABLE:
                    raise
                (self.lost if fault.may_have_run else self.refused).add(number)
                return
            assert answer in (number, None)
            self.results.add(number)

    def agree(self, journal: Counter[int], made: int) -> None:
        """Compare with what the host has done."""
        assert len(self.results) + len(self.lost) + len(self.refused) == made, "a call has no end"
        assert max(journal.values(), default=1) == 1, "a call ran twice"
        assert self.results <= journal.keys(), "a call has a result and did not run"
        assert not self.refused & journal.keys(), "a call ran of which its caller was told that it cannot have run"
        assert journal.keys() <= self.results | self.lost


async def killed_in_the_midst(
    host: Program, call: Callable[[int], Awaitable[Any]], numbers: Iterator[int], delay: float
) -> tuple[Ends, float]:
    """Kill *host* *delay* seconds after the first calls; return how they ended, and how long the last one took."""
    ends, loop = Ends(), asyncio.get_running_loop()
    killed = loop.create_future()
    loop.call_later(delay, lambda: (host.process.kill(), killed.set_result(loop.time())))
    async with asyncio.TaskGroup() as group:
        for _ in range(CALLERS):
            group.create_task(ends.calling(call, numbers))
    return ends, loop.time() - await killed


@pytest.mark.timeout(1800 if SOAK else 60)
@pytest.mark.parametrize("transport", ["local", "tcp"])
async def test_calls_in_flight_of_a_killed_host_end_by_name_and_none_runs_twice(
    folder: Path, figure: Figures, transport: str
) -> None:
    seed = random.randrange(2**32)
    figure("seed", seed)
    rng, numbers, slowest = random.Random(seed), itertools.count(), 0.0
    lost = done = 0
    url = f"local:{folder}/journal" if transport == "local" else "tcp://127.0.0.1:0"
    for turn in range(soak(3, 200)):
        path, first = folder / f"{turn}", next(numbers)
        async with ours("uvloop" if turn % 2 else "asyncio") as host:
            values = {"journal": {"path": str(path)}}
            url, _ = await host.ask("serve", url=url, objects={"journal": "Journal"}, values=values)
            async with connect(url, "journal", Journal, timeout=5.0) as journal:
                call = journal.note_slowly if turn % 3 == 2 else journal.note
                ends, took = await killed_in_the_midst(host, call, numbers, rng.uniform(0.005, 0.15))
        written = Counter(map(int, path.read_text(encoding="ascii").split())) if path.exists() else Counter[int]()
        assert min(written, default=first) >= first, "a call of an earlier host was repeated"
        ends.agree(written, next(numbers) - first - 1)
        slowest, lost, done = max(slowest, took), lost + len(ends.lost), done + len(ends.results)
    figure("calls with a result", done)
    figure("calls in flight that were lost by name", lost)
    figure("slowest end of a call after SIGKILL", slowest * 1000, "ms", at_most=SLOWEST * 1000)
    assert lost > 0


@pytest.mark.interop
@pytest.mark.timeout(600 if SOAK else 60)
async def test_calls_in_flight_of_a_killed_qt_host_end_by_name_too(folder: Path, figure: Figures) -> None:
    seed = random.randrange(2**32)
    figure("seed", seed)
    rng, numbers, slowest, lost = random.Random(seed), itertools.count(), 0.0, 0
    for _ in range(soak(2, 40)):
        first = next(numbers)
        async with qt_program("host") as qt:
            _, url = await qt.ask("serve", url=f"local:{folder}/qt", names=["engine"])
            async with connect(url, "engine", Engine, timeout=5.0) as engine:

                async def call(number: int, engine: Engine = engine) -> None:
                    await engine.remember(str(number))

                ends, took = await killed_in_the_midst(qt, call, numbers, rng.uniform(0.005, 0.15))
            await qt.kill()
            await qt.ended()
            written = Counter(int(fact["arguments"][0][1]) for fact in qt.facts if fact["event"] == "called")
        assert min(written, default=first) >= first
        ends.agree(written, next(numbers) - first - 1)
        slowest, lost = max(slowest, took), lost + len(ends.lost)
    figure("calls in flight that were lost by name", lost)
    figure("slowest end of a call after SIGKILL of Qt", slowest * 1000, "ms", at_most=SLOWEST * 1000)
