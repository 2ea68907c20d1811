"""PySide6 in the suite `tables`: a QStandardItemModel, and a model replica whose rows are looked at as a view does."""

from __future__ import annotations

import os
from collections.abc import Callable
from time import perf_counter_ns
from typing import Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QAbstractItemModel, QCoreApplication, Qt, QUrl
from PySide6.QtGui import QGuiApplication, QStandardItem, QStandardItemModel
from PySide6.QtRemoteObjects import QRemoteObjectHost, QRemoteObjectNode, QtRemoteObjects

from benchmarks.actor import Order, Stage
from benchmarks.actors.fanout_pyside6 import run
from benchmarks.actors.rows import checked, row
from benchmarks.local import keep_constants_alive
from benchmarks.peer import Missing

COLUMNS = 4
DISPLAY = Qt.ItemDataRole.DisplayRole


def _host(stage: Stage) -> None:
    keep_constants_alive()
    application = QGuiApplication([])
    model = QStandardItemModel(0, COLUMNS)
    for number in range(stage.options["rows"]):
        items = [QStandardItem() for _ in range(COLUMNS)]
        for item, value in zip(items, row(number), strict=True):
            item.setData(value, DISPLAY)
        model.appendRow(items)
    host = QRemoteObjectHost(QUrl(f"local:{stage.directory / 'rows'}"))
    if not host.enableRemoting(model, "rows", [DISPLAY]):
        raise Missing(f"QRemoteObjectHost: {host.lastError().name}")
    run(application, stage, stage.done)


class Reader:
    """Looks at rows until they are there; one page after the other."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._node = QRemoteObjectNode()
        self._model: Any = None
        self._first = self._last = -1
        self._then: Callable[[], None] = _nothing
        self._begun = 0
        self._order: Order = {}
        self._took: list[int] = []

    def obey(self, order: Order) -> None:
        """Begin what is ordered."""
        self._order, self._begun = order, perf_counter_ns()
        match order["order"]:
            case "connect":
                self._connect()
            case "all":
                self._page(0)
            case _:
                self._took = []
                self._jump()

    def _connect(self) -> None:
        self._node.connectToNode(QUrl(f"local:{self._stage.directory / 'rows'}"))
        self._model = self._node.acquireModel("rows", QtRemoteObjects.InitialAction.FetchRootSize, [DISPLAY])
        self._model.dataChanged.connect(self._look)
        self._model.initialized.connect(lambda: self._fetch(0, 49, self._done))

    def _done(self) -> None:
        self._stage.done(perf_counter_ns() - self._begun)

    def _page(self, first: int) -> None:
        rows, size = self._order["rows"], self._order["page"]
        if first >= rows:
            self._done()
        else:
            self._fetch(first, min(first + size, rows) - 1, lambda: self._page(first + size))

    def _jump(self) -> None:
        if len(self._took) == len(self._order["places"]):
            self._stage.done(self._took)
            return
        begun, place = perf_counter_ns(), self._order["places"][len(self._took)]

        def there() -> None:
            self._took.append(perf_counter_ns() - begun)
            self._jump()

        self._fetch(place, place + self._order["page"] - 1, there)

    def _fetch(self, first: int, last: int, then: Callable[[], None]) -> None:
        self._first, self._last, self._then = first, last, then
        self._look()

    def _look(self, *_: object) -> None:
        """Read the page; a cell that is not there yet is asked for by looking at it."""
        if self._first < 0:
            return
        model: QAbstractItemModel = self._model
        cells = [
            [model.data(model.index(number, column), DISPLAY) for column in range(COLUMNS)]
            for number in range(self._first, self._last + 1)
        ]
        if any(cell is None for found in cells for cell in found):
            return
        checked(cells, self._first)
        then, self._first = self._then, -1
        then()


def _nothing() -> None:
    """What is done after nothing."""


def _replica(stage: Stage) -> None:
    keep_constants_alive()
    application = QCoreApplication([])
    reader = Reader(stage)
    run(application, stage, reader.obey)


ROLES = {"host": _host, "replica": _replica}
