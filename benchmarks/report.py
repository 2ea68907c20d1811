"""What the samples of the suite `rpc` say: one row per peer and placement, as Markdown and as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Final

from benchmarks import machine
from benchmarks.figures import Spread, figure, markdown, rate, ratio
from benchmarks.peers import ENTRIES
from benchmarks.role import Mode, Sample
from benchmarks.rounds import DEPTH, FOREIGN_LIMIT, Outcome, Placement, Plan

BASES: Final = {"x wait": "pyside6-wait", "x watcher": "pyside6-watcher"}
"""Head of a ratio column -> the peer whose median it divides by."""

METHOD: Final = (
    "One call, int -> int, between two processes: {rounds} rounds of {seconds} s per sample, fresh processes in every "
    "round, order shuffled with seed {seed}; every answer read and checked; medians [lowest-highest] over the rounds."
)
FOREIGN: Final = (
    "Foreign cores: what others kept busy meanwhile; a sample above {limit} was taken again, at most twice, and the "
    "least disturbed one kept."
)
TITLES: Final[dict[Placement, str]] = {
    "same": "all processes on one core",
    "two": "server on one core, client on another",
    "unpinned": "unpinned, as the scheduler likes",
}


def heads(bases: Mapping[str, str]) -> tuple[str, ...]:
    """The heads of the columns, with one for the ratio to each of *bases*."""
    return (
        "peer", "calls/s, one at a time", *bases, "p50 us", "p99 us", "CPU us/call",
        f"calls/s, {DEPTH} outstanding", *bases, "CPU us/call", "foreign cores", "rounds",
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Figures:
    """One peer in one placement and mode."""

    rate: Spread | None = None
    """Calls per second."""
    p50_us: float | None = None
    p99_us: float | None = None
    cpu_us: float | None = None
    foreign: float | None = None
    """Cores kept busy by others, median."""
    rounds: int = 0
    """How many samples there are."""
    ratios: dict[str, float | None] = field(default_factory=dict[str, "float | None"])
    """To the peers that ratios refer to, in the same placement and mode of this run."""
    problem: str = ""
    """Why there is no sample, or not one per round."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table."""

    peer: str
    placement: Placement
    sequential: Figures
    outstanding: Figures

    @property
    def missing(self) -> bool:
        """Whether there is nothing but a reason to show."""
        return self.sequential.rate is None and self.outstanding.rate is None

    def cells(self) -> list[str]:
        """The row as the table shows it."""
        one, many = self.sequential, self.outstanding
        if self.missing:
            return [self.peer, f"missing: {one.problem}", *[""] * (len(heads(one.ratios)) - 2)]
        return [
            self.peer,
            rate(one.rate),
            *(figure(times, 2) for times in one.ratios.values()),
            figure(one.p50_us, 1),
            figure(one.p99_us, 1),
            figure(one.cpu_us, 1),
            rate(many.rate),
            *(figure(times, 2) for times in many.ratios.values()),
            figure(many.cpu_us, 1),
            figure(max(filter(None, (one.foreign, many.foreign)), default=0.0), 2),
            str(max(one.rounds, many.rounds)),
        ]


@dataclass(frozen=True, slots=True)
class Report:
    """A whole run."""

    plan: Plan
    outcomes: Sequence[Outcome]
    rows: Sequence[Row]
    machine: dict[str, str]
    versions: dict[str, str]
    suite: str = "rpc"
    bases: Mapping[str, str] = field(default_factory=lambda: BASES)

    @classmethod
    def of(
        cls, plan: Plan, outcomes: Sequence[Outcome], *, suite: str = "rpc", bases: Mapping[str, str] = BASES
    ) -> Report:
        """Work out the rows of a run that ended just now on this machine."""
        packages = sorted({package for peer in plan.peers for package in ENTRIES[peer].packages})
        against = tuple(bases.values())
        rows = [_row(outcomes, peer, placement, against) for placement in plan.placements for peer in plan.peers]
        return cls(plan, outcomes, rows, machine.facts(), machine.versions(packages), suite, bases)

    def markdown(self) -> str:
        """Everything a reader needs to judge the figures, tables included."""
        plan = self.plan
        parts = [
            METHOD.format(rounds=plan.rounds, seconds=plan.seconds, seed=plan.seed),
            "\n".join(f"* {name}: {value}" for name, value in self.machine.items()),
            "* versions: " + (", ".join(f"{name} {version}" for name, version in self.versions.items()) or "none"),
            *(self._table(placement) for placement in plan.placements),
            "\n".join(f"* {peer}: {ENTRIES[peer].use}" for peer in plan.peers),
            FOREIGN.format(limit=FOREIGN_LIMIT),
            *self._problems(),
        ]
        return "\n\n".join(parts) + "\n"

    def json(self) -> str:
        """The run with every sample."""
        return json.dumps(
            {
                "suite": self.suite,
                "plan": asdict(self.plan),
                "depth": DEPTH,
                "machine": self.machine,
                "versions": self.versions,
                "rows": [asdict(row) for row in self.rows],
                "samples": [asdict(outcome) for outcome in self.outcomes],
            },
            indent=1,
        )

    def _table(self, placement: Placement) -> str:
        rows = [row for row in self.rows if row.placement == placement]
        rows.sort(key=lambda row: -(row.sequential.rate.median if row.sequential.rate else 0.0))
        return f"### {TITLES[placement]}\n\n" + markdown(heads(self.bases), [row.cells() for row in rows])

    def _problems(self) -> list[str]:
        where: dict[str, list[str]] = {}
        for row in self.rows:
            for mode, figures in (("one at a time", row.sequential), (f"{DEPTH} outstanding", row.outstanding)):
                if figures.problem and not row.missing:
                    where.setdefault(f"{row.peer}, {mode}: {figures.problem}", []).append(row.placement)
        lines = [f"* {problem} ({', '.join(placements)})" for problem, placements in where.items()]
        return ["No figure, or fewer rounds:", "\n".join(lines)] if lines else []


def _row(outcomes: Sequence[Outcome], peer: str, placement: Placement, bases: Sequence[str]) -> Row:
    here = [outcome for outcome in outcomes if outcome.placement == placement]
    return Row(peer, placement, _figures(here, peer, "sequential", bases), _figures(here, peer, "outstanding", bases))


def _figures(outcomes: Sequence[Outcome], peer: str, mode: Mode, bases: Sequence[str]) -> Figures:
    here = [outcome for outcome in outcomes if outcome.mode == mode]

    def samples(name: str) -> list[Sample]:
        return [outcome.sample for outcome in here if outcome.peer == name and outcome.sample]

    def rates(name: str) -> Spread | None:
        return Spread.of([sample.rate for sample in samples(name)])

    own = samples(peer)

    def middle(value: Callable[[Sample], float | None]) -> float | None:
        values = [found for sample in own if (found := value(sample)) is not None]
        return median(values) if values else None

    return Figures(
        rate=rates(peer),
        p50_us=middle(lambda sample: sample.p50_us),
        p99_us=middle(lambda sample: sample.p99_us),
        cpu_us=middle(lambda sample: sample.cpu_us),
        foreign=middle(lambda sample: sample.foreign),
        rounds=len(own),
        ratios={base: ratio(rates(peer), rates(base)) for base in bases},
        problem="; ".join(dict.fromkeys(each.problem for each in here if each.peer == peer and each.problem)),
    )
