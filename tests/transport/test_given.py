"""Connections over streams that somebody else has made."""

from __future__ import annotations

import asyncio
import os
import pty
import socket
import tty
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from everywire.errors import LinkError, ModelError
from everywire.transport import Peer
from everywire.transport import given as given_module
from everywire.transport.given import link_stream
from tests.harness import LoopReports
from tests.transport.receivers import ONE_MIB, RecordingReceiver

pytestmark = pytest.mark.loops("asyncio", "uvloop")


class Ends:
    """Two linked streams and what runs them."""

    def __init__(self, one: Any, two: Any) -> None:
        self.streams = one, two
        self.receivers = RecordingReceiver(), RecordingReceiver()
        self.links: list[Any] = []


@asynccontextmanager
async def linked(one: Any, two: Any, *, peer: Peer | None = None, kind: Any = RecordingReceiver) -> AsyncIterator[Any]:
    """Link both streams, and run what has to be run; gives the receivers."""
    receivers = kind(), kind()
    async with asyncio.TaskGroup() as running:
        for stream, receiver in zip((one, two), receivers, strict=True):
            _, run = await link_stream(stream, receiver, write_limit=ONE_MIB, peer=peer)
            if run is not None:
                running.create_task(run)
        yield receivers
        for receiver in receivers:
            receiver.connection.close()
            await receiver.until_called("lost")


async def sockets(_: Path) -> tuple[Any, Any]:
    return socket.socketpair()


async def readers_and_writers(folder: Path) -> tuple[Any, Any]:
    arrived: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    path = str(folder / "s")
    server = await asyncio.start_unix_server(lambda *pair: arrived.set_result(pair), path)
    one = await asyncio.open_unix_connection(path)
    two = await arrived
    server.close()
    return one, two


async def mixed(folder: Path) -> tuple[Any, Any]:
    left, right = socket.socketpair()
    return left, await asyncio.open_unix_connection(sock=right)


KINDS = [sockets, readers_and_writers, mixed]


@pytest.mark.parametrize("make", KINDS)
async def test_bytes_cross_both_ways_in_order(make: Callable[[Path], Any], tmp_path: Path) -> None:
    there, back = os.urandom(2 * ONE_MIB), os.urandom(2 * ONE_MIB)
    async with linked(*await make(tmp_path)) as (one, two):
        for start in range(0, len(there), 65_536):
            one.connection.write(there[start : start + 65_536])
            two.connection.write(back[start : start + 65_536])
        await two.until_size(len(there))
        await one.until_size(len(back))
        assert (one.data, two.data) == (back, there)
    assert (one.error, two.error) == (None, None)


@pytest.mark.parametrize("make", KINDS)
async def test_closing_sends_what_is_unsent_and_the_other_end_hears_the_end(
    make: Callable[[Path], Any], tmp_path: Path
) -> None:
    async with linked(*await make(tmp_path)) as (one, two):
        one.connection.write(bytes(4 * ONE_MIB))
        one.connection.close()
        one.connection.write(b"ignored")
        await two.until_called("lost")
        await one.until_called("lost")
        assert len(two.data) == 4 * ONE_MIB
        assert one.connection.unsent == 0


async def test_a_reader_that_stops_pauses_its_writer_and_aborting_drops_the_rest(tmp_path: Path) -> None:
    async with linked(*await readers_and_writers(tmp_path)) as (one, two):
        two.connection.pause_reading()
        written = 0
        while "paused" not in one.calls:
            one.connection.write(bytes(65_536))
            written += 65_536
            await asyncio.sleep(0)
        assert ONE_MIB < one.connection.unsent <= ONE_MIB + 65_536
        two.connection.resume_reading()
        await one.until_called("resumed")
        await two.until_size(written)
        two.connection.pause_reading()
        one.connection.write(bytes(16 * ONE_MIB))
        one.connection.abort()
        await one.until_called("lost")
        assert one.error is None
        two.connection.resume_reading()
        await two.until_called("lost")
        assert len(two.data) < written + 16 * ONE_MIB


async def test_a_closing_pair_is_cut_when_nobody_takes_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(given_module, "CLOSE_TIMEOUT", 0.02)
    async with linked(*await readers_and_writers(tmp_path)) as (one, two):
        two.connection.pause_reading()
        one.connection.write(bytes(16 * ONE_MIB))
        one.connection.close()
        await one.until_called("lost")
        assert "did not take the last" in str(one.error)
        two.connection.abort()


async def test_a_failing_receiver_ends_its_own_link(tmp_path: Path, loop_reports: LoopReports) -> None:
    class Failing(RecordingReceiver):
        def received(self, data: bytes) -> None:
            raise ZeroDivisionError

    async with linked(*await readers_and_writers(tmp_path), kind=Failing) as (one, two):
        one.connection.write(b"x")
        await two.until_called("lost")
        assert "its receiver failed with ZeroDivisionError" in str(two.error)
    assert isinstance(loop_reports.pop()["exception"], ZeroDivisionError)


async def test_an_error_of_the_stream_is_a_loss_with_its_name() -> None:
    class Broken:
        """A channel of a library whose errors are its own."""

        closed = False

        async def read(self, _: int) -> bytes:
            raise LookupError("channel 7 is gone")

        def write(self, data: bytes) -> None: ...

        async def drain(self) -> None: ...

        def close(self) -> None:
            self.closed = True

    receiver, broken = RecordingReceiver(), Broken()
    _, run = await link_stream((broken, broken), receiver, write_limit=ONE_MIB)
    assert run is not None
    await run
    assert str(receiver.error) == "stream connection lost: LookupError: channel 7 is gone"
    assert broken.closed


async def test_a_terminal_line_is_a_stream() -> None:
    master, line = pty.openpty()
    tty.setraw(line)
    async with linked(os.fdopen(master, "r+b", 0), os.fdopen(line, "r+b", 0)) as (one, two):
        one.connection.write(bytes(range(256)))
        two.connection.write(b"answer")
        await two.until_size(256)
        await one.until_size(6)
        assert two.data == bytes(range(256))
        two.connection.close()
        await two.until_called("lost")
        await one.until_called("lost")  # the line is gone: EIO


async def test_who_the_other_end_is_says_the_kernel_or_who_gives_the_stream(tmp_path: Path) -> None:
    async with linked(*socket.socketpair()) as (one, two):
        assert one.connection.peer.uid == two.connection.peer.uid == os.getuid()
    known = Peer(transport="ssh", subject="CN=maintenance", encrypted=True)
    for make in (sockets, readers_and_writers):
        async with linked(*await make(tmp_path), peer=known) as (one, _):
            assert one.connection.peer == known
    async with linked(*await readers_and_writers(tmp_path)) as (one, _):
        assert one.connection.peer == Peer(transport="stream")


@pytest.mark.parametrize("thing", [b"bytes", 7, None])
async def test_what_is_no_stream_is_told_what_one_is(thing: Any) -> None:
    with pytest.raises(ModelError, match=r"is no stream; one is a connected socket, an object with fileno\(\), or"):
        await link_stream(thing, RecordingReceiver(), write_limit=ONE_MIB)


async def test_a_socket_that_is_not_connected_is_refused() -> None:
    with socket.socket() as unconnected, pytest.raises(LinkError, match="the socket that was given is not connected"):
        await link_stream(unconnected, RecordingReceiver(), write_limit=ONE_MIB)
