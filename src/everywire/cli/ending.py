"""How the command ends when it does not end by itself: signals, a reader that went away, a full disk, a closed stream.

The first signal cancels what runs, so that links are closed in order; the second ends the process at once. Outside of
a loop (imports, the end of the interpreter) there is nothing to close, and the first does. Nothing here is heavy to
import: it guards the imports of everything else.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from collections.abc import Callable
from typing import Any, Final, NoReturn

CTRL_C: Final = 128 + 2
"""Exit codes as shells give them for a process that a signal has ended: 128 and the signal's number."""
HANGUP: Final = 128 + 1
PIPE: Final = 128 + 13
OUTPUT: Final = 74
"""EX_IOERR of sysexits.h."""


class Ended(Exception):
    """The command was told to end; *code* is its exit code."""

    def __init__(self, code: int) -> None:
        super().__init__(f"ended by signal {code - 128}")
        self.code: Final = code


class OutputLost(Exception):
    """What the command prints reaches nobody any more; *error* says why."""

    def __init__(self, error: OSError) -> None:
        super().__init__(str(error))
        self.error: Final = error

    @property
    def code(self) -> int:
        """The exit code that tells of it."""
        return {errno.EPIPE: PIPE, errno.EIO: HANGUP}.get(self.error.errno or 0, OUTPUT)

    def tell(self) -> None:
        """Say it, unless the reader went away on purpose; let the rest of the output go nowhere."""
        if self.code == OUTPUT:
            print(f"everywire: the output could not be written: {self.error.strerror}", file=sys.stderr)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)  # else the interpreter tries once more at its end, and complains in its own way
        os.close(nowhere)


class Output(io.TextIOWrapper):
    """The standard output; a write that fails raises OutputLost, so that nobody takes it for an error of a link."""

    writing = False
    """Whether a write is under way, which may wait for a slow reader for ever."""

    def write(self, text: str, /) -> int:
        """Write *text*."""
        self.writing = True
        try:
            return super().write(text)
        except OSError as error:
            raise OutputLost(error) from None
        finally:
            self.writing = False

    def flush(self) -> None:
        """Write what has been held back."""
        self.writing = True
        try:
            super().flush()
        except OSError as error:
            raise OutputLost(error) from None
        finally:
            self.writing = False


class Complaints(io.TextIOWrapper):
    """The standard error; what cannot be written there is lost, for there is nowhere to say so."""

    def write(self, text: str, /) -> int:
        """Write *text*."""
        try:
            return super().write(text)
        except OSError:
            return len(text)

    def flush(self) -> None:
        """Write what has been held back."""
        try:
            super().flush()
        except OSError:
            return


def guarded(work: Callable[[], object]) -> int:
    """Run *work*, which may exit; return the exit code, after everything that it printed has been written."""
    if not _take_streams():
        print(
            "everywire: the standard output is closed; send it to /dev/null if it is not wanted: >/dev/null",
            file=sys.stderr,
        )
        return OUTPUT
    try:
        code: Any = 0
        try:
            work()
        except SystemExit as ending:
            code = ending.code
        sys.stdout.flush()
    except OutputLost as lost:
        lost.tell()
        return lost.code
    return code if isinstance(code, int) else 0


LAST_WISHES: Final[list[Callable[[], object]]] = []
"""What is done even when the process ends at once; none of it may wait."""


def end_at_once(code: int) -> NoReturn:
    """End the process here and now: an exception might be swallowed, or leave a loop that hangs."""
    for wish in LAST_WISHES:
        with contextlib.suppress(Exception):
            wish()
    os._exit(code)


def _take_streams() -> bool:
    """Put our streams in place of the standard ones; return whether there is an output.

    A stream that was closed leads to /dev/null, or the first socket would take its number and hear our messages.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # it takes the lowest free number, which is this one
    there = sys.stdout is not None  # pyright: ignore[reportUnnecessaryComparison]  None when it was closed
    sys.stdout = _rewrapped(Output, sys.stdout, 1)
    sys.stderr = _rewrapped(Complaints, sys.stderr, 2)
    setattr(sys, "__stdout__", sys.stdout)  # noqa: B010  where others ask for the width of the terminal
    setattr(sys, "__stderr__", sys.stderr)  # noqa: B010
    return there


def _rewrapped(kind: type[Output | Complaints], stream: Any, descriptor: int) -> Any:
    if stream is None:
        return kind(open(descriptor, "wb", closefd=False), errors="backslashreplace", line_buffering=True)
    if not hasattr(stream, "detach"):
        return stream  # somebody's own, as in a test
    encoding, lines = stream.encoding, stream.line_buffering
    buffer = stream.detach()
    # A terminal or file that knows fewer characters than we do shows the others as escapes.
    return kind(buffer, encoding=encoding, errors="backslashreplace", line_buffering=lines)
