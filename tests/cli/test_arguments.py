"""The words of a command line become arguments and members."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from typing import Any

import pytest

from everywire.cli.arguments import bind, member_named
from everywire.errors import ModelError
from everywire.model import Contract, Kind, Member, Parameter
from everywire.model.types import STR, Float, Int, ListOf

LEFT, TEXT, RIGHT = Parameter("left", Int()), Parameter("text", STR, "none"), Parameter("right", Float(), 0.5)
MIX = Member(Kind.SLOT, "mix", (LEFT, TEXT, RIGHT))
STOP = Member(Kind.SLOT, "stop", (), wire_name="haltNow")
LEVEL = Member(Kind.PROPERTY, "level", (Parameter("level", Int()),))
RANG = Member(Kind.SIGNAL, "rang", ())
BELL = Contract("Bell", {member.name: member for member in (MIX, STOP, LEVEL, RANG)})


@pytest.mark.parametrize(
    "words,arguments",
    [
        (["1"], [1, "none", 0.5]),
        (["1", "a", "2"], [1, "a", 2.0]),
        (["right=2", "1"], [1, "none", 2.0]),
        (["left=-1", "text=a=b"], [-1, "a=b", 0.5]),
        (["1", "key=value"], [1, "key=value", 0.5]),
        (["text=x", "3", "4"], [3, "x", 4.0]),
    ],
)
def test_values_fill_the_parameters_that_are_not_named(words: Sequence[str], arguments: list[Any]) -> None:
    assert bind(MIX, words) == arguments


@pytest.mark.parametrize(
    "words,message",
    [
        ([], r"mix needs left: slot mix\(left: i64"),
        (["1", "left=2"], "left is given twice"),
        (["1", "a", "2", "3"], "mix takes 3 arguments"),
        (["lefd=1"], "no parameter 'lefd'. Did you mean 'left'"),
        (["one"], r"mix\(left\): expected a whole number, got 'one'"),
    ],
)
def test_words_that_do_not_fit_are_refused_with_the_signature(words: Sequence[str], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        bind(MIX, words)


def test_a_slot_without_parameters_takes_no_words() -> None:
    assert bind(STOP, []) == []
    with pytest.raises(ModelError, match="stop takes no arguments"):
        bind(STOP, ["now"])


def test_a_dash_reads_json_from_the_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    member = Member(Kind.SLOT, "store", (Parameter("values", ListOf(Float())),))
    monkeypatch.setattr(sys, "stdin", io.StringIO("[1, 2]\n"))
    assert bind(member, ["-"]) == [[1.0, 2.0]]


def test_a_member_is_found_by_either_of_its_names() -> None:
    assert member_named(BELL, "stop", Kind.SLOT) is STOP
    assert member_named(BELL, "haltNow", Kind.SLOT) is STOP


@pytest.mark.parametrize(
    "name,kinds,message",
    [
        ("levl", [Kind.PROPERTY], "Bell has no property 'levl'; it has level. Did you mean 'level'"),
        ("level", [Kind.SLOT], "level is a property, not a slot: read it by 'everywire get'"),
        ("rang", [Kind.SLOT], "rang is a signal, not a slot: hear it by 'everywire watch'"),
        ("stop", [Kind.PROPERTY, Kind.SIGNAL], "stop is a slot, not a property or signal: call it by"),
    ],
)
def test_another_name_is_answered_with_what_there_is(name: str, kinds: list[Kind], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        member_named(BELL, name, *kinds)


def test_a_class_without_such_members_says_so() -> None:
    with pytest.raises(ModelError, match="Mute has no slot 'stop'; it has none"):
        member_named(Contract("Mute"), "stop", Kind.SLOT)
