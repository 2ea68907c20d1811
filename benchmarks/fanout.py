"""The suite `fanout`: a property's change, or a signal, to 1, 10 and 100 replicas of one process and to four processes.

Every replica has a connection of its own. A *burst* is a row of numbers, published so many per turn of the publisher's
loop; every replica must hear each of them, in order, and its rate counts from the first assignment until the last
replica has heard the last number. *Paced* is one number at a time, which is the moment it was sent at.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Final

from benchmarks import machine
from benchmarks.casts import DISTURBED, PLACEMENTS, Cast, interleaved
from benchmarks.figures import Spread, figure, markdown, rate, ratio
from benchmarks.options import choice, parser
from benchmarks.peer import Missing, WrongAnswer
from benchmarks.processes import Actor, Failed

SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Peer:
    """One way to publish and subscribe."""

    module: str
    kinds: tuple[str, ...]
    use: str
    packages: tuple[str, ...]
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What both of its roles are told."""


@dataclass(frozen=True, slots=True)
class Suite:
    """A set of peers, and the one that ratios refer to, by placement alike."""

    name: str
    peers: Mapping[str, Peer]
    base: str


PEERS: Final = {
    "everywire": Peer(
        "fanout_everywire",
        ("property", "signal"),
        "`local:`, publisher and subscribers on uvloop, gate and checks on",
        ("everywire", "uvloop", "msgspec"),
        {"loop": "uvloop"},
    ),
    "everywire-stock": Peer(
        "fanout_everywire",
        ("property", "signal"),
        "the same on the event loop of the standard library",
        ("everywire", "msgspec"),
        {"loop": "stock"},
    ),
    "pyside6": Peer(
        "fanout_pyside6",
        ("property", "signal"),
        "Qt Remote Objects over `local:`, RepFile source and replicas, a QRemoteObjectNode each",
        ("PySide6-Essentials", "PySide6-Addons"),
    ),
    "pyzmq": Peer("fanout_pyzmq", ("signal",), "XPUB and SUB over ipc, 8-byte messages, no limits", ("pyzmq",)),
}
FANOUT: Final = Suite("fanout", PEERS, "pyside6")
SHAPES: Final = {"1": (1, 1), "10": (1, 10), "100": (1, 100), "4 processes": (4, 1)}
"""Name -> subscriber processes and replicas in each."""


@dataclass(frozen=True, slots=True)
class Case:
    """What one set of processes measures."""

    peer: str
    shape: str
    placement: str


@dataclass(frozen=True, slots=True)
class Sample:
    """One burst and one paced row of one kind in one round, or why there is none."""

    case: Case
    kind: str
    round: int
    rate: float | None = None
    """Deliveries per second."""
    p50_us: float | None = None
    p99_us: float | None = None
    foreign: float = 0.0
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is measured, how often and how long."""

    peers: Sequence[str]
    shapes: Sequence[str]
    placements: Sequence[str]
    rounds: int
    deliveries: int
    per_turn: int
    paced: int
    interval: float
    seed: int


def main(arguments: Sequence[str]) -> int:
    """Measure as the options say, print the tables, write the JSON; 1 if there is no sample at all, else 0."""
    command = parser("fanout", __doc__, rounds=7, deliveries=2000, paced=10)
    command.add_argument("--peers", type=choice(tuple(PEERS)), default=tuple(PEERS), help=", ".join(PEERS))
    command.add_argument("--shapes", type=choice(tuple(SHAPES)), default=tuple(SHAPES), help=", ".join(SHAPES))
    command.add_argument("--placement", type=choice(tuple(PLACEMENTS)), default=tuple(PLACEMENTS))
    command.add_argument("--deliveries", type=int, default=40_000, help="of a burst, all replicas together")
    command.add_argument("--per-turn", type=int, default=100, help="changes per turn of the publisher's loop")
    command.add_argument("--paced", type=int, default=100, help="changes of a paced row")
    command.add_argument("--interval", type=float, default=0.002, help="seconds between them")
    options = command.parse(arguments)
    plan = Plan(
        peers=options.peers,
        shapes=options.shapes,
        placements=options.placement,
        rounds=options.rounds,
        deliveries=options.deliveries,
        per_turn=options.per_turn,
        paced=options.paced,
        interval=options.interval,
        seed=options.seed,
    )
    return measured(plan, FANOUT, options.json)


def measured(plan: Plan, suite: Suite, file: Path | None) -> int:
    """Take the samples, print the tables, write the JSON; 1 if there is no sample at all, else 0."""
    samples = run(plan, suite)
    packages = sorted({name for peer in plan.peers for name in suite.peers[peer].packages})
    facts = machine.facts() | machine.versions(packages)
    print(report(plan, samples, facts, suite))
    if file:
        written = {"suite": suite.name, "plan": asdict(plan), "machine": facts, "samples": list(map(asdict, samples))}
        file.write_text(json.dumps(written, indent=1), encoding="utf-8")
    return 0 if any(sample.rate for sample in samples) else 1


def run(plan: Plan, suite: Suite = FANOUT) -> list[Sample]:
    """Take all samples, each case with fresh processes in every round."""
    cases = [Case(*names) for names in _product(plan.peers, plan.shapes, plan.placements)]
    samples: list[Sample] = []
    for number, case in interleaved(cases, plan.rounds, plan.seed):
        peer = suite.peers[case.peer]
        kinds = peer.kinds
        try:
            with Cast(case.placement) as cast:
                audience = Performance(cast, case, peer)
                samples += [audience.sample(plan, kind, number) for kind in kinds]
        except (Missing, Failed) as reason:
            samples += [Sample(case, kind, number, problem=str(reason)) for kind in kinds]
    return samples


def _product(*names: Sequence[str]) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = [()]
    for column in names:
        found = [(*before, name) for before in found for name in column]
    return found


class Performance:
    """One publisher and its subscribers."""

    def __init__(self, cast: Cast, case: Case, peer: Peer) -> None:
        processes, replicas = SHAPES[case.shape]
        self._cast, self._case = cast, case
        self._replicas = processes * replicas
        self._publisher = cast.start(peer.module, "publisher", **peer.options)
        self._subscribers: list[Actor] = [
            cast.start(peer.module, "subscriber", replicas=replicas, **peer.options) for _ in range(processes)
        ]
        self._publisher.ask("attached", subscribers=self._replicas)
        self._first = 1

    def sample(self, plan: Plan, kind: str, number: int) -> Sample:
        """Warm up, then one burst and one paced row."""
        count = max(plan.deliveries // self._replicas, 10)
        self._burst(plan, kind, max(count // 4, 10))
        deliveries, foreign = self._cast.quietest(lambda: self._burst(plan, kind, count))
        (p50, p99), disturbed = self._cast.quietest(lambda: self._paced(plan, kind))
        return Sample(self._case, kind, number, deliveries, p50, p99, max(foreign, disturbed))

    def _burst(self, plan: Plan, kind: str, count: int) -> float:
        """Return the deliveries per second of one burst in which every replica heard every number."""
        for subscriber in self._subscribers:
            subscriber.ask("expect", first=self._first, count=count, stamped=False)
        begun = self._publisher.ask("burst", SECONDS, kind=kind, first=self._first, count=count, per_turn=plan.per_turn)
        self._first += count
        heard = [subscriber.answer("done", SECONDS) for subscriber in self._subscribers]
        for each in heard:
            if each["wrong"]:
                raise WrongAnswer(each["wrong"])
        return count * self._replicas / (max(each["at"] for each in heard) - begun) * 1e9

    def _paced(self, plan: Plan, kind: str) -> tuple[float, float]:
        """Return p50 and p99 of the time from sending to hearing, over all replicas, in us."""
        for subscriber in self._subscribers:
            subscriber.ask("expect", first=0, count=plan.paced, stamped=True)
        self._publisher.ask("paced", SECONDS, kind=kind, count=plan.paced, interval=plan.interval)
        heard = [subscriber.answer("done", SECONDS) for subscriber in self._subscribers]
        return median(each["p50_us"] for each in heard), max(each["p99_us"] for each in heard)


def report(plan: Plan, samples: Sequence[Sample], facts: dict[str, str], suite: Suite = FANOUT) -> str:
    """Everything a reader needs to judge the figures, tables included."""
    method = (
        f"One publisher, every replica with a connection of its own: {plan.rounds} rounds, fresh processes in every "
        f"round, order shuffled with seed {plan.seed}; bursts of {plan.deliveries:,} deliveries, {plan.per_turn} "
        "changes per turn of the loop, every delivery compared with what had to come; then "
        f"{plan.paced} changes, one every {plan.interval * 1000:g} ms; medians [lowest-highest] over the rounds."
    )
    parts = [
        method,
        "\n".join(f"* {name}: {value}" for name, value in facts.items()),
        *(_table(plan, samples, placement, suite) for placement in plan.placements),
        "\n".join(f"* {peer}: {suite.peers[peer].use}" for peer in plan.peers),
        DISTURBED,
    ]
    return "\n\n".join(parts) + "\n"


def _table(plan: Plan, samples: Sequence[Sample], placement: str, suite: Suite) -> str:
    against = f"x {suite.base}"
    heads = ("to replicas", "peer", "what", "deliveries/s", against, "paced p50 us", "p99 us", "foreign", "rounds")
    rows = [
        _row(samples, Case(peer, shape, placement), kind, suite.base)
        for kind in ("property", "signal")
        for shape in plan.shapes
        for peer in plan.peers
        if kind in suite.peers[peer].kinds
    ]
    return f"### {PLACEMENTS[placement]}\n\n" + markdown(heads, rows)


def _row(samples: Sequence[Sample], case: Case, kind: str, against: str) -> list[str]:
    own = [sample for sample in samples if sample.case == case and sample.kind == kind]
    base = Case(against, case.shape, case.placement)
    rates = _rates(own)
    if rates is None:
        return [case.shape, case.peer, kind, f"missing: {own[0].problem if own else 'not measured'}", *[""] * 5]
    good = [sample for sample in own if sample.rate]
    return [
        case.shape,
        case.peer,
        kind,
        rate(rates),
        figure(ratio(rates, _rates([s for s in samples if s.case == base and s.kind == kind])), 2),
        figure(median(sample.p50_us or 0 for sample in good), 1),
        figure(median(sample.p99_us or 0 for sample in good), 1),
        figure(median(sample.foreign for sample in good), 2),
        str(len(good)),
    ]


def _rates(samples: Sequence[Sample]) -> Spread | None:
    return Spread.of([sample.rate for sample in samples if sample.rate])
