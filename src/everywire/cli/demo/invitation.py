"""What to try while the demo stays up: lines to copy into another terminal, with the real addresses in them."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from everywire.cli.demo.buses import PATH, SERVICE, Bus

TEXT: Final = """
The plant stays up. In another terminal:

  {everywire} get {local} thermostat
  {everywire} set {tcp} thermostat target 35
  {everywire} watch {tcp} thermostat current overheated
  {everywire} call {local} pump start
  {everywire} list {registry}

Python:

{python} -c '
from everywire import sync
with sync.connect("{tcp}", "thermostat") as room:
    print(room.target, sync.run(room.boost(5)))'"""

HTTP: Final = """
{http}/ has links to all of it, for a browser. curl:

  curl {http}/objects/thermostat/properties
  curl -X PUT -H content-type:application/json -d 25 {http}/objects/thermostat/properties/target
  curl -H content-type:application/json -d '{{"minutes": 5}}' {http}/objects/thermostat/slots/boost
  curl -N {http}/objects/thermostat/events"""

DBUS: Final = """
D-Bus, on {bus_name}:

  {everywire} tree {dbus}
  {everywire} get {dbus} {path}/thermostat
  {everywire} monitor {bus_url} {service}"""

BUS_TOOLS: Final = {
    "busctl": """\
  busctl --address={bus_address} introspect {service} {path}/thermostat
  busctl --address={bus_address} call {service} {path}/thermostat {service}.Thermostat1 Boost q 5""",
    "gdbus": """\
  gdbus call --address {bus_address} --dest {service} --object-path {path}/pump --method {service}.Pump1.Stop
  gdbus monitor --address {bus_address} --dest {service}""",
}
"""What to type with each program that is installed."""

QT: Final = """
PySide6:

{python} -c '
from PySide6.QtCore import QCoreApplication, QUrl
from PySide6.QtRemoteObjects import QRemoteObjectNode
app = QCoreApplication(); node = QRemoteObjectNode(); node.connectToNode(QUrl("{local}"))
room = node.acquireDynamic("thermostat")
print(room.waitForSource(), room.property("target"))'"""

END: Final = """
Ctrl-C ends it."""


def invitation(urls: Mapping[str, str], *, bus: Bus | None = None, qt: bool = False) -> str:
    """Return the lines to try on a plant at *urls*, with *qt* a Qt program too; they work in any directory."""
    words = {name.replace("+", "_"): shlex.quote(url) for name, url in urls.items()}
    dbus = [] if bus is None else [DBUS, *(text for tool, text in BUS_TOOLS.items() if shutil.which(tool))]
    if bus is not None:
        words |= {
            "bus_name": "the session bus" if bus.daemon is None else "a bus of its own",
            "bus_url": shlex.quote(bus.url),
            "bus_address": shlex.quote(bus.address),
            "service": SERVICE,
            "path": PATH,
        }
    parts = [TEXT, *([HTTP] if "http" in urls else []), *dbus, *([QT] if qt else []), END]
    return "\n".join(parts).format(everywire=everywire_command(), python=shlex.quote(sys.executable), **words)


def everywire_command() -> str:
    """Return how this command is called here."""
    script = Path(sys.executable).with_name("everywire")
    if not script.exists():
        return f"{shlex.quote(sys.executable)} -m everywire"
    return "everywire" if shutil.which("everywire") == str(script) else shlex.quote(str(script))
