"""R14: connections that say nothing, or a byte now and then, are few, do not last, and keep nobody else out.

A silent link is legitimate in Qt Remote Objects: a node that waits for an absent object says nothing. A host without
logins therefore cuts one only when the room for another is needed, a host with logins also when its time is over.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final

import pytest

from everywire import Limits, RemoteObjects, Role, Tokens, connect
from everywire.remoteobjects.codec import Ping, encode_packet
from everywire.remoteobjects.codec.extension import HELLO
from everywire.remoteobjects.endpoint.login import PATIENCE
from tests.harness import SOAK
from tests.programs import Program
from tests.remoteobjects.promises.conftest import Figures
from tests.remoteobjects.promises.machinery import ours
from tests.remoteobjects.promises.things import Plant, later

pytestmark = pytest.mark.usefixtures("cheap_derivations")

CONNECTIONS: Final = 900
ROOM: Final = 64
LIMITS: Final = Limits()
HANDSHAKE: Final = LIMITS.handshake if SOAK else 2.5
"""Seconds that a stranger has for its login."""
DRIBBLE: Final = encode_packet(Ping(HELLO)) + encode_packet(Ping("a name that takes its time"))


@contextmanager
def many_descriptors() -> Iterator[None]:
    """Allow this process as many descriptors as the system lets it have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Flood:
    """Connections that keep silent; every other one sends a byte whenever it is asked to."""

    def __init__(self, url: str) -> None:
        host, _, port = url.removeprefix("tcp://").rpartition(":")
        self._address = host, int(port)
        self._sockets: list[socket.socket] = []
        self._place = 0

    def connect(self, count: int) -> None:
        """Open so many more."""
        for _ in range(count):
            sock = socket.create_connection(self._address)
            sock.setblocking(False)
            self._sockets.append(sock)

    def dribble(self) -> None:
        """Send the next byte on every other connection."""
        byte = DRIBBLE[self._place : self._place + 1]
        self._place += 1
        for sock in self._sockets[::2]:
            with contextlib.suppress(OSError):
                sock.send(byte)

    def alive(self) -> int:
        """Return how many the host has not cut."""
        return sum(map(_alive, self._sockets))

    def close(self) -> None:
        """End them all."""
        for sock in self._sockets:
            sock.close()


def _alive(sock: socket.socket) -> bool:
    try:
        while sock.recv(4096):
            pass
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


@asynccontextmanager
async def flooded(host: Program, url: str) -> AsyncIterator[tuple[Flood, int]]:
    """So many connections as there are, and how many of them the host had at the most."""
    flood, most = Flood(url), 0
    with many_descriptors():
        try:
            for _ in range(0, CONNECTIONS, 50):
                flood.connect(50)
                most = max(most, await host.ask("links"))
            yield flood, most
        finally:
            flood.close()


async def accepted(wire: str | RemoteObjects) -> float:
    """Return how long an honest replica takes from its first byte to its first answer."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    async with connect(wire, "plant", Plant, timeout=5.0) as plant:
        assert await plant.add(2, 3) == 5
        return loop.time() - begun


@pytest.mark.timeout(60)
async def test_silent_connections_to_an_open_host_make_room_for_others(figure: Figures) -> None:
    async with ours() as host:
        url, _ = await host.ask(
            "serve", url="tcp://127.0.0.1:0", objects={"plant": "Plant"}, limits={"connections": ROOM}
        )
        before, _ = await host.ask("memory")
        async with flooded(host, url) as (flood, most):
            took = await accepted(url)
            grown = ((await host.ask("memory"))[0] - before) / 2**20
            figure("silent connections made", CONNECTIONS)
            figure("silent connections that stay", flood.alive(), at_most=ROOM)
            figure("links of the host at the most", most, at_most=ROOM + 1)
            figure("an honest replica has its first answer after", took, "s", at_most=1.0)
            figure("growth of the host", grown, "MiB", at_most=8)


@pytest.mark.timeout(120)
async def test_who_does_not_log_in_is_one_of_few_and_soon_gone(folder: Path, figure: Figures) -> None:
    file, loop = folder / "tokens.json", asyncio.get_running_loop()
    token = Tokens(file).add("panel", Role.OPERATOR)
    async with ours() as host:
        url, _ = await host.ask(
            "serve", url="tcp://127.0.0.1:0", objects={"plant": "Plant"}, limits={"handshake": HANDSHAKE},
            tokens=str(file),
        )  # fmt: skip
        wire = RemoteObjects(url=url, token=token)
        await accepted(wire)
        async with flooded(host, url) as (flood, most):
            last = loop.time()
            took = await accepted(wire)
            figure("strangers made", CONNECTIONS)
            figure("links of the host at the most", most)
            figure("an honest replica has its first answer after", took, "s", at_most=1.0)
            await later(PATIENCE + 0.5)
            figure(f"strangers that stay {PATIENCE + 0.5:g} s later", flood.alive(), at_most=LIMITS.strangers)
            while flood.alive():
                flood.dribble()
                await later(0.1)
            figure("the last of them is cut after", loop.time() - last, "s", at_most=HANDSHAKE + 0.5)
        while await host.ask("links"):
            pass
