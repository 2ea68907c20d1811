"""The suite `restart`: how long a replica takes to notice that its host was killed, and to be valid with the next one.

*Suspect* counts from the SIGKILL, *valid* from the moment at which the new host listens; both are taken by the replica,
on the clock that all processes share. Between them the new host has changed one property of two, which the replica
must tell as one change.
"""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from time import perf_counter_ns
from typing import Any, Final

from benchmarks import machine
from benchmarks.casts import Cast, interleaved
from benchmarks.figures import Spread, figure, markdown
from benchmarks.options import choice, parser
from benchmarks.peer import Missing
from benchmarks.processes import Actor, Failed

SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Peer:
    """One library, in both roles."""

    module: str
    use: str
    packages: tuple[str, ...]
    loop: str = ""


PEERS: Final = {
    "everywire": Peer("plant_everywire", "on uvloop", ("everywire", "uvloop", "msgspec"), "uvloop"),
    "everywire-stock": Peer(
        "plant_everywire", "on the loop of the standard library", ("everywire", "msgspec"), "stock"
    ),
    "pyside6": Peer(
        "plant_pyside6", "RepFile source and replica, as Qt sets them up", ("PySide6-Essentials", "PySide6-Addons")
    ),
}
PAIRS: Final = tuple(
    (host, replica)
    for host in PEERS
    for replica in PEERS
    if (host == "everywire-stock") == (replica == "everywire-stock")
)
"""Who is killed, and who waits for the next one."""
TRANSPORTS: Final = ("local", "tcp")


@dataclass(frozen=True, slots=True)
class Case:
    """What one replica measures."""

    host: str
    replica: str
    transport: str


@dataclass(frozen=True, slots=True)
class Sample:
    """One restart, or why there is none."""

    case: Case
    round: int
    suspect_ms: float | None = None
    valid_ms: float | None = None
    changes: int | None = None
    problem: str = ""


def main(arguments: Sequence[str]) -> int:
    """Measure as the options say, print the table, write the JSON; 1 if there is no sample at all, else 0."""
    names = tuple(f"{host}<-{replica}" for host, replica in PAIRS)
    command = parser("restart", __doc__, rounds=4, restarts=1)
    command.add_argument("--pairs", type=choice(names), default=names, help=f"HOST<-REPLICA: {', '.join(names)}")
    command.add_argument("--transports", type=choice(TRANSPORTS), default=TRANSPORTS)
    command.add_argument("--restarts", type=int, default=5, help="of the host under one replica, in each round")
    options = command.parse(arguments)
    cases = [Case(*pair.split("<-"), transport) for pair in options.pairs for transport in options.transports]
    samples: list[Sample] = []
    for number, case in interleaved(cases, options.rounds, options.seed):
        try:
            with Cast("unpinned") as cast:
                samples += Restarts(cast, case, number).take(options.restarts)
        except (Missing, Failed) as reason:
            samples.append(Sample(case, number, problem=str(reason)))
    used = {name for case in cases for name in (case.host, case.replica)}
    facts = machine.facts() | machine.versions(sorted({name for peer in used for name in PEERS[peer].packages}))
    print(report(samples, cases, facts, options))
    if options.json:
        written = {"suite": "restart", "machine": facts, "samples": list(map(asdict, samples))}
        options.json.write_text(json.dumps(written, indent=1), encoding="utf-8")
    return 0 if any(sample.valid_ms is not None for sample in samples) else 1


class Restarts:
    """One replica, and the hosts that it has one after the other."""

    def __init__(self, cast: Cast, case: Case, number: int) -> None:
        self._cast, self._case, self._round = cast, case, number
        self._url = f"local:{cast.directory / 'plant'}" if case.transport == "local" else f"tcp://127.0.0.1:{_port()}"
        self._host = self._start("host", case.host, level=0)
        self._replica = self._start("replicas", case.replica)

    def _start(self, role: str, peer: str, **options: Any) -> Actor:
        return self._cast.start(PEERS[peer].module, role, url=self._url, loop=PEERS[peer].loop, **options)

    def take(self, restarts: int) -> list[Sample]:
        """Kill and start the host so many times."""
        return [self._take(level) for level in range(1, restarts + 1)]

    def _take(self, level: int) -> Sample:
        self._replica.ask("arm")
        killed = perf_counter_ns()
        os.kill(self._host.facts["processes"][0], signal.SIGKILL)
        self._host = self._start("host", self._case.host, level=level)
        facts = self._replica.ask("result", SECONDS)
        return Sample(
            self._case,
            self._round,
            (facts["suspect"] - killed) / 1e6,
            max(facts["valid"] - self._host.facts["up"], 0) / 1e6,
            self._replica.ask("changes"),
        )


def _port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def report(samples: Sequence[Sample], cases: Sequence[Case], facts: dict[str, str], options: Any) -> str:
    """Everything a reader needs to judge the figures."""
    method = (
        f"{options.rounds} rounds with a fresh replica each, under which the host is killed {options.restarts} times; "
        f"order shuffled with seed {options.seed}; unpinned; medians [lowest-highest] over all restarts, in ms."
    )
    heads = (
        "host",
        "replica",
        "transport",
        "suspect after SIGKILL",
        "valid after the new host listens",
        "changes",
        "n",
    )
    parts = [
        method,
        "\n".join(f"* {name}: {value}" for name, value in facts.items()),
        markdown(heads, [_row(samples, case) for case in cases]),
        "\n".join(f"* {name}: {peer.use}" for name, peer in PEERS.items()),
    ]
    return "\n\n".join(parts) + "\n"


def _row(samples: Sequence[Sample], case: Case) -> list[str]:
    own = [sample for sample in samples if sample.case == case]
    good = [sample for sample in own if sample.valid_ms is not None]
    names = [case.host, case.replica, case.transport]
    if not good:
        return [*names, f"missing: {own[0].problem if own else 'not measured'}", "", "", ""]
    suspect, valid = ([getattr(sample, name) for sample in good] for name in ("suspect_ms", "valid_ms"))
    changes = sorted({str(sample.changes) for sample in good})
    return [*names, _shown(suspect), _shown(valid), " or ".join(changes), str(len(good))]


def _shown(values: Sequence[float]) -> str:
    spread = Spread.of(values)
    assert spread is not None
    return f"{figure(spread.median, 1)} [{figure(spread.low, 1)}-{figure(spread.high, 1)}]"
