"""Completion in real shells: what is there is offered, whatever fails is silent, and nothing is ever run."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from everywire.cli.completing import split, unquoted
from everywire.cli.offering import _object_classes
from tests.cli.shells import Interactive, environment, fish, installed

WORDBREAKS = " \t\n\"'><=;|&(:"
PROMPTS = installed("bash", "zsh")
Cli = Callable[..., Result]


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="ew-") as name:
        yield Path(name)


@pytest.fixture(params=PROMPTS)
def shell(request: pytest.FixtureRequest, folder: Path) -> Iterator[Interactive]:
    """bash, and zsh where it is installed, each at a prompt on a terminal."""
    there = Interactive(request.param, folder, TMPDIR=str(folder))
    with there.terminal:
        yield there


def asked(line: str, folder: Path | None = None, **more: str) -> list[str]:
    """What our command answers bash for *line*; an answer on stderr or another exit code fails."""
    done = subprocess.run(
        [sys.executable, "-m", "everywire"],
        env={
            **environment(folder or Path("/nowhere")),
            "COMP_LINE": line,
            "COMP_WORDBREAKS": WORDBREAKS,
            "_EVERYWIRE_COMPLETE": "bash_complete",
            **more,
        },
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=15,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return [offer.split("\t")[0] for offer in done.stdout.splitlines()]


# ------------------------------------------------------------------------------------------------------ at a prompt
def test_words_are_completed_at_a_prompt(shell: Interactive, zoo: str) -> None:
    lines = [
        ("everywire sho", "everywire show "),
        (f"everywire get {zoo} bea", f"everywire get {zoo} beast "),
        (f"everywire get {zoo} beast mo", f"everywire get {zoo} beast mood "),
        (f"everywire set {zoo} beast mood C", f"everywire set {zoo} beast mood CALM "),
        (f"everywire set {zoo} beast tame t", f"everywire set {zoo} beast tame true "),
        (f"everywire call {zoo} beast fe", f"everywire call {zoo} beast feed "),
        (f"everywire call {zoo} beast feed wh", f"everywire call {zoo} beast feed what="),
        (f"everywire call {zoo} beast feed hay mood=W", f"everywire call {zoo} beast feed hay mood=WILD "),
        (f"everywire watch {zoo} beast roa", f"everywire watch {zoo} beast roared "),
        (f"everywire list {zoo} --js", f"everywire list {zoo} --json "),
        (f"everywire get '{zoo}' bea", f"everywire get '{zoo}' beast "),
        (f"everywire list {zoo[:-1]}", f"everywire list {zoo} "),
        (f'everywire list "{zoo[:-1]}', f'everywire list "{zoo}" '),
        ("everywire list localab", "everywire list localabstract:"),
        ("everywire serve everywire.cli.plant:Th", "everywire serve everywire.cli.plant:Thermostat "),
    ]
    assert [shell.complete(typed) for typed, _ in lines] == [completed for _, completed in lines]


def test_a_name_that_a_shell_would_run_is_quoted(shell: Interactive, zoo: str) -> None:
    assert shell.complete(f"everywire get {zoo} big") == f"everywire get {zoo} big\\ \\$\\(beast\\) "
    assert shell.complete(f"everywire get {zoo} big\\ \\$") == f"everywire get {zoo} big\\ \\$\\(beast\\) "


def test_the_choices_are_listed(shell: Interactive, zoo: str) -> None:
    listed = shell.listed(f"everywire call {zoo} beast ")
    assert {"feed", "run", "steps"} <= listed
    assert not {"mood", "roared"} & listed


def test_a_socket_where_qt_looks_is_offered_by_its_short_name(
    shell: Interactive, folder: Path, start: Callable[..., Any]
) -> None:
    start("serve", "everywire.cli.plant:Pump", "--on", f"local:{folder}/pumps").lines_until("Ctrl-C")
    assert shell.complete("everywire get local:pu") == "everywire get local:pumps "
    assert shell.complete("everywire get local:pumps pu") == "everywire get local:pumps pump "


@pytest.mark.parametrize("name", installed("fish"))
def test_fish_offers_the_same_with_descriptions(name: str, folder: Path, zoo: str) -> None:
    assert fish(folder, "everywire sho") == {"show": "Show what an object, or every object at a..."}
    assert fish(folder, f"everywire get {zoo} ") == {"beast": "", "big $(beast)": "", "crowd": ""}
    assert fish(folder, f"everywire call {zoo} beast feed ")["count="] == "count: u8 = 1"
    assert fish(folder, f"everywire set {zoo} beast tame ") == {"true": "", "false": ""}
    assert fish(folder, f'everywire list "{zoo[:-1]}') == {zoo: ""}
    described = fish(folder, f"everywire set {zoo} beast ta")
    assert described == {"tame": r"Says [bold]boo[/bold] \x1b]0;owned\x07 and \x1b[2J\u202eevil, `touch /tmp/x`."}


# ---------------------------------------------------------------------------------------------------- what is offered
def test_each_verb_is_offered_the_members_that_fit(zoo: str) -> None:
    writable = ["mood", "tame", "access", "cry", "speed"]
    assert asked(f"everywire set {zoo} beast ") == writable
    assert {"level", "weight", *writable} <= set(asked(f"everywire get {zoo} beast "))
    assert {"roared", "level"} <= set(asked(f"everywire watch {zoo} beast "))
    assert "feed" not in asked(f"everywire watch {zoo} beast ")
    assert {"roared", "level", "feed"} <= set(asked(f"everywire show {zoo} beast "))
    assert "level" not in asked(f"everywire get {zoo} beast level ")
    assert len(asked(f"everywire get {zoo} crowd ")) == 200


def test_arguments_that_are_given_are_not_offered_again(zoo: str) -> None:
    call = f"everywire call {zoo} beast feed"
    assert asked(f"{call} ") == ["what=", "mood=", "fast=", "count="]
    assert asked(f"{call} hay ") == ["mood=", "fast=", "count=", "CALM", "WILD"]
    assert asked(f"{call} mood=WILD hay ") == ["fast=", "count=", "true", "false"]
    assert asked(f"{call} hay CALM true 1 ") == []
    assert asked(f"{call} fast=") == ["true", "false"]
    assert asked(f"everywire set {zoo} beast access ") == ["READ", "WRITE"]


def test_urls_begin_with_every_scheme_there_is(folder: Path) -> None:
    schemes = asked("everywire get ", folder)
    assert {"local:", "localabstract:", "tcp://", "tls://"} <= set(schemes)
    assert not {"memory:", "stdio:"} & set(schemes)
    assert {"tcp://127.0.0.1:", "memory:", "local:"} <= set(asked("everywire serve x:Y --on ", folder))


def test_listening_ports_and_abstract_names_are_offered(start: Callable[..., Any], folder: Path) -> None:
    name = f"everywire-test-{os.getpid()}"
    serving = start(
        "serve", "everywire.cli.plant:Pump", "--on", "tcp://127.0.0.1:0", "--on", f"localabstract:{name}", "--json"
    )
    port = serving.line().partition("127.0.0.1:")[2].partition('"')[0]
    assert port in asked(f"everywire list tcp://127.0.0.1:{port[0]}", folder)
    assert name in asked("everywire list localabstract:ev", folder)


def test_sockets_are_offered_by_path_and_other_files_are_not(folder: Path) -> None:
    (folder / "deep").mkdir()
    (folder / "file").touch()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(folder / "deep" / "hall"))
        assert asked(f"everywire list local:{folder}/", folder) == [f"{folder}/deep/"]
        assert asked(f"everywire list local:{folder}/deep/", folder) == [f"{folder}/deep/hall"]
        assert f"{folder}/deep/hall" in asked("everywire list local:", XDG_RUNTIME_DIR=str(folder))
        assert f"{folder}/hall" not in asked("everywire list local:", TMPDIR=str(folder))


def test_classes_of_the_present_directory_are_read_and_not_imported(folder: Path) -> None:
    (folder / "mine.py").write_text(
        "import pathlib, everywire\npathlib.Path('imported').touch()\n\n\nclass Room(everywire.Object): ...\n\n\n"
        "class Hall(Room): ...\n\n\nclass Other: ...\n"
    )
    (folder / "broken.py").write_text("class (")
    assert asked("everywire serve ", folder) == ["everywire.cli.plant:", "mine:Room", "mine:Hall"]
    assert asked("everywire serve mine:", folder) == ["Room", "Hall"]
    assert not (folder / "imported").exists()
    assert list(_object_classes(b"\x00")) == []


def test_shells_are_offered_for_the_script() -> None:
    assert asked("everywire completion ") == ["bash", "zsh", "fish"]


# --------------------------------------------------------------------------------------------------- nothing goes wrong
@pytest.mark.parametrize(
    "line",
    [
        "everywire nonsense ",
        "everywire get nonsense ",
        "everywire get tcp://127.0.0.1 ",
        "everywire get local:/nowhere/at/all ",
        "everywire get local:/nowhere/",
        "everywire get stdio: ",
        "everywire get memory:x ",
        "everywire list https+tls:x ",
        "everywire call local:/nowhere x y z=",
        "everywire get local:/nowhere --timeout ",
        "everywire get 'local:/nowhere' \"",
        "everywire get local:/nowhere \\",
        "everywire set local:/nowhere x y -",
    ],
)
def test_a_failure_offers_nothing_and_says_nothing(line: str) -> None:
    assert [offer for offer in asked(line) if not offer.startswith("-")] == []


def test_a_host_that_accepts_and_says_nothing_is_given_up(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(f"{folder}/silent")
        silent.listen()
        assert asked(f"everywire get local:{folder}/silent ") == []


def test_a_name_server_that_does_not_answer_is_given_up(folder: Path) -> None:
    (folder / "sitecustomize.py").write_text(
        "import socket, threading\nsocket.getaddrinfo = lambda *_, **__: threading.Event().wait()\n"
    )
    assert asked("everywire get tcp://nowhere.example:1 ", PYTHONPATH=str(folder)) == []


def test_completing_runs_nothing_at_the_host(folder: Path) -> None:
    """Every word of a call and of a set is completed at a host that tells at its end whether it was touched."""
    program = folder / "host.py"
    program.write_text(
        "import asyncio, sys\nfrom everywire import Node, Object, Property, prop, slot\n\n\n"
        "class Bomb(Object):\n    armed: Property[bool] = prop(False, writable=True)\n\n"
        "    @slot\n    async def explode(self, now: bool) -> None:\n        self.armed = True\n\n\n"
        "async def main():\n    bomb = Bomb()\n    async with Node() as node:\n"
        "        node.publish(bomb, 'bomb')\n        await node.serve(sys.argv[1])\n        print('up', flush=True)\n"
        "        await asyncio.to_thread(sys.stdin.read)\n        print(bomb.armed)\n\n\n"
        "asyncio.run(main())\n"
    )
    command = [sys.executable, str(program), f"local:{folder}/b"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as host:
        assert host.stdout is not None
        assert host.stdout.readline() == "up\n"
        url = f"local:{folder}/b"
        assert asked(f"everywire call {url} bomb explode now=") == ["true", "false"]
        assert asked(f"everywire set {url} bomb armed ") == ["true", "false"]
        assert host.communicate(timeout=15)[0] == "False\n"


# ------------------------------------------------------------------------------------------------------------- words
@pytest.mark.parametrize(
    "line,words,unfinished",
    [
        ("everywire ", ["everywire"], ""),
        ("everywire get", ["everywire"], "get"),
        ("everywire get 'a b", ["everywire", "get"], "'a b"),
        ("everywire get a\\ b c", ["everywire", "get", "a b"], "c"),
        ("everywire get tcp://127.0.0.1:1 ", ["everywire", "get", "tcp://127.0.0.1:1"], ""),
        ('everywire "get" x=', ["everywire", "get"], "x="),
        ("everywire get  'a'  ", ["everywire", "get", "a"], ""),
        ("everywire # get", ["everywire", "#"], "get"),
    ],
)
def test_a_line_is_split_as_a_shell_does(line: str, words: list[str], unfinished: str) -> None:
    assert split(line) == (words, unfinished)


@pytest.mark.parametrize(
    "word,plain", [("a", "a"), ("'a b", "a b"), ('"a b"', "a b"), ("a\\", "a"), ("a\\ b", "a b"), ("", ""), ("'", "")]
)
def test_an_unfinished_word_loses_its_quotes(word: str, plain: str) -> None:
    assert unquoted(word) == plain


def test_the_scripts_are_good_shell(cli: Cli) -> None:
    for name in installed("bash", "zsh", "fish"):
        script = cli("completion", name).stdout
        assert f"completion {name}" in script
        option = "--no-execute" if name == "fish" else "-n"
        done = subprocess.run([name, option], input=script, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
    assert shutil.which("bash")
    assert "Invalid value for '{bash|zsh|fish}'" in cli("completion", "tcsh").stderr
