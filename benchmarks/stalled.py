"""The suite `stalled`: what a replica that stops reading costs its host, which publishes 128 KiB 1000 times a second.

The replica is a bare socket that attaches to the host's object and then reads nothing, the same to every host. *Growth*
is the host's resident set at most, beyond what it was before; *pause* the longest time of one publication.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Final

from benchmarks import machine
from benchmarks.actors.scaling_clients import read_frames
from benchmarks.casts import Cast, interleaved
from benchmarks.figures import Spread, figure, markdown
from benchmarks.options import choice, parser
from benchmarks.peer import Missing
from benchmarks.processes import Failed
from benchmarks.restart import PEERS
from everywire.remoteobjects.codec import AddObject, encode_packet

KINDS: Final = ("property", "signal")


@dataclass(frozen=True, slots=True)
class Sample:
    """What one stalled replica cost in one round, or why that is not known."""

    host: str
    kind: str
    round: int
    growth_mib: float | None = None
    per_second: float | None = None
    pause_ms: float | None = None
    problem: str = ""


def main(arguments: Sequence[str]) -> int:
    """Measure as the options say, print the table, write the JSON; 1 if there is no sample at all, else 0."""
    command = parser("stalled", __doc__, rounds=3, seconds=0.3)
    command.add_argument("--peers", type=choice(tuple(PEERS)), default=tuple(PEERS), help=", ".join(PEERS))
    command.add_argument("--kinds", type=choice(KINDS), default=KINDS)
    command.add_argument("--seconds", type=float, default=6.0)
    command.add_argument("--size", type=int, default=128 * 1024, help="bytes of a block")
    command.add_argument("--rate", type=float, default=1000.0, help="blocks per second")
    options = command.parse(arguments)
    cases = [(host, kind) for host in options.peers for kind in options.kinds]
    samples: list[Sample] = []
    for number, (host, kind) in interleaved(cases, options.rounds, options.seed):
        try:
            with Cast("unpinned") as cast:
                samples.append(_take(cast, host, kind, number, options))
        except (Missing, Failed) as reason:
            samples.append(Sample(host, kind, number, problem=str(reason)))
    packages = sorted({name for host in options.peers for name in PEERS[host].packages})
    facts = machine.facts() | machine.versions(packages)
    print(report(samples, cases, facts, options))
    if options.json:
        written = {"suite": "stalled", "machine": facts, "samples": list(map(asdict, samples))}
        options.json.write_text(json.dumps(written, indent=1), encoding="utf-8")
    return 0 if any(sample.growth_mib is not None for sample in samples) else 1


def _take(cast: Cast, host: str, kind: str, number: int, options: Any) -> Sample:
    path = cast.directory / "plant"
    serving = cast.start(PEERS[host].module, "host", url=f"local:{path}", loop=PEERS[host].loop)
    with socket.socket(socket.AF_UNIX) as stalled:
        stalled.connect(str(path))
        read_frames(stalled, 2)  # the handshake and the list of objects
        stalled.sendall(encode_packet(AddObject("plant", dynamic=False)))
        read_frames(stalled, 1)  # the present values, and not a byte more
        done = serving.ask(
            "publish",
            options.seconds * 4 + 20,
            kind=kind,
            size=options.size,
            rate=options.rate,
            seconds=options.seconds,
        )
    return Sample(
        host, kind, number, done["growth"] / 2**20, done["count"] / done["seconds"], done["pause_ms"]
    )  # fmt: skip


def report(samples: Sequence[Sample], cases: Sequence[tuple[str, str]], facts: dict[str, str], options: Any) -> str:
    """Everything a reader needs to judge the figures."""
    method = (
        f"{options.size // 1024} KiB, {options.rate:g} times a second, for {options.seconds:g} s; {options.rounds} "
        f"rounds with a fresh host, order shuffled with seed {options.seed}; medians [lowest-highest]."
    )
    heads = ("host", "what", "growth MiB", "published/s", "longest pause ms", "rounds")
    parts = [
        method,
        "\n".join(f"* {name}: {value}" for name, value in facts.items()),
        markdown(heads, [_row(samples, *case) for case in cases]),
        "\n".join(f"* {name}: {PEERS[name].use}" for name in options.peers),
    ]
    return "\n\n".join(parts) + "\n"


def _row(samples: Sequence[Sample], host: str, kind: str) -> list[str]:
    own = [sample for sample in samples if (sample.host, sample.kind) == (host, kind)]
    grown = Spread.of([sample.growth_mib for sample in own if sample.growth_mib is not None])
    if grown is None:
        return [host, kind, f"missing: {own[0].problem if own else 'not measured'}", *[""] * 3]
    good = [sample for sample in own if sample.growth_mib is not None]
    return [
        host,
        kind,
        f"{figure(grown.median, 1)} [{figure(grown.low, 1)}-{figure(grown.high, 1)}]",
        figure(median(sample.per_second or 0 for sample in good), 0),
        figure(median(sample.pause_ms or 0 for sample in good), 1),
        str(len(good)),
    ]
