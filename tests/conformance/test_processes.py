"""Peers in other processes that stop reading, or die: law 11, and links that come back."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable

import pytest

from everywire import Code, Fault, Limits, ReplicaState
from everywire.runtime.limits import KIB, MIB, SlowPeer
from tests.conformance.plant import Counters, Feeder, States
from tests.conformance.programs import HOST, LISTENER, resident_bytes, started
from tests.conformance.wires import Place

BLOCK = 64 * KIB
LIMITS = Limits(drain=0.0, unsent_soft=256 * KIB, unsent_hard=2 * MIB)
SLACK = 16 * MIB
"""What else may grow at first: the allocator's fragments, buffers of TLS, the block itself. 2000 rounds are 136 MiB."""


async def feed(feeder: Feeder, witness: Counters, rounds: range) -> float:
    """Change the block and emit a signal in each round; return the longest that another replica waited."""
    loop, longest = asyncio.get_running_loop(), 0.0
    for number in rounds:
        feeder.block = bytes([number % 256]) * BLOCK
        feeder.crumbled.emit(number, bytes(4 * KIB))
        feeder.serial = number + 1
        if number % 20 == 0:
            begun = loop.time()
            await witness.settle()
            longest = max(longest, loop.time() - begun)
    return longest


@pytest.mark.loops("asyncio", "uvloop")
async def test_a_stalled_peer_costs_at_most_its_limit(
    far_place: Place,
    loop_kind: str,
    soak: Callable[[int, int], int],
    record_property: Callable[[str, object], None],
) -> None:
    """Law 11: a stopped process is told the newest values when it goes on, and how many signals it has missed.

    Where something between them keeps what it does not read, none of them is missed, at the cost of that something.
    """
    rounds, feeder = soak(2000, 20_000), Feeder()
    async with far_place.hosting(feeder=feeder, counters=Counters(), limits=LIMITS):
        with started(LISTENER, loop_kind, far_place.url, rounds) as child:
            assert await child.line() == "ready"
            async with far_place.connect("counters", Counters) as witness:
                child.stop()
                gc.collect()
                before = resident_bytes()
                longest = await feed(feeder, witness, range(rounds // 2))
                half_way = resident_bytes()
                longest = max(longest, await feed(feeder, witness, range(rounds // 2, rounds)))
                growth, late_growth = half_way - before, resident_bytes() - half_way
                child.go_on()
                gap, heard, size, last = map(int, (await child.line()).split())
    record_property("MiB grown in the first and second half, hard limit 2", (growth / MIB, late_growth / MIB))
    record_property("longest wait of another replica in ms", round(longest * 1000, 1))
    assert growth < LIMITS.unsent_hard + SLACK
    assert late_growth < 2 * MIB
    assert (size, last) == (BLOCK, (rounds - 1) % 256)
    assert (gap == 0) is far_place.wire.relayed
    assert gap + heard == rounds
    assert longest < 1.0


async def test_a_stalled_peer_is_cut_where_the_policy_says_so(far_place: Place) -> None:
    limits = Limits(drain=0.0, unsent_soft=64 * KIB, unsent_hard=256 * KIB, slow_peer=SlowPeer.DISCONNECT)
    feeder = Feeder()
    async with far_place.hosting(feeder=feeder, counters=Counters(), limits=limits):
        with started(LISTENER, "asyncio", far_place.url, 500) as child:
            assert await child.line() == "ready"
            async with far_place.connect("counters", Counters) as witness:
                child.stop()
                await feed(feeder, witness, range(500))
                child.go_on()
                gap, heard, size, last = map(int, (await child.line()).split())
                assert (gap, size, last) == (0, BLOCK, 499 % 256)
                if far_place.wire.relayed:
                    assert heard == 500, "what is between them reads, and is not cut"
                else:
                    assert heard < 500, "it was cut, and has come back to the present values"


@pytest.mark.loops("asyncio", "uvloop")
async def test_calls_fail_within_a_second_when_the_host_is_killed_and_a_new_one_is_found(
    far_place: Place, loop_kind: str, record_property: Callable[[str, object], None]
) -> None:
    loop = asyncio.get_running_loop()
    with started(HOST, loop_kind, far_place.listen) as host:
        far_place.moved(await host.line())
        async with far_place.connect("feeder", Feeder) as feeder, far_place.connect("counters", Counters) as counters:
            states = States(feeder)
            pending = [feeder.hang() for _ in range(5)]
            await feeder.settle()
            host.kill()
            killed = loop.time()
            ends = await asyncio.gather(*pending, return_exceptions=True)
            took = loop.time() - killed
            record_property("ms until calls failed after SIGKILL", round(took * 1000, 1))
            assert [end.code for end in ends if isinstance(end, Fault)] == [Code.UNAVAILABLE] * 5
            assert took < 1.0
            await states.reached(ReplicaState.SUSPECT)
            with started(HOST, loop_kind, far_place.listen) as again:
                far_place.moved(await again.line())
                await states.reached(ReplicaState.VALID)
                assert await feeder.settle() == 0
                await States(counters).reached(ReplicaState.VALID)
                await counters.settle()


async def test_a_client_that_is_killed_costs_the_host_nothing(far_place: Place) -> None:
    feeder = Feeder()
    async with far_place.hosting(feeder=feeder) as node, far_place.connect("feeder", Feeder) as honest:
        with started(LISTENER, "asyncio", far_place.url, 5) as child:
            assert await child.line() == "ready"
            child.kill()
        feeder.serial = 3
        assert await honest.settle() == 3
        assert honest.serial == 3
        assert node.published
