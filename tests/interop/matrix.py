"""What of Qt Remote Objects is tested with which real Qt program in which role; a table of the documents is made of it.

A test says what it shows by `@shows(feature, role, peers)`, and one about Qt's own limits by `@qt_cannot(…)`.
"""

from __future__ import annotations

import enum
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import pytest

F = TypeVar("F", bound=Callable[..., Any])

PYSIDE: Final = "PySide6 6.12"
QT6: Final = "Qt 6.4"
QT5: Final = "Qt 5.15"
PEERS: Final = (PYSIDE, QT6, QT5)
CPP: Final = (QT6, QT5)


class Role(enum.Enum):
    """Who the Qt program is."""

    HOST = "host"
    REPLICA = "replica"


class Feature(enum.Enum):
    """A row of the table."""

    DYNAMIC = "dynamic replica"
    STATIC = "static replica: classes of a .rep"
    MISMATCH = "signatures compared, a mismatch told"
    READ = "properties read, changed and notified"
    PUSH = "properties written by `push`"
    READWRITE = "READWRITE properties written"
    CONSTANT = "CONSTANT properties"
    SIGNALS = "signals"
    SLOTS = "slots with and without a result"
    NUMBERS = "numbers, characters, texts, bytes"
    TIMES = "dates, times, UUIDs, URLs"
    GEOMETRY = "points, sizes, rectangles, lines"
    DOCUMENTS = "JSON values"
    CBOR = "CBOR values"
    VARIANTS = "QVariant and containers of it"
    CONTAINERS = "containers of plain types"
    PODS = "PODs"
    PODS_NESTED = "PODs in PODs"
    POD_LISTS = "lists and maps of PODs"
    POD_LIST_RESULTS = "lists and maps of PODs as results"
    ENUMS = "enums"
    FLAGS = "flags, enums with a scope or a size"
    CHILD = "CLASS child"
    CHILD_NESTED = "children of children"
    CHILD_REPLACED = "child replaced, child null"
    MODEL_CHILD = "MODEL child"
    MODEL = "model: size, rows, roles, headers"
    MODEL_CHANGES = "model: rows and cells change"
    MODEL_WRITES = "model: `setData`"
    MODEL_CURRENT = "model: current index"
    TREE = "model: a tree"
    REGISTRY = "object found by its name in a registry"
    REGISTRY_HOST = "the registry itself"
    PROXY = "proxy to another network"
    WITHDRAWN = "source removed, and back"
    RECONNECT = "reconnect after a crash"
    MODEL_BACK = "object with a MODEL child comes back"
    NESTED_BACK = "children of children come back, dynamic"
    NESTED_BACK_STATIC = "children of children come back, static"
    HEARTBEAT = "heartbeat"
    EXTERNAL = "a transport of the application's own, TLS or WebSocket"
    LATE = "object offered after connecting"


@dataclass(frozen=True)
class Cell:
    """One place of the table."""

    feature: Feature
    role: Role
    peer: str


TESTED: Final[dict[Cell, list[str]]] = {}
"""Cell to the tests that show it."""
IMPOSSIBLE: Final[dict[Cell, str]] = {}
"""Cell to why Qt itself cannot do it; a test shows that, or nothing in Qt has a name for it."""


def shows(feature: Feature, role: Role, *peers: str) -> Callable[[F], F]:
    """Say that a test shows *feature* with each of *peers* in *role*; it is given each in turn if it takes `peer`."""

    def mark(test: F) -> F:
        for peer in peers:
            TESTED.setdefault(Cell(feature, role, peer), []).append(_name(test))
        return _for_each(test, peers)

    return mark


def qt_cannot(why: str, feature: Feature, role: Role, *peers: str) -> Callable[[F], F]:
    """Say that a test shows that Qt itself lacks *feature*."""

    def mark(test: F) -> F:
        for peer in peers:
            nothing(why, feature, role, peer)
        return _for_each(test, peers)

    return mark


def nothing(why: str, feature: Feature, role: Role, *peers: str) -> None:
    """Say that Qt has no such thing at all."""
    for peer in peers:
        IMPOSSIBLE[Cell(feature, role, peer)] = why


def _name(test: Callable[..., Any]) -> str:
    return f"{test.__module__}.{test.__name__}"


def _for_each(test: F, peers: tuple[str, ...]) -> F:
    marks = getattr(test, "pytestmark", ())
    marked = any(mark.name == "parametrize" and "peer" in mark.args[0] for mark in marks)
    if "peer" not in inspect.signature(test).parameters or marked:
        return test  # about the one peer that its file is about, or already given some by another feature's mark
    return pytest.mark.parametrize("peer", peers)(test)


def table() -> str:
    """The table, in Markdown."""
    heads = [f"{peer} {role.value}" for peer in PEERS for role in Role]
    notes: list[str] = []
    lines = [f"| | {' | '.join(heads)} |", f"|---|{'---|' * len(heads)}"]
    for feature in Feature:
        cells = [_shown(Cell(feature, role, peer), notes) for peer in PEERS for role in Role]
        lines.append(f"| {feature.value} | {' | '.join(cells)} |")
    said = [f"{number}. {note}" for number, note in enumerate(notes, 1)]
    return "\n".join([*lines, "", *said, ""])


def _shown(cell: Cell, notes: list[str]) -> str:
    if cell in TESTED:
        return "✓"
    why = IMPOSSIBLE.get(cell)
    if why is None:
        return "not yet"
    if why not in notes:
        notes.append(why)
    return f"Qt cannot ({notes.index(why) + 1})"
