"""What `everywire gen rep` writes compiles: as source and as replica, with Qt 6, and without flags with Qt 5."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pytest

from everywire import Object, Property, i32, prop, signal, slot
from everywire.remoteobjects import CONSTANT, PERSISTED, READWRITE, CppType, Roles
from everywire.remoteobjects.rep.describing import rep_of
from everywire.remoteobjects.rep.printing import print_rep
from everywire.tables import Table
from tests.building import needs, output
from tests.interop.building import MODULES, QTS
from tests.remoteobjects.rep.repc import CORPUS, repc
from tests.remoteobjects.rep.test_describing import Heater

pytestmark = [pytest.mark.interop, pytest.mark.timeout(120)]


class Mode(enum.Enum):
    OFF = 0
    ON = 4


@dataclass
class Sample:
    mode: Mode
    values: list[float]


class Pump(Object):
    speed: Property[float] = prop(2.5, writable=True)


class Plain(Object):
    """What Qt 5 knows too."""

    serial: Property[Annotated[str, CONSTANT]] = prop("A (1)")
    made_by: Property[Annotated[str, CONSTANT]] = prop("")
    mode: Property[Annotated[Mode, READWRITE]] = prop(Mode.ON, writable=True)
    counts: Property[Annotated[dict[i32, i32], CppType("QMap<int, int>"), CONSTANT]] = prop(factory=dict)
    first: Property[Annotated[Mode, CONSTANT]] = prop(Mode.OFF)
    many: Property[Annotated[list[str], CONSTANT]] = prop(factory=list)
    kept: Property[Annotated[bool, PERSISTED]] = prop(True, writable=True)
    samples: Property[dict[str, Sample]] = prop(factory=dict)
    pump: Property[Pump | None] = prop(None)
    rows: Property[Annotated[Table[Any] | None, Roles("name", "colour")]] = prop(None)

    @signal
    def happened(self, mode: Mode, sample: Sample) -> None: ...

    @slot
    async def find(self, why: Annotated[str, CppType("const QString &")], count: i32) -> list[Sample]:
        return []


def compiles(text: str, folder: Path, name: str) -> None:
    """Have repc and the compiler of one Qt read a .rep file."""
    qt = QTS[name]
    compiler = needs("g++", "g++")
    query = dict(line.split(":", 1) for line in output(needs(qt.qmake, qt.packages), "-query").splitlines())
    headers = Path(query["QT_INSTALL_HEADERS"])
    (folder / "it.rep").write_text(text)
    output(repc(qt5=qt.major == 5), "-o", "merged", folder / "it.rep", folder / "it.h")
    (folder / "it.cpp").write_text('#include <QtCore>\n#include "it.h"\n')
    places = [f"-I{place}" for place in (headers, *(headers / f"Qt{module}" for module in MODULES))]
    output(compiler, "-std=c++17", "-fPIC", "-fsyntax-only", *places, folder / "it.cpp")


def test_a_class_with_everything_compiles_with_qt_6(tmp_path: Path) -> None:
    compiles(print_rep(rep_of(Heater)), tmp_path, "Qt 6.4")


@pytest.mark.parametrize("name", QTS)
def test_a_class_without_flags_compiles_with_both(name: str, tmp_path: Path) -> None:
    compiles(print_rep(rep_of(Plain)), tmp_path, name)


@pytest.mark.soak
@pytest.mark.parametrize("file", ["pods", "braces", "scoped"])
def test_files_of_the_corpus_are_such_as_a_compiler_takes(file: str, tmp_path: Path) -> None:
    compiles((CORPUS / f"{file}.rep").read_text(), tmp_path, "Qt 6.4")
