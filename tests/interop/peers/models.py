"""A Qt program with models: it offers some, and uses those of others as a view would."""

# ruff: noqa: N802  names are spelt as Qt programs spell them
from __future__ import annotations

from speech import meant, run, say, told  # isort: skip  # sets Qt's platform

import os
import sys

from PySide6.QtCore import (
    QAbstractTableModel,
    QCoreApplication,
    QItemSelectionModel,
    QModelIndex,
    Qt,
    QUrl,
)
from PySide6.QtGui import QStandardItem, QStandardItemModel
from PySide6.QtRemoteObjects import QRemoteObjectHost, QRemoteObjectNode, QtRemoteObjects

_ACTIONS = QtRemoteObjects.InitialAction
ROLES = {int(Qt.ItemDataRole.UserRole) + 1: b"name", int(Qt.ItemDataRole.UserRole) + 2: b"level"}


class Levels(QAbstractTableModel):
    """A table as most programs write one: rows in a list, and two roles for QML."""

    def __init__(self, count):
        super().__init__()
        self.rows = [[f"tank {n}", n * 0.5] for n in range(count)]
        self.asked = 0

    def rowCount(self, parent=None):
        return 0 if parent is not None and parent.isValid() else len(self.rows)

    def columnCount(self, parent=None):
        return 0 if parent is not None and parent.isValid() else 2

    def data(self, index, role=Qt.ItemDataRole.DisplayRole):
        self.asked += 1
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.EditRole):
            return self.rows[index.row()][index.column()]
        if role in ROLES:
            return self.rows[index.row()][role - min(ROLES)]
        return None

    def headerData(self, section, orientation, role=Qt.ItemDataRole.DisplayRole):
        if role != Qt.ItemDataRole.DisplayRole:
            return None
        return ("name", "level")[section] if orientation == Qt.Orientation.Horizontal else f"row {section}"

    def flags(self, index):
        return super().flags(index) | Qt.ItemFlag.ItemIsEditable

    def setData(self, index, value, role=Qt.ItemDataRole.EditRole):
        if index.column() == 1 and value < 0:
            return False
        self.rows[index.row()][index.column()] = value
        self.dataChanged.emit(index, index, [Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.EditRole, *ROLES])
        return True

    def roleNames(self):
        return {**super().roleNames(), **ROLES}

    def insert(self, at, rows):
        self.beginInsertRows(QModelIndex(), at, at + len(rows) - 1)
        self.rows[at:at] = rows
        self.endInsertRows()

    def remove(self, first, last):
        self.beginRemoveRows(QModelIndex(), first, last)
        del self.rows[first : last + 1]
        self.endRemoveRows()

    def move(self, first, last, to):
        self.beginMoveRows(QModelIndex(), first, last, QModelIndex(), to)
        moved = self.rows[first : last + 1]
        del self.rows[first : last + 1]
        at = to - len(moved) if to > first else to
        self.rows[at:at] = moved
        self.endMoveRows()

    def turn(self):
        self.layoutAboutToBeChanged.emit()
        self.rows.reverse()
        self.layoutChanged.emit()

    def reset(self, count):
        self.beginResetModel()
        self.rows = [[f"new {n}", float(n)] for n in range(count)]
        self.endResetModel()


def tree():
    """A tree three levels deep."""
    model = QStandardItemModel()
    model.setHorizontalHeaderLabels(["part", "count"])
    for n in range(3):
        machine = [QStandardItem(f"machine {n}"), QStandardItem(str(n))]
        for m in range(n + 1):
            part = [QStandardItem(f"part {n}.{m}"), QStandardItem(str(10 * n + m))]
            part[0].appendRow([QStandardItem(f"screw {n}.{m}"), QStandardItem("4")])
            machine[0].appendRow(part)
        model.appendRow(machine)
    return model


class Modeller:
    """What a test can ask for, one method each."""

    def __init__(self):
        self.node, self.replicas, self.models = QRemoteObjectNode(), {}, {}
        self.kept = []

    # Offering.

    def do_serve(self, url):
        self.host = QRemoteObjectHost(QUrl(url))
        return self.host.hostUrl().toString()

    def do_offer(self, name, count):
        model = self.models[name] = Levels(count)
        selection = QItemSelectionModel(model)
        selection.currentChanged.connect(
            lambda now, _: say(event="selected", row=now.row(), column=now.column(), object=name)
        )
        self.kept.append(selection)
        model.selection = selection
        roles = [Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.EditRole, *ROLES]
        return self.host.enableRemoting(model, name, [int(role) for role in roles], selection)

    def do_offer_tree(self, name):
        model = self.models[name] = tree()
        return self.host.enableRemoting(model, name, [int(Qt.ItemDataRole.DisplayRole)])

    def do_withdraw(self, name):
        return self.host.disableRemoting(self.models[name])

    def do_change(self, name, method, arguments):
        getattr(self.models[name], method)(*arguments)

    def do_source_set(self, name, row, column, value):
        model = self.models[name]
        return model.setData(model.index(row, column), meant(value))

    def do_source_get(self, name, row, column):
        model = self.models[name]
        return told(model.data(model.index(row, column), Qt.ItemDataRole.DisplayRole))

    def do_source_select(self, name, row, column):
        model = self.models[name]
        model.selection.setCurrentIndex(model.index(row, column), QItemSelectionModel.SelectionFlag.ClearAndSelect)

    def do_asked(self, name):
        return self.models[name].asked

    # Using.

    def do_connect(self, url):
        return self.node.connectToNode(QUrl(url))

    def do_acquire(self, name, prefetch=False, roles=()):
        action = _ACTIONS.PrefetchData if prefetch else _ACTIONS.FetchRootSize
        model = self.replicas[name] = self.node.acquireModel(name, action, list(roles))
        model.initialized.connect(lambda: say(event="initialized", object=name))
        model.rowsInserted.connect(lambda p, f, l: say(event="inserted", parent=path(p), first=f, last=l))
        model.rowsRemoved.connect(lambda p, f, l: say(event="removed", parent=path(p), first=f, last=l))
        model.rowsMoved.connect(lambda p, f, l, d, r: say(event="moved", first=f, last=l, row=r))
        model.columnsInserted.connect(lambda p, f, l: say(event="columns", first=f, last=l))
        model.dataChanged.connect(
            lambda a, b, roles: say(event="changed", first=path(a), last=path(b), roles=[int(role) for role in roles])
        )
        model.headerDataChanged.connect(lambda o, f, l: say(event="headers", first=f, last=l))
        model.layoutChanged.connect(lambda *_: say(event="layout"))
        model.modelReset.connect(lambda: say(event="reset", object=name))
        model.selectionModel().currentChanged.connect(
            lambda now, _: say(event="current", path=path(now), column=now.column())
        )

    def do_release(self, name):
        self.replicas.pop(name).deleteLater()

    def do_size(self, name, parent=()):
        model, at = self._at(name, parent)
        return [model.rowCount(at), model.columnCount(at)]

    def do_data(self, name, row, column, role=0, parent=()):
        model, at = self._at(name, parent)
        return told(model.data(model.index(row, column, at), role))

    def do_page(self, name, first, last, columns, role=0, parent=()):
        """Look at cells as a view does that paints them."""
        model, at = self._at(name, parent)
        return [[told(model.data(model.index(n, c, at), role)) for c in range(columns)] for n in range(first, last + 1)]

    def do_has(self, name, row, column=0, role=0, parent=()):
        model, at = self._at(name, parent)
        return model.hasData(model.index(row, column, at), role)

    def do_flags(self, name, row, column):
        model, _ = self._at(name, ())
        return model.flags(model.index(row, column)).value

    def do_has_children(self, name, row, parent=()):
        model, at = self._at(name, parent)
        return model.hasChildren(model.index(row, 0, at))

    def do_header(self, name, section, vertical=False):
        orientation = Qt.Orientation.Vertical if vertical else Qt.Orientation.Horizontal
        return told(self.replicas[name].headerData(section, orientation, int(Qt.ItemDataRole.DisplayRole)))

    def do_roles(self, name):
        model = self.replicas[name]
        names = {str(role): bytes(name.data()).decode() for role, name in model.roleNames().items()}
        return list(model.availableRoles()), names

    def do_write(self, name, row, column, value, role=2):
        model, _ = self._at(name, ())
        return model.setData(model.index(row, column), meant(value), role)

    def do_select(self, name, row, column):
        model, _ = self._at(name, ())
        flags = QItemSelectionModel.SelectionFlag.ClearAndSelect | QItemSelectionModel.SelectionFlag.Current
        model.selectionModel().setCurrentIndex(model.index(row, column), flags)

    def _at(self, name, parent):
        model, at = self.replicas[name], QModelIndex()
        for row in parent:
            at = model.index(row, 0, at)
        return model, at


def path(index):
    """The rows on the way to an index."""
    rows = []
    while index.isValid():
        rows.insert(0, index.row())
        index = index.parent()
    return rows


if __name__ == "__main__":
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    application = QCoreApplication(sys.argv[:1])
    run(Modeller())
