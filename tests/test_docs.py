"""What the documents show is executed: programs as processes, other Python blocks compiled, links followed."""

from __future__ import annotations

import ast
import enum
import inspect
import os
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from types import FunctionType
from typing import Any
from uuid import UUID

import msgspec
import pytest
import trustme
from cryptography import x509

import everywire
from everywire.model.annotations import type_of
from everywire.remoteobjects.wire.qttypes import qt_type

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
NAME = re.compile(r"# (\w+\.py)\n")
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")


def blocks(document: Path) -> list[str]:
    return BLOCK.findall(document.read_text(encoding="utf-8"))


def programs(document: Path, folder: Path, ports: Mapping[str, str] | None = None) -> set[str]:
    """Write the blocks that begin with a file name to *folder*, with free *ports*; return their names."""
    found: set[str] = set()
    ports = ports or free_ports()
    for block in blocks(document):
        name = NAME.match(block)
        if name:
            (folder / name[1]).write_text(with_ports(block, ports), encoding="utf-8")
            found.add(name[1])
    return found


def with_ports(text: str, ports: Mapping[str, str]) -> str:
    for shown, free in ports.items():
        text = text.replace(shown, free)
    return text


def free_ports() -> dict[str, str]:
    """A free port for each that the documents use."""
    return {shown: str(free_port()) for shown in ("65213", "65280")}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(folder: Path) -> dict[str, str]:
    """TMPDIR leads relative `local:` names into *folder*."""
    return {**os.environ, "TMPDIR": str(folder), "PYTHONUNBUFFERED": "1"}


@contextmanager
def running(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, *arguments]
    with subprocess.Popen(command, cwd=folder, env=environment(folder), stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def run(folder: Path, *command: str) -> str:
    done = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        timeout=15,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_python_block_compiles(document: Path) -> None:
    for block in blocks(document):
        compile(block, str(document), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_somewhere(document: Path) -> None:
    for target in LINK.findall(document.read_text(encoding="utf-8")):
        assert (document.parent / target).exists(), f"{document.name} links to {target}"


def test_the_programs_of_the_readme_do_what_it_says(tmp_path: Path) -> None:
    assert programs(ROOT / "README.md", tmp_path) == {"host.py", "client.py", "pump.py", "script.py"}
    with running(tmp_path, "host.py"), running(tmp_path, "pump.py") as pump:
        assert run(tmp_path, "client.py").split() == ["21.0", "26.0", "300", "22.5"]
        assert run(tmp_path, "script.py").split() == ["22.5", "300"]
        while pump.poll() is None:  # the pump may have come after the first signal
            run(tmp_path, "client.py")
        assert pump.stdout is not None
        assert pump.stdout.read() == "the pump has stopped\n"


def command_lines(heading: str, program: str, ports: Mapping[str, str]) -> list[list[str]]:
    """Return the words of each line that calls *program* in the part of the README after *heading*."""
    text = (ROOT / "README.md").read_text(encoding="utf-8").partition(heading)[2].partition("\n```\n")[0]
    found = re.findall(rf"^{program} .*$", text, re.MULTILINE)
    return [shlex.split(with_ports(line, ports), comments=True) for line in found]


def test_the_command_lines_of_the_readme_work_beside_its_host(tmp_path: Path) -> None:
    ports = free_ports()
    programs(ROOT / "README.md", tmp_path, ports)
    lines = {line[1]: line[2:] for line in command_lines("From a shell", "everywire", ports)}
    assert list(lines) == ["list", "show", "get", "set", "call", "watch", "serve", "doctor"]
    verbs = {verb: ("-m", "everywire", verb, "--timeout", "10", *rest) for verb, rest in lines.items()}
    with running(tmp_path, "host.py"):
        said = [run(tmp_path, *verbs[verb]) for verb in ("list", "show", "get", "set", "call")]
        with running(tmp_path, *verbs["watch"]) as watching:
            assert watching.stdout is not None
            said.append(watching.stdout.readline())
    assert said[0].endswith("Keeps one room warm.\n")
    assert "A sensor is above the limit." in said[1]
    assert said[2:] == ["21.0 Cel\n", "22.0 Cel\n", "300\n", "target      22.0 Cel\n"]
    with running(tmp_path, "-m", "everywire", "serve", *lines["serve"]):
        assert "Thermostat" in run(tmp_path, *verbs["list"][:-1], "local:lobby")


def test_curl_does_what_the_readme_says_beside_its_host(tmp_path: Path) -> None:
    ports = free_ports()
    programs(ROOT / "README.md", tmp_path, ports)
    get, put, post, listen = command_lines("Anything that speaks HTTP", "curl", ports)
    with running(tmp_path, "host.py"):
        run(tmp_path, "-m", "everywire", "list", "--timeout", "10", f"http://127.0.0.1:{ports['65280']}")  # it is up
        said = [subprocess.run(line, capture_output=True, check=True, timeout=15).stdout for line in (get, put, post)]
        with subprocess.Popen(listen, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as listening:
            assert listening.stdout is not None
            first = next(line for line in listening.stdout if line.startswith(b"data:"))
            listening.kill()
    assert said == [b"21.0", b"22.5", b"300"]
    assert b'"values":{"target":22.5}' in first


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:0", "local:echo", "localabstract:echo-docs", "memory:echo"])
def test_the_echo_of_the_transport_page_runs_on_every_address(tmp_path: Path, address: str) -> None:
    programs(ROOT / "docs" / "transport.md", tmp_path)
    transport = address.partition(":")[0]
    assert run(tmp_path, "echo.py", address) == f"b'hello\\n' {transport}\n"


def test_the_tls_program_of_the_transport_page_runs(tmp_path: Path) -> None:
    programs(ROOT / "docs" / "transport.md", tmp_path)
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    for name in ("host", "client"):
        certificate = authority.issue_cert("localhost", common_name=name)
        certificate.private_key_pem.write_to_path(tmp_path / f"{name}.key")
        certificate.cert_chain_pems[0].write_to_path(tmp_path / f"{name}.pem")
    subject = x509.load_pem_x509_certificate((tmp_path / "client.pem").read_bytes()).subject.rfc4514_string()
    program = tmp_path / "secure.py"  # trustme adds an organization to the subject
    program.write_text(program.read_text(encoding="utf-8").replace("CN=client", subject), encoding="utf-8")
    assert run(tmp_path, "secure.py") == f"{subject} 0.5\n"


async def test_the_guide_is_one_program(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {"__name__": __name__}
    for block in blocks(ROOT / "docs" / "guide.md"):
        code = compile(block, "guide.md", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        running_block = FunctionType(code, names)()
        if inspect.isawaitable(running_block):
            await running_block
    printed = capsys.readouterr().out
    assert "Reading(volts=4.5, channel=3, note=None)\n" in printed
    assert "Code.FAILED_PRECONDITION the meter is off True\n" in printed


async def test_what_the_page_for_qt_users_shows_here_is_one_program(capsys: pytest.CaptureFixture[str]) -> None:
    """Its programs with a name of their own meet real Qt: tests/interop/test_qt_page.py."""
    names: dict[str, Any] = {"__name__": __name__}
    for block in blocks(ROOT / "docs" / "howto" / "qt.md"):
        if not NAME.match(block):
            code = compile(block, "qt.md", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
            running_block = FunctionType(code, names)()
            if inspect.isawaitable(running_block):
                await running_block
    assert capsys.readouterr().out.splitlines() == [
        "roof floor 20.5",
        "Code.FAILED_PRECONDITION the pump stands still True",
        "sand False",
        "A-17 valid",
        "2 ('°C', 'sensor') Reading(celsius=31.0, sensor='roof')",
        "(2, 2) [21.5, 31.0, 18.0]",
        "A-17",
        "A-17",
    ]


def test_the_tests_of_the_testing_page_pass(tmp_path: Path) -> None:
    assert programs(ROOT / "docs" / "howto" / "testing.md", tmp_path) == {"test_meter.py"}
    (tmp_path / "pytest.ini").touch()
    assert "2 passed" in run(tmp_path, "-m", "pytest", "-p", "no:cacheprovider", "test_meter.py")


def test_the_program_with_two_threads_says_what_it_promises(tmp_path: Path) -> None:
    programs(ROOT / "docs" / "howto" / "threads.md", tmp_path)
    assert [round(float(word), 6) for word in run(tmp_path, "gui.py").split()] == [0.8, 0.3, 0.3, 0.8, 0.3]


def test_the_programs_about_other_transports_print_what_they_say(tmp_path: Path) -> None:
    found = programs(ROOT / "docs" / "howto" / "transports.md", tmp_path)
    assert found == {"child.py", "streams.py", "kept.py"}
    assert run(tmp_path, "child.py") == "0.5\n"
    assert run(tmp_path, "streams.py") == "0.5\n"
    host = (
        "import asyncio\nfrom everywire import serve\nimport kept\n"
        "async def main():\n    async with serve(kept.Valve(), 'valve', on='local:valve'):\n"
        "        print('ready', flush=True)\n        await asyncio.Event().wait()\nasyncio.run(main())\n"
    )
    (tmp_path / "valve.py").write_text(host, encoding="utf-8")
    with running(tmp_path, "valve.py") as served:
        assert served.stdout is not None
        assert served.stdout.readline() == "ready\n"
        assert run(tmp_path, "kept.py", "local:valve") == "default 0.0\n0.25\n"
    assert run(tmp_path, "kept.py", "local:valve") == "default 0.25\nnot there, but it was last at 0.25\n"


def test_the_program_about_registries_prints_what_it_says(tmp_path: Path) -> None:
    assert programs(ROOT / "docs" / "howto" / "registry.md", tmp_path) == {"plant.py"}
    assert run(tmp_path, "plant.py") == "20.0\nhall\nhall is gone\n"


def test_the_program_about_children_prints_what_it_says(tmp_path: Path) -> None:
    assert programs(ROOT / "docs" / "howto" / "children.md", tmp_path) == {"mill.py"}
    assert run(tmp_path, "mill.py") == "3\n7\nice\nvalid\n"


def test_the_program_about_tables_prints_what_it_says(tmp_path: Path) -> None:
    assert programs(ROOT / "docs" / "howto" / "tables.md", tmp_path) == {"readings.py"}
    assert run(tmp_path, "readings.py").splitlines() == [
        "100000 ('sensor', 'celsius')",
        "Reading(sensor='s70000', celsius=7000.0)",
        "50 s510 None",
        "new: 0 0",
        "s510",
        "Reading(sensor='new', celsius=22.0)",
    ]


def test_the_index_names_every_page() -> None:
    index = ROOT / "docs" / "index.md"
    linked = {(index.parent / target).resolve() for target in LINK.findall(index.read_text(encoding="utf-8"))}
    assert {path.resolve() for path in (ROOT / "docs").rglob("*.md")} <= linked | {index.resolve()}


# -------------------------------------------------------------------------------------- the type table of Qt's wire
class Level(enum.Enum):
    LOW = 1


class Options(enum.Flag):
    A = 1


@dataclass(frozen=True)
class Point:
    x: int


class Pair(msgspec.Struct, frozen=True):
    x: int


SAMPLES: dict[str, Any] = {
    **{name: getattr(everywire, name) for name in ("i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64", "f32")},
    **{kind.__name__: kind for kind in (bool, int, float, str, bytes, datetime, date, time, timedelta, UUID)},
    "Enum": Level,
    "Flag": Options,
    "list[str]": list[str],
    "list": list[int],
    "tuple": tuple[int, str],
    "dict": dict[int, float],
    "dataclass": Point,
    "msgspec.Struct": Pair,
    "T | None": float | None,
    "Any": Any,
}
"""An annotation for each word of the table."""


def table_of_types() -> dict[str, str]:
    """Return the Qt type beside each Python type of the table."""
    text = (ROOT / "docs" / "wires" / "remoteobjects.md").read_text(encoding="utf-8")
    found: dict[str, str] = {}
    for line in re.findall(r"^\| `.*$", text.partition("## Types")[2].partition("\n## ")[0], re.MULTILINE):
        python, qt = (cell.split(" · ") for cell in line.strip("| ").replace("\\|", "¦").split(" | "))
        for place, words in enumerate(python):
            kind = re.findall(r"`(.+?)`", qt[min(place, len(qt) - 1)])[0]
            found |= {word.replace("¦", "|"): kind for word in re.findall(r"`(.+?)`", words)}
    return found


def test_the_type_table_of_the_qt_page_says_what_the_wire_does() -> None:
    assert table_of_types() == {word: qt_type(type_of(sample)).name for word, sample in SAMPLES.items()}
