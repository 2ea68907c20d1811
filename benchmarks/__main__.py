"""The command `python -m benchmarks SUITE [options]`: it only chooses the suite."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Final

SUITES: Final = {
    "rpc": "one call, int -> int, between two processes, beside every peer",
    "stages": "where the time of a call goes in everywire itself, without sockets",
    "fanout": "a property, a signal, to 1 to 100 replicas",
    "scaling": "calls on one of 10 to 5,000 connections of a host, and what a connection costs",
    "dbus": "calls, changes and signals on D-Bus, through a bus and between peers",
    "restart": "from the death of a host to a valid replica of the next one",
    "memory": "what 1,000 idle replicas cost their host, and themselves",
    "stalled": "what a replica that stops reading costs its host",
    "tables": "the rows of a table, beside Qt's model replicas",
    "http": "our HTTP wire beside FastAPI and aiohttp",
    "local": "setting, getting and emitting in one process, beside PySide6",
    "imports": "time and memory of importing everywire and others in a fresh interpreter",
}
"""Suite -> what it measures. Each is a module of this package with `main(arguments) -> exit code`."""


def main(arguments: list[str]) -> int:
    """Run the suite named first with the rest as its options; return its exit code."""
    if not arguments or arguments[0] not in SUITES:
        width = max(map(len, SUITES))
        print("usage: python -m benchmarks SUITE [--help | options]", file=sys.stderr)
        for name, meaning in SUITES.items():
            print(f"  {name:{width}}  {meaning}", file=sys.stderr)
        return 0 if arguments[:1] in (["-h"], ["--help"]) else 2
    suite = import_module(f"{__package__}.{arguments[0]}")
    return int(suite.main(arguments[1:]))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
