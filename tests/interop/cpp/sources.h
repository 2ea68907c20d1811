// Sources of the classes in plant.rep and modern.rep.
#pragma once

#include "pch.h"
#include "rep_plant_source.h"
#if QT_VERSION >= QT_VERSION_CHECK(6, 0, 0)
#include "rep_modern_source.h"
#endif

inline void called(const char *slot, const QVariantList &arguments)
{
    say({{"event", "called"}, {"slot", slot}, {"arguments", told(arguments)}});
}

class Valve : public ValveSimpleSource
{
public:
    using ValveSimpleSource::ValveSimpleSource;
    QString turn(int by) override
    {
        setOpening(opening() + by);
        Q_EMIT turned(by);
        return QStringLiteral("turned by %1").arg(by);
    }
};

class Pump : public PumpSimpleSource
{
public:
    explicit Pump(int speed, QObject *parent = nullptr) : PumpSimpleSource(parent)
    {
        setSpeed(speed);
        setValve(new Valve(this));
    }
    int addOne(int number) override { return number + 1; }
    Mode shift(Mode mode) override
    {
        setMode(mode);
        if (mode == Failed)
            Q_EMIT stalled(speed(), QStringLiteral("worn"));
        return mode;
    }
};

class Hall : public HallSimpleSource
{
public:
    explicit Hall(QAbstractItemModel *rows)
    {
        setPump(new Pump(3, this));
        setRows(rows);
        setSpot(Spot(1.5, QStringLiteral("here")));
        setReading(Reading(7, Spot(2.5, QStringLiteral("there")), {1, -2}));
        setPaint(Paint(ShadeEnum::Bright, QStringLiteral("sky")));
        setSpots({Spot(1, QStringLiteral("a")), Spot(2, QStringLiteral("b"))});
        setPlaces({{QStringLiteral("door"), Spot(3, QStringLiteral("c"))}});
        setReadings({Reading(1, Spot(4, QStringLiteral("d")), {}), Reading(2, Spot(), {5})});
    }
    using HallSimpleSource::setLevel;
    using HallSimpleSource::setReady;

    int addOne(int number) override { return number + 1; }
    void remember(const QString &what) override { called("remember", {what}); }
    Spot move(Spot spot, double by) override
    {
        const Spot moved(spot.xPos() + by, spot.label());
        Q_EMIT this->moved(moved);
        return moved;
    }
    QList<Spot> moveAll(const QList<Spot> &spots, double by) override
    {
        QList<Spot> all;
        for (const Spot &spot : spots)
            all << Spot(spot.xPos() + by, spot.label());
        Q_EMIT surveyed(all, byLabel(all));
        return all;
    }
    QMap<QString, Spot> byLabel(const QList<Spot> &spots) override
    {
        QMap<QString, Spot> all;
        for (const Spot &spot : spots)
            all[spot.label()] = spot;
        return all;
    }
    Reading read(Reading reading) override { return Reading(reading.number() + 1, reading.spot(), reading.counts()); }
    ShadeEnum::Shade lighter(ShadeEnum::Shade shade) override
    {
        return shade == ShadeEnum::Dark ? ShadeEnum::Pale : ShadeEnum::Bright;
    }
    Paint repaint(Paint paint) override
    {
        Q_EMIT painted(paint.shade(), paint);
        return Paint(lighter(paint.shade()), paint.name());
    }
    void replacePump(int speed) override { exchange(new Pump(speed, this)); }
    void removePump() override { exchange(nullptr); }

private:
    void exchange(PumpSource *pump)
    {
        PumpSource *old = this->pump();
        setPump(pump);
        if (old)
            old->deleteLater();
    }
};

class Kinds : public KindsSimpleSource
{
public:
    int addOne(int number) override { return number + 1; }
    bool echoTruth(bool value) override { return value; }
    char echoLetter(char value) override { return value; }
    qint8 echoTiny(qint8 value) override { return value; }
    uchar echoOctet(uchar value) override { return value; }
    qint16 echoFew(qint16 value) override { return value; }
    quint16 echoSome(quint16 value) override { return value; }
    int echoNumber(int value) override { return value; }
    uint echoNatural(uint value) override { return value; }
    qint64 echoWide(qint64 value) override { return value; }
    quint64 echoVast(quint64 value) override { return value; }
    float echoSingle(float value) override { return value; }
    double echoReal(double value) override { return value; }
    QChar echoSign(QChar value) override { return value; }
    QString echoText(const QString &value) override { return value; }
    QByteArray echoBlob(QByteArray value) override { return value; }
    QStringList echoNames(QStringList value) override { return value; }
    QDate echoDay(QDate value) override { return value; }
    QTime echoClock(QTime value) override { return value; }
    QDateTime echoMoment(QDateTime value) override { return value; }
    QUrl echoLink(QUrl value) override { return value; }
    QUuid echoIdent(QUuid value) override { return value; }
    QPoint echoPoint(QPoint value) override { return value; }
    QRect echoRect(QRect value) override { return value; }
    QJsonObject echoObject(QJsonObject value) override { return value; }
    QCborMap echoMap(QCborMap value) override { return value; }
    QVariant echoLoose(QVariant value) override { return value; }
    QVariantList echoList(QVariantList value) override { return value; }
    QVariantMap echoTable(QVariantMap value) override { return value; }
    QList<int> echoNumbers(QList<int> value) override { return value; }
    QMap<QString, int> echoTally(QMap<QString, int> value) override { return value; }
};

#if QT_VERSION >= QT_VERSION_CHECK(6, 0, 0)
class Organ : public OrganSimpleSource
{
public:
    Organ()
    {
        setChord(Chord(Chord::Key::Sharp, QStringLiteral("C")));
        setChords({chord(), Chord(Chord::Key::Flat, QStringLiteral("D"))});
    }
    Stops pull(Stops stops) override
    {
        setStops(this->stops() | stops);
        Q_EMIT played(this->stops(), chord());
        return this->stops();
    }
    Chord transpose(Chord chord) override { return Chord(Chord::Key::Plain, chord.name()); }
    ToneEnum::Tone shift(ToneEnum::Tone tone) override
    {
        return tone == ToneEnum::Tone::Low ? ToneEnum::Tone::High : ToneEnum::Tone::Low;
    }
};
#endif

inline void knowTypes()
{
    qRegisterMetaType<ShadeEnum::Shade>("ShadeEnum::Shade");
    qRegisterMetaType<PumpSource::Mode>("PumpSource::Mode");
    qRegisterMetaType<Spot>("Spot");
    qRegisterMetaType<Reading>("Reading");
    qRegisterMetaType<Paint>("Paint");
    knowList<QList<Spot>>("QList<Spot>");
    knowList<QList<Reading>>("QList<Reading>");
    knowMap<QMap<QString, Spot>>("QMap<QString,Spot>");
#if QT_VERSION >= QT_VERSION_CHECK(6, 0, 0)
    qRegisterMetaType<ToneEnum::Tone>("ToneEnum::Tone");
    qRegisterMetaType<Chord>("Chord");
    knowList<QList<Chord>>("QList<Chord>");
#endif
}
