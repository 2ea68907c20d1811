"""The one buffer into which all links of a thread read; not a queue, for its bytes are copied out at once."""

from __future__ import annotations

import threading
from typing import Final

READ_SIZE: Final = 256 * 1024
"""Most bytes taken from a connection at once, so the longest chunk a receiver is given."""


class _Buffers(threading.local):
    def __init__(self) -> None:
        self.view = memoryview(bytearray(READ_SIZE))


_BUFFERS: Final = _Buffers()


def read_buffer() -> memoryview:
    """The calling thread's buffer of `READ_SIZE` bytes.

    One for all links rather than one each: a thousand idle links would hold 256 MiB, and a hot buffer stays in cache.
    That is sound because a link fills it and copies the bytes out within one callback of the loop.
    """
    return _BUFFERS.view
