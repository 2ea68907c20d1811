"""Contracts read from annotations: what is declared, what is inherited, and every refusal naming its member."""

from __future__ import annotations

import enum
import threading
from collections.abc import AsyncGenerator, AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any

import pytest

import tests.model.samples as other
from everywire.errors import ModelError
from everywire.model import (
    Computed,
    Contract,
    Kind,
    Object,
    Property,
    Range,
    Unit,
    computed,
    contract_of,
    prop,
    signal,
    slot,
)
from everywire.model.reading import check_type_names, named_types
from everywire.model.types import BOOL, DATE, STR, EnumType, Float, Int, ListOf
from tests.model.samples import Mode, Point, Reading, Room, Span


def refused(cls: type[Object], message: str) -> None:
    """Check that *cls* can be made and refuses its contract."""
    cls()
    for _ in range(2):
        with pytest.raises(ModelError, match=message):
            contract_of(cls)


def test_the_contract_is_read_once_per_class() -> None:
    assert contract_of(Room) is contract_of(Room()) is contract_of(Room)


class Late(Object):
    value: Property[list[ReadLater]] = prop(factory=list)


def test_forward_references_are_read_lazily() -> None:
    member = contract_of(Late).members["value"]
    assert member.type.name == "list[ReadLater]"


@dataclass
class ReadLater:
    x: int


class Natural(Object):
    a = prop(True)
    b = prop(1)
    c = prop(1.5)
    d = prop("x")
    e = prop(b"x")
    f = prop(Mode.ON)


def test_an_unannotated_property_has_the_natural_type_of_its_default() -> None:
    names = [member.type.name for member in contract_of(Natural).members.values()]
    assert names == ["bool", "i64", "f64", "str", "bytes", "Mode"]


def test_an_unannotated_property_of_another_type_is_refused() -> None:
    class Bare(Object):
        a = prop((1, 2))

    class Made(Object):
        a = prop(factory=list)

    for cls in (Bare, Made):
        refused(cls, f"{cls.__name__}.a: needs a type: write 'name: Property\\[T\\] = prop")


class Shadow(Object):
    date: Property[date] = prop(date(2024, 1, 1))
    other: Property[other.Mode] = prop(other.Mode.ON)


def test_a_property_may_have_the_name_of_its_type() -> None:
    members = contract_of(Shadow).members
    assert members["date"].type is DATE
    assert members["other"].type == EnumType(Mode)


class Inner(Object):
    class Kind(enum.Enum):
        A = 1

    Celsius = Annotated[float, Range(5, 35), Unit("Cel")]

    kind: Property[Kind] = prop(Kind.A)
    warm: Property[Celsius] = prop(20.0)

    @computed(warm)
    def warmer(self) -> Celsius:
        return self.warm + 1

    @signal
    def told(self, kind: Kind) -> None:
        """Tell."""

    @slot
    async def ask(self, warm: Celsius) -> Kind:
        return self.kind


def test_types_may_be_declared_in_the_class_itself() -> None:
    members = contract_of(Inner).members
    assert members["kind"].type == EnumType(Inner.Kind)
    assert (members["warm"].type, members["warm"].unit) == (Float(low=5.0, high=35.0), "Cel")
    assert members["warmer"].unit == "Cel"
    assert members["told"].type == EnumType(Inner.Kind)
    assert members["ask"].parameters[0].unit == "Cel"
    assert members["ask"].result == EnumType(Inner.Kind)


class MissingName(Object):
    a: Property[Nowhere] = prop(1)  # type: ignore[name-defined]  # noqa: F821


class MissingAttribute(Object):
    a: Property[other.Nowhere] = prop(1)  # type: ignore[name-defined]


class NoProperty(Object):
    a: int = prop(1)  # type: ignore[assignment]


class BareProperty(Object):
    a: Property = prop(1)  # type: ignore[type-arg]


class Nonsense(Object):
    a = prop(1)


Nonsense.__annotations__["a"] = "Property["


class Complex(Object):
    a: Property[complex] = prop(1j)


class BadDefault(Object):
    a: Property[float] = prop("x")  # type: ignore[arg-type]


class OutOfBounds(Object):
    a: Property[float] = prop(50, maximum=35)


class BoundedText(Object):
    a: Property[str] = prop("x", maximum=35)


class UntypedComputed(Object):
    b = prop(1)

    @computed(b)
    def a(self):  # type: ignore[no-untyped-def]
        return 1


class UntypedParameter(Object):
    @signal
    def a(self, x) -> None:  # type: ignore[no-untyped-def]
        """Tell."""


class UnsupportedParameter(Object):
    @signal
    def a(self, x: set[int]) -> None:
        """Tell."""


class NamedParameter(Object):
    @slot
    async def a(self, *, x: int) -> None:
        """Take by name."""


class ManyParameters(Object):
    @slot
    async def a(self, *x: int) -> None:
        """Take many."""


class NoResult(Object):
    @slot
    async def a(self):  # type: ignore[no-untyped-def]
        return 1


class UnknownResult(Object):
    @slot
    async def a(self) -> Nowhere:  # type: ignore[name-defined]  # noqa: F821
        """Give it."""


class WrongDefault(Object):
    @slot
    async def a(self, x: Annotated[int, Range(0, 9)] = 10) -> None:
        """Take it."""


class WronglyTypedStream(Object):
    @slot
    async def a(self) -> int:
        yield 1  # type: ignore[misc]


class CoroutineOfStream(Object):
    @slot
    async def a(self) -> AsyncIterator[int]:
        raise NotImplementedError


@pytest.mark.parametrize(
    "cls, message",
    [
        (MissingName, "name 'Nowhere' is not defined; names in annotations must be importable"),
        (MissingAttribute, "has no attribute 'Nowhere'"),
        (NoProperty, "is annotated as .*int.*: write 'name: Property"),
        (BareProperty, "is annotated as"),
        (Nonsense, "importable"),
        (Complex, "the type complex cannot go on a wire"),
        (BadDefault, "its initial value does not fit: expected float, got str"),
        (OutOfBounds, "its initial value does not fit: 50.0 is not at most 35"),
        (BoundedText, "only numbers have a minimum"),
        (UntypedComputed, "needs a type"),
        (UntypedParameter, "the parameter 'x' needs a type"),
        (UnsupportedParameter, "the parameter 'x': the type set"),
        (NamedParameter, "the parameter x: int has no place on a wire|use plain positional"),
        (ManyParameters, "use plain positional"),
        (NoResult, "needs a result type: write '-> None'"),
        (UnknownResult, "name 'Nowhere' is not defined"),
        (WrongDefault, "the parameter 'x': 10 is not within 0 and 9"),
        (WronglyTypedStream, "a stream is an async generator declared"),
        (CoroutineOfStream, "a stream is an async generator declared"),
    ],
)
def test_a_wrong_type_is_refused_at_publish_naming_the_member(cls: type[Object], message: str) -> None:
    refused(cls, rf"{cls.__name__}\.a: .*({message})")


class Streams(Object):
    @slot
    def declared(self, every: float) -> AsyncIterator[float]:
        raise NotImplementedError

    @slot(timeout=None)
    async def made(self) -> AsyncGenerator[Reading, None]:
        yield Reading(1.0)


def test_streams_say_the_type_of_an_item() -> None:
    members = contract_of(Streams).members
    assert (members["declared"].stream, members["declared"].result) == (True, Float())
    assert members["made"].stream
    assert members["made"].result is not None
    assert members["made"].result.name == "Reading"
    assert members["made"].timeout is None


class Taking(Object):
    @slot(timeout=1.5)
    async def take(self, one: int, two: list[float] = [1], three: str | None = None) -> None:  # noqa: B006
        """Take it.

        All of it.
        """


def test_a_slot_says_parameters_defaults_result_timeout_and_words() -> None:
    take = contract_of(Taking).members["take"]
    assert take.kind is Kind.SLOT
    assert [(p.name, p.default) for p in take.parameters[1:]] == [("two", [1.0]), ("three", None)]
    assert take.parameters[0].type == Int()
    assert take.result is None
    assert take.timeout == 1.5
    assert take.doc == "Take it.\n\nAll of it."


# ------------------------------------------------------------------------------------------------------ names
class Similar(Object):
    set_point = prop(1)
    setPoint = prop(2)  # noqa: N815


class SameOnDBus(Object):
    x = prop(1)
    X = prop(2)


class Pushes(Object):
    set_point = prop(1)

    @slot
    async def push_set_point(self, value: int) -> None:
        """Collide."""


class PushesInCamel(Object):
    set_point = prop(1)

    @slot
    async def pushSetPoint(self, value: int) -> None:  # noqa: N802
        """Collide."""


class Changes(Object):
    x = prop(1)

    @signal
    def x_changed(self, x: int) -> None:
        """Collide."""


class Private(Object):
    _hidden = prop(1)


class Numbered(Object):
    a = prop(1, number=3)
    b = prop(1, number=3)


@pytest.mark.parametrize(
    "cls, message",
    [
        (Similar, "set_point and setPoint would both be 'SetPoint' on some wires"),
        (SameOnDBus, "x and X would both be 'X'"),
        (Pushes, "Pushes.push_set_point: wires make this name themselves for the property set_point"),
        (PushesInCamel, "PushesInCamel.pushSetPoint: wires make this name"),
        (Changes, "Changes.x_changed: wires make this name themselves for the property x"),
        (Private, "Private._hidden: the name of a member has no leading underscore"),
        (Numbered, "a and b both have the number 3"),
    ],
)
def test_names_that_would_collide_on_a_wire_are_refused(cls: type[Object], message: str) -> None:
    refused(cls, message)


def same_name() -> type:
    @dataclass
    class Reading:
        other: int

    return Reading


def test_two_structs_of_one_name_on_one_node_are_refused() -> None:
    other_reading = same_name()
    globals()["OtherReading"] = other_reading

    class Second(Object):
        reading: Property[OtherReading] = prop(factory=lambda: other_reading(1))  # type: ignore[name-defined]  # noqa: F821

    check_type_names([contract_of(Room), contract_of(Room)])
    with pytest.raises(ModelError, match=r"Second.reading: two different types are named 'Reading'"):
        check_type_names([contract_of(Room), contract_of(Second)])


def test_named_types_come_inner_ones_first_and_once() -> None:
    class Holder(Object):
        @signal
        def told(self, one: list[Span], two: dict[str, Point | None], three: tuple[Span, Mode]) -> None:
            """Tell."""

    assert [node.cls for node in named_types(contract_of(Holder).members["told"])] == [Point, Span, Mode]


# ------------------------------------------------------------------------------------------------ inheritance
class Base(Object):
    """The base."""

    level: Property[int] = prop(1)

    @slot(timeout=3)
    async def one(self, x: int) -> int:
        """Words."""
        raise NotImplementedError

    @slot
    async def two(self) -> str:
        raise NotImplementedError


class Derived(Base):
    level: Property[int] = prop(5, maximum=9)
    more: Property[str] = prop("")

    async def one(self, x: int) -> int:
        return x + 1

    @slot(timeout=7)
    async def two(self) -> str:
        return "two"


def test_a_subclass_that_declares_nothing_has_the_contract_of_its_base() -> None:
    class Filled(Base):
        """How it is done here."""

        async def one(self) -> None: ...

    class Again(Filled): ...

    assert contract_of(Filled) is contract_of(Again) is contract_of(Base)
    assert contract_of(Base).name == "Base"
    assert contract_of(Derived).name == "Derived"


def test_a_subclass_inherits_members_and_overrides_slots_with_and_without_decorator() -> None:
    base, derived = contract_of(Base), contract_of(Derived)
    assert list(derived.members) == ["level", "one", "two", "more"]
    assert derived.members["one"].timeout == base.members["one"].timeout == 3
    assert derived.members["one"].doc == "Words."
    assert (base.members["two"].timeout, derived.members["two"].timeout) == (30.0, 7)
    assert base.members["level"].type == Int()
    assert derived.members["level"].type == Int(high=9)
    assert (Base().level, Derived().level) == (1, 5)
    assert derived.doc == ""


def test_an_inherited_property_keeps_the_member_that_was_read_first() -> None:
    class Parent(Object):
        value = prop(True)

    class Child(Parent):
        pass

    child = contract_of(Child)
    assert contract_of(Parent).members["value"] is child.members["value"]
    assert child.members["value"].type is BOOL


def test_a_class_without_members_has_an_empty_contract() -> None:
    assert isinstance(contract_of(Object()), Contract)
    assert not contract_of(Object).members


def test_annotations_need_not_be_text() -> None:
    plain: dict[str, Any] = {}
    source = (
        "from everywire.model import *\n"
        "class Eager(Object):\n"
        "    a: Property[list[str]] = prop(factory=list)\n"
        "    @computed(a)\n"
        "    def b(self) -> int: return len(self.a)\n"
    )
    exec(compile(source, "eager", "exec", dont_inherit=True), plain)
    eager = plain["Eager"]
    assert contract_of(eager).members["a"].type == ListOf(STR)
    assert isinstance(eager.b, Computed)


def test_two_threads_read_one_contract() -> None:
    class Shared(Object):
        a = prop(1)

        @slot
        async def act(self) -> None:
            """Act."""

    both = threading.Barrier(8)

    def read() -> Contract:
        both.wait()
        return contract_of(Shared())

    with ThreadPoolExecutor(8) as pool:
        found = [job.result() for job in [pool.submit(read) for _ in range(8)]]
    assert len({id(contract) for contract in found}) == 1
    assert Shared.a.member is found[0].members["a"]
