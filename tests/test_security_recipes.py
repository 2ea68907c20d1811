"""The recipes of docs/security.md are run as they stand: only the host's name and port are replaced."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.cli.test_guarded import outer_address
from tests.test_docs import free_port

DOCUMENT: Final = Path(__file__).parent.parent / "docs" / "security.md"
BLOCK: Final = re.compile(r"^```sh\n# (once|the host|a client)\n(.*?)^```", re.MULTILINE | re.DOTALL)


class Recipe:
    """The shell blocks under one heading, in a folder and at an address of their own."""

    def __init__(self, heading: str, folder: Path) -> None:
        section = DOCUMENT.read_text(encoding="utf-8").partition(f"### {heading}\n")[2].partition("\n### ")[0]
        host, port = outer_address(), str(free_port())
        section = section.replace("DNS:plant.lan", f"IP:{host}").replace("plant.lan", host).replace("65214", port)
        self.blocks = dict(BLOCK.findall(section))
        self.folder = folder
        commands = Path(sys.executable).parent
        self.environment = {
            **os.environ,
            "PATH": f"{commands}:{os.environ['PATH']}",
            "XDG_RUNTIME_DIR": str(folder),
            "PYTHONUNBUFFERED": "1",
        }

    def run(self, block: str) -> str:
        done = subprocess.run(
            ["/bin/sh", "-ec", self.blocks[block]],
            cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=18, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    @contextmanager
    def hosting(self) -> Iterator[list[str]]:
        """Run the host until the end of the block; gives what it printed when it was ready."""
        host = subprocess.Popen(
            ["/bin/sh", "-ec", f"exec {self.blocks['the host']}"],
            cwd=self.folder, env=self.environment, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            assert host.stdout is not None
            said = [host.stdout.readline()]
            while said[-1] and not said[-1].startswith("Ctrl-C"):
                said.append(host.stdout.readline())
            yield said
        finally:
            host.send_signal(signal.SIGINT)
            host.communicate(timeout=15)


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("r")


def test_one_machine(folder: Path) -> None:
    recipe = Recipe("One machine", folder)
    with recipe.hosting() as said:
        assert "for this user and root" in said[1]
        assert recipe.run("a client") == "600\n"


@pytest.mark.timeout(60)
def test_a_local_network_with_tokens(folder: Path) -> None:
    recipe = Recipe("A local network, with tokens", folder)
    recipe.run("once")
    for name in ("panel.token", "screen.token", "tokens.json", "host.key"):
        assert (folder / name).stat().st_mode & 0o777 == 0o600
    with recipe.hosting() as said:
        assert "for who has a token" in said[1]
        assert recipe.run("a client") == "600\n21.0 Cel\nrefused, exit code 4\n"
    assert (folder / "audit.log").read_text().count('"denied":"call","caller":"token:screen"') == 1


@pytest.mark.timeout(60)
def test_tls_with_client_certificates(folder: Path) -> None:
    recipe = Recipe("TLS with client certificates", folder)
    assert "subject=CN=panel,O=Acme" in recipe.run("once").replace(" = ", "=").replace(", ", ",")
    with recipe.hosting() as said:
        assert "or a listed certificate" in said[1]
        assert recipe.run("a client") == "600\nrefused, exit code 4\n"
    assert (folder / "audit.log").read_text().count('"denied":"login","caller":"CN=guest,O=Acme"') == 1


def test_the_program_does_what_it_says(folder: Path) -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    program = text.partition("```python\n")[2].partition("```")[0]
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, timeout=18, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "token:panel",
        "PERMISSION_DENIED: boiler.reset is not allowed",
        "UNAUTHENTICATED: the login is over: the token or certificate was revoked",
    ]
    assert len((folder / "audit.log").read_text().splitlines()) >= 2
