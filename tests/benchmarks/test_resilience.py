"""A short run of the suites `restart`, `memory`, `stalled` and `tables`, and what their roles count."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from benchmarks import memory, restart, stalled, tables
from benchmarks.actors.plants import Restart, Watch
from tests.benchmarks.test_wide import run

QT = importlib.util.find_spec("PySide6") is not None
PAIRS = ["everywire<-everywire", *(["everywire<-pyside6", "pyside6<-everywire"] if QT else [])]


def test_a_restart_is_told_when_the_replica_is_valid_and_somebody_asked() -> None:
    told: list[Any] = []
    watch = Restart(told.append)
    watch.obey("arm")
    watch.suspect()
    watch.obey("result")
    assert told == [None]
    watch.valid()
    assert told[1]["suspect"] <= told[1]["valid"]
    watch.changed(5)
    watch.obey("changes")
    assert told[2] == 1
    watch.obey("arm")
    watch.obey("changes")
    assert told[3:] == [None, 0]


def test_a_rhythm_is_kept_by_numbers() -> None:
    watch = Watch(rate=1000, seconds=0.05)
    numbers: list[int] = []
    while watch.goes_on():
        for number in watch.due():
            numbers.append(number)
            watch.published()
    assert numbers == list(range(len(numbers)))
    assert 40 <= len(numbers) <= 50
    assert watch.result()["count"] == len(numbers)


@pytest.mark.parametrize("transport", ["local", "tcp"])
def test_restarts_are_survived_with_one_change_each(
    transport: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pairs = PAIRS if transport == "local" else PAIRS[:1]
    samples = run(restart, ["--pairs", ",".join(pairs), "--transports", transport], tmp_path / "restart.json")
    assert [sample["changes"] for sample in samples] == [1] * len(pairs)
    assert all(0 < sample["suspect_ms"] < 1000 and 0 <= sample["valid_ms"] < 5000 for sample in samples)
    assert f" {transport} |" in capsys.readouterr().out


def test_replicas_and_their_host_are_weighed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    samples = run(memory, ["--pairs", ",".join(PAIRS[:2]), "--replicas", "8"], tmp_path / "memory.json")
    assert len(samples) == len(PAIRS[:2])
    assert all(sample["alone_mib"] > 5 and sample["connected_s"] > 0 for sample in samples)
    assert "host kB each" in capsys.readouterr().out


def test_a_stalled_replica_is_weighed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    peers = ["everywire", *(["pyside6"] if QT else [])]
    samples = run(stalled, ["--peers", ",".join(peers)], tmp_path / "stalled.json")
    growth = {(sample["host"], sample["kind"]): sample["growth_mib"] for sample in samples}
    assert len(growth) == 2 * len(peers)
    assert growth["everywire", "signal"] < 24
    assert all(sample["per_second"] > 100 for sample in samples)
    assert "growth MiB" in capsys.readouterr().out


def test_every_row_of_a_table_arrives(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = [f"{host}<-{replica}" for host, replica in tables.PAIRS if QT or "pyside6" not in (host, replica)]
    samples = run(tables, ["--pairs", ",".join(names), "--placement", "unpinned"], tmp_path / "tables.json")
    assert len(samples) == len(names)
    assert all(sample["rate"] > 100 and sample["jump_ms"] > 0 and sample["first_ms"] > 0 for sample in samples)
    assert "all rows/s" in capsys.readouterr().out
