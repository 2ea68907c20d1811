# mypy: ignore-errors
# pyright: basic, reportMissingImports=false
"""A real Qt program: it knows PySide6 and nothing of everywire, and reports what it saw of the plant.

Run as `python -m everywire.cli.demo.qt_guest URL`, which may be a registry's (registry+…); it obeys the same orders as
`guest`.

PySide6's dynamic replicas have their ways (seen with 6.12): a method called as an attribute gives no result, hence
`sendWithReply`; connected Python functions crash the interpreter at its end, unless the replicas are deleted before.
"""

from __future__ import annotations

import json
import sys

import shiboken6
from PySide6.QtCore import SIGNAL, QCoreApplication, QMetaObject, QObject, QSocketNotifier, QUrl
from PySide6.QtRemoteObjects import QRemoteObjectDynamicReplica, QRemoteObjectNode

PATIENCE = 10_000  # milliseconds
MODES = ("STOPPED", "RUNNING")  # to a dynamic replica an enum is a number


class Guest:
    """Two dynamic replicas, and what was heard of them."""

    def __init__(self, room: QRemoteObjectDynamicReplica, pump: QRemoteObjectDynamicReplica) -> None:
        self.room, self.pump = room, pump
        self.alarm = None
        self.current = room.property("current")
        self.wants_to_hear = False
        QObject.connect(room, SIGNAL("currentChanged(double)"), self.hear_current)
        QObject.connect(room, SIGNAL("overheated(double,QString)"), self.hear_alarm)
        QObject.connect(pump, SIGNAL("flowChanged(double)"), self.answer_heard)

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
        values = {name: self.room.property(name) for name in ("target", "current", "last", "remaining", "error")}
        return values | {"mode": MODES[self.pump.property("mode")], "flow": self.pump.property("flow")}

    def act(self, target: float, minutes: int) -> dict:
        """Push a target and call a slot; report what came back."""
        call(self.room, "pushTarget(double)", target)
        return {"pushed": self.room.property("target"), "result": call(self.room, "boost(ushort)", minutes)}

    def answer_heard(self, _flow: float = 0) -> None:
        """Once the alarm and the stopped pump have been heard, report them."""
        if self.wants_to_hear and self.alarm is not None and self.pump.property("flow") == 0:
            self.wants_to_hear = False
            self.answer({"signal": self.alarm, "change": self.current})

    def hear_current(self, celsius: float) -> None:
        """Note a changed property."""
        self.current = celsius

    def hear_alarm(self, celsius: float, sensor: str) -> None:
        """Note the signal."""
        self.alarm = [celsius, sensor]
        self.answer_heard()

    @staticmethod
    def answer(values: dict) -> None:
        """Write a line for who gave the order."""
        print(json.dumps(values), flush=True)


def call(replica: QRemoteObjectDynamicReplica, signature: str, *arguments: object) -> object:
    """Call a method of a dynamic replica and wait for its result."""
    index = replica.metaObject().indexOfMethod(signature)
    pending = replica.sendWithReply(QMetaObject.Call.InvokeMetaMethod, index, list(arguments))
    if not pending.waitForFinished(PATIENCE):
        sys.exit(f"{signature} was not answered")
    return pending.returnValue()


def main(url: str) -> None:
    """Connect, then obey."""
    application = QCoreApplication([])
    node = QRemoteObjectNode()
    if url.startswith("registry+"):
        node.setRegistryUrl(QUrl(url.removeprefix("registry+")))
    else:
        node.connectToNode(QUrl(url))
    room, pump = node.acquireDynamic("thermostat"), node.acquireDynamic("pump")
    if not (room.waitForSource(PATIENCE) and pump.waitForSource(PATIENCE)):
        sys.exit(f"Qt finds no plant at {url}: {node.lastError().name}")
    guest = Guest(room, pump)
    orders = QSocketNotifier(0, QSocketNotifier.Type.Read)
    orders.activated.connect(guest.obey)
    application.exec()
    for replica in (room, pump, node):
        shiboken6.delete(replica)


if __name__ == "__main__":
    main(sys.argv[1])
