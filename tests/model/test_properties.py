"""Setting, comparing, copying and announcing values; computed properties; handles."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest

from everywire.errors import LocalProtocolError, ModelError, OutOfRange
from everywire.model import Changed, Object, Property, computed, contract_of, prop
from tests.model.samples import Broken, Mode, Point, Reading, Recorder, Room


class Recorded(msgspec.Struct):
    x: int


class Values(Object):
    number: Property[float] = prop(1.0)
    whole: Property[int] = prop(1)
    flag: Property[bool] = prop(False)
    text: Property[str] = prop("")
    pair: Property[tuple[float, str]] = prop((0.0, ""))
    maybe: Property[float | None] = prop(None)
    point: Property[Point] = prop(Point(0.0))
    items: Property[list[float]] = prop(factory=list)
    words: Property[dict[str, int]] = prop(factory=dict)
    reading: Property[Reading] = prop(factory=lambda: Reading(0.0))
    many: Property[tuple[list[int], ...]] = prop(())
    extra: Property[Any] = prop(None)


@pytest.fixture
def values() -> Values:
    return Values()


def listen(instance: Object, handle: Any) -> Recorder:
    recorder = Recorder()
    handle.on_change(instance, recorder)
    return recorder


def test_a_new_value_is_stored_converted_and_told() -> None:
    room = Room()
    recorder = listen(room, Room.target)
    room.target = 25
    assert room.target == 25.0
    assert type(room.target) is float
    assert recorder.told == [25.0]


def test_initial_values_are_converted_too() -> None:
    assert type(Room().target) is float
    assert type(Room().place.x) is float


@pytest.mark.parametrize(
    "name, value, message",
    [
        ("target", "x", "target: expected float, got str"),
        ("target", 50, "target: 50.0 is not within 5 and 35"),
        ("target", math.nan, "target: nan is not within"),
        ("history", [1, "x"], "history: at 1: expected float"),
        ("mode", "on", "mode: expected Mode, got str"),
        ("last", Reading("x"), "last: at celsius: expected float"),  # type: ignore[arg-type]
    ],
)
def test_a_wrong_value_is_refused_with_the_property_and_changes_nothing(name: str, value: Any, message: str) -> None:
    room = Room()
    recorder = listen(room, getattr(Room, name))
    before = getattr(room, name)
    with pytest.raises(ModelError, match=message):
        setattr(room, name, value)
    assert getattr(room, name) is before
    assert recorder.told == []


def test_a_value_out_of_range_says_so_by_its_class() -> None:
    with pytest.raises(OutOfRange):
        Room().target = 36


@pytest.mark.parametrize(
    "name, first, same, new",
    [
        ("number", 2.0, 2, 3.0),
        ("number", math.nan, float("nan"), 1.0),
        ("whole", 2, 2, 3),
        ("flag", True, True, False),
        ("text", "a", str(b"a", "ascii"), "b"),
        ("pair", (1.0, "a"), [1, "a"], (1.0, "b")),
        ("pair", (math.nan, "a"), (float("nan"), "a"), (1.0, "a")),
        ("maybe", 1.0, 1, None),
        ("maybe", math.nan, float("nan"), None),
        ("point", Point(1.0), Point(1.0), Point(2.0)),
        ("point", Point(math.nan), Point(float("nan")), Point(2.0)),
        ("extra", 1, 1, 1.0),
        ("extra", math.nan, float("nan"), 0.0),
        ("extra", Mode.ON, Mode.ON, Mode.OFF),
        ("extra", True, True, 1),
    ],
)
def test_an_equal_immutable_value_stops(values: Values, name: str, first: Any, same: Any, new: Any) -> None:
    recorder = listen(values, getattr(Values, name))
    for value in (first, same, new):
        setattr(values, name, value)
    assert len(recorder.told) == 2
    assert values._everywire.revision == 2


@pytest.mark.parametrize(
    "name, value",
    [
        ("items", [1.0]),
        ("words", {"a": 1}),
        ("reading", Reading(1.0)),
        ("many", ([1],)),
        ("extra", [1]),
        ("extra", {"a": 1}),
        ("extra", Recorded(1)),
    ],
)
def test_every_assignment_of_a_value_that_can_change_announces_a_copy(values: Values, name: str, value: Any) -> None:
    recorder = listen(values, getattr(Values, name))
    setattr(values, name, value)
    setattr(values, name, value)
    assert recorder.told == [value, value]
    assert all(told is not value for told in recorder.told)


def test_a_change_in_place_of_what_was_assigned_is_not_seen(values: Values) -> None:
    given = Reading(1.0, tags=["a"])
    values.reading = given
    recorder = listen(values, Values.reading)
    given.tags.append("b")
    given.celsius = 2.0
    assert values.reading == Reading(1.0, tags=["a"])
    values.items.append(1.0)
    assert recorder.told == []


def test_edit_changes_a_copy_and_assigns_it(values: Values) -> None:
    recorder = listen(values, Values.items)
    with Values.items.edit(values) as items:
        items += [1, 2]
        assert values.items == []
    assert recorder.told == [[1.0, 2.0]]
    items.append(3)
    assert values.items == [1.0, 2.0]


def test_edit_assigns_nothing_when_its_block_raises(values: Values) -> None:
    recorder = listen(values, Values.words)
    with pytest.raises(KeyError), Values.words.edit(values) as words:
        words["a"] = words["b"]
    assert (values.words, recorder.told) == ({}, [])


def test_two_objects_share_no_value() -> None:
    one, two = Values(), Values()
    one.items.append(1.0)
    assert two.items == []


def test_a_listener_can_be_disconnected_and_connected_twice(values: Values) -> None:
    recorder = Recorder()
    stop = Values.whole.on_change(values, recorder)
    Values.whole.on_change(values, recorder)
    values.whole = 2
    stop()
    stop()
    values.whole = 3
    assert recorder.told == [2, 2, 3]


def test_an_observer_that_raises_harms_nobody_else(values: Values, unraisable: Recorder) -> None:
    first, broken, last = Recorder(), Broken(), Recorder()
    for observer in (first, broken, last):
        Values.whole.on_change(values, observer)
    values.whole = 2
    assert (values.whole, first.told, last.told) == (2, [2], [2])
    assert [told.exc_value for told in unraisable.told] == [broken.error]


def test_what_an_observer_sets_in_turn_is_the_last_that_all_hear(values: Values) -> None:
    before, after = Recorder(), Recorder()

    def limit(value: int) -> None:
        values.whole = min(value, 10)

    for observer in (before, limit, after):
        Values.whole.on_change(values, observer)
    values.whole = 50
    assert before.told == [50, 10]
    assert after.told == [10]


def test_watchers_see_every_change_with_growing_revisions_in_order(values: Values) -> None:
    events = Recorder()
    values._everywire.watch(events)

    def limit(value: int) -> None:
        values.whole = min(value, 10)

    Values.whole.on_change(values, limit)
    values.whole = 50
    values.text = "a"
    member = contract_of(Values).members["whole"]
    assert events.told[:2] == [Changed(member, 50, 1), Changed(member, 10, 2)]
    assert [event.revision for event in events.told] == [1, 2, 3]


def test_a_property_of_a_class_is_its_handle() -> None:
    assert isinstance(Room.target, Property)
    assert Room.target.name == "target"
    assert Room.target.owner is Room
    assert Room.target.__doc__ == "Wanted."


async def test_push_on_a_source_is_an_assignment() -> None:
    room = Room()
    assert await Room.target.push(room, 25) == 25.0
    assert room.target == 25.0
    with pytest.raises(OutOfRange):
        await Room.target.push(room, 50)


class FakeLink:
    """A replica's link whose source takes what it likes."""

    def __init__(self, replica: Object, kept: Any) -> None:
        self._replica, self._kept = replica, kept
        self.pushed: list[Any] = []

    async def push(self, handle: Property[Any], value: Any) -> None:
        self.pushed.append(value)
        handle.receive(self._replica._everywire, self._kept)


async def test_push_on_a_replica_returns_what_the_source_then_holds() -> None:
    room = Room()
    link = room._everywire.link = FakeLink(room, 30.0)
    assert await Room.target.push(room, 31) == 30.0
    assert link.pushed == [31.0]
    with pytest.raises(OutOfRange):
        await Room.target.push(room, 99)


def test_edit_on_a_replica_names_push() -> None:
    room = Room()
    room._everywire.link = FakeLink(room, None)
    with pytest.raises(LocalProtocolError, match="push"), Room.history.edit(room):
        pytest.fail("the block must not run")


def test_a_replica_announces_only_what_really_changed(values: Values) -> None:
    recorder = listen(values, Values.number)
    for value in (1.0, 2.0, 2.0, math.nan, float("nan")):
        Values.number.receive(values._everywire, value)
    assert recorder.told[0] == 2.0
    assert len(recorder.told) == 2


# ----------------------------------------------------------------------------------------------- declarations
@pytest.mark.parametrize("default", [[], {}, set(), bytearray(), Reading(1.0), Recorded(1), ([],)])
def test_a_mutable_default_is_refused(default: Any) -> None:
    with pytest.raises(ModelError, match=r"shared by all objects: use prop\(factory=list\)"):
        prop(default)


def test_a_property_has_either_a_default_or_a_factory() -> None:
    for declare in (prop, lambda: prop(1, factory=int)):  # type: ignore[call-overload]
        with pytest.raises(ModelError, match="either a default or a factory"):
            declare()


class Broken1(Object):
    good: Property[int] = prop(1)
    bad: Property[complex] = prop(1j)


def test_a_class_without_a_valid_contract_says_so_when_it_is_used() -> None:
    broken = Broken1()
    assert broken.good == 1
    with pytest.raises(ModelError, match=r"Broken1.bad"):
        broken.bad = 2j


class Good(Object):
    level: Property[float] = prop(1.0)


class Mixed(Good, Broken1):
    pass


def test_a_property_of_a_valid_base_class_works_in_an_invalid_one() -> None:
    mixed = Mixed()
    mixed.level = 2
    assert type(mixed.level) is float


# --------------------------------------------------------------------------------------------------- computed
def test_a_computed_property_follows_its_inputs_in_the_same_write() -> None:
    room = Room()
    seen: list[tuple[float, float, float]] = []
    for handle in (Room.target, Room.error, Room.twice):
        handle.on_change(room, lambda _: seen.append((room.target, room.error, room.twice)))
    room.target = 25
    assert seen == [(25.0, 5.0, 10.0)] * 3
    assert (room.error, room.twice) == (5.0, 10.0)


def test_a_computed_property_announces_only_when_it_differs() -> None:
    room = Room()
    errors = listen(room, Room.error)
    room.target = 22
    room.target = 22
    assert errors.told == [2.0]


def test_a_computed_property_that_stays_the_same_is_not_announced() -> None:
    class Sign(Object):
        x: Property[float] = prop(1.0)

        @computed(x)
        def positive(self) -> bool:
            return self.x > 0

        @computed(x)
        def never(self) -> float:
            return math.nan * self.x

    sign = Sign()
    positive, never = listen(sign, Sign.positive), listen(sign, Sign.never)
    for x in (2.0, 3.0, -1.0):
        sign.x = x
    assert positive.told == [False]
    assert never.told == []


def test_a_computed_property_is_read_only() -> None:
    room = Room()
    with pytest.raises(LocalProtocolError, match="error is computed from target, current; set those instead"):
        room.error = 1.0  # type: ignore[assignment]


def test_a_computed_property_has_inputs() -> None:
    with pytest.raises(ModelError, match="names its inputs"):
        computed()


class Fragile(Object):
    x: Property[int] = prop(1)

    @computed(x)
    def inverse(self) -> float:
        return 1 / self.x

    @computed(x)
    def double(self) -> int:
        return self.x * 2


def test_a_computation_that_fails_keeps_its_value_and_is_reported(unraisable: Recorder) -> None:
    fragile = Fragile()
    double, inverse = listen(fragile, Fragile.double), listen(fragile, Fragile.inverse)
    fragile.x = 0
    assert (fragile.x, fragile.double, fragile.inverse) == (0, 0, 1.0)
    assert (double.told, inverse.told) == ([0], [])
    assert isinstance(unraisable.told[0].exc_value, ZeroDivisionError)


def test_a_computation_that_fails_when_it_is_read_raises(unraisable: Recorder) -> None:
    fragile = Fragile()
    fragile.x = 0
    assert len(unraisable.told) == 1
    with pytest.raises(ZeroDivisionError):
        _ = fragile.inverse


def test_an_observer_that_sets_an_input_leaves_one_consistent_last_word() -> None:
    room = Room()

    def settle(value: float) -> None:
        if value > 30:
            room.target = 30

    Room.target.on_change(room, settle)
    errors = listen(room, Room.error)
    room.target = 35
    assert (room.target, room.error) == (30.0, 10.0)
    assert errors.told == [10.0]


def test_a_replica_computes_nothing_itself() -> None:
    fragile, recorder = Fragile(), Recorder()
    fragile._everywire.link = FakeLink(fragile, None)
    Fragile.inverse.on_change(fragile, recorder)
    assert "inverse" not in fragile._everywire.values
    Fragile.inverse.receive(fragile._everywire, 0.25)
    assert (recorder.told, fragile.inverse) == ([0.25], 0.25)


class Untyped(Object):
    x = prop(1)

    @computed(x)
    def y(self) -> complex:
        return 1j


def test_a_computed_property_of_an_unsupported_type_says_so_when_read() -> None:
    with pytest.raises(ModelError, match=r"Untyped.y: the type complex"):
        _ = Untyped().y


def test_a_computed_property_of_a_class_is_its_handle() -> None:
    assert Room.error.name == "error"
    assert Room.error.__doc__ == "How far off."
