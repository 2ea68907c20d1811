"""TCP sockets as this package wants them; the same for the loop's links and for blocking ones."""

from __future__ import annotations

import contextlib
import socket
from typing import Final

_DEAD_AFTER: Final = 30  # seconds of silence after which a TCP peer counts as gone


def tune(sock: socket.socket) -> None:
    """Small messages leave at once, and a vanished peer is noticed within `_DEAD_AFTER` seconds where supported."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (
        ("TCP_KEEPIDLE", 10),
        ("TCP_KEEPINTVL", 5),
        ("TCP_KEEPCNT", 4),
        ("TCP_USER_TIMEOUT", _DEAD_AFTER * 1000),
    ):
        number: int | None = getattr(socket, option, None)
        if number is not None:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.IPPROTO_TCP, number, value)
