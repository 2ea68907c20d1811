"""What tests of Qt Remote Objects are given."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short, because a socket path has room for 106 bytes only."""
    with tempfile.TemporaryDirectory(prefix="ew-") as name:
        yield Path(name)
