"""QDataStream held against Qt's own, through PySide6: the same bytes, and the same values out of them."""

from __future__ import annotations

import zoneinfo
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Any, Final
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

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

QtCore = pytest.importorskip("PySide6.QtCore", reason="`make demo QT=1` installs PySide6", exc_type=ImportError)
QtGui = pytest.importorskip("PySide6.QtGui", reason="QtGui needs its system libraries", exc_type=ImportError)

pytestmark = pytest.mark.interop

STREAMS: Final[list[tuple[Order, int]]] = [(order, version) for order in ("<", ">") for version in range(17, 25)]
"""Byte order and version: from Qt 5.6 to 6.12. QtRO 2.0 is ("<", 20), QtRO 1.3 is (">", 18)."""

streams = pytest.mark.parametrize("order,version", STREAMS)


def qt_stream(array: Any, mode: Any, order: Order, version: int) -> Any:
    stream = QtCore.QDataStream(array, mode)
    stream.setVersion(version)
    little, big = QtCore.QDataStream.ByteOrder.LittleEndian, QtCore.QDataStream.ByteOrder.BigEndian
    stream.setByteOrder(little if order == "<" else big)
    return stream


def qt_encode(value: object, order: Order = "<", version: int = 20) -> bytes:
    array = QtCore.QByteArray()
    stream = qt_stream(array, QtCore.QIODevice.OpenModeFlag.WriteOnly, order, version)
    stream.writeQVariant(value)
    assert stream.status() == QtCore.QDataStream.Status.Ok
    return bytes(array.data())


def qt_decode(data: bytes, order: Order = "<", version: int = 20) -> Any:
    array = QtCore.QByteArray(data)  # the stream only points to it
    stream = qt_stream(array, QtCore.QIODevice.OpenModeFlag.ReadOnly, order, version)
    value = stream.readQVariant()
    assert stream.status() == QtCore.QDataStream.Status.Ok
    assert stream.atEnd()
    return value


def encode(value: object, order: Order = "<", version: int = 20) -> bytes:
    writer = Writer(order=order, version=version)
    writer.write_variant(value)
    return writer.to_bytes()


def decode(data: bytes, order: Order = "<", version: int = 20) -> Any:
    reader = Reader(data, order=order, version=version)
    value = reader.read_variant()
    reader.expect_end()
    return value


# (what Qt is given, what we write, what we read)
Sample = tuple[Callable[[], Any], object, object]


def plain(make: Callable[[], Any], ours: object) -> Sample:
    return make, ours, ours


def exact(make: Callable[[], Any], type_id: TypeId, ours: object) -> Sample:
    return make, Typed(type_id, ours), ours


def qt_moment(zone: Any = None) -> Any:
    day, clock = QtCore.QDate(2024, 1, 2), QtCore.QTime(3, 4, 5, 678)
    return QtCore.QDateTime(day, clock) if zone is None else QtCore.QDateTime(day, clock, zone)


MOMENT: Final = datetime(2024, 1, 2, 3, 4, 5, 678000)  # noqa: DTZ001  zones are added where they are wanted
MATRIX: Final = tuple(float(number) for number in range(1, 17))
SAMPLES: Final[dict[str, Sample]] = {
    "invalid": plain(lambda: None, None),
    "true": plain(lambda: True, True),
    "int": plain(lambda: -7, -7),
    "qlonglong": plain(lambda: 2**40, 2**40),
    "double": plain(lambda: 1.25, 1.25),
    "QString": plain(lambda: "Grüße 😀", "Grüße 😀"),
    "empty QString": plain(lambda: "", ""),
    "QByteArray": plain(lambda: QtCore.QByteArray(b"\0\xff"), b"\0\xff"),
    "QStringList": plain(lambda: ["a", "b"], ["a", "b"]),
    "QVariantList": plain(lambda: [1, "a", None, [True]], [1, "a", None, [True]]),
    "QVariantMap": plain(lambda: {"a": 1, "b": {"c": [1.5]}}, {"a": 1, "b": {"c": [1.5]}}),
    "QDate": plain(lambda: QtCore.QDate(1583, 10, 15), date(1583, 10, 15)),
    "QTime": plain(lambda: QtCore.QTime(23, 59, 59, 999), time(23, 59, 59, 999000)),
    "QDateTime local": plain(qt_moment, MOMENT),
    "QDateTime utc": plain(lambda: qt_moment(QtCore.QTimeZone(QtCore.QTimeZone.UTC)), MOMENT.replace(tzinfo=UTC)),
    "QDateTime zone": plain(
        lambda: qt_moment(QtCore.QTimeZone(b"Europe/Berlin")), MOMENT.replace(tzinfo=zoneinfo.ZoneInfo("Europe/Berlin"))
    ),
    "QDateTime offset": plain(
        lambda: qt_moment(QtCore.QTimeZone.fromSecondsAheadOfUtc(-5400)),
        MOMENT.replace(tzinfo=timezone(timedelta(minutes=-90))),
    ),
    "QUuid": plain(
        lambda: QtCore.QUuid("{00112233-4455-6677-8899-aabbccddeeff}"), UUID("00112233-4455-6677-8899-aabbccddeeff")
    ),
    "QRect": plain(lambda: QtCore.QRect(-1, 2, 3, 4), Rect(-1, 2, 3, 4)),
    "QRectF": plain(lambda: QtCore.QRectF(1, 2, 3, 4), RectF(1, 2, 3, 4)),
    "QSize": plain(lambda: QtCore.QSize(1, -2), Size(1, -2)),
    "QSizeF": plain(lambda: QtCore.QSizeF(1, 2), SizeF(1, 2)),
    "QLine": plain(lambda: QtCore.QLine(1, 2, 3, 4), Line(1, 2, 3, 4)),
    "QLineF": plain(lambda: QtCore.QLineF(1, 2, 3, 4), LineF(1, 2, 3, 4)),
    "QPoint": plain(lambda: QtCore.QPoint(1, 2), Point(1, 2)),
    "QPointF": plain(lambda: QtCore.QPointF(1, 2), PointF(1, 2)),
    "QBitArray": plain(lambda: QtCore.QBitArray(10, True), BitArray(10, b"\xff\x03")),
    "QEasingCurve": plain(lambda: QtCore.QEasingCurve(QtCore.QEasingCurve.Type.OutQuad), EasingCurve(2)),
    "QRegularExpression": plain(
        lambda: QtCore.QRegularExpression("a", QtCore.QRegularExpression.PatternOption.CaseInsensitiveOption),
        RegularExpression("a", 1),
    ),
    "QColor": plain(lambda: QtGui.QColor(1, 2, 3), Color(1, 0xFFFF, 257, 514, 771, 0)),
    "QUrl": exact(lambda: QtCore.QUrl("http://a/x y"), TypeId.QURL, "http://a/x%20y"),
    "empty QUrl": exact(QtCore.QUrl, TypeId.QURL, ""),
    "QLocale": exact(lambda: QtCore.QLocale("de_DE"), TypeId.QLOCALE, "de_DE"),
    "null QDate": exact(QtCore.QDate, TypeId.QDATE, None),
    "null QTime": exact(QtCore.QTime, TypeId.QTIME, None),
    "null QDateTime": exact(QtCore.QDateTime, TypeId.QDATE_TIME, None),
    "offset zone": plain(
        lambda: qt_moment(QtCore.QTimeZone(b"UTC-03:30")), MOMENT.replace(tzinfo=timezone(timedelta(hours=-3.5)))
    ),
    "seconds east": plain(
        lambda: qt_moment(QtCore.QTimeZone(3601)), MOMENT.replace(tzinfo=timezone(timedelta(seconds=3601)))
    ),
    "null QUuid": plain(QtCore.QUuid, UUID(int=0)),
    "QJsonDocument": exact(
        lambda: QtCore.QJsonDocument.fromJson(b'{"a":[1,null]}'), TypeId.QJSON_DOCUMENT, {"a": [1, None]}
    ),
    "null QJsonDocument": exact(QtCore.QJsonDocument, TypeId.QJSON_DOCUMENT, None),
    "QVector2D": exact(lambda: QtGui.QVector2D(1, 2), TypeId.QVECTOR2D, (1.0, 2.0)),
    "QVector3D": exact(lambda: QtGui.QVector3D(1, 2, 3), TypeId.QVECTOR3D, (1.0, 2.0, 3.0)),
    "QVector4D": exact(lambda: QtGui.QVector4D(1, 2, 3, 4), TypeId.QVECTOR4D, (1.0, 2.0, 3.0, 4.0)),
    "QQuaternion": exact(lambda: QtGui.QQuaternion(1, 2, 3, 4), TypeId.QQUATERNION, (1.0, 2.0, 3.0, 4.0)),
    "QMatrix4x4": exact(lambda: QtGui.QMatrix4x4(*MATRIX), TypeId.QMATRIX4X4, MATRIX),
    "QTransform": exact(lambda: QtGui.QTransform(*MATRIX[:9]), TypeId.QTRANSFORM, MATRIX[:9]),
    "QKeySequence": exact(lambda: QtGui.QKeySequence("Ctrl+K, Ctrl+A"), TypeId.QKEY_SEQUENCE, [0x0400004B, 0x04000041]),
    "short QKeySequence": exact(lambda: QtGui.QKeySequence("Ctrl+K"), TypeId.QKEY_SEQUENCE, [0x0400004B]),
    "empty QKeySequence": exact(QtGui.QKeySequence, TypeId.QKEY_SEQUENCE, []),
    "QPolygon": exact(lambda: QtGui.QPolygon([QtCore.QPoint(1, 2)]), TypeId.QPOLYGON, [Point(1, 2)]),
    "QPolygonF": exact(lambda: QtGui.QPolygonF([QtCore.QPointF(1, 2)]), TypeId.QPOLYGON_F, [PointF(1, 2)]),
}
OTHER_BYTES: Final = frozenset({"QDateTime offset", "offset zone", "seconds east"})
"""PySide has only the long form of a fixed offset to give; we write the short one, which is what C++ writes."""


@pytest.mark.parametrize("name", SAMPLES)
def test_we_read_what_qt_writes(name: str) -> None:
    make, _, arrives = SAMPLES[name]
    for stream in STREAMS:
        assert (stream, decode(qt_encode(make(), *stream), *stream)) == (stream, arrives)


@pytest.mark.parametrize("name", sorted(SAMPLES.keys() - OTHER_BYTES))
def test_we_write_the_same_bytes_as_qt(name: str) -> None:
    make, ours, _ = SAMPLES[name]
    for stream in STREAMS:
        assert (stream, encode(ours, *stream).hex()) == (stream, qt_encode(make(), *stream).hex())


@pytest.mark.parametrize("name", SAMPLES)
def test_qt_reads_what_we_write(name: str) -> None:
    make, ours, _ = SAMPLES[name]
    for stream in STREAMS:
        assert (stream, qt_decode(encode(ours, *stream), *stream)) == (stream, make())


@streams
def test_an_easing_curve_with_points_is_read_and_written_as_qt_does(order: Order, version: int) -> None:
    curve = QtCore.QEasingCurve(QtCore.QEasingCurve.Type.BezierSpline)
    curve.addCubicBezierSegment(QtCore.QPointF(0, 0.5), QtCore.QPointF(0.5, 1), QtCore.QPointF(1, 1))
    theirs = qt_encode(curve, order, version)
    ours = decode(theirs, order, version)
    assert ours.bezier == ((PointF(0, 0.5), PointF(0.5, 1), PointF(1, 1)) if version > 18 else ())
    assert encode(ours, order, version) == theirs


@streams
def test_what_pyside_pickles_stays_closed(order: Order, version: int) -> None:
    value = decode(qt_encode({1, 2}, order, version), order, version)
    assert isinstance(value, Opaque)
    assert value.type_name == "PySide::PyObjectWrapper"


def gradient(brush: Any) -> Any:
    brush.setColorAt(0.5, QtGui.QColor(4, 5, 6))
    return QtGui.QBrush(brush)


def picture() -> Any:
    image = QtGui.QImage(4, 3, QtGui.QImage.Format.Format_RGB32)
    image.fill(77)
    return image


def plain_font() -> Any:
    font = QtGui.QFont(["A", "B", "C"])
    font.setStyleName("x")
    font.setLetterSpacing(QtGui.QFont.SpacingType.AbsoluteSpacing, 2)
    font.setFeature(QtGui.QFont.Tag("liga"), 3)
    font.setVariableAxis(QtGui.QFont.Tag("wght"), 3.5)
    return font


def dashed_pen() -> Any:
    pen = QtGui.QPen(QtGui.QColor(1, 2, 3), 3)
    pen.setDashPattern([1, 2, 3, 4])
    return pen


ONLY_SKIPPED: Final[dict[str, tuple[str, Callable[[], Any]]]] = {
    "font": ("QFont", plain_font),
    "brush": ("QBrush", lambda: QtGui.QBrush(QtGui.QColor(1, 2, 3))),
    "linear": ("QBrush", lambda: gradient(QtGui.QLinearGradient(0, 1, 2, 3))),
    "radial": ("QBrush", lambda: gradient(QtGui.QRadialGradient(0, 1, 2, 3, 4, 5))),
    "conical": ("QBrush", lambda: gradient(QtGui.QConicalGradient(0, 1, 2))),
    "texture": ("QBrush", lambda: QtGui.QBrush(picture())),
    "pen": ("QPen", dashed_pen),
    "palette": ("QPalette", lambda: QtGui.QPalette(QtGui.QColor(1, 2, 3))),
    "region": ("QRegion", lambda: QtGui.QRegion(0, 0, 5, 5) + QtGui.QRegion(9, 9, 5, 5)),
    "null region": ("QRegion", QtGui.QRegion),
    "null icon": ("QIcon", QtGui.QIcon),
    "length": ("QTextLength", lambda: QtGui.QTextLength(QtGui.QTextLength.Type.FixedLength, 3.0)),
    "format": ("QTextFormat", lambda: QtGui.QTextFormat(3)),
    "color space": ("QColorSpace", lambda: QtGui.QColorSpace(QtGui.QColorSpace.NamedColorSpace.SRgb)),
}
"""What needs no QGuiApplication; cursors, pixmaps and icons are among the values captured from C++."""


@pytest.mark.parametrize("name", ONLY_SKIPPED)
def test_we_know_where_a_gui_value_ends(name: str) -> None:
    type_name, make = ONLY_SKIPPED[name]
    for stream in STREAMS:
        value, after = decode(qt_encode([make(), 5], *stream), *stream)
        assert (stream, type(value), value.type_name, after) == (stream, Opaque, type_name, 5)


def test_a_picture_goes_to_qt_and_back_as_png() -> None:
    image = picture()
    for stream in STREAMS:
        ours = decode(qt_encode(image, *stream), *stream)
        assert ours.data.startswith(b"\x89PNG")
        assert qt_decode(encode(Typed(TypeId.QIMAGE, ours.data), *stream), *stream) == image
    assert qt_decode(encode(Typed(TypeId.QIMAGE, b""))).isNull()


def test_dates_at_the_ends_of_pythons_calendar_agree_with_qt() -> None:
    assert qt_decode(encode(date.min)) == QtCore.QDate(1, 1, 1)
    assert qt_decode(encode(date.max)) == QtCore.QDate(9999, 12, 31)
    assert decode(qt_encode(QtCore.QDate(10000, 1, 1))).type_name == "QDate"
    assert decode(qt_encode(QtCore.QDate(-1, 12, 31))).type_name == "QDate"


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(),
)
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=15)


@given(values, st.sampled_from(STREAMS))
def test_values_come_back_from_a_way_through_qt(value: object, stream: tuple[Order, int]) -> None:
    there = qt_decode(encode(value, *stream), *stream)
    assert decode(qt_encode(there, *stream), *stream) == value


@given(
    st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)),  # noqa: DTZ001
    st.sampled_from(["Europe/Berlin", "America/St_Johns", "Asia/Kathmandu"]).map(zoneinfo.ZoneInfo),
    st.integers(0, 1),
)
def test_qt_sees_the_same_instant(wall: datetime, zone: zoneinfo.ZoneInfo, fold: int) -> None:
    moment = wall.replace(tzinfo=zone, fold=fold)
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    assert qt_decode(encode(moment)).toMSecsSinceEpoch() == (moment - epoch) // timedelta(milliseconds=1)
