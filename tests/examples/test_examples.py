"""Every example runs, does what its first line says, and fits on a page."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
OUTPUT = {
    "signal_drives_slot": "running: False\n",
    "plain_sockets": "".join(
        f"{transport}: b'hello\\n' for uid {uid}, loopback True\n"
        for transport, uid in (("memory", r"\d+"), ("local", r"\d+"), ("tcp", "None"))
    ),
    "bridge": "pushed: 0.5 the lamp has: 0.5\ncalled: flashed 3 times\n",
}


def run(name: str, *arguments: str) -> str:
    command = [sys.executable, "-W", "error", str(EXAMPLES / f"{name}.py"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=15)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("name", OUTPUT)
def test_an_example_prints_what_it_promises(name: str) -> None:
    expected = re.escape(OUTPUT[name]).replace(re.escape(r"\d+"), r"\d+")
    assert re.fullmatch(expected, run(name))


def test_the_two_processes_understand_each_other_until_ctrl_c(tmp_path: Path) -> None:
    url = f"local:{tmp_path}/climate"
    host = subprocess.Popen(
        [sys.executable, str(EXAMPLES / "thermostat_host.py"), url], stdout=subprocess.PIPE, text=True
    )
    assert host.stdout is not None
    assert host.stdout.readline() == f"hall is served at {url}\n"
    assert run("thermostat_client", url).splitlines() == [
        "target: 21.0",
        "heard that it is 20.5 Cel",
        "boosted to: 20.5",
        "pushed: 22.5",
        "refused: target: 99.0 is not within 5 and 35",
    ]
    host.send_signal(signal.SIGINT)
    host.communicate(timeout=15)
    assert host.returncode == 0
    assert not (tmp_path / "climate").exists()


def test_every_example_is_run_by_a_test() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.py")} == {*OUTPUT, "thermostat_host", "thermostat_client"}


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_an_example_has_at_most_40_lines(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 40
