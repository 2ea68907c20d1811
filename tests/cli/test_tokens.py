"""`everywire token`: the token is printed once and alone, and nothing else ever shows it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from everywire import Role, Tokens
from everywire.cli import tokens as verbs
from everywire.cli.credentials import with_token
from everywire.cli.exits import Exit

Cli = Callable[..., Result]


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the default file is."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("EVERYWIRE_TOKEN", raising=False)
    return tmp_path / "config"


def test_a_token_is_printed_alone_and_advice_goes_to_the_standard_error(cli: Cli, config: Path) -> None:
    result = cli("token", "add", "panel", "--role", "operator")
    assert result.exit_code == Exit.OK
    name, _, secret = result.stdout.rstrip("\n").partition(".")
    assert (name, len(secret)) == ("panel", 43)
    assert "panel may log in as operator: keep the token in a file of mode 0600" in result.stderr
    assert secret not in result.stderr
    file = config / "everywire" / "tokens.json"
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    assert secret not in file.read_text()
    assert Tokens(file).grants["panel"].role is Role.OPERATOR


def test_the_list_shows_everything_but_secrets(cli: Cli) -> None:
    token = cli("token", "add", "panel", "--role", "admin", "--expires", "30d").stdout.strip()
    cli("token", "add", "office", "--role", "viewer", "--certificate", "CN=office,O=Acme")
    shown = cli("token", "list")
    heads, panel, office = shown.stdout.splitlines()
    assert heads.split() == ["NAME", "ROLE", "LOGS", "IN", "BY", "EXPIRES"]
    assert panel.split()[:3] == ["panel", "admin", "token"]
    assert office.split() == ["office", "viewer", "CN=office,O=Acme", "never"]
    told = json.loads(cli("token", "list", "--json").stdout)
    assert [(entry["name"], entry["role"], entry["certificate"], entry["expired"]) for entry in told] == [
        ("panel", "admin", None, False),
        ("office", "viewer", "CN=office,O=Acme", False),
    ]
    in_days = (datetime.fromisoformat(told[0]["expires"]).timestamp() - time.time()) / 86_400
    assert 29.9 < in_days < 30.1
    assert token.partition(".")[2] not in shown.stdout + json.dumps(told)


def test_an_entry_that_is_over_is_listed_as_such(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "tokens.json"
    Tokens(file).add("old", Role.VIEWER, expires=time.time() - 5)
    assert cli("token", "list", "--tokens", str(file)).stdout.rstrip().endswith(", is over")
    (told,) = json.loads(cli("token", "list", "--json", "--tokens", str(file)).stdout)
    assert told["expired"] is True


def test_an_empty_list_is_a_list(cli: Cli) -> None:
    assert cli("token", "list").exit_code == Exit.OK
    assert json.loads(cli("token", "list", "--json").stdout) == []


def test_entries_are_removed_by_name(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "tokens.json"
    for name in ("a", "b", "c"):
        cli("token", "add", name, "--role", "viewer", "--tokens", str(file))
    result = cli("token", "remove", "a", "b", "--tokens", str(file))
    assert (result.exit_code, result.stdout) == (Exit.OK, "")
    assert set(Tokens(file).grants) == {"c"}
    result = cli("token", "remove", "a", "--tokens", str(file))
    assert result.exit_code == Exit.USAGE
    assert "has no entry 'a'; it has c" in result.stderr


@pytest.mark.parametrize(
    "words,message",
    [
        (("add", "panel"), "Missing option '--role'"),
        (("add", "panel", "--role", "king"), "'king' is not one of 'viewer', 'operator', 'admin'"),
        (("add", "a b", "--role", "viewer"), "the name of an entry has 1 to 64 letters"),
        (("add", "panel", "--role", "viewer", "--expires", "soon"), "neither a span such as 12h"),
        (("add", "panel", "--role", "viewer", "--expires", "0d"), "neither a span"),
        (("add", "panel", "--role", "viewer", "--expires", "2001-01-01"), "is in the past"),
        (("add", "panel", "--role", "viewer", "--tokens", "/nowhere/at/all"), "make its folder first"),
        (("list", "--tokens", "/"), "is not a file"),
        (("remove",), "Missing argument 'NAME...'"),
    ],
)
def test_wrong_usage_is_told(cli: Cli, words: tuple[str, ...], message: str) -> None:
    result = cli("token", *words)
    assert (result.exit_code, result.stdout) == (Exit.USAGE, "")
    assert message in result.stderr


@pytest.mark.parametrize(
    "text,seconds", [("90s", 90), ("5m", 300), ("12h", 43_200), ("30d", 2_592_000), ("2w", 1_209_600)]
)
def test_a_span_counts_from_now(text: str, seconds: int) -> None:
    moment = verbs.Expiry().convert(text, None, None)
    assert abs(moment - time.time() - seconds) < 60


def test_a_date_is_that_moment() -> None:
    assert verbs.Expiry().convert("2999-01-31", None, None) == datetime(2999, 1, 31).astimezone().timestamp()
    assert verbs.Expiry().convert(5.0, None, None) == 5.0


def test_without_xdg_the_file_is_in_the_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for value in ("", "relative"):
        monkeypatch.setenv("XDG_CONFIG_HOME", value)
        assert verbs.default_file() == tmp_path / ".config" / "everywire" / "tokens.json"


# ----------------------------------------------------------------------------------------- into a file, by a real shell
def command(*words: str, stdout: Any, umask: int = 0o022) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "everywire", "token", *words],
        stdout=stdout, stderr=subprocess.PIPE, text=True, timeout=18, check=False, umask=umask,
    )  # fmt: skip


def test_a_new_file_that_the_token_goes_to_becomes_private(tmp_path: Path) -> None:
    with (tmp_path / "panel.token").open("w") as file:
        done = command("add", "panel", "--role", "viewer", stdout=file)
    assert done.returncode == Exit.OK
    assert (tmp_path / "panel.token").stat().st_mode & 0o777 == 0o600
    assert "now has mode 0600" in done.stderr


def test_a_file_that_holds_something_else_keeps_its_mode_and_one_is_told(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("installed\n")
    (tmp_path / "log").chmod(0o644)
    with (tmp_path / "log").open("a") as file:
        done = command("add", "panel", "--role", "viewer", stdout=file)
    assert done.returncode == Exit.OK
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o644
    assert "chmod 600 it" in done.stderr


def test_a_private_file_needs_no_advice(tmp_path: Path) -> None:
    (tmp_path / "panel.token").touch(mode=0o600)
    with (tmp_path / "panel.token").open("w") as file:
        done = command("add", "panel", "--role", "viewer", stdout=file)
    assert "mode" not in done.stderr.partition("keep the token")[0]


def test_a_token_that_nobody_could_read_leaves_no_entry(config: Path) -> None:
    with Path("/dev/full").open("w") as file:
        done = command("add", "panel", "--role", "viewer", stdout=file)
    assert done.returncode != Exit.OK
    assert not Tokens(config / "everywire" / "tokens.json").grants


# ------------------------------------------------------------------------------------------------------ EVERYWIRE_TOKEN
@pytest.mark.parametrize(
    "url,expected",
    [
        ("tcp://h:1", "tcp://h:1?token=/a%20b.token"),
        ("tls://h:1?ca=c.pem", "tls://h:1?ca=c.pem&token=/a%20b.token"),
        ("tls://h:1?ca=c.pem&token=mine", "tls://h:1?ca=c.pem&token=mine"),
        ("tcp://h:1?token=mine", "tcp://h:1?token=mine"),
    ],
)
def test_the_environment_names_the_file_of_the_token(url: str, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert with_token(url) == url
    monkeypatch.setenv("EVERYWIRE_TOKEN", "/a b.token")
    assert with_token(url) == expected


def test_a_token_in_the_environment_is_not_taken_for_a_file_and_not_repeated(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, start: Callable[..., Any]
) -> None:
    token = cli("token", "add", "panel", "--role", "viewer", "--tokens", f"{tmp_path}/t.json").stdout.strip()
    serving = start(
        "serve",
        "everywire.cli.plant:Thermostat",
        "--on",
        "tcp://127.0.0.1:0",
        "--tokens",
        f"{tmp_path}/t.json",
        "--json",
    )
    (address,) = json.loads(serving.line())["addresses"]
    monkeypatch.setenv("EVERYWIRE_TOKEN", token)
    result = cli("get", address, "thermostat")
    assert result.exit_code == Exit.USAGE
    assert "a file that holds the token is wanted" in result.stderr
    assert token.partition(".")[2] not in result.output
