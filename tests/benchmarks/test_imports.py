"""The suite `imports`: what it starts, what it subtracts, and one short run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import imports
from benchmarks.figures import Spread
from benchmarks.imports import Figures


def test_an_import_that_fails_is_told_with_its_last_line() -> None:
    milliseconds, reason = imports.start("import no_such_module_anywhere")
    assert milliseconds > 0
    assert reason == "ModuleNotFoundError: No module named 'no_such_module_anywhere'"


def test_the_memory_is_that_of_the_interpreter_and_not_of_who_started_it() -> None:
    kept = bytearray(200 << 20)  # touched, so resident
    empty, full = imports.peak_megabytes("pass"), imports.peak_megabytes("kept = bytearray(64 << 20)")
    assert kept[-1] == 0
    assert 1 < empty < 50
    assert 64 < full < 150


def test_the_table_subtracts_the_empty_interpreter() -> None:
    found = {"nothing": Figures(Spread(10, 9, 11), 8.5), "asyncio": Figures(Spread(42, 40, 44), 19.5)}
    lines = imports.table(["nothing", "asyncio", "aiohttp"], found, {"aiohttp": "no"}).splitlines()
    cells = [cell.strip() for cell in lines[3].split("|")[1:-1]]
    assert cells == ["asyncio", "42.0", "40.0-44.0", "32.0", "19.5", "11.0"]
    assert "missing: no" in lines[4]


def test_a_short_run_times_what_was_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written = tmp_path / "imports.json"
    names = "nothing,everywire: objects,everywire --help"
    assert imports.main(["--quick", "--imports", names, "--json", str(written)]) == 0
    printed = capsys.readouterr().out
    assert all(f"| {name} " in printed for name in names.split(","))
    figures = json.loads(written.read_text(encoding="utf-8"))["figures"]
    assert set(figures) == set(names.split(","))
    assert all(each["milliseconds"]["median"] > 0 < each["megabytes"] for each in figures.values())
