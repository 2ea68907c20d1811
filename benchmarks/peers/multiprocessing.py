"""multiprocessing.connection: one pickled int each way over a Unix socket, the leanest of the standard library."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from multiprocessing.connection import Client, Listener
from pathlib import Path
from typing import Any

from benchmarks.loops import BlockingCalls, blocking
from benchmarks.peer import Peer, Ready


def _serve(directory: Path, ready: Ready) -> None:
    with Listener(str(directory / "counter"), family="AF_UNIX") as listener:
        ready()
        with listener.accept() as link:
            send, receive = link.send, link.recv
            while True:
                send(receive() + 1)


@contextmanager
def _connect(directory: Path) -> Generator[BlockingCalls]:
    with Client(str(directory / "counter"), family="AF_UNIX") as link:
        send, receive = link.send, link.recv

        def call(number: int) -> int:
            send(number)
            answer: int = receive()
            return answer

        def finish(_sent: None) -> Any:
            return receive()

        # 64 small messages fit into the socket's buffer, so sending them all before reading cannot lock up.
        yield BlockingCalls(call, send, finish)


PEERS = {"multiprocessing": Peer(_serve, blocking(_connect))}
