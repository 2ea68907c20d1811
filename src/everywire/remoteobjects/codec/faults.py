"""A Fault as a QVariant: the user type `everywire::Fault`, sent only on links where both ends speak the extension."""

from __future__ import annotations

from typing import Final

from everywire.codec.qdatastream import Reader, TypeId, UserTyped, Writer
from everywire.codec.qdatastream.names import number_on_wire
from everywire.errors import Code, Fault, RemoteProtocolError
from everywire.remoteobjects.codec.dialect import QTRO_2_0, Dialect
from everywire.remoteobjects.codec.packets import InvokeReply, PacketId, encode_packet

FAULT_TYPE: Final = "everywire::Fault"
FAULT_MARK: Final = FAULT_TYPE.encode() + b"\0"


def encode_fault_reply(name: str, serial: int, fault: Fault, dialect: Dialect = QTRO_2_0) -> bytes:
    """Return the frame that answers the call *serial* of the object *name* with *fault*."""
    writer = Writer(order=dialect.order, version=dialect.version)
    for value in (fault.code.value, fault.message, fault.may_have_run):
        writer.write_variant(value)
    return encode_packet(InvokeReply(name, serial, UserTyped(FAULT_TYPE, writer.to_bytes())), dialect)


def read_fault_reply(body: bytes, dialect: Dialect = QTRO_2_0) -> tuple[str, int, Fault] | None:
    """Return name, serial and Fault of a reply's frame body; None when it is not one."""
    reader = Reader(body, order=dialect.order, version=dialect.version)
    try:
        if reader.read_int("u16") != PacketId.INVOKE_REPLY:
            return None
        name, serial = reader.read_string(), reader.read_int("i32")
        user_type = reader.read_int("u32")
        reader.read_bool()
        if user_type != number_on_wire(TypeId.USER, dialect.version) or reader.read_c_string() != FAULT_TYPE:
            return None
        code, message, may_have_run = reader.read_variant(), reader.read_variant(), reader.read_variant()
    except RemoteProtocolError:
        return None
    known = isinstance(code, int) and code in {item.value for item in Code}
    return name, serial, Fault(Code(code) if known else Code.UNKNOWN, str(message), may_have_run=bool(may_have_run))

