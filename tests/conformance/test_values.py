"""Every type goes over every wire, in properties, signals, slots and streams, and properties tell their changes."""

from __future__ import annotations

import math

import pytest

from everywire import Code, Fault, LocalProtocolError, link_of
from tests.conformance.plant import CARRIERS, NOON, Boiler, Counters, Heard, Mode, Reading
from tests.conformance.wires import Place


@pytest.mark.parametrize("kind", CARRIERS)
async def test_a_value_of_every_type_arrives_as_it_was(place: Place, kind: str) -> None:
    cls, sample = CARRIERS[kind]
    source, values = cls(), place.wire.carried(sample.values)
    async with place.hosting(carrier=source), place.connect("carrier", cls) as replica:
        heard, said = Heard(), Heard()
        cls.shown.on_change(replica, heard)  # type: ignore[attr-defined]
        replica.said.connect(said)
        for value in values:
            source.shown = value  # type: ignore[attr-defined]
            source.said.emit(value)  # type: ignore[attr-defined]
            assert await replica.echo(value) == value
            assert replica.shown == value
            assert type(replica.shown) is type(value)
            assert await replica.echo_later(value) == value
            assert await cls.value.push(replica, value) == value  # type: ignore[attr-defined]
            assert source.value == value  # type: ignore[attr-defined]
            assert [item async for item in replica.repeat(value, 2)] == [value, value]
        assert said.items == list(values)
        assert heard.items[-len(values) + 1 :] == list(values[1:])


async def test_nan_arrives_and_is_announced_once(place: Place) -> None:
    cls, _ = CARRIERS["float"]
    source = cls()
    async with place.hosting(carrier=source), place.connect("carrier", cls) as replica:
        heard = Heard()
        cls.shown.on_change(replica, heard)  # type: ignore[attr-defined]
        source.shown = math.nan  # type: ignore[attr-defined]
        source.shown = math.nan  # type: ignore[attr-defined]
        assert math.isnan(await replica.echo(math.nan))
        assert len(heard.items) == 1
        assert math.isnan(replica.shown)


async def test_a_replica_has_the_present_values_when_it_is_connected(place: Place) -> None:
    boiler = Boiler()
    boiler.target, boiler.mode, boiler.last = 22.5, Mode.COOLING, Reading(1.0, "cellar", NOON)
    async with place.hosting(boiler=boiler), place.connect("boiler", Boiler) as replica:
        assert (replica.target, replica.current, replica.mode) == (22.5, 20.0, Mode.COOLING)
        assert replica.last == Reading(1.0, "cellar", NOON)
        assert replica.error == 2.5


async def test_a_computed_property_follows_its_inputs_and_is_read_only(place: Place) -> None:
    boiler = Boiler()
    async with place.hosting(boiler=boiler), place.connect("boiler", Boiler) as replica:
        errors = Heard()
        Boiler.error.on_change(replica, errors)
        boiler.target = 25.0
        boiler.current = 25.0
        await replica.drain()
        assert errors.items == [5.0, 0.0]
        with pytest.raises(LocalProtocolError):
            replica.error = 1.0


async def test_changes_arrive_in_the_order_in_which_they_were_made(place: Place) -> None:
    counters = Counters()
    async with place.hosting(counters=counters), place.connect("counters", Counters) as replica:
        told = Heard()
        for name in ("first", "second", "total", "text"):
            getattr(Counters, name).on_change(replica, lambda value, name=name: told((name, value)))
        for number in range(1, 50):
            counters.first = number
            counters.text = f"t{number}"
            counters.second = -number
        await replica.settle()
        expected = []
        for number in range(1, 50):
            expected += [("first", number), ("total", 1), ("text", f"t{number}")]
            expected += [("second", -number), ("total", 0)]
        assert told.items == expected


async def test_setting_an_equal_value_tells_nothing_and_a_list_tells_every_assignment(place: Place) -> None:
    counters = Counters()
    async with place.hosting(counters=counters), place.connect("counters", Counters) as replica:
        texts = Heard()
        Counters.text.on_change(replica, texts)
        counters.text = ""
        counters.text = "a"
        counters.text = "a"
        with Counters.tags.edit(counters) as tags:
            tags.append(7)
        await replica.settle()
        assert texts.items == ["a"]
        assert replica.tags == [7]


async def test_a_changed_list_on_the_source_does_not_change_the_replica_in_secret(place: Place) -> None:
    counters = Counters()
    counters.tags = [1]
    async with place.hosting(counters=counters), place.connect("counters", Counters) as replica:
        counters.tags.append(2)
        await replica.settle()
        assert replica.tags == [1]
        replica.tags.append(3)
        assert counters.tags == [1, 2]


async def test_watching_gives_the_present_and_the_newest_value(place: Place) -> None:
    counters = Counters()
    async with place.hosting(counters=counters), place.connect("counters", Counters) as replica:
        seen: list[int] = []
        async for value in Counters.first.watch(replica):
            seen.append(value)
            if value == 3:
                break
            counters.first = value + 1
        assert seen == [0, 1, 2, 3]


async def test_a_replica_cannot_be_assigned_and_says_what_to_do(place: Place) -> None:
    async with place.hosting(boiler=Boiler()), place.connect("boiler", Boiler) as replica:
        with pytest.raises(LocalProtocolError, match=r"await Boiler\.target\.push\(replica, value\)"):
            replica.target = 3.0
        with pytest.raises(LocalProtocolError, match="not writable"):
            replica.current = 3.0
        with pytest.raises(LocalProtocolError, match="only the source emits"):
            replica.overheated.emit(1.0, "x")
        with pytest.raises(AttributeError, match="replicated"):
            _ = replica.nonsense


async def test_two_replicas_in_one_program_see_the_same(place: Place) -> None:
    boiler = Boiler()
    async with (
        place.hosting(boiler=boiler),
        place.connect("boiler", Boiler) as one,
        place.connect("boiler", Boiler) as two,
    ):
        assert one is not two
        assert await Boiler.target.push(one, 30.0) == 30.0
        await two.drain()
        assert two.target == boiler.target == 30.0


async def test_a_node_serves_several_objects_side_by_side(place: Place) -> None:
    boiler, counters = Boiler(), Counters()
    async with (
        place.hosting(boiler=boiler, counters=counters, second=Boiler()),
        place.connect("boiler", Boiler) as room,
        place.connect("counters", Counters) as numbers,
        place.connect("second", Boiler) as second,
    ):
        boiler.target, counters.first = 30.0, 3
        await room.drain()
        await numbers.settle()
        assert (room.target, numbers.first, second.target) == (30.0, 3, 21.0)
        assert link_of(room).name == "boiler"


async def test_an_object_that_is_not_there_is_not_found(place: Place) -> None:
    async with place.hosting(boiler=Boiler()):
        with pytest.raises(Fault, match="no object 'boler'") as caught:
            async with place.connect("boler", Boiler, timeout=0):
                pass
        assert caught.value.code is Code.NOT_FOUND
        assert "boiler" in caught.value.message
