"""A host that says what it should not: the replica keeps what it has, or its link ends by name and comes back."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from everywire import ReplicaState, link_of, sync
from everywire.remoteobjects.codec import (
    Handshake,
    InvokeReply,
    ObjectInfo,
    ObjectList,
    Packet,
    Pong,
    PropertyChange,
    RemoveObject,
    encode_packet,
)
from everywire.remoteobjects.codec.extension import Told, tell
from everywire.remoteobjects.engine import MOST_LISTED
from tests.conformance.plant import Counters, Tap
from tests.conformance.wires import Place
from tests.sync.hosts import Host, hosting


@pytest.fixture(name="host")
def hosted(place: Place) -> Iterator[Host]:
    with hosting(place, counters=Counters(), tap=Tap()) as host:
        yield host


def say(host: Host, *frames: bytes | Packet) -> None:
    """Send *frames* on every link of the host."""

    def send() -> None:
        server: Any = host.node._servers[0]
        for session in tuple(server.sessions):
            for frame in frames:
                session.outbox.put(frame if isinstance(frame, bytes) else encode_packet(frame))

    host.do(send)


def state_of(replica: Any) -> ReplicaState:
    return link_of(replica).state


def test_a_value_that_does_not_fit_is_left_out(place: Place, host: Host, caplog: pytest.LogCaptureFixture) -> None:
    with sync.connect(place.url, "counters", Counters) as counters, caplog.at_level(logging.WARNING):
        say(host, PropertyChange("counters", 0, "not a number"), PropertyChange("counters", 1, 7))
        sync.until(lambda: counters.second == 7, 5)
        assert (counters.first, state_of(counters)) == (0, ReplicaState.VALID)
    assert "sent a value that does not fit: " in caplog.text


def test_what_is_for_nobody_is_passed_over(place: Place, host: Host) -> None:
    with sync.connect(place.url, "counters", Counters) as counters:
        say(
            host,
            Pong("whatever"),
            Pong("everywire/1!"),
            RemoveObject("other"),
            PropertyChange("other", 0, 1),
            PropertyChange("counters", 99, 1),
            InvokeReply("counters", 12345, 1),
            tell(Told.ITEM, 99, 1),
            tell(Told.END, 99),
            tell(Told.FAILED, 99, 5, "x"),
            PropertyChange("counters", 1, 7),
        )
        sync.until(lambda: counters.second == 7, 5)
        assert sync.run(counters.settle()) is None
        assert state_of(counters) is ReplicaState.VALID


def test_lost_signals_are_counted(place: Place, host: Host) -> None:
    with sync.connect(place.url, "counters", Counters) as counters:
        say(host, tell(Told.GAP, 5), tell(Told.GAP, 2))
        sync.until(lambda: link_of(counters).gap == 7, 5)


def endless_list() -> bytes:
    entries = tuple(ObjectInfo(f"object{number}", "T", "") for number in range(MOST_LISTED + 1))
    return encode_packet(ObjectList(entries))


NONSENSE: dict[str, Any] = {
    "a second handshake": lambda: encode_packet(Handshake("QtRO 2.0")),
    "a frame without end": lambda: b"\xff\xff\xff\xff",
    "too many objects": endless_list,
    "ones": lambda: b"\x01" * 100,
}


@pytest.mark.parametrize("nonsense", NONSENSE.values(), ids=NONSENSE)
def test_nonsense_ends_the_link_which_comes_back(place: Place, host: Host, nonsense: Any) -> None:
    states: list[ReplicaState] = []
    with sync.connect(place.url, "counters", Counters) as counters:
        link_of(counters).state_changed.connect(states.append)
        waiting = counters.settle()
        sync.run(waiting)
        say(host, nonsense())
        sync.until(lambda: len(states) == 2, 10)
        assert states == [ReplicaState.SUSPECT, ReplicaState.VALID]
        sync.run(counters.settle())


def test_more_items_than_were_granted_end_the_stream(place: Place, host: Host) -> None:
    with sync.connect(place.url, "tap", Tap) as tap:
        numbers = sync.iterate(tap.waiting())
        assert next(numbers) == 0
        say(host, *[tell(Told.ITEM, 1, number) for number in range(65)])
        while sync.process(0.05):
            pass
        assert [next(numbers) for _ in range(64)] == list(range(64))
        with pytest.raises(Exception, match="more items of a stream than it was granted"):
            next(numbers)


def test_an_item_that_does_not_fit_ends_the_stream(place: Place, host: Host) -> None:
    with sync.connect(place.url, "tap", Tap) as tap:
        numbers = sync.iterate(tap.waiting())
        assert next(numbers) == 0
        say(host, tell(Told.ITEM, 1, "text"))
        with pytest.raises(TypeError):
            next(numbers)
