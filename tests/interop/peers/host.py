"""A Qt program that offers objects: a source generated from a .rep, and a plain QObject, on one QRemoteObjectHost."""

# ruff: noqa: N802, N815  names are spelt as Qt programs spell them
from __future__ import annotations

from speech import meant, run, say, told  # isort: skip  # sets Qt's platform

import enum
import sys

from PySide6.QtCore import (
    ClassInfo,
    Property,
    QAbstractItemModel,
    QAbstractTableModel,
    QByteArray,
    QCoreApplication,
    QDate,
    QEnum,
    QModelIndex,
    QObject,
    QUrl,
    Signal,
    Slot,
)
from PySide6.QtRemoteObjects import QRemoteObjectHost, RepFile

REP = RepFile(
    """
POD Spot(double xPos, QString label)
class Holder
{
    PROP(Spot spot)
    SIGNAL(moved(Spot spot))
    SLOT(Spot move(Spot spot, double by))
    SLOT(int addOne(int number))
};
class Sheet
{
    PROP(QPointF pointf)
    PROP(QSize size)
    PROP(QRect rect)
    PROP(QRectF rectf)
    PROP(QLine line)
    PROP(QJsonObject object)
    PROP(QJsonArray array)
    PROP(QJsonDocument document)
    PROP(QCborArray items)
    PROP(QCborMap map)
    SLOT(QJsonObject echo(QJsonObject value))
    SLOT(int addOne(int number))
};
class Engine
{
    ENUM Gear {Idle=0, First=1, Reverse=7}
    PROP(int setPoint=5)
    PROP(double level=1.5 READONLY)
    PROP(QString note="free" READWRITE)
    PROP(QStringList names)
    PROP(QVariant loose)
    PROP(QVariantMap table)
    PROP(QVariantList items)
    PROP(QList<int> numbers)
    PROP(qint64 big=3)
    PROP(quint16 small=3)
    PROP(float ratio=1.5)
    PROP(QByteArray blob)
    PROP(QDateTime when)
    PROP(QDate day)
    PROP(QTime clock)
    PROP(QUuid ident)
    PROP(QPoint place)
    PROP(int my_odd_name=1)
    SIGNAL(fired(int count, QString why))
    SIGNAL(all(bool a, qint64 b, double c, QString d, QByteArray e, QStringList f, QVariantList g, QVariantMap h))
    SIGNAL(times(QDateTime a, QDate b, QTime c, QUuid d, QPoint e, QVariant f))
    SLOT(int addOne(int number))
    SLOT(qint64 echoBig(qint64 value))
    SLOT(double echoReal(double value))
    SLOT(float echoSingle(float value))
    SLOT(bool echoTruth(bool value))
    SLOT(QString echoText(const QString &value))
    SLOT(QByteArray echoData(QByteArray value))
    SLOT(QStringList echoNames(QStringList value))
    SLOT(QVariantList echoList(QVariantList value))
    SLOT(QVariantMap echoMap(QVariantMap value))
    SLOT(QVariant echoVariant(QVariant value))
    SLOT(QDateTime echoMoment(QDateTime value))
    SLOT(QDate echoDay(QDate value))
    SLOT(QTime echoClock(QTime value))
    SLOT(QUuid echoIdent(QUuid value))
    SLOT(QPoint echoPoint(QPoint value))
    SLOT(QList<int> echoNumbers(QList<int> value))
    SLOT(QUrl echoUrl(QUrl value))
    SLOT(void remember(QString what))
    SLOT(int broken())
};
"""
)


class Engine(REP.source["Engine"]):
    """A source as a PySide program writes one: the class that RepFile made, with bodies for the slots."""

    def addOne(self, number):
        return number + 1

    def remember(self, what):
        say(event="called", slot="remember", arguments=[told(what)])

    def broken(self):
        raise ValueError("a bug in a Qt program")

    def _echo(self, value):
        say(event="called", slot="echo", arguments=[told(value)])
        return value

    echoBig = echoReal = echoSingle = echoTruth = echoText = echoData = echoNames = echoList = echoMap = _echo
    echoVariant = echoMoment = echoDay = echoClock = echoIdent = echoPoint = echoNumbers = echoUrl = _echo


class Holder(REP.source["Holder"]):
    """A source with a structure."""

    def __init__(self):
        super().__init__()
        self.spot = REP.pod["Spot"](1.5, "here")

    def move(self, spot, by):
        moved = REP.pod["Spot"](spot[0] + by, spot[1])
        self.moved.emit(moved)
        return moved

    def addOne(self, number):
        return number + 1


class Sheet(REP.source["Sheet"]):
    """A source with figures and JSON."""

    def echo(self, value):
        return value

    def addOne(self, number):
        return number + 1


@ClassInfo(**{"RemoteObject Type": "Hub"})  # without a name Qt tells two classes apart by nothing
class Hub(QObject):
    """A child of Wheel."""

    width = Property(int, lambda _: 12, constant=True)

    @Slot(int, result=int)
    def addOne(self, number):
        return number + 1


class Wheel(QObject):
    """A child of Machine."""

    turnsChanged = Signal(int)

    def __init__(self, turns):
        super().__init__()
        self._turns, self._hub = turns, Hub()

    hub = Property(QObject, lambda self: self._hub, constant=True)

    def _set_turns(self, turns):
        self._turns = turns
        self.turnsChanged.emit(turns)

    turns = Property(int, lambda self: self._turns, _set_turns, notify=turnsChanged)

    @Slot(int, result=int)
    def addOne(self, number):
        return number + 1


class Rows(QAbstractTableModel):
    """A model of Machine."""

    def __init__(self):
        super().__init__()
        self.rows = ["first", "second"]

    def rowCount(self, parent=None):
        return len(self.rows)

    def columnCount(self, parent=None):
        return 1

    def data(self, index, role=0):
        return self.rows[index.row()] if role == 0 else None


class Machine(QObject):
    """A QObject with a child, a model and an enum of Python."""

    class Gear(enum.Enum):
        NEUTRAL = 0
        REVERSE = 5

    QEnum(Gear)
    wheelChanged = Signal(QObject)

    def __init__(self):
        super().__init__()
        self._wheel, self._rows, self._old = Wheel(4), Rows(), []

    wheel = Property(QObject, lambda self: self._wheel, notify=wheelChanged)
    rows = Property(QAbstractItemModel, lambda self: self._rows, constant=True)
    gear = Property(Gear, lambda self: Machine.Gear.REVERSE)

    @Slot(int)
    def replaceWheel(self, turns):
        self._old.append(self._wheel)  # Qt forgets it by itself
        self._wheel = Wheel(turns) if turns >= 0 else None
        self.wheelChanged.emit(self._wheel)

    @Slot(int, result=int)
    def addOne(self, number):
        return number + 1

    @Slot(str)
    def append(self, text):
        count = len(self._rows.rows)
        self._rows.beginInsertRows(QModelIndex(), count, count)
        self._rows.rows.append(text)
        self._rows.endInsertRows()


class Plain(QObject):
    """A QObject without any .rep, as most programs have them."""

    levelChanged = Signal(float)
    rangeChanged = Signal()
    fired = Signal(int, str)
    wrapped = Signal(object)

    def __init__(self):
        super().__init__()
        self._level, self._limit = 1.0, 10
        self.cargo = (1, 2)

    def _get_level(self):
        return self._level

    def _set_level(self, value):
        if value <= 100 and value != self._level:
            self._level = value
            self.levelChanged.emit(value)

    level = Property(float, _get_level, _set_level, notify=levelChanged)
    low = Property(int, lambda self: -self._limit, notify=rangeChanged)
    high = Property(int, lambda self: self._limit, notify=rangeChanged)
    fixed = Property(str, lambda self: "stone", constant=True)
    cargo_ = Property(object, lambda self: self.cargo)
    crate = Property("QVariant", lambda self: {"inside": self.cargo})
    raw = Property(QByteArray, lambda self: QByteArray(b"\0\xff"))
    never = Property(QDate, lambda self: QDate())
    HTTPPort = Property(int, lambda self: 80, constant=True)

    @Slot(int)
    def widen(self, limit):
        self._limit = limit
        self.rangeChanged.emit()

    @Slot(int, result=int)
    def addOne(self, number):
        return number + 1

    @Slot(int, str, result=str)
    @Slot(int, result=str)
    def over(self, number, text="nothing"):
        return f"{number} {text}"

    @Slot(str, result=str)
    def loud(self, text):
        return text.upper()

    @Slot(object)
    def take(self, thing):
        say(event="called", slot="take", arguments=[told(thing)])

    @Slot("QVariant", result="QVariant")
    def variant(self, value):
        say(event="called", slot="variant", arguments=[told(value)])
        return value

    @Slot(result=object)
    def cargo_slot(self):
        return self.cargo

    @Slot(result=int)
    def broken(self):
        raise ValueError("a bug in a Qt program")

    @Slot(QDate)
    def onDay(self, day):
        say(event="called", slot="onDay", arguments=[told(day)])

    @Slot()
    def class_(self):
        """A name that proposes a keyword."""


class Offerer:
    """What a test can ask for, one method each."""

    def __init__(self):
        self.host = None
        self.objects = {
            "engine": Engine(),
            "holder": Holder(),
            "machine": Machine(),
            "plain": Plain(),
            "sheet": Sheet(),
        }

    def do_serve(self, url, names):
        self.host = QRemoteObjectHost(QUrl(url))
        return [self.do_offer(name) for name in names], self.host.hostUrl().toString()

    def do_offer(self, name):
        return self.host.enableRemoting(self.objects[name], name)

    def do_withdraw(self, name):
        return self.host.disableRemoting(self.objects[name])

    def do_set(self, name, prop, value):
        setattr(self.objects[name], prop, meant(value))
        return told(self.objects[name].property(prop))

    def do_get(self, name, prop):
        return told(self.objects[name].property(prop))

    def do_emit(self, name, signal, arguments):
        getattr(self.objects[name], signal).emit(*map(meant, arguments))

    def do_load(self, name, value):
        """Put any Python value where Qt has only QVariant."""
        self.objects[name].cargo = meant(value)

    def do_hang(self):
        """Answer nobody any more until killed, as a program in a long computation."""
        say(event="hanging")
        while True:
            pass


if __name__ == "__main__":
    application = QCoreApplication(sys.argv[:1])
    run(Offerer())
