"""Programs of the conformance suite that run as processes of their own; they speak by lines on standard output."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
HEAD = f"""
import asyncio, sys
sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "src")!r}]
from everywire import *
from tests.conformance.plant import *
from tests.harness import loop_factory

def run(main, kind):
    with asyncio.Runner(loop_factory=loop_factory(kind)) as runner:
        runner.run(main())
"""

HOST = """
kind, url = sys.argv[1:]

async def main():
    async with Node(limits=Limits(drain=0.0)) as node:
        node.publish(Feeder(), "feeder")
        node.publish(Counters(), "counters")
        print(*await node.serve(url), flush=True)
        await asyncio.Event().wait()

run(main, kind)
"""

LISTENER = """
kind, url, last = sys.argv[1], sys.argv[2], int(sys.argv[3])

async def main():
    async with connect(url, "feeder", Feeder) as feeder:
        crumbs = []
        feeder.crumbled.connect(lambda number, _: crumbs.append(number))
        print("ready", flush=True)
        await Feeder.serial.wait_for(feeder, lambda serial: serial == last)
        assert await feeder.settle() == last
        assert crumbs == sorted(crumbs)
        print(link_of(feeder).gap, len(crumbs), len(feeder.block), feeder.block[0], flush=True)

run(main, kind)
"""


class Child:
    """One running program."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.pid = process.pid

    async def line(self) -> str:
        """Return the next line it says."""
        assert self._process.stdout is not None
        return (await asyncio.to_thread(self._process.stdout.readline)).strip()

    def stop(self) -> None:
        """Stop it in its tracks; return when it stands."""
        os.kill(self.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WNOWAIT)

    def go_on(self) -> None:
        """Let it run on."""
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """End it without a chance to say anything."""
        os.kill(self.pid, signal.SIGKILL)


@contextmanager
def started(program: str, *arguments: object) -> Iterator[Child]:
    """Run a program; it is killed at the end of the block."""
    command = [sys.executable, "-W", "error", "-c", HEAD + program, *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Child(process)
        finally:
            process.kill()


def resident_bytes() -> int:
    """Return how much memory this process occupies."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
