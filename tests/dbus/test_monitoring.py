"""What becomes of a connection that becomes a monitor."""

from __future__ import annotations

from pathlib import Path

import pytest

from everywire import LocalProtocolError
from everywire.dbus.session import Answer, Connection, Kind, Message, serve_peers


async def test_what_comes_with_the_answer_that_makes_a_monitor_is_heard_and_not_answered(folder: Path) -> None:
    """A bus throws a monitor off that sends anything, also an answer to the call of another that it was shown."""
    sent: list[Message] = []

    def on_connection(bus: Connection) -> None:
        def answer(call: Message) -> Answer | None:
            sent.append(call)
            if call.member == "Hello":
                return Answer("s", ":1.1")
            bus.reply(call)  # and in the same breath what others say
            bus.send(Message(kind=Kind.CALL, path="/a", interface="a.b", member="First", destination="a.b"))
            bus.emit("/a", "a.b", "Second")
            return None

        bus.handle("/org/freedesktop/DBus", answer)

    server = await serve_peers(f"unix:path={folder}/bus", on_connection)
    async with await Connection.open(f"unix:path={folder}/bus") as monitor:
        heard = await monitor.monitor()
        assert [(await anext(heard)).member for _ in range(2)] == ["First", "Second"]
        with pytest.raises(LocalProtocolError, match="a monitor only listens"):
            monitor.emit("/a", "a.b", "Third")
    await server.close()
    assert [call.member for call in sent] == ["Hello", "BecomeMonitor"]
