// A Qt program that uses objects. What a test can ask for is in `User::User`.
#include "pch.h"
#include "rep_plant_replica.h"
#if QT_VERSION >= QT_VERSION_CHECK(6, 0, 0)
#include "rep_modern_replica.h"
#endif

static QJsonArray pathOf(const QModelIndex &index)
{
    QJsonArray path;
    for (QModelIndex here = index; here.isValid(); here = here.parent())
        path.prepend(QJsonArray{here.row(), here.column()});
    return path;
}

// Tells of each emission of a signal, whatever its types.
class Listener : public QObject
{
public:
    Listener(QObject *sender, int index, const QJsonObject &fact) : QObject(sender), m_fact(fact)
    {
        const QMetaMethod method = sender->metaObject()->method(index);
        for (int place = 0; place < method.parameterCount(); ++place)
            m_types << method.parameterType(place);
        QMetaObject::connect(sender, index, this, QObject::staticMetaObject.methodCount(), Qt::DirectConnection);
    }

    int qt_metacall(QMetaObject::Call call, int index, void **given) override
    {
        index = QObject::qt_metacall(call, index, given);
        if (index != 0 || call != QMetaObject::InvokeMetaMethod)
            return index;
        QJsonArray arguments;
        for (int place = 0; place < m_types.size(); ++place)
            arguments << told(argument(m_types[place], given[place + 1]));
        m_fact["arguments"] = arguments;
        say(m_fact);
        return -1;
    }

private:
    static QVariant argument(int type, void *given)
    {
        if (type == QMetaType::QVariant)
            return *static_cast<QVariant *>(given);
#if QT_VERSION >= QT_VERSION_CHECK(6, 0, 0)
        return QVariant(QMetaType(type), given);
#else
        return QVariant(type, given);
#endif
    }

    QJsonObject m_fact;
    QVector<int> m_types;
};

class User
{
public:
    User();
    QJsonValue obey(const QString &verb, const QJsonObject &request)
    {
        if (!m_verbs.contains(verb))
            throw std::runtime_error("no such request: " + verb.toStdString());
        return m_verbs[verb](request);
    }

private:
    using Verb = std::function<QJsonValue(const QJsonObject &)>;

    QRemoteObjectReplica *acquire(const QString &cls, const QString &name);
    void keep(const QString &name, QRemoteObjectReplica *replica);
    void keep(const QString &name, QAbstractItemModelReplica *model);
    QJsonValue take(const QString &name, const QByteArray &property, const QString &as);
    bool listen(const QString &name, const QByteArray &signal);
    QJsonValue call(const QJsonObject &request, bool wait);
    QJsonValue connectTls(const QJsonObject &request);
    void followRegistry();
    void addModelVerbs();

    QObject *object(const QString &name) const;
    QRemoteObjectReplica *replica(const QJsonObject &request) const;
    QAbstractItemModelReplica *model(const QJsonObject &request) const;
    QModelIndex at(const QJsonObject &request) const;

    QHash<QString, Verb> m_verbs;
    QRemoteObjectNode m_node;
    QHash<QString, QObject *> m_kept;
    int m_calls = 0;
};

static QString stateName(QRemoteObjectReplica::State state)
{
    return QString::fromLatin1(QMetaEnum::fromType<QRemoteObjectReplica::State>().valueToKey(state));
}

static QJsonObject place(const QRemoteObjectSourceLocation &where)
{
    return {{"name", where.first}, {"type", where.second.typeName}, {"url", where.second.hostUrl.toString()}};
}

static QJsonObject finished(const QRemoteObjectPendingCall &call)
{
    const bool failed = call.error() != QRemoteObjectPendingCall::NoError;
    return {{"finished", call.isFinished()}, {"error", failed ? "InvalidMessage" : "NoError"},
            {"value", told(call.returnValue())}};
}

// Registers the types of plant.rep and modern.rep; a node with dynamic replicas alone learns them from its hosts.
static void knowTypes()
{
    qRegisterMetaType<ShadeEnum::Shade>("ShadeEnum::Shade");
    qRegisterMetaType<PumpReplica::Mode>("PumpReplica::Mode");
    qRegisterMetaType<PumpReplica::Mode>("Mode"); // as its slots say
    qRegisterMetaType<Spot>("Spot");
    qRegisterMetaType<Reading>("Reading");
    qRegisterMetaType<Paint>("Paint");
    knowList<QList<Spot>>("QList<Spot>");
    knowList<QList<Reading>>("QList<Reading>");
    knowMap<QMap<QString, Spot>>("QMap<QString,Spot>");
#if QT_VERSION >= QT_VERSION_CHECK(6, 0, 0)
    qRegisterMetaType<OrganReplica::Stops>("Stops");
    qRegisterMetaType<ToneEnum::Tone>("ToneEnum::Tone");
    qRegisterMetaType<Chord>("Chord");
    knowList<QList<Chord>>("QList<Chord>");
#endif
}

User::User()
{
    QObject::connect(&m_node, &QRemoteObjectNode::error, [](QRemoteObjectNode::ErrorCode code) {
        const auto codes = QMetaEnum::fromType<QRemoteObjectNode::ErrorCode>();
        say({{"event", "node error"}, {"code", codes.valueToKey(code)}});
    });
    m_verbs["connect"] = [this](const QJsonObject &r) { return m_node.connectToNode(QUrl(r["url"].toString())); };
    m_verbs["connect_external"] = [this](const QJsonObject &r) {
        auto *socket = new QTcpSocket(&m_node);
        socket->connectToHost(QStringLiteral("127.0.0.1"), quint16(r["port"].toInt()));
        if (!socket->waitForConnected(5000))
            throw std::runtime_error(socket->errorString().toStdString());
        QObject::connect(socket, &QAbstractSocket::disconnected, [] { say({{"event", "disconnected"}}); });
        m_node.addClientSideConnection(socket);
        return QJsonValue();
    };
    m_verbs["connect_tls"] = [this](const QJsonObject &r) { return connectTls(r); };
    m_verbs["heartbeat"] = [this](const QJsonObject &r) {
        m_node.setHeartbeatInterval(r["milliseconds"].toInt());
        return QJsonValue();
    };
    m_verbs["registry"] = [this](const QJsonObject &r) {
        const bool done = m_node.setRegistryUrl(QUrl(r["url"].toString()));
        followRegistry();
        return done;
    };
    m_verbs["locations"] = [this](const QJsonObject &) {
        QJsonObject all;
        const auto locations = m_node.registry()->sourceLocations();
        for (auto entry = locations.cbegin(); entry != locations.cend(); ++entry)
            all[entry.key()] = QJsonArray{entry->typeName, entry->hostUrl.toString()};
        return all;
    };
    m_verbs["acquire"] = [this](const QJsonObject &r) {
        keep(r["name"].toString(), static_cast<QRemoteObjectReplica *>(m_node.acquireDynamic(r["name"].toString())));
        return QJsonValue();
    };
    m_verbs["know_types"] = [](const QJsonObject &) {
        knowTypes();
        return QJsonValue();
    };
    m_verbs["acquire_static"] = [this](const QJsonObject &r) {
        knowTypes();
        keep(r["name"].toString(), acquire(r["cls"].toString(), r["name"].toString()));
        return QJsonValue();
    };
    m_verbs["acquire_model"] = [this](const QJsonObject &r) {
        const auto action = r["prefetch"].toBool() ? QtRemoteObjects::PrefetchData : QtRemoteObjects::FetchRootSize;
        QVector<int> roles;
        for (const QJsonValue &role : r["roles"].toArray())
            roles << role.toInt();
        keep(r["name"].toString(), m_node.acquireModel(r["name"].toString(), action, roles));
        return QJsonValue();
    };
    m_verbs["take"] = [this](const QJsonObject &r) {
        return take(r["name"].toString(), r["prop"].toString().toLatin1(), r["as"].toString());
    };
    m_verbs["release"] = [this](const QJsonObject &r) {
        m_kept.take(r["name"].toString())->deleteLater();
        return QJsonValue();
    };
    m_verbs["state"] = [this](const QJsonObject &r) { return stateName(replica(r)->state()); };
    m_verbs["get"] = [this](const QJsonObject &r) {
        return told(object(r["name"].toString())->property(r["prop"].toString().toLatin1()));
    };
    m_verbs["set"] = [this](const QJsonObject &r) {
        return object(r["name"].toString())->setProperty(r["prop"].toString().toLatin1(), meant(r["value"]));
    };
    m_verbs["members"] = [this](const QJsonObject &r) {
        const QMetaObject *meta = object(r["name"].toString())->metaObject();
        QJsonObject properties;
        for (int index = meta->propertyOffset(); index < meta->propertyCount(); ++index)
            properties[meta->property(index).name()] = meta->property(index).typeName();
        QJsonArray methods;
        for (int index = meta->methodOffset(); index < meta->methodCount(); ++index)
            methods << QString::fromLatin1(meta->method(index).typeName()) + ' '
                    + QString::fromLatin1(meta->method(index).methodSignature());
        return QJsonArray{properties, methods};
    };
    m_verbs["listen"] = [this](const QJsonObject &r) {
        return listen(r["name"].toString(), r["signal"].toString().toLatin1());
    };
    m_verbs["call"] = [this](const QJsonObject &r) { return call(r, false); };
    m_verbs["ask"] = [this](const QJsonObject &r) { return call(r, r["wait"].toBool()); };
    addModelVerbs();
}

void User::addModelVerbs()
{
    m_verbs["size"] = [this](const QJsonObject &r) {
        return QJsonArray{model(r)->rowCount(at(r)), model(r)->columnCount(at(r))};
    };
    m_verbs["cell"] = [this](const QJsonObject &r) { // what is known now; asks for the rest
        const int role = r["role"].toInt();
        const bool known = model(r)->hasData(at(r), role);
        return QJsonArray{known, told(model(r)->data(at(r), role))};
    };
    m_verbs["set_cell"] = [this](const QJsonObject &r) {
        return model(r)->setData(at(r), meant(r["value"]), r["role"].toInt());
    };
    m_verbs["header"] = [this](const QJsonObject &r) {
        return told(model(r)->headerData(r["section"].toInt(), Qt::Orientation(r["orientation"].toInt()),
                                         r["role"].toInt()));
    };
    m_verbs["flags"] = [this](const QJsonObject &r) { return int(model(r)->flags(at(r))); };
    m_verbs["has_children"] = [this](const QJsonObject &r) { return model(r)->hasChildren(at(r)); };
    m_verbs["roles"] = [this](const QJsonObject &r) {
        QJsonObject names;
        const QHash<int, QByteArray> known = model(r)->roleNames();
        for (int role : model(r)->availableRoles())
            names[QString::number(role)] = QString::fromUtf8(known.value(role));
        return names;
    };
    m_verbs["is_initialized"] = [this](const QJsonObject &r) { return model(r)->isInitialized(); };
    m_verbs["set_current"] = [this](const QJsonObject &r) {
        model(r)->selectionModel()->setCurrentIndex(at(r), QItemSelectionModel::ClearAndSelect);
        return QJsonValue();
    };
}

// ---------------------------------------------------------------------------------------------------------- replicas
QRemoteObjectReplica *User::acquire(const QString &cls, const QString &name)
{
    if (cls == "Hall")
        return m_node.acquire<HallReplica>(name);
    if (cls == "Pump")
        return m_node.acquire<PumpReplica>(name);
    if (cls == "Valve")
        return m_node.acquire<ValveReplica>(name);
    if (cls == "Kinds")
        return m_node.acquire<KindsReplica>(name);
#if QT_VERSION >= QT_VERSION_CHECK(6, 0, 0)
    if (cls == "Organ")
        return m_node.acquire<OrganReplica>(name);
#endif
    throw std::runtime_error("no class " + cls.toStdString());
}

void User::keep(const QString &name, QRemoteObjectReplica *replica)
{
    m_kept[name] = replica;
    QObject::connect(replica, &QRemoteObjectReplica::initialized, [name] {
        say({{"event", "initialized"}, {"object", name}});
    });
    QObject::connect(replica, &QRemoteObjectReplica::stateChanged, [name](QRemoteObjectReplica::State state) {
        say({{"event", "state"}, {"object", name}, {"state", stateName(state)}});
    });
    if (replica->state() == QRemoteObjectReplica::Valid)
        say({{"event", "state"}, {"object", name}, {"state", "Valid"}});
}

void User::keep(const QString &name, QAbstractItemModelReplica *model)
{
    using Model = QAbstractItemModel;
    m_kept[name] = model;
    const auto tell = [name](const char *what, QJsonObject facts) {
        facts["event"] = what;
        facts["object"] = name;
        say(facts);
    };
    const auto rows = [tell](const char *what) {
        return [tell, what](const QModelIndex &parent, int first, int last) {
            tell(what, {{"parent", pathOf(parent)}, {"first", first}, {"last", last}});
        };
    };
    const auto initialized = [tell] { tell("initialized", {}); };
    QObject::connect(model, &QAbstractItemModelReplica::initialized, initialized);
    QObject::connect(model, &Model::rowsInserted, rows("rows inserted"));
    QObject::connect(model, &Model::rowsRemoved, rows("rows removed"));
    QObject::connect(model, &Model::columnsInserted, rows("columns inserted"));
    QObject::connect(model, &Model::rowsMoved,
                     [tell](const QModelIndex &, int first, int last, const QModelIndex &, int to) {
                         tell("rows moved", {{"first", first}, {"last", last}, {"to", to}});
                     });
    QObject::connect(model, &Model::dataChanged,
                     [tell](const QModelIndex &from, const QModelIndex &to, const QVector<int> &roles) {
                         QJsonArray all;
                         for (int role : roles)
                             all << role;
                         tell("data changed", {{"from", pathOf(from)}, {"to", pathOf(to)}, {"roles", all}});
                     });
    QObject::connect(model, &Model::modelReset, [tell] { tell("reset", {}); });
    QObject::connect(model, &Model::layoutChanged, [tell] { tell("layout changed", {}); });
    QObject::connect(model, &Model::headerDataChanged, [tell](Qt::Orientation orientation, int first, int last) {
        tell("header changed", {{"orientation", int(orientation)}, {"first", first}, {"last", last}});
    });
    QObject::connect(model->selectionModel(), &QItemSelectionModel::currentChanged, [tell](const QModelIndex &now) {
        tell("current", {{"path", pathOf(now)}});
    });
    if (model->isInitialized())
        initialized();
}

// Keeps the child that a property holds as a replica of its own; the class that it has, or null.
QJsonValue User::take(const QString &name, const QByteArray &property, const QString &as)
{
    auto *child = object(name)->property(property).value<QObject *>();
    if (!child)
        return QJsonValue();
    if (auto *model = qobject_cast<QAbstractItemModelReplica *>(child))
        keep(as, model);
    else if (auto *replica = qobject_cast<QRemoteObjectReplica *>(child))
        keep(as, replica);
    return QString::fromLatin1(child->metaObject()->className());
}

QObject *User::object(const QString &name) const
{
    if (!m_kept.contains(name))
        throw std::runtime_error("no replica " + name.toStdString());
    return m_kept[name];
}

QRemoteObjectReplica *User::replica(const QJsonObject &request) const
{
    return qobject_cast<QRemoteObjectReplica *>(object(request["name"].toString()));
}

QAbstractItemModelReplica *User::model(const QJsonObject &request) const
{
    return qobject_cast<QAbstractItemModelReplica *>(object(request["name"].toString()));
}

QModelIndex User::at(const QJsonObject &request) const
{
    QModelIndex here;
    for (const QJsonValue &step : request["path"].toArray())
        here = model(request)->index(step.toArray()[0].toInt(), step.toArray()[1].toInt(), here);
    return here;
}

bool User::listen(const QString &name, const QByteArray &signal)
{
    QObject *sender = object(name);
    const int index = sender->metaObject()->indexOfSignal(QMetaObject::normalizedSignature(signal));
    if (index >= 0)
        new Listener(sender, index, {{"event", "heard"}, {"object", name}, {"signal", QString::fromLatin1(signal)}});
    return index >= 0;
}

// Calls a slot, given by its signature or its name, as moc's code does for C++; so static and dynamic replicas alike.
QJsonValue User::call(const QJsonObject &request, bool wait)
{
    QObject *target = object(request["name"].toString());
    const QMetaObject *meta = target->metaObject();
    const QByteArray slot = QMetaObject::normalizedSignature(request["slot"].toString().toLatin1());
    QVariantList arguments = meant(request["arguments"].toArray());
    int index = meta->indexOfMethod(slot);
    for (int place = meta->methodCount() - 1; index < 0 && place >= 0; --place)
        if (meta->method(place).name() == slot && meta->method(place).parameterCount() == arguments.size())
            index = place;
    if (index < 0)
        throw std::runtime_error("no method " + slot.toStdString());
    const QMetaMethod method = meta->method(index);
    QRemoteObjectPendingCall pending;
    QVector<void *> given{&pending};
    for (int place = 0; place < arguments.size(); ++place) {
        QVariant &argument = arguments[place];
        const int type = method.parameterType(place);
        if (type != QMetaType::QVariant && argument.userType() != type)
            throw std::runtime_error(std::string("not the type of the parameter: ") + argument.typeName());
        given << (type == QMetaType::QVariant ? static_cast<void *>(&argument) : argument.data());
    }
    QMetaObject::metacall(target, QMetaObject::InvokeMetaMethod, index, given.data());
    if (QByteArray(method.typeName()) == "void")
        return QJsonValue();
    if (wait) {
        pending.waitForFinished(5000);
        return finished(pending);
    }
    const int number = ++m_calls;
    auto *watcher = new QRemoteObjectPendingCallWatcher(pending);
    QObject::connect(watcher, &QRemoteObjectPendingCallWatcher::finished, [number, watcher] {
        QJsonObject fact = finished(*watcher);
        fact["event"] = "finished";
        fact["call"] = number;
        say(fact);
        watcher->deleteLater();
    });
    return number;
}

// ------------------------------------------------------------------------------------------------------------- nodes
// To this machine's {port} over TLS with {certificate} as ours; {authority} signs the host's. Qt has no URL for that.
QJsonValue User::connectTls(const QJsonObject &request)
{
    QFile file(request["certificate"].toString());
    if (!file.open(QIODevice::ReadOnly))
        throw std::runtime_error("no certificate");
    QSslConfiguration configuration = QSslConfiguration::defaultConfiguration();
    configuration.setCaCertificates(QSslCertificate::fromPath(request["authority"].toString()));
    configuration.setLocalCertificateChain(QSslCertificate::fromPath(request["certificate"].toString()));
    configuration.setPrivateKey(QSslKey(file.readAll(), QSsl::Ec));
    auto *socket = new QSslSocket(&m_node);
    socket->setSslConfiguration(configuration);
    socket->connectToHostEncrypted(QStringLiteral("127.0.0.1"), quint16(request["port"].toInt()));
    if (!socket->waitForEncrypted(5000))
        throw std::runtime_error(socket->errorString().toStdString());
    QObject::connect(socket, &QAbstractSocket::disconnected, [] { say({{"event", "disconnected"}}); });
    m_node.addClientSideConnection(socket);
    return QJsonValue();
}

void User::followRegistry()
{
    const QRemoteObjectRegistry *registry = m_node.registry();
    const auto tell = [](QRemoteObjectReplica::State state) {
        say({{"event", "registry"}, {"state", stateName(state)}});
    };
    const auto entry = [](const char *event) {
        return [event](const QRemoteObjectSourceLocation &where) {
            QJsonObject fact = place(where);
            fact["event"] = event;
            say(fact);
        };
    };
    QObject::connect(registry, &QRemoteObjectReplica::stateChanged, tell);
    // Its own signals: those that the node has were never seen.
    QObject::connect(registry, &QRemoteObjectRegistry::remoteObjectAdded, entry("added"));
    QObject::connect(registry, &QRemoteObjectRegistry::remoteObjectRemoved, entry("removed"));
    tell(registry->state());
}

int main(int argc, char **argv)
{
    QCoreApplication application(argc, argv);
    knowContainers();
    auto *user = new User; // never taken apart: a test kills it or closes its input
    const Ear ear([user](const QString &verb, const QJsonObject &request) { return user->obey(verb, request); });
    say({{"event", "ready"}, {"qt", qVersion()}});
    const int code = QCoreApplication::exec();
    fflush(stdout);
    ::_exit(code);
}

#include "moc_rep_plant_replica.cpp"
#if QT_VERSION >= QT_VERSION_CHECK(6, 0, 0)
#include "moc_rep_modern_replica.cpp"
#endif
