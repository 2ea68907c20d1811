"""A Qt program with objects in objects: it offers a QObject with children, and uses ours by dynamic replicas."""

# ruff: noqa: N802, N815  names are spelt as Qt programs spell them
from __future__ import annotations

from speech import run, say, told  # isort: skip  # sets Qt's platform

import sys

from PySide6.QtCore import SIGNAL, ClassInfo, Property, QCoreApplication, QObject, QUrl, Signal, Slot
from PySide6.QtRemoteObjects import QRemoteObjectHost, QRemoteObjectNode, QRemoteObjectPendingCall


@ClassInfo(**{"RemoteObject Type": "Wheel"})
class Wheel(QObject):
    """The innermost."""

    turnsChanged = Signal(int)
    spun = Signal(int)

    def __init__(self, parent, turns):
        super().__init__(parent)
        self._turns = turns

    def _set_turns(self, turns):
        self._turns = turns
        self.turnsChanged.emit(turns)

    turns = Property(int, lambda self: self._turns, _set_turns, notify=turnsChanged)

    @Slot(int, result=int)
    def spin(self, by):
        self._set_turns(self._turns + by)
        self.spun.emit(by)
        return self._turns


@ClassInfo(**{"RemoteObject Type": "Mill"})
class Mill(QObject):
    """Has a wheel."""

    wheelChanged = Signal(QObject)

    def __init__(self, parent, turns):
        super().__init__(parent)
        self._wheel = Wheel(self, turns)

    def replace(self, turns):
        self._wheel = None if turns is None else Wheel(self, turns)
        self.wheelChanged.emit(self._wheel)

    wheel = Property(QObject, lambda self: self._wheel, notify=wheelChanged)

    @Slot(int, result=int)
    def addOne(self, number):
        return number + 1


class Yard(QObject):
    """Has a mill, which has a wheel."""

    millChanged = Signal(QObject)

    def __init__(self):
        super().__init__()
        self._mill = Mill(self, 3)

    mill = Property(QObject, lambda self: self._mill, notify=millChanged)


class Box(QObject):
    """Says nothing of its class, as most do, nor does what it holds."""

    innerChanged = Signal(QObject)

    def __init__(self, inner):
        super().__init__()
        self._inner = inner

    inner = Property(QObject, lambda self: self._inner, notify=innerChanged)


class Nameless(QObject):
    """The same."""

    sizeChanged = Signal(int)
    size = Property(int, lambda _: 12, notify=sizeChanged)


class Relative:
    """What a test can ask for, one method each."""

    def __init__(self):
        self.yard = Yard()
        self.box = Box(Box(Nameless()))
        self.node = QRemoteObjectNode()
        self.kept = {}

    def do_serve(self, url):
        self.host = QRemoteObjectHost(QUrl(url))
        offered = {"yard": self.yard, "mill": self.yard.mill, "box": self.box}
        return all(self.host.enableRemoting(source, name) for name, source in offered.items())

    def do_turn(self, by):
        self.yard.mill.wheel.spin(by)

    def do_turns(self):
        return self.yard.mill.wheel.property("turns")

    def do_replace(self, turns=None):
        self.yard.mill.replace(turns)

    def do_connect(self, url):
        return self.node.connectToNode(QUrl(url))

    def do_acquire(self, name):
        replica = self.kept[name] = self.node.acquireDynamic(name)
        replica.initialized.connect(lambda: say(event="initialized", object=name))
        replica.stateChanged.connect(lambda state, _: say(event="state", object=name, state=state.name))

    def do_take(self, name, prop, keep):
        """Keep the child that a property of a replica holds; return whether there is one."""
        child = self.kept[keep] = self.kept[name].property(prop)
        return child is not None

    def do_get(self, name, prop):
        return told(self.kept[name].property(prop))

    def do_set(self, name, prop, value):
        return self.kept[name].setProperty(prop, value)

    def do_listen(self, name, signal):
        """Tell that a signal, given by its signature, was emitted, and what it says where that is a number."""

        def heard(*arguments):
            numbers = [argument for argument in arguments if isinstance(argument, int)]
            say(event="heard", object=name, signal=signal, arguments=numbers)

        return bool(QObject.connect(self.kept[name], SIGNAL(signal), heard))

    def do_call(self, name, slot, number):
        """Call a slot; a result comes as an event."""
        call = getattr(self.kept[name], slot)(number)
        if isinstance(call, QRemoteObjectPendingCall):
            call.waitForFinished(5000)
            return call.returnValue()
        return None


if __name__ == "__main__":
    application = QCoreApplication(sys.argv[:1])
    run(Relative())
