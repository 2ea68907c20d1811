"""A plain Qt host without anything of everywire: `qt_host.py URL` serves a QObject as `boiler` until stdin ends."""

from __future__ import annotations

import sys

from PySide6.QtCore import Property, QCoreApplication, QObject, QSocketNotifier, QUrl, Signal, Slot
from PySide6.QtRemoteObjects import QRemoteObjectHost


class Boiler(QObject):
    setPointChanged = Signal(float)  # noqa: N815  Qt's spelling
    lit = Signal(str, int)

    def __init__(self) -> None:
        super().__init__()
        self._set_point = 60.0

    def get_set_point(self) -> float:
        return self._set_point

    def put_set_point(self, value: float) -> None:
        if value != self._set_point:
            self._set_point = value
            self.setPointChanged.emit(value)

    setPoint = Property(float, get_set_point, put_set_point, notify=setPointChanged)  # noqa: N815

    @Slot(str, result=str)
    def igniteWith(self, fuel: str) -> str:  # noqa: N802
        self.lit.emit(fuel, 1)
        return f"burning {fuel}"


application = QCoreApplication([])
host = QRemoteObjectHost(QUrl(sys.argv[1]))
boiler = Boiler()
if not host.enableRemoting(boiler, "boiler"):
    sys.exit(f"not served: {host.lastError().name}")
ending = QSocketNotifier(0, QSocketNotifier.Type.Read)
ending.activated.connect(application.quit)
print(sys.argv[1], flush=True)  # noqa: T201  the test reads it
application.exec()
