"""The suite `scaling`: one host with 10 to 5,000 connections, of which one at a time is called while the others idle.

The clients are bare sockets of another process, the same for every host, each attached to the host's object. *Robin*
calls on one connection after the other, in an order of chance; *wave* calls on all of them before any answer is read.
The memory is the growth of the host's resident set, taken after the first wave, divided by the connections made.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Final

from benchmarks import machine
from benchmarks.casts import DISTURBED, PLACEMENTS, Cast, interleaved
from benchmarks.figures import Spread, figure, markdown, rate, ratio
from benchmarks.options import choice, parser
from benchmarks.peer import Missing
from benchmarks.processes import Failed

COUNTS: Final = (10, 100, 1000, 5000)
FEWEST_FOR_MEMORY: Final = 500
"""Fewer connections cost less than what else happens to the resident set meanwhile."""
FIRST: Final = 10
"""Connections that are made, and called on, before the memory is looked at for the first time."""
SECONDS: Final = 120.0
WARM_UP: Final = 0.1


@dataclass(frozen=True, slots=True)
class Host:
    """One host."""

    module: str
    use: str
    packages: tuple[str, ...]
    loop: str = ""
    traced: bool = False
    """Whether it can say what Python's allocator counts."""


HOSTS: Final = {
    "everywire": Host(
        "scaling_everywire",
        "`local:`, on uvloop, gate and checks on, the limits of connections raised",
        ("everywire", "uvloop", "msgspec"),
        "uvloop",
        traced=True,
    ),
    "everywire-stock": Host(
        "scaling_everywire",
        "the same on the event loop of the standard library",
        ("everywire", "msgspec"),
        "stock",
        traced=True,
    ),
    "pyside6": Host(
        "scaling_pyside6",
        "QRemoteObjectHost with a RepFile source over `local:`",
        ("PySide6-Essentials", "PySide6-Addons"),
    ),
    "uvloop-raw": Host(
        "scaling_uvloop_raw",
        "asyncio.Protocol on uvloop that unpacks a call and packs its answer: what kernel and client lose anyway",
        ("uvloop",),
        "uvloop",
    ),
}


@dataclass(frozen=True, slots=True)
class Case:
    """One host with so many connections."""

    host: str
    connections: int
    placement: str


@dataclass(frozen=True, slots=True)
class Sample:
    """What one case gave in one round, or why nothing."""

    case: Case
    round: int
    robin: float | None = None
    """Calls per second, one at a time, each on another connection."""
    p50_us: float = 0.0
    p99_us: float = 0.0
    one: float = 0.0
    """Calls per second on one and the same connection."""
    wave: float = 0.0
    connect_ms: float = 0.0
    """Per connection, from connecting to being attached."""
    resident_kb: float | None = None
    heap_kb: float | None = None
    """What Python's allocator counts (tracemalloc), of a host of its own; in the first round only."""
    foreign: float = 0.0
    problem: str = ""


def main(arguments: Sequence[str]) -> int:
    """Measure as the options say, print the tables, write the JSON; 1 if there is no sample at all, else 0."""
    command = parser("scaling", __doc__, rounds=7, seconds=0.03, counts=(10, 500))
    command.add_argument("--peers", type=choice(tuple(HOSTS)), default=tuple(HOSTS), help=", ".join(HOSTS))
    command.add_argument("--counts", type=_counts, default=COUNTS, help="connections, default: 10,100,1000,5000")
    command.add_argument("--placement", type=choice(tuple(PLACEMENTS)), default=("same",))
    command.add_argument("--seconds", type=float, default=0.3, help="length of one sample")
    options = command.parse(arguments)
    cases = [
        Case(host, count, placement)
        for placement in options.placement
        for host in options.peers
        for count in options.counts
    ]
    samples = [
        _sample(case, number, options.seconds, options.seed)
        for number, case in interleaved(cases, options.rounds, options.seed)
    ]
    facts = machine.facts() | machine.versions(sorted({p for host in options.peers for p in HOSTS[host].packages}))
    print(report(cases, samples, facts, rounds=options.rounds, seconds=options.seconds, seed=options.seed))
    if options.json:
        written = {"suite": "scaling", "seed": options.seed, "machine": facts, "samples": list(map(asdict, samples))}
        options.json.write_text(json.dumps(written, indent=1), encoding="utf-8")
    return 0 if any(sample.robin for sample in samples) else 1


def _counts(text: str) -> tuple[int, ...]:
    return tuple(int(count) for count in text.split(","))


def _sample(case: Case, number: int, seconds: float, seed: int) -> Sample:
    try:
        heap = None
        if number == 0 and HOSTS[case.host].traced and case.connections >= FEWEST_FOR_MEMORY:
            with Cast(case.placement) as cast:
                heap = Stand(cast, case, seed, trace=True).heap_kb
        with Cast(case.placement) as cast:
            return _measured(Stand(cast, case, seed, trace=False), case, number, seconds, heap)
    except (Missing, Failed) as reason:
        return Sample(case, number, problem=str(reason))


def _measured(stand: Stand, case: Case, number: int, seconds: float, heap_kb: float | None) -> Sample:
    stand.ask("robin", seconds=WARM_UP)
    robin, foreign = stand.cast.quietest(lambda: stand.ask("robin", seconds=seconds))
    stand.ask("one", seconds=WARM_UP)
    one, disturbed = stand.cast.quietest(lambda: stand.ask("one", seconds=seconds))
    return Sample(
        case,
        number,
        robin["rate"],
        robin["p50_us"],
        robin["p99_us"],
        one["rate"],
        stand.wave,
        stand.connect_ms,
        stand.resident_kb if case.connections >= FEWEST_FOR_MEMORY else None,
        heap_kb,
        max(foreign, disturbed),
    )


class Stand:
    """A host and its clients, connected; what they cost in memory is known then."""

    def __init__(self, cast: Cast, case: Case, seed: int, *, trace: bool) -> None:
        host = HOSTS[case.host]
        self.cast = cast
        self._host = cast.start(host.module, "host", loop=host.loop, connections=case.connections)
        self._clients = cast.start("scaling_clients", "clients", seed=seed)
        first = min(FIRST, case.connections)
        self.ask("connect", count=first)
        self.ask("wave")
        before = self._host.ask("trace" if trace else "memory")
        count = case.connections - first
        self.connect_ms = self.ask("connect", count=count) / max(count, 1) * 1000
        self.ask("wave")
        self.wave: float = self.ask("wave")
        """Calls per second when all are called at once."""
        after = self._host.ask("memory", SECONDS)

        def growth(what: str) -> float:
            return (after[what] - before[what]) / max(count, 1) / 1024

        self.resident_kb = growth("resident")
        self.heap_kb = growth("heap") if trace else None

    def ask(self, order: str, **details: float) -> Any:
        """Give the clients an order."""
        return self._clients.ask(order, SECONDS, **details)


def report(
    cases: Sequence[Case], samples: Sequence[Sample], facts: dict[str, str], *, rounds: int, seconds: float, seed: int
) -> str:
    """Everything a reader needs to judge the figures, tables included."""
    hosts = list(dict.fromkeys(case.host for case in cases))
    placements = list(dict.fromkeys(case.placement for case in cases))
    method = (
        f"One call, int -> int, on one of many connections: {rounds} rounds of {seconds} s per sample, fresh processes "
        f"in every round, order shuffled with seed {seed}; every answer compared; medians [lowest-highest]."
    )
    parts = [
        method,
        "\n".join(f"* {name}: {value}" for name, value in facts.items()),
        *(_table(cases, samples, placement) for placement in placements),
        "\n".join(f"* {host}: {HOSTS[host].use}" for host in hosts),
        DISTURBED,
    ]
    return "\n\n".join(parts) + "\n"


HEADS: Final = (
    "host", "connections", "robin calls/s", "to fewest", "p50 us", "p99 us", "one calls/s", "wave calls/s",
    "connect ms", "kB each", "heap kB", "foreign", "rounds",
)  # fmt: skip


def _table(cases: Sequence[Case], samples: Sequence[Sample], placement: str) -> str:
    rows = [_row(case, cases, samples) for case in cases if case.placement == placement]
    return f"### {PLACEMENTS[placement]}\n\n" + markdown(HEADS, rows)


def _row(case: Case, cases: Sequence[Case], samples: Sequence[Sample]) -> list[str]:
    good = [sample for sample in samples if sample.case == case and sample.robin]
    rates = _rates(samples, case)
    if rates is None:
        problem = next((sample.problem for sample in samples if sample.case == case), "not measured")
        return [case.host, str(case.connections), f"missing: {problem}", *[""] * (len(HEADS) - 3)]
    fewest = min((other for other in cases if _alike(other, case)), key=lambda other: other.connections)

    def middle(value: Callable[[Sample], float | None], digits: int) -> str:
        values = [found for sample in good if (found := value(sample)) is not None]
        return figure(median(values) if values else None, digits)

    return [
        case.host,
        str(case.connections),
        rate(rates),
        figure(ratio(rates, _rates(samples, fewest)), 2),
        middle(lambda sample: sample.p50_us, 1),
        middle(lambda sample: sample.p99_us, 1),
        middle(lambda sample: sample.one, 0),
        middle(lambda sample: sample.wave, 0),
        middle(lambda sample: sample.connect_ms, 2),
        middle(lambda sample: sample.resident_kb, 1),
        middle(lambda sample: sample.heap_kb, 1),
        middle(lambda sample: sample.foreign, 2),
        str(len(good)),
    ]


def _alike(one: Case, other: Case) -> bool:
    return (one.host, one.placement) == (other.host, other.placement)


def _rates(samples: Sequence[Sample], case: Case) -> Spread | None:
    return Spread.of([sample.robin for sample in samples if sample.case == case and sample.robin])
