"""Replicas of ours whose source is a Qt program in C++, of both generations: sources by repc, and plain QObjects."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest

from everywire import (
    Code,
    Fault,
    Object,
    Property,
    ReplicaState,
    SignatureMismatch,
    connect,
    contract_of,
    i32,
    link_of,
    members,
    prop,
    signal,
    slot,
)
from everywire.remoteobjects import open_session
from everywire.remoteobjects.rep.signature import signature_of
from tests.interop import modern, plant
from tests.interop.cpp_programs import cpp_host
from tests.interop.matrix import CPP, QT5, QT6, Feature, Role, nothing, shows
from tests.interop.plant import Mode, Paint, Reading, Shade, Spot
from tests.interop.spelling import (
    CBOR,
    CONTAINERS,
    DOCUMENTS,
    GEOMETRY,
    MOMENTS,
    NUMBERS,
    TIMES,
    VARIANTS,
    Kind,
    spelt_paint,
    spelt_places,
    spelt_reading,
    spelt_spot,
    spelt_spots,
)
from tests.programs import Program

pytestmark = [pytest.mark.interop, pytest.mark.cpp]

Address = Callable[[str], str]
HOST: Final = Role.HOST
GROUPS: Final = {
    Feature.NUMBERS: NUMBERS,
    Feature.TIMES: TIMES,
    Feature.GEOMETRY: GEOMETRY,
    Feature.DOCUMENTS: DOCUMENTS,
    Feature.CBOR: CBOR,
    Feature.VARIANTS: VARIANTS,
    Feature.CONTAINERS: CONTAINERS,
}
TRANSPORTS: Final = [(QT6, "local"), (QT6, "tcp"), (QT6, "localabstract"), (QT5, "local"), (QT5, "tcp")]
"""Qt 5 knows no localabstract."""
ALL: Final = tuple(kind for kinds in GROUPS.values() for kind in kinds)


@asynccontextmanager
async def offered(peer: str, url: str, *names: str) -> AsyncIterator[tuple[Program, str]]:
    """A C++ program that offers its objects *names* at *url*, and the URL that it says."""
    async with cpp_host(peer) as qt:
        done, where = await qt.ask("serve", url=url, names=names)
        assert done == [True] * len(names)
        yield qt, where


# ------------------------------------------------------------------------------------------------------ attaching
@shows(Feature.DYNAMIC, HOST, *CPP)
@pytest.mark.parametrize("peer, kind", TRANSPORTS)
async def test_a_class_is_built_from_what_the_source_announces(peer: str, kind: str, address: Address) -> None:
    async with offered(peer, address(kind), "hall", "plain") as (_, url), connect(url, "hall") as hall:
        assert (hall.target, hall.level, hall.serial, hall.note, hall.ready) == (5, 1.5, "A-17", "free", True)
        assert hall.spot == {"xPos": 1.5, "label": "here"}
        assert hall.places == {"door": {"xPos": 3.0, "label": "c"}}
        assert await hall.add_one(41) == 42
        assert await hall.lighter(0) == 3
        async with connect(url, "plain") as plain:
            assert (plain.level, plain.low, plain.high, plain.fixed) == (1.0, -10, 10, "stone")
            assert plain.gear.value == 1
            assert plain.place == {"xPos": 1.5, "label": "here"}
            assert await plain.over(1, "more") == "1 more"
            assert await plain.over_2(1) == "1 nothing"
            assert await plain.echo({"a": [1, None]}) == {"a": [1, None]}


@pytest.mark.parametrize("name", ["Hall", "hall"], ids=["SourceAPI", "QObject"])
@shows(Feature.STATIC, HOST, *CPP)
async def test_a_class_of_ours_has_the_signature_of_repc(peer: str, name: str, address: Address) -> None:
    async with offered(peer, address("local"), name) as (_, url):
        async with open_session(url) as session:
            (info,) = [info for info in session.objects.values() if info.name == name]
            assert info.type_name == "Hall"
            assert info.signature == signature_of(contract_of(plant.Hall), qt5=peer == QT5)
        async with connect(url, name, plant.Hall) as hall:
            assert (hall.target, hall.spot, hall.shade) == (5, Spot(1.5, "here"), Shade.Pale)
            assert await hall.add_one(1) == 2


class OtherPump(Object):
    """The Pump of an older version."""

    speed: Property[i32] = prop(3, writable=True)
    label: Property[str] = prop("")

    @signal
    def stalled(self, speed: i32) -> None: ...

    @slot
    async def add_one(self, number: str) -> i32:
        raise NotImplementedError


@shows(Feature.MISMATCH, HOST, *CPP)
async def test_a_class_that_does_not_fit_lists_every_difference(peer: str, address: Address) -> None:
    async with offered(peer, address("local"), "pump") as (_, url):
        with pytest.raises(SignatureMismatch) as caught:
            async with connect(url, "pump", OtherPump):
                pass
    said = "\n".join(caught.value.differences)
    for word in ("label", "add_one", "stalled"):
        assert word in said
    assert "speed" not in [line.split()[1] for line in caught.value.differences]


# ------------------------------------------------------------------------------------------------------- properties
async def seen_when_changed(qt: Program, kinds: Any, kind: Kind) -> list[Any]:
    heard: list[Any] = []
    stop = members(kinds)[kind.name].on_change(heard.append)
    assert await qt.ask("set", name="kinds", prop=kind.name, value=kind.spelt) == kind.spelt
    await kinds.add_one(0)  # a fence
    stop()
    assert members(kinds)[kind.name].value == kind.value
    return heard


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name.lower())
@pytest.mark.parametrize("static", [True, False], ids=["static", "dynamic"])
@shows(Feature.READ, HOST, *CPP)
async def test_a_change_in_qt_reaches_the_replica_once(
    peer: str, group: Feature, static: bool, address: Address
) -> None:
    async with (
        offered(peer, address("local"), "kinds") as (qt, url),
        connect(url, "kinds", plant.Kinds if static else None) as kinds,
    ):
        for kind in GROUPS[group]:
            assert (kind.name, await seen_when_changed(qt, kinds, kind)) == (kind.name, [kind.value])


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name.lower())
@pytest.mark.parametrize("static", [True, False], ids=["static", "dynamic"])
@shows(Feature.PUSH, HOST, *CPP)
async def test_a_value_is_pushed_to_qt(peer: str, group: Feature, static: bool, address: Address) -> None:
    async with (
        offered(peer, address("local"), "kinds") as (qt, url),
        connect(url, "kinds", plant.Kinds if static else None) as kinds,
    ):
        for kind in GROUPS[group]:
            assert await members(kinds)[kind.name].push(kind.value) == kind.value
            assert (kind.name, await qt.ask("get", name="kinds", prop=kind.name)) == (kind.name, kind.spelt)


@pytest.mark.parametrize("static", [True, False], ids=["static", "dynamic"])
@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name.lower())
@shows(Feature.NUMBERS, HOST, *CPP)
@shows(Feature.TIMES, HOST, *CPP)
@shows(Feature.GEOMETRY, HOST, *CPP)
@shows(Feature.DOCUMENTS, HOST, *CPP)
@shows(Feature.CBOR, HOST, *CPP)
@shows(Feature.VARIANTS, HOST, *CPP)
@shows(Feature.CONTAINERS, HOST, *CPP)
async def test_a_slot_of_qt_returns_what_it_is_given(peer: str, group: Feature, static: bool, address: Address) -> None:
    async with (
        offered(peer, address("local"), "kinds") as (_, url),
        connect(url, "kinds", plant.Kinds if static else None) as kinds,
    ):
        for kind in GROUPS[group]:
            if kind.echo:
                assert (kind.name, await getattr(kinds, f"echo_{kind.name}")(kind.value)) == (kind.name, kind.value)


@shows(Feature.TIMES, HOST, *CPP)
async def test_moments_of_every_spec_go_both_ways(peer: str, address: Address) -> None:
    async with offered(peer, address("local"), "kinds") as (qt, url), connect(url, "kinds", plant.Kinds) as kinds:
        for value, spelt in MOMENTS:
            assert await qt.ask("set", name="kinds", prop="moment", value=spelt) == spelt
            await kinds.add_one(0)
            assert kinds.moment == value
            assert await kinds.echo_moment(value) == value


@shows(Feature.READWRITE, HOST, *CPP)
async def test_a_readwrite_property_is_written(peer: str, address: Address) -> None:
    async with offered(peer, address("local"), "Hall") as (qt, url), connect(url, "Hall", plant.Hall) as hall:
        assert await plant.Hall.note.push(hall, "written") == "written"
        assert await qt.ask("get", name="Hall", prop="note") == ["QString", "written"]


@shows(Feature.CONSTANT, HOST, *CPP)
async def test_what_a_replica_may_not_write_stays(peer: str, address: Address) -> None:
    async with offered(peer, address("local"), "Hall") as (qt, url), connect(url, "Hall") as hall:
        for name, value in (("serial", "B-18"), ("level", 2.5)):
            with pytest.raises(Fault) as caught:
                await members(hall)[name].push(value)
            assert caught.value.code is Code.FAILED_PRECONDITION
        assert await qt.ask("get", name="Hall", prop="serial") == ["QString", "A-17"]


@shows(Feature.READWRITE, HOST, *CPP)
async def test_a_plain_object_refuses_a_write(peer: str, address: Address) -> None:
    async with offered(peer, address("local"), "plain") as (qt, url), connect(url, "plain") as plain:
        assert await members(plain)["level"].push(50.0) == 50.0
        with pytest.raises(Fault, match=r"kept 50\.0"):
            await members(plain)["level"].push(101.0)
        assert await qt.ask("get", name="plain", prop="level") == ["double", 50.0]


# ------------------------------------------------------------------------------------------------ signals and slots
@pytest.mark.parametrize("static", [True, False], ids=["static", "dynamic"])
@shows(Feature.SIGNALS, HOST, *CPP)
async def test_signals_of_qt_carry_every_type(peer: str, static: bool, address: Address) -> None:
    by_name = {kind.name: kind for kind in ALL}
    names = ("truth", "tiny", "octet", "few", "some", "number", "natural", "wide", "vast")
    integers = [by_name[name] for name in names]
    others = [by_name[name] for name in ("single", "real", "sign", "text", "blob", "names", "table", "numbers")]
    async with (
        offered(peer, address("local"), "kinds") as (qt, url),
        connect(url, "kinds", plant.Kinds if static else None) as kinds,
    ):
        heard: list[Any] = []
        kinds.integers.connect(lambda *arguments: heard.append(arguments))
        kinds.others.connect(lambda *arguments: heard.append(arguments))
        for name, values in (("integers", integers), ("others", others)):
            spelt = [kind.spelt for kind in values]
            await qt.ask("emit", name="kinds", signal=name, arguments=spelt)
        await kinds.add_one(0)
    assert heard == [tuple(kind.value for kind in integers), tuple(kind.value for kind in others)]


@shows(Feature.SLOTS, HOST, *CPP)
async def test_slots_are_called_with_and_without_a_result(peer: str, address: Address) -> None:
    async with offered(peer, address("local"), "Hall") as (qt, url), connect(url, "Hall", plant.Hall) as hall:
        assert [await hall.add_one(number) for number in (1, -1)] == [2, 0]
        assert await hall.remember("this") is None
        await qt.hear("called", slot="remember", arguments=[["QString", "this"]])
        heard: list[Any] = []
        hall.silence.connect(lambda *arguments: heard.append(arguments))
        await qt.ask("emit", name="Hall", signal="silence", arguments=[])
        await hall.add_one(1)
        assert heard == [()]


# -------------------------------------------------------------------------------------------------- types of a .rep
@shows(Feature.PODS, HOST, *CPP)
@shows(Feature.PODS_NESTED, HOST, *CPP)
async def test_structures_go_both_ways(peer: str, address: Address) -> None:
    async with offered(peer, address("local"), "Hall") as (qt, url), connect(url, "Hall", plant.Hall) as hall:
        assert (hall.spot, hall.reading) == (Spot(1.5, "here"), Reading(7, Spot(2.5, "there"), [1, -2]))
        assert hall.paint == Paint(Shade.Bright, "sky")
        reading = Reading(9, Spot(-1.0, ""), [])
        assert await plant.Hall.reading.push(hall, reading) == reading
        assert await qt.ask("get", name="Hall", prop="reading") == spelt_reading(reading)
        paint = Paint(Shade.Pale, "wall")
        assert await plant.Hall.paint.push(hall, paint) == paint
        assert await qt.ask("get", name="Hall", prop="paint") == spelt_paint(paint)
        moved: list[Spot] = []
        hall.moved.connect(moved.append)
        assert await hall.move(Spot(1.0, "q"), 0.5) == Spot(1.5, "q")
        assert await hall.read(reading) == Reading(10, Spot(-1.0, ""), [])
        assert await hall.repaint(Paint(Shade.Dark, "x")) == Paint(Shade.Pale, "x")
        await qt.ask("set", name="Hall", prop="spot", value=spelt_spot(Spot(8.0, "new")))
        await hall.add_one(0)
        assert (hall.spot, moved) == (Spot(8.0, "new"), [Spot(1.5, "q")])


@shows(Feature.POD_LISTS, HOST, *CPP)
@shows(Feature.POD_LIST_RESULTS, HOST, *CPP)
async def test_lists_and_maps_of_structures_go_both_ways(peer: str, address: Address) -> None:
    async with offered(peer, address("local"), "Hall") as (qt, url), connect(url, "Hall", plant.Hall) as hall:
        assert hall.spots == [Spot(1, "a"), Spot(2, "b")]
        assert hall.places == {"door": Spot(3, "c")}
        assert hall.readings == [Reading(1, Spot(4, "d"), []), Reading(2, Spot(0, ""), [5])]
        spots, places = [Spot(5, "e")], {"a": Spot(6, "f"), "b": Spot(7, "g")}
        assert await plant.Hall.spots.push(hall, spots) == spots
        assert await plant.Hall.places.push(hall, places) == places
        assert await plant.Hall.readings.push(hall, []) == []
        assert await qt.ask("get", name="Hall", prop="spots") == spelt_spots(*spots)
        assert await qt.ask("get", name="Hall", prop="places") == spelt_places(places)
        heard: list[Any] = []
        hall.surveyed.connect(lambda *arguments: heard.append(arguments))
        assert await hall.move_all([Spot(1, "a"), Spot(2, "b")], 1.0) == [Spot(2, "a"), Spot(3, "b")]
        assert await hall.by_label(spots) == {"e": Spot(5, "e")}
        assert heard == [([Spot(2, "a"), Spot(3, "b")], {"a": Spot(2, "a"), "b": Spot(3, "b")})]


@shows(Feature.ENUMS, HOST, *CPP)
async def test_enums_of_a_file_and_of_a_class_go_both_ways(peer: str, address: Address) -> None:
    async with (
        offered(peer, address("local"), "Hall", "pump") as (qt, url),
        connect(url, "Hall", plant.Hall) as hall,
        connect(url, "pump", plant.Pump) as pump,
    ):
        painted: list[Any] = []
        hall.painted.connect(lambda *arguments: painted.append(arguments))
        assert (hall.shade, pump.mode) == (Shade.Pale, Mode.Idle)
        assert await plant.Hall.shade.push(hall, Shade.Bright) is Shade.Bright
        assert await qt.ask("get", name="Hall", prop="shade") == ["ShadeEnum::Shade", 4]
        assert await hall.lighter(Shade.Dark) is Shade.Pale
        await hall.repaint(Paint(Shade.Pale, "x"))
        assert painted == [(Shade.Pale, Paint(Shade.Pale, "x"))]
        assert await pump.shift(Mode.Failed) is Mode.Failed
        assert pump.mode is Mode.Failed
        assert await plant.Pump.mode.push(pump, Mode.Running) is Mode.Running
        assert await qt.ask("get", name="pump", prop="mode") == ["PumpSource::Mode", 4]


@shows(Feature.FLAGS, HOST, QT6)
async def test_flags_and_enums_of_another_size_go_both_ways(address: Address) -> None:
    async with offered(QT6, address("local"), "organ") as (qt, url), connect(url, "organ", modern.Organ) as organ:
        heard: list[Any] = []
        organ.played.connect(lambda *arguments: heard.append(arguments))
        assert (organ.tone, organ.stops) == (modern.Tone.High, modern.Stops.Reed)
        assert organ.chord == modern.Chord(modern.Key.Sharp, "C")
        assert organ.chords == [modern.Chord(modern.Key.Sharp, "C"), modern.Chord(modern.Key.Flat, "D")]
        with pytest.raises(Fault, match="gave no result"):  # nor does Qt 6.4 to its own replicas, for flags
            await organ.pull(modern.Stops.Flute | modern.Stops.Mixture)
        assert organ.stops == modern.Stops(7)
        assert await organ.transpose(modern.Chord(modern.Key.Flat, "E")) == modern.Chord(modern.Key.Plain, "E")
        assert await organ.shift(modern.Tone.High) is modern.Tone.Low
        assert await modern.Organ.tone.push(organ, modern.Tone.Low) is modern.Tone.Low
        assert await qt.ask("get", name="organ", prop="tone") == ["ToneEnum::Tone", 0]
        assert heard == [(modern.Stops(7), modern.Chord(modern.Key.Sharp, "C"))]


nothing("repc of Qt 5 has no FLAG, and enums neither with a scope nor of a size.", Feature.FLAGS, HOST, QT5)


# --------------------------------------------------------------------------------------------------------- children
@pytest.mark.parametrize("name", ["Hall", "hall"], ids=["SourceAPI", "QObject"])
@pytest.mark.parametrize("static", [True, False], ids=["static", "dynamic"])
@shows(Feature.CHILD, HOST, *CPP)
@shows(Feature.CHILD_NESTED, HOST, *CPP)
async def test_children_are_replicas_of_their_own(peer: str, static: bool, name: str, address: Address) -> None:
    async with (
        offered(peer, address("local"), name) as (qt, url),
        connect(url, name, plant.Hall if static else None) as hall,
    ):
        pump: Any = hall.pump
        valve: Any = pump.valve
        assert (pump.speed, valve.opening) == (3, 1)
        assert isinstance(pump, plant.Pump) is isinstance(valve, plant.Valve) is static
        assert link_of(valve).state is ReplicaState.VALID
        turned: list[int] = []
        valve.turned.connect(turned.append)
        assert await valve.turn(4) == "turned by 4"
        assert await pump.add_one(1) == 2
        assert (valve.opening, turned) == (5, [4])
        assert await members(pump)["speed"].push(8) == 8
        assert await qt.ask("get", name=name, child="pump", prop="speed") == ["int", 8]
        await qt.ask("set", name=name, child="pump.valve", prop="opening", value=["int", 9])
        await hall.add_one(0)
        assert valve.opening == 9


@shows(Feature.CHILD_REPLACED, HOST, *CPP)
async def test_a_child_is_replaced_and_taken_away(peer: str, address: Address) -> None:
    async with offered(peer, address("local"), "hall") as (_, url), connect(url, "hall", plant.Hall) as hall:
        first = hall.pump
        assert first is not None
        heard: list[Any] = []
        plant.Hall.pump.on_change(hall, heard.append)
        await hall.replace_pump(6)
        await hall.add_one(0)
        second = hall.pump
        assert second is not None
        assert (second.speed, second.valve is not None) == (6, True)
        assert await second.add_one(2) == 3
        await hall.remove_pump()
        await hall.add_one(0)
        assert hall.pump is None
        assert heard[-1] is None


@shows(Feature.CHILD_REPLACED, HOST, *CPP)
async def test_a_child_of_a_plain_object_is_replaced(peer: str, address: Address) -> None:
    async with offered(peer, address("local"), "plain") as (_, url), connect(url, "plain") as plain:
        assert plain.wheel.turns == 4
        await plain.replace_wheel(7)
        await plain.add_one(0)
        assert plain.wheel.turns == 7
        assert await plain.wheel.add_one(1) == 2
        await plain.replace_wheel(-1)
        await plain.add_one(0)
        assert plain.wheel is None


# -------------------------------------------------------------------------------------------------------- lifecycle
@shows(Feature.WITHDRAWN, HOST, *CPP)
async def test_a_withdrawn_object_is_suspect_until_it_is_offered_again(peer: str, address: Address) -> None:
    async with offered(peer, address("local"), "Hall", "hall") as (qt, url), connect(url, "hall", plant.Hall) as hall:
        states: asyncio.Queue[ReplicaState] = asyncio.Queue()
        link_of(hall).state_changed.connect(states.put_nowait)
        await qt.ask("withdraw", name="hall")
        assert await states.get() is ReplicaState.SUSPECT
        await qt.ask("set", name="hall", prop="target", value=["int", 77])
        await qt.ask("offer", name="hall")
        assert await states.get() is ReplicaState.VALID
        assert hall.target == 77
        assert hall.pump is not None


@pytest.mark.parametrize("kind", ["local", "tcp"])
@shows(Feature.RECONNECT, HOST, *CPP)
@shows(Feature.MODEL_BACK, HOST, *CPP)
@shows(Feature.NESTED_BACK_STATIC, HOST, *CPP)
async def test_a_killed_host_makes_replicas_suspect_and_a_new_one_valid(peer: str, kind: str, address: Address) -> None:
    async with offered(peer, address(kind), "Hall") as (first, url), connect(url, "Hall", plant.Hall) as hall:
        states: asyncio.Queue[ReplicaState] = asyncio.Queue()
        changed: list[Any] = []
        link_of(hall).state_changed.connect(states.put_nowait)
        plant.Hall.target.on_change(hall, changed.append)
        plant.Hall.spots.on_change(hall, changed.append)
        assert await plant.Hall.target.push(hall, 30) == 30
        await first.kill()
        assert await states.get() is ReplicaState.SUSPECT
        assert hall.target == 30
        async with offered(peer, url, "Hall"):
            assert await states.get() is ReplicaState.VALID
            assert changed == [30, 5]  # the spots came back as they were
            assert await hall.add_one(1) == 2
            assert hall.pump is not None
            assert await hall.pump.add_one(1) == 2
            assert hall.pump.valve is not None
            assert await hall.pump.valve.turn(1) == "turned by 1"
            assert hall.rows is not None
            assert len(await hall.rows.fetch()) == 3


@shows(Feature.NESTED_BACK, HOST, *CPP)
async def test_children_of_children_come_back_with_a_new_host(peer: str, address: Address) -> None:
    async with offered(peer, address("local"), "hall") as (first, url), connect(url, "hall") as hall:
        assert await hall.pump.valve.turn(2) == "turned by 2"
        await first.kill()
        await link_of(hall).wait_for(ReplicaState.SUSPECT)
        async with offered(peer, url, "hall"):
            await link_of(hall).wait_valid()
            assert await hall.pump.valve.turn(3) == "turned by 3"
            assert hall.pump.valve.opening == 4


@shows(Feature.RECONNECT, HOST, QT5)
async def test_a_host_that_comes_back_in_the_other_generation_is_followed(address: Address) -> None:
    """As when a machine is updated from Qt 5 to Qt 6; no Qt program survives that."""
    url = address("local")
    async with offered(QT5, url, "valve") as (first, _), connect(url, "valve", plant.Valve) as valve:
        states: asyncio.Queue[ReplicaState] = asyncio.Queue()
        link_of(valve).state_changed.connect(states.put_nowait)
        await first.kill()
        assert await states.get() is ReplicaState.SUSPECT
        async with offered(QT6, url, "valve"):
            assert await states.get() is ReplicaState.VALID
            assert await valve.turn(2) == "turned by 2"


@shows(Feature.HEARTBEAT, HOST, *CPP)
async def test_a_host_that_hangs_is_given_up_by_the_heartbeat(peer: str, address: Address) -> None:
    async with (
        offered(peer, address("local"), "valve") as (qt, url),
        connect(f"{url}?heartbeat=0.05", "valve", plant.Valve) as valve,
    ):
        states: asyncio.Queue[ReplicaState] = asyncio.Queue()
        link_of(valve).state_changed.connect(states.put_nowait)
        asking = asyncio.ensure_future(qt.ask("hang"))
        await qt.hear("hanging")
        assert await states.get() is ReplicaState.SUSPECT
        await qt.kill()
        with pytest.raises(AssertionError):
            await asking


@shows(Feature.LATE, HOST, *CPP)
async def test_a_replica_waits_for_an_object_that_qt_offers_later(peer: str, address: Address) -> None:
    async with offered(peer, address("local"), "valve") as (qt, url), asyncio.TaskGroup() as group:

        async def use() -> int:
            async with connect(url, "Hall", plant.Hall, timeout=None) as hall:
                return hall.target

        using = group.create_task(use())
        async with connect(url, "valve"):
            await qt.ask("offer", name="Hall")
            assert await using == 5
