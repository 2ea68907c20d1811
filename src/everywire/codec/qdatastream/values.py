"""One reader and one writer for each QMetaType that holds no QVariant; those that do are in `reader` and `writer`."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from functools import partial
from typing import Any, Final, Literal, TypeVar

from everywire.codec.qdatastream import documents, gui, times
from everywire.codec.qdatastream.stream import ByteReader, ByteWriter, Codec, Integer, as_data, as_text, expect
from everywire.codec.qdatastream.types import (
    BitArray,
    Color,
    EasingCurve,
    Line,
    LineF,
    Opaque,
    Point,
    PointF,
    Rect,
    RectF,
    RegularExpression,
    Size,
    SizeF,
    TypeId,
    Value,
)
from everywire.errors import ModelError, RemoteProtocolError

MAX_KEYS: Final = 4

_ITEMS: Final = (list, tuple)
_LAST_VERSION_WITHOUT_POINTS: Final = 18
"""Last stream version whose easing curves carry no control points."""

V = TypeVar("V", bound=Value)


def _integer(kind: Integer) -> Codec:
    return Codec(lambda reader: reader.read_int(kind), lambda writer, value: writer.write_int(kind, value))


def _character(kind: Integer) -> Codec:
    def read(reader: ByteReader) -> str:
        code = reader.read_int(kind)
        if code > 0x10FFFF:
            raise RemoteProtocolError(f"a character of code {code:#x}, the last one is 0x10ffff")
        return chr(code)

    def write(writer: ByteWriter, value: str) -> None:
        if len(expect(value, str, "a character")) != 1:
            raise ModelError(f"{len(value)} characters cannot be sent as one")
        writer.write_int(kind, ord(value))

    return Codec(read, write)


def _structure(cls: type[V], kind: Integer | Literal["double"]) -> Codec:
    """A value whose fields, all of one kind, follow each other on the wire in the order of the class."""

    def read(reader: ByteReader) -> V:
        return cls(*_numbers(reader, kind, len(cls.__struct_fields__)))

    def write(writer: ByteWriter, value: V) -> None:
        _write_numbers(writer, kind, [getattr(expect(value, cls, cls.__name__), n) for n in cls.__struct_fields__])

    return Codec(read, write)


def _doubles(count: int, type_name: str) -> Codec:
    """A vector or matrix: a tuple of that many numbers, matrices row by row."""

    def write(writer: ByteWriter, value: Sequence[float]) -> None:
        if len(expect(value, _ITEMS, type_name)) != count:
            raise ModelError(f"a {type_name} has {count} numbers, not {len(value)}")
        _write_numbers(writer, "double", value)

    return Codec(lambda reader: tuple(_numbers(reader, "double", count)), write)


def _list_of(item: Codec, type_name: str) -> Codec:
    return Codec(
        lambda reader: reader.read_items(lambda: item.read(reader)),
        lambda writer, value: writer.write_items(expect(value, _ITEMS, type_name), partial(item.write, writer)),
    )


def _numbers(reader: ByteReader, kind: Integer | Literal["double"], count: int) -> list[float]:
    return [reader.read_double() if kind == "double" else reader.read_int(kind) for _ in range(count)]


def _write_numbers(writer: ByteWriter, kind: Integer | Literal["double"], numbers: Sequence[Any]) -> None:
    for number in numbers:
        if kind == "double":
            writer.write_double(number)
        else:
            writer.write_int(kind, number)


def _read_rect(reader: ByteReader) -> Rect:
    left, top, right, bottom = (reader.read_int("i32") for _ in range(4))
    return Rect(left, top, right - left + 1, bottom - top + 1)


def _write_rect(writer: ByteWriter, value: Rect) -> None:
    expect(value, Rect, "QRect")
    right, bottom = value.x + value.width - 1, value.y + value.height - 1
    _write_numbers(writer, "i32", (value.x, value.y, right, bottom))


def _read_color(reader: ByteReader) -> Color:
    return Color(reader.read_int("u8"), *(reader.read_int("u16") for _ in range(5)))


def _write_color(writer: ByteWriter, value: Color) -> None:
    expect(value, Color, "QColor")
    writer.write_int("u8", value.spec)
    _write_numbers(writer, "u16", (value.alpha, value.first, value.second, value.third, value.fourth))


def _read_uuid(reader: ByteReader) -> uuid.UUID:
    data = reader.take(16)
    # The first three fields are in the order of the stream, the last eight bytes always as they are.
    return uuid.UUID(bytes_le=data) if reader.order == "<" else uuid.UUID(bytes=data)


def _write_uuid(writer: ByteWriter, value: uuid.UUID) -> None:
    expect(value, uuid.UUID, "QUuid")
    writer.write_raw(value.bytes_le if writer.order == "<" else value.bytes)


def _read_bits(reader: ByteReader) -> BitArray:
    count = reader.read_int("u64" if reader.version >= 20 else "u32")
    return BitArray(count, reader.take((count + 7) // 8))


def _write_bits(writer: ByteWriter, value: BitArray) -> None:
    expect(value, BitArray, "QBitArray")
    if len(value.data) != (value.count + 7) // 8:
        raise ModelError(f"{value.count} bits do not fill {len(value.data)} bytes")
    writer.write_int("u64" if writer.version >= 20 else "u32", value.count)
    writer.write_raw(value.data)


def _read_expression(reader: ByteReader) -> RegularExpression:
    return RegularExpression(reader.read_string(), reader.read_int("u32"))


def _write_expression(writer: ByteWriter, value: RegularExpression) -> None:
    writer.write_string(expect(value, RegularExpression, "QRegularExpression").pattern)
    writer.write_int("u32", value.options)


def _read_curve(reader: ByteReader) -> EasingCurve:
    kind = reader.read_int("u8")
    reader.read_int("u64")  # the address of a function in the writer's memory
    if not reader.read_bool():
        return EasingCurve(kind)
    settings = (reader.read_double(), reader.read_double(), reader.read_double())
    if reader.version <= _LAST_VERSION_WITHOUT_POINTS:
        return EasingCurve(kind, settings)
    bezier = reader.read_items(lambda: PointF(reader.read_double(), reader.read_double()))
    tcb = reader.read_items(lambda: _numbers(reader, "double", 5))
    return EasingCurve(kind, settings, tuple(bezier), tuple((x, y, t, c, b) for x, y, t, c, b in tcb))


def _write_curve(writer: ByteWriter, value: EasingCurve) -> None:
    writer.write_int("u8", expect(value, EasingCurve, "QEasingCurve").kind)
    writer.write_int("u64", 0)
    writer.write_bool(value.settings is not None)
    if value.settings is None:
        return
    _write_numbers(writer, "double", value.settings)
    if writer.version > _LAST_VERSION_WITHOUT_POINTS:
        writer.write_items(value.bezier, partial(VALUES[TypeId.QPOINT_F].write, writer))
        writer.write_items(value.tcb, partial(_write_numbers, writer, "double"))


def _read_keys(reader: ByteReader) -> list[int]:
    """QKeySequence: its key combinations, at most four; Qt fills up with zeros."""
    keys = reader.read_items(partial(reader.read_int, "u32"))
    while keys and keys[-1] == 0:
        keys.pop()
    return keys


def _write_keys(writer: ByteWriter, value: Sequence[int]) -> None:
    room = 1 if len(expect(value, _ITEMS, "QKeySequence")) <= 1 else MAX_KEYS
    if len(value) > room:
        raise ModelError(f"a QKeySequence has at most {MAX_KEYS} keys, not {len(value)}")
    writer.write_items([*value, *[0] * (room - len(value))], partial(writer.write_int, "u32"))


def _read_url(reader: ByteReader) -> str:
    return as_text(reader.read_bytes())


def _write_url(writer: ByteWriter, value: str) -> None:
    writer.write_bytes(as_data(value) or None)


def _head_only(type_name: str) -> Codec:
    """Qt warns that it cannot stream these types, after it has already written the head of the QVariant."""

    def write(_writer: ByteWriter, _value: object) -> None:
        raise ModelError(f"a {type_name} cannot be sent, Qt gives it no form on the wire")

    return Codec(lambda _: Opaque(type_name, b""), write)


def _write_nothing(_writer: ByteWriter, value: object) -> None:
    expect(value, type(None), "nullptr")


_DOUBLE: Final = Codec(ByteReader.read_double, ByteWriter.write_double)
_STRING: Final = Codec(ByteReader.read_string, ByteWriter.write_string)
_BYTES: Final = Codec(ByteReader.read_bytes, ByteWriter.write_bytes)
_POINT: Final = _structure(Point, "i32")
_POINT_F: Final = _structure(PointF, "double")

VALUES: Final[dict[TypeId, Codec]] = {
    TypeId.BOOL: Codec(ByteReader.read_bool, ByteWriter.write_bool),
    TypeId.INT: _integer("i32"),
    TypeId.UINT: _integer("u32"),
    TypeId.LONG_LONG: _integer("i64"),
    TypeId.ULONG_LONG: _integer("u64"),
    TypeId.DOUBLE: _DOUBLE,
    TypeId.QCHAR: _character("u16"),
    TypeId.QSTRING: _STRING,
    TypeId.QSTRING_LIST: _list_of(_STRING, "QStringList"),
    TypeId.QBYTE_ARRAY: _BYTES,
    TypeId.QBIT_ARRAY: Codec(_read_bits, _write_bits),
    TypeId.QDATE: Codec(times.read_date, times.write_date),
    TypeId.QTIME: Codec(times.read_time, times.write_time),
    TypeId.QDATE_TIME: Codec(times.read_datetime, times.write_datetime),
    TypeId.QURL: Codec(_read_url, _write_url),
    TypeId.QLOCALE: _STRING,
    TypeId.QRECT: Codec(_read_rect, _write_rect),
    TypeId.QRECT_F: _structure(RectF, "double"),
    TypeId.QSIZE: _structure(Size, "i32"),
    TypeId.QSIZE_F: _structure(SizeF, "double"),
    TypeId.QLINE: _structure(Line, "i32"),
    TypeId.QLINE_F: _structure(LineF, "double"),
    TypeId.QPOINT: _POINT,
    TypeId.QPOINT_F: _POINT_F,
    TypeId.QEASING_CURVE: Codec(_read_curve, _write_curve),
    TypeId.QUUID: Codec(_read_uuid, _write_uuid),
    TypeId.VOID_STAR: _head_only("void*"),
    TypeId.LONG: _integer("i64"),
    TypeId.SHORT: _integer("i16"),
    TypeId.CHAR: _integer("i8"),
    TypeId.ULONG: _integer("u64"),
    TypeId.USHORT: _integer("u16"),
    TypeId.UCHAR: _integer("u8"),
    TypeId.FLOAT: _DOUBLE,
    TypeId.QOBJECT_STAR: _head_only("QObject*"),
    TypeId.SIGNED_CHAR: _integer("i8"),
    TypeId.QMODEL_INDEX: _head_only("QModelIndex"),
    TypeId.VOID: _head_only("void"),
    TypeId.QREGULAR_EXPRESSION: Codec(_read_expression, _write_expression),
    TypeId.QJSON_VALUE: documents.JSON_VALUE,
    TypeId.QJSON_OBJECT: documents.JSON_OBJECT,
    TypeId.QJSON_ARRAY: documents.JSON_ARRAY,
    TypeId.QJSON_DOCUMENT: documents.JSON_DOCUMENT,
    TypeId.QBYTE_ARRAY_LIST: _list_of(_BYTES, "QByteArrayList"),
    TypeId.QPERSISTENT_MODEL_INDEX: _head_only("QPersistentModelIndex"),
    TypeId.NULLPTR: Codec(lambda _: None, _write_nothing),
    TypeId.QCBOR_SIMPLE_TYPE: _integer("u8"),
    TypeId.QCBOR_VALUE: documents.cbor("QCborValue"),
    TypeId.QCBOR_ARRAY: documents.cbor("QCborArray"),
    TypeId.QCBOR_MAP: documents.cbor("QCborMap"),
    TypeId.CHAR16: _character("u16"),
    TypeId.CHAR32: _character("u32"),
    TypeId.FLOAT16: Codec(ByteReader.read_half, ByteWriter.write_half),
    TypeId.QCOLOR: Codec(_read_color, _write_color),
    TypeId.QPOLYGON: _list_of(_POINT, "QPolygon"),
    TypeId.QPOLYGON_F: _list_of(_POINT_F, "QPolygonF"),
    TypeId.QKEY_SEQUENCE: Codec(_read_keys, _write_keys),
    TypeId.QTRANSFORM: _doubles(9, "QTransform"),
    TypeId.QMATRIX4X4: _doubles(16, "QMatrix4x4"),
    TypeId.QVECTOR2D: _doubles(2, "QVector2D"),
    TypeId.QVECTOR3D: _doubles(3, "QVector3D"),
    TypeId.QVECTOR4D: _doubles(4, "QVector4D"),
    TypeId.QQUATERNION: _doubles(4, "QQuaternion"),
    TypeId.QFONT: gui.FONT,
    TypeId.QPIXMAP: gui.PIXMAP,
    TypeId.QBRUSH: gui.BRUSH,
    TypeId.QPALETTE: gui.PALETTE,
    TypeId.QICON: gui.ICON,
    TypeId.QIMAGE: gui.IMAGE,
    TypeId.QREGION: gui.REGION,
    TypeId.QBITMAP: gui.BITMAP,
    TypeId.QCURSOR: gui.CURSOR,
    TypeId.QPEN: gui.PEN,
    TypeId.QTEXT_LENGTH: gui.TEXT_LENGTH,
    TypeId.QCOLOR_SPACE: gui.COLOR_SPACE,
    TypeId.QSIZE_POLICY: gui.SIZE_POLICY,
}
"""All types but those with variants in them. What `gui` has is read as `Opaque`, and not written except for images."""

TYPE_OF_VALUE: Final[dict[type[Value], TypeId]] = {
    BitArray: TypeId.QBIT_ARRAY,
    Color: TypeId.QCOLOR,
    EasingCurve: TypeId.QEASING_CURVE,
    Line: TypeId.QLINE,
    LineF: TypeId.QLINE_F,
    Point: TypeId.QPOINT,
    PointF: TypeId.QPOINT_F,
    Rect: TypeId.QRECT,
    RectF: TypeId.QRECT_F,
    RegularExpression: TypeId.QREGULAR_EXPRESSION,
    Size: TypeId.QSIZE,
    SizeF: TypeId.QSIZE_F,
}
"""Which type one of our own value classes travels as."""
