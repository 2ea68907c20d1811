"""What interop tests share: addresses, and Qt programs in C++ that are built before the time of a test runs."""

from __future__ import annotations

import contextlib
import itertools
import socket
import subprocess
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.interop.building import QTS, qt_programs

_NUMBERS: Final = itertools.count()
_COMPILING: Final[list[subprocess.Popen[bytes]]] = []


def pytest_collection_finish(session: pytest.Session) -> None:
    """Begin to build while other tests run: these are the last."""
    if not session.config.option.collectonly and any(item.get_closest_marker("cpp") for item in session.items):
        command = [sys.executable, "-m", "tests.interop.building"]
        _COMPILING.append(subprocess.Popen(command, cwd=Path(__file__).parents[2], stderr=subprocess.DEVNULL))


def pytest_sessionfinish() -> None:
    while _COMPILING:
        _COMPILING.pop().wait()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    """Wait for the programs; what is missing, or does not compile, each test says itself."""
    if item.get_closest_marker("cpp"):
        for generation in QTS:
            with contextlib.suppress(AssertionError, pytest.skip.Exception):
                qt_programs(generation)
    return (yield)


@pytest.fixture
def address(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """`address("local")`: a fresh URL of that transport; a tcp one names port 0."""

    def fresh(kind: str = "local") -> str:
        if kind == "tcp":
            return "tcp://127.0.0.1:0"
        if kind == "localabstract":
            return f"localabstract:{tmp_path_factory.getbasetemp().name}-{next(_NUMBERS)}-{Path.cwd().name}"
        return f"local:{tmp_path_factory.mktemp('qt') / 'host'}"

    return fresh


@pytest.fixture
def free_port() -> int:
    """A port of this machine that was free just now, for a process that is started there twice."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])
