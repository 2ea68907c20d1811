"""Child objects of ours on Qt Remote Objects: the references that listeners are sent, their names, and their calls."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from everywire import (
    Code,
    Node,
    connect,
    contract_of,
)
from everywire.codec.qdatastream import ObjectReference
from everywire.errors import ModelError
from everywire.remoteobjects.codec import (
    QTRO_1_3,
    QTRO_2_0,
    CallKind,
    Dialect,
    Init,
    Invoke,
    ObjectList,
    PropertyChange,
    PropertyDef,
    decode_packet,
)
from everywire.remoteobjects.codec.references import (
    ReferenceKind,
    class_in,
    values_in,
)
from everywire.remoteobjects.wire.hosting import HostedObject
from everywire.remoteobjects.wire.layout import definition_of
from tests.remoteobjects.family import Hall, Pump, hall_with_pump
from tests.remoteobjects.peers import QUICK, hosting, raw_node
from tests.remoteobjects.samples import Listener, published

CLASS = ReferenceKind.CLASS


def packets(data: bytes, dialect: Dialect = QTRO_2_0) -> list[Any]:
    """The host's packets in *data*."""
    found: list[Any] = []
    while data:
        end = 4 + int.from_bytes(data[:4], "little" if dialect.order == "<" else "big")
        found.append(decode_packet(data[4:end], from_host=True, dialect=dialect))
        data = data[end:]
    return found


def told(link: Listener, dialect: Dialect = QTRO_2_0) -> list[Any]:
    """What a listener was told, once."""
    data = b"".join(frame for _, frame in link.outbox.sent)
    link.outbox.sent.clear()
    return packets(data, dialect)


def listening(hosted: HostedObject, *, dynamic: bool) -> tuple[Listener, Any]:
    """A listener, and what it is greeted with."""
    link = Listener()
    (init,) = packets(hosted.join(link, dynamic=dynamic, anew=dynamic), hosted.dialect)  # type: ignore[arg-type]
    return link, init


@pytest.mark.parametrize(
    "dialect, names",
    [
        (QTRO_2_0, ("Class::hall::pump", "Class::Class::hall::pump::valve", "Class::Class::hall::pump::spare")),
        (QTRO_1_3, ("Class::pump", "Class::valve", "Class::spare")),
    ],
)
def test_a_dynamic_listener_gets_the_class_and_the_values_of_each_child(
    dialect: Dialect, names: tuple[str, str, str]
) -> None:
    hosted = HostedObject(published(hall_with_pump()), dialect)
    _, init = listening(hosted, dynamic=True)
    assert init.definition.properties[1] == PropertyDef("pump", "QObject*", "pumpChanged(QObject*)")
    pump = init.values[1]
    assert (pump.name, pump.type_name, pump.kind) == (names[0], "Pump", CLASS)
    assert class_in(pump, dialect) == definition_of(contract_of(Pump))
    speed, valve, spare = values_in(pump, dialect, {})
    assert (speed, valve.name, spare.name) == (3, names[1], names[2])
    assert spare.parameters is None
    assert values_in(valve, dialect, {}) == (False,)
    assert hosted.info.name == "hall"


def test_a_static_listener_has_the_classes_already() -> None:
    _, init = listening(HostedObject(published(hall_with_pump())), dynamic=False)
    pump = init.values[1]
    assert pump.definition == b""
    assert values_in(pump, QTRO_2_0, {})[1].definition == b""


def test_a_child_that_comes_goes_or_is_replaced_is_told_by_a_reference_and_the_notify_signal() -> None:
    hall = Hall()
    hosted = HostedObject(published(hall))
    link, init = listening(hosted, dynamic=True)
    assert init.values[1] == ObjectReference("Class::hall::pump", "Pump", CLASS, b"", None)
    hall.pump = Pump()
    change, notify = told(link)
    assert (change.name, change.index, change.value.name) == ("hall", 1, "Class::hall::pump")
    assert class_in(change.value, QTRO_2_0) == definition_of(contract_of(Pump))
    assert notify == Invoke("hall", CallKind.METHOD, 1, (), -1, 1), "Qt takes the object from the change before"
    hall.pump = None
    change, notify = told(link)
    assert change.value == ObjectReference("Class::hall::pump", "Pump", CLASS, b"", None)


def test_a_static_listener_keeps_its_child_and_hears_the_values_of_the_new_one() -> None:
    hall = hall_with_pump()
    link, _ = listening(HostedObject(published(hall)), dynamic=False)
    hall.pump = second = Pump()
    changes = told(link)
    name = "Class::hall::pump"
    assert changes[0] == PropertyChange(name, 0, 3)
    assert changes[1] == Invoke(name, CallKind.METHOD, 0, (3,), -1, 0)
    assert [packet.name for packet in changes] == [name] * 6 + ["hall"]
    second.speed = 9
    assert told(link)[0] == PropertyChange(name, 0, 9)


def test_the_children_of_a_child_that_replaced_another_have_names_that_are_new() -> None:
    """Under the old ones Qt finds remains of the old replicas, and crashes."""
    hall = hall_with_pump()
    hosted = HostedObject(published(hall))
    link, _ = listening(hosted, dynamic=True)
    names: set[str] = set()
    for _ in range(3):
        hall.pump = Pump()
        pump = told(link)[0].value
        assert pump.name == "Class::hall::pump"
        names.add(values_in(pump, QTRO_2_0, {})[1].name)
    assert len(names) == 3
    assert all(name.startswith("Class::Class::hall::pump~1~") for name in names)


def test_children_tell_changes_and_signals_under_their_names_and_no_longer_when_they_are_gone() -> None:
    hall = hall_with_pump()
    hosted = HostedObject(published(hall))
    link, _ = listening(hosted, dynamic=True)
    first: Any = hall.pump
    first.valve.turned.emit(4)
    (emitted,) = told(link)
    assert emitted == Invoke("Class::Class::hall::pump::valve", CallKind.METHOD, 1, (4,), -1, -1)
    routes = set(hosted.routes(dynamic=True))
    hall.pump = None
    told(link)
    first.speed = 100
    first.valve.turned.emit(5)
    assert told(link) == []
    assert len(set(hosted.routes(dynamic=True))) < len(routes)


async def test_a_child_is_called_by_its_name_and_nobody_finds_it_when_it_is_gone(folder: Path) -> None:
    hall = hall_with_pump()
    async with hosting(folder, hall=hall) as (node, url), raw_node(url, extended=True) as peer:
        call = Invoke("Class::hall::pump", CallKind.METHOD, 1, (4,), 7, -1)
        await peer.send(call)
        assert await peer.result(7) == 5, "attached or not, as in Qt"
        hall.pump = None
        assert (await peer.refusal(call)).code is Code.NOT_FOUND
        hall.pump = Pump()
        node.withdraw("hall")
        assert (await peer.refusal(call)).code is Code.NOT_FOUND


async def test_children_are_in_no_list(folder: Path) -> None:
    async with hosting(folder, hall=hall_with_pump()) as (_, url), raw_node(url) as peer:
        (listed,) = [packet for packet in peer.seen if isinstance(packet, ObjectList)]
        assert [entry.name for entry in listed.entries] == ["hall"]


@pytest.mark.parametrize("name", ["Class::hall::pump", "Model::hall::rows", "Class::x"])
async def test_no_object_is_published_under_the_name_of_a_child(name: str, folder: Path) -> None:
    async with hosting(folder, hall=hall_with_pump()) as (node, url):
        with pytest.raises(ModelError, match=f"cannot carry an object called '{name}'"):
            node.publish(Hall(), name)
        async with connect(url, "hall", Hall) as hall:
            assert hall.pump is not None


async def test_two_children_of_one_name_in_qt_5_are_told_apart(tmp_path: Path, caplog: Any) -> None:
    north, south = hall_with_pump(), hall_with_pump()
    assert south.pump is not None
    south.pump.speed = 9
    async with Node(limits=QUICK) as node:
        node.publish(north, "north")
        node.publish(south, "south")
        with caplog.at_level(logging.WARNING):
            (url,) = await node.serve(f"local:{tmp_path}/h?protocol=1.3")
        assert "Qt 5 calls two children Class::pump: one is Class::south::pump" in caplog.text
        async with connect(url, "north", Hall) as one, connect(url, "south", Hall) as other:
            assert one.pump is not None
            assert other.pump is not None
            assert (one.pump.speed, other.pump.speed) == (3, 9)
            assert await Pump.speed.push(other.pump, 4) == 4
            assert (north.pump.speed, south.pump.speed) == (3, 4)  # type: ignore[union-attr]


def test_an_init_for_a_static_listener_is_no_stranger() -> None:
    """What a host sends to one has the same form, without the class."""
    _, init = listening(HostedObject(published(hall_with_pump())), dynamic=False)
    assert isinstance(init, Init)
