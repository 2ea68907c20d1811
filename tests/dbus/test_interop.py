"""Foreign programs use our objects, and we use theirs: on each bus and without one."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from everywire import Code, Fault, Node, ReplicaState, connect, link_of
from tests.dbus import lab, tools
from tests.dbus.pipes import pipe_with, read
from tests.dbus.plant import Boiler, Gear, Simple, Spot
from tests.dbus.programs import INTERFACE, PATH, PEERS, SERVICE, QtPeer, peer
from tests.dbus.showing import WHOLE, show, show_types

# The first of these compiles the C++ program.
pytestmark = [pytest.mark.interop, pytest.mark.timeout(60)]

NOT_TODAY = "org.everywire.Error.FailedPrecondition"


class Ours:
    """Our boiler, in the place of a service program."""

    def __init__(self, boiler: Simple) -> None:
        self.boiler = boiler

    async def fire(self, count: int) -> None:
        for number in range(count):
            self.boiler.fired.emit(number, "asked")

    async def change(self, name: str, value: str) -> None:
        assert name == "Label"
        self.boiler.label = value


@asynccontextmanager
async def offered(url: str, boiler: Simple) -> AsyncIterator[Ours]:
    async with Node() as node:
        node.publish(boiler, "boiler")
        await node.serve(url)
        yield Ours(boiler)


def on_bus(address: str) -> str:
    return f"dbus:{address}?service={SERVICE}"


ON_SESSION: Final = f"dbus:session?service={SERVICE}"
"""Where whoever is on the bus may hear what an object says; a bus by its address could be one of several users."""


@pytest.fixture
def session_bus(each_bus: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each bus, as that of our session."""
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", each_bus)
    return each_bus


# --------------------------------------------------------------------------------------------- programs use our object
@pytest.mark.parametrize("kind", WHOLE)
async def test_a_program_uses_our_object_on_a_bus(kind: str, session_bus: str) -> None:
    async with offered(ON_SESSION, Boiler()) as ours, peer(kind, "use", session_bus) as using:
        await show(using, ours, refused=NOT_TODAY)
        await show_types(using, ours)
        assert ours.boiler.level == 2.5


async def test_qtdbus_from_python_uses_our_object_on_a_bus(session_bus: str) -> None:
    async with offered(ON_SESSION, Boiler()) as ours, peer("pyside6", "use", session_bus) as using:
        await show(using, ours, refused=NOT_TODAY)
        assert await using.changed("Level") == 2.5


@pytest.mark.parametrize("kind", ["qt", "jeepney"])
async def test_a_program_uses_our_object_without_a_bus(kind: str, folder: Path) -> None:
    place = folder / "peer"
    async with (
        offered(f"dbus+local:{place}?service={SERVICE}", Boiler()) as ours,
        peer(kind, "use", f"unix:path={place}", "--peer") as using,
    ):
        await show(using, ours, refused=NOT_TODAY)
        await show_types(using, ours)


async def test_qtdbus_from_python_uses_our_object_without_a_bus(folder: Path) -> None:
    place = folder / "peer"
    async with (
        offered(f"dbus+local:{place}?service={SERVICE}", Boiler()) as ours,
        peer("pyside6", "use", f"unix:path={place}", "--peer") as using,
    ):
        await show(using, ours, refused=NOT_TODAY)


async def test_qdbusinterface_makes_slots_of_our_introspection(session_bus: str) -> None:
    async with offered(ON_SESSION, Boiler()), peer("qt", "use", session_bus) as using:
        assert isinstance(using, QtPeer)
        assert {
            "int AddOne(int)", "QString Split(QString,int&)", "QByteArray Data(QByteArray)", "QString Shift(QString)",
            "void Refuse(QString)", "void Fired(int,QString)", "double Level", "QString Label", "QVariantMap Table",
        } <= set(await using.members())  # fmt: skip


async def test_tools_of_every_system_use_our_object(session_bus: str) -> None:
    async with offered(ON_SESSION, Boiler()) as ours, tools.monitor(session_bus) as seen:
        assert await tools.gdbus_call(session_bus, SERVICE, PATH, f"{INTERFACE}.Move", "(1.5, 2.0)") == ((1.5, 2.0),)
        assert await tools.busctl_call(session_bus, SERVICE, PATH, INTERFACE, "Split", "s", "hall") == ["HALL", 4]
        assert await tools.dbus_send(session_bus, SERVICE, PATH, f"{INTERFACE}.Split", "string:hall") == ["HALL", 4]
        with pytest.raises(tools.ToolError) as failed:
            await tools.gdbus_call(session_bus, SERVICE, PATH, f"{INTERFACE}.Refuse", "'not today'")
        assert (failed.value.name, "not today" in failed.value.message) == (NOT_TODAY, True)
        await tools.busctl(session_bus, "set-property", SERVICE, PATH, INTERFACE, "Level", "d", "7.5")
        assert ours.boiler.level == 7.5
        told = await tools.busctl(session_bus, "get-property", SERVICE, PATH, INTERFACE, "Level")
        assert told == {"type": "d", "data": 7.5}
        changed = await seen.fact(type="signal", member="PropertiesChanged", path=PATH)
        assert changed["payload"]["data"][1] == {"Spot": {"type": "(dd)", "data": [1.5, 2.0]}}
        tree = await tools.busctl(session_bus, "tree", "--list", SERVICE)
        assert PATH in (tree if isinstance(tree, str) else str(tree))
        xml = await tools.gdbus_introspect(session_bus, SERVICE, PATH)
        assert f'interface name="{INTERFACE}"' in xml


async def test_dbus_send_uses_our_object_without_a_bus(folder: Path) -> None:
    place = folder / "peer"
    async with offered(f"dbus+local:{place}?service={SERVICE}", Boiler()):
        sent = await tools.dbus_send(f"unix:path={place}", "", PATH, f"{INTERFACE}.Split", "string:hall", bus=False)
        assert sent == ["HALL", 4]


# --------------------------------------------------------------------------------------------- we use programs' objects
async def use_simple(boiler: Simple, service: Any) -> None:
    """What we show of every program's boiler."""
    fired: asyncio.Queue[tuple[int, str]] = asyncio.Queue()
    boiler.fired.connect(lambda count, why: fired.put_nowait((count, why)))
    assert (boiler.level, boiler.label, boiler.table) == (1.5, "plain", {"rate": 0.5, "name": "hall"})
    assert await boiler.add_one(4) == 5
    assert await boiler.shift(Gear.IDLE) is Gear.FIRST
    assert await boiler.data(b"\x00\xff") == b"\x00\xff"
    assert await boiler.read_all(pipe_with("through a pipe")) == "through a pipe"
    with pytest.raises(Fault, match="not today") as failed:
        await boiler.refuse("not today")
    assert failed.value.code is Code.UNKNOWN
    await service.fire(3)
    assert [await fired.get() for _ in range(3)] == [(number, "asked") for number in range(3)]


async def use_types(boiler: Boiler, service: Any) -> None:
    """What we show of a boiler with structures."""
    moved: asyncio.Queue[Spot] = asyncio.Queue()
    boiler.moved.connect(moved.put_nowait)
    values = (1, -2, 3, -4, 5, -6, 7, 1.5, True, "é")
    assert await boiler.split("hall") == ("HALL", 4)
    assert await boiler.basics(*values) == values
    assert await boiler.move(Spot(3.0, 4.0)) == Spot(3.0, 4.0)
    assert await moved.get() == Spot(3.0, 4.0)
    assert boiler.spot == Spot(3.0, 4.0)
    assert await boiler.tally(["a", "b", "a"]) == {"a": 2, "b": 1}
    assert await boiler.rows([(1, "a"), (2, "b")]) == [(1, "a"), (2, "b")]
    assert read(await boiler.open_text("through a pipe")) == "through a pipe"
    assert await boiler.wrap(["a", 1, {"b": 2.5}]) == ["a", 1, {"b": 2.5}]
    await service.change("Label", "changed")
    assert await Boiler.label.wait_for(boiler, lambda label: label == "changed")


@pytest.mark.parametrize("kind", WHOLE)
async def test_we_use_a_programs_object_on_a_bus(kind: str, each_bus: str) -> None:
    async with peer(kind, "serve", each_bus) as service, connect(on_bus(each_bus), "boiler", Boiler) as boiler:
        await use_simple(boiler, service)
        await use_types(boiler, service)


@pytest.mark.parametrize("kind", ["jeepney", "sdbus"])
async def test_a_property_that_we_set_is_changed_when_the_program_says_so(kind: str, each_bus: str) -> None:
    async with peer(kind, "serve", each_bus), connect(on_bus(each_bus), "boiler", Boiler) as boiler:
        await Boiler.level.push(boiler, 2.5)
        assert await Boiler.level.wait_for(boiler, lambda level: level == 2.5)
        told = await tools.busctl(each_bus, "get-property", SERVICE, PATH, INTERFACE, "Level")
        assert told["data"] == 2.5


async def test_we_use_the_object_of_qtdbus_from_python(each_bus: str) -> None:
    async with peer("pyside6", "serve", each_bus) as service, connect(on_bus(each_bus), "boiler", Simple) as boiler:
        await use_simple(boiler, service)


async def test_we_use_the_object_of_a_server_of_qt(folder: Path) -> None:
    place = folder / "peer"
    async with (
        peer("qt", "serve", f"unix:path={place}", "--peer") as service,
        connect(f"dbus+local:{place}?service={SERVICE}", "boiler", Boiler) as boiler,
    ):
        await use_simple(boiler, service)
        await use_types(boiler, service)


async def test_we_use_the_object_of_a_server_of_qt_from_python(folder: Path) -> None:
    place = folder / "peer"
    async with (
        peer("pyside6", "serve", f"unix:path={place}", "--peer") as service,
        connect(f"dbus+local:{place}?service={SERVICE}", "boiler", Simple) as boiler,
    ):
        await use_simple(boiler, service)


async def test_we_use_an_object_without_knowing_its_class(each_bus: str) -> None:
    async with peer("qt", "serve", each_bus), connect(on_bus(each_bus), "boiler") as boiler:
        assert await boiler.add_one(4) == 5
        assert await boiler.split("hall") == ("HALL", 4)
        assert boiler.level == 1.5


async def test_a_program_that_is_killed_and_started_again_is_found(each_bus: str) -> None:
    async with peer("jeepney", "serve", each_bus) as first, connect(on_bus(each_bus), "boiler", Boiler) as boiler:
        states: asyncio.Queue[ReplicaState] = asyncio.Queue()
        link_of(boiler).state_changed.connect(states.put_nowait)
        await first.program.kill()
        while await states.get() is not ReplicaState.SUSPECT:
            pass
        with pytest.raises(Fault) as failed:
            await boiler.add_one(4)
        assert failed.value.code is Code.UNAVAILABLE
        async with peer("sdbus", "serve", each_bus) as second:
            while await states.get() is not ReplicaState.VALID:
                pass
            assert await boiler.add_one(4) == 5
            await second.change("Label", "second")
            assert await Boiler.label.wait_for(boiler, lambda label: label == "second")


async def test_a_program_that_the_bus_starts_is_used(own_bus: lab.Bus) -> None:
    """The program ends with its input, which a bus does not give; here a pipe that stays open is its input."""
    never = own_bus.folder / "never"
    os.mkfifo(never)
    holding = os.open(never, os.O_RDWR)
    script = own_bus.folder / "start"
    script.write_text(f"#!/bin/sh\nexec {sys.executable} {PEERS}/jeepney_peer.py serve {own_bus.address} <{never}\n")
    script.chmod(0o755)
    try:
        await asyncio.to_thread(own_bus.offer, SERVICE, script)
        async with connect(on_bus(own_bus.address), "boiler", Boiler) as boiler:
            assert await boiler.add_one(4) == 5
    finally:
        os.close(holding)
