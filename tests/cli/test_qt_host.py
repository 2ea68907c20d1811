"""The verbs on a plain Qt host."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from everywire.cli.exits import Exit

pytestmark = pytest.mark.interop
Cli = Callable[..., Result]


@pytest.fixture(scope="module")
def boiler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    url = f"local:{tmp_path_factory.mktemp('qt')}/boiler"
    command = [sys.executable, str(Path(__file__).with_name("qt_host.py")), url]
    host = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert host.stdout is not None
    assert host.stdout.readline().strip() == url
    yield url
    host.communicate(timeout=15)


def test_a_qt_object_is_listed_read_set_and_called(cli: Cli, boiler: str) -> None:
    assert cli("list", boiler).stdout.splitlines()[1].split() == ["boiler", "Boiler"]
    assert cli("get", boiler, "boiler", "set_point").stdout == "60.0\n"
    assert cli("set", boiler, "boiler", "setPoint", "65").stdout == "65.0\n"
    assert json.loads(cli("get", boiler, "boiler", "--json").stdout) == {"set_point": 65.0}
    assert cli("call", boiler, "boiler", "ignite_with", "gas").stdout == "burning gas\n"


def test_a_qt_object_is_shown_with_its_own_names(cli: Cli, boiler: str) -> None:
    shown = cli("show", boiler, "boiler").stdout.splitlines()
    assert "  set_point: f64, writable, named setPoint there" in shown
    assert "  ignite_with(argument_0: str) -> str, named igniteWith there" in shown


def test_a_qt_signal_is_watched(cli: Cli, boiler: str, start: Callable[..., Any]) -> None:
    watching = start("watch", boiler, "boiler", "set_point", "lit", "-n", "1")
    assert watching.line().startswith("set_point  ")
    assert cli("call", boiler, "boiler", "igniteWith", "oil").stdout == "burning oil\n"
    assert watching.line().startswith("lit        ")
    assert watching.code == Exit.OK


def test_a_wrong_name_is_answered_with_the_qt_ones(cli: Cli, boiler: str) -> None:
    result = cli("call", boiler, "boiler", "ignite")
    assert result.exit_code == Exit.USAGE
    assert "it has ignite_with" in result.stderr
