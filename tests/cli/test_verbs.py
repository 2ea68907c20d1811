"""The verbs on remote objects, run within this process against a host of every type."""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import Result

import everywire.cli.describing
import everywire.cli.reaching
import everywire.cli.remote
from everywire import Code, Fault
from everywire.cli.exits import Exit
from everywire.cli.printing import print_table
from tests.cli.hosts import hosting

Cli = Callable[..., Result]


def good(result: Result) -> str:
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    return result.stdout


def bad(result: Result, code: Exit) -> str:
    assert (result.exit_code, result.stdout) == (code, ""), result.output
    assert "Traceback" not in result.stderr
    return result.stderr


@pytest.fixture(scope="module", params=["local", "http"])
def lab(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of `lab.py`, on wires of two kinds; `test_wires.py` has all of them."""
    with hosting("lab.py", request.param) as url:
        yield url


# -------------------------------------------------------------------------------------------------------- list, get
def test_list_names_the_objects_with_class_and_description(cli: Cli, lab: str) -> None:
    assert good(cli("list", lab)).splitlines() == [
        "OBJECT  CLASS  DESCRIPTION",
        "lab     Lab    Knows every type.",
        "museum  Lab    Knows every type.",
    ]


def test_list_as_json_has_one_entry_for_each_object(cli: Cli, lab: str) -> None:
    entries = json.loads(good(cli("list", lab, "--json")))
    assert [(entry["name"], entry["class"]) for entry in entries] == [("lab", "Lab"), ("museum", "Lab")]


def test_get_prints_all_properties_with_units(cli: Cli, lab: str) -> None:
    rows = [line.split() for line in good(cli("get", lab, "museum")).splitlines()]
    assert rows == [
        ["PROPERTY", "VALUE"],
        ["number", "5", "writable"],
        ["ratio", "0.5", "%", "writable"],
        ["label", "plain", "writable"],
        ["color", "RED", "writable"],
        ["fixed", "true"],
    ]


def test_get_of_one_property_prints_the_value_alone(cli: Cli, lab: str) -> None:
    assert good(cli("get", lab, "museum", "ratio")) == "0.5 %\n"
    assert good(cli("get", lab, "museum", "ratio", "--json")) == "0.5\n"


def test_get_of_several_properties_keeps_their_names(cli: Cli, lab: str) -> None:
    assert json.loads(good(cli("get", lab, "museum", "color", "fixed", "--json"))) == {"color": "RED", "fixed": True}


# -------------------------------------------------------------------------------------------------------- set, call
def test_set_prints_the_value_that_the_source_then_holds(cli: Cli, lab: str) -> None:
    assert good(cli("set", lab, "lab", "ratio", "25")) == "25.0 %\n"
    assert good(cli("set", lab, "lab", "number", "-3", "--json")) == "-3\n"
    assert good(cli("get", lab, "lab", "number")) == "-3\n"


def test_call_prints_the_result(cli: Cli, lab: str) -> None:
    assert good(cli("call", lab, "lab", "echo_text", "two words", "suffix=!")) == "two words!\n"
    assert good(cli("call", lab, "lab", "echo_text", "a", "--json")) == '"a"\n'
    assert good(cli("call", lab, "lab", "echo_byte", "0xff")) == "255\n"


def test_call_takes_json_for_what_has_parts(cli: Cli, lab: str) -> None:
    point = '{"x":1.0,"y":2.0,"color":"GREEN"}'
    assert good(cli("call", lab, "lab", "echo_point", point)) == point + "\n"
    assert good(cli("call", lab, "lab", "echo_list", "[1, 2]", "--json")) == "[1.0,2.0]\n"
    assert good(cli("call", lab, "lab", "echo_access", "read|write")) == "READ|WRITE\n"
    assert good(cli("call", lab, "lab", "echo_bytes", "aGk=")) == "aGk=\n"


def test_call_takes_times_as_people_write_them(cli: Cli, lab: str) -> None:
    words = ["2026-01-31T12:00:00", "2026-01-31", "12:00", "PT90S", "00000000-0000-0000-0000-000000000007"]
    assert json.loads(good(cli("call", lab, "lab", "echo_times", *words, "--json"))) == [
        "2026-01-31T12:00:00", "2026-01-31", "12:00:00", "90.0", words[4],
    ]  # fmt: skip


def test_call_reads_an_argument_from_the_standard_input(cli: Cli, lab: str) -> None:
    assert good(cli("call", lab, "lab", "echo_any", "-", "--json", input='{"deep": [1]}')) == '{"deep":[1]}\n'


def test_a_slot_without_result_prints_nothing_but_null_as_json(cli: Cli, lab: str) -> None:
    assert good(cli("set", lab, "lab", "number", "0")) == "0\n"
    assert good(cli("call", lab, "lab", "tick", "1")) == ""
    assert good(cli("call", lab, "lab", "tick", "1", "--json")) == "null\n"


def test_values_after_two_dashes_may_begin_with_a_dash(cli: Cli, lab: str) -> None:
    assert good(cli("call", lab, "lab", "echo_text", "--", "--json")) == "--json\n"
    assert good(cli("call", lab, "lab", "echo_list", "[-1]")) == "[-1.0]\n"


def test_a_stream_prints_a_line_for_each_item(cli: Cli, lab: str) -> None:
    assert good(cli("call", lab, "lab", "count", "3")) == "0\n1\n2\n"
    assert good(cli("call", lab, "lab", "count", "1000", "-n", "2", "--json")) == "0\n1\n"


# ------------------------------------------------------------------------------------------------------------ errors
def test_a_refused_call_ends_with_its_code(cli: Cli, lab: str) -> None:
    error = bad(cli("call", lab, "lab", "refuse"), Exit.FAULT)
    assert error == "everywire: FAILED_PRECONDITION: not today\\x1b[31m\n"


def test_what_the_policy_forbids_has_a_code_of_its_own(cli: Cli, lab: str) -> None:
    assert "PERMISSION_DENIED: museum.tick is not allowed" in bad(cli("call", lab, "museum", "tick", "1"), Exit.REFUSED)
    assert "PERMISSION_DENIED" in bad(cli("set", lab, "museum", "number", "1"), Exit.REFUSED)


@pytest.mark.parametrize(
    "words,message",
    [
        (["get", "{lab}", "labb"], "no object 'labb' at {lab}; it offers lab, museum. Did you mean 'lab'?"),
        (["get", "{lab}", "lab", "numbr"], "Lab has no property 'numbr'; it has number, ratio, label, color, fixed."),
        (["get", "{lab}", "lab", "tick"], "tick is a slot, not a property: call it by 'everywire call'"),
        (["call", "{lab}", "lab", "tik", "1"], "Did you mean 'tick'?"),
        (["call", "{lab}", "lab", "tick", "one"], "tick(count): expected a whole number, got 'one'"),
        (["call", "{lab}", "lab", "tick"], "tick needs count: slot tick(count: i64)"),
        (["call", "{lab}", "lab", "echo_byte", "256"], "echo_byte(byte): 256 is not within 0 and 255 (u8)"),
        (["set", "{lab}", "lab", "number", "11"], "number: 11 is not within -10 and 10"),
        (["set", "{lab}", "lab", "color", "blue"], "color: expected Color (RED, GREEN), got 'blue'."),
        (["set", "{lab}", "lab", "fixed", "no"], "fixed is read-only; Lab lets you set number, ratio, label, color"),
        (["watch", "{lab}", "lab", "ticket"], "Did you mean 'ticked'?"),
        (["get", "lokal:x", "lab"], "'lokal:x' is not an address everywire knows; addresses look like local:climate"),
        (["get", "tcp://127.0.0.1", "lab"], "needs a host and a port, as in tcp://127.0.0.1:65213"),
        (["call", "{lab}", "lab", "echo_text", "--jsn"], "there is no option --jsn. Did you mean '--json'?"),
        (["set", "{lab}", "lab", "number", "-x"], "there is no option -x."),
        (["lst", "{lab}"], "there is no verb 'lst'. Did you mean 'list'?"),
        (["get", "{lab}"], "Missing argument 'OBJECT'"),
        (["--wrong"], "--wrong"),
    ],
)
def test_wrong_usage_says_what_why_and_what_to_do(cli: Cli, lab: str, words: list[str], message: str) -> None:
    error = bad(cli(*[word.replace("{lab}", lab) for word in words]), Exit.USAGE)
    assert message.replace("{lab}", lab) in error


@pytest.mark.parametrize("verb", ["list", "get", "set", "call", "watch"])
def test_nobody_there_is_told_by_every_verb(cli: Cli, tmp_path: Path, verb: str) -> None:
    words = {"list": [], "set": ["lab", "number", "1"], "call": ["lab", "tick", "1"]}.get(verb, ["lab"])
    error = bad(cli(verb, f"local:{tmp_path}/nobody", *words), Exit.NO_CONNECTION)
    assert "no connection to" in error
    assert "start the host first" in error


def test_a_listener_that_says_nothing_is_given_up(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(everywire.cli.reaching, "PATIENCE", 0.2)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(f"{tmp_path}/silent")
        silent.listen()
        assert "did not show" in bad(cli("get", f"local:{tmp_path}/silent", "lab"), Exit.NO_CONNECTION)
        assert "did not show" in bad(cli("list", f"local:{tmp_path}/silent"), Exit.NO_CONNECTION)


def test_a_listener_of_another_protocol_is_told(cli: Cli, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(f"{tmp_path}/other")
        other.listen()

        def answer() -> None:
            with other.accept()[0] as peer:
                peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                peer.recv(1000)

        answering = threading.Thread(target=answer, daemon=True)
        answering.start()
        bad(cli("get", f"local:{tmp_path}/other", "lab"), Exit.NO_CONNECTION)
        answering.join()


def test_an_unexpected_error_is_one_line_unless_debugged(cli: Cli, lab: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise ZeroDivisionError("by nothing")

    monkeypatch.setattr(everywire.cli.remote, "places_in", broken)
    error = bad(cli("get", lab, "lab"), Exit.BUG)
    assert error == "everywire: ZeroDivisionError: by nothing (a bug, or a class that failed; --debug shows where)\n"
    assert "Traceback (most recent call last)" in cli("get", lab, "lab", "--debug").stderr
    assert "Traceback (most recent call last)" in cli("--debug", "get", lab, "lab").stderr


# ----------------------------------------------------------------------------------------------------------- waiting
def test_with_a_timeout_the_verbs_wait_for_the_host(cli: Cli, start: Callable[..., Any], tmp_path: Path) -> None:
    url = f"local:{tmp_path}/late"
    start("serve", "everywire.cli.plant:Pump", "--on", url)
    assert good(cli("list", url, "--timeout", "15")).splitlines()[1].split()[:2] == ["pump", "Pump"]
    assert good(cli("get", url, "pump", "mode", "--timeout", "15")) == "RUNNING\n"


def test_a_timeout_that_passes_tells_what_is_missing(cli: Cli, lab: str, tmp_path: Path) -> None:
    assert "no connection" in bad(cli("list", f"local:{tmp_path}/never", "--timeout", "0.3"), Exit.NO_CONNECTION)
    assert "no connection" in bad(cli("get", f"local:{tmp_path}/never", "x", "--timeout", "0.3"), Exit.NO_CONNECTION)
    assert "no object 'nobody'" in bad(cli("get", lab, "nobody", "--timeout", "0.3"), Exit.USAGE)


# ------------------------------------------------------------------------------------------------------------- watch
def test_watch_prints_the_present_values_then_changes_and_signals(
    cli: Cli, start: Callable[..., Any], lab: str
) -> None:
    good(cli("set", lab, "lab", "number", "0"))
    watching = start("watch", lab, "lab", "number", "ticked", "-n", "2")
    assert watching.line() == "number  0"
    good(cli("call", lab, "lab", "tick", "7"))
    assert watching.end() == ("number  1\nticked  count=7 color=GREEN\n", "")
    assert watching.code == Exit.OK


def test_watch_without_members_watches_all(cli: Cli, start: Callable[..., Any], lab: str) -> None:
    watching = start("watch", lab, "lab", "--json")
    shown = [json.loads(watching.line())["member"] for _ in range(5)]
    assert shown == ["number", "ratio", "label", "color", "fixed"]
    good(cli("set", lab, "lab", "label", "new\nline"))
    assert json.loads(watching.line()) == {"member": "label", "value": "new\nline"}
    good(cli("call", lab, "lab", "tick", "1"))
    assert json.loads(watching.line())["member"] == "number"
    assert json.loads(watching.line()) == {"member": "ticked", "arguments": {"count": 1, "color": "GREEN"}}
    watching.interrupt()
    assert watching.end() == ("", "")
    assert watching.code == Exit.INTERRUPTED


def test_watch_tells_when_the_link_is_lost_and_back(start: Callable[..., Any], tmp_path: Path) -> None:
    url = f"local:{tmp_path}/pump"
    serve = ("serve", "everywire.cli.plant:Pump", "--on", url)
    first = start(*serve)
    first.lines_until("Ctrl-C")
    watching = start("watch", url, "pump", "mode")
    assert watching.line() == "mode  RUNNING"
    first.interrupt()
    assert watching.process.stderr.readline() == f"everywire: pump at {url} is suspect; waiting for it\n"
    start(*serve)
    assert watching.process.stderr.readline() == f"everywire: pump at {url} is back\n"
    watching.process.terminate()
    assert watching.code == Exit.TERMINATED


def test_ctrl_c_ends_a_stream(start: Callable[..., Any], lab: str) -> None:
    calling = start("call", lab, "lab", "count", "1000000000")
    assert calling.line() == "0"
    calling.interrupt()
    assert calling.end()[1] == ""
    assert calling.code == Exit.INTERRUPTED


# ------------------------------------------------------------------------------------------------------------- hosts
class Refusing:
    """A session whose host gives nothing away."""

    offered = ("secret",)

    async def contract(self, name: str) -> Any:
        raise Fault(Code.PERMISSION_DENIED, "not for you")


async def test_an_object_whose_contract_cannot_be_read_has_none() -> None:
    session: Any = Refusing()
    assert await everywire.cli.reaching.contract_if_told(session, "local:x", "secret") is None


def test_a_host_that_refuses_the_object_is_told(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise Fault(Code.PERMISSION_DENIED, "not for you")

    monkeypatch.setattr(everywire.cli.reaching, "connect", refuse)
    assert "PERMISSION_DENIED: not for you" in bad(cli("get", "local:x", "lab"), Exit.REFUSED)


@pytest.fixture
def bare(start: Callable[..., Any], tmp_path: Path) -> str:
    """The address of an object without members."""
    (tmp_path / "bare.py").write_text("from everywire import Object\n\n\nclass Bare(Object): ...\n")
    serving = start("serve", "bare:Bare", "--on", f"local:{tmp_path}/bare", "--json", PYTHONPATH=str(tmp_path))
    serving.line()
    return f"local:{tmp_path}/bare"


def test_an_object_without_members_has_nothing_to_watch(cli: Cli, bare: str) -> None:
    error = bad(cli("watch", bare, "bare"), Exit.USAGE)
    assert error == "everywire: Bare has neither properties nor signals to watch\n"
    assert good(cli("get", bare, "bare")) == "PROPERTY  VALUE\n"
    assert good(cli("show", bare, "bare")) == "bare (Bare)\n"
    assert "it has none" in bad(cli("call", bare, "bare", "x"), Exit.USAGE)


def test_a_host_that_shows_nothing_is_told(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    @asynccontextmanager
    async def empty(url: str, timeout: float) -> AsyncIterator[Any]:
        yield SimpleNamespace(offered=())

    monkeypatch.setattr(everywire.cli.remote, "opened", empty)
    monkeypatch.setattr(everywire.cli.describing, "opened", empty)
    told = "everywire: local:x offers no objects that you may see\n"
    assert [cli("list", "local:x").stderr, cli("show", "local:x").stderr] == [told, told]
    assert [cli(verb, "local:x", "--json").stdout for verb in ("list", "show")] == ["[]\n", "{}\n"]


# ------------------------------------------------------------------------------------------------------------ tables
def test_a_terminal_gets_a_table_of_rich(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, terminal = os.openpty()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "40")
    with os.fdopen(terminal, "w") as screen:
        monkeypatch.setattr(sys, "stdout", screen)
        print_table(("OBJECT", "COUNT"), [("hall\x1b[2J", "7")], numbers=("COUNT",))
    monkeypatch.undo()
    shown = os.read(ours, 4096).decode()
    os.close(ours)
    assert "────" in shown
    assert "hall\\x1b[2J" in shown


def test_a_terminal_without_rich_is_told_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, terminal = os.openpty()
    monkeypatch.setitem(sys.modules, "rich", None)
    with os.fdopen(terminal, "w") as screen:
        monkeypatch.setattr(sys, "stdout", screen)
        with pytest.raises(ImportError, match=r"pip install 'everywire\[cli\]'"):
            print_table(("OBJECT",), [])
    monkeypatch.undo()
    os.close(ours)
