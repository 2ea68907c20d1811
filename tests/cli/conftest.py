"""A host for the verbs, the command within this process, and the command as a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from everywire.cli.command import everywire
from tests.cli.hosts import hosting
from tests.dbus import lab as buses

NO_BUS = f"unix:path={tempfile.gettempdir()}/everywire-nowhere/bus"
ROOT = Path(__file__).resolve().parents[2]


class Program:
    """A running `everywire …`, read line by line."""

    def __init__(self, *arguments: str, **environment: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "everywire", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | environment,
        )

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip("\n")

    def lines_until(self, start: str) -> list[str]:
        """What it prints up to and with the line that starts so."""
        lines = [self.line()]
        while not lines[-1].startswith(start):
            assert self.process.poll() is None or lines[-1], "".join(self.end())
            lines.append(self.line())
        return lines

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def end(self, within: float = 15) -> tuple[str, str]:
        """The rest of its output and errors, when it has ended."""
        return self.process.communicate(timeout=within)

    @property
    def code(self) -> int:
        return self.process.wait(timeout=15)


@pytest.fixture
def start() -> Iterator[Callable[..., Program]]:
    """Start `everywire …` as a process; it is ended after the test."""
    started: list[Program] = []

    def make(*arguments: str, **environment: str) -> Program:
        started.append(Program(*arguments, **environment))
        return started[-1]

    yield make
    for program in started:
        if program.process.poll() is None:
            program.process.kill()
        program.end()


@pytest.fixture(autouse=True)
def no_foreign_bus(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reaches the buses of this machine or user."""
    for name in ("SESSION", "SYSTEM"):
        monkeypatch.setenv(f"DBUS_{name}_BUS_ADDRESS", NO_BUS)


@pytest.fixture
def own_bus() -> Iterator[buses.Bus]:
    """A message bus like that of a session."""
    with buses.running() as bus:
        yield bus


@pytest.fixture(scope="session")
def lab() -> Iterator[str]:
    """The address of `lab.py`."""
    with hosting("lab.py") as url:
        yield url


@pytest.fixture(scope="session")
def zoo() -> Iterator[str]:
    """The address of `zoo.py`."""
    with hosting("zoo.py") as url:
        yield url


@pytest.fixture
def cli() -> Callable[..., Result]:
    """Run `everywire …` within this process."""

    def invoke(*arguments: str, **options: Any) -> Result:
        return CliRunner().invoke(everywire, arguments, prog_name="everywire", **options)

    return invoke
