"""Classes of plant.rep.

Written by `everywire gen python`: what is changed here is lost when it is written again.
"""

from __future__ import annotations

import builtins as _builtins_module
from dataclasses import dataclass
from datetime import date, datetime, time
from enum import Enum
from typing import Annotated, Any
from uuid import UUID

from everywire import Object, Property, f32, i8, i16, i32, prop, signal, slot, u8, u16, u32, u64
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
from everywire.remoteobjects import CONSTANT, PERSISTED, READWRITE, SOURCEONLYSETTER, CppType, Roles, cpp_enum
from everywire.tables import Table


class Shade(Enum):
    Dark = 0
    Pale = 3
    Bright = 4


@dataclass(frozen=True)
class Spot:
    x_pos: float
    label: str


@dataclass(frozen=True)
class Reading:
    number: i32
    spot: Spot
    counts: _builtins_module.list[i32]


@dataclass(frozen=True)
class Paint:
    shade: Shade
    name: str


class Valve(Object):
    opening: Property[i32] = prop(1, writable=True)

    @signal
    def turned(self, by: i32) -> None:
        ...

    @slot
    async def turn(self, by: i32) -> str:
        raise NotImplementedError


@cpp_enum(scope="Pump")
class Mode(Enum):
    Idle = 0
    Running = 4
    Failed = -1


class Pump(Object):
    speed: Property[i32] = prop(3, writable=True)
    mode: Property[Mode] = prop(Mode.Idle, writable=True)
    valve: Property[Valve | None] = prop(None)

    @signal
    def stalled(self, speed: i32, why: Annotated[str, CppType("const QString &")]) -> None:
        ...

    @slot
    async def add_one(self, number: i32) -> i32:
        raise NotImplementedError

    @slot
    async def shift(self, mode: Mode) -> Mode:
        raise NotImplementedError


class Hall(Object):
    target: Property[i32] = prop(5, writable=True)
    level: Property[float] = prop(1.5)
    serial: Property[Annotated[str, CONSTANT]] = prop("A-17")
    note: Property[Annotated[str, READWRITE]] = prop("free", writable=True)
    hint: Property[Annotated[str, SOURCEONLYSETTER]] = prop("soft")
    kept: Property[Annotated[i32, PERSISTED]] = prop(9, writable=True)
    ready: Property[Annotated[bool, PERSISTED]] = prop(True)
    shade: Property[Shade] = prop(Shade.Pale, writable=True)
    spot: Property[Spot] = prop(Spot(x_pos=0.0, label=""), writable=True)
    reading: Property[Reading] = prop(
        factory=lambda: Reading(number=0, spot=Spot(x_pos=0.0, label=""), counts=[]),
        writable=True,
    )
    paint: Property[Paint] = prop(Paint(shade=Shade.Dark, name=""), writable=True)
    spots: Property[_builtins_module.list[Spot]] = prop(factory=_builtins_module.list, writable=True)
    places: Property[dict[str, Spot]] = prop(factory=dict, writable=True)
    readings: Property[_builtins_module.list[Reading]] = prop(factory=_builtins_module.list, writable=True)
    pump: Property[Pump | None] = prop(None)
    rows: Property[Annotated[Table[Any] | None, Roles("title", "seconds")]] = prop(None)

    @signal
    def fired(self, count: i32, why: Annotated[str, CppType("const QString &")]) -> None:
        ...

    @signal
    def moved(self, spot: Spot) -> None:
        ...

    @signal
    def surveyed(
        self,
        spots: Annotated[_builtins_module.list[Spot], CppType("const QList<Spot> &")],
        places: Annotated[dict[str, Spot], CppType("const QMap<QString,Spot> &")],
    ) -> None:
        ...

    @signal
    def painted(self, shade: Shade, paint: Paint) -> None:
        ...

    @signal
    def silence(self) -> None:
        ...

    @slot
    async def add_one(self, number: i32) -> i32:
        raise NotImplementedError

    @slot
    async def remember(self, what: Annotated[str, CppType("const QString &")]) -> None:
        raise NotImplementedError

    @slot
    async def move(self, spot: Spot, by: float) -> Spot:
        raise NotImplementedError

    @slot
    async def move_all(
        self,
        spots: Annotated[_builtins_module.list[Spot], CppType("const QList<Spot> &")],
        by: float,
    ) -> _builtins_module.list[Spot]:
        raise NotImplementedError

    @slot
    async def by_label(
        self,
        spots: Annotated[_builtins_module.list[Spot], CppType("const QList<Spot> &")],
    ) -> dict[str, Spot]:
        raise NotImplementedError

    @slot
    async def read(self, reading: Reading) -> Reading:
        raise NotImplementedError

    @slot
    async def lighter(self, shade: Shade) -> Shade:
        raise NotImplementedError

    @slot
    async def repaint(self, paint: Paint) -> Paint:
        raise NotImplementedError

    @slot
    async def replace_pump(self, speed: i32) -> None:
        raise NotImplementedError

    @slot
    async def remove_pump(self) -> None:
        raise NotImplementedError


class Kinds(Object):
    truth: Property[bool] = prop(True, writable=True)
    letter: Property[Annotated[i8, CppType("char")]] = prop(97, writable=True)
    tiny: Property[i8] = prop(-8, writable=True)
    octet: Property[u8] = prop(200, writable=True)
    few: Property[Annotated[i16, CppType("qint16")]] = prop(-1600, writable=True)
    some: Property[Annotated[u16, CppType("quint16")]] = prop(60000, writable=True)
    number: Property[i32] = prop(-7, writable=True)
    natural: Property[u32] = prop(4000000000, writable=True)
    wide: Property[Annotated[int, CppType("qint64")]] = prop(-1099511627776, writable=True)
    vast: Property[Annotated[u64, CppType("quint64")]] = prop(1099511627777, writable=True)
    single: Property[f32] = prop(1.5, writable=True)
    real: Property[float] = prop(0.25, writable=True)
    sign: Property[Annotated[str, CppType("QChar")]] = prop("x", writable=True)
    text: Property[str] = prop("text", writable=True)
    blob: Property[bytes] = prop(b"blob", writable=True)
    names: Property[_builtins_module.list[str]] = prop(factory=_builtins_module.list, writable=True)
    day: Property[Annotated[date | None, CppType("QDate")]] = prop(None, writable=True)
    clock: Property[Annotated[time | None, CppType("QTime")]] = prop(None, writable=True)
    moment: Property[Annotated[datetime | None, CppType("QDateTime")]] = prop(None, writable=True)
    link: Property[Annotated[str, CppType("QUrl")]] = prop("", writable=True)
    ident: Property[UUID] = prop(UUID("00000000-0000-0000-0000-000000000000"), writable=True)
    point: Property[Point] = prop(Point(x=0, y=0), writable=True)
    pointf: Property[PointF] = prop(PointF(x=0.0, y=0.0), writable=True)
    size: Property[Size] = prop(Size(width=0, height=0), writable=True)
    sizef: Property[SizeF] = prop(SizeF(width=0.0, height=0.0), writable=True)
    rect: Property[Rect] = prop(Rect(x=0, y=0, width=0, height=0), writable=True)
    rectf: Property[RectF] = prop(RectF(x=0.0, y=0.0, width=0.0, height=0.0), writable=True)
    line: Property[Line] = prop(Line(x1=0, y1=0, x2=0, y2=0), writable=True)
    linef: Property[LineF] = prop(LineF(x1=0.0, y1=0.0, x2=0.0, y2=0.0), writable=True)
    bits: Property[BitArray] = prop(BitArray(count=0, data=b""), writable=True)
    locale: Property[Annotated[str, CppType("QLocale")]] = prop("", writable=True)
    pattern: Property[RegularExpression] = prop(RegularExpression(pattern="", options=0), writable=True)
    json: Property[Annotated[Any, CppType("QJsonValue")]] = prop(None, writable=True)
    object: Property[Annotated[dict[str, Any], CppType("QJsonObject")]] = prop(factory=dict, writable=True)
    array: Property[Annotated[_builtins_module.list[Any], CppType("QJsonArray")]] = prop(
        factory=_builtins_module.list,
        writable=True,
    )
    document: Property[Annotated[Any, CppType("QJsonDocument")]] = prop(None, writable=True)
    cbor: Property[Annotated[Any, CppType("QCborValue")]] = prop(None, writable=True)
    items: Property[Annotated[Any, CppType("QCborArray")]] = prop(None, writable=True)
    map: Property[Annotated[Any, CppType("QCborMap")]] = prop(None, writable=True)
    loose: Property[Any] = prop(None, writable=True)
    list: Property[_builtins_module.list[Any]] = prop(factory=_builtins_module.list, writable=True)
    table: Property[dict[str, Any]] = prop(factory=dict, writable=True)
    hash: Property[Annotated[dict[str, Any], CppType("QVariantHash")]] = prop(factory=dict, writable=True)
    numbers: Property[_builtins_module.list[i32]] = prop(factory=_builtins_module.list, writable=True)
    reals: Property[_builtins_module.list[float]] = prop(factory=_builtins_module.list, writable=True)
    tally: Property[dict[str, i32]] = prop(factory=dict, writable=True)
    words: Property[Annotated[dict[i32, str], CppType("QHash<int,QString>")]] = prop(factory=dict, writable=True)

    @signal
    def integers(
        self,
        a: bool,
        b: i8,
        c: u8,
        d: Annotated[i16, CppType("qint16")],
        e: Annotated[u16, CppType("quint16")],
        f: i32,
        g: u32,
        h: Annotated[int, CppType("qint64")],
        i: Annotated[u64, CppType("quint64")],
    ) -> None:
        ...

    @signal
    def others(
        self,
        a: f32,
        b: float,
        c: Annotated[str, CppType("QChar")],
        d: str,
        e: bytes,
        f: _builtins_module.list[str],
        g: Any,
        h: _builtins_module.list[i32],
    ) -> None:
        ...

    @slot
    async def add_one(self, number: i32) -> i32:
        raise NotImplementedError

    @slot
    async def echo_truth(self, value: bool) -> bool:
        raise NotImplementedError

    @slot
    async def echo_letter(self, value: Annotated[i8, CppType("char")]) -> Annotated[i8, CppType("char")]:
        raise NotImplementedError

    @slot
    async def echo_tiny(self, value: i8) -> i8:
        raise NotImplementedError

    @slot
    async def echo_octet(self, value: u8) -> u8:
        raise NotImplementedError

    @slot
    async def echo_few(self, value: Annotated[i16, CppType("qint16")]) -> Annotated[i16, CppType("qint16")]:
        raise NotImplementedError

    @slot
    async def echo_some(self, value: Annotated[u16, CppType("quint16")]) -> Annotated[u16, CppType("quint16")]:
        raise NotImplementedError

    @slot
    async def echo_number(self, value: i32) -> i32:
        raise NotImplementedError

    @slot
    async def echo_natural(self, value: u32) -> u32:
        raise NotImplementedError

    @slot
    async def echo_wide(self, value: Annotated[int, CppType("qint64")]) -> Annotated[int, CppType("qint64")]:
        raise NotImplementedError

    @slot
    async def echo_vast(self, value: Annotated[u64, CppType("quint64")]) -> Annotated[u64, CppType("quint64")]:
        raise NotImplementedError

    @slot
    async def echo_single(self, value: f32) -> f32:
        raise NotImplementedError

    @slot
    async def echo_real(self, value: float) -> float:
        raise NotImplementedError

    @slot
    async def echo_sign(self, value: Annotated[str, CppType("QChar")]) -> Annotated[str, CppType("QChar")]:
        raise NotImplementedError

    @slot
    async def echo_text(self, value: Annotated[str, CppType("const QString &")]) -> str:
        raise NotImplementedError

    @slot
    async def echo_blob(self, value: bytes) -> bytes:
        raise NotImplementedError

    @slot
    async def echo_names(self, value: _builtins_module.list[str]) -> _builtins_module.list[str]:
        raise NotImplementedError

    @slot
    async def echo_day(
        self,
        value: Annotated[date | None, CppType("QDate")],
    ) -> Annotated[date | None, CppType("QDate")]:
        raise NotImplementedError

    @slot
    async def echo_clock(
        self,
        value: Annotated[time | None, CppType("QTime")],
    ) -> Annotated[time | None, CppType("QTime")]:
        raise NotImplementedError

    @slot
    async def echo_moment(
        self,
        value: Annotated[datetime | None, CppType("QDateTime")],
    ) -> Annotated[datetime | None, CppType("QDateTime")]:
        raise NotImplementedError

    @slot
    async def echo_link(self, value: Annotated[str, CppType("QUrl")]) -> Annotated[str, CppType("QUrl")]:
        raise NotImplementedError

    @slot
    async def echo_ident(self, value: UUID) -> UUID:
        raise NotImplementedError

    @slot
    async def echo_point(self, value: Point) -> Point:
        raise NotImplementedError

    @slot
    async def echo_rect(self, value: Rect) -> Rect:
        raise NotImplementedError

    @slot
    async def echo_object(
        self,
        value: Annotated[dict[str, Any], CppType("QJsonObject")],
    ) -> Annotated[dict[str, Any], CppType("QJsonObject")]:
        raise NotImplementedError

    @slot
    async def echo_map(self, value: Annotated[Any, CppType("QCborMap")]) -> Annotated[Any, CppType("QCborMap")]:
        raise NotImplementedError

    @slot
    async def echo_loose(self, value: Any) -> Any:
        raise NotImplementedError

    @slot
    async def echo_list(self, value: _builtins_module.list[Any]) -> _builtins_module.list[Any]:
        raise NotImplementedError

    @slot
    async def echo_table(self, value: dict[str, Any]) -> dict[str, Any]:
        raise NotImplementedError

    @slot
    async def echo_numbers(self, value: _builtins_module.list[i32]) -> _builtins_module.list[i32]:
        raise NotImplementedError

    @slot
    async def echo_tally(self, value: dict[str, i32]) -> dict[str, i32]:
        raise NotImplementedError
