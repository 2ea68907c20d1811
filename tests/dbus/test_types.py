"""Which signature a type has, and which type a signature is; what no message can hold; the tables of the docs."""

from __future__ import annotations

import enum
from dataclasses import dataclass, make_dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any
from uuid import UUID

import pytest

from everywire import (
    ModelError,
    Range,
    f32,
    i8,
    i16,
    i32,
    i64,
    u8,
    u16,
    u32,
    u64,
)
from everywire.dbus.wire.types import (
    TYPE_TABLE,
    VARIANT_TABLE,
    ObjectPath,
    Signature,
    body_signature,
    compile_lift,
    compile_lower,
    result_types,
    same,
    signature_of,
    type_of_signature,
    types_of_signature,
    variant_of,
)
from everywire.model.annotations import type_of
from everywire.model.types import ANY, BOOL, DESCRIPTOR, STR, DictOf, Float, Int, ListOf, TupleOf
from everywire.transport.descriptors import UnixFd
from tests.conformance.plant import Batch, Level, Mode, Point, Reading, Valves
from tests.dbus.bodies import nested, travelled


class Bits(enum.Flag):
    FIRST = 1
    LAST = 1 << 40


class Far(enum.Flag):
    AWAY = 1 << 70


@dataclass(frozen=True)
class Key:
    room: str
    number: int


@dataclass
class Empty:
    pass


OWN = [
    (bool, "b"), (int, "x"), (i64, "x"), (u64, "t"), (i32, "i"), (u32, "u"), (i16, "n"), (u16, "q"), (i8, "n"),
    (u8, "y"), (Annotated[u8, Range(1, 9)], "y"), (float, "d"), (f32, "d"), (str, "s"), (ObjectPath, "o"),
    (Signature, "g"), (UnixFd, "h"), (bytes, "ay"), (Mode, "s"), (Level, "s"), (Valves, "u"), (Bits, "t"),
    (datetime, "s"), (date, "s"), (time, "s"), (timedelta, "x"), (UUID, "s"), (list[str], "as"), (list[u8], "ay"),
    (tuple[int, ...], "ax"), (tuple[int, str], "(xs)"), (dict[str, float], "a{sd}"), (dict[Mode, Any], "a{sv}"),
    (dict[ObjectPath, dict[str, dict[str, Any]]], "a{oa{sa{sv}}}"), (dict[bytes, int], "a(ayx)"),
    (dict[Key, int], "a((sx)x)"), (dict[tuple[int, int], str], "a((xx)s)"), (int | None, "ax"),
    (list[ObjectPath | None], "aao"), (Point, "(xx)"), (Reading, "(dsas)"), (Batch, "(ssa(dsas)a(xx))"), (Any, "v"),
]  # fmt: skip


@pytest.mark.parametrize("annotation, signature", OWN, ids=[signature for _, signature in OWN])
def test_every_type_has_its_signature(annotation: Any, signature: str) -> None:
    assert signature_of(type_of(annotation)) == signature
    assert signature_of(type_of_signature(signature)) == signature, "and the type of that has the same one"


@pytest.mark.parametrize(
    "signature", ["y", "b", "n", "q", "i", "u", "x", "t", "d", "s", "o", "g", "h", "v", "as", "ay"]
)
def test_a_signature_is_one_type(signature: str) -> None:
    node = type_of_signature(signature)
    assert signature_of(node) == signature


def test_foreign_signatures_become_the_types_that_a_person_would_write() -> None:
    assert type_of_signature("a{sv}") == DictOf(STR, ANY)
    assert type_of_signature("a{ut}") == DictOf(Int(32, False), Int(64, False))
    assert type_of_signature("(ds)") == TupleOf((Float(), STR))
    assert type_of_signature("a(ds)") == ListOf(TupleOf((Float(), STR)))
    assert type_of_signature("h") == DESCRIPTOR == type_of(UnixFd)
    assert type_of_signature("ao").name == "list[str]"
    assert types_of_signature("") == ()
    assert types_of_signature("sa{sv}b") == (STR, DictOf(STR, ANY), BOOL)


@pytest.mark.parametrize(
    "signature", ["", "ss", "a", "(", "()", "a{vs}", "a{s}", "z", "{sv}", "a" * 33 + "s", "s" * 256]
)
def test_what_is_not_one_complete_type_is_refused(signature: str) -> None:
    with pytest.raises(ModelError, match=r"signature|types where one"):
        type_of_signature(signature)


def test_several_values_have_the_signatures_of_each_up_to_255_bytes() -> None:
    assert body_signature([STR, ANY, type_of(Point)]) == "sv(xx)"
    with pytest.raises(ModelError, match="256 bytes; D-Bus has 255"):
        body_signature([STR] * 256)


def test_a_slot_with_a_fixed_tuple_has_several_results() -> None:
    assert result_types(None) == ()
    assert result_types(STR) == (STR,)
    assert result_types(type_of(tuple[int, str])) == (Int(), STR)
    assert result_types(type_of(tuple[int, ...])) == (type_of(tuple[int, ...]),)
    assert result_types(type_of(Point)) == (type_of(Point),)


def test_a_type_that_no_message_can_hold_is_refused_with_the_reason() -> None:
    wide = make_dataclass("Wide", [(f"field_{n}", int) for n in range(254)])
    assert len(signature_of(type_of(make_dataclass("Less", [(f"f{n}", int) for n in range(253)])))) == 255
    for node, words in [
        (type_of(Empty), "Empty is empty"),
        (TupleOf(()), "a struct of D-Bus needs a member"),
        (type_of(list[Empty]), "Empty is empty"),
        (type_of(wide), "Wide is a signature of 256 bytes, and D-Bus has 255"),
        (nested(STR, 33, structs=False), "32 arrays"),
        (nested(STR, 33, structs=True), "32 structs"),
        (nested(nested(STR, 29, structs=True), 29, structs=False), "57 containers"),
        (type_of(Far), "Far has bits beyond the 64th"),
    ]:
        with pytest.raises(ModelError, match=words):
            signature_of(node)
        with pytest.raises(ModelError, match=words):
            compile_lower(node)
    for node in (nested(STR, 32, structs=False), nested(nested(STR, 28, structs=True), 29, structs=False)):
        assert all(back == node.zero for back in travelled(node, node.zero))


def test_the_tables_say_what_is() -> None:
    known = {"int": int, "i64": i64, "i32": i32, "i16": i16, "i8": i8, "u64": u64, "u32": u32, "u16": u16, "u8": u8}
    known |= {"bool": bool, "float": float, "f32": f32, "str": str, "bytes": bytes, "datetime": datetime, "date": date}
    known |= {"time": time, "UUID": UUID, "timedelta": timedelta, "ObjectPath": ObjectPath, "Signature": Signature}
    known |= {"UnixFd": UnixFd, "Enum": Mode, "IntEnum": Level, "Flag": Valves, "IntFlag": enum.IntFlag("F", "A B")}
    known |= {"Any": Any}
    said = {
        name: code
        for row in TYPE_TABLE
        for names, codes in [(row.python.split(", "), row.signature.split(", "))]
        for name, code in zip(names, codes if len(codes) > 1 else codes * len(names), strict=True)
        if name in known
    }
    assert said == {name: signature_of(type_of(annotation)) for name, annotation in known.items()}
    values = {"None": None, "bool": True, "float": 0.5, "str": "", "bytes": b"", "int": 1, "Enum": Mode.OFF}
    values |= {"Flag": Valves.INLET, "list": [], "tuple": (), "dict": {}, "dataclass": Point(1, 2), "date": date.max}
    values |= {
        "Struct": Batch("", Mode.OFF, []),
        "datetime": datetime(2026, 11, 20, tzinfo=UTC),
        "time": time(),
        "UUID": UUID(int=1),
    }
    values |= {"timedelta": timedelta()}
    for row in VARIANT_TABLE:
        names, codes = row.python.split(", "), row.signature.split(", ")
        for name, code in zip(names, codes if len(codes) > 1 else codes * len(names), strict=True):
            assert variant_of(values[name]).signature == code, name


def test_a_lifted_value_that_needs_nothing_is_the_value() -> None:
    assert compile_lift(STR) is same
    assert compile_lift(ANY, "as") is same
    assert compile_lower(STR, "s") is None
