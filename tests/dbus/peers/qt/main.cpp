// QtDBus in C++ as a peer: `qt_peer serve|use ADDRESS [--peer]`. With --peer there is no bus: `serve` is a QDBusServer
// at the address, `use` a QDBusConnection::connectToPeer. Requests and facts are JSON lines, as in speech.py; a value
// of D-Bus is {"type": signature, "value": …} both ways, since JSON alone does not tell an int from a uint.
#include "boiler.h"

static const QString PROPERTIES = QStringLiteral("org.freedesktop.DBus.Properties");

// ------------------------------------------------------------------------------------------------------------ values
static QVariant meant(const QJsonObject &given)
{
    const QString type = given["type"].toString();
    const QJsonValue value = given["value"];
    if (type == "y") return QVariant::fromValue(uchar(value.toInt()));
    if (type == "n") return QVariant::fromValue(short(value.toInt()));
    if (type == "q") return QVariant::fromValue(ushort(value.toInt()));
    if (type == "i") return value.toInt();
    if (type == "u") return uint(value.toInteger());
    if (type == "x") return qlonglong(value.toInteger());
    if (type == "t") return qulonglong(value.toInteger());
    if (type == "d") return value.toDouble();
    if (type == "b") return value.toBool();
    if (type == "s") return value.toString();
    if (type == "o") return QVariant::fromValue(QDBusObjectPath(value.toString()));
    if (type == "v") return QVariant::fromValue(QDBusVariant(meant(value.toObject())));
    if (type == "ay") return QByteArray::fromHex(value.toString().toLatin1());
    if (type == "as") {
        QStringList words;
        for (const QJsonValue &word : value.toArray())
            words << word.toString();
        return words;
    }
    if (type == "(dd)") return QVariant::fromValue(Place{value[0].toDouble(), value[1].toDouble()});
    if (type == "a(is)") {
        RowList rows;
        for (const QJsonValue &row : value.toArray())
            rows << Row{row[0].toInt(), row[1].toString()};
        return QVariant::fromValue(rows);
    }
    qFatal("a value of type %s", qPrintable(type));
    return QVariant();
}

static QJsonValue told(const QVariant &value);

static QJsonObject told(const QVariantMap &map)
{
    QJsonObject entries;
    for (auto entry = map.cbegin(); entry != map.cend(); ++entry)
        entries[entry.key()] = told(entry.value());
    return entries;
}

static QJsonValue read(const QDBusArgument &argument)
{
    const QString type = argument.currentSignature();
    if (type == "(dd)") {
        const Place spot = qdbus_cast<Place>(argument);
        return QJsonArray{spot.x, spot.y};
    }
    if (type == "a(is)") {
        QJsonArray rows;
        for (const Row &row : qdbus_cast<RowList>(argument))
            rows << QJsonArray{row.number, row.text};
        return rows;
    }
    if (type == "a{si}") {
        QJsonObject counts;
        const Counts tally = qdbus_cast<Counts>(argument);
        for (auto entry = tally.cbegin(); entry != tally.cend(); ++entry)
            counts[entry.key()] = entry.value();
        return counts;
    }
    if (type == "a{sv}")
        return told(qdbus_cast<QVariantMap>(argument));
    return QStringLiteral("opaque ") + type;
}

static QJsonValue told(const QVariant &value)
{
    const int type = value.userType();
    if (type == qMetaTypeId<QDBusArgument>())
        return read(value.value<QDBusArgument>());
    if (type == qMetaTypeId<QDBusVariant>())
        return told(value.value<QDBusVariant>().variant());
    if (type == qMetaTypeId<QDBusObjectPath>())
        return value.value<QDBusObjectPath>().path();
    if (type == qMetaTypeId<QDBusUnixFileDescriptor>())
        return readAll(value.value<QDBusUnixFileDescriptor>().fileDescriptor());
    if (type == QMetaType::QByteArray)
        return QString::fromLatin1(value.toByteArray().toHex());
    if (type == QMetaType::UChar || type == QMetaType::UShort || type == QMetaType::Short)
        return value.toInt();
    return QJsonValue::fromVariant(value);
}

static QJsonArray told(const QVariantList &values)
{
    QJsonArray all;
    for (const QVariant &value : values)
        all << told(value);
    return all;
}

static QJsonObject result(const QDBusMessage &answer)
{
    if (answer.type() == QDBusMessage::ErrorMessage)
        return {{"raised", QJsonArray{answer.errorName(), answer.errorMessage()}}};
    return {{"values", told(answer.arguments())}, {"signature", answer.signature()}};
}

// ------------------------------------------------------------------------------------------------------------- roles
class Actor : public QObject
{
    Q_OBJECT
public:
    virtual QJsonValue obey(const QString &verb, const QJsonObject &request) = 0;
};

class Service : public Actor
{
    Q_OBJECT
public:
    Service(const QString &address, bool bus) : m_adaptor(new BoilerAdaptor(&m_object))
    {
        if (bus) {
            QDBusConnection link = QDBusConnection::connectToBus(address, "serve");
            offer(link);
            if (!link.registerService(SERVICE))
                qFatal("%s", qPrintable(link.lastError().message()));
            return;
        }
        m_server.reset(new QDBusServer(address));
        if (!m_server->isConnected())
            qFatal("%s", qPrintable(m_server->lastError().message()));
        connect(m_server.data(), &QDBusServer::newConnection, this, &Service::offer);
    }

    QJsonValue obey(const QString &verb, const QJsonObject &request) override
    {
        const QJsonValue value = request["value"].toObject()["value"];
        if (verb == "fire")
            m_adaptor->Fire(request["count"].toInt());
        else if (verb == "change" && request["name"] == "Label")
            m_adaptor->setLabel(value.toString());
        else if (verb == "change" && request["name"] == "Level")
            m_adaptor->setLevel(value.toDouble());
        return QJsonValue();
    }

private Q_SLOTS:
    void offer(const QDBusConnection &connection)
    {
        QDBusConnection link(connection);
        if (!link.registerObject(PATH, &m_object, QDBusConnection::ExportAdaptors))
            qFatal("%s", qPrintable(link.lastError().message()));
        m_adaptor->tellsChanges(link);
        say({{"event", "offered"}});
    }

private:
    QObject m_object;
    BoilerAdaptor *m_adaptor;
    QScopedPointer<QDBusServer> m_server;
};

class Client : public Actor
{
    Q_OBJECT
public:
    Client(const QString &address, bool bus)
        : m_link(bus ? QDBusConnection::connectToBus(address, "use") : QDBusConnection::connectToPeer(address, "use")),
          m_service(bus ? SERVICE : QString())
    {
        if (!m_link.isConnected())
            qFatal("%s", qPrintable(m_link.lastError().message()));
    }

    QJsonValue obey(const QString &verb, const QJsonObject &request) override
    {
        const QString name = request["name"].toString();
        if (verb == "listen")
            return listen();
        if (verb == "call")
            return call(request["member"].toString(), request["arguments"].toArray());
        if (verb == "get")
            return ask(PROPERTIES, "Get", {INTERFACE, name});
        if (verb == "get_all")
            return ask(PROPERTIES, "GetAll", {INTERFACE});
        if (verb == "set")
            return ask(PROPERTIES, "Set",
                       {INTERFACE, name, QVariant::fromValue(QDBusVariant(meant(request["value"].toObject())))});
        if (verb == "introspect")
            return ask("org.freedesktop.DBus.Introspectable", "Introspect", {});
        if (verb == "read_all")
            return result(interface().call("ReadAll", QVariant::fromValue(openText(request["text"].toString()))));
        if (verb == "open_text")
            return result(interface().call("OpenText", request["text"].toString()));
        if (verb == "members") // what QDBusInterface made of the object's introspection
            return members();
        qFatal("no such request: %s", qPrintable(verb));
        return QJsonValue();
    }

private Q_SLOTS:
    void heard(const QDBusMessage &message)
    {
        say({{"event", "heard"}, {"member", message.member()}, {"values", told(message.arguments())}});
    }
    void changed(const QString &, const QVariantMap &values, const QStringList &)
    {
        say({{"event", "changed"}, {"values", told(values)}});
    }

private:
    QDBusInterface &interface()
    {
        if (!m_interface)
            m_interface.reset(new QDBusInterface(m_service, PATH, INTERFACE, m_link));
        return *m_interface;
    }

    QJsonValue listen()
    {
        bool listening = m_link.connect(m_service, PATH, INTERFACE, "Fired", this, SLOT(heard(QDBusMessage)))
            && m_link.connect(m_service, PATH, INTERFACE, "Moved", this, SLOT(heard(QDBusMessage)))
            && m_link.connect(m_service, PATH, PROPERTIES, "PropertiesChanged", this,
                              SLOT(changed(QString, QVariantMap, QStringList)));
        if (!listening)
            qFatal("not connected to signals");
        ask("org.freedesktop.DBus.Peer", "Ping", {}); // the bus has the match rules when this is answered
        return QJsonValue();
    }

    QJsonValue call(const QString &member, const QJsonArray &given)
    {
        QVariantList arguments;
        for (const QJsonValue &argument : given)
            arguments << meant(argument.toObject());
        return result(interface().callWithArgumentList(QDBus::Block, member, arguments));
    }

    QJsonValue ask(const QString &interface, const QString &member, const QVariantList &arguments)
    {
        QDBusMessage call = QDBusMessage::createMethodCall(m_service, PATH, interface, member);
        call.setArguments(arguments);
        return result(m_link.call(call, QDBus::Block, 15000));
    }

    QJsonValue members()
    {
        const QMetaObject *meta = interface().metaObject();
        QJsonArray names;
        for (int index = meta->methodOffset(); index < meta->methodCount(); ++index)
            names << QString::fromLatin1(meta->method(index).typeName()) + ' '
                    + QString::fromLatin1(meta->method(index).methodSignature());
        for (int index = meta->propertyOffset(); index < meta->propertyCount(); ++index)
            names << QString::fromLatin1(meta->property(index).typeName()) + ' ' + meta->property(index).name();
        return QJsonObject{{"values", names}};
    }

    QDBusConnection m_link;
    QString m_service;
    QScopedPointer<QDBusInterface> m_interface;
};

int main(int argc, char **argv)
{
    QCoreApplication application(argc, argv);
    qDBusRegisterMetaType<Place>();
    qDBusRegisterMetaType<Row>();
    qDBusRegisterMetaType<RowList>();
    qDBusRegisterMetaType<Counts>();
    const QStringList words = application.arguments();
    const bool bus = !words.contains("--peer");
    QScopedPointer<Actor> actor;
    if (words[1] == "serve")
        actor.reset(new Service(words[2], bus));
    else
        actor.reset(new Client(words[2], bus));
    const Ear ear([&actor](const QString &verb, const QJsonObject &request) { return actor->obey(verb, request); });
    say({{"event", "ready"}});
    return application.exec();
}

#include "main.moc"
