"""Builds the C++ peer against the system's Qt: once, kept under build/ by what went into it."""

from __future__ import annotations

import fcntl
import hashlib
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from tests.dbus import lab

SOURCES: Final = Path(__file__).parent / "peers" / "qt"
KEPT: Final = Path(__file__).resolve().parents[2] / "build" / "dbus-peers"
MODULES: Final = ("Core", "DBus")
FLAGS: Final = ("-std=c++17", "-O1", "-fPIC", "-Wall", "-Wextra")

_failed: dict[Path, str] = {}
"""What the compiler said, so that it is asked once."""


def qt_peer() -> Path:
    """The program; skips the test, with the reason, where Qt's headers or a compiler are not installed."""
    compiler, qmake = lab.needs("g++", "g++"), lab.needs("qmake6", "qt6-base-dev")
    files = sorted(SOURCES.iterdir())
    told = _output(qmake, "-query")
    parts = [told.encode(), " ".join(FLAGS).encode(), *(file.name.encode() + file.read_bytes() for file in files)]
    built = KEPT / f"qt_peer-{hashlib.sha256(b''.join(parts)).hexdigest()[:16]}"
    KEPT.mkdir(parents=True, exist_ok=True)
    assert built not in _failed, _failed[built]
    with (KEPT / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a second test run waits for the first one's compiler
        if not built.exists():
            try:
                _build(built, compiler, dict(line.split(":", 1) for line in told.splitlines()))
            except AssertionError as error:
                _failed[built] = str(error)
                raise
    return built


def _build(built: Path, compiler: str, qt: dict[str, str]) -> None:
    headers = Path(qt["QT_INSTALL_HEADERS"])
    includes = [f"-I{headers}", *(f"-I{headers / f'Qt{module}'}" for module in MODULES)]
    libraries = [f"-L{qt['QT_INSTALL_LIBS']}", *(f"-lQt6{module}" for module in MODULES)]
    with tempfile.TemporaryDirectory(dir=KEPT) as name:
        folder = Path(name)
        moc = str(Path(qt["QT_INSTALL_LIBEXECS"]) / "moc")
        _output(moc, str(SOURCES / "boiler.h"), "-o", str(folder / "moc_boiler.cpp"))
        _output(moc, str(SOURCES / "main.cpp"), "-o", str(folder / "main.moc"))
        sources = [str(SOURCES / "boiler.cpp"), str(SOURCES / "main.cpp"), str(folder / "moc_boiler.cpp")]
        places = [f"-I{folder}", f"-I{SOURCES}"]
        _output(compiler, *FLAGS, *places, *includes, *sources, *libraries, "-o", str(folder / "qt_peer"))
        (folder / "qt_peer").replace(built)


def _output(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command[0]} failed:\n{done.stderr[-4000:]}"
    return done.stdout
