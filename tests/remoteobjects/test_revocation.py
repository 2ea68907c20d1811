"""How a login ends: with the next call, within a second on links that only listen, and with nothing said after it."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from everywire import (
    Code,
    Fault,
    Limits,
    LinkError,
    Object,
    ReplicaState,
    Role,
    connect,
    link_of,
    slot,
)
from everywire.remoteobjects.codec import (
    AddObject,
    CallKind,
    Invoke,
    ObjectList,
    Ping,
    PropertyChange,
    encode_packet,
)
from everywire.remoteobjects.codec.extension import Method, ask
from tests.remoteobjects.guarded import (
    WHO,
    Machine,
    guarding,
    log_in,
    stranger,
)
from tests.remoteobjects.peers import at_once

pytestmark = pytest.mark.usefixtures("cheap_derivations")


# ---------------------------------------------------------------------------------------------------------- revocation
@pytest.mark.loops("asyncio", "uvloop")
async def test_a_call_that_meets_a_revocation_is_refused_and_the_link_ends(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with guarding(folder, caplog) as host:
        token = host.tokens.add("panel", Role.OPERATOR)
        async with connect(host.wire(token), "it", Machine) as machine:
            assert await machine.who() == "token:panel OPERATOR"
            host.tokens.remove("panel")
            with at_once(1.0), pytest.raises(Fault, match="was revoked") as refused:
                await machine.who()
            assert refused.value.code is Code.UNAUTHENTICATED
            assert not refused.value.may_have_run
            link = link_of(machine)
            while link.state is ReplicaState.VALID:
                await asyncio.sleep(0)
            assert isinstance(link.error, Fault)
            assert link.error.code is Code.UNAUTHENTICATED
            assert machine.target == 21.0, "values stay readable"
        lines = await host.denied(len(host.denials))
        assert (lines[0]["caller"], lines[0]["reason"]) == ("token:panel", "was revoked")
        assert all(line["reason"] == "unknown name" for line in lines[1:])


async def test_calls_that_waited_for_their_turn_meet_a_revocation_too(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    limits = Limits(drain=0, pending_calls=1)
    async with guarding(folder, caplog, limits=limits) as host, stranger(host.url) as peer:
        await log_in(peer, host.tokens.add("panel", Role.OPERATOR))
        await peer.find(ObjectList)
        wait, push = WHO + 1, 0
        calls = [Invoke("it", CallKind.METHOD, push, (9.0,), serial) for serial in (12, 13)]
        await peer.send(Invoke("it", CallKind.METHOD, wait, (), 11), *calls)
        host.tokens.remove("panel")
        for serial in (12, 13):
            refusal = await peer.result(serial)
            assert isinstance(refusal, Fault)
            assert refusal.code is Code.UNAUTHENTICATED
        await peer.ended()
        assert host.source.target == 21.0


async def test_a_slot_that_ends_its_callers_login_is_the_last_one_that_runs(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The calls behind it came in one chunk with it."""

    class Locker(Object):
        def __init__(self) -> None:
            self.touched = 0

        @slot
        async def lock(self) -> None:
            host.tokens.remove("panel")
            host.node.recheck()

        @slot
        async def touch(self) -> None:
            self.touched += 1

    locker = Locker()
    async with guarding(folder, caplog) as host:
        host.node.publish(locker, "locker")
        async with stranger(host.url) as peer:
            await log_in(peer, host.tokens.add("panel", Role.OPERATOR))
            await peer.find(ObjectList)
            lock, touch = (Invoke("locker", CallKind.METHOD, index, (), 11 + index) for index in range(2))
            await peer.send(touch, lock, touch, ask(Method.CONTRACT, "it", serial=14))
            assert await peer.result(12) is None
            for serial in (12, 14):
                refusal = await peer.result(serial)
                assert isinstance(refusal, Fault)
                assert (refusal.code, refusal.may_have_run) == (Code.UNAUTHENTICATED, False)
            await peer.ended()
        await host.denied()
    assert locker.touched == 1


async def test_whatever_meets_a_revocation_is_answered(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Calls, also those that would have been refused anyway, and questions to the host itself."""
    async with guarding(folder, caplog) as host, stranger(host.url) as peer:
        await log_in(peer, host.tokens.add("panel", Role.OPERATOR))
        await peer.find(ObjectList)
        host.tokens.remove("panel")
        await peer.send(
            Invoke("it", CallKind.METHOD, WHO, (), 11),
            Invoke("it", CallKind.METHOD, WHO, ("one too many",), 12),
            Invoke("it", CallKind.METHOD, 99, (), 13),
            ask(Method.CONTRACT, "it", serial=14),
            Ping("not this"),
        )
        for serial in (11, 12, 13, 14):
            refusal = await peer.result(serial)
            assert isinstance(refusal, Fault)
            assert (refusal.code, refusal.may_have_run) == (Code.UNAUTHENTICATED, False)
        await peer.ended()
        await host.denied()


async def test_a_stream_ends_with_the_login(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with (
        guarding(folder, caplog) as host,
        connect(host.wire(host.tokens.add("panel", Role.OPERATOR)), "it", Machine) as machine,
    ):
        stream = machine.count()
        assert await anext(stream) == 1
        host.tokens.remove("panel")
        with pytest.raises(Fault, match="was revoked") as refused:
            await anext(stream)
        assert refused.value.code is Code.UNAUTHENTICATED


async def test_a_link_that_only_listens_ends_within_seconds_and_hears_nothing_after(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with guarding(folder, caplog) as host:
        async with stranger(host.url) as peer:
            await log_in(peer, host.tokens.add("screen", Role.VIEWER))
            await peer.send(AddObject("it", dynamic=False))
            await peer.fence()
            host.source.target = 22.0
            await peer.find(PropertyChange)
            host.tokens.remove("screen")
            with at_once(4.0):
                await host.denied()
            peer.seen.clear()
            host.source.target = 23.0
            with pytest.raises(LinkError):
                while True:
                    await peer.packet()
            assert not any(isinstance(packet, PropertyChange) for packet in peer.seen)
        assert host.denials[0]["reason"] == "was revoked"


async def test_a_login_ends_when_the_token_expires(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with guarding(folder, caplog) as host:
        token = host.tokens.add("panel", Role.OPERATOR, expires=time.time() + 1.5)
        async with connect(host.wire(token), "it", Machine) as machine:
            while link_of(machine).state is ReplicaState.VALID:
                await asyncio.sleep(0)
            assert "has expired" in str(link_of(machine).error)
        assert host.denials[0]["reason"] == "has expired"


async def test_a_changed_role_holds_after_the_client_has_come_back_by_itself(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with guarding(folder, caplog) as host:
        token = host.tokens.add("panel", Role.OPERATOR)
        async with connect(host.wire(token), "it", Machine) as machine:
            file = folder / "tokens.json"
            file.write_text(file.read_text().replace('"operator"', '"admin"'))
            with pytest.raises(Fault, match="was changed"):
                await machine.who()
            for awaited in (ReplicaState.SUSPECT, ReplicaState.VALID):
                while link_of(machine).state is not awaited:
                    await asyncio.sleep(0)
            with at_once(5.0):
                assert await machine.who() == "token:panel ADMIN"
        assert [line["reason"] for line in host.denials] == ["was changed"]


async def test_a_broken_file_ends_every_login(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with guarding(folder, caplog) as host:
        token = host.tokens.add("panel", Role.OPERATOR)
        async with connect(host.wire(token), "it", Machine) as machine:
            (folder / "tokens.json").write_text("{")
            with pytest.raises(Fault, match="UNAUTHENTICATED"):
                await machine.who()
        assert sum(record.name == "everywire.tokens" for record in caplog.records) == 1


async def test_what_arrives_after_the_end_of_a_login_is_not_done(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Not even in the moment before the link is closed, and though the caller was allowed to do it before."""
    push = encode_packet(Invoke("it", CallKind.METHOD, 0, (9.0,), 12))
    async with guarding(folder, caplog) as host, stranger(host.url) as peer:
        await log_in(peer, host.tokens.add("panel", Role.OPERATOR))
        await peer.send(Invoke("it", CallKind.METHOD, 0, (8.0,), 11))
        await peer.result(11)
        (server,) = host.node._servers
        (session,) = server.sessions  # type: ignore[attr-defined]
        host.tokens.remove("panel")
        host.node.recheck()
        session.received(push)
        session.recheck()
        await peer.ended()
        assert host.source.target == 8.0
        await host.denied()
