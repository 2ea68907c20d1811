"""Hosts that fall silent: what a client sends them, when it gives them up, and what comes back."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest

from everywire import (
    AddressError,
    Code,
    Fault,
    Limits,
    LinkError,
    Node,
    Object,
    Property,
    RemoteObjects,
    ReplicaState,
    connect,
    link_of,
    prop,
    slot,
    sync,
)
from everywire.remoteobjects import open_session
from everywire.remoteobjects.codec import Ping, Pong
from everywire.remoteobjects.endpoint.replicas import ReplicaSession
from everywire.transport import ByteStream, accept, dial, listen, open_stream
from tests.harness import soak
from tests.remoteobjects.peers import RawPeer, greet, raw_host, until_closed
from tests.transport.receivers import RecordingReceiver

IDLE = 0.1


class Hall(Object):
    level: Property[int] = prop(1, writable=True)

    def __init__(self) -> None:
        self.go = asyncio.Event()

    @slot
    async def double(self, value: int) -> int:
        return 2 * value

    @slot(timeout=None)
    async def wait(self) -> None:
        await self.go.wait()


class Cable:
    """A relay that can be cut without either end hearing of it: as when a router between them dies."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._whole = asyncio.Event()
        self._whole.set()
        self.links = 0

    def cut(self) -> None:
        """Carry nothing any more."""
        self._whole.clear()

    def mend(self) -> None:
        """Carry what comes from now on."""
        self._whole.set()

    async def carry(self, one: ByteStream) -> None:
        """Relay between one who connected and the target."""
        self.links += 1
        async with open_stream(self._target) as two, asyncio.TaskGroup() as both:
            both.create_task(self._relay(one, two))
            both.create_task(self._relay(two, one))

    async def _relay(self, source: ByteStream, target: ByteStream) -> None:
        try:
            while data := await source.read():
                await self._whole.wait()
                await target.write(data)
        except LinkError:
            pass
        finally:
            target.abort()


@asynccontextmanager
async def cabled(limits: Limits | None = None) -> AsyncIterator[tuple[Hall, Cable, str]]:
    """A host, and a cable to it."""
    async with Node(limits=limits or Limits(drain=0.0)) as node:
        hall = Hall()
        node.publish(hall, "hall")
        (url,) = await node.serve("tcp://127.0.0.1:0")
        cable = Cable(url)
        async with listen("tcp://127.0.0.1:0", cable.carry) as listener:
            yield hall, cable, listener.url


async def test_a_half_open_link_is_given_up_and_comes_back_when_the_cable_is_mended() -> None:
    async with cabled() as (hall, cable, url), connect(f"{url}?heartbeat={IDLE}", "hall", Hall) as replica:
        assert await replica.double(2) == 4
        cable.cut()
        hall.level = 7
        calling = asyncio.ensure_future(replica.double(3))
        await link_of(replica).wait_for(ReplicaState.SUSPECT)
        with pytest.raises(Fault, match=r"the host said nothing for 0\.3 s: it is stopped or cut off") as lost:
            await calling
        assert (lost.value.code, lost.value.may_have_run) == (Code.UNAVAILABLE, True)
        assert replica.level == 1
        heard: list[int] = []
        Hall.level.on_change(replica, heard.append)
        cable.mend()
        await link_of(replica).wait_valid()
        assert (replica.level, heard) == (7, [7])
        assert await replica.double(3) == 6


async def test_a_silent_host_is_asked_with_the_name_of_the_replica_and_its_answer_keeps_the_link() -> None:
    async with cabled() as (_, cable, url):
        asked = 0

        async def count(stream: ByteStream) -> None:
            nonlocal asked
            async with open_stream(cable._target) as host, asyncio.TaskGroup() as both:
                both.create_task(Cable(url)._relay(host, stream))
                while data := await stream.read():
                    asked += data.count("hall".encode("utf-16-le")) if data[4:6] == b"\x0a\x00" else 0
                    await host.write(data)
                host.abort()

        async with (
            listen("tcp://127.0.0.1:0", count) as listener,
            connect(f"{listener.url}?heartbeat=0.02", "hall", Hall) as replica,
        ):
            states: list[Any] = []
            link_of(replica).state_changed.connect(states.append)
            while asked < soak(10, 500):
                await asyncio.sleep(0)
            assert states == []


async def test_the_answer_to_a_heartbeat_is_not_taken_for_that_to_a_push() -> None:
    pushed = asyncio.Event()

    async def script(peer: RawPeer) -> None:
        await greet(peer, "hall")
        first = await peer.find(Ping)
        assert first.name == ""
        pushed.set()
        await peer.find(Ping, lambda ping: ping.name == "")
        await peer.send(Pong(""))
        await peer.find(Ping, lambda ping: ping.name == "fence")
        await peer.send(Pong(""), Pong("fence"))
        await until_closed(peer)

    async with raw_host("tcp://127.0.0.1:0", script) as url, open_session(url, heartbeat=0.05) as session:
        await pushed.wait()
        waiting = asyncio.ensure_future(session.ping())
        fence = asyncio.ensure_future(session.ping("fence"))
        await asyncio.gather(waiting, fence)


async def test_a_host_that_does_not_read_while_too_many_calls_run_is_not_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = Limits(drain=0.0, pending_calls=4)
    async with (
        cabled(limits) as (hall, _, url),
        connect(f"{url}?heartbeat=0.02", "hall", Hall, limits=limits) as replica,
    ):
        states: list[Any] = []
        link_of(replica).state_changed.connect(states.append)
        calls = [asyncio.ensure_future(replica.wait()) for _ in range(6)]
        ticks = 0
        while ticks < 20:
            beat = asyncio.Event()
            asyncio.get_running_loop().call_later(0.01, beat.set)
            await beat.wait()
            ticks += 1
        assert states == []
        hall.go.set()
        await asyncio.gather(*calls)


class Wing(Object):
    hall: Property[Hall] = prop(factory=Hall)


async def test_a_host_that_is_busy_with_a_call_of_a_child_is_not_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host of Qt runs slots in the thread that answers; what may take for ever may do so on a child, too."""
    async with Node(limits=Limits(drain=0.0)) as node:
        wing = Wing()
        node.publish(wing, "wing")
        (url,) = await node.serve("tcp://127.0.0.1:0")
        cable = Cable(url)
        async with (
            listen("tcp://127.0.0.1:0", cable.carry) as listener,
            connect(f"{listener.url}?heartbeat={IDLE}", "wing", Wing) as replica,
        ):
            session: Any = link_of(replica).channel.link
            monkeypatch.setattr(session, "extended", False)  # from now on it is taken for a host of Qt
            looked: list[bool] = []
            often = asyncio.Event()

            def look() -> bool:
                looked.append(ReplicaSession.may_be_silent(session))
                if len(looked) >= 8:  # four times the idle time
                    often.set()
                return looked[-1]

            monkeypatch.setattr(session._heart, "_excused", look)
            waiting = asyncio.ensure_future(replica.hall.wait())
            await asyncio.sleep(0)
            cable.cut()
            await often.wait()
            assert all(looked)
            assert link_of(replica.hall).state is ReplicaState.VALID
            cable.mend()
            wing.hall.go.set()
            await waiting


async def test_without_heartbeats_nothing_is_asked() -> None:
    assert RemoteObjects(url="tcp://h:1?heartbeat=0").place().heartbeat == 0
    assert RemoteObjects(url="tcp://h:1").place().heartbeat == 10
    assert RemoteObjects(url="tcp://h:1", heartbeat=2.5).place().heartbeat == 2.5
    async with cabled() as (_, _cable, url), open_session(url, heartbeat=0) as session:
        assert session._heart._timer is None


@pytest.mark.parametrize("said", ["-1", "x", "nan", "inf", "1e9", ""])
async def test_what_is_no_time_is_refused(said: str) -> None:
    with pytest.raises(AddressError, match="heartbeat is 0 to 86400 seconds"):
        async with connect(f"tcp://127.0.0.1:1?heartbeat={said}", "hall", Hall):
            pass


async def test_hosts_notice_dead_peers_by_the_kernel() -> None:
    """A silent node is legitimate on this wire, so the host's end of a link relies on keepalive."""
    seen: list[int] = []

    class Looking(RecordingReceiver):
        def connected(self, connection: Any) -> None:
            super().connected(connection)
            sock: socket.socket = connection._ends._socket
            tcp = socket.IPPROTO_TCP
            seen.append(sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))
            seen.extend(
                sock.getsockopt(tcp, getattr(socket, name))
                for name in ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT", "TCP_USER_TIMEOUT", "TCP_NODELAY")
            )

    accepted: list[Looking] = []

    def make() -> Looking:
        accepted.append(Looking())
        return accepted[-1]

    listener = await accept("tcp://127.0.0.1:0", make)
    ours = RecordingReceiver()
    connection = await dial(listener.url, ours)
    while not accepted:
        await asyncio.sleep(0)
    await accepted[0].until_called("connected")
    keepalive, *times, nodelay = seen
    assert (bool(keepalive), times, bool(nodelay)) == (True, [10, 5, 4, 30_000], True)
    connection.close()
    await asyncio.gather(ours.until_called("lost"), accepted[0].until_called("lost"))
    await listener.close()


# ---------------------------------------------------------------------------------------------- without a loop
@contextmanager
def beside() -> Iterator[tuple[sync.LoopThread, Cable, str]]:
    """A host and a cable to it, in a thread beside the test."""
    with sync.LoopThread("host of a test") as thread, thread.enter(cabled()) as (_, cable, url):
        yield thread, cable, url


def test_a_call_without_a_loop_ends_when_the_host_falls_silent() -> None:
    with beside() as (thread, cable, url), sync.connect(f"{url}?heartbeat={IDLE}", "hall", Hall) as replica:
        assert sync.run(replica.double(2)) == 4
        thread.call(cable.cut).result(5)
        with pytest.raises(Fault, match=r"the host said nothing for 0\.3 s") as lost:
            sync.run(replica.wait())
        assert lost.value.code is Code.UNAVAILABLE
        thread.call(cable.mend).result(5)
        while link_of(replica).state is not ReplicaState.VALID:
            sync.process(0.1)
        assert sync.run(replica.double(4)) == 8


def test_a_program_that_looks_away_for_long_does_not_take_that_for_silence() -> None:
    with beside() as (thread, _, url), sync.connect(f"{url}?heartbeat=0.02", "hall", Hall) as replica:
        for _ in range(10):
            done = thread.call(asyncio.sleep, 0.05)  # longer than a dead host has
            done.result(5)
            assert sync.run(replica.double(4)) == 8
        assert link_of(replica).state is ReplicaState.VALID
