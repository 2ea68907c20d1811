"""Values of Qt as our classes of plant.rep have them, and as the C++ programs spell them: `[type, content]`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Any, Final
from uuid import UUID

from everywire.codec.qdatastream import (
    BitArray,
    Line,
    LineF,
    Point,
    PointF,
    Rect,
    RectF,
    RegularExpression,
    Size,
    SizeF,
)
from tests.interop.plant import Paint, Reading, Spot

Spelt = list[Any]


def spelt_spot(spot: Spot) -> Spelt:
    return ["Spot", {"xPos": ["double", spot.x_pos], "label": ["QString", spot.label]}]


def spelt_spots(*spots: Spot) -> Spelt:
    return ["QList<Spot>", [*map(spelt_spot, spots)]]


def spelt_places(places: dict[str, Spot]) -> Spelt:
    return ["QMap<QString,Spot>", [[["QString", name], spelt_spot(spot)] for name, spot in sorted(places.items())]]


def spelt_reading(reading: Reading) -> Spelt:
    counts = ["QList<int>", [["int", count] for count in reading.counts]]
    return ["Reading", {"number": ["int", reading.number], "spot": spelt_spot(reading.spot), "counts": counts}]


def spelt_paint(paint: Paint) -> Spelt:
    return ["Paint", {"shade": ["ShadeEnum::Shade", paint.shade.value], "name": ["QString", paint.name]}]


IDENT: Final = UUID("00112233-4455-6677-8899-aabbccddeeff")


@dataclass(frozen=True)
class Kind:
    """A property of Kinds: what it begins with, another value, and how Qt spells that."""

    name: str
    value: Any
    spelt: Spelt
    echo: bool = False
    """Whether there is a slot that returns its argument."""
    dynamic: Spelt | None = None
    """How a dynamic replica of Qt spells it, which gets QtCore's types only."""

    def spelt_for(self, *, static: bool) -> Spelt:
        """How a replica of Qt spells it."""
        return self.spelt if static or self.dynamic is None else self.dynamic

    @property
    def echo_slot(self) -> str:
        return f"echo{self.name[0].upper()}{self.name[1:]}"


NUMBERS: Final = (
    Kind("truth", False, ["bool", False], echo=True),
    Kind("letter", 122, ["char", 122], echo=True),
    Kind("tiny", -128, ["signed char", -128], echo=True),
    Kind("octet", 255, ["uchar", 255], echo=True),
    Kind("few", -(2**15), ["short", -(2**15)], echo=True),
    Kind("some", 2**16 - 1, ["ushort", 2**16 - 1], echo=True),
    Kind("number", -(2**31), ["int", -(2**31)], echo=True),
    Kind("natural", 2**32 - 1, ["uint", 2**32 - 1], echo=True),
    Kind("wide", -(2**63), ["qlonglong", str(-(2**63))], echo=True),
    Kind("vast", 2**64 - 1, ["qulonglong", str(2**64 - 1)], echo=True),
    Kind("single", -0.25, ["float", -0.25], echo=True),
    Kind("real", -1e300, ["double", -1e300], echo=True),
    Kind("sign", "ß", ["QChar", "ß"], echo=True),
    Kind("text", "Grüße 😀", ["QString", "Grüße 😀"], echo=True),
    Kind("blob", b"\0\xff", ["QByteArray", "00ff"], echo=True),
    Kind("names", ["a", ""], ["QStringList", ["a", ""]], echo=True),
)
TIMES: Final = (
    Kind("day", date(2024, 1, 2), ["QDate", "2024-01-02"], echo=True),
    Kind("clock", time(3, 4, 5, 678000), ["QTime", "03:04:05.678"], echo=True),
    Kind(
        "moment",
        datetime(2024, 1, 2, 3, 4, 5, 678000, tzinfo=UTC),
        ["QDateTime", "2024-01-02T03:04:05.678Z"],
        echo=True,
    ),
    Kind("link", "http://localhost/a%20b?c", ["QUrl", "http://localhost/a%20b?c"], echo=True),
    Kind("ident", IDENT, ["QUuid", str(IDENT)], echo=True),
    Kind("locale", "de_DE", ["QLocale", "de_DE"]),
    Kind("pattern", RegularExpression("a+", 1), ["QRegularExpression", ["a+", 1]]),
    Kind("bits", BitArray(10, b"\x05\x02"), ["QBitArray", "1010000001"]),
)
GEOMETRY: Final = (
    Kind("point", Point(1, -2), ["QPoint", [1, -2]], echo=True),
    Kind("pointf", PointF(1.5, -2.5), ["QPointF", [1.5, -2.5]]),
    Kind("size", Size(3, 4), ["QSize", [3, 4]]),
    Kind("sizef", SizeF(3.5, 4.5), ["QSizeF", [3.5, 4.5]]),
    Kind("rect", Rect(1, 2, 30, 40), ["QRect", [1, 2, 30, 40]], echo=True),
    Kind("rectf", RectF(1.5, 2.5, 30.5, 40.5), ["QRectF", [1.5, 2.5, 30.5, 40.5]]),
    Kind("line", Line(1, 2, 3, 4), ["QLine", [1, 2, 3, 4]]),
    Kind("linef", LineF(1.5, 2.5, 3.5, 4.5), ["QLineF", [1.5, 2.5, 3.5, 4.5]]),
)
DOCUMENTS: Final = (
    Kind("json", {"a": [1, None]}, ["QJsonValue", {"a": [1, None]}]),
    Kind("object", {"a": [1, True]}, ["QJsonObject", {"a": [1, True]}], echo=True),
    Kind("array", [1, "b", None], ["QJsonArray", [1, "b", None]]),
    Kind("document", {"a": "b"}, ["QJsonDocument", {"a": "b"}]),
)
CBOR: Final = (
    Kind("cbor", b"\x63abc", ["QCborValue", "63616263"]),
    Kind("items", b"\x82\x01\x02", ["QCborArray", "820102"]),
    Kind("map", b"\xa1\x01\x02", ["QCborMap", "a10102"], echo=True),
)
VARIANTS: Final = (
    Kind("loose", 7, ["int", 7], echo=True),
    Kind(
        "list",
        [1, "b", [2.5]],
        ["QVariantList", [["int", 1], ["QString", "b"], ["QVariantList", [["double", 2.5]]]]],
        echo=True,
    ),
    Kind("table", {"a": {"b": True}}, ["QVariantMap", {"a": ["QVariantMap", {"b": ["bool", True]}]}], echo=True),
    Kind("hash", {"a": 1}, ["QVariantHash", {"a": ["int", 1]}]),
)
CONTAINERS: Final = (
    Kind(
        "numbers", [1, -2],
        ["QList<int>", [["int", 1], ["int", -2]]],
        echo=True,
        dynamic=["QVariantList", [["int", 1], ["int", -2]]],
    ),
    Kind(
        "reals", [0.5, -1.5],
        ["QList<double>", [["double", 0.5], ["double", -1.5]]],
        dynamic=["QVariantList", [["double", 0.5], ["double", -1.5]]],
    ),
    Kind(
        "tally", {"a": 1, "b": -2},
        ["QMap<QString,int>", [[["QString", "a"], ["int", 1]], [["QString", "b"], ["int", -2]]]],
        echo=True,
        dynamic=["QVariantMap", {"a": ["int", 1], "b": ["int", -2]}],
    ),
    Kind(
        "words", {3: "c"},
        ["QHash<int,QString>", [[["int", 3], ["QString", "c"]]]],
        dynamic=["QVariantMap", {"3": ["QString", "c"]}],
    ),
)  # fmt: skip
MOMENTS: Final = (
    (datetime(2030, 7, 1, 12), ["QDateTime", "2030-07-01T12:00:00.000"]),  # noqa: DTZ001  local, as Qt's own
    (datetime(2030, 7, 1, 12, tzinfo=timezone(timedelta(hours=2))), ["QDateTime", "2030-07-01T12:00:00.000+02:00"]),
    (None, ["QDateTime", ""]),
)
"""Other date-times, and how Qt spells them."""
