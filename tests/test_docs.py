"""What the documents show is executed: programs as processes, other Python blocks compiled, links followed."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
NAME = re.compile(r"# (\w+\.py)\n")
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")


def blocks(document: Path) -> list[str]:
    return BLOCK.findall(document.read_text(encoding="utf-8"))


def programs(document: Path, folder: Path) -> set[str]:
    """Write the blocks that begin with a file name to *folder*; return their names."""
    found: set[str] = set()
    port = free_port()
    for block in blocks(document):
        name = NAME.match(block)
        if name:
            (folder / name[1]).write_text(block.replace("65213", str(port)), encoding="utf-8")
            found.add(name[1])
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(folder: Path) -> dict[str, str]:
    """TMPDIR leads relative `local:` names into *folder*."""
    return {**os.environ, "TMPDIR": str(folder), "PYTHONUNBUFFERED": "1"}


@contextmanager
def running(folder: Path, name: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, name]
    with subprocess.Popen(command, cwd=folder, env=environment(folder), stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def run(folder: Path, *command: str) -> str:
    done = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        timeout=15,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_python_block_compiles(document: Path) -> None:
    for block in blocks(document):
        compile(block, str(document), "exec")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_somewhere(document: Path) -> None:
    for target in LINK.findall(document.read_text(encoding="utf-8")):
        assert (document.parent / target).exists(), f"{document.name} links to {target}"


def test_the_programs_of_the_readme_do_what_it_says(tmp_path: Path) -> None:
    assert programs(ROOT / "README.md", tmp_path) == {"host.py", "client.py", "pump.py"}
    with running(tmp_path, "host.py"), running(tmp_path, "pump.py") as pump:
        assert run(tmp_path, "client.py").split() == ["21.0", "26.0", "300", "22.5"]
        while pump.poll() is None:  # the pump may have come after the first signal
            run(tmp_path, "client.py")
        assert pump.stdout is not None
        assert pump.stdout.read() == "the pump has stopped\n"


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:0", "local:echo", "localabstract:echo-docs", "memory:echo"])
def test_the_echo_of_the_transport_page_runs_on_every_address(tmp_path: Path, address: str) -> None:
    programs(ROOT / "docs" / "transport.md", tmp_path)
    transport = address.partition(":")[0]
    assert run(tmp_path, "echo.py", address) == f"b'hello\\n' {transport}\n"
