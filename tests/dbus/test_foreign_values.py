"""What foreign services send and want: values whose signature is not their type's own, and values that do not fit."""

from __future__ import annotations

import enum
import inspect
import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest

from everywire import (
    ModelError,
    f32,
    i8,
    i32,
    u8,
    u32,
)
from everywire.dbus.codec import Variant, marshal
from everywire.dbus.wire.lifting import MOST_KNOWN
from everywire.dbus.wire.types import (
    ObjectPath,
    Signature,
    compile_lift,
    compile_lower,
    variant_of,
)
from everywire.model.annotations import type_of
from tests.conformance.plant import Batch, Level, Mode, Point, Reading, Valves
from tests.dbus.bodies import arrivals, lifted, lowered
from tests.laws.dbus import write_body


class Playback(enum.Enum):
    PLAYING = "Playing"
    PAUSED = "Paused"


@dataclass
class Options:
    handle_token: str
    timeout: u32 = 0
    mode: Mode | None = None


@dataclass(frozen=True)
class Key:
    room: str
    number: int


# ------------------------------------------------------------------------------------------- what foreign services send
NOON = datetime(2026, 11, 20, 12, 0, 0, 250_000, tzinfo=UTC)
MICROSECONDS = 1_795_176_000_250_000
HEARD = [
    (int, "y", 7, 7),
    (u8, "i", 7, 7),
    (int, "t", 5, 5),
    (int, "d", 5.0, 5),
    (float, "u", 5, 5.0),
    (f32, "d", 0.5, 0.5),
    (str, "o", "/a", "/a"),
    (str, "g", "as", "as"),
    (ObjectPath, "s", "/a/b", "/a/b"),
    (Signature, "s", "a{sv}", "a{sv}"),
    (datetime, "x", MICROSECONDS, NOON),
    (datetime, "t", 0, datetime(1970, 1, 1, tzinfo=UTC)),
    (datetime, "s", "2026-11-20T12:00:00.25Z", NOON),
    (datetime, "x", -1, datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC)),
    (timedelta, "t", 1500, timedelta(microseconds=1500)),
    (timedelta, "u", 7, timedelta(microseconds=7)),
    (timedelta, "i", -7, timedelta(microseconds=-7)),
    (Mode, "s", "OFF", Mode.OFF),
    (Mode, "s", "off", Mode.OFF),
    (Playback, "s", "Paused", Playback.PAUSED),
    (Level, "i", -5, Level.LOW),
    (Level, "x", 70_000, Level.HIGH),
    (Level, "s", "LOW", Level.LOW),
    (Valves, "t", 9, Valves.INLET | Valves.DRAIN),
    (Valves, "y", 0, Valves.NONE),
    (Reading, "(dsas)", [1.5, "attic", []], Reading(1.5, "attic")),
    (Reading, "(iss)", [1, "attic", NOON.isoformat()], Reading(1.0, "attic", NOON)),
    (Reading, "a{sv}", {"Celsius": Variant("i", 2), "Sensor": Variant("o", "/a")}, Reading(2.0, "/a")),
    (
        Options,
        "a{sv}",
        {"handle-token": Variant("s", "t"), "Timeout": Variant("q", 5), "new": Variant("as", [])},
        Options("t", 5),
    ),
    (Options, "a{ss}", {"handleToken": "t", "mode": "heating"}, Options("t", mode=Mode.HEATING)),
    (tuple[int, str], "(us)", [1, "a"], (1, "a")),
    (tuple[float, float], "ad", [1.0, 2.0], (1.0, 2.0)),
    (list[float], "(dd)", [1.0, 2.0], [1.0, 2.0]),
    (tuple[Any, ...], "(ds)", [1.0, "a"], (1.0, "a")),
    (bytes, "ay", b"ab", b"ab"),
    (list[int], "ay", b"ab", [97, 98]),
    (tuple[int, ...], "ay", b"ab", (97, 98)),
    (tuple[int, int], "ay", b"ab", (97, 98)),
    (list[timedelta], "ay", b"\1", [timedelta(microseconds=1)]),
    (int | None, "i", 5, 5),
    (int | None, "au", [5], 5),
    (int | None, "au", [], None),
    (str | None, "ao", ["/"], "/"),
    (list[int] | None, "ai", [1, 2], [1, 2]),
    (list[int] | None, "aai", [[1, 2]], [1, 2]),
    (u8 | None, "ay", b"\7", 7),
    (u8 | None, "ay", b"", None),
    (bytes | None, "ay", b"a", b"a"),
    (Any | None, "as", ["a"], ["a"]),
    (
        Reading | None,
        "a(iss)",
        [[1, "a", "2026-11-20"]],
        Reading(1.0, "a", NOON.replace(tzinfo=None, hour=0, microsecond=0)),
    ),
    (Reading | None, "(dsas)", [1.0, "a", []], Reading(1.0, "a")),
    (int | None, "v", Variant("g", ""), None),
    (int | None, "v", Variant("i", 4), 4),
    (int | None, "v", Variant("ax", []), None),
    (dict[str, int], "a{sv}", {"a": Variant("y", 1), "b": Variant("v", Variant("x", 2))}, {"a": 1, "b": 2}),
    (dict[int, str], "a{ys}", {1: "a"}, {1: "a"}),
    (dict[int, str], "a(is)", [[1, "a"]], {1: "a"}),
    (dict[Mode, int], "a{si}", {"OFF": 1}, {Mode.OFF: 1}),
    (dict[Key, int], "a((sx)x)", [[["a", 1], 2]], {Key("a", 1): 2}),
    (dict[tuple[int, int], str], "a((yy)s)", [[[1, 2], "a"]], {(1, 2): "a"}),
    (int, "v", Variant("q", 3), 3),
    (str, "v", Variant("v", Variant("s", "a")), "a"),
    (list[str], "v", Variant("as", []), []),
    (list[int], "av", [Variant("i", 1), Variant("y", 2)], [1, 2]),
    (Point, "v", Variant("(ii)", [1, 2]), Point(1, 2)),
    (Any, "u", 5, 5),
    (Any, "as", ["a"], ["a"]),
    (Any, "(ds)", [1.0, "a"], [1.0, "a"]),
    (Any, "g", "", ""),
    (Any, "a{sv}", {"a": Variant("ay", b"b")}, {"a": b"b"}),
    (Any, "a{qv}", {76: Variant("ay", b"b")}, {"76": b"b"}),
    (Any, "a{bs}", {True: "a"}, {"true": "a"}),
    (Any, "v", Variant("a{oa{si}}", {"/a": {"b": 1}}), {"/a": {"b": 1}}),
    (Any, "v", Variant("a(sv)", [["a", Variant("g", "")]]), [["a", None]]),
    (Any, "v", Variant("g", "as"), "as"),
    (Any, "v", Variant("a{sv}", {"$date": Variant("s", "2026-11-20")}), date(2026, 11, 20)),
    (Any, "v", Variant("a{sv}", {"$date": Variant("i", 1)}), {"$date": 1}),
    (Any, "v", Variant("a{sv}", {"$dict": Variant("a{sv}", {"$date": Variant("s", "x")})}), {"$date": "x"}),
    (Any, "a{sv}", {"$date": Variant("s", "2026-11-20")}, {"$date": "2026-11-20"}),
]


@pytest.mark.parametrize("annotation, signature, raw, value", HEARD, ids=[str(n) for n in range(len(HEARD))])
def test_what_foreign_services_send_is_understood(annotation: Any, signature: str, raw: Any, value: Any) -> None:
    for arrived in arrivals(signature, raw):
        found = lifted(type_of(annotation), arrived, signature)
        assert found == value
        assert type(found) is type(value)


REFUSED = [
    (int, "s"),
    (int, "b"),
    (bool, "i"),
    (str, "i"),
    (str, "as"),
    (bytes, "s"),
    (bytes, "ai"),
    (datetime, "u"),
    (datetime, "d"),
    (timedelta, "s"),
    (timedelta, "d"),
    (date, "x"),
    (UUID, "ay"),
    (Mode, "i"),
    (Mode, "as"),
    (Valves, "s"),
    (Valves, "d"),
    (Reading, "(ds)"),
    (Reading, "s"),
    (Reading, "a{is}"),
    (Reading, "a{sa{sv}}"),
    (tuple[int, int], "(iii)"),
    (tuple[int, str], "ai"),
    (list[int], "as"),
    (list[int], "a{ss}"),
    (list[int], "i"),
    (dict[str, int], "as"),
    (dict[str, int], "(si)"),
    (dict[str, int], "a(ssi)"),
    (dict[int, int], "a{si}"),
    (int | None, "s"),
    (int | None, "a{ss}"),
    (list[int] | None, "as"),
    (ObjectPath, "h"),
    (int, "(i)"),
]


@pytest.mark.parametrize("annotation, signature", REFUSED, ids=[str(n) for n in range(len(REFUSED))])
def test_a_signature_that_can_never_fit_is_refused_when_it_is_compiled(annotation: Any, signature: str) -> None:
    for compiled in (compile_lift, compile_lower):
        with pytest.raises(ModelError, match="does not fit the D-Bus type"):
            compiled(type_of(annotation), signature)


HOSTILE = [
    (int, "d", 0.5, "no whole number"),
    (int, "d", math.inf, "inf is no whole number"),
    (u8, "i", 256, "not within 0 and 255"),
    (i8, "n", 128, "not within"),
    (datetime, "s", "yesterday", "'yesterday' is not a datetime"),
    (date, "s", "2026-02-30", "is not a date"),
    (time, "s", "25:00", "is not a time"),
    (UUID, "s", "x", "is not a UUID"),
    (datetime, "t", 2**64 - 1, "beyond the year 9999"),
    (datetime, "x", -(2**63), "before the year 1"),
    (Mode, "s", "BOILING", "'BOILING' is not a Mode: there are"),
    (Level, "i", 3, "3 is not a Level"),
    (Valves, "u", 2**31, "is not a Valves"),
    (ObjectPath, "s", "no path", "no object path"),
    (Signature, "s", "(", "no signature"),
    (int | None, "ax", [1, 2], "expected no item or one"),
    (tuple[int, int], "ax", [1], "expected 2 items, got 1"),
    (tuple[Mode, Mode], "as", ["OFF"], "expected 2 items, got 1"),
    (Reading, "a{sv}", {}, "Reading lacks celsius, sensor"),
    (Reading, "a{sv}", {"celsius": Variant("s", "1")}, "at celsius: a f64 does not fit the D-Bus type 's'"),
    (list[Mode], "as", ["OFF", "x"], "at 1: 'x' is not a Mode"),
    (dict[str, Mode], "a{ss}", {"k": "x"}, "at k: 'x' is not"),
    (dict[Mode, int], "a{sx}", {"x": 1}, "at x: 'x' is not a Mode"),
    (
        Batch,
        "(ssa(dsas)a(xx))",
        ["", "OFF", [[0.0, "", ["x"]]], []],
        "at readings: at 0: at taken_at: 'x' is not a datetime",
    ),
    (dict[bytes, Mode], "a(ays)", [[b"k", "x"]], "is not a Mode"),
    (Any, "v", Variant("h", 0), "a file descriptor in a value"),
    (Any, "v", Variant("a{sv}", {"$date": Variant("s", "x")}), "is not a date"),
    (str, "v", Variant("i", 1), "does not fit"),
    (dict[str, int], "v", Variant("a{sv}", {"a": Variant("s", "")}), "at a: a i64 does not fit"),
]


@pytest.mark.parametrize("annotation, signature, raw, words", HOSTILE, ids=[str(n) for n in range(len(HOSTILE))])
def test_a_value_that_does_not_fit_is_refused_by_name(annotation: Any, signature: str, raw: Any, words: str) -> None:
    for arrived in arrivals(signature, raw):
        with pytest.raises(ModelError, match=words):
            lifted(type_of(annotation), arrived, signature)


def test_a_struct_takes_new_and_odd_keys_of_a_stranger_without_keeping_them() -> None:
    lift = compile_lift(type_of(Options), "a{sv}")
    for n in range(3000):
        assert lift({"handle_token": Variant("s", "t"), f"key {n}": Variant("i", n)}) == {"handle_token": "t"}
    assert len(inspect.getclosurevars(lift).nonlocals["known"]) <= MOST_KNOWN


# ------------------------------------------------------------------------------------------- what foreign services want
ROOM = {"a": [1], "b": None}
WANTED = [
    (int, "u", 5, 5),
    (i32, "x", 5, 5),
    (int, "d", 5, 5.0),
    (float, "u", 5.0, 5),
    (str, "o", "/a", "/a"),
    (str, "g", "as", "as"),
    (ObjectPath, "s", "/a", "/a"),
    (ObjectPath, "o", "/a", "/a"),
    (datetime, "x", NOON, MICROSECONDS),
    (datetime, "t", NOON.astimezone(timezone(timedelta(hours=5))), MICROSECONDS),
    (timedelta, "u", timedelta(microseconds=7), 7),
    (Mode, "s", Mode.OFF, "OFF"),
    (Level, "i", Level.LOW, -5),
    (Valves, "q", Valves.DRAIN, 8),
    (Point, "(ii)", Point(1, 2), [1, 2]),
    (tuple[int, int], "ai", (1, 2), [1, 2]),
    (tuple[int, int], "ay", (1, 2), b"\1\2"),
    (list[int], "ay", [1, 2], b"\1\2"),
    (list[u8], "ay", [1, 2], b"\1\2"),
    (list[timedelta], "ay", [timedelta(microseconds=1)], b"\1"),
    (list[int], "au", [1], [1]),
    (list[int], "av", [1], [Variant("x", 1)]),
    (Options, "a{sv}", Options("t", 5), {"handle_token": Variant("s", "t"), "timeout": Variant("u", 5)}),
    (
        Options,
        "a{sv}",
        Options("t", 5, Mode.OFF),
        {"handle_token": Variant("s", "t"), "timeout": Variant("u", 5), "mode": Variant("s", "OFF")},
    ),
    (Reading | None, "v", None, Variant("g", "")),
    (int | None, "v", 5, Variant("x", 5)),
    (int | None, "i", 5, 5),
    (u8 | None, "ay", None, b""),
    (u8 | None, "ay", 5, b"\5"),
    (str | None, "ao", "/", ["/"]),
    (str | None, "ao", None, []),
    (dict[str, int], "a{sv}", {"a": 1}, {"a": Variant("x", 1)}),
    (dict[str, int], "a(si)", {"a": 1}, [("a", 1)]),
    (dict[int, str], "a{us}", {1: "a"}, {1: "a"}),
    (Reading, "v", Reading(1.0, "a"), Variant("(dsas)", [1.0, "a", []])),
    (Any, "u", 5, 5),
    (Any, "d", 5, 5.0),
    (Any, "i", 5.0, 5),
    (Any, "i", Level.LOW, -5),
    (Any, "t", NOON, MICROSECONDS),
    (Any, "x", timedelta(microseconds=5), 5),
    (Any, "b", True, True),
    (Any, "s", "a", "a"),
    (Any, "s", Mode.OFF, "OFF"),
    (Any, "s", NOON, NOON.isoformat()),
    (Any, "s", UUID(int=1), str(UUID(int=1))),
    (Any, "o", "/a", "/a"),
    (Any, "g", "as", "as"),
    (Any, "ay", b"ab", b"ab"),
    (Any, "ay", [97, 98], b"ab"),
    (Any, "as", ["a"], ["a"]),
    (Any, "au", [1, 2], [1, 2]),
    (Any, "(ids)", [1, 2, "a"], [1, 2.0, "a"]),
    (Any, "(xx)", Point(1, 2), [1, 2]),
    (Any, "a{sv}", {"a": 1}, {"a": Variant("x", 1)}),
    (Any, "a{sv}", Options("t"), {"handle_token": Variant("s", "t"), "timeout": Variant("x", 0)}),
    (Any, "a{us}", {"1": "a"}, {1: "a"}),
    (Any, "a{bd}", {"true": 1}, {True: 1.0}),
    (Any, "a{ds}", {"0.5": "a"}, {0.5: "a"}),
    (Any, "a{sa{sv}}", {"a": {"b": ROOM}}, {"a": {"b": variant_of(ROOM)}}),
    (Any, "v", None, Variant("g", "")),
    (list[Any], "aas", [["a"], []], [["a"], []]),
    (dict[str, Any], "a{su}", {"a": 5}, {"a": 5}),
    (dict[str, dict[str, Any]], "a{sa{sv}}", {"a": {"b": "c"}}, {"a": {"b": Variant("s", "c")}}),
]


@pytest.mark.parametrize("annotation, signature, value, raw", WANTED, ids=[str(n) for n in range(len(WANTED))])
def test_what_foreign_methods_want_is_sent(annotation: Any, signature: str, value: Any, raw: Any) -> None:
    node = type_of(annotation)
    found = lowered(node, node.convert(value), signature)
    assert write_body(signature, (found,), "<") == write_body(signature, (raw,), "<") == marshal(signature, (found,))


UNSENT = [
    (int, "u", -1, "-1 is not within 0 and 4294967295, which the D-Bus type 'u' holds"),
    (int, "y", 256, "not within"),
    (float, "i", 0.5, "0.5 is no whole number"),
    (float, "i", math.nan, "no whole number"),
    (float, "u", -1.0, "not within"),
    (str, "o", "a", "no object path"),
    (str, "g", "z", "no signature"),
    (datetime, "x", NOON.replace(tzinfo=None), "without time zone"),
    (datetime, "t", datetime(1969, 1, 1, tzinfo=UTC), "not within"),
    (timedelta, "u", -timedelta(1), "not within"),
    (timedelta, "x", timedelta.max, "not within"),
    (int | None, "i", None, "None has no form as the D-Bus type 'i'"),
    (list[int] | None, "ai", None, "None has no form"),
    (list[int], "ay", [1, 256], "at 1: 256 is not within"),
    (dict[str, int], "a{sy}", {"a": 1, "b": -1}, "at b: -1 is not within"),
    (Any, "u", "5", "expected a whole number, got str"),
    (Any, "u", True, "expected a whole number, got bool"),
    (Any, "u", -1, "not within"),
    (Any, "b", 1, "expected bool"),
    (Any, "d", "1", "expected float"),
    (Any, "d", True, "expected float"),
    (Any, "s", 1, "expected a text, got int"),
    (Any, "o", "a b", "no object path"),
    (Any, "g", "z", "no signature"),
    (Any, "as", "ab", "expected a list, got str"),
    (Any, "as", ["a", 1], "at 1: expected a text"),
    (Any, "ay", "ab", "expected a list"),
    (Any, "ay", [1, 256], "at 1: 256"),
    (Any, "(is)", [1], "expected 2 items, got 1"),
    (Any, "(is)", {}, "expected a list, got dict"),
    (Any, "a{sv}", [1], "expected a dict, got list"),
    (Any, "a{us}", {"a": "b"}, "the key 'a' is not a whole number"),
    (Any, "a{ys}", {"256": "b"}, "not within"),
    (Any, "a{bs}", {"yes": "b"}, "not true or false"),
    (Any, "a{ds}", {"x": "b"}, "not a number"),
    (Any, "s", None, "expected a text, got NoneType"),
    (Any, "i", 0.5, "no whole number"),
]


@pytest.mark.parametrize("annotation, signature, value, words", UNSENT, ids=[str(n) for n in range(len(UNSENT))])
def test_a_value_that_a_foreign_method_cannot_take_is_refused(
    annotation: Any, signature: str, value: Any, words: str
) -> None:
    lower = compile_lower(type_of(annotation), signature)
    assert lower is not None
    with pytest.raises(ModelError, match=words):
        lower(value)


def test_a_foreign_service_gets_an_enum_of_texts_by_value() -> None:
    for annotation in (Playback, Any):
        assert lowered(type_of(annotation), Playback.PAUSED, "s", foreign=True) == "Paused"
        assert lowered(type_of(annotation), Playback.PAUSED, "s") == "PAUSED"
    for annotation in (Level, Any):
        assert lowered(type_of(annotation), Level.LOW, "i", foreign=True) == -5
    assert lowered(type_of(Level), Level.LOW, "s", foreign=True) == "LOW"
    assert lowered(type_of(dict[Playback, list[Playback]]), {Playback.PAUSED: [Playback.PLAYING]}, foreign=True) == {
        "Paused": ["Playing"]
    }
