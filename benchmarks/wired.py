"""D-Bus on bare sockets, for the floors: authenticate, say Hello, then write bytes that were prepared before."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

from everywire.dbus.codec import Kind, Message, decode_message, encode_message, frame_size

BUS = "org.freedesktop.DBus"


class BareBus:
    """A connection to a bus that blocks."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(path))
        self.socket.sendall(b"\0AUTH EXTERNAL " + str(os.getuid()).encode().hex().encode() + b"\r\n")
        if not self.socket.recv(1024).startswith(b"OK "):
            raise OSError("the bus does not let us in")
        self.socket.sendall(b"BEGIN\r\n")
        self._serial = 0
        (self.name,) = self.ask("Hello", "")

    def ask(self, member: str, signature: str, *body: Any) -> tuple[Any, ...]:
        """Call the bus itself and return what it answers."""
        self._serial += 1
        call = Message(
            kind=Kind.CALL,
            destination=BUS,
            path="/org/freedesktop/DBus",
            interface=BUS,
            member=member,
            signature=signature,
            body=body,
        )
        self.socket.sendall(encode_message(call, self._serial))
        while True:
            answer = decode_message(self._read())
            if answer is not None and answer.reply_serial == self._serial:
                return answer.body

    def first_sender(self) -> str:
        """Wait for a call and return who sends it; the call stays where it is."""
        while True:
            data = self.socket.recv(4096, socket.MSG_PEEK)
            if data[1] == Kind.CALL:
                message = decode_message(data[: frame_size(data[:16])])
                return message.sender if message is not None else ""
            self._read()

    def _read(self) -> bytes:
        size = frame_size(self.socket.recv(16, socket.MSG_PEEK | socket.MSG_WAITALL))
        return self.socket.recv(size, socket.MSG_WAITALL)
