"""The floor of D-Bus: messages prepared before, written and compared in C, through a bus and without one."""

from __future__ import annotations

import ctypes
import os
import socket
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from benchmarks.buses import COUNTER, COUNTER_INTERFACE, SERVICE, bus_socket, start_bus
from benchmarks.compiling import library
from benchmarks.peer import Client, Peer, Ready, Timing
from benchmarks.wired import BareBus
from everywire.dbus.codec import Kind, Message, encode_message

SOURCE: Final = Path(__file__).with_suffix(".c")
MOST_CALLS_PER_SECOND: Final = 1_000_000
"""Room for latencies."""


def _serve_bus(directory: Path, ready: Ready) -> None:
    floor = library(SOURCE)
    daemon = start_bus(directory)
    bus = BareBus(bus_socket(directory))
    bus.ask("RequestName", "su", SERVICE, 0)
    ready(daemon)
    _answer(floor, bus.socket, bus.first_sender())


def _serve_peer(directory: Path, ready: Ready) -> None:
    floor = library(SOURCE)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(directory / "peer"))
        listener.listen()
        ready()
        link, _ = listener.accept()
        _answer(floor, link, "")


def _answer(floor: ctypes.CDLL, link: socket.socket, client: str) -> None:
    reply = encode_message(
        Message(kind=Kind.RETURN, flags=1, reply_serial=1, destination=client, signature="i", body=(0,)), 1
    )
    prepared = ctypes.create_string_buffer(reply, len(reply))
    failed = floor.dbus_floor_serve(link.fileno(), prepared, ctypes.c_size_t(len(reply)))
    raise OSError(-failed, os.strerror(-failed))


class Calling:
    """The client; what it times runs in C."""

    def __init__(self, link: socket.socket, destination: str) -> None:
        self._floor, self._link = library(SOURCE), link
        self._floor.dbus_floor_call.restype = ctypes.c_int64
        call = encode_message(
            Message(
                kind=Kind.CALL,
                destination=destination,
                path=COUNTER,
                interface=COUNTER_INTERFACE,
                member="AddOne",
                signature="i",
                body=(0,),
            ),
            1,
        )
        self._call, self._size = ctypes.create_string_buffer(call, len(call)), ctypes.c_size_t(len(call))

    def sequential(self, seconds: float) -> Timing:
        """A window of one."""
        return self._calls(seconds, 1)

    def outstanding(self, seconds: float, depth: int) -> Timing:
        """Write the window, then read it."""
        timing = self._calls(seconds, depth)
        return Timing(timing.calls, timing.elapsed_ns, [])

    def _calls(self, seconds: float, depth: int) -> Timing:
        latencies = (ctypes.c_int64 * int(seconds * MOST_CALLS_PER_SECOND + 1))()
        elapsed = ctypes.c_int64()
        calls = self._floor.dbus_floor_call(
            self._link.fileno(),
            self._call,
            self._size,
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
def _connect_bus(directory: Path) -> Generator[Client]:
    yield Calling(BareBus(bus_socket(directory)).socket, SERVICE)


@contextmanager
def _connect_peer(directory: Path) -> Generator[Client]:
    with socket.socket(socket.AF_UNIX) as link:
        link.connect(str(directory / "peer"))
        yield Calling(link, "")


PEERS = {"bus-floor": Peer(_serve_bus, _connect_bus), "p2p-floor": Peer(_serve_peer, _connect_peer)}
