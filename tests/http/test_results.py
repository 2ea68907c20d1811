"""Streams of slots: items as they are pulled, the end, failures, and clients that leave or do not read."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from everywire import Limits, Object, Policy, Role, slot
from tests.http.peers import Thermostat, served, until


async def test_items_are_lines() -> None:
    async with served(hall=Thermostat()) as host:
        answer = await host.call("hall/slots/readings", {"count": 3})
        assert answer.headers["content-type"] == "application/x-ndjson"
        assert answer.body == b"0.0\n1.0\n2.0\n"


async def test_items_are_events_for_who_asks_for_them() -> None:
    async with served(hall=Thermostat()) as host:
        answer = await host.call("hall/slots/readings", [2], "Accept: text/event-stream")
        assert answer.headers["content-type"] == "text/event-stream"
        assert answer.body == b"data: 0.0\n\ndata: 1.0\n\nevent: ended\ndata: null\n\n"


async def test_a_failure_is_the_last_line() -> None:
    async with served(hall=Thermostat()) as host:
        answer = await host.call("hall/slots/readings", [1, True])
        first, last = answer.body.splitlines()
        assert first == b"0.0"
        assert json.loads(last)["$problem"]["code"] == "UNKNOWN"
        assert b"swordfish" not in answer.body
        answer = await host.call("hall/slots/readings", [1, True], "Accept: text/event-stream")
        assert b"event: failed\ndata: {" in answer.body


async def test_a_stream_that_cannot_be_is_refused_before_it_begins() -> None:
    room = Thermostat()
    async with served(hall=room) as host:
        assert (await host.call("hall/slots/readings", ["many"])).problem == (400, "INVALID_ARGUMENT")
        assert (await host.call("hall/slots/readings", [])).problem == (400, "INVALID_ARGUMENT")
        assert room.seen == []


class Counter(Object):
    """Counts how often it was asked for the next item."""

    def __init__(self) -> None:
        self.pulled = 0
        self.closed = False

    @slot
    async def chunks(self, size: int) -> AsyncIterator[str]:
        try:
            while True:
                self.pulled += 1
                yield "x" * size
        finally:
            self.closed = True

    @slot
    async def lies(self) -> AsyncIterator[int]:
        yield "much"  # type: ignore[misc]


async def test_items_are_pulled_as_the_client_reads_and_the_generator_is_closed_when_it_leaves() -> None:
    counter = Counter()
    async with served(it=counter, limits=Limits(drain=0.0)) as host:
        async with host.connection() as raw:
            raw.writer.transport.pause_reading()
            await raw.send("POST /objects/it/slots/chunks", body=[100_000])
            seen = -1
            while counter.pulled != seen or not seen:  # until the system's buffers are full
                seen = counter.pulled
                for _ in range(200):
                    await host.ask("GET /nope")
            assert seen * 100_000 < 32_000_000
            assert not counter.closed
            raw.writer.transport.abort()
        await until(lambda: counter.closed)
        await host.idle()
        await until(lambda: not host.server.links)


async def test_an_item_of_a_wrong_type_is_not_sent() -> None:
    async with served(it=Counter()) as host:
        answer = await host.call("it/slots/lies")
        assert json.loads(answer.body)["$problem"]["code"] == "INTERNAL"


async def test_a_closing_node_ends_streams_and_says_so() -> None:
    room = Thermostat()
    async with served(hall=room) as host, host.connection() as raw:
        await raw.send("POST /objects/hall/slots/readings", body=[4])
        await raw.head()
        assert [await raw.chunk() for _ in range(4)] == [b"0.0\n", b"1.0\n", b"2.0\n", b"3.0\n"]
        await host.node.aclose(grace=0.1)
        assert json.loads(await raw.chunk())["$problem"]["code"] == "UNAVAILABLE"
        assert await raw.chunk() == b""
        assert room.seen == ["closed"]


async def test_a_stream_ends_with_its_object_its_permission_and_its_login(logins: Any) -> None:
    policy = Policy()
    room = Thermostat()
    async with served(tokens=logins.tokens) as host:
        for end, code in (
            (lambda: host.node.withdraw("hall"), "UNAVAILABLE"),
            (lambda: refuse(policy), "PERMISSION_DENIED"),
            (lambda: logins.tokens.remove("panel"), "UNAUTHENTICATED"),
        ):
            policy.role = lambda caller: caller.role or Role.STRANGER
            if "hall" not in host.node.published:
                host.node.publish(room, "hall", policy=policy)
            async with host.connection() as raw:
                await raw.send("POST /objects/hall/slots/readings", logins.bearer, body=[4])
                await raw.head()
                assert [await raw.chunk() for _ in range(4)][-1] == b"3.0\n"
                end()
                assert json.loads(await raw.chunk())["$problem"]["code"] == code


class Untidy(Object):
    """Its stream fails once more when it is closed."""

    @slot
    async def ticks(self) -> AsyncIterator[str]:
        try:
            while True:
                yield "x" * 100_000
        finally:
            raise ValueError("the password is swordfish")


async def test_a_generator_that_fails_when_it_is_closed_does_not_hide_why(caplog: pytest.LogCaptureFixture) -> None:
    async with served(hall=Untidy()) as host, host.connection() as raw:
        await raw.send("POST /objects/hall/slots/ticks", body=[])
        await raw.head()
        host.node.withdraw("hall")
        *_, last = [chunk async for chunk in raw.chunks()]
        assert json.loads(last)["$problem"]["code"] == "UNAVAILABLE"
    assert [record.name for record in caplog.records] == ["everywire.gate"], "the host learns of it, once"


def refuse(policy: Policy) -> None:
    policy.role = lambda _: Role.VIEWER
    policy.forget()
