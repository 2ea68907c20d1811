"""JSON and CBOR in a Qt data stream: JSON becomes Python values, CBOR stays as it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, cast

import msgspec

from everywire.codec.qdatastream.stream import ByteReader, ByteWriter, Codec, expect
from everywire.codec.qdatastream.types import Opaque
from everywire.errors import ModelError, RemoteProtocolError

MAX_JSON_DEPTH: Final = 64


def _parse_json(data: bytes) -> object:
    try:
        value = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RemoteProtocolError(f"JSON that cannot be read: {error}") from error
    if _is_deeper(value, MAX_JSON_DEPTH):
        raise RemoteProtocolError(f"JSON nested deeper than {MAX_JSON_DEPTH}")
    return value


def _is_deeper(value: object, limit: int) -> bool:
    if not isinstance(value, (list, dict)):
        return False
    items = cast("Iterable[object]", value.values() if isinstance(value, dict) else value)
    return limit == 0 or any(_is_deeper(item, limit - 1) for item in items)


def _json_bytes(value: object) -> bytes:
    try:
        return msgspec.json.encode(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise ModelError(f"a value of type {type(value).__qualname__} cannot be sent as JSON: {error}") from error


def _json(kind: tuple[type, ...], empty: Callable[[], object], type_name: str) -> Codec:
    """JSON text in a QByteArray; null or empty stands for `empty()`."""

    def read(reader: ByteReader) -> object:
        data = reader.read_bytes()
        value = _parse_json(data) if data else empty()
        if data and not isinstance(value, kind):
            raise RemoteProtocolError(f"a {type_name} that holds JSON of another kind")
        return value

    def write(writer: ByteWriter, value: object) -> None:
        is_empty_document = value is None and empty() is None
        writer.write_bytes(None if is_empty_document else _json_bytes(expect(value, kind, type_name)))

    return Codec(read, write)


JSON_ARRAY: Final = _json((list, tuple), list, "QJsonArray")
JSON_OBJECT: Final = _json((dict,), dict, "QJsonObject")
JSON_DOCUMENT: Final = _json((list, tuple, dict), lambda: None, "QJsonDocument")


def _read_json_value(reader: ByteReader) -> object:
    kind = reader.read_int("u8")
    match kind:
        case 0 | 0x80:  # null, undefined
            return None
        case 1:
            return reader.read_bool()
        case 2:
            return reader.read_double()
        case 3:
            return reader.read_string()
        case 4:
            return JSON_ARRAY.read(reader)
        case 5:
            return JSON_OBJECT.read(reader)
        case _:
            raise RemoteProtocolError(f"a QJsonValue of kind {kind}, known are 0 to 5 and 128")


def _write_json_value(writer: ByteWriter, value: object) -> None:
    match value:
        case None:
            writer.write_int("u8", 0)
        case bool():
            writer.write_int("u8", 1)
            writer.write_bool(value)
        case int() | float():
            writer.write_int("u8", 2)
            writer.write_double(value)
        case str():
            writer.write_int("u8", 3)
            writer.write_string(value)
        case list() | tuple():
            writer.write_int("u8", 4)
            JSON_ARRAY.write(writer, value)
        case _:
            writer.write_int("u8", 5)
            JSON_OBJECT.write(writer, value)


def cbor(type_name: str) -> Codec:
    """CBOR in a QByteArray, kept as it is; `cbor2.loads(value.data)` reads it. Sent as `Opaque` or as bytes."""

    def write(writer: ByteWriter, value: Opaque | bytes) -> None:
        writer.write_bytes(expect(value.data if isinstance(value, Opaque) else value, bytes, type_name))

    return Codec(lambda reader: Opaque(type_name, reader.read_bytes()), write)


JSON_VALUE: Final = Codec(_read_json_value, _write_json_value)
