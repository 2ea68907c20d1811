"""PySide6 in the suites `restart`, `memory` and `stalled`: a RepFile source, and nodes with a RepFile replica each."""

from __future__ import annotations

import gc
import os
from time import perf_counter_ns, process_time
from typing import Any, Final

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QByteArray, QCoreApplication, Qt, QTimer, QUrl
from PySide6.QtRemoteObjects import QRemoteObjectHost, QRemoteObjectNode, QRemoteObjectReplica, RepFile

from benchmarks import machine
from benchmarks.actor import Order, Stage
from benchmarks.actors.fanout_pyside6 import run
from benchmarks.actors.plants import Restart, Watch
from benchmarks.local import keep_constants_alive
from benchmarks.peer import Missing

REP: Final = RepFile("""class Plant
{
    PROP(qlonglong level=0);
    PROP(QString name="mill");
    PROP(QByteArray block);
    SIGNAL(told(QByteArray data));
};
""")
TIMEOUT_MS: Final = 20_000


class Host:
    """A host, and what it can be asked for."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._plant: Any = REP.source["Plant"]()
        self._plant.level = stage.options.get("level", 0)
        self._host = QRemoteObjectHost(QUrl(stage.options["url"]))
        if not self._host.enableRemoting(self._plant, "plant"):
            raise Missing(f"QRemoteObjectHost: {self._host.lastError().name}")
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._turn)
        self._watch: Watch | None = None
        self._kind, self._size = "", 0

    def obey(self, order: Order) -> None:
        """Do what is ordered."""
        if order["order"] == "memory":
            self._stage.done(_memory())
            return
        self._kind, self._size = order["kind"], order["size"]
        self._watch = Watch(order["rate"], order["seconds"])
        self._timer.start(1)

    def _turn(self) -> None:
        watch = self._watch
        if watch is None:
            return
        for number in watch.due():
            data = QByteArray(number.to_bytes(8, "big") + bytes(self._size - 8))
            if self._kind == "property":
                self._plant.block = data
            else:
                self._plant.told.emit(data)
            watch.published()
        if not watch.goes_on():
            self._timer.stop()
            self._watch = None
            self._stage.done(watch.result())


def _memory() -> dict[str, float]:
    gc.collect()
    return {"resident": machine.resident_bytes(), "cpu": process_time()}


def _host(stage: Stage) -> None:
    keep_constants_alive()
    application = QCoreApplication([])
    host = Host(stage)
    run(application, stage, host.obey, up=perf_counter_ns())


def _replicas(stage: Stage) -> None:
    keep_constants_alive()
    application = QCoreApplication([])
    before = machine.resident_bytes()
    kept: list[Any] = []
    for _ in range(stage.options.get("replicas", 1)):
        node = QRemoteObjectNode()
        node.connectToNode(QUrl(stage.options["url"]))
        plant: Any = node.acquire(REP.replica["Plant"], "plant")
        if not plant.waitForSource(TIMEOUT_MS):
            raise Missing(f"QRemoteObjectNode: no source, {node.lastError().name}")
        kept += [node, plant]
    restart = Restart(stage.done)
    states = {
        QRemoteObjectReplica.State.Suspect: restart.suspect,
        QRemoteObjectReplica.State.Valid: restart.valid,
    }
    kept[1].stateChanged.connect(lambda state, _: states.get(state, restart.other)())
    kept[1].levelChanged.connect(restart.changed)
    kept[1].nameChanged.connect(restart.changed)

    def obey(order: Order) -> None:
        if order["order"] == "memory":
            stage.done(_memory() | {"before": before})
        else:
            restart.obey(order["order"])

    run(application, stage, obey)


ROLES = {"host": _host, "replicas": _replicas}
