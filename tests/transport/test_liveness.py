"""A TCP peer that is alive and takes nothing is kept; one whose system answers nothing any more is cut."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from everywire.transport import Connection, accept, dial, liveness
from everywire.transport.liveness import Patience
from tests.transport.receivers import ONE_MIB, Accepted, Certificates, RecordingReceiver

pytestmark = pytest.mark.loops("asyncio", "uvloop")
SO_ATTACH_FILTER = 26


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Patience that is measured in tenths of seconds."""
    monkeypatch.setattr(liveness, "UNANSWERED", 0.6)
    monkeypatch.setattr(liveness, "LOOK", 0.1)


async def later(seconds: float) -> None:
    """Return after so much time: what is tested is that nothing happens meanwhile."""
    passed = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(seconds, passed.set_result, None)
    await passed


def cut_cable(sock: socket.socket) -> None:
    """Have the system drop whatever arrives for *sock*: its peer is gone, as far as anybody here can know."""
    drop_all = ctypes.create_string_buffer(struct.pack("=HBBI", 0x06, 0, 0, 0))  # BPF: return 0
    program = struct.pack("@HP", 1, ctypes.addressof(drop_all))
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)


@asynccontextmanager
async def linked(
    transport: str, certificates: Certificates
) -> AsyncIterator[tuple[RecordingReceiver, RecordingReceiver, Patience]]:
    """Both ends of a link, and who watches over the first."""
    listen = "tcp://127.0.0.1:0" if transport == "tcp" else certificates.listen
    accepted, theirs = Accepted(), RecordingReceiver()
    listener = await accept(listen, accepted, write_limit=ONE_MIB)
    patience = Patience(asyncio.get_running_loop().call_later)
    await dial(f"{listener.url}?ca={certificates.ca}" if transport == "tls" else listener.url, theirs)
    ours = await accepted.next()
    patience.add(ours.connection)
    try:
        yield ours, theirs, patience
    finally:
        patience.remove(ours.connection)
        for end in (ours, theirs):
            end.connection.abort()
        await asyncio.gather(ours.until_called("lost"), theirs.until_called("lost"))
        await listener.close()


def socket_of(connection: Connection) -> Any:
    return liveness._socket_of(connection)


@pytest.mark.parametrize("transport, size", [("tcp", 64 * 1024), ("tcp", 16 * ONE_MIB), ("tls", 16 * ONE_MIB)])
async def test_who_is_alive_and_takes_nothing_is_kept(certificates: Certificates, transport: str, size: int) -> None:
    async with linked(transport, certificates) as (ours, theirs, _):
        with socket_of(ours.connection) as sock:
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 0
        theirs.connection.pause_reading()
        for _ in range(size // 65536):
            ours.connection.write(bytes(65536))
        await later(1.6)
        assert "lost" not in ours.calls
        theirs.connection.resume_reading()
        await theirs.until_size(size)


@pytest.mark.parametrize("transport", ["tcp", "tls"])
async def test_who_is_gone_is_cut_though_something_is_on_its_way(certificates: Certificates, transport: str) -> None:
    async with linked(transport, certificates) as (ours, theirs, _):
        ours.connection.write(b"before")
        await theirs.until_size(6)
        await later(0.05)
        with socket_of(ours.connection) as sock:
            cut_cable(sock)
        ours.connection.write(b"behind")
        await ours.until_called("lost")


async def test_who_is_idle_is_left_to_keepalive(certificates: Certificates) -> None:
    async with linked("tcp", certificates) as (ours, _, _patience):
        await later(1.0)
        assert "lost" not in ours.calls


async def test_nobody_is_watched_and_no_timer_is_left_behind_when_the_last_is_gone(certificates: Certificates) -> None:
    async with linked("tcp", certificates) as (ours, _, patience):
        assert patience._timer is not None
        patience.remove(ours.connection)
        patience.remove(ours.connection)
        assert (patience._timer, patience._suspected) == (None, {})


async def test_only_links_over_tcp_are_watched(folder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    accepted, theirs = Accepted(), RecordingReceiver()
    listener = await accept(f"local:{folder}/x", accepted)
    await dial(listener.url, theirs)
    ours = await accepted.next()
    patience = Patience(asyncio.get_running_loop().call_later)
    patience.add(ours.connection)
    assert patience._suspected == {}
    theirs.connection.abort()
    await asyncio.gather(ours.until_called("lost"), theirs.until_called("lost"))
    await listener.close()


async def test_systems_without_these_facts_leave_it_to_the_option(
    certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with linked("tcp", certificates) as (ours, _, patience):
        patience.remove(ours.connection)
        with contextlib.suppress(AttributeError):
            monkeypatch.delattr(socket, "TCP_INFO")
        patience.add(ours.connection)
        assert patience._suspected == {}
