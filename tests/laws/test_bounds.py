"""Law 4: limits are arguments of an engine, a bad length is noticed at once, and no declared length reserves memory."""

from __future__ import annotations

import gc
import struct
import tracemalloc
from typing import Any

import pytest

from everywire.remoteobjects.codec import CallKind, Invoke, UserTyped, encode_packet
from everywire.remoteobjects.engine import Broken, Engine, Skipped, invoke_head
from tests.laws.engines import HANDSHAKE, KINDS, LAYOUT, MAX_FRAME, NAME, SUBJECTS, HostRig, Rig, Subject

every_engine = pytest.mark.parametrize("subject", SUBJECTS, ids=str)
KIB = 1024


def grown(act: Any) -> int:
    """Return how many bytes more than before were allocated at the worst moment of *act*."""
    act()  # once before, so that caches are warm
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        act()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


@every_engine
@pytest.mark.parametrize("size", [0, 5, MAX_FRAME + 1, 2**24, 2**31 - 1, 2**31, 2**32 - 1])
def test_a_bad_frame_size_breaks_the_link_with_its_fourth_byte(subject: Subject, size: int) -> None:
    rig = subject.make()
    data = struct.pack("<I", size)
    assert rig.engine.receive_data(data[:3]) == []
    (event,) = rig.engine.receive_data(data[3:])
    assert type(event) is Broken
    assert str(size) in str(event.error)
    assert str(MAX_FRAME) in str(event.error)


@every_engine
def test_a_frame_of_the_largest_size_is_waited_for_and_costs_what_has_arrived(subject: Subject) -> None:
    def act() -> None:
        rig = subject.make()
        assert rig.engine.receive_data(struct.pack("<IHI", MAX_FRAME, 6, 4)) == []
        assert rig.engine.receive_data(bytes(100)) == []

    assert grown(act) < 16 * KIB


@every_engine
def test_many_small_chunks_of_one_frame_cost_little_more_than_the_frame(subject: Subject) -> None:
    rig = subject.make()
    rig.engine.receive_data(struct.pack("<I", MAX_FRAME))

    def act() -> None:
        for _ in range(1000):
            assert rig.engine.receive_data(bytes(1)) == []

    assert grown(act) < 256 * KIB


@pytest.mark.parametrize("limit", [64, 1000, 4 * KIB])
def test_the_frame_limit_is_an_argument(limit: int) -> None:
    fits, does_not = Engine(host=True, max_frame=limit), Engine(host=True, max_frame=limit)
    head = struct.pack("<H", 10)
    text = "x" * ((limit - 6) // 2)
    ping = head + struct.pack("<I", len(text) * 2) + text.encode("utf-16-le")
    assert len(ping) == limit
    assert [event.name for event in fits.receive_data(struct.pack("<I", limit) + ping)] == [text]
    assert type(does_not.receive_data(struct.pack("<I", limit + 1))[-1]) is Broken


def hostile_counts() -> dict[str, bytes]:
    """Frames that are small and claim to hold a lot: by the count or length at each place where there is one."""
    lot = struct.pack("<I", 2**31 - 1)
    name = struct.pack("<I", 4) + "it".encode("utf-16-le")
    call = struct.pack("<H", 6) + name + struct.pack("<ii", 0, LAYOUT.slots["echo_list_float"])
    null = b"\0"
    variant_list, variant_map, text, raw, strings = (struct.pack("<I", n) + null for n in (9, 8, 10, 12, 11))
    one = struct.pack("<I", 1)
    bodies = {
        "length of a name": struct.pack("<H", 10) + lot + b"ab",
        "count of arguments": call + lot,
        "length of a list": call + one + variant_list + lot,
        "length of a list in a list": call + one + variant_list + one + variant_list + lot,
        "length of a map": call + one + variant_map + lot,
        "length of a text": call + one + text + lot,
        "length of bytes": call + one + raw + lot,
        "length of a list of texts": call + one + strings + lot,
        "length of a type's name": call + one + struct.pack("<I", 65536) + null + lot,
    }
    return {what: struct.pack("<I", len(body) + 8) + body + bytes(8) for what, body in bodies.items()}


@pytest.mark.parametrize("what", hostile_counts())
@pytest.mark.parametrize("fast", [True, False], ids=["compiled", "general"])
def test_a_declared_count_reserves_no_memory(what: str, fast: bool) -> None:
    frame = hostile_counts()[what]

    def act() -> None:
        events = HostRig(fast=fast).engine.receive_data(frame)
        assert type(events[-1]) is Broken, what

    assert grown(act) < 64 * KIB


@pytest.mark.parametrize("depth", [70, 5000])
def test_a_value_nested_too_deep_breaks_the_link_instead_of_the_stack(depth: int) -> None:
    level = struct.pack("<I", 9) + b"\0" + struct.pack("<I", 1)
    head = invoke_head(NAME, CallKind.METHOD, LAYOUT.slots["echo_any"])
    body = head + struct.pack("<I", 1) + level * depth + struct.pack("<I", 2) + b"\0" + bytes(4) + bytes(8)
    (event,) = HostRig(fast=True).engine.receive_data(struct.pack("<I", len(body)) + body)
    assert type(event) is Broken


def test_a_long_sound_frame_is_as_good_as_a_short_one() -> None:
    value = "x" * (MAX_FRAME // 2 - 100)
    frame = encode_packet(Invoke(NAME, CallKind.METHOD, LAYOUT.slots["echo_str"], (value,), 1, -1))
    rig: Rig = HostRig(fast=True)
    events = [event for at in range(0, len(frame), 777) for event in rig.engine.receive_data(frame[at : at + 777])]
    assert [event.arguments for event in events] == [(value,)]


def test_a_host_greets_and_a_node_waits_for_the_greeting() -> None:
    host, node = Engine(host=True), Engine(host=False)
    assert host.data_to_send() == HANDSHAKE
    assert host.data_to_send() == node.data_to_send() == b""
    assert len(KINDS) > 30


def test_a_frame_that_comes_in_crumbs_costs_no_more_than_its_bytes() -> None:
    def act() -> None:
        rig: Rig = HostRig(fast=True)
        rig.engine.receive_data(struct.pack("<I", MAX_FRAME))
        for _ in range(MAX_FRAME // 2 - 1):
            assert rig.engine.receive_data(bytes(2)) == []

    assert grown(act) < 256 * KIB


@pytest.mark.parametrize("packet_id", [6, 7, 8])
def test_a_name_longer_than_its_frame_is_looked_at_once(packet_id: int) -> None:
    body = struct.pack("<HI", packet_id, 0xFFFFFFFF) + bytes(20)
    chunk = (struct.pack("<I", len(body)) + body) * 1000
    for fast in (True, False):
        (event,) = HostRig(fast=fast).engine.receive_data(chunk)
        assert type(event) is Broken


@every_engine
def test_a_broken_link_gives_back_what_it_was_sent(subject: Subject) -> None:
    """An error knows the frames of its functions, these the chunk and the events, of which it is one: a circle."""
    body = struct.pack("<HI", 6, 0xFFFFFFFF) + bytes(MAX_FRAME // 2)

    def act() -> None:
        for _ in range(20):
            events = subject.make().engine.receive_data(struct.pack("<I", len(body)) + body)
            assert type(events[-1]) is Broken

    gc.disable()  # it must not take a collection
    try:
        assert grown(act) < 10 * MAX_FRAME
    finally:
        gc.enable()


def test_a_frame_that_is_passed_by_is_given_back() -> None:
    """A peer may send values of types that nobody knows for as long as it likes."""
    unknown = UserTyped("Nobody::Knows", bytes(MAX_FRAME // 2))
    frame = encode_packet(Invoke(NAME, CallKind.METHOD, LAYOUT.slots["echo_any"], (unknown,), 1, -1))
    rig: Rig = HostRig(fast=True)

    def act() -> None:
        for _ in range(20):
            (event,) = rig.engine.receive_data(frame)
            assert type(event) is Skipped

    gc.disable()
    try:
        assert grown(act) < 5 * MAX_FRAME
    finally:
        gc.enable()
