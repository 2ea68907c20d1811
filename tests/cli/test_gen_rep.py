"""`everywire gen rep` and `everywire gen python FILE.rep`: from Python classes to .rep files and back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from everywire import contract_of
from everywire.cli.exits import Exit
from everywire.cli.plant import Thermostat
from everywire.remoteobjects.rep.parsing import parse
from everywire.remoteobjects.rep.signature import signature_of, signatures
from tests.cli.test_completion import asked
from tests.cli.test_gen import loaded

Cli = Callable[..., Result]
PLANT = "everywire.cli.plant:Thermostat"

BULB = """// A lamp.
class Bulb
{
    // From 0 to 1.
    PROP(double brightness=0.5)
    SLOT(void blink(int times))
};
"""


@pytest.fixture
def bulb(tmp_path: Path) -> Path:
    file = tmp_path / "bulb.rep"
    file.write_text(BULB)
    return file


def test_a_class_is_written_as_a_rep_file_of_its_signature(cli: Cli) -> None:
    result = cli("gen", "rep", PLANT)
    assert result.exit_code == Exit.OK
    assert result.stderr == "everywire: left out: readings; C++ has none\n"
    rep = parse(result.stdout)
    assert [pod.name for pod in rep.pods] == ["Reading"]
    for qt5 in (True, False):
        assert signatures(rep, qt5=qt5) == {"Thermostat": signature_of(contract_of(Thermostat), qt5=qt5)}
    assert "    // left out, for C++ has no streams: readings\n" in result.stdout


def test_several_classes_stand_in_one_file_and_share_types(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "plant.rep"
    result = cli("gen", "rep", PLANT, "everywire.cli.plant:Pump", PLANT, "-o", str(file))
    assert (result.exit_code, result.stdout) == (Exit.OK, "")
    rep = parse(file.read_text())
    assert [declared.name for declared in rep.classes] == ["Thermostat", "Pump"]
    assert len({pod.name for pod in rep.pods}) == len(rep.pods)


def test_classes_come_from_a_rep_file_or_the_standard_input(cli: Cli, bulb: Path, tmp_path: Path) -> None:
    from_file = cli("gen", "python", str(bulb))
    assert (from_file.exit_code, from_file.stderr) == (Exit.OK, "")
    assert '"""Classes of bulb.rep.\n' in from_file.stdout
    (cls,) = loaded(from_file.stdout).values()
    assert cls.__doc__ == "A lamp."
    assert str(contract_of(cls).members["brightness"]) == "brightness: f64 (writable)"
    from_input = cli("gen", "python", "-", input=BULB)
    assert from_input.stdout == from_file.stdout.replace("bulb.rep", "a .rep file", 1)
    made = tmp_path / "bulb.py"
    assert cli("gen", "python", str(bulb), "-o", str(made)).stdout == ""
    assert made.read_text() == from_file.stdout


def test_what_was_written_is_read_into_the_same_class(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "thermostat.rep"
    cli("gen", "rep", PLANT, "-o", str(file))
    thermostat = loaded(cli("gen", "python", str(file)).stdout)["Thermostat"]
    assert {name: str(member) for name, member in contract_of(thermostat).members.items()} == {
        name: str(member).replace(" = 10", "")  # repc would take a default for a part of the parameter's name
        for name, member in contract_of(Thermostat).members.items()
        if not member.stream
    }
    assert contract_of(thermostat).doc == contract_of(Thermostat).doc


def test_an_error_names_file_line_and_column_and_shows_the_line(cli: Cli, bulb: Path) -> None:
    bulb.write_text(BULB.replace("PROP(double brightness=0.5)", "PROP(double brightness=0.5 READWRTE)"))
    result = cli("gen", "python", str(bulb))
    assert (result.exit_code, result.stdout) == (Exit.USAGE, "")
    assert result.stderr == (
        f"everywire: {bulb}:5:32: 'READWRTE' is nothing that a property can be; did you mean READWRITE?\n"
        "      PROP(double brightness=0.5 READWRTE)\n"
        "                                 ^\n"
    )


@pytest.mark.parametrize(
    "arguments,message",
    [
        (("gen", "python", "no.rep"), "cannot read no.rep: No such file or directory"),
        (("gen", "rep", "everywire.cli.plant"), "is no MODULE:CLASS"),
        (("gen", "rep"), "MODULE:CLASS"),
    ],
)
def test_what_cannot_be_read_is_said_in_one_line(cli: Cli, arguments: tuple[str, ...], message: str) -> None:
    result = cli(*arguments)
    assert result.exit_code == Exit.USAGE
    assert message in result.stderr


def test_for_qt_5_flags_are_numbers_and_enums_are_plain(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "weekly.py").write_text(WEEKLY)
    monkeypatch.chdir(tmp_path)
    assert "FLAG(Days DaysFlag)" in cli("gen", "rep", "weekly:Weekly").stdout
    assert cli("gen", "rep", "weekly:Weekly", "--qt5").stdout.endswith(
        "class Weekly\n{\n    PROP(int days READONLY)\n    PROP(LevelEnum::Level level READONLY)\n};\n"
    )


WEEKLY = """
import enum
from everywire import Object, Property, prop
from everywire.remoteobjects import cpp_enum
class Days(enum.Flag):
    MONDAY = 1
@cpp_enum("quint8", scoped=True)
class Level(enum.Enum):
    LOW = 1
class Weekly(Object):
    days: Property[Days] = prop(Days(0))
    level: Property[Level] = prop(Level.LOW)
"""


def test_a_class_that_repc_could_not_read_is_refused_with_the_line(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "short_names.py").write_text("from everywire import Object\nclass Q(Object): ...\n")
    monkeypatch.chdir(tmp_path)
    result = cli("gen", "rep", "short_names:Q")
    assert (result.exit_code, result.stdout) == (Exit.USAGE, "")
    assert result.stderr == (
        "everywire: what would be written:1:7: 'Q' is too short: repc wants the name of a class to have 2 characters"
        " or more\n  class Q\n        ^\n"
    )


def test_a_table_needs_no_rep_file(cli: Cli) -> None:
    result = cli("gen", "rep", "everywire.tables:TableSource")
    assert (result.exit_code, result.stdout) == (Exit.USAGE, "")
    assert "TableSource is a table, which needs no .rep file: a Qt program gets it by acquireModel" in result.stderr


def test_interfaces_are_for_dbus(cli: Cli, bulb: Path) -> None:
    result = cli("gen", "python", str(bulb), "--interface", "org.acme.Bulb1")
    assert (result.exit_code, result.stdout) == (Exit.USAGE, "")
    assert result.stderr == "everywire: --interface is for D-Bus; all classes of a .rep file belong together\n"


def test_a_file_that_no_rep_file_could_be_is_refused(cli: Cli, bulb: Path) -> None:
    bulb.write_bytes(b"//" + b"x" * (5 << 20))
    assert "more than 4 MiB" in cli("gen", "python", str(bulb)).stderr


def test_an_old_file_in_latin_1_is_read(cli: Cli, bulb: Path) -> None:
    bulb.write_bytes(BULB.replace("A lamp", "Wärme").encode("latin-1"))
    assert '"""Wärme."""' in cli("gen", "python", str(bulb)).stdout


def test_words_are_completed(bulb: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = bulb.parent
    assert "rep" in asked("everywire gen r", folder)
    assert asked("everywire gen python bu", folder) == ["bulb.rep"]
    assert asked("everywire gen rep everywire.cli.plant:Th", folder) == ["Thermostat"]
    assert asked(f"everywire gen rep {PLANT} everywire.cli.plant:Th", folder) == ["Thermostat"]
