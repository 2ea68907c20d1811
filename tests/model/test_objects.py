"""Objects: their state, the table of their members, and what a subclass may do to them."""

from __future__ import annotations

import weakref
from typing import Any

import pytest

from everywire.errors import ModelError
from everywire.model import Object, Property, computed, contract_of, prop, signal, slot
from tests.model.samples import Recorder, Room


class Forgetful(Object):
    level: Property[int] = prop(1)

    def __init__(self, name: str, *, size: int = 0) -> None:  # no super().__init__()
        self.label = (name, size)


def test_a_forgotten_super_init_does_no_harm() -> None:
    forgetful = Forgetful("a", size=2)
    forgetful.level = 5
    assert (forgetful.level, forgetful.label) == (5, ("a", 2))


def test_an_object_reserves_no_name_without_a_leading_underscore() -> None:
    assert [name for name in dir(Object) if not name.startswith("_")] == []


def test_an_object_can_be_referred_to_weakly() -> None:
    assert weakref.ref(room := Room())() is room


def test_the_state_is_out_of_reach_of_names_from_a_wire() -> None:
    room = Room()
    vars(room)["_everywire"] = "foreign"
    room.current = 1.0
    assert room.current == 1.0


def test_declared_members_come_in_order_base_classes_first() -> None:
    class Base(Object):
        b = prop(1)
        a = prop(1)

    class Mixin(Object):
        m = prop(1)

    class Derived(Base, Mixin):
        c = prop(1)
        a = prop(2)

    assert list(Derived.__everywire_declared__) == ["m", "b", "a", "c"]
    assert Derived().a == 2
    assert list(Base.__everywire_declared__) == ["b", "a"]


def test_members_are_declared_in_classes_of_objects() -> None:
    class Mixin:
        level = prop(1)

    with pytest.raises(ModelError, match=r"Mixin.level: members are declared in classes derived from Object"):

        class Mixed(Mixin, Object):
            pass


class Base(Object):
    level = prop(1)

    @signal
    def told(self) -> None:
        """Tell."""

    @slot
    async def act(self) -> None:
        """Act."""


@pytest.mark.parametrize(
    "name, value, message",
    [
        ("level", 5, "Derived.level hides a property of a base class"),
        ("level", Base.__everywire_declared__["told"], "Derived.level hides a property"),
        ("told", lambda self: None, "Derived.told hides a signal of a base class"),
        ("told", prop(1), "Derived.told hides a signal"),
        ("act", lambda self: None, "Derived.act overrides a slot and must be 'async def'"),
        ("act", None, "Derived.act overrides a slot"),
        ("act", prop(1), "Derived.act overrides a slot"),
    ],
)
def test_a_subclass_keeps_the_kind_of_a_member(name: str, value: Any, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        type("Derived", (Base,), {name: value})


def test_a_computed_property_may_override_a_plain_one_and_followers_see_it() -> None:
    class Source(Object):
        x: Property[int] = prop(1)
        y: Property[int] = prop(10)

        @computed(x)
        def one(self) -> int:
            return self.x

        @computed(one)
        def two(self) -> int:
            return self.one * 2

    class Derived(Source):
        z: Property[int] = prop(100)

        @computed(z)
        def late(self) -> int:
            return self.z

        @computed(Source.y, late)
        def one(self) -> int:
            return self.y + self.late

    derived, recorder = Derived(), Recorder()
    Derived.two.on_change(derived, recorder)
    derived.x = 5
    derived.y = 20
    derived.z = 200
    assert recorder.told == [240, 440]
    assert Source().two == 2


def test_a_property_computed_from_itself_is_refused() -> None:
    class Source(Object):
        x: Property[int] = prop(1)

        @computed(x)
        def y(self) -> int:
            return self.x

    with pytest.raises(ModelError, match="is computed from itself"):

        class Derived(Source):
            @computed(Source.y)
            def x(self) -> int:
                return self.y


def test_a_property_computed_from_another_class_is_refused() -> None:
    with pytest.raises(ModelError, match="twice is computed from 'current', which is no property of its class"):

        class Other(Object):
            @computed(Room.current)
            def twice(self) -> float:
                return 2.0


def test_arguments_of_the_class_statement_reach_the_bases() -> None:
    class Tagged:
        tag = ""

        def __init_subclass__(cls, tag: str = "", **kwargs: Any) -> None:
            super().__init_subclass__(**kwargs)
            cls.tag = tag

    class Both(Object, Tagged, tag="x"):
        level = prop(1)

    assert Both.tag == "x"
    assert list(contract_of(Both).members) == ["level"]


async def test_a_write_from_a_wire_is_an_assignment_on_a_source() -> None:
    room = Room()
    await room._write("target", 30)
    assert room.target == 30.0
    with pytest.raises(ModelError):
        await room._write("target", "x")
