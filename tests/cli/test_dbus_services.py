"""The verbs that look around on a bus: names, objects, trees, interfaces; of any service, whatever it says."""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

import everywire.cli.dbus.walking
from everywire.cli.dbus import listing
from everywire.cli.dbus.addresses import parse
from everywire.cli.dbus.services import _no_bus
from everywire.cli.dbus.trees import lines
from everywire.cli.dbus.walking import Found
from everywire.cli.exits import Exit
from everywire.dbus.introspection import Interface
from everywire.errors import LinkError
from tests.cli.conftest import NO_BUS
from tests.cli.heaters import heater
from tests.cli.hosts import hosting
from tests.dbus import lab

Cli = Callable[..., Result]
NAME = "org.acme.Heater"


def good(result: Result) -> str:
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    return result.stdout


def bad(result: Result, code: Exit) -> str:
    assert (result.exit_code, result.stdout) == (code, ""), result.output
    assert "Traceback" not in result.stderr
    return result.stderr


@pytest.fixture(scope="module")
def bus() -> Iterator[lab.Bus]:
    """A bus with the heater on it."""
    with lab.running() as bus, heater(bus.address, NAME):
        yield bus


@pytest.fixture(autouse=True)
def session(bus: lab.Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is that of the session."""
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", bus.address)
    monkeypatch.setattr(everywire.cli.dbus.walking, "PATIENCE", 0.5)


# ------------------------------------------------------------------------------------------------------------- names
def test_list_of_a_bus_says_who_has_each_name(cli: Cli) -> None:
    head, *rows = [line.split() for line in good(cli("list", "dbus:session")).splitlines()]
    assert head == ["NAME", "OWNER", "PID", "PROCESS", "USER", "STARTABLE"]
    assert [row[0] for row in rows] == [NAME, "org.freedesktop.DBus"]
    assert rows[0][1].startswith(":1.")
    assert rows[1][3] == "dbus-daemon"


def test_list_of_a_bus_as_json_has_every_fact(cli: Cli, bus: lab.Bus) -> None:
    found = {entry["name"]: entry for entry in json.loads(good(cli("list", "dbus:session", "--json")))}
    assert found["org.freedesktop.DBus"]["pid"] == bus.pid
    assert found[NAME]["uid"] == os.getuid()
    assert found[NAME]["process"] == Path("/proc/self/comm").read_text().strip() or found[NAME]["process"]
    assert not found[NAME]["activatable"]


def test_unique_shows_the_connections_and_activatable_what_can_be_started(cli: Cli, own_bus: lab.Bus) -> None:
    own_bus.offer("org.acme.Sleeper", sys.executable, "-c", "pass")
    url = f"dbus:{own_bus.address}"
    unique = json.loads(good(cli("list", url, "--unique", "--json")))
    assert [entry["name"][:3] for entry in unique] == [":1."]
    startable = good(cli("list", url, "--activatable")).splitlines()
    assert startable[1].split() == ["org.acme.Sleeper", "-", "yes"]
    assert "org.acme.Sleeper" in good(cli("list", url))


def test_the_flags_of_names_mean_nothing_elsewhere(cli: Cli) -> None:
    assert "are for the names on a D-Bus, not for local:x" in bad(cli("list", "local:x", "--unique"), Exit.USAGE)
    error = bad(cli("list", f"dbus:session?service={NAME}", "--unique"), Exit.USAGE)
    assert error == "everywire: --unique and --activatable are for the names on a bus: everywire list dbus:session\n"


# ------------------------------------------------------------------------------------------------------------- trees
def test_tree_survives_what_does_not_answer_what_never_ends_and_what_is_no_xml(cli: Cli) -> None:
    result = cli("tree", f"dbus:session?service={NAME}")
    shown = result.stdout.splitlines()
    assert (result.exit_code, shown[0].split()) == (0, ["/org/acme/Heater", "org.acme.Heater1,", "org.acme.Fan1"])
    assert shown[1].startswith("├─ /org/acme/Heater/broken ")
    assert "(not introspection data: it is no XML" in shown[1]
    assert any(line.startswith("│  └─ /org/acme/Heater/hidden/one ") and "org.acme.Spare1" in line for line in shown)
    assert shown[-1].startswith("└─ /org/acme/Heater/silent ")
    assert "did not answer Introspect within 0.5 s" in shown[-1]
    assert sum("endless" in line for line in shown) == 16 - 3
    assert "this is not all: below 16 levels nothing was looked at" in result.stderr


def test_tree_begins_where_one_wants(cli: Cli) -> None:
    url = f"dbus:session?service={NAME}"
    assert good(cli("tree", url, "/org/acme/Heater/hidden")).splitlines() == [
        "/org/acme/Heater/hidden         org.freedesktop.DBus.ObjectManager",
        "└─ /org/acme/Heater/hidden/one  org.acme.Spare1",
    ]
    (found,) = json.loads(good(cli("tree", url, "/org/acme/Heater/hidden/one", "--json")))
    assert found == {"path": "/org/acme/Heater/hidden/one", "interfaces": []}


def test_tree_of_a_bus_shows_every_service(cli: Cli) -> None:
    shown = cli("tree", "dbus:session").stdout
    assert shown.startswith(f"{NAME}\n  /org/acme/Heater ")
    assert "\norg.freedesktop.DBus\n" in shown
    trees = json.loads(cli("tree", "dbus:session", "--json").stdout)
    assert trees.keys() == {NAME, "org.freedesktop.DBus"}
    (broken,) = [found for found in trees[NAME] if found["path"] == "/org/acme/Heater/broken"]
    assert (broken["interfaces"], broken["error"][:22]) == ([], "not introspection data")


def test_objects_beyond_the_bound_are_not_looked_at(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(everywire.cli.dbus.walking, "MOST", 5)
    result = cli("tree", f"dbus:session?service={NAME}", "--json")
    assert len(json.loads(result.stdout)) == 5
    assert "this is not all: only 5 objects were looked at; name a path to see a part: everywire tree" in result.stderr


def test_a_walk_that_takes_long_ends(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(everywire.cli.dbus.walking, "LONGEST", -1.0)
    result = cli("list", f"dbus:session?service={NAME}")
    assert "this is not all: it took longer than" in result.stderr


def test_a_service_of_which_nothing_can_be_read_is_an_error(cli: Cli) -> None:
    url = f"dbus:session?service={NAME}"
    assert "it is no XML" in bad(cli("tree", url, "/org/acme/Heater/broken"), Exit.NO_CONNECTION)
    error = bad(cli("tree", url, "/org/acme/Heater/silent"), Exit.FAULT)
    assert "did not answer Introspect within 0.5 s: it runs and does not answer" in error


def test_list_of_a_service_has_its_objects_by_path(cli: Cli) -> None:
    shown = [line.split() for line in cli("list", f"dbus:session?service={NAME}").stdout.splitlines()]
    assert shown[1] == ["/org/acme/Heater", "org.acme.Heater1,", "org.acme.Fan1", "Makes", "it", "warm."]
    assert shown[2] == ["/org/acme/Heater/hidden/one", "org.acme.Spare1"]
    (first, _) = json.loads(cli("list", f"dbus:session?service={NAME}", "--json").stdout)
    assert (first["path"], first["interfaces"], first["doc"]) == (
        "/org/acme/Heater", ["org.acme.Heater1", "org.acme.Fan1"], "Makes it warm.",
    )  # fmt: skip


def test_a_service_without_objects_is_told(cli: Cli, own_bus: lab.Bus) -> None:
    with heater(own_bus.address, NAME):
        result = cli("list", f"dbus:{own_bus.address}?service={NAME}&path=/org/acme/Heater/nothing")
    assert result.stderr == f"everywire: {NAME} shows no objects that you may see\n"


def test_a_list_of_objects_shows_whole_names_on_every_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path, interfaces = f"/org/acme/{'x' * 30}", ["org.acme.LongNameOfAnInterface1", "org.acme.B1"]
    rows = [(path, ", ".join(interfaces), "Burns. " * 12)]
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(listing, "on_terminal", lambda: True)
    for width in (70, 200):
        monkeypatch.setattr(listing, "columns", lambda width=width: width)
        listing.print_objects(rows)
        shown = capsys.readouterr().out
        assert {path, *interfaces} <= {*shown.replace(",", " ").split()}
        assert ("OBJECT" in shown) is (width == 200)
        assert width == 200 or max(map(len, shown.splitlines())) <= width


def test_long_paths_and_narrow_terminals_put_interfaces_below(monkeypatch: pytest.MonkeyPatch) -> None:
    objects = {
        path: Found(path, {name: Interface(name) for name in ("org.acme.A1", "org.acme.B1")})
        for path in ("/org", f"/org/{'x' * 80}")
    }
    shown = list(lines(objects))
    assert shown[0].split() == ["/org", "org.acme.A1,", "org.acme.B1"]
    assert shown[1:] == [f"└─ /org/{'x' * 80}", "         org.acme.A1", "         org.acme.B1"]


# -------------------------------------------------------------------------------------------------------------- show
def test_show_of_an_object_has_every_interface(cli: Cli) -> None:
    shown = good(cli("show", f"dbus:session?service={NAME}", "/org/acme/Heater"))
    assert shown.startswith(f"/org/acme/Heater of {NAME}\n\norg.acme.Heater1\nMakes it warm.\n\nProperties\n  level: ")
    assert "  heater_state: u32, named State there\n" in shown
    assert "  boost(minutes: u16, note: str) -> i64\n" in shown
    assert "\n\norg.acme.Fan1\n\nProperties\n  speed: tuple[i32, i32], writable\n" in shown


def test_show_of_members_and_interfaces_shows_these(cli: Cli) -> None:
    show = ("show", f"dbus:session?service={NAME}", ".")
    assert good(cli(*show, "org.acme.Fan1.State", "Level")).splitlines()[2:] == [
        "org.acme.Fan1", "", "Properties", "  fan_state: str, named State there", "",
        "org.acme.Heater1", "Makes it warm.", "", "Properties", "  level: f64, writable",
    ]  # fmt: skip
    told = json.loads(good(cli(*show, "org.acme.Fan1", "--json")))
    assert [member["name"] for member in told["org.acme.Fan1"]["members"]] == ["fan_toggle", "speed", "fan_state"]


def test_show_of_a_service_says_who_it_is(cli: Cli) -> None:
    result = cli("show", f"dbus:session?service={NAME}")
    first, *facts = result.stdout.partition("\n\n")[0].splitlines()
    assert first == f"{NAME} on the session bus"
    told = {line.split()[0]: line.split(maxsplit=1)[1] for line in facts}
    assert told["command"].endswith(f"heater.py {os.environ['DBUS_SESSION_BUS_ADDRESS']} {NAME}")
    assert told.keys() >= {"owner", "pid", "process", "executable", "user"}
    assert "\n  at /org/acme/Heater\n" in result.stdout
    told = json.loads(cli("show", f"dbus:session?service={NAME}", "--json").stdout)
    assert told["service"]["pid"] > 1
    assert told["interfaces"]["org.acme.Fan1"]["objects"] == ["/org/acme/Heater"]


def test_show_of_a_bus_shows_the_bus(cli: Cli) -> None:
    shown = good(cli("show", "dbus:session"))
    assert shown.startswith("org.freedesktop.DBus on the session bus\n  owner ")
    assert "  list_names() -> list[str]\n" in shown
    assert "\n  id " in shown


def test_show_xml_prints_introspection_data_that_gen_reads(cli: Cli, tmp_path: Path) -> None:
    xml = good(cli("show", f"dbus:session?service={NAME}", ".", "--xml"))
    assert xml.startswith('<node>\n<interface name="org.acme.Heater1">')
    (tmp_path / "heater.xml").write_text(xml)
    assert "class Heater" in good(cli("gen", "python", str(tmp_path / "heater.xml")))
    assert "--xml is for objects of D-Bus" in bad(cli("show", "local:x", "--xml"), Exit.USAGE)


# ------------------------------------------------------------------------------------------------------ without a bus
def test_a_peer_has_objects_too(cli: Cli, tmp_path: Path) -> None:
    url = f"dbus+local:{tmp_path}/peer"
    with heater(f"unix:path={tmp_path}/peer"):
        assert cli("tree", url).stdout.startswith("/org/acme/Heater ")
        assert "/org/acme/Heater" in cli("list", url).stdout
        assert good(cli("get", url, "/org/acme/Heater", "Level")) == "1.5\n"
        assert cli("show", url).stdout.startswith(f"{url}\n  pid ")
        assert "is a link between two programs" in bad(cli("monitor", url), Exit.USAGE)


# ------------------------------------------------------------------------------------------------------------- errors
@pytest.mark.parametrize(
    "address,message",
    [
        ("", "this login has no session bus: start the program with 'dbus-run-session -- PROGRAM'"),
        (NO_BUS, "no connection to the session bus: No such file or directory; the login that"),
        ("nonsense", "'nonsense' is of no transport that is known here"),
    ],
)
def test_a_session_bus_that_is_not_there_is_told(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, address: str, message: str
) -> None:
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", address)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    for verb in ("list", "tree", "monitor"):
        result = cli(verb, "dbus:session")
        assert result.exit_code in (Exit.NO_CONNECTION, Exit.USAGE)
        assert message in result.stderr
        assert result.stderr.count("\n") == 1


def test_other_buses_that_are_not_there_are_told(cli: Cli, tmp_path: Path) -> None:
    assert "systemctl start dbus" in bad(cli("list", "dbus:system"), Exit.NO_CONNECTION)
    assert "is the dbus-daemon that listens there running?" in bad(
        cli("list", f"dbus:{NO_BUS}"), Exit.NO_CONNECTION
    )
    assert "start the program that listens there" in bad(cli("list", f"dbus+local:{tmp_path}/b"), Exit.NO_CONNECTION)


@pytest.mark.parametrize(
    "words,message",
    [
        (["tree", "local:x"], "'everywire tree' is for D-Bus, as in dbus:session; at local:x use 'everywire list'"),
        (["monitor", "tcp://127.0.0.1:1"], "'everywire monitor' is for D-Bus"),
        (["list", "dbus:"], "it looks like dbus:session?service=org.acme.Climate"),
        (["list", "dbus:session?servce=x"], "D-Bus does not know the setting servce"),
        (["tree", "dbus:session?service=x..y"], "is no bus name: one looks like org.acme.Climate"),
        (["get", "dbus:session", "/x"], "dbus:session is a bus: name a service on it"),
        (["tree", "dbus+local:/x?service=org.acme.X"], "there are no services without a bus; leave service= away"),
    ],
)
def test_wrong_usage_says_what_to_do(cli: Cli, words: list[str], message: str) -> None:
    assert message in bad(cli(*words), Exit.USAGE)


def test_a_place_that_is_not_for_us_is_told_apart_from_one_where_nobody_is(tmp_path: Path) -> None:
    error = LinkError("no")
    error.__cause__ = PermissionError(errno.EACCES, "Permission denied")
    for url in ("dbus:session", f"dbus+local:{tmp_path}/peer"):
        said = str(_no_bus(parse(url), error))
        assert said.endswith("Permission denied; it, or a folder on the way to it, is not for this user")


def test_a_program_that_listens_by_itself_is_no_bus(cli: Cli) -> None:
    with hosting("lab.py", "dbus+local") as url:
        path = url.partition(":")[2]
        said = bad(cli("get", f"dbus:unix:path={path}?service=org.acme.Plant", "lab"), Exit.NO_CONNECTION)
    assert f"{path} is no message bus: a program that listens by itself, without a bus, has an address such as" in said


def test_in_a_tree_the_refusal_of_a_bus_is_short(cli: Cli, own_bus: lab.Bus) -> None:
    no_introspection = '<deny send_interface="org.freedesktop.DBus.Introspectable"/>'
    own_bus.rule("no-look", f'<policy context="mandatory">{no_introspection}</policy>')
    with heater(own_bus.address, NAME):
        shown = good(cli("tree", f"dbus:{own_bus.address}"))
    assert "  /  (the policy of the bus does not allow it to this user)\n" in shown


def test_an_unknown_service_is_answered_with_near_names(cli: Cli) -> None:
    for words in (["tree"], ["list"], ["show"], ["get", "/x"], ["get", "hall"], ["watch", "."], ["call", "hall", "x"]):
        verb, *rest = words
        error = bad(cli(verb, "dbus:session?service=org.acme.Heather", *rest), Exit.NO_CONNECTION)
        assert error.startswith("everywire: org.acme.Heather is not on the session bus; start it first, or see"), words
        assert error.endswith(f"Did you mean '{NAME}'?\n")


def test_with_a_timeout_the_verbs_wait_for_the_bus_and_the_service(
    start: Callable[..., Any], cli: Cli, own_bus: lab.Bus
) -> None:
    own_bus.stop()
    url = f"dbus:{own_bus.address}?service={NAME}"
    waiting = start("get", url, "/org/acme/Heater", "Level", "--timeout", "15")
    own_bus.start()
    late = start("get", url, "/org/acme/Heater", "Level", "--timeout", "15")
    with heater(own_bus.address, NAME):
        assert [waiting.end(), late.end()] == [("1.5\n", "")] * 2
    assert "is not on the bus at unix:path=" in bad(cli("get", url, ".", "--timeout", "0.2"), Exit.NO_CONNECTION)


def test_a_service_is_started_by_the_bus(cli: Cli, own_bus: lab.Bus) -> None:
    from tests.cli import heater as program

    own_bus.offer(NAME, sys.executable, str(program.__file__), own_bus.address, NAME)
    assert good(cli("get", f"dbus:{own_bus.address}?service={NAME}", ".", "Level")) == "1.5\n"


def test_without_the_extra_the_pip_line_is_told(start: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util\nfound = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *more: None if name == 'dbus_fast' else found(name, *more)\n"
    )
    for words in (["list", "dbus:session"], ["get", "dbus:session?service=a.b", "hall"], ["monitor", "dbus:session"]):
        asking = start(*words, PYTHONPATH=str(tmp_path))
        assert asking.end() == ("", "everywire: that needs what is not installed: pip install 'everywire[dbus]'\n")
        assert asking.code == Exit.USAGE
