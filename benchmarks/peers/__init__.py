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

_OURS: Final = ("everywire", "dbus-fast", "uvloop", "msgspec")
_QT: Final = ("PySide6-Essentials", "PySide6-Addons")

DBUS: Final = {
    "bus-everywire": Entry("dbus_everywire", _OURS, "published object and typed replica, asyncio on uvloop"),
    "bus-everywire-stock": Entry("dbus_everywire", _OURS, "the same on the event loop of the standard library"),
    "bus-everywire-sync": Entry("dbus_everywire", _OURS, "`everywire.sync`: a client without a loop, a host on uvloop"),
    "bus-session": Entry("dbus_session", _OURS, "`everywire.dbus.session`: Connection.call and a handler, on uvloop"),
    "bus-session-stock": Entry("dbus_session", _OURS, "the same on the event loop of the standard library"),
    "bus-dbus-fast": Entry("dbus_fast", ("dbus-fast", "uvloop"), "bare messages and a message handler, on uvloop"),
    "bus-dbus-fast-stock": Entry("dbus_fast", ("dbus-fast",), "the same on the event loop of the standard library"),
    "bus-dbus-fast-proxy": Entry("dbus_fast", ("dbus-fast", "uvloop"), "ServiceInterface and proxy, on uvloop"),
    "bus-dbus-fast-proxy-stock": Entry(
        "dbus_fast", ("dbus-fast",), "the same on the event loop of the standard library"
    ),
    "bus-sdbus": Entry("dbus_sdbus", ("sdbus",), "interface and proxy of sdbus on asyncio"),
    "bus-sdbus-blocking": Entry("dbus_sdbus", ("sdbus",), "its blocking proxy, with the same service"),
    "bus-jeepney": Entry("dbus_jeepney", ("jeepney",), "messages on asyncio; a router calls"),
    "bus-jeepney-blocking": Entry("dbus_jeepney", ("jeepney",), "messages on blocking connections"),
    "bus-qtdbus-interface": Entry("dbus_qt", _QT, "QDBusInterface.call to the slot of a QObject"),
    "bus-qtdbus-message": Entry("dbus_qt", _QT, "QDBusMessage and QDBusPendingCall, with the same service"),
    "bus-floor": Entry("dbus_floor", (), "C, messages prepared before, one write each: what the daemon leaves"),
    "p2p-everywire": Entry("dbus_everywire", _OURS, "`dbus+local:`, published object and typed replica, on uvloop"),
    "p2p-everywire-stock": Entry("dbus_everywire", _OURS, "the same on the event loop of the standard library"),
    "p2p-everywire-sync": Entry("dbus_everywire", _OURS, "`everywire.sync`: a client without a loop, a host on uvloop"),
    "p2p-session": Entry("dbus_session", _OURS, "`everywire.dbus.session`, serve_peers and Connection.call, on uvloop"),
    "p2p-session-stock": Entry("dbus_session", _OURS, "the same on the event loop of the standard library"),
    "p2p-dbus-fast": Entry(
        "dbus_fast", ("dbus-fast", "uvloop"), "bare messages; its server side is our few lines of SASL, on uvloop"
    ),
    "p2p-dbus-fast-stock": Entry("dbus_fast", ("dbus-fast",), "the same on the event loop of the standard library"),
    "p2p-qtdbus-interface": Entry("dbus_qt", _QT, "QDBusServer, and QDBusInterface.call on connectToPeer"),
    "p2p-qtdbus-message": Entry("dbus_qt", _QT, "the same with QDBusMessage"),
    "p2p-floor": Entry("dbus_floor", (), "the messages of bus-floor without a bus"),
}
"""The same for the suite `dbus`: through a bus, and between peers."""

ENTRIES: Final = PEERS | DBUS


def load(name: str) -> Peer:
    """Import the module of a peer and return the peer. Raises ImportError when its library is absent."""
    peers: dict[str, Peer] = import_module(f"{__name__}.{ENTRIES[name].module}").PEERS
    return peers[name]
