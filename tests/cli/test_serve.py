"""`everywire serve`: finding the class, serving it, ending in order."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from everywire.cli.exits import Exit
from everywire.cli.hosting import load_class, who_may_connect
from everywire.cli.plant import Thermostat
from everywire.errors import ModelError

PLANT = "everywire.cli.plant:Thermostat"
Cli = Callable[..., Result]
Start = Callable[..., Any]


def test_a_class_that_is_not_there_is_told_those_that_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "from everywire import Object, Table, TableSource, TreeSource\nclass Boiler(Object):\n    pass\n"
    (tmp_path / "own_classes.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModelError, match=r"own_classes has no class 'Boler'; it has Boiler. Did you mean 'Boiler'"):
        load_class("own_classes:Boler")


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_told_end_is_graceful_and_leaves_no_socket(start: Start, tmp_path: Path, how: signal.Signals) -> None:
    serving = start("serve", PLANT, "--on", f"local:{tmp_path}/plant", "--on", "tcp://127.0.0.1:0")
    shown = serving.lines_until("Ctrl-C")
    assert shown[0] == "thermostat (Thermostat) is served at"
    assert shown[1].split("  ") == ["", f"local:{tmp_path}/plant", "for this user and root"]
    assert shown[2].startswith("  tcp://127.0.0.1:")
    assert "for everybody on this machine" in shown[2]
    assert list(tmp_path.iterdir()) == [tmp_path / "plant"]
    serving.process.send_signal(how)
    assert serving.end() == ("", "")
    assert serving.code == Exit.OK
    assert list(tmp_path.iterdir()) == []


def test_the_name_and_the_addresses_are_told_as_json(cli: Cli, start: Start) -> None:
    serving = start("serve", PLANT, "--name", "hall", "--on", "tcp://127.0.0.1:0", "--json")
    told = json.loads(serving.line())
    assert (told["object"], told["class"]) == ("hall", "Thermostat")
    (address,) = told["addresses"]
    assert cli("call", address, "hall", "boost", "10").stdout == "600\n"
    assert cli("call", address, "hall", "readings", "-n", "1").stdout == '{"celsius":21.0,"sensor":"wall"}\n'
    serving.interrupt()
    assert serving.code == Exit.OK


def test_a_second_ctrl_c_ends_at_once(cli: Cli, start: Start, tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(
        "import asyncio\nfrom everywire import Object, slot\n\n\n"
        "class Slow(Object):\n    @slot\n    async def wait(self) -> None:\n"
        "        print('waiting', flush=True)\n        await asyncio.Event().wait()\n"
    )
    serving = start("serve", "slow:Slow", "--on", f"local:{tmp_path}/slow", PYTHONPATH=str(tmp_path))
    serving.lines_until("Ctrl-C")
    calling = start("call", f"local:{tmp_path}/slow", "slow", "wait")
    assert serving.line() == "waiting"
    serving.interrupt()
    while cli("list", f"local:{tmp_path}/slow").exit_code == Exit.OK:
        pass  # until it has begun to end: nobody new is let in, and the call is given time
    serving.interrupt()
    assert serving.code == Exit.INTERRUPTED
    assert calling.code != Exit.OK


def test_a_living_address_is_not_taken(cli: Cli, start: Start, tmp_path: Path) -> None:
    url = f"local:{tmp_path}/plant"
    start("serve", PLANT, "--on", url).lines_until("Ctrl-C")
    result = cli("serve", PLANT, "--on", url)
    assert result.exit_code == Exit.NO_CONNECTION
    assert f"somebody listens at {tmp_path}/plant already" in result.stderr


def test_a_port_in_use_is_told(cli: Cli) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        result = cli("serve", PLANT, "--on", f"tcp://127.0.0.1:{other.getsockname()[1]}")
    assert result.exit_code == Exit.NO_CONNECTION
    assert "already" in result.stderr


def test_an_address_open_to_others_is_refused(cli: Cli) -> None:
    result = cli("serve", PLANT, "--on", "tcp://0.0.0.0:0")
    assert result.exit_code == Exit.USAGE
    assert "tcp://0.0.0.0:0 could be reached from other machines" in result.stderr


def test_on_stdio_the_output_belongs_to_the_link_alone() -> None:
    command = [sys.executable, "-m", "everywire", "serve", PLANT, "--on", "stdio:"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as serving:
        assert serving.stderr is not None
        assert serving.stderr.readline() == b"thermostat (Thermostat) is served at\n"
        assert [serving.stderr.readline() for _ in range(2)][1] == b"Ctrl-C ends it.\n"
        serving.send_signal(signal.SIGINT)
        out, errors = serving.communicate(timeout=15)
    assert (serving.returncode, errors) == (Exit.OK, b"")
    assert b"served" not in out
    assert "QtRO".encode("utf-16-be") in out


def test_on_stdio_it_ends_with_the_program_that_started_it() -> None:
    command = [sys.executable, "-m", "everywire", "serve", PLANT, "--on", "stdio:"]
    ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=15, check=False)
    assert ended.returncode == Exit.OK
    assert ended.stderr.splitlines()[-1] == b"Ctrl-C ends it."


@pytest.mark.parametrize(
    "target,message",
    [
        ("plant", "'plant' is no MODULE:CLASS; it looks like everywire.cli.plant:Thermostat"),
        (":Thermostat", "is no MODULE:CLASS"),
        ("everywire.cli.plnt:Thermostat", "there is no module 'everywire.cli.plnt'; modules are looked for in"),
        ("nowhere.at.all:Thermostat", "there is no module 'nowhere.at.all'"),
        ("everywire.cli.plant:Termostat", "it has Thermostat, Pump. Did you mean 'Thermostat'?"),
        ("everywire.cli.plant:Mode", "is not a class derived from everywire.Object"),
        ("everywire.cli.plant:LIMIT", "is not a class derived from everywire.Object"),
    ],
)
def test_a_wrong_class_says_which_half_is_wrong(cli: Cli, target: str, message: str) -> None:
    result = cli("serve", target, "--on", "memory:x")
    assert result.exit_code == Exit.USAGE
    assert message in result.stderr


def test_a_class_that_needs_arguments_is_refused(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "needy.py").write_text(
        "from everywire import Object\n\n\n"
        "class Needy(Object):\n    def __init__(self, port):\n        self.port = port\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    result = cli("serve", "needy:Needy", "--on", "memory:x")
    assert result.exit_code == Exit.USAGE
    assert "needy:Needy cannot be made without arguments" in result.stderr


def test_a_module_that_lacks_a_library_is_not_called_missing(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "halting.py").write_text("import no_such_library_here\n")
    monkeypatch.syspath_prepend(tmp_path)
    result = cli("serve", "halting:Thing", "--on", "memory:x")
    assert result.exit_code == Exit.USAGE
    assert "halting needs no_such_library_here, which is not installed" in result.stderr


def test_a_module_of_the_present_directory_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "found_here.py").write_text("from everywire.cli.plant import Thermostat as Mine\n")
    monkeypatch.setattr("sys.path", ["/nowhere"])
    assert load_class("found_here:Mine") is Thermostat


def test_without_an_address_nothing_is_served(cli: Cli) -> None:
    result = cli("serve", PLANT)
    assert result.exit_code == Exit.USAGE
    assert "Missing option '--on'" in result.stderr


def test_an_unknown_class_raises_a_model_error() -> None:
    with pytest.raises(ModelError):
        load_class("json:Thermostat")


STRANGERS = "; others are strangers, who get nothing"


@pytest.mark.parametrize(
    "url,who,guarded",
    [
        ("local:x", "for this user and root", "for this user and root"),
        ("memory:x", "for this process", "for this process"),
        ("stdio:", "", ""),
        ("qtro+tcp://127.0.0.1:1", "for everybody on this machine, anonymously", "for who has a token"),
        ("tcp://localhost:1", "for everybody on this machine, anonymously", "for who has a token"),
        (
            "tcp://0.0.0.0:1",
            f"for everybody on this machine, anonymously{STRANGERS}",
            "for who has a token, in clear text",
        ),
        ("tls://[::1]:1?cert=c", "for everybody on this machine, anonymously", "for who has a token"),
        ("tls://host:1?cert=c", f"for everybody on this machine, anonymously{STRANGERS}", "for who has a token"),
        ("tls://host:1?ca=c", "for clients whose certificate is known", "for who has a token or a listed certificate"),
    ],
)
def test_the_banner_says_who_may_connect(url: str, who: str, guarded: str) -> None:
    assert who_may_connect(url) == who
    assert who_may_connect(url, tokens=True) == guarded
