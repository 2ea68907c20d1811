"""HTTP/1.1 itself: slow, large, broken and pipelined requests, and connections that are kept."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import ssl
from collections.abc import Callable
from random import Random

import pytest

from everywire import Limits, Object, slot
from tests.http.conftest import Certificates
from tests.http.peers import QUICK, Raw, Served, Thermostat, served, until

POST = b"POST /objects/hall/slots/boost HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
GET = b"GET /objects HTTP/1.1\r\nHost: localhost\r\n"
HASTY = Limits(handshake=0.05, drain=0.0)
WEBSOCKET = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
)


async def test_a_connection_is_kept_for_many_requests() -> None:
    async with served(hall=Thermostat()) as host, host.connection() as raw:
        for minutes in range(50):
            await raw.send("POST /objects/hall/slots/boost", body=[minutes])
            assert (await raw.answer()).json == minutes * 60
            await raw.send("GET /nope")
            assert (await raw.answer()).status == 404
        assert len(host.server._state.connections) == 1


async def test_pipelined_requests_are_answered_in_order() -> None:
    async with served(hall=Thermostat()) as host, host.connection() as raw:
        body = [b"[%d]" % n for n in range(20)]
        raw.write(b"".join(POST + b"Content-Length: %d\r\n\r\n%b" % (len(b), b) for b in body))
        assert [(await raw.answer()).json for _ in body] == [60 * n for n in range(20)]


async def test_too_many_pipelined_requests_end_the_connection() -> None:
    room = Thermostat()
    async with served(hall=room) as host, host.connection() as raw:
        await raw.send("POST /objects/hall/slots/wait", body=[])
        await until(lambda: room.seen)
        raw.write((GET + b"\r\n") * 100)
        await until(lambda: host.node.refusals["protocol"])
        room.go.set()
        assert (await raw.answer()).json == "done"
        assert await raw.ended() == b""


async def test_a_body_may_come_in_chunks_and_in_pieces() -> None:
    async with served(hall=Thermostat()) as host, host.connection() as raw:
        for piece in (POST, b"Transfer-Encoding: chunked\r\n", b"\r\n2\r\n[1", b"\r\n2\r\n2]\r\n0\r", b"\n\r\n"):
            for n in range(len(piece)):
                raw.write(piece[n : n + 1])
                await asyncio.sleep(0)
        assert (await raw.answer()).json == 720


async def test_a_client_that_expects_to_be_told_so_is() -> None:
    async with served(hall=Thermostat()) as host, host.connection() as raw:
        raw.write(POST + b"Content-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        assert (await raw.head()).status == 100
        raw.write(b"[2]")
        assert (await raw.answer()).json == 120


async def test_an_old_client_is_answered_and_left() -> None:
    async with served(hall=Thermostat()) as host, host.connection() as raw:
        raw.write(b"GET /objects/hall/properties/target HTTP/1.0\r\nHost: localhost\r\n\r\n")
        assert (await raw.answer()).json == 21.0
        assert await raw.ended() == b""


async def test_a_client_that_has_said_everything_still_hears_the_answer() -> None:
    room = Thermostat()
    async with served(hall=room) as host, host.connection() as raw:
        await raw.send("POST /objects/hall/slots/wait", body=["late"])
        raw.writer.write_eof()
        await until(lambda: room.seen)
        room.go.set()
        assert (await raw.answer()).json == "late"
        assert await raw.ended() == b""


# ------------------------------------------------------------------------------------------------------------- large
async def test_a_body_beyond_the_limit_is_refused_before_it_is_read() -> None:
    room = Thermostat()
    async with served(hall=room, limits=Limits(frame=1000, drain=0.0)) as host, host.connection() as raw:
        raw.write(POST + b"Content-Length: 1001\r\n\r\n")
        answer = await raw.answer()
        assert answer.problem == (413, "RESOURCE_EXHAUSTED")
        raw.write(b"x" * 1001)
        await raw.send("POST /objects/hall/slots/boost", body=[1])  # the connection is still good
        assert (await raw.answer()).json == 60
        assert room.seen == [1]


async def test_chunks_beyond_the_limit_are_refused_and_not_kept() -> None:
    async with served(hall=Thermostat(), limits=Limits(frame=1000, drain=0.0)) as host, host.connection() as raw:
        raw.write(POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"64\r\n" + b" " * 100 + b"\r\n")
        raw.write((b"64\r\n" + b" " * 100 + b"\r\n") * 10)
        assert (await raw.answer()).problem == (413, "RESOURCE_EXHAUSTED")
        for _ in range(100):
            raw.write((b"64\r\n" + b" " * 100 + b"\r\n") * 10)
            await asyncio.sleep(0)
        assert await raw.ended() == b""
        assert host.node.refusals["frame"] == 2, "the body, and what came all the same"


async def test_a_body_as_large_as_the_limit_is_taken() -> None:
    async with served(hall=Thermostat(), limits=Limits(frame=200_000, drain=0.0)) as host:
        text = "x" * (200_000 - 4)
        assert (await host.call("hall/slots/echo", [text])).json == text


@pytest.mark.parametrize("line", ["GET /objects/hall/events", "POST /objects/hall/slots/boost"])
@pytest.mark.parametrize("more", [b"X: y\r\n" * 1000, b"y" * 8000], ids=["many", "one"])
async def test_headers_behind_a_body_are_bounded_and_not_kept(line: str, more: bytes) -> None:
    """They have no end of their own, nobody reads them, and a stream of events waits beside them for ever."""
    async with served(hall=Thermostat(), limits=Limits(frame=20_000, drain=0.0)) as host, host.connection() as raw:
        await raw.send(line, "Transfer-Encoding: chunked", body=b"0\r\nX: ")
        (task,) = await tasks_of(host)
        for _ in range(20):
            raw.write(more)
            await raw.writer.drain()
        with contextlib.suppress(ConnectionError):
            await raw.ended()
        assert host.node.refusals["frame"] == 1
        await until(task.done)
        await host.idle()


async def tasks_of(host: Served) -> set[asyncio.Task[None]]:
    """Return the tasks that answer requests, once there are some."""
    await until(lambda: host.server._state.tasks)
    return set(host.server._state.tasks)


async def test_a_header_behind_a_body_is_no_header() -> None:
    async with served(hall=Thermostat()) as host, host.connection() as raw:
        await raw.send("POST /objects/hall/slots/boost", "Transfer-Encoding: chunked", body=b"2\r\n[")
        raw.write(b"]\r\n0\r\nHost: evil.org\r\nOrigin: http://evil.org\r\nX: y\r\n\r\n")
        assert (await raw.answer()).status == 200
        await raw.send("GET /objects")
        assert (await raw.answer()).status == 200


async def test_a_body_in_very_small_chunks_is_taken() -> None:
    text = "x" * 2000
    body = b"".join(b"1\r\n%c\r\n" % byte for byte in json.dumps([text]).encode())
    async with served(hall=Thermostat(), limits=Limits(frame=20_000, drain=0.0)) as host, host.connection() as raw:
        await raw.send("POST /objects/hall/slots/echo", "Transfer-Encoding: chunked", body=body + b"0\r\n\r\n")
        assert (await raw.answer()).json == text


@pytest.mark.parametrize(
    "head",
    [
        b"X-A: " + b"a" * 20_000 + b"\r\n",
        b"".join(b"X-%d: a\r\n" % n for n in range(4000)),
        b"Cookie: " + b"a" * 200_000,
    ],
)
async def test_a_head_beyond_the_limit_is_refused(head: bytes) -> None:
    async with served(hall=Thermostat()) as host, host.connection() as raw:
        raw.write(GET + head + b"\r\n")
        assert (await raw.answer()).problem == (431, "RESOURCE_EXHAUSTED")
        assert await raw.ended() == b""


async def test_a_path_beyond_the_limit_is_refused() -> None:
    async with served(hall=Thermostat()) as host, host.connection() as raw:
        raw.write(b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert (await raw.answer()).problem == (431, "RESOURCE_EXHAUSTED")


# -------------------------------------------------------------------------------------------------------------- slow
@pytest.mark.parametrize("begun", [b"", b"G", GET, GET + b"X-A: "])
async def test_a_head_that_does_not_come_is_not_waited_for(begun: bytes) -> None:
    """Slow loris."""
    async with served(hall=Thermostat(), limits=HASTY) as host, host.connection() as raw:
        if begun:
            raw.write(begun)
            answer = await raw.answer()
            assert answer.problem == (408, "DEADLINE_EXCEEDED")
        assert await raw.ended() == b""
        assert host.node.refusals["handshake"] == 1


async def test_a_head_that_drips_is_not_waited_for() -> None:
    async with served(hall=Thermostat(), limits=HASTY) as host, host.connection() as raw:

        async def drip() -> None:
            while True:
                raw.write(b"X-A: b\r\n")
                await asyncio.sleep(0)

        raw.write(GET)
        dripping = asyncio.ensure_future(drip())
        assert (await raw.answer()).status in (408, 431)
        dripping.cancel()


@pytest.mark.parametrize(
    "framing",
    [
        b"Content-Length: 5\r\n\r\n",
        b"Content-Length: 5\r\n\r\n[1",
        b"Transfer-Encoding: chunked\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n5\r\n[1",
    ],
)
async def test_a_body_that_does_not_come_is_not_waited_for(framing: bytes) -> None:
    async with served(hall=Thermostat(), limits=HASTY) as host, host.connection() as raw:
        raw.write(POST + framing)
        answer = await raw.answer()
        assert answer.problem == (408, "DEADLINE_EXCEEDED")
        assert await raw.ended() == b""


async def test_the_rest_of_a_refused_body_is_not_waited_for() -> None:
    async with served(hall=Thermostat(), limits=HASTY) as host, host.connection() as raw:
        raw.write(b"POST /nope HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n[1")
        assert (await raw.answer()).status == 404
        assert await raw.ended() == b""


async def test_a_slot_may_take_longer_than_a_head() -> None:
    room = Thermostat()
    async with served(hall=room, limits=HASTY) as host, host.connection() as raw:
        await raw.send("POST /objects/hall/slots/wait", body=[])
        raw.write(b"GET /objects HTT")
        await until(lambda: room.seen)
        asyncio.get_running_loop().call_later(3 * HASTY.handshake, room.go.set)
        assert (await raw.answer()).json == "done"


class Large(Object):
    @slot
    async def text(self, size: int) -> str:
        return "x" * size


async def test_a_client_that_takes_nothing_of_its_answer_is_cut() -> None:
    limits = Limits(write_deadline=0.05, drain=0.0)
    async with served(hall=Large(), limits=limits) as host, host.connection() as raw:
        raw.writer.transport.pause_reading()
        await raw.send("POST /objects/hall/slots/text", body=[20_000_000])
        await host.server._state.lost.wait()
        assert host.node.refusals["write_deadline"] == 1
        await host.idle()


async def test_a_client_that_takes_nothing_does_not_hold_up_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("everywire.http.serving.LAST_WORDS", 0.05)
    async with served(hall=Large()) as host, host.connection() as raw:
        raw.writer.transport.pause_reading()
        await raw.send("POST /objects/hall/slots/text", body=[20_000_000])
        await until(lambda: any(c.flow.write_paused for c in host.server._state.connections))
        await host.node.aclose()
        assert not host.server._state.connections
        assert not host.server._state.tasks


async def test_an_idle_connection_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("everywire.http._uvicorn.KEEP_ALIVE", 0.05)
    async with served(hall=Thermostat()) as host, host.connection() as raw:
        await raw.send("GET /objects")
        assert (await raw.answer()).status == 200
        assert await raw.ended() == b""


async def test_an_empty_line_does_not_keep_an_idle_connection_for_ever() -> None:
    async with served(hall=Thermostat(), limits=HASTY) as host, host.connection() as raw:
        await raw.send("GET /objects")
        assert (await raw.answer()).status == 200
        raw.write(b"\r\n")
        assert await raw.ended() == b""


async def test_an_empty_line_before_a_request_is_skipped() -> None:
    async with served(hall=Thermostat()) as host, host.connection() as raw:
        for _ in range(3):
            await raw.send("\r\nGET /objects")
            assert (await raw.answer()).status == 200


async def test_a_client_that_ends_tls_behind_its_request_leaves_nothing_in_the_log(
    certificates: Certificates, caplog: pytest.LogCaptureFixture
) -> None:
    context = ssl.create_default_context(cafile=str(certificates.ca))
    room = Thermostat()
    async with served(certificates.url, hall=room) as host:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        link = context.wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
        reader, writer = await asyncio.open_connection("127.0.0.1", host.port)
        while True:
            with contextlib.suppress(ssl.SSLWantReadError):
                link.do_handshake()
                break
            writer.write(outgoing.read())
            incoming.write(await reader.read(65536))
        link.write(POST.replace(b"boost", b"wait") + b"Content-Length: 2\r\n\r\n[]")
        writer.write(outgoing.read())
        await until(lambda: room.seen)
        with contextlib.suppress(ssl.SSLWantReadError):
            link.unwrap()
        writer.write(outgoing.read())
        await host.idle()
        room.go.set()
        writer.close()
    assert caplog.text == ""


# ------------------------------------------------------------------------------------------------------------ broken
SMUGGLED = b"GET /objects HTTP/1.1\r\nHost: evil\r\n\r\n"


@pytest.mark.parametrize(
    "framing",
    [
        b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
        b"Content-Length: 4\r\nContent-Length: 5\r\n\r\n[1] ",
        b"Content-Length: 4, 5\r\n\r\n[1] ",
        b"Content-Length: +4\r\n\r\n[1] ",
        b"Content-Length: -1\r\n\r\n",
        b"Content-Length: 0x4\r\n\r\n[1] ",
        b"Content-Length: 99999999999999999999999\r\n\r\n",
        b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n1;\n\r\nx\r\n0\r\n\r\n",
        b"X: a\n\r\n\r\n",
        b"X: a\0b\r\nContent-Length: 2\r\n\r\n[]",
        b" folded: x\r\nContent-Length: 2\r\n\r\n[]",
    ],
)
async def test_a_body_whose_end_is_not_certain_is_refused(framing: bytes) -> None:
    """Request smuggling: what a proxy might read otherwise."""
    async with served(hall=Thermostat(), limits=QUICK) as host, host.connection() as raw:
        raw.write(POST + framing + SMUGGLED)
        answer = await raw.answer()
        assert answer.problem in ((400, "INVALID_ARGUMENT"), (413, "RESOURCE_EXHAUSTED"))
        rest = await raw.ended() if answer.status == 400 else b""
        assert b"HTTP/1.1 200" not in rest


@pytest.mark.parametrize(
    "request_line",
    [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"GET /objects\r\n\r\n",
        b"GET /objects HTTP/9.9\r\n\r\n",
        b"BREW /objects HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET * HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"CONNECT evil.org:443 HTTP/1.1\r\nHost: evil.org:443\r\n\r\n",
        b"GET objects HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET ftp://localhost/objects HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET http://localhost?x HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nH\xc3\xa4: x\r\n\r\n",
        b"\0" * 100,
        b"\x0c\0\0\0\x07\0Q\0t\0R\0O\0",
    ],
)
async def test_what_is_no_request_is_refused(request_line: bytes) -> None:
    async with served(hall=Thermostat()) as host, host.connection() as raw:
        raw.write(request_line)
        assert (await raw.answer()).problem == (400, "INVALID_ARGUMENT")
        assert await raw.ended() == b""
        assert (await host.ask("GET /objects")).status == 200


async def test_rubbish_behind_a_request_does_not_spoil_its_answer() -> None:
    room = Thermostat()
    async with served(hall=room) as host, host.connection() as raw:
        await raw.send("POST /objects/hall/slots/wait", body=["x"])
        raw.write(b"\0rubbish\r\n\r\n")
        await until(lambda: host.node.refusals["protocol"])
        room.go.set()
        answer = await raw.answer()
        assert answer.json == "x"
        assert answer.headers["connection"] == "close"
        assert await raw.ended() == b""


async def test_an_upgrade_that_we_do_not_have_is_ignored() -> None:
    async with served(hall=Thermostat()) as host:
        answer = await host.ask("GET /objects", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c")
        assert answer.status == 200
        answer = await host.ask("GET /objects", *WEBSOCKET)
        assert answer.problem == (404, "NOT_FOUND")


async def test_a_websocket_behind_an_unanswered_request_is_refused_and_leaves_nothing() -> None:
    """It would take the connection over, and nobody would tell the stream before it that the client left."""
    async with served(hall=Thermostat()) as host:
        for line in ("GET /objects/hall/events", "POST /objects/hall/slots/readings"):
            async with host.connection() as raw:
                await raw.send(line, body=[4] if line.startswith("POST") else None)
                assert (await raw.head()).status == 200
                assert host.server.links
                await raw.send("GET /objects/hall/events", *WEBSOCKET)
                await until(lambda: host.node.refusals["protocol"])
            await until(lambda: not host.server.links)
            await until(lambda: not host.server._state.tasks)
        assert not host.server.hosted["hall"].links


async def test_a_refused_websocket_leaves_nothing_in_the_log_of_errors(caplog: pytest.LogCaptureFixture) -> None:
    async with served(hall=Thermostat()) as host:
        answer = await host.ask("GET /objects/hall/events", "Origin: http://evil.org", *WEBSOCKET)
        assert answer.status == 403
        await until(lambda: not host.server._state.tasks)
    assert [record for record in caplog.records if record.name != "everywire.audit"] == []


async def test_an_error_of_the_server_is_a_problem_too(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with served(hall=Thermostat()) as host:

        def broken(*_: object) -> None:
            raise RuntimeError("the password is swordfish")

        monkeypatch.setattr(host.server.rules, "check", broken)
        answer = await host.ask("GET /objects")
        assert answer.problem == (500, "INTERNAL")
        assert b"swordfish" not in answer.body
        assert "swordfish" in caplog.text


# ------------------------------------------------------------------------------------------------------- connections
async def test_connections_are_bounded() -> None:
    async with served(hall=Thermostat(), limits=Limits(connections=2, drain=0.0)) as host:
        async with host.connection() as one, host.connection() as two:
            for raw in (one, two):
                await raw.send("GET /objects")
                assert (await raw.answer()).status == 200
            async with host.connection() as three:
                assert await three.ended() == b""
        await host.idle()
        assert (await host.ask("GET /objects")).status == 200


async def test_a_users_connections_are_bounded_on_a_unix_socket(folder: object) -> None:
    limits = Limits(connections_per_user=1, drain=0.0)
    async with served(f"http+local:{folder}/x", hall=Thermostat(), limits=limits) as host, host.connection() as one:
        await one.send("GET /objects")
        assert (await one.answer()).status == 200
        async with host.connection() as two:
            assert await two.ended() == b""


async def test_an_abstract_socket_serves_too() -> None:
    async with served("http+localabstract:everywire-test", hall=Thermostat()) as host:
        assert host.url == "http+localabstract:everywire-test"
        reader, writer = await asyncio.open_unix_connection("\0everywire-test")
        raw = Raw(reader, writer)
        await raw.send("GET /objects/hall/properties/target")
        assert (await raw.answer()).json == 21.0
        writer.close()


@pytest.mark.loops("asyncio", "uvloop")
async def test_a_storm_of_clients_that_come_and_go_leaves_nothing() -> None:
    async with served(hall=Thermostat()) as host:

        async def client(n: int) -> None:
            async with host.connection() as raw:
                await raw.send("POST /objects/hall/slots/boost", body=[n % 256])
                if n % 3:
                    assert (await raw.answer()).json == n % 256 * 60

        for _ in range(4):
            await asyncio.gather(*(client(n) for n in range(50)))
        await host.idle()
        await until(lambda: not host.server.running() and not host.server.links)
        assert host.server._state.tasks == set()


@pytest.mark.loops("asyncio", "uvloop")
async def test_answers_are_whole_on_every_loop() -> None:
    async with served(hall=Large()) as host:
        answer = await host.call("hall/slots/text", [3_000_000])
        assert len(answer.json) == 3_000_000
        assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", answer.headers["date"])
        assert json.loads(answer.body)


async def test_whatever_bytes_come_the_server_lives(
    soak: Callable[[int, int], int], caplog: pytest.LogCaptureFixture
) -> None:
    """Requests with bytes changed, dropped, doubled and cut, on connections of their own."""
    random = Random(7)
    seeds = [
        POST.replace(b"boost", b"stop") + b"X-Key: 1\r\nContent-Length: 2\r\n\r\n[",
        POST.replace(b"boost", b"stop") + b"Transfer-Encoding: chunked\r\n\r\n2\r\n[",
        GET + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    ]
    async with served(hall=Thermostat(), limits=HASTY) as host:

        async def attack(data: bytes) -> None:
            async with host.connection() as raw:
                raw.write(data)
                raw.writer.write_eof()
                await raw.ended()

        for _ in range(soak(10, 200)):
            mutants = [mutated(random.choice(seeds), random) for _ in range(20)]
            await asyncio.gather(*map(attack, mutants))
        assert (await host.ask("GET /objects")).status == 200
        await host.idle()
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


def mutated(data: bytes, random: Random) -> bytes:
    changed = bytearray(data)
    for _ in range(random.randrange(1, 6)):
        place = random.randrange(len(changed))
        match random.randrange(4):
            case 0:
                changed[place] = random.choice(b"\0\r\n :;,\xff0[")
            case 1:
                del changed[place : place + random.randrange(1, 9)]
            case 2:
                changed[place:place] = changed[place : place + random.randrange(1, 30)]
            case _:
                changed[place:place] = random.choice((b"\r\n", b"\r\n\r\n", b"\n", b"\0", b": ", b" HTTP/1.1\r\n"))
        changed = changed or bytearray(b"x")
    return bytes(changed)
