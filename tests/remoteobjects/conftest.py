"""What tests of Qt Remote Objects are given."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from everywire.runtime import scram, tokens


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short, because a socket path has room for 106 bytes only."""
    with tempfile.TemporaryDirectory(prefix="ew-") as name:
        yield Path(name)


@pytest.fixture
def cheap_derivations(monkeypatch: pytest.MonkeyPatch) -> None:
    """Logins that a test can afford by the dozen."""
    monkeypatch.setattr(scram.make_verifier, "__defaults__", (scram.LEAST_COST,))
    monkeypatch.setattr(tokens, "COST", scram.LEAST_COST)
