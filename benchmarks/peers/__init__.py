"""The table of peers. A peer's own module is imported only in the processes that play it, its libraries too."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Final

from benchmarks.peer import Peer


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a peer is written and what a reader must know about it."""

    module: str
    packages: tuple[str, ...]
    """Distributions it needs; their versions are part of the result."""
    use: str
    """How it is used here, for the list below the tables."""


PEERS: Final = {
    "everywire": Entry(
        "everywire",
        ("everywire", "uvloop", "msgspec"),
        "`local:`, asyncio on uvloop, gate and checks on",
    ),
    "everywire-stock": Entry(
        "everywire", ("everywire", "msgspec"), "the same on the event loop of the standard library"
    ),
    "everywire-sync": Entry(
        "everywire", ("everywire", "uvloop", "msgspec"), "`everywire.sync`: a client without a loop, a host on uvloop"
    ),
    "pyside6-wait": Entry(
        "pyside6",
        ("PySide6-Essentials", "PySide6-Addons"),
        "Qt Remote Objects over `local:`, RepFile source and replica, each call ended by waitForFinished",
    ),
    "pyside6-watcher": Entry(
        "pyside6",
        ("PySide6-Essentials", "PySide6-Addons"),
        "the same, each call ended by a QRemoteObjectPendingCallWatcher in the Qt event loop",
    ),
    "c-floor": Entry(
        "c_floor",
        (),
        "C, 64-byte messages over a Unix stream socket, one write per message, no codec: the floor",
    ),
    "uvloop-raw": Entry(
        "uvloop_raw",
        ("uvloop",),
        "the same messages through asyncio.Protocol on uvloop, one future per call, no codec",
    ),
    "grpcio": Entry(
        "grpcio",
        ("grpcio", "uvloop"),
        "grpc.aio on uvloop over a Unix socket, generic handler, 8-byte messages: protobuf is not in the figure",
    ),
    "dbus-fast": Entry(
        "dbus_fast",
        ("dbus-fast", "uvloop"),
        "service interface and proxy on uvloop, through a private dbus-daemon on the server's core",
    ),
    "pyro5": Entry("pyro5", ("Pyro5",), "proxy over a Unix socket, serpent, threaded daemon"),
    "rpyc": Entry("rpyc", ("rpyc",), "netref over a Unix socket, threaded server; async_ for the window"),
    "pyzmq": Entry("pyzmq", ("pyzmq",), "ipc, 8-byte messages; REQ/REP one at a time, DEALER/ROUTER for the window"),
    "multiprocessing": Entry(
        "multiprocessing", (), "multiprocessing.connection over a Unix socket, one pickled int each way"
    ),
}
"""Name in the tables -> entry, in the order of the documentation."""


def load(name: str) -> Peer:
    """Import the module of a peer and return the peer. Raises ImportError when its library is absent."""
    peers: dict[str, Peer] = import_module(f"{__name__}.{PEERS[name].module}").PEERS
    return peers[name]
