"""Hosts for programs without a loop: in a thread beside the test, or in a process of their own."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from everywire import Limits, Node, Object, sync
from tests.conformance.programs import HEAD
from tests.conformance.wires import QUICK, Place

HOST = """
kind, url = sys.argv[1:]

async def main():
    async with Node(limits=Limits(drain=0.0)) as node:
        for name, source in (("desk", Desk()), ("feeder", Feeder()), ("counters", Counters()), ("tap", Tap())):
            node.publish(source, name)
        print(*await node.serve(url), flush=True)
        await asyncio.Event().wait()

run(main, kind)
"""


class Host:
    """A node in a thread of its own, and what a test does to its objects."""

    def __init__(self, thread: sync.LoopThread, node: Node) -> None:
        self._thread, self.node = thread, node

    def do(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Run *function* in the node's thread; return its result."""
        return self.node.call(function, *arguments).result(5)

    def set(self, source: Object, **values: Any) -> None:
        """Set properties there."""
        for name, value in values.items():
            self.do(setattr, source, name, value)

    def until(self, source: Any, condition: Callable[[], object]) -> None:
        """Wait until *condition* is true, which the bell of *source* announces."""
        self.do(source.bell.until, condition)


@contextmanager
def hosting(place: Place, *, limits: Limits = QUICK, **objects: Object) -> Iterator[Host]:
    """Serve *objects* by their names at *place*."""
    with sync.LoopThread("host of a test") as thread, thread.enter(place.hosting(limits=limits, **objects)) as node:
        yield Host(thread, node)


class Process:
    """A program that speaks by lines on standard output."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.pid = process.pid

    def line(self) -> str:
        """Return the next line it says."""
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def kill(self, number: int = signal.SIGKILL) -> None:
        """End it, and wait for that."""
        os.kill(self.pid, number)
        self._process.wait()

    def wait(self) -> int:
        """Wait until it ends; return its exit code."""
        return self._process.wait(10)

    def stop(self) -> None:
        """Stop it in its tracks; return when it stands."""
        os.kill(self.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WNOWAIT)

    def go_on(self) -> None:
        """Let it run on."""
        os.kill(self.pid, signal.SIGCONT)


@contextmanager
def started(program: str, *arguments: object) -> Iterator[Process]:
    """Run a program on the names of the conformance plant; it is killed at the end of the block."""
    command = [sys.executable, "-W", "error", "-c", HEAD + program, *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Process(process)
        finally:
            process.kill()


@contextmanager
def host_process(place: Place, kind: str = "asyncio") -> Iterator[Process]:
    """Serve a desk, a feeder, counters and a tap at *place*, in another process."""
    with started(HOST, kind, place.listen) as process:
        place.moved(process.line())
        yield process


def readable(descriptor: int, seconds: float = 5.0) -> bool:
    """Wait until *descriptor* can be read."""
    return bool(select.select([descriptor], [], [], seconds)[0])
