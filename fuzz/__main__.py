"""`python -m fuzz [TARGET …] [--runs N | --seconds N]`: look for bytes on which a reader fails.

With atheris (`pip install -e '.[fuzz]'`, Linux on x86-64) libFuzzer follows what each input reaches in our code;
without it, or with `--engine own`, inputs are changed at random. Inputs that reached something new are kept in
fuzz/found, those on which a reader failed in fuzz/found/failed: `python -m fuzz TARGET --input FILE` shows it again.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

FOUND: Final = Path(__file__).parent / "found"
SLOWEST: Final = 2
"""Seconds that one input may take before it counts as a hang."""
LONGEST: Final = 64 * 1024
"""Bytes of an input at the most."""


def main(arguments: Sequence[str]) -> int:
    """Fuzz the targets one after the other, each in a process of its own; 1 if one of them failed."""
    from fuzz.targets import TARGETS

    options = _parser(tuple(TARGETS)).parse_args(arguments)
    if options.input is not None:
        (name,) = options.targets
        TARGETS[name].prepare()(options.input.read_bytes())
        return 0
    if options.child:
        (name,) = options.targets
        _fuzz_here(name, options)
        return 0
    failed = [name for name in options.targets or TARGETS if not _fuzz(name, options)]
    print(f"failed: {', '.join(failed)}" if failed else "nothing failed")
    return 1 if failed else 0


def _parser(names: tuple[str, ...]) -> argparse.ArgumentParser:
    looks = argparse.RawTextHelpFormatter
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__, formatter_class=looks)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"default: all of {', '.join(names)}")
    parser.add_argument("--runs", type=int, default=0, help="inputs for each target")
    parser.add_argument("--seconds", type=int, default=60, help="for each target, when --runs is not given")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1, 2**31))
    engine = "atheris" if importlib.util.find_spec("atheris") else "own"
    parser.add_argument("--engine", choices=("atheris", "own"), default=engine)
    parser.add_argument("--forget", action="store_true", help="keep nothing of what is found")
    parser.add_argument("--input", type=Path, help="only give this file to the target")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    return parser


# --------------------------------------------------------------------------------------------------- one target
def _fuzz(name: str, options: argparse.Namespace) -> bool:
    """Fuzz one target in a process of its own; tell how it went in one line, and what it said if it failed."""
    arguments = [name, "--child", "--engine", options.engine, "--seed", str(options.seed)]
    arguments += ["--runs", str(options.runs), "--seconds", str(options.seconds)]
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        corpus = Path(folder) if options.forget else FOUND / name
        failures = corpus if options.forget else FOUND / "failed"
        for path in (corpus, failures):
            path.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "fuzz", *arguments]
        environment = {"FUZZ_CORPUS": str(corpus), "FUZZ_FAILURES": f"{failures}/{name}-"}
        done = subprocess.run(
            command, cwd=ROOT, env={**_environment(), **environment}, capture_output=True, text=True, check=False
        )
    words = done.stdout + done.stderr
    runs, reached = _facts(words)
    took = time.monotonic() - begun
    print(f"{name:14} {options.engine}: {runs:>10} inputs in {took:6.1f} s, {reached}", flush=True)
    if done.returncode:
        print("\n".join(line for line in words.splitlines() if not line.startswith("INFO: Instr"))[-6000:], flush=True)
    return done.returncode == 0


def _environment() -> dict[str, str]:
    import os

    return dict(os.environ)


def _facts(words: str) -> tuple[int, str]:
    """Return how many inputs there were, and what is known of what they reached."""
    runs = [int(number) for number in re.findall(r"^Done (\d+) (?:runs|inputs)", words, re.MULTILINE)]
    reached = re.findall(r"cov: (\d+) ft: (\d+)", words)
    return (runs or [0])[-1], f"{reached[-1][0]} edges reached" if reached else "edges not counted"


def _fuzz_here(name: str, options: argparse.Namespace) -> None:
    """Fuzz in this process, until a failure ends it or there were enough inputs."""
    import os

    corpus, failures = Path(os.environ["FUZZ_CORPUS"]), os.environ["FUZZ_FAILURES"]
    if options.engine == "atheris":
        _with_atheris(name, options, corpus, failures)
    else:
        _with_own(name, options, failures)


def _with_atheris(name: str, options: argparse.Namespace, corpus: Path, failures: str) -> None:
    import atheris

    from fuzz.framing import mutated_frames
    from fuzz.targets import TARGETS

    target = TARGETS[name]
    with atheris.instrument_imports(include=["everywire"], enable_loader_override=False):
        run = target.prepare()
        begin = list(target.seeds())
    with tempfile.TemporaryDirectory(prefix="seeds-") as folder:
        for number, seed in enumerate(begin):
            (Path(folder) / f"{number:05}").write_bytes(seed[:LONGEST])
        flags = [sys.argv[0], str(corpus), folder, f"-seed={options.seed}", f"-timeout={SLOWEST}"]
        flags += [f"-artifact_prefix={failures}", f"-max_len={LONGEST}", "-print_final_stats=1", "-rss_limit_mb=1024"]
        flags.append(f"-runs={options.runs}" if options.runs else f"-max_total_time={options.seconds}")
        custom: dict[str, Any] = {}
        if target.order:

            def change(data: bytes, most: int, seed: int) -> bytes:
                rng = random.Random(seed)
                return mutated_frames(bytes(data), target.order, most, rng, lambda p, n: bytes(atheris.Mutate(p, n)))

            custom["custom_mutator"] = change
        atheris.Setup(flags, run, **custom)
        atheris.Fuzz()


def _with_own(name: str, options: argparse.Namespace, failures: str) -> None:
    """Change seeds, and what came of them, at random; nothing is known of what they reach."""
    from fuzz.framing import mutated_frames, mutator
    from fuzz.targets import TARGETS

    target = TARGETS[name]
    run, rng = target.prepare(), random.Random(options.seed)
    pool, change = [*target.seeds(), b""], mutator(rng)
    ends, count = time.monotonic() + options.seconds, 0
    while count < options.runs if options.runs else time.monotonic() < ends:
        data = rng.choice(pool)
        for _ in range(rng.choice((1, 1, 2, 3))):
            data = mutated_frames(data, target.order, LONGEST, rng, change) if target.order else change(data, LONGEST)
        begun = time.monotonic()
        try:
            run(data)
            assert time.monotonic() - begun < SLOWEST, "this input takes too long"
        except BaseException:
            with contextlib.suppress(OSError):
                Path(f"{failures}{count}").write_bytes(data)
            print(json.dumps({"input": data.hex()[:4000]}))
            raise
        count += 1
    print(f"Done {count} inputs")


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
