"""Match rules as people and other programs write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everywire import ModelError
from everywire.dbus.session import Connection, Kind, Match

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
NAMES = st.sampled_from(("", "org.acme.Plant", "com.other"))
PATHS = st.sampled_from(("", "/", "/org/acme"))
RULES = st.builds(
    Match,
    kind=st.sampled_from((None, *Kind)),
    sender=st.sampled_from(("", "org.acme.Plant", ":1.42")),
    interface=NAMES,
    member=st.sampled_from(("", "Overheated")),
    path=PATHS,
    destination=NAMES,
    args=st.dictionaries(st.integers(0, 63), TEXTS, max_size=3),
    arg_paths=st.dictionaries(st.integers(0, 63), st.sampled_from(("/", "/a/")), max_size=2),
    arg0namespace=NAMES,
    eavesdrop=st.booleans(),
)


@given(rule=RULES)
def test_what_a_rule_says_of_itself_is_read_as_the_same(rule: Match) -> None:
    read = Match.parse(str(rule))
    assert read == rule
    assert (read.args, read.arg_paths) == (rule.args, rule.arg_paths)


@pytest.mark.parametrize(
    "text,rule",
    [
        ("", Match(kind=None)),
        ("type=signal, member='A'", Match(member="A")),
        (r"type='signal',arg0='it'\''s'", Match(args={0: "it's"})),
        (r"type='signal',arg0=\'", Match(args={0: "'"})),
        (r"type='signal',arg0='a\b',arg1=a\b", Match(args={0: r"a\b", 1: r"a\b"})),
        ("type='signal',arg0='a,b=c'", Match(args={0: "a,b=c"})),
        ("type='signal',arg0='',arg1path='/a/'", Match(args={0: ""}, arg_paths={1: "/a/"})),
        ("path_namespace='/a',eavesdrop='false'", Match(kind=None, path_namespace="/a")),
    ],
)
def test_rules_are_read_as_the_bus_reads_them(text: str, rule: Match) -> None:
    read = Match.parse(text)
    assert (str(read), read.args) == (str(rule), rule.args)


@pytest.mark.parametrize(
    "text",
    [
        "type", "type='signal", "type='none'", "type=signal,type=signal", "typ=signal", "arg64=x", "arg0name=x",
        "arg=x", "eavesdrop=yes", "path=a", "member=a.b", "path=/a,path_namespace=/b", "type=signal,,member=a",
    ],
)  # fmt: skip
def test_what_is_no_rule_is_refused(text: str) -> None:
    with pytest.raises(ModelError):
        Match.parse(text)


async def test_a_bus_takes_what_is_read(bus: str) -> None:
    async with await Connection.open(bus) as connection:
        for text in ("type='signal',arg0='it'\\''s'", r"arg0=\',arg1path='/a/'", "sender='org.acme.Plant'"):
            await connection.ask_bus("AddMatch", "s", text)
            await connection.ask_bus("RemoveMatch", "s", str(Match.parse(text)))
