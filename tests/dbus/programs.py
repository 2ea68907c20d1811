"""Drives the peer programs of `peers/`: calls through them, what they heard, what was called in them."""

from __future__ import annotations

import ast
import asyncio
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from tests.dbus import lab
from tests.dbus.building import qt_peer
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

    async def call(self, member: str, *arguments: Any) -> tuple[Any, ...]:
        """Call a method; return its results as the peer's program got them."""
        results: tuple[Any, ...] = await self.ask("call", member=member, arguments=repr(arguments))
        return results

    async def read_all(self, text: str) -> str:
        """Have it pass a pipe's end, from which *text* comes, to `ReadAll`; return what the service read."""
        (read,) = await self.ask("read_all", text=text)
        return str(read)

    async def open_text(self, text: str) -> str:
        """Have it take a descriptor from `OpenText` and read it."""
        (read,) = await self.ask("open_text", text=text)
        return str(read)

    async def introspect(self) -> str:
        """The object's XML."""
        return str(await self.ask("introspect"))

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


class QtPeer(Peer):
    """The C++ program, which is told the type of each value and tells the types of its results."""

    async def ask(self, do: str, **arguments: Any) -> Any:
        result = await self.program.ask(do, **arguments)
        if result is None:
            return None
        if "raised" in result:
            raise Raised(*result["raised"])
        return tuple(map(_from_json, signature_parts(result.get("signature", "")), result["values"]))

    async def call(self, member: str, *arguments: Any) -> tuple[Any, ...]:
        given = map(_to_json, signature_parts(TAKES[member]), arguments)
        values: tuple[Any, ...] = await self.ask("call", member=member, arguments=list(given))
        return values

    async def get(self, name: str) -> Any:
        (value,) = await self.ask("get", name=name)
        return _from_json(PROPERTIES[name], value)

    async def get_all(self) -> dict[str, Any]:
        (values,) = await self.ask("get_all")
        return {name: _from_json(PROPERTIES[name], value) for name, value in values.items()}

    async def set(self, name: str, value: Any) -> None:
        await self.ask("set", name=name, value=_to_json(PROPERTIES[name], value))

    async def change(self, name: str, value: Any) -> None:
        await self.program.ask("change", name=name, value=_to_json(PROPERTIES[name], value))

    async def heard(self, member: str) -> Any:
        values = (await self.program.hear("heard", member=member))["values"]
        return tuple(map(_from_json, signature_parts(SIGNALS[member]), values))

    async def changed(self, name: str) -> Any:
        fact = await self.program.hear("changed", lambda fact: name in fact["values"])
        return _from_json(PROPERTIES[name], fact["values"][name])

    async def introspect(self) -> str:
        (text,) = await self.ask("introspect")
        return str(text)

    async def members(self) -> list[str]:
        """What QDBusInterface made of the object's introspection."""
        names: list[str] = (await self.program.ask("members"))["values"]
        return names


PROPERTIES: Final = {"Level": "d", "Label": "s", "Spot": "(dd)", "Table": "a{sv}"}
SIGNALS: Final = {"Fired": "is", "Moved": "(dd)"}
TAKES: Final = {
    "AddOne": "i", "Split": "s", "Move": "(dd)", "Tally": "as", "Wrap": "v", "Shift": "s", "Rows": "a(is)",
    "Data": "ay", "Basics": "ynqiuxtdbs", "Refuse": "s", "Fire": "i", "Forget": "s", "NoSuch": "",
}  # fmt: skip


def signature_parts(signature: str) -> list[str]:
    """The single complete types of one of the signatures above."""
    return re.findall(r"a*(?:\{..\}|\(\w+\)|\w)", signature)


def _to_json(signature: str, value: Any) -> dict[str, Any]:
    if signature == "v":  # the content's signature is told with it, as jeepney and sdbus want it
        return {"type": "v", "value": _to_json(*value)}
    return {"type": signature, "value": value.hex() if isinstance(value, bytes) else value}


def _from_json(signature: str, value: Any) -> Any:
    if signature == "(dd)":
        return tuple(value)
    if signature == "a(is)":
        return [tuple(row) for row in value]
    return bytes.fromhex(value) if signature == "ay" else value


KINDS: Final = ("jeepney", "sdbus", "pyside6", "qt")


@asynccontextmanager
async def peer(kind: str, role: str, address: str, *options: str) -> AsyncIterator[Any]:
    """Run the peer program of that kind until the end of the block; the role is "serve" or "use"."""
    if kind == "qt":
        command = (await asyncio.to_thread(qt_peer), role, address, *options)
    else:
        command = (sys.executable, "-X", "faulthandler", PEERS / f"{kind}_peer.py", role, address, *options)
    async with program(kind, *command, advice="`make test` installs it", env=lab.environment()) as running:
        yield QtPeer(running) if kind == "qt" else Peer(running)
