"""R8: a replica notices at once that its host was killed, and is valid soon after a new one is up."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Any, Final

import pytest

from everywire import Object, Property, ReplicaState, connect, link_of, prop
from tests.harness import SOAK, soak
from tests.interop.programs import qt_program
from tests.programs import Program
from tests.remoteobjects.promises.conftest import Figures
from tests.remoteobjects.promises.machinery import QTS, ours, qt_node
from tests.remoteobjects.promises.things import Plant

SUSPECT: Final = 50.0
VALID: Final = 250.0
"""Milliseconds, as promised."""
QT_ASKS: Final = 250.0
"""Milliseconds between two attempts of a Qt node to reach a host that is gone: that much later it may notice."""

Serving = AbstractAsyncContextManager[tuple[Program, str, float]]


class Engine(Object):
    """What the Qt program offers, in part."""

    set_point: Property[int] = prop(0)
    level: Property[float] = prop(0.0)


class Watch:
    """When a replica's state and values change."""

    def __init__(self, replica: Object, *props: Property[Any]) -> None:
        self.states: list[tuple[ReplicaState, float]] = []
        self.changes: list[tuple[str, Any]] = []
        self._news = asyncio.Event()
        loop = asyncio.get_running_loop()
        link_of(replica).state_changed.connect(lambda state: self._note(state, loop.time()))
        for handle in props:
            handle.on_change(replica, lambda value, name=handle.name: self.changes.append((name, value)))

    def _note(self, state: ReplicaState, at: float) -> None:
        self.states.append((state, at))
        self._news.set()

    async def reached(self, state: ReplicaState) -> float:
        """Wait until *state* is the latest news; return since when."""
        while not self.states or self.states[-1][0] is not state:
            self._news.clear()
            await self._news.wait()
        return self.states[-1][1]


def told(figure: Figures, suspect: list[float], valid: list[float], *, late: float = 0.0) -> None:
    """Tell the figures of several restarts, in ms."""
    figure("suspect after SIGKILL, median", median(suspect) * 1000, "ms", at_most=SUSPECT)
    figure("suspect after SIGKILL, latest", max(suspect) * 1000, "ms")
    figure("valid after the new host is up, median", median(valid) * 1000, "ms", at_most=VALID + late)
    figure("valid after the new host is up, latest", max(valid) * 1000, "ms")


def where(folder: Path, transport: str) -> str:
    """An address that nobody has."""
    return f"local:{folder}/plant" if transport == "local" else "tcp://127.0.0.1:0"


@asynccontextmanager
async def our_host(url: str, level: int) -> AsyncIterator[tuple[Program, str, float]]:
    """A program of ours that serves a plant; its address, and when it was up."""
    async with ours() as host:
        address, up = await host.ask("serve", url=url, objects={"plant": "Plant"}, values={"plant": {"level": level}})
        yield host, address.partition("?")[0], up


@asynccontextmanager
async def qt_host(url: str, level: int) -> AsyncIterator[tuple[Program, str, float]]:
    """A Qt program that serves an engine; its address, and when we heard that it was up."""
    async with qt_program("host") as host:
        await host.ask("set", name="engine", prop="setPoint", value=["int", level])
        _, address = await host.ask("serve", url=url, names=["engine"])
        yield host, address, asyncio.get_running_loop().time()


async def restarts(
    serve: Callable[[str, int], Serving], url: str, follow: Callable[[str], AbstractAsyncContextManager[Watch]]
) -> tuple[list[float], list[float], Watch]:
    """Kill the host and start it anew, several times; return the seconds until suspect and until valid."""
    suspect, valid, loop = [], [], asyncio.get_running_loop()
    async with contextlib.AsyncExitStack() as stack:
        host, url, _ = await stack.enter_async_context(serve(url, 0))
        watch = await stack.enter_async_context(follow(url))
        for level in range(1, soak(3, 20) + 1):
            killed = loop.time()
            await host.kill()
            suspect.append(await watch.reached(ReplicaState.SUSPECT) - killed)
            host, _, up = await stack.enter_async_context(serve(url, level))
            valid.append(max(await watch.reached(ReplicaState.VALID) - up, 0.0))
    return suspect, valid, watch


@pytest.mark.timeout(300 if SOAK else 60)
@pytest.mark.loops("asyncio", "uvloop")
@pytest.mark.parametrize("transport", ["local", "tcp"])
async def test_a_replica_of_ours_finds_our_host_again(folder: Path, figure: Figures, transport: str) -> None:
    @asynccontextmanager
    async def follow(url: str) -> AsyncIterator[Watch]:
        async with connect(url, "plant", Plant) as plant:
            yield Watch(plant, Plant.level, Plant.name, Plant.ratio)

    suspect, valid, watch = await restarts(our_host, where(folder, transport), follow)
    told(figure, suspect, valid)
    figure("changes told for each that there was", len(watch.changes) / len(valid), at_most=1)
    assert watch.changes == [("level", number + 1) for number in range(len(valid))]


@pytest.mark.interop
@pytest.mark.timeout(300 if SOAK else 60)
@pytest.mark.parametrize("transport", ["local", "tcp"])
async def test_a_replica_of_ours_finds_a_qt_host_again(folder: Path, figure: Figures, transport: str) -> None:
    @asynccontextmanager
    async def follow(url: str) -> AsyncIterator[Watch]:
        async with connect(url, "engine", Engine) as engine:
            yield Watch(engine, Engine.set_point, Engine.level)

    suspect, valid, watch = await restarts(qt_host, where(folder, transport), follow)
    told(figure, suspect, valid)
    figure("changes told for each that there was", len(watch.changes) / len(valid), at_most=1)
    assert watch.changes == [("set_point", number + 1) for number in range(len(valid))]


class QtWatch(Watch):
    """The same of a replica in a Qt program, by its own words."""

    def __init__(self, qt: Program) -> None:
        self._qt = qt

    async def reached(self, state: ReplicaState) -> float:
        """Wait until the program says so."""
        await self._qt.hear("state", state=state.name.capitalize())
        return asyncio.get_running_loop().time()


@pytest.mark.interop
@pytest.mark.timeout(300 if SOAK else 60)
@pytest.mark.parametrize(
    "transport, kind", [("local", "PySide6"), ("tcp", "PySide6"), ("tcp", "Qt 6.4"), ("local", "Qt 5.15")]
)
async def test_a_qt_program_finds_our_host_again(folder: Path, figure: Figures, transport: str, kind: str) -> None:
    @asynccontextmanager
    async def follow(url: str) -> AsyncIterator[Watch]:
        async with qt_node(kind) as qt:
            await qt.ask("connect", url=url)
            await qt.ask("acquire", name="plant")
            await qt.hear("state", state="Valid")
            yield QtWatch(qt)
            _, level = await qt.ask("get", name="plant", prop="level")
            assert int(level) == soak(3, 20)

    def serve(url: str, level: int) -> Serving:
        return our_host(f"{url}?protocol={QTS[kind]}", level)

    suspect, valid, _ = await restarts(serve, where(folder, transport), follow)
    told(figure, suspect, valid, late=QT_ASKS)
