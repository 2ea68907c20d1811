"""Signatures of classes are those that repc writes into its headers, for Qt 5 and for Qt 6."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pytest
from hypothesis import given, settings

from everywire import Object, Property, contract_of, prop, signal, slot
from everywire.remoteobjects import CONSTANT, CppType, WireName, cpp_enum, wire_named
from everywire.remoteobjects.rep.describing import rep_of
from everywire.remoteobjects.rep.older import for_qt5
from everywire.remoteobjects.rep.parsing import parse
from everywire.remoteobjects.rep.printing import print_rep
from everywire.remoteobjects.rep.signature import signature_of, signatures
from everywire.remoteobjects.rep.tree import Rep
from tests.harness import soak
from tests.remoteobjects.rep.repc import FILES, signatures_by_repc
from tests.remoteobjects.rep.trees import reps

GENERATIONS = pytest.mark.parametrize("qt5", [True, False], ids=["Qt5", "Qt6"])
REFUSED = {"braces": (True,), "scoped": (True,), "properties": (True,), "exported": (True, False)}
"""What each repc cannot read: Qt 5 no scopes, no flags, no braces, no /* */; neither of these two an export."""


@GENERATIONS
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_classes_of_a_file_have_the_signatures_of_repc(file: Path, qt5: bool, tmp_path: Path) -> None:
    text = file.read_text()
    told = signatures_by_repc(text, tmp_path, qt5=qt5)
    if qt5 in REFUSED.get(file.stem, ()):
        assert told is None
    else:
        assert signatures(parse(text), qt5=qt5) == told


@GENERATIONS
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_what_is_printed_means_the_same_to_repc(file: Path, qt5: bool, tmp_path: Path) -> None:
    rep = parse(file.read_text())
    told = signatures_by_repc(print_rep(rep), tmp_path, qt5=qt5)
    if file.stem in ("braces", "scoped", "exported") and qt5 in REFUSED[file.stem]:
        assert told is None
    else:
        assert told == signatures(rep, qt5=qt5), "Qt 5 reads it too where only a comment was in its way"


@pytest.mark.timeout(600)
@settings(max_examples=soak(25, 1500))
@given(reps(qt5=True, wild=True))
def test_both_repcs_agree_on_every_file_that_both_can_read(tmp_path_factory: pytest.TempPathFactory, rep: Rep) -> None:
    check(rep, tmp_path_factory.getbasetemp(), True, False)


@pytest.mark.timeout(600)
@settings(max_examples=soak(25, 1500))
@given(reps(wild=True))
def test_repc_of_qt_6_agrees_on_every_file(tmp_path_factory: pytest.TempPathFactory, rep: Rep) -> None:
    check(rep, tmp_path_factory.getbasetemp(), False)


def check(rep: Rep, folder: Path, *generations: bool) -> None:
    text = print_rep(rep)
    for qt5 in generations:
        assert signatures_by_repc(text, folder, qt5=qt5) == signatures(rep, qt5=qt5), text


class Mode(enum.Enum):
    OFF = 0
    ON = 4


@cpp_enum("quint8", scoped=True, name="Level", scope="Boiler", keys={"NONE": "None"})
class BoilerLevel(enum.Enum):
    NONE = 0
    HIGH = 200


class Days(enum.Flag):
    MONDAY = 1
    TUESDAY = 2


@dataclass
class Reading:
    celsius: float
    taken_at: Annotated[str, CppType("QUrl"), WireName("where")]


class Pump(Object):
    speed: Property[float] = prop(0.0)


class Boiler(Object):
    serial: Property[Annotated[str, CONSTANT]] = prop("A")
    mode: Property[Mode] = prop(Mode.ON, writable=True)
    level: Property[BoilerLevel] = prop(BoilerLevel.HIGH)
    days: Property[Days] = prop(Days(0))
    last: Property[Reading | None] = prop(None)
    readings: Property[list[Reading]] = prop(factory=list)
    names: Property[dict[str, int]] = prop(factory=dict)
    pump: Property[Pump | None] = prop(None)

    @signal
    @wire_named("HOT")
    def overheated(self, level: BoilerLevel, reading: Reading) -> None: ...

    @slot
    async def boost(self, minutes: Annotated[str, CppType("const QString &")]) -> Mode:
        raise NotImplementedError


def test_a_python_class_has_the_signature_that_repc_gives_its_rep_file(tmp_path: Path) -> None:
    told = signatures_by_repc(print_rep(rep_of(Boiler)), tmp_path, qt5=False)
    assert told is not None
    assert told["Boiler"] == signature_of(contract_of(Boiler), qt5=False)
    assert told["Pump"] == signature_of(contract_of(Pump), qt5=False)


def test_a_python_class_has_the_signature_of_its_file_for_qt_5(tmp_path: Path) -> None:
    text = print_rep(for_qt5(rep_of(Boiler)))
    assert "ENUM Level {" in text
    assert "PROP(int days READONLY)" in text
    told = signatures_by_repc(text, tmp_path, qt5=True)
    assert told is not None
    assert told["Boiler"] == signature_of(contract_of(Boiler), qt5=True)


@pytest.mark.timeout(600)
@settings(max_examples=soak(25, 1500))
@given(reps())
def test_every_file_can_be_had_for_qt_5(tmp_path_factory: pytest.TempPathFactory, rep: Rep) -> None:
    text = print_rep(for_qt5(rep))
    told = signatures_by_repc(text, tmp_path_factory.getbasetemp(), qt5=True)
    assert told == signatures(rep, qt5=True), text


@pytest.mark.timeout(600)
@given(reps(qt5=True))
def test_a_file_that_qt_5_can_read_stays_as_it_is(rep: Rep) -> None:
    assert for_qt5(rep) == rep


def test_signatures_are_computed_once_for_each_contract() -> None:
    before = signature_of.cache_info().hits
    one = signature_of(contract_of(Pump), qt5=False)
    assert signature_of(contract_of(Pump), qt5=False) == one
    assert signature_of.cache_info().hits > before


def test_names_types_and_modifiers_count_and_defaults_and_comments_do_not() -> None:
    def of(body: str) -> str:
        return signatures(parse(f"class Foo {{ {body} }}"))["Foo"]

    base = of("PROP(int bar) SLOT(void go(int way))")
    assert of("// about it\nPROP(int bar=4 PERSISTED) SLOT(void go(int way))") == base
    others = {
        of("PROP(int baz) SLOT(void go(int way))"),
        of("PROP(uint bar) SLOT(void go(int way))"),
        of("PROP(int bar READWRITE) SLOT(void go(int way))"),
        of("PROP(int bar) SLOT(void go(int where))"),
        of("PROP(int bar) SLOT(void go(const int way))"),
        of("PROP(int bar) SLOT(int go(int way))"),
        of("PROP(int bar) SLOT(void go())"),
    }
    assert base not in others
    assert len(others) == 7
    assert of("PROP(int bar READONLY)") == of("PROP(int bar SOURCEONLYSETTER)")
