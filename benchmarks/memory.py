"""The suite `memory`: what 1,000 idle replicas, each with a connection of its own, cost their host, and themselves.

The replicas live in four processes. *Host kB each* and *replica kB each* are the growth of the resident sets, after a
collection of garbage, divided by the replicas; what the kernel keeps for their sockets is in neither. *CPU* is what the
host, and all processes with replicas together, use while nothing is said but what keeps links alive.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from time import perf_counter, sleep
from typing import Any, Final

from benchmarks import machine
from benchmarks.casts import Cast, interleaved
from benchmarks.figures import figure, markdown
from benchmarks.options import choice, parser
from benchmarks.peer import Missing
from benchmarks.processes import Failed
from benchmarks.restart import PEERS

PAIRS: Final = (
    ("everywire", "everywire"),
    ("everywire-stock", "everywire-stock"),
    ("pyside6", "pyside6"),
    ("pyside6", "everywire"),
    ("everywire", "pyside6"),
)
"""Host and replicas."""
PROCESSES: Final = 4
SECONDS: Final = 120.0


@dataclass(frozen=True, slots=True)
class Sample:
    """What one host and its replicas cost in one round, or why that is not known."""

    host: str
    replica: str
    round: int
    alone_mib: float | None = None
    host_kb: float | None = None
    replica_kb: float | None = None
    host_cpu: float | None = None
    replica_cpu: float | None = None
    connected_s: float | None = None
    problem: str = ""


def main(arguments: Sequence[str]) -> int:
    """Measure as the options say, print the table, write the JSON; 1 if there is no sample at all, else 0."""
    names = tuple(f"{host}<-{replica}" for host, replica in PAIRS)
    command = parser("memory", __doc__, rounds=3, replicas=40, idle=0.2)
    command.add_argument("--pairs", type=choice(names), default=names, help=f"HOST<-REPLICAS: {', '.join(names)}")
    command.add_argument("--replicas", type=int, default=1000)
    command.add_argument("--idle", type=float, default=5.0, help="seconds in which the CPU is counted")
    options = command.parse(arguments)
    cases = [pair.split("<-") for pair in options.pairs]
    samples: list[Sample] = []
    for number, (host, replica) in interleaved(cases, options.rounds, options.seed):
        try:
            with Cast("unpinned") as cast:
                samples.append(_take(cast, host, replica, number, options))
        except (Missing, Failed) as reason:
            samples.append(Sample(host, replica, number, problem=str(reason)))
    packages = {name for pair in cases for peer in pair for name in PEERS[peer].packages}
    facts = machine.facts() | machine.versions(sorted(packages))
    print(report(samples, cases, facts, options))
    if options.json:
        written = {"suite": "memory", "machine": facts, "samples": list(map(asdict, samples))}
        options.json.write_text(json.dumps(written, indent=1), encoding="utf-8")
    return 0 if any(sample.host_kb is not None for sample in samples) else 1


def _take(cast: Cast, host: str, replica: str, number: int, options: Any) -> Sample:
    url = f"local:{cast.directory / 'plant'}"
    serving = cast.start(PEERS[host].module, "host", url=url, loop=PEERS[host].loop)
    first = _crowd(cast, url, replica, 1)  # what is imported and made for the first replica is not counted
    before = serving.ask("memory")
    each = options.replicas // PROCESSES
    begun = perf_counter()
    crowds = [_crowd(cast, url, replica, each) for _ in range(PROCESSES)]
    connected = perf_counter() - begun
    full, grown = serving.ask("memory"), [crowd.ask("memory") for crowd in crowds]
    sleep(options.idle)
    after, rested = serving.ask("memory"), [crowd.ask("memory") for crowd in crowds]
    alone = first.ask("memory")["resident"]
    made = each * PROCESSES
    return Sample(
        host,
        replica,
        number,
        before["resident"] / 2**20,
        (full["resident"] - before["resident"]) / made / 1000,
        sum(crowd["resident"] - alone for crowd in grown) / made / 1000,
        (after["cpu"] - full["cpu"]) / options.idle,
        sum(now["cpu"] - then["cpu"] for now, then in zip(rested, grown, strict=True)) / options.idle,
        connected,
    )


def _crowd(cast: Cast, url: str, replica: str, count: int) -> Any:
    return cast.start(PEERS[replica].module, "replicas", url=url, loop=PEERS[replica].loop, replicas=count)


def report(samples: Sequence[Sample], cases: Sequence[Sequence[str]], facts: dict[str, str], options: Any) -> str:
    """Everything a reader needs to judge the figures."""
    method = (
        f"{options.replicas:,} replicas in {PROCESSES} processes, each with a connection of its own; {options.rounds} "
        f"rounds with fresh processes, order shuffled with seed {options.seed}; medians."
    )
    heads = (
        "host", "replicas", "host alone MiB", "host kB each", "replica kB each", "connected in s",
        "idle host cores", "idle replicas cores", "rounds",
    )  # fmt: skip
    parts = [
        method,
        "\n".join(f"* {name}: {value}" for name, value in facts.items()),
        markdown(heads, [_row(samples, *case) for case in cases]),
        "\n".join(f"* {name}: {peer.use}" for name, peer in PEERS.items()),
    ]
    return "\n\n".join(parts) + "\n"


def _row(samples: Sequence[Sample], host: str, replica: str) -> list[str]:
    own = [sample for sample in samples if (sample.host, sample.replica) == (host, replica)]
    good = [sample for sample in own if sample.host_kb is not None]
    if not good:
        return [host, replica, f"missing: {own[0].problem if own else 'not measured'}", *[""] * 6]

    def middle(name: str, digits: int) -> str:
        return figure(median(getattr(sample, name) for sample in good), digits)

    return [
        host,
        replica,
        middle("alone_mib", 1),
        middle("host_kb", 1),
        middle("replica_kb", 1),
        middle("connected_s", 1),
        middle("host_cpu", 3),
        middle("replica_cpu", 3),
        str(len(good)),
    ]
