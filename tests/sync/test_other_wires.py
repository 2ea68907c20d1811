"""Wires that only a loop can speak are reached through the thread in the background, by the same words."""

from __future__ import annotations

from pathlib import Path

import pytest

from everywire import Code, Fault, ReplicaState, link_of, sync
from tests.conformance.plant import Boiler, Counters, Desk, Tap
from tests.conformance.wires import QUICK, WIRES, Place
from tests.sync.conftest import Certificates
from tests.sync.hosts import hosting

OTHERS = [wire for wire in WIRES if wire.caller != "qtro" and wire.between_processes]


@pytest.fixture(params=OTHERS, ids=lambda wire: wire.name)
def far(request: pytest.FixtureRequest, folder: Path, certificates: Certificates) -> Place:
    """A place on every such wire."""
    bus = request.getfixturevalue("bus") if "{bus}" in request.param.listen else ""
    return Place(request.param, folder, *certificates, bus)


def test_a_script_uses_an_object_on_another_wire(far: Place) -> None:
    source = Boiler()
    with hosting(far, boiler=source) as host, sync.connect(far.url, "boiler", Boiler) as boiler:
        assert (boiler.target, boiler.error) == (21.0, 1.0)
        changes, heard = list[float](), sync.iterate(boiler.overheated, timeout=10)
        Boiler.current.on_change(boiler, changes.append)
        assert sync.run(boiler.boost(3)) == 180
        assert sync.until(lambda: changes, 10) == [21.0]
        assert sync.run(Boiler.target.push(boiler, 30.0)) == source.target == 30.0
        host.do(source.overheated.emit, 80.0, "attic")
        assert next(heard) == (80.0, "attic")


def test_calls_faults_and_streams_are_as_everywhere(far: Place) -> None:
    with hosting(far, desk=Desk(), tap=Tap()):
        with sync.connect(far.url, "desk", Desk) as desk:
            assert [sync.run(call) for call in [desk.add(n, 0, 0) for n in range(20)]] == list(range(20))
            with pytest.raises(Fault) as caught:
                sync.run(desk.refuse("ABORTED", "no"))
            assert caught.value.code is Code.ABORTED
        with sync.connect(far.url, "tap") as tap:
            assert list(sync.iterate(tap.numbers(100))) == list(range(100))


def test_the_link_comes_back(far: Place) -> None:
    states: list[ReplicaState] = []
    with hosting(far, counters=Counters()):
        connection = sync.connect(far.url, "counters", Counters)
        counters = connection.__enter__()
        link_of(counters).state_changed.connect(states.append)
    with hosting(far, counters=Counters()):
        sync.until(lambda: states[-1:] == [ReplicaState.VALID], 10)
        sync.run(counters.settle())
        connection.__exit__(None, None, None)
    assert states == [ReplicaState.SUSPECT, ReplicaState.VALID]


def test_a_script_serves_on_several_wires_at_once(folder: Path) -> None:
    urls = [f"local:{folder}/desk", "tcp://127.0.0.1:0", "http://127.0.0.1:0"]
    with sync.serve(Desk(), "desk", on=urls, limits=QUICK) as node:
        for url in node.addresses:
            with sync.connect(url, "desk", Desk) as desk:
                assert sync.run(desk.add(1)) == 1101
