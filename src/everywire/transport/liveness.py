"""Tells a TCP peer that only takes nothing from one that is gone, by what the system knows of both.

TCP_USER_TIMEOUT, see `tuning`, cuts either. A program in a debugger is alive, though: its system answers for it, and
what it may cost is bounded by the outbox. It matters most to Qt: a node that is cut in the midst of a frame takes what
it reads after reconnecting for the rest of that frame (Qt 5.15 to 6.12), and never becomes valid again.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from collections.abc import Callable
from typing import Any, Final, Protocol

from everywire.transport.shapes import Connection

UNANSWERED: Final = 20.0
"""Seconds without an answer of the peer's system after which it is suspected."""
TRIES: Final = 2
"""Retransmissions, or probes of who takes nothing, without an answer: one may be left out by a limit of rates."""
LOOK: Final = 5.0
"""Seconds between two looks; who is suspected at two of them is gone: 30 s after it was, or some minutes when it took
nothing before, for then the system asks ever more rarely."""

_OVER_TCP: Final = ("tcp", "tls")
# struct tcp_info of linux/tcp.h: retransmissions and probes without an answer, and ms since the last acknowledgement.
_INFO: Final = struct.Struct("=2xBB4x48xI")


class _Timer(Protocol):
    def cancel(self) -> None: ...


class Patience:
    """Keeps the TCP peers of a listener that take nothing, and cuts those that are gone. Linux; elsewhere nothing."""

    __slots__ = ("_call_later", "_suspected", "_timer")

    def __init__(self, call_later: Callable[[float, Callable[[], None]], _Timer]) -> None:
        self._call_later = call_later
        self._suspected: dict[Connection, bool] = {}
        self._timer: _Timer | None = None

    def add(self, connection: Connection) -> None:
        """Watch over *connection*, if it is one over TCP."""
        option: int | None = getattr(socket, "TCP_USER_TIMEOUT", None)
        if option is None or not hasattr(socket, "TCP_INFO") or connection.peer.transport not in _OVER_TCP:
            return
        with contextlib.suppress(OSError), _socket_of(connection) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, option, 0)
            self._suspected[connection] = False
            if self._timer is None:
                self._timer = self._call_later(LOOK, self._look)

    def remove(self, connection: Connection) -> None:
        """Watch over *connection* no more."""
        self._suspected.pop(connection, None)
        if not self._suspected and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = self._call_later(LOOK, self._look)
        for connection, suspected in tuple(self._suspected.items()):
            self._suspected[connection] = silent = _is_silent(connection)
            if silent and suspected:
                connection.abort()


def _is_silent(connection: Connection) -> bool:
    """Return whether something was sent that the peer's system has not answered for long."""
    try:
        with _socket_of(connection) as sock:
            info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO.size)
        facts: tuple[int, int, int] = _INFO.unpack(info)
    except (OSError, struct.error):
        return False  # it has just ended
    retransmitted, probes, since = facts
    return max(retransmitted, probes) >= TRIES and since >= UNANSWERED * 1000


def _socket_of(connection: Any) -> socket.socket:
    """Return another handle of the socket of a link, to be closed."""
    if hasattr(connection, "_ends"):
        descriptor: int = connection._ends.writer
    elif hasattr(connection, "_transport"):
        descriptor = connection._transport.get_extra_info("socket").fileno()
    else:
        raise OSError(f"{type(connection).__name__} has no socket of its own")
    return socket.socket(fileno=os.dup(descriptor))
