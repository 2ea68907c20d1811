"""Our objects as Qt Remote Objects sees them: frames of attachment, changes and signals, and the way to the doors."""

from __future__ import annotations

import logging
from datetime import UTC, date, time
from typing import Any

import pytest
from msgspec.structs import replace

from everywire import Code, Fault, Object, Property, prop, signal
from everywire.errors import ModelError
from everywire.remoteobjects.codec import (
    QTRO_2_0,
    CallKind,
    Init,
    InitDynamic,
    Invoke,
    InvokeReply,
    ObjectInfo,
    PropertyChange,
    decode_packet,
    encode_packet,
)
from everywire.remoteobjects.engine import Engine, invoke_head
from everywire.remoteobjects.rep.signature import signature_of
from everywire.remoteobjects.wire.doors import Refused, careful_invoke, write_door
from everywire.remoteobjects.wire.hosting import HostedObject
from everywire.remoteobjects.wire.layout import definition_of
from everywire.runtime.gate import Invoked
from tests.remoteobjects.samples import Listener, Mode, Thermostat, hosted, published


def packets(data: bytes) -> list[Any]:
    """The host's packets in *data*."""
    found: list[Any] = []
    while data:
        end = 4 + int.from_bytes(data[:4], "little")
        found.append(decode_packet(data[4:end], from_host=True))
        data = data[end:]
    return found


def careful(packet: Invoke, thing: HostedObject) -> Any:
    """The event of the general path for a call of a dynamic listener."""
    head = invoke_head(packet.name, packet.call, packet.index)
    return careful_invoke(packet, thing.routes(dynamic=True).get(head))


def attach(thing: HostedObject) -> Listener:
    link = Listener()
    thing.join(link, dynamic=True, anew=False)  # type: ignore[arg-type]
    return link


def test_a_dynamic_listener_gets_the_class_and_the_values_one_that_comes_back_only_the_values() -> None:
    thing = hosted(Thermostat())
    values = (21.0, 20.0, 0, None, 1.0)
    assert thing.info == ObjectInfo("hall", "Thermostat", signature_of(thing.contract, qt5=False))
    (again,) = packets(thing.join(Listener(), dynamic=True, anew=False))
    assert (type(again), again.values[:-1]) == (Init, values)
    (first,) = packets(thing.join(Listener(), dynamic=True, anew=True))
    assert (type(first), first.values) == (InitDynamic, again.values)
    announced = definition_of(thing.contract)
    assert replace(first.definition, properties=first.definition.properties[:-1]) == announced


def test_a_change_is_told_before_its_notify_signal_in_one_frame_pair() -> None:
    source = Thermostat()
    thing = hosted(source)
    link = attach(thing)
    source.set_point = 25.0
    assert [packets(frame) for _, frame in link.outbox.sent] == [
        [PropertyChange("hall", 0, 25.0), Invoke("hall", CallKind.METHOD, 0, (25.0,), -1, 0)],
        [PropertyChange("hall", 4, 5.0), Invoke("hall", CallKind.METHOD, 4, (5.0,), -1, 4)],
    ]
    assert {kind for kind, _ in link.outbox.sent} == {"change"}


def test_a_signal_is_told_with_its_index_behind_the_notify_signals() -> None:
    source = Thermostat()
    link = attach(hosted(source))
    source.over_heated.emit(40.0, "attic")
    source.ticked.emit()
    assert [(kind, packets(frame)) for kind, frame in link.outbox.sent] == [
        ("signal", [Invoke("hall", CallKind.METHOD, 5, (40.0, "attic"), -1, -1)]),
        ("signal", [Invoke("hall", CallKind.METHOD, 6, (), -1, -1)]),
    ]


def test_all_links_get_the_same_bytes() -> None:
    source = Thermostat()
    thing = hosted(source)
    first, second = attach(thing), attach(thing)
    source.mode = Mode.ON
    assert first.outbox.sent == second.outbox.sent
    assert first.outbox.sent[0][1] is second.outbox.sent[0][1]


def test_without_links_nothing_is_encoded() -> None:
    source = Thermostat()
    thing = hosted(source)
    source.current = 1.0
    source.ticked.emit()
    link = attach(thing)
    assert link.outbox.sent == []


def test_a_closed_object_tells_nothing_more() -> None:
    source = Thermostat()
    thing = hosted(source)
    link = attach(thing)
    thing.close()
    source.current = 1.0
    source.ticked.emit()
    assert link.outbox.sent == []


def test_every_way_to_write_a_property_leads_to_one_door() -> None:
    thing = hosted(Thermostat())
    pushed = thing.routes(dynamic=True)[invoke_head("hall", CallKind.METHOD, 0)]
    written = thing.routes(dynamic=True)[invoke_head("hall", CallKind.WRITE_PROPERTY, 0)]
    assert pushed is written
    assert pushed.member.name == "set_point"
    doors = thing.routes(dynamic=True).values()
    assert {door.member.name for door in doors} == {"set_point", "mode", "boost", "read", "stop"}


def test_the_fast_and_the_careful_path_find_the_same_call() -> None:
    thing = hosted(Thermostat())
    engine = Engine(host=True, routes=thing.routes(dynamic=True))
    general = Engine(host=True, careful=lambda packet: careful(packet, thing))  # type: ignore[arg-type]
    for packet in (
        Invoke("hall", CallKind.METHOD, 0, (25.0,), 7, -1),
        Invoke("hall", CallKind.METHOD, 1, (1,), -1, -1),
        Invoke("hall", CallKind.WRITE_PROPERTY, 0, (25.0,), -1, -1),
        Invoke("hall", CallKind.METHOD, 3, (["a", "b"],), 1, -1),
        Invoke("hall", CallKind.METHOD, 4, (), 2, -1),
    ):
        frame = encode_packet(packet)
        (fast,), (slow,) = engine.receive_data(frame), general.receive_data(frame)
        assert type(fast) is type(slow) is Invoked
        assert (fast.door, fast.arguments, fast.token) == (slow.door, slow.arguments, slow.token)


def test_a_call_of_qt_with_other_types_is_lifted_to_ours() -> None:
    thing = hosted(Thermostat())
    event = careful(Invoke("hall", CallKind.METHOD, 2, (5,), 1, -1), thing)  # an int, where we announce uchar
    assert isinstance(event, Invoked)
    assert event.arguments == (5,)


@pytest.mark.parametrize(
    "packet,code",
    [
        (Invoke("hall", CallKind.METHOD, 99, (), 4), Code.NOT_FOUND),
        (Invoke("hall", CallKind.METHOD, -1, (), 4), Code.NOT_FOUND),
        (Invoke("hall", CallKind.READ_PROPERTY, 0, (), 4), Code.NOT_FOUND),
        (Invoke("hall", CallKind.WRITE_PROPERTY, 1, (1.0,), 4), Code.NOT_FOUND),  # not writable
        (Invoke("hall", CallKind.METHOD, 2, (1, 2), 4), Code.INVALID_ARGUMENT),
        (Invoke("hall", CallKind.METHOD, 2, ("x",), 4), Code.INVALID_ARGUMENT),
        (Invoke("hall", CallKind.METHOD, 1, (9,), 4), Code.INVALID_ARGUMENT),  # no such mode
    ],
)
def test_a_call_that_fits_nothing_is_refused_and_has_not_run(packet: Invoke, code: Code) -> None:
    event = careful(packet, hosted(Thermostat()))
    assert isinstance(event, Refused)
    assert (event.name, event.token, event.fault.code, event.fault.may_have_run) == ("hall", 4, code, False)


def test_a_call_to_an_unknown_object_is_refused() -> None:
    event = careful_invoke(Invoke("cellar", CallKind.METHOD, 0, (), 4), None)
    assert isinstance(event, Refused)
    assert event.fault.code is Code.NOT_FOUND


def test_missing_arguments_are_the_gates_business() -> None:
    event = careful(Invoke("hall", CallKind.METHOD, 2, (), 4), hosted(Thermostat()))
    assert isinstance(event, Invoked)
    assert event.door.check(event.arguments) == (10,)


def test_a_stream_has_a_door_of_its_own_and_others_have_none() -> None:
    thing = hosted(Thermostat())
    door = thing.stream("forecast")
    assert door is thing.stream("forecast")
    assert (door.suspends, door.reply(1, None)) == (True, b"")
    for name in ("boost", "nonsense"):
        with pytest.raises(Fault, match="no stream") as caught:
            thing.stream(name)
        assert caught.value.code is Code.NOT_FOUND


def test_results_are_checked_before_they_are_sent() -> None:
    door = hosted(Thermostat()).routes(dynamic=True)[invoke_head("hall", CallKind.METHOD, 2)]
    assert packets(door.reply(3, 600)) == [InvokeReply("hall", 3, 600)]
    with pytest.raises(Fault) as caught:
        door.reply(3, "600")
    assert caught.value.code is Code.INTERNAL


async def test_a_write_sets_the_source() -> None:
    source = Thermostat()
    door = hosted(source).routes(dynamic=True)[invoke_head("hall", CallKind.METHOD, 0)]
    assert (await door.method(30.0), source.set_point, door.suspends) == (None, 30.0, False)
    assert packets(door.reply(9, None)) == [InvokeReply("hall", 9, None)]


class Bridge(Thermostat):
    """Stands for a replica that is published again: its writes go to the source, and may wait."""

    def __init__(self) -> None:
        self.pushed: list[tuple[str, Any]] = []

    async def _write(self, name: str, value: Any) -> None:
        self.pushed.append((name, value))


async def test_a_write_to_a_bridge_is_pushed_on() -> None:
    source = Bridge()
    source._everywire.link = object()
    publication = published(source)
    door = write_door(publication, publication.contract.members["set_point"], QTRO_2_0)
    await door.method(30.0)
    assert (source.pushed, source.set_point, door.suspends) == ([("set_point", 30.0)], 21.0, True)


ZONED = time(1, 2, tzinfo=UTC)
"""A value that a class may hold and Qt cannot."""


class Awkward(Object):
    clock: Property[time] = prop(ZONED)
    day: Property[date] = prop(date(2024, 1, 2))

    @signal
    def told(self, what: Any) -> None: ...


def test_a_value_that_cannot_be_sent_does_not_hide_the_others(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "everywire.remoteobjects"):
        joined = hosted(Awkward()).join(Listener(), dynamic=True, anew=False)
        assert packets(joined) == [Init("hall", (None, date(2024, 1, 2)))]
    assert "hall.clock cannot be sent" in caplog.text


def test_a_change_that_cannot_be_sent_is_an_observers_error_and_the_setter_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reported: list[BaseException | None] = []
    monkeypatch.setattr("sys.unraisablehook", lambda report: reported.append(report.exc_value))
    source = Awkward()
    link = attach(hosted(source))
    source.clock = later = ZONED.replace(hour=2)
    source.told.emit(later)
    assert (source.clock, link.outbox.sent) == (later, [])
    assert [type(error) for error in reported] == [ModelError, ModelError]
