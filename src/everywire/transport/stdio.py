"""Standard input and output as one connection, for a program started by the one it serves.

The link takes both descriptors for good: from then on `print` goes to standard error and `input` finds the end, so that
no stray line can corrupt the stream. POSIX only.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from everywire.errors import AddressInUse, UnsupportedPlatform
from everywire.transport.readiness import DescriptorEnds, ReadinessLink
from everywire.transport.shapes import Peer, Receiver

_INPUT, _OUTPUT, _ERROR = 0, 1, 2


class _Taken:
    """Whether this process's standard input and output belong to a link already."""

    by_a_link = False


def link_stdio(receiver: Receiver, *, write_limit: int, released: Callable[[], None] | None = None) -> ReadinessLink:
    """Run the receiver on standard input and output; AddressInUse the second time."""
    if os.name != "posix":
        raise UnsupportedPlatform("stdio: needs POSIX descriptors; use tcp://127.0.0.1:PORT on this system")
    if _Taken.by_a_link:
        raise AddressInUse("standard input and output belong to a stdio: link already; a process has them once")
    _Taken.by_a_link = True
    reader, writer = _take()
    was_blocking = os.get_blocking(writer)
    os.set_blocking(writer, False)
    open_ends = [reader, writer]

    def end() -> None:
        open_ends.remove(writer)
        # The terminal or pipe may be shared with others, who did not ask for a non-blocking one.
        os.set_blocking(writer, was_blocking)
        os.close(writer)

    def release() -> None:
        if writer in open_ends:
            end()
        os.close(reader)

    link = ReadinessLink(
        DescriptorEnds(reader, writer, end, release),
        receiver,
        Peer(transport="stdio", loopback=True),
        write_limit=write_limit,
        released=released,
    )
    link.start()
    return link


def _take() -> tuple[int, int]:
    if sys.stdout is not None:
        sys.stdout.flush()
    reader, writer = os.dup(_INPUT), os.dup(_OUTPUT)
    nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    os.dup2(nothing, _INPUT)
    try:
        os.dup2(_ERROR, _OUTPUT)
    except OSError:  # started without a standard error
        os.dup2(nothing, _OUTPUT)
    os.close(nothing)
    return reader, writer
