"""The options that every suite has."""

from __future__ import annotations

import argparse
import random
from pathlib import Path


def parser(suite: str, description: str | None, *, rounds: int) -> argparse.ArgumentParser:
    """A parser with `--rounds`, `--seed` and `--json`; the suite adds its own."""
    options = argparse.ArgumentParser(prog=f"python -m benchmarks {suite}", description=description)
    options.add_argument("--rounds", type=int, default=rounds, help="default: %(default)s")
    seed = random.SystemRandom().randrange(10**6)
    options.add_argument("--seed", type=int, default=seed, help="of the shuffled order; default: another one each time")
    options.add_argument("--json", type=Path, help="write the figures to this file, too")
    return options
