"""Byte streams between processes: one shape over Unix sockets, TCP, TLS, standard input and output, and memory.

Programs use `listen` and `open_stream`; protocol sessions use `dial` and `accept` with a `Receiver`. What
needs asyncio is loaded when it is first used, so that programs without a loop never do.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from everywire.transport.accepting import accept
    from everywire.transport.address import Address, parse_address
    from everywire.transport.dialing import dial
    from everywire.transport.memory import memory_pair
    from everywire.transport.shapes import Connection, HalfOpenConnection, Listener, Peer, Receiver
    from everywire.transport.stream import ByteStream, listen, open_stream

_MODULES: Final = {
    "Address": "everywire.transport.address",
    "ByteStream": "everywire.transport.stream",
    "Connection": "everywire.transport.shapes",
    "HalfOpenConnection": "everywire.transport.shapes",
    "Listener": "everywire.transport.shapes",
    "Peer": "everywire.transport.shapes",
    "Receiver": "everywire.transport.shapes",
    "accept": "everywire.transport.accepting",
    "dial": "everywire.transport.dialing",
    "listen": "everywire.transport.stream",
    "memory_pair": "everywire.transport.memory",
    "open_stream": "everywire.transport.stream",
    "parse_address": "everywire.transport.address",
}

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


if not TYPE_CHECKING:  # for checkers a name that is not here is an error

    def __getattr__(name: str) -> Any:
        module = _MODULES.get(name)
        if module is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(module), name)
        globals()[name] = value
        return value
