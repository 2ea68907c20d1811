"""The suite `http`: a property GET, a slot POST and event streams of our HTTP wire, beside FastAPI and aiohttp.

Every server runs on uvloop, every one that is uvicorn's with httptools. The load is the same for all: bare sockets
that are kept alive and compare every answer, so that its cost is the same small part of each figure. A *window* sends a
request on each of several connections, then reads all answers.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Final

from benchmarks import machine
from benchmarks.casts import DISTURBED, PLACEMENTS, Cast, interleaved
from benchmarks.figures import Spread, figure, markdown, rate, ratio
from benchmarks.options import choice, parser
from benchmarks.peer import Missing
from benchmarks.processes import Actor, Failed

BASE: Final = "fastapi"
SECONDS: Final = 60.0
WARM_UP: Final = 0.1
LISTENERS: Final = (1, 10)
WINDOW: Final = 16
PER_TURN: Final = 100


@dataclass(frozen=True, slots=True)
class Server:
    """One server, and what it is asked."""

    module: str
    role: str
    use: str
    packages: tuple[str, ...]
    tasks: tuple[str, ...]
    load: tuple[str, str] = ("http_load", "load")


_REQUESTS: Final = ("GET", "POST", f"POST x {WINDOW}")
_EVENTS: Final = tuple(f"events to {listeners}" for listeners in LISTENERS)
TASKS: Final = (*_REQUESTS, *_EVENTS)

SERVERS: Final = {
    "everywire": Server(
        "http_everywire",
        "server",
        "`Node.serve`, gate and checks on, loopback",
        ("everywire", "uvicorn", "httptools", "starlette", "uvloop", "msgspec"),
        TASKS,
    ),
    "everywire-asgi": Server(
        "http_everywire", "mounted", "the same as an ASGI application under uvicorn's own server", ("everywire",), TASKS
    ),
    "fastapi": Server(
        "http_fastapi",
        "server",
        "FastAPI under uvicorn's own server: a pydantic model in, an int out, EventSourceResponse",
        ("fastapi", "pydantic", "uvicorn", "httptools", "uvloop"),
        TASKS,
    ),
    "aiohttp": Server("http_aiohttp", "server", "aiohttp.web, nothing checked", ("aiohttp", "uvloop"), TASKS),
    "uvicorn": Server(
        "http_uvicorn",
        "server",
        "uvicorn's own server with twelve lines of ASGI, nothing checked: the floor of all that stand on it",
        ("uvicorn", "httptools", "uvloop"),
        _REQUESTS,
    ),
    "everywire-replica": Server(
        "http_everywire",
        "server",
        f"a replica by `connect`: calls over one WebSocket, one at a time and {WINDOW} outstanding",
        ("everywire", "websockets"),
        _REQUESTS[1:],
        ("http_everywire", "replica"),
    ),
}


@dataclass(frozen=True, slots=True)
class Case:
    """One server in one placement."""

    server: str
    placement: str


@dataclass(frozen=True, slots=True)
class Sample:
    """One task of one case in one round, or why there is no figure."""

    case: Case
    task: str
    round: int
    rate: float | None = None
    """Answers, or events heard, per second."""
    p50_us: float | None = None
    p99_us: float | None = None
    foreign: float = 0.0
    problem: str = ""


def main(arguments: Sequence[str]) -> int:
    """Measure as the options say, print the tables, write the JSON; 1 if there is no sample at all, else 0."""
    command = parser("http", __doc__, rounds=7, seconds=0.03, events=1000)
    command.add_argument("--peers", type=choice(tuple(SERVERS)), default=tuple(SERVERS), help=", ".join(SERVERS))
    command.add_argument("--placement", type=choice(tuple(PLACEMENTS)), default=tuple(PLACEMENTS))
    command.add_argument("--seconds", type=float, default=0.3, help="length of one sample")
    command.add_argument("--events", type=int, default=20_000, help="of a burst, all listeners together")
    options = command.parse(arguments)
    cases = [Case(server, placement) for placement in options.placement for server in options.peers]
    samples: list[Sample] = []
    for number, case in interleaved(cases, options.rounds, options.seed):
        samples += _samples(case, number, options.seconds, options.events)
    facts = machine.facts() | machine.versions(sorted({p for name in options.peers for p in SERVERS[name].packages}))
    print(report(cases, samples, facts, vars(options)))
    if options.json:
        written = {"suite": "http", "seed": options.seed, "machine": facts, "samples": list(map(asdict, samples))}
        options.json.write_text(json.dumps(written, indent=1), encoding="utf-8")
    return 0 if any(sample.rate for sample in samples) else 1


def _samples(case: Case, number: int, seconds: float, events: int) -> list[Sample]:
    """Take every task of one case with the same processes; the load is a fresh one for each."""
    server = SERVERS[case.server]
    samples: list[Sample] = []
    try:
        with Cast(case.placement) as cast:
            serving = cast.start(server.module, server.role)
            for task in server.tasks:
                sample = _sample(cast, serving, case, task, number, seconds, events)
                samples.append(sample)  # one by one: what was measured stays when the next one fails
    except (Missing, Failed) as reason:
        left = server.tasks[len(samples) :]
        samples += [Sample(case, task, number, problem=str(reason)) for task in left]
    return samples


def _sample(cast: Cast, serving: Actor, case: Case, task: str, number: int, seconds: float, events: int) -> Sample:
    load = cast.start(*SERVERS[case.server].load, port=serving.facts["port"])
    if task in _EVENTS:
        bursts = Bursts(serving, load, LISTENERS[_EVENTS.index(task)])
        bursts.take(events // 4)
        heard, foreign = cast.quietest(lambda: bursts.take(events))
        return Sample(case, task, number, heard, foreign=foreign)
    order, _, window = task.lower().partition(" x ")
    details: dict[str, Any] = {"connections": int(window or 1)}
    load.ask(order, SECONDS, seconds=WARM_UP, **details)
    taken, foreign = cast.quietest(lambda: load.ask(order, SECONDS, seconds=seconds, **details))
    return Sample(case, task, number, taken["rate"], taken["p50_us"], taken["p99_us"], foreign)


class Bursts:
    """Events for so many listeners."""

    def __init__(self, serving: Actor, load: Actor, listeners: int) -> None:
        self._serving, self._load, self._listeners = serving, load, listeners
        self._first = 1
        load.ask("listen", listeners=listeners)

    def take(self, events: int) -> float:
        """Return the events per second of one burst of which every listener heard every number."""
        count = max(events // self._listeners, 10)
        self._load.ask("heard", first=self._first, count=count)
        begun = self._serving.ask("burst", SECONDS, first=self._first, count=count, per_turn=PER_TURN)
        ended = self._load.answer("done", SECONDS)
        self._first += count
        return float(count * self._listeners / (ended - begun) * 1e9)


HEADS: Final = ("what", "server", "a second", f"x {BASE}", "p50 us", "p99 us", "foreign", "rounds")


def report(cases: Sequence[Case], samples: Sequence[Sample], facts: dict[str, str], options: dict[str, Any]) -> str:
    """Everything a reader needs to judge the figures, tables included."""
    servers = list(dict.fromkeys(case.server for case in cases))
    method = (
        f"HTTP/1.1 over loopback, one process for the server and one for the load: {options['rounds']} rounds of "
        f"{options['seconds']} s per sample, event bursts of {options['events']:,} with {PER_TURN} per turn of the "
        f"loop; fresh processes in every round, order shuffled with seed {options['seed']}; every answer and every "
        "event compared; medians [lowest-highest]."
    )
    parts = [
        method,
        "\n".join(f"* {name}: {value}" for name, value in facts.items()),
        *(_table(samples, servers, placement) for placement in dict.fromkeys(case.placement for case in cases)),
        "\n".join(f"* {name}: {SERVERS[name].use}" for name in servers),
        DISTURBED,
    ]
    return "\n\n".join(parts) + "\n"


def _table(samples: Sequence[Sample], servers: Sequence[str], placement: str) -> str:
    rows = [
        _row(samples, Case(server, placement), task)
        for task in TASKS
        for server in servers
        if task in SERVERS[server].tasks
    ]
    return f"### {PLACEMENTS[placement]}\n\n" + markdown(HEADS, rows)


def _row(samples: Sequence[Sample], case: Case, task: str) -> list[str]:
    own = [sample for sample in samples if sample.case == case and sample.task == task]
    rates = _rates(own)
    if rates is None:
        return [task, case.server, f"missing: {own[0].problem if own else 'not measured'}", *[""] * (len(HEADS) - 3)]
    good = [sample for sample in own if sample.rate]
    base = Case(BASE, case.placement)
    return [
        task,
        case.server,
        rate(rates),
        figure(ratio(rates, _rates([s for s in samples if s.case == base and s.task == task])), 2),
        figure(_middle([sample.p50_us for sample in good]), 1),
        figure(_middle([sample.p99_us for sample in good]), 1),
        figure(median(sample.foreign for sample in good), 2),
        str(len(good)),
    ]


def _middle(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None


def _rates(samples: Sequence[Sample]) -> Spread | None:
    return Spread.of([sample.rate for sample in samples if sample.rate])
