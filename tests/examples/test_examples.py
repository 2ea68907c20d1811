"""Every example runs, does what its first line says, and fits on a page."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import KernelManager

from everywire.remoteobjects.generating import python_source
from everywire.remoteobjects.rep.parsing import parse

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
OUTPUT = {
    "signal_drives_slot": "running: False\n",
    "plain_sockets": "".join(
        f"{transport}: b'hello\\n' for uid {uid}, loopback True\n"
        for transport, uid in (("memory", r"\d+"), ("local", r"\d+"), ("tcp", "None"))
    ),
    "rep_thermostat": "300 s, Heating\n300 s, Heating\n",
    "table_rows": (
        "100000 rows, sensor celsius\n"
        "Reading(sensor='sensor 50000', celsius=5000.0)\nReading(sensor='sensor 50001', celsius=5000.1)\n"
        "inserted at 0 is Reading(sensor='roof', celsius=31.0)\nnow 18.5\n"
    ),
    "registry": "found in the cellar\nsuspect\nvalid\nfollowed to the attic\n",
    "bridge": "pushed: 0.5 the lamp has: 0.5\ncalled: flashed 3 times\n",
}


def run(name: str, *arguments: str) -> str:
    command = [sys.executable, "-W", "error", str(EXAMPLES / f"{name}.py"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=15)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("name", OUTPUT)
def test_an_example_prints_what_it_promises(name: str) -> None:
    expected = re.escape(OUTPUT[name]).replace(re.escape(r"\d+"), r"\d+")
    assert re.fullmatch(expected, run(name))


def test_the_two_processes_understand_each_other_until_ctrl_c(tmp_path: Path) -> None:
    url = f"local:{tmp_path}/climate"
    host = subprocess.Popen(
        [sys.executable, str(EXAMPLES / "thermostat_host.py"), url], stdout=subprocess.PIPE, text=True
    )
    assert host.stdout is not None
    assert host.stdout.readline() == f"hall is served at {url}\n"
    assert run("thermostat_client", url).splitlines() == [
        "target: 21.0",
        "heard that it is 20.5 Cel",
        "boosted to: 20.5",
        "pushed: 22.5",
        "refused: target: 99.0 is not within 5 and 35",
    ]
    host.send_signal(signal.SIGINT)
    host.communicate(timeout=15)
    assert host.returncode == 0
    assert not (tmp_path / "climate").exists()


@contextmanager
def hosting(url: str, folder: Path) -> Iterator[None]:
    """Run the host of the thermostat; *folder* is where relative names lead."""
    command = [sys.executable, str(EXAMPLES / "thermostat_host.py"), url]
    environment = {**os.environ, "TMPDIR": str(folder)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as host:
        assert host.stdout is not None
        assert host.stdout.readline() == f"hall is served at {url}\n"
        try:
            yield
        finally:
            host.kill()


def test_a_script_without_a_loop_uses_the_same_host(tmp_path: Path) -> None:
    url = f"local:{tmp_path}/climate"
    with hosting(url, tmp_path):
        assert run("script", url).splitlines() == [
            "target: 21.0",
            "heard that it is 20.5 Cel",
            "boosted to: 20.5",
            "pushed: 22.5",
            "heard that it is 20.6 Cel",
            "heard that it is 20.8 Cel",
            "boosted again to: [20.6, 20.8]",
        ]


def test_a_notebook_cell_runs_in_the_kernel_of_a_notebook() -> None:
    cell = (EXAMPLES / "notebook_cell.py").read_text(encoding="utf-8")
    with (
        tempfile.TemporaryDirectory(prefix="ew-") as name,
        hosting("local:climate", Path(name)),
        kernel(Path(name)) as execute,
    ):
        assert execute("import asyncio; print(asyncio.get_running_loop().is_running())") == "True\n"
        expected = "boosted to: 21.0\nheard: 21.0\nnow: 21.0\n"
        assert execute(cell) == f"<replica of Thermostat 'hall' at local:climate: valid> valid\n{expected}"
        assert execute(cell).endswith(expected.replace("21.0", "22.0"))


@contextmanager
def kernel(folder: Path) -> Iterator[Callable[[str], str]]:
    """Start the kernel of a notebook; what is given executes a cell there, and returns what it printed."""
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    manager: Any = KernelManager(transport="ipc", connection_file=str(folder / "kernel.json"))
    manager._kernel_spec = KernelSpec(argv=argv, display_name="everywire", language="python")
    manager.start_kernel(env={**os.environ, "TMPDIR": str(folder)}, stderr=subprocess.DEVNULL)
    client = manager.blocking_client()
    client.start_channels()

    def execute(cell: str) -> str:
        printed: list[str] = []

        def hear(message: dict[str, Any]) -> None:
            if message["msg_type"] == "stream":
                printed.append(message["content"]["text"])

        answer = client.execute_interactive(cell, timeout=15, output_hook=hear)
        assert answer["content"]["status"] == "ok", answer["content"]
        return "".join(printed)

    try:
        client.wait_for_ready(timeout=15)
        yield execute
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
        manager.cleanup_resources()
        manager.context.destroy()


def test_the_class_of_the_rep_file_is_what_gen_python_writes() -> None:
    made = python_source(parse((EXAMPLES / "rep_thermostat.rep").read_text(encoding="utf-8")), "rep_thermostat.rep")
    example = (EXAMPLES / "rep_thermostat.py").read_text(encoding="utf-8")
    assert made.partition("@cpp_enum")[2].strip() == example.partition("@cpp_enum")[2].partition("class My")[0].strip()


def test_every_example_is_run_by_a_test() -> None:
    others = {"thermostat_host", "thermostat_client", "script", "notebook_cell"}
    others |= {path.stem for path in EXAMPLES.glob("dbus_*.py")}  # by tests/dbus/test_examples.py
    assert {path.stem for path in EXAMPLES.glob("*.py")} == {*OUTPUT, *others}


@pytest.mark.parametrize("name", ["script", "notebook_cell"])
def test_an_example_without_a_loop_has_at_most_15_lines(name: str) -> None:
    assert len((EXAMPLES / f"{name}.py").read_text(encoding="utf-8").splitlines()) <= 15


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_an_example_has_at_most_40_lines(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 40
