"""File descriptors over Unix sockets: who owns them, and that each is closed once."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
from pathlib import Path

import pytest

from everywire import LinkError, LocalProtocolError
from everywire.transport import Connection, Peer
from everywire.transport.descriptors import MOST_AT_ONCE, Carrying, PassingEnds, UnixFd
from everywire.transport.readiness import ReadinessLink


class Heard:
    """A receiver that keeps what comes."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.gone = asyncio.get_running_loop().create_future()
        self.more = asyncio.Event()

    def connected(self, connection: Connection) -> None: ...

    def received(self, data: bytes) -> None:
        self.data += data
        self.more.set()

    def paused(self) -> None: ...

    def resumed(self) -> None: ...

    def lost(self, error: LinkError | None) -> None:
        self.gone.set_result(error)

    async def until(self, size: int) -> None:
        while len(self.data) < size:
            self.more.clear()
            await self.more.wait()


class Pair:
    """Two links that pass descriptors to each other."""

    def __init__(self) -> None:
        sockets = socket.socketpair()
        for sock in sockets:
            sock.setblocking(False)
        self.ends = [PassingEnds(sock) for sock in sockets]
        self.heard = [Heard(), Heard()]
        self.links = [
            ReadinessLink(ends, heard, Peer(transport="local"), write_limit=1000)
            for ends, heard in zip(self.ends, self.heard, strict=True)
        ]
        for link in self.links:
            link.start()

    async def close(self) -> None:
        for link, heard in zip(self.links, self.heard, strict=True):
            link.close()
            await heard.gone


def is_open(number: int) -> bool:
    return Path(f"/proc/self/fd/{number}").exists()


def open_now() -> int:
    return len([*Path("/proc/self/fd").iterdir()])


def test_an_owner_closes_what_nobody_took() -> None:
    read, write = os.pipe()
    kept = UnixFd(write)
    assert is_open(kept.fileno())
    assert kept.fileno() != write
    number = kept.fileno()
    del kept
    assert not is_open(number)
    with UnixFd.owning(write) as owner:
        assert repr(owner) == f"<UnixFd {write}>"
    assert not is_open(write)
    owner.close()
    with pytest.raises(LocalProtocolError, match="taken or closed already"):
        owner.fileno()
    taken = UnixFd.owning(read).take()
    assert taken == read
    assert is_open(read)
    os.close(read)
    assert repr(owner) == "<UnixFd, taken or closed>"


def test_what_is_no_descriptor_is_owned_by_nobody() -> None:
    with pytest.raises(OSError, match="Bad file descriptor"):
        UnixFd(1_000_000)
    with socket.socket() as sock, UnixFd(sock) as copy:
        assert os.fstat(copy.fileno()).st_ino == os.fstat(sock.fileno()).st_ino


async def test_descriptors_come_with_the_first_byte_of_what_carries_them() -> None:
    pair = Pair()
    read, write = os.pipe()
    pair.links[0].write(b"before")
    with UnixFd.owning(write) as given:
        pair.links[0].write(Carrying.of(b"carrying", (given, given)))
    pair.links[0].write(b"behind")
    await pair.heard[1].until(20)
    assert bytes(pair.heard[1].data) == b"beforecarryingbehind"
    first, second = pair.ends[1].came
    os.write(first.fileno(), b"1")
    os.write(second.fileno(), b"2")
    assert os.read(read, 10) == b"12"
    assert not os.get_inheritable(first.fileno())
    os.close(read)
    await pair.close()
    assert pair.ends[1].came == []


async def test_descriptors_wait_with_their_bytes_while_the_peer_does_not_read() -> None:
    pair = Pair()
    pair.links[1].pause_reading()
    read, write = os.pipe()
    size = 0
    with UnixFd.owning(write) as given:
        for number in range(300):  # more than the kernel takes
            data = bytes([number % 256]) * 2000
            pair.links[0].write(Carrying.of(data, (given,)) if number % 3 == 0 else data)
            size += len(data)
        assert pair.links[0].unsent
        pair.links[1].resume_reading()
        await pair.heard[1].until(size)
    assert bytes(pair.heard[1].data) == b"".join(bytes([number % 256]) * 2000 for number in range(300))
    assert len(pair.ends[1].came) == 100
    pair.ends[1].came.clear()
    gc.collect()
    assert os.read(read, 1) == b""
    os.close(read)
    await pair.close()


async def test_as_many_as_the_kernel_passes_at_once_arrive() -> None:
    pair = Pair()
    before = open_now()
    with UnixFd(0) as given:
        pair.links[0].write(Carrying.of(b"x", (given,) * MOST_AT_ONCE))
        await pair.heard[1].until(1)
    assert len(pair.ends[1].came) == MOST_AT_ONCE
    pair.ends[1].came.clear()
    assert open_now() == before
    await pair.close()


async def test_what_came_and_was_not_fetched_is_closed_with_the_link() -> None:
    before = open_now()
    pair = Pair()
    with UnixFd(0) as given:
        pair.links[0].write(Carrying.of(b"x", (given,) * 5))
        await pair.heard[1].until(1)
    await pair.close()
    gc.collect()
    assert open_now() == before
