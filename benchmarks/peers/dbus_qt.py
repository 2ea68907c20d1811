"""QtDBus as PySide6 offers it: QDBusInterface, QDBusMessage and pending calls; on a bus and between peers."""

# ruff: noqa: N802  slots are called as D-Bus calls them
from __future__ import annotations

import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import ClassInfo, QCoreApplication, QObject, Slot
from PySide6.QtDBus import (
    QDBus,
    QDBusConnection,
    QDBusInterface,
    QDBusMessage,
    QDBusPendingCall,
    QDBusServer,
)

from benchmarks.buses import COUNTER, COUNTER_INTERFACE, SERVICE, bus_address, peer_address, start_bus
from benchmarks.local import keep_constants_alive
from benchmarks.loops import BlockingCalls, blocking
from benchmarks.peer import Missing, Peer, Ready

_SLOTS: Final = QDBusConnection.RegisterOption.ExportAllSlots


@ClassInfo({"D-Bus Interface": COUNTER_INTERFACE})
class Counter(QObject):
    """The exported object."""

    @Slot(int, result=int)
    def AddOne(self, number: int) -> int:
        """Return the number after this one."""
        return number + 1


def on_bus(directory: Path) -> QDBusConnection:
    """A connection to the sample's bus."""
    link = QDBusConnection.connectToBus(bus_address(directory), "bus")
    if not link.isConnected():
        raise Missing(f"QDBusConnection: {link.lastError().message()}")
    return link


def to_peer(directory: Path) -> QDBusConnection:
    """A connection to the sample's service that needs no bus."""
    link = QDBusConnection.connectToPeer(peer_address(directory), "peer")
    if not link.isConnected():
        raise Missing(f"QDBusConnection: {link.lastError().message()}")
    return link


def _serve(directory: Path, ready: Ready) -> None:
    keep_constants_alive()
    daemon = start_bus(directory)
    application, counter = QCoreApplication([]), Counter()
    link = on_bus(directory)
    link.registerObject(COUNTER, counter, _SLOTS)
    if not link.registerService(SERVICE):
        raise Missing(f"QDBusConnection: {link.lastError().message()}")
    ready(daemon)
    application.exec()


def _serve_peers(directory: Path, ready: Ready) -> None:
    keep_constants_alive()
    application, counter = QCoreApplication([]), Counter()
    server = QDBusServer(peer_address(directory))
    if not server.isConnected():
        raise Missing(f"QDBusServer: {server.lastError().message()}")
    server.newConnection.connect(lambda link: QDBusConnection(link).registerObject(COUNTER, counter, _SLOTS))
    ready()
    application.exec()


def _calling(
    connect: Callable[[Path], QDBusConnection],
    service: str,
    calls: Callable[[QDBusConnection, str], BlockingCalls],
) -> Callable[[Path], Any]:
    @contextmanager
    def client(directory: Path) -> Generator[BlockingCalls]:
        keep_constants_alive()
        application = QCoreApplication([])
        yield calls(connect(directory), service)
        os._exit(0)  # PySide6 may crash while it takes itself apart
        del application

    return client


def _interface(link: QDBusConnection, service: str) -> BlockingCalls:
    counter = QDBusInterface(service, COUNTER, COUNTER_INTERFACE, link)
    if not counter.isValid():
        raise Missing(f"QDBusInterface: {counter.lastError().message()}")

    def add_one(number: int) -> int:
        result: int = counter.call("AddOne", number).arguments()[0]
        return result

    return BlockingCalls(add_one)


def _messages(link: QDBusConnection, service: str) -> BlockingCalls:
    def call_of(number: int) -> QDBusMessage:
        call = QDBusMessage.createMethodCall(service, COUNTER, COUNTER_INTERFACE, "AddOne")
        call.setArguments([number])
        return call

    def add_one(number: int) -> int:
        result: int = link.call(call_of(number), QDBus.CallMode.Block).arguments()[0]
        return result

    def begin(number: int) -> QDBusPendingCall:
        return link.asyncCall(call_of(number))

    def finish(pending: QDBusPendingCall) -> int:
        pending.waitForFinished()
        result: int = pending.reply().arguments()[0]
        return result

    return BlockingCalls(add_one, begin, finish)


PEERS = {
    "bus-qtdbus-interface": Peer(_serve, blocking(_calling(on_bus, SERVICE, _interface))),
    "bus-qtdbus-message": Peer(_serve, blocking(_calling(on_bus, SERVICE, _messages))),
    "p2p-qtdbus-interface": Peer(_serve_peers, blocking(_calling(to_peer, "", _interface))),
    "p2p-qtdbus-message": Peer(_serve_peers, blocking(_calling(to_peer, "", _messages))),
}
