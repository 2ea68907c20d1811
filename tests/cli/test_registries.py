"""`everywire registry`, and the verbs with objects that are found by name."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from click.testing import Result

from everywire.cli.exits import Exit

Cli = Callable[..., Result]
Start = Callable[..., Any]


def good(result: Result) -> str:
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    return result.stdout


@pytest.fixture
def registry(start: Start) -> Iterator[str]:
    """The address of a registry that a process of its own hosts."""
    running = start("registry", "tcp://127.0.0.1:0")
    assert running.line() == "objects can be registered and found at"
    address, _, who = running.line().strip().partition("  ")
    assert who == "for everybody on this machine, anonymously"
    assert running.line() == "Ctrl-C ends it."
    yield address
    running.interrupt()
    assert running.code == Exit.OK


def test_an_object_is_served_into_a_registry_and_used_by_its_name(cli: Cli, start: Start, registry: str) -> None:
    with ExitStack() as stack:
        where = f"tcp://127.0.0.1:0?registry={registry}"
        host = start("serve", "everywire.cli.plant:Thermostat", "--name", "hall", "--on", where)
        stack.callback(host.end)
        stack.callback(host.process.send_signal, signal.SIGTERM)
        url = host.lines_until("  tcp://")[-1].split()[0]
        assert good(cli("get", registry, "hall", "target", "--timeout", "10")) == "21.0 Cel\n"
        assert good(cli("call", registry, "hall", "boost", "5")) == "600\n"
        assert good(cli("set", registry, "hall", "target", "22.5")) == "22.5 Cel\n"
        assert good(cli("show", registry, "hall")).startswith("hall (Thermostat)\n")
        assert json.loads(good(cli("list", registry, "--json"))) == [
            {"name": "hall", "class": "Thermostat", "url": url}
        ]
        assert good(cli("list", registry)) == f"OBJECT  CLASS       URL\nhall    Thermostat  {url}\n"
        missing = cli("get", registry, "hell", "--timeout", "0")
        assert missing.exit_code == Exit.USAGE
        assert "it offers hall. Did you mean 'hall'?" in missing.stderr
        itself = cli("get", registry.removeprefix("registry+"), "hall")
        assert itself.exit_code == Exit.USAGE
        assert f"it offers Registry. What is registered there is found at {registry}." in itself.stderr


def test_an_empty_registry_says_so(cli: Cli, registry: str) -> None:
    result = cli("list", registry)
    assert (result.exit_code, result.stdout) == (0, "OBJECT  CLASS  URL\n")
    assert "offers no objects" in result.stderr


def test_a_registry_in_json(start: Start) -> None:
    running = start("registry", "--json", "tcp://127.0.0.1:0", "registry+tcp://127.0.0.1:0")
    addresses = json.loads(running.line())["addresses"]
    assert [address.partition("//")[0] for address in addresses] == ["registry+tcp:"] * 2
    running.interrupt()
    assert running.code == Exit.OK


def test_a_host_without_a_registry_is_told_from_one_with(cli: Cli, start: Start) -> None:
    host = start("serve", "everywire.cli.plant:Thermostat", "--name", "hall", "--on", "tcp://127.0.0.1:0")
    url = host.lines_until("  tcp://")[-1].split()[0]
    result = cli("list", f"registry+{url}")
    assert result.exit_code != 0
    assert "is no registry; it offers hall" in result.stderr
    host.interrupt()
    assert host.code == Exit.OK
