"""A replica without a loop is what a replica is in one: values, calls, signals, pushes, streams; on both ways."""

from __future__ import annotations

from typing import Any

import pytest

from everywire import (
    Code,
    Fault,
    LocalProtocolError,
    ModelError,
    OutOfRange,
    ReplicaState,
    SignatureMismatch,
    link_of,
    members,
    sync,
)
from tests.conformance.plant import CARRIERS, Boiler, Counters, Desk, LooseBoiler, Mode, Pump, Reading, Tap
from tests.conformance.wires import Place
from tests.sync.conftest import Connect, both_ways, every_transport
from tests.sync.hosts import hosting


@every_transport
@both_ways
def test_a_replica_reads_calls_pushes_and_hears(place: Place, connect: Connect) -> None:
    source = Boiler()
    with hosting(place, boiler=source) as host, connect(place.url, "boiler", Boiler) as boiler:
        assert isinstance(boiler, Boiler)
        assert (boiler.target, boiler.error, boiler.mode) == (21.0, 1.0, Mode.OFF)
        changes: list[float] = []
        heard: list[tuple[float, str]] = []
        Boiler.current.on_change(boiler, changes.append)
        boiler.overheated.connect(lambda celsius, sensor: heard.append((celsius, sensor)))
        assert sync.run(boiler.boost(3)) == 180
        assert (boiler.current, boiler.error, changes) == (21.0, 0.0, [21.0])
        host.do(source.overheated.emit, 80.0, "attic")
        sync.until(lambda: heard, 5)
        assert heard == [(80.0, "attic")]
        assert sync.run(Boiler.target.push(boiler, 30.0)) == source.target == boiler.target == 30.0
        assert sync.run(boiler.boost()) == 600


@both_ways
def test_without_a_class_one_is_built_from_the_contract(place: Place, connect: Connect) -> None:
    with hosting(place, desk=Desk()), connect(place.url, "desk") as desk:
        assert sync.run(desk.add(1, 2, 3)) == 6
        assert desk.calls == members(desk)["calls"].value == 0
        assert sync.run(desk.find("attic")).celsius == 20.5


@both_ways
@pytest.mark.parametrize("name", CARRIERS)
def test_every_type_makes_the_round(place: Place, connect: Connect, name: str) -> None:
    cls, sample = CARRIERS[name]
    with hosting(place, it=cls()), connect(place.url, "it", cls) as replica:
        handle: Any = cls.__everywire_declared__["value"]
        for value in sample.values:
            assert sync.run(replica.echo(value)) == value
            assert sync.run(replica.echo_later(value)) == value
            assert sync.run(handle.push(replica, value)) == value
            assert list(sync.iterate(replica.repeat(value, 2))) == [value, value]


@both_ways
def test_faults_say_what_they_say_in_a_loop(place: Place, connect: Connect) -> None:
    with hosting(place, desk=Desk(), boiler=Boiler()), connect(place.url, "desk", Desk) as desk:
        for call, code, words in (
            (desk.refuse("ABORTED", "no"), Code.ABORTED, "no"),
            (desk.refuse_later("DATA_LOSS", "gone"), Code.DATA_LOSS, "gone"),
            (desk.explode(), Code.UNKNOWN, "ValueError"),
            (desk.lie(), Code.INTERNAL, "does not fit"),
            (desk.never(), Code.DEADLINE_EXCEEDED, "longer than 0.2 s"),
        ):
            with pytest.raises(Fault, match=words) as caught:
                sync.run(call)
            assert caught.value.code is code
        assert sync.run(desk.divide(7, 2)) == (3, 1)
        assert sync.run(desk.nothing()) is None
        with pytest.raises(ModelError):
            desk.divide("seven", 2)
        with connect(place.url, "boiler", LooseBoiler) as boiler:
            with pytest.raises(OutOfRange, match="not within 5 and 35"):
                sync.run(LooseBoiler.target.push(boiler, 99.0))
            assert boiler.target == 21.0


@both_ways
def test_calls_that_were_made_before_are_sent_together_and_answered_in_order(place: Place, connect: Connect) -> None:
    source = Desk()
    with hosting(place, desk=source), connect(place.url, "desk", Desk) as desk:
        calls = [desk.add(number, 0, 0) for number in range(300)]
        assert [sync.run(call) for call in calls] == list(range(300))
        assert source.order == list(range(300))


def test_sixty_four_calls_are_one_send(place: Place, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    from everywire.transport.blocking import BlockingStream

    sent: list[int] = []
    push = BlockingStream.push
    monkeypatch.setattr(BlockingStream, "push", lambda self: (sent.append(len(self.going)), push(self))[1])
    with hosting(place, desk=Desk()), connect(place.url, "desk", Desk) as desk:
        sent.clear()
        calls = [desk.add(number, 0, 0) for number in range(64)]
        assert sent == []
        assert [sync.run(call) for call in calls] == list(range(64))
        assert len(sent) == 1
        for _ in range(3):
            sync.run(desk.nothing())
        assert len(sent) == 4


@both_ways
def test_a_coroutine_of_several_calls_runs_to_its_end(place: Place, connect: Connect) -> None:
    with hosting(place, desk=Desk(), tap=Tap()) as host:
        with connect(place.url, "desk", Desk) as desk, connect(place.url, "tap", Tap) as tap:

            async def work() -> list[int]:
                first = desk.add(1, 2, 3)
                try:
                    await desk.refuse("ABORTED", "no")
                except Fault:
                    second = await desk.add(1, 1, 1)
                return [await first, await first, second, *[item async for item in tap.numbers(3)]]

            assert sync.run(work()) == [6, 6, 3, 0, 1, 2]
        assert host.node.published


@both_ways
def test_a_signal_drives_a_slot_of_another_replica(place: Place, connect: Connect) -> None:
    boiler, pump = Boiler(), Pump()
    with (
        hosting(place, boiler=boiler, pump=pump) as host,
        connect(place.url, "boiler", Boiler) as room,
        connect(place.url, "pump", Pump) as there,
    ):
        stopped: list[float] = []
        room.overheated.connect(there.stop)
        there.stopped.connect(stopped.append)
        for celsius in (80.0, 81.0):
            host.do(boiler.overheated.emit, celsius, "attic")
        sync.until(lambda: len(stopped) == 2, 5)
        assert stopped == [80.0, 81.0]


@both_ways
def test_what_cannot_be_is_refused_as_in_a_loop(place: Place, connect: Connect) -> None:
    with hosting(place, desk=Desk(), boiler=Boiler()):
        with pytest.raises(SignatureMismatch, match="slot stroke is missing"), connect(place.url, "desk", Pump):
            pass
        with (
            pytest.raises(Fault, match="it offers boiler, desk"),
            connect(place.url, "dusk", Desk, timeout=0.3),
        ):
            pass
        with pytest.raises(Fault, match="it offers boiler, desk"), connect(place.url, "dusk", Desk, timeout=0):
            pass
        with pytest.raises(ModelError, match="a class derived from Object"):
            connect(place.url, "desk", 5)
        with connect(place.url, "boiler", Boiler) as boiler:
            with pytest.raises(LocalProtocolError, match=r"sync\.run\(Boiler\.target\.push\(replica, value\)\)"):
                boiler.target = 3.0
            with pytest.raises(LocalProtocolError):
                boiler.overheated.emit(1.0, "x")
            assert link_of(boiler).state is ReplicaState.VALID


@both_ways
def test_what_is_left_of_a_replica_after_its_block(place: Place, connect: Connect) -> None:
    with hosting(place, boiler=Boiler()):
        with connect(place.url, "boiler", Boiler) as boiler:
            pass
        assert boiler.target == 21.0
        with pytest.raises(Fault, match=r"with sync\.connect"):
            sync.run(boiler.boost(1))
        with pytest.raises(Fault, match=r"with sync\.connect"):
            sync.run(Boiler.target.push(boiler, 22.0))


@both_ways
def test_a_call_that_nobody_waited_for_leaves_with_the_block(place: Place, connect: Connect) -> None:
    source = Desk()
    with hosting(place, desk=source) as host:
        with connect(place.url, "desk", Desk) as desk:
            calls = [desk.add(1), desk.add(2)]
        host.do(lambda: None)
        assert len(calls) == 2
        with connect(place.url, "desk", Desk) as desk:
            sync.run(desk.add(3))
    assert source.order[-1] == 3
    for call in calls:
        assert call.done()
        call.seen()


@both_ways
def test_a_struct_arrives_as_an_instance_of_our_class(place: Place, connect: Connect) -> None:
    with hosting(place, desk=Desk(), tap=Tap()):
        with connect(place.url, "desk", Desk) as desk:
            assert isinstance(sync.run(desk.find("attic")), Reading)
        with connect(place.url, "tap", Tap) as tap:
            assert [reading.sensor for reading in sync.iterate(tap.readings(["a", "b"]))] == ["a", "b"]


def test_counters_settle_in_order(place: Place, connect: Connect) -> None:
    source = Counters()
    told: list[tuple[str, Any]] = []
    with hosting(place, counters=source) as host, connect(place.url, "counters", Counters) as counters:
        Counters.first.on_change(counters, lambda value: told.append(("first", value)))
        counters.ticked.connect(lambda number: told.append(("ticked", number)))

        def burst() -> None:
            for number in range(1, 50):
                source.first = number
                source.ticked.emit(number)

        host.do(burst)
        sync.run(counters.settle())
        assert told == [item for number in range(1, 50) for item in (("first", number), ("ticked", number))]
        assert counters.total == 49
