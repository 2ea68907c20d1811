"""Values of type Any: every class of them, how deep they may be, what strangers put into a variant."""

from __future__ import annotations

import enum
import inspect
import math
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

import pytest

from everywire import (
    ModelError,
    OutOfRange,
)
from everywire.dbus.codec import Variant
from everywire.dbus.wire import variants
from everywire.dbus.wire.lifting import MOST_KNOWN
from everywire.dbus.wire.types import (
    compile_lift,
    compile_lower,
    value_of,
    variant_of,
)
from everywire.model.annotations import type_of
from everywire.model.types import ANY
from tests.conformance.plant import Level, Mode, Point, Valves
from tests.dbus.bodies import arrivals, lowered, nested, travelled


class Far(enum.Flag):
    AWAY = 1 << 70


NOON = datetime(2026, 11, 20, 12, 0, 0, 250_000, tzinfo=UTC)


def deep(levels: int, leaf: Any = 1) -> Any:
    for _ in range(levels):
        leaf = [leaf]
    return leaf


def test_any_is_as_deep_as_a_message_may_be_and_no_deeper() -> None:
    for value in (deep(28), {"a": deep(26)}, deep(25, {"a": {"b": 1}})):
        assert all(back == value for back in travelled(ANY, value))
    for value in (deep(29), {"a": deep(28)}, deep(28, {"a": 1}), deep(27, NOON)):
        with pytest.raises(ModelError, match="nested deeper than a message of D-Bus may be"):
            variant_of(value)
    node = nested(ANY, 20, structs=False)
    assert all(back == deep(38) for back in travelled(node, deep(38)))
    with pytest.raises(ModelError, match="nested deeper"):
        lowered(node, deep(39))


def test_the_deepest_value_fits_into_the_message_of_an_object_manager() -> None:
    signature, value = "a{oa{sa{sv}}}", deep(28)
    body = {"/a": {"org.acme.A1": {"Value": variant_of(value)}}}
    assert all(value_of(raw["/a"]["org.acme.A1"]["Value"]) == value for raw in arrivals(signature, body))


@pytest.mark.parametrize(
    "value",
    [None, True, 2**63, -(2**63), 2**64 - 1, math.inf, "", b"", [], {}, [None, [None]], {"$date": "x"}, {"$dict": {}},
     {"$dict": {"$date": 1}}, {"$ref": "a"}, {"$date": "2026-11-20", "b": 1}, NOON, NOON.replace(tzinfo=None), date.min,
     time(1, tzinfo=UTC), timedelta.max, timedelta.min, timedelta(microseconds=-1), UUID(int=5), {"$int": "5"}],
    ids=str,
)  # fmt: skip
def test_a_value_of_type_any_comes_back_as_it_was(value: Any) -> None:
    for back in travelled(ANY, value):
        assert back == value
        assert type(back) is type(value)


def test_what_any_holds_of_our_own_classes_arrives_as_what_everybody_knows() -> None:
    known = {Mode.OFF: "OFF", Valves.DRAIN: 8, Level.HIGH: "HIGH", Point(1, 2): {"x_mm": 1, "y_mm": 2}}
    for value, plain in known.items():
        assert all(back == plain for back in travelled(ANY, ANY.convert(value)))
    assert variant_of((1, "a")).signature == "av"


def test_what_no_variant_can_hold_is_refused() -> None:
    with pytest.raises(OutOfRange, match="more than the 64 bits"):
        variant_of(Far.AWAY)
    with pytest.raises(OutOfRange, match="more than the 64 bits"):
        variant_of(-(2**63) - 1)
    with pytest.raises(ModelError, match="expected a value that wires know, got object"):
        variant_of(object())
    with pytest.raises(ModelError, match="declare a UnixFd"):
        compile_lower(ANY, "h")


def test_a_stranger_cannot_fill_the_memory_with_signatures() -> None:
    lift = compile_lift(type_of(list[int]), "v")
    for n in range(1500):
        signature = "(" + "".join("bx"[n >> bit & 1] for bit in range(11)) + ")"
        assert value_of(Variant(signature, [0] * 11, False)) == [0] * 11
    for n in range(1, 200):
        with pytest.raises(ModelError, match=r"does not fit|at 0"):
            lift(Variant(f"({'x' * n}s)", [0] * n + [""], False))
        assert lift(Variant(f"({'x' * n})", [0] * n, False)) == [0] * n
    assert len(variants._KNOWN) <= variants.MOST_KNOWN
    assert len(inspect.getclosurevars(lift).nonlocals["known"]) <= MOST_KNOWN
