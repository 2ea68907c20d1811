"""Child objects in a program without a loop, on a socket of its own and in the background."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from everywire import (
    Code,
    Fault,
    Object,
    Property,
    ReplicaState,
    Table,
    TableSource,
    contract_of,
    link_of,
    prop,
    sync,
)
from tests.conformance.test_children import Hall, Pump, Valve
from tests.conformance.wires import Place
from tests.sync.conftest import Connect, both_ways
from tests.sync.hosts import hosting


@both_ways
def test_a_child_reads_calls_pushes_streams_and_hears(place: Place, connect: Connect) -> None:
    source = Hall()
    source.pump.speed = 7
    with hosting(place, hall=source) as host, connect(place.url, "hall", Hall) as hall:
        pump, valve = hall.pump, hall.pump.valve
        assert isinstance(pump, Pump)
        assert (pump.speed, valve.open, hall.other) == (7, False, None)
        speeds: list[int] = []
        stuck: list[int] = []
        Pump.speed.on_change(pump, speeds.append)
        valve.stuck.connect(stuck.append)
        assert sync.run(pump.start(21)) == 42
        assert sync.run(Pump.speed.push(pump, 5)) == 5
        assert sync.run(valve.turn(3)) == 4
        assert sync.run(Valve.open.push(valve, True)) is True
        assert (speeds, stuck, valve.open) == ([21, 5], [3], True)
        assert list(sync.iterate(pump.strokes(3))) == [0, 1, 2]
        host.set(source.pump, speed=99)
        sync.until(lambda: pump.speed == 99, timeout=5)


@dataclass
class Row:
    label: str


class Store(Object):
    rows: Property[Table[Any]] = prop(factory=lambda: TableSource([Row("flour")]))


@both_ways
def test_a_table_in_an_object_can_be_used_at_once(place: Place, connect: Connect) -> None:
    with hosting(place, store=Store()):
        for contract in (Store, None):  # without a class the host is asked for nothing else in between
            with connect(place.url, "store", contract) as store:
                assert link_of(store.rows).state is ReplicaState.VALID
                assert sync.run(store.rows.fetch(0, 0)) == [{"label": "flour"}]


@both_ways
def test_a_child_comes_goes_and_takes_the_place_of_another(place: Place, connect: Connect) -> None:
    source = Hall()
    with hosting(place, hall=source) as host, connect(place.url, "hall", Hall) as hall:
        changes: list[Any] = []
        Hall.other.on_change(hall, changes.append)
        first, second = Pump(), Pump()
        first.label, second.label = "first", "second"
        host.set(source, other=first)
        replica = sync.until(lambda: hall.other, timeout=5)
        assert (replica.label, sync.run(replica.start(2))) == ("first", 4)
        host.set(source, other=second)
        sync.until(lambda: replica.label == "second", timeout=5)
        assert sync.run(replica.valve.turn(1)) == 2
        host.set(source, other=None)
        sync.until(lambda: hall.other is None, timeout=5)
        assert link_of(replica).state is ReplicaState.SUSPECT
        assert replica.label == "second", "values stay readable"
        with pytest.raises(Fault) as caught:
            sync.run(replica.start(1))
        assert caught.value.code is Code.UNAVAILABLE
        host.set(source, other=first)
        sync.until(lambda: hall.other is replica and replica.label == "first", timeout=5)
        assert sync.run(replica.start(3)) == 6
        assert changes == [replica, replica, None, replica]


@both_ways
def test_children_come_back_with_their_parent(place: Place, connect: Connect) -> None:
    source = Hall()
    with hosting(place, hall=source) as host, connect(place.url, "hall", Hall) as hall:
        pump = hall.pump
        host.do(host.node.withdraw, "hall")
        sync.until(lambda: link_of(pump.valve).state is ReplicaState.SUSPECT, timeout=5)
        host.set(source.pump, speed=8)
        host.do(host.node.publish, source, "hall")
        sync.until(lambda: link_of(pump).state is ReplicaState.VALID and pump.speed == 8, timeout=5)
        assert hall.pump is pump
        assert sync.run(pump.valve.turn(1)) == 2


@both_ways
def test_a_built_class_has_children_too(place: Place, connect: Connect) -> None:
    source = Hall()
    with hosting(place, hall=source), connect(place.url, "hall") as hall:
        assert contract_of(hall.pump).members["speed"].unit == "Hz"
        assert sync.run(hall.pump.start(4)) == 8
        assert sync.run(hall.pump.valve.turn(1)) == 2
        assert source.pump.speed == 4


@both_ways
def test_children_end_with_the_block_of_their_parent(place: Place, connect: Connect) -> None:
    with hosting(place, hall=Hall()):
        with connect(place.url, "hall", Hall) as hall:
            pump = hall.pump
        assert link_of(pump).closed
        with pytest.raises(Fault) as caught:
            sync.run(pump.start(1))
        assert caught.value.code is Code.UNAVAILABLE
