"""Types as Python text: what a person would write, read back the same, and nothing else is read."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from everywire import ModelError
from everywire.model.annotations import type_of
from everywire.model.types import (
    ANY,
    BOOL,
    STR,
    AnyType,
    DictOf,
    EnumType,
    Float,
    Int,
    ListOf,
    OptionalOf,
    StructOf,
    TupleOf,
    Type,
)
from everywire.model.typetext import DEEPEST, LONGEST, read_type_text, type_text
from tests.conformance.plant import SAMPLES, Mode, Point

NAMED: Mapping[str, Type] = {
    node.name: node
    for node in (part for sample in SAMPLES for part in (type_of(sample.annotation), *type_of(sample.annotation).parts))
    if isinstance(node, (StructOf, EnumType))
}

TEXTS: dict[str, Type] = {
    "bool": BOOL,
    "int": Int(),
    "float": Float(),
    "u8": Int(8, signed=False),
    "f32": Float(32),
    "Any": ANY,
    "list[str]": ListOf(STR),
    "dict[str, list[Any]]": DictOf(STR, ListOf(ANY)),
    "tuple[str, int]": TupleOf((STR, Int())),
    "tuple[str]": TupleOf((STR,)),
    "tuple[str, ...]": TupleOf((STR,), variadic=True),
    "tuple[()]": TupleOf(()),
    "list[str | None] | None": OptionalOf(ListOf(OptionalOf(STR))),
    "Annotated[float, Range(5.0, 35.5)]": Float(64, 5.0, 35.5),
    "Annotated[float, Range(-1e-07, None)]": Float(64, -1e-07, None),
    "list[Annotated[u16, Range(None, 9)]]": ListOf(Int(16, signed=False, high=9)),
    "Mode": type_of(Mode),
    "dict[Mode, Point]": DictOf(type_of(Mode), type_of(Point)),
}


@pytest.mark.parametrize("text", TEXTS)
def test_a_type_is_written_as_a_person_would_and_read_back(text: str) -> None:
    assert type_text(TEXTS[text]) == text
    assert read_type_text(text, NAMED) == TEXTS[text]


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_every_type_is_read_back(sample: object) -> None:
    node = type_of(sample.annotation)  # type: ignore[attr-defined]
    assert read_type_text(type_text(node), NAMED) == node


def test_blanks_mean_nothing() -> None:
    assert read_type_text(" dict [str,int|None]", {}) == DictOf(STR, OptionalOf(Int()))


def test_names_are_spelled_as_their_place_has_them() -> None:
    node = ListOf(Float(64, 1.0, 2.0))
    assert type_text(node, "x.{}".format) == "x.list[x.Annotated[float, x.Range(1.0, 2.0)]]"
    assert type_text(node, word=lambda part: f"<{part.name}>") == "list[Annotated[<f64>, Range(1.0, 2.0)]]"


class Remembered(AnyType):
    """As a wire remembers what the other side calls a type."""

    @property
    def name(self) -> str:
        return "QColor"


def test_a_type_that_only_one_wire_knows_is_any() -> None:
    assert type_text(ListOf(Remembered())) == "list[Any]"


@pytest.mark.parametrize(
    "text",
    [
        "", "str str", "list", "list[]", "list[str", "list[str]]", "dict[str]", "dict[list[str], str]", "tuple[]",
        "tuple[str, int, ...]", "tuple[...]", "str |", "str | int", "None", "os", "__import__('os')", "list[os.path]",
        "Annotated[float]", "Annotated[float, Range(1)]", "Annotated[float, Range(1, x)]",
        "Annotated[str, Range(1, 2)]", "Annotated[float, Range(3, 2)]", "Annotated[u8, Range(300, None)]",
        "Annotated[float, Range(1e, 2)]",
        "set[str]", "\0", "é",
    ],
)  # fmt: skip
def test_what_is_no_type_is_refused(text: str) -> None:
    with pytest.raises(ModelError):
        read_type_text(text, NAMED)


def test_texts_are_bounded() -> None:
    with pytest.raises(ModelError, match=f"{LONGEST + 1} characters"):
        read_type_text(" " * (LONGEST + 1), {})
    with pytest.raises(ModelError, match=f"deeper than {DEEPEST}"):
        read_type_text("list[" * (DEEPEST + 1) + "str" + "]" * (DEEPEST + 1), {})
    assert read_type_text("list[" * DEEPEST + "str" + "]" * DEEPEST, {})
