"""The public byte streams: reading to a border, bounded memory, and clean ends."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from everywire.errors import LimitExceeded, LinkError, LocalProtocolError
from everywire.transport import ByteStream, dial, listen, memory_pair, open_stream
from everywire.transport.reading import READ_SIZE
from everywire.transport.stream import READ_LIMIT
from tests.harness import LoopReports
from tests.transport.receivers import ONE_MIB, RecordingReceiver, echo

pytestmark = pytest.mark.loops("asyncio", "uvloop")
AnyAddress = tuple[str, Callable[[str], str]]


def pair() -> tuple[ByteStream, ByteStream]:
    one, two = ByteStream(), ByteStream()
    memory_pair(one, two)
    return one, two


async def test_a_program_moves_to_another_transport_by_its_address_alone(any_address: AnyAddress) -> None:
    address, dialled = any_address
    data = os.urandom(4 * ONE_MIB)
    async with listen(address, echo) as listener, open_stream(dialled(listener.url)) as stream:
        await stream.write(b"one\ntwo\n")
        assert await stream.read_until(b"\n") == b"one\n"
        assert await stream.read_exactly(4) == b"two\n"
        async with asyncio.TaskGroup() as both:
            both.create_task(stream.write(data))
            reading = both.create_task(stream.read_exactly(len(data)))
        assert reading.result() == data


async def test_read_gives_what_is_there_and_then_the_end() -> None:
    one, two = pair()
    await one.write(b"abcdef")
    assert await two.read(4) == b"abcd"
    assert await two.read() == b"ef"
    assert one.end()
    assert await two.read() == b""
    assert await two.read() == b""
    await two.write(b"answer")
    assert await one.read() == b"answer"
    await asyncio.gather(one.aclose(), two.aclose())


async def test_read_exactly_takes_nothing_when_the_stream_ends_before() -> None:
    one, two = pair()
    await one.write(b"abc")
    one.end()
    with pytest.raises(LinkError, match="the stream ended after 3 of 4 bytes"):
        await two.read_exactly(4)
    assert await two.read_exactly(0) == b""
    assert await two.read() == b"abc"
    await asyncio.gather(one.aclose(), two.aclose())


async def test_read_exactly_may_want_more_than_the_read_limit() -> None:
    one, two = pair()
    data = os.urandom(3 * READ_LIMIT + 1)
    async with asyncio.TaskGroup() as both:
        both.create_task(one.write(data))
        reading = both.create_task(two.read_exactly(len(data)))
    assert reading.result() == data
    await asyncio.gather(one.aclose(), two.aclose())


async def test_read_until_finds_a_separator_cut_anywhere() -> None:
    one, two = pair()
    reading = asyncio.get_running_loop().create_task(two.read_until(b"\r\n"))
    for byte in b"line\r\r\nrest":
        await one.write(bytes([byte]))
        await asyncio.sleep(0)
    assert await reading == b"line\r\r\n"
    assert await two.read() == b"rest"
    await asyncio.gather(one.aclose(), two.aclose())


async def test_read_until_stops_at_its_limit_and_takes_nothing() -> None:
    one, two = pair()
    await one.write(b"x" * 10 + b"\n")
    with pytest.raises(LimitExceeded, match=r"no b'\\n' within 10 bytes; raise limit="):
        await two.read_until(b"\n", limit=10)
    assert await two.read_until(b"\n", limit=11) == b"x" * 10 + b"\n"
    await asyncio.gather(one.aclose(), two.aclose())


async def test_read_until_tells_that_the_stream_ended_before() -> None:
    one, two = pair()
    await one.write(b"half a line")
    one.end()
    with pytest.raises(LinkError, match="ended after 11 bytes without"):
        await two.read_until(b"\n")
    for impossible in (two.read_until(b""), two.read(0), two.read(-1), two.read_exactly(-1)):
        with pytest.raises(ValueError, match=r"cannot read|empty separator"):
            await impossible
    await asyncio.gather(one.aclose(), two.aclose())


async def test_two_readers_are_a_mistake_that_is_named() -> None:
    one, two = pair()
    reading = asyncio.get_running_loop().create_task(two.read())
    await asyncio.sleep(0)
    with pytest.raises(LocalProtocolError, match="another task reads"):
        await two.read()
    await one.write(b"x")
    assert await reading == b"x"
    await asyncio.gather(one.aclose(), two.aclose())


async def test_a_cancelled_read_loses_nothing() -> None:
    one, two = pair()
    reading = asyncio.get_running_loop().create_task(two.read_exactly(6))
    await one.write(b"abc")
    await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await one.write(b"def")
    assert await two.read_exactly(6) == b"abcdef"
    await asyncio.gather(one.aclose(), two.aclose())


async def test_what_nobody_reads_stays_bounded_and_write_waits(any_address: AnyAddress) -> None:
    address, dialled = any_address
    streams: list[ByteStream] = []
    ours, accepted = asyncio.Event(), asyncio.Event()

    async def keep(stream: ByteStream) -> None:
        streams.append(stream)
        accepted.set()
        await ours.wait()
        total = 0
        while data := await stream.read():
            total += len(data)
        assert total == 64 * ONE_MIB

    async with listen(address, keep) as listener, open_stream(dialled(listener.url)) as stream:
        writing = asyncio.get_running_loop().create_task(self_writing(stream))
        await accepted.wait()
        while not streams[0]._stopped_peer or stream._drained.is_set():
            await asyncio.sleep(0)
        assert len(streams[0]._buffer) <= READ_LIMIT + READ_SIZE
        assert not writing.done()
        ours.set()
        await writing


async def self_writing(stream: ByteStream) -> None:
    for _ in range(64):
        await stream.write(bytes(ONE_MIB))


async def test_a_write_that_waits_ends_when_the_peer_is_lost(folder: Path) -> None:
    async def leave(stream: ByteStream) -> None:
        await stream.read_exactly(1)
        stream.abort()

    async with listen(f"local:{folder}/x", leave) as listener, open_stream(listener.url) as stream:
        with pytest.raises(LinkError, match="lost"):
            while True:
                await stream.write(bytes(ONE_MIB))
        with pytest.raises(LinkError):
            await stream.write(b"x")


async def test_a_closed_stream_says_so() -> None:
    one, two = pair()
    await one.aclose()
    await one.aclose()
    with pytest.raises(LinkError, match="the stream is closed"):
        await one.write(b"x")
    assert await one.read() == b""
    assert await two.read() == b""
    await two.aclose()


async def test_bytes_before_a_loss_are_read_before_the_error() -> None:
    stream = ByteStream()
    stream.received(b"last words")
    stream.lost(LinkError("the peer cut the connection"))
    assert await stream.read() == b"last words"
    for _ in range(2):
        with pytest.raises(LinkError, match="cut the connection"):
            await stream.read()


async def test_leaving_by_an_exception_closes_at_once_and_passes_it_on(folder: Path) -> None:
    async with listen(f"local:{folder}/x", echo) as listener:
        left: list[ByteStream] = []
        with pytest.raises(ZeroDivisionError):
            async with open_stream(listener.url) as stream:
                left.append(stream)
                raise ZeroDivisionError
        with pytest.raises(LinkError, match="the stream is closed"):
            while True:
                await left[0].write(b"x")
                await asyncio.sleep(0)


async def test_an_exception_within_listen_is_passed_on_as_it_is(folder: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        async with listen(f"local:{folder}/x", echo):
            raise ZeroDivisionError


async def test_leaving_listen_cancels_the_handlers_and_waits_for_them(folder: Path) -> None:
    ends: list[str] = []
    started = asyncio.Event()

    async def handler(stream: ByteStream) -> None:
        started.set()
        try:
            await stream.read()
        finally:
            await asyncio.sleep(0)
            ends.append("cleaned up")

    receiver = RecordingReceiver()
    async with listen(f"local:{folder}/x", handler) as listener:
        await dial(listener.url, receiver)
        await started.wait()
    assert ends == ["cleaned up"]
    with pytest.raises(LinkError):
        await dial(listener.url, RecordingReceiver())
    await receiver.until_called("lost")


async def test_a_failing_handler_is_reported_and_costs_its_connection_only(
    folder: Path, loop_reports: LoopReports
) -> None:
    async def handler(stream: ByteStream) -> None:
        if await stream.read() == b"fail":
            raise ZeroDivisionError
        await stream.write(b"fine")

    async with (
        listen(f"local:{folder}/x", handler) as listener,
        open_stream(listener.url) as bad,
        open_stream(listener.url) as good,
    ):
        await bad.write(b"fail")
        assert await bad.read() == b""
        assert isinstance(loop_reports.pop()["exception"], ZeroDivisionError)
        await good.write(b"work")
        assert await good.read() == b"fine"
        assert await good.read() == b""


async def test_a_handler_that_returns_sends_its_last_bytes(any_address: AnyAddress) -> None:
    address, dialled = any_address

    async def give(stream: ByteStream) -> None:
        await stream.read_exactly(1)
        await stream.write(bytes(3 * ONE_MIB))

    async with listen(address, give) as listener, open_stream(dialled(listener.url)) as stream:
        await stream.write(b"?")
        assert len(await stream.read_exactly(3 * ONE_MIB)) == 3 * ONE_MIB
        assert await stream.read() == b""
