"""What an object shows arrives on every wire, with no class at hand; a class that does not fit is told all of it."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from everywire import (
    Code,
    Fault,
    LocalProtocolError,
    Node,
    Object,
    Property,
    SignatureMismatch,
    contract_of,
    members,
    prop,
    signal,
    slot,
)
from everywire.model import Kind
from everywire.runtime.wires import wire_of
from tests.conformance.plant import CARRIERS, Boiler, Desk, Heard, Mode, Tap
from tests.conformance.wires import Place


class Thing(Object):
    shown: Property[int] = prop(0)
    kept: Property[int] = prop(0)
    read_only: Property[int] = prop(0)

    @signal
    def told(self, number: int) -> None: ...

    @slot
    async def ask(self, number: int) -> int:
        return number

    @slot
    async def quiet(self) -> None: ...


class OtherThing(Object):
    """Expects five things of a `Thing` that it does not have, and one that it has."""

    shown: Property[str] = prop("")
    kept: Property[int] = prop(0)
    read_only: Property[int] = prop(0, writable=True)
    absent: Property[int] = prop(0)

    @signal
    def told(self, number: int, text: str) -> None: ...

    @slot
    async def ask(self, number: int) -> str: ...  # type: ignore[empty-body]

    @slot
    async def quiet(self) -> int: ...  # type: ignore[empty-body]


async def test_without_a_class_everything_is_reached_by_its_name(place: Place) -> None:
    source = Boiler()
    async with place.hosting(boiler=source), place.connect("boiler") as boiler:
        assert (boiler.target, boiler.current, boiler.error) == (21.0, 20.0, 1.0)
        assert boiler.mode.name == "OFF"
        assert (boiler.last.celsius, boiler.last.sensor) == (20.0, "attic")
        heard = Heard()
        boiler.overheated.connect(heard)
        source.overheated.emit(80.0, "attic")
        assert await boiler.boost(minutes=2) == 120
        assert heard.items == [(80.0, "attic")]
        assert await members(boiler)["target"].push(25.0) == source.target == 25.0
        with pytest.raises(LocalProtocolError):
            boiler.target = 3.0


async def test_without_a_class_docstrings_signatures_units_and_ranges_arrive(place: Place) -> None:
    async with place.hosting(boiler=Boiler()), place.connect("boiler") as boiler:
        cls = type(boiler)
        assert (cls.__name__, cls.__doc__) == ("Boiler", "Keeps one room warm.")
        assert boiler.boost.__doc__ == "Heat at full power; return the seconds until the target is reached."
        signature = inspect.signature(boiler.boost)
        assert list(signature.parameters) == ["minutes", "reason"]
        assert [p.default for p in signature.parameters.values()] == [10, "cold"]
        assert signature.return_annotation is int
        contract = contract_of(boiler)
        target = contract.members["target"]
        assert (target.unit, target.type.low, target.type.high, target.writable) == ("Cel", 5.0, 35.0, True)  # type: ignore[attr-defined]
        assert target.doc == "Where to."
        assert not contract.members["current"].writable
        assert contract.members["error"].doc == "How far the room is from the target."
        assert contract.members["overheated"].doc == "A sensor is above the limit."
        assert contract.members["drain"].timeout is None
        assert contract.members["boost"].timeout == 30.0
        with pytest.raises(TypeError):
            await boiler.boost(1, "x", 3)


@pytest.mark.parametrize("cls", [Boiler, Desk, Tap, *(cls for cls, _ in CARRIERS.values())])
async def test_one_class_gives_the_same_contract_back(place: Place, cls: type[Object]) -> None:
    """Law 9."""
    async with place.hosting(it=cls()), place.connect("it") as replica:
        assert [str(m) for m in contract_of(replica).members.values()] == [
            str(m) for m in contract_of(cls).members.values()
        ]


async def test_a_session_tells_contracts_without_attaching(place: Place) -> None:
    async with place.hosting(boiler=Boiler(), tap=Tap()), Node() as node:
        session = await wire_of(place.url).open(node)
        try:
            assert sorted(session.offered or ()) == ["boiler", "tap"]
            for name, cls in (("boiler", Boiler), ("tap", Tap)):
                told = await session.contract(name)
                assert str(told) == str(contract_of(cls))
            with pytest.raises(Fault) as caught:
                await session.contract("bowler")
            assert caught.value.code is Code.NOT_FOUND
        finally:
            await session.close()


async def test_streams_and_enums_work_without_a_class(place: Place) -> None:
    async with place.hosting(tap=Tap(), desk=Desk()), place.connect("tap") as tap, place.connect("desk") as desk:
        assert [n async for n in tap.numbers(3)] == [0, 1, 2]
        mode = contract_of(desk).members["mirror"].result.cls["HEATING"]  # type: ignore[union-attr]
        assert (await desk.mirror(mode)).name == Mode.HEATING.name


async def test_a_class_that_does_not_fit_is_told_every_difference(place: Place) -> None:
    async with place.hosting(thing=Thing()):
        with pytest.raises(SignatureMismatch) as caught:
            async with place.connect("thing", OtherThing):
                pass
        differences = "\n".join(caught.value.differences)
        assert len(caught.value.differences) == 6, differences
        for name in ("shown", "read_only", "absent", "told", "ask", "quiet"):
            assert name in differences
        assert "kept" not in differences


async def test_a_class_may_expect_less_than_there_is(place: Place) -> None:
    class PartOfThing(Object):
        kept: Property[int] = prop(0)

        @slot
        async def ask(self, number: int) -> None: ...

    source = Thing()
    source.kept = 7
    async with place.hosting(thing=source), place.connect("thing", PartOfThing) as part:
        assert part.kept == 7
        assert await part.ask(1) is None
        assert set(members(part)) == {"kept", "ask"}


async def test_a_replica_runs_none_of_the_classes_own_code(place: Place) -> None:
    ran: list[Any] = []

    class Eager(Object):
        value: Property[int] = prop(1)

        def __init__(self) -> None:
            ran.append(self)

        @slot
        async def work(self) -> int:
            ran.append(self)
            return 1

    source = Eager()
    async with place.hosting(eager=source), place.connect("eager", Eager) as replica:
        assert isinstance(replica, Eager)
        assert await replica.work() == 1
        assert ran == [source, source]


async def test_every_member_has_its_place_in_the_list_of_members(place: Place) -> None:
    async with place.hosting(boiler=Boiler()), place.connect("boiler", Boiler) as boiler:
        table = members(boiler)
        assert table["target"].value == 21.0
        assert len(table) == len(contract_of(Boiler).members)
        assert await table["boost"](1) == 60
        with pytest.raises(LocalProtocolError):
            await table["error"].push(1.0)
        kinds = [member.kind for member in contract_of(boiler).members.values()]
        assert (kinds.count(Kind.PROPERTY), kinds.count(Kind.SIGNAL), kinds.count(Kind.SLOT)) == (5, 1, 2)
