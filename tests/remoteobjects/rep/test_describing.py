"""Python classes as .rep files: types before their use, defaults and modifiers, children and tables."""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

import pytest

from everywire import ModelError, Object, Property, computed, contract_of, f32, i8, i32, prop, signal, slot, u16
from everywire.codec.qdatastream import Color, Point
from everywire.model.annotations import marks_of, type_of
from everywire.remoteobjects import (
    CONSTANT,
    PERSISTED,
    READWRITE,
    SOURCEONLYSETTER,
    CppType,
    Roles,
    WireName,
    cpp_enum,
    cpp_flag,
    wire_named,
)
from everywire.remoteobjects.rep.cpptypes import cpp_type
from everywire.remoteobjects.rep.describing import rep_of
from everywire.remoteobjects.rep.marks import enum_size
from everywire.remoteobjects.rep.printing import print_rep
from everywire.remoteobjects.rep.tree import ClassDecl, PropDecl
from everywire.tables import Table, TableSource


class Mode(enum.Enum):
    """How it heats."""

    OFF = 0
    ON = 4


@cpp_enum(scope="Heater", keys={"NONE": "None"})
class State(enum.Enum):
    NONE = 0
    LOW = 2**32 - 1


@cpp_flag(State, name="States", scope="Heater")
class AllStates(enum.Flag):
    NONE = 0
    LOW = 1


@dataclass
class Sample:
    """One measurement."""

    mode: Mode
    at: Point


@dataclass
class Series:
    samples: list[Sample]


class Pump(Object):
    speed: Property[float] = prop(2.5, writable=True)


class Heater(Object):
    """Heats."""

    serial: Property[Annotated[str, CONSTANT]] = prop("A (1)")
    built: Property[Annotated[datetime | None, CppType("QDateTime"), CONSTANT]] = prop(None)
    set_point: Property[Annotated[float, READWRITE, PERSISTED]] = prop(20.5, writable=True, doc="What one wants.")
    mode: Property[Mode] = prop(Mode.ON, writable=True)
    state: Property[State] = prop(State.NONE)
    states: Property[Annotated[AllStates, SOURCEONLYSETTER]] = prop(AllStates(0))
    series: Property[Annotated[dict[str, Series], WireName("allSeries")]] = prop(factory=dict)
    pump: Property[Pump | None] = prop(None)
    rows: Property[Annotated[Table[Any] | None, Roles("name", "colour")]] = prop(None)
    log: Property[TableSource[Any] | None] = prop(None)

    @computed(set_point)
    def doubled(self) -> int:
        return int(self.set_point * 2)

    @signal
    @wire_named("gotHOT")
    def overheated(self, mode: Mode, by: float) -> None:
        """It is too hot."""

    @slot
    async def boost(self, why: Annotated[str, CppType("const QString &")]) -> bool:
        return bool(why)

    @slot
    async def temperatures(self) -> AsyncIterator[float]:
        yield 0.5


TEXT = r"""class Pump
{
    PROP(double speed=2.5)
};

// How it heats.
ENUM Mode { OFF, ON=4 }

// One measurement.
POD Sample(ModeEnum::Mode mode, QPoint at)

POD Series(QList<Sample> samples)

// Heats.
class Heater
{
    ENUM State { None, LOW=-1 }
    FLAG(States State)
    PROP(QString serial="A (1\051" CONSTANT)
    PROP(QDateTime built=QDateTime{} CONSTANT)
    // What one wants.
    PROP(double setPoint=20.5 READWRITE, PERSISTED)
    PROP(ModeEnum::Mode mode=ModeEnum::Mode::ON)
    PROP(State state READONLY)
    PROP(States states SOURCEONLYSETTER)
    PROP(QMap<QString,Series> allSeries READONLY)
    CLASS pump(Pump)
    MODEL rows(name, colour)
    MODEL log(display)
    PROP(qlonglong doubled READONLY)
    // It is too hot.
    SIGNAL(gotHOT(ModeEnum::Mode mode, double by))
    SLOT(bool boost(const QString & why))

    // left out, for C++ has no streams: temperatures

};
"""


def test_a_class_is_told_with_all_it_uses() -> None:
    assert print_rep(rep_of(Heater)) == TEXT


def test_classes_in_one_file_share_what_they_use() -> None:
    rep = rep_of(Pump, Heater, Pump)
    assert [declared.name for declared in rep.classes] == ["Pump", "Heater"]
    assert print_rep(rep) == TEXT


def test_a_contract_knows_no_defaults() -> None:
    (declared,) = rep_of(contract_of(Pump)).items
    assert declared == ClassDecl("Pump", (PropDecl("double", "speed"),))


@pytest.mark.parametrize(
    "annotation,text",
    [
        (bool, "bool"),
        (i8, "qint8"),
        (u16, "ushort"),
        (i32, "int"),
        (int, "qlonglong"),
        (f32, "float"),
        (float, "double"),
        (str, "QString"),
        (bytes, "QByteArray"),
        (datetime, "QDateTime"),
        (date, "QDate"),
        (UUID, "QUuid"),
        (list[str], "QStringList"),
        (list[Any], "QVariantList"),
        (dict[str, Any], "QVariantMap"),
        (list[list[i32]], "QList<QList<int>>"),
        (dict[i32, str], "QMap<int,QString>"),
        (str | None, "QVariant"),
        (tuple[int, str], "QVariant"),
        (Any, "QVariant"),
        (Color, "QColor"),
        (list[Point], "QList<QPoint>"),
        (Annotated[str, CppType("QUrl")], "QUrl"),
        (Annotated[list[int], CppType("const QVector<qint64> &")], "QVector<qint64>"),
    ],
)
def test_types_have_the_nearest_of_cpp(annotation: Any, text: str) -> None:
    assert cpp_type(type_of(annotation), marks_of(annotation)) == text


def test_sizes_of_enums_are_those_of_their_types_and_of_flags_four() -> None:
    @cpp_enum("quint8")
    class Small(enum.Enum):
        A = 1

    @cpp_enum("std::int16_t")
    class Middle(enum.Enum):
        A = 1

    @cpp_flag(Small)
    class Smalls(enum.Flag):
        A = 1

    assert [enum_size(cls) for cls in (Small, Middle, Mode, Smalls)] == [1, 2, 4, 4]


def test_words_about_enums_are_checked_where_they_stand() -> None:
    with pytest.raises(ModelError, match="Mode has no key LATE"):
        cpp_enum(keys={"LATE": "Late"})(Mode)
    with pytest.raises(ModelError, match="for classes derived from Enum"):
        cpp_enum()(Pump)  # type: ignore[type-var]
