"""R1: a peer that stops reading costs its host at most the outbox limit, and hears how much it has missed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from everywire.runtime.limits import DEFAULT_LIMITS, KIB, MIB
from tests.harness import SOAK
from tests.programs import Program
from tests.remoteobjects.promises.conftest import Figures
from tests.remoteobjects.promises.machinery import QTS, go_on, ours, qt_node, stop
from tests.remoteobjects.promises.things import later

BLOCK: Final = 128 * KIB
RATE: Final = 1000.0
SECONDS: Final = 60.0 if SOAK else 1.5
CALM: Final = 6.0 if SOAK else 1.0
MOST: Final = DEFAULT_LIMITS.unsent_hard / MIB + 8
"""MiB: the hard limit, and what else may grow, of the allocator's fragments and the block itself."""
GRAIN: Final = 0.02 if SOAK else 0.25
"""Seconds of delay below which no two of them are compared: other programs of the machine, or tests, cost that."""


@asynccontextmanager
async def publishing(url: str, loop_kind: str) -> AsyncIterator[tuple[Program, str, Callable[..., Awaitable[Any]]]]:
    """A host of a feed, its address, and what has it publish; numbers go on from one time to the next."""
    async with ours(loop_kind) as host:
        address, _ = await host.ask("serve", url=url, objects={"feed": "Feed"})
        first = 1

        async def feed(by: str, seconds: float) -> Any:
            nonlocal first
            done = await host.ask("feed", name="feed", by=by, size=BLOCK, rate=RATE, seconds=seconds, first=first)
            first += done["count"]
            return done | {"last": first - 1}

        yield host, address, feed


def told(figure: Figures, done: dict[str, Any], seconds: float) -> None:
    """Tell what the feed cost its host."""
    figure("blocks of 128 KiB published per second", done["count"] / seconds)
    figure("growth of the host within 6 s", (done["early"] - done["before"]) / MIB, "MiB", at_most=MOST)
    figure(f"growth of the host within {seconds:g} s", (done["most"] - done["before"]) / MIB, "MiB", at_most=MOST)


@pytest.mark.timeout(150 if SOAK else 30)
@pytest.mark.parametrize(
    "by, transport, kind",
    [("property", "local", "asyncio"), ("signal", "tcp", "uvloop"), ("property", "tcp", "uvloop"),
     ("signal", "local", "asyncio")],
)  # fmt: skip
async def test_a_stopped_replica_costs_at_most_the_outbox_limit_and_hears_what_it_missed(
    folder: Path, figure: Figures, by: str, transport: str, kind: str
) -> None:
    url = f"local:{folder}/feed" if transport == "local" else "tcp://127.0.0.1:0"
    async with publishing(url, kind) as (_, address, feed), ours(kind) as slow, ours(kind) as witness:
        for replica in (slow, witness):
            await replica.ask("connect", url=address, name="feed", cls="Feed")
        calm = await feed(by, CALM)
        undisturbed = await witness.ask("caught_up", last=calm["last"])
        before = await slow.ask("caught_up", last=calm["last"])
        await witness.ask("reset")
        stop(slow)
        done = await feed(by, SECONDS)
        beside = await witness.ask("caught_up", last=done["last"])
        go_on(slow)
        resumed = asyncio.get_running_loop().time()
        after = await slow.ask("caught_up", last=done["last"])
    told(figure, done, SECONDS)
    figure("convergence after SIGCONT", after["at"] - resumed, "s", at_most=1.0)
    limit = max(2 * undisturbed["p99"], GRAIN)
    figure("p99 of another replica, undisturbed", undisturbed["p99"] * 1000, "ms")
    figure("p99 of another replica, beside a stopped one", beside["p99"] * 1000, "ms", at_most=limit * 1000)
    assert all(heard["ordered"] for heard in (undisturbed, beside, after))
    assert not [fact for fact in slow.facts if fact["event"] == "state"], "who is alive is not cut"
    if by == "signal":
        figure("signals missed and told", after["gap"])
        assert after["gap"] > 0
        assert after["gap"] + after["signals"] == done["last"], "every gap is told"
    else:
        assert after["block"] == done["last"], "a property converges to its newest value"
        assert after["blocks"] < before["blocks"] + done["count"], "values between were left out"


@pytest.mark.interop
@pytest.mark.timeout(150 if SOAK else 30)
@pytest.mark.parametrize(
    "by, transport, kind",
    [
        ("property", "tcp", "PySide6"),
        ("signal", "local", "PySide6"),
        ("signal", "local", "Qt 6.4"),
        ("property", "local", "Qt 5.15"),
    ],
)
async def test_a_stopped_qt_program_costs_at_most_the_outbox_limit_too(
    folder: Path, figure: Figures, by: str, transport: str, kind: str
) -> None:
    url = f"local:{folder}/feed" if transport == "local" else "tcp://127.0.0.1:0"
    async with publishing(f"{url}?protocol={QTS[kind]}", "asyncio") as (_, address, feed), qt_node(kind) as qt:
        await qt.ask("connect", url=address.partition("?")[0])
        await qt.ask("acquire", name="feed")
        await qt.hear("state", state="Valid")
        stop(qt)
        done = await feed(by, SECONDS)
        go_on(qt)
        resumed = asyncio.get_running_loop().time()
        while int((await qt.ask("get", name="feed", prop="serial"))[1]) != done["last"]:
            await later(0.01)
        took = asyncio.get_running_loop().time() - resumed
    told(figure, done, SECONDS)
    figure("convergence of Qt after SIGCONT", took, "s", at_most=1.0)


@pytest.mark.timeout(60)
async def test_calls_to_a_stopped_host_cost_their_caller_at_most_the_outbox_limit(
    folder: Path, figure: Figures
) -> None:
    seconds = 10.0 if SOAK else 1.5
    async with publishing(f"local:{folder}/feed", "asyncio") as (host, address, _), ours() as caller:
        await caller.ask("connect", url=address, name="feed", cls="Feed")
        stop(host)
        flooding = asyncio.ensure_future(caller.ask("flood", size=BLOCK, rate=RATE, seconds=seconds))
        hearing = asyncio.ensure_future(caller.hear("flooded"))
        await asyncio.wait({flooding, hearing}, return_when=asyncio.FIRST_COMPLETED)
        go_on(host)
        ends, flooded = await flooding, await hearing
    figure(f"growth of a caller within {seconds:g} s", flooded["growth"] / MIB, "MiB", at_most=MOST)
    figure("calls refused because too many wait", ends["refused"])
    assert ends["refused"] > 0
    assert ends["refused"] + ends["answered"] == ends["calls"]
