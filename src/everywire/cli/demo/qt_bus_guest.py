# mypy: ignore-errors
# pyright: basic, reportMissingImports=false, reportArgumentType=false
"""A real Qt program on D-Bus: it knows PySide6 and nothing of everywire, and reports what it saw of the plant.

Run as `python -m everywire.cli.demo.qt_bus_guest ADDRESS SERVICE PATH`; it obeys the same orders as `guest`.

PySide6's QtDBus has its ways (seen with 6.12): every int of `call` goes as a 32-bit one, hence `invokeMethod`, which
takes the types of the introspection data; structures and dicts cannot be read, so `last` is not, and what has changed
is read again when PropertiesChanged comes.
"""

from __future__ import annotations

import json
import os
import sys

from PySide6.QtCore import (
    Q_ARG,
    Q_RETURN_ARG,
    SLOT,
    QCoreApplication,
    QMetaObject,
    QObject,
    QSocketNotifier,
    Qt,
    Slot,
)
from PySide6.QtDBus import QDBusConnection, QDBusInterface, QDBusMessage

PROPERTIES = "org.freedesktop.DBus.Properties"


class Guest(QObject):
    """Two interfaces, and what was heard of them."""

    def __init__(self, bus: QDBusConnection, service: str, path: str) -> None:
        super().__init__()
        places = {name: (f"{path}/{name}", f"{service}.{name.title()}1") for name in ("thermostat", "pump")}
        self.room, self.pump = (QDBusInterface(service, *place, bus) for place in places.values())
        self.alarm = None
        self.current = self.room.property("Current")
        self.wants_to_hear = False
        bus.connect(service, *places["thermostat"], "Overheated", self, SLOT("hear_alarm(double,QString)"))
        for place, _ in places.values():
            bus.connect(service, place, PROPERTIES, "PropertiesChanged", self, SLOT("hear_change(QDBusMessage)"))

    def obey(self) -> None:
        """Take one order."""
        line = sys.stdin.readline()
        if not line:
            QCoreApplication.quit()
            return
        order = json.loads(line)
        match order["do"]:
            case "read":
                self.answer(self.read())
            case "act":
                self.answer(self.act(order["target"], order["minutes"]))
            case "hear":
                self.wants_to_hear = True
                self.answer_heard()

    def read(self) -> dict:
        """Report the values it sees."""
        values = {name: self.room.property(name.title()) for name in ("target", "current", "remaining", "error")}
        return values | {"mode": self.pump.property("Mode"), "flow": self.pump.property("Flow")}

    def act(self, target: float, minutes: int) -> dict:
        """Set a property and call a method; report what came back."""
        self.room.setProperty("Target", target)
        direct = Qt.ConnectionType.DirectConnection
        result = QMetaObject.invokeMethod(
            self.room, "Boost", direct, Q_RETURN_ARG("qlonglong"), Q_ARG("ushort", minutes)
        )
        return {"pushed": self.room.property("Target"), "result": result}

    @Slot(QDBusMessage)
    def hear_change(self, _message: QDBusMessage) -> None:
        """Read what may have changed."""
        self.current = self.room.property("Current")
        self.answer_heard()

    @Slot(float, str)
    def hear_alarm(self, celsius: float, sensor: str) -> None:
        """Note the signal."""
        self.alarm = [celsius, sensor]
        self.answer_heard()

    def answer_heard(self) -> None:
        """Once the alarm and the stopped pump have been heard, report them."""
        if self.wants_to_hear and self.alarm is not None and self.pump.property("Flow") == 0:
            self.wants_to_hear = False
            self.answer({"signal": self.alarm, "change": self.current})

    @staticmethod
    def answer(values: dict) -> None:
        """Write a line for who gave the order."""
        print(json.dumps(values), flush=True)


def main(address: str, service: str, path: str) -> None:
    """Connect, then obey."""
    application = QCoreApplication([])
    bus = QDBusConnection.connectToBus(address, "demo")
    if not bus.isConnected():
        sys.exit(f"Qt finds no bus at {address}: {bus.lastError().message()}")
    guest = Guest(bus, service, path)
    if not (guest.room.isValid() and guest.pump.isValid()):
        sys.exit(f"Qt finds no plant at {service}: {guest.room.lastError().message()}")
    orders = QSocketNotifier(0, QSocketNotifier.Type.Read)
    orders.activated.connect(guest.obey)
    application.exec()
    os._exit(0)  # PySide6 may crash while it takes QtDBus apart


if __name__ == "__main__":
    main(*sys.argv[1:])
