"""The clients of the suite `scaling`: thousands of bare sockets that speak Qt Remote Objects, the same to every host.

One process holds them all, as a replica of any library would cost more than what is measured: the host.
"""

from __future__ import annotations

import os
import random
import socket
from struct import Struct
from time import perf_counter_ns
from typing import Any, Final

from benchmarks.actor import Stage
from benchmarks.figures import percentile
from benchmarks.peer import WrongAnswer
from everywire.remoteobjects.codec import AddObject, encode_packet
from everywire.remoteobjects.engine import invoke_head, reply_head

NAME: Final = "counter"
_INT: Final = 2
_CALL_HEAD: Final = invoke_head(NAME, 0, 0)
CALL: Final = Struct(f"<I{len(_CALL_HEAD)}sIIBiii")
"""Size, head; one argument: type, not null, value; serial, property."""
_REPLY_HEAD: Final = reply_head(NAME)
_REPLY: Final = Struct(f"<I{len(_REPLY_HEAD)}siIBi")
"""Size, head, serial, type, not null, value."""


def call_of(number: int) -> bytes:
    """The frame of `add_one(number)`, with the number as its serial, too."""
    return CALL.pack(CALL.size - 4, _CALL_HEAD, 1, _INT, 0, number, number, -1)


def answer_to(number: int, serial: int) -> bytes:
    """The frame of the reply."""
    return _REPLY.pack(_REPLY.size - 4, _REPLY_HEAD, serial, _INT, 0, number + 1)


def check_reply(data: bytes, number: int) -> None:
    """Raise WrongAnswer unless *data* is the reply to `add_one(number)`."""
    if data != answer_to(number, number):
        raise WrongAnswer(f"add_one({number}) was answered with {data!r}")


class Clients:
    """All connections of the process."""

    def __init__(self, stage: Stage) -> None:
        self._path = str(stage.directory / NAME)
        self._ends: list[int] = []
        """Bare descriptors, because thousands of socket objects would cost the client cache misses of its own."""
        self._order = random.Random(stage.options["seed"])
        self._number = 0

    def connect(self, count: int) -> float:
        """Make *count* connections more, each attached to the object; return the seconds it took."""
        begun = perf_counter_ns()
        for _ in range(count):
            sock = socket.socket(socket.AF_UNIX)
            sock.connect(self._path)
            read_frames(sock, 2)  # the handshake and the list of objects
            sock.sendall(encode_packet(AddObject(NAME, dynamic=False)))
            read_frames(sock, 1)  # the present values
            self._ends.append(sock.detach())
        self._order.shuffle(self._ends)
        return (perf_counter_ns() - begun) / 1e9

    def wave(self) -> float:
        """Call on all connections, then read all answers; return calls per second."""
        begun = perf_counter_ns()
        for number, end in enumerate(self._ends):
            os.write(end, call_of(number))
        for number, end in enumerate(self._ends):
            check_reply(_read_reply(end), number)
        return len(self._ends) / (perf_counter_ns() - begun) * 1e9

    def robin(self, seconds: float) -> dict[str, float]:
        """Call on one connection after the other, in an order of chance."""
        return self._calls(self._ends, seconds)

    def one(self, seconds: float) -> dict[str, float]:
        """Call on one and the same connection while the others are idle."""
        return self._calls(self._ends[:1], seconds)

    def _calls(self, ends: list[int], seconds: float) -> dict[str, float]:
        latencies: list[int] = []
        number = self._number
        begun = before = perf_counter_ns()
        end = begun + int(seconds * 1e9)
        while before < end:
            descriptor = ends[number % len(ends)]
            os.write(descriptor, call_of(number))
            check_reply(_read_reply(descriptor), number)
            now = perf_counter_ns()
            latencies.append(now - before)
            before = now
            number += 1
        self._number = number
        return {
            "rate": len(latencies) / (before - begun) * 1e9,
            "p50_us": percentile(latencies, 0.50) / 1e3,
            "p99_us": percentile(latencies, 0.99) / 1e3,
        }


def _read_reply(descriptor: int) -> bytes:
    data = os.read(descriptor, 4096)
    while len(data) < _REPLY.size:
        more = os.read(descriptor, 4096)
        if not more:
            raise WrongAnswer("the host closed a connection")
        data += more
    return data


def read_frames(sock: socket.socket, count: int) -> None:
    """Read and forget so many frames."""
    data = b""
    while count:
        more = sock.recv(65536)
        if not more:
            raise WrongAnswer("the host closed a connection")
        data += more
        while count and len(data) >= 4 and len(data) >= (size := 4 + int.from_bytes(data[:4], "little")):
            data = data[size:]
            count -= 1


def _play(stage: Stage) -> None:
    clients = Clients(stage)
    stage.ready()
    while True:
        order = stage.order()
        perform: Any = getattr(clients, order.pop("order"))
        stage.done(perform(**order))


ROLES = {"clients": _play}
