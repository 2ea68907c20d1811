"""The page on the command line shows what the command really prints: every block is run, in order, in one folder."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from everywire.cli.command import everywire
from everywire.cli.exits import MEANINGS
from tests.dbus import lab

PAGE = Path(__file__).resolve().parents[2] / "docs" / "cli.md"
TEXT = PAGE.read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```console\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


class Shell:
    """bash in a folder of its own, which is the temp directory too, with our command on its path."""

    def __init__(self, folder: Path, session_bus: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = str(probe.getsockname()[1])
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        self._options: Any = {
            "cwd": folder,
            "env": {**os.environ, "TMPDIR": str(folder), "PATH": path, "LC_ALL": "C.UTF-8"} | {
                "DBUS_SESSION_BUS_ADDRESS": session_bus
            },
            "stdout": subprocess.PIPE,
            "stderr": subprocess.STDOUT,
            "text": True,
        }
        self._code = 0

    def start(self, command: str) -> subprocess.Popen[str]:
        return subprocess.Popen(("bash", "-c", f"exec {command}"), **self._options)

    def run(self, command: str) -> str:
        """Run a command; it can ask for the exit code of the one before."""
        done = subprocess.run(
            ("bash", "-c", f"(exit {self._code}); {command}"), timeout=30, check=False, **self._options
        )
        self._code = done.returncode
        return done.stdout

    def real(self, text: str) -> str:
        """A text of the page with a port that is free here."""
        return text.replace("65213", self._port)


def steps(block: str) -> list[tuple[str, str]]:
    """The commands of a block, each with the output below it."""
    found = re.split(r"^\$ (.*)\n", block, flags=re.MULTILINE)[1:]
    return list(zip(found[::2], found[1::2], strict=True))


@pytest.mark.timeout(60)
def test_every_block_prints_what_the_page_says(tmp_path: Path, own_bus: lab.Bus) -> None:
    """A command that goes on, in the background or watching, prints its first lines at once."""
    shell = Shell(tmp_path, own_bus.address)
    started: list[subprocess.Popen[str]] = []
    awaited: dict[subprocess.Popen[str], str] = {}
    try:
        for block in BLOCKS:
            told_before = dict(awaited)
            for command, output in steps(shell.real(block)):
                if command.endswith((" &", "overheated -n 2")):
                    process = shell.start(command.removesuffix(" &"))
                    started.append(process)
                    now = output.splitlines(keepends=True)[: None if command.endswith("&") else 1]
                    assert process.stdout is not None
                    assert "".join(process.stdout.readline() for _ in now) == "".join(now)
                    awaited[process] = output.removeprefix("".join(now))
                else:
                    assert shell.run(command) == output, command
            for process, output in told_before.items():
                if output:  # a watching one shows what the block after it does
                    assert process.communicate(timeout=15)[0] == output
                    del awaited[process]
    finally:
        for process in started:
            process.terminate()
            process.communicate(timeout=15)


def test_the_exit_codes_are_those_of_the_command() -> None:
    rows = dict(re.findall(r"^\| (\d+) \| (.+?) \|$", TEXT, re.MULTILINE))
    assert rows == {str(int(code)): meaning for code, meaning in MEANINGS.items()}


def test_every_verb_has_its_line() -> None:
    assert set(re.findall(r"^\| `(\w+)", TEXT, re.MULTILINE)) >= everywire.commands.keys()
