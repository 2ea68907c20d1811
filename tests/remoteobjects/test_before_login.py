"""What a link hears and may do before its login, and that a recorded login is worth nothing."""

from __future__ import annotations

import asyncio
import struct
import time
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from everywire import (
    Code,
    Fault,
    Limits,
    LinkError,
    Policy,
    RemoteObjects,
    Role,
    connect,
)
from everywire.remoteobjects.codec import (
    AddObject,
    CallKind,
    Invoke,
    ObjectList,
    Ping,
    Pong,
    encode_packet,
)
from everywire.remoteobjects.codec.extension import HELLO, LOGIN_FIRST, NAME, Method, ask
from everywire.transport import ByteStream, listen, open_stream
from tests.remoteobjects.guarded import (
    MECHANISM,
    NONCE,
    WHO,
    Machine,
    authenticate,
    begin,
    guarding,
    log_in,
    stranger,
)
from tests.remoteobjects.peers import at_once

pytestmark = pytest.mark.usefixtures("cheap_derivations")


# --------------------------------------------------------------------------------------------------- before the login
@pytest.mark.parametrize("policy", [None, Policy(role=lambda _: Role.ADMIN)], ids=["default", "trusts everybody"])
async def test_before_a_login_a_peer_gets_the_handshake_and_nothing_else(
    folder: Path, caplog: pytest.LogCaptureFixture, policy: Policy | None
) -> None:
    limits = Limits(drain=0, handshake=0.3)
    async with guarding(folder, caplog, limits=limits, policy=policy) as host, stranger(host.url) as peer:
        await peer.send(
            Ping("it"),
            AddObject("it", dynamic=True),
            Invoke("it", CallKind.METHOD, WHO, (), 5),
            Invoke("it", CallKind.METHOD, 0, (99.0,), 6),
            Invoke(NAME, CallKind.METHOD, Method.CONTRACT, ("it",), 7),
            Invoke(NAME, CallKind.METHOD, Method.OPEN, ("it", "count", [], 1), 8),
            authenticate(b"n,,n=panel,r=" + NONCE.encode(), serial=9),  # not before hello
        )
        host.source.target = 30.0
        host.source.beeped.emit(1)
        host.node.publish(Machine(), "later")
        host.node.policy.forget()
        host.node.withdraw("it")
        with pytest.raises(LinkError):
            await peer.packet()
        assert host.source.target == 30.0
        (line,) = await host.denied()
        assert line["reason"] == "no login within 0.3 s"
        assert line["address"].startswith("127.0.0.1:")


async def test_hello_before_a_login_tells_that_one_is_needed_and_not_more(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with guarding(folder, caplog) as host:
        async with stranger(host.url) as peer:
            await peer.send(Ping(HELLO), Invoke(NAME, CallKind.METHOD, Method.CONTRACT, ("it",), 7), Ping(HELLO))
            assert await peer.packet() == Pong(LOGIN_FIRST)
            assert await peer.packet() == Pong(LOGIN_FIRST)
        await host.denied()


@pytest.mark.parametrize("size", [16 * 1024 + 1, 1024 * 1024, 0x7FFFFFFF])
async def test_before_a_login_a_large_frame_cuts_the_link(
    folder: Path, caplog: pytest.LogCaptureFixture, size: int
) -> None:
    async with guarding(folder, caplog) as host, stranger(host.url) as peer:
        await peer.send(struct.pack("<I", size))
        await peer.ended()
        (line,) = await host.denied()
        assert "is not within 6 and 16384" in line["reason"]


async def test_after_a_login_frames_may_be_as_large_as_everywhere(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with guarding(folder, caplog) as host, stranger(host.url) as peer:
        await log_in(peer, host.tokens.add("panel", Role.OPERATOR))
        assert [info.name for info in (await peer.find(ObjectList)).entries] == ["it"]
        await peer.send(Ping("x" * 100_000))
        await peer.find(Pong)


async def test_who_sends_byte_by_byte_is_cut_in_time_and_nobody_else_waits(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with guarding(folder, caplog, limits=Limits(drain=0, handshake=0.5)) as host:
        token = host.tokens.add("panel", Role.OPERATOR)
        async with AsyncExitStack() as stack:
            slow = [await stack.enter_async_context(open_stream(host.url)) for _ in range(30)]

            async def dribble(stream: ByteStream) -> None:
                data = encode_packet(Ping(HELLO)) + authenticate(b"x" * 10_000, serial=1)
                for place in range(len(data)):
                    try:
                        await stream.write(data[place : place + 1])
                        async with asyncio.timeout(0.05):
                            await stream.read()
                    except TimeoutError:
                        pass
                    except LinkError:
                        return

            async with asyncio.TaskGroup() as group:
                for stream in slow:
                    group.create_task(dribble(stream))
                async with connect(host.wire(token), "it", Machine) as machine:
                    with at_once(1.0):
                        assert await machine.who() == "token:panel OPERATOR"
        assert {line["reason"] for line in await host.denied(30)} == {"no login within 0.5 s"}


async def test_who_comes_and_goes_without_a_word_was_denied_nothing(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with guarding(folder, caplog) as host:
        async with stranger(host.url):
            pass
        await host.nobody_left()
        assert not host.denials


@pytest.mark.parametrize(
    "arguments",
    [(), (MECHANISM,), ("PLAIN", b"panel\0secret"), (MECHANISM, "text"), (MECHANISM, b""), (MECHANISM, b"\xff" * 999),
     (5, 6), (MECHANISM, b"n,,n=" + b"x" * 65 + b",r=" + b"n" * 24)],
    ids=range(8),
)  # fmt: skip
async def test_a_malformed_login_is_refused_and_ends_the_link(
    folder: Path, caplog: pytest.LogCaptureFixture, arguments: tuple[Any, ...]
) -> None:
    async with guarding(folder, caplog) as host, stranger(host.url) as peer:
        await peer.send(Ping(HELLO))
        await peer.find(Pong)
        refusal = await peer.refusal(ask(Method.AUTHENTICATE, *arguments, serial=1))
        assert refusal.code in (Code.UNAUTHENTICATED, Code.UNIMPLEMENTED)
        await peer.ended()
        (line,) = await host.denied()
        assert line["reason"] == "malformed"


async def test_what_follows_a_proof_in_its_chunk_is_not_done(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Neither behind a wrong proof nor behind a right one: a client waits for the host's own."""
    async with guarding(folder, caplog) as host:
        token = host.tokens.add("panel", Role.OPERATOR)
        push = Invoke("it", CallKind.METHOD, 0, (99.0,), 6)
        async with stranger(host.url) as peer:
            client, answer = await begin(peer)
            await peer.send(authenticate(client.final(answer), serial=2), push, AddObject("it", dynamic=False))
            assert isinstance(await peer.result(2), Fault)
            await peer.ended()
        async with stranger(host.url) as peer:
            client, answer = await begin(peer, *token.split("."))
            await peer.send(authenticate(client.final(answer), serial=2), push)
            client.check(await peer.result(2))
            await peer.find(ObjectList)
            await peer.fence()
        assert host.source.target == 21.0


async def test_at_the_connection_limit_strangers_make_room_for_who_logs_in(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with guarding(folder, caplog, limits=Limits(drain=0, connections=2)) as host:
        token = host.tokens.add("panel", Role.OPERATOR)
        async with stranger(host.url) as idle:
            await log_in(idle, token)
            async with stranger(host.url) as flood, connect(host.wire(token), "it", Machine) as machine:
                await flood.ended()
                await idle.fence()
                assert await machine.who() == "token:panel OPERATOR"


@pytest.mark.parametrize("meanwhile", ["removed", "expired", "replaced"])
async def test_a_token_that_ends_within_its_login_is_refused(
    folder: Path, caplog: pytest.LogCaptureFixture, meanwhile: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with guarding(folder, caplog) as host:
        token = host.tokens.add("panel", Role.OPERATOR, expires=time.time() + 1000)
        async with stranger(host.url) as peer:
            client, answer = await begin(peer, *token.split("."))
            if meanwhile == "expired":
                later = time.time() + 1001
                monkeypatch.setattr(time, "time", lambda: later)
            else:
                host.tokens.remove("panel")
            if meanwhile == "replaced":
                host.tokens.add("panel", Role.ADMIN)
            refusal = await peer.refusal(authenticate(client.final(answer), serial=2))
            assert refusal.code is Code.UNAUTHENTICATED
            await peer.ended()
        reasons = {"removed": "unknown name", "expired": "expired", "replaced": "wrong secret"}
        assert [line["reason"] for line in await host.denied()] == [reasons[meanwhile]]


# -------------------------------------------------------------------------------------------------------------- replay
async def test_a_recorded_login_is_refused_byte_by_byte(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """All that a client has ever sent, replayed on a new connection."""
    async with guarding(folder, caplog) as host:
        recorded = bytearray()

        async def eavesdrop(stream: ByteStream) -> None:
            async with open_stream(host.url) as real, asyncio.TaskGroup() as group:

                async def forward() -> None:
                    while data := await stream.read():
                        recorded.extend(data)
                        await real.write(data)
                    real.end()

                async def back() -> None:
                    while data := await real.read():
                        await stream.write(data)

                group.create_task(forward())
                group.create_task(back())

        token = host.tokens.add("panel", Role.OPERATOR)
        async with (
            listen("tcp://127.0.0.1:0", eavesdrop) as listener,
            connect(RemoteObjects(url=listener.url, token=token), "it", Machine) as machine,
        ):
            assert await machine.who() == "token:panel OPERATOR"
        assert token.split(".")[1].encode() not in recorded
        async with stranger(host.url) as peer:
            await peer.send(bytes(recorded))
            await peer.ended()
            assert not any(isinstance(packet, ObjectList) for packet in peer.seen)
        async with stranger(host.url) as peer:  # and in the rhythm of the real one
            with suppress(LinkError):
                for place in range(len(recorded)):
                    await peer.send(bytes(recorded[place : place + 1]))
                    await asyncio.sleep(0)
            await peer.ended()
        assert [line["reason"] for line in await host.denied(2)] == ["wrong secret", "wrong secret"]
