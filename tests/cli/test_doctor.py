"""`everywire doctor` tries for real, says what is missing, and its exit code tells whether what is installed works."""

from __future__ import annotations

import importlib.metadata
import json
import resource
import socket
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import Result

from everywire.cli import checks, doctor
from everywire.cli.checks import Finding, State
from everywire.cli.dbus import checks as checks_of_dbus
from everywire.cli.exits import Exit
from everywire.errors import MissingExtra
from everywire.runtime.wires import IMPLIED, PLANNED
from tests.cli.conftest import NO_BUS
from tests.dbus import lab

Cli = Callable[..., Result]


# ------------------------------------------------------------------------------------------------------- the report
@pytest.mark.interop
def test_every_wire_works_here_and_a_real_qt_program_too(
    cli: Cli, own_bus: lab.Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", own_bus.address)
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", own_bus.address)
    result = cli("doctor", "--json")
    told = json.loads(result.stdout)
    wires = {finding["what"]: finding["state"] for finding in told["wires"]}
    assert {name for name, state in wires.items() if state == "planned"} == {f"{name}:" for name in PLANNED}
    working = {name for name, state in wires.items() if state == "works"}
    tls = set() if doctor.shutil.which("openssl") else {"tls:", "https:"}
    ours = {f"{name}:" for name in IMPLIED if name != "dbus"}
    dbus = {"dbus:session", "dbus:system", "dbus+local:"}
    more = {"http+local:", "qtro+ws:", "registry+tcp:", "a PySide6 program"}
    assert working == {*ours, *dbus, *more} - tls
    assert {finding["what"] for finding in told["system"]} == checks.SYSTEM.keys()
    extras = {f"everywire[{extra}]" for extra in ("cli", "dbus", "http", "qt")}
    assert {"everywire", *extras} == {finding["what"] for finding in told["libraries"]}
    assert (told["works"], result.exit_code) == (True, Exit.OK)


def test_what_is_broken_is_named_and_gives_exit_code_1(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    async def wires() -> AsyncIterator[Finding]:
        yield Finding("tcp:", State.BROKEN, "LinkError: \x1b[2Jno", "mend it")
        yield Finding("mqtt:", State.PLANNED, "")

    monkeypatch.setattr(doctor, "_wires", wires)
    result = cli("doctor")
    assert result.exit_code == Exit.FAULT
    assert "tcp:   BROKEN   LinkError: \\x1b[2Jno; mend it\nmqtt:  planned\n" in result.stdout
    assert result.stdout.endswith("\nThese do not work: tcp:.\n")


def test_what_is_missing_is_no_fault(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    async def wires() -> AsyncIterator[Finding]:
        yield Finding("http:", State.MISSING, "not installed", "pip install 'everywire[http]'")

    monkeypatch.setattr(doctor, "_wires", wires)
    result = cli("doctor")
    assert result.exit_code == Exit.OK
    assert result.stdout.endswith("\nAll that is installed works.\n")


# ------------------------------------------------------------------------------------------------------------ attempts
async def test_an_attempt_that_fails_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang() -> None:
        await doctor.asyncio.Event().wait()

    refused = await doctor._attempt("tcp:", doctor._use("tcp://0.0.0.0:0", ""), "")
    assert refused.state is State.BROKEN
    assert refused.found.startswith("InsecureBind: ")
    monkeypatch.setattr(doctor, "PATIENCE", 0.05)
    assert (await doctor._attempt("x:", hang(), "")).found == "nothing happened for 0.05 s"


async def test_a_wrong_value_is_noticed() -> None:
    with pytest.raises(ConnectionError, match=r"1 arrived instead of 2"):
        doctor._expect(1, 2)


async def test_without_openssl_tls_is_not_tried(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(doctor.shutil, "which", lambda _: None)
    assert await doctor._certificate(tmp_path) == ""
    found = await doctor._try("tls:", *doctor.ADDRESSES["tls"], {"certificate": ""})
    assert (found.state, found.found[:10]) == (State.MISSING, "not tried:")
    monkeypatch.setattr(doctor.shutil, "which", lambda _: sys.executable)
    assert await doctor._certificate(tmp_path) == "", "a program that fails makes no certificate"


async def test_a_missing_or_broken_pyside6_is_told_apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['PySide6'] = None\n")
    # An import that is forbidden says "import of PySide6 halted"; a missing one says that there is no such module.
    assert (await doctor._try_qt("local:x")).state is State.BROKEN
    (tmp_path / "sitecustomize.py").unlink()
    (tmp_path / "PySide6").mkdir()
    (tmp_path / "PySide6" / "__init__.py").write_text("raise ModuleNotFoundError(\"No module named 'PySide6'\")\n")
    missing = await doctor._try_qt("local:x")
    assert (missing.state, missing.advice) == (State.MISSING, "pip install 'everywire[qt]'")


# --------------------------------------------------------------------------------------------------------------- D-Bus
async def of_dbus() -> dict[str, Finding]:
    """What is found of D-Bus where nothing can be served."""

    async def use(url: str) -> None:
        raise ConnectionError(f"{url.partition('?')[0]} was tried")

    return {found.what: found async for found in checks_of_dbus.findings("/nowhere", use, doctor._attempt)}


async def test_buses_that_are_not_there_are_told_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = await of_dbus()
    assert [each.state for each in found.values()] == [State.BROKEN, State.WARNING, State.WARNING]
    assert found["dbus:session"].found.endswith(f"({NO_BUS})"), "an address that leads nowhere should be known"
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    session = (await of_dbus())["dbus:session"]
    assert (session.state, session.found) == (State.MISSING, "this login has no session bus")
    assert session.advice.startswith("'dbus-run-session -- PROGRAM'")


async def test_a_bus_on_which_nothing_can_be_served_does_not_work(
    monkeypatch: pytest.MonkeyPatch, own_bus: lab.Bus
) -> None:
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", own_bus.address)
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", own_bus.address)
    found = await of_dbus()
    assert found["dbus:session"].found == "ConnectionError: dbus:session was tried"
    assert (found["dbus:session"].state, found["dbus:system"].state) == (State.BROKEN, State.WORKS)


async def test_without_its_extra_the_pip_line_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: str) -> Any:
        raise MissingExtra("dbus")

    monkeypatch.setattr(checks_of_dbus, "parse", missing)
    assert {each.advice for each in (await of_dbus()).values()} == {"pip install 'everywire[dbus]'"}


# -------------------------------------------------------------------------------------------------------------- checks
def found(what: str) -> Finding:
    return {finding.what: finding for finding in checks.system()}[what]


def test_an_old_python_does_not_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks.sys, "version_info", (3, 10, 9))
    assert found("Python").state is State.BROKEN


def test_without_uvloop_the_stock_loop_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert found("event loop").advice == "pip install 'everywire[cli]'"


@pytest.mark.parametrize("what", ["Unix sockets", "abstract sockets"])
def test_a_system_without_unix_sockets_is_told(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    monkeypatch.delattr(socket, "AF_UNIX")
    assert (found(what).state, "AF_UNIX" in found(what).found) == (State.MISSING, True)


def test_a_system_without_ipv6_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    class NoSixes(socket.socket):
        def bind(self, address: Any) -> None:
            raise OSError(99, "Cannot assign requested address")

    monkeypatch.setattr(checks.socket, "socket", NoSixes)
    found = checks.SYSTEM["IPv6"]("IPv6")
    assert (found.state, found.advice) == (State.MISSING, "use 127.0.0.1")


def test_an_old_openssl_does_not_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks.ssl, "OPENSSL_VERSION_INFO", (1, 0, 2, 0, 0))
    assert found("OpenSSL").state is State.BROKEN


@pytest.mark.parametrize(
    "mode,state", [(0o1777, State.WORKS), (0o777, State.WARNING), (0o755, State.WORKS), (None, State.WARNING)]
)
def test_a_temp_directory_where_others_may_replace_files_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, mode: int | None, state: State
) -> None:
    folder = tmp_path / "temp"
    if mode is not None:
        folder.mkdir()
        folder.chmod(mode)
    monkeypatch.setenv("TMPDIR", str(folder))
    assert found("temp directory").state is state


def test_a_directory_that_cannot_be_written_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks.os, "access", lambda *_: False)
    assert "may not write" in found("temp directory").found


def test_the_runtime_directory_should_be_private(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    assert found("XDG_RUNTIME_DIR").state is State.MISSING
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    tmp_path.chmod(0o755)
    assert found("XDG_RUNTIME_DIR").state is State.WARNING
    tmp_path.chmod(0o700)
    assert found("XDG_RUNTIME_DIR").state is State.WORKS


@pytest.mark.parametrize(
    "soft,hard,state,advice",
    [
        (256, 4096, State.WARNING, "ulimit -n 1088; or Limits(connections=…)"),
        (256, 256, State.WARNING, "ulimit -n 1088, which this user may not; or Limits(connections=…)"),
        (4096, 4096, State.WORKS, ""),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, State.WORKS, ""),
    ],
)
def test_few_open_files_are_told(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, state: State, advice: str
) -> None:
    monkeypatch.setattr(checks.resource, "getrlimit", lambda _: (soft, hard))
    assert (found("open files").state, found("open files").advice) == (state, advice)


def test_a_clock_that_was_never_set_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks.time, "time", lambda: 60.0)
    clock = found("clock")
    assert (clock.state, clock.found[:20]) == (State.WARNING, "1970-01-01T00:01:00Z")


# -------------------------------------------------------------------------------------------------------------- extras
def test_extras_are_read_from_what_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    needed = ["base>=1", "one>=2.5; extra == 'old'", 'two ; extra == "part"', "gone; extra == 'part'"]
    needed.append("x; extra == 'dev'")
    versions = {"base": "1.0", "one": "2.4.9", "two": "7"}

    def version(name: str) -> str:
        if name not in versions:
            raise importlib.metadata.PackageNotFoundError(name)
        return versions[name]

    monkeypatch.setattr(
        checks.importlib,
        "metadata",
        SimpleNamespace(
            requires=lambda _: needed, version=version, PackageNotFoundError=importlib.metadata.PackageNotFoundError
        ),
    )
    assert list(checks.libraries()) == [
        Finding("everywire", State.WORKS, "base 1.0"),
        Finding("everywire[old]", State.BROKEN, "too old: one 2.4.9 (>=2.5)", "pip install 'everywire[old]'"),
        Finding("everywire[part]", State.MISSING, "two 7, no gone", "pip install 'everywire[part]'"),
    ]


def test_a_package_that_is_not_installed_has_no_extras_to_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(name: str) -> Any:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(checks.importlib.metadata, "requires", unknown)
    assert [finding.state for finding in checks.libraries()] == [State.WARNING]
