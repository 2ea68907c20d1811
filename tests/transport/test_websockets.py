"""WebSockets as byte streams: who is let in, what a hostile peer costs, how silence and the end are told."""

from __future__ import annotations

import asyncio
import base64
import os
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

import aiohttp
import pytest
from websockets.asyncio.client import connect as foreign_connect
from websockets.asyncio.server import serve as foreign_serve

from everywire.errors import AddressError, InsecureBind, LinkError, MissingExtra
from everywire.transport import ByteStream, Listener, accept, dial, listen, open_stream
from everywire.transport import _websockets as websockets_module
from everywire.transport import heartbeat as heartbeat_module
from everywire.transport.heartbeat import Heartbeat
from tests.harness import LoopReports
from tests.transport.receivers import Accepted, Certificates, RecordingReceiver, echo

both_loops = pytest.mark.loops("asyncio", "uvloop")
HERE: Final = "ws://127.0.0.1:0"
KEY: Final = base64.b64encode(bytes(16)).decode()


def port_of(listener: Listener) -> int:
    return int(listener.url.partition("://")[2].partition("/")[0].rpartition(":")[2])


def request(port: int, *, path: str = "/", host: str | None = None, extra: str = "") -> bytes:
    named = f"127.0.0.1:{port}" if host is None else host
    return (
        f"GET {path} HTTP/1.1\r\nHost: {named}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n{extra}\r\n"
    ).encode()


async def answer(listener: Listener, data: bytes) -> str:
    """Return the first line that answers *data*, of the raw bytes of a socket."""
    async with open_stream(f"tcp://127.0.0.1:{port_of(listener)}") as stream:
        await stream.write(data)
        line = await stream.read_until(b"\r\n")
        if not line.startswith(b"HTTP/1.1 101"):
            while await stream.read():
                pass  # it ends
        return line.decode().strip()


def masked(opcode: int, payload: bytes = b"", *, declared: int | None = None) -> bytes:
    """Return a client's frame; *declared* may lie about its length."""
    length = len(payload) if declared is None else declared
    if length < 126:
        head = bytes((0x80 | opcode, 0x80 | length))
    else:
        head = bytes((0x80 | opcode, 0xFF)) + length.to_bytes(8, "big")
    return head + bytes(4) + payload


@asynccontextmanager
async def raw_socket(listener: Listener) -> AsyncIterator[ByteStream]:
    """A socket on which a WebSocket was opened by hand."""
    async with open_stream(f"tcp://127.0.0.1:{port_of(listener)}") as stream:
        await stream.write(request(port_of(listener)))
        assert b"101" in await stream.read_until(b"\r\n\r\n")
        yield stream


# ------------------------------------------------------------------------------------------------------- let in
@pytest.mark.parametrize(
    "asked, status",
    [
        ({}, "101"),
        ({"host": "localhost"}, "101"),
        ({"host": "LOCALHOST.:80"}, "101"),
        ({"host": "[::1]:7"}, "101"),
        ({"host": "plant.example"}, "101"),
        ({"host": "evil.example"}, "421"),
        ({"host": "127.0.0.1.evil.example"}, "421"),
        ({"host": ""}, "400"),
        ({"host": "127.0.0.1\r\nHost: 127.0.0.1"}, "400"),
        ({"extra": "Origin: https://panel.example\r\n"}, "101"),
        ({"extra": "Origin: https://panel.example:443/\r\n"}, "101"),
        ({"extra": "Origin: http://panel.example\r\n"}, "403"),
        ({"extra": "Origin: null\r\n"}, "403"),
        ({"extra": "Origin: https://panel.example\r\nOrigin: https://evil.example\r\n"}, "403"),
        ({"path": "/other"}, "404"),
        ({"path": "/?token=x"}, "101"),
    ],
)
async def test_who_is_let_in(asked: dict[str, str], status: str) -> None:
    accepted = Accepted()
    listener = await accept(f"{HERE}?host=plant.example&origin=https://panel.example", accepted)
    assert (await answer(listener, request(port_of(listener), **asked))).split()[1] == status
    assert len(accepted.receivers) == listener.refused == 0 or (len(accepted.receivers), listener.refused) == (
        (1, 0) if status == "101" else (0, 1)
    )
    await listener.close()


@pytest.mark.parametrize(
    "data, status",
    [
        (b"\x16\x00\x00\x00\x01\x00\r\n\r\n", "400"),
        (b"POST / HTTP/1.1\r\nHost: localhost\r\n\r\n", "405"),
        (b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n", "505"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "426"),
        (request(1).replace(KEY.encode(), b"short"), "400"),
        (request(1).replace(b"Version: 13", b"Version: 8"), "400"),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 4096, "400"),
        (b"GET /" + b"a" * 20_000, "400"),
    ],
)
async def test_what_is_no_request_is_answered_and_ended(data: bytes, status: str) -> None:
    accepted = Accepted()
    listener = await accept(HERE, accepted)
    assert (await answer(listener, data)).split()[1] == status
    assert (accepted.receivers, listener.refused) == ([], 1)
    await listener.close()


async def test_who_asks_for_nothing_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websockets_module, "OPENING", 0.02)
    listener = await accept(HERE, Accepted())
    async with open_stream(f"tcp://127.0.0.1:{port_of(listener)}") as stream:
        await stream.write(b"GET / HTTP/1.1\r\nHo")
        assert await stream.read() == b""
    await listener.close()


async def test_many_who_ask_for_nothing_keep_nobody_out(soak: Callable[[int, int], int]) -> None:
    async with listen(HERE, echo, max_connections=100) as listener, AsyncExitStack() as silent:
        for _ in range(soak(300, 3000)):
            await silent.enter_async_context(open_stream(f"tcp://127.0.0.1:{port_of(listener)}"))
        async with asyncio.timeout(1.0), open_stream(listener.url) as stream:
            await stream.write(b"honest")
            assert await stream.read_exactly(6) == b"honest"
        assert listener.refused >= 200


async def test_a_bind_that_others_reach_needs_encryption_as_any_other(certificates: Certificates) -> None:
    with pytest.raises(InsecureBind, match="use wss:// with cert=FILE"):
        await accept("ws://0.0.0.0:0", Accepted())
    with pytest.raises(InsecureBind, match="without authentication"):
        await accept(f"wss://0.0.0.0:0?cert={certificates.listener}", Accepted())


async def test_a_client_certificate_makes_its_subject_known(certificates: Certificates) -> None:
    accepted, ours = Accepted(), RecordingReceiver()
    listener = await accept(certificates.listen_mutual.replace("tls", "wss", 1), accepted)
    connection = await dial(f"{listener.url}?ca={certificates.ca}&cert={certificates.client}", ours)
    theirs = await accepted.next()
    peer = theirs.connection.peer
    assert (peer.transport, peer.encrypted, peer.subject is not None) == ("wss", True, True)
    connection.close()
    await asyncio.gather(ours.until_called("lost"), theirs.until_called("lost"))
    await listener.close()


# ------------------------------------------------------------------------------------------------------- dialers
async def test_a_listener_that_refuses_is_told_with_its_words() -> None:
    async with listen(f"{HERE}/plant", echo) as listener:
        url = listener.url
        assert url.endswith("/plant")
        with pytest.raises(LinkError, match=r"it answered 404 Not Found: there is no WebSocket at this path"):
            await dial(url.replace("/plant", "/other"), RecordingReceiver())
        with pytest.raises(AddressError, match="host= and origin= are for who listens"):
            await dial(f"{url}?origin=http://x", RecordingReceiver())


@pytest.mark.parametrize(
    "said, told",
    [
        (b"\x16\x00\x00\x00\x01\x00\r\n", "it does not speak WebSocket"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "it answered 200 OK: hi"),
        (b"HTTP/1.1 404 No\r\nContent-Length: 2\r\n\r\n{}", "it answered 404 No: is this the address of a WebSocket"),
        (b"HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n", "Accept"),
        (b"", "the listener hung up within the WebSocket handshake"),
    ],
)
async def test_what_does_not_speak_websocket_is_told_so(said: bytes, told: str) -> None:
    async def odd(stream: ByteStream) -> None:
        await stream.read()
        await stream.write(said)

    async with listen("tcp://127.0.0.1:0", odd) as listener:
        with pytest.raises(LinkError, match=told):
            await dial(listener.url.replace("tcp", "ws"), RecordingReceiver())


async def test_a_listener_that_says_nothing_is_given_up_in_time() -> None:
    async def silent(stream: ByteStream) -> None:
        while await stream.read():
            pass

    async with listen("tcp://127.0.0.1:0", silent) as listener:
        with pytest.raises(LinkError, match=r"no answer in 0\.05 s"):
            await dial(listener.url.replace("tcp", "ws"), RecordingReceiver(), timeout=0.05)


async def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(__import__("sys").modules, "everywire.transport._websockets")
    monkeypatch.setitem(__import__("sys").modules, "websockets.client", None)
    with pytest.raises(MissingExtra, match=r"pip install 'everywire\[http\]'"):
        await dial("ws://127.0.0.1:1", RecordingReceiver())
    with pytest.raises(MissingExtra):
        await accept(HERE, Accepted())


# ------------------------------------------------------------------------------------------------ foreign peers
@both_loops
async def test_bytes_cross_to_and_from_a_client_of_another_library() -> None:
    async with (
        listen(HERE, echo) as listener,
        aiohttp.ClientSession() as session,
        session.ws_connect(listener.url.replace("ws", "http", 1)) as socket,
    ):
        for data in (b"a", os.urandom(300_000), b"end"):
            await socket.send_bytes(data)
            heard = b""
            while len(heard) < len(data):
                heard += await socket.receive_bytes()
            assert heard == data
        assert socket.compress == 0


@both_loops
async def test_bytes_cross_to_and_from_a_server_of_another_library(certificates: Certificates) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.listener)

    async def back(socket: Any) -> None:
        async for data in socket:
            await socket.send(data)

    async with foreign_serve(back, "127.0.0.1", 0, ssl=context) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        async with open_stream(f"wss://localhost:{port}/any?ca={certificates.ca}") as stream:
            data = os.urandom(700_000)
            await stream.write(data)
            assert await stream.read_exactly(len(data)) == data


async def test_a_message_in_many_fragments_is_one_stream() -> None:
    accepted = Accepted()
    listener = await accept(HERE, accepted)
    async with foreign_connect(listener.url) as socket:
        await socket.send([b"one ", b"", b"two ", b"three"])
        theirs = await accepted.next()
        await theirs.until_size(13)
        assert theirs.data == b"one two three"
    await theirs.until_called("lost")
    assert theirs.error is None
    await listener.close()


@pytest.mark.parametrize("code, told", [(1000, ""), (1001, ""), (1008, "1008"), (4000, "4000")])
async def test_the_code_with_which_a_peer_closes_is_told(code: int, told: str) -> None:
    accepted = Accepted()
    listener = await accept(HERE, accepted)
    async with foreign_connect(listener.url) as socket:
        theirs = await accepted.next()
        await socket.close(code, "enough")
        await theirs.until_called("lost")
    assert told in str(theirs.error or "")
    assert (theirs.error is None) == (told == "")
    await listener.close()


async def test_a_host_that_leaves_says_so() -> None:
    async with listen(HERE, lambda stream: stream.aclose()) as listener, foreign_connect(listener.url) as socket:
        await socket.wait_closed()
        assert socket.close_code == 1001


# -------------------------------------------------------------------------------------------------------- hostile
@pytest.mark.parametrize(
    "frames, code, told",
    [
        (masked(1, b"text"), 1003, "sent text, not bytes"),
        (masked(2, declared=1 << 62), 1009, "connection lost"),
        (masked(2, declared=websockets_module.MOST_TAKEN + 1), 1009, "connection lost"),
        (masked(0, b"x"), 1002, "continuation"),
        (masked(3, b"x"), 1002, "opcode"),
        (masked(2, b"x").replace(b"\x82\x81", b"\x82\x01"), 1002, "masking"),
        (masked(9, bytes(126)), 1002, "control frame too long"),
        (b"\xc2" + masked(2, b"x")[1:], 1002, "reserved"),
        (masked(8, b"\x03"), 1002, "close"),
    ],
)
async def test_a_peer_that_breaks_the_protocol_loses_its_own_link(frames: bytes, code: int, told: str) -> None:
    accepted = Accepted()
    listener = await accept(HERE, accepted)
    async with raw_socket(listener) as stream:
        await stream.write(frames)
        theirs = await accepted.next()
        head = await stream.read_exactly(2)
        assert head[0] == 0x88
        assert int.from_bytes((await stream.read_exactly(head[1]))[:2], "big") == code
        await theirs.until_called("lost")
        assert told in str(theirs.error)
    await listener.close()


async def test_a_receiver_says_how_much_it_takes_at_once() -> None:
    class Wide(RecordingReceiver):
        largest_message = 3_000_000

    accepted = Accepted(Wide)
    listener = await accept(HERE, accepted)
    async with foreign_connect(listener.url) as socket:
        await socket.send(bytes(3_000_000))
        theirs = await accepted.next()
        await theirs.until_size(3_000_000)
        await socket.send(bytes(3_000_001))
        await socket.wait_closed()
        assert socket.close_code == 1009
    await theirs.until_called("lost")
    assert len(theirs.data) == 3_000_000
    await listener.close()


async def test_pings_are_answered_and_a_peer_that_never_reads_gets_only_the_newest_pong() -> None:
    accepted = Accepted()
    listener = await accept(HERE, accepted, write_limit=64 * 1024)
    async with raw_socket(listener) as stream:
        await stream.write(masked(9, b"are you there"))
        assert await stream.read_exactly(15) == b"\x8a\x0dare you there"
        theirs = await accepted.next()
        stream._connection.pause_reading()
        while "paused" not in theirs.calls:
            theirs.connection.write(bytes(64 * 1024))
            await asyncio.sleep(0)
        unsent = theirs.connection.unsent
        for number in range(20_000):
            await stream.write(masked(9, f"{number:06}".encode()))
        await stream.write(masked(2, b"behind"))
        await theirs.until_size(6)
        assert theirs.connection.unsent <= unsent
        stream._connection.resume_reading()
        heard = b""
        while not heard.endswith(b"\x8a\x06019999"):
            heard = heard[-64:] + await stream.read()
        theirs.connection.abort()
    await listener.close()


async def test_a_failing_receiver_ends_its_own_link(loop_reports: LoopReports) -> None:
    class Failing(RecordingReceiver):
        def connected(self, connection: object) -> None:
            raise ZeroDivisionError

    listener = await accept(HERE, Failing)
    with pytest.raises(LinkError):
        async with open_stream(listener.url) as stream:
            await stream.read()
            raise LinkError("it ended")
    assert isinstance(loop_reports.pop()["exception"], ZeroDivisionError)
    await listener.close()


# -------------------------------------------------------------------------------------------------------- silence
async def test_a_peer_that_stays_silent_is_asked_and_then_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websockets_module, "IDLE", 0.04)
    accepted = Accepted()
    listener = await accept(HERE, accepted)
    async with raw_socket(listener) as stream:
        theirs = await accepted.next()
        assert await stream.read_exactly(2) == b"\x89\x00"
        await theirs.until_called("lost")
        assert "ws connection lost: the peer said nothing for 0.12 s" in str(theirs.error)
    await listener.close()


async def test_a_peer_that_answers_pings_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websockets_module, "IDLE", 0.02)
    ticks: list[bool] = []

    class Counting(Heartbeat):
        def _tick(self) -> None:
            ticks.append(self.heard)
            super()._tick()

    monkeypatch.setattr(websockets_module, "Heartbeat", Counting)
    async with listen(HERE, echo) as listener, open_stream(listener.url) as stream:
        while len(ticks) < 4 * 2 * heartbeat_module.TIMES:
            await asyncio.sleep(0)
        await stream.write(b"still here")
        assert await stream.read_exactly(10) == b"still here"
