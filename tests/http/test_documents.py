"""What docs/wires/http.md shows is executed."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from everywire import Code
from everywire.http.problems import STATUS
from tests.test_docs import blocks, programs, running

PAGE = Path(__file__).parents[2] / "docs" / "wires" / "http.md"

pytestmark = pytest.mark.interop


def test_the_command_lines_of_the_page_say_what_it_promises(tmp_path: Path) -> None:
    assert programs(PAGE, tmp_path) == {"plant.py"}
    port = re.findall(r"127\.0\.0\.1:(\d+)", (tmp_path / "plant.py").read_text(encoding="utf-8"))[0]
    lines = re.findall(r"^(curl .*?) +# (.*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(lines) == 4
    with running(tmp_path, "plant.py"):
        for line, promised in lines:
            command = shlex.split(line.replace("65213", port))
            extra = ["-s", "--retry", "20", "--retry-connrefused", "--retry-delay", "0", "--max-time", "10"]
            if "-N" in command:
                with subprocess.Popen([*command, *extra], stdout=subprocess.PIPE, text=True) as listening:
                    assert listening.stdout is not None
                    assert listening.stdout.readline() == "retry: 1000\n"
                    listening.kill()
            else:
                done = subprocess.run([*command, *extra], capture_output=True, text=True, check=True)
                assert done.stdout == promised


def test_the_table_of_errors_has_every_code_with_its_status() -> None:
    table = PAGE.read_text(encoding="utf-8").partition("## Errors")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| ([\d, ]+) \| ([`A-Z_, ]+) \|", table, re.MULTILINE)
    told = {(int(status), code) for statuses, codes in rows for status in statuses.split(", ") for code in
            re.findall(r"`(\w+)`", codes)}  # fmt: skip
    assert {(STATUS[code], code.name) for code in Code} <= told


def test_the_application_of_the_page_runs(tmp_path: Path) -> None:
    (block,) = (block for block in blocks(PAGE) if "FastAPI" in block)
    (tmp_path / "mounted.py").write_text(block, encoding="utf-8")
    command = [sys.executable, "-m", "uvicorn", "mounted:app", "--port", "0"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        try:
            while "running on" not in (line := server.stderr.readline()):
                assert line, "the server has ended"
            url = line.split()[-5]
            done = subprocess.run(["curl", "-s", f"{url}/things/objects"], capture_output=True, text=True, check=True)
            assert done.stdout == "[]"
        finally:
            server.terminate()
