"""`everywire demo`: all agree, it stays up, what it prints works, and nothing is left behind."""

from __future__ import annotations

import json
import os
import re
import select
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

import everywire.cli.demo.showing
from everywire.cli import ending
from everywire.cli.demo import crew, showing
from everywire.cli.demo.bus_guests import read_gvariant
from everywire.cli.demo.buses import Bus
from everywire.cli.demo.guests import Visit
from everywire.cli.demo.invitation import everywire_command, invitation
from everywire.cli.exits import Exit
from everywire.cli.plant import LIMIT, Mode, Pump, Thermostat
from everywire.errors import LinkError, MissingExtra
from tests.cli.terminal import Terminal
from tests.dbus import lab

pytestmark = pytest.mark.timeout(90)
"""A demo starts some twenty processes, which have a busy machine to themselves as little as we have."""

Start = Callable[..., Any]
LONG = 60.0
"""Seconds for a whole demo."""
QTRO = ["memory", "local", "local", "tcp", "tcp", "local (Qt 5)", "registry+tcp"]
HTTP = ["qtro+ws", "http", "http", "http+local"]
DBUS = ["dbus+local", "dbus", "dbus"]
USERS = [*QTRO, *HTTP, *DBUS]


def table(lines: list[str]) -> list[list[str]]:
    first = next(n for n, line in enumerate(lines) if line.startswith("WIRE"))
    return [re.split(r"\s{2,}", line) for line in lines[first + 1 : lines.index("", first)]]


def children_of(process: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


# -------------------------------------------------------------------------------------------------------------- once
@pytest.mark.interop
def test_once_uses_every_wire_with_a_real_qt_program_and_all_agree(start: Start, tmp_path: Path) -> None:
    demo = start("demo", "--once", "--qt", XDG_RUNTIME_DIR=str(tmp_path))
    out, err = demo.end(LONG)
    assert (demo.code, err) == (Exit.OK, "")
    rows = table(out.splitlines())
    assert [row[0] for row in rows] == [*USERS, "local", "registry+tcp", "dbus", "local → tcp"]
    assert [row[1] for row in rows[5:17]] == [
        "Python, typed", "Python, by name", "Python, no class", "Python, no class", "curl", "curl, Unix socket",
        "Python, typed", "Python, no class", "busctl", "a PySide6 program", "a PySide6 program", "a PySide6 program",
    ]  # fmt: skip
    assert {row[-1] for row in rows} == {"yes"}
    assert {row[-2] for row in rows} == {"33.3 roof"}
    assert out.endswith("All agree with what the plant holds.\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.interop
def test_on_a_terminal_of_80_columns_no_line_is_too_long(tmp_path: Path) -> None:
    words = (sys.executable, "-m", "everywire", "demo", "--once", "--no-qt")
    place = {"XDG_RUNTIME_DIR": str(tmp_path), "NO_COLOR": "1"}
    with Terminal(words, columns=80, environment=place) as terminal:
        shown = terminal.read_until("All agree", LONG).splitlines()
    assert max(len(line) for line in shown if not line.startswith("  ")) <= 80  # addresses stay in one piece
    first = next(n for n, line in enumerate(shown) if line.startswith("WIRE"))
    assert [re.split(r"\s{2,}", line)[0] for line in shown[first + 2 : -2]] == [*USERS, "local → tcp"]


def test_once_without_qt_has_no_qt_program(start: Start, tmp_path: Path) -> None:
    demo = start("demo", "--once", "--no-qt", XDG_RUNTIME_DIR=str(tmp_path))
    out, err = demo.end(LONG)
    assert (demo.code, err) == (Exit.OK, "")
    rows = table(out.splitlines())
    assert [row[0] for row in rows] == [*USERS, "local → tcp"]
    assert {row[-1] for row in rows} == {"yes"}
    assert f"local:{tmp_path}/everywire-" in out
    assert f"dbus:unix:path={tmp_path}/everywire-" in out


def test_without_curl_a_line_says_how_to_get_it(start: Start, tmp_path: Path) -> None:
    demo = start("demo", "--once", "--no-qt", XDG_RUNTIME_DIR=str(tmp_path), PATH=str(tmp_path))
    out, err = demo.end(LONG)
    assert (demo.code, err) == (Exit.OK, "")
    assert "curl is not installed, so it takes no part: apt install curl\n" in out
    assert "dbus-daemon, which makes one, is not installed, so D-Bus is used without a bus only: apt install" in out
    assert [row[0] for row in table(out.splitlines())] == [*QTRO, *HTTP[:2], "dbus+local", "local → tcp"]


def test_without_the_http_extra_its_rows_are_left_out(start: Start, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\nsys.modules |= dict.fromkeys(('starlette', 'uvicorn', 'httptools', 'websockets'))\n"
    )
    demo = start("demo", "--once", "--no-qt", XDG_RUNTIME_DIR=str(tmp_path), PYTHONPATH=str(tmp_path))
    out, err = demo.end(LONG)
    assert (demo.code, err) == (Exit.OK, "")
    assert "The http wire is not installed: pip install 'everywire[http]'\n" in out
    assert "http:" not in out
    assert "qtro+ws" not in out
    assert [row[0] for row in table(out.splitlines())] == [*QTRO, *DBUS, "local → tcp"]


def test_without_the_dbus_extra_its_rows_are_left_out(start: Start, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util\nfound = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *more: None if name == 'dbus_fast' else found(name, *more)\n"
    )
    demo = start("demo", "--once", "--no-qt", XDG_RUNTIME_DIR=str(tmp_path), PYTHONPATH=str(tmp_path))
    out, err = demo.end(LONG)
    assert (demo.code, err) == (Exit.OK, "")
    assert "The dbus wire is not installed: pip install 'everywire[dbus]'\n" in out
    assert "dbus:" not in out
    assert [row[0] for row in table(out.splitlines())] == [*QTRO, *HTTP, "local → tcp"]


def test_the_bus_of_the_session_is_used_unless_somebody_has_the_name(
    start: Start, tmp_path: Path, own_bus: lab.Bus
) -> None:
    session = {"XDG_RUNTIME_DIR": str(tmp_path), "DBUS_SESSION_BUS_ADDRESS": own_bus.address}
    first = start("demo", "--no-qt", **session)
    shown = first.lines_until("Ctrl-C ends it.")
    assert "  dbus:session?service=org.acme.Plant" in shown
    assert "D-Bus, on the session bus:" in shown
    second = start("demo", "--once", "--no-qt", **session)
    out, _ = second.end(LONG)
    assert second.code == Exit.OK
    assert f"  dbus:unix:path={tmp_path}/everywire-" in out
    first.interrupt()
    first.end()
    assert first.code == Exit.OK


def test_without_busctl_gdbus_takes_part(start: Start, tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("gdbus", "dbus-daemon"):
        (programs / name).symlink_to(lab.needs(name, name))
    demo = start("demo", "--once", "--no-qt", XDG_RUNTIME_DIR=str(tmp_path), PATH=str(programs))
    rows = table(demo.end(LONG)[0].splitlines())
    assert demo.code == Exit.OK
    assert [row[1] for row in rows if row[0] == "dbus"] == ["Python, no class", "gdbus"]
    assert {row[-1] for row in rows} == {"yes"}
    (programs / "gdbus").unlink()
    demo = start("demo", "--once", "--no-qt", XDG_RUNTIME_DIR=str(tmp_path), PATH=str(programs))
    out, _ = demo.end(LONG)
    assert "Neither busctl nor gdbus is installed, so none takes part: apt install libglib2.0-bin\n" in out
    assert [row[1] for row in table(out.splitlines()) if row[0] == "dbus"] == ["Python, no class"]


@pytest.mark.parametrize(
    "text,value",
    [
        ("(int64 900,)", (900,)),
        ("({'Last': <(51.5, 'wall')>, 'On': <true>},)", ({"Last": (51.5, "wall"), "On": True},)),
        ("('org.acme.Pump1', {'Flow': <0.0>}, @as [])", ("org.acme.Pump1", {"Flow": 0.0}, [])),
        (r"""('it\'s <true> int64 5', "it's", byte 0x05)""", ("it's <true> int64 5", "it's", 5)),
        ("()", ()),
    ],
)
def test_the_text_of_gvariant_is_read(text: str, value: object) -> None:
    assert read_gvariant(text) == value


async def test_a_qt_that_does_not_reach_the_bus_is_told(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    async with crew.crew() as people:
        assert not await showing._can_use_qt_dbus(people, Bus("dbus:x", f"unix:path={tmp_path}/none"))
        (people.directory / "PySide6").mkdir()
    assert "No Qt program takes part on D-Bus, because QtDBus does not reach the bus" in capsys.readouterr().out


async def test_a_program_that_fails_or_does_not_end_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async with crew.crew() as people:
        assert await people.output("the brief one", "-c", "print(1)", program=sys.executable) == b"1\n"
        with pytest.raises(LinkError, match="the failing one ended with exit code 3: no bus"):
            failing = "import sys\nsys.stderr.write('no bus'); sys.exit(3)"
            await people.output("the failing one", "-c", failing, program=sys.executable)
        monkeypatch.setattr(crew, "PATIENCE", 0.2)
        with pytest.raises(LinkError, match=r"the sleeper has not ended for 0\.2 s"):
            await people.output("the sleeper", "-c", "import sys; sys.stdin.read()", program=sys.executable)


def test_a_pyside6_that_cannot_be_imported_is_told_in_a_line(start: Start, tmp_path: Path) -> None:
    (tmp_path / "PySide6").mkdir()
    (tmp_path / "PySide6" / "__init__.py").write_text("raise ImportError('libglib-2.0.so.0 is missing')\n")
    demo = start("demo", "--once", PYTHONPATH=str(tmp_path))
    out, _ = demo.end(LONG)
    assert demo.code == Exit.OK
    assert "No Qt program takes part, because PySide6 ended with exit code 1: ImportError: libglib" in out
    demanded = start("demo", "--once", "--qt", PYTHONPATH=str(tmp_path))
    assert demanded.end()[1].startswith("everywire: PySide6 ended with exit code 1: ImportError: libglib")
    assert demanded.code == Exit.NO_CONNECTION


async def test_without_pyside6_a_line_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "PySide6", None)
    async with crew.crew() as people:
        assert not await showing._can_use_qt(people, demanded=False)
        assert capsys.readouterr().out == (
            "PySide6 is not installed: make demo QT=1 adds a real Qt program (250 MB)\n\n"
        )
        with pytest.raises(MissingExtra, match=r"pip install 'everywire\[qt\]'"):
            await showing._can_use_qt(people, demanded=True)


@pytest.mark.parametrize("agreed,code", [(True, Exit.OK), (False, Exit.FAULT)])
def test_the_exit_code_says_whether_all_agreed(
    cli: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, agreed: bool, code: Exit
) -> None:
    async def demo(*, once: bool, qt: bool | None) -> bool:
        return agreed

    monkeypatch.setattr(everywire.cli.demo.showing, "demo", demo)
    assert cli("demo", "--once").exit_code == code


def test_what_differs_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    visit = Visit("a guest", "tcp://127.0.0.1:1", user=showing.Told(None))  # type: ignore[arg-type]
    visit.compare("the pushed target", 22.0, 23.0)
    visit.compare("the signal overheated", [33.3, "roof"], [33.3, "roof"])
    assert not showing._show([visit])
    shown = capsys.readouterr().out.splitlines()
    assert re.split(r"\s{2,}", shown[1]) == ["tcp", "a guest", "22.0", "33.3 roof", "no"]
    assert shown[-1] == "a guest at tcp://127.0.0.1:1: the pushed target was 22.0, the plant held 23.0"


# ----------------------------------------------------------------------------------------------------------- stays up
@pytest.mark.interop
def test_it_stays_up_and_what_it_invites_to_works_until_ctrl_c(start: Start, tmp_path: Path) -> None:
    demo = start("demo", "--no-qt", XDG_RUNTIME_DIR=str(tmp_path))
    shown = "\n".join(demo.lines_until("Ctrl-C ends it."))
    (page,) = re.findall(r"^(http://\S+/) has links", shown, re.MULTILINE)
    assert "thermostat/properties/target" in shell(f"curl -s {page}")
    curls = [line.strip() for line in re.findall(r"^  curl .*$", shown, re.MULTILINE)]
    assert json.loads(shell(f"{curls[1]} -s")) == 25
    assert json.loads(shell(f"{curls[2]} -s")) >= 0
    assert json.loads(shell(f"{curls[0]} -s"))["target"] == 25
    events = shell(f"{curls[3]} -s | head -n 3")
    assert "data:" in events
    commands = [line.strip() for line in re.findall(r"^  \S*everywire .*$", shown, re.MULTILINE)]
    assert [re.split("everywire ", command, maxsplit=1)[1].split()[0] for command in commands] == [
        "get", "set", "watch", "call", "list", "tree", "get", "monitor",
    ]  # fmt: skip
    for command in commands:
        shell(command + (" -n 1" if "watch" in command or "monitor" in command else ""))
    tools = [line.strip() for line in re.findall(r"^  (?:busctl|gdbus) .*$", shown, re.MULTILINE)]
    assert "Boost " in shell(tools[0])
    assert shell(tools[1]).startswith("x ")
    assert shell(tools[2]) == "()\n"
    with subprocess.Popen(shlex.split(tools[3]), stdout=subprocess.PIPE, text=True) as hearing:
        assert hearing.stdout is not None
        assert any(".PropertiesChanged (" in hearing.stdout.readline() for _ in range(5))
        hearing.terminate()  # it does not mind when its reader goes away
    python, qt = re.findall(r"^\S+ -c '\n.*?'$", shown, re.MULTILINE | re.DOTALL)
    assert re.fullmatch(r"35\.0 \d+\n", shell(python))
    assert shell(qt).splitlines()[-1] == "True 35.0"
    demo.interrupt()
    assert demo.end() == ("", "")
    assert demo.code == Exit.OK
    assert list(tmp_path.iterdir()) == []


def shell(command: str) -> str:
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_host_that_dies_ends_the_demo_with_the_reason(start: Start, tmp_path: Path) -> None:
    demo = start("demo", "--no-qt", XDG_RUNTIME_DIR=str(tmp_path))
    demo.lines_until("Ctrl-C ends it.")
    children = children_of(demo.process.pid)
    (host,) = [child for child in children if b"cli.demo.host" in Path(f"/proc/{child}/cmdline").read_bytes()]
    os.kill(host, signal.SIGKILL)
    assert demo.end() == ("", "everywire: the plant's host was killed by signal 9\n")
    assert demo.code == Exit.NO_CONNECTION
    assert not any(Path(f"/proc/{child}").exists() for child in children)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_in_the_middle_leaves_nothing_behind(start: Start, tmp_path: Path, times: int) -> None:
    demo = start("demo", "--no-qt", XDG_RUNTIME_DIR=str(tmp_path))
    demo.lines_until("One process")
    children = children_of(demo.process.pid)
    for _ in range(times):
        demo.interrupt()
    _, err = demo.end()
    assert (demo.code, err) == (Exit.INTERRUPTED, "")
    assert children
    while times > 1 and any(Path(f"/proc/{child}").exists() for child in children):
        pass  # it has not waited for them
    assert not any(Path(f"/proc/{child}").exists() for child in children)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.interop
def test_a_demo_that_is_killed_leaves_no_process_behind(start: Start, tmp_path: Path) -> None:
    """Not even the message bus and the programs that monitor, which obey nobody."""
    demo = start("demo", "--no-qt", XDG_RUNTIME_DIR=str(tmp_path))
    demo.lines_until("One process")
    started: dict[int, int] = {}
    while not {"dbus-daemon", "curl"} <= {command_of(child) for child in started}:  # the guests are coming
        for child in {*children_of(demo.process.pid)} - {*started}:
            with suppress(ProcessLookupError):
                started[child] = os.pidfd_open(child)
    demo.process.kill()
    for child, handle in started.items():
        assert select.select([handle], [], [], 15)[0], f"{command_of(child)} goes on"
        os.close(handle)


def command_of(process: int) -> str:
    """The name of the program; empty when it has ended."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{process}/comm").read_text().strip()
    return ""


# --------------------------------------------------------------------------------------------------------------- crew
async def test_a_process_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew, "PATIENCE", 0.2)
    async with crew.crew() as people:
        with pytest.raises(LinkError, match=r"the sleeper has said nothing for 0\.2 s"):
            await people.run("the sleeper", "-c", "import sys; sys.stdin.read()")


async def test_a_process_that_does_not_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew, "LAST_WISH", 0.2)
    async with crew.crew() as people:
        command = "import signal; print(1, flush=True)\nwhile True: signal.pause()"
        assert await people.run("the deaf one", "-c", command) == 1


async def test_the_reason_of_a_death_is_its_last_line() -> None:
    with pytest.raises(LinkError, match="the failing one ended with exit code 1: ValueError: of this"):
        async with crew.crew() as people:
            worker = await people.start("the failing one", "-c", "raise ValueError('of this')")
            await worker.line()


async def test_a_second_ctrl_c_leaves_neither_a_process_nor_a_file() -> None:
    with pytest.raises(LinkError, match="the eternal one was killed by signal 9"):
        async with crew.crew() as people:
            worker = await people.start("the eternal one", "-c", "import signal\nprint(1, flush=True)\nsignal.pause()")
            await worker.line()
            (vanish,) = ending.LAST_WISHES
            vanish()
            assert not people.directory.exists()
            raise await worker.died()
    assert not ending.LAST_WISHES


async def test_without_a_runtime_directory_a_private_one_is_made(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    async with crew.crew() as people:
        assert people.directory.stat().st_mode & 0o777 == 0o700
    assert not people.directory.exists()


# -------------------------------------------------------------------------------------------------------------- plant
async def test_the_thermostat_tells_once_when_it_comes_above_the_limit() -> None:
    room, heard = Thermostat(), []
    room.overheated.connect(lambda celsius, sensor: heard.append((celsius, sensor)))
    for celsius in (LIMIT, LIMIT + 1, LIMIT + 2, LIMIT, LIMIT + 3):
        room.measure(celsius, "roof")
    assert heard == [(LIMIT + 1, "roof"), (LIMIT + 3, "roof")]


async def test_a_boost_says_how_long_the_target_takes() -> None:
    room = Thermostat()
    assert await room.boost(5) == 600
    assert (room.current, room.error, room.remaining) == (20.5, 0.5, 600)
    assert await room.boost(20) == 300
    assert await room.boost() == 0


async def test_the_pump_gives_no_water_while_it_is_stopped() -> None:
    pump = Pump()
    await pump.stop()
    assert (pump.mode, pump.flow) == (Mode.STOPPED, 0.0)
    await pump.start()
    pump.speed = 0.5
    assert pump.flow == 6.0


# --------------------------------------------------------------------------------------------------------- invitation
def test_the_command_is_shown_as_it_can_be_called_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "bin" / "everywire"
    program.parent.mkdir()
    monkeypatch.setattr(sys, "executable", str(program.with_name("python")))
    monkeypatch.setenv("PATH", str(program.parent))
    assert everywire_command() == f"{program.with_name('python')} -m everywire"
    program.write_text("#!/bin/sh\n")
    assert everywire_command() == str(program)
    program.chmod(0o755)
    assert everywire_command() == "everywire"
    urls = {"local": "local:x", "tcp": "tcp://127.0.0.1:1", "registry": "registry+tcp://127.0.0.1:2"}
    assert f"\n{program.with_name('python')} -c '" in invitation(urls)
