"""The exit codes of every verb, and which error gives which. Prints nothing."""

from __future__ import annotations

import difflib
import enum
from collections.abc import Collection
from typing import Final

from everywire.cli import ending
from everywire.errors import Code, EverywireError, Fault, InsecureBind, LinkError, RemoteProtocolError


class Exit(enum.IntEnum):
    """What a script can tell from the end of the command."""

    OK = 0
    FAULT = 1
    USAGE = 2
    NO_CONNECTION = 3
    REFUSED = 4
    BUG = 70
    OUTPUT = ending.OUTPUT
    HANGUP = ending.HANGUP
    INTERRUPTED = ending.CTRL_C
    PIPE = ending.PIPE
    TERMINATED = 128 + 15


MEANINGS: Final = {
    Exit.OK: "done",
    Exit.FAULT: "the call was answered with an error (demo: not all agreed; doctor: not everything works)",
    Exit.USAGE: "wrong usage: unknown object, member or option, a value of the wrong type",
    Exit.NO_CONNECTION: "no connection, or an address that cannot be served",
    Exit.REFUSED: "not allowed",
    Exit.BUG: "a bug in everywire; --debug shows where",
    Exit.OUTPUT: "the output could not be written: a full disk, a closed stream",
    Exit.HANGUP: "ended by a terminal that closed",
    Exit.INTERRUPTED: "ended by Ctrl-C",
    Exit.PIPE: "nobody reads the output any more",
    Exit.TERMINATED: "ended by SIGTERM",
}

_OF_FAULTS: Final = {
    Code.PERMISSION_DENIED: Exit.REFUSED,
    Code.UNAUTHENTICATED: Exit.REFUSED,
    Code.UNAVAILABLE: Exit.NO_CONNECTION,
}


def exit_of(error: EverywireError) -> Exit:
    """Return the exit code that tells of *error*."""
    if isinstance(error, Fault):
        return _OF_FAULTS.get(error.code, Exit.FAULT)
    if isinstance(error, InsecureBind):
        return Exit.USAGE
    if isinstance(error, (LinkError, RemoteProtocolError)):
        return Exit.NO_CONNECTION
    return Exit.USAGE


def suggestion(word: str, known: Collection[str]) -> str:
    """Return " Did you mean …?" when one of *known* is near to *word*, else nothing."""
    by_lower = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word.lower(), by_lower, n=1)
    return f" Did you mean {by_lower[near[0]]!r}?" if near else ""


def listed(names: Collection[str], most: int = 12) -> str:
    """Return *names* for a sentence, the first ones when there are many."""
    shown = ", ".join(list(names)[:most])
    return f"{shown}, … ({len(names)} in all)" if len(names) > most else shown or "nothing"
