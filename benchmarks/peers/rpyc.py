# pyright: basic
"""RPyC over a Unix socket: an exposed method called through a netref, `async_` for the window."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from operator import attrgetter
from pathlib import Path

import rpyc  # type: ignore[import-untyped]
from rpyc.utils.factory import unix_connect  # type: ignore[import-untyped]
from rpyc.utils.server import ThreadedServer  # type: ignore[import-untyped]

from benchmarks.loops import BlockingCalls, blocking
from benchmarks.peer import Peer, Ready


class Counter(rpyc.Service):  # type: ignore[misc]
    """The service; RPyC exposes what begins with `exposed_`."""

    def exposed_add_one(self, number: int) -> int:
        """Return the number after this one."""
        return number + 1


class _Server(ThreadedServer):  # type: ignore[misc]
    def __init__(self, path: Path, ready: Ready) -> None:
        super().__init__(Counter(), socket_path=str(path))
        self._ready = ready

    def _listen(self) -> None:
        super()._listen()
        self._ready()


def _serve(directory: Path, ready: Ready) -> None:
    _Server(directory / "counter", ready).start()


@contextmanager
def _connect(directory: Path) -> Generator[BlockingCalls]:
    with unix_connect(str(directory / "counter")) as link:
        add_one = link.root.add_one
        yield BlockingCalls(add_one, rpyc.async_(add_one), attrgetter("value"))


PEERS = {"rpyc": Peer(_serve, blocking(_connect))}
