"""What every transport promises a `Receiver`, on both loops."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from everywire.errors import LinkError
from everywire.transport import accept, dial, memory_pair
from everywire.transport import looped as looped_module
from everywire.transport import memory as memory_module
from everywire.transport import readiness as readiness_module
from tests.harness import LoopReports
from tests.transport.receivers import ONE_MIB, Accepted, HalfOpenReceiver, RecordingReceiver

pytestmark = pytest.mark.loops("asyncio", "uvloop")
AnyAddress = tuple[str, Callable[[str], str]]


async def test_both_ends_hear_each_other_and_the_end(any_address: AnyAddress) -> None:
    listen, dialled = any_address
    accepted, ours = Accepted(), RecordingReceiver()
    listener = await accept(listen, accepted)
    connection = await dial(dialled(listener.url), ours)
    assert ours.calls == ["connected"]
    connection.write(b"ping")
    theirs = await accepted.next()
    await theirs.until_size(4)
    theirs.connection.write(b"pong")
    await ours.until_size(4)
    connection.close()
    await asyncio.gather(ours.until_called("lost"), theirs.until_called("lost"))
    assert (bytes(theirs.data), bytes(ours.data)) == (b"ping", b"pong")
    assert (ours.error, theirs.error) == (None, None)
    connection.write(b"too late")
    await listener.close()


async def test_bytes_cross_both_ways_at_once_in_order(any_address: AnyAddress) -> None:
    listen, dialled = any_address
    accepted, ours = Accepted(), RecordingReceiver()
    listener = await accept(listen, accepted)
    connection = await dial(dialled(listener.url), ours)
    theirs = await accepted.next()
    there, back = os.urandom(10 * ONE_MIB), os.urandom(10 * ONE_MIB)
    for start in range(0, len(there), ONE_MIB):
        connection.write(there[start : start + ONE_MIB])
        theirs.connection.write(back[start : start + ONE_MIB])
    await theirs.until_size(len(there))
    await ours.until_size(len(back))
    assert theirs.data == there
    assert ours.data == back
    assert max(ours.longest, theirs.longest) <= 256 * 1024
    connection.close()
    await asyncio.gather(ours.until_called("lost"), theirs.until_called("lost"))
    await listener.close()


async def test_many_small_writes_arrive_whole_behind_a_stopped_reader(any_address: AnyAddress) -> None:
    listen, dialled = any_address
    accepted, ours = Accepted(), RecordingReceiver()
    listener = await accept(listen, accepted)
    connection = await dial(dialled(listener.url), ours)
    theirs = await accepted.next()
    theirs.connection.pause_reading()
    theirs.connection.pause_reading()
    parts = [f"{number:06}".encode() * 40 for number in range(10_000)]
    for part in parts:
        connection.write(part)
    theirs.connection.resume_reading()
    theirs.connection.resume_reading()
    await theirs.until_size(240 * len(parts))
    assert theirs.data == b"".join(parts)
    connection.close()
    await asyncio.gather(ours.until_called("lost"), theirs.until_called("lost"))
    await listener.close()


async def test_a_peer_that_never_reads_costs_a_bounded_amount_and_pauses_its_writer(any_address: AnyAddress) -> None:
    listen, dialled = any_address
    accepted, ours = Accepted(), RecordingReceiver()
    listener = await accept(listen, accepted)
    connection = await dial(dialled(listener.url), ours, write_limit=ONE_MIB)
    theirs = await accepted.next()
    theirs.connection.pause_reading()
    written, chunk = 0, bytes(64 * 1024)
    while "paused" not in ours.calls:
        connection.write(chunk)
        written += len(chunk)
        await asyncio.sleep(0)
    assert ONE_MIB < connection.unsent <= ONE_MIB + len(chunk) + 16 * 1024
    assert written < 32 * ONE_MIB  # the kernel's buffers and one write limit
    theirs.connection.resume_reading()
    await ours.until_called("resumed")
    assert connection.unsent <= ONE_MIB // 4
    await theirs.until_size(written)
    connection.close()
    await asyncio.gather(ours.until_called("lost"), theirs.until_called("lost"))
    assert ours.calls == ["connected", "paused", "resumed", "lost"]
    await listener.close()


async def test_close_sends_what_is_unsent_first(any_address: AnyAddress) -> None:
    listen, dialled = any_address
    accepted, ours = Accepted(), RecordingReceiver()
    listener = await accept(listen, accepted)
    connection = await dial(dialled(listener.url), ours)
    theirs = await accepted.next()
    connection.write(bytes(8 * ONE_MIB))
    connection.close()
    connection.close()
    connection.write(b"ignored")
    await asyncio.gather(ours.until_called("lost"), theirs.until_called("lost"))
    assert len(theirs.data) == 8 * ONE_MIB
    assert ours.error is None
    await listener.close()


async def test_abort_ends_both_sides_at_once_though_bytes_are_unsent(any_address: AnyAddress) -> None:
    listen, dialled = any_address
    accepted, ours = Accepted(), RecordingReceiver()
    listener = await accept(listen, accepted)
    connection = await dial(dialled(listener.url), ours)
    theirs = await accepted.next()
    theirs.connection.pause_reading()
    connection.write(bytes(16 * ONE_MIB))
    connection.abort()
    connection.abort()
    await ours.until_called("lost")
    assert ours.error is None
    assert "lost" not in theirs.calls  # a paused end is noticed when reading goes on
    theirs.connection.resume_reading()
    await theirs.until_called("lost")
    assert len(theirs.data) < 16 * ONE_MIB
    await listener.close()


async def test_a_closing_connection_is_cut_when_its_peer_takes_nothing(
    any_address: AnyAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (looped_module, memory_module, readiness_module):
        monkeypatch.setattr(module, "CLOSE_TIMEOUT", 0.02)
    listen, dialled = any_address
    accepted, ours = Accepted(), RecordingReceiver()
    listener = await accept(listen, accepted)
    connection = await dial(dialled(listener.url), ours)
    theirs = await accepted.next()
    theirs.connection.pause_reading()
    connection.write(bytes(16 * ONE_MIB))
    connection.close()
    await ours.until_called("lost")
    assert "did not take the last" in str(ours.error)
    theirs.connection.abort()
    await theirs.until_called("lost")
    await listener.close()


async def test_close_and_abort_within_callbacks_are_sound(any_address: AnyAddress) -> None:
    class Impatient(RecordingReceiver):
        def connected(self, connection: object) -> None:
            super().connected(connection)  # type: ignore[arg-type]
            self.connection.write(b"bye")
            self.connection.close()

    listen, dialled = any_address
    accepted, ours = Accepted(Impatient), RecordingReceiver()
    listener = await accept(listen, accepted)
    await dial(dialled(listener.url), ours)
    await ours.until_called("lost")
    await (await accepted.next()).until_called("lost")
    assert ours.data == b"bye"
    await listener.close()


async def test_a_failing_receiver_loses_its_own_link_only(any_address: AnyAddress, loop_reports: LoopReports) -> None:
    class Failing(RecordingReceiver):
        def received(self, data: bytes) -> None:
            raise ZeroDivisionError

    listen, dialled = any_address
    accepted = Accepted(Failing)
    listener = await accept(listen, accepted)
    first, second = RecordingReceiver(), RecordingReceiver()
    one = await dial(dialled(listener.url), first)
    two = await dial(dialled(listener.url), second)
    one.write(b"x")
    await first.until_called("lost")
    failed = await accepted.next(0)
    await failed.until_called("lost")
    assert "its receiver failed with ZeroDivisionError" in str(failed.error)
    assert isinstance(loop_reports.pop()["exception"], ZeroDivisionError)
    assert "lost" not in second.calls
    two.close()
    await second.until_called("lost")
    await (await accepted.next(1)).until_called("lost")
    await listener.close()


@pytest.mark.parametrize("any_address", ["local", "localabstract", "tcp", "tcp6", "memory"], indirect=True)
async def test_an_answer_still_goes_out_after_the_peer_has_finished(any_address: AnyAddress) -> None:
    listen, dialled = any_address
    accepted, ours = Accepted(HalfOpenReceiver), HalfOpenReceiver()
    listener = await accept(listen, accepted)
    connection = await dial(dialled(listener.url), ours)
    connection.write(b"question")
    assert connection.end()
    connection.write(b"ignored")
    theirs = await accepted.next()
    await theirs.until_called("ended")
    theirs.connection.write(b"answer")
    theirs.connection.close()
    await ours.until_called("ended")
    connection.close()
    await asyncio.gather(ours.until_called("lost"), theirs.until_called("lost"))
    assert (bytes(theirs.data), bytes(ours.data)) == (b"question", b"answer")
    assert (ours.error, theirs.error) == (None, None)
    await listener.close()


async def test_the_end_of_the_peer_comes_after_its_last_byte_though_much_is_unsent(folder: Path) -> None:
    accepted, ours = Accepted(), HalfOpenReceiver()
    listener = await accept(f"local:{folder}/x", accepted)
    connection = await dial(listener.url, ours)
    connection.write(bytes(4 * ONE_MIB))
    connection.end()
    theirs = await accepted.next()
    await theirs.until_called("lost")
    assert len(theirs.data) == 4 * ONE_MIB
    await ours.until_called("ended")
    connection.close()
    await ours.until_called("lost")
    await listener.close()


async def test_only_tls_and_websockets_cannot_end_one_direction_alone(any_address: AnyAddress) -> None:
    listen, dialled = any_address
    accepted, ours = Accepted(HalfOpenReceiver), RecordingReceiver()
    listener = await accept(listen, accepted)
    connection = await dial(dialled(listener.url), ours)
    assert connection.end() is not (connection.peer.transport in ("tls", "ws", "wss"))
    connection.close()
    theirs = await accepted.next()
    await theirs.until_called("ended")
    theirs.connection.close()
    await asyncio.gather(ours.until_called("lost"), theirs.until_called("lost"))
    await listener.close()


async def test_a_reset_is_a_loss_with_its_reason() -> None:
    accepted = Accepted()
    listener = await accept("tcp://127.0.0.1:0", accepted)
    port = int(listener.url.rpartition(":")[2])
    client = socket.create_connection(("127.0.0.1", port))
    theirs = await accepted.next()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    await theirs.until_called("lost")
    assert isinstance(theirs.error, LinkError)
    assert str(theirs.error) == "tcp connection lost: the peer cut the connection"
    await listener.close()


async def test_writing_to_a_peer_that_is_gone_is_a_loss(folder: Path) -> None:
    accepted, ours = Accepted(), HalfOpenReceiver()
    listener = await accept(f"local:{folder}/x", accepted)
    connection = await dial(listener.url, ours)
    (await accepted.next()).connection.abort()
    await ours.until_called("ended")
    connection.write(b"into the void")
    await ours.until_called("lost")
    assert isinstance(ours.error, LinkError)
    await listener.close()


async def test_memory_never_delivers_within_a_call() -> None:
    one, two = RecordingReceiver(), RecordingReceiver()
    first, second = memory_pair(one, two)
    first.write(b"a")
    first.write(b"b")
    second.write(b"c")
    assert (two.calls, one.calls) == (["connected"], ["connected"])
    await two.until_size(2)
    await one.until_size(1)
    assert bytes(two.data) == b"ab"
    first.close()
    await asyncio.gather(one.until_called("lost"), two.until_called("lost"))


async def test_a_memory_link_to_a_closed_end_is_lost_when_written() -> None:
    one, two = HalfOpenReceiver(), RecordingReceiver()
    first, second = memory_pair(one, two)
    second.abort()
    await one.until_called("ended")
    first.write(b"x")
    await one.until_called("lost")
    assert "the peer had closed" in str(one.error)
