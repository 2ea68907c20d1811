"""How the command ends when it does not end by itself; real processes, real signals, real terminals, a full disk."""

from __future__ import annotations

import fcntl
import json
import os
import random
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from everywire.cli.exits import Exit
from tests.cli.terminal import Terminal

Start = Callable[..., Any]
INTERRUPTED = str(Path(__file__).with_name("interrupted.py"))
EVERYWIRE = (sys.executable, "-m", "everywire")
ESCAPE = "\x1b"


def run(*words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    settings = {"stdout": subprocess.PIPE, "stdin": subprocess.DEVNULL, **options}
    return subprocess.run((*EVERYWIRE, *words), stderr=subprocess.PIPE, text=True, timeout=15, check=False, **settings)


def in_bash(script: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = " ".join(EVERYWIRE)
    return subprocess.run(
        ("bash", "-c", f'everywire() {{ {command} "$@"; }}\n{script}'),
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=15,
        check=False,
    )


# ---------------------------------------------------------------------------------------------------------- the output
@pytest.mark.parametrize(
    "words",
    [
        ("list", "{lab}"),
        ("list", "{lab}", "--json"),
        ("show", "{lab}"),
        ("get", "{lab}", "lab"),
        ("get", "{lab}", "lab", "number"),
        ("call", "{lab}", "lab", "count", "1000000000"),
        ("watch", "{lab}", "lab"),
        ("serve", "everywire.cli.plant:Pump", "--on", "tcp://127.0.0.1:0"),
        ("completion", "bash"),
        ("--help",),
        ("--version",),
    ],
)
def test_a_full_disk_is_a_named_error(lab: str, words: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        done = run(*(word.replace("{lab}", lab) for word in words), stdout=full)
    assert done.stderr == "everywire: the output could not be written: No space left on device\n"
    assert done.returncode == Exit.OUTPUT


def test_with_a_closed_output_nothing_is_done(lab: str) -> None:
    run("set", lab, "lab", "number", "1")
    done = run("call", lab, "lab", "tick", "1", preexec_fn=lambda: os.close(1))
    assert done.returncode == Exit.OUTPUT
    assert done.stderr.startswith("everywire: the standard output is closed; send it to /dev/null")
    assert run("get", lab, "lab", "number").stdout == "1\n"


def test_a_closed_standard_error_is_not_mistaken_for_the_output(lab: str) -> None:
    done = run("get", lab, "lab", "nothing", preexec_fn=lambda: os.close(2))
    assert (done.returncode, done.stdout) == (Exit.USAGE, "")
    with Path("/dev/full").open("w") as full:
        command = (*EVERYWIRE, "get", lab, "lab", "nothing")
        full_too = subprocess.run(command, stdout=subprocess.PIPE, stderr=full, check=False)
    assert (full_too.returncode, full_too.stdout) == (Exit.USAGE, b"")


def test_a_closed_standard_input_is_told_when_it_is_needed(lab: str) -> None:
    done = run("call", lab, "lab", "echo_any", "-", stdin=None, preexec_fn=lambda: os.close(0))
    assert (done.returncode, done.stdout) == (Exit.USAGE, "")
    assert "echo_any(value): the standard input is closed, and - reads it" in done.stderr
    assert run("get", lab, "museum", "ratio", stdin=None, preexec_fn=lambda: os.close(0)).stdout == "0.5 %\n"


def test_input_that_is_no_text_is_told(lab: str, tmp_path: Path) -> None:
    (tmp_path / "raw").write_bytes(b'"\xff"')
    with (tmp_path / "raw").open() as raw:
        done = run("call", lab, "lab", "echo_any", "-", stdin=raw)
    assert (done.returncode, done.stdout) == (Exit.USAGE, "")
    assert "the standard input is not UTF-8" in done.stderr


@pytest.mark.parametrize("words", ["watch {lab} lab", "call {lab} lab count 1000000000"])
def test_a_reader_that_goes_away_ends_it_quietly_and_at_once(lab: str, words: str) -> None:
    """Nothing changes here, so the watching one would else never write again."""
    done = in_bash(f"everywire {words.replace('{lab}', lab)} | head -1; echo ${{PIPESTATUS[*]}}")
    assert done.stdout.splitlines()[-1] == f"{Exit.PIPE} 0"
    assert done.stderr == ""


def test_a_short_output_into_a_closed_pipe_ends_quietly_too(lab: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    for words in (("get", lab, "lab"), ("list", lab), ("--help",), ("completion", "zsh")):
        done = run(*words, stdout=writing)
        assert (done.returncode, done.stderr) == (Exit.PIPE, "")
    os.close(writing)


def test_an_output_of_few_characters_gets_escapes_for_the_others() -> None:
    done = run("completion", "--help", env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0
    done = run("list", "local:ä", env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert (done.returncode, done.stdout) == (Exit.NO_CONNECTION, "")


# ------------------------------------------------------------------------------------------------------------- signals
def test_ctrl_c_ends_a_write_that_nobody_reads(lab: str) -> None:
    command = (*EVERYWIRE, "call", lab, "lab", "count", "1000000000")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as calling:
        assert calling.stdout is not None
        assert calling.stderr is not None
        room = fcntl.fcntl(calling.stdout, fcntl.F_GETPIPE_SZ)
        while unread(calling.stdout.fileno()) < room - 4096:
            assert calling.poll() is None
        calling.send_signal(signal.SIGINT)
        assert calling.wait(timeout=15) == Exit.INTERRUPTED
        assert calling.stderr.read() == b""


def unread(descriptor: int) -> int:
    found: int = struct.unpack("i", fcntl.ioctl(descriptor, termios.FIONREAD, b"\0" * 4))[0]
    return found


@pytest.mark.parametrize("how,code", [(signal.SIGTERM, Exit.TERMINATED), (signal.SIGHUP, Exit.HANGUP)])
def test_other_signals_have_codes_of_their_own(start: Start, lab: str, how: signal.Signals, code: Exit) -> None:
    watching = start("watch", lab, "lab", "number")
    watching.line()
    watching.process.send_signal(how)
    assert watching.end() == ("", "")
    assert watching.code == code


def test_a_signal_that_is_ignored_stays_ignored(lab: str) -> None:
    """As behind `nohup`, or behind `&` in a script."""
    command = (*EVERYWIRE, "watch", lab, "lab", "number", "-n", "1")
    ignore = lambda: [signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGHUP)]  # noqa: E731
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=ignore) as watching:  # noqa: PLW1509
        assert watching.stdout is not None
        before = int(watching.stdout.readline().split()[1])
        watching.send_signal(signal.SIGINT)
        watching.send_signal(signal.SIGHUP)
        run("set", lab, "lab", "number", str((before + 1) % 10))
        assert watching.stdout.readline() == f"number  {(before + 1) % 10}\n"
        assert watching.wait(timeout=15) == Exit.OK


@pytest.mark.parametrize(
    "words", ["watch {lab} lab", "call {lab} lab count 1000000000", "serve everywire.cli.plant:Pump"]
)
def test_a_terminal_that_closes_ends_it(lab: str, tmp_path: Path, words: str) -> None:
    extra = ("--on", f"local:{tmp_path}/pump") if words.startswith("serve") else ()
    terminal = Terminal((*EVERYWIRE, *words.replace("{lab}", lab).split(), *extra))
    terminal.read_until(r"RED|0\r\n1|Ctrl-C")
    terminal.close()
    assert terminal.process.wait(timeout=15) == (Exit.OK if extra else Exit.HANGUP)
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_at_the_keyboard_ends_a_stream(lab: str) -> None:
    with Terminal((*EVERYWIRE, "watch", lab, "lab", "number")) as terminal:
        terminal.read_until("number")
        terminal.type("\x03")
        shown = terminal.read_all()
        assert terminal.process.wait(timeout=15) == Exit.INTERRUPTED
    assert "Traceback" not in shown


# -------------------------------------------------------------------------------------------------- at every moment
@pytest.fixture
def plant(start: Start, tmp_path: Path) -> Iterator[tuple[str, Any]]:
    """A host, and somebody else who watches it."""
    url = f"local:{tmp_path}/plant"
    host = start("serve", "everywire.cli.plant:Thermostat", "--on", url)
    host.lines_until("Ctrl-C")
    watching = start("watch", url, "thermostat", "target", "--json")
    watching.line()
    yield url, host
    assert run("set", url, "thermostat", "target", "30").returncode == 0
    assert json.loads(watching.line()) == {"member": "target", "value": 30.0}, "the other client was disturbed"
    watching.interrupt()
    assert watching.end() == ("", "")


def interrupted(counts: list[int], *words: str) -> tuple[int, str, str, int]:
    """Run `interrupted.py`; return the exit code, what it printed, its errors, and how many moments there were."""
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    command = (sys.executable, INTERRUPTED, ",".join(map(str, counts)), *words)
    preexec: Callable[[], Any] = lambda: os.dup2(writing, 3)  # noqa: E731
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=20, check=False, close_fds=False, preexec_fn=preexec
    )
    os.close(writing)
    with os.fdopen(reading) as told:
        total = told.read()
    return done.returncode, done.stdout, done.stderr, int(total or 0)


VERBS = [
    ("list", "{url}"),
    ("show", "{url}", "thermostat"),
    ("get", "{url}", "thermostat"),
    ("set", "{url}", "thermostat", "target", "21"),
    ("call", "{url}", "thermostat", "readings", "0", "-n", "3"),
    ("watch", "{url}", "thermostat", "-n", "1"),
    ("get", "{url}", "nobody"),
]


@pytest.mark.parametrize("twice", [False, True], ids=["once", "twice"])
@pytest.mark.parametrize("words", VERBS, ids=lambda words: words[0])
@pytest.mark.timeout(600)
def test_ctrl_c_at_any_moment_ends_it_quietly(
    plant: tuple[str, Any], words: tuple[str, ...], twice: bool, soak: Callable[[int, int], int]
) -> None:
    url, host = plant
    command = [word.replace("{url}", url) for word in words]
    if words[0] == "watch":
        complete, total = (Exit.INTERRUPTED, "", ""), 60_000  # it has no end of its own
    else:
        *complete, total = interrupted([], *command)
        assert total > 10_000
    before = len(list(Path(f"/proc/{host.process.pid}/fd").iterdir()))
    choice = random.Random(f"{words}{twice}")
    for _ in range(soak(2 if twice else 3, 150)):
        moment = choice.randrange(100, total)
        second = [moment + choice.choice((1, 2, 10, 100, 1000, 10_000))] if twice else []
        *found, _ = interrupted([moment, *second], *command)
        if found == complete:
            continue  # all had been done by then
        assert (found[0], "Traceback" in found[1], found[2]) == (Exit.INTERRUPTED, False, ""), f"at {moment} {second}"
    assert run("list", url).returncode == 0
    while len(list(Path(f"/proc/{host.process.pid}/fd").iterdir())) > before:
        assert host.process.poll() is None  # until it has noticed the last link that closed


# ----------------------------------------------------------------------------------------------------------- terminals
def test_markup_and_escapes_of_others_are_shown_as_they_are(zoo: str) -> None:
    for words in (("get", zoo, "beast"), ("list", zoo), ("show", zoo, "beast"), ("get", zoo, "beast", "cry")):
        with Terminal((*EVERYWIRE, *words), columns=200) as terminal:
            shown = terminal.read_all()
        assert "[bold]boo[/bold]" in shown or "[red]" in shown
        assert f"{ESCAPE}]0;" not in shown
        assert f"{ESCAPE}[2J" not in shown
        assert "\u202e" not in shown


@pytest.mark.parametrize("setting", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_without_colour_no_escape_reaches_the_terminal(zoo: str, setting: dict[str, str]) -> None:
    for words in (("get", zoo, "beast"), ("list", zoo), ("show", zoo, "beast")):
        with Terminal((*EVERYWIRE, *words), environment=setting) as terminal:
            assert ESCAPE not in terminal.read_all()


def test_a_terminal_gets_colours_and_a_pipe_does_not(zoo: str) -> None:
    with Terminal((*EVERYWIRE, "show", zoo, "beast")) as terminal:
        assert f"{ESCAPE}[1m" in terminal.read_all()
    assert ESCAPE not in run("show", zoo, "beast").stdout
