"""Each limit has a test on this wire; this module names it, and has those that are nowhere else."""

from __future__ import annotations

import ast
import asyncio
import dataclasses
from pathlib import Path
from typing import Final

from everywire import Limits, Node, Object, Policy, Role, connect, slot
from everywire.remoteobjects.codec import AddObject, InitDynamic, Ping, encode_packet
from everywire.runtime.limits import DEFAULT_LIMITS, KIB, MIB
from tests.remoteobjects.peers import raw_node
from tests.remoteobjects.promises.conftest import Figures

ROOT: Final = Path(__file__).resolve().parents[3]

HELD_BY: Final = {
    "frame_before_authentication": "remoteobjects/test_before_login.py"
    "::test_before_a_login_a_large_frame_cuts_the_link",
    "frame": "remoteobjects/test_serving.py::test_a_frame_limit_of_the_node_holds",
    "unsent_soft": "remoteobjects/test_serving.py::test_a_peer_that_does_not_read_its_answers_is_not_read_either",
    "unsent_hard": "remoteobjects/promises/test_stalled.py"
    "::test_a_stopped_replica_costs_at_most_the_outbox_limit_and_hears_what_it_missed",
    "write_deadline": "runtime/test_inbound.py"
    "::test_a_peer_that_stays_slow_past_the_write_deadline_is_cut_when_the_limits_say_so",
    "slow_peer": "conformance/test_processes.py::test_a_stalled_peer_is_cut_where_the_policy_says_so",
    "handshake": "remoteobjects/test_session.py::test_a_host_that_says_nothing_is_left_after_the_handshake_limit",
    "connections": "remoteobjects/promises/test_silent.py"
    "::test_silent_connections_to_an_open_host_make_room_for_others",
    "connections_per_user": "remoteobjects/test_serving.py::test_each_user_has_a_limited_number_of_connections",
    "connections_per_address": "transport/test_listening.py::test_peers_are_counted_by_uid_or_remote_address",
    "strangers": "remoteobjects/promises/test_silent.py::test_who_does_not_log_in_is_one_of_few_and_soon_gone",
    "pending_calls": "remoteobjects/promises/test_limits.py::test_a_link_has_a_limited_number_of_running_slots",
    "objects_per_link": "remoteobjects/test_serving.py::test_a_link_attaches_to_a_limited_number_of_objects",
    "children": "runtime/test_children.py::test_children_are_counted_wherever_they_are",
    "depth": "laws/test_bounds.py::test_a_value_nested_too_deep_breaks_the_link_instead_of_the_stack",
    "calls_per_second": "runtime/test_inbound.py"
    "::test_a_remote_peer_is_slowed_to_its_rate_by_not_reading_and_loses_no_call",
    "calls_burst": "runtime/test_inbound.py::test_a_remote_peer_is_slowed_to_its_rate_by_not_reading_and_loses_no_call",
    "drain": "runtime/test_node.py::test_a_slot_that_takes_too_long_is_cancelled_and_so_is_all_when_the_block_fails",
}
"""Limit -> the test that holds it."""


def test_each_limit_has_a_test() -> None:
    assert list(HELD_BY) == [field.name for field in dataclasses.fields(Limits)]
    for limit, test in HELD_BY.items():
        file, _, name = test.partition("::")
        tree = ast.parse((ROOT / "tests" / file).read_text(encoding="utf-8"))
        names = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
        assert name in names, f"{limit}: there is no {test}"


class Desk(Object):
    """Holds whoever calls."""

    def __init__(self) -> None:
        self.begun = 0
        self.news = asyncio.Event()
        self.over = asyncio.Event()

    @slot
    async def hold(self) -> int:
        self.begun += 1
        self.news.set()
        await self.over.wait()
        return self.begun


async def test_a_link_has_a_limited_number_of_running_slots(folder: Path, figure: Figures) -> None:
    """The calls above it wait where they are: in the peer, for the link is not read."""
    desk, count = Desk(), 5 * DEFAULT_LIMITS.pending_calls
    async with Node(limits=Limits(drain=0.0)) as node:
        node.publish(desk, "desk")
        (url,) = await node.serve(f"local:{folder}/host")
        async with connect(url, "desk", Desk) as busy, connect(url, "desk", Desk) as other:
            calls = [busy.hold() for _ in range(count)]
            while desk.begun < DEFAULT_LIMITS.pending_calls:
                desk.news.clear()
                await desk.news.wait()
            beside = other.hold()
            while desk.begun < DEFAULT_LIMITS.pending_calls + 1:
                desk.news.clear()
                await desk.news.wait()
            running = desk.begun - 1
            figure("calls made", count)
            figure("slots of one link that run", running, at_most=DEFAULT_LIMITS.pending_calls)
            desk.over.set()
            assert len(await asyncio.gather(*calls, beside)) == count + 1


async def test_frames_up_to_the_limit_are_taken_and_one_byte_more_is_not(folder: Path, figure: Figures) -> None:
    limit = DEFAULT_LIMITS.frame
    name = "x" * ((limit - 6) // 2)
    largest = encode_packet(Ping(name))
    assert len(largest) == limit + 4
    async with Node(limits=Limits(drain=0.0)) as node:
        node.publish(Desk(), "desk")
        (url,) = await node.serve(f"local:{folder}/host")
        async with raw_node(url) as peer:
            await peer.send(largest)
            await peer.fence("the largest")
        async with raw_node(url) as peer:
            await peer.send((limit + 1).to_bytes(4, "little"))
            await peer.ended()
        assert node.refusals["protocol"] == 1
    figure("bytes of the largest frame that is taken", limit / MIB, "MiB", at_most=4)


async def test_a_stranger_may_send_small_frames_only(folder: Path, figure: Figures) -> None:
    limit = DEFAULT_LIMITS.frame_before_authentication
    async with Node(limits=Limits(drain=0.0), policy=Policy(role=lambda _: Role.STRANGER)) as node:
        node.publish(Desk(), "desk")
        (url,) = await node.serve(f"local:{folder}/host")
        async with raw_node(url) as peer:
            await peer.send((limit + 1).to_bytes(4, "little"))
            await peer.ended()
    figure("bytes of the largest frame of a stranger", limit / KIB, "KiB", at_most=16)


async def test_attaching_again_and_again_is_one_listener(folder: Path, figure: Figures) -> None:
    desk = Desk()
    async with Node(limits=Limits(drain=0.0)) as node:
        node.publish(desk, "desk")
        (url,) = await node.serve(f"local:{folder}/host")
        async with raw_node(url) as peer:
            for _ in range(100):
                await peer.send(AddObject("desk", dynamic=True))
                await peer.find(InitDynamic)
            (server,) = node._servers
            (hosted,) = server.hosted.values()  # type: ignore[attr-defined]
            figure("listeners after 100 requests of one link", len(hosted.links), at_most=1)
