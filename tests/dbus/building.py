"""Builds the C++ peer against the system's Qt."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tests.building import SHARED, contents, kept, needs, output

SOURCES: Final = Path(__file__).parent / "peers" / "qt"
MODULES: Final = ("Core", "DBus")
FLAGS: Final = ("-std=c++17", "-O1", "-fPIC", "-Wall", "-Wextra")


def qt_peer() -> Path:
    """The program; skips the test, with the reason, where Qt's headers or a compiler are not installed."""
    compiler, qmake = needs("g++", "g++"), needs("qmake6", "qt6-base-dev")
    told = output(qmake, "-query")
    parts = [told.encode(), " ".join(FLAGS).encode(), *contents(*SOURCES.iterdir(), *SHARED.iterdir())]

    def build(folder: Path) -> None:
        _build(folder, compiler, dict(line.split(":", 1) for line in told.splitlines()))

    return kept("dbus-peers", "qt_peer", parts, build)


def _build(folder: Path, compiler: str, qt: dict[str, str]) -> None:
    headers = Path(qt["QT_INSTALL_HEADERS"])
    includes = [f"-I{headers}", *(f"-I{headers / f'Qt{module}'}" for module in MODULES)]
    libraries = [f"-L{qt['QT_INSTALL_LIBS']}", *(f"-lQt6{module}" for module in MODULES)]
    moc = str(Path(qt["QT_INSTALL_LIBEXECS"]) / "moc")
    output(moc, SOURCES / "boiler.h", "-o", folder / "moc_boiler.cpp")
    output(moc, SOURCES / "main.cpp", "-o", folder / "main.moc")
    sources = [SOURCES / "boiler.cpp", SOURCES / "main.cpp", folder / "moc_boiler.cpp"]
    places = [f"-I{folder}", f"-I{SOURCES}", f"-I{SHARED}"]
    output(compiler, *FLAGS, *places, *includes, *sources, *libraries, "-o", folder / "qt_peer")
