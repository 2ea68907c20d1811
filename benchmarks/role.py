"""One role of one peer as a process: `python -m benchmarks.role server|client PEER DIRECTORY CORES`.

It speaks with the harness in lines of JSON, orders on stdin and answers on stdout; whatever a library prints goes to
stderr. The client takes the CPU clocks itself, right around the sample, so that no work of the harness is counted.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from benchmarks import machine
from benchmarks.answers import Answers
from benchmarks.figures import percentile
from benchmarks.peer import Client, Missing, Timing
from benchmarks.peers import ENTRIES, load

if TYPE_CHECKING:
    from collections.abc import Sequence

Mode = Literal["sequential", "outstanding"]


@dataclass(frozen=True, slots=True)
class Order:
    """What the harness asks a client for."""

    mode: Mode
    seconds: float
    warm_up: float
    depth: int
    processes: list[int]
    """The server's processes, whose CPU time counts too."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What one order gave."""

    calls: int
    seconds: float
    p50_us: float | None
    p99_us: float | None
    cpu_us: float
    """User and system time of both sides, per call."""
    foreign: float
    """Cores that somebody else kept busy meanwhile, to about one tick of 10 ms in the sample's length."""

    @property
    def rate(self) -> float:
        """Calls per second."""
        return self.calls / self.seconds


def measure(client: Client, order: Order) -> Sample:
    """Warm up, take one sample, and set it beside what it cost and what else the machine did."""

    def run(seconds: float) -> Timing:
        if order.mode == "sequential":
            return client.sequential(seconds)
        return client.outstanding(seconds, order.depth)

    ours = [os.getpid(), *order.processes]
    run(order.warm_up)
    busy, used = machine.busy_seconds(), machine.cpu_seconds(ours)
    timing = run(order.seconds)
    used = machine.cpu_seconds(ours) - used
    busy = machine.busy_seconds() - busy
    elapsed = timing.elapsed_ns / 1e9
    latencies = timing.latencies_ns
    return Sample(
        calls=timing.calls,
        seconds=elapsed,
        p50_us=percentile(latencies, 0.50) / 1e3 if latencies else None,
        p99_us=percentile(latencies, 0.99) / 1e3 if latencies else None,
        cpu_us=used / timing.calls * 1e6,
        foreign=max(busy - used, 0.0) / elapsed,
    )


def main(arguments: Sequence[str]) -> None:
    """Play the role until the harness kills this process or, as a client, closes stdin."""
    role, name, directory, pinned = arguments
    machine.die_with_parent()
    if pinned:
        os.sched_setaffinity(0, map(int, pinned.split(",")))
    answers = Answers.on_stdout()
    try:
        peer = load(name)
        if role == "server":
            peer.serve(Path(directory), lambda *processes: answers.tell(ready=[os.getpid(), *processes]))
            return
        with peer.connect(Path(directory)) as client:
            answers.tell(ready=[os.getpid()])
            for line in sys.stdin:
                _obey(client, Order(**json.loads(line)), answers)
    except ImportError as error:
        reason = str(error).partition(" (")[0]  # without the path of the module
        answers.tell(missing=f"{reason}; it needs {', '.join(ENTRIES[name].packages)}")
    except Missing as reason:
        answers.tell(missing=str(reason))


def _obey(client: Client, order: Order, answers: Answers) -> None:
    try:
        answers.tell(sample=asdict(measure(client, order)))
    except Missing as reason:
        answers.tell(missing=str(reason))


if __name__ == "__main__":
    main(sys.argv[1:])
