#include "values.h"

#include <stdexcept>

QHash<int, Container> &containers()
{
    static QHash<int, Container> known;
    return known;
}

int typeNumber(const QByteArray &name)
{
#if QT_VERSION >= QT_VERSION_CHECK(6, 0, 0)
    return QMetaType::fromName(name).id();
#else
    return QMetaType::type(name);
#endif
}

QVariant blank(int type)
{
#if QT_VERSION >= QT_VERSION_CHECK(6, 0, 0)
    return QVariant(QMetaType(type));
#else
    return QVariant(type, nullptr);
#endif
}

static const QMetaObject *gadgetOf(int type)
{
#if QT_VERSION >= QT_VERSION_CHECK(6, 0, 0)
    const QMetaType metaType(type);
    return metaType.flags() & QMetaType::IsGadget ? metaType.metaObject() : nullptr;
#else
    return QMetaType(type).flags() & QMetaType::IsGadget ? QMetaType::metaObjectForType(type) : nullptr;
#endif
}

static bool isEnum(int type)
{
    return QMetaType(type).flags() & QMetaType::IsEnumeration;
}

static int sizeOf(int type)
{
    return int(QMetaType(type).sizeOf());
}

static bool pointsToObject(int type)
{
    return QMetaType(type).flags() & QMetaType::PointerToQObject;
}

static qint64 integer(const void *data, int size)
{
    switch (size) {
    case 1: return *static_cast<const qint8 *>(data);
    case 2: return *static_cast<const qint16 *>(data);
    case 8: return *static_cast<const qint64 *>(data);
    default: return *static_cast<const qint32 *>(data);
    }
}

static void put(void *data, int size, qint64 number)
{
    switch (size) {
    case 1: *static_cast<qint8 *>(data) = qint8(number); break;
    case 2: *static_cast<qint16 *>(data) = qint16(number); break;
    case 8: *static_cast<qint64 *>(data) = number; break;
    default: *static_cast<qint32 *>(data) = qint32(number);
    }
}

static QJsonArray numbers(std::initializer_list<double> all)
{
    QJsonArray array;
    for (double number : all)
        array << number;
    return array;
}

// ------------------------------------------------------------------------------------------------------------- told
static QString moment(const QDateTime &value)
{
    if (!value.isValid())
        return QString();
    const QString text = value.toString(Qt::ISODateWithMs);
    return value.timeSpec() == Qt::TimeZone ? text + '[' + QString::fromLatin1(value.timeZone().id()) + ']' : text;
}

static QString encoded(QCborValue value)
{
    return QString::fromLatin1(value.toCbor().toHex());
}

template <typename Map>
static QJsonObject entries(const Map &map)
{
    QJsonObject all;
    for (auto entry = map.cbegin(); entry != map.cend(); ++entry)
        all[entry.key()] = told(entry.value());
    return all;
}

static QJsonValue geometry(const QVariant &value)
{
    switch (value.userType()) {
    case QMetaType::QPoint: return numbers({double(value.toPoint().x()), double(value.toPoint().y())});
    case QMetaType::QPointF: return numbers({value.toPointF().x(), value.toPointF().y()});
    case QMetaType::QSize: return numbers({double(value.toSize().width()), double(value.toSize().height())});
    case QMetaType::QSizeF: return numbers({value.toSizeF().width(), value.toSizeF().height()});
    case QMetaType::QRect: {
        const QRect rect = value.toRect();
        return numbers({double(rect.x()), double(rect.y()), double(rect.width()), double(rect.height())});
    }
    case QMetaType::QRectF: {
        const QRectF rect = value.toRectF();
        return numbers({rect.x(), rect.y(), rect.width(), rect.height()});
    }
    case QMetaType::QLine: {
        const QLine line = value.toLine();
        return numbers({double(line.x1()), double(line.y1()), double(line.x2()), double(line.y2())});
    }
    case QMetaType::QLineF: {
        const QLineF line = value.toLineF();
        return numbers({line.x1(), line.y1(), line.x2(), line.y2()});
    }
    default: return QJsonValue(QJsonValue::Undefined);
    }
}

static QJsonValue json(const QVariant &value)
{
    switch (value.userType()) {
    case QMetaType::QJsonValue: return value.toJsonValue();
    case QMetaType::QJsonObject: return value.toJsonObject();
    case QMetaType::QJsonArray: return value.toJsonArray();
    case QMetaType::QJsonDocument: {
        const QJsonDocument document = value.toJsonDocument();
        return document.isArray() ? QJsonValue(document.array()) : QJsonValue(document.object());
    }
    case QMetaType::QCborValue: return encoded(value.value<QCborValue>());
    case QMetaType::QCborArray: return encoded(value.value<QCborArray>());
    case QMetaType::QCborMap: return encoded(value.value<QCborMap>());
    default: return QJsonValue(QJsonValue::Undefined);
    }
}

static QJsonValue plain(const QVariant &value)
{
    switch (value.userType()) {
    case QMetaType::UnknownType:
    case QMetaType::Nullptr: return QJsonValue();
    case QMetaType::Bool: return value.toBool();
    case QMetaType::Int: return value.toInt();
    case QMetaType::UInt: return double(value.toUInt());
    case QMetaType::Long:
    case QMetaType::LongLong: return QString::number(value.toLongLong());
    case QMetaType::ULong:
    case QMetaType::ULongLong: return QString::number(value.toULongLong());
    case QMetaType::Short: return value.value<short>();
    case QMetaType::UShort: return value.value<ushort>();
    case QMetaType::Char: return int(value.value<char>());
    case QMetaType::SChar: return int(value.value<signed char>());
    case QMetaType::UChar: return int(value.value<uchar>());
    case QMetaType::Float: return double(value.toFloat());
    case QMetaType::Double: return value.toDouble();
    case QMetaType::QChar: return QString(value.toChar());
    case QMetaType::QString: return value.toString();
    case QMetaType::QByteArray: return QString::fromLatin1(value.toByteArray().toHex());
    case QMetaType::QStringList: return QJsonArray::fromStringList(value.toStringList());
    case QMetaType::QVariantList: return told(value.toList());
    case QMetaType::QVariantMap: return entries(value.toMap());
    case QMetaType::QVariantHash: return entries(value.toHash());
    case QMetaType::QDate: return value.toDate().toString(Qt::ISODate);
    case QMetaType::QTime: return value.toTime().toString(Qt::ISODateWithMs);
    case QMetaType::QDateTime: return moment(value.toDateTime());
    case QMetaType::QUrl: return value.toUrl().toString(QUrl::FullyEncoded);
    case QMetaType::QUuid: return value.toUuid().toString(QUuid::WithoutBraces);
    case QMetaType::QLocale: return value.toLocale().name();
    case QMetaType::QVariant: return told(value.value<QVariant>());
    case QMetaType::QRegularExpression: {
        const QRegularExpression pattern = value.toRegularExpression();
        return QJsonArray{pattern.pattern(), int(pattern.patternOptions())};
    }
    case QMetaType::QBitArray: {
        QString bits;
        const QBitArray all = value.toBitArray();
        for (int place = 0; place < all.size(); ++place)
            bits += all[place] ? '1' : '0';
        return bits;
    }
    default: return QJsonValue(QJsonValue::Undefined);
    }
}

// What a dynamic replica has instead of a container of structures, for example.
static QJsonValue anyContainer(const QVariant &value)
{
    // Qt 6's private classes for a dynamic replica; they derive from these public ones and convert to nothing.
    const QByteArray type = value.typeName();
    if (type == "QtROSequentialContainer")
        return told(*static_cast<const QVariantList *>(value.constData()));
    if (type == "QtROAssociativeContainer")
        return entries(*static_cast<const QVariantMap *>(value.constData()));
    QJsonArray items;
    if (value.canConvert<QVariantMap>()) {
        const QAssociativeIterable all = value.value<QAssociativeIterable>();
        for (auto entry = all.begin(); entry != all.end(); ++entry)
            items << QJsonArray{told(QVariant(entry.key())), told(QVariant(entry.value()))};
        return items;
    }
    if (!value.canConvert<QVariantList>())
        return QStringLiteral("opaque");
    const QSequentialIterable all = value.value<QSequentialIterable>();
    for (const QVariant &item : all)
        items << told(item);
    return items;
}

static QJsonValue own(const QVariant &value)
{
    const int type = value.userType();
    if (containers().contains(type))
        return containers()[type].tell(value);
    if (pointsToObject(type)) {
        const QObject *object = *static_cast<QObject *const *>(value.constData());
        return object ? QJsonValue(QString::fromLatin1(object->metaObject()->className())) : QJsonValue();
    }
    if (isEnum(type))
        return double(integer(value.constData(), sizeOf(type)));
    if (const QMetaObject *meta = gadgetOf(type)) {
        QJsonObject fields;
        for (int index = 0; index < meta->propertyCount(); ++index)
            fields[meta->property(index).name()] = told(meta->property(index).readOnGadget(value.constData()));
        return fields;
    }
    return anyContainer(value);
}

QJsonArray told(const QVariant &value)
{
    QJsonValue content = plain(value);
    for (auto tell : {geometry, json, own})
        if (content.isUndefined())
            content = tell(value);
    return {value.isValid() ? QString::fromLatin1(value.typeName()) : QStringLiteral("invalid"), content};
}

QJsonArray told(const QVariantList &values)
{
    QJsonArray all;
    for (const QVariant &value : values)
        all << told(value);
    return all;
}

// ------------------------------------------------------------------------------------------------------------ meant
static QDateTime momentMeant(const QString &text)
{
    const auto bracket = text.indexOf('[');
    if (bracket < 0)
        return QDateTime::fromString(text, Qt::ISODateWithMs);
    const QTimeZone zone(text.mid(bracket + 1, text.size() - bracket - 2).toLatin1());
    return QDateTime::fromString(text.left(bracket), Qt::ISODateWithMs).toTimeZone(zone);
}

template <typename Map>
static Map entriesMeant(const QJsonObject &content)
{
    Map map;
    for (auto entry = content.begin(); entry != content.end(); ++entry)
        map[entry.key()] = meant(entry.value());
    return map;
}

static QVariant geometryMeant(int type, const QJsonArray &n)
{
    const auto real = [&](int place) { return n[place].toDouble(); };
    const auto whole = [&](int place) { return n[place].toInt(); };
    switch (type) {
    case QMetaType::QPoint: return QPoint(whole(0), whole(1));
    case QMetaType::QPointF: return QPointF(real(0), real(1));
    case QMetaType::QSize: return QSize(whole(0), whole(1));
    case QMetaType::QSizeF: return QSizeF(real(0), real(1));
    case QMetaType::QRect: return QRect(whole(0), whole(1), whole(2), whole(3));
    case QMetaType::QRectF: return QRectF(real(0), real(1), real(2), real(3));
    case QMetaType::QLine: return QLine(whole(0), whole(1), whole(2), whole(3));
    case QMetaType::QLineF: return QLineF(real(0), real(1), real(2), real(3));
    default: return QVariant();
    }
}

static QVariant jsonMeant(int type, const QJsonValue &content)
{
    const auto decoded = [&] { return QCborValue::fromCbor(QByteArray::fromHex(content.toString().toLatin1())); };
    switch (type) {
    case QMetaType::QJsonValue: return QVariant::fromValue(content);
    case QMetaType::QJsonObject: return content.toObject();
    case QMetaType::QJsonArray: return content.toArray();
    case QMetaType::QJsonDocument:
        return content.isArray() ? QJsonDocument(content.toArray()) : QJsonDocument(content.toObject());
    case QMetaType::QCborValue: return QVariant::fromValue(decoded());
    case QMetaType::QCborArray: return QVariant::fromValue(decoded().toArray());
    case QMetaType::QCborMap: return QVariant::fromValue(decoded().toMap());
    default: return QVariant();
    }
}

static QVariant plainMeant(int type, const QJsonValue &content)
{
    const QString text = content.toString();
    const int number = content.toInt();
    switch (type) {
    case QMetaType::Bool: return content.toBool();
    case QMetaType::Int: return number;
    case QMetaType::UInt: return uint(content.toDouble());
    case QMetaType::Long: return QVariant::fromValue(long(text.toLongLong()));
    case QMetaType::LongLong: return text.toLongLong();
    case QMetaType::ULong: return QVariant::fromValue(ulong(text.toULongLong()));
    case QMetaType::ULongLong: return text.toULongLong();
    case QMetaType::Short: return QVariant::fromValue(short(number));
    case QMetaType::UShort: return QVariant::fromValue(ushort(number));
    case QMetaType::Char: return QVariant::fromValue(char(number));
    case QMetaType::SChar: return QVariant::fromValue(static_cast<signed char>(number));
    case QMetaType::UChar: return QVariant::fromValue(uchar(number));
    case QMetaType::Float: return float(content.toDouble());
    case QMetaType::Double: return content.toDouble();
    case QMetaType::QChar: return text[0];
    case QMetaType::QString: return text;
    case QMetaType::QByteArray: return QByteArray::fromHex(text.toLatin1());
    case QMetaType::QStringList: {
        QStringList words;
        for (const QJsonValue &word : content.toArray())
            words << word.toString();
        return words;
    }
    case QMetaType::QVariantList: return meant(content.toArray());
    case QMetaType::QVariantMap: return entriesMeant<QVariantMap>(content.toObject());
    case QMetaType::QVariantHash: return entriesMeant<QVariantHash>(content.toObject());
    case QMetaType::QDate: return QDate::fromString(text, Qt::ISODate);
    case QMetaType::QTime: return QTime::fromString(text, Qt::ISODateWithMs);
    case QMetaType::QDateTime: return momentMeant(text);
    case QMetaType::QUrl: return QUrl(text);
    case QMetaType::QUuid: return QUuid(text);
    case QMetaType::QLocale: return QLocale(text);
    case QMetaType::QRegularExpression:
        return QRegularExpression(content.toArray()[0].toString(),
                                  QRegularExpression::PatternOptions(content.toArray()[1].toInt()));
    case QMetaType::QBitArray: {
        QBitArray bits(int(text.size()));
        for (int place = 0; place < bits.size(); ++place)
            bits.setBit(place, text[place] == '1');
        return bits;
    }
    default: return QVariant();
    }
}

static QVariant ownMeant(int type, const QJsonValue &content)
{
    if (containers().contains(type))
        return containers()[type].mean(content);
    QVariant value = blank(type);
    if (isEnum(type)) {
        put(value.data(), sizeOf(type), qint64(content.toDouble()));
    } else if (const QMetaObject *meta = gadgetOf(type)) {
        const QJsonObject fields = content.toObject();
        for (int index = 0; index < meta->propertyCount(); ++index)
            meta->property(index).writeOnGadget(value.data(), meant(fields[meta->property(index).name()]));
    } else {
        throw std::runtime_error(std::string("nobody can spell a ") + value.typeName());
    }
    return value;
}

QVariant meant(const QString &name, const QJsonValue &content)
{
    if (name == "invalid")
        return QVariant();
    const int type = typeNumber(name.toLatin1());
    if (type == QMetaType::UnknownType)
        throw std::runtime_error("no type is called " + name.toStdString());
    if (type == QMetaType::QVariant)
        return QVariant::fromValue(meant(content));
    QVariant value = plainMeant(type, content);
    if (!value.isValid() && content.isArray())
        value = geometryMeant(type, content.toArray());
    if (!value.isValid())
        value = jsonMeant(type, content);
    return value.isValid() ? value : ownMeant(type, content);
}

QVariant meant(const QJsonValue &spelt)
{
    return meant(spelt.toArray()[0].toString(), spelt.toArray()[1]);
}

QVariantList meant(const QJsonArray &spelt)
{
    QVariantList values;
    for (const QJsonValue &value : spelt)
        values << meant(value);
    return values;
}

void knowContainers()
{
    knowList<QList<int>>("QList<int>");
    knowList<QList<double>>("QList<double>");
    knowMap<QMap<QString, int>>("QMap<QString,int>");
    knowMap<QHash<int, QString>>("QHash<int,QString>");
#if QT_VERSION < QT_VERSION_CHECK(6, 0, 0)
    qRegisterMetaTypeStreamOperators<QList<int>>();
    qRegisterMetaTypeStreamOperators<QList<double>>();
    qRegisterMetaTypeStreamOperators<QMap<QString, int>>();
    qRegisterMetaTypeStreamOperators<QHash<int, QString>>();
#endif
}
