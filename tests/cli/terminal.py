"""A program on a terminal of its own (a pty), typed at and read; what it wrote is kept."""

from __future__ import annotations

import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from typing import Final, Self

PATIENCE: Final = 15.0
"""Seconds after which text that does not come is given up."""


class Terminal:
    """Runs *command* as the leader of a session whose controlling terminal is ours."""

    def __init__(
        self, command: Sequence[str], *, columns: int = 100, environment: Mapping[str, str] | None = None
    ) -> None:
        self._ours, theirs = os.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
        env = {**os.environ, "TERM": "xterm", **(environment or {})}
        self.process = subprocess.Popen(
            command,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=env,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509
        )
        os.close(theirs)
        self.shown = ""
        self._seen = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.close()

    def type(self, text: str) -> None:
        """Send keys."""
        os.write(self._ours, text.encode())

    def read_until(self, pattern: str, patience: float = PATIENCE) -> str:
        """Read until *pattern*, a regular expression, is found in what has not been read yet; return that."""
        deadline = time.monotonic() + patience
        while (found := re.search(pattern, self.shown[self._seen :])) is None:
            assert self._read(deadline - time.monotonic()), f"no {pattern!r} in {self.shown[self._seen :]!r}"
        read = self.shown[self._seen : self._seen + found.end()]
        self._seen += found.end()
        return read

    def read_all(self) -> str:
        """Read until the program has closed the terminal."""
        while self._read(PATIENCE):
            pass
        return self.shown

    def close(self) -> None:
        """Hang up: whoever has this terminal gets SIGHUP."""
        if self._ours >= 0:
            os.close(self._ours)
            self._ours = -1

    def _read(self, patience: float) -> bool:
        if not select.select([self._ours], [], [], max(patience, 0.0))[0]:
            return False
        try:
            data = os.read(self._ours, 65536)
        except OSError:  # EIO: nobody holds the other end
            return False
        self.shown += data.decode(errors="replace")
        return bool(data)
