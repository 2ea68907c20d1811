"""What the tests of QDataStream share: shorthand for streams, and a strategy for the values of each type. No tests."""

from __future__ import annotations

import struct
import zoneinfo
from datetime import UTC, datetime, time, timedelta, timezone
from typing import Any, Final

from hypothesis import strategies as st

from everywire.codec.qdatastream import (
    BitArray,
    Color,
    EasingCurve,
    Enumeration,
    Line,
    LineF,
    Opaque,
    Point,
    PointF,
    Reader,
    Rect,
    RectF,
    RegularExpression,
    Size,
    SizeF,
    TypeId,
    UserTypes,
    Writer,
    record,
)
from everywire.codec.qdatastream.stream import Order

BERLIN: Final = zoneinfo.ZoneInfo("Europe/Berlin")
TYPES: Final[UserTypes] = {
    "Demo::Mode": 1,
    "Demo::Flags": 4,
    "Wide": 8,
    "Pt": (("x", "int"), ("y", "int")),
    "Empty": (),
    "Narrow": Enumeration.of_repc((0, 200)),
    "Index": record(("row", "int"), ("name", "QString")),
    "IndexList": "QList<Index>",
    "Loop": "QList<Loop>",
}

orders = st.sampled_from(["<", ">"])
versions = st.integers(17, 24)


def encode(value: object, order: Order = "<", version: int = 20) -> bytes:
    writer = Writer(order=order, version=version)
    writer.write_variant(value)
    return writer.to_bytes()


def decode(data: bytes, order: Order = "<", version: int = 20, types: UserTypes = TYPES) -> Any:
    reader = Reader(data, order=order, version=version, types=types)
    value = reader.read_variant()
    reader.expect_end()
    return value


def user(name: str, payload: bytes = b"", order: Order = "<", version: int = 20) -> bytes:
    number = 65536 if version >= 20 else 1024
    return struct.pack(f"{order}IBI", number, 0, len(name.encode()) + 1) + name.encode() + b"\0" + payload


def u32(*numbers: int, order: Order = "<") -> bytes:
    return struct.pack(f"{order}{len(numbers)}I", *numbers)


def blob(*parts: bytes, order: Order = "<") -> bytes:
    """QByteArrays one behind the other."""
    return b"".join(u32(len(part), order=order) + part for part in parts)


def png(pixels: bytes) -> bytes:
    """What has the outline of a PNG, with the wrong checksums; no bytes at all for no pixels."""
    chunks = ((b"IHDR", bytes(13)), (b"IDAT", pixels), (b"IEND", b""))
    body = b"".join(len(data).to_bytes(4, "big") + kind + data + b"sums" for kind, data in chunks)
    return b"\x89PNG\r\n\x1a\n" + body if pixels else b""


# ------------------------------------------------------------------------------------------ strategies
i32s = st.integers(-(2**31), 2**31 - 1)
doubles = st.floats(allow_nan=False)
milliseconds = st.integers(0, 999).map(lambda count: count * 1000)
times = st.builds(time, st.integers(0, 23), st.integers(0, 59), st.integers(0, 59), milliseconds)
offsets = st.integers(-86399, 86399).map(lambda seconds: timezone(timedelta(seconds=seconds)))
zones = st.sampled_from(["Europe/Berlin", "America/St_Johns", "Asia/Kathmandu", "UTC"]).map(zoneinfo.ZoneInfo)
datetimes = st.builds(datetime.combine, st.dates(), times, st.one_of(st.none(), st.just(UTC), offsets))
points = st.builds(Point, i32s, i32s)
point_fs = st.builds(PointF, doubles, doubles)
bits = st.integers(0, 70).flatmap(
    lambda count: st.binary(min_size=(count + 7) // 8, max_size=(count + 7) // 8).map(lambda d: BitArray(count, d))
)
curves = st.one_of(
    st.builds(EasingCurve, st.integers(0, 255)),
    st.builds(EasingCurve, st.integers(0, 255), st.tuples(doubles, doubles, doubles)),
)
twins = st.one_of(
    points,
    point_fs,
    st.builds(Size, i32s, i32s),
    st.builds(SizeF, doubles, doubles),
    st.builds(Line, i32s, i32s, i32s, i32s),
    st.builds(LineF, doubles, doubles, doubles, doubles),
    st.builds(Rect, *[st.integers(-(2**15), 2**15)] * 4),
    st.builds(RectF, doubles, doubles, doubles, doubles),
    st.builds(Color, st.integers(0, 255), *[st.integers(0, 0xFFFF)] * 5),
    st.builds(RegularExpression, st.text(), st.integers(0, 2**32 - 1)),
    bits,
    curves,
)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    doubles,
    st.text(),
    st.binary(),
    st.dates(),
    times,
    datetimes,
    st.uuids(),
    twins,
)
variants = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | doubles.filter(lambda x: abs(x) < 1e300) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
characters = st.characters()


def integers(bits: int, *, signed: bool) -> st.SearchStrategy[int]:
    return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else st.integers(0, 2**bits - 1)


def numbers(count: int) -> st.SearchStrategy[Any]:
    return st.tuples(*[doubles] * count)


EXACT: Final[dict[TypeId, st.SearchStrategy[Any]]] = {
    TypeId.BOOL: st.booleans(),
    TypeId.INT: i32s,
    TypeId.UINT: integers(32, signed=False),
    TypeId.LONG_LONG: integers(64, signed=True),
    TypeId.ULONG_LONG: integers(64, signed=False),
    TypeId.DOUBLE: doubles,
    TypeId.QCHAR: st.characters(max_codepoint=0xFFFF),
    TypeId.QVARIANT_MAP: st.dictionaries(st.text(), variants, max_size=3),
    TypeId.QVARIANT_LIST: st.lists(variants, max_size=3),
    TypeId.QSTRING: st.text(),
    TypeId.QSTRING_LIST: st.lists(st.text()),
    TypeId.QBYTE_ARRAY: st.binary(),
    TypeId.QBIT_ARRAY: bits,
    TypeId.QDATE: st.none() | st.dates(),
    TypeId.QTIME: st.none() | times,
    TypeId.QDATE_TIME: st.none() | datetimes,
    TypeId.QURL: st.text(),
    TypeId.QLOCALE: st.text(),
    TypeId.QRECT: st.builds(Rect, *[st.integers(-(2**15), 2**15)] * 4),
    TypeId.QRECT_F: st.builds(RectF, doubles, doubles, doubles, doubles),
    TypeId.QSIZE: st.builds(Size, i32s, i32s),
    TypeId.QSIZE_F: st.builds(SizeF, doubles, doubles),
    TypeId.QLINE: st.builds(Line, i32s, i32s, i32s, i32s),
    TypeId.QLINE_F: st.builds(LineF, doubles, doubles, doubles, doubles),
    TypeId.QPOINT: points,
    TypeId.QPOINT_F: point_fs,
    TypeId.QVARIANT_HASH: st.dictionaries(st.text(), variants, max_size=3),
    TypeId.QEASING_CURVE: curves,
    TypeId.QUUID: st.uuids(),
    TypeId.LONG: integers(64, signed=True),
    TypeId.SHORT: integers(16, signed=True),
    TypeId.CHAR: integers(8, signed=True),
    TypeId.ULONG: integers(64, signed=False),
    TypeId.USHORT: integers(16, signed=False),
    TypeId.UCHAR: integers(8, signed=False),
    TypeId.FLOAT: doubles,
    TypeId.SIGNED_CHAR: integers(8, signed=True),
    TypeId.QVARIANT: variants,
    TypeId.QREGULAR_EXPRESSION: st.builds(RegularExpression, st.text(), st.integers(0, 2**32 - 1)),
    TypeId.QJSON_VALUE: json_values,
    TypeId.QJSON_OBJECT: st.dictionaries(st.text(), json_values),
    TypeId.QJSON_ARRAY: st.lists(json_values),
    TypeId.QJSON_DOCUMENT: st.none() | st.lists(json_values) | st.dictionaries(st.text(), json_values),
    TypeId.QBYTE_ARRAY_LIST: st.lists(st.binary()),
    TypeId.NULLPTR: st.none(),
    TypeId.QCBOR_SIMPLE_TYPE: integers(8, signed=False),
    TypeId.QCBOR_VALUE: st.binary().map(lambda data: Opaque("QCborValue", data)),
    TypeId.QCBOR_ARRAY: st.binary().map(lambda data: Opaque("QCborArray", data)),
    TypeId.QCBOR_MAP: st.binary().map(lambda data: Opaque("QCborMap", data)),
    TypeId.CHAR16: st.characters(max_codepoint=0xFFFF),
    TypeId.CHAR32: characters,
    TypeId.FLOAT16: st.floats(width=16, allow_nan=False),
    **{
        type_id: st.binary(max_size=40).map(lambda data, name=name: Opaque(name, png(data)))
        for type_id, name in (
            (TypeId.QIMAGE, "QImage"),
            (TypeId.QPIXMAP, "QPixmap"),
            (TypeId.QBITMAP, "QBitmap"),
        )
    },
    TypeId.QCOLOR: st.builds(Color, st.integers(0, 255), *[st.integers(0, 0xFFFF)] * 5),
    TypeId.QPOLYGON: st.lists(points),
    TypeId.QPOLYGON_F: st.lists(point_fs),
    TypeId.QKEY_SEQUENCE: st.lists(st.integers(1, 2**32 - 1), max_size=4),
    TypeId.QTRANSFORM: numbers(9),
    TypeId.QMATRIX4X4: numbers(16),
    TypeId.QVECTOR2D: numbers(2),
    TypeId.QVECTOR3D: numbers(3),
    TypeId.QVECTOR4D: numbers(4),
    TypeId.QQUATERNION: numbers(4),
}
NEVER_SENT: Final = {
    TypeId.VOID_STAR,
    TypeId.QOBJECT_STAR,
    TypeId.QMODEL_INDEX,
    TypeId.VOID,
    TypeId.QPERSISTENT_MODEL_INDEX,
    TypeId.QFONT,
    TypeId.QBRUSH,
    TypeId.QPALETTE,
    TypeId.QICON,
    TypeId.QREGION,
    TypeId.QCURSOR,
    TypeId.QPEN,
    TypeId.QTEXT_LENGTH,
    TypeId.QCOLOR_SPACE,
    TypeId.QSIZE_POLICY,
}
