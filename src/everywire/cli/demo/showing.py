"""The demo from its parent's side: who is invited, what they do in turn, the table, and what to try next."""

from __future__ import annotations

import asyncio
import importlib.util
import shutil
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from everywire.cli.demo.bus_guests import invite_tool
from everywire.cli.demo.buses import PATH, SERVICE, Bus, find_bus
from everywire.cli.demo.crew import Crew, Worker, crew
from everywire.cli.demo.guests import CommandLine, Curl, Told, Visit
from everywire.cli.demo.invitation import invitation
from everywire.cli.looping import until_interrupted
from everywire.cli.printing import columns, print_table
from everywire.errors import LinkError, MissingExtra

MODULE: Final = "everywire.cli.demo"
NO_QT: Final = "PySide6 is not installed: make demo QT=1 adds a real Qt program (250 MB)"
HOT: Final = {"celsius": 33.3, "sensor": "roof"}
HEADS: Final = ("WIRE", "USED BY", "READ", "SET", "CALLED", "CHANGE", "SIGNAL", "AGREES")
NO_HTTP: Final = "The http wire is not installed: pip install 'everywire[http]'"
NO_TOOL: Final = "Neither busctl nor gdbus is installed, so none takes part: apt install libglib2.0-bin"
REACHES_BUS: Final = """
import sys
from PySide6.QtDBus import QDBusConnection
print(int(QDBusConnection.connectToBus(sys.argv[1], "probe").isConnected()))
"""
CANNOT_READ: Final = frozenset({"last"})
"""A struct, which QtDBus cannot read in Python."""
NO_CURL: Final = "curl is not installed, so it takes no part: apt install curl"
INTRODUCTION: Final = """\
One process holds a plant, a thermostat and a pump, and serves it at

{addresses}

{rows}
"""
ROWS: Final = """\
Each row below reads the target, sets a new one, calls boost, and hears the change of current and the signal
overheated. In the last row that signal, heard over one wire, drives the slot stop of the pump over another.
"""
NOTES: Final = {"qt5": "speaks as Qt 5 does", "registry": "where a name is enough to find it"}
"""What to say of some addresses, by their names."""


async def demo(*, once: bool, qt: bool | None) -> bool:
    """Show the plant, then stay up until Ctrl-C unless *once*; return whether everybody saw the same values.

    *qt* demands (True) or leaves out (False) the Qt program; None takes it where PySide6 can be imported.
    """
    async with crew() as people:
        bus, (registry, registered) = await asyncio.gather(find_bus(people), _start_registry(people))
        at = [registered, *([bus.address] if bus else [])]
        plant = await people.start("the plant's host", "-m", f"{MODULE}.host", str(people.directory), *at)
        urls = await plant.ask("addresses") | ({"dbus": bus.service_url} if bus else {})
        print(_introduction(urls), flush=True)
        visits = await _invite(people, plant, urls, bus, qt=qt)
        safety = await people.start("the safety program", "-m", f"{MODULE}.safety", urls["local"], urls["tcp"])
        await safety.ask("ready")
        await _let_them_use_it(plant, visits)
        alarm = await _compare_alarm(plant, safety, urls)
        agreed = _show([*visits, alarm])
        if not once:
            await people.keep_only(plant, registry, safety, *([bus.daemon] if bus and bus.daemon else []))
            await plant.ask("live")
            print(invitation(urls, bus=bus, qt=_has_qt()), flush=True)
            await until_interrupted()
    return agreed


async def _start_registry(people: Crew) -> tuple[Worker, str]:
    """Start a registry, as anybody would; return it and its address."""
    words = ("-m", "everywire", "registry", "--json", "tcp://127.0.0.1:0")
    worker = await people.start("the registry", *words, obeys=False)
    (address,) = msgspec.json.decode(await worker.line())["addresses"]
    return worker, address


def _introduction(urls: Mapping[str, str]) -> str:
    lines = [f"  {url}" + (f"  {NOTES[name]}" if name in NOTES else "") for name, url in urls.items()]
    return INTRODUCTION.format(addresses="\n".join(lines), rows=textwrap.fill(ROWS, columns()))


async def _invite(
    people: Crew, plant: Worker, urls: Mapping[str, str], bus: Bus | None, *, qt: bool | None
) -> list[Visit]:
    local, tcp = urls["local"], urls["tcp"]
    typed = await people.start("the typed program", "-m", f"{MODULE}.guest", local, "--typed")
    loopless = await people.start("the program without a loop", "-m", f"{MODULE}.loopless", local)
    plain = await people.start("the program without a class", "-m", f"{MODULE}.guest", tcp)
    visits = [
        Visit("the host itself", urls["memory"], Told(plant)),
        Visit("Python, typed", local, Told(typed)),
        Visit("Python, no loop", local, Told(loopless)),
        Visit("Python, no class", tcp, Told(plain)),
        Visit("everywire get, …", tcp, await CommandLine.start(people, tcp)),
        *await _invite_as_qt(people, urls),
        *await _invite_by_http(people, urls),
        *await _invite_by_dbus(people, urls, bus),
    ]
    if qt is not False and await _can_use_qt(people, demanded=qt is True):
        for url in (local, urls["registry"]):
            program = await people.start("the Qt program", "-m", f"{MODULE}.qt_guest", url)
            visits.append(Visit("a PySide6 program", url, Told(program)))
        if bus is not None and await _can_use_qt_dbus(people, bus):
            where = (bus.address, SERVICE, PATH)
            program = await people.start("the Qt program on D-Bus", "-m", f"{MODULE}.qt_bus_guest", *where)
            visits.append(Visit("a PySide6 program", urls["dbus"], Told(program), CANNOT_READ))
    return visits


async def _invite_as_qt(people: Crew, urls: Mapping[str, str]) -> list[Visit]:
    """Invite programs that use what Qt Remote Objects has besides: Qt 5's protocol, registries, other transports."""
    visits: list[Visit] = []
    for who, name, wire, *typed in (
        ("Python, typed", "qt5", "local (Qt 5)", "--typed"),
        ("Python, by name", "registry", "", "--typed"),
        ("Python, no class", "websocket", ""),
    ):
        if name in urls:  # a WebSocket needs the http extra; of that one line tells
            program = await people.start(f"the program at {name}", "-m", f"{MODULE}.guest", urls[name], *typed)
            visits.append(Visit(who, urls[name], Told(program), wire=wire))
    return visits


async def _invite_by_http(people: Crew, urls: Mapping[str, str]) -> list[Visit]:
    if "http" not in urls:
        print(NO_HTTP, end="\n\n")
        return []
    replica = await people.start("the program over HTTP", "-m", f"{MODULE}.guest", urls["http"])
    visits = [Visit("Python, no class", urls["http"], Told(replica))]
    curl = shutil.which("curl")
    if curl is None:
        print(NO_CURL, end="\n\n")
        return visits
    for who, url in {"curl": urls["http"], "curl, Unix socket": urls["http+local"]}.items():
        visits.append(Visit(who, url, await Curl.start(people, curl, url)))
    return visits


async def _invite_by_dbus(people: Crew, urls: Mapping[str, str], bus: Bus | None) -> list[Visit]:
    """Invite programs with a bus and without; what is missing of the bus was told when it was looked for."""
    visits: list[Visit] = []
    if "dbus+local" in urls:
        peer = await people.start("the peer", "-m", f"{MODULE}.guest", urls["dbus+local"], "--typed")
        visits.append(Visit("Python, typed", urls["dbus+local"], Told(peer)))
    if bus is None:
        return visits
    plain = await people.start("the program on the bus", "-m", f"{MODULE}.guest", urls["dbus"])
    visits.append(Visit("Python, no class", urls["dbus"], Told(plain)))
    tool = await invite_tool(people, bus)
    if tool is None:
        print(NO_TOOL, end="\n\n")
    else:
        visits.append(Visit(tool[0], urls["dbus"], tool[1]))
    return visits


def _has_qt() -> bool:
    return importlib.util.find_spec("PySide6") is not None


async def _can_use_qt(people: Crew, *, demanded: bool) -> bool:
    if not _has_qt():
        if demanded:
            raise MissingExtra("qt")
        print(NO_QT, end="\n\n")
        return False
    try:
        await people.run("PySide6", "-c", "import PySide6.QtRemoteObjects; print(1)")
    except LinkError as error:
        if demanded:
            raise
        print(f"No Qt program takes part, because {error}", end="\n\n")
        return False
    return True


async def _can_use_qt_dbus(people: Crew, bus: Bus) -> bool:
    """Return whether Qt's D-Bus, which needs a library of the system, reaches the bus; say why not."""
    try:
        reached = await people.run("QtDBus", "-c", REACHES_BUS, bus.address)
    except LinkError as error:
        print(f"No Qt program takes part on D-Bus, because {error}", end="\n\n")
        return False
    if not reached:
        print("No Qt program takes part on D-Bus, because QtDBus does not reach the bus", end="\n\n")
    return bool(reached)


async def _let_them_use_it(plant: Worker, visits: Sequence[Visit]) -> None:
    """Let all read, then each act in its turn, then all hear one event at once, then all read again."""
    truth = await plant.ask("truth")
    await _let_all_read("all values", visits, truth)
    for turn, visit in enumerate(visits):
        seen = await visit.user.act(22.0 + turn / 2, minutes=turn % 5 + 1)  # together they heat it to less than LIMIT
        truth = await plant.ask("truth")
        visit.compare("the pushed target", seen["pushed"], truth["target"])
        visit.compare("the result of boost", seen["result"], truth["remaining"])
    truth = await plant.ask("overheat", **HOT)
    for visit in visits:
        heard = await visit.user.hear()
        visit.compare("the change of current", heard["change"], truth["current"])
        visit.compare("the signal overheated", heard["signal"], list(truth["last"].values()))
    await _let_all_read("all values at the end", visits, truth)


async def _let_all_read(what: str, visits: Sequence[Visit], truth: Mapping[str, Any]) -> None:
    seen = await asyncio.gather(*(visit.user.read() for visit in visits))
    for visit, values in zip(visits, seen, strict=True):
        visit.compare(what, values, {name: value for name, value in truth.items() if name not in visit.blind_to})


async def _compare_alarm(plant: Worker, safety: Worker, urls: Mapping[str, str]) -> Visit:
    visit = Visit("overheated → stop", f"{urls['local']} → {urls['tcp']}", Told(safety))
    heard, truth = await visit.user.hear(), await plant.ask("truth")
    visit.compare("the signal overheated", heard["signal"], list(HOT.values()))
    visit.compare("the pump's mode", heard["mode"], truth["mode"])
    return visit


def _show(visits: Sequence[Visit]) -> bool:
    """Print the table and every difference; return whether there is none."""
    print_table(HEADS, [visit.row for visit in visits])
    differences = [line for visit in visits for line in visit.differences]
    print("\n" + "\n".join(differences or ["All agree with what the plant holds."]), flush=True)
    return not differences
