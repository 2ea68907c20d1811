"""The two forms of the protocol that are in use: Qt 5's, big endian, and Qt 6's, little endian. No I/O.

There is no negotiation. A host speaks one of them and says which in its handshake; a node follows. The byte order
covers everything, the size of a frame included; only streams inside values (`ObjectReference`, containers of gadgets)
are big endian in both.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

import msgspec

from everywire.codec.qdatastream.stream import Order


class Numbers(NamedTuple):
    """The numbers of frames in one byte order."""

    size: struct.Struct
    """A frame's size."""
    head: struct.Struct
    """Size, packet id, length of the name."""
    name: struct.Struct
    """Packet id, length of the name."""
    serial: struct.Struct
    """A serial, an index, a kind of call."""
    text: str
    """Python's name of QString's encoding."""


def _numbers(order: Order) -> Numbers:
    size, head, name, serial = (struct.Struct(order + code) for code in ("I", "IHI", "HI", "i"))
    return Numbers(size, head, name, serial, "utf-16-le" if order == "<" else "utf-16-be")


_NUMBERS: Final = {order: _numbers(order) for order in ("<", ">")}


class Dialect(msgspec.Struct, frozen=True, gc=False):
    """What distinguishes one protocol version on the wire."""

    protocol: str
    """The text of the handshake."""
    order: Order
    version: int
    """QDataStream's version on the link."""
    nested_version: int
    """QDataStream's version of streams inside values: the writing Qt's own newest one."""

    @property
    def is_qt5(self) -> bool:
        """Whether names of types are Qt 5's, and containers of gadgets have no form of their own."""
        return self.version < 20

    @property
    def nested(self) -> Dialect:
        """What streams inside values are written in."""
        return _NESTED[self.protocol]

    @property
    def numbers(self) -> Numbers:
        """How the numbers of its frames are packed."""
        return _NUMBERS[self.order]


QTRO_2_0: Final = Dialect("QtRO 2.0", "<", 20, 20)
"""Qt 6.2 to 6.12."""
QTRO_1_3: Final = Dialect("QtRO 1.3", ">", 18, 19)
"""Qt 5.12.4 to 5.15."""
QTRO_1_2: Final = Dialect("QtRO 1.2", ">", 18, 18)
"""Qt 5.12.0 to 5.12.3."""

_NESTED: Final = {
    dialect.protocol: Dialect(dialect.protocol, ">", dialect.nested_version, dialect.nested_version)
    for dialect in (QTRO_2_0, QTRO_1_3, QTRO_1_2)
}

DIALECTS: Final = {dialect.protocol: dialect for dialect in (QTRO_2_0, QTRO_1_3, QTRO_1_2)}
