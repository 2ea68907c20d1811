"""Child objects on the command line: shown as a tree, and reached by paths such as `wheel.turns`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from click.testing import Result

from everywire.cli.exits import Exit
from tests.cli.hosts import hosting

Cli = Callable[..., Result]


def good(result: Result) -> str:
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    return result.stdout


def bad(result: Result) -> str:
    assert (result.exit_code, result.stdout) == (Exit.USAGE, ""), result.output
    return result.stderr


@pytest.fixture
def mill() -> Iterator[str]:
    """The address of `mill.py`."""
    with hosting("mill.py") as url:
        yield url


def test_get_shows_children_as_a_tree(cli: Cli, mill: str) -> None:
    assert [line.split() for line in good(cli("get", mill, "mill")).splitlines()] == [
        ["PROPERTY", "VALUE"],
        ["label", "north"],
        ["wheel.turns", "3", "Hz", "writable", "How", "fast."],
        ["spare", "null"],
    ]
    assert json.loads(good(cli("get", mill, "mill", "--json"))) == {
        "label": "north",
        "wheel": {"turns": 3},
        "spare": None,
    }


def test_a_path_leads_to_the_members_of_a_child(cli: Cli, mill: str) -> None:
    assert good(cli("get", mill, "mill", "wheel.turns")) == "3 Hz\n"
    assert good(cli("get", mill, "mill", "wheel")).split()[:4] == ["PROPERTY", "VALUE", "wheel.turns", "3"]
    assert json.loads(good(cli("get", mill, "mill", "wheel", "--json"))) == {"turns": 3}
    assert json.loads(good(cli("get", mill, "mill", "label", "wheel.turns", "--json"))) == {
        "label": "north",
        "wheel.turns": 3,
    }
    assert good(cli("set", mill, "mill", "wheel.turns", "5")) == "5 Hz\n"
    assert good(cli("call", mill, "mill", "wheel.spin", "2")) == "7\n"
    assert good(cli("get", mill, "mill", "wheel.turns")) == "7 Hz\n"


def test_watch_hears_children(cli: Cli, start: Callable[..., Any], mill: str) -> None:
    watching = start("watch", mill, "mill", "-n", "2")
    assert [watching.line() for _ in range(3)] == ["label        north", "wheel.turns  3 Hz", "spare        null"]
    good(cli("call", mill, "mill", "wheel.spin", "2"))
    assert watching.end() == ("wheel.turns  5 Hz\nwheel.spun   by=2\n", "")


def test_show_has_the_classes_of_children_once(cli: Cli, mill: str) -> None:
    lines = [line.rstrip() for line in good(cli("show", mill, "mill")).splitlines()]
    for line in ("  wheel: Wheel          Outside.", "  spare: Wheel | None", "Wheel, a class of child objects"):
        assert line in lines
    assert lines.count("Wheel, a class of child objects") == 1
    assert "  spin(by: i64) -> i64   Turn it." in lines
    assert list(json.loads(good(cli("show", mill, "mill", "--json")))["objects"]) == ["Wheel"]


def test_show_follows_paths_by_what_is_told_of_the_classes(cli: Cli, mill: str) -> None:
    shown = good(cli("show", mill, "mill", "wheel.spin", "spare.turns", "label")).splitlines()
    assert "  wheel.spin(by: i64) -> i64   Turn it." in shown
    assert "  spare.turns: i64 Hz, writable   How fast." in shown  # also while there is none
    assert not any("spun" in line for line in shown)
    assert "Wheel has no property, signal or slot 'spim'" in bad(cli("show", mill, "mill", "wheel.spim"))
    assert "label holds no object but str" in bad(cli("show", mill, "mill", "label.size"))


def test_a_path_that_leads_nowhere_says_why(cli: Cli, mill: str) -> None:
    assert "spare holds no object now, so there is no spare.turns" in bad(cli("get", mill, "mill", "spare.turns"))
    assert "label holds no object but str" in bad(cli("get", mill, "mill", "label.size"))
    assert "Wheel has no property 'truns'" in bad(cli("get", mill, "mill", "wheel.truns"))
    assert "Mill has no property 'whel'" in bad(cli("get", mill, "mill", "whel.turns"))
    assert "wheel is read-only" in bad(cli("set", mill, "mill", "wheel", "5"))
