"""QtDBus by PySide6 as a peer: `pyside6_peer.py serve|use ADDRESS [--peer]`.

With --peer there is no bus: `serve` is a QDBusServer at the address, `use` a QDBusConnection.connectToPeer.
Only what QtDBus can do from Python: it cannot read or write structures, and sends every int as `i`.
"""

# ruff: noqa: N802, N815  names are spelt as Qt programs spell them
from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from boiler import Boiler
from PySide6.QtCore import (
    SLOT,
    ClassInfo,
    Property,
    QByteArray,
    QCoreApplication,
    QObject,
    QSocketNotifier,
    Signal,
    Slot,
)
from PySide6.QtDBus import (
    QDBus,
    QDBusArgument,
    QDBusConnection,
    QDBusMessage,
    QDBusObjectPath,
    QDBusServer,
    QDBusSignature,
    QDBusUnixFileDescriptor,
    QDBusVariant,
)
from speech import INTERFACE, PATH, REFUSED, SERVICE, Ear, meant, raised, returned, say

if sys.version_info < (3, 12):
    for shared in (None, True, False):  # PySide6 6.12 gives away references to them
        ctypes.c_ssize_t.from_address(id(shared)).value += 1 << 40

PROPERTIES = "org.freedesktop.DBus.Properties"


@ClassInfo({"D-Bus Interface": INTERFACE})
class Plant(QObject):
    """The boiler as a QObject whose slots, properties and signals QtDBus exports."""

    Fired = Signal(int, str)
    levelChanged = Signal(float)

    def __init__(self) -> None:
        super().__init__()
        self.boiler = Boiler()
        self.links: list[QDBusConnection] = []

    def level(self) -> float:
        return self.boiler.values["Level"]

    def set_level(self, value: float) -> None:
        self.boiler.values["Level"] = value
        self.levelChanged.emit(value)

    Level = Property(float, level, set_level, notify=levelChanged)

    def label(self) -> str:
        return self.boiler.values["Label"]

    def set_label(self, value: str) -> None:
        self.boiler.values["Label"] = value

    Label = Property(str, label, set_label)

    def table(self) -> dict[str, Any]:
        return {"rate": 0.5, "name": "hall"}

    Table = Property("QVariantMap", table)

    @Slot(int, result=int)
    def AddOne(self, number: int) -> int:
        say(event="called", member="AddOne")
        return self.boiler.add_one(number)

    @Slot(str, result=str)
    def Shift(self, gear: str) -> str:
        return self.boiler.shift(gear)

    @Slot("QStringList", result="QStringList")
    def Words(self, words: list[str]) -> list[str]:
        return words

    @Slot(QByteArray, result=QByteArray)
    def Data(self, data: QByteArray) -> QByteArray:
        return data

    @Slot("QVariantMap", result="QVariantMap")
    def Facts(self, facts: dict[str, Any]) -> dict[str, Any]:
        return facts

    @Slot(QDBusVariant, result=QDBusVariant)
    def Wrap(self, value: QDBusVariant) -> QDBusVariant:
        return value

    @Slot(QDBusUnixFileDescriptor, result=str)
    def ReadAll(self, source: QDBusUnixFileDescriptor) -> str:
        return self.boiler.read_all(os.dup(source.fileDescriptor()))

    @Slot(str, QDBusMessage)
    def Split(self, text: str, call: QDBusMessage) -> None:
        """Two results: only a delayed reply can have them."""
        call.setDelayedReply(True)
        reply = call.createReply()
        reply.setArguments(list(self.boiler.split(text)))
        self._answer(reply)

    @Slot(str, QDBusMessage)
    def Refuse(self, why: str, call: QDBusMessage) -> None:
        call.setDelayedReply(True)
        self._answer(call.createErrorReply(REFUSED, why))

    @Slot(int, result=int)
    def Burst(self, number: int) -> int:
        """A slot that raises: QtDBus answers with success and 0."""
        raise ValueError(number)

    @Slot(int)
    def Fire(self, count: int) -> None:
        for number in range(count):
            self.Fired.emit(number, "asked")

    def _answer(self, reply: QDBusMessage) -> None:
        for link in self.links:
            link.send(reply)


class Service:
    """Offers the boiler, on a bus or to each connection of a server of its own."""

    def __init__(self, address: str, bus: bool) -> None:
        self.plant = Plant()
        if bus:
            link = QDBusConnection.connectToBus(address, "serve")
            self.offer(link)
            assert link.registerService(SERVICE), link.lastError().message()
        else:
            self.server = QDBusServer(address)
            assert self.server.isConnected(), self.server.lastError().message()
            self.server.newConnection.connect(self.offer)

    def offer(self, link: QDBusConnection) -> None:
        link = QDBusConnection(link)  # the one of the signal lives for its call only
        options = QDBusConnection.RegisterOption
        exported = options.ExportAllSlots | options.ExportAllSignals | options.ExportAllProperties
        assert link.registerObject(PATH, self.plant, exported), link.lastError().message()
        self.plant.links.append(link)
        say(event="offered")

    def do_change(self, name: str, value: str) -> None:
        setattr(self.plant, name, meant(value))

    def do_fire(self, count: int) -> None:
        self.plant.Fire(count)


class Client(QObject):
    """Uses a boiler."""

    def __init__(self, address: str, bus: bool) -> None:
        super().__init__()
        if bus:
            self.link = QDBusConnection.connectToBus(address, "use")
        else:
            self.link = QDBusConnection.connectToPeer(address, "use")
        assert self.link.isConnected(), self.link.lastError().message()
        self.service = SERVICE if bus else ""

    @Slot(QDBusMessage)
    def heard(self, message: QDBusMessage) -> None:
        say(event="heard", member=message.member(), values=repr(tuple(map(plain, message.arguments()))))

    @Slot(str, "QVariantMap", "QStringList")
    def changed(self, _interface: str, values: dict[str, Any], _invalidated: list[str]) -> None:
        """A slot of these types gets a dict; one that takes the QDBusMessage would get a QDBusArgument."""
        say(event="changed", values=repr(plain(values)))

    def do_listen(self) -> None:
        slot = SLOT("heard(QDBusMessage)")
        for member in ("Fired", "Moved"):
            assert self.link.connect(self.service, PATH, INTERFACE, member, self, slot)
        slot = SLOT("changed(QString,QVariantMap,QStringList)")
        assert self.link.connect(self.service, PATH, PROPERTIES, "PropertiesChanged", self, slot)
        self.reply("org.freedesktop.DBus.Peer", "Ping")

    def do_call(self, member: str, arguments: str = "()") -> Any:
        return self.reply(INTERFACE, member, *map(fancy, meant(arguments)))

    def do_get(self, name: str) -> Any:
        return self.reply(PROPERTIES, "Get", INTERFACE, name, reading=lambda values: values[0])

    def do_get_all(self) -> Any:
        return self.reply(PROPERTIES, "GetAll", INTERFACE, reading=lambda values: values[0])

    def do_set(self, name: str, value: str) -> Any:
        return self.reply(PROPERTIES, "Set", INTERFACE, name, QDBusVariant(meant(value)))

    def do_introspect(self) -> Any:
        return self.reply("org.freedesktop.DBus.Introspectable", "Introspect", reading=lambda values: values[0])

    def do_read_all(self, text: str) -> Any:
        reading = Boiler().open_text(text)
        try:
            return self.reply(INTERFACE, "ReadAll", QDBusUnixFileDescriptor(reading))
        finally:
            os.close(reading)

    def do_open_text(self, text: str) -> Any:
        call = QDBusMessage.createMethodCall(self.service, PATH, INTERFACE, "OpenText")
        call.setArguments([text])
        (source,) = self.link.call(call, QDBus.CallMode.Block, 15000).arguments()
        return returned((Boiler().read_all(os.dup(source.fileDescriptor())),))

    def reply(self, interface: str, member: str, *arguments: Any, reading: Any = lambda values: values) -> Any:
        call = QDBusMessage.createMethodCall(self.service, PATH, interface, member)
        call.setArguments(list(arguments))
        answer = self.link.call(call, QDBus.CallMode.Block, 15000)
        if answer.type() == QDBusMessage.MessageType.ErrorMessage:
            return raised(answer.errorName(), answer.errorMessage())
        return returned(reading(tuple(map(plain, answer.arguments()))))


def plain(value: Any) -> Any:
    """What a value of QtDBus is, as a literal."""
    if isinstance(value, QDBusVariant):
        return plain(value.variant())
    if isinstance(value, (QDBusObjectPath, QDBusSignature)):
        return value.path() if isinstance(value, QDBusObjectPath) else value.signature()
    if isinstance(value, QByteArray):
        return bytes(value)
    if isinstance(value, QDBusArgument):
        return f"opaque {value.currentSignature()}"
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value


def fancy(value: Any) -> Any:
    """A literal as QtDBus wants it; a variant is ("v", content)."""
    if isinstance(value, tuple):
        return QDBusVariant(value[1])
    return QByteArray(value) if isinstance(value, bytes) else value


def main() -> None:
    role, address, *options = sys.argv[1:]
    application = QCoreApplication(sys.argv[:1])
    bus = "--peer" not in options
    ear = Ear(Service(address, bus) if role == "serve" else Client(address, bus))
    notifier = QSocketNotifier(0, QSocketNotifier.Type.Read)
    notifier.activated.connect(lambda *_: ear.readable() or application.quit())
    say(event="ready")
    application.exec()
    os._exit(0)  # PySide6 may crash while it takes itself apart


if __name__ == "__main__":
    main()
