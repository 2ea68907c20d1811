"""The pump between an outbox, which never waits, and a `send` that does."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from everywire.http.outgoing import Pump


class Client:
    """Takes frames when it is let; notes them, and how its pump says that it keeps up."""

    def __init__(self, limit: int = 100) -> None:
        self.taken: list[Any] = []
        self.words: list[str] = []
        self.open = asyncio.Event()
        self.open.set()
        self.error: Exception | None = None
        self.pump = Pump(self.send, self, limit)

    async def send(self, frame: Any) -> None:
        await self.open.wait()
        if self.error is not None:
            raise self.error
        self.taken.append(frame)

    def congested(self) -> None:
        self.words.append("congested")

    def relieved(self) -> None:
        self.words.append("relieved")

    def cut(self) -> None:
        self.words.append("cut")


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_frames_are_sent_one_by_one_in_order_and_the_last_word_ends() -> None:
    client = Client()
    async with asyncio.TaskGroup() as group:
        running = group.create_task(client.pump.run())
        client.pump.write((b"one", b"two"))
        await turns()
        assert client.taken == [b"one", b"two"]
        client.pump.write((b"three",))
        client.pump.end("bye")
        client.pump.write((b"too late",))
        client.pump.end("bye again")
        await running
    assert client.taken == [b"one", b"two", b"three", "bye"]
    assert client.words == []


async def test_what_waits_is_measured_and_told_once_each_way() -> None:
    client = Client(limit=100)
    client.open.clear()
    async with asyncio.TaskGroup() as group:
        group.create_task(client.pump.run())
        client.pump.write((b"x" * 60, b"x" * 40))
        assert client.words == []
        client.pump.write((b"x" * 10,))
        client.pump.write((b"x" * 10,))
        assert client.words == ["congested"]
        await turns()
        client.open.set()
        await turns()
        assert client.words == ["congested", "relieved"]
        client.pump.write((b"x" * 101,))
        await turns()
        assert client.words == ["congested", "relieved", "congested", "relieved"]
        client.pump.end("bye")


async def test_a_frame_on_its_way_counts_until_it_is_taken() -> None:
    client = Client(limit=100)
    client.open.clear()
    async with asyncio.TaskGroup() as group:
        group.create_task(client.pump.run())
        client.pump.write((b"x" * 90,))
        await turns()
        client.pump.write((b"x" * 20,))
        assert client.words == ["congested"]
        client.open.set()
        client.pump.end("bye")


@pytest.mark.parametrize("error", [OSError("gone"), RuntimeError("after close"), ValueError("odd")])
async def test_a_client_that_has_left_ends_the_pump_and_nothing_is_kept(error: Exception) -> None:
    client = Client()
    client.error = error
    client.pump.write((b"one", b"two"))
    await client.pump.run()
    client.pump.write((b"x" * 1000,))
    assert client.words == []
    assert client.taken == []


async def test_an_outbox_cuts_its_client_through_the_pump() -> None:
    client = Client()
    client.open.clear()
    async with asyncio.TaskGroup() as group:
        running = group.create_task(client.pump.run())
        client.pump.write((b"one", b"two"))
        await turns()
        client.pump.abort()
        assert client.words == ["cut"]
        client.open.set()
        await running
    assert client.taken == [b"one"], "the frame that was on its way, and nothing after it"


async def test_a_cancelled_pump_takes_nothing_more() -> None:
    client = Client()
    client.open.clear()
    async with asyncio.TaskGroup() as group:
        running = group.create_task(client.pump.run())
        client.pump.write((b"one",))
        await turns()
        running.cancel()
    client.open.set()
    client.pump.write((b"x" * 1000,))
    assert (client.taken, client.words) == ([], [])
