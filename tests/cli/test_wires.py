"""The verbs do the same on every wire that there is between processes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from click.testing import Result

from everywire import contract_of
from everywire.cli.exits import Exit
from everywire.model.description import describe
from everywire.runtime.wires import IMPLIED
from tests.cli.hosts import ADDRESSES, hosting
from tests.cli.test_completion import asked
from tests.cli.zoo import Beast

Cli = Callable[..., Result]


@pytest.fixture(scope="module", params=ADDRESSES)
def lab(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of `lab.py` on each wire."""
    with hosting("lab.py", request.param) as url:
        yield url


@pytest.fixture(scope="module", params=ADDRESSES)
def zoo(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of `zoo.py` on each wire."""
    with hosting("zoo.py", request.param) as url:
        yield url


def good(result: Result) -> str:
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    return result.stdout


def test_every_transport_of_the_table_of_wires_is_tried() -> None:
    assert IMPLIED.keys() - {"memory", "stdio"} <= ADDRESSES.keys()


def test_list_get_set_and_call(cli: Cli, lab: str) -> None:
    assert [entry["name"] for entry in json.loads(good(cli("list", lab, "--json")))] == ["lab", "museum"]
    assert good(cli("get", lab, "museum", "ratio")) == "0.5 %\n"
    assert good(cli("set", lab, "lab", "number", "-3")) == "-3\n"
    assert json.loads(good(cli("get", lab, "lab", "--json")))["number"] == -3
    assert good(cli("call", lab, "lab", "echo_text", "two words", "suffix=!")) == "two words!\n"
    point = '{"x":1.0,"y":2.0,"color":"GREEN"}'
    assert good(cli("call", lab, "lab", "echo_point", point)) == point + "\n"
    assert good(cli("call", lab, "lab", "echo_access", "READ|WRITE")) == "READ|WRITE\n"
    assert good(cli("call", lab, "lab", "echo_bytes", "aGk=", "--json")) == '"aGk="\n'
    assert good(cli("call", lab, "lab", "count", "100000", "-n", "3")) == "0\n1\n2\n"


def test_watch(cli: Cli, lab: str, start: Callable[..., Any]) -> None:
    good(cli("set", lab, "lab", "number", "0"))
    watching = start("watch", lab, "lab", "number", "ticked", "-n", "2")
    assert watching.line() == "number  0"
    good(cli("call", lab, "lab", "tick", "7"))
    assert watching.end() == ("number  1\nticked  count=7 color=GREEN\n", "")
    assert watching.code == Exit.OK


def test_errors_have_their_codes(cli: Cli, lab: str) -> None:
    refused = cli("call", lab, "lab", "refuse")
    assert (refused.exit_code, refused.stderr) == (Exit.FAULT, "everywire: FAILED_PRECONDITION: not today\\x1b[31m\n")
    assert cli("call", lab, "museum", "tick", "1").exit_code == Exit.REFUSED
    assert cli("set", lab, "museum", "number", "1").exit_code == Exit.REFUSED
    absent = cli("get", lab, "labb")
    assert absent.exit_code == Exit.USAGE
    assert f"no object 'labb' at {lab}; it offers lab, museum. Did you mean 'lab'?" in absent.stderr


def test_the_contract_is_the_same(cli: Cli, zoo: str) -> None:
    assert json.loads(good(cli("show", zoo, "beast", "--json"))) == json.loads(describe(contract_of(Beast)))
    assert json.loads(good(cli("show", zoo, "--json")))["big $(beast)"] is not None


def test_objects_members_and_values_are_offered(zoo: str) -> None:
    quoted = f"'{zoo}'"
    assert asked(f"everywire get {quoted} ") == ["beast", "big\\ \\$\\(beast\\)", "crowd"]
    assert asked(f"everywire set {quoted} beast ") == ["mood", "tame", "access", "cry", "speed"]
    assert asked(f"everywire set {quoted} 'big $(beast)' mood ") == ["CALM", "WILD"]
