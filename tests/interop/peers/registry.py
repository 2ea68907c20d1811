"""A Qt program in any part of a registry's play: it hosts one, registers objects with one, or finds objects by one."""

from __future__ import annotations

from speech import run, say, told  # isort: skip  # sets Qt's platform

import sys

from PySide6.QtCore import Property, QCoreApplication, QObject, QUrl, Signal, Slot
from PySide6.QtRemoteObjects import (
    QRemoteObjectHost,
    QRemoteObjectNode,
    QRemoteObjectRegistryHost,
    RepFile,
)

REP = RepFile("class Gauge { PROP(double level=1.5) SLOT(int addOne(int number)) };")


class Gauge(REP.source["Gauge"]):
    """What is found."""

    def addOne(self, number):  # noqa: N802
        return number + 1


class Plain(QObject):
    """A QObject without any .rep."""

    levelChanged = Signal(float)  # noqa: N815

    def __init__(self, level):
        super().__init__()
        self._level = level

    level = Property(float, lambda self: self._level, notify=levelChanged)

    @Slot(int, result=int)
    def addOne(self, number):  # noqa: N802
        return number + 1


class Player:
    """What a test can ask for, one method each."""

    def __init__(self):
        self.node = None
        self.objects, self.replicas = {}, {}

    def do_host_registry(self, url):
        self.node = QRemoteObjectRegistryHost(QUrl(url))
        self._listen()
        return self.node.hostUrl().toString()

    def do_host(self, url, registry):
        self.node = QRemoteObjectHost(QUrl(url), QUrl(registry))
        self._listen()
        return self.node.hostUrl().toString()

    def do_join(self, registry):
        self.node = QRemoteObjectNode(QUrl(registry))
        self._listen()
        return self.node.waitForRegistry(5000)  # what is registered before is in its table, and not told

    def do_proxy(self, registry):
        return self.node.proxy(QUrl(registry))

    def do_offer(self, name, level=1.5):
        source = self.objects[name] = Plain(level)
        return self.node.enableRemoting(source, name)

    def do_offer_generated(self, name, level=1.5):
        source = self.objects[name] = Gauge()
        source.level = level
        return self.node.enableRemoting(source, name)

    def do_withdraw(self, name):
        return self.node.disableRemoting(self.objects.pop(name))

    def do_locations(self):
        found = self.node.registry().sourceLocations()
        return {name: [info.typeName, info.hostUrl.toString()] for name, info in found.items()}

    def do_acquire(self, name):
        replica = self.replicas[name] = self.node.acquireDynamic(name)
        replica.stateChanged.connect(lambda state, _: say(event="state", name=name, state=state.name))

    def do_level(self, name):
        return told(self.replicas[name].property("level"))

    def _listen(self):
        registry = self.node.registry()
        registry.remoteObjectAdded.connect(lambda entry: say(event="added", name=entry[0], url=_url(entry)))
        registry.remoteObjectRemoved.connect(lambda entry: say(event="removed", name=entry[0], url=_url(entry)))


def _url(entry):
    return entry[1].hostUrl.toString()


if __name__ == "__main__":
    application = QCoreApplication(sys.argv[:1])
    run(Player())
