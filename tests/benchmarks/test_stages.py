"""The suite `stages` measures every stage and writes its figures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import stages


def test_every_stage_has_a_figure_at_both_depths(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "stages.json"
    assert stages.main(["--rounds", "1", "--seconds", "0.0001", "--json", str(file)]) == 0
    figures = json.loads(file.read_text(encoding="utf-8"))
    assert set(figures) == {"1", "64"}
    for table in figures.values():
        assert len(table) == 7
        assert all(spread["median"] > 0 for spread in table.values())
    assert "all of ours, both sides" in capsys.readouterr().out
