"""`everywire gen`: files for other tools and for Python, the same for the same input; errors say the next step."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from click.testing import Result

from everywire import Object, contract_of
from everywire.cli.exits import Exit
from everywire.cli.plant import Thermostat
from everywire.dbus.introspection import parse
from everywire.dbus.wire.described import described
from everywire.model import Contract
from everywire.model.description import describe
from tests.cli.test_completion import asked
from tests.dbus import lab

Cli = Callable[..., Result]
PLANT = "everywire.cli.plant:Thermostat"

BULB = """<node><interface name="org.acme.Bulb1">
<property name="Brightness" type="y" access="readwrite"/><method name="Blink"/></interface>
<interface name="org.freedesktop.DBus.Peer"><method name="Ping"/></interface>
<node name="lamp"><interface name="org.acme.Lamp1"/></node></node>
"""


@pytest.fixture(scope="module")
def bus() -> Iterator[lab.Bus]:
    with lab.running() as bus:
        yield bus


@pytest.fixture
def bulb(tmp_path: Path) -> Path:
    file = tmp_path / "bulb.xml"
    file.write_text(BULB)
    return file


def loaded(source: str) -> dict[str, type[Object]]:
    """The classes of a generated module."""
    module = ModuleType("gen_loaded")
    sys.modules["gen_loaded"] = module
    exec(compile(source, "gen_loaded.py", "exec", dont_inherit=True), vars(module))
    known = vars(module).items()
    return {name: cls for name, cls in known if isinstance(cls, type) and issubclass(cls, Object) and cls is not Object}


# ---------------------------------------------------------------------------------------------------------- dbus-xml
def test_a_class_is_written_as_introspection_data(cli: Cli) -> None:
    result = cli("gen", "dbus-xml", PLANT, "--service", "org.acme.Climate", "--path", "/org/acme/Climate/hall")
    assert result.exit_code == Exit.OK
    assert result.stderr == "everywire: left out: readings; streams go through org.everywire.Object1\n"
    node = parse(result.stdout)
    assert node.name == "/org/acme/Climate/hall"
    assert [interface.name for interface in node.interfaces] == ["org.acme.Climate.Thermostat1"]
    members = {name: member for name, member in contract_of(Thermostat).members.items() if not member.stream}
    contract = described(node.interfaces).contract
    assert describe(contract) == describe(Contract("Thermostat", members, contract_of(Thermostat).doc))


@pytest.mark.parametrize(
    "options,name",
    [
        ((), "local.Thermostat1"),
        (("--service", "org.acme-inc.Climate"), "org.acme_inc.Climate.Thermostat1"),
        (("--service", "org.acme.Climate", "--interface", "org.acme.Other3"), "org.acme.Other3"),
    ],
)
def test_the_interface_has_the_name_under_which_the_class_is_served(
    cli: Cli, options: tuple[str, ...], name: str
) -> None:
    (interface,) = parse(cli("gen", "dbus-xml", PLANT, *options).stdout).interfaces
    assert interface.name == name


def test_what_was_written_is_read_into_the_same_class(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "thermostat.xml"
    assert cli("gen", "dbus-xml", PLANT, "-o", str(file)).stdout == ""
    source = cli("gen", "python", str(file)).stdout
    assert '"""Classes for D-Bus interfaces of thermostat.xml.\n' in source
    (thermostat,) = loaded(source).values()
    assert {name: str(member) for name, member in contract_of(thermostat).members.items()} == {
        name: str(member) for name, member in contract_of(Thermostat).members.items() if not member.stream
    }


# ------------------------------------------------------------------------------------------------------------ python
def test_classes_come_from_a_file_or_the_standard_input(cli: Cli, bulb: Path) -> None:
    from_file = cli("gen", "python", str(bulb))
    assert (from_file.exit_code, from_file.stderr) == (Exit.OK, "")
    assert list(loaded(from_file.stdout)) == ["Bulb", "Lamp"]
    from_input = cli("gen", "python", "-", input=BULB)
    assert from_input.stdout == from_file.stdout.replace(" of bulb.xml", "", 1)
    only = cli("gen", "python", str(bulb), "--interface", "org.freedesktop.DBus.Peer")
    assert list(loaded(only.stdout)) == ["Peer"]


def test_classes_come_from_a_living_object(cli: Cli, bus: lab.Bus) -> None:
    url = f"dbus:{bus.address}?service=org.freedesktop.DBus"
    result = cli("gen", "python", url, "--object", "/org/freedesktop/DBus")
    assert (result.exit_code, result.stderr) == (Exit.OK, "")
    (driver,) = loaded(result.stdout).values()
    members = contract_of(driver).members
    assert str(members["list_names"]) == "slot list_names() -> list[str]"
    assert {"name_owner_changed", "request_name", "features"} <= members.keys()
    assert result.stdout == cli("gen", "python", url, "--object", "/org/freedesktop/DBus").stdout


def test_a_file_is_written_only_when_something_is_new(cli: Cli, bulb: Path, tmp_path: Path) -> None:
    file = tmp_path / "made.py"
    cli("gen", "python", str(bulb), "-o", str(file))
    os.utime(file, (1, 1))
    file.chmod(0o640)
    assert cli("gen", "python", str(bulb), "-o", str(file)).exit_code == Exit.OK
    assert file.stat().st_mtime == 1
    bulb.write_text(BULB.replace("Blink", "Flash"))
    cli("gen", "python", str(bulb), "-o", str(file))
    assert "def flash" in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o640
    assert {path.name for path in tmp_path.iterdir()} == {"bulb.xml", "made.py"}


def test_a_file_that_cannot_be_written_stays_as_it_was(
    cli: Cli, bulb: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    file = tmp_path / "made.py"
    file.write_text("as it was")
    monkeypatch.setattr(os, "fchmod", full)
    result = cli("gen", "python", str(bulb), "-o", str(file))
    assert (result.exit_code, result.stderr) == (
        Exit.USAGE, f"everywire: cannot write {file}: No space left on device\n",
    )  # fmt: skip
    assert file.read_text() == "as it was"
    assert {path.name for path in tmp_path.iterdir()} == {"bulb.xml", "made.py"}


def test_a_new_file_may_be_read_by_whom_the_umask_says(cli: Cli, bulb: Path, tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        cli("gen", "python", str(bulb), "-o", str(tmp_path / "made.py"))
    finally:
        os.umask(before)
    assert (tmp_path / "made.py").stat().st_mode & 0o777 == 0o640


def test_a_link_is_followed_and_stays(cli: Cli, bulb: Path, tmp_path: Path) -> None:
    (tmp_path / "link.py").symlink_to("real.py")
    cli("gen", "python", str(bulb), "-o", str(tmp_path / "link.py"))
    assert (tmp_path / "link.py").is_symlink()
    assert "class Bulb" in (tmp_path / "real.py").read_text()


# ------------------------------------------------------------------------------------------------- policy, activation
def policies(text: str) -> dict[str, list[dict[str, str]]]:
    root = ET.fromstring(text)
    return {" ".join(f"{k}={v}" for k, v in policy.attrib.items()): [r.attrib for r in policy] for policy in root}


def test_the_policy_names_who_owns_and_who_calls(cli: Cli) -> None:
    result = cli(
        "gen", "dbus-policy", "--service", "org.acme.Climate", "--own", "daemon", "--own", "1000",
        "--user", "nobody", "--group", "nogroup",
    )  # fmt: skip
    assert (result.exit_code, result.stderr) == (Exit.OK, "")
    found = policies(result.stdout)
    assert list(found) == [
        "context=default", "group=nogroup", "user=nobody", "user=root", "user=daemon", "user=1000",
    ]  # fmt: skip
    assert found["user=daemon"] == [{"own": "org.acme.Climate"}, {"send_destination": "org.acme.Climate"}]
    assert found["group=nogroup"] == found["user=root"] == [{"send_destination": "org.acme.Climate"}]


def test_with_a_class_the_policy_is_for_its_interfaces(cli: Cli) -> None:
    result = cli("gen", "dbus-policy", PLANT, "--service", "org.acme.Climate", "--everybody")
    found = policies(result.stdout)
    assert list(found) == ["context=default", "user=root"]
    assert "org.acme.Climate.Thermostat1" in {rule.get("send_interface") for rule in found["context=default"]}
    assert all("send_interface" in rule or "own" in rule for rule in found["user=root"])


def test_accounts_that_are_not_here_are_told(cli: Cli) -> None:
    result = cli("gen", "dbus-policy", "--service", "org.acme.A", "--own", "nowhere1", "--group", "nowhere2")
    assert result.exit_code == Exit.OK
    assert result.stderr == (
        "everywire: there is no user nowhere1 on this machine; a bus passes over what is said of it\n"
        "everywire: there is no group nowhere2 on this machine; a bus passes over what is said of it\n"
    )


def test_a_bus_starts_what_an_activation_file_says(cli: Cli, bus: lab.Bus) -> None:
    record = bus.folder / "started.json"
    program = bus.folder / "program.py"
    program.write_text(f"import json, sys\nopen({str(record)!r}, 'w').write(json.dumps(sys.argv[1:]))\nsys.exit(1)\n")
    file = bus.services / "org.acme.Climate.service"
    words = ("--on", "dbus:session?service=org.acme.Climate", "two words")
    result = cli(
        "gen",
        "dbus-service",
        "--service",
        "org.acme.Climate",
        "-o",
        str(file),
        "--",
        sys.executable,
        str(program),
        *words,
    )
    assert (result.exit_code, result.output) == (Exit.OK, "")
    bus.reload()
    command = [lab.needs("dbus-send", "dbus-bin"), f"--bus={bus.address}", "--print-reply"]
    done = subprocess.run(
        [*command, "--dest=org.acme.Climate", "/", "org.acme.Any.Thing"], capture_output=True, text=True, check=False
    )
    assert "exited with status 1" in done.stderr
    assert json.loads(record.read_text()) == list(words)


# ------------------------------------------------------------------------------------------------------------ errors
@pytest.mark.parametrize(
    "words,message",
    [
        (("dbus-xml", "nowhere:Thing"), "there is no module 'nowhere'"),
        (("dbus-xml", PLANT, "--service", "climate"), "'climate' is no bus name: one looks like org.acme.Climate"),
        (("dbus-xml", PLANT, "--path", "hall"), "'hall' is no object path: one looks like /org/acme/Plant"),
        (("dbus-xml", PLANT, "--interface", "x"), "'x' is no interface name: one looks like"),
        (("dbus-xml", PLANT, "-o", "/nowhere/at/all.xml"), "cannot write /nowhere/at/all.xml: No such file"),
        (("dbus-xml", PLANT, "-o", "/"), "cannot write /: Is a directory"),
        (("dbus-xml", PLANT, "-o", "/dev/full"), "cannot write /dev/full: No space left on device"),
        (("python", "nowhere.xml"), "cannot read nowhere.xml: No such file or directory; give introspection data"),
        (("python", "local:climate"), "of objects elsewhere connect() makes a class by itself, and 'everywire"),
        (("python", "/dev/null"), "/dev/null: not introspection data: it is no XML: no element found"),
        (("python", "dbus:"), "is no address of D-Bus; it looks like dbus:session?service=org.acme.Climate"),
        (("python", "dbus:unix:path=/tmp/nowhere/bus?service=org.acme.A"), "no connection to"),
        (("python", "dbus:unix:path=/nowhere/bus?service=org.acme.A", "--object", "/a//b"), "is no object path"),
        (("dbus-policy",), "Missing option '--service'"),
        (("dbus-policy", "--service", ":1.4"), "is the name that a bus has given to one connection"),
        (("dbus-policy", "--service", "a.b", "--user", "x y"), "'x y' is no user or group"),
        (("dbus-policy", "--service", "a.b", "everywire:Object"), "is not a class derived from everywire.Object"),
        (("dbus-service", "--service", "a.b", "--", "climate"), "a bus starts a program by its whole path"),
        (("dbus-service", "--service", "a.b"), "Missing argument"),
        (("dbus-service", "--service", "a.b", "--unit", "x", "--", "/bin/true"), "'x' is no unit of systemd"),
    ],
)
def test_errors_are_a_line_that_says_the_next_step(cli: Cli, words: tuple[str, ...], message: str) -> None:
    result = cli("gen", *words)
    assert result.exit_code in (Exit.USAGE, Exit.NO_CONNECTION)
    assert message in result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.stderr


def test_an_interface_that_is_not_there_is_answered_with_the_nearest(cli: Cli, bulb: Path) -> None:
    result = cli("gen", "python", str(bulb), "--interface", "org.acme.Bulb")
    assert result.stderr.endswith(
        "bulb.xml has no interface 'org.acme.Bulb'; it has org.acme.Bulb1, org.freedesktop.DBus.Peer, org.acme.Lamp1. "
        "Did you mean 'org.acme.Bulb1'?\n"
    )


def test_an_object_without_an_interface_of_its_own_names_those_below(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "bare.xml"
    file.write_text(
        '<node><interface name="org.freedesktop.DBus.Peer"/><node name="hall"/><node name="cellar"/></node>'
    )
    result = cli("gen", "python", str(file))
    assert result.stderr.endswith("bare.xml has no interface of its own; objects below it are hall, cellar\n")
    file.write_text("<node/>")
    assert cli("gen", "python", str(file)).stderr.endswith("of its own; is it the right object?\n")


def test_a_description_that_is_too_large_is_refused(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "large.xml"
    file.write_text("<node>" + " " * (5 << 20) + "</node>")
    result = cli("gen", "python", str(file))
    assert result.exit_code == Exit.USAGE
    assert "bytes where 4194304 are the most" in result.stderr


def test_what_a_name_hides_is_shown(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "evil.xml"
    file.write_text('<node><interface name="&#x1b;[31m.x"/></node>')
    result = cli("gen", "python", str(file))
    assert "\x1b" not in result.stderr


# -------------------------------------------------------------------------------------------------------- completion
def test_words_of_gen_are_completed(bulb: Path) -> None:
    folder = bulb.parent
    assert asked("everywire gen ") == ["dbus-policy", "dbus-service", "dbus-xml", "python", "rep"]
    assert asked("everywire gen dbus-xml everywire.cli.plant:Th") == ["Thermostat"]
    assert asked("everywire gen python bu", folder) == ["bulb.xml"]
    assert asked(f"everywire gen python {folder}/b", folder) == [str(bulb)]
    assert asked("everywire gen python dbus:se") == [r"session\?service="]
    assert asked("everywire gen dbus-policy --own nobod") == ["nobody"]
    assert asked("everywire gen dbus-policy --group nogr") == ["nogroup"]


def test_every_verb_of_gen_has_help(cli: Cli) -> None:
    for verb in ("dbus-xml", "python", "dbus-policy", "dbus-service"):
        shown: Any = cli("gen", verb, "--help")
        assert shown.exit_code == Exit.OK
        assert "everywire gen" in shown.stdout
        assert "…" not in shown.stdout.partition("Options:")[0]
