"""PySide6 in the suite `fanout`: a RepFile source, and as many nodes with a RepFile replica as connections."""

from __future__ import annotations

import os
from collections.abc import Callable
from time import perf_counter_ns
from typing import Any, Final

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QCoreApplication, QSocketNotifier, Qt, QTimer, QUrl
from PySide6.QtRemoteObjects import QRemoteObjectHost, QRemoteObjectNode, RepFile

from benchmarks.actor import Order, Stage
from benchmarks.actors.hearing import Audience
from benchmarks.local import keep_constants_alive
from benchmarks.peer import Missing

REP: Final = RepFile("class Meter\n{\n    PROP(double value=0 READWRITE);\n    SIGNAL(ticked(double number));\n};\n")
TIMEOUT_MS: Final = 10_000


class Publisher:
    """Publishes from a timer of its own, so that Qt's event loop writes between the turns."""

    def __init__(self, stage: Stage, meter: Any) -> None:
        self._stage, self._meter = stage, meter
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._turn)
        self._next = self._end = self._per_turn = self._begun = 0
        self._tell: Callable[[float], None]

    def obey(self, order: Order) -> None:
        """Begin what is ordered."""
        match order["order"]:
            case "burst":
                self._next, self._per_turn = order["first"], order["per_turn"]
                self._begin(order, 0)
            case "paced":
                self._next, self._per_turn = 0, 0
                self._begin(order, round(order["interval"] * 1000))
            case _:
                self._stage.done()  # a replica that has its source has been attached

    def _begin(self, order: Order, milliseconds: int) -> None:
        self._end = self._next + order["count"]
        self._tell = self._set if order["kind"] == "property" else self._meter.ticked.emit
        self._begun = perf_counter_ns()
        self._timer.start(milliseconds)

    def _set(self, value: float) -> None:
        self._meter.value = value

    def _turn(self) -> None:
        if not self._per_turn:
            self._tell(float(perf_counter_ns()))
            self._next += 1
        else:
            self._burst()
        if self._next >= self._end:
            self._timer.stop()
            self._stage.done(self._begun)

    def _burst(self) -> None:
        numbers = range(self._next, min(self._next + self._per_turn, self._end))
        self._next = numbers.stop
        if self._tell == self._set:
            meter = self._meter
            for number in numbers:
                meter.value = float(number)
        else:
            emit = self._tell
            for number in numbers:
                emit(float(number))


def _publish(stage: Stage) -> None:
    keep_constants_alive()
    application = QCoreApplication([])
    host = QRemoteObjectHost(_url(stage))
    meter: Any = REP.source["Meter"]()
    if not host.enableRemoting(meter, "meter"):
        raise Missing(f"QRemoteObjectHost: {host.lastError().name}")
    publisher = Publisher(stage, meter)
    run(application, stage, publisher.obey)


def _subscribe(stage: Stage) -> None:
    keep_constants_alive()
    application = QCoreApplication([])
    audience = Audience(stage.options["replicas"], stage.done)
    kept: list[Any] = []
    for replica in audience.replicas:
        node = QRemoteObjectNode()
        node.connectToNode(_url(stage))
        meter: Any = node.acquire(REP.replica["Meter"], "meter")
        if not meter.waitForSource(TIMEOUT_MS):
            raise Missing(f"QRemoteObjectNode: no source, {node.lastError().name}")
        meter.valueChanged.connect(replica.hear)
        meter.ticked.connect(replica.hear)
        kept += [node, meter]

    def obey(order: Order) -> None:
        audience.expect(order["first"], order["count"], stamped=order["stamped"])
        stage.done()

    run(application, stage, obey)


def _url(stage: Stage) -> QUrl:
    return QUrl(f"local:{stage.directory / 'meter'}")


def run(
    application: QCoreApplication, stage: Stage, obey: Callable[[Order], None], *processes: int, **facts: Any
) -> None:
    """Be ready, with the *facts* that the harness needs, and obey orders in Qt's event loop."""
    notifier = QSocketNotifier(stage.orders_from, QSocketNotifier.Type.Read)
    notifier.activated.connect(lambda: obey(stage.order()))
    stage.ready(*processes, **facts)
    application.exec()


ROLES = {"publisher": _publish, "subscriber": _subscribe}
