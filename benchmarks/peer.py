"""The shape every peer has: how to serve `add_one(int) -> int` and how to call it. Nothing of a library is in here.

A peer is two roles in two processes. The server answers `add_one`; the client calls it for a number of seconds in two
modes and returns what it saw. Every answer is read and compared with the number sent, in every peer: a call whose
result nobody looked at is no call.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class Missing(Exception):
    """This peer, or this mode of it, cannot run here; the message is the reason as the table shows it."""


class WrongAnswer(Exception):
    """A peer answered something else than the number sent plus one."""


@dataclass(frozen=True, slots=True)
class Timing:
    """What a client saw in one sample."""

    calls: int
    elapsed_ns: int
    latencies_ns: list[int]
    """One per call when one call was outstanding at a time, else empty: a window has no latency of one call."""


class Client(Protocol):
    """The calling side, connected. Both methods block for about `seconds` and own the process meanwhile."""

    def sequential(self, seconds: float) -> Timing:
        """Call, wait for the answer, repeat."""
        ...

    def outstanding(self, seconds: float, depth: int) -> Timing:
        """Issue `depth` calls, then wait for all of them, repeat. Raises Missing if the peer's API cannot."""
        ...


class Ready(Protocol):
    """What a server calls once, when it can be reached."""

    def __call__(self, *processes: int) -> None:
        """Say so; `processes` are ids of further processes that work for the server (a bus daemon)."""
        ...


@dataclass(frozen=True, slots=True)
class Peer:
    """One way to make the call. Both roles get the same empty directory, for their sockets; it is removed later."""

    serve: Callable[[Path, Ready], None]
    """Serve until the process is killed."""
    connect: Callable[[Path], AbstractContextManager[Client]]
    """Connect to a server that is ready."""


def expect(answer: object, number: int) -> None:
    """Raise WrongAnswer unless `answer` is `number + 1`."""
    if answer != number + 1:
        raise WrongAnswer(f"add_one({number}) was answered with {answer!r}")
