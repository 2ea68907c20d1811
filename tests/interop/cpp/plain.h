// Objects without any .rep, as most programs have them: for dynamic replicas.
#pragma once

#include "pch.h"

// A structure of the program's own.
class Place
{
    Q_GADGET
    Q_PROPERTY(double xPos MEMBER xPos)
    Q_PROPERTY(QString label MEMBER label)
public:
    double xPos = 0;
    QString label;
};
inline bool operator==(const Place &a, const Place &b) { return a.xPos == b.xPos && a.label == b.label; }
inline bool operator!=(const Place &a, const Place &b) { return !(a == b); }
inline QDataStream &operator<<(QDataStream &out, const Place &place)
{
    QtRemoteObjects::copyStoredProperties(&place, out); // as repc writes it: replicas read it so
    return out;
}
inline QDataStream &operator>>(QDataStream &in, Place &place)
{
    QtRemoteObjects::copyStoredProperties(in, &place);
    return in;
}
Q_DECLARE_METATYPE(Place)

class Wheel : public QObject
{
    Q_OBJECT
    Q_PROPERTY(int turns READ turns WRITE setTurns NOTIFY turnsChanged)
public:
    explicit Wheel(int turns, QObject *parent = nullptr) : QObject(parent), m_turns(turns) { }
    int turns() const { return m_turns; }
    void setTurns(int turns)
    {
        if (turns == m_turns)
            return;
        m_turns = turns;
        Q_EMIT turnsChanged(turns);
    }

public Q_SLOTS:
    int addOne(int number) { return number + 1; }

Q_SIGNALS:
    void turnsChanged(int turns);

private:
    int m_turns;
};

class Plain : public QObject
{
    Q_OBJECT
    Q_PROPERTY(double level READ level WRITE setLevel NOTIFY levelChanged)
    Q_PROPERTY(int low READ low NOTIFY rangeChanged)
    Q_PROPERTY(int high READ high NOTIFY rangeChanged)
    Q_PROPERTY(QString fixed READ fixed CONSTANT)
    Q_PROPERTY(Gear gear READ gear WRITE setGear NOTIFY gearChanged)
    Q_PROPERTY(Place place READ place WRITE setPlace NOTIFY placeChanged)
    Q_PROPERTY(QVariant loose READ loose WRITE setLoose NOTIFY looseChanged)
    Q_PROPERTY(Wheel *wheel READ wheel NOTIFY wheelChanged)
    Q_PROPERTY(QAbstractItemModel *rows READ rows CONSTANT)
public:
    enum Gear { Neutral, First = 1, Reverse = -1 };
    Q_ENUM(Gear)

    explicit Plain(QAbstractItemModel *rows) : m_wheel(new Wheel(4, this)), m_rows(rows) { }

    double level() const { return m_level; }
    void setLevel(double level)
    {
        if (level > 100 || level == m_level)
            return;
        m_level = level;
        Q_EMIT levelChanged(level);
    }
    int low() const { return -m_limit; }
    int high() const { return m_limit; }
    QString fixed() const { return QStringLiteral("stone"); }
    Gear gear() const { return m_gear; }
    void setGear(Gear gear)
    {
        m_gear = gear;
        Q_EMIT gearChanged(gear);
    }
    Place place() const { return m_place; }
    void setPlace(const Place &place)
    {
        m_place = place;
        Q_EMIT placeChanged(place);
    }
    QVariant loose() const { return m_loose; }
    void setLoose(const QVariant &loose)
    {
        m_loose = loose;
        Q_EMIT looseChanged(loose);
    }
    Wheel *wheel() const { return m_wheel; }
    QAbstractItemModel *rows() const { return m_rows; }

public Q_SLOTS:
    int addOne(int number) { return number + 1; }
    void widen(int limit)
    {
        m_limit = limit;
        Q_EMIT rangeChanged();
    }
    QString over(int number, const QString &text = QStringLiteral("nothing"))
    {
        return QStringLiteral("%1 %2").arg(number).arg(text);
    }
    Plain::Gear shift(Plain::Gear gear) { return gear == Reverse ? Neutral : First; }
    QVariant echo(const QVariant &value) { return value; }
    void replaceWheel(int turns)
    {
        Wheel *old = m_wheel;
        m_wheel = turns < 0 ? nullptr : new Wheel(turns, this);
        Q_EMIT wheelChanged(m_wheel);
        delete old;
    }

Q_SIGNALS:
    void levelChanged(double level);
    void rangeChanged();
    void gearChanged(Plain::Gear gear);
    void placeChanged(const Place &place);
    void looseChanged(const QVariant &loose);
    void wheelChanged(Wheel *wheel);
    void fired(int count, const QString &why);

private:
    double m_level = 1.0;
    int m_limit = 10;
    Gear m_gear = First;
    Place m_place{1.5, QStringLiteral("here")};
    QVariant m_loose;
    Wheel *m_wheel;
    QAbstractItemModel *m_rows;
};
