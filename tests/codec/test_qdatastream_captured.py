"""Every type of QVariant, held against the bytes of real Qt.

`captured_types.json` is what a program compiled with Qt 6.4.2 (version 20, little endian) and one with Qt 5.15.8
(version 18, big endian), both of Debian 12, printed after `QDataStream << QVariant::fromValue(…)`.
"""

from __future__ import annotations

import json
import zoneinfo
from datetime import UTC, date, datetime, time, timedelta, timezone
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import pytest

from everywire.codec.qdatastream import (
    BitArray,
    Color,
    EasingCurve,
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
    Typed,
    TypeId,
    Writer,
)
from everywire.codec.qdatastream.stream import Order

CAPTURED: Final[dict[str, dict[str, str]]] = json.loads(
    Path(__file__).with_name("captured_types.json").read_text(encoding="utf-8")
)
QT_6, QT_5 = "Qt 6.4.2", "Qt 5.15.8"
STREAMS: Final[dict[str, tuple[Order, int]]] = {QT_6: ("<", 20), QT_5: (">", 18)}

MOMENT: Final = datetime(2024, 1, 2, 3, 4, 5, 678000)  # noqa: DTZ001  zones are added where they are wanted
ELASTIC: Final = EasingCurve(30, (0.3, 2.0, 1.70158))
BEZIER: Final = EasingCurve(45, (0.3, 1.0, 1.70158), (PointF(0, 0.5), PointF(0.5, 1), PointF(1, 1)))
SEQUENCE: Final = tuple(float(number) for number in range(1, 17))


def zoned(hours: float) -> datetime:
    return MOMENT.replace(tzinfo=timezone(timedelta(hours=hours)))


# name: the type, and the value in Python
VALUES: Final[dict[str, tuple[TypeId, Any]]] = {
    "bool": (TypeId.BOOL, True),
    "int": (TypeId.INT, -2),
    "uint": (TypeId.UINT, 4_000_000_000),
    "qlonglong": (TypeId.LONG_LONG, -5_000_000_000),
    "qulonglong": (TypeId.ULONG_LONG, 18_000_000_000_000_000_000),
    "double": (TypeId.DOUBLE, 1.5),
    "float": (TypeId.FLOAT, 1.5),
    "long": (TypeId.LONG, -3),
    "ulong": (TypeId.ULONG, 3),
    "short": (TypeId.SHORT, -3),
    "ushort": (TypeId.USHORT, 65000),
    "char": (TypeId.CHAR, 65),
    "schar": (TypeId.SIGNED_CHAR, -3),
    "uchar": (TypeId.UCHAR, 200),
    "QChar": (TypeId.QCHAR, "€"),
    "QString": (TypeId.QSTRING, "Grüße 😀"),
    "null QString": (TypeId.QSTRING, ""),
    "QStringList": (TypeId.QSTRING_LIST, ["a", "b"]),
    "QByteArray": (TypeId.QBYTE_ARRAY, b"\0\xff"),
    "null QByteArray": (TypeId.QBYTE_ARRAY, b""),
    "QByteArrayList": (TypeId.QBYTE_ARRAY_LIST, [b"a", b"b"]),
    "QBitArray": (TypeId.QBIT_ARRAY, BitArray(10, b"\xff\x03")),
    "QDate": (TypeId.QDATE, date(2024, 1, 2)),
    "null QDate": (TypeId.QDATE, None),
    "QTime": (TypeId.QTIME, time(3, 4, 5, 678000)),
    "null QTime": (TypeId.QTIME, None),
    "local": (TypeId.QDATE_TIME, MOMENT),
    "utc": (TypeId.QDATE_TIME, MOMENT.replace(tzinfo=UTC)),
    "offset": (TypeId.QDATE_TIME, zoned(-1.5)),
    "offset 0": (TypeId.QDATE_TIME, MOMENT.replace(tzinfo=UTC)),
    "zone": (TypeId.QDATE_TIME, MOMENT.replace(tzinfo=zoneinfo.ZoneInfo("Europe/Berlin"))),
    "zone utc": (TypeId.QDATE_TIME, MOMENT.replace(tzinfo=UTC)),
    "zone offset": (TypeId.QDATE_TIME, zoned(1)),
    "zone UTC+05:30": (TypeId.QDATE_TIME, zoned(5.5)),
    "own zone": (TypeId.QDATE_TIME, zoned(2)),
    "null QDateTime": (TypeId.QDATE_TIME, None),
    "date only": (TypeId.QDATE_TIME, datetime(2024, 1, 2, tzinfo=UTC)),
    "QUrl": (TypeId.QURL, "http://a/x%20y"),
    "null QUrl": (TypeId.QURL, ""),
    "QLocale": (TypeId.QLOCALE, "de_DE"),
    "C QLocale": (TypeId.QLOCALE, "C"),
    "QUuid": (TypeId.QUUID, UUID("00112233-4455-6677-8899-aabbccddeeff")),
    "QRect": (TypeId.QRECT, Rect(-1, 2, 3, 4)),
    "QRectF": (TypeId.QRECT_F, RectF(1, 2, 3, 4)),
    "QSize": (TypeId.QSIZE, Size(1, -2)),
    "QSizeF": (TypeId.QSIZE_F, SizeF(1, 2)),
    "QLine": (TypeId.QLINE, Line(1, 2, 3, 4)),
    "QLineF": (TypeId.QLINE_F, LineF(1, 2, 3, 4)),
    "QPoint": (TypeId.QPOINT, Point(1, 2)),
    "QPointF": (TypeId.QPOINT_F, PointF(1, 2)),
    "QEasingCurve": (TypeId.QEASING_CURVE, ELASTIC),
    "bezier": (TypeId.QEASING_CURVE, BEZIER),
    "QRegularExpression": (TypeId.QREGULAR_EXPRESSION, RegularExpression("a", 1)),
    "QVariantMap": (TypeId.QVARIANT_MAP, {"a": 1, "b": [1.5, None]}),
    "QVariantHash": (TypeId.QVARIANT_HASH, {"a": 1}),
    "QVariantList": (TypeId.QVARIANT_LIST, [1, "a"]),
    "nested": (TypeId.QVARIANT, 5),
    "invalid": (TypeId.INVALID, None),
    "nullptr": (TypeId.NULLPTR, None),
    "json null": (TypeId.QJSON_VALUE, None),
    "json true": (TypeId.QJSON_VALUE, True),
    "json 1.5": (TypeId.QJSON_VALUE, 1.5),
    "json text": (TypeId.QJSON_VALUE, "x"),
    "json array": (TypeId.QJSON_VALUE, [1, "a"]),
    "json object": (TypeId.QJSON_VALUE, {"a": 1}),
    "json undefined": (TypeId.QJSON_VALUE, None),
    "json int": (TypeId.QJSON_VALUE, float(2**53)),  # it was 2**53 + 1: QJsonValue travels as a double
    "QJsonArray": (TypeId.QJSON_ARRAY, [1, None]),
    "QJsonObject": (TypeId.QJSON_OBJECT, {"a": [True]}),
    "QJsonDocument": (TypeId.QJSON_DOCUMENT, {"a": 1}),
    "empty QJsonObject": (TypeId.QJSON_OBJECT, {}),
    "empty QJsonArray": (TypeId.QJSON_ARRAY, []),
    "null QJsonDocument": (TypeId.QJSON_DOCUMENT, None),
    "cbor simple": (TypeId.QCBOR_SIMPLE_TYPE, 200),
    "cbor int": (TypeId.QCBOR_VALUE, Opaque("QCborValue", b"\x05")),
    "cbor text": (TypeId.QCBOR_VALUE, Opaque("QCborValue", b"ax")),
    "cbor undefined": (TypeId.QCBOR_VALUE, Opaque("QCborValue", b"\xf7")),
    "QCborArray": (TypeId.QCBOR_ARRAY, Opaque("QCborArray", b"\x82\x01aa")),
    "QCborMap": (TypeId.QCBOR_MAP, Opaque("QCborMap", b"\xa1\x01aa")),
    "cbor tag": (TypeId.QCBOR_VALUE, Opaque("QCborValue", b"\xd8\x2a\x01")),
    "char16": (TypeId.CHAR16, "€"),
    "char32": (TypeId.CHAR32, "😀"),
    "float16": (TypeId.FLOAT16, 1.5),
    "QColor": (TypeId.QCOLOR, Color(1, 4 * 257, 257, 514, 771, 0)),
    "hsv QColor": (TypeId.QCOLOR, Color(2, 0xFFFF, 100, 514, 771, 0)),
    "cmyk QColor": (TypeId.QCOLOR, Color(3, 0xFFFF, 257, 514, 771, 1028)),
    "extended QColor": (TypeId.QCOLOR, Color(5, 0x3C00, 0x4000, 0x3800, 0xB800, 0)),  # components are float16
    "invalid QColor": (TypeId.QCOLOR, Color(0, 0xFFFF, 0, 0, 0, 0)),
    "QKeySequence": (TypeId.QKEY_SEQUENCE, [0x0400004B, 0x04000041]),
    "QPolygon": (TypeId.QPOLYGON, [Point(1, 2)]),
    "QPolygonF": (TypeId.QPOLYGON_F, [PointF(1, 2)]),
    "QTransform": (TypeId.QTRANSFORM, SEQUENCE[:9]),
    "QMatrix4x4": (TypeId.QMATRIX4X4, SEQUENCE),
    "QVector2D": (TypeId.QVECTOR2D, SEQUENCE[:2]),
    "QVector3D": (TypeId.QVECTOR3D, SEQUENCE[:3]),
    "QVector4D": (TypeId.QVECTOR4D, SEQUENCE[:4]),
    "QQuaternion": (TypeId.QQUATERNION, SEQUENCE[:4]),
    "null QImage": (TypeId.QIMAGE, Opaque("QImage", b"")),
}
PICTURES: Final = {"QImage": TypeId.QIMAGE, "QPixmap": TypeId.QPIXMAP, "QBitmap": TypeId.QBITMAP}
ONLY_SKIPPED: Final = {
    "bc": "QDateTime",
    **{name: name for name in ("QFont", "QTextLength", "QTextFormat", "QColorSpace", "QSizePolicy")},
    **dict.fromkeys(("QBrush", "linear QBrush", "radial QBrush", "conical QBrush", "textured QBrush"), "QBrush"),
    **dict.fromkeys(("QCursor", "bitmap QCursor", "pixmap QCursor"), "QCursor"),
    **dict.fromkeys(("QPen", "dashed QPen"), "QPen"),
    **dict.fromkeys(("QIcon", "null QIcon"), "QIcon"),
    **dict.fromkeys(("QRegion", "null QRegion"), "QRegion"),
}
SINCE_QT_6: Final = {"char16", "char32", "float16"}
WRITTEN_OTHERWISE: Final = {
    # null is empty in Python
    *((qt, name) for qt in STREAMS for name in ("null QString", "null QByteArray")),
    # fixed zones go in the short form, undefined as null
    *((qt, name) for qt in STREAMS for name in ("zone utc", "zone offset", "zone UTC+05:30", "own zone")),
    *((qt, "json undefined") for qt in STREAMS),
    # Qt 5 streams a map backwards, and says of a nullptr that it is not null
    (QT_5, "QVariantMap"),
    (QT_5, "nullptr"),
}
CASES: Final = [(qt, name) for qt in STREAMS for name in VALUES if qt == QT_6 or name not in SINCE_QT_6]


def decode(qt: str, name: str) -> Any:
    order, version = STREAMS[qt]
    reader = Reader(bytes.fromhex(CAPTURED[qt][name]), order=order, version=version)
    value = reader.read_variant()
    reader.expect_end()
    return value


def encode(qt: str, value: object) -> str:
    order, version = STREAMS[qt]
    writer = Writer(order=order, version=version)
    writer.write_variant(value)
    return writer.to_bytes().hex()


@pytest.mark.parametrize("qt", STREAMS)
def test_nothing_that_was_captured_is_left_out(qt: str) -> None:
    wanted = {name for other, name in CASES if other == qt} | PICTURES.keys() | ONLY_SKIPPED.keys()
    assert CAPTURED[qt].keys() == wanted


@pytest.mark.parametrize("qt,name", CASES)
def test_each_type_is_read_as_qt_writes_it(qt: str, name: str) -> None:
    wanted = EasingCurve(BEZIER.kind, BEZIER.settings) if (qt, name) == (QT_5, "bezier") else VALUES[name][1]
    value = decode(qt, name)
    assert (value, type(value)) == (wanted, type(wanted))


@pytest.mark.parametrize("qt,name", [case for case in CASES if case not in WRITTEN_OTHERWISE])
def test_each_type_is_written_as_qt_writes_it(qt: str, name: str) -> None:
    type_id, value = VALUES[name]
    assert encode(qt, value if type_id is TypeId.INVALID else Typed(type_id, value)) == CAPTURED[qt][name]


@pytest.mark.parametrize("qt", STREAMS)
@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_png_in_both_directions(qt: str, name: str) -> None:
    picture = decode(qt, name)
    assert picture.data.startswith(b"\x89PNG")
    assert picture.data.endswith(b"IEND\xaeB`\x82")
    for value in (picture, picture.data):
        assert encode(qt, Typed(PICTURES[name], value)) == CAPTURED[qt][name]


@pytest.mark.parametrize("qt", STREAMS)
@pytest.mark.parametrize("name", ONLY_SKIPPED)
def test_what_means_nothing_here_is_passed_over_as_a_whole(qt: str, name: str) -> None:
    value = decode(qt, name)
    assert (type(value), value.type_name) == (Opaque, ONLY_SKIPPED[name])
    assert CAPTURED[qt][name].endswith(value.data.hex())
