"""WebSockets and given streams between us and a real Qt program, in both roles; and hosts of Qt that fall silent."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme

from everywire import (
    Code,
    Fault,
    Host,
    LinkError,
    Node,
    Object,
    Property,
    RemoteObjects,
    ReplicaState,
    SignatureMismatch,
    browse,
    connect,
    i32,
    link_of,
    prop,
    slot,
)
from everywire import (
    signal as everywire_signal,
)
from everywire.remoteobjects import Streams
from everywire.transport import Peer
from tests.interop.matrix import PYSIDE, Feature, Role, shows
from tests.interop.programs import QtProgram, qt_program

pytestmark = pytest.mark.interop

Address = Callable[[str], str]
OURS = Peer(transport="pipe", uid=os.getuid(), loopback=True)
LONG = "Grüße " * 200_000
"""Larger than any message that we send: it takes several."""


class Counter(Object):
    level: Property[i32] = prop(1, writable=True)

    @everywire_signal
    def beeped(self, text: str) -> None: ...

    @slot
    async def add_one(self, number: i32) -> i32:
        return number + 1

    @slot
    async def echo(self, text: str) -> str:
        return text


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The authority's certificate, and a host's with its key."""
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    authority.issue_cert("127.0.0.1", "localhost").private_key_and_cert_chain_pem.write_to_path(folder / "host.pem")
    return folder / "ca.pem", folder / "host.pem"


async def use(counter: Counter, qt: QtProgram) -> None:
    """Do with a Qt program's counter all that one can."""
    heard: list[Any] = []
    counter.beeped.connect(heard.append)
    assert await counter.add_one(41) == 42
    await qt.ask("count", level=7)
    assert await Counter.level.wait_for(counter, lambda level: level == 7) == 7
    await qt.ask("beep", text="now")
    assert await counter.echo(LONG) == LONG
    assert heard == ["now"]


async def be_used(source: Counter, qt: QtProgram) -> None:
    """Let a Qt program, which is connected, do with a counter of ours all that one can."""
    await qt.ask("acquire", name="counter")
    await qt.hear("state", object="counter", state="Valid")
    assert await qt.ask("get", name="counter", prop="level") == ["int", source.level]
    assert await qt.ask("listen", name="counter", signal="beeped(QString)")
    source.level = 9
    source.beeped.emit(LONG)
    heard = await qt.hear("heard", object="counter")
    assert heard["arguments"] == [["str", LONG]]
    assert await qt.ask("get", name="counter", prop="level") == ["int", 9]
    await qt.ask("ask", name="counter", slot="addOne(int)", arguments=[["int", 41]])
    assert (await qt.hear("finished"))["value"] == ["int", 42]
    await qt.ask("ask", name="counter", slot="echo(QString)", arguments=[["str", LONG]])
    assert (await qt.hear("finished"))["value"] == ["str", LONG]


# ---------------------------------------------------------------------------------------------------- WebSockets
@shows(Feature.EXTERNAL, Role.HOST, PYSIDE)
@pytest.mark.loops("asyncio", "uvloop")
@pytest.mark.parametrize("encrypted", [False, True], ids=["ws", "wss"])
async def test_we_use_a_host_of_qt_over_a_websocket(encrypted: bool, certificates: tuple[Path, Path]) -> None:
    ca, pem = certificates
    async with qt_program("external") as qt:
        port = await qt.ask("serve_websocket", certificate=str(pem) if encrypted else "")
        url = f"qtro+wss://127.0.0.1:{port}?ca={ca}" if encrypted else f"qtro+ws://127.0.0.1:{port}"
        async with connect(url, "counter", Counter) as counter:
            await use(counter, qt)
            assert await qt.ask("largest") <= 256 * 1024
            await qt.ask("hang_up")
            await link_of(counter).wait_for(ReplicaState.SUSPECT)
            await link_of(counter).wait_valid()
            assert await counter.add_one(1) == 2


@shows(Feature.EXTERNAL, Role.REPLICA, PYSIDE)
@pytest.mark.loops("asyncio", "uvloop")
@pytest.mark.parametrize("encrypted", [False, True], ids=["ws", "wss"])
async def test_qt_uses_our_host_over_a_websocket(encrypted: bool, certificates: tuple[Path, Path]) -> None:
    ca, pem = certificates
    source = Counter()
    async with qt_program("external") as qt, Node() as node:
        node.publish(source, "counter")
        (url,) = await node.serve(f"qtro+wss://127.0.0.1:0?cert={pem}" if encrypted else "qtro+ws://127.0.0.1:0/plant")
        await qt.ask("connect_websocket", url=url.removeprefix("qtro+"), authority=str(ca) if encrypted else "")
        await qt.hear("connected")
        await be_used(source, qt)
        await node.aclose()
        assert (await qt.hear("disconnected"))["code"] == 1001


async def test_qt_is_refused_at_another_path() -> None:
    async with qt_program("external") as qt, Node() as node:
        (url,) = await node.serve("qtro+ws://127.0.0.1:0/plant")
        await qt.ask("connect_websocket", url=url.removeprefix("qtro+").replace("/plant", "/other"))
        assert (await qt.hear("socket error"))["error"] == "ConnectionRefusedError"


# ------------------------------------------------------------------------------------------- client certificates
@pytest.mark.loops("asyncio", "uvloop")
async def test_we_show_a_certificate_to_a_host_of_qt_that_demands_one(certificates: tuple[Path, Path]) -> None:
    ca, pem = certificates
    async with qt_program("external") as qt:
        port = await qt.ask("serve_tls", certificate=str(pem), authority=str(ca))
        url = f"tls://127.0.0.1:{port}?ca={ca}"
        with pytest.raises(LinkError):
            async with connect(url, "counter", Counter, timeout=0):
                pass
        async with connect(f"{url}&cert={pem}", "counter", Counter) as counter:
            await use(counter, qt)


# ------------------------------------------------------------------------------------------------- given streams
@shows(Feature.EXTERNAL, Role.HOST, PYSIDE)
async def test_we_use_a_host_of_qt_over_streams_of_our_own(tmp_path: Path) -> None:
    path = str(tmp_path / "qt")
    async with qt_program("external") as qt:
        assert await qt.ask("serve_local", path=path)
        way = RemoteObjects.over(lambda: asyncio.open_unix_connection(path))
        async with connect(way, "counter", Counter) as counter:
            await use(counter, qt)


@shows(Feature.EXTERNAL, Role.REPLICA, PYSIDE)
async def test_qt_uses_our_host_over_streams_of_somebody_else(tmp_path: Path) -> None:
    path = str(tmp_path / "ours")
    source, streams = Counter(), Streams()
    async with qt_program("external") as qt, Node() as node:
        node.publish(source, "counter")
        await node.serve(RemoteObjects.over(streams))
        server = await asyncio.start_unix_server(lambda *pair: streams.adopt(pair, peer=OURS), path)
        await qt.ask("connect_local", path=path)
        await be_used(source, qt)
        await node.aclose()
        await qt.hear("disconnected")
        server.close()


# ---------------------------------------------------------------------------------------------------- heartbeats
@pytest.mark.parametrize("kind", ["local", "tcp"])
async def test_a_host_of_qt_that_stands_still_is_noticed_and_comes_back(address: Address, kind: str) -> None:
    async with qt_program("host") as qt:
        _, url = await qt.ask("serve", url=address(kind), names=["engine"])
        async with connect(f"{url}?heartbeat=0.2", "engine") as engine:
            assert await engine.add_one(1) == 2
            os.kill(qt.pid, signal.SIGSTOP)
            with pytest.raises(Fault, match=r"the host said nothing for 0\.6 s: it is stopped or cut off") as lost:
                await engine.add_one(2)
            assert lost.value.code is Code.UNAVAILABLE
            assert link_of(engine).state is ReplicaState.SUSPECT
            os.kill(qt.pid, signal.SIGCONT)
            await link_of(engine).wait_valid()
            assert await engine.add_one(3) == 4


class Patient(Object):
    """The Qt program's engine, by somebody who knows that it may take long."""

    @slot(timeout=None)
    async def add_one(self, number: i32) -> i32: ...


async def test_a_slot_of_qt_that_may_take_long_excuses_its_thread(address: Address) -> None:
    async with qt_program("host") as qt:
        _, url = await qt.ask("serve", url=address("local"), names=["engine"])
        async with connect(f"{url}?heartbeat=0.02", "engine", Patient) as engine:
            asyncio.get_running_loop().call_soon(qt.process.stdin.write, b'{"id": 99, "do": "hang"}\n')  # type: ignore[union-attr]
            await qt.hear("hanging")
            calling = asyncio.ensure_future(engine.add_one(1))
            for _ in range(20):
                await passed(0.02)
            assert link_of(engine).state is ReplicaState.VALID
            await qt.kill()
            with pytest.raises(Fault) as lost:
                await calling
            assert lost.value.code is Code.UNAVAILABLE


async def passed(seconds: float) -> None:
    """Let time pass: what is tested is that nothing happens."""
    beat = asyncio.Event()
    asyncio.get_running_loop().call_later(seconds, beat.set)
    await beat.wait()


@shows(Feature.HEARTBEAT, Role.HOST, PYSIDE)
async def test_a_host_of_qt_answers_heartbeats(address: Address) -> None:
    async with qt_program("host") as qt:
        _, url = await qt.ask("serve", url=address("local"), names=["engine"])
        async with connect(f"{url}?heartbeat=0.02", "engine") as engine:
            states: list[Any] = []
            link_of(engine).state_changed.connect(states.append)
            for _ in range(20):
                await qt.ask("get", name="engine", prop="setPoint")
                await passed(0.02)
            assert states == []


# -------------------------------------------------------------------------------------- sources that are replaced
async def test_a_source_of_qt_is_withdrawn_and_comes_back_and_is_replaced(address: Address) -> None:
    async with qt_program("external") as qt:
        url = await qt.ask("serve", url=address("local"))
        async with connect(url, "counter", Counter) as counter:
            heard: list[Any] = []
            Counter.level.on_change(counter, heard.append)
            link_of(counter).state_changed.connect(heard.append)
            assert await qt.ask("withdraw", which="counter")
            await link_of(counter).wait_for(ReplicaState.SUSPECT)
            await qt.ask("count", level=4)
            assert await qt.ask("offer", which="counter")
            await link_of(counter).wait_valid()
            assert heard == [ReplicaState.SUSPECT, ReplicaState.VALID, 4]
            assert await counter.add_one(1) == 2
            assert await qt.ask("withdraw", which="counter")
            assert await qt.ask("offer", which="clock")
            await link_of(counter).wait_for(ReplicaState.SIGNATURE_MISMATCH)
            with pytest.raises(SignatureMismatch, match="expected level: i32"):
                await link_of(counter).wait_valid()
            assert counter.level == 4
            assert await qt.ask("withdraw", which="clock")
            assert await qt.ask("offer", which="counter")
            await link_of(counter).wait_for(ReplicaState.VALID)
            assert await counter.add_one(2) == 3


async def test_a_replica_of_qt_follows_a_source_of_ours_that_is_withdrawn_and_comes_back(address: Address) -> None:
    source = Counter()
    async with qt_program("node") as qt, Node() as node:
        node.publish(source, "counter")
        (url,) = await node.serve(address("local"))
        await qt.ask("connect", url=url)
        await qt.ask("acquire", name="counter")
        await qt.hear("state", object="counter", state="Valid")
        node.withdraw("counter")
        await qt.hear("state", object="counter", state="Suspect")
        source.level = 6
        node.publish(source, "counter")
        await qt.hear("state", object="counter", state="Valid")
        assert await qt.ask("get", name="counter", prop="level") == ["int", 6]


async def test_what_a_host_of_qt_shows_is_told_and_what_it_takes_back_when_one_comes_again(address: Address) -> None:
    async with qt_program("external") as qt:
        url = await qt.ask("serve", url=address("local"))
        async with browse(url) as host, connect(url, "counter") as counter:
            assert host.objects == ("counter",)
            assert await qt.ask("withdraw", which="counter")
            await link_of(counter).wait_for(ReplicaState.SUSPECT)
            assert host.objects == ("counter",)  # it tells that only to who uses the object
        async with browse(url) as host:
            assert host.objects == ()
            assert await qt.ask("offer", which="clock")
            assert await Host.objects.wait_for(host, bool) == ("counter",)
