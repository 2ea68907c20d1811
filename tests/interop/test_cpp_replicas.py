"""Qt programs in C++, of both generations, use objects of ours: replicas by repc, and dynamic ones."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest

from everywire import Node, Object, Property, i32, prop, slot
from everywire.remoteobjects.codec import QTRO_1_3, QTRO_2_0, Pong
from everywire.tables import Table
from tests.interop import modern, sources, spelling
from tests.interop.cpp_programs import cpp_host, cpp_node
from tests.interop.matrix import CPP, QT5, QT6, Feature, Role, nothing, qt_cannot, shows
from tests.interop.plant import Mode, Paint, Reading, Shade, Spot
from tests.interop.recorder import recorded
from tests.interop.spelling import Spelt, spelt_paint, spelt_places, spelt_reading, spelt_spot, spelt_spots
from tests.programs import Program, ProgramDied

pytestmark = [pytest.mark.interop, pytest.mark.cpp]

Address = Callable[[str], str]
REPLICA: Final = Role.REPLICA
GROUPS: Final = {
    Feature.NUMBERS: spelling.NUMBERS,
    Feature.TIMES: spelling.TIMES,
    Feature.GEOMETRY: spelling.GEOMETRY,
    Feature.DOCUMENTS: spelling.DOCUMENTS,
    Feature.CBOR: spelling.CBOR,
    Feature.VARIANTS: spelling.VARIANTS,
    Feature.CONTAINERS: spelling.CONTAINERS,
}
TRANSPORTS: Final = [(QT6, "local"), (QT6, "tcp"), (QT6, "localabstract"), (QT5, "local"), (QT5, "tcp")]
"""Qt 5 knows no localabstract."""
STATIC: Final = pytest.mark.parametrize("static", [True, False], ids=["static", "dynamic"])


def served(peer: str, url: str) -> str:
    """The URL for a host that speaks the protocol of *peer*."""
    return f"{url}?protocol=1.3" if peer == QT5 else url


@asynccontextmanager
async def used(peer: str, url: str, *, static: bool = True, **objects: Object) -> AsyncIterator[tuple[Node, Program]]:
    """Our objects at *url*, and a C++ program with a valid replica of each."""
    async with Node() as node, cpp_node(peer) as qt:
        for name, source in objects.items():
            node.publish(source, name)
        (where,) = await node.serve(served(peer, url))
        assert await qt.ask("connect", url=where)
        for name, source in objects.items():
            await acquired(qt, name, type(source).__name__ if static else None)
        yield node, qt


async def acquired(qt: Program, name: str, cls: str | None) -> None:
    """Have it acquire a replica, and wait until that is valid."""
    if cls is None:
        await qt.ask("acquire", name=name)
    else:
        await qt.ask("acquire_static", name=name, cls=cls)
    await qt.hear("state", object=name, state="Valid")


async def result(qt: Program, name: str, slot: str, *arguments: Spelt) -> Spelt:
    """What a slot returns to it."""
    answer = await qt.ask("ask", name=name, slot=slot, arguments=arguments, wait=True)
    assert (answer["finished"], answer["error"]) == (True, "NoError")
    value: Spelt = answer["value"]
    return value


# -------------------------------------------------------------------------------------------------------- attaching
@shows(Feature.DYNAMIC, REPLICA, *CPP)
@pytest.mark.parametrize("peer, kind", TRANSPORTS)
async def test_a_dynamic_replica_has_the_types_that_every_qt_knows(peer: str, kind: str, address: Address) -> None:
    async with used(peer, address(kind), static=False, hall=sources.Hall()) as (_, qt):
        properties, methods = await qt.ask("members", name="hall")
        assert (properties["target"], properties["spot"]) == ("int", "QVariantMap")
        assert (properties["shade"], properties["spots"]) == ("int", "QVariantList")
        assert "void fired(int,QString)" in methods
        assert await qt.ask("get", name="hall", prop="target") == ["int", 5]
        place = {"xPos": ["double", 1.5], "label": ["QString", "here"]}
        assert await qt.ask("get", name="hall", prop="spot") == ["QVariantMap", place]
        assert await result(qt, "hall", "addOne(int)", ["int", 41]) == ["int", 42]


@shows(Feature.STATIC, REPLICA, *CPP)
async def test_a_replica_by_repc_takes_our_signature_for_its_own(peer: str, address: Address) -> None:
    async with used(peer, address("local"), Hall=sources.Hall()) as (_, qt):
        assert await qt.ask("state", name="Hall") == "Valid"
        assert await qt.ask("get", name="Hall", prop="serial") == ["QString", "A-17"]
        assert await qt.ask("get", name="Hall", prop="spot") == spelt_spot(Spot(1.5, "here"))
        assert await result(qt, "Hall", "addOne", ["int", 1]) == ["int", 2]


@shows(Feature.MISMATCH, REPLICA, *CPP)
async def test_a_replica_by_repc_of_another_class_sees_the_mismatch(peer: str, address: Address) -> None:
    async with used(peer, address("local"), valve=sources.Valve()) as (node, qt):
        node.publish(sources.Pump(), "pump")
        await qt.ask("acquire_static", name="pump", cls="Valve")
        assert await qt.ask("state", name="pump") == "SignatureMismatch"
        assert await result(qt, "valve", "turn", ["int", 1]) == ["QString", "turned by 1"]


# ------------------------------------------------------------------------------------------------------- properties
@STATIC
@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name.lower())
@shows(Feature.READ, REPLICA, *CPP)
async def test_a_change_of_ours_is_seen_and_notified(peer: str, group: Feature, static: bool, address: Address) -> None:
    kinds = sources.Kinds()
    async with used(peer, address("local"), static=static, Kinds=kinds) as (_, qt):
        signals = notify_signals(await qt.ask("members", name="Kinds"))
        for kind in GROUPS[group]:
            assert await qt.ask("listen", name="Kinds", signal=signals[kind.name])
            setattr(kinds, kind.name, kind.value)
            heard = await qt.hear("heard", object="Kinds", signal=signals[kind.name])
            spelt = kind.spelt_for(static=static)
            assert (kind.name, heard["arguments"]) == (kind.name, [spelt])
            assert (kind.name, await qt.ask("get", name="Kinds", prop=kind.name)) == (kind.name, spelt)


def notify_signals(members: list[Any]) -> dict[str, str]:
    """Name of each property to the signature of its notify signal, as the replica's class has them."""
    signatures = [method.split(" ", 1)[1] for method in members[1]]
    found = {signature.split("(")[0]: signature for signature in signatures}
    return {name: found[f"{name}Changed"] for name in members[0] if f"{name}Changed" in found}


@STATIC
@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name.lower())
@shows(Feature.PUSH, REPLICA, *CPP)
async def test_qt_pushes_a_value(peer: str, group: Feature, static: bool, address: Address) -> None:
    kinds = sources.Kinds()
    async with used(peer, address("local"), static=static, Kinds=kinds) as (_, qt):
        for kind in GROUPS[group]:
            push, spelt = f"push{kind.name[0].upper()}{kind.name[1:]}", kind.spelt_for(static=static)
            value = ["QVariant", spelt] if kind.name == "loose" else spelt
            await qt.ask("call", name="Kinds", slot=push, arguments=[value])
            assert await result(qt, "Kinds", "addOne", ["int", 1]) == ["int", 2]  # a fence
            assert (kind.name, getattr(kinds, kind.name)) == (kind.name, kind.value)
            assert (kind.name, await qt.ask("get", name="Kinds", prop=kind.name)) == (kind.name, spelt)


@STATIC
@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name.lower())
@shows(Feature.NUMBERS, REPLICA, *CPP)
@shows(Feature.TIMES, REPLICA, *CPP)
@shows(Feature.GEOMETRY, REPLICA, *CPP)
@shows(Feature.DOCUMENTS, REPLICA, *CPP)
@shows(Feature.CBOR, REPLICA, *CPP)
@shows(Feature.VARIANTS, REPLICA, *CPP)
@shows(Feature.CONTAINERS, REPLICA, *CPP)
async def test_a_slot_of_ours_returns_to_qt_what_it_is_given(
    peer: str, group: Feature, static: bool, address: Address
) -> None:
    async with used(peer, address("local"), static=static, Kinds=sources.Kinds()) as (_, qt):
        for kind in GROUPS[group]:
            if kind.echo:
                spelt = kind.spelt_for(static=static)
                value = ["QVariant", spelt] if kind.name == "loose" else spelt
                assert (kind.name, await result(qt, "Kinds", kind.echo_slot, value)) == (kind.name, spelt)


@shows(Feature.TIMES, REPLICA, *CPP)
async def test_moments_of_every_spec_go_both_ways(peer: str, address: Address) -> None:
    kinds = sources.Kinds()
    async with used(peer, address("local"), Kinds=kinds) as (_, qt):
        for value, spelt in spelling.MOMENTS:
            await qt.ask("call", name="Kinds", slot="pushMoment", arguments=[spelt])
            assert await result(qt, "Kinds", "echoMoment", spelt) == spelt
            assert kinds.moment == value


@STATIC
@shows(Feature.READWRITE, REPLICA, *CPP)
async def test_qt_writes_a_readwrite_property(peer: str, static: bool, address: Address) -> None:
    hall = sources.Hall()
    async with used(peer, address("local"), static=static, Hall=hall) as (_, qt):
        await qt.ask("listen", name="Hall", signal="noteChanged(QString)")
        await qt.ask("set", name="Hall", prop="note", value=["QString", "written"])
        assert (await qt.hear("heard"))["arguments"] == [["QString", "written"]]
        assert hall.note == "written"


@shows(Feature.CONSTANT, REPLICA, *CPP)
async def test_a_constant_has_no_signal_and_shifts_no_other(peer: str, address: Address) -> None:
    hall = sources.Hall()
    async with used(peer, address("local"), Hall=hall) as (_, qt):
        assert await qt.ask("get", name="Hall", prop="serial") == ["QString", "A-17"]
        assert not await qt.ask("set", name="Hall", prop="serial", value=["QString", "B"])
        for signal in ("noteChanged(QString)", "fired(int,QString)"):
            assert await qt.ask("listen", name="Hall", signal=signal)
        hall.note = "new"
        assert (await qt.hear("heard"))["signal"] == "noteChanged(QString)"
        hall.fired.emit(3, "heat")
        heard = await qt.hear("heard")
        assert (heard["signal"], heard["arguments"]) == ("fired(int,QString)", [["int", 3], ["QString", "heat"]])


# ------------------------------------------------------------------------------------------------ signals and slots
@STATIC
@shows(Feature.SIGNALS, REPLICA, *CPP)
async def test_signals_of_ours_carry_every_type(peer: str, static: bool, address: Address) -> None:
    kinds = sources.Kinds()
    by_name = {kind.name: kind for group in GROUPS.values() for kind in group}
    names = ("truth", "tiny", "octet", "few", "some", "number", "natural", "wide", "vast")
    integers = [by_name[name] for name in names]
    others = [by_name[name] for name in ("single", "real", "sign", "text", "blob", "names", "table", "numbers")]
    async with used(peer, address("local"), static=static, Kinds=kinds) as (_, qt):
        _, methods = await qt.ask("members", name="Kinds")
        for name, values in (("integers", integers), ("others", others)):
            (signal,) = [method.split(" ", 1)[1] for method in methods if f" {name}(" in method]
            assert await qt.ask("listen", name="Kinds", signal=signal)
            getattr(kinds, name).emit(*(kind.value for kind in values))
            assert (await qt.hear("heard"))["arguments"] == [kind.spelt_for(static=static) for kind in values]


@STATIC
@shows(Feature.SLOTS, REPLICA, *CPP)
async def test_slots_are_called_with_and_without_a_result(peer: str, static: bool, address: Address) -> None:
    hall = sources.Hall()
    async with used(peer, address("local"), static=static, Hall=hall) as (_, qt):
        for number in range(20):
            await qt.ask("call", name="Hall", slot="remember", arguments=[["QString", str(number)]])
        call = await qt.ask("ask", name="Hall", slot="addOne", arguments=[["int", 1]])
        assert (await qt.hear("finished", call=call))["value"] == ["int", 2]
        assert hall.remembered == [str(number) for number in range(20)]
        await qt.ask("listen", name="Hall", signal="silence()")
        hall.silence.emit()
        assert (await qt.hear("heard"))["arguments"] == []


# -------------------------------------------------------------------------------------------------- types of a .rep
@shows(Feature.PODS, REPLICA, *CPP)
@shows(Feature.PODS_NESTED, REPLICA, *CPP)
async def test_structures_go_both_ways(peer: str, address: Address) -> None:
    hall = sources.Hall()
    async with used(peer, address("local"), Hall=hall) as (_, qt):
        for name, spelt in (
            ("spot", spelt_spot(hall.spot)),
            ("reading", spelt_reading(hall.reading)),
            ("paint", spelt_paint(hall.paint)),
        ):
            assert (name, await qt.ask("get", name="Hall", prop=name)) == (name, spelt)
        for signal in ("moved(Spot)", "paintChanged(Paint)"):
            assert await qt.ask("listen", name="Hall", signal=signal)
        hall.paint = Paint(Shade.Dark, "floor")
        assert (await qt.hear("heard"))["arguments"] == [spelt_paint(hall.paint)]
        reading = Reading(9, Spot(-1.0, ""), [4])
        await qt.ask("call", name="Hall", slot="pushReading", arguments=[spelt_reading(reading)])
        read = await result(qt, "Hall", "read", spelt_reading(reading))
        assert read == spelt_reading(Reading(10, Spot(-1.0, ""), [4]))
        assert hall.reading == reading
        moved = await result(qt, "Hall", "move", spelt_spot(Spot(1.0, "q")), ["double", 0.5])
        assert moved == spelt_spot(Spot(1.5, "q"))
        assert (await qt.hear("heard"))["arguments"] == [moved]
        painted = await result(qt, "Hall", "repaint", spelt_paint(Paint(Shade.Dark, "x")))
        assert painted == spelt_paint(Paint(Shade.Pale, "x"))


@shows(Feature.POD_LISTS, REPLICA, *CPP)
async def test_lists_and_maps_of_structures_go_both_ways(peer: str, address: Address) -> None:
    hall = sources.Hall()
    async with used(peer, address("local"), Hall=hall) as (_, qt):
        assert await qt.ask("get", name="Hall", prop="spots") == spelt_spots(*hall.spots)
        assert await qt.ask("get", name="Hall", prop="places") == spelt_places(hall.places)
        readings = ["QList<Reading>", [*map(spelt_reading, hall.readings)]]
        assert await qt.ask("get", name="Hall", prop="readings") == readings
        for signal in ("spotsChanged(QList<Spot>)", "surveyed(QList<Spot>,QMap<QString,Spot>)"):
            assert await qt.ask("listen", name="Hall", signal=signal)
        hall.spots = [Spot(5, "e")]
        assert (await qt.hear("heard"))["arguments"] == [spelt_spots(Spot(5, "e"))]
        places = {"a": Spot(6, "f"), "b": Spot(7, "g")}
        await qt.ask("call", name="Hall", slot="pushPlaces", arguments=[spelt_places(places)])
        await result(qt, "Hall", "moveAll", spelt_spots(Spot(1, "a")), ["double", 1.0])
        assert (await qt.hear("heard"))["arguments"] == [spelt_spots(Spot(2, "a")), spelt_places({"a": Spot(2, "a")})]
        assert hall.places == places


@shows(Feature.POD_LIST_RESULTS, REPLICA, QT5)
async def test_a_list_of_structures_is_a_result(peer: str, address: Address) -> None:
    async with used(peer, address("local"), Hall=sources.Hall()) as (_, qt):
        moved = await result(qt, "Hall", "moveAll", spelt_spots(Spot(1, "a")), ["double", 1.0])
        assert moved == spelt_spots(Spot(2, "a"))
        assert await result(qt, "Hall", "byLabel", moved) == spelt_places({"a": Spot(2, "a")})


@qt_cannot(
    "Replicas of Qt 6.2 to 6.7 do not decode a list or map of PODs in a result, not that of a source of Qt either.",
    Feature.POD_LIST_RESULTS, REPLICA, QT6,
)  # fmt: skip
@pytest.mark.parametrize("whose", ["ours", "Qt's"])
async def test_a_list_of_structures_as_a_result_is_not_decoded_by_qt_6_4(whose: str, address: Address) -> None:
    url = address("local")
    async with Node() as node, cpp_host(QT6) as host, cpp_node(QT6) as qt:
        if whose == "ours":
            node.publish(sources.Hall(), "Hall")
            await node.serve(url)
        else:
            await host.ask("serve", url=url, names=["Hall"])
        await qt.ask("connect", url=url)
        await acquired(qt, "Hall", "Hall")
        moved = await result(qt, "Hall", "moveAll", spelt_spots(Spot(1, "a")), ["double", 1.0])
        assert moved == ["QRemoteObjectPackets::QSQ_", "opaque"]


@shows(Feature.ENUMS, REPLICA, *CPP)
async def test_enums_of_a_file_and_of_a_class_go_both_ways(peer: str, address: Address) -> None:
    hall, pump = sources.Hall(), sources.Pump()
    async with used(peer, address("local"), Hall=hall, Pump=pump) as (_, qt):
        assert await qt.ask("get", name="Hall", prop="shade") == ["ShadeEnum::Shade", 3]
        assert (await qt.ask("get", name="Pump", prop="mode"))[1] == 0
        assert await qt.ask("listen", name="Hall", signal="painted(ShadeEnum::Shade,Paint)")
        await qt.ask("call", name="Hall", slot="pushShade", arguments=[["ShadeEnum::Shade", 4]])
        assert await result(qt, "Hall", "lighter", ["ShadeEnum::Shade", 0]) == ["int", 3]
        assert hall.shade is Shade.Bright
        hall.painted.emit(Shade.Dark, Paint(Shade.Pale, "x"))
        heard = (await qt.hear("heard"))["arguments"]
        assert heard == [["ShadeEnum::Shade", 0], spelt_paint(Paint(Shade.Pale, "x"))]
        _, methods = await qt.ask("members", name="Pump")
        (own,) = {method.split("(")[1][:-1] for method in methods if " shift(" in method}
        assert (await result(qt, "Pump", "shift", [own, -1]))[1] == -1
        assert pump.mode is Mode.Failed


@shows(Feature.FLAGS, REPLICA, QT6)
async def test_flags_and_enums_of_another_size_go_both_ways(address: Address) -> None:
    organ = sources.Organ()
    async with used(QT6, address("local"), Organ=organ) as (_, qt):
        assert await qt.ask("get", name="Organ", prop="tone") == ["ToneEnum::Tone", -56]
        assert (await qt.ask("get", name="Organ", prop="stops"))[1] == 2
        sharp = ["Chord", {"key": ["Chord::Key", 300], "name": ["QString", "C"]}]
        assert await qt.ask("get", name="Organ", prop="chord") == sharp
        flat = ["Chord", {"key": ["Chord::Key", -300], "name": ["QString", "D"]}]
        assert await qt.ask("get", name="Organ", prop="chords") == ["QList<Chord>", [sharp, flat]]
        _, methods = await qt.ask("members", name="Organ")
        (flags,) = {method.split("(")[1][:-1] for method in methods if " pull(" in method}
        assert (await result(qt, "Organ", "pull", [flags, 5]))[1] == 7
        assert organ.stops == modern.Stops(7)
        plain = ["Chord", {"key": ["Chord::Key", -299], "name": ["QString", "D"]}]
        assert await result(qt, "Organ", "transpose", flat) == plain
        await qt.ask("call", name="Organ", slot="pushTone", arguments=[["ToneEnum::Tone", 0]])
        assert await result(qt, "Organ", "shift", ["ToneEnum::Tone", -56]) == ["signed char", 0]
        assert organ.tone is modern.Tone.Low


nothing("repc of Qt 5 has no FLAG, and enums neither with a scope nor of a size.", Feature.FLAGS, REPLICA, QT5)


# --------------------------------------------------------------------------------------------------------- children
@STATIC
@shows(Feature.CHILD, REPLICA, *CPP)
@shows(Feature.CHILD_NESTED, REPLICA, *CPP)
async def test_children_are_replicas_of_their_own(peer: str, static: bool, address: Address) -> None:
    hall = sources.Hall()
    async with used(peer, address("local"), static=static, Hall=hall) as (_, qt):
        pump = await qt.ask("take", name="Hall", prop="pump", **{"as": "pump"})
        assert pump == ("PumpReplica" if static else "Pump")
        await qt.hear("state", object="pump", state="Valid")
        assert await qt.ask("take", name="pump", prop="valve", **{"as": "valve"})
        await qt.hear("state", object="valve", state="Valid")
        assert await qt.ask("get", name="pump", prop="speed") == ["int", 3]
        for signal in ("turned(int)", "openingChanged(int)"):
            assert await qt.ask("listen", name="valve", signal=signal)
        assert await result(qt, "valve", "turn(int)", ["int", 4]) == ["QString", "turned by 4"]
        heard = [(await qt.hear("heard", object="valve"))["arguments"] for _ in range(2)]
        assert heard == [[["int", 5]], [["int", 4]]]
        await qt.ask("call", name="pump", slot="pushSpeed", arguments=[["int", 8]])
        assert await result(qt, "pump", "addOne(int)", ["int", 1]) == ["int", 2]
        assert hall.pump is not None
        assert hall.pump.speed == 8
        assert await qt.ask("get", name="pump", prop="speed") == ["int", 8]


@STATIC
@shows(Feature.CHILD_REPLACED, REPLICA, *CPP)
async def test_a_child_is_replaced_and_taken_away(peer: str, static: bool, address: Address) -> None:
    hall = sources.Hall()
    async with used(peer, address("local"), static=static, Hall=hall) as (_, qt):
        await qt.ask("take", name="Hall", prop="pump", **{"as": "pump"})
        await qt.hear("state", object="pump", state="Valid")
        hall.pump = sources.Pump(6)
        assert await result(qt, "Hall", "addOne", ["int", 1]) == ["int", 2]
        await qt.ask("take", name="Hall", prop="pump", **{"as": "next"})
        assert await qt.ask("get", name="next", prop="speed") == ["int", 6]
        assert await result(qt, "next", "addOne(int)", ["int", 2]) == ["int", 3]
        hall.pump = None
        assert await result(qt, "Hall", "addOne", ["int", 1]) == ["int", 2]
        assert await qt.ask("take", name="Hall", prop="pump", **{"as": "none"}) is None


# -------------------------------------------------------------------------------------------------------- lifecycle
@qt_cannot(
    "Replicas of Qt from a .rep crash when children of children come back, also to a source of Qt.",
    Feature.NESTED_BACK_STATIC, REPLICA, *CPP,
)  # fmt: skip
async def test_children_of_children_crash_a_static_replica_when_they_come_back(peer: str, address: Address) -> None:
    url = address("local")
    async with cpp_node(peer) as qt, cpp_host(peer) as host:
        await host.ask("serve", url=url, names=["Hall"])
        await qt.ask("connect", url=url)
        await acquired(qt, "Hall", "Hall")
        await host.ask("withdraw", name="Hall")
        await qt.hear("state", object="Hall", state="Suspect")
        with pytest.raises(ProgramDied, match="ended with -11"):
            await host.ask("offer", name="Hall")
            await qt.hear("state", object="Hall", state="Valid")
            await result(qt, "Hall", "addOne", ["int", 1])


@STATIC
@shows(Feature.WITHDRAWN, REPLICA, *CPP)
async def test_a_withdrawn_object_is_suspect_until_it_is_published_again(
    peer: str, static: bool, address: Address
) -> None:
    pump = sources.Pump()
    async with used(peer, address("local"), static=static, Pump=pump) as (node, qt):
        node.withdraw("Pump")
        await qt.hear("state", object="Pump", state="Suspect")
        pump.speed = 33
        node.publish(pump, "Pump")
        await qt.hear("state", object="Pump", state="Valid")
        assert await qt.ask("get", name="Pump", prop="speed") == ["int", 33]
        assert await result(qt, "Pump", "addOne", ["int", 1]) == ["int", 2]
        await qt.ask("take", name="Pump", prop="valve", **{"as": "valve"})
        assert await result(qt, "valve", "turn(int)", ["int", 1]) == ["QString", "turned by 1"]


@STATIC
@pytest.mark.parametrize("kind", ["local", "tcp"])
@shows(Feature.RECONNECT, REPLICA, *CPP)
async def test_a_restarted_host_is_found_again_by_qt(peer: str, static: bool, kind: str, address: Address) -> None:
    url, cls = served(peer, address(kind)), "Pump" if static else None
    async with cpp_node(peer) as qt:
        async with Node() as node:
            node.publish(sources.Pump(), "Pump")
            (url,) = await node.serve(url)
            await qt.ask("connect", url=url)
            await acquired(qt, "Pump", cls)
        await qt.hear("state", object="Pump", state="Suspect")
        assert await qt.ask("get", name="Pump", prop="speed") == ["int", 3]
        async with Node() as node:
            node.publish(sources.Pump(40), "Pump")
            await node.serve(served(peer, url))
            await qt.hear("state", object="Pump", state="Valid")
            assert await qt.ask("get", name="Pump", prop="speed") == ["int", 40]
            assert await result(qt, "Pump", "addOne", ["int", 3]) == ["int", 4]
            await qt.ask("take", name="Pump", prop="valve", **{"as": "valve"})
            assert await result(qt, "valve", "turn(int)", ["int", 1]) == ["QString", "turned by 1"]


class Shelf(Object):
    """An object with structures and a model."""

    spot: Property[Spot] = prop(Spot(1.5, "here"))
    spots: Property[list[Spot]] = prop(factory=lambda: [Spot(1.0, "a")])
    rows: Property[Table[Any] | None] = prop(None)

    def __init__(self) -> None:
        self.rows = sources.short_table()

    @slot
    async def add_one(self, number: i32) -> i32:
        return number + 1


@pytest.mark.parametrize("make", [Shelf, sources.Hall])
@shows(Feature.RECONNECT, REPLICA, *CPP)
@shows(Feature.MODEL_BACK, REPLICA, *CPP)
@shows(Feature.NESTED_BACK, REPLICA, *CPP)
async def test_all_of_a_dynamic_replica_comes_back_where_all_are_dynamic(
    peer: str, make: Callable[[], Object], address: Address
) -> None:
    """A dynamic replica of Qt attaches as one from a .rep then, but has kept what tells it from one."""
    settings = [*(["protocol=1.3"] if peer == QT5 else []), *(["dynamic_only=yes"] if make is sources.Hall else [])]
    url = f"{address('local')}{'?' if settings else ''}{'&'.join(settings)}"
    async with cpp_node(peer) as qt:
        for life in range(2):
            async with Node() as node:
                node.publish(make(), "it")
                (where,) = await node.serve(url)
                if life == 0:
                    await qt.ask("connect", url=where)
                    await qt.ask("acquire", name="it")
                await qt.hear("state", object="it", state="Valid")
                assert await result(qt, "it", "addOne(int)", ["int", 1]) == ["int", 2]
                assert (await qt.ask("get", name="it", prop="spots"))[0] == "QVariantList"
                await qt.ask("take", name="it", prop="rows", **{"as": f"rows {life}"})
                while await qt.ask("size", name=f"rows {life}") != [3, 2]:
                    await qt.hear("initialized", object=f"rows {life}")
                if make is sources.Hall:
                    await qt.ask("take", name="it", prop="pump", **{"as": f"pump {life}"})
                    await qt.ask("take", name=f"pump {life}", prop="valve", **{"as": f"valve {life}"})
                    assert await result(qt, f"valve {life}", "turn(int)", ["int", 1]) == ["QString", "turned by 1"]
            await qt.hear("state", object="it", state="Suspect")


@shows(Feature.HEARTBEAT, REPLICA, *CPP)
async def test_heartbeats_of_qt_are_answered(peer: str, address: Address) -> None:
    async with Node() as node, cpp_node(peer) as qt:
        node.publish(sources.Valve(), "valve")
        (url,) = await node.serve(served(peer, address("tcp")))
        async with recorded(url, QTRO_1_3 if peer == QT5 else QTRO_2_0) as recorder:
            await qt.ask("heartbeat", milliseconds=20)
            await qt.ask("connect", url=recorder.url)
            await acquired(qt, "valve", "Valve")
            async with asyncio.timeout(10):
                while recorder.packets(from_host=True).count(Pong("valve")) < 3:
                    await recorder.more.wait()
                    recorder.more.clear()
            assert await qt.ask("state", name="valve") == "Valid"
            assert not [fact for fact in qt.facts if fact["event"] == "state"]


@STATIC
@shows(Feature.LATE, REPLICA, *CPP)
async def test_qt_finds_an_object_that_is_published_after_it_has_connected(
    peer: str, static: bool, address: Address
) -> None:
    async with used(peer, address("local"), static=static, Valve=sources.Valve()) as (node, qt):
        if static:
            await qt.ask("acquire_static", name="Hall", cls="Hall")
        else:
            await qt.ask("acquire", name="Hall")
        assert await qt.ask("state", name="Hall") == ("Default" if static else "Uninitialized")
        node.publish(sources.Hall(), "Hall")
        await qt.hear("state", object="Hall", state="Valid")
        assert await qt.ask("get", name="Hall", prop="note") == ["QString", "free"]
