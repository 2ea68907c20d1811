"""What a host's answers to `AddObject` and `contract` say; for sessions in a loop and for blocking ones."""

from __future__ import annotations

from typing import Any, Final

from everywire.codec.qdatastream import Reader
from everywire.errors import ModelError, RemoteProtocolError
from everywire.model import Contract
from everywire.model.description import read_description
from everywire.remoteobjects.codec import Dialect, Init, InitDynamic, ObjectInfo, PacketId
from everywire.remoteobjects.engine import Skipped
from everywire.remoteobjects.rep.signature import signature_of
from everywire.remoteobjects.wire.layout import Layout, layout_in, layout_of, read_definition_of

NOTHING_OFFERED: Final = Contract(""), Layout()
"""What a model tells of itself: every peer knows it."""


def described(name: str, data: Any) -> Contract:
    """Return the exact contract of an everywire host's object; raise RemoteProtocolError when *data* is none."""
    try:
        return read_description(data if isinstance(data, bytes) else b"")
    except ModelError as error:
        raise RemoteProtocolError(f"the host described {name} wrongly: {error}") from error


def generated(wanted: Contract | None, info: ObjectInfo | None, dialect: Dialect) -> bool:
    """Return whether a host of Qt has the class of its object from the same .rep as *wanted*."""
    if wanted is None or info is None or not info.signature:
        return False
    try:
        return signature_of(wanted, qt5=dialect.is_qt5) == info.signature
    except ModelError:
        return False


def offered_in(packet: InitDynamic | Init, contract: Contract | None) -> tuple[Contract, Layout]:
    """Return what the host offers and where its members are; *contract* is the exact one, where that is known."""
    if isinstance(packet, Init):
        if contract is None:
            raise RemoteProtocolError("the host answered a dynamic listener without a class definition")
        return contract, layout_of(contract)
    if contract is None:
        return read_definition_of(packet.definition, packet.name)
    layout = layout_in(packet.definition, contract)
    if layout is None:
        raise RemoteProtocolError(f"{packet.name} became another object while it was attached to")
    return contract, layout


def unreadable_object(event: Any, dialect: Dialect) -> str | None:
    """Return the name of the object whose values cannot be read; it stands behind the packet's number."""
    if not isinstance(event, Skipped):
        return None
    reader = Reader(event.body, order=dialect.order, version=dialect.version)
    return reader.read_string() if reader.read_int("u16") in (PacketId.INIT, PacketId.INIT_DYNAMIC) else None
