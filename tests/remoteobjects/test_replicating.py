"""One replica on one link after another: routes, slots, values and deadlines, without a socket."""

from __future__ import annotations

import inspect
from datetime import date
from typing import Any

import pytest

from everywire import Code, Fault, Object, Property, ReplicaState, SignatureMismatch, members, prop, slot
from everywire.errors import ModelError, OutOfRange
from everywire.model import contract_of
from everywire.remoteobjects.codec import (
    CallKind,
    ClassDefinition,
    Handshake,
    Invoke,
    InvokeReply,
    MethodDef,
    PropertyChange,
    PropertyDef,
    SignalDef,
    Typed,
    TypeId,
    decode_packet,
    encode_packet,
)
from everywire.remoteobjects.engine import IGNORED, Answered, Failed, Heard
from everywire.remoteobjects.wire.layout import definition_of, layout_of, read_definition_of
from everywire.remoteobjects.wire.replicating import Channel, Misfit, careful_news
from everywire.runtime.replica import ReplicaLink
from tests.remoteobjects.samples import Mode, NodeLink, Pending, Reading, Thermostat

VALUES = (21.0, 20.0, 0, None, 1.0)
"""Of a Thermostat, as a host sends them."""


def failed(fault: Fault) -> Pending:
    call = Pending()
    call.set_exception(fault)
    return call


class Bench:
    """A channel of a Thermostat on a link, and what a host would have to say to it."""

    def __init__(self, cls: type[Object] | None = Thermostat, *, extended: bool = False) -> None:
        self.replica = ReplicaLink("local:x", "hall", cls, None)  # type: ignore[arg-type]
        self.channel = Channel(self.replica, failed, Pending)
        self.link = NodeLink(extended=extended)

    def attach(
        self,
        definition: ClassDefinition | None = None,
        values: tuple[Any, ...] = VALUES,
        link: NodeLink | None = None,
    ) -> Any:
        self.link = link or NodeLink(extended=self.link.extended)
        self.link.engine.receive_data(encode_packet(Handshake("QtRO 2.0")))
        if self.link.extended:
            contract = contract_of(Thermostat)
            return self.channel.attach(self.link, contract, layout_of(contract), values)
        definition = definition or definition_of(contract_of(Thermostat))
        return self.channel.attach(self.link, *read_definition_of(definition, "hall"), values)

    def hear(self, *packets: Any) -> list[Any]:
        """Take packets of the host as a session does; return the events."""
        events = self.link.engine.receive_data(b"".join(map(encode_packet, packets)))
        for event in events:
            if type(event) is Heard:
                event.route.tell(*event.arguments)
        return events

    def sent(self) -> list[Any]:
        """The packets that the channel wrote, once."""
        frames, self.link.written = self.link.written, []
        return [decode_packet(frame[4:], from_host=False) for frame in frames]


def test_attaching_makes_a_valid_replica_with_the_values_of_the_host() -> None:
    bench = Bench()
    room = bench.attach()
    assert isinstance(room, Thermostat)
    assert (room.set_point, room.mode, room.anything, room.error) == (21.0, Mode.OFF, None, 1.0)
    assert bench.replica.state is ReplicaState.VALID


def test_without_a_class_the_replica_gets_one_from_the_definition() -> None:
    room = Bench(None).attach()
    assert type(room).__name__ == "Thermostat"
    assert (room.set_point, room.mode) == (21.0, 0)
    assert str(inspect.signature(room.boost)) == "(minutes: int) -> int"


def test_parameters_may_be_called_like_anything_inside_of_the_generated_slot() -> None:
    names = ("head", "serial", "frame", "call", "pending", "loop", "channel", "self")
    definition = ClassDefinition(methods=(MethodDef(f"f({','.join(['int'] * len(names))})", "", names),))
    bench = Bench(None)
    thing = bench.attach(definition, ())
    thing.f(**{name: place for place, name in enumerate(names)})
    assert bench.sent()[0].arguments == tuple(range(len(names)))


def test_a_change_reaches_the_observer_and_its_notify_signal_says_nothing_more() -> None:
    bench = Bench()
    room = bench.attach()
    heard: list[float] = []
    Thermostat.set_point.on_change(room, heard.append)
    notify = Invoke("hall", CallKind.METHOD, 0, (25.0,), -1, 0)
    (event,) = bench.hear(PropertyChange("hall", 0, 25.0), notify)
    assert isinstance(event, Heard)
    bench.hear(PropertyChange("hall", 0, 25.0))
    assert (heard, room.set_point) == ([25.0], 25.0)


@pytest.mark.parametrize(
    "value,index",
    [(25.0, 0), (Typed(TypeId.INT, 25), 0), (Typed(TypeId.INT, 1), 2), ("free", 3)],
    ids=["of the type's own", "of another type", "an enum", "of no fixed size"],
)
def test_a_change_and_its_notify_signal_are_one_event_however_they_are_cut(value: Any, index: int) -> None:
    bench = Bench()
    bench.attach()
    engine = bench.link.engine
    pair = encode_packet(PropertyChange("hall", index, value))
    pair += encode_packet(Invoke("hall", CallKind.METHOD, index, (value,), -1, index))
    stream = pair + encode_packet(Invoke("hall", CallKind.METHOD, 6, ()))
    whole = engine.receive_data(stream)
    assert len(whole) == 2
    for cut in range(1, len(stream)):
        assert engine.receive_data(stream[:cut]) + engine.receive_data(stream[cut:]) == whole


def test_a_notify_signal_of_another_shape_than_its_change_says_nothing_either() -> None:
    bench = Bench()
    bench.attach()
    change = PropertyChange("hall", 0, 25.0)
    for notify in (Invoke("hall", CallKind.METHOD, 0, (25.0, 26.0)), Invoke("hall", CallKind.METHOD, 0, ())):
        assert len(bench.hear(change, notify, notify)) == 1


def test_a_signal_reaches_its_listener_whatever_types_and_surplus_qt_sends() -> None:
    bench = Bench()
    room = bench.attach()
    heard: list[tuple[float, str]] = []
    room.over_heated.connect(lambda celsius, sensor: heard.append((celsius, sensor)))
    bench.hear(Invoke("hall", CallKind.METHOD, 5, (40.0, "attic")))
    bench.hear(Invoke("hall", CallKind.METHOD, 5, (Typed(TypeId.FLOAT, 41.0), "cellar", "surplus")))
    assert heard == [(40.0, "attic"), (41.0, "cellar")]


@pytest.mark.parametrize(
    "packet",
    [
        Invoke("hall", CallKind.METHOD, 99, ()),
        PropertyChange("hall", 99, 1.0),
        PropertyChange("cellar", 0, 1.0),
        InvokeReply("hall", 99, 1),
    ],
)
def test_news_for_nobody_is_passed_on_and_changes_nothing(packet: Any) -> None:
    bench = Bench()
    room = bench.attach()
    assert bench.hear(packet) == [packet]
    assert room.set_point == 21.0


@pytest.mark.parametrize(
    "packet, problem",
    [
        (Invoke("hall", CallKind.METHOD, 5, (40.0,)), "carries 2 arguments, got 1"),
        (Invoke("hall", CallKind.METHOD, 5, ("hot", "attic")), "expected float, got str"),
        (PropertyChange("hall", 0, "warm"), "expected float, got str"),
    ],
)
def test_news_that_does_not_fit_our_class_changes_nothing_and_says_why(packet: Any, problem: str) -> None:
    bench = Bench()
    room = bench.attach()
    (event,) = bench.hear(packet)
    assert isinstance(event, Misfit)
    assert problem in event.problem
    assert room.set_point == 21.0


def test_news_of_the_careful_path_is_the_same_as_of_the_fast_one() -> None:
    bench = Bench()
    bench.attach()
    engine = bench.link.engine
    for packet in (
        PropertyChange("hall", 2, 1),
        PropertyChange("hall", 0, 25.0),
        Invoke("hall", CallKind.METHOD, 5, (40.0, "attic")),
        Invoke("hall", CallKind.METHOD, 6, ()),
        Invoke("hall", CallKind.METHOD, 1, (20.0,), -1, 1),
    ):
        fast = engine.receive_data(encode_packet(packet))
        slow = careful_news(engine, packet)
        assert fast == ([] if slow is IGNORED else [slow])


def test_a_packet_that_is_no_news_stays_a_packet() -> None:
    bench = Bench()
    bench.attach()
    packet = Handshake("x")
    assert careful_news(bench.link.engine, packet) is packet


# Calls.


def test_a_call_is_written_at_once_with_a_serial_and_answered_by_it() -> None:
    bench = Bench()
    room = bench.attach()
    call = room.boost(5)
    assert bench.sent() == [Invoke("hall", CallKind.METHOD, 2, (5,), 1, -1)]
    assert bench.link.swept == [bench.channel]
    assert bench.hear(InvokeReply("hall", 1, 300)) == [Answered(call, 300)]
    assert bench.channel.waiting == {}


@pytest.mark.parametrize(
    "slot_name,raw,outcome",
    [
        ("boost", Typed(TypeId.LONG_LONG, 300), 300),
        ("boost", None, Code.UNKNOWN),
        ("boost", "soon", Code.INTERNAL),
        ("read", {"celsius": 1.0, "takenAt": "x"}, Reading(1.0, "x")),
        ("read", {"celsius": "x"}, Code.INTERNAL),
        ("stop", None, None),
        ("stop", 5, None),
    ],
)
def test_a_result_is_lifted_or_a_fault(slot_name: str, raw: Any, outcome: Any) -> None:
    bench = Bench()
    room = bench.attach()
    call = {"boost": lambda: room.boost(1), "read": lambda: room.read(["x"]), "stop": room.stop}[slot_name]()
    (event,) = bench.hear(InvokeReply("hall", 1, raw))
    assert event.call is call
    if isinstance(outcome, Code):
        assert isinstance(event, Failed)
        assert event.fault.code is outcome
    else:
        assert event == Answered(call, outcome)


class Vague(Object):
    @slot
    async def maybe(self) -> int | None: ...

    @slot
    async def anything(self) -> Any: ...


@pytest.mark.parametrize("name", ["maybe", "anything"])
def test_no_result_is_none_where_none_may_be(name: str) -> None:
    bench = Bench(Vague)
    definition = ClassDefinition(methods=(MethodDef("maybe()", "QVariant"), MethodDef("anything()", "QVariant")))
    call = getattr(bench.attach(definition, ()), name)()
    assert bench.hear(InvokeReply("hall", 1, None)) == [Answered(call, None)]


def test_a_wrong_argument_is_refused_before_anything_is_written() -> None:
    bench = Bench()
    room = bench.attach()
    for arguments in ((256,), ("x",), (-1,)):
        with pytest.raises(ModelError):
            room.boost(*arguments)
    assert (bench.sent(), bench.channel.waiting) == ([], {})


def test_without_a_link_a_call_fails_and_has_not_run() -> None:
    bench = Bench()
    room = bench.attach()
    waiting = room.boost(1)
    fault = Fault(Code.UNAVAILABLE, "gone")
    bench.channel.detach(fault)
    assert waiting.error is fault
    for call in (room.boost(1), bench.channel.push(contract_of(Thermostat).members["mode"], Mode.ON)):
        assert (call.error.code, call.error.may_have_run) == (Code.UNAVAILABLE, False)
    bench.channel.sweep()
    assert bench.link.swept == [bench.channel]


def test_losing_the_link_twice_is_losing_it_once() -> None:
    bench = Bench()
    room = bench.attach()
    for _ in range(2):
        bench.channel.detach(Fault(Code.UNAVAILABLE, "gone"))
    assert room.set_point == 21.0


def test_a_call_that_is_done_already_is_not_failed_again() -> None:
    bench = Bench()
    call = bench.attach().boost(1)
    call.set_exception(first := Fault(Code.CANCELLED))
    bench.channel.detach(Fault(Code.UNAVAILABLE))
    assert call.error is first


def test_giving_up_forgets_the_call_and_tells_the_link() -> None:
    bench = Bench()
    room = bench.attach()
    room.boost(1)
    second = room.boost(2)
    bench.channel.cancelled(second)
    assert (bench.link.cancelled, list(bench.channel.waiting)) == ([("hall", 2)], [1])
    bench.channel.cancelled(second)
    assert bench.link.cancelled == [("hall", 2)]
    bench.channel.link = None
    bench.channel.cancelled(bench.channel.waiting[1][1])
    assert (bench.link.cancelled, bench.channel.waiting) == ([("hall", 2)], {})


# Writing properties.


def test_a_push_is_a_call_whose_reply_is_the_fence() -> None:
    bench = Bench()
    bench.attach()
    member = contract_of(Thermostat).members["mode"]
    bench.channel.push(member, Mode.ON)
    assert bench.sent() == [Invoke("hall", CallKind.METHOD, 1, (1,), 1, -1)]
    (event,) = bench.hear(InvokeReply("hall", 1, None))
    assert event.value is None


def test_a_property_without_a_push_method_is_written_by_its_index() -> None:
    bench = Bench()
    bench.attach()
    member = contract_of(Thermostat).members["current"]
    assert bench.channel.push(member, 5.0) is None
    frame = bench.channel.write_frame(member, 5.0)
    assert decode_packet(frame[4:], from_host=False) == Invoke("hall", CallKind.WRITE_PROPERTY, 1, (5.0,), -1, -1)


class Wide(Object):
    level: Property[int] = prop(0, writable=True)
    place: Property[Any] = prop(None, writable=True)
    day: Property[date | None] = prop(None, writable=True)

    @slot
    async def lift(self, level: int) -> None: ...


NARROW = ClassDefinition(
    properties=(PropertyDef("level", "int"), PropertyDef("place", "QPoint"), PropertyDef("day", "QDate")),
    methods=(MethodDef("lift(short)"),),
)


def test_arguments_are_sent_as_exactly_what_the_host_declares() -> None:
    bench = Bench(Wide)
    thing = bench.attach(NARROW, (1, None, None))
    thing.lift(-3)
    assert b"\x21\0\0\0\0\xfd\xff" in bench.link.written[0]  # short: number 33, two bytes
    level, place, day, _ = contract_of(Wide).members.values()
    assert b"\x02\0\0\0\0\x07\0\0\0" in bench.channel.write_frame(level, 7)
    null = b"\x0e\0\0\0\0" + (-(2**63)).to_bytes(8, "little", signed=True)
    assert bench.channel.write_frame(day, None)[-21:-8] == null
    with pytest.raises(OutOfRange):
        thing.lift(2**15)
    with pytest.raises(OutOfRange):
        bench.channel.write_frame(level, 2**31)
    with pytest.raises(ModelError):
        bench.channel.write_frame(place, "nowhere")


# One link after another.


def test_coming_back_tells_each_property_that_differs_once_after_the_state() -> None:
    bench = Bench()
    room = bench.attach()
    heard: list[Any] = []
    Thermostat.set_point.on_change(room, lambda value: heard.append(("set_point", value, room.current)))
    Thermostat.current.on_change(room, lambda value: heard.append(("current", value)))
    Thermostat.error.on_change(room, lambda value: heard.append(("error", value)))
    bench.replica.become(ReplicaState.SUSPECT)
    bench.channel.detach(Fault(Code.UNAVAILABLE))
    bench.replica.state_changed.connect(lambda state: heard.append((state, room.set_point, room.current)))
    assert bench.attach(values=(22.0, 19.0, 0, None, 1.0)) is room
    assert heard == [(ReplicaState.VALID, 22.0, 19.0), ("set_point", 22.0, 19.0), ("current", 19.0)]


def test_slots_follow_a_host_that_counts_and_types_them_differently() -> None:
    bench = Bench(Wide)
    thing = bench.attach(NARROW, (1, None, None))
    thing.lift(5)
    assert bench.sent() == [Invoke("hall", CallKind.METHOD, 0, (5,), 1, -1)]
    bench.channel.detach(Fault(Code.UNAVAILABLE))
    moved = ClassDefinition(properties=NARROW.properties, methods=(MethodDef("other()"), MethodDef("lift(qlonglong)")))
    assert bench.attach(moved, (1, None, None)) is thing
    thing.lift(2**40)
    assert bench.sent() == [Invoke("hall", CallKind.METHOD, 1, (2**40,), 2, -1)]


def test_a_slot_that_somebody_holds_goes_on_after_a_reconnect() -> None:
    bench = Bench()
    boost = bench.attach().boost
    bench.channel.detach(Fault(Code.UNAVAILABLE))
    bench.attach()
    boost(1)
    assert len(bench.sent()) == 1


def test_news_of_an_old_source_on_the_same_link_is_for_nobody() -> None:
    bench = Bench()
    room = bench.attach()
    heard: list[Any] = []
    room.ticked.connect(lambda: heard.append("tick"))
    bench.channel.detach(Fault(Code.UNAVAILABLE, "withdrawn"))
    bench.hear(Invoke("hall", CallKind.METHOD, 6, ()), PropertyChange("hall", 1, 7.0))
    assert (heard, room.current, bench.link.engine.routes) == ([], 20.0, {})


# Hosts that mean no good, or are something else.


def test_a_host_that_offers_something_else_is_a_mismatch_with_every_difference() -> None:
    bench = Bench()
    with pytest.raises(SignatureMismatch, match="hall at local:x is not a Thermostat") as caught:
        bench.attach(ClassDefinition(signals=(SignalDef("ticked()"),)), ())
    assert len(caught.value.differences) == 9
    assert bench.channel.link is None


@pytest.mark.parametrize("values", [(), VALUES[:4], ("warm", *VALUES[1:]), (21.0, 20.0, 9, None, 1.0)])
def test_values_that_do_not_fit_are_a_mismatch(values: tuple[Any, ...]) -> None:
    bench = Bench()
    with pytest.raises(SignatureMismatch):
        bench.attach(values=values)
    assert (bench.channel.link, bench.replica.instance) == (None, None)


def test_values_that_do_not_fit_what_the_host_announced_itself_are_shown_as_they_are() -> None:
    room = Bench(None).attach(values=("warm", *VALUES[1:]))
    assert room.set_point == "warm"


def test_a_class_with_names_of_our_own_inside_is_harmless() -> None:
    names = ("everywire", "_everywire", "__class__", "__dict__", "_write", "class", "")
    definition = ClassDefinition(
        properties=tuple(PropertyDef(name, "int") for name in names),
        signals=tuple(SignalDef(f"{name}(int)") for name in names),
        methods=tuple(MethodDef(f"{name}(int)", "int") for name in names),
    )
    bench = Bench(None)
    thing = bench.attach(definition, tuple(range(len(names))))
    assert [members(thing)[name].value for name in names if name] == list(range(len(names) - 1))
    assert type(thing).__mro__[-2] is Object
    bench.hear(PropertyChange("hall", 1, 42))
    assert members(thing)["_everywire"].value == 42


# Streams.


def test_a_stream_is_opened_where_both_ends_can_and_checked_first() -> None:
    bench = Bench(extended=True)
    room = bench.attach()
    assert room.forecast(3) == "a stream"
    assert (room.forecast.__name__, bench.link.streams) == ("forecast", [("forecast", (3,))])
    with pytest.raises(ModelError):
        room.forecast("x")
    bench.channel.detach(Fault(Code.UNAVAILABLE))
    with pytest.raises(Fault, match="no link"):
        room.forecast(3)


def test_a_stream_is_not_opened_at_a_host_that_does_not_know_the_extension() -> None:
    bench = Bench(extended=True)
    room = bench.attach()
    bench.channel.detach(Fault(Code.UNAVAILABLE))
    bench.link.extended = False
    definition = definition_of(contract_of(Thermostat))
    link = NodeLink()
    bench.attach(definition, link=link)
    with pytest.raises(Fault):
        room.forecast(3)
    assert link.streams == []
