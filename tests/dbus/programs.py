"""Drives the peer programs of `peers/`: calls through them, what they heard, what was called in them."""

from __future__ import annotations

import ast
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from tests.dbus import lab
from tests.programs import Program, program

PEERS: Final = Path(__file__).parent / "peers"
SERVICE: Final = "org.acme.Plant"
PATH: Final = "/org/acme/Plant/boiler"
INTERFACE: Final = "org.acme.Plant.Boiler1"
REFUSED: Final = "org.acme.Plant.Error.Refused"


class Raised(Exception):
    """The peer was answered with a D-Bus error."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(f"{name}: {message}")
        self.name, self.message = name, message


class Peer:
    """A program in the role of a service (it offers the boiler) or of a client (it uses one)."""

    def __init__(self, running: Program) -> None:
        self.program = running

    async def ask(self, do: str, **arguments: Any) -> Any:
        """Have it do something that may end in a D-Bus error."""
        result = await self.program.ask(do, **arguments)
        if result is not None and "raised" in result:
            raise Raised(*result["raised"])
        return None if result is None else ast.literal_eval(result["returned"])

    async def call(self, member: str, *arguments: Any) -> Any:
        """Call a method; return what the peer's program got."""
        return await self.ask("call", member=member, arguments=repr(arguments))

    async def get(self, name: str) -> Any:
        return await self.ask("get", name=name)

    async def get_all(self) -> dict[str, Any]:
        values: dict[str, Any] = await self.ask("get_all")
        return values

    async def set(self, name: str, value: Any) -> None:
        await self.ask("set", name=name, value=repr(value))

    async def listen(self) -> None:
        """Hear signals and changes from now on; returns when it does."""
        await self.ask("listen")

    async def heard(self, member: str) -> Any:
        """The next signal of that name that it heard."""
        return ast.literal_eval((await self.program.hear("heard", member=member))["values"])

    async def changed(self, name: str) -> Any:
        """The next value of that property it was told."""
        fact = await self.program.hear("changed", lambda fact: name in ast.literal_eval(fact["values"]))
        return ast.literal_eval(fact["values"])[name]

    async def change(self, name: str, value: Any) -> None:
        """Have the service change its property."""
        await self.program.ask("change", name=name, value=repr(value))

    async def fire(self, count: int) -> None:
        """Have the service emit `Fired` so often."""
        await self.program.ask("fire", count=count)


@asynccontextmanager
async def peer(kind: str, role: str, address: str, *options: str) -> AsyncIterator[Peer]:
    """Run `peers/<kind>_peer.py` until the end of the block; the role is "serve" or "use"."""
    command = (sys.executable, "-X", "faulthandler", PEERS / f"{kind}_peer.py", role, address, *options)
    async with program(kind, *command, advice="`make test` installs it", env=lab.environment()) as running:
        yield Peer(running)
