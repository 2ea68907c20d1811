"""The packets of Qt Remote Objects, versions 1.2 to 2.0: one frozen type each, to bytes and back, without any state.

A frame is a u32 with the size of the body, and the body: u16 packet id, the object's name, the rest. Qt itself reads on
beyond a body that is too short; here each body is decoded within its own bounds, and must be used up.

Values are plain Python values. Wrap one in `Typed` or `UserTyped` to choose its exact type when encoding.
"""

from __future__ import annotations

import enum
from typing import Final

import msgspec

from everywire.codec.qdatastream import NO_TYPES, Reader, UserTypes, Writer
from everywire.codec.qdatastream.stream import Buffer
from everywire.errors import ModelError, RemoteProtocolError
from everywire.remoteobjects.codec.definition import ClassDefinition, read_definition, write_definition
from everywire.remoteobjects.codec.dialect import QTRO_2_0, Dialect


class PacketId(enum.IntEnum):
    """The number at the head of each body."""

    HANDSHAKE = 1
    INIT = 2
    INIT_DYNAMIC = 3
    ADD_OBJECT = 4
    REMOVE_OBJECT = 5
    INVOKE = 6
    INVOKE_REPLY = 7
    PROPERTY_CHANGE = 8
    OBJECT_LIST = 9
    PING = 10
    PONG = 11


class CallKind(enum.IntEnum):
    """QMetaObject::Call, as far as it occurs on the wire."""

    METHOD = 0
    READ_PROPERTY = 1
    WRITE_PROPERTY = 2


class Handshake(msgspec.Struct, frozen=True, gc=False):
    """Host to node, first of all: the protocol version, "QtRO 2.0"."""

    version: str


class Init(msgspec.Struct, frozen=True, gc=False):
    """Host to node: the property values of an object that was added without its definition."""

    name: str
    values: tuple[object, ...]


class InitDynamic(msgspec.Struct, frozen=True, gc=False):
    """Host to node: definition and property values of an object that was added with its definition."""

    name: str
    definition: ClassDefinition
    values: tuple[object, ...]


class AddObject(msgspec.Struct, frozen=True, gc=False):
    """Node to host: tell me about this object; `dynamic` asks for its definition too."""

    name: str
    dynamic: bool


class RemoveObject(msgspec.Struct, frozen=True, gc=False):
    """Node to host: no longer interested. Host to node: the object is gone."""

    name: str


class Invoke(msgspec.Struct, frozen=True, gc=False):
    """Node to host: a method call or property write. Host to node: a signal.

    `index` counts methods, properties or signals. A `serial` below 0 wants no reply. `property_index` is that of the
    property whose notify signal this is, else -1. Signals may carry more arguments than declared.
    """

    name: str
    call: CallKind
    index: int
    arguments: tuple[object, ...]
    serial: int = -1
    property_index: int = -1


class InvokeReply(msgspec.Struct, frozen=True, gc=False):
    """Host to node: the result of the call with this serial; None for void."""

    name: str
    serial: int
    value: object


class PropertyChange(msgspec.Struct, frozen=True, gc=False):
    """Host to node: a new property value."""

    name: str
    index: int
    value: object


ADAPTER: Final = "QAbstractItemModelAdapter"
"""What a host's list calls the class of every item model."""


class ObjectInfo(msgspec.Struct, frozen=True, gc=False):
    """One object of an `ObjectList`; type and signature are None when the host has none to tell."""

    name: str
    type_name: str | None = None
    signature: str | None = None


class ObjectList(msgspec.Struct, frozen=True, gc=False):
    """Host to node: all objects after the handshake, later each new one."""

    entries: tuple[ObjectInfo, ...]


class Ping(msgspec.Struct, frozen=True, gc=False):
    """Node to host: are you there? Any name will do."""

    name: str


class Pong(msgspec.Struct, frozen=True, gc=False):
    """Host to node: the name of the ping."""

    name: str


Packet = (
    Handshake
    | Init
    | InitDynamic
    | AddObject
    | RemoveObject
    | Invoke
    | InvokeReply
    | PropertyChange
    | ObjectList
    | Ping
    | Pong
)

_FROM_NODE: Final = frozenset({PacketId.ADD_OBJECT, PacketId.REMOVE_OBJECT, PacketId.INVOKE, PacketId.PING})
_FROM_HOST: Final = frozenset(PacketId) - {PacketId.ADD_OBJECT, PacketId.PING}


def encode_packet(packet: Packet, dialect: Dialect = QTRO_2_0, types: UserTypes = NO_TYPES) -> bytes:
    """A whole frame with its size; *types* are those by C++ name. `ModelError` for values that cannot be sent."""
    writer = Writer(
        order=dialect.order, version=dialect.version, types=types, nested_version=dialect.nested_version
    )
    _write_body(writer, packet)
    body = writer.to_bytes()
    frame = Writer(order=dialect.order)
    frame.write_bytes(body)
    return frame.to_bytes()


def decode_packet(
    body: Buffer,
    *,
    from_host: bool,
    types: UserTypes = NO_TYPES,
    dialect: Dialect = QTRO_2_0,
) -> Packet:
    """The packet in one frame's body (without its size), which is used up entirely.

    `types` are the enums and gadgets that the peer has announced (`ClassDefinition.user_types`). Raises
    `RemoteProtocolError` for whatever is malformed or comes from the wrong side, and its subclass `UnknownUserType`
    when the frame is sound as far as one can tell but holds a value of a type not known here.
    """
    reader = Reader(body, order=dialect.order, version=dialect.version, types=types)
    number = reader.read_int("u16")
    if number not in (_FROM_HOST if from_host else _FROM_NODE):
        raise RemoteProtocolError(f"a {'host' if from_host else 'node'} sent packet id {number}, which it never does")
    packet = _read_body(reader, PacketId(number))
    reader.expect_end()
    return packet


def _write_body(writer: Writer, packet: Packet) -> None:
    writer.write_int("u16", _IDS[type(packet)])
    match packet:
        case ObjectList(entries):
            writer.write_items(entries, lambda entry: _write_info(writer, entry))
            return
        case Handshake(version):
            writer.write_string(version)
            return
        case _:
            writer.write_string(packet.name)
    match packet:
        case Init(_, values):
            writer.write_items(values, writer.write_variant)
        case InitDynamic(_, definition, values):
            write_definition(writer, definition)
            writer.write_items(values, writer.write_variant)
        case AddObject(_, dynamic):
            writer.write_bool(dynamic)
        case Invoke():
            writer.write_int("i32", packet.call)
            writer.write_int("i32", packet.index)
            writer.write_items(packet.arguments, writer.write_variant)
            writer.write_int("i32", packet.serial)
            writer.write_int("i32", packet.property_index)
        case InvokeReply(_, number, value) | PropertyChange(_, number, value):
            writer.write_int("i32", number)
            writer.write_variant(value)
        case _:
            pass  # RemoveObject, Ping and Pong have nothing but the name


def _read_body(reader: Reader, packet_id: PacketId) -> Packet:
    if packet_id is PacketId.OBJECT_LIST:
        return ObjectList(tuple(reader.read_items(lambda: _read_info(reader))))
    name = reader.read_string()
    match packet_id:
        case PacketId.HANDSHAKE:
            return Handshake(name)
        case PacketId.INIT:
            return Init(name, _read_values(reader))
        case PacketId.INIT_DYNAMIC:
            definition = read_definition(reader)
            reader.learn(definition.user_types())
            return InitDynamic(name, definition, _read_values(reader))
        case PacketId.ADD_OBJECT:
            return AddObject(name, reader.read_bool())
        case PacketId.REMOVE_OBJECT:
            return RemoveObject(name)
        case PacketId.INVOKE:
            return _read_invoke(reader, name)
        case PacketId.INVOKE_REPLY:
            return InvokeReply(name, reader.read_int("i32"), reader.read_variant())
        case PacketId.PROPERTY_CHANGE:
            return PropertyChange(name, reader.read_int("i32"), reader.read_variant())
        case PacketId.PING:
            return Ping(name)
        case PacketId.PONG:
            return Pong(name)


def _read_invoke(reader: Reader, name: str) -> Invoke:
    call = reader.read_int("i32")
    if call not in _CALL_KINDS:
        raise RemoteProtocolError(f"an invoke of kind {call} on {name[:80]!r}, known are 0 to 2")
    index = reader.read_int("i32")
    arguments = _read_values(reader)
    return Invoke(name, CallKind(call), index, arguments, reader.read_int("i32"), reader.read_int("i32"))


def _read_values(reader: Reader) -> tuple[object, ...]:
    return tuple(reader.read_items(reader.read_variant))


def _write_info(writer: Writer, info: ObjectInfo) -> None:
    writer.write_string(info.name)
    writer.write_string(info.type_name)
    try:
        writer.write_bytes(None if info.signature is None else info.signature.encode("latin-1"))
    except UnicodeEncodeError as error:
        raise ModelError(f"{info.signature!r} is no signature, which is hexadecimal text") from error


def _read_info(reader: Reader) -> ObjectInfo:
    name, type_name, signature = reader.read_string(), reader.read_optional_string(), reader.read_optional_bytes()
    # Signatures are compared byte by byte, and Latin-1 keeps any byte.
    return ObjectInfo(name, type_name, None if signature is None else signature.decode("latin-1"))


_CALL_KINDS: Final = frozenset(CallKind)
_IDS: Final[dict[type[Packet], PacketId]] = {
    Handshake: PacketId.HANDSHAKE,
    Init: PacketId.INIT,
    InitDynamic: PacketId.INIT_DYNAMIC,
    AddObject: PacketId.ADD_OBJECT,
    RemoveObject: PacketId.REMOVE_OBJECT,
    Invoke: PacketId.INVOKE,
    InvokeReply: PacketId.INVOKE_REPLY,
    PropertyChange: PacketId.PROPERTY_CHANGE,
    ObjectList: PacketId.OBJECT_LIST,
    Ping: PacketId.PING,
    Pong: PacketId.PONG,
}
