"""Qt Remote Objects as PySide6 offers it: RepFile source and replica, a blocking client and an event-driven one.

The loops are written out here instead of taken from loops.py, so that the peer every ratio refers to pays for no
closure of ours.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter_ns
from typing import Any, Final

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QCoreApplication, QUrl
from PySide6.QtRemoteObjects import (
    QRemoteObjectHost,
    QRemoteObjectNode,
    QRemoteObjectPendingCallWatcher,
    RepFile,
)

from benchmarks.peer import Client, Missing, Peer, Ready, Timing, WrongAnswer, expect

REP: Final = RepFile("class Counter\n{\n    SLOT(int add_one(int number));\n};\n")
TIMEOUT_MS: Final = 5000


_Source: Any = REP.source["Counter"]


class Counter(_Source):  # type: ignore[misc]  # the class is made at run time
    """The source."""

    def add_one(self, number: int) -> int:
        """Return the number after this one."""
        return number + 1


def _address(directory: Path) -> QUrl:
    return QUrl(f"local:{directory / 'counter'}")


def _serve(directory: Path, ready: Ready) -> None:
    application = QCoreApplication([])
    host = QRemoteObjectHost(_address(directory))
    counter = Counter()
    if not host.enableRemoting(counter, "counter"):
        raise Missing(f"QRemoteObjectHost: {host.lastError().name}")
    ready()
    application.exec()


def _client(kind: Callable[[QCoreApplication, Any], Client]) -> Callable[[Path], Any]:
    @contextmanager
    def connect(directory: Path) -> Generator[Client]:
        application = QCoreApplication([])
        node = QRemoteObjectNode()
        node.connectToNode(_address(directory))
        replica: Any = node.acquire(REP.replica["Counter"], "counter")
        if not replica.waitForSource(TIMEOUT_MS):
            raise Missing(f"QRemoteObjectNode: no source, {node.lastError().name}")
        yield kind(application, replica)

    return connect


class Waiting:
    """Each call is ended by waitForFinished, which runs the socket itself."""

    def __init__(self, application: QCoreApplication, replica: Any) -> None:
        self._application = application
        self._replica = replica

    def sequential(self, seconds: float) -> Timing:
        """Call and wait."""
        add_one = self._replica.add_one
        latencies: list[int] = []
        number = 0
        begun = before = perf_counter_ns()
        end = begun + int(seconds * 1e9)
        while before < end:
            call = add_one(number)
            call.waitForFinished(TIMEOUT_MS)
            if (answer := call.returnValue()) != number + 1:
                expect(answer, number)
            now = perf_counter_ns()
            latencies.append(now - before)
            before = now
            number += 1
        return Timing(number, before - begun, latencies)

    def outstanding(self, seconds: float, depth: int) -> Timing:
        """Issue the window, wait for each."""
        add_one = self._replica.add_one
        number = 0
        begun = now = perf_counter_ns()
        end = begun + int(seconds * 1e9)
        while now < end:
            calls = [add_one(number + offset) for offset in range(depth)]
            for call in calls:
                call.waitForFinished(TIMEOUT_MS)
                number += 1
                if call.returnValue() != number:
                    raise WrongAnswer(f"add_one({number - 1}) was not answered with {number}")
            now = perf_counter_ns()
        return Timing(number, now - begun, [])


class Watching:
    """Each call has a watcher whose `finished` arrives from the Qt event loop, as an interactive program does it."""

    def __init__(self, application: QCoreApplication, replica: Any) -> None:
        self._application = application
        self._replica = replica
        self._depth = self._number = self._answers = self._sum = 0
        self._before = self._end = 0
        self._latencies: list[int] = []
        self._wrong = ""

    def sequential(self, seconds: float) -> Timing:
        """A window of one."""
        return self._windows(seconds, 1)

    def outstanding(self, seconds: float, depth: int) -> Timing:
        """Issue the window, the next one when all watchers have finished."""
        timing = self._windows(seconds, depth)
        return Timing(timing.calls, timing.elapsed_ns, [])

    def _windows(self, seconds: float, depth: int) -> Timing:
        self._depth, self._number, self._latencies = depth, 0, []
        begun = self._before = perf_counter_ns()
        self._end = begun + int(seconds * 1e9)
        self._issue()
        self._application.exec()
        if self._wrong:
            raise WrongAnswer(self._wrong)
        return Timing(self._number, self._before - begun, self._latencies)

    def _issue(self) -> None:
        add_one, finished, parent = self._replica.add_one, self._finished, self._replica
        self._answers = self._sum = 0
        for number in range(self._number, self._number + self._depth):
            # Owned by the replica and deleted later, as Qt documents it: a slot must not delete its own sender.
            QRemoteObjectPendingCallWatcher(add_one(number), parent).finished.connect(finished)

    def _finished(self, watcher: QRemoteObjectPendingCallWatcher) -> None:
        self._sum += watcher.returnValue()
        self._answers += 1
        watcher.deleteLater()
        if self._answers == self._depth:
            self._window_done()

    def _window_done(self) -> None:
        now = perf_counter_ns()
        self._latencies.append(now - self._before)
        self._before = now
        first, self._number = self._number, self._number + self._depth
        if self._sum != sum(range(first + 1, self._number + 1)):
            # An exception would be swallowed by Qt, which has called us.
            self._wrong = f"the answers to {first} and the next {self._depth - 1} add up to {self._sum}"
        if self._wrong or now >= self._end:
            self._application.quit()
        else:
            self._issue()


PEERS = {
    "pyside6-wait": Peer(_serve, _client(Waiting)),
    "pyside6-watcher": Peer(_serve, _client(Watching)),
}
