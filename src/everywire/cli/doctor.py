"""`everywire doctor`: really tries every wire on this machine, and says what is missing and what to do about it."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from everywire import Node, connect
from everywire.cli.checks import Finding, State, libraries, system
from everywire.cli.dbus.checks import findings as dbus_findings
from everywire.cli.plant import Mode, Pump, Thermostat
from everywire.cli.printing import print_json, print_table, styled
from everywire.errors import LinkError, MissingExtra
from everywire.runtime.limits import Limits
from everywire.runtime.wires import IMPLIED, PLANNED

PATIENCE: Final = 10.0
"""Seconds for one attempt."""
TARGET: Final = 22.5

ADDRESSES: Final[Mapping[str, tuple[str, str]]] = {
    "memory": ("memory:everywire-doctor-{process}", ""),
    "local": ("local:{folder}/s", ""),
    "localabstract": ("localabstract:everywire-doctor-{process}", ""),
    "tcp": ("tcp://127.0.0.1:0", ""),
    "tls": ("tls://127.0.0.1:0?cert={certificate}", "?ca={certificate}"),
    "http": ("http://127.0.0.1:0", ""),
    "https": ("https://127.0.0.1:0?cert={certificate}", "?ca={certificate}"),
}
"""Scheme -> where to listen, and what is added to the address of the listener to reach it."""


async def doctor(*, json: bool) -> bool:
    """Print what was found; return whether everything that is installed works."""
    groups = {"system": list(system()), "libraries": list(libraries()), "wires": [found async for found in _wires()]}
    everything = [finding for group in groups.values() for finding in group]
    broken = [finding.what for finding in everything if finding.state is State.BROKEN]
    if json:
        told = {name: list(map(_plain, group)) for name, group in groups.items()}
        print_json({"works": not broken, **told})
        return not broken
    for name, group in groups.items():
        print_table((name.upper(), "STATE", "FOUND"), [_row(finding) for finding in group])
        print()
    print(styled(f"These do not work: {', '.join(broken)}." if broken else "All that is installed works.", bold=True))
    return not broken


def _plain(finding: Finding) -> dict[str, str]:
    state = finding.state.name.lower()
    return {"what": finding.what, "state": state, "found": finding.found, "advice": finding.advice}


def _row(finding: Finding) -> tuple[str, str, str]:
    return finding.what, finding.state.value, "; ".join(filter(None, (finding.found, finding.advice)))


# ------------------------------------------------------------------------------------------------------------- wires
async def _wires() -> AsyncIterator[Finding]:
    with tempfile.TemporaryDirectory(prefix="ew-") as folder:
        names = {"folder": folder, "process": str(os.getpid()), "certificate": await _certificate(Path(folder))}
        for scheme in IMPLIED:
            if scheme in ADDRESSES:
                yield await _try(f"{scheme}:", *ADDRESSES[scheme], names)
        if "http" in IMPLIED:
            yield await _try("http+local:", "http+local:{folder}/h", "", names)
            yield await _try("qtro+ws:", "qtro+ws://127.0.0.1:0", "", names)
        yield await _attempt("registry+tcp:", _use_registry(), "registered, found by name")
        async for found in dbus_findings(folder, lambda url: _use(url, ""), _attempt):
            yield found
        yield await _attempt("stdio:", _use_stdio(), "two processes with crossed pipes")
        yield await _try_qt(f"local:{folder}/q")
    for scheme in sorted(PLANNED):
        if scheme not in IMPLIED:
            yield Finding(f"{scheme}:", State.PLANNED, "")


async def _try(what: str, listen: str, dial: str, names: Mapping[str, str]) -> Finding:
    if "{certificate}" in listen and not names["certificate"]:
        return Finding(what, State.MISSING, "not tried: openssl, which makes a certificate to try with, is not here")
    return await _attempt(what, _use(listen.format(**names), dial.format(**names)), "served, pushed, called, heard")


async def _attempt(what: str, attempt: Any, found: str) -> Finding:
    try:
        async with asyncio.timeout(PATIENCE):
            await attempt
    except MissingExtra as error:
        return Finding(what, State.MISSING, "not installed", str(error))
    except TimeoutError:
        return Finding(what, State.BROKEN, f"nothing happened for {PATIENCE:g} s")
    except Exception as error:  # noqa: BLE001  whatever it is, it belongs into the report
        return Finding(what, State.BROKEN, f"{type(error).__name__}: {error}")
    return Finding(what, State.WORKS, found)


async def _use(listen: str, dial: str) -> None:
    """Serve an object at *listen* and do everything with it that a replica can do."""
    room = Thermostat()
    async with Node(limits=Limits(drain=0.0)) as node:
        node.publish(room, "thermostat")
        (address,) = await node.serve(listen)
        async with connect(address + dial, "thermostat", Thermostat) as replica:
            heard: asyncio.Future[float] = asyncio.get_running_loop().create_future()
            replica.overheated.connect(lambda celsius, _sensor: heard.set_result(celsius), once=True)
            _expect(await Thermostat.target.push(replica, TARGET), TARGET)
            _expect(await replica.boost(5), 1500)
            room.measure(33.0)
            _expect(await heard, 33.0)


async def _use_registry() -> None:
    """Host a registry, register an object, and find it by its name."""
    async with Node(limits=Limits(drain=0.0)) as registry, Node(limits=Limits(drain=0.0)) as node:
        (where,) = await registry.serve("registry+tcp://127.0.0.1:0")
        node.publish(Pump(), "pump")
        await node.serve(f"tcp://127.0.0.1:0?registry={where.removeprefix('registry+')}")
        async with connect(where, "pump", Pump) as pump:
            _expect(pump.mode, Mode.RUNNING)


def _expect(found: object, expected: object) -> None:
    if found != expected:
        raise LinkError(f"{found!r} arrived instead of {expected!r}")


async def _certificate(folder: Path) -> str:
    """Return a file with a certificate for this machine and its key; empty without the program that makes it."""
    openssl, file = shutil.which("openssl"), folder / "pem"
    if openssl is None:
        return ""
    made = await asyncio.create_subprocess_exec(
        openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1",
        "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1",
        "-keyout", str(file), "-out", str(folder / "crt"), stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL,
    )  # fmt: skip
    if await made.wait():
        return ""
    with file.open("ab") as both:
        both.write((folder / "crt").read_bytes())
    return str(file)


SERVES: Final = """
import asyncio
from everywire import serve
from everywire.cli.plant import Pump
async def main():
    async with serve(Pump(), "pump", on="stdio:"):
        await asyncio.Event().wait()
asyncio.run(main())
"""
CONNECTS: Final = """
import asyncio
from everywire import connect
async def main():
    async with connect("stdio:", "pump") as pump:
        await pump.stop()
asyncio.run(main())
"""


async def _use_stdio() -> None:
    """Let one process serve on its standard streams, and another connect to them."""
    there, back = os.pipe(), os.pipe()
    try:
        host = await _python(SERVES, stdin=back[0], stdout=there[1])
        client = await _python(CONNECTS, stdin=there[0], stdout=back[1])
    finally:
        for descriptor in (*there, *back):
            os.close(descriptor)
    try:
        _, errors = await client.communicate()
        if client.returncode:
            raise LinkError(errors.decode().strip().rpartition("\n")[2])
    finally:
        for process in (client, host):
            if process.returncode is None:
                process.kill()
                await process.wait()


async def _try_qt(url: str) -> Finding:
    what = "a PySide6 program"
    try:
        found = await _output("-c", "import PySide6.QtRemoteObjects as q, PySide6; print(PySide6.__version__)")
    except LinkError as error:
        lacking = "No module named 'PySide6'" in str(error)
        advice = str(MissingExtra("qt")) if lacking else "install what Qt needs of the system"
        return Finding(what, State.MISSING if lacking else State.BROKEN, "" if lacking else str(error), advice)
    return await _attempt(what, _use_qt(url), f"{found} read the object")


async def _use_qt(url: str) -> None:
    pump = Pump()
    pump.mode = Mode.STOPPED
    async with Node(limits=Limits(drain=0.0)) as node:
        node.publish(Thermostat(), "thermostat")
        node.publish(pump, "pump")
        await node.serve(url)
        seen = msgspec.json.decode(await _output("-m", "everywire.cli.demo.qt_guest", url, said=b'{"do": "read"}\n'))
        _expect((seen["target"], seen["mode"]), (21.0, "STOPPED"))


async def _output(*command: str, said: bytes = b"") -> str:
    """Return what a Python program prints; raise LinkError with its last words when it fails."""
    process = await _python(*command, stdin=PIPE, stdout=PIPE)
    try:
        output, errors = await process.communicate(said)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise LinkError(errors.decode(errors="replace").strip().rpartition("\n")[2])
    return output.decode().strip()


async def _python(*command: str, stdin: int, stdout: int) -> asyncio.subprocess.Process:
    words: Sequence[str] = command if command[0].startswith("-") else ("-c", *command)
    return await asyncio.create_subprocess_exec(sys.executable, *words, stdin=stdin, stdout=stdout, stderr=PIPE)
