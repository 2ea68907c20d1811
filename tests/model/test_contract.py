"""What a contract says, for people and for code."""

from __future__ import annotations

from everywire.model import MISSING, Kind, Parameter, contract_of
from everywire.model.types import Int
from tests.model.samples import Room


def test_a_contract_lists_its_members_in_declaration_order() -> None:
    contract = contract_of(Room)
    assert contract.name == "Room"
    assert contract.doc == "Keeps one room warm."
    assert [member.name for member in contract.of_kind(Kind.SIGNAL)] == ["overheated", "beeped"]
    assert [member.name for member in contract.of_kind(Kind.SLOT)] == ["boost", "reset", "readings"]
    assert list(contract.members)[:3] == ["target", "current", "history"]


def test_members_read_like_declarations() -> None:
    members = contract_of(Room).members
    assert str(members["target"]) == "target: f64 (writable)"
    assert str(members["history"]) == "history: list[f64]"
    assert str(members["overheated"]) == "signal overheated(celsius: f64, sensor: str)"
    assert str(members["boost"]) == "slot boost(minutes: u16 = 10) -> i64"
    assert str(members["reset"]) == "slot reset()"
    assert str(members["readings"]) == "slot readings(every: f64) -> f64 (stream)"


def test_a_property_has_a_type_and_a_unit() -> None:
    target = contract_of(Room).members["target"]
    assert target.unit == "Cel"
    assert target.type.name == "f64"
    assert target.writable
    assert target.number == 7
    assert target.doc == "Wanted."


def test_a_missing_default_is_not_none() -> None:
    assert Parameter("a", Int()).default is MISSING
    assert str(Parameter("a", Int(), None)) == "a: i64 = None"
