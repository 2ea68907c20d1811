#include "boiler.h"

#include <unistd.h>

int BoilerAdaptor::AddOne(int number)
{
    say({{"event", "called"}, {"member", "AddOne"}});
    return number + 1;
}

QString BoilerAdaptor::Split(const QString &text, int &length)
{
    length = int(text.size());
    return text.toUpper();
}

Place BoilerAdaptor::Move(const Place &spot)
{
    m_spot = spot;
    tell(QStringLiteral("Spot"), QVariant::fromValue(spot));
    emit Moved(spot);
    return spot;
}

Counts BoilerAdaptor::Tally(const QStringList &words)
{
    Counts counts;
    for (const QString &word : words)
        ++counts[word];
    return counts;
}

QString BoilerAdaptor::Shift(const QString &gear)
{
    return gear == "IDLE" ? "FIRST" : gear == "FIRST" ? "REVERSE" : "IDLE";
}

uchar BoilerAdaptor::Basics(uchar a, short b, ushort c, int d, uint e, qlonglong f, qulonglong g, double h, bool i,
                            const QString &j, short &b2, ushort &c2, int &d2, uint &e2, qlonglong &f2, qulonglong &g2,
                            double &h2, bool &i2, QString &j2)
{
    b2 = b, c2 = c, d2 = d, e2 = e, f2 = f, g2 = g, h2 = h, i2 = i, j2 = j;
    return a;
}

QString BoilerAdaptor::ReadAll(const QDBusUnixFileDescriptor &source)
{
    return readAll(source.fileDescriptor());
}

QDBusUnixFileDescriptor BoilerAdaptor::OpenText(const QString &text)
{
    return openText(text);
}

void BoilerAdaptor::Refuse(const QString &why, const QDBusMessage &call)
{
    call.setDelayedReply(true);
    for (const QDBusConnection &link : m_links)
        link.send(call.createErrorReply(REFUSED, why));
}

void BoilerAdaptor::Fire(int count)
{
    for (int number = 0; number < count; ++number)
        emit Fired(number, QStringLiteral("asked"));
}

void BoilerAdaptor::Forget(const QString &text)
{
    say({{"event", "called"}, {"member", "Forget"}, {"text", text}});
}

QVariantMap BoilerAdaptor::table() const
{
    return {{"rate", 0.5}, {"name", "hall"}};
}

void BoilerAdaptor::setLevel(double value)
{
    m_level = value;
    emit LevelChanged(value); // and QtDBus emits no PropertiesChanged: only who wrote this class can
}

void BoilerAdaptor::setLabel(const QString &value)
{
    m_label = value;
    tell(QStringLiteral("Label"), value);
}

void BoilerAdaptor::tell(const QString &name, const QVariant &value)
{
    QDBusMessage changed = QDBusMessage::createSignal(
        PATH, QStringLiteral("org.freedesktop.DBus.Properties"), QStringLiteral("PropertiesChanged"));
    changed << INTERFACE << QVariantMap{{name, value}} << QStringList();
    for (const QDBusConnection &link : m_links)
        link.send(changed);
}

QString readAll(int descriptor)
{
    QFile source;
    if (!source.open(::dup(descriptor), QIODevice::ReadOnly, QFileDevice::AutoCloseHandle))
        return QString();
    return QString::fromUtf8(source.readAll());
}

QDBusUnixFileDescriptor openText(const QString &text)
{
    int ends[2];
    if (::pipe(ends) != 0)
        return QDBusUnixFileDescriptor();
    const QByteArray data = text.toUtf8();
    const bool written = ::write(ends[1], data.constData(), size_t(data.size())) == data.size();
    ::close(ends[1]);
    QDBusUnixFileDescriptor reading(written ? ends[0] : -1); // duplicates it
    ::close(ends[0]);
    return reading;
}
