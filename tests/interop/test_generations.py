"""Qt 5 and Qt 6 do not understand each other; with us between them they do, and a wrong call harms nobody."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from everywire import Node, connect
from tests.interop import plant, sources
from tests.interop.cpp_programs import cpp_host, cpp_node
from tests.interop.matrix import CPP, QT5, QT6

pytestmark = [pytest.mark.interop, pytest.mark.cpp]

Address = Callable[[str], str]
PROTOCOLS = {QT5: "1.3", QT6: "2.0"}


@pytest.mark.parametrize("peer", CPP)
async def test_one_program_of_ours_serves_both_generations_at_two_addresses(peer: str, address: Address) -> None:
    pump = sources.Pump()
    async with Node() as node, cpp_node(QT5) as old, cpp_node(QT6) as new:
        node.publish(pump, "pump")
        for qt, version in ((old, QT5), (new, QT6)):
            (url,) = await node.serve(f"{address('local')}?protocol={PROTOCOLS[version]}")
            await qt.ask("connect", url=url)
            await qt.ask("acquire_static", name="pump", cls="Pump")
            await qt.hear("state", object="pump", state="Valid")
            assert await qt.ask("listen", name="pump", signal="speedChanged(int)")
        pusher = old if peer == QT5 else new
        await pusher.ask("call", name="pump", slot="pushSpeed", arguments=[["int", 8]])
        for qt in (old, new):
            assert (await qt.hear("heard"))["arguments"] == [["int", 8]]
    assert pump.speed == 8


@pytest.mark.parametrize("theirs, ours", [(QT5, "2.0"), (QT6, "1.3")])
async def test_a_node_of_the_other_generation_gets_nothing_and_harms_nobody(
    theirs: str, ours: str, address: Address
) -> None:
    url = address("local")
    async with Node() as node, cpp_node(theirs) as lost:
        node.publish(sources.Pump(), "pump")
        await node.serve(f"{url}?protocol={ours}")
        await lost.ask("connect", url=url)
        await lost.ask("acquire", name="pump")
        async with connect(url, "pump", plant.Pump) as pump:
            assert await pump.add_one(1) == 2
        assert await lost.ask("state", name="pump") == "Uninitialized"


@pytest.mark.parametrize("old, new", [(QT5, QT6), (QT6, QT5)])
async def test_a_replica_of_ours_is_a_bridge_from_one_generation_to_the_other(
    old: str, new: str, address: Address
) -> None:
    url, bridge = address("local"), address("local")
    async with cpp_host(old) as host, Node() as node, cpp_node(new) as qt:
        await host.ask("serve", url=url, names=["pump"])
        async with connect(url, "pump", plant.Pump) as pump:
            node.publish(pump, "pump")
            await node.serve(f"{bridge}?protocol={PROTOCOLS[new]}")
            await qt.ask("connect", url=bridge)
            await qt.ask("acquire_static", name="pump", cls="Pump")
            await qt.hear("state", object="pump", state="Valid")
            answer = await qt.ask("ask", name="pump", slot="addOne", arguments=[["int", 1]], wait=True)
            assert answer["value"] == ["int", 2]
            assert await qt.ask("listen", name="pump", signal="speedChanged(int)")
            await qt.ask("call", name="pump", slot="pushSpeed", arguments=[["int", 9]])
            await qt.hear("heard", signal="speedChanged(int)", arguments=[["int", 9]])
            assert await host.ask("get", name="pump", prop="speed") == ["int", 9]
            await qt.ask("take", name="pump", prop="valve", **{"as": "valve"})
            answer = await qt.ask("ask", name="valve", slot="turn", arguments=[["int", 2]], wait=True)
            assert answer["value"] == ["QString", "turned by 2"]
