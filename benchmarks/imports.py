"""The suite `imports`: wall time and memory of a fresh interpreter that imports something, beside other libraries.

`import everywire` loads nothing but a table of names, so what a program uses is imported here by name. The memory is
the most that the process had in RAM, which it says itself in a start of its own that is not timed: ru_maxrss of
getrusage(2) would begin with the memory of the process that started it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from time import perf_counter_ns
from typing import Final

from benchmarks import machine
from benchmarks.casts import interleaved
from benchmarks.figures import Spread, figure, markdown
from benchmarks.options import choice, parser

IMPORTS: Final = {
    "nothing": "pass",
    "asyncio": "import asyncio",
    "everywire, the names only": "import everywire",
    "everywire: objects": "from everywire import Object, Property, prop, signal, slot",
    "everywire: objects, a node and Qt Remote Objects": "from everywire import Node, Object, RemoteObjects, connect",
    "everywire: a replica without a loop": "from everywire import Object, sync; sync.connect",
    "everywire: a node and HTTP": "from everywire import Node, Object; from everywire.http import Http, asgi",
    "everywire --help": "import sys; sys.argv = ['everywire', '--help']; from everywire.cli import main; main()",
    "PySide6: core and remote objects": "from PySide6 import QtCore, QtRemoteObjects",
    "dbus-fast": "from dbus_fast.aio import MessageBus",
    "grpcio": "import grpc.aio",
    "aiohttp": "import aiohttp.web",
    "FastAPI + uvicorn": "import fastapi, uvicorn",
}
"""Name -> the statements that the interpreter runs."""
_PEAK: Final = """\
import atexit
atexit.register(lambda: print(open("/proc/self/status").read().partition("VmHWM:")[2].split()[0]))
"""
PACKAGES: Final = ("everywire", "msgspec", "PySide6-Essentials", "dbus-fast", "grpcio", "aiohttp", "fastapi", "uvicorn")


@dataclass(frozen=True, slots=True)
class Figures:
    """What one import costs."""

    milliseconds: Spread
    megabytes: float


def main(arguments: Sequence[str]) -> int:
    """Start the interpreters in interleaved rounds, print the table, write the JSON; 1 when an import of ours fails."""
    command = parser("imports", __doc__, rounds=11)
    command.add_argument("--imports", type=choice(tuple(IMPORTS)), default=tuple(IMPORTS), help="; ".join(IMPORTS))
    options = command.parse(arguments)
    # One start each that is not counted: it writes byte code and fills the page cache, and it may fail.
    missing = {name: problem for name in options.imports if (problem := start(IMPORTS[name])[1])}
    found = _rounds([name for name in options.imports if name not in missing], options.rounds, options.seed)
    facts = machine.facts() | machine.versions(PACKAGES)
    print(f"A fresh interpreter each, {options.rounds} interleaved rounds, seed {options.seed}; medians.\n")
    print("\n".join(f"* {name}: {value}" for name, value in facts.items()), "\n")
    print(table(options.imports, found, missing))
    if options.json:
        report = {
            "suite": "imports",
            "seed": options.seed,
            "machine": facts,
            "missing": missing,
            "figures": {name: asdict(figures) for name, figures in found.items()},
        }
        options.json.write_text(json.dumps(report, indent=1), encoding="utf-8")
    return 1 if any("everywire" in name for name in missing) else 0


def start(statements: str) -> tuple[float, str]:
    """Run an interpreter; return its wall time in ms and, when it failed, the last line of its error."""
    begun = perf_counter_ns()
    done = subprocess.run([sys.executable, "-c", statements], capture_output=True, text=True, check=False)
    elapsed = (perf_counter_ns() - begun) / 1e6
    return elapsed, (done.stderr.strip().splitlines() or ["failed"])[-1] if done.returncode else ""


def peak_megabytes(statements: str) -> float:
    """Run an interpreter; return the most memory that it had."""
    told = subprocess.run([sys.executable, "-c", _PEAK + statements], capture_output=True, text=True, check=True)
    return int(told.stdout.split()[-1]) / 1024


def _rounds(names: Sequence[str], rounds: int, seed: int) -> dict[str, Figures]:
    samples: dict[str, list[float]] = {name: [] for name in names}
    for _, name in interleaved(names, rounds, seed):
        samples[name].append(start(IMPORTS[name])[0])
    return {
        name: Figures(spread, peak_megabytes(IMPORTS[name]))
        for name, values in samples.items()
        if (spread := Spread.of(values))
    }


def table(names: Sequence[str], found: dict[str, Figures], missing: dict[str, str]) -> str:
    """One row per import; two columns are what it costs beyond starting Python at all."""
    empty = found.get("nothing")
    rows: list[list[str]] = []
    for name in names:
        figures = found.get(name)
        if figures is None:
            rows.append([name, f"missing: {missing.get(name, 'not measured')}", "", "", "", ""])
            continue
        times, memory = figures.milliseconds, figures.megabytes
        rows.append(
            [
                name,
                figure(times.median, 1),
                f"{times.low:.1f}-{times.high:.1f}",
                figure(times.median - empty.milliseconds.median if empty else None, 1),
                figure(memory, 1),
                figure(memory - empty.megabytes if empty else None, 1),
            ]
        )
    return markdown(("import", "ms", "lowest-highest", "beyond nothing, ms", "MB", "beyond nothing, MB"), rows)
