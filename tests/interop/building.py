"""Builds our Qt programs in C++, once for each generation of Qt; skips the test, with the reason, where one lacks.

`python -m tests.interop.building` does nothing else; a test run starts that as soon as it knows that it needs them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.building import SHARED, contents, kept, needs, output, side_by_side

SOURCES: Final = Path(__file__).parent / "cpp"
FLAGS: Final = ("-std=c++17", "-O1", "-fPIC", "-Wall", "-Wextra")
MODULES: Final = ("Core", "Network", "RemoteObjects")
PROGRAMS: Final[Mapping[str, tuple[str, ...]]] = {
    "qtro_host": ("host", "table", "values"),
    "qtro_node": ("node", "values"),
}


@dataclass(frozen=True)
class Qt:
    """What one generation needs and has."""

    name: str
    major: int
    qmake: str
    tools: str
    """What qmake calls the folder of moc and repc."""
    packages: str
    reps: tuple[str, ...]

    @property
    def compiled(self) -> tuple[tuple[str, str], ...]:
        """(.rep file, what repc makes of it)."""
        return tuple((rep, kind) for rep in self.reps for kind in ("source", "replica"))


QTS: Final = {
    "Qt 5.15": Qt("Qt 5.15", 5, "/usr/lib/qt5/bin/qmake", "QT_HOST_BINS",
                  "qtbase5-dev libqt5remoteobjects5-dev", ("plant",)),
    "Qt 6.4": Qt("Qt 6.4", 6, "/usr/lib/qt6/bin/qmake6", "QT_INSTALL_LIBEXECS",
                 "qt6-base-dev qt6-remoteobjects-dev", ("plant", "modern")),
}  # fmt: skip


def qt_programs(name: str) -> Path:
    """The folder with `qtro_host` and `qtro_node` of *name*."""
    qt = QTS[name]
    compiler = needs("g++", "g++")
    told = output(needs(qt.qmake, qt.packages), "-query")
    query = dict(line.split(":", 1) for line in told.splitlines())
    if not os.access(Path(query[qt.tools]) / "repc", os.X_OK):
        pytest.skip(f"no repc of {name} here; `make test` as root installs the Debian packages {qt.packages}")
    if not (Path(query["QT_INSTALL_HEADERS"]) / "QtRemoteObjects" / "QtRemoteObjects").exists():
        pytest.skip(f"no headers of {name} here; `make test` as root installs the Debian packages {qt.packages}")
    parts = [told.encode(), *map(str.encode, FLAGS), *contents(*SOURCES.iterdir(), *SHARED.iterdir())]

    def build(folder: Path) -> None:
        _Build(qt, compiler, query, folder / f"qt{qt.major}").run()

    return kept("interop-peers", f"qt{qt.major}", parts, build)


class _Build:
    """One run of moc, repc and the compiler; as many processes at a time as there is work."""

    def __init__(self, qt: Qt, compiler: str, query: Mapping[str, str], folder: Path) -> None:
        self._qt, self._folder = qt, folder
        folder.mkdir()
        self._tools = Path(query[qt.tools])
        self._libraries = [f"-L{query['QT_INSTALL_LIBS']}", *(f"-lQt{qt.major}{module}" for module in MODULES)]
        headers = Path(query["QT_INSTALL_HEADERS"])
        places = [headers, *(headers / f"Qt{module}" for module in MODULES)]
        self._moc = [self._tools / "moc", *(f"-I{place}" for place in places)]
        system = [word for place in places for word in ("-isystem", str(place))]
        self._compile = [compiler, *FLAGS, f"-I{folder}", f"-I{SOURCES}", f"-I{SHARED}", *system]

    def run(self) -> None:
        header = self._folder / "pch.h"  # the compiler looks for the compiled one beside it
        header.write_text(f'#include "{SOURCES / "pch.h"}"\n')
        side_by_side(
            [*self._compile, "-x", "c++-header", header, "-o", self._folder / "pch.h.gch"],
            *(self._repc(rep, kind) for rep, kind in self._qt.compiled),
        )
        headers = [*(SOURCES / f"{name}.h" for name in ("plain", "table")), *self._made()]
        side_by_side(*([*self._moc, file, "-o", self._folder / f"moc_{file.stem}.cpp"] for file in headers))
        files = sorted({file for files in PROGRAMS.values() for file in files}, reverse=True)
        side_by_side(*([*self._compile, "-include", header, "-c", SOURCES / f"{file}.cpp", "-o", self._object(file)]
                       for file in files))  # fmt: skip
        for program, parts in PROGRAMS.items():
            objects = [self._object(part) for part in parts]
            output(self._compile[0], *objects, *self._libraries, "-o", self._folder / program)
        for file in self._folder.iterdir():
            if file.name not in PROGRAMS:
                file.unlink()

    def _made(self) -> list[Path]:
        return [self._folder / f"rep_{rep}_{kind}.h" for rep, kind in self._qt.compiled]

    def _repc(self, rep: str, kind: str) -> list[str | Path]:
        made = self._folder / f"rep_{rep}_{kind}.h"
        return [self._tools / "repc", "-i", "rep", "-o", kind, SOURCES / f"{rep}.rep", made]

    def _object(self, file: str) -> Path:
        return self._folder / f"{file}.o"


if __name__ == "__main__":
    for generation in QTS:
        try:
            qt_programs(generation)
        except (AssertionError, pytest.skip.Exception) as lack:
            sys.stderr.write(f"{generation}: {lack}\n")
