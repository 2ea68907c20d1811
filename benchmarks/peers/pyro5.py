# pyright: basic
"""Pyro5: a proxy over a Unix socket with its default serializer and daemon."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from Pyro5 import api  # type: ignore[import-untyped]

from benchmarks.loops import BlockingCalls, blocking
from benchmarks.peer import Peer, Ready


@api.expose
class Counter:
    """The exposed object."""

    def add_one(self, number: int) -> int:
        """Return the number after this one."""
        return number + 1


def _serve(directory: Path, ready: Ready) -> None:
    with api.Daemon(unixsocket=str(directory / "counter")) as daemon:
        daemon.register(Counter(), objectId="counter")
        ready()
        daemon.requestLoop()


@contextmanager
def _connect(directory: Path) -> Generator[BlockingCalls]:
    with api.Proxy(f"PYRO:counter@./u:{directory / 'counter'}") as counter:
        # No window: a proxy waits for each answer, and its batch is one message with many calls, another thing.
        yield BlockingCalls(counter.add_one)


PEERS = {"pyro5": Peer(_serve, blocking(_connect))}
