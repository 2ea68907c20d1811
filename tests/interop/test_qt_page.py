"""The programs of docs/howto/qt.md: each client at each host, ours, PySide6's and those in C++ of two generations."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from everywire.remoteobjects.generating import python_source
from everywire.remoteobjects.rep.parsing import parse
from tests.building import contents, kept, needs, output, side_by_side
from tests.interop.building import FLAGS, MODULES, QTS
from tests.test_docs import environment, programs

pytestmark = pytest.mark.interop

PAGE: Final = Path(__file__).parents[2] / "docs" / "howto" / "qt.md"
SAID: Final = ["21.0", "too hot: 26.0", "300", "22.5"]
OURS: Final = {"host": "host.py", "client": "client.py"}
PYSIDE: Final = {"host": "qt_host.py", "client": "qt_client.py"}


def block(language: str, beginning: str) -> str:
    pattern = re.compile(rf"^```{language}\n(.*?)^```", re.MULTILINE | re.DOTALL)
    found: list[str] = pattern.findall(PAGE.read_text(encoding="utf-8"))
    (one,) = [text for text in found if text.startswith(beginning)]
    return one


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A folder with the programs in Python, and the .rep file."""
    found = programs(PAGE, tmp_path)
    others = {"room.py", "dynamic.py", "qt_dynamic.py", "table.py", "qt_table.py"}
    assert found == {*OURS.values(), *PYSIDE.values(), *others}
    (tmp_path / "room.rep").write_text(block("rep", "// One room"), encoding="utf-8")
    return tmp_path


@contextmanager
def hosting(page: Path, url: str, *command: str) -> Generator[None]:
    words = (*command, url)
    with subprocess.Popen(words, cwd=page, env=environment(page), stdout=subprocess.PIPE, text=True) as host:
        try:
            assert host.stdout is not None
            assert host.stdout.readline() == "ready\n"
            yield
        finally:
            host.kill()


def said(page: Path, url: str, *command: str) -> list[str]:
    """What a program prints; C++ writes 21 for 21.0."""
    done = subprocess.run(
        (*command, url), cwd=page, env=environment(page), capture_output=True, text=True, timeout=20, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    return [re.sub(r"^(.*\b2[16])$", r"\1.0", line) for line in lines]


def python(page: Path, name: str) -> tuple[str, str]:
    return sys.executable, str(page / name)


def test_the_class_is_what_gen_python_makes_of_the_file() -> None:
    made = python_source(parse(block("rep", "// One room")), "room.rep")
    assert made.partition("class Room")[2] == block("python", "# room.py").partition("class Room")[2]


@pytest.mark.parametrize("host", [OURS, PYSIDE], ids=["everywire", "PySide6"])
@pytest.mark.parametrize("client", [OURS, PYSIDE], ids=["everywire", "PySide6"])
def test_each_client_sees_the_same_at_each_host(page: Path, host: dict[str, str], client: dict[str, str]) -> None:
    url = f"local:{page}/hall"
    with hosting(page, url, *python(page, host["host"])):
        assert said(page, url, *python(page, client["client"])) == SAID


@pytest.mark.parametrize("host", [OURS, PYSIDE], ids=["everywire", "PySide6"])
def test_without_a_class_it_is_the_same(page: Path, host: dict[str, str]) -> None:
    url = f"local:{page}/hall"
    with hosting(page, url, *python(page, host["host"])):
        assert said(page, url, *python(page, "qt_dynamic.py")) == ["21.0 300"]
        assert said(page, url, *python(page, "dynamic.py")) == ["21.0 300"]


def test_a_qt_program_finds_a_table_by_its_name(page: Path) -> None:
    url = f"local:{page}/names"
    with hosting(page, url, *python(page, "table.py")):
        assert said(page, url, *python(page, "qt_table.py")) == ["wall 20.5", "roof 31.0"]


@pytest.mark.cpp
@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", QTS)
def test_the_programs_in_cpp_compile_and_understand_ours(page: Path, name: str) -> None:
    built = built_programs(name)
    ours, theirs = f"local:{page}/ours", f"local:{page}/theirs"
    with hosting(page, theirs, str(built / "host")):
        assert said(page, theirs, *python(page, "client.py")) == SAID
    with hosting(page, ours + ("?protocol=1.3" if QTS[name].major == 5 else ""), *python(page, "host.py")):
        assert said(page, ours, str(built / "client")) == SAID


def built_programs(name: str) -> Path:
    """The folder with `host` and `client`, built by repc and the compiler."""
    qt = QTS[name]
    compiler, qmake = needs("g++", "g++"), needs(qt.qmake, qt.packages)
    query = dict(line.split(":", 1) for line in output(qmake, "-query").splitlines())
    tools, headers = Path(query[qt.tools]), Path(query["QT_INSTALL_HEADERS"])
    repc = needs(str(tools / "repc"), qt.packages)
    sources = {"host": block("cpp", "// host.cpp"), "client": block("cpp", "// client.cpp")}
    rep = block("rep", "// One room")

    def build(work: Path) -> None:
        folder = work / f"qt{qt.major}"
        folder.mkdir()
        file = folder / "room.rep"
        file.write_text(rep, encoding="utf-8")
        places = [headers, *(headers / f"Qt{module}" for module in MODULES)]
        system = [word for place in places for word in ("-isystem", str(place))]
        libraries = [f"-L{query['QT_INSTALL_LIBS']}", *(f"-lQt{qt.major}{module}" for module in MODULES)]
        commands: list[list[str | Path]] = []
        for program, kind in (("host", "source"), ("client", "replica")):
            header = folder / f"rep_room_{kind}.h"
            output(repc, "-i", "rep", "-o", kind, file, header)
            moc = output(tools / "moc", *(f"-I{place}" for place in places), header)
            source = folder / f"{program}.cpp"
            source.write_text(f"{sources[program]}\n{moc}", encoding="utf-8")
            commands.append([compiler, *FLAGS, f"-I{folder}", *system, source, *libraries, "-o", folder / program])
        side_by_side(*commands)

    parts = [qt.name.encode(), rep.encode(), *(text.encode() for text in sources.values()), *contents(Path(__file__))]
    return kept("interop-page", f"qt{qt.major}", parts, build)
