"""Starting, asking and ending the processes of a peer. It knows the lines they speak, not what is measured."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Self

from benchmarks.peer import Missing
from benchmarks.role import Order, Sample

START_SECONDS: Final = 20.0
ROOT: Final = Path(__file__).resolve().parent.parent


class Failed(Exception):
    """A role ended or did not answer; the message ends with the last line it wrote to stderr."""


class Process:
    """A fresh process in a process group of its own, asked in lines of JSON; leaving the block kills the group."""

    def __init__(self, title: str, module: str, *arguments: str) -> None:
        self._title = title
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115  # closed in __exit__
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            cwd=ROOT,
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        # The leader is not reaped before, so its id, which is the group's, cannot have been given to anybody else.
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._stderr):
            if stream is not None:
                stream.close()

    def ready(self) -> Any:
        """Wait until it is ready; return what it says then. Raises Missing or Failed."""
        return self.answer("ready", START_SECONDS)

    def tell(self, order: dict[str, Any]) -> None:
        """Give an order; `answer` reads what comes back."""
        orders = self._process.stdin
        # A process that has ended is found by the missing answer, which can tell its last words.
        with suppress(BrokenPipeError):
            if orders is not None:
                orders.write(json.dumps(order).encode() + b"\n")
                orders.flush()

    def answer(self, key: str, timeout: float) -> Any:
        """Wait for the next line; return what it says under *key*. Raises Missing or Failed."""
        out = self._process.stdout
        # One line answers one order, so nothing can wait in the buffer while select looks at the descriptor.
        if out is None or not select.select([out], [], [], timeout)[0]:
            raise Failed(f"{self._title} did not answer within {timeout:.0f} s{self._last_words()}")
        line = out.readline()
        if not line:
            raise Failed(f"{self._title} ended{self._last_words()}")
        answer = json.loads(line)
        if "missing" in answer:
            raise Missing(answer["missing"])
        return answer[key]

    def _last_words(self) -> str:
        self._stderr.seek(0)
        lines = self._stderr.read().decode(errors="replace").split("\n")
        said = [line.strip() for line in lines if line.strip()]
        return f": {said[-1]}" if said else ""


class Role(Process):
    """One role of one peer of the suite `rpc`."""

    def __init__(self, role: Literal["server", "client"], peer: str, directory: Path, cores: Sequence[int]) -> None:
        pinned = ",".join(map(str, cores))
        super().__init__(f"{role} of {peer}", "benchmarks.role", role, peer, str(directory), pinned)

    def sample(self, order: Order) -> Sample:
        """Have a client take a sample. Raises Missing or Failed."""
        self.tell(asdict(order))
        return Sample(**self.answer("sample", START_SECONDS + 4 * (order.seconds + order.warm_up)))


class Actor(Process):
    """One role of one peer of a suite with more than two processes; the role is a function of `benchmarks.actors`."""

    def __init__(self, module: str, role: str, directory: Path, cores: Sequence[int], **options: Any) -> None:
        options |= {"directory": str(directory), "cores": list(cores)}
        super().__init__(f"{role} of {module}", "benchmarks.actor", module, role, json.dumps(options))
        self.facts: dict[str, Any] = {}
        """What it said when it was ready."""

    def ask(self, order: str, timeout: float = START_SECONDS, **details: Any) -> Any:
        """Give an order and wait for its answer. Raises Missing or Failed."""
        self.tell({"order": order, **details})
        return self.answer("done", timeout)
