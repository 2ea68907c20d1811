"""Objects over WebSockets, over a child's input and output, and over streams of one's own."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest

from everywire import (
    AddressError,
    Code,
    Fault,
    LinkError,
    LocalProtocolError,
    Node,
    Object,
    Property,
    RemoteObjects,
    ReplicaState,
    Role,
    Tokens,
    connect,
    current_call,
    link_of,
    prop,
    serve,
    slot,
    sync,
)
from everywire import (
    signal as everywire_signal,
)
from everywire.remoteobjects import Streams
from everywire.remoteobjects.codec import (
    AddObject,
    CallKind,
    Handshake,
    InitDynamic,
    Invoke,
    InvokeReply,
    ObjectList,
    PropertyChange,
    decode_packet,
    encode_packet,
)
from everywire.remoteobjects.endpoint import ways
from everywire.runtime import supervisor
from everywire.transport import Peer
from everywire.transport import command as command_module
from tests.remoteobjects.peers import QUICK

HERE: Final = "qtro+ws://127.0.0.1:0"


class Hall(Object):
    level: Property[int] = prop(1, writable=True)

    @everywire_signal
    def beeped(self, times: int) -> None: ...

    @slot
    async def double(self, value: int) -> int:
        self.beeped.emit(value)
        return 2 * value

    @slot
    async def echo(self, data: bytes) -> bytes:
        return data

    @slot
    async def who(self) -> str:
        caller = current_call().caller
        return f"{caller.identity} {caller.loopback}"


async def use(replica: Hall) -> None:
    """Do with a hall all that one can."""
    heard: list[int] = []
    replica.beeped.connect(heard.append)
    assert await replica.double(4) == 8
    assert await Hall.level.push(replica, 7) == 7
    data = os.urandom(600_000)
    assert await replica.echo(data) == data
    assert heard == [4]


# ----------------------------------------------------------------------------------------------------- WebSockets
@pytest.mark.loops("asyncio", "uvloop")
async def test_a_websocket_carries_objects_and_comes_back() -> None:
    async with Node(limits=QUICK) as node:
        node.publish(Hall(), "hall")
        (url,) = await node.serve(f"{HERE}/plant")
        assert url.startswith("qtro+ws://127.0.0.1:")
        assert url.endswith("/plant")
        async with connect(url, "hall", Hall) as replica:
            await use(replica)
            assert await replica.who() == "anonymous True"
            for session in tuple(node.servers[0].sessions):  # type: ignore[attr-defined]
                session.abort()
            await link_of(replica).wait_for(ReplicaState.SUSPECT)
            await link_of(replica).wait_valid()
            assert await replica.double(1) == 2


async def test_a_program_without_a_loop_uses_a_websocket_in_the_background() -> None:
    async with serve(Hall(), "hall", on=HERE, limits=QUICK) as node:

        def program() -> int:
            with sync.connect(node.addresses[0], "hall", Hall) as replica:
                return sync.run(replica.double(21))

        assert await asyncio.to_thread(program) == 42


async def test_a_login_is_demanded_as_over_any_other_transport(tmp_path: Path, cheap_derivations: None) -> None:
    tokens = Tokens(tmp_path / "tokens")
    token = tokens.add("panel", Role.OPERATOR)
    async with Node(limits=QUICK, tokens=tokens) as node:
        node.publish(Hall(), "hall")
        (url,) = await node.serve(HERE)
        with pytest.raises(Fault, match="needs a token") as refused:
            async with connect(url, "hall", Hall):
                pass
        assert refused.value.code is Code.UNAUTHENTICATED
        async with connect(RemoteObjects(url=url.removeprefix("qtro+"), token=token), "hall", Hall) as replica:
            assert await replica.who() == "token:panel True"


async def test_a_stranger_cannot_make_us_keep_a_large_message(tmp_path: Path) -> None:
    async with Node(limits=QUICK, tokens=Tokens(tmp_path / "tokens")) as node:
        (url,) = await node.serve(HERE)
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(url.replace("qtro+ws", "http")) as stranger,
        ):
            await stranger.send_bytes(bytes(256 * 1024 + 1))
            async for _ in stranger:
                pass
            assert stranger.close_code == 1009


async def test_a_web_page_of_another_origin_is_refused() -> None:
    async with Node(limits=QUICK) as node, aiohttp.ClientSession() as session:
        (closed,) = await node.serve(HERE)
        (open_to_one,) = await node.serve(f"{HERE}?origin=https://panel.example")
        page = "https://panel.example"
        with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
            await session.ws_connect(closed.replace("qtro+ws", "http"), origin=page)
        async with session.ws_connect(open_to_one.replace("qtro+ws", "http"), origin=page) as allowed:
            assert await allowed.receive_bytes()


async def test_a_client_like_a_browser_speaks_the_protocol_by_hand() -> None:
    """Another library's WebSocket, and packets: what a page with a script of its own does."""
    async with Node(limits=QUICK) as node, aiohttp.ClientSession() as session:
        hall = Hall()
        node.publish(hall, "hall")
        (url,) = await node.serve(HERE)
        async with session.ws_connect(url.replace("qtro+ws", "http")) as page:
            rest = b""

            async def packet() -> Any:
                nonlocal rest
                while len(rest) < 4 or len(rest) < 4 + int.from_bytes(rest[:4], "little"):
                    rest += await page.receive_bytes()
                end = 4 + int.from_bytes(rest[:4], "little")
                body, rest = rest[4:end], rest[end:]
                return decode_packet(body, from_host=True)

            assert await packet() == Handshake("QtRO 2.0")
            listed = await packet()
            assert isinstance(listed, ObjectList)
            assert [entry.name for entry in listed.entries] == ["hall"]
            await page.send_bytes(encode_packet(AddObject("hall", dynamic=True)))
            assert isinstance(await packet(), InitDynamic)
            hall.level = 5
            changed = await packet()
            assert isinstance(changed, PropertyChange)
            assert changed.value == 5
            asked = encode_packet(Invoke("hall", CallKind.METHOD, 1, (21,), 1, -1))
            for byte in asked:  # a message for each byte: their borders mean nothing
                await page.send_bytes(bytes([byte]))
            while not isinstance(reply := await packet(), InvokeReply):
                pass
            assert reply.value == 42


# ------------------------------------------------------------------------------------------------ child processes
HALL: Final = """
import asyncio, os, sys
from everywire import Object, Property, connect, prop, serve, signal, slot

class Hall(Object):
    level: Property[int] = prop(1, writable=True)

    @signal
    def beeped(self, times: int) -> None: ...

    @slot
    async def double(self, value: int) -> int:
        self.beeped.emit(value)
        return 2 * value

    @slot
    async def echo(self, data: bytes) -> bytes:
        return data

    @slot
    async def who(self) -> str:
        return str(os.getpid())

"""
HOST: Final = (
    HALL
    + """
async def main():
    print("host", file=sys.stderr, flush=True)
    print("a stray line, which must not harm the stream") if len(sys.argv) > 1 else None
    async with serve(Hall(), "hall", on="stdio:") as node:
        while node.addresses:
            await asyncio.sleep(0.01)

asyncio.run(main())
"""
)
USER: Final = (
    HALL
    + """
async def main():
    async with connect("stdio:", "hall", Hall) as hall:
        await Hall.level.push(hall, await hall.double(21))
        print("used", file=sys.stderr, flush=True)

asyncio.run(main())
"""
)


def child(code: str, *arguments: str, **settings: Any) -> RemoteObjects:
    return RemoteObjects.command(sys.executable, "-c", code, *arguments, **settings)


async def test_a_child_hosts_objects_and_its_standard_error_is_ours(capfd: pytest.CaptureFixture[str]) -> None:
    async with connect(child(HOST), "hall", Hall) as replica:
        await use(replica)
        pid = int(await replica.who())
        assert link_of(replica).url.startswith("command:")
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)  # it was waited for
    assert capfd.readouterr().err == "host\n"


def test_a_program_without_a_loop_uses_a_child() -> None:
    with sync.connect(child(HOST), "hall", Hall) as replica:
        assert sync.run(replica.double(21)) == 42


async def test_a_child_that_dies_is_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "NEAR", 0.0)
    async with connect(child(HOST), "hall", Hall) as replica:
        pid = int(await replica.who())
        calling = asyncio.ensure_future(replica.double(1))
        os.kill(pid, signal.SIGKILL)
        await link_of(replica).wait_for(ReplicaState.SUSPECT)
        with suppress(Fault):
            await calling  # or it was answered before
        await link_of(replica).wait_valid()
        assert int(await replica.who()) != pid


async def test_a_child_that_stands_still_is_noticed_and_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "NEAR", 0.0)
    monkeypatch.setattr(command_module, "GRACE", 0.1)
    async with connect(child(HOST, heartbeat=0.2), "hall", Hall) as replica:
        pid = int(await replica.who())
        os.kill(pid, signal.SIGSTOP)
        await link_of(replica).wait_for(ReplicaState.SUSPECT)
        await link_of(replica).wait_valid()
        assert int(await replica.who()) != pid


@pytest.mark.parametrize(
    "code, told",
    [
        ("raise SystemExit(3)", r"the child ended with exit code 3"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", "the child was ended by signal 15"),
    ],
)
async def test_a_child_that_ends_at_once_is_told_with_its_exit_code(code: str, told: str) -> None:
    with pytest.raises(LinkError, match=told):
        async with connect(child(code), "hall", Hall, timeout=0):
            pass


async def test_a_program_that_is_not_there_is_named() -> None:
    with pytest.raises(LinkError, match="cannot start /nowhere/child: No such file"):
        async with connect(RemoteObjects.command("/nowhere/child"), "hall", Hall, timeout=0):
            pass


async def test_a_child_uses_our_objects(capfd: pytest.CaptureFixture[str]) -> None:
    async with Node() as node:
        hall = Hall()
        node.publish(hall, "hall")
        (url,) = await node.serve(child(USER))
        assert url.startswith("command:")
        await Hall.level.wait_for(hall, lambda level: level == 42)
        while node.addresses:
            await asyncio.sleep(0)  # until the child has left
    assert capfd.readouterr().err == "used\n"


async def test_a_host_that_ends_waits_for_its_child() -> None:
    waiting = HALL + "sys.stdin.buffer.read()\nprint('ended', file=sys.stderr)"
    async with Node(limits=QUICK) as node:
        await node.serve(child(waiting))
        pid = node.servers[0]._listener._child.pid  # type: ignore[attr-defined]
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_an_address_can_never_start_a_program() -> None:
    for url in ("command:touch /tmp/x", "qtro+command:touch /tmp/x", "stdio:touch /tmp/x"):
        with pytest.raises(AddressError):
            RemoteObjects(url=url).place()


# ------------------------------------------------------------------------------------------------- given streams
@asynccontextmanager
async def adopting() -> AsyncIterator[tuple[Node, Streams, Callable[..., None]]]:
    """A host of streams, and what gives it one beside everything else."""
    async with Node(limits=QUICK) as node, asyncio.TaskGroup() as handlers:
        node.publish(Hall(), "hall")
        streams = Streams()
        assert await node.serve(RemoteObjects.over(streams)) == ("stream:",)

        def adopt(stream: Any, peer: Peer | None = None) -> None:
            handlers.create_task(streams.adopt(stream, peer=peer))

        yield node, streams, adopt
        await node.aclose()


@pytest.mark.loops("asyncio", "uvloop")
async def test_two_ends_of_a_socketpair(request: pytest.FixtureRequest) -> None:
    ours, theirs = socket.socketpair()
    async with adopting() as (_, _streams, adopt):
        adopt(theirs)
        async with connect(RemoteObjects.over(ours), "hall", Hall) as replica:
            await use(replica)
            assert await replica.who() == f"uid:{os.getuid()} True"


async def test_a_host_serves_one_stream_without_more_ado() -> None:
    ours, theirs = socket.socketpair()
    async with Node(limits=QUICK) as node:
        node.publish(Hall(), "hall")
        await node.serve(RemoteObjects.over(theirs))
        async with connect(RemoteObjects.over(ours), "hall", Hall) as replica:
            await use(replica)


async def test_a_function_makes_a_stream_for_each_connection(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    own = Peer(transport="unix", uid=os.getuid(), loopback=True)
    async with adopting() as (node, streams, _):
        server = await asyncio.start_unix_server(lambda *pair: streams.adopt(pair, peer=own), path)
        way = RemoteObjects.over(lambda: asyncio.open_unix_connection(path))
        async with connect(way, "hall", Hall) as replica:
            await use(replica)
            for session in tuple(node.servers[0].sessions):  # type: ignore[attr-defined]
                session.abort()
            await link_of(replica).wait_for(ReplicaState.SUSPECT)
            await link_of(replica).wait_valid()
            assert await replica.double(3) == 6
        server.close()


async def test_a_stream_that_was_given_once_does_not_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "NEAR", 0.0)
    ours, theirs = socket.socketpair()
    async with adopting() as (node, _, adopt):
        adopt(theirs)
        async with connect(RemoteObjects.over(ours), "hall", Hall) as replica:
            for session in tuple(node.servers[0].sessions):  # type: ignore[attr-defined]
                session.abort()
            await link_of(replica).wait_for(ReplicaState.SUSPECT)
            with pytest.raises(LinkError, match="the stream that was given has ended; give a function that makes one"):
                await link_of(replica).wait_valid(timeout=0.2)


async def test_who_comes_over_a_stream_that_says_nothing_of_him_is_a_stranger(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    async with adopting() as (_, streams, _adopt):
        server = await asyncio.start_unix_server(lambda *pair: streams.adopt(pair), path)
        with pytest.raises(Fault, match="no object 'hall' at stream:; it offers nothing"):
            async with connect(RemoteObjects.over(lambda: asyncio.open_unix_connection(path)), "hall", timeout=0):
                pass
        server.close()


async def test_streams_are_served_before_they_are_adopted_and_once() -> None:
    streams = Streams()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        with pytest.raises(LocalProtocolError, match="nobody serves these streams"):
            await streams.adopt(ours)
        async with Node(limits=QUICK) as node:
            await node.serve(RemoteObjects.over(streams))
            with pytest.raises(LocalProtocolError, match="served already"):
                await node.serve(RemoteObjects.over(streams))
        with pytest.raises(LocalProtocolError, match="nobody serves these streams"):
            await streams.adopt(ours)
    with pytest.raises(AddressError, match="Streams are for who serves"):
        async with connect(RemoteObjects.over(streams), "hall", Hall):
            pass


async def test_adopting_ends_with_who_adopts() -> None:
    ours, theirs = socket.socketpair()
    async with Node(limits=QUICK) as node:
        node.publish(Hall(), "hall")
        streams = Streams()
        await node.serve(RemoteObjects.over(streams))
        adopted = asyncio.ensure_future(streams.adopt(theirs))
        async with connect(RemoteObjects.over(ours), "hall", Hall) as replica:
            adopted.cancel()
            await link_of(replica).wait_for(ReplicaState.SUSPECT)
            await asyncio.wait((adopted,))


async def test_a_function_that_makes_no_stream_says_why() -> None:
    async def never() -> Any:
        await asyncio.Event().wait()

    def broken() -> Any:
        raise ConnectionRefusedError(111, "the modem is off")

    with pytest.raises(LinkError, match=r"no stream: .*the modem is off"):
        async with connect(RemoteObjects.over(broken), "hall", Hall, timeout=0):
            pass
    way = ways.StreamWay(never, None)
    with pytest.raises(LinkError, match=r"no stream within 0\.01 s"):
        await way._stream(0.01)
