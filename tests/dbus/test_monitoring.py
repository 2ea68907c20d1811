"""What becomes of a connection that becomes a monitor."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from everywire import LocalProtocolError
from everywire.dbus.session import BUS, Connection, Kind, Message
from tests.laws.dbus import write_message

GUID = b"0123456789abcdef0123456789abcdef"


def said(kind: Kind, **fields: object) -> bytes:
    """What the bus says, as bytes; it numbers nothing."""
    sender = {"sender": BUS} if kind is Kind.RETURN else {"sender": ":1.7"}
    return write_message(Message(kind=kind, **{**sender, **fields}), 1, "<")  # type: ignore[arg-type]


async def test_what_comes_with_the_answer_that_makes_a_monitor_is_heard_and_not_answered(folder: Path) -> None:
    """A bus throws a monitor off that sends anything, also an answer to the call of another that it was shown."""
    after: list[bytes] = []

    async def bus(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n")
        writer.write(b"OK " + GUID + b"\r\n")
        if b"NEGOTIATE" in await reader.readuntil(b"\r\n"):
            writer.write(b"ERROR\r\n")
            await reader.readuntil(b"BEGIN\r\n")
        await reader.readuntil(b"Hello\0")
        writer.write(said(Kind.RETURN, reply_serial=1, signature="s", body=(":1.1",)))
        await reader.readuntil(b"BecomeMonitor\0")
        other = {"path": "/a", "interface": "a.b"}
        writer.write(
            said(Kind.RETURN, reply_serial=2)
            + said(Kind.CALL, member="First", destination="a.b", **other)
            + said(Kind.SIGNAL, member="Second", **other)
        )
        after.append(await reader.read())  # until it is closed
        writer.close()

    server = await asyncio.start_unix_server(bus, f"{folder}/bus")
    async with await Connection.open(f"unix:path={folder}/bus") as monitor:
        heard = await monitor.monitor()
        assert [(await anext(heard)).member for _ in range(2)] == ["First", "Second"]
        with pytest.raises(LocalProtocolError, match="a monitor only listens"):
            monitor.emit("/a", "a.b", "Third")
    server.close()
    await server.wait_closed()
    while not after:
        await asyncio.sleep(0)
    assert b"First" not in after[0]
    assert after[0].count(b"l\1") + after[0].count(b"l\3") == 0, "nothing was sent after the rest of BecomeMonitor"
