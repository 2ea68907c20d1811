"""The options that every suite has."""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any


class Parser(argparse.ArgumentParser):
    """A parser whose option `--quick` sets those options that were not given to little values."""

    def __init__(self, *, quick: Mapping[str, Any], prog: str, description: str | None) -> None:
        super().__init__(prog=prog, description=description)
        self._quick = quick
        self.add_argument("--quick", action="store_true", help="a few samples only: whether it works, not how fast")

    def parse(self, arguments: Sequence[str]) -> argparse.Namespace:
        """Return the options of a command line."""
        if "--quick" in arguments:
            self.set_defaults(**self._quick)
        return self.parse_args(arguments)


def parser(suite: str, description: str | None, *, rounds: int, **quick: Any) -> Parser:
    """A parser with `--rounds`, `--seed`, `--json` and `--quick`; the suite adds its own, and little values of them."""
    quick = {"rounds": 1, **quick}
    options = Parser(quick=quick, prog=f"python -m benchmarks {suite}", description=description)
    options.add_argument("--rounds", type=int, default=rounds, help="default: %(default)s")
    seed = random.SystemRandom().randrange(10**6)
    options.add_argument("--seed", type=int, default=seed, help="of the shuffled order; default: another one each time")
    options.add_argument("--json", type=Path, help="write the figures to this file, too")
    return options


def choice(known: Sequence[str]) -> Callable[[str], tuple[str, ...]]:
    """The argparse type of a comma-separated choice."""

    def names(text: str) -> tuple[str, ...]:
        chosen = tuple(text.split(","))
        for name in chosen:
            if name not in known:
                raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(known)}")
        return chosen

    return names
