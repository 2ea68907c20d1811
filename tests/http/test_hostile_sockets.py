"""Hostile WebSocket peers: fuzzed, cut, stuffed and silent ones. The host goes on, and nobody else is disturbed."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import struct
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed

from everywire import Code, Limits, Node, SlowPeer
from everywire.http._websockets import MOST_FRAGMENTS
from tests.conformance.plant import Boiler, Desk, Feeder, Tap
from tests.conformance.programs import resident_bytes
from tests.harness import run, soak
from tests.http.lab import Rough, frame, hosting, peer


@pytest.mark.parametrize(
    "message, code",
    [
        ("{", 1007),
        ("", 1007),
        ('{"value":' * 50_000, 1007),
        ("null", 1002),
        ("{}", 1002),
        ('{"call":"one"}', 1002),
        ('{"call":-1}', 1002),
        (b"\x00\x01", 1003),
        ("x" * 65_537, 1009),
    ],
    ids=lambda value: str(value)[:12],
)
async def test_what_is_no_message_closes_the_socket_with_its_code(message: str | bytes, code: int) -> None:
    limits = Limits(drain=0.0, frame=len(message) - 1 if code == 1009 else 4 << 20)
    async with hosting(limits=limits, desk=Desk()) as (_, url), peer(url, "desk") as other:
        async with peer(url, "desk") as panel:
            await panel.socket.send(message)
            assert (await panel.end())[0] == code
        assert await other.call(1, "add", 1) == {"answered": 1, "value": 1101}


async def test_a_message_in_too_many_pieces_is_too_big() -> None:
    async with hosting(desk=Desk()) as (_, url), peer(url, "desk") as panel:
        await panel.socket.send(["{", '"call":1,', '"slot":"add",', '"arguments":[1]', "}"])
        assert await panel.hear() == {"answered": 1, "value": 1101}
        with pytest.raises(ConnectionClosed):
            await panel.socket.send(iter(" " * 10 * MOST_FRAGMENTS))
            await panel.hear()
        assert panel.socket.close_code == 1009


@pytest.mark.loops("asyncio", "uvloop")
async def test_a_hundred_thousand_pings_of_a_peer_that_never_reads_cost_nothing(
    record_property: Callable[[str, object], None],
) -> None:
    boiler = Boiler()
    async with hosting(hall=boiler) as (_, url), peer(url, "hall") as other:
        rough = Rough(url, "hall")
        with rough.socket:
            await rough.greet()
            gc.collect()
            before = resident_bytes()
            chunk = frame(9, b"x" * 125) * 500
            sent = await rough.stuff(chunk, 100_000 * 131)
            grown = resident_bytes() - before
            record_property("MiB of pings taken, MiB grown", (sent / 2**20, grown / 2**20))
            assert sent < 12 << 20, "the host stopped reading, because its answers were not read"
            assert grown < 8 << 20
            boiler.target = 30.0
            assert await other.hear() == {"changed": "target", "value": 30.0}


async def test_a_hundred_thousand_pings_of_a_peer_that_reads_are_answered(soak: Callable[[int, int], int]) -> None:
    count = soak(20_000, 100_000)
    async with hosting(hall=Boiler()) as (_, url):
        rough = Rough(url, "hall")
        with rough.socket:
            await rough.greet()
            answered = 0

            async def read() -> None:
                nonlocal answered
                rest = b""
                while answered < count:
                    rest += await rough.read()
                    answered += rest.count(b"\x8a\x041234")
                    rest = rest[-5:] if not rest.endswith(b"\x8a\x041234") else b""

            async with asyncio.TaskGroup() as group:
                group.create_task(read())
                for _ in range(count // 500):
                    await rough.write(frame(9, b"1234") * 500)
            assert answered == count


async def test_a_peer_that_never_reads_costs_at_most_its_limit_and_delays_nobody() -> None:
    limits = Limits(drain=0.0, unsent_soft=64 * 1024, unsent_hard=512 * 1024)
    feeder = Feeder()
    async with hosting(limits=limits, feeder=feeder, desk=Desk()) as (node, url), peer(url, "desk") as other:
        rough = Rough(url, "feeder")
        with rough.socket:
            await rough.greet()
            for number in range(2000):
                feeder.block = bytes([number % 256]) * 20_000
                feeder.crumbled.emit(number, bytes(10_000))
                if number % 20 == 0:
                    assert (await other.call(number, "add", 1))["value"] == 1101
            (link,) = (link for link in _links(node) if link._hosted.name == "feeder")
            assert link._link.outbox.congested
            assert link._link.outbox.waiting_bytes <= limits.unsent_hard
            assert link._link.outbox.dropped > 0


async def test_a_peer_that_never_reads_is_cut_where_the_limits_say_so() -> None:
    limits = Limits(drain=0.0, unsent_soft=64 * 1024, slow_peer=SlowPeer.DISCONNECT, write_deadline=0.05)
    feeder = Feeder()
    async with hosting(limits=limits, feeder=feeder) as (node, url):
        rough = Rough(url, "feeder")
        with rough.socket:
            await rough.greet()
            while _links(node):
                feeder.block = os.urandom(50_000)
                await asyncio.sleep(0)
            assert node.refusals["write_deadline"] == 1


async def test_a_host_that_closes_does_not_wait_for_a_peer_that_never_reads_for_ever() -> None:
    limits = Limits(drain=0.0, unsent_soft=64 * 1024)
    feeder = Feeder()
    async with hosting(limits=limits, feeder=feeder) as (node, url):
        rough = Rough(url, "feeder")
        with rough.socket:
            await rough.greet()
            while not any(link._link.outbox.congested for link in _links(node)):
                feeder.block = os.urandom(100_000)
                await asyncio.sleep(0)
            async with asyncio.timeout(10):
                await node.aclose()


def _links(node: Node) -> list[Any]:
    (server,) = node._servers
    links: list[Any] = list(server.links)  # type: ignore[attr-defined]
    return links


async def test_half_a_message_and_then_nothing_or_the_end_harms_nobody() -> None:
    desk = Desk()
    async with hosting(desk=desk) as (node, url), peer(url, "desk") as other:
        whole = frame(1, b'{"call":1,"slot":"add","arguments":[1]}')
        for cut in (1, 2, 5, len(whole) - 1):
            rough = Rough(url, "desk")
            await rough.greet()
            await rough.write(whole[:cut])
            assert (await other.call(cut, "add", 5))["value"] == 1105
            rough.socket.close()
        rough = Rough(url, "desk")
        with rough.socket:
            await rough.greet()
            for place in range(len(whole)):
                await rough.write(whole[place : place + 1])
                await asyncio.sleep(0)
            told = b""
            while b"1101" not in told:
                told += await rough.read()
        assert desk.order == [5, 5, 5, 5, 1]
        assert node.refusals["protocol"] == 0


@pytest.mark.parametrize(
    "bad",
    [
        b"\xff" * 20,
        b"\x81\x05hello",  # not masked
        frame(3, b"reserved"),
        frame(0, b"a continuation of nothing"),
        frame(1, b"\xff\xfe"),
        frame(8, b"\x03"),
        frame(8, struct.pack("!H", 999) + b"no such code"),
        frame(9, b"x" * 126),
        frame(1, b"{", fin=False) + frame(1, b"}"),
        b"\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0",  # a length of 2^64 - 1
        b"GET / HTTP/1.1\r\n\r\n",
    ],
    ids=lambda value: repr(value[:12]),
)
@pytest.mark.loops("asyncio", "uvloop")
async def test_bytes_that_are_no_frames_end_the_connection_and_nothing_else(bad: bytes) -> None:
    async with hosting(desk=Desk()) as (_, url), peer(url, "desk") as other:
        rough = Rough(url, "desk")
        with rough.socket:
            await rough.greet()
            await rough.write(bad)
            while await rough.read():
                pass
        assert (await other.call(1, "add", 1))["value"] == 1101


@pytest.mark.parametrize(
    "head",
    [
        "GET /objects/desk/events?\xff HTTP/1.1\r\nHost: {host}\r\n",
        "GET /objects/desk/events HTTP/1.1\r\nHost: {host}\r\nX-Long: " + "x" * 9000 + "\r\n",
        "GET /objects/desk/events HTTP/1.1\r\nHost: {host}\r\n" + "X: y\r\n" * 200,
        "GET /objects/desk/events HTTP/1.1\r\nHost: {host}\r\nX-Odd: \xff\xfe\r\n",
        "GET /objects/desk/events HTTP/1.1\r\nHost: {host}\r\nSec-WebSocket-Key: short\r\n",
        "POST /objects/desk/events HTTP/1.1\r\nHost: {host}\r\n",
        "GET /objects/desk/slots/add HTTP/1.1\r\nHost: {host}\r\n",
        "GET / HTTP/1.1\r\nHost: {host}\r\n",
    ],
    ids=["latin path", "long header", "many headers", "latin header", "short key", "post", "no such socket", "page"],
)
@pytest.mark.loops("asyncio", "uvloop")
async def test_an_odd_request_for_a_websocket_is_answered_or_cut(head: str) -> None:
    async with hosting(desk=Desk()) as (_, url), peer(url, "desk") as other:
        rough = Rough(url, "desk")
        with rough.socket:
            key = "" if "Key" in head else "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
            upgrade = f"Upgrade: websocket\r\nConnection: Upgrade, close\r\n{key}Sec-WebSocket-Version: 13\r\n\r\n"
            await rough.write((head.format(host=rough.host) + upgrade).encode("latin-1"))
            told = b""
            while b" 101 " not in told and (more := await rough.read()):
                told += more
            assert told.startswith(b"HTTP/1.1 ")
        assert (await other.call(1, "add", 1))["value"] == 1101


@settings(max_examples=soak(40, 1500))
@given(data=st.binary(max_size=64), opcode=st.integers(0, 15), fin=st.booleans(), rest=st.binary(max_size=64))
def test_whatever_bytes_come_the_host_goes_on(data: bytes, opcode: int, fin: bool, rest: bytes) -> None:
    async def body() -> None:
        async with hosting(desk=Desk()) as (_, url), peer(url, "desk") as other:
            rough = Rough(url, "desk")
            with rough.socket:
                await rough.greet()
                await rough.write(frame(opcode, data, fin=fin) + rest + b"\0" * 16)
                assert (await other.call(1, "add", 1))["value"] == 1101

    run(body)


WORDS = st.sampled_from(
    ["call", "push", "cancel", "open", "grant", "close", "slot", "arguments", "property", "value", "items"]
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["numbers", "waiting", "hold", "readings", "failing", "exploding", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["count", "after"]), inner, max_size=2),
    max_leaves=4,
)
MESSAGES = st.dictionaries(WORDS, VALUES, min_size=1, max_size=4).map(json.dumps) | st.text(max_size=9)


@settings(max_examples=soak(40, 1500))
@given(messages=st.lists(MESSAGES, min_size=1, max_size=12))
def test_whatever_a_peer_says_the_host_goes_on(messages: list[str]) -> None:
    async def body() -> None:
        tap = Tap()
        async with hosting(tap=tap) as (node, url), peer(url, "tap") as other:
            async with peer(url, "tap") as panel:
                with contextlib.suppress(ConnectionClosed):
                    for message in messages:
                        await panel.socket.send(message)
                    await panel.socket.ping()
                assert panel.socket.close_code in (None, 1002, 1007)
            assert (await other.call(7, "nonsense"))["code"] == Code.NOT_FOUND.name
            await tap.bell.until(lambda: not tap.open)
            assert node.published

    run(body)


async def test_a_socket_that_leaves_while_it_is_accepted_leaves_nothing_behind() -> None:
    async with hosting(desk=Desk()) as (node, url), peer(url, "desk") as other:
        for _ in range(20):
            rough = Rough(url, "desk")
            await rough.write(
                f"GET /objects/desk/events HTTP/1.1\r\nHost: {rough.host}\r\nUpgrade: websocket\r\nConnection: Upgrade"
                "\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
            )
            rough.socket.close()
        assert (await other.call(1, "add", 1))["value"] == 1101
        while len(_links(node)) > 1:
            await asyncio.sleep(0)
