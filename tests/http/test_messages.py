"""The messages of a WebSocket: each comes back as it was said, and whatever else arrives is refused with its code."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from everywire import Code, Fault
from everywire.codec.json import SAFE
from everywire.http.messages import (
    INVALID_DATA,
    PROTOCOL_ERROR,
    Asked,
    Broken,
    Told,
    ask,
    read_asked,
    read_told,
    tell,
    tell_broken_off,
    tell_fault,
)


@pytest.mark.parametrize(
    "parts",
    [
        {"call": 7, "slot": "boost", "arguments": [5]},
        {"call": 0, "slot": "boost", "arguments": {"minutes": 5}},
        {"push": SAFE, "property": "target", "value": None},
        {"cancel": 7},
        {"open": 3, "slot": "readings", "arguments": [0.1]},
        {"grant": 3, "items": 64},
        {"close": 3},
    ],
)
def test_what_a_replica_asks_is_one_json_object_and_comes_back(parts: dict[str, Any]) -> None:
    text = ask(**parts)
    assert json.loads(text) == parts
    asked = read_asked(text.decode())
    assert isinstance(asked, Asked)
    assert {name: getattr(asked, name) for name in parts} == parts


@pytest.mark.parametrize(
    "parts",
    [
        {"changed": "target", "value": 22.0},
        {"emitted": "overheated", "arguments": [33.3, "roof"]},
        {"answered": 7, "value": None},
        {"answered": 7},
        {"item": 3, "value": [1]},
        {"ended": 3},
        {"gap": 12},
        {"withdrawn": "hall"},
    ],
)
def test_what_a_host_tells_is_one_json_object_and_comes_back(parts: dict[str, Any]) -> None:
    text = tell(**parts)
    assert json.loads(text) == parts
    told = read_told(text)
    assert isinstance(told, Told)
    assert {name: getattr(told, name) for name in parts} == parts
    assert told.fault is None


def test_an_absent_value_is_told_apart_from_null() -> None:
    with_null, without = read_told(b'{"answered":1,"value":null}'), read_told(b'{"answered":1}')
    assert isinstance(with_null, Told)
    assert isinstance(without, Told)
    assert with_null.value is None
    assert without.value is UNSET


@pytest.mark.parametrize("code", Code)
def test_a_fault_comes_back_from_a_call_and_from_a_stream(code: Code) -> None:
    fault = Fault(code, 'since "ü"', may_have_run=False)
    for text, verb in ((tell_fault(7, fault), "failed"), (tell_broken_off(7, fault), "ended")):
        told = read_told(text)
        assert isinstance(told, Told)
        assert getattr(told, verb) == 7
        assert told.fault is not None
        assert (told.fault.code, told.fault.message, told.fault.may_have_run) == (code, 'since "ü"', False)


def test_a_code_of_a_later_version_is_unknown() -> None:
    told = read_told(b'{"failed":1,"code":"TEAPOT","message":"short and stout"}')
    assert isinstance(told, Told)
    assert told.fault is not None
    assert (told.fault.code, told.fault.may_have_run) == (Code.UNKNOWN, True)
    told = read_told(b'{"failed":1}')
    assert isinstance(told, Told)
    assert told.fault is not None


def test_unknown_keys_are_ignored() -> None:
    asked = read_asked('{"call":1,"slot":"a","colour":{"deep":[[1]]}}')
    assert isinstance(asked, Asked)
    assert asked.arguments == []


@pytest.mark.parametrize(
    "text, code",
    [
        ("", INVALID_DATA),
        ("{", INVALID_DATA),
        ('{"call":1', INVALID_DATA),
        ("[" * 100_000, PROTOCOL_ERROR),
        ('{"value":' + "[" * 100_000, INVALID_DATA),
        ('"\\ud800"', INVALID_DATA),
        ("null", PROTOCOL_ERROR),
        ("[]", PROTOCOL_ERROR),
        ("5", PROTOCOL_ERROR),
        ("{}", PROTOCOL_ERROR),
        ('{"call":"1"}', PROTOCOL_ERROR),
        ('{"call":true}', PROTOCOL_ERROR),
        ('{"call":null}', PROTOCOL_ERROR),
        ('{"call":-1}', PROTOCOL_ERROR),
        ('{"call":1.5}', PROTOCOL_ERROR),
        (f'{{"call":{SAFE + 1}}}', PROTOCOL_ERROR),
        ('{"call":1,"slot":5}', PROTOCOL_ERROR),
        ('{"call":1,"arguments":"x"}', PROTOCOL_ERROR),
        ('{"grant":1,"items":-5}', PROTOCOL_ERROR),
        ('{"push":1,"property":["target"]}', PROTOCOL_ERROR),
        ('{"changed":"target"}', PROTOCOL_ERROR),
    ],
)
def test_what_is_no_message_is_refused_with_its_code(text: str, code: int) -> None:
    broken = read_asked(text)
    assert isinstance(broken, Broken)
    assert broken.code == code
    assert broken.reason


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**65), 2**65) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
KEYS = st.sampled_from([*Asked.__struct_fields__, *Told.__struct_fields__])


@given(data=st.dictionaries(KEYS, JSON, max_size=4))
def test_any_object_is_a_message_or_refused(data: dict[str, Any]) -> None:
    text = json.dumps(data, allow_nan=False) if "Infinity" not in json.dumps(data) else "{}"
    assert isinstance(read_asked(text), Asked | Broken)
    assert isinstance(read_told(text), Told | Broken)


@given(text=st.text(max_size=40) | st.binary(max_size=40))
def test_any_text_is_a_message_or_refused(text: str | bytes) -> None:
    assert isinstance(read_asked(text), Asked | Broken)
    assert isinstance(read_told(text), Told | Broken)
