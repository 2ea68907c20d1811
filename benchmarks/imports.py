"""The suite `imports`: the wall time of a fresh interpreter that imports everywire, asyncio or nothing."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from time import perf_counter_ns
from typing import Final

from benchmarks import machine
from benchmarks.figures import Spread, figure, markdown
from benchmarks.options import parser

STATEMENTS: Final = ("pass", "import asyncio", "import everywire")


def main(arguments: Sequence[str]) -> int:
    """Start the interpreters in interleaved rounds, print the table, write the JSON; 1 when an import fails."""
    options = parser("imports", __doc__, rounds=11).parse_args(arguments)
    # One start each that is not counted: it writes byte code and fills the page cache, and it may fail.
    missing = {statement: reason for statement in STATEMENTS if (reason := start(statement)[1])}
    spreads = _rounds([statement for statement in STATEMENTS if statement not in missing], options.rounds, options.seed)
    facts = machine.facts() | machine.versions(["everywire", "msgspec"])
    print(f"Wall time of a fresh interpreter, {options.rounds} interleaved rounds, seed {options.seed}; medians.\n")
    print("\n".join(f"* {name}: {value}" for name, value in facts.items()), "\n")
    print(table(spreads, missing))
    if options.json:
        report = {
            "suite": "imports",
            "seed": options.seed,
            "machine": facts,
            "missing": missing,
            "milliseconds": {statement: asdict(spread) for statement, spread in spreads.items()},
        }
        options.json.write_text(json.dumps(report, indent=1), encoding="utf-8")
    return 1 if missing else 0


def start(statement: str) -> tuple[float, str]:
    """Run `python -c statement`; return its wall time in ms and, when it failed, the last line of its error."""
    begun = perf_counter_ns()
    done = subprocess.run([sys.executable, "-c", statement], capture_output=True, text=True, check=False)
    elapsed = (perf_counter_ns() - begun) / 1e6
    return elapsed, (done.stderr.strip().splitlines() or ["failed"])[-1] if done.returncode else ""


def _rounds(statements: Sequence[str], rounds: int, seed: int) -> dict[str, Spread]:
    order = random.Random(seed)
    shuffled = list(statements)
    samples: dict[str, list[float]] = {statement: [] for statement in statements}
    for _ in range(rounds):
        order.shuffle(shuffled)
        for statement in shuffled:
            samples[statement].append(start(statement)[0])
    return {statement: spread for statement, values in samples.items() if (spread := Spread.of(values))}


def table(spreads: dict[str, Spread], missing: dict[str, str]) -> str:
    """One row per statement; the last column is what the statement costs beyond starting Python at all."""
    empty = spreads.get("pass")
    rows: list[list[str]] = []
    for statement in STATEMENTS:
        spread = spreads.get(statement)
        if spread is None:
            rows.append([statement, f"missing: {missing.get(statement, 'not measured')}", "", ""])
            continue
        beyond = spread.median - empty.median if empty else None
        span = f"{spread.low:.1f}-{spread.high:.1f}"
        rows.append([statement, figure(spread.median, 1), span, figure(beyond, 1)])
    return markdown(("statement", "ms", "lowest-highest", "beyond pass, ms"), rows)
