"""One published object as HTTP shows it: its frames, and what replicas ask of it. No sockets."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import pytest
from msgspec import UNSET

from everywire import Code, Fault, ModelError, Node, Object, OutOfRange, Policy, Property, contract_of, f32, prop, slot
from everywire.http.messages import Asked, Broken
from everywire.http.wire import HttpObject, Refused, argument_reader
from everywire.model.description import read_description
from everywire.runtime.gate import Door, Invoked
from everywire.runtime.node import Publication
from tests.conformance.plant import NOON, SAMPLES, Boiler, Counters, Desk, Level, Mode, Reading, Tap
from tests.laws.values import CONTRACT, Everything


class Frames:
    """A link that takes down what an object tells."""

    def __init__(self) -> None:
        self.outbox: Any = self
        self.told: list[Any] = []

    def put_change(self, key: Any, frame: bytes, **_: Any) -> None:
        self.told.append((key[1].name, json.loads(frame)))

    def put_signal(self, frame: bytes, **_: Any) -> None:
        self.told.append(json.loads(frame))


def host(source: Object, name: str = "hall") -> HttpObject:
    return HttpObject(Publication(name, source, contract_of(source), Policy()))


@pytest.fixture
def boiler() -> Iterator[tuple[Boiler, HttpObject, Frames]]:
    source, link = Boiler(), Frames()
    hosted = host(source)
    hosted.links[link] = None
    yield source, hosted, link
    hosted.close()


# ------------------------------------------------------------------------------------------------------------- frames
def test_changes_and_signals_are_told_by_name_in_order(boiler: tuple[Boiler, HttpObject, Frames]) -> None:
    source, _, link = boiler
    source.target = 22.5
    source.overheated.emit(33.3, 'the "roof"')
    source.mode = Mode.COOLING
    assert link.told == [
        ("target", {"changed": "target", "value": 22.5}),
        ("error", {"changed": "error", "value": 2.5}),
        {"emitted": "overheated", "arguments": [33.3, 'the "roof"']},
        ("mode", {"changed": "mode", "value": "COOLING"}),
    ]


def test_a_signal_of_one_argument_has_a_list_of_one() -> None:
    source, link = Counters(), Frames()
    host(source).links[link] = None
    source.ticked.emit(5)
    assert link.told == [{"emitted": "ticked", "arguments": [5]}]


def test_a_closed_object_tells_nothing_more(boiler: tuple[Boiler, HttpObject, Frames]) -> None:
    source, hosted, link = boiler
    hosted.close()
    source.target = 30.0
    source.overheated.emit(1.0, "")
    assert link.told == []


def test_the_first_message_has_the_contract_and_all_values(boiler: tuple[Boiler, HttpObject, Frames]) -> None:
    source, hosted, _ = boiler
    source.last = Reading(math.nan, "attic", NOON)
    hello = json.loads(hosted.hello())
    assert set(hello) == {"contract", "values"}
    contract = read_description(json.dumps(hello["contract"]).encode())
    assert [str(member) for member in contract.members.values()] == [
        str(member) for member in contract_of(Boiler).members.values()
    ]
    assert hello["values"] == {
        "target": 21.0,
        "current": 20.0,
        "error": 1.0,
        "mode": "OFF",
        "last": {"celsius": "NaN", "sensor": "attic", "taken_at": "2026-11-20T12:00:00.250000"},
    }
    assert json.loads(hosted.values_json()) == hello["values"]
    assert json.loads(hosted.property_json(hosted.contract.members["error"])) == 1.0


def test_every_type_has_its_frames() -> None:
    source = Everything()
    hosted, link = host(source), Frames()
    hosted.links[link] = None
    values = json.loads(hosted.values_json())
    assert len(values) == len(SAMPLES)
    for sample in SAMPLES:
        link.told.clear()
        getattr(source, f"said_{sample.name}").emit(sample.values[-1], 5)
        setattr(source, f"value_{sample.name}", sample.values[-1])
        said, changed = link.told
        assert said["arguments"] == [changed[1]["value"], 5]


def test_results_look_like_values_and_no_result_like_nothing() -> None:
    hosted = host(Desk())
    doors = hosted.doors
    assert json.loads(doors["divide"].reply(7, (3, 2))) == {"answered": 7, "value": [3, 2]}
    assert json.loads(doors["find"].reply(8, None)) == {"answered": 8, "value": None}
    assert json.loads(doors["nothing"].reply(9, None)) == {"answered": 9}
    with pytest.raises(Fault, match=r"the result of hall\.add does not fit") as caught:
        doors["add"].reply(10, "much")
    assert caught.value.code is Code.INTERNAL


def test_items_of_a_stream_are_checked() -> None:
    hosted = host(Tap())
    member = hosted.contract.members["readings"]
    assert json.loads(hosted.item_frame(3, member, Reading(1.0, "a")))["item"] == 3
    with pytest.raises(ModelError):
        hosted.item_frame(3, member, "no reading")


# -------------------------------------------------------------------------------------------------- what is asked for
def invoked(hosted: HttpObject, text: str) -> tuple[Door, Any]:
    event = hosted.event_of(text)
    assert isinstance(event, Invoked)
    return event.door, event.door.check(event.arguments)


def refused(hosted: HttpObject, text: str) -> Fault:
    event = hosted.event_of(text)
    assert isinstance(event, Refused)
    assert not event.fault.may_have_run
    return event.fault


def test_a_call_finds_its_door_and_its_arguments_are_read_there() -> None:
    hosted = host(Desk())
    door, arguments = invoked(hosted, '{"call":7,"slot":"mirror","arguments":["HEATING", 3]}')
    assert door is hosted.doors["mirror"]
    assert arguments[0] is Mode.HEATING
    event = hosted.event_of('{"call":7,"slot":"mirror","arguments":["BOILING"]}')
    assert isinstance(event, Invoked), "whoever may not call does not learn what the arguments should be"
    with pytest.raises(ModelError, match=r"mirror\(mode\): 'BOILING' is not a Mode"):
        event.door.check(event.arguments)


@pytest.mark.parametrize(
    "arguments, expected",
    [
        ("[1]", (1, 100, 1000)),
        ("[1,2,3]", (1, 2, 3)),
        ('{"first":1}', (1, 100, 1000)),
        ('{"third":3,"first":1}', (1, 100, 3)),
        ('{"first":"9007199254740993"}', (2**53 + 1, 100, 1000)),
    ],
)
def test_arguments_come_by_position_or_by_name_and_defaults_fill_the_rest(arguments: str, expected: Any) -> None:
    hosted = host(Desk())
    assert invoked(hosted, f'{{"call":1,"slot":"add","arguments":{arguments}}}')[1] == expected


@pytest.mark.parametrize(
    "arguments, words",
    [
        ("[]", "add takes 1 to 3 arguments, got 0"),
        ("[1,2,3,4]", "add takes 1 to 3 arguments, got 4"),
        ("{}", "add takes 1 to 3 arguments, got 0"),
        ('{"second":2}', "add needs the argument first; its arguments are first, second, third"),
        ('{"first":1,"forth":4}', "add has no argument forth; it has first, second, third"),
        ('["one"]', r"add(first): expected int, got str"),
        ('[1,[],{"a":1}]', r"add(second): expected int, got list"),
    ],
)
def test_arguments_that_do_not_fit_are_named(arguments: str, words: str) -> None:
    event = host(Desk()).event_of(f'{{"call":1,"slot":"add","arguments":{arguments}}}')
    assert isinstance(event, Invoked)
    with pytest.raises(ModelError) as caught:
        event.door.check(event.arguments)
    assert words in str(caught.value)


def test_a_slot_without_arguments_says_so() -> None:
    read = argument_reader(contract_of(Desk).members["nothing"])
    assert read([]) == read({}) == ()
    with pytest.raises(ModelError, match="nothing has no argument x; it has none"):
        read({"x": 1})


def test_a_default_that_json_would_spell_otherwise_stays_what_it_is() -> None:
    class Shop(Object):
        @slot
        async def sell(self, name: bytes = b"aGk=", level: Level = Level.LOW, price: f32 = 0.5) -> None: ...

    read = argument_reader(contract_of(Shop).members["sell"])
    assert read({"price": 1}) == (b"aGk=", Level.LOW, 1)
    assert read(["aGk=", "HIGH"]) == (b"hi", Level.HIGH)


def test_a_push_goes_to_the_door_of_its_property(boiler: tuple[Boiler, HttpObject, Frames]) -> None:
    _, hosted, _ = boiler
    door, arguments = invoked(hosted, '{"push":8,"property":"mode","value":"OFF"}')
    assert (door.member.name, arguments) == ("mode", (Mode.OFF,))
    event = hosted.event_of('{"push":8,"property":"target","value":99}')
    assert isinstance(event, Invoked)
    with pytest.raises(OutOfRange):
        event.door.check(event.arguments)


@pytest.mark.parametrize(
    "text, code",
    [
        ('{"call":1,"slot":"blast"}', Code.NOT_FOUND),
        ('{"call":1}', Code.NOT_FOUND),
        ('{"call":1,"slot":"target"}', Code.NOT_FOUND),
        ('{"call":1,"slot":"overheated"}', Code.NOT_FOUND),
        ('{"call":1,"slot":"__init__"}', Code.NOT_FOUND),
        ('{"push":1,"property":"boost","value":1}', Code.NOT_FOUND),
        ('{"push":1,"value":1}', Code.NOT_FOUND),
        ('{"push":1,"property":"current","value":1}', Code.FAILED_PRECONDITION),
        ('{"push":1,"property":"error","value":1}', Code.FAILED_PRECONDITION),
        ('{"push":1,"property":"target"}', Code.INVALID_ARGUMENT),
    ],
)
def test_what_leads_to_no_door_is_refused(boiler: tuple[Boiler, HttpObject, Frames], text: str, code: Code) -> None:
    assert refused(boiler[1], text).code is code


def test_a_stream_is_opened_and_not_called() -> None:
    hosted = host(Tap())
    assert refused(hosted, '{"call":1,"slot":"numbers","arguments":[5]}').code is Code.INVALID_ARGUMENT
    assert hosted.stream("numbers") is hosted.doors["numbers"]
    for name in ("hold", "nothing", "", "__class__"):
        with pytest.raises(Fault) as caught:
            hosted.stream(name)
        assert caught.value.code is Code.NOT_FOUND


def test_what_concerns_a_running_call_and_what_is_broken_is_passed_on() -> None:
    hosted = host(Tap())
    asked = hosted.event_of('{"cancel":7}')
    assert isinstance(asked, Asked)
    assert (asked.cancel, asked.call) == (7, UNSET)
    assert isinstance(hosted.event_of("{"), Broken)


async def test_a_replica_as_a_source_is_written_by_pushing() -> None:
    """A bridge: writing it waits for its own source."""

    class Loose(Object):
        value: Property[Any] = prop(None, writable=True)

    source = Loose()
    async with Node() as node:
        node.publish(source, "it")
        hosted = HttpObject(node.published["it"])
        await hosted.doors["value"].method({"a": [1]})
        assert source.value == {"a": [1]}
        hosted.close()


def test_the_contract_is_made_once() -> None:
    hosted = host(Everything())
    assert json.loads(hosted.description)["name"] == "Everything"
    assert len(json.loads(hosted.description)["members"]) == len(CONTRACT.members)
