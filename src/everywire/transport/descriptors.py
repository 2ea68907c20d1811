"""File descriptors that travel over Unix sockets (unix(7), SCM_RIGHTS), and who owns them until somebody takes them."""

from __future__ import annotations

import os
import socket
from array import array
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Final, Never, Protocol, Self

from everywire.errors import LocalProtocolError
from everywire.model.types import DESCRIPTOR, Type
from everywire.transport.readiness import SocketEnds

MOST_AT_ONCE: Final = 253
"""Descriptors that the kernel passes in one go (SCM_MAX_FD)."""
_ROOM: Final = socket.CMSG_SPACE(MOST_AT_ONCE * 4) if hasattr(socket, "CMSG_SPACE") else 0
_CLOSE_ON_EXEC: Final[int] = getattr(socket, "MSG_CMSG_CLOEXEC", 0)


class HasFileno(Protocol):
    """Anything with a descriptor: a file, a socket, a pipe's end."""

    def fileno(self) -> int: ...


class UnixFd:
    """A file descriptor that this object owns: closed with it, unless somebody took it.

    Made of a file, a socket or a number, it duplicates the descriptor; the original stays its owner's.
    """

    __slots__ = ("__weakref__", "_number")
    __everywire_type__: ClassVar[Type] = DESCRIPTOR  # what annotations that name this class mean

    def __init__(self, source: HasFileno | int) -> None:
        self._number = os.dup(source if isinstance(source, int) else source.fileno())

    @classmethod
    def owning(cls, number: int) -> Self:
        """Return the owner of the descriptor *number*, which is not duplicated."""
        made = cls.__new__(cls)
        made._number = number
        return made

    def fileno(self) -> int:
        """Return the descriptor; raise LocalProtocolError after `take` or `close`."""
        if self._number < 0:
            raise LocalProtocolError("this file descriptor was taken or closed already")
        return self._number

    def duplicate(self) -> UnixFd:
        """Return the owner of another descriptor of the same open file."""
        return UnixFd(self)

    def take(self) -> int:
        """Return the descriptor; from now on it is the caller's to close."""
        number = self.fileno()
        self._number = -1
        return number

    def close(self) -> None:
        """Close the descriptor, unless it was taken or closed."""
        number, self._number = self._number, -1
        if number >= 0:
            os.close(number)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_number", -1) >= 0:
            os.close(self._number)

    def __copy__(self) -> UnixFd:
        return self.duplicate()

    def __deepcopy__(self, memo: object) -> UnixFd:
        return self.duplicate()

    def __reduce__(self) -> Never:
        raise TypeError("a file descriptor is a number of this process: it cannot be pickled")

    def __repr__(self) -> str:
        return f"<UnixFd {self._number}>" if self._number >= 0 else "<UnixFd, taken or closed>"


class Carrying(bytes):
    """Bytes that descriptors travel with: they arrive with the first of them."""

    descriptors: Sequence[UnixFd] = ()

    @classmethod
    def of(cls, data: bytes, descriptors: Sequence[UnixFd]) -> Carrying:
        """Return *data* with *descriptors*."""
        made = cls(data)
        made.descriptors = descriptors
        return made


class PassingEnds(SocketEnds):
    """Both directions of a Unix socket that passes descriptors: `came` holds those that came with what was read."""

    __slots__ = ("came",)

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        self.came: list[UnixFd] = []

    @property
    def receive_into(self) -> Callable[[memoryview], int]:
        """What reads bytes, and keeps the descriptors that come with them."""
        receive, came = self._socket.recvmsg_into, self.came

        def receive_into(view: memoryview) -> int:
            size, ancillary, _, _ = receive((view,), _ROOM, _CLOSE_ON_EXEC)
            if ancillary:
                came.extend(UnixFd.owning(number) for number in _numbers_in(ancillary))
            return size

        return receive_into

    @property
    def send(self) -> Callable[[bytes | memoryview], int]:
        """What writes bytes, and the descriptors that travel with them."""
        plain = self._socket.send

        def send(data: bytes | memoryview) -> int:
            return self._send_carrying(data) if type(data) is Carrying else plain(data)

        return send

    def send_parts(self, parts: list[bytes | memoryview], /) -> int:
        """Send from the beginning of *parts*, up to those that carry descriptors, which go alone."""
        first = parts[0]
        if type(first) is Carrying:
            return self._send_carrying(first)
        alone = next((n for n, part in enumerate(parts) if type(part) is Carrying), len(parts))
        return self._socket.sendmsg(parts[:alone])

    def release(self) -> None:
        """Close the socket, and what came and was not fetched."""
        super().release()
        self.came.clear()

    def _send_carrying(self, data: Carrying) -> int:
        numbers = array("i", [descriptor.fileno() for descriptor in data.descriptors])
        return self._socket.sendmsg((data,), ((socket.SOL_SOCKET, socket.SCM_RIGHTS, numbers),))


def _numbers_in(ancillary: list[tuple[int, int, bytes]]) -> list[int]:
    numbers: Any = array("i")
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            numbers.frombytes(data[: len(data) - len(data) % numbers.itemsize])
    return list(numbers)
