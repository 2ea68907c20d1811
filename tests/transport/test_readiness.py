"""What only our own reader and writer can get wrong; what all links promise is in test_links.py."""

from __future__ import annotations

import asyncio
import errno
import socket
from typing import Any, cast

import pytest

from everywire.transport import Connection, Peer
from everywire.transport.readiness import Ends, ReadinessLink, SocketEnds
from tests.harness import LoopReports
from tests.transport.receivers import ONE_MIB, HalfOpenReceiver, RecordingReceiver


class SocketWithoutSendmsg:
    """A socket as on Windows: no gathering writes."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.fileno, self.recv_into, self.send = sock.fileno, sock.recv_into, sock.send
        self.shutdown, self.close = sock.shutdown, sock.close


def ends_of(*socks: socket.socket) -> list[Ends]:
    for sock in socks:
        sock.setblocking(False)
    return [SocketEnds(sock) for sock in socks]


def link(ends: Ends, receiver: RecordingReceiver) -> ReadinessLink:
    made = ReadinessLink(ends, receiver, Peer(transport="local"))
    made.start()
    return made


async def test_systems_without_gathering_writes_send_part_by_part() -> None:
    one, two = socket.socketpair()
    one.setblocking(False)
    plain = SocketEnds(cast("Any", SocketWithoutSendmsg(one)))
    ours, theirs = RecordingReceiver(), RecordingReceiver()
    sender, receiver = link(plain, ours), link(ends_of(two)[0], theirs)
    parts = [bytes([number]) * 50_000 for number in range(100)]
    for part in parts:
        sender.write(part)
    await theirs.until_size(5_000_000)
    assert theirs.data == b"".join(parts)
    sender.close()
    await asyncio.gather(ours.until_called("lost"), theirs.until_called("lost"))
    assert receiver.unsent == 0


async def test_a_receiver_that_fails_in_connected_has_its_socket_closed() -> None:
    class Failing(RecordingReceiver):
        def connected(self, connection: Connection) -> None:
            connection.write(bytes(ONE_MIB))
            raise ZeroDivisionError

    one, two = socket.socketpair()
    receiver = Failing()
    with two:
        with pytest.raises(ZeroDivisionError):
            link(ends_of(one)[0], receiver)
        await receiver.until_called("lost")
    assert one.fileno() == -1


async def test_a_readiness_that_was_not_one_is_ignored() -> None:
    """As when another process read from a shared descriptor first."""
    one, two = socket.socketpair()
    ours, theirs = RecordingReceiver(), RecordingReceiver()
    first, second = (link(ends, receiver) for ends, receiver in zip(ends_of(one, two), (ours, theirs), strict=True))
    first._readable()
    second.pause_reading()
    first.write(bytes(4 * ONE_MIB))
    first._writable()
    assert (ours.calls, theirs.calls) == (["connected", "paused"], ["connected"])
    first.abort()
    second.abort()
    await asyncio.gather(ours.until_called("lost"), theirs.until_called("lost"))


async def test_a_write_that_fails_later_is_a_loss() -> None:
    one, two = socket.socketpair()
    ours = HalfOpenReceiver()
    sender = link(ends_of(one)[0], ours)
    sender.write(bytes(4 * ONE_MIB))
    two.close()
    await ours.until_called("lost")
    assert "the peer" in str(ours.error)


async def test_an_end_that_cannot_be_told_is_a_loss() -> None:
    class Broken(SocketEnds):
        def end(self) -> None:
            raise OSError(errno.ENOTCONN, "not connected")

    one, two = socket.socketpair()
    one.setblocking(False)
    ours = RecordingReceiver()
    with two:
        assert link(Broken(one), ours).end()
        await ours.until_called("lost")
    assert "endpoint is not connected" in str(ours.error)


async def test_resumed_may_write_close_and_abort() -> None:
    class Talkative(RecordingReceiver):
        def resumed(self) -> None:
            super().resumed()
            self.connection.write(b"last words")
            self.connection.close()

    class Impatient(RecordingReceiver):
        def resumed(self) -> None:
            super().resumed()
            self.connection.abort()

    for kind, end in ((Talkative, b"last words"), (Impatient, b"")):
        one, two = socket.socketpair()
        ours, theirs = kind(), RecordingReceiver()
        sender, receiver = link(ends_of(one)[0], ours), link(ends_of(two)[0], theirs)
        receiver.pause_reading()
        sender.write(bytes(4 * ONE_MIB))
        receiver.resume_reading()
        await asyncio.gather(ours.until_called("lost"), theirs.until_called("lost"))
        assert ours.calls == ["connected", "paused", "resumed", "lost"]
        assert theirs.data.endswith(end)
        assert (len(theirs.data) == 4 * ONE_MIB + len(end)) is bool(end)


async def test_received_may_abort_its_own_link(loop_reports: LoopReports) -> None:
    class Offended(RecordingReceiver):
        def received(self, data: bytes) -> None:
            super().received(data)
            self.connection.abort()

    one, two = socket.socketpair()
    ours, theirs = RecordingReceiver(), Offended()
    sender, _ = link(ends_of(one)[0], ours), link(ends_of(two)[0], theirs)
    sender.write(b"x")
    await asyncio.gather(ours.until_called("lost"), theirs.until_called("lost"))
    assert not loop_reports
