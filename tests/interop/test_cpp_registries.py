"""Registries between us and C++ programs of Qt 6.4 and 5.15: theirs or ours, with hosts and nodes of both."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import pytest

from everywire import Limits, Node, Object, Property, RemoteObjects, connect, i32, prop, slot
from everywire.remoteobjects import Location, open_registry
from everywire.remoteobjects.endpoint import registering
from tests.interop.cpp_programs import cpp_host, cpp_node
from tests.interop.matrix import CPP, Feature, Role, shows

pytestmark = [pytest.mark.interop, pytest.mark.cpp, pytest.mark.timeout(30)]

QUICK = Limits(drain=0.0)
TCP: Final = "tcp://127.0.0.1:0"
PROTOCOLS: Final = {"Qt 6.4": "2.0", "Qt 5.15": "1.3"}


@pytest.fixture(params=PROTOCOLS)
def qt(request: pytest.FixtureRequest) -> str:
    """Which Qt the C++ programs are built with."""
    version: str = request.param
    return version


class Gauge(Object):
    level: Property[float] = prop(1.5)

    @slot
    async def add_one(self, number: i32) -> i32:
        return number + 1


def gauge(level: float) -> Gauge:
    made = Gauge()
    made.level = level
    return made


@asynccontextmanager
async def our_registry(qt: str) -> AsyncIterator[tuple[Node, str]]:
    """Serve a registry in the dialect of *qt*; gives the address as Qt writes it."""
    async with Node(limits=QUICK) as node:
        (served,) = await node.serve(f"registry+{TCP}?protocol={PROTOCOLS[qt]}")
        yield node, served.removeprefix("registry+")


@asynccontextmanager
async def our_host(qt: str, registry: str, level: float, name: str = "gauge") -> AsyncIterator[tuple[Node, str]]:
    async with Node(limits=QUICK) as node:
        node.publish(gauge(level), name)
        (served,) = await node.serve(RemoteObjects(url=TCP, registry=registry, protocol=PROTOCOLS[qt]))
        yield node, served


async def until_known(registry: str, name: str) -> Location:
    async with open_registry(registry) as directory:
        while name not in directory.locations:
            async for _ in directory.added:
                break
        return directory.locations[name]


@shows(Feature.REGISTRY, Role.HOST, *CPP)
@shows(Feature.REGISTRY, Role.REPLICA, *CPP)
@shows(Feature.REGISTRY_HOST, Role.HOST, *CPP)
@shows(Feature.REGISTRY_HOST, Role.REPLICA, *CPP)
async def test_our_host_and_node_use_a_registry_of_qt(qt: str) -> None:
    async with cpp_host(qt) as theirs, cpp_node(qt) as node:
        _, registry = await theirs.ask("serve", url=TCP, names=["valve"], is_registry=True)
        await node.ask("registry", url=registry)
        await node.hear("registry", state="Valid")
        async with our_host(qt, registry, 2.5) as (ours, url):
            await node.hear("added", name="gauge", type="Gauge", url=url)
            await node.ask("acquire", name="gauge")
            await node.hear("state", object="gauge", state="Valid")
            assert await node.ask("get", name="gauge", prop="level") == ["double", 2.5]
            answer = await node.ask("ask", name="gauge", slot="addOne", arguments=[["int", 4]], wait=True)
            assert answer["value"] == ["int", 5]
            async with connect(f"registry+{registry}", "gauge", Gauge) as found:
                assert found.level == 2.5
            async with connect(f"registry+{registry}", "valve") as valve:
                assert valve is not None
            ours.withdraw("gauge")
            await node.hear("removed", name="gauge", url=url)
            assert set(await node.ask("locations")) == {"valve"}


@shows(Feature.REGISTRY_HOST, Role.REPLICA, *CPP)
@shows(Feature.REGISTRY, Role.HOST, *CPP)
@shows(Feature.REGISTRY, Role.REPLICA, *CPP)
async def test_hosts_and_nodes_of_qt_use_our_registry(qt: str) -> None:
    async with our_registry(qt) as (ours, registry), cpp_host(qt) as host, cpp_node(qt) as node:
        ours.publish(gauge(3.5), "gauge")
        await node.ask("registry", url=registry)
        await node.hear("registry", state="Valid")
        _, url = await host.ask("serve", url=TCP, names=["hall", "plain"], registry=registry)
        entries = [await node.hear("added", url=url) for _ in range(2)]
        assert {entry["name"] for entry in entries} == {"hall", "plain"}, "in any order"
        assert await node.ask("locations") == {
            "gauge": ["Gauge", registry],
            "hall": ["Hall", url],
            "plain": ["", url],
        }
        for name in ("gauge", "hall"):
            await node.ask("acquire", name=name)
            await node.hear("state", object=name, state="Valid")
        assert await node.ask("get", name="gauge", prop="level") == ["double", 3.5]
        async with connect(f"registry+{registry}", "plain") as plain:
            assert await plain.add_one(4) == 5
        await host.ask("withdraw", name="plain")
        await node.hear("removed", name="plain", url=url)
        await host.kill()
        await node.hear("removed", name="hall", url=url)
        assert await node.ask("locations") == {"gauge": ["Gauge", registry]}


async def test_our_host_takes_over_from_a_host_of_qt_that_died(qt: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registering, "INSIST", 0.1)
    async with cpp_host(qt) as theirs, cpp_host(qt) as host:
        _, registry = await theirs.ask("serve", url=TCP, names=[], is_registry=True)
        await host.ask("serve", url=TCP, names=["plain"], registry=registry)
        before = await until_known(registry, "plain")
        async with our_host(qt, registry, 2.5, name="plain") as (_, url), open_registry(registry) as directory:
            assert directory.locations["plain"] == before, "the first registration of a name wins"
            await host.kill()
            async with asyncio.timeout(10):
                async for (location,) in directory.added:
                    if location.url == url:
                        break


@shows(Feature.PROXY, Role.REPLICA, *CPP)
async def test_a_proxy_of_qt_passes_on_what_our_registry_knows_and_the_other_way_round(qt: str) -> None:
    """`proxy` and `reverseProxy` of a gateway of Qt, between an inner network of ours and an outer one."""
    async with our_registry(qt) as (inside, inner), cpp_host(qt) as gateway:
        inside.publish(gauge(2.5), "inner gauge")
        _, outer = await gateway.ask("serve", url=TCP, names=[], is_registry=True)
        assert await gateway.ask("proxy", registry=inner, url=TCP) is not False
        await gateway.ask("reverse_proxy")
        async with connect(f"registry+{outer}", "inner gauge", Gauge) as found:
            assert found.level == 2.5
            assert await found.add_one(4) == 5
        async with our_host(qt, outer, 4.5, name="outer gauge"), connect(f"registry+{inner}", "outer gauge") as found:
            assert found.level == 4.5


@shows(Feature.PROXY, Role.HOST, *CPP)
@shows(Feature.PROXY, Role.REPLICA, *CPP)
@pytest.mark.parametrize("qt, other", [("Qt 5.15", "Qt 6.4"), ("Qt 6.4", "Qt 5.15")])
async def test_a_proxy_joins_what_qt_itself_cannot_a_network_of_qt_5_and_one_of_qt_6(qt: str, other: str) -> None:
    async with cpp_host(qt) as theirs, cpp_node(other) as node, Node(limits=QUICK) as gateway:
        _, registry = await theirs.ask("serve", url=TCP, names=["valve"], is_registry=True)
        (url,) = await gateway.serve(f"registry+{TCP}?protocol={PROTOCOLS[other]}")
        proxy = await gateway.proxy(f"registry+{registry}")
        await node.ask("registry", url=url.removeprefix("registry+"))
        await node.ask("acquire", name="valve")
        await node.hear("state", object="valve", state="Valid")
        answer = await node.ask("ask", name="valve", slot="turn", arguments=[["int", 4]], wait=True)
        assert answer["value"] == ["QString", "turned by 4"]
        await theirs.ask("withdraw", name="valve")
        await node.hear("state", object="valve", state="Suspect")
        await proxy.close()


@shows(Feature.PROXY, Role.HOST, *CPP)
async def test_a_proxy_of_ours_shows_one_host_without_a_registry(qt: str) -> None:
    async with cpp_host(qt) as host, Node(limits=QUICK) as gateway:
        _, url = await host.ask("serve", url=TCP, names=["plain", "valve"])
        (shown,) = await gateway.serve("tcp://127.0.0.1:0")
        await gateway.proxy(url, accept=lambda name, _class: name == "valve")
        async with connect(shown, "valve") as valve:
            assert await valve.turn(4) == "turned by 4"
            assert set(gateway.published) == {"valve"}


@pytest.mark.parametrize("qt, other", [("Qt 5.15", "Qt 6.4"), ("Qt 6.4", "Qt 5.15")])
async def test_models_and_children_pass_a_proxy_between_two_generations_of_qt(qt: str, other: str) -> None:
    async with cpp_host(qt) as theirs, cpp_node(other) as node, Node(limits=QUICK) as gateway:
        _, url = await theirs.ask("serve", url=TCP, names=["table", "plain", "hall"])
        (shown,) = await gateway.serve(f"{TCP}?protocol={PROTOCOLS[other]}")
        await gateway.proxy(url)
        await node.ask("connect", url=shown)
        await node.ask("acquire_model", name="table", prefetch=True)
        await node.hear("initialized", object="table")
        assert await node.ask("size", name="table") == [3, 2]
        assert await node.ask("cell", name="table", path=[[1, 0]], role=0) == [True, ["QString", "Aria"]]
        await node.ask("set_cell", name="table", path=[[0, 0]], value=["QString", "Ouverture"], role=2)
        await node.hear("data changed", object="table")
        assert await theirs.ask("cell", name="table", path=[[0, 0]], role=0) == ["QString", "Ouverture"]
        await node.ask("acquire", name="plain")  # its model and hall's have one name in Qt 5
        await node.hear("state", object="plain", state="Valid")
        await node.ask("take", name="plain", prop="rows", **{"as": "rows"})
        while await node.ask("size", name="rows") != [3, 2]:  # it is asked for when the model is first looked at
            await node.hear("initialized", object="rows")
