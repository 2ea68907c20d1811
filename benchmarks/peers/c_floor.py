"""The floor: a ping-pong in C over a Unix stream socket, compiled here; Python only opens the sockets.

Messages are 64 bytes and each is written by a system call of its own, as in a plain C program; a peer that joins the
messages of a window can therefore be faster with 64 outstanding.
"""

from __future__ import annotations

import ctypes
import os
import socket
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from benchmarks.compiling import library as compiled
from benchmarks.peer import Client, Peer, Ready, Timing

SOURCE: Final = Path(__file__).with_suffix(".c")
MOST_CALLS_PER_SECOND: Final = 2_000_000
"""Room for latencies; no ping-pong over a socket comes near it."""


def library() -> ctypes.CDLL:
    """The compiled floor. Raises Missing without a compiler."""
    floor = compiled(SOURCE)
    floor.floor_call.restype = ctypes.c_int64
    return floor


def _serve(directory: Path, ready: Ready) -> None:
    floor = library()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(directory / "counter"))
        listener.listen()
        ready()
        link, _ = listener.accept()
        with link:
            floor.floor_serve(link.fileno())


class Calling:
    """The client; what it times runs in C."""

    def __init__(self, floor: ctypes.CDLL, link: socket.socket) -> None:
        self._floor = floor
        self._link = link

    def sequential(self, seconds: float) -> Timing:
        """A window of one."""
        return self._call(seconds, 1)

    def outstanding(self, seconds: float, depth: int) -> Timing:
        """Write the window, then read it."""
        timing = self._call(seconds, depth)
        return Timing(timing.calls, timing.elapsed_ns, [])

    def _call(self, seconds: float, depth: int) -> Timing:
        latencies = (ctypes.c_int64 * int(seconds * MOST_CALLS_PER_SECOND + 1))()
        elapsed = ctypes.c_int64()
        calls = self._floor.floor_call(
            self._link.fileno(),
            ctypes.c_int64(int(seconds * 1e9)),
            depth,
            latencies,
            ctypes.c_int64(len(latencies)),
            ctypes.byref(elapsed),
        )
        if calls < 0:
            raise OSError(-calls, os.strerror(-calls))
        return Timing(calls, elapsed.value, list(latencies[: calls // depth]))


@contextmanager
def _connect(directory: Path) -> Generator[Client]:
    floor = library()
    with socket.socket(socket.AF_UNIX) as link:
        link.connect(str(directory / "counter"))
        yield Calling(floor, link)


PEERS = {"c-floor": Peer(_serve, _connect)}
