"""What to try while the demo stays up: lines to copy into another terminal, with the real addresses in them."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

TEXT: Final = """
The plant stays up. In another terminal:

  {everywire} get {local} thermostat
  {everywire} set {tcp} thermostat target 35
  {everywire} watch {tcp} thermostat current overheated
  {everywire} call {local} pump start

Python:

{python} -c '
import asyncio, everywire
async def main():
    async with everywire.connect("{tcp}", "thermostat") as room:
        print(room.target, await room.boost(5))
asyncio.run(main())'"""

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


def invitation(urls: Mapping[str, str], *, qt: bool = False) -> str:
    """Return the lines to try on a plant at *urls*, with *qt* a Qt program too; they work in any directory."""
    text = f"{TEXT}\n{QT}\n{END}" if qt else f"{TEXT}\n{END}"
    return text.format(everywire=everywire_command(), python=shlex.quote(sys.executable), **urls)


def everywire_command() -> str:
    """Return how this command is called here."""
    script = Path(sys.executable).with_name("everywire")
    if not script.exists():
        return f"{shlex.quote(sys.executable)} -m everywire"
    return "everywire" if shutil.which("everywire") == str(script) else shlex.quote(str(script))
