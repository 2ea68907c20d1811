"""Tables on the command line: their first rows, as people and programs want them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest
from click.testing import Result

from tests.cli.hosts import hosting

Cli = Callable[..., Result]


def good(result: Result) -> str:
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    return result.stdout


@pytest.fixture(params=["local", "http", "dbus+local"])
def store(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of `store.py`, which is a host of Qt's models, or one of objects."""
    with hosting("store.py", request.param) as url:
        yield url


def test_get_shows_the_first_rows_of_a_table(cli: Cli, store: str) -> None:
    lines = good(cli("get", store, "rows")).splitlines()
    assert lines[0].split() == ["sensor", "Value", "[Cel]", "note"]
    assert [line.split() for line in lines[1:4]] == [["s0", "0.0"], ["s1", "0.5"], ["s2", "1.0"]]
    assert (len(lines), lines[-1]) == (22, "… and 30 more rows")
    assert [line.split() for line in good(cli("get", store, "parts")).splitlines()] == [["name"], ["pump"], ["tank"]]


def test_get_tells_programs_more_rows(cli: Cli, store: str) -> None:
    told = json.loads(good(cli("get", store, "rows", "--json")))
    assert (told["columns"], told["row_count"], len(told["rows"])) == (["sensor", "Value [Cel]", "note"], 50, 50)
    assert list(told["rows"][3].values()) == ["s3", 1.5, None]


def test_the_members_of_a_table_are_those_of_an_object(cli: Cli, store: str) -> None:
    assert good(cli("get", store, "rows", "row_count")) == "50\n"
    assert json.loads(good(cli("call", store, "rows", "rows", "48", "2", "--json")))[1]["sensor"] == "s49"
    assert good(cli("call", store, "rows", "set_data", "0", "1", "9.5")) == ""
    assert good(cli("get", store, "rows")).splitlines()[1].split() == ["s0", "9.5"]
    assert "rows_inserted" in good(cli("show", store, "rows"))


def test_a_table_inside_an_object_is_shown_by_its_path(cli: Cli) -> None:
    with hosting("store.py") as url:
        shown = good(cli("show", url, "store"))
        assert ", a table: 'get' of the property prints its rows\n" in shown
        assert "rows_inserted" not in shown
        assert [line.split() for line in good(cli("get", url, "store", "readings")).splitlines()] == [
            ["sensor", "value", "note"],
            ["inner", "1.5"],
        ]
