from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

import pytest

from everywire import Fault, Limits
from everywire.runtime.limits import SlowPeer
from everywire.runtime.outbox import FRAME_OVERHEAD, TURN_FRAMES, Outbox, Turn


class Turns:
    """A loop's `call_soon` in slow motion: a turn ends when the test says so."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], None]] = []

    def __call__(self, callback: Callable[[], None]) -> None:
        self.waiting.append(callback)

    def end(self) -> None:
        waiting, self.waiting = self.waiting, []
        for callback in waiting:
            callback()


class Peer:
    """Keeps what is written; congests its outbox with each write while `slow`."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.turns = Turns()
        self.written: list[bytes] = []
        self.gaps: list[int] = []
        self.aborted = False
        self.slow = False
        self.outbox = Outbox(self, limits or Limits(), self.turns, self.gaps.append)

    def write(self, data: bytes) -> None:
        self.written.append(data)
        if self.slow:
            self.outbox.pause()

    def abort(self) -> None:
        self.aborted = True


def hard(frames: int, size: int = 1, slow_peer: SlowPeer = SlowPeer.DROP_OLDEST) -> Limits:
    """Limits that hold so many waiting frames of *size* bytes."""
    return Limits(unsent_hard=frames * (size + FRAME_OVERHEAD), slow_peer=slow_peer)


def test_the_first_frame_of_a_turn_leaves_at_once_and_the_rest_in_one_write() -> None:
    peer = Peer()
    peer.outbox.put(b"1")
    assert peer.written == [b"1"]
    peer.outbox.put_signal(b"2")
    peer.outbox.put_change("key", b"3")
    peer.outbox.put(b"4")
    assert peer.written == [b"1"]
    peer.turns.end()
    assert peer.written == [b"1", b"234"]
    peer.outbox.put(b"5")
    assert peer.written == [b"1", b"234", b"5"]


def test_a_turn_without_more_frames_ends_without_a_write() -> None:
    peer = Peer()
    peer.outbox.put(b"1")
    peer.turns.end()
    assert peer.written == [b"1"]


def test_frames_collected_from_begin_to_flush_are_one_write() -> None:
    peer = Peer()
    peer.outbox.begin()
    peer.outbox.put_signal(b"1")
    peer.outbox.frames.append(b"2")
    peer.outbox.put(b"3")
    assert peer.written == []
    peer.outbox.flush()
    assert peer.written == [b"123"]


def test_joined_frames_wait_for_the_end_of_the_turn() -> None:
    peer = Peer()
    peer.outbox.join(b"1")
    peer.outbox.join(b"2")
    peer.outbox.put(b"3")
    assert peer.written == []
    peer.turns.end()
    assert peer.written == [b"123"]


def test_frames_appended_by_a_hot_path_go_before_a_later_put() -> None:
    peer = Peer()
    peer.outbox.frames.append(b"1")
    peer.outbox.put(b"2")
    peer.turns.end()
    assert peer.written == [b"12"]


def test_a_long_burst_is_written_in_parts_so_that_the_peers_pace_is_noticed() -> None:
    peer = Peer()
    peer.outbox.begin()
    for _ in range(TURN_FRAMES):
        peer.outbox.put_signal(b"x")
    assert peer.written == [b"x" * TURN_FRAMES]
    peer.slow = True
    for _ in range(TURN_FRAMES + 1):
        peer.outbox.put_signal(b"y")
    assert peer.outbox.congested
    assert peer.outbox.waiting_bytes == 1 + FRAME_OVERHEAD


def test_while_congested_a_property_waits_once_in_its_first_place_with_its_newest_value() -> None:
    peer = Peer()
    peer.outbox.pause()
    peer.outbox.put_change("a", b"a1 ")
    peer.outbox.put_signal(b"signal ")
    peer.outbox.put_change("b", b"b1 ")
    peer.outbox.put_change("a", b"a2 ")
    peer.outbox.put(b"reply ")
    peer.outbox.join(b"joined ")
    assert peer.written == []
    peer.outbox.resume()
    assert peer.written == [b"a2 signal b1 reply joined "]
    assert peer.outbox.waiting_bytes == 0


def test_without_congestion_every_value_of_a_property_is_sent() -> None:
    peer = Peer()
    peer.outbox.put_change("a", b"1")
    peer.outbox.put_change("a", b"2")
    peer.turns.end()
    assert peer.written == [b"1", b"2"]


def test_frames_of_the_turn_in_which_congestion_began_wait_in_order() -> None:
    peer = Peer()
    peer.outbox.begin()
    peer.outbox.put(b"1")
    peer.outbox.pause()
    peer.outbox.flush()
    peer.outbox.put(b"2")
    assert peer.written == []
    peer.outbox.resume()
    assert peer.written == [b"12"]


def test_above_the_hard_limit_the_oldest_signals_are_dropped_counted_and_told_first() -> None:
    peer = Peer(hard(3))
    peer.outbox.pause()
    for frame in (b"1", b"2", b"3", b"4", b"5"):
        peer.outbox.put_signal(frame)
    assert peer.outbox.dropped == 2
    assert peer.outbox.waiting_bytes == 3 * (1 + FRAME_OVERHEAD)
    peer.outbox.resume()
    assert peer.gaps == [2]
    assert peer.written == [b"345"]
    assert peer.outbox.dropped == 0
    assert not peer.aborted


def test_a_gap_is_told_once() -> None:
    peer = Peer(hard(1))
    peer.outbox.pause()
    peer.outbox.put_signal(b"1")
    peer.outbox.put_signal(b"2")
    peer.outbox.resume()
    peer.outbox.pause()
    peer.outbox.resume()
    assert peer.gaps == [1]


def test_replies_and_properties_are_never_dropped_for_signals() -> None:
    peer = Peer(hard(3))
    peer.outbox.pause()
    peer.outbox.put(b"R")
    peer.outbox.put_change("key", b"P")
    for _ in range(50):
        peer.outbox.put_signal(b"s")
    assert peer.outbox.dropped == 49
    peer.outbox.resume()
    assert peer.written == [b"RPs"]


def test_replies_alone_may_pass_the_hard_limit_because_the_link_is_not_read() -> None:
    peer = Peer(hard(2))
    peer.outbox.pause()
    for _ in range(10):
        peer.outbox.put(b"R")
    assert not peer.aborted
    peer.outbox.resume()
    assert peer.written == [b"R" * 10]


def test_a_link_is_cut_when_dropping_signals_frees_too_little() -> None:
    peer = Peer(hard(2))
    peer.outbox.pause()
    peer.outbox.put_signal(b"s")
    peer.outbox.put_change("key", b"x" * 10_000)
    assert peer.aborted
    assert peer.outbox.waiting_bytes == 0
    peer.outbox.resume()
    assert peer.written == []


def test_a_link_is_cut_when_too_many_notices_wait() -> None:
    peer = Peer(hard(2))
    peer.outbox.put_notice(b"at once")
    peer.outbox.pause()
    for _ in range(2):
        peer.outbox.put_notice(b"N")
    assert not peer.aborted
    peer.outbox.put_notice(b"N")
    assert peer.aborted
    assert peer.written == [b"at once"]


def test_the_policy_disconnect_cuts_at_the_hard_limit_and_drops_nothing_before() -> None:
    peer = Peer(hard(2, slow_peer=SlowPeer.DISCONNECT))
    peer.outbox.pause()
    peer.outbox.put_signal(b"1")
    peer.outbox.put_signal(b"2")
    assert not peer.aborted
    peer.outbox.put_signal(b"3")
    assert peer.aborted
    assert peer.outbox.dropped == 0


def test_what_waits_is_written_only_as_fast_as_the_peer_takes_it() -> None:
    peer = Peer(Limits(unsent_soft=3))
    peer.outbox.pause()
    for number in range(5):
        peer.outbox.put_signal(b"%02d" % number)
    peer.slow = True
    peer.outbox.resume()
    assert peer.written == [b"0001"]
    assert peer.outbox.congested
    peer.slow = False
    peer.outbox.resume()
    assert peer.written == [b"0001", b"0203", b"04"]
    assert peer.outbox.waiting_bytes == 0


def test_signals_that_were_written_are_not_dropped_again() -> None:
    peer = Peer(Limits(unsent_soft=1, unsent_hard=2 * (1 + FRAME_OVERHEAD)))
    peer.outbox.pause()
    peer.slow = True
    for number in range(40):
        peer.outbox.put_signal(b"%d" % (number % 10))
        peer.outbox.put_signal(b"-")
        peer.outbox.resume()
        peer.outbox.resume()
    assert peer.gaps == []
    assert peer.outbox.dropped == 0
    assert len(peer.written) == 80
    assert not peer.outbox._signals


def test_without_anybody_to_tell_the_count_of_a_gap_stays() -> None:
    peer = Peer(hard(1))
    outbox = Outbox(peer, hard(1), peer.turns)
    outbox.pause()
    outbox.put_signal(b"1")
    outbox.put_signal(b"2")
    outbox.resume()
    assert outbox.dropped == 1


def test_what_several_links_get_leaves_in_one_write_at_the_end_of_the_turn() -> None:
    peer = Peer()
    peer.outbox.put_change("key", b"1", alone=False)
    peer.outbox.put_signal(b"2", alone=False)
    peer.outbox.put(b"3")
    assert peer.written == []
    peer.turns.end()
    assert peer.written == [b"123"]


def test_a_long_turn_of_several_links_is_written_in_parts() -> None:
    peer = Peer()
    for _ in range(TURN_FRAMES + 1):
        peer.outbox.put_signal(b"x", alone=False)
    assert peer.written == [b"x" * TURN_FRAMES]
    peer.turns.end()
    assert peer.written[1:] == [b"x"]


def test_the_turns_of_several_links_end_in_one_callback_in_their_order() -> None:
    turns = Turns()
    turn = Turn(turns)
    ended: list[int] = []
    for number in range(3):
        turn.call_soon(partial(ended.append, number))
    assert len(turns.waiting) == 1
    turns.end()
    assert ended == [0, 1, 2]
    turn.call_soon(partial(ended.append, 3))
    turns.end()
    assert ended == [0, 1, 2, 3]


async def test_on_a_loop_the_frames_of_a_turn_are_flushed_by_themselves() -> None:
    peer = Peer()
    outbox = Outbox(peer, Limits(), asyncio.get_running_loop().call_soon)
    outbox.put(b"1")
    outbox.put(b"2")
    await asyncio.sleep(0)
    assert peer.written == [b"1", b"2"]


def test_a_call_is_held_while_the_peer_does_not_read_and_refused_beyond_the_hard_limit() -> None:
    peer = Peer(Limits(unsent_hard=200))
    peer.outbox.pause()
    peer.outbox.first(b"one")
    peer.outbox.join(b"two" * 20)
    with pytest.raises(Fault, match="RESOURCE_EXHAUSTED") as refused:
        peer.outbox.first(b"three")
    assert not refused.value.may_have_run
    peer.outbox.resume()
    peer.outbox.first(b"four")
    assert b"".join(peer.written) == b"one" + b"two" * 20 + b"four"


def test_a_gap_is_told_first_also_in_a_turn_that_has_written_already() -> None:
    peer = Peer()
    outbox = Outbox(peer, hard(1), peer.turns, lambda signals: outbox.put(b"gap %d " % signals))
    outbox.put(b"before ")
    outbox.pause()
    outbox.put_signal(b"1")
    outbox.put_signal(b"2")
    outbox.resume()
    assert peer.written == [b"before ", b"gap 1 ", b"2"]


def test_the_end_of_one_links_turn_that_raises_stops_no_other() -> None:
    turns = Turns()
    turn = Turn(turns)
    ended: list[int] = []

    def fail() -> None:
        raise KeyboardInterrupt

    for end in (partial(ended.append, 0), fail, partial(ended.append, 1), partial(ended.append, 2)):
        turn.call_soon(end)
    with pytest.raises(KeyboardInterrupt):
        turns.end()
    turns.end()
    assert ended == [0, 1, 2]
    assert turns.waiting == []
