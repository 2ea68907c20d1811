"""The windows of docs/howto/qt-gui.md without a screen, before a host in another process: clicked, and looked at."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from everywire import sync
from tests.test_docs import blocks, environment, programs, running

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "howto" / "qt-gui.md"
LONGEST = 25

USER = """
import os, runpy, signal, sys
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication, QLabel, QPushButton, QWidget

program, url, picture = sys.argv[1:]
sys.argv = [program, url]
show = QWidget.show

def find(kind):
    return [widget for window in QApplication.topLevelWidgets() for widget in window.findChildren(kind)][0]

def look():
    label, button = find(QLabel).text(), find(QPushButton)
    state = label, button.window().isEnabled()
    if look.said[-1:] != [state]:
        look.said.append(state)
        print(*state, flush=True)
        if state == ("heats to 21.0 °C", True):
            button.click()
        elif len(look.said) == 2:
            button.window().resize(240, 100)
            button.window().grab().save(picture)
            print("seen", flush=True)
    if label == "heats to 30.0 °C":
        timer.stop()
        button.window().close()

look.said = []
timer = QTimer()
timer.timeout.connect(look)

def shown(widget):
    timer.start(5)
    show(widget)

QWidget.show = shown
runpy.run_path(program, run_name="__main__")
print("ended", flush=True)
"""
"""Stands for who sits before the window: clicks, looks at the label, and closes it when somebody else has set 30."""


@contextmanager
def window(folder: Path, program: str, picture: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", USER, str(folder / program), f"local:{folder}/climate", str(picture)]
    settings = {**environment(folder), "QT_QPA_PLATFORM": "offscreen", "PYTHONPATH": str(folder)}
    with subprocess.Popen(command, cwd=folder, env=settings, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def lines_of(process: subprocess.Popen[str], last: str) -> list[str]:
    assert process.stdout is not None
    found: list[str] = []
    for line in process.stdout:
        found.append(line.strip())
        if found[-1] == last:
            break
    return found


@pytest.mark.timeout(60)
@pytest.mark.parametrize("program", ["window.py", "window_qasync.py"])
def test_a_click_pushes_a_value_and_the_label_follows_the_source(tmp_path: Path, program: str) -> None:
    from PySide6.QtGui import QImage

    programs(PAGE, tmp_path)
    url, picture = f"local:{tmp_path}/climate", tmp_path / "window.png"
    with running(tmp_path, "thermostat.py", url) as host:
        assert host.stdout is not None
        assert host.stdout.readline().strip() == url
        with window(tmp_path, program, picture) as process:
            assert lines_of(process, "seen") == ["heats to 21.0 °C True", "heats to 21.5 °C True", "seen"]
            with sync.connect(url, "hall") as room:
                assert room.target == 21.5
                assert sync.run(type(room).target.push(room, 30.0)) == 30.0
            assert lines_of(process, "ended") == ["heats to 30.0 °C True", "ended"]
            assert process.wait(10) == 0
    image = QImage(str(picture))
    assert (image.width(), image.height()) == (240, 100)
    colours = {image.pixel(x, y) for x in range(image.width()) for y in range(image.height())}
    assert len(colours) > 10, "letters and a button, not an empty window"


@pytest.mark.timeout(60)
def test_a_window_whose_host_is_gone_stays_alive_and_is_enabled_again(tmp_path: Path) -> None:
    programs(PAGE, tmp_path)
    url = f"local:{tmp_path}/climate"
    with running(tmp_path, "thermostat.py", url) as host:
        assert host.stdout is not None
        host.stdout.readline()
        with window(tmp_path, "window.py", tmp_path / "window.png") as process:
            lines_of(process, "seen")
            os.kill(host.pid, signal.SIGKILL)
            assert lines_of(process, "heats to 21.5 °C False")
            with running(tmp_path, "thermostat.py", url) as again:
                assert again.stdout is not None
                again.stdout.readline()
                # The new host begins with 21.0: the label follows, and the user clicks again.
                assert "heats to 21.5 °C True" in lines_of(process, "heats to 21.5 °C True")


@pytest.mark.timeout(60)
def test_beside_qtasyncio_links_live_in_a_loop_thread(tmp_path: Path) -> None:
    programs(PAGE, tmp_path)
    url = f"local:{tmp_path}/climate"
    with running(tmp_path, "thermostat.py", url) as host:
        assert host.stdout is not None
        host.stdout.readline()
        settings = {**environment(tmp_path), "QT_QPA_PLATFORM": "offscreen"}
        command = [sys.executable, "window_qtasyncio.py", url]
        done = subprocess.run(command, cwd=tmp_path, env=settings, capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("heats to 21.5 °C\n", 0), done.stderr


REFUSED = """
import sys
from PySide6 import QtAsyncio
from everywire import NeedsLoop, Node, Object, connect, serve
from everywire.transport import listen, open_stream

async def main():
    for block in (
        connect(sys.argv[1], "hall"), serve(Object(), "hall", on=sys.argv[1]), Node(),
        open_stream(sys.argv[1]), listen(sys.argv[1], None),
    ):
        try:
            async with block:
                print("entered")
        except NeedsLoop as error:
            print("sync.connect(…, background=True)" in str(error), "sync.LoopThread" in str(error), flush=True)

QtAsyncio.run(main(), keep_running=False)
"""


def test_qtasyncio_itself_is_refused_with_advice(tmp_path: Path) -> None:
    settings: dict[str, Any] = {**environment(tmp_path), "QT_QPA_PLATFORM": "offscreen"}
    command = [sys.executable, "-c", REFUSED, f"local:{tmp_path}/climate"]
    done = subprocess.run(command, env=settings, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("True True\n" * 5, "", 0)


@pytest.mark.parametrize("name", ["window.py", "window_qasync.py", "window_qtasyncio.py"])
def test_a_window_is_a_program_of_at_most_25_lines(name: str) -> None:
    (program,) = (block for block in blocks(PAGE) if block.startswith(f"# {name}\n"))
    assert len(program.splitlines()) - 1 <= LONGEST
