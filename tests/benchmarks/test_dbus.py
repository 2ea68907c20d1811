"""The suite `dbus`: its plan, its floors, and a short run of each peer with real processes on a bus of its own."""

from __future__ import annotations

import importlib.util
import json
import shutil
import struct
from pathlib import Path
from typing import Any

import pytest

from benchmarks import dbus
from benchmarks.actors.fanout_dbus_floor import PREPARED
from benchmarks.peer import Missing
from benchmarks.peers import DBUS, load
from benchmarks.processes import Failed, Role
from everywire.dbus.codec import decode_message

QT = importlib.util.find_spec("PySide6") is not None
CALLED = [name for name in DBUS if (QT or "qt" not in name) and (shutil.which("cc") or "floor" not in name)]
HEARD = [name for name in dbus.LISTENED if QT or "qt" not in name]
on_a_bus = pytest.mark.skipif(shutil.which("dbus-daemon") is None, reason="`make bench` installs dbus-daemon")


def run(part: str, arguments: list[str], folder: Path) -> dict[str, Any]:
    """Run one part of the suite quickly; return what it wrote."""
    options = ["--quick", "--seed", "7", "--parts", part, "--json", str(folder / "dbus.json")]
    assert dbus.main([*options, *arguments]) == 0
    written: dict[str, Any] = json.loads((folder / f"dbus.{part}.json").read_text(encoding="utf-8"))
    return written


@pytest.mark.parametrize("name", [name for name in DBUS if QT or "qt" not in name])
def test_every_peer_of_the_table_is_in_its_module(name: str) -> None:
    assert load(name)


@on_a_bus
@pytest.mark.parametrize("name", CALLED)
def test_a_peer_answers_every_number(name: str, tmp_path: Path) -> None:
    written = run("calls", ["--peers", name, "--seconds", "0.01"], tmp_path)
    problems = [taken["problem"] for taken in written["samples"] if taken["problem"]]
    waits = name.endswith(("-blocking", "-interface"))
    assert problems == (["its API waits for each answer"] if waits else [])
    assert written["rows"][0]["sequential"]["rate"]["median"] > 0


@on_a_bus
@pytest.mark.parametrize("name", HEARD)
def test_every_listener_hears_every_number(name: str, tmp_path: Path) -> None:
    shapes = ["--shapes", "1,10", "--deliveries", "200", "--paced", "3"]
    samples = run("fanout", ["--peers", name, *shapes], tmp_path)["samples"]
    assert [sample["problem"] for sample in samples if sample["problem"]] == []
    assert len(samples) == 4
    assert all(sample["rate"] > 0 and sample["p50_us"] > 0 for sample in samples)


@on_a_bus
def test_the_tables_refer_to_bare_dbus_fast_on_both_loops(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    peers = "bus-dbus-fast,bus-dbus-fast-stock,bus-session"
    rows = run("calls", ["--peers", peers, "--seconds", "0.01"], tmp_path)["rows"]
    ratios = {row["peer"]: row["sequential"]["ratios"] for row in rows}
    assert ratios["bus-dbus-fast"]["bus-dbus-fast"] == ratios["bus-dbus-fast-stock"]["bus-dbus-fast-stock"] == 1
    assert all(ratios["bus-session"].values())
    printed = capsys.readouterr().out
    assert "| x bare | x bare, stock |" in printed
    assert printed.startswith("* dbus-daemon: 1.")


def test_without_a_daemon_a_peer_is_missing_and_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with Role("server", "bus-session", tmp_path, ()) as server, pytest.raises(Missing, match="dbus-daemon"):
        server.ready()


@on_a_bus
def test_a_client_without_a_service_fails_with_what_the_bus_said(tmp_path: Path) -> None:
    with Role("server", "bus-floor", tmp_path, ()) as server:
        server.ready()
        (tmp_path / "peer").mkdir()
        with Role("client", "p2p-session", tmp_path, ()) as client, pytest.raises(Failed, match="peer"):
            client.ready()


@pytest.mark.parametrize("kind,place", [("signal", (0,)), ("property", (1, "Value"))])
def test_a_prepared_signal_tells_the_number_that_is_filled_in(kind: str, place: tuple[Any, ...]) -> None:
    prepared = PREPARED[kind]
    frame = prepared.of(42.5)
    assert struct.unpack_from("<d", frame, len(frame) - prepared.behind) == (42.5,)
    message = decode_message(frame)
    assert message is not None
    value: Any = message.body
    for step in place:
        value = value[step]
    assert getattr(value, "value", value) == 42.5
