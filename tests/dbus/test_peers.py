"""The peer programs among themselves: what each shows of a boiler that another offers, without any code of ours.

What does not work here is a trait of the peers, so no test of ours may count on it.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.dbus import lab, tools
from tests.dbus.programs import INTERFACE, PATH, REFUSED, SERVICE, QtPeer, peer
from tests.dbus.showing import WHOLE, show, show_types

# The first of these compiles the C++ program.
pytestmark = [pytest.mark.interop, pytest.mark.timeout(60)]


@pytest.mark.parametrize("client", WHOLE)
@pytest.mark.parametrize("service", WHOLE)
async def test_peers_with_every_type_understand_each_other(service: str, client: str, each_bus: str) -> None:
    async with peer(service, "serve", each_bus) as serving, peer(client, "use", each_bus) as using:
        await show(using, serving)
        await show_types(using, serving)


@pytest.mark.parametrize("service, client", [("pyside6", "sdbus"), ("qt", "pyside6"), ("pyside6", "pyside6")])
async def test_qtdbus_from_python_understands_simple_types(service: str, client: str, bus: str) -> None:
    async with peer(service, "serve", bus) as serving, peer(client, "use", bus) as using:
        await show(using, serving)


@pytest.mark.parametrize("service, client", [("qt", "qt"), ("pyside6", "qt"), ("qt", "pyside6"), ("qt", "jeepney")])
async def test_qt_is_reached_without_a_bus(service: str, client: str, folder: Path) -> None:
    address = f"unix:path={folder / 'peer'}"
    async with peer(service, "serve", address, "--peer") as serving, peer(client, "use", address, "--peer") as using:
        await show(using, serving)


async def test_a_slot_of_pyside6_that_raises_is_answered_with_success(bus: str) -> None:
    async with peer("pyside6", "serve", bus), peer("pyside6", "use", bus) as using:
        assert await using.call("Burst", 1) == (0,)


async def test_qtdbus_emits_no_properties_changed_of_its_own(bus: str) -> None:
    async with peer("qt", "serve", bus) as serving, tools.monitor(bus) as seen:
        await serving.change("Level", 2.5)
        await seen.fact(type="signal", member="LevelChanged")
        await serving.change("Label", "told by hand")
        await seen.fact(type="signal", member="PropertiesChanged")
        assert not [fact for fact in seen.taken if fact.get("member") == "PropertiesChanged"]


async def test_qdbusinterface_reads_an_object_by_its_introspection(bus: str) -> None:
    async with peer("qt", "serve", bus), peer("qt", "use", bus) as using:
        assert isinstance(using, QtPeer)
        assert {"int AddOne(int)", "QString Split(QString,int&)", "double Level"} <= set(await using.members())


async def test_busctl_and_gdbus_show_what_a_peer_offers(each_bus: str) -> None:
    async with peer("qt", "serve", each_bus):
        assert await tools.busctl_call(each_bus, SERVICE, PATH, INTERFACE, "Split", "s", "hall") == ["HALL", 4]
        assert await tools.gdbus_call(each_bus, SERVICE, PATH, f"{INTERFACE}.Move", "(1.0, 2.0)") == ((1.0, 2.0),)
        assert "Level" in await tools.gdbus_introspect(each_bus, SERVICE, PATH)
        with pytest.raises(tools.ToolError) as refused:
            await tools.gdbus_call(each_bus, SERVICE, PATH, f"{INTERFACE}.Refuse", "'not today'")
        assert refused.value.name == REFUSED


async def test_a_service_is_started_by_the_bus(own_bus: lab.Bus) -> None:
    own_bus.offer(SERVICE, *(str(word) for word in ("/bin/false",)))
    with pytest.raises(tools.ToolError) as failed:
        await tools.gdbus_call(own_bus.address, SERVICE, PATH, f"{INTERFACE}.AddOne", "1")
    assert failed.value.name == "org.freedesktop.DBus.Error.Spawn.ChildExited"
