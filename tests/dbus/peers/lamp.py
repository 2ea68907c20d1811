"""A lamp that a bus starts: `lamp.py ADDRESS LOG` writes its pid into the file LOG, and leaves when it is told."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

from tests.dbus.services import lamp, serving


async def main(address: str, log: str) -> None:
    over = asyncio.Event()
    with Path(log).open("a") as file:
        file.write(f"{os.getpid()}\n")
    async with serving(address, early=lamp) as service:
        service.objects["/org/acme/Lamp"].methods["Forget"] = lambda what: over.set()
        await over.wait()


asyncio.run(main(*sys.argv[1:]))
