"""The demo's processes as their parent sees them: started, asked, and ended without leaving anything behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any, Final, Self

import msgspec

from everywire.cli.ending import LAST_WISHES
from everywire.errors import LinkError

PATIENCE: Final = 30.0
"""Seconds that a process may take to start and for one answer."""
LAST_WISH: Final = 5.0
"""Seconds that a process has to end by itself."""
MORTAL: Final = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGTERM)
for ignored in signal.SIGPIPE, signal.SIGXFSZ:
    signal.signal(ignored, signal.SIG_DFL)
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.argv[2], sys.argv[2:])
"""
"""Becomes another program, which the kernel ends with the process that started it: PR_SET_PDEATHSIG of prctl(2)."""


class Worker:
    """A process that answers one line of JSON for each it is sent; see `orders`."""

    def __init__(self, name: str, process: Process, log: Path, *, obeys: bool) -> None:
        self.name, self._obeys = name, obeys
        self._process, self._log = process, log

    @classmethod
    async def start(cls, name: str, command: Sequence[str], log: Path, *, obeys: bool = True) -> Self:
        """Start *command*; what it says on its standard error goes to the file *log*.

        One that *obeys* ends by itself when nobody can give orders any more; others end with us, even if we are killed.
        """
        if not obeys and sys.platform == "linux":
            command = (sys.executable, "-I", "-S", "-c", MORTAL, str(os.getpid()), *command)
        with log.open("wb") as errors:
            # A session of its own: Ctrl-C is for the parent, which then ends its children in order.
            process = await asyncio.create_subprocess_exec(
                *command, stdin=PIPE, stdout=PIPE, stderr=errors, start_new_session=True
            )
        return cls(name, process, log, obeys=obeys)

    async def ask(self, do: str, **details: Any) -> dict[str, Any]:
        """Give an order and return the answer; raise LinkError when the process has died or is silent."""
        self.tell({"do": do, **details})
        answer: dict[str, Any] = msgspec.json.decode(await self.line())
        return answer

    def tell(self, order: dict[str, Any]) -> None:
        """Give an order."""
        assert self._process.stdin is not None
        self._process.stdin.write(msgspec.json.encode(order) + b"\n")

    async def line(self) -> bytes:
        """Return the next line that the process writes."""
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(PATIENCE):
                line = await self._process.stdout.readline()
        except TimeoutError:
            raise LinkError(f"{self.name} has said nothing for {PATIENCE:g} s{self._last_words()}") from None
        if not line.endswith(b"\n"):
            raise await self.died()
        return line

    async def only_line(self) -> bytes:
        """Return the line that the process writes before it ends well, or nothing; raise LinkError when it fails."""
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(PATIENCE):
                said = await self._process.stdout.read()
                code = await self._process.wait()
        except TimeoutError:
            raise LinkError(f"{self.name} has not ended for {PATIENCE:g} s{self._last_words()}") from None
        if code:
            raise await self.died()
        return said

    async def died(self) -> LinkError:
        """Wait until the process has ended; return what there is to say about it."""
        code = await self._process.wait()
        ended = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        return LinkError(f"{self.name} {ended}{self._last_words()}")

    async def end(self) -> None:
        """Let the process end, and make it end when it does not in time."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        with contextlib.suppress(ProcessLookupError):
            if not self._obeys:
                self._process.terminate()
            try:
                async with asyncio.timeout(LAST_WISH):
                    await self._process.wait()
            except TimeoutError:
                self._process.kill()
        await self._process.wait()

    def kill(self) -> None:
        """End the process at once, if it has not ended."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    def _last_words(self) -> str:
        with contextlib.suppress(FileNotFoundError):  # it has vanished, see `Crew.vanish`
            lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            return f": {lines[-1]}" if lines else ""
        return ""


class Crew:
    """All processes of one demo, in a private directory; one that dies takes the demo with it."""

    def __init__(self, directory: Path, tasks: asyncio.TaskGroup) -> None:
        self.directory = directory
        self._tasks = tasks
        self._workers: list[Worker] = []
        self._made: list[Worker] = []
        self._started = 0

    async def start(self, name: str, *command: str, program: str = sys.executable, obeys: bool = True) -> Worker:
        """Start a *program*; for Python ``-m MODULE`` or a file, and its arguments."""
        worker = await self._make(name, (program, *command), obeys=obeys)
        self._workers.append(worker)
        self._tasks.create_task(self._mourn(worker))
        return worker

    async def run(self, name: str, *command: str, program: str = sys.executable) -> Any:
        """Run a *program* to its end; return the JSON it printed, raise LinkError when it failed."""
        worker = await self._make(name, (program, *command), obeys=True)
        try:
            return msgspec.json.decode(await worker.line())
        finally:
            await worker.end()

    async def output(self, name: str, *command: str, program: str) -> bytes:
        """Run a *program* to its end; return the line that it printed, if any, raise LinkError when it failed."""
        worker = await self._make(name, (program, *command), obeys=True)
        try:
            return await worker.only_line()
        finally:
            await worker.end()

    async def keep_only(self, *needed: Worker) -> None:
        """End the processes that are not needed any more, the last one first."""
        for worker in [worker for worker in reversed(self._workers) if worker not in needed]:
            self._workers.remove(worker)
            await worker.end()

    def vanish(self) -> None:
        """End every process and remove the directory at once: a second Ctrl-C leaves no time for anything else."""
        for worker in self._made:
            worker.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    async def _make(self, name: str, command: Sequence[str], *, obeys: bool) -> Worker:
        self._started += 1
        log = self.directory / f"{self._started}.log"
        worker = await Worker.start(name, command, log, obeys=obeys)
        self._made.append(worker)
        return worker

    async def _mourn(self, worker: Worker) -> None:
        death = await worker.died()
        if worker in self._workers:
            raise death


@contextlib.asynccontextmanager
async def crew() -> AsyncGenerator[Crew]:
    """Give a crew; whatever happens, its processes are ended and its directory is removed.

    Raises LinkError when one of them dies.
    """
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    home = runtime if runtime and os.access(runtime, os.W_OK | os.X_OK) else None
    with tempfile.TemporaryDirectory(prefix="everywire-", dir=home) as directory:
        try:
            async with asyncio.TaskGroup() as tasks:
                made = Crew(Path(directory), tasks)
                LAST_WISHES.append(made.vanish)
                try:
                    yield made
                finally:
                    await made.keep_only()
                    LAST_WISHES.remove(made.vanish)
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None
