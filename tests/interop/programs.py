"""Qt programs as child processes of a test: started, asked, listened to, and killed by their own pid at the end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

PEERS: Final = Path(__file__).parent / "peers"
ADVICE: Final = "`make demo QT=1` installs PySide6; QtCore and QtNetwork need libglib2.0-0 and libegl1 on Debian"
STARTUP: Final = 15.0
"""Seconds within which a Qt program says that it is ready, on a busy machine."""

Fact = dict[str, Any]


class QtProgramDied(AssertionError):
    """The Qt program ended while the test needed it."""


class QtProgram:
    """One running peer."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self.name, self.process = name, process
        self.facts: list[Fact] = []
        """What it told without being asked and nobody has taken yet, in order."""
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._number = 0
        self._news = asyncio.Event()
        self._words = b""
        self._ended = False

    @property
    def pid(self) -> int:
        """The process."""
        return self.process.pid

    async def ask(self, do: str, **arguments: Any) -> Any:
        """Have it run `do_<do>`; return the result."""
        if self._ended:
            raise self._obituary()
        self._number += 1
        answer = self._answers[self._number] = asyncio.get_running_loop().create_future()
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"id": self._number, "do": do, **arguments}).encode() + b"\n")
        return await answer

    async def hear(self, event: str, matching: Callable[[Fact], bool] = lambda _: True, **facts: Any) -> Fact:
        """Wait until it tells *event* with *facts*; take it and all that it told before out of `facts`."""
        while True:
            for place, fact in enumerate(self.facts):
                if fact["event"] == event and fact.items() >= facts.items() and matching(fact):
                    del self.facts[: place + 1]
                    return fact
            if self._ended:
                raise self._obituary()
            self._news.clear()
            await self._news.wait()

    async def kill(self) -> None:
        """End it as a crash would, and wait until it is gone."""
        if self.process.returncode is None:
            os.kill(self.pid, signal.SIGKILL)
        await self.process.wait()

    async def listen(self) -> None:
        """Take its lines until it ends."""
        assert self.process.stderr is not None
        _, self._words = await asyncio.gather(self._take_lines(), self.process.stderr.read())
        await self.process.wait()
        self._ended = True
        self._news.set()
        for answer in self._answers.values():
            answer.set_exception(self._obituary())

    async def _take_lines(self) -> None:
        assert self.process.stdout is not None
        while line := await self.process.stdout.readline():
            fact: Fact = json.loads(line)
            if "id" not in fact:
                self.facts.append(fact)
                self._news.set()
                continue
            answer = self._answers.pop(fact["id"])
            if "error" in fact:
                answer.set_exception(AssertionError(f"{self.name}: {fact['error']}"))
            else:
                answer.set_result(fact["result"])

    def _obituary(self) -> QtProgramDied:
        words = self._words.decode(errors="replace")[-2000:]
        return QtProgramDied(f"the Qt program {self.name} ended with {self.process.returncode}; it said:\n{words}")


@asynccontextmanager
async def qt_program(name: str, *arguments: str) -> AsyncIterator[QtProgram]:
    """Run the peer *name* (see `peers/`) until the end of the block."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-X", "faulthandler", str(PEERS / f"{name}.py"), *arguments,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    program = QtProgram(name, process)
    listening = asyncio.create_task(program.listen())
    try:
        try:
            async with asyncio.timeout(STARTUP):
                await program.hear("ready")
        except (TimeoutError, QtProgramDied) as error:
            raise AssertionError(f"no Qt program, no interoperability test: {error}\n{ADVICE}") from None
        yield program
    finally:
        await program.kill()
        await listening
