"""The programs of docs/howto/scripts.md and threads.md do what their pages say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from everywire import sync
from tests.test_docs import ROOT, environment, programs, run, running

SCRIPTS = ROOT / "docs" / "howto" / "scripts.md"
THREADS = ROOT / "docs" / "howto" / "threads.md"


def test_the_script_uses_the_host_of_the_readme(tmp_path: Path) -> None:
    programs(ROOT / "README.md", tmp_path)
    assert "script.py" in programs(SCRIPTS, tmp_path)
    with running(tmp_path, "host.py"):
        assert run(tmp_path, "script.py").splitlines() == [
            "21.0",
            "300",
            "22.5",
            "[0, 60, 120]",
            "target: 99.0 is not within 5 and 35",
        ]


def test_the_station_serves_while_it_reads_its_input(tmp_path: Path) -> None:
    assert "station.py" in programs(SCRIPTS, tmp_path)
    command = [sys.executable, "station.py"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=tmp_path, env=environment(tmp_path), text=True, **pipes) as process:  # type: ignore[call-overload]
        assert process.stdin is not None
        assert process.stdout is not None
        local, tcp = process.stdout.readline().split()
        assert local == "local:station"
        with sync.connect(tcp, "station") as station:
            process.stdin.write("4.5\n")
            process.stdin.flush()
            assert sync.until(lambda: station.reading, 10) == 4.5
            sync.run(station.reset())
            assert sync.until(lambda: station.reading == 0.0, 10)
        process.stdin.close()
        assert process.wait(10) == 0


def test_the_short_program_does_what_the_long_one_does(tmp_path: Path) -> None:
    assert "short.py" in programs(THREADS, tmp_path)
    pushed, dimmed, level = map(float, run(tmp_path, "short.py").split())
    assert (pushed, round(dimmed, 6), round(level, 6)) == (0.8, 0.3, 0.3)
