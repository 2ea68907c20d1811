"""The suite `tables`: how fast a replica has the rows of a table of 20,000 rows and four columns.

*First* is from the beginning of the connection to the first 50 rows, *jump* 50 rows at a place of chance, as when
somebody drags a scroll bar, *all* every row from the first to the last in pages of 100, of which 1,000 rows are kept at
once. Every cell is compared with what it must be.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Final

from benchmarks import machine
from benchmarks.casts import DISTURBED, PLACEMENTS, Cast, interleaved
from benchmarks.figures import Spread, figure, markdown, percentile, rate, ratio
from benchmarks.options import choice, parser
from benchmarks.peer import Missing
from benchmarks.processes import Failed

PAGE: Final = 50
SECONDS: Final = 120.0


@dataclass(frozen=True, slots=True)
class Peer:
    """One library, in both roles."""

    module: str
    use: str
    packages: tuple[str, ...]
    loop: str = ""


PEERS: Final = {
    "everywire": Peer(
        "table_everywire",
        "a TableSource of dataclasses, and a Table; on uvloop",
        ("everywire", "uvloop", "msgspec"),
        "uvloop",
    ),
    "pyside6": Peer(
        "table_pyside6",
        "a QStandardItemModel, and acquireModel with FetchRootSize",
        ("PySide6-Essentials", "PySide6-Addons"),
    ),
}
PAIRS: Final = tuple((host, replica) for host in PEERS for replica in PEERS)
BASE: Final = ("pyside6", "pyside6")


@dataclass(frozen=True, slots=True)
class Case:
    """What one set of processes measures."""

    host: str
    replica: str
    placement: str


@dataclass(frozen=True, slots=True)
class Sample:
    """One round of one case, or why there is none."""

    case: Case
    round: int
    first_ms: float | None = None
    jump_ms: float | None = None
    rate: float | None = None
    foreign: float = 0.0
    problem: str = ""


def main(arguments: Sequence[str]) -> int:
    """Measure as the options say, print the tables, write the JSON; 1 if there is no sample at all, else 0."""
    names = tuple(f"{host}<-{replica}" for host, replica in PAIRS)
    command = parser("tables", __doc__, rounds=5, rows=2000, jumps=5)
    command.add_argument("--pairs", type=choice(names), default=names, help=f"HOST<-REPLICA: {', '.join(names)}")
    command.add_argument("--placement", type=choice(tuple(PLACEMENTS)), default=tuple(PLACEMENTS))
    command.add_argument("--rows", type=int, default=20_000)
    command.add_argument("--jumps", type=int, default=50)
    options = command.parse(arguments)
    cases = [Case(*pair.split("<-"), placement) for pair in options.pairs for placement in options.placement]
    samples: list[Sample] = []
    for number, case in interleaved(cases, options.rounds, options.seed):
        try:
            with Cast(case.placement) as cast:
                samples.append(_take(cast, case, number, options))
        except (Missing, Failed) as reason:
            samples.append(Sample(case, number, problem=str(reason)))
    used = {name for case in cases for name in (case.host, case.replica)}
    facts = machine.facts() | machine.versions(sorted({name for peer in used for name in PEERS[peer].packages}))
    print(report(samples, facts, options))
    if options.json:
        written = {"suite": "tables", "machine": facts, "samples": list(map(asdict, samples))}
        options.json.write_text(json.dumps(written, indent=1), encoding="utf-8")
    return 0 if any(sample.rate for sample in samples) else 1


def _take(cast: Cast, case: Case, number: int, options: Any) -> Sample:
    host, replica = PEERS[case.host], PEERS[case.replica]
    cast.start(host.module, "host", rows=options.rows, loop=host.loop)
    reader = cast.start(replica.module, "replica", loop=replica.loop)
    first = reader.ask("connect", SECONDS)
    # Far enough apart that nothing of the last pages is still kept.
    order = random.Random(options.seed + number)
    places = [order.randrange(1000, options.rows - PAGE) for _ in range(options.jumps)]
    jumps = reader.ask("jumps", SECONDS, places=places, page=PAGE)
    took, foreign = cast.quietest(lambda: reader.ask("all", SECONDS, rows=options.rows, page=100))
    return Sample(case, number, first / 1e6, percentile(jumps, 0.5) / 1e6, options.rows / took * 1e9, foreign)


def report(samples: Sequence[Sample], facts: dict[str, str], options: Any) -> str:
    """Everything a reader needs to judge the figures."""
    method = (
        f"{options.rows:,} rows of four columns; {options.rounds} rounds with fresh processes, order shuffled with "
        f"seed {options.seed}; {options.jumps} jumps; medians [lowest-highest] over the rounds."
    )
    parts = [
        method,
        "\n".join(f"* {name}: {value}" for name, value in facts.items()),
        *(_table(samples, placement, options) for placement in options.placement),
        "\n".join(f"* {name}: {peer.use}" for name, peer in PEERS.items()),
        DISTURBED,
    ]
    return "\n\n".join(parts) + "\n"


def _table(samples: Sequence[Sample], placement: str, options: Any) -> str:
    heads = ("host", "replica", "all rows/s", "x Qt alone", "first 50 rows ms", "jump ms", "foreign", "rounds")
    cases = [Case(*pair.split("<-"), placement) for pair in options.pairs]
    return f"### {PLACEMENTS[placement]}\n\n" + markdown(heads, [_row(samples, case) for case in cases])


def _row(samples: Sequence[Sample], case: Case) -> list[str]:
    own = [sample for sample in samples if sample.case == case]
    rates = _rates(own)
    if rates is None:
        return [case.host, case.replica, f"missing: {own[0].problem if own else 'not measured'}", *[""] * 5]
    base = _rates([sample for sample in samples if sample.case == Case(*BASE, case.placement)])
    good = [sample for sample in own if sample.rate]
    return [
        case.host,
        case.replica,
        rate(rates),
        figure(ratio(rates, base), 2),
        figure(median(sample.first_ms or 0 for sample in good), 1),
        figure(median(sample.jump_ms or 0 for sample in good), 2),
        figure(median(sample.foreign for sample in good), 2),
        str(len(good)),
    ]


def _rates(samples: Sequence[Sample]) -> Spread | None:
    return Spread.of([sample.rate for sample in samples if sample.rate])
