"""The suite `rpc`: one call, int -> int, between two processes, beside every peer. Only the command is in here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from benchmarks.options import Parser, choice, parser
from benchmarks.peers import PEERS
from benchmarks.report import Report
from benchmarks.rounds import Placement, Plan, run


def main(arguments: Sequence[str]) -> int:
    """Measure as the options say, print the tables, write the JSON; 1 if there is no sample at all, else 0."""
    options = _command().parse(arguments)
    plan = Plan(
        peers=options.peers,
        placements=options.placement,
        rounds=options.rounds,
        seconds=options.seconds,
        seed=options.seed,
    )
    report = Report.of(plan, list(run(plan)))
    print(report.markdown())
    if options.json:
        options.json.write_text(report.json(), encoding="utf-8")
    return 0 if any(outcome.sample for outcome in report.outcomes) else 1


def _command() -> Parser:
    placements: tuple[Placement, ...] = get_args(Placement)
    command = parser("rpc", __doc__, rounds=7, seconds=0.02)
    command.add_argument("--seconds", type=float, default=0.2, help="length of one sample")
    command.add_argument("--peers", type=choice(tuple(PEERS)), default=tuple(PEERS), help=", ".join(PEERS))
    command.add_argument("--placement", type=choice(placements), default=placements, help=", ".join(placements))
    return command
