from __future__ import annotations

import asyncio

import pytest

from everywire import (
    AddressError,
    Code,
    Fault,
    LinkError,
    LocalProtocolError,
    Node,
    RemoteProtocolError,
    SignatureMismatch,
    connect,
    link_of,
)
from everywire.runtime import supervisor
from everywire.runtime.replica import ReplicaLink, ReplicaState
from tests.harness import LoopReports
from tests.runtime.fakes import FakeWire, Pump, lose


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "NEAR", 0.0)


async def wait_for_ever(_: ReplicaLink) -> None:
    await asyncio.Event().wait()


async def test_entering_gives_a_valid_replica_and_leaving_closes_its_link() -> None:
    wire, heard = FakeWire(), []
    async with connect(wire, "pump", Pump) as replica:
        assert isinstance(replica, Pump)
        assert link_of(replica).state is ReplicaState.VALID
        replica.dripped.connect(heard.append)
    replica.dripped.deliver((1,))
    assert heard == []
    assert wire.sessions[0].closed


async def test_without_a_class_the_remote_one_is_used() -> None:
    async with connect(FakeWire(), "pump") as replica:
        assert type(replica).__name__ == "Pump"


async def test_a_wrong_address_is_refused_before_anything_starts() -> None:
    with pytest.raises(AddressError):
        connect("nonsense", "pump", Pump)


async def test_an_object_that_does_not_appear_in_time_is_not_found_and_the_others_are_named() -> None:
    wire = FakeWire()
    wire.offers, wire.attaching = ("valve", "mixer"), wait_for_ever
    with pytest.raises(Fault, match=r"no object 'pump' at fake:x; it offers mixer, valve") as missing:
        async with connect(wire, "pump", Pump, timeout=0.001):
            pass
    assert (missing.value.code, missing.value.may_have_run) == (Code.NOT_FOUND, False)
    wire.offers = ()
    with pytest.raises(Fault, match="it offers nothing"):
        async with connect(wire, "pump", Pump, timeout=0.001):
            pass


@pytest.mark.parametrize("offers", [None, ("pump",)])
async def test_a_host_that_says_nothing_in_time_is_told_so(offers: tuple[str, ...] | None) -> None:
    wire = FakeWire()
    wire.offers, wire.attaching = offers, wait_for_ever
    with pytest.raises(LinkError, match=r"fake:x did not answer within 0\.001 s"):
        async with connect(wire, "pump", Pump, timeout=0.001):
            pass
    assert wire.sessions[0].closed


async def test_a_host_that_cannot_be_reached_in_time_is_told_as_its_last_error() -> None:
    wire = FakeWire("tcp://192.0.2.7:1")
    wire.failures = [LinkError("refused")] * 100_000
    with pytest.raises(LinkError, match="refused"):
        async with connect(wire, "pump", Pump, timeout=0.001):
            pass


async def test_no_time_at_all_is_one_attempt() -> None:
    wire = FakeWire()
    wire.failures = [LinkError("refused")]
    with pytest.raises(LinkError, match="refused"):
        async with connect(wire, "pump", Pump, timeout=0):
            pass
    assert wire.attempts == 1
    async with connect(wire, "pump", Pump, timeout=0) as replica:
        assert link_of(replica).state is ReplicaState.VALID


async def test_without_a_timeout_it_waits_for_ever() -> None:
    wire = FakeWire()
    wire.failures = [LinkError("refused")] * 20
    async with connect(wire, "pump", Pump, timeout=None) as replica:
        assert link_of(replica).state is ReplicaState.VALID


async def test_the_reason_why_a_link_ends_before_the_replica_is_valid_is_told() -> None:
    wire = FakeWire()

    async def ends(_: ReplicaLink) -> None:
        lose(wire)
        await asyncio.Event().wait()

    wire.attaching = ends
    with pytest.raises(LinkError, match="cable broke"):
        async with connect(wire, "pump", Pump, timeout=0.001):
            pass


async def test_a_peer_that_speaks_another_protocol_is_a_link_error_to_the_user() -> None:
    wire = FakeWire()
    wire.failures = [RemoteProtocolError("gibberish")]
    with pytest.raises(LinkError, match="pump at fake:x did not become valid: gibberish"):
        async with connect(wire, "pump", Pump, timeout=0):
            pass


async def test_an_object_of_another_shape_is_a_mismatch() -> None:
    wire = FakeWire()

    async def mismatch(_: ReplicaLink) -> None:
        raise SignatureMismatch("pump is not a Pump:", ("property speed is missing",))

    wire.attaching = mismatch
    with pytest.raises(SignatureMismatch, match="property speed is missing"):
        async with connect(wire, "pump", Pump):
            pass
    assert wire.sessions[0].closed


async def test_a_mistake_of_the_wire_is_raised_at_once() -> None:
    wire = FakeWire()
    wire.failures = [LookupError("a bug")]
    with pytest.raises(LookupError, match="a bug"):
        async with connect(wire, "pump", Pump, timeout=None):
            pass


async def test_a_mistake_of_the_wire_later_on_is_reported(loop_reports: LoopReports) -> None:
    wire = FakeWire()
    async with connect(wire, "pump", Pump):
        wire.failures = [LookupError("a bug")]
        lose(wire)
        while not loop_reports:
            await asyncio.sleep(0)
    report = loop_reports.pop()
    assert isinstance(report["exception"], LookupError)
    assert report["message"] == "a task of a node failed"


async def test_a_connection_is_entered_once() -> None:
    connection = connect(FakeWire(), "pump", Pump)
    async with connection:
        with pytest.raises(LocalProtocolError, match="make a new one"):
            await connection.__aenter__()


async def test_cancelling_while_connecting_leaves_nothing_behind() -> None:
    wire = FakeWire()
    wire.attaching = wait_for_ever
    task = asyncio.create_task(connect(wire, "pump", Pump).__aenter__())
    while not wire.patience:
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert wire.sessions[0].closed


async def test_coroutine_functions_connected_to_a_replica_run_on_the_node_of_the_block() -> None:
    heard = asyncio.Event()

    async def note(drops: int) -> None:
        heard.set()

    async with Node() as node, connect(FakeWire(), "pump", Pump) as replica:
        assert link_of(replica).home is node
        replica.dripped.connect(note)
        replica.dripped.deliver((1,))
        await heard.wait()
    async with connect(FakeWire(), "pump", Pump) as replica:
        heard.clear()
        replica.dripped.connect(note)
        replica.dripped.deliver((1,))
        await heard.wait()


async def test_a_task_that_outlives_the_nodes_block_connects_with_a_home_of_its_own() -> None:
    over = asyncio.Event()

    async def connect_later() -> bool:
        await over.wait()
        async with connect(FakeWire(), "pump", Pump) as replica:
            return link_of(replica).home is not node

    async with Node() as node:
        task = asyncio.ensure_future(connect_later())
        await asyncio.sleep(0)
    over.set()
    assert await task
