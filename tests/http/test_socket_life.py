"""A WebSocket's life over a bare ASGI server: whatever happens while it is accepted, served and left."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from uvicorn.config import Config
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.server import ServerState

from everywire import Limits, Node, Object, Policy, Role
from everywire.http._websockets import BoundedSocket
from everywire.http.exchange import Line
from everywire.http.guarding import Rules
from everywire.http.hosting import HttpHost
from everywire.http.socket import serve_socket
from everywire.model import Caller
from everywire.runtime.limits import SlowPeer
from everywire.runtime.tokens import Login, Tokens
from everywire.transport import Peer
from tests.conformance.plant import Boiler, Desk, Feeder, Tap
from tests.http.lab import QUICK

HERE = Caller(wire="http", loopback=True, address="127.0.0.1:5")


class Server:
    """An ASGI server with one WebSocket: the test says what arrives, and when its `send` goes on."""

    def __init__(self, host: HttpHost, name: str, caller: Caller) -> None:
        self.host, self.hosted, self.caller = host, host.hosted[name], caller
        self.arriving: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.sent: list[Any] = []
        self.open = asyncio.Event()
        self.open.set()
        self.changed = asyncio.Event()
        self.aborted = 0
        self.broken = False
        """Whether it has lost its client, which it says of what is sent."""
        self.scope: dict[str, Any] = {"type": "websocket", "subprotocols": ["everywire.v1"]}
        self.arriving.put_nowait({"type": "websocket.connect"})

    async def send(self, message: Any) -> None:
        await self.open.wait()
        if self.broken:
            raise OSError("the client has left")
        self.sent.append(json.loads(message["text"]) if "text" in message else message)
        self.changed.set()

    def say(self, **parts: Any) -> None:
        self.arriving.put_nowait({"type": "websocket.receive", "text": json.dumps(parts)})

    def leave(self) -> None:
        self.arriving.put_nowait({"type": "websocket.disconnect", "code": 1005})

    def abort(self) -> None:
        self.aborted += 1

    async def until(self, count: int) -> list[Any]:
        while len(self.sent) < count:
            self.changed.clear()
            await self.changed.wait()
        return self.sent

    async def serve(self) -> None:
        tokens = self.host.node.tokens
        entries = () if tokens is None else tokens.grants.values()
        login = Login(tokens, next((entry for entry in entries if entry.identity == self.caller.identity), None))
        await serve_socket(self.host, self.hosted, self.caller, login, self.scope, self.arriving.get, self.send)


@asynccontextmanager
async def served(
    source: Object,
    *,
    caller: Caller = HERE,
    limits: Limits = QUICK,
    policy: Policy | None = None,
    tokens: Tokens | None = None,
) -> AsyncGenerator[tuple[Node, Server, asyncio.Task[None]]]:
    """Serve *source* as "it" to one WebSocket; give the node, the server and the task that serves."""
    async with Node(limits=limits, policy=policy, tokens=tokens) as node:
        node.publish(source, "it")
        host = HttpHost(node, Rules())
        node._servers.append(host)
        server = Server(host, "it", caller)
        task = asyncio.ensure_future(server.serve())
        try:
            yield node, server, task
        finally:
            server.open.set()
            server.leave()
            with suppress(asyncio.CancelledError):
                await task
            assert not host.links
            assert not server.hosted.links


async def test_a_peer_that_leaves_at_once_leaves_nothing_behind() -> None:
    async with served(Boiler()) as (_, server, task):
        server.leave()
        await task
        assert server.sent[0] == {"type": "websocket.accept", "subprotocol": "everywire.v1"}


async def test_an_object_that_is_withdrawn_while_the_socket_is_accepted_is_not_shown() -> None:
    async with served(Boiler()) as (node, server, task):
        server.open.clear()
        await asyncio.sleep(0)
        node.withdraw("it")
        server.open.set()
        accepted, told, closed = await server.until(3)
        assert accepted["type"] == "websocket.accept"
        assert told == {"withdrawn": "it"}
        assert (closed["type"], closed["code"]) == ("websocket.close", 1000)
        server.leave()
        await task


async def test_an_object_that_may_no_longer_be_seen_while_the_socket_is_accepted_is_not_shown() -> None:
    policy = Policy()
    async with served(Boiler(), policy=policy) as (_, server, _task):
        server.open.clear()
        await asyncio.sleep(0)
        policy.role = lambda _: Role.STRANGER
        policy.forget()
        server.open.set()
        assert (await server.until(3))[1] == {"withdrawn": "it"}


async def test_a_host_that_closes_while_the_socket_is_accepted_says_goodbye() -> None:
    async with served(Boiler()) as (node, server, task):
        server.open.clear()
        await asyncio.sleep(0)
        await node.aclose()
        server.open.set()
        await task
        assert [message["type"] for message in server.sent] == ["websocket.accept", "websocket.close"]
        assert server.sent[1]["code"] == 1001


async def test_what_a_peer_says_after_the_host_has_left_is_not_heard() -> None:
    desk = Desk()
    async with served(desk) as (node, server, task):
        await server.until(2)
        node.withdraw("it")
        server.say(call=1, slot="add", arguments=[1])
        server.arriving.put_nowait({"type": "websocket.receive", "bytes": b"\0"})
        server.leave()
        await task
        assert desk.order == []


async def test_a_server_that_cancels_its_application_is_obeyed() -> None:
    async with served(Boiler()) as (_, server, task):
        await server.until(2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


@pytest.mark.parametrize("own_server", [True, False])
async def test_a_peer_that_is_cut_ends_its_task_without_an_error(own_server: bool) -> None:
    limits = Limits(drain=0.0, unsent_soft=1000, unsent_hard=5000, slow_peer=SlowPeer.DISCONNECT)
    feeder = Feeder()
    async with served(feeder, limits=limits) as (_, server, task):
        if own_server:
            server.scope["extensions"] = {"everywire": Line(Peer(transport="tcp"), server.abort)}
        await server.until(2)
        server.open.clear()
        for number in range(20):
            feeder.crumbled.emit(number, b"x" * 900)
            await asyncio.sleep(0)
        await task
        assert server.aborted == (1 if own_server else 0)


async def test_a_client_whose_server_cannot_send_any_more_is_forgotten_with_its_disconnect() -> None:
    boiler = Boiler()
    async with served(boiler) as (_, server, task):
        await server.until(2)
        server.broken = True
        boiler.target = 22.0
        server.leave()
        await task


async def test_a_client_that_is_gone_while_it_is_not_read_is_forgotten_with_the_next_news() -> None:
    desk = Desk()
    async with served(desk, limits=Limits(drain=0.0, pending_calls=1)) as (_, server, task):
        for number in range(2):
            server.say(call=number, slot="hold", arguments=[number])
        await desk.bell.until(lambda: desk.holding == {0})
        while server.arriving.qsize():
            await asyncio.sleep(0)
        server.broken = True
        desk.calls += 1
        await task
        assert server.aborted == 0
        assert not server.hosted.links


@pytest.fixture
def tokens(tmp_path: Path) -> Tokens:
    return Tokens(tmp_path / "tokens")


def logged_in(tokens: Tokens, name: str) -> Caller:
    grant = tokens.grants[name]
    return Caller(wire="http", identity=grant.identity, role=grant.role, encrypted=True)


async def test_a_login_that_ends_fails_streams_and_calls_that_wait(tokens: Tokens) -> None:
    tokens.add("panel", Role.OPERATOR)
    tap = Tap()
    limits = Limits(drain=0.0, pending_calls=1)
    async with served(tap, caller=logged_in(tokens, "panel"), tokens=tokens, limits=limits) as (node, server, _):
        server.say(open=1, slot="waiting")
        server.say(grant=1, items=5)
        await server.until(3)
        server.say(call=1, slot="hold")
        server.say(call=2, slot="hold")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        tokens.remove("panel")
        node.recheck()
        refused, ended, closed = (await server.until(6))[3:]
        assert (refused["failed"], refused["code"]) == (2, "UNAUTHENTICATED")
        assert (ended["ended"], ended["code"]) == (1, "UNAUTHENTICATED")
        assert closed["code"] == 1008
        await tap.bell.until(lambda: not tap.open)
        tap.released = True
        tap.bell.ring()


async def test_a_listed_certificate_is_a_login_too(tokens: Tokens) -> None:
    subject = "CN=panel,O=Acme"
    tokens.add_certificate("panel", Role.OPERATOR, subject)
    caller = Caller(wire="http", identity=subject, role=Role.OPERATOR, encrypted=True)
    async with served(Boiler(), caller=caller, tokens=tokens) as (_, server, task):
        server.say(call=1, slot="drain")
        assert (await server.until(3))[2] == {"answered": 1}
        tokens.remove("panel")
        server.say(call=2, slot="drain")
        refused, closed = (await server.until(5))[3:]
        assert refused["code"] == "UNAUTHENTICATED"
        assert closed["code"] == 1008
        server.leave()
        await task


# ----------------------------------------------------------------------------------------------- uvicorn's own protocol
class Transport(asyncio.Transport):
    """Takes down what a protocol does with it."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.done: list[str] = []

    def write(self, data: Any) -> None:
        self.written += data

    def __getattribute__(self, name: str) -> Any:
        if name in ("abort", "close", "pause_reading", "resume_reading"):
            return lambda: self.done.append(name)
        return super().__getattribute__(name)

    def is_closing(self) -> bool:
        return "close" in self.done

    def get_write_buffer_size(self) -> int:
        return 0


async def nothing(scope: Any, receive: Any, send: Any) -> None:
    """An application that leaves at once."""


def socket(application: Any = nothing) -> tuple[BoundedSocket, Transport]:
    config = Config(application, interface="asgi3", log_config=None, lifespan="off", ws_per_message_deflate=False)
    config.load()
    protocol, transport = BoundedSocket(config, ServerState(), {}), Transport()
    protocol.connection_made(transport)
    return protocol, transport


UPGRADE = (
    b"Host: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


async def test_a_request_that_cannot_be_understood_is_refused_and_never_raises() -> None:
    protocol, transport = socket()
    protocol.data_received(b"GET /" + b"x" * 10_000 + b" HTTP/1.1\r\n" + UPGRADE)
    assert transport.written.startswith(b"HTTP/1.1 400 ")
    assert transport.done == ["close"]


async def test_what_nobody_foresaw_ends_one_connection_and_never_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise UnicodeEncodeError("ascii", "ü", 0, 1, "a stranger's text")

    protocol, transport = socket()
    monkeypatch.setattr(protocol, "handle_events", fail)
    protocol.data_received(b"GET / HTTP/1.1\r\n" + UPGRADE)
    assert transport.done == ["abort"]


async def test_reading_stops_with_writing_and_goes_on_when_both_sides_are_ready() -> None:
    protocol, transport = socket()
    protocol.pause_writing()
    protocol.read_paused = True
    protocol.queue.put_nowait({"type": "websocket.receive", "text": "x"})
    await protocol.receive()
    assert transport.done == ["pause_reading"]
    protocol.resume_writing()
    assert transport.done == ["pause_reading", "resume_reading"]
    protocol.pause_writing()
    protocol.read_paused = True
    protocol.resume_writing()
    assert transport.done[2:] == ["pause_reading"], "the application is behind"


@asynccontextmanager
async def opened() -> AsyncGenerator[tuple[BoundedSocket, Transport]]:
    """A WebSocket that its application has accepted."""

    async def stay(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await receive()

    protocol, transport = socket(stay)
    protocol.data_received(b"GET / HTTP/1.1\r\n" + UPGRADE)
    (task,) = protocol.tasks
    while not transport.written:
        await asyncio.sleep(0)
    yield protocol, transport
    protocol.connection_lost(None)
    await task


async def test_a_peer_is_not_cut_for_an_answer_to_a_ping_that_is_not_read() -> None:
    async with opened() as (protocol, transport):
        protocol.read_paused = True
        protocol.keepalive_timeout()
        protocol.read_paused = False
        protocol.pause_writing()
        protocol.keepalive_timeout()
        assert "close" not in transport.done
        protocol.resume_writing()
        protocol.keepalive_timeout()
        assert transport.done[-1] == "close"


async def test_nothing_is_written_to_a_connection_that_is_closing() -> None:
    async with opened() as (protocol, transport):
        written = transport.written
        protocol.transport.close()
        with pytest.raises(ClientDisconnected):
            await protocol.send({"type": "websocket.send", "text": "more"})
        assert transport.written == written
