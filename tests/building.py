"""C++ programs of the tests: built once, and kept under build/ by what went into them."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import pytest

KEPT: Final = Path(__file__).resolve().parents[1] / "build"
SHARED: Final = Path(__file__).parent / "cpp"
"""Headers for all of them."""

_failed: dict[Path, str] = {}
"""What the compiler said, so that it is asked once."""


def needs(command: str, package: str) -> str:
    """The path of *command*; the test is skipped, with the reason, where it is not installed."""
    found = shutil.which(command)
    if found is None:
        pytest.skip(f"no {command} here; `make test` as root installs the Debian package {package}")
    return found


def kept(folder: str, name: str, parts: Iterable[bytes], build: Callable[[Path], None]) -> Path:
    """What *build* makes in a folder of its own, under *name*; made again when *parts* are others.

    One test run at a time builds; a second one waits for it and finds the result.
    """
    place = KEPT / folder
    built = place / f"{name}-{hashlib.sha256(b'|'.join(parts)).hexdigest()[:16]}"
    place.mkdir(parents=True, exist_ok=True)
    assert built not in _failed, _failed[built]
    with (place / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not built.exists():
            _clear(place, name)
            with tempfile.TemporaryDirectory(dir=place) as work:
                try:
                    build(Path(work))
                except AssertionError as error:
                    _failed[built] = str(error)
                    raise
                (Path(work) / name).replace(built)
    return built


def contents(*files: Path) -> list[bytes]:
    """Names and bytes of *files*, for `kept`."""
    return [part for file in sorted(files) for part in (file.name.encode(), file.read_bytes())]


def output(*command: str | Path) -> str:
    """What *command* writes; fails the test with its complaints when it does not succeed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(map(str, command[:1]))} failed:\n{done.stderr[-4000:]}"
    return done.stdout


def side_by_side(*commands: Iterable[str | Path]) -> None:
    """Run *commands* at the same time, as compilers should be."""
    running = [
        subprocess.Popen([*command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for command in commands
    ]
    said = [process.communicate()[0] for process in running]
    for process, words in zip(running, said, strict=True):
        assert process.returncode == 0, f"{process.args} failed:\n{words[-4000:]}"


def _clear(place: Path, name: str) -> None:
    """Remove what older sources made."""
    for old in place.glob(f"{name}-*"):
        if old.is_dir():
            shutil.rmtree(old)
        else:
            old.unlink()
