"""Match rules: their text as buses read it, and which messages they take."""

from __future__ import annotations

from typing import Any

import pytest

from everywire import ModelError
from everywire.dbus.session import Kind, Match, Message

TOLD = Message(
    kind=Kind.SIGNAL,
    sender=":1.7",
    path="/org/acme/Plant/hall",
    interface="org.acme.Plant1",
    member="Overheated",
    signature="sox",
    body=("org.acme.attic", "/org/acme/attic", 5),
)


@pytest.mark.parametrize(
    "rule,text",
    [
        (Match(), "type='signal'"),
        (Match(kind=None), ""),
        (Match(kind=Kind.CALL, eavesdrop=True), "type='method_call',eavesdrop='true'"),
        (Match(sender="org.acme.Plant", path="/a"), "type='signal',sender='org.acme.Plant',path='/a'"),
        (Match(args={0: "", 2: "x"}), "type='signal',arg0='',arg2='x'"),
        (Match(arg_paths={0: "/a/"}, arg0namespace="org.a"), "type='signal',arg0path='/a/',arg0namespace='org.a'"),
        (Match(args={0: "it's"}), r"type='signal',arg0='it'\''s'"),
    ],
    ids=str,
)
def test_a_rule_is_written_as_buses_read_it(rule: Match, text: str) -> None:
    assert str(rule) == text


@pytest.mark.parametrize(
    "parts,matches",
    [
        ({}, True),
        ({"kind": None}, True),
        ({"kind": Kind.CALL}, False),
        ({"sender": ":1.7"}, True),
        ({"sender": ":1.8"}, False),
        ({"path": "/org/acme/Plant/hall"}, True),
        ({"path": "/org/acme/Plant"}, False),
        ({"path_namespace": "/org/acme/Plant"}, True),
        ({"path_namespace": "/org/acme/Pla"}, False),
        ({"path_namespace": "/"}, True),
        ({"interface": "org.acme.Plant1", "member": "Overheated"}, True),
        ({"member": "Cooled"}, False),
        ({"destination": ":1.1"}, False),
        ({"args": {0: "org.acme.attic"}}, True),
        ({"args": {0: "org.acme"}}, False),
        ({"args": {2: "5"}}, False),
        ({"args": {7: ""}}, False),
        ({"arg_paths": {1: "/org/acme/"}}, True),
        ({"arg_paths": {1: "/org/acme/attic"}}, True),
        ({"arg_paths": {1: "/org/acme"}}, False),
        ({"arg_paths": {2: "/"}}, False),
        ({"arg0namespace": "org.acme"}, True),
        ({"arg0namespace": "org.ac"}, False),
    ],
    ids=str,
)
def test_a_rule_takes_what_a_bus_would_deliver(parts: dict[str, Any], matches: bool) -> None:
    assert Match(**parts).matches(TOLD) is matches


def test_a_well_known_sender_means_its_present_owner() -> None:
    rule = Match(sender="org.acme.Plant")
    assert rule.matches(TOLD, ":1.7")
    assert not rule.matches(TOLD, ":1.8")
    assert not rule.matches(TOLD)


@pytest.mark.parametrize(
    "parts",
    [
        {"sender": "acme"},
        {"path": "a"},
        {"path_namespace": "/a/"},
        {"interface": "acme"},
        {"member": "a.b"},
        {"destination": "?"},
        {"path": "/a", "path_namespace": "/a"},
        {"args": {64: "x"}},
        {"arg_paths": {-1: "/"}},
    ],
    ids=str,
)
def test_a_rule_that_no_message_could_fit_is_refused(parts: dict[str, Any]) -> None:
    with pytest.raises(ModelError):
        Match(**parts)
