"""What a host's answers to `AddObject` and `contract` say; for sessions in a loop and for blocking ones."""

from __future__ import annotations

from typing import Any

from everywire.errors import ModelError, RemoteProtocolError
from everywire.model import Contract
from everywire.model.description import read_description
from everywire.remoteobjects.codec import Init, InitDynamic
from everywire.remoteobjects.engine import Skipped
from everywire.remoteobjects.wire.layout import Layout, definition_of, layout_of, names_in, read_definition_of


def described(name: str, data: Any) -> Contract:
    """Return the exact contract of an everywire host's object; raise RemoteProtocolError when *data* is none."""
    try:
        return read_description(data if isinstance(data, bytes) else b"")
    except ModelError as error:
        raise RemoteProtocolError(f"the host described {name} wrongly: {error}") from error


def offered_in(packet: InitDynamic | Init, contract: Contract | None) -> tuple[Contract, Layout]:
    """Return what the host offers and where its members are; *contract* is the exact one, where it was described."""
    if not isinstance(packet, InitDynamic):
        raise RemoteProtocolError("the host answered a dynamic listener without a class definition")
    if contract is None:
        return read_definition_of(packet.definition, packet.name)
    if names_in(packet.definition) == names_in(definition_of(contract)):
        return contract, layout_of(contract)
    raise RemoteProtocolError(f"{packet.name} became another object while it was attached to")


def unreadable_object(event: Any) -> str | None:
    """Return the name of the object whose values cannot be read; it stands behind the packet's number."""
    if isinstance(event, Skipped) and event.body[:2] in (b"\x02\0", b"\x03\0"):  # Init, InitDynamic
        end = 6 + int.from_bytes(event.body[2:6], "little")
        return event.body[6:end].decode("utf-16-le", "replace")
    return None
