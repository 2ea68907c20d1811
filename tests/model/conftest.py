"""Fixtures of the model's tests."""

from __future__ import annotations

import sys

import pytest

from tests.model.samples import Recorder


@pytest.fixture
def unraisable(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    """What `sys.unraisablehook` was told."""
    recorder = Recorder()
    monkeypatch.setattr(sys, "unraisablehook", recorder)
    return recorder
