"""Taking the samples of the suite `rpc`, round by round; what they mean is said in report.py.

Every peer gets fresh processes in every round, because the state of a process (above all of its allocator) decides as
much as its code. The order is shuffled in every round, so that a slow minute of the machine does not hit one peer only.
"""

from __future__ import annotations

import random
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Protocol, get_args

from benchmarks import machine
from benchmarks.peer import Missing
from benchmarks.peers import PEERS
from benchmarks.processes import Failed, Role
from benchmarks.role import Mode, Order, Sample

Placement = Literal["same", "two", "unpinned"]

DEPTH: Final = 64
FOREIGN_LIMIT: Final = 0.15
"""Cores of foreign load above which a sample is taken again."""
ATTEMPTS: Final = 3


class Sampler(Protocol):
    """The part of a client role that samples need."""

    def sample(self, order: Order) -> Sample:
        """Take one."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is measured, how often and for how long."""

    peers: Sequence[str] = tuple(PEERS)
    placements: Sequence[Placement] = get_args(Placement)
    rounds: int = 7
    seconds: float = 0.2
    warm_up: float = 0.05
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """One sample, or the reason why there is none."""

    peer: str
    placement: Placement
    round: int
    mode: Mode
    sample: Sample | None
    problem: str = ""


def pinning(placement: Placement, cores: Sequence[int]) -> tuple[Sequence[int], Sequence[int]]:
    """The cores of server and client, none meaning the scheduler's choice. Raises Missing with too few cores."""
    if placement == "unpinned":
        return (), ()
    if placement == "same":
        return cores[:1], cores[:1]
    if len(cores) < 2:
        raise Missing("this machine gives us one core")
    return cores[:1], cores[1:2]


def run(plan: Plan) -> Iterator[Outcome]:
    """Take all samples of the plan, one pair of processes after the other."""
    order = random.Random(plan.seed)
    for number in range(plan.rounds):
        pairs: list[tuple[str, Placement]] = [(peer, placement) for peer in plan.peers for placement in plan.placements]
        order.shuffle(pairs)
        for peer, placement in pairs:
            yield from _pair(plan, number, peer, placement)
        print(f"round {number + 1} of {plan.rounds} done", file=sys.stderr)


def _pair(plan: Plan, number: int, peer: str, placement: Placement) -> Iterator[Outcome]:
    modes: tuple[Mode, ...] = get_args(Mode)
    try:
        server_cores, client_cores = pinning(placement, machine.cores())
        # A short name: the path of a Unix socket has 107 bytes (unix(7)).
        with (
            tempfile.TemporaryDirectory(prefix="rpc-") as name,
            Role("server", peer, Path(name), server_cores) as server,
        ):
            processes = server.ready()
            with Role("client", peer, Path(name), client_cores) as client:
                client.ready()
                for mode in modes:
                    order = Order(mode, plan.seconds, plan.warm_up, DEPTH, processes)
                    yield _outcome(client, order, peer, placement, number)
    except (Missing, Failed) as reason:
        for mode in modes:
            yield Outcome(peer, placement, number, mode, None, str(reason))


def _outcome(client: Sampler, order: Order, peer: str, placement: Placement, number: int) -> Outcome:
    try:
        return Outcome(peer, placement, number, order.mode, quietest(client, order))
    except (Missing, Failed) as reason:
        return Outcome(peer, placement, number, order.mode, None, str(reason))


def quietest(client: Sampler, order: Order) -> Sample:
    """The first undisturbed sample of at most three, else the least disturbed one: never the fastest one."""
    best = client.sample(order)
    for _ in range(ATTEMPTS - 1):
        if best.foreign <= FOREIGN_LIMIT:
            break
        best = min(best, client.sample(order), key=lambda sample: sample.foreign)
    return best
