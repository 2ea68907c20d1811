"""PySide6's host in the suite `scaling`."""

from __future__ import annotations

import os
from typing import Any, Final

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QCoreApplication, QSocketNotifier, QUrl
from PySide6.QtRemoteObjects import QRemoteObjectHost, RepFile

from benchmarks import machine
from benchmarks.actor import Stage
from benchmarks.peer import Missing

REP: Final = RepFile("class Counter\n{\n    SLOT(int add_one(int number));\n};\n")
_Source: Any = REP.source["Counter"]


class Counter(_Source):  # type: ignore[misc]  # the class is made at run time
    """The source."""

    def add_one(self, number: int) -> int:
        """Return the number after this one."""
        return number + 1


def _host(stage: Stage) -> None:
    application = QCoreApplication([])
    host = QRemoteObjectHost(QUrl(f"local:{stage.directory / 'counter'}"))
    counter = Counter()
    if not host.enableRemoting(counter, "counter"):
        raise Missing(f"QRemoteObjectHost: {host.lastError().name}")

    def obey() -> None:
        stage.order()
        stage.done({"resident": machine.resident_bytes(), "heap": None})

    notifier = QSocketNotifier(stage.orders_from, QSocketNotifier.Type.Read)
    notifier.activated.connect(obey)
    stage.ready()
    application.exec()


ROLES = {"host": _host}
