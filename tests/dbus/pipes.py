"""Descriptors whose identity shows in what can be read from them."""

from __future__ import annotations

import os
from collections.abc import Iterable

from everywire.dbus.session import UnixFd


def pipe_with(text: str) -> UnixFd:
    """The reading end of a pipe that holds *text* and is closed at the other end."""
    reading, writing = os.pipe()
    os.write(writing, text.encode())
    os.close(writing)
    return UnixFd.owning(reading)


def pipes_with(texts: Iterable[str]) -> list[UnixFd]:
    """One for each."""
    return [pipe_with(text) for text in texts]


def read(end: UnixFd) -> str:
    """Read a pipe to its end, and close it."""
    with os.fdopen(end.take(), "rb") as source:
        return source.read().decode()
