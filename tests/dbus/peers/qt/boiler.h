// What the Qt peer offers and uses: the boiler of the other peers, as a QDBusAbstractAdaptor with real structures.
#pragma once

#include <QtCore>
#include <QtDBus>

#include "jsonlines.h"

inline const QString SERVICE = QStringLiteral("org.acme.Plant");
inline const QString PATH = QStringLiteral("/org/acme/Plant/boiler");
inline const QString INTERFACE = QStringLiteral("org.acme.Plant.Boiler1");
inline const QString REFUSED = QStringLiteral("org.acme.Plant.Error.Refused");

struct Place {
    double x = 0, y = 0;
};
struct Row {
    int number = 0;
    QString text;
};
using RowList = QList<Row>;
using Counts = QMap<QString, int>;
Q_DECLARE_METATYPE(Place)
Q_DECLARE_METATYPE(Row)
Q_DECLARE_METATYPE(RowList)
Q_DECLARE_METATYPE(Counts)

inline QDBusArgument &operator<<(QDBusArgument &out, const Place &spot)
{
    out.beginStructure();
    out << spot.x << spot.y;
    out.endStructure();
    return out;
}
inline const QDBusArgument &operator>>(const QDBusArgument &in, Place &spot)
{
    in.beginStructure();
    in >> spot.x >> spot.y;
    in.endStructure();
    return in;
}
inline QDBusArgument &operator<<(QDBusArgument &out, const Row &row)
{
    out.beginStructure();
    out << row.number << row.text;
    out.endStructure();
    return out;
}
inline const QDBusArgument &operator>>(const QDBusArgument &in, Row &row)
{
    in.beginStructure();
    in >> row.number >> row.text;
    in.endStructure();
    return in;
}

class BoilerAdaptor : public QDBusAbstractAdaptor
{
    Q_OBJECT
    Q_CLASSINFO("D-Bus Interface", "org.acme.Plant.Boiler1")
    Q_PROPERTY(double Level READ level WRITE setLevel NOTIFY LevelChanged)
    Q_PROPERTY(QString Label READ label WRITE setLabel)
    Q_PROPERTY(Place Spot READ spot)
    Q_PROPERTY(QVariantMap Table READ table)

public:
    explicit BoilerAdaptor(QObject *parent) : QDBusAbstractAdaptor(parent) { }

    double level() const { return m_level; }
    void setLevel(double value);
    QString label() const { return m_label; }
    void setLabel(const QString &value);
    Place spot() const { return m_spot; }
    QVariantMap table() const;
    void tellsChanges(const QDBusConnection &link) { m_links << link; }

public Q_SLOTS:
    int AddOne(int number);
    QString Split(const QString &text, int &length);
    Place Move(const Place &spot);
    Counts Tally(const QStringList &words);
    QDBusVariant Wrap(const QDBusVariant &value) { return value; }
    QString Shift(const QString &gear);
    RowList Rows(const RowList &rows) { return rows; }
    QByteArray Data(const QByteArray &data) { return data; }
    uchar Basics(uchar a, short b, ushort c, int d, uint e, qlonglong f, qulonglong g, double h, bool i,
                 const QString &j, short &b2, ushort &c2, int &d2, uint &e2, qlonglong &f2, qulonglong &g2, double &h2,
                 bool &i2, QString &j2);
    QString ReadAll(const QDBusUnixFileDescriptor &source);
    QDBusUnixFileDescriptor OpenText(const QString &text);
    void Refuse(const QString &why, const QDBusMessage &call);
    void Fire(int count);
    Q_NOREPLY void Forget(const QString &text);

Q_SIGNALS:
    void Fired(int count, const QString &why);
    void Moved(const Place &spot);
    void LevelChanged(double level);

private:
    void tell(const QString &name, const QVariant &value);

    double m_level = 1.5;
    QString m_label = QStringLiteral("plain");
    Place m_spot{1.0, 2.0};
    QList<QDBusConnection> m_links;
};

QString readAll(int descriptor);
QDBusUnixFileDescriptor openText(const QString &text);
