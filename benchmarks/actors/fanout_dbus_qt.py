"""QtDBus in the second part of the suite `dbus`: signals made as QDBusMessage, on a bus and to each peer."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import SLOT, QCoreApplication, QObject, Slot
from PySide6.QtDBus import QDBusConnection, QDBusMessage, QDBusServer

from benchmarks.actor import Order, Stage
from benchmarks.actors.fanout_pyside6 import Publisher, run
from benchmarks.actors.hearing import Audience
from benchmarks.buses import METER, METER_INTERFACE, PROPERTIES, SERVICE, bus_address, peer_address, start_bus
from benchmarks.local import keep_constants_alive
from benchmarks.peer import Missing
from benchmarks.peers.dbus_qt import on_bus


class Telling:
    """What `Publisher` tells numbers to: a signal with its `emit`, and a property."""

    def __init__(self, links: list[QDBusConnection]) -> None:
        self._links = links
        self.ticked = self

    def emit(self, number: float) -> None:
        """Send the signal."""
        self._send(METER_INTERFACE, "Ticked", [number])

    @property
    def value(self) -> float:
        """The property, which is only ever set."""
        raise NotImplementedError

    @value.setter
    def value(self, number: float) -> None:
        self._send(PROPERTIES, "PropertiesChanged", [METER_INTERFACE, {"Value": number}, []])

    def _send(self, interface: str, member: str, arguments: list[Any]) -> None:
        message = QDBusMessage.createSignal(METER, interface, member)
        message.setArguments(arguments)
        for link in self._links:
            link.send(message)


class Ear(QObject):
    """What signals of one connection are connected to."""

    def __init__(self, hear: Callable[[float], None]) -> None:
        super().__init__()
        self._hear = hear

    @Slot(float)
    def ticked(self, number: float) -> None:
        """Take a signal."""
        self._hear(number)

    @Slot(str, "QVariantMap")
    def changed(self, _interface: str, changed: dict[str, Any]) -> None:
        """Take a change."""
        self._hear(changed["Value"])


def _publish(stage: Stage) -> None:
    keep_constants_alive()
    application = QCoreApplication([])
    links: list[QDBusConnection] = []
    if stage.options["bus"]:
        daemon = [start_bus(stage.directory)]
        links.append(on_bus(stage.directory))
        links[0].registerService(SERVICE)
    else:
        daemon = []
        server = QDBusServer(peer_address(stage.directory))
        server.newConnection.connect(lambda link: links.append(QDBusConnection(link)))
    run(application, stage, Publisher(stage, Telling(links)).obey, *daemon)


def _subscribe(stage: Stage) -> None:
    keep_constants_alive()
    application = QCoreApplication([])
    audience = Audience(stage.options["replicas"], stage.done)
    kept: list[Any] = []
    for number, replica in enumerate(audience.replicas):
        ear, name = Ear(replica.hear), f"listener {number}"
        if stage.options["bus"]:
            link, service = QDBusConnection.connectToBus(bus_address(stage.directory), name), SERVICE
        else:
            link, service = QDBusConnection.connectToPeer(peer_address(stage.directory), name), ""
        for interface, member, slot in (
            (METER_INTERFACE, "Ticked", "ticked(double)"),
            (PROPERTIES, "PropertiesChanged", "changed(QString,QVariantMap)"),
        ):
            if not link.connect(service, METER, interface, member, ear, SLOT(slot)):
                raise Missing(f"QDBusConnection: {link.lastError().message()}")
        kept += [link, ear]

    def obey(order: Order) -> None:
        audience.expect(order["first"], order["count"], stamped=order["stamped"])
        stage.done()

    run(application, stage, obey)


ROLES = {"publisher": _publish, "subscriber": _subscribe}
