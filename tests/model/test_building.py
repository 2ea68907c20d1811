"""Classes built from contracts: they read like the class that was described."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from everywire.errors import Fault
from everywire.model import Contract, Kind, Member, Object, Parameter, Property, Signal, contract_of
from everywire.model.building import build_class
from everywire.model.description import describe, read_description
from everywire.model.types import STR, Float, Int
from tests.model.samples import Everything, Recorder, Room


@pytest.mark.parametrize("cls", [Room, Everything])
def test_a_built_class_has_the_contract_it_was_built_from(cls: type[Object]) -> None:
    contract = read_description(describe(contract_of(cls)))
    built = build_class(contract)
    assert contract_of(built) is contract
    assert built.__name__ == cls.__name__
    assert built.__doc__ == cls.__doc__
    assert list(built.__everywire_declared__) == list(contract.members)
    assert describe(contract_of(built())) == describe(contract_of(cls))


async def test_members_of_a_built_class_are_attributes_with_their_words() -> None:
    built: Any = build_class(read_description(describe(contract_of(Room))))
    assert isinstance(built.target, Property)
    assert isinstance(built.overheated, Signal)
    assert built.target.__doc__ == "Wanted."
    assert built.target.unit == "Cel"
    assert built.overheated.__doc__ == "A sensor is above the limit."
    assert built.boost.__doc__ == "Heat at full power."
    assert inspect.iscoroutinefunction(built.boost)
    with pytest.raises(Fault, match="boost is only known by its contract") as caught:
        await built().boost()
    assert not caught.value.may_have_run


def test_an_instance_of_a_built_class_works_like_any_object() -> None:
    built: Any = build_class(read_description(describe(contract_of(Room))))
    room, recorder = built(), Recorder()
    assert room.target == 5.0  # the zero nearest to the range
    built.target.on_change(room, recorder)
    room.target = 30
    room.overheated.connect(recorder)
    room.overheated.emit(1, "x")
    assert recorder.told == [30.0, (1.0, "x")]


HOSTILE = [
    "class",
    "_everywire",
    "__class__",
    "__dict__",
    "__init__",
    "__everywire_declared__",
    "a b",
    "",
    "1x",
    "x\0y",
]


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_that_is_not_public_becomes_no_attribute_and_does_no_harm(kind: Kind, name: str) -> None:
    parameters = (Parameter(name, Int()),)
    good = Member(Kind.PROPERTY, "good", (Parameter("good", STR),))
    contract = Contract(name, {name: Member(kind, name, parameters), "good": good}, "Words.")
    built: Any = build_class(contract)
    assert built.__name__ == "Replica"
    assert name not in vars(built) or name.startswith("__")
    assert set(built.__everywire_declared__) == {name, "good"}
    instance, recorder = built(), Recorder()
    handle = built.__everywire_declared__[name]
    if kind is Kind.SIGNAL:
        handle.bound(instance).connect(recorder)
        handle.bound(instance).emit(5)
        assert recorder.told == [5]
    if kind is Kind.PROPERTY:
        handle.on_change(instance, recorder)
        handle.__set__(instance, 5)
        assert recorder.told == [5]
    instance.good = "x"
    assert instance.good == "x"
    assert type(instance) is built


def test_a_handle_of_a_bounded_property_starts_within_its_bounds() -> None:
    contract = Contract("C", {"x": Member(Kind.PROPERTY, "x", (Parameter("x", Float(low=3.0)),))})
    built: Any = build_class(contract)
    assert built().x == 3.0
