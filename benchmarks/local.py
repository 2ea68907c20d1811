"""The suite `local`: setting and getting a property and emitting a signal in one process, beside PySide6.

Both sides are timed by the very same functions, so the loop around an operation costs both the same (about 10 ns) and
is not subtracted. Every set changes the value.
"""

from __future__ import annotations

import ctypes
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any, Final

from benchmarks import machine
from benchmarks.figures import Spread, figure, markdown, ratio
from benchmarks.options import parser
from benchmarks.timing import interleaved

VALUES: Final = tuple(float(number) for number in range(1000))


def set_property(thing: Any) -> int:
    """Assign a property, another value each time."""
    for value in VALUES:
        thing.current = value
    return len(VALUES)


def get_property(thing: Any) -> int:
    """Read a property."""
    for _ in VALUES:
        thing.current  # noqa: B018  # reading it is what is timed
    return len(VALUES)


def emit_signal(thing: Any) -> int:
    """Emit a signal with one argument."""
    for value in VALUES:
        thing.ticked.emit(value)
    return len(VALUES)


def hear(_value: float) -> None:
    """The listener, which does nothing."""


OPERATIONS: Final[dict[str, tuple[Callable[[Any], int], bool]]] = {
    "get property": (get_property, False),
    "set property, no listener": (set_property, False),
    "set property, 1 listener": (set_property, True),
    "emit signal, no listener": (emit_signal, False),
    "emit signal, 1 listener": (emit_signal, True),
}
"""Name -> what is timed, and whether a listener hears it."""


def everywire_thing(*, heard: bool) -> Any:
    """An everywire object, with a listener of both members when `heard`."""
    from everywire import Object, Property, prop, signal

    class Thing(Object):
        current: Property[float] = prop(0.0)

        @signal
        def ticked(self, value: float) -> None:
            """Nothing in particular."""

    thing = Thing()
    if heard:
        Thing.current.on_change(thing, hear)
        thing.ticked.connect(hear)
    return thing


def pyside6_thing(*, heard: bool) -> Any:
    """The same as a QObject, its setter as Qt documents one: compare, store, notify."""
    from PySide6.QtCore import Property, QObject, Signal

    keep_constants_alive()

    class Thing(QObject):
        changed = Signal(float)
        ticked = Signal(float)

        def __init__(self) -> None:
            super().__init__()
            self._current = 0.0

        def _get(self) -> float:
            return self._current

        def _set(self, value: float) -> None:
            if value != self._current:
                self._current = value
                self.changed.emit(value)

        current = Property(float, _get, _set, notify=changed)

    thing = Thing()
    if heard:
        thing.changed.connect(hear)
        thing.ticked.connect(hear)
    return thing


def keep_constants_alive() -> None:
    """Survive PySide6 6.12.0, whose emit and setters give away references to True and None that they do not own.

    Seen with sys.getrefcount: True has one less per emit, None one less per assignment of a RepFile property, until
    CPython 3.11 ends with "deallocating True or False" after some hundreds. From 3.12 on both are immortal (PEP 683);
    before, a count that nobody can use up does the same.
    """
    if sys.version_info < (3, 12):
        for constant in (True, False, None):
            ctypes.c_ssize_t.from_address(id(constant)).value += 1 << 40


SIDES: Final[dict[str, Callable[..., Any]]] = {"everywire": everywire_thing, "pyside6": pyside6_thing}


def main(arguments: Sequence[str]) -> int:
    """Time every operation on both sides in one run, print the table, write the JSON; 1 when a side is missing."""
    command = parser("local", __doc__, rounds=9, seconds=0.001)
    command.add_argument("--seconds", type=float, default=0.02, help="length of one sample")
    options = command.parse(arguments)
    operations, missing = _operations()
    spreads = interleaved(operations, rounds=options.rounds, seconds=options.seconds, seed=options.seed)
    facts = machine.facts() | machine.versions(["everywire", "PySide6-Essentials"])
    print(
        f"In one process, {options.rounds} rounds of {options.seconds} s per sample, interleaved with seed "
        f"{options.seed}; nanoseconds each, median [lowest-highest].\n"
    )
    print("\n".join(f"* {name}: {value}" for name, value in facts.items()), "\n")
    print(_table(spreads, missing))
    if options.json:
        report = {
            "suite": "local",
            "seed": options.seed,
            "machine": facts,
            "missing": missing,
            "nanoseconds": {name: asdict(spread) for name, spread in spreads.items()},
        }
        options.json.write_text(json.dumps(report, indent=1), encoding="utf-8")
    return 1 if missing else 0


def _operations() -> tuple[dict[str, Callable[[], int]], dict[str, str]]:
    operations: dict[str, Callable[[], int]] = {}
    missing: dict[str, str] = {}
    for side, make in SIDES.items():
        try:
            for name, (operation, heard) in OPERATIONS.items():
                operations[f"{side}: {name}"] = partial(operation, make(heard=heard))
        except ImportError as error:
            missing[side] = str(error)
    return operations, missing


def _table(spreads: dict[str, Spread], missing: dict[str, str]) -> str:
    def cell(side: str, name: str) -> str:
        spread = spreads.get(f"{side}: {name}")
        if spread is None:
            return f"missing: {missing.get(side, 'not measured')}"
        return f"{spread.median:,.0f} [{spread.low:,.0f}-{spread.high:,.0f}]"

    rows = [
        [
            name,
            *(cell(side, name) for side in SIDES),
            figure(ratio(spreads.get(f"pyside6: {name}"), spreads.get(f"everywire: {name}")), 2),
        ]
        for name in OPERATIONS
    ]
    return markdown(("operation", "everywire ns", "PySide6 ns", "times faster"), rows)
