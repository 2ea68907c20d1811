"""Foreign programs as children of a test, speaking JSON lines: started, asked, listened to, killed by their own pid.

Each line a program writes is an object: `{"event": …}` told by itself, or the answer to a request of ours, which is
`{"id": 1, "do": "verb", …}`: `{"id": 1, "result": …}` or `{"id": 1, "error": "…"}`.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

STARTUP: Final = 15.0
"""Seconds within which a program says that it is ready, on a busy machine."""
LINE: Final = 16 << 20
"""Bytes of the longest line."""

Fact = dict[str, Any]


class ProgramDied(AssertionError):
    """The program ended while the test needed it."""


class Program:
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

    async def ended(self) -> None:
        """Wait until all that it said has been taken."""
        while not self._ended:
            self._news.clear()
            await self._news.wait()

    async def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """End it as a crash would, and wait until it is gone."""
        if self.process.returncode is None:
            with suppress(ProcessLookupError):  # it has ended, and asyncio has not heard of it yet
                os.kill(self.pid, number)
        await self.process.wait()

    async def listen(self) -> None:
        """Take its lines until it ends."""
        assert self.process.stderr is not None
        _, self._words = await asyncio.gather(self._take_lines(), self.process.stderr.read())
        await self.process.wait()
        self._ended = True
        self._news.set()
        for answer in self._answers.values():
            if not answer.done():
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
            if answer.done():
                continue  # the test no longer waits for it
            if "error" in fact:
                answer.set_exception(AssertionError(f"{self.name}: {fact['error']}"))
            else:
                answer.set_result(fact["result"])

    def _obituary(self) -> ProgramDied:
        words = self._words.decode(errors="replace")[-2000:]
        return ProgramDied(f"the program {self.name} ended with {self.process.returncode}; it said:\n{words}")


@asynccontextmanager
async def program(
    name: str, *command: str | Path, advice: str, env: Mapping[str, str] | None = None
) -> AsyncIterator[Program]:
    """Run *command* from its "ready" until the end of the block; *advice* is told where it does not get ready."""
    process = await asyncio.create_subprocess_exec(
        *command, env=env, limit=LINE,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    running = Program(name, process)
    listening = asyncio.create_task(running.listen())
    try:
        try:
            async with asyncio.timeout(STARTUP):
                await running.hear("ready")
        except (TimeoutError, ProgramDied) as error:
            raise AssertionError(f"{name} did not get ready: {error}\n{advice}") from None
        yield running
    finally:
        await running.kill()
        await listening
