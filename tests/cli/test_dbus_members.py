"""Members of any service by path: read, set, called, watched; by every name they go by, with values of every type."""

from __future__ import annotations

import json
import select
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from everywire.cli.exits import Exit
from tests.cli.heaters import heater
from tests.cli.hosts import hosting
from tests.dbus import lab

Cli = Callable[..., Result]
Start = Callable[..., Any]
NAME = "org.acme.Heater"
URL = f"dbus:session?service={NAME}"
PATH = "/org/acme/Heater"


def good(result: Result) -> str:
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    return result.stdout


def bad(result: Result, code: Exit) -> str:
    assert (result.exit_code, result.stdout) == (code, ""), result.output
    assert "Traceback" not in result.stderr
    return result.stderr


@pytest.fixture(scope="module")
def bus() -> Iterator[lab.Bus]:
    """A bus for the heaters of each test."""
    with lab.running() as bus:
        yield bus


@pytest.fixture(autouse=True)
def session(bus: lab.Bus, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """It is that of the session, with a fresh heater on it."""
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", bus.address)
    with heater(bus.address, NAME):
        yield


# --------------------------------------------------------------------------------------------------------------- get
def test_get_prints_what_can_be_read(cli: Cli) -> None:
    assert [line.split() for line in good(cli("get", URL, PATH)).splitlines()] == [
        ["PROPERTY", "VALUE"],
        ["level", "1.5", "writable"],
        ["heater_state", "3"],
        ["stale", "0"],
        ["speed", "[1,2]", "writable"],
        ["fan_state", "on"],
    ]
    assert json.loads(good(cli("get", URL, ".", "--json"))) == {
        "level": 1.5, "heater_state": 3, "stale": 0, "speed": [1, 2], "fan_state": "on",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["level", "Level", "org.acme.Heater1.Level", "org.acme.Heater1.level"])
def test_a_member_goes_by_its_name_here_there_and_with_its_interface(cli: Cli, name: str) -> None:
    assert good(cli("get", URL, PATH, name)) == "1.5\n"


def test_a_name_that_two_interfaces_have_needs_its_interface(cli: Cli) -> None:
    several = f"{PATH} has several State: say which, org.acme.Heater1.State, org.acme.Fan1.State\n"
    assert bad(cli("get", URL, PATH, "State"), Exit.USAGE) == f"everywire: {several}"
    assert "has several state: say which" in bad(cli("get", URL, PATH, "state"), Exit.USAGE)
    assert good(cli("get", URL, PATH, "org.acme.Fan1.State")) == "on\n"
    assert good(cli("get", URL, PATH, "fan_state", "heater_state", "--json")) == '{"fan_state":"on","heater_state":3}\n'
    error = bad(cli("call", URL, PATH, "Toggle"), Exit.USAGE)
    assert "say which, org.acme.Heater1.Toggle, org.acme.Fan1.Toggle" in error


def test_interfaces_that_all_objects_have_are_reached_by_their_names(cli: Cli) -> None:
    assert good(cli("call", URL, PATH, "org.acme.Fan1.Toggle")) == ""
    assert good(cli("get", URL, PATH, "fan_state")) == "off\n"
    bus = "dbus:session?service=org.freedesktop.DBus"
    call = ("call", bus, "/org/freedesktop/DBus", "org.freedesktop.DBus.Properties.Get")
    assert json.loads(good(cli(*call, "org.freedesktop.DBus", "Interfaces")))


# --------------------------------------------------------------------------------------------------------------- set
def test_set_prints_what_the_object_then_has(cli: Cli) -> None:
    assert good(cli("set", URL, PATH, "level", "-2.5")) == "-2.5\n"
    assert good(cli("set", URL, PATH, "org.acme.Fan1.Speed", "[3, -4]", "--json")) == "[3,-4]\n"
    assert good(cli("set", URL, PATH, "secret", "sesame")) == ""
    assert good(cli("get", URL, PATH, "Level", "Speed", "--json")) == '{"level":-2.5,"speed":[3,-4]}\n'


def test_values_of_the_wrong_type_are_refused_before_anything_is_sent(cli: Cli) -> None:
    error = bad(cli("set", URL, PATH, "Level", "warm"), Exit.USAGE)
    assert error == "everywire: level: expected a number, got 'warm'\n"
    assert "speed: expected 2 items, got 1" in bad(cli("set", URL, PATH, "speed", "[1]"), Exit.USAGE)
    assert "boost(minutes): 65536 is not within 0 and 65535" in bad(
        cli("call", URL, PATH, "boost", "65536", "x"), Exit.USAGE
    )
    assert "org.acme.Heater1.State is read-only; /org/acme/Heater lets you set level, secret, speed" in bad(
        cli("set", URL, PATH, "heater_state", "1"), Exit.USAGE
    )
    assert "org.acme.Heater1.Secret can be set but not read" in bad(cli("get", URL, PATH, "secret"), Exit.USAGE)


# -------------------------------------------------------------------------------------------------------------- call
def test_call_prints_the_result(cli: Cli) -> None:
    assert good(cli("call", URL, PATH, "boost", "5", "two words")) == "300\n"
    assert good(cli("call", URL, PATH, "Boost", "note=x", "minutes=0x10", "--json")) == "960\n"
    assert good(cli("call", URL, PATH, "Tell")) == ""
    assert good(cli("call", URL, PATH, "org.acme.Heater1.Toggle", "--json")) == "null\n"


@pytest.mark.parametrize(
    "word,signature",
    [
        ("plain text", "s"),
        ("5", "x"),
        ("1.5", "d"),
        ("true", "b"),
        ("[1]", "av"),
        ('{"a": 1}', "a{sv}"),
        ("@u 5", "u"),
        ("@s 5", "s"),
        ("@o /a/b", "o"),
        ("@ay aGk=", "ay"),
        ('@(su) ["a", 5]', "(su)"),
        ('@a{uv} {"5": 6}', "a{uv}"),
        ('{"@aq": [1, 2]}', "aq"),
        ("@v 5", "v"),
    ],
)
def test_a_variant_is_json_or_text_or_of_the_type_written_before_it(cli: Cli, word: str, signature: str) -> None:
    assert good(cli("call", URL, PATH, "Signature", word)) == f"{signature}\n"


def test_variants_within_values_have_their_types_within_json(cli: Cli) -> None:
    options = '{"count": {"@u": 5}, "list": [1, "x"], "deep": {"@a{sv}": {"path": {"@o": "/a"}}}}'
    called = good(cli("call", URL, PATH, "Options", options, "-", "--json", input='{"@t": 18446744073709551615}'))
    plain = {"count": 5, "list": [1, "x"], "deep": {"path": "/a"}}
    assert json.loads(called) == [plain, "18446744073709551615"]


@pytest.mark.parametrize(
    "word,message",
    [
        ("@q 65536", "65536 is not within 0 and 65535"),
        ("@ 5", "'' is 0 types where one is needed"),
        ("@su 5", "'su' is 2 types where one is needed"),
        ("@! 5", "'!' is no signature"),
        ("@(sv) [1]", "expected 2 items for '(sv)', got 1"),
        ("@as {}", "expected list[str], got dict"),
        ('{"@as": {}}', "expected an array of JSON for 'as', got {}"),
        ("@a{sv} []", "expected an object of JSON for 'a{sv}', got []"),
        ("@o not/a/path", "is no object path"),
        ("[" * 5000, "nested too deep"),
    ],
)
def test_a_wrong_variant_is_told(cli: Cli, word: str, message: str) -> None:
    error = bad(cli("call", URL, PATH, "Signature", word), Exit.USAGE)
    assert error.startswith("everywire: signature(value): ")
    assert message in error


def test_an_open_file_is_passed_by_its_number(start: Start, cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("twelve bytes")
    with (tmp_path / "text").open("rb") as file:
        assert good(cli("call", URL, PATH, "Size", str(file.fileno()))) == "12\n"
    assert "size(file): expected the number of an open file, as in 3 with 3< FILE, got 'x'" in bad(
        cli("call", URL, PATH, "Size", "x"), Exit.USAGE
    )


def test_a_method_of_which_nobody_tells_is_called_by_its_signature(cli: Cli) -> None:
    call = ("call", URL, f"{PATH}/none", "org.acme.Heater1.Spam")
    assert good(cli(*call, "--signature", "")) == ""
    assert good(cli(*call, "5", "text", "@u 7", "--signature", "qsv", "--json")) == "null\n"
    assert good(cli("call", URL, PATH, "org.acme.Heater1.Boost", "2", "x", "--signature", "qs")) == "120\n"
    assert "expected a whole number, got 'x'" in bad(cli(*call, "x", "--signature", "q"), Exit.USAGE)
    assert "Spam needs arg0" in bad(cli(*call, "--signature", "q"), Exit.USAGE)
    assert "'?' is no signature" in bad(cli(*call, "--signature", "?"), Exit.USAGE)
    assert "'Spam' lacks its interface" in bad(cli("call", URL, PATH, "Spam", "--signature", ""), Exit.USAGE)
    assert "--signature is for methods at a path of D-Bus" in bad(
        cli("call", "local:x", "hall", "boost", "--signature", "q"), Exit.USAGE
    )


def test_emit_sends_a_signal_to_all_or_to_one(start: Start, cli: Cli, bus: lab.Bus) -> None:
    hearing = start("monitor", "dbus:session", "type='signal',interface='org.acme.Fan1'", "--json")
    emit = ("emit", "dbus:session", "/org/acme/Fan", "org.acme.Fan1.Turned")
    while not select.select([hearing.process.stdout], [], [], 0.2)[0]:
        assert good(cli(*emit, "again", "and again")) == ""
    assert good(cli(*emit, "-5", '["a"]', "--signature", "nas", "--to", NAME)) == ""
    told = [json.loads(hearing.line())]
    while told[-1]["signature"] == "ss":
        told.append(json.loads(hearing.line()))
    assert (told[0]["path"], told[0]["member"], told[0]["body"]) == ("/org/acme/Fan", "Turned", ["again", "and again"])
    assert (told[-1]["destination"], told[-1]["body"]) == (NAME, [-5, ["a"]])
    assert "leave ?service= away, or send it to one, --to org.acme.Heater" in bad(
        cli("emit", URL, PATH, "org.acme.Fan1.Turned"), Exit.USAGE
    )
    assert "'everywire emit' is for D-Bus" in bad(cli("emit", "local:x", PATH, "org.acme.Fan1.Turned"), Exit.USAGE)


# ------------------------------------------------------------------------------------------------------------ errors
def test_errors_of_a_service_have_their_codes(cli: Cli) -> None:
    refused = "everywire: FAILED_PRECONDITION: not today\\x1b[31m\n"
    assert bad(cli("call", URL, PATH, "refuse"), Exit.FAULT) == refused
    left = bad(cli("call", URL, PATH, "leave"), Exit.FAULT)
    assert "disconnected from message bus without replying" in left


@pytest.mark.parametrize(
    "words,message",
    [
        (["get", "{path}", "Levl"], "has no property 'Levl'; it has level, heater_state, secret, stale, "),
        (["get", "{path}", "org.acme.Heater1.Levl"], "org.acme.Heater1 has no property 'Levl'; it has level, "),
        (["get", "{path}", "org.acme.Heather1.Level"], "has no interface 'org.acme.Heather1'; it has org."),
        (["call", "{path}", "level"], "level is a property, not a slot: read it by 'everywire get'"),
        (["call", "{path}", "org.acme.Heater1.Level"], "level is a property, not a slot"),
        (["call", "{path}", "boost"], "boost needs minutes: slot boost(minutes: u16, note: str)"),
        (["call", "{path}", "boost", "1", "x", "-n", "2"], "-n is for streams"),
        (["watch", "{path}", "boost"], "boost is a slot, not a property or signal"),
        (["get", "/org/acme/Heatr"], "has no object /org/acme/Heatr; below /org/acme there is /org/acme/Heater."),
        (["get", "/com/other"], "has no object /com/other; below / there is /org."),
        (["get", "/org/acme/Heater/none"], "below /org/acme/Heater there are /org/acme/Heater/broken, "),
        (["get", "/no-path"], "'/no-path' is no object path: one looks like /org/acme/Plant"),
    ],
)
def test_wrong_usage_names_near_members_and_paths(cli: Cli, words: list[str], message: str) -> None:
    verb, place, *rest = words
    assert message in bad(cli(verb, URL, place.replace("{path}", PATH), *rest), Exit.USAGE)


def test_a_bus_that_does_not_allow_a_call_is_told(cli: Cli, own_bus: lab.Bus) -> None:
    own_bus.rule(
        "no-boost", '<policy context="mandatory"><deny send_interface="org.acme.Heater1"/></policy>'
    )
    with heater(own_bus.address, NAME):
        url = f"dbus:{own_bus.address}?service={NAME}"
        assert good(cli("get", url, PATH, "Level")) == "1.5\n"
        error = bad(cli("call", url, PATH, "Boost", "1", "x"), Exit.REFUSED)
    assert error.startswith("everywire: PERMISSION_DENIED: ")
    assert "the policy of the bus does not allow it to this user; another may, such as root; --debug" in error
    assert error.count("\n") == 1


# ------------------------------------------------------------------------------------------------------------- watch
def test_watch_prints_present_values_then_changes_and_signals(start: Start, cli: Cli) -> None:
    watching = start("watch", URL, PATH, "-n", "4")
    assert [watching.line() for _ in range(5)] == [
        "level         1.5", "heater_state  3", "stale         0", "speed         [1,2]", "fan_state     on",
    ]  # fmt: skip
    good(cli("set", URL, PATH, "level", "2"))
    good(cli("set", URL, PATH, "level", "2"))  # no news
    good(cli("call", URL, PATH, "boost", "1", "roof\nand wall"))
    good(cli("call", URL, PATH, "tell"))
    good(cli("call", URL, PATH, "org.acme.Fan1.Toggle"))
    assert watching.end() == (
        "level         2.0\nfired         celsius=33.5 arg1=roof\\nand wall\nstale         7\nfan_state     off\n", ""
    )  # fmt: skip
    assert watching.code == Exit.OK


def test_watch_as_json_has_a_line_for_each(start: Start, cli: Cli) -> None:
    watching = start("watch", URL, PATH, "org.acme.Heater1.State", "Fired", "-n", "2", "--json")
    assert json.loads(watching.line()) == {"member": "heater_state", "value": 3}
    good(cli("call", URL, PATH, "org.acme.Heater1.Toggle"))
    good(cli("call", URL, PATH, "boost", "1", "x"))
    assert [json.loads(line) for line in watching.end()[0].splitlines()] == [
        {"member": "heater_state", "value": 4},
        {"member": "fired", "arguments": {"celsius": 33.5, "arg1": "x"}},
    ]


def test_watch_goes_on_when_the_service_comes_back(start: Start, cli: Cli, own_bus: lab.Bus) -> None:
    url = f"dbus:{own_bus.address}?service={NAME}"
    with heater(own_bus.address, NAME):
        watching = start("watch", url, PATH, "level", "-n", "3")
        assert watching.line() == "level  1.5"
        good(cli("set", url, PATH, "level", "2"))
        assert watching.line() == "level  2.0"
    where = f"everywire: {NAME} on the bus at {own_bus.address}"
    assert watching.process.stderr.readline() == f"{where} has gone; waiting for it\n"
    with heater(own_bus.address, NAME):
        assert watching.process.stderr.readline() == f"{where} is back\n"
        assert watching.line() == "level  1.5"
        good(cli("set", url, PATH, "level", "3"))
        assert watching.end() == ("level  3.0\n", "")


def test_watch_ends_with_its_bus(start: Start, own_bus: lab.Bus) -> None:
    with heater(own_bus.address, NAME):
        watching = start("watch", f"dbus:{own_bus.address}?service={NAME}", PATH, "level")
        assert watching.line() == "level  1.5"
        own_bus.kill()
        assert "everywire: " in watching.end()[1]
    assert watching.code == Exit.NO_CONNECTION


def test_a_watch_without_a_bus_ends_with_the_program(start: Start, cli: Cli, tmp_path: Path) -> None:
    url = f"dbus+local:{tmp_path}/peer"
    with heater(f"unix:path={tmp_path}/peer"):
        watching = start("watch", url, PATH, "level")
        assert watching.line() == "level  1.5"
        good(cli("set", url, PATH, "level", "2"))
        assert watching.line() == "level  2.0"
    assert watching.end() == ("", "everywire: the peer closed the connection\n")
    assert watching.code == Exit.NO_CONNECTION


# ------------------------------------------------------------------------------------------------- objects of our own
@pytest.fixture(scope="module")
def zoo() -> Iterator[str]:
    """The address of `lab.py`, with an object of every type, on a bus."""
    with hosting("lab.py", "dbus") as url:
        yield url


def test_an_object_of_ours_is_the_same_by_path(cli: Cli, zoo: str) -> None:
    path = "/org/acme/Climate/museum"
    for names in (["ratio"], ["color"], []):
        assert good(cli("get", zoo, path, *names)) == good(cli("get", zoo, "museum", *names))
    point = '{"x":1.0,"y":2.0,"color":"GREEN"}'
    assert json.loads(good(cli("call", zoo, "/org/acme/Climate/lab", "EchoPoint", point))) == json.loads(point)
    assert [entry["name"] for entry in json.loads(good(cli("list", zoo, "--json")))] == ["lab", "museum"]
    error = bad(cli("call", zoo, "/org/acme/Climate/lab", "count", "3"), Exit.USAGE)
    assert error == f"everywire: count gives a stream, which is no method of D-Bus: everywire call '{zoo}' lab count\n"
    assert "has no slot 'nothing'" in bad(cli("call", zoo, "/org/acme/Climate/lab", "nothing"), Exit.USAGE)
    assert "PERMISSION_DENIED" in bad(cli("set", zoo, path, "number", "1"), Exit.REFUSED)
