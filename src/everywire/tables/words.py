"""The vocabulary of tables: roles, flags and orientations with Qt's numbers, places, and what travels. No behaviour."""

from __future__ import annotations

import enum
from typing import Any, Final

import msgspec

Path = tuple[int, ...]
"""Where a row is: its number below its parent, behind the path of the parent. `()` is what all rows are in."""


class ItemRole(enum.IntEnum):
    """What of a cell is meant: Qt::ItemDataRole. From `USER` on numbers mean what `Table.roles` says."""

    DISPLAY = 0
    """What people read."""
    DECORATION = 1
    EDIT = 2
    """The value itself."""
    TOOL_TIP = 3
    STATUS_TIP = 4
    WHATS_THIS = 5
    FONT = 6
    TEXT_ALIGNMENT = 7
    BACKGROUND = 8
    FOREGROUND = 9
    CHECK_STATE = 10
    ACCESSIBLE_TEXT = 11
    ACCESSIBLE_DESCRIPTION = 12
    SIZE_HINT = 13
    INITIAL_SORT_ORDER = 14
    USER = 256


ROLE_NAMES: Final = {
    ItemRole.DISPLAY: "display",
    ItemRole.DECORATION: "decoration",
    ItemRole.EDIT: "edit",
    ItemRole.TOOL_TIP: "toolTip",
    ItemRole.STATUS_TIP: "statusTip",
    ItemRole.WHATS_THIS: "whatsThis",
}
"""What QML calls the roles that every model has."""


class ItemFlag(enum.IntFlag):
    """What can be done with a cell: Qt::ItemFlag."""

    NONE = 0
    SELECTABLE = 1
    EDITABLE = 2
    DRAG_ENABLED = 4
    DROP_ENABLED = 8
    USER_CHECKABLE = 16
    ENABLED = 32
    AUTO_TRISTATE = 64
    NEVER_HAS_CHILDREN = 128
    USER_TRISTATE = 256


class Orientation(enum.IntEnum):
    """Which headers: those above the columns, or those beside the rows."""

    HORIZONTAL = 1
    VERTICAL = 2


class LayoutHint(enum.IntEnum):
    """What a changed layout has done."""

    NONE = 0
    VERTICAL_SORT = 1
    HORIZONTAL_SORT = 2


class TableIndex(msgspec.Struct, frozen=True):
    """One cell."""

    path: tuple[int, ...]
    column: int = 0


class TableSize(msgspec.Struct, frozen=True):
    """How many rows and columns are below one row, or in the table."""

    rows: int
    columns: int


class TableRow(msgspec.Struct, frozen=True):
    """One row as it travels: for each column the values of the roles that were asked for, and its flags."""

    values: tuple[tuple[Any, ...], ...]
    flags: tuple[int, ...] = ()
    children: bool = False
    """Whether there are rows below it."""
