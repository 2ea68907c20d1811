"""Replicas of everywire's own objects on D-Bus, where that differs from other services; and replicas of peers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from everywire import (
    Code,
    Fault,
    LinkError,
    Node,
    Object,
    Property,
    ReplicaState,
    SignatureMismatch,
    connect,
    contract_of,
    link_of,
    prop,
    signal,
    slot,
)
from everywire.dbus import interface
from everywire.dbus.session import Connection, Match, serve_peers
from everywire.runtime.wires import wire_of
from tests.conformance.plant import Heard, States
from tests.dbus.services import Service, Variant, lamp
from tests.dbus.test_replicas import Lamp

VALID, SUSPECT = ReplicaState.VALID, ReplicaState.SUSPECT


@asynccontextmanager
async def hosted(bus: str, **objects: Object) -> AsyncIterator[str]:
    async with Node() as node:
        for name, source in objects.items():
            node.publish(source, name)
        (address,) = await node.serve(f"dbus:{bus}?service=org.acme.Plant")
        yield address


# ---------------------------------------------------------------------------------------------------------- structs
def sensor_class(*fields: tuple[str, Any, Any]) -> Any:
    from dataclasses import field, make_dataclass

    return make_dataclass("Reading", [(name, kind, field(default=default)) for name, kind, default in fields])


Theirs = sensor_class(("celsius", float, 0.0), ("sensor", str, ""))
Ours = sensor_class(("sensor", str, ""), ("note", str, "none"), ("celsius", float, 0.0))


class Source(Object):
    last: Property[Theirs] = prop(factory=Theirs, writable=True)  # type: ignore[valid-type]

    @slot
    async def echo(self, readings: list[Theirs]) -> list[Theirs]:  # type: ignore[valid-type]
        return readings

    @signal
    def taken(self, reading: Theirs | None) -> None: ...  # type: ignore[valid-type]

    @slot
    async def follow(self, first: Theirs) -> AsyncIterator[Theirs]:  # type: ignore[valid-type]
        yield first


class View(Object):
    """The same, but its structs have their fields in another order, and one more."""

    last: Property[Ours] = prop(factory=Ours, writable=True)  # type: ignore[valid-type]

    @slot
    async def echo(self, readings: list[Ours]) -> list[Ours]: ...  # type: ignore[empty-body,valid-type]

    @signal
    def taken(self, reading: Ours | None) -> None: ...  # type: ignore[valid-type]

    @slot
    async def follow(self, first: Ours) -> AsyncIterator[Ours]:  # type: ignore[valid-type]
        yield first


async def test_structs_are_matched_by_the_names_of_their_fields(bus: str) -> None:
    """D-Bus sends fields without names; the contract has them."""
    source = Source()
    async with hosted(bus, it=source) as url, connect(url, "it", View) as view:
        source.last = Theirs(21.5, "attic")
        reading = Ours("cellar", "none", 8.0)
        assert await view.echo([reading]) == [reading]
        assert view.last == Ours("attic", "none", 21.5)
        assert await View.last.push(view, reading) == reading
        assert source.last == Theirs(8.0, "cellar")
        heard = Heard()
        view.taken.connect(heard)
        source.taken.emit(Theirs(1.0, "x"))
        source.taken.emit(None)
        assert await heard.count(2) == [Ours("x", "none", 1.0), None]
        assert [item async for item in view.follow(reading)] == [reading]


# ------------------------------------------------------------------------------------------------------- interfaces
@interface("org.acme.First1")
class First(Object):
    size: Property[int] = prop(1)


@interface("org.acme.Second1", {"other_size": "Size", "go": "GOFast"})
class Both(First):
    other_size: Property[int] = prop(2)

    @slot
    async def go(self) -> int:
        return 7


async def test_members_of_several_interfaces_with_names_of_their_own_find_each_other(bus: str) -> None:
    source = Both()
    async with hosted(bus, it=source) as url:
        for cls in (Both, None):
            async with connect(url, "it", cls) as replica:
                assert (replica.size, replica.other_size, await replica.go()) == (1, 2, 7)
                heard = Heard()
                type(replica).other_size.on_change(replica, heard)
                source.other_size += 1
                assert await heard.count(1) == [source.other_size]
                assert replica.size == 1
                source.other_size = 2
                await heard.count(2)


async def test_a_class_that_does_not_fit_is_told_all(bus: str) -> None:
    class Wrong(Object):
        size: Property[str] = prop("")

        @slot
        async def stop(self) -> None: ...

    async with hosted(bus, it=Both()) as url:
        with pytest.raises(SignatureMismatch) as caught:
            async with connect(url, "it", Wrong):
                pass
        assert len(caught.value.differences) == 2
        assert "/org/acme/Plant/it of org.acme.Plant is not a Wrong" in str(caught.value)


async def test_names_paths_and_the_base_lead_to_objects(bus: str) -> None:
    async with hosted(bus, **{"room 1": First(), "set_point": First()}) as url:
        for name in ("room 1", "set_point", "/org/acme/Plant/room_201"):
            async with connect(url, name, First) as replica:
                assert replica.size == 1
        async with Node() as node:
            session = await wire_of(url).open(node)
            try:
                assert sorted(session.offered or ()) == ["room 1", "set_point"]
                assert str(await session.contract("room 1")) == str(contract_of(First))
            finally:
                await session.close()
        with pytest.raises(Fault, match="it offers room 1, set_point"):
            async with connect(url, "hall", First, timeout=0):
                pass


async def test_a_replica_that_ends_tells_its_host(bus: str) -> None:
    """So that the host stops telling it what not everybody may hear."""
    async with hosted(bus, it=First()) as url, await Connection.open(bus) as watch:
        stream = await watch.monitor(Match(kind=None, interface="org.everywire.Object1"))
        async with connect(url, "it", First):
            pass
        told: list[str] = []
        while "Detach" not in told:
            told.append((await anext(stream)).member)
        assert [member for member in told if member != "NameLost"] == ["Attach", "Detach"]


async def test_one_of_two_replicas_that_ends_leaves_the_other_its_news(bus: str) -> None:
    """They share a connection, which is all that the host knows of them."""
    source = First()
    async with hosted(bus, it=source) as url, connect(url, "it", First) as stays:
        for n in range(2, 5):
            async with connect(url, "it", First) as leaves:
                assert leaves.size == n - 1
            source.size = n
            assert await First.size.wait_for(stays, lambda value, n=n: value == n) == n


# ------------------------------------------------------------------------------------------------------------ peers
@asynccontextmanager
async def peer_lamps(path: Path) -> AsyncIterator[list[Service]]:
    """Lamps for whoever connects, without a bus."""
    services: list[Service] = []

    def welcome(connection: Connection) -> None:
        service = Service(connection, "")
        lamp(service, "/lamp")
        services.append(service)

    server = await serve_peers(f"unix:path={path}", welcome)
    try:
        yield services
    finally:
        await server.close()


async def test_objects_of_a_peer_are_replicas(folder: Path) -> None:
    place = folder / "peer"
    async with peer_lamps(place) as services, connect(f"dbus+local:{place}", "lamp", Lamp) as room:
        assert (room.brightness, await room.blink(3), await room.info()) == (40, 1.5, (7, "hall"))
        heard = Heard()
        room.burnt.connect(heard)
        (service,) = services
        thing = service.objects["/lamp"]
        thing.set("Brightness", Variant("u", 41))
        thing.emit("Burnt", "us", 3, "old")
        assert await heard.count(1) == [(3, "old")]
        assert room.brightness == 41
        assert await Lamp.color.push(room, "dim") == "dim"
        with pytest.raises(Fault) as caught:
            await room.hang()
        assert caught.value.code is Code.DEADLINE_EXCEEDED


async def test_a_peer_that_is_lost_and_comes_back_is_followed(folder: Path) -> None:
    place = folder / "peer"
    async with peer_lamps(place) as services, connect(f"dbus+local:{place}", "lamp", Lamp) as room:
        states = States(room)
        call = room.hang()
        await services[0].until_asked("Hang")
        services[0].connection.abort()
        await states.reached(SUSPECT)
        with pytest.raises(Fault) as caught:
            await call
        assert caught.value.code is Code.UNAVAILABLE
        await states.reached(VALID)
        assert await room.blink(2) == 1.0
        assert len(services) == 2


async def test_a_peer_without_the_object_or_without_anybody_is_named(folder: Path) -> None:
    place = folder / "peer"
    async with peer_lamps(place):
        with pytest.raises(Fault, match=r"no object 'attic' at dbus.local:.*path /attic") as caught:
            async with connect(f"dbus+local:{place}", "attic", Lamp, timeout=0):
                pass
        assert caught.value.code is Code.NOT_FOUND
    with pytest.raises(LinkError):
        async with connect(f"dbus+local:{place}", "lamp", Lamp, timeout=0):
            pass


async def test_two_replicas_of_a_peer_have_connections_of_their_own(folder: Path) -> None:
    place = folder / "peer"
    async with (
        peer_lamps(place) as services,
        connect(f"dbus+local:{place}", "lamp", Lamp) as one,
        connect(f"dbus+local:{place}", "lamp", Lamp) as two,
    ):
        assert len(services) == 2
        assert await asyncio.gather(one.blink(1), two.blink(2)) == [0.5, 1.0]
        assert link_of(one).channel.carrier is not link_of(two).channel.carrier
