"""Byte streams between processes: one shape over Unix sockets, TCP, TLS, standard input and output, and memory.

Programs use `listen` and `open_stream`; protocol sessions use `dial` and `accept` with a `Receiver`.
"""

from __future__ import annotations

from everywire.transport.accepting import accept
from everywire.transport.address import Address, parse_address
from everywire.transport.dialing import dial
from everywire.transport.memory import memory_pair
from everywire.transport.shapes import Connection, HalfOpenConnection, Listener, Peer, Receiver
from everywire.transport.stream import ByteStream, listen, open_stream

__all__ = (
    "Address",
    "ByteStream",
    "Connection",
    "HalfOpenConnection",
    "Listener",
    "Peer",
    "Receiver",
    "accept",
    "dial",
    "listen",
    "memory_pair",
    "open_stream",
    "parse_address",
)
