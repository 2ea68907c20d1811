"""Starts, stops and kills the programs of these tests, and connects to them without knowing the protocol. No tests."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Final

from tests.interop.cpp_programs import cpp_node
from tests.interop.programs import qt_program
from tests.programs import Program, program

ACTOR: Final = Path(__file__).parent / "actor.py"
PIECE: Final = 64 * 1024


@asynccontextmanager
async def ours(loop_kind: str = "asyncio") -> AsyncIterator[Program]:
    """Run a program of ours on a loop of *loop_kind*."""
    command = (sys.executable, "-W", "error", ACTOR, loop_kind)
    async with program(f"everywire on {loop_kind}", *command, advice="see its words above") as running:
        yield running


QTS: Final = {"PySide6": "2.0", "Qt 6.4": "2.0", "Qt 5.15": "1.3"}
"""The Qt programs of the tests, and the version of the protocol that a host of ours speaks to each."""


def qt_node(qt: str) -> AbstractAsyncContextManager[Program]:
    """A Qt program that uses objects."""
    return qt_program("node") if qt == "PySide6" else cpp_node(qt)


def stop(running: Program) -> None:
    """Stop it in its tracks; return when it stands."""
    os.kill(running.pid, signal.SIGSTOP)
    os.waitid(os.P_PID, running.pid, os.WSTOPPED | os.WNOWAIT)


def go_on(running: Program) -> None:
    """Let it run on."""
    os.kill(running.pid, signal.SIGCONT)


async def open_socket(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to a `tcp://` or `local:` address."""
    if url.startswith("local:"):
        return await asyncio.open_unix_connection(url.removeprefix("local:"))
    host, _, port = url.removeprefix("tcp://").rpartition(":")
    return await asyncio.open_connection(host, int(port))


async def pour(url: str, head: bytes, total: int) -> int:
    """Send *head* and then zeros, *total* bytes in all, until the host hangs up; return how many it took."""
    reader, writer = await open_socket(url)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, PIECE)
    taken, zeros = 0, bytes(PIECE)
    try:
        writer.write(head)
        while taken < total:
            writer.write(zeros)
            await writer.drain()
            taken += PIECE
            if reader.at_eof():
                break
    except ConnectionError:
        pass
    finally:
        writer.close()
    return taken


async def asked(running: Program, do: str, **arguments: Any) -> Any:
    """Ask, for results whose type only the test knows."""
    return await running.ask(do, **arguments)
