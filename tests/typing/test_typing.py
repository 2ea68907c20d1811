"""The public API as type checkers see it: what is right passes, and every mistake is found where it stands."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parent.parent.parent
HERE: Final = Path(__file__).resolve().parent
ACCEPT: Final = HERE / "accept.py"
REJECT: Final = HERE / "reject.py"
TOOLS: Final = Path(sys.executable).parent

Found = set[tuple[str, int]]
"""Names of files and numbers of lines with errors."""
Checker = Callable[[Path], Found]


def mypy(cache: Path) -> Found:
    """Errors of mypy --strict; notes are no errors."""
    done = subprocess.run(
        [TOOLS / "mypy", "--strict", "--cache-dir", cache, ACCEPT, REJECT],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return {
        (Path(match[1]).name, int(match[2]))
        for match in re.finditer(r"^(.+?):(\d+)(?::\d+)?: error: ", done.stdout, re.MULTILINE)
    }


def pyright(_cache: Path) -> Found:
    """Errors of pyright; both files ask for strictness themselves."""
    done = subprocess.run(
        [TOOLS / "pyright", "--outputjson", "--pythonpath", sys.executable, "--pythonversion", "3.11", ACCEPT, REJECT],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    diagnostics = json.loads(done.stdout)["generalDiagnostics"]
    return {
        (Path(item["file"]).name, item["range"]["start"]["line"] + 1)
        for item in diagnostics
        if item["severity"] == "error"
    }


@pytest.fixture(scope="module", params=[mypy, pyright], ids=["mypy", "pyright"])
def found(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Found:
    checker: Checker = request.param
    return checker(tmp_path_factory.mktemp("checker"))


def marked() -> set[int]:
    lines = REJECT.read_text(encoding="utf-8").splitlines()
    return {number for number, line in enumerate(lines, 1) if "# wrong: " in line}


@pytest.mark.timeout(180)
def test_what_users_write_passes_strict_checking(found: Found) -> None:
    assert sorted(line for file, line in found if file == ACCEPT.name) == []


@pytest.mark.timeout(180)
def test_every_deliberate_mistake_is_found_and_nothing_else(found: Found) -> None:
    lines = {line for file, line in found if file == REJECT.name}
    assert len(marked()) >= 12
    assert sorted(marked() - lines) == [], "mistakes that were not found"
    assert sorted(lines - marked()) == [], "false alarms"
