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
from typing import Any, Final, Literal

from benchmarks.peer import Missing
from benchmarks.role import Order, Sample

START_SECONDS: Final = 20.0
ROOT: Final = Path(__file__).resolve().parent.parent


class Failed(Exception):
    """A role ended or did not answer; the message ends with the last line it wrote to stderr."""


class Role:
    """One role of one peer in a fresh process and a process group of its own; leaving the block kills the group."""

    def __init__(self, role: Literal["server", "client"], peer: str, directory: Path, cores: Sequence[int]) -> None:
        self._title = f"{role} of {peer}"
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115  # closed in __exit__
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.role", role, peer, str(directory), ",".join(map(str, cores))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            cwd=ROOT,
            start_new_session=True,
        )

    def __enter__(self) -> Role:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        # The leader is not reaped before, so its id, which is the group's, cannot have been given to anybody else.
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._stderr):
            if stream is not None:
                stream.close()

    def ready(self) -> list[int]:
        """Wait until the role is ready; return the ids of its processes. Raises Missing or Failed."""
        processes: list[int] = self._answer("ready", START_SECONDS)
        return processes

    def sample(self, order: Order) -> Sample:
        """Have a client take a sample. Raises Missing or Failed."""
        orders = self._process.stdin
        # A client that has ended is found by the missing answer below, which can tell its last words.
        with suppress(BrokenPipeError):
            if orders is not None:
                orders.write(json.dumps(asdict(order)).encode() + b"\n")
                orders.flush()
        return Sample(**self._answer("sample", START_SECONDS + 4 * (order.seconds + order.warm_up)))

    def _answer(self, key: str, timeout: float) -> Any:
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
