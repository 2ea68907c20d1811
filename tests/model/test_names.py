"""Names between Python and wires."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everywire.model.names import camel, is_public, pascal, proposal, snake


@pytest.mark.parametrize(
    "name, as_camel, as_pascal",
    [
        ("set_point", "setPoint", "SetPoint"),
        ("x", "x", "X"),
        ("pt100_sensor", "pt100Sensor", "Pt100Sensor"),
        ("URL", "URL", "URL"),
        ("read_URL", "readURL", "ReadURL"),
        ("_a__b_", "aB", "AB"),
        ("setPoint", "setPoint", "SetPoint"),
        ("größe_neu", "größeNeu", "GrößeNeu"),
        ("_", "_", "_"),
    ],
)
def test_python_names_become_those_of_wires(name: str, as_camel: str, as_pascal: str) -> None:
    assert camel(name) == as_camel
    assert pascal(name) == as_pascal


@pytest.mark.parametrize(
    "name, expected",
    [
        ("setPoint", "set_point"),
        ("SetPoint", "set_point"),
        ("HTTPServer", "http_server"),
        ("serverURL", "server_url"),
        ("URL", "url"),
        ("pt100", "pt100"),
        ("pt100Sensor", "pt100_sensor"),
        ("100x", "100_x"),
        ("already_snake", "already_snake"),
        ("überTemp", "über_temp"),
        ("größe", "größe"),
        ("set-point", "set_point"),
        ("!", "!"),
    ],
)
def test_names_of_wires_become_snakes(name: str, expected: str) -> None:
    assert snake(name) == expected


@given(st.from_regex(r"[a-z]{2,}(_[a-z]{2,})*", fullmatch=True))
def test_a_snake_of_words_survives_the_way_to_a_wire_and_back(name: str) -> None:
    assert snake(camel(name)) == name
    assert snake(pascal(name)) == name


@pytest.mark.parametrize("name", ["class", "import", "_x", "__init__", "", "a b", "1a", "a-b"])
def test_what_cannot_be_an_attribute_keeps_its_wire_name(name: str) -> None:
    assert not is_public(name)
    assert proposal(name) in (name, snake(name))


def test_a_proposal_is_a_public_name_or_the_wire_name() -> None:
    assert proposal("setPoint") == "set_point"
    assert proposal("Class") == "Class"
    assert proposal("100") == "100"
