"""Connections without a bus, with Qt, libdbus and jeepney at the other end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from everywire.dbus.session import Answer, Connection, Kind, Match, Message, serve_peers
from everywire.errors import Code, Fault
from tests.dbus import tools
from tests.dbus.pipes import pipe_with, read
from tests.dbus.programs import INTERFACE, PATH, REFUSED, Raised, peer

# The first of these compiles the C++ program.
pytestmark = [pytest.mark.interop, pytest.mark.timeout(60)]

XML = f"""<node><interface name="{INTERFACE}">
  <method name="AddOne"><arg type="i" direction="in"/><arg type="i" direction="out"/></method>
  <method name="Split"><arg type="s" direction="in"/><arg type="s" direction="out"/>
    <arg type="i" direction="out"/></method>
  <method name="Refuse"><arg type="s" direction="in"/></method>
  <method name="ReadAll"><arg type="h" direction="in"/><arg type="s" direction="out"/></method>
  <method name="OpenText"><arg type="s" direction="in"/><arg type="h" direction="out"/></method>
  <signal name="Fired"><arg type="i"/><arg type="s"/></signal>
</interface></node>"""


def answer(call: Message) -> Answer:
    """A few methods of the boiler, by hand."""
    match call.member, call.body:
        case "Introspect", ():
            return Answer("s", XML)
        case "AddOne", (int(number),):
            return Answer("i", number + 1)
        case "Split", (str(text),):
            return Answer("si", text.upper(), len(text))
        case "ReadAll", (int(place),):
            return Answer("s", read(call.fds[place]))
        case "OpenText", (str(text),):
            return Answer("h", 0, fds=(pipe_with(text),))
        case "Refuse", (str(why),):
            raise Fault(Code.FAILED_PRECONDITION, why)
    raise Fault(Code.NOT_FOUND, f"no {call.member}")


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[tuple[str, asyncio.Queue[Connection]]]:
    """A server of ours and the connections that come to it."""
    came: asyncio.Queue[Connection] = asyncio.Queue()

    def begin(connection: Connection) -> None:
        connection.handle(PATH, answer)
        came.put_nowait(connection)

    server = await serve_peers(f"unix:path={folder / 'peer'}", begin)
    try:
        yield f"unix:path={folder / 'peer'}", came
    finally:
        await server.close()


@pytest.mark.parametrize("kind", ["qt", "pyside6", "jeepney"])
async def test_other_programs_connect_to_us(kind: str, folder: Path) -> None:
    """connectToPeer of Qt asks for introspection before the first call; jeepney just calls."""
    async with serving(folder) as (address, came), peer(kind, "use", address, "--peer") as using:
        connection = await came.get()
        assert connection.peer.pid == using.program.pid
        await using.listen()
        assert await using.call("AddOne", 4) == (5,)
        assert await using.call("Split", "hall") == ("HALL", 4)
        assert await using.read_all("through a pipe") == "through a pipe"
        with pytest.raises(Raised) as refused:
            await using.call("Refuse", "not today")
        assert refused.value.message == "not today"
        connection.emit(PATH, INTERFACE, "Fired", "is", 7, "asked")
        assert await using.heard("Fired") == (7, "asked")
        await using.program.kill()
        await asyncio.shield(connection.closed)


async def test_jeepney_and_qt_take_descriptors_from_us(folder: Path) -> None:
    async with serving(folder) as (address, _):
        for kind in ("qt", "jeepney"):
            async with peer(kind, "use", address, "--peer") as using:
                assert await using.open_text("through a pipe") == "through a pipe"


async def test_dbus_send_calls_us_without_a_bus(folder: Path) -> None:
    async with serving(folder) as (address, _):
        assert await tools.dbus_send(address, "", PATH, f"{INTERFACE}.Split", "string:hall", bus=False) == ["HALL", 4]
        with pytest.raises(tools.ToolError) as failed:
            await tools.dbus_send(address, "", PATH, f"{INTERFACE}.Nothing", bus=False)
        assert "no Nothing" in failed.value.message


@pytest.mark.parametrize("kind", ["qt", "pyside6"])
async def test_we_connect_to_a_server_of_qt(kind: str, folder: Path) -> None:
    address = f"unix:path={folder / 'peer'}"
    async with peer(kind, "serve", address, "--peer") as offering:
        ours = await Connection.open(address, bus=False)
        async with ours:
            await offering.program.hear("offered")
            fired = await ours.messages(Match(interface=INTERFACE, member="Fired"))
            assert await ours.call("", PATH, INTERFACE, "AddOne", "i", 4) == (5,)
            assert await ours.call("", PATH, INTERFACE, "Split", "s", "hall") == ("HALL", 4)
            (text,) = await ours.call("", PATH, "org.freedesktop.DBus.Introspectable", "Introspect")
            assert INTERFACE in text
            assert await read_all(ours, "through a pipe") == "through a pipe"
            with pytest.raises(Fault, match=REFUSED):
                await ours.call("", PATH, INTERFACE, "Refuse", "s", "not today")
            await offering.fire(3)
            assert [(await anext(fired)).body for _ in range(3)] == [(number, "asked") for number in range(3)]


async def test_we_read_the_structures_of_qt(folder: Path) -> None:
    address = f"unix:path={folder / 'peer'}"
    async with peer("qt", "serve", address, "--peer"), await Connection.open(address, bus=False) as ours:
        changed = await ours.messages(Match(member="PropertiesChanged"))
        assert await ours.call("", PATH, INTERFACE, "Move", "(dd)", [3.0, 4.0]) == ([3.0, 4.0],)
        assert (await anext(changed)).body[1]["Spot"].value == [3.0, 4.0]
        assert await ours.call("", PATH, INTERFACE, "Tally", "as", ["a", "b", "a"]) == ({"a": 2, "b": 1},)
        rows = [[1, "a"], [2, "b"]]
        assert await ours.call("", PATH, INTERFACE, "Rows", "a(is)", rows) == (rows,)
        (values,) = await ours.call("", PATH, "org.freedesktop.DBus.Properties", "GetAll", "s", INTERFACE)
        assert values["Spot"].signature == "(dd)"


async def test_a_server_of_qt_that_dies_in_a_call_is_told(folder: Path) -> None:
    address = f"unix:path={folder / 'peer'}"
    async with peer("qt", "serve", address, "--peer") as offering, await Connection.open(address, bus=False) as ours:
        await ours.call("", PATH, INTERFACE, "AddOne", "i", 4)
        await offering.program.kill()
        with pytest.raises(Fault) as failed:
            await ours.call("", PATH, INTERFACE, "AddOne", "i", 4)
        assert failed.value.code is Code.UNAVAILABLE


async def read_all(ours: Connection, text: str) -> Any:
    parts: dict[str, Any] = {"path": PATH, "interface": INTERFACE, "member": "ReadAll", "signature": "h", "body": (0,)}
    (text,) = (await ours.ask(Message(kind=Kind.CALL, fds=(pipe_with(text),), **parts))).body
    return text
