"""The D-Bus programs every distribution has, run against an address, with what they print read into Python values.

busctl prints JSON; gdbus prints GVariant text, read by `gvariant.py`; dbus-send prints a tree, read by `printed.py`.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.dbus import lab
from tests.dbus.gvariant import gvariant
from tests.dbus.printed import printed

LIMIT: Final = 15.0
"""Seconds for a program that asks once and ends."""


@dataclass(frozen=True)
class Done:
    """How a program ended."""

    code: int
    out: str
    err: str


class ToolError(AssertionError):
    """The program reported an error. `name` is the D-Bus error's, where the program tells it."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(f"{name}: {message}" if name else message)
        self.name, self.message = name, message


async def run(*command: str, address: str | None = None, limit: float = LIMIT, stdin: bytes = b"") -> Done:
    """Run a program to its end; `address` becomes its session bus."""
    process = await asyncio.create_subprocess_exec(
        *command, env=lab.environment(address),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(limit):
            out, err = await process.communicate(stdin)
    except BaseException:
        if process.returncode is None:
            process.kill()
        await process.communicate()  # closes the pipes' transports
        raise
    assert process.returncode is not None
    return Done(process.returncode, out.decode(), err.decode())


# ------------------------------------------------------------------------------------------------------------ busctl
def busctl_command(address: str, *arguments: str) -> list[str]:
    return [lab.needs("busctl", "systemd"), f"--address={address}", "--json=short", *arguments]


async def busctl(address: str, *arguments: str) -> Any:
    """`busctl --json=short <arguments>`: the JSON, or the text where the verb prints none, or None."""
    done = await run(*busctl_command(address, *arguments))
    if done.code:
        raise ToolError("", done.err.strip())
    try:
        return json.loads(done.out) if done.out.strip() else None
    except json.JSONDecodeError:
        return done.out


async def busctl_call(
    address: str, service: str, path: str, interface: str, member: str, signature: str = "", *arguments: str
) -> list[Any]:
    """Call a method; return the arguments of the reply. Texts of arguments are as busctl(1) says."""
    given = (signature, "--", *arguments) if signature else ()
    reply = await busctl(address, "call", service, path, interface, member, *given)
    return [] if reply is None else list(reply["data"])


# ------------------------------------------------------------------------------------------------------------- gdbus
def gdbus_command(address: str, verb: str, *arguments: str) -> list[str]:
    return [lab.needs("gdbus", "libglib2.0-bin"), verb, "--address", address, *arguments]


async def gdbus_call(address: str, service: str, path: str, method: str, *arguments: str) -> tuple[Any, ...]:
    """Call `<interface>.<member>` with GVariant texts; return the arguments of the reply."""
    command = gdbus_command(address, "call", "--dest", service, "--object-path", path, "--method", method, *arguments)
    done = await run(*command)
    if done.code:
        raise _gdbus_error(done.err)
    values: tuple[Any, ...] = gvariant(done.out.strip())
    return values


async def gdbus_introspect(address: str, service: str, path: str) -> str:
    """The object's XML as GLib fetched it."""
    done = await run(*gdbus_command(address, "introspect", "--dest", service, "--object-path", path, "--xml"))
    if done.code:
        raise _gdbus_error(done.err)
    return done.out


def _gdbus_error(words: str) -> ToolError:
    found = re.match(r"Error: GDBus\.Error:([\w.]+): (.*)", words.strip(), re.DOTALL)
    return ToolError(*found.groups()) if found else ToolError("", words.strip())


# --------------------------------------------------------------------------------------------------------- dbus-send
async def dbus_send(
    address: str, service: str, path: str, method: str, *arguments: str, milliseconds: int = 25000, bus: bool = True
) -> list[Any]:
    """Call `<interface>.<member>` with `type:value` texts; return the arguments of the reply.

    Without a bus the address is that of a peer, and the service is "".
    """
    where = [f"--bus={address}" if bus else f"--peer={address}", f"--reply-timeout={milliseconds}"]
    whom = [f"--dest={service}"] if service else []
    sender = lab.needs("dbus-send", "dbus-bin")
    done = await run(sender, *where, "--print-reply", *whom, path, method, *arguments)
    if done.code:
        found = re.match(r"Error ([\w.]+): (.*)", done.err.strip(), re.DOTALL)
        raise ToolError(*found.groups()) if found else ToolError("", done.err.strip())
    return printed(done.out)


# ------------------------------------------------------------------------------------------- programs that go on
class Lines:
    """A program that goes on writing lines, as the test reads them."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.taken: list[Any] = []

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    async def line(self) -> str:
        """The next line; "" at its end."""
        assert self._process.stdout is not None
        return (await self._process.stdout.readline()).decode().rstrip("\n")

    async def fact(self, **facts: Any) -> dict[str, Any]:
        """The next JSON line with these entries; those before it go to `taken`."""
        while text := await self.line():
            fact: dict[str, Any] = json.loads(text)
            if fact.items() >= facts.items():
                return fact
            self.taken.append(fact)
        raise AssertionError(f"the program ended before it told {facts}; it told {self.taken}")


@asynccontextmanager
async def lines(
    *command: str, address: str | None = None, merged: bool = False, extra: Mapping[str, str] | None = None
) -> AsyncIterator[Lines]:
    """Run a program that goes on until the end of the block; `merged` reads what it writes to its stderr too."""
    process = await asyncio.create_subprocess_exec(
        *command, env={**lab.environment(address), **(extra or {})}, limit=16 << 20,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT if merged else asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield Lines(process)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
        await process.communicate()


@asynccontextmanager
async def monitor(address: str, *rules: str) -> AsyncIterator[Lines]:
    """`busctl monitor`, ready: each message on the bus is one fact (`type`, `member`, `payload`, …).

    Ready means: the bus has made it a monitor. It says so in a text on its stderr, before the first message.
    """
    matches = [f"--match={rule}" for rule in rules]
    async with lines(*busctl_command(address, *matches, "monitor"), merged=True) as running:
        while (text := await running.line()) and "Monitoring bus message stream" not in text:
            pass
        assert text, "busctl monitor ended before it was ready"
        yield running


# ----------------------------------------------------------------------------------------------------- dbus-test-tool
def _test_tool(*arguments: str) -> list[str]:
    return [lab.needs("dbus-test-tool", "dbus-tests"), *arguments]


@asynccontextmanager
async def black_hole(address: str, name: str, *options: str) -> AsyncIterator[Lines]:
    """A service that owns *name* and never answers; `--no-read` never reads either."""
    async with lines(*_test_tool("black-hole", f"--name={name}", *options), address=address) as running:
        await owned(address, name)
        yield running


@asynccontextmanager
async def echo(address: str, name: str, *options: str) -> AsyncIterator[Lines]:
    """A service that owns *name* and answers every call with an empty reply; `--sleep-ms=N` does so late."""
    async with lines(*_test_tool("echo", f"--name={name}", *options), address=address) as running:
        await owned(address, name)
        yield running


async def spam(address: str, service: str, *options: str, limit: float = LIMIT, stdin: bytes = b"") -> Done:
    """Call `com.example.Spam` on *service* as the options of dbus-test-tool(1) say."""
    return await run(*_test_tool("spam", f"--dest={service}", *options), address=address, limit=limit, stdin=stdin)


async def owned(address: str, name: str) -> None:
    """Wait until somebody owns *name*, without asking again and again: gdbus listens."""
    done = await run(*gdbus_command(address, "wait", "--timeout", str(int(LIMIT)), name))
    assert done.code == 0, f"nobody came to own {name}: {done.err}"


def descriptors(pid: int | None = None) -> dict[int, str]:
    """What a process has open, by descriptor."""
    found: dict[int, str] = {}
    for entry in Path(f"/proc/{os.getpid() if pid is None else pid}/fd").iterdir():
        try:
            found[int(entry.name)] = str(entry.readlink())
        except FileNotFoundError:
            continue  # what listed the folder itself
    return found


# --------------------------------------------------------------------------------------------------- python-dbusmock
MOCK: Final = "org.freedesktop.DBus.Mock"
"""The interface by which a test tells a mock what happens to what it plays."""
MOCKED: Final = {
    "upower": ("org.freedesktop.UPower", "/org/freedesktop/UPower"),
    "networkmanager": ("org.freedesktop.NetworkManager", "/org/freedesktop/NetworkManager"),
    "logind": ("org.freedesktop.login1", "/org/freedesktop/login1"),
}
"""By template: the name, and the path of the main object."""


@asynccontextmanager
async def mocked(address: str, template: str) -> AsyncIterator[Lines]:
    """python-dbusmock playing a service of the system at *address*, which must let root own its name."""
    command = (lab.system_python("dbusmock", "python3-dbusmock"), "-m", "dbusmock", "--template", template)
    async with lines(*command, extra={"DBUS_SYSTEM_BUS_ADDRESS": address}) as running:
        await owned(address, MOCKED[template][0])
        yield running
