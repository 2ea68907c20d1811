"""The core on a system without Unix sockets, fcntl and uvloop, as Windows is: faked in a process of its own."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

FAKE = """
import socket, sys, os
pair, unix = socket.socketpair, socket.AF_UNIX
socket.socketpair = lambda *_: pair(unix)  # asyncio wakes itself through one; Windows has its own way
for name in ("AF_UNIX", "SO_PEERCRED"):
    if hasattr(socket, name):
        delattr(socket, name)
for name in ("fcntl", "uvloop"):
    sys.modules[name] = None
for name in ("getuid", "geteuid", "fork"):
    if hasattr(os, name):
        delattr(os, name)
"""

PROGRAM = """
import asyncio
from everywire import Node, Object, Property, UnsupportedPlatform, connect, prop, slot

class Room(Object):
    target: Property[float] = prop(21.0, writable=True)

    @slot
    async def boost(self, minutes: int) -> int:
        return minutes * 60

async def main():
    async with Node() as node:
        node.publish(Room(), "hall")
        (url,) = await node.serve("tcp://127.0.0.1:0")
        async with connect(url, "hall", Room) as room:
            print(await room.boost(5), await Room.target.push(room, 22.0))
        try:
            await node.serve("local:climate")
        except UnsupportedPlatform as error:
            print(error)

asyncio.run(main())
"""


def fake_platform(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", FAKE + textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=15,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_objects_work_over_tcp_without_unix_sockets_and_the_lack_is_named() -> None:
    first, second = fake_platform(PROGRAM).splitlines()
    assert first == "300 22.0"
    assert "AF_UNIX" in second


@pytest.mark.parametrize("module", ["model", "runtime.node", "transport", "memory"])
def test_the_core_imports(module: str) -> None:
    assert fake_platform(f"import everywire.{module}; print('ok')") == "ok\n"
