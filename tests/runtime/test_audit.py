"""The audit trail: one line for each denial, bounded, readable by machines, and obeyed by no terminal."""

from __future__ import annotations

import gc
import json
import logging
import tracemalloc
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everywire.model import Caller
from everywire.runtime import audit

NASTY: Final = (
    'CN=evil"}\n{"denied":"nothing","caller":"token:admin"',
    "CN=\x1b[2J\x1b]0;owned\x07",
    "CN=\u202ednim ni gnihton\u202c",
    "CN=\u2028\u2029\x85\x00\x7f\x9b31m",
    "CN=\ud800\udfff",
    "CN=שלום,O=Straße",
    "x" * 1_000_000,
    "\x1b" * 1_000_000,
    "\U000e0001" * 200,
)


def lines_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "everywire.audit"]


def test_a_line_says_who_was_denied_what_and_why(caplog: pytest.LogCaptureFixture) -> None:
    caller = Caller(wire="qtro", identity="token:panel", address="192.0.2.7:4711")
    audit.denied("call", caller, object="hall", member="boost", seen=True)
    (line,) = lines_of(caplog)
    told = json.loads(line)
    assert told.pop("time").endswith("Z")
    assert told == {
        "denied": "call",
        "caller": "token:panel",
        "wire": "qtro",
        "address": "192.0.2.7:4711",
        "object": "hall",
        "member": "boost",
        "seen": True,
    }


@pytest.mark.parametrize("text", NASTY, ids=range(len(NASTY)))
def test_nothing_that_a_stranger_sends_breaks_out_of_its_line(text: str, caplog: pytest.LogCaptureFixture) -> None:
    audit.denied("login", Caller(wire="qtro", identity=text, address=text), name=text, reason=text)
    (line,) = lines_of(caplog)
    safe(line)


def safe(line: str) -> dict[str, Any]:
    assert len(line) <= audit.LONGEST_LINE
    assert line.isascii()
    assert line.isprintable()
    told: dict[str, Any] = json.loads(line)
    assert list(told)[:5] == ["time", "denied", "caller", "wire", "address"]
    for value in told.values():
        assert isinstance(value, bool | int) or value.isprintable()
    return told


def test_a_line_with_many_details_is_bounded_too(caplog: pytest.LogCaptureFixture) -> None:
    audit.denied("login", Caller(wire="qtro"), **{f"detail_{number}": "\u202e" * 50 for number in range(200)})
    (line,) = lines_of(caplog)
    assert len(line) == audit.LONGEST_LINE
    assert line.isascii()


def test_where_nobody_listens_no_line_is_made(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "everywire.audit")
    audit.denied("login", Caller(wire="qtro"))
    assert not lines_of(caplog)


@given(st.text(), st.text(min_size=100), st.one_of(st.text(), st.integers(-(2**31), 2**31), st.none(), st.binary()))
def test_any_texts_make_one_sound_line(identity: str, name: str, detail: object) -> None:
    lines: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    keep = Keep()
    audit.log.addHandler(keep)
    try:
        audit.denied("login", Caller(wire="qtro", identity=identity), name=name, detail=detail)
    finally:
        audit.log.removeHandler(keep)
    (line,) = lines
    safe(line)


def test_a_printable_name_is_told_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    audit.denied("login", Caller(wire="qtro", identity="CN=Jürgen,O=東京"))
    (line,) = lines_of(caplog)
    assert json.loads(line)["caller"] == "CN=Jürgen,O=東京"


def test_a_flood_of_denials_keeps_nothing() -> None:
    caller = Caller(wire="qtro", identity="x" * 10_000)
    nowhere = logging.NullHandler()
    audit.log.addHandler(nowhere)
    audit.log.propagate = False
    try:
        audit.denied("login", caller)
        gc.collect()
        tracemalloc.start()
        for _ in range(5_000):
            audit.denied("login", caller, name="y" * 10_000)
        gc.collect()
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        audit.log.propagate = True
        audit.log.removeHandler(nowhere)
    assert kept < 200_000
