"""Child objects as types: a property holds an object of a class of ours, and nothing else does."""

from __future__ import annotations

import copy
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Any

import pytest

from everywire.errors import ModelError
from everywire.model import Object, Property, Range, computed, contract_of, prop, signal, slot
from everywire.model.annotations import type_of
from everywire.model.building import build_class
from everywire.model.description import MOST_CLASSES, describe, read_description
from everywire.model.reading import check_type_names, child_members, with_children
from everywire.model.types import ObjectOf, OptionalOf, child_type, equal, holds_object, python_type
from everywire.model.typetext import read_type_text, type_text
from tests.model.samples import Recorder


class Valve(Object):
    """Lets water through."""

    open: Property[bool] = prop(False, writable=True)


class Pump(Object):
    """Moves water."""

    speed: Property[int] = prop(0, writable=True)
    valve: Property[Valve] = prop(factory=Valve)
    spare: Property[Pump | None] = prop(None, doc="One that stands by.")

    @computed(speed)
    def runs(self) -> bool:
        return self.speed > 0

    @signal
    def stopped(self, why: str) -> None: ...

    @slot
    async def stop(self) -> int:
        return self.speed

    @slot
    async def strokes(self) -> AsyncIterator[int]:
        yield 1


class Hall(Object):
    pump: Property[Pump] = prop(factory=Pump)
    other: Property[Pump | None] = prop(None)
    which: Property[int] = prop(0)

    @computed(pump, other, which)
    def active(self) -> Pump | None:
        return self.other if self.which else self.pump


class Same(Object):
    """Equals every other of its kind, as a class of somebody else may."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same)

    def __hash__(self) -> int:
        return 1


class Holder(Object):
    same: Property[Same | None] = prop(None)


# ------------------------------------------------------------------------------------------------------------- types
def test_a_class_of_objects_is_a_type() -> None:
    node = type_of(Pump)
    assert node == ObjectOf(Pump)
    assert node.name == "Pump"
    assert type_of(Pump | None) == OptionalOf(node)
    assert type_of(Object) == ObjectOf(Object)
    assert python_type(node) is Pump
    assert python_type(OptionalOf(node)) == Pump | None
    assert child_type(node) == child_type(OptionalOf(node)) == node
    assert child_type(type_of(int | None)) is child_type(None) is None
    assert holds_object(type_of(dict[str, list[Pump]]))
    assert not holds_object(type_of(dict[str, list[int]]))
    assert isinstance(ObjectOf(Pump).zero, Pump)


def test_an_instance_is_taken_as_it_is_and_nothing_else_is() -> None:
    class Turbo(Pump):
        pass

    node, turbo = type_of(Pump), Turbo()
    assert node.convert(turbo) is turbo
    for wrong in (None, Valve(), Pump, {"speed": 1}, "pump"):
        with pytest.raises(ModelError, match="expected an instance of Pump, got"):
            node.convert(wrong)


def test_a_type_with_an_object_has_a_text() -> None:
    node = type_of(Pump | None)
    assert type_text(node) == "Pump | None"
    assert read_type_text("Pump | None", {"Pump": type_of(Pump)}) == node


# -------------------------------------------------------------------------------------------------------- properties
def test_a_child_is_compared_as_itself() -> None:
    holder, recorder = Holder(), Recorder()
    Holder.same.on_change(holder, recorder)
    first, second = Same(), Same()
    for child in (first, first, second, None, None, first):
        holder.same = child
    assert [id(child) for child in recorder.told] == [id(first), id(second), id(None), id(first)]
    assert not equal(first, second)


def test_every_object_has_children_of_its_own() -> None:
    one, other = Hall(), Hall()
    assert one.pump is not other.pump
    assert one.pump.valve is not other.pump.valve
    assert one.other is None


def test_a_computed_property_may_choose_among_children() -> None:
    hall, recorder = Hall(), Recorder()
    Hall.active.on_change(hall, recorder)
    hall.other = second = Pump()
    hall.which = 1
    assert hall.active is second
    assert [id(child) for child in recorder.told] == [id(second)]


def test_a_wrong_child_is_refused_with_the_name_of_the_property() -> None:
    hall: Any = Hall()
    with pytest.raises(ModelError, match="pump: expected an instance of Pump, got NoneType"):
        hall.pump = None
    with pytest.raises(ModelError, match="other: expected an instance of Pump, got Valve"):
        hall.other = Valve()


def test_a_child_has_an_identity_and_no_copies() -> None:
    with pytest.raises(ModelError, match="have an identity"):
        copy.deepcopy(Hall().pump)


# --------------------------------------------------------------------------------------------------------- contracts
def test_contracts_tell_their_children() -> None:
    contract = contract_of(Hall)
    assert [member.name for member in child_members(contract)] == ["pump", "other", "active"]
    assert [found.name for found in with_children([contract])] == ["Hall", "Pump", "Valve"]
    assert str(contract.members["other"]) == "other: Pump | None"


@dataclass
class Parcel:
    pump: Pump


@pytest.mark.parametrize("annotation", [list[Pump], dict[str, Pump], tuple[Pump, ...], Parcel, list[Pump] | None])
def test_an_object_is_no_part_of_a_value(annotation: Any) -> None:
    cls: type[Object] = type(
        "Wrong", (Object,), {"__annotations__": {"held": Property[annotation]}, "held": prop(factory=list)}
    )
    with pytest.raises(ModelError, match=r"Wrong\.held: .*(of its own|initial value)"):
        contract_of(cls)


class Gives(Object):
    @slot
    async def give(self) -> Pump:
        return Pump()


class Takes(Object):
    @slot
    async def take(self, pump: Pump | None) -> None: ...


class Tells(Object):
    @signal
    def told(self, pump: Pump) -> None: ...


class Yields(Object):
    @slot
    async def each(self) -> AsyncIterator[Pump]:
        yield Pump()


@pytest.mark.parametrize("cls, member", [(Gives, "give"), (Takes, "take"), (Tells, "told"), (Yields, "each")])
def test_an_object_is_neither_argument_nor_result(cls: type[Object], member: str) -> None:
    with pytest.raises(ModelError, match=rf"{cls.__name__}\.{member}: .*property of its own.*name of a published"):
        contract_of(cls)


class Written(Object):
    pump: Property[Pump | None] = prop(None, writable=True)


class Bounded(Object):
    pump: Property[Annotated[Pump, Range(0, 1)]] = prop(factory=Pump)


class Shared(Object):
    pump: Property[Pump] = prop(Pump())


class Endless(Object):
    inner: Property[Endless] = prop(factory=lambda: Endless())  # noqa: PLW0108  the class has no name yet


@pytest.mark.parametrize(
    "cls, said",
    [
        (Written, "belongs to the source: leave out writable"),
        (Bounded, "only numbers have a minimum"),
        (Shared, r"use prop\(factory=Pump\)"),
        (Endless, "and so on: use 'T | None'"),
    ],
)
def test_a_declaration_that_cannot_work_is_refused(cls: type[Object], said: str) -> None:
    with pytest.raises(ModelError, match=said):
        contract_of(cls)


def test_two_classes_of_children_share_no_name() -> None:
    other: type[Object] = type("Valve", (Object,), {})
    annotations = {"one": Property[Valve], "two": Property[other]}  # type: ignore[valid-type]
    both: type[Object] = type(
        "Both", (Object,), {"__annotations__": annotations, "one": prop(factory=Valve), "two": prop(factory=other)}
    )
    with pytest.raises(ModelError, match=r"Both\.two: two different types are named 'Valve'"):
        contract_of(both)
    second: type[Object] = type(
        "Second",
        (Object,),
        {"__annotations__": {"two": Property[other]}, "two": prop(factory=other)},  # type: ignore[valid-type]
    )
    with pytest.raises(ModelError, match="two different types are named 'Valve'"):
        check_type_names([contract_of(Hall), contract_of(second)])


# ------------------------------------------------------------------------------------------------------ descriptions
def test_a_description_has_the_classes_of_children_once() -> None:
    raw = json.loads(describe(contract_of(Hall)))
    assert list(raw["objects"]) == ["Pump", "Valve"]
    assert [member["parameters"][0]["type"] for member in raw["members"]] == [
        {"object": "Pump"},
        {"optional": {"object": "Pump"}},
        "i64",
        {"optional": {"object": "Pump"}},
    ]
    assert "objects" not in json.loads(describe(contract_of(Valve)))


def test_a_description_survives_with_its_children() -> None:
    told = describe(contract_of(Hall))
    found = read_description(told)
    assert describe(found) == told
    pump: Any = child_type(found.members["pump"].type)
    assert pump.cls is child_type(found.members["other"].type).cls  # type: ignore[union-attr]
    assert pump.cls.__doc__ == "Moves water."
    assert pump.cls is child_type(contract_of(pump.cls).members["spare"].type).cls  # type: ignore[union-attr]
    hall: Any = build_class(found)()
    inner: Any = hall.pump
    assert isinstance(hall.pump, pump.cls)
    assert inner.valve.open is False
    assert hall.other is None


def test_a_child_of_any_class_stays_one() -> None:
    cls: Any = type("Any", (Object,), {"__annotations__": {"it": Property[Object | None]}, "it": prop(None)})
    told = describe(contract_of(cls))
    assert json.loads(told)["members"][0]["parameters"][0]["type"] == {"optional": {"object": ""}}
    assert read_description(told).members["it"].type == OptionalOf(ObjectOf(Object))


def in_json(**objects: Any) -> bytes:
    members = [held("inner", name) for name in objects]
    for place, member in enumerate(members):
        member["name"] = member["parameters"][0]["name"] = f"inner_{place}"
    return json.dumps({"name": "C", "members": members, "objects": objects}).encode()


def held(name: str, of: str, **changes: Any) -> dict[str, Any]:
    node = {"object": of} if not changes.pop("optional", False) else {"optional": {"object": of}}
    return {"kind": "property", "name": name, "parameters": [{"name": name, "type": node}], **changes}


def test_a_described_class_may_hold_its_own() -> None:
    found = read_description(
        in_json(A={"members": [held("next", "B")]}, B={"members": [held("a", "A", optional=True)]})
    )
    assert [contract.name for contract in with_children([found])] == ["C", "A", "B"]


HOSTILE = [
    (in_json(__class__={"members": []}), "cannot be the name of a class"),
    (in_json(**{"a b": {"members": []}}), "cannot be the name of a class"),
    (in_json(A={"members": [held("a", "A")]}), "A must hold one of its own"),
    (in_json(A={"members": [held("b", "B")]}, B={"members": [held("a", "A")]}), "must hold one of its own"),
    (in_json(A={"members": [held("a", "Nowhere")]}), "unknown form"),
    (in_json(A={"members": [held("a", "A", optional=True, writable=True)]}), "belongs to the source"),
    (in_json(A={"members": [held("x", "A", optional=True)] * 2}), "two members are called x"),
    (in_json(**{f"A{n}": {"members": []} for n in range(MOST_CLASSES + 1)}), "are the most"),
    (in_json(A={"members": [held(f"m{n}", "A", optional=True) for n in range(5000)]}), "are the most"),
    (in_json(A={}), "members"),
    (json.dumps({"name": "C", "members": [], "objects": {"A": {"members": [{**held("a", "A"), "parameters": [
        {"name": "a", "type": {"list": {"object": "A"}}}]}]}}}).encode(), "property of its own"),
    (json.dumps({"name": "C", "members": [], "types": {"A": {"fields": []}},
                 "objects": {"A": {"members": []}}}).encode(), "or is that of a type"),
    (json.dumps({"name": "C", "members": [], "types": {"S": {"fields": [{"name": "a", "type": {"object": "A"}}]}},
                 "objects": {"A": {"members": []}}}).encode(), "unknown form"),
]  # fmt: skip


@pytest.mark.parametrize("data, said", HOSTILE)
def test_a_hostile_description_of_children_is_no_contract(data: bytes, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        read_description(data)
