"""R4: coverage-guided fuzzing of every reader: a thousand inputs each here, `make fuzz` as long as one likes."""

from __future__ import annotations

import importlib.util
import platform
import random
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from fuzz.framing import mutated_frames, mutator
from fuzz.targets import TARGETS
from tests.harness import SOAK, soak
from tests.remoteobjects.promises.conftest import Figures

ROOT: Final = Path(__file__).resolve().parents[3]
GUIDED: Final = sys.platform == "linux" and platform.machine() == "x86_64"
"""Whether atheris is made for this machine; elsewhere inputs are changed at random."""
MOST: Final = ("host", "node", "node13", "variants", "definitions", "rep")
"""The readers that are fuzzed in `make test` too; each costs a second for its start."""


def fuzz(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the program."""
    command = [sys.executable, "-m", "fuzz", "--forget", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.timeout(300 if SOAK else 60)
@pytest.mark.parametrize("name", TARGETS if SOAK else MOST)
def test_no_input_makes_a_reader_fail(name: str, figure: Figures) -> None:
    done = fuzz(name, *(("--seconds", "60") if SOAK else ("--runs", "1000")))
    assert done.returncode == 0, done.stdout + done.stderr
    ((engine, made, reached),) = re.findall(r"^\w+ +(\w+): +(\d+) inputs in .* s, (.*)$", done.stdout, re.MULTILINE)
    figure(f"inputs of {name}, by {engine}, {reached}", int(made))
    assert int(made) >= 1000
    assert engine == ("atheris" if GUIDED else "own")


@pytest.mark.parametrize("name", TARGETS)
def test_no_change_of_a_known_input_makes_a_reader_fail(name: str) -> None:
    target, rng = TARGETS[name], random.Random(1)
    run, change = target.prepare(), mutator(rng)
    for seed in target.seeds():
        run(seed)
        for _ in range(soak(3, 1000)):
            if target.order:
                run(mutated_frames(seed, target.order, 64 * 1024, rng, change))
            else:
                run(change(seed, 64 * 1024))


def test_a_reader_that_fails_is_noticed_by_both_engines(tmp_path: Path) -> None:
    """A fuzzer that finds nothing proves only as much as that it would have found something."""
    program = """
import sys
import fuzz.targets
from fuzz.targets import Target
def prepare():
    def run(data):
        if data[:1] == b"S" and len(data) > 6 and data[5:6] == b"!":
            raise KeyError("a bug")
    return run
fuzz.targets.TARGETS.clear()
fuzz.targets.TARGETS["bug"] = Target(prepare, lambda: [b"S    !"])
from fuzz.__main__ import main
sys.exit(main(sys.argv[1:]))
"""
    engines = ["own", "atheris"] if importlib.util.find_spec("atheris") else ["own"]
    for engine in engines:
        done = subprocess.run(
            [sys.executable, "-c", program, "bug", "--child", "--engine", engine, "--runs", "100000"],
            cwd=ROOT, capture_output=True, text=True, check=False,
            env={"FUZZ_CORPUS": str(tmp_path), "FUZZ_FAILURES": f"{tmp_path}/{engine}-"},
        )  # fmt: skip
        assert done.returncode != 0, engine
        assert "a bug" in done.stdout + done.stderr
        assert list(tmp_path.glob(f"{engine}-*")), "the input is kept"
