from __future__ import annotations

import inspect
from typing import Any

import pytest

from everywire import (
    Code,
    Fault,
    LinkError,
    LocalProtocolError,
    ModelError,
    Object,
    Property,
    computed,
    contract_of,
    link_of,
    members,
    prop,
    signal,
    slot,
)
from everywire.model import Contract, Kind, Member, Parameter
from everywire.model.annotations import type_of
from everywire.model.building import build_class
from everywire.runtime.replica import ReplicaLink, ReplicaState, make_replica, replica_class, shape
from tests.harness import LoopReports


class Room(Object):
    """One room."""

    target: Property[float] = prop(21.0, writable=True, doc="Where to.")
    current: Property[float] = prop(20.0)

    @computed(target, current)
    def error(self) -> float:
        return self.target - self.current

    @signal
    def rang(self, times: int) -> None: ...

    @slot
    async def boost(self, minutes: int = 10) -> int:
        return minutes

    def __init__(self) -> None:
        self.heater = "only at the source"


class FakeHome:
    """A node that runs nothing."""

    def spawn(self, coroutine: Any) -> None:
        coroutine.close()


class FakeRemote:
    """The wire's end: the source takes what it is pushed, or keeps its own."""

    def __init__(self, replica: Any, *, keeps: bool = False, clamps: float | None = None) -> None:
        self.replica, self.keeps, self.clamps = replica, keeps, clamps
        self.pushed: list[tuple[str, Any]] = []

    async def push(self, member: Member, value: Any) -> None:
        self.pushed.append((member.name, value))
        if not self.keeps:
            taken = value if self.clamps is None else self.clamps
            type(self.replica).__everywire_declared__[member.name].receive(self.replica._everywire, taken)


def link() -> ReplicaLink:
    return ReplicaLink("fake:x", "room", Room, FakeHome())


def valid() -> Any:
    replica = link().create(contract_of(Room), lambda _: Room)
    replica._everywire.values.update(target=21.0, current=20.0, error=1.0)
    link_of(replica).become(ReplicaState.VALID)
    return replica


def test_a_replica_is_of_the_sources_class_and_its_init_never_runs() -> None:
    replica = valid()
    assert isinstance(replica, Room)
    assert type(replica).__name__ == "Room"
    assert type(replica).__doc__ == "One room."
    assert contract_of(replica) is contract_of(Room)
    assert replica_class(Room) is type(replica)
    assert (replica.target, replica.error) == (21.0, 1.0)


def test_what_is_not_replicated_says_so() -> None:
    with pytest.raises(AttributeError, match="'Room' has no 'heater': only properties, signals and slots"):
        _ = valid().heater


def test_a_property_without_a_value_says_so() -> None:
    replica = link().create(contract_of(Room), lambda _: Room)
    with pytest.raises(LocalProtocolError, match="target has no value yet"):
        _ = replica.target
    with pytest.raises(LocalProtocolError, match="error has no value yet"):
        _ = members(replica)["error"].value


def test_assigning_is_refused_with_the_call_that_works() -> None:
    replica = valid()
    with pytest.raises(LocalProtocolError, match=r"use 'await Room\.target\.push\(replica, value\)'"):
        replica.target = 3.0
    for name in ("current", "error"):
        with pytest.raises(LocalProtocolError, match="it is not writable"):
            setattr(replica, name, 3.0)
    assert type(replica).target is Room.target
    assert inspect.getattr_static(type(replica), "target").__doc__ == "Where to."


def test_a_replica_only_hears_its_signals() -> None:
    replica, heard = valid(), []
    replica.rang.connect(heard.append)
    replica.rang.deliver((3,))
    assert heard == [3]
    with pytest.raises(LocalProtocolError, match="only the source emits"):
        replica.rang.emit(3)


async def test_a_slot_that_no_wire_has_bound_is_unimplemented() -> None:
    replica = valid()
    with pytest.raises(Fault) as refused:
        await replica.boost(1)
    assert (refused.value.code, refused.value.may_have_run) == (Code.UNIMPLEMENTED, False)


def test_states_are_told_once_each_and_a_listener_that_fails_harms_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told, failures, fact = [], [], link()
    monkeypatch.setattr("sys.unraisablehook", failures.append)
    end = fact.state_changed.connect(lambda _: 1 / 0)
    fact.state_changed.connect(told.append)
    fact.become(ReplicaState.VALID)
    error = LinkError("gone")
    fact.become(ReplicaState.SUSPECT, error)
    fact.become(ReplicaState.SUSPECT)
    assert fact.error is None
    end()
    end()
    fact.become(ReplicaState.VALID)
    assert told == [ReplicaState.VALID, ReplicaState.SUSPECT, ReplicaState.VALID]
    assert [failure.exc_type for failure in failures] == [ZeroDivisionError, ZeroDivisionError]


async def test_on_a_loop_a_failing_listener_of_states_is_reported_there(loop_reports: LoopReports) -> None:
    fact = link()
    fact.state_changed.connect(lambda _: 1 / 0)
    fact.become(ReplicaState.VALID)
    assert isinstance(loop_reports.pop()["exception"], ZeroDivisionError)


def test_only_replicas_have_a_link() -> None:
    replica = valid()
    assert repr(link_of(replica)) == "<link of room at fake:x: valid>"
    with pytest.raises(ModelError, match="Room object is a source"):
        link_of(Room())


async def test_a_push_gives_the_value_that_the_source_then_holds() -> None:
    replica = valid()
    link_of(replica).remote = FakeRemote(replica)
    assert await Room.target.push(replica, 25) == 25.0
    assert link_of(replica).remote.pushed == [("target", 25.0)]
    link_of(replica).remote = FakeRemote(replica, clamps=30.0)
    assert await Room.target.push(replica, 99.0) == 30.0


async def test_a_push_that_the_source_ignores_is_a_failed_precondition() -> None:
    replica = valid()
    link_of(replica).remote = FakeRemote(replica, keeps=True)
    with pytest.raises(Fault, match=r"the source kept 21\.0") as refused:
        await Room.target.push(replica, 25.0)
    assert refused.value.code is Code.FAILED_PRECONDITION
    assert await Room.target.push(replica, 21.0) == 21.0


async def test_a_push_needs_a_writable_property_a_link_and_the_right_type() -> None:
    replica = valid()
    with pytest.raises(Fault, match="current is not writable") as refused:
        await Room.current.push(replica, 1.0)
    assert (refused.value.code, refused.value.may_have_run) == (Code.FAILED_PRECONDITION, False)
    with pytest.raises(Fault, match="room is valid: no link to fake:x") as refused:
        await Room.target.push(replica, 1.0)
    assert (refused.value.code, refused.value.may_have_run) == (Code.UNAVAILABLE, False)
    with pytest.raises(ModelError):
        await Room.target.push(replica, "warm")  # type: ignore[arg-type]


async def test_a_published_replica_is_written_by_pushing() -> None:
    replica = valid()
    link_of(replica).remote = FakeRemote(replica)
    await replica._write("target", 23.0)
    assert link_of(replica).remote.pushed == [("target", 23.0)]


def test_closing_drops_every_connection_of_the_replica() -> None:
    replica, heard = valid(), []
    replica.rang.connect(heard.append)
    Room.target.on_change(replica, heard.append)
    replica._everywire.watch(heard.append)
    link_of(replica).close()
    replica.rang.deliver((1,))
    Room.target.receive(replica._everywire, 3.0)
    assert heard == []
    link().close()  # one that never had an instance


async def test_members_of_a_replica_are_found_by_name() -> None:
    replica, heard = valid(), []
    found = members(replica)
    assert list(found) == ["target", "current", "error", "rang", "boost"]
    assert len(found) == 5
    assert found["target"].value == 21.0
    link_of(replica).remote = FakeRemote(replica)
    disconnect = found["target"].on_change(heard.append)
    assert await found["target"].push(22.0) == 22.0
    disconnect()
    assert heard == [22.0]
    async for value in found["target"].watch():
        assert value == 22.0
        break
    with pytest.raises(LocalProtocolError, match="error is computed"):
        await found["error"].push(1.0)
    assert found["rang"] is replica.rang
    assert found["boost"] is replica.boost
    with pytest.raises(KeyError):
        found["nonsense"]


def test_members_of_a_source_are_found_by_name_too() -> None:
    room = Room()
    found = members(room)
    assert (found["target"].value, found["error"].value) == (21.0, 1.0)
    assert found["boost"].__func__ is Room.boost


FOREIGN = Contract(
    "Foreign",
    {
        "set_point": Member(
            Kind.PROPERTY, "set_point", (Parameter("set_point", type_of(float)),), writable=True, wire_name="setPoint"
        ),
        "class": Member(Kind.PROPERTY, "class", (Parameter("class", type_of(int)),)),
        "2nd": Member(
            Kind.SLOT, "2nd", (Parameter("1st", type_of(int)), Parameter("import", type_of(int))), type_of(int)
        ),
    },
)


def test_names_that_are_no_identifiers_are_reached_by_members_alone() -> None:
    fact = ReplicaLink("fake:x", "foreign", None, FakeHome())
    replica = fact.create(FOREIGN, build_class)
    assert fact.create(FOREIGN, build_class) is replica
    replica._everywire.values.update({"set_point": 1.0, "class": 7})
    found = members(replica)
    assert replica.set_point == found["set_point"].value == found["setPoint"].value == 1.0
    assert found["class"].value == 7
    assert "class" not in dir(type(replica))
    assert inspect.iscoroutinefunction(found["2nd"])


def test_a_slot_has_the_signature_of_the_source_whatever_the_names_on_the_wire() -> None:
    called: list[Any] = []
    boost = shape(contract_of(Room).members["boost"], lambda *arguments: called.append(arguments))
    assert str(inspect.signature(boost)) == "(minutes: int = 10) -> int"
    boost()
    boost(5)
    boost(minutes=6)
    assert called == [(10,), (5,), (6,)]
    second = shape(FOREIGN.members["2nd"], lambda *arguments: arguments)
    assert second(1, 2) == (1, 2)
    assert list(inspect.signature(second).parameters) == ["argument_0", "argument_1"]


def test_parameters_that_share_a_name_on_the_wire_stay_positional() -> None:
    twice = Member(Kind.SLOT, "twice", (Parameter("a", type_of(int)), Parameter("a", type_of(int))))
    assert shape(twice, lambda *arguments: arguments)(1, 2) == (1, 2)


def test_a_replica_of_a_built_class_has_no_values_of_its_own() -> None:
    replica = make_replica(build_class(FOREIGN), ReplicaLink("fake:x", "foreign", None, FakeHome()))
    assert replica._everywire.values == {}
