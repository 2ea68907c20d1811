"""The programs `busctl` (of systemd) and `gdbus` (of GLib) as users of the plant on a bus."""

from __future__ import annotations

import ast
import asyncio
import re
import shutil
from contextlib import suppress
from typing import Any, Final, Self, cast

import msgspec

from everywire.cli.demo.buses import PATH, SERVICE, Bus
from everywire.cli.demo.crew import Crew, Worker

PROPERTIES: Final = "org.freedesktop.DBus.Properties"
PEER: Final = "org.freedesktop.DBus.Peer"
THERMOSTAT: Final = (f"{PATH}/thermostat", f"{SERVICE}.Thermostat1")
PUMP: Final = (f"{PATH}/pump", f"{SERVICE}.Pump1")
HEARS_SOON: Final = 0.5
"""Seconds within which a monitor shows what passes, once it has begun."""


class BusTool:
    """A program that calls and monitors, a process for each call."""

    def __init__(self, crew: Crew, program: str, bus: Bus, monitor: Worker) -> None:
        self._crew, self._program, self._bus, self._monitor = crew, program, bus, monitor

    async def read(self) -> dict[str, Any]:
        """See `User`."""
        room, pump = await asyncio.gather(self._all(*THERMOSTAT), self._all(*PUMP))
        celsius, sensor = room["Last"]
        numbers = {name: room[name.title()] for name in ("target", "current", "remaining", "error")}
        return {**numbers, "last": {"celsius": celsius, "sensor": sensor}, "mode": pump["Mode"], "flow": pump["Flow"]}

    async def act(self, target: float, minutes: int) -> dict[str, Any]:
        """See `User`."""
        path, interface = THERMOSTAT
        await self._set_target(target)
        (seconds,) = await self._boost(minutes)
        (pushed,) = await self._call(path, PROPERTIES, "Get", interface, "Target")
        return {"pushed": pushed, "result": seconds}

    async def hear(self) -> dict[str, Any]:
        """See `User`."""
        current: Any = None
        while True:
            member, values = await self._heard()
            if member == "Overheated":
                return {"signal": list(values), "change": current}
            if member == "PropertiesChanged" and values[0] == THERMOSTAT[1]:
                current = values[1].get("Current", current)

    async def _all(self, path: str, interface: str) -> dict[str, Any]:
        (values,) = await self._call(path, PROPERTIES, "GetAll", interface)
        found: dict[str, Any] = values
        return found

    async def _call(self, path: str, interface: str, member: str, *texts: str) -> Any:
        """Call a method with texts as arguments; return what it returned."""
        raise NotImplementedError

    async def _set_target(self, target: float) -> None:
        raise NotImplementedError

    async def _boost(self, minutes: int) -> Any:
        raise NotImplementedError

    async def _heard(self) -> tuple[str, Any]:
        """Return the next message that it shows: member and values."""
        raise NotImplementedError


class Busctl(BusTool):
    """The program `busctl`, which knows JSON."""

    @classmethod
    async def start(cls, crew: Crew, program: str, bus: Bus) -> Self:
        """Begin to monitor."""
        options = (f"--address={bus.address}", "--json=short", "monitor", SERVICE)
        monitor = await crew.start("busctl, monitoring,", *options, program=program, obeys=False)
        user = cls(crew, program, bus, monitor)
        while not await user._has_begun():
            pass
        return user

    async def _has_begun(self) -> bool:
        """Let something pass, and return whether it was shown: that it has begun it does not say."""
        await self._call(THERMOSTAT[0], PEER, "Ping")
        with suppress(TimeoutError):
            async with asyncio.timeout(HEARS_SOON):
                return bool(await self._monitor.line())
        return False

    async def _call(self, path: str, interface: str, member: str, *texts: str) -> Any:
        signature = ("s" * len(texts),) if texts else ()
        return await self._typed(path, interface, member, *signature, *texts)

    async def _set_target(self, target: float) -> None:
        path, interface = THERMOSTAT
        await self._typed(path, PROPERTIES, "Set", "ssv", interface, "Target", "d", str(target))

    async def _boost(self, minutes: int) -> Any:
        return await self._typed(*THERMOSTAT, "Boost", "q", str(minutes))

    async def _typed(self, path: str, interface: str, member: str, *words: str) -> Any:
        options = (f"--address={self._bus.address}", "--json=short", "call", SERVICE, path, interface, member, *words)
        line = await self._crew.output("busctl", *options, program=self._program)
        return _bare(msgspec.json.decode(line)["data"]) if line else []

    async def _heard(self) -> tuple[str, Any]:
        message = msgspec.json.decode(await self._monitor.line())
        return message.get("member", ""), _bare(message["payload"].get("data", []))


class Gdbus(BusTool):
    """The program `gdbus`, which prints GVariant's text."""

    @classmethod
    async def start(cls, crew: Crew, program: str, bus: Bus) -> Self:
        """Begin to monitor."""
        options = ("monitor", "--address", bus.address, "--dest", SERVICE)
        monitor = await crew.start("gdbus, monitoring,", *options, program=program, obeys=False)
        while b" is owned by " not in await monitor.line():
            pass
        return cls(crew, program, bus, monitor)

    async def _call(self, path: str, interface: str, member: str, *texts: str) -> Any:
        method = ("--method", f"{interface}.{member}", *texts)
        options = ("call", "--address", self._bus.address, "--dest", SERVICE, "--object-path", path, *method)
        return read_gvariant((await self._crew.output("gdbus", *options, program=self._program)).decode())

    async def _set_target(self, target: float) -> None:
        path, interface = THERMOSTAT
        await self._call(path, PROPERTIES, "Set", interface, "Target", f"<{target!r}>")

    async def _boost(self, minutes: int) -> Any:
        return await self._call(*THERMOSTAT, "Boost", str(minutes))

    async def _heard(self) -> tuple[str, Any]:
        line = (await self._monitor.line()).decode()
        member, _, values = line.partition(": ")[2].partition(" ")
        return member.rpartition(".")[2], read_gvariant(values)


async def invite_tool(crew: Crew, bus: Bus) -> tuple[str, BusTool] | None:
    """Return the program that is installed, with its name; None where neither is."""
    if program := shutil.which("busctl"):
        return "busctl", await Busctl.start(crew, program, bus)
    if program := shutil.which("gdbus"):
        return "gdbus", await Gdbus.start(crew, program, bus)
    return None


def _bare(data: Any) -> Any:
    """Return values as busctl writes them without the types of variants."""
    if isinstance(data, list):
        return [_bare(item) for item in cast("list[Any]", data)]
    if not isinstance(data, dict):
        return data
    parts = cast("dict[str, Any]", data)
    return _bare(parts["data"]) if parts.keys() == {"type", "data"} else {k: _bare(v) for k, v in parts.items()}


_TOKENS: Final = re.compile(
    r"""(?P<text>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")|(?P<type>@\S+\s|\b(?:u?int(?:16|32|64)|byte|double)\s|[<>])"""
    r"""|(?P<truth>\b(?:true|false)\b)"""
)


def read_gvariant(text: str) -> Any:
    """Return the value that GVariant's text *text* stands for; types and variants are left out."""

    def python(found: re.Match[str]) -> str:
        return found["text"] or (found["truth"] or "").title()

    return ast.literal_eval(_TOKENS.sub(python, text.strip()))
