"""What interop tests share: a node of ours, Qt programs, addresses."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

_NUMBERS: Final = itertools.count()


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
