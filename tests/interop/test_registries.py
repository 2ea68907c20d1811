"""Registries between us and real Qt programs (PySide6): theirs or ours, with hosts and nodes of theirs and ours."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from everywire import (
    Limits,
    Node,
    Object,
    Property,
    RemoteObjects,
    ReplicaState,
    connect,
    i32,
    link_of,
    prop,
    slot,
)
from everywire.remoteobjects import open_registry
from everywire.remoteobjects.endpoint import registering
from tests.interop.matrix import PYSIDE, Feature, Role, shows
from tests.interop.programs import QtProgram, qt_program

pytestmark = [pytest.mark.interop, pytest.mark.timeout(40)]

Address = Callable[[str], str]
QUICK = Limits(drain=0.0)
TCP = "tcp://127.0.0.1:0"


class Gauge(Object):
    level: Property[float] = prop(1.5)

    @slot
    async def add_one(self, number: i32) -> i32:
        return number + 1


def gauge(level: float) -> Gauge:
    made = Gauge()
    made.level = level
    return made


async def reaches(replica: Gauge, level: float) -> None:
    async with asyncio.timeout(15):
        async for value in Gauge.level.watch(replica):
            if value == level:
                return


@asynccontextmanager
async def qt_registry(url: str = TCP) -> AsyncIterator[tuple[QtProgram, str]]:
    async with qt_program("registry") as qt:
        yield qt, await qt.ask("host_registry", url=url)


@asynccontextmanager
async def our_registry(url: str = TCP) -> AsyncIterator[tuple[Node, str]]:
    """Serve a registry; gives the address as Qt writes it."""
    async with Node(limits=QUICK) as node:
        (served,) = await node.serve(f"registry+{url}")
        yield node, served.removeprefix("registry+")


@asynccontextmanager
async def our_host(registry: str, level: float, name: str = "hall", url: str = TCP) -> AsyncIterator[tuple[Node, str]]:
    async with Node(limits=QUICK) as node:
        node.publish(gauge(level), name)
        (served,) = await node.serve(RemoteObjects(url=url, registry=registry))
        yield node, served


# ------------------------------------------------------------------------------------------- their registry
@shows(Feature.REGISTRY_HOST, Role.HOST, PYSIDE)
async def test_our_host_registers_with_a_registry_of_qt_and_follows_what_is_published() -> None:
    async with qt_registry() as (qt, registry), our_host(registry, 2.5) as (node, url):
        assert (await qt.hear("added", name="hall"))["url"] == url
        assert (await qt.ask("locations"))["hall"] == ["Gauge", url]
        node.publish(gauge(3.5), "attic")
        await qt.hear("added", name="attic", url=url)
        node.withdraw("hall")
        await qt.hear("removed", name="hall", url=url)
        assert set(await qt.ask("locations")) == {"attic"}


@shows(Feature.REGISTRY, Role.REPLICA, PYSIDE)
@pytest.mark.parametrize("kind", ["tcp", "local", "localabstract"])
async def test_a_qt_node_finds_our_object_by_a_registry_of_qt(kind: str, address: Address) -> None:
    async with qt_registry(address(kind)) as (_, registry), qt_program("registry") as node:
        await node.ask("join", registry=registry)
        await node.ask("acquire", name="hall")
        async with our_host(registry, 2.5, url=address(kind)):
            await node.hear("state", name="hall", state="Valid")
            assert await node.ask("level", name="hall") == ["float", 2.5]
        await node.hear("state", name="hall", state="Suspect")


@shows(Feature.REGISTRY, Role.HOST, PYSIDE)
async def test_our_node_finds_objects_of_qt_by_a_registry_of_qt() -> None:
    async with qt_registry() as (qt, registry), qt_program("registry") as host:
        await qt.ask("offer", name="own", level=7.5)
        await host.ask("host", url=TCP, registry=registry)
        await host.ask("offer", name="plain", level=8.5)
        await host.ask("offer_generated", name="generated", level=9.5)
        for name, level in {"own": 7.5, "plain": 8.5, "generated": 9.5}.items():
            async with connect(f"registry+{registry}", name, Gauge) as found:
                assert found.level == level
                assert await found.add_one(4) == 5
        async with open_registry(registry) as directory:
            assert set(directory.locations) == {"own", "plain", "generated"}
            assert directory.locations["generated"].type_name == "Gauge"


async def test_our_host_is_in_a_registry_of_qt_again_after_that_was_killed(address: Address) -> None:
    url = address("local")
    async with AsyncExitStack() as first:
        qt, _ = await first.enter_async_context(qt_registry(url))
        async with our_host(url, 2.5), connect(f"registry+{url}", "hall", Gauge) as hall:
            await qt.kill(signal.SIGKILL)
            assert await hall.add_one(1) == 2, "who has found it needs no registry"
            async with qt_registry(url) as (again, _):
                await again.hear("added", name="hall")
                assert link_of(hall).state is ReplicaState.VALID
                async with connect(f"registry+{url}", "hall", Gauge) as found:
                    assert found.level == 2.5


async def test_we_take_a_name_over_when_a_registry_of_qt_has_dropped_it_without_a_word(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A host that dies is not told of by Qt's registry; ours asks again, and finds the name free."""
    monkeypatch.setattr(registering, "INSIST", 0.1)
    async with qt_registry() as (qt, registry), qt_program("registry") as host:
        await host.ask("host", url=TCP, registry=registry)
        await host.ask("offer", name="hall", level=1.5)
        await qt.hear("added", name="hall")
        async with our_host(registry, 2.5) as (_, url), connect(f"registry+{registry}", "hall", Gauge) as hall:
            assert hall.level == 1.5, "the first registration of a name wins"
            await host.kill()
            await qt.hear("added", name="hall", url=url)
            await reaches(hall, 2.5)


async def test_our_replica_follows_a_host_of_qt_that_was_killed_and_came_back_elsewhere() -> None:
    async with qt_registry() as (_, registry), AsyncExitStack() as first:
        host = await first.enter_async_context(qt_program("registry"))
        await host.ask("host", url=TCP, registry=registry)
        await host.ask("offer", name="hall", level=1.5)
        async with connect(f"registry+{registry}", "hall", Gauge) as hall:
            await host.kill()
            async with qt_program("registry") as again:
                await again.ask("host", url=TCP, registry=registry)
                await again.ask("offer", name="hall", level=2.5)
                await reaches(hall, 2.5)
                assert await hall.add_one(1) == 2


# ------------------------------------------------------------------------------------------- our registry
@shows(Feature.REGISTRY_HOST, Role.REPLICA, PYSIDE)
@pytest.mark.parametrize("kind", ["tcp", "local", "localabstract"])
async def test_a_qt_host_registers_with_our_registry_and_all_find_its_objects(kind: str, address: Address) -> None:
    async with our_registry(address(kind)) as (_, registry), qt_program("registry") as host:
        url = await host.ask("host", url=address(kind), registry=registry)
        await host.ask("offer", name="plain", level=8.5)
        async with qt_program("registry") as node, open_registry(registry) as directory:
            await node.ask("join", registry=registry)
            await node.ask("acquire", name="plain")
            await node.hear("state", name="plain", state="Valid")
            assert await node.ask("level", name="plain") == ["float", 8.5]
            async with connect(f"registry+{registry}", "plain", Gauge) as plain:
                assert plain.level == 8.5
                assert await plain.add_one(1) == 2
            assert directory.locations["plain"].url == url
            await host.ask("withdraw", name="plain")
            await node.hear("removed", name="plain", url=url)
            assert await node.ask("locations") == {}


async def test_nodes_of_qt_are_told_when_a_host_of_qt_dies_which_qts_own_registry_does_not_tell() -> None:
    async with our_registry() as (_, registry), qt_program("registry") as host, qt_program("registry") as node:
        url = await host.ask("host", url=TCP, registry=registry)
        await node.ask("join", registry=registry)
        for name in ("a", "b"):
            await host.ask("offer", name=name)
            await node.hear("added", name=name)
        await host.kill(signal.SIGKILL)
        gone = [await node.hear("removed", url=url) for _ in range(2)]
        assert {entry["name"] for entry in gone} == {"a", "b"}
        assert await node.ask("locations") == {}


async def test_a_qt_node_finds_objects_of_our_registrys_own_host() -> None:
    async with our_registry() as (ours, registry), qt_program("registry") as node:
        ours.publish(gauge(4.5), "hall")
        await node.ask("join", registry=registry)
        await node.ask("acquire", name="hall")
        await node.hear("state", name="hall", state="Valid")
        assert await node.ask("level", name="hall") == ["float", 4.5]
        ours.publish(gauge(5.5), "attic")
        await node.hear("added", name="attic", url=registry)
        ours.withdraw("hall")
        await node.hear("removed", name="hall")
        await node.hear("state", name="hall", state="Suspect")


async def test_a_qt_host_registers_again_after_our_registry_was_started_anew(address: Address) -> None:
    url = address("local")
    async with qt_program("registry") as host, qt_program("registry") as node:
        async with our_registry(url) as (_, registry):
            await host.ask("host", url=TCP, registry=registry)
            await host.ask("offer", name="hall", level=1.5)
            await node.ask("join", registry=registry)
            await node.ask("acquire", name="hall")
            await node.hear("state", name="hall", state="Valid")
        async with our_registry(url), connect(f"registry+{url}", "hall", Gauge) as hall:
            assert hall.level == 1.5


@asynccontextmanager
async def registry_process(url: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Host a registry by the command, from its first words until the end of the block."""
    command = (sys.executable, "-m", "everywire", "registry", "--json", url)
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert await process.stdout.readline()
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_hosts_and_nodes_of_qt_and_ours_outlive_our_registry_being_killed(address: Address) -> None:
    url = address("local")
    async with AsyncExitStack() as stack:
        process = await stack.enter_async_context(registry_process(url))
        host = await stack.enter_async_context(qt_program("registry"))
        node = await stack.enter_async_context(qt_program("registry"))
        await host.ask("host", url=TCP, registry=url)
        await host.ask("offer", name="theirs", level=1.5)
        await stack.enter_async_context(our_host(url, 2.5, name="ours"))
        await node.ask("join", registry=url)
        await node.ask("acquire", name="ours")
        await node.hear("state", name="ours", state="Valid")
        theirs = await stack.enter_async_context(connect(f"registry+{url}", "theirs", Gauge))
        process.kill()
        await process.wait()
        assert await theirs.add_one(1) == 2
        await stack.enter_async_context(registry_process(url))
        await node.ask("acquire", name="theirs")
        await node.hear("state", name="theirs", state="Valid")
        for name, level in {"theirs": 1.5, "ours": 2.5}.items():
            async with connect(f"registry+{url}", name, Gauge) as again:
                assert again.level == level


async def test_a_qt_node_follows_an_object_of_ours_from_one_host_to_the_other() -> None:
    async with our_registry() as (_, registry), qt_program("registry") as node:
        await node.ask("join", registry=registry)
        await node.ask("acquire", name="hall")
        async with our_host(registry, 1.5):
            await node.hear("state", name="hall", state="Valid")
        await node.hear("state", name="hall", state="Suspect")
        async with our_host(registry, 2.5):
            await node.hear("state", name="hall", state="Valid")
            assert await node.ask("level", name="hall") == ["float", 2.5]


async def test_hosts_of_qt_and_ours_are_in_two_registries_at_once() -> None:
    async with qt_registry() as (qt, theirs), our_registry() as (_, ours), Node(limits=QUICK) as host:
        host.publish(gauge(6.5), "hall")
        await host.serve(RemoteObjects(url=TCP, registry=(theirs, f"registry+{ours}")))
        await qt.hear("added", name="hall")
        for registry in (theirs, ours):
            async with connect(f"registry+{registry}", "hall", Gauge) as hall:
                assert hall.level == 6.5


# ------------------------------------------------------------------------------------------- proxies
@shows(Feature.PROXY, Role.HOST, PYSIDE)
async def test_a_proxy_shows_the_objects_of_a_network_of_qt_to_a_node_of_qt() -> None:
    async with qt_registry() as (inner, registry), Node(limits=QUICK) as gateway, qt_program("registry") as outside:
        await inner.ask("offer", name="plain", level=1.5)
        await inner.ask("offer_generated", name="generated", level=2.5)
        await inner.ask("offer", name="secret", level=3.5)
        (url,) = await gateway.serve("registry+tcp://127.0.0.1:0")
        await gateway.proxy(f"registry+{registry}", accept=lambda name, _class: name != "secret")
        await outside.ask("join", registry=url.removeprefix("registry+"))
        for name, level in (("plain", 1.5), ("generated", 2.5)):
            await outside.ask("acquire", name=name)
            await outside.hear("state", name=name, state="Valid")
            assert await outside.ask("level", name=name) == ["float", level]
        assert set(await outside.ask("locations")) == {"plain", "generated"}
        await inner.ask("withdraw", name="plain")
        await outside.hear("removed", name="plain")
        await inner.kill()
        await outside.hear("removed", name="generated")


@shows(Feature.PROXY, Role.REPLICA, PYSIDE)
async def test_a_proxy_of_qt_shows_our_objects() -> None:
    """The other way round: Qt's proxy joins our registry and shows our objects on a host of its own."""
    async with our_registry() as (ours, registry), qt_program("registry") as gateway:
        ours.publish(gauge(2.5), "hall")
        url = await gateway.ask("host_registry", url=TCP)
        assert await gateway.ask("proxy", registry=registry)
        async with connect(f"registry+{url}", "hall") as hall:
            assert hall.level == 2.5
            assert await any_slot(hall)(4) == 5


def any_slot(replica: Any) -> Any:
    return replica.add_one
