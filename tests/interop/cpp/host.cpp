// A Qt program that offers objects. What a test can ask for is in `Host::Host`.
#include "plain.h"
#include "sources.h"
#include "table.h"

// Accepts sockets for the host as an application does that brings its own transport, over TLS when it has a key.
class Door : public QTcpServer
{
public:
    Door(QRemoteObjectHostBase *host, const QString &pem) : m_host(host), m_pem(pem) { }

protected:
    void incomingConnection(qintptr descriptor) override
    {
        if (m_pem.isEmpty()) {
            auto *socket = new QTcpSocket(this);
            socket->setSocketDescriptor(descriptor);
            return m_host->addHostSideConnection(socket);
        }
        QFile file(m_pem);
        if (!file.open(QIODevice::ReadOnly))
            throw std::runtime_error("no key and certificate");
        const QByteArray pem = file.readAll();
        auto *socket = new QSslSocket(this);
        socket->setPrivateKey(QSslKey(pem, QSsl::Ec));
        socket->setLocalCertificateChain(QSslCertificate::fromData(pem));
        socket->setSocketDescriptor(descriptor);
        connect(socket, &QSslSocket::encrypted, this, [this, socket] { m_host->addHostSideConnection(socket); });
        socket->startServerEncryption();
    }

private:
    QRemoteObjectHostBase *m_host;
    QString m_pem;
};

class Host
{
public:
    Host();
    QJsonValue obey(const QString &verb, const QJsonObject &request)
    {
        if (!m_verbs.contains(verb))
            throw std::runtime_error("no such request: " + verb.toStdString());
        return m_verbs[verb](request);
    }

private:
    using Verb = std::function<QJsonValue(const QJsonObject &)>;

    void listen(QRemoteObjectHostBase *host, const QJsonObject &request);
    QJsonValue serve(const QJsonObject &request);
    bool offer(const QString &name);
    void emitSignal(QObject *object, const QByteArray &name, QVariantList arguments);
    QObject *object(const QJsonObject &request) const;
    Table *table(const QJsonObject &request) const { return qobject_cast<Table *>(object(request)); }

    QHash<QString, Verb> m_verbs;
    QHash<QString, QObject *> m_objects;
    QItemSelectionModel *m_selection;
    QRemoteObjectHostBase *m_host = nullptr;
    Door *m_door = nullptr;
};

static QVariant row(const char *title, int seconds, int column)
{
    return column == 0 ? QVariant(QString::fromLatin1(title)) : QVariant(seconds);
}

// Two columns; besides what is shown, each cell knows the title and the seconds of its row.
static Table *shortTable()
{
    auto *table = new Table(2);
    QJsonArray rows;
    for (const auto &[title, seconds] : {std::pair("Prelude", 90), std::pair("Aria", 240), std::pair("Fugue", 180)}) {
        QJsonArray cells;
        for (int column : {0, 1})
            cells << QJsonObject{
                {QString::number(Qt::DisplayRole), told(row(title, seconds, column))},
                {QString::number(Table::Title), told(QString::fromLatin1(title))},
                {QString::number(Table::Seconds), told(seconds)},
            };
        rows << cells;
    }
    table->replaceAll(rows);
    return table;
}

Host::Host()
{
    Table *top = shortTable();
    m_objects = {
        {"hall", new Hall(shortTable())}, {"Hall", new Hall(shortTable())}, {"pump", new Pump(3)},
        {"valve", new Valve},             {"kinds", new Kinds},             {"plain", new Plain(shortTable())},
        {"table", top},                   {"tree", new Table(1)},
#if QT_VERSION >= QT_VERSION_CHECK(6, 0, 0)
        {"organ", new Organ},
#endif
    };
    m_selection = new QItemSelectionModel(top);
    QObject::connect(m_selection, &QItemSelectionModel::currentChanged, [](const QModelIndex &now) {
        say({{"event", "current"}, {"path", pathOf(now)}});
    });
    QObject::connect(top, &QAbstractItemModel::dataChanged, [](const QModelIndex &cell) {
        say({{"event", "data changed"}, {"path", pathOf(cell)}});
    });

    m_verbs["serve"] = [this](const QJsonObject &request) { return serve(request); };
    m_verbs["offer"] = [this](const QJsonObject &request) { return offer(request["name"].toString()); };
    m_verbs["withdraw"] = [this](const QJsonObject &request) { return m_host->disableRemoting(object(request)); };
    m_verbs["set"] = [this](const QJsonObject &request) {
        const QByteArray property = request["prop"].toString().toLatin1();
        object(request)->setProperty(property, meant(request["value"]));
        return told(object(request)->property(property));
    };
    m_verbs["get"] = [this](const QJsonObject &request) {
        return told(object(request)->property(request["prop"].toString().toLatin1()));
    };
    m_verbs["emit"] = [this](const QJsonObject &request) {
        emitSignal(object(request), request["signal"].toString().toLatin1(), meant(request["arguments"].toArray()));
        return QJsonValue();
    };
    m_verbs["heartbeat"] = [this](const QJsonObject &request) {
        m_host->setHeartbeatInterval(request["milliseconds"].toInt());
        return QJsonValue();
    };
    m_verbs["proxy"] = [this](const QJsonObject &request) {
        const QSet<QString> wanted = [&] {
            const QVariantList names = request["names"].toArray().toVariantList();
            QSet<QString> all;
            for (const QVariant &name : names)
                all << name.toString();
            return all;
        }();
        return m_host->proxy(QUrl(request["registry"].toString()), QUrl(request["url"].toString()),
                             [wanted](auto name, auto) { return wanted.isEmpty() || wanted.contains(QString(name.data(), name.size())); });
    };
    m_verbs["reverse_proxy"] = [this](const QJsonObject &) { return m_host->reverseProxy(); };
    m_verbs["hang"] = [](const QJsonObject &) -> QJsonValue { // in a long computation, until killed
        say({{"event", "hanging"}});
        for (;;)
            ::pause();
    };

    m_verbs["rows"] = [this](const QJsonObject &request) { return table(request)->rowCount(); };
    m_verbs["insert"] = [this](const QJsonObject &request) {
        Table *model = table(request);
        model->fill(model->at(request["path"].toArray()), request["first"].toInt(), request["rows"].toArray());
        return QJsonValue();
    };
    m_verbs["remove"] = [this](const QJsonObject &request) {
        Table *model = table(request);
        model->remove(model->at(request["path"].toArray()), request["first"].toInt(), request["last"].toInt());
        return QJsonValue();
    };
    m_verbs["move"] = [this](const QJsonObject &request) {
        return table(request)->moveOne(request["from"].toInt(), request["to"].toInt());
    };
    m_verbs["reset"] = [this](const QJsonObject &request) {
        table(request)->replaceAll(request["rows"].toArray());
        return QJsonValue();
    };
    m_verbs["turn_around"] = [this](const QJsonObject &request) {
        table(request)->turnAround();
        return QJsonValue();
    };
    m_verbs["insert_column"] = [this](const QJsonObject &request) {
        table(request)->insertColumn(request["column"].toInt());
        return QJsonValue();
    };
    m_verbs["header"] = [this](const QJsonObject &request) {
        table(request)->name(request["section"].toInt(), request["text"].toString());
        return QJsonValue();
    };
    m_verbs["cell"] = [this](const QJsonObject &request) {
        Table *model = table(request);
        return told(model->data(model->at(request["path"].toArray()), request["role"].toInt()));
    };
    m_verbs["set_cell"] = [this](const QJsonObject &request) {
        Table *model = table(request);
        return model->setData(model->at(request["path"].toArray()), meant(request["value"]), request["role"].toInt());
    };
    m_verbs["set_current"] = [this](const QJsonObject &request) {
        const QModelIndex cell = qobject_cast<const Table *>(m_selection->model())->at(request["path"].toArray());
        m_selection->setCurrentIndex(cell, QItemSelectionModel::ClearAndSelect);
        return QJsonValue();
    };
}

QObject *Host::object(const QJsonObject &request) const
{
    QObject *object = m_objects.value(request["name"].toString());
    if (!object)
        throw std::runtime_error("no object " + request["name"].toString().toStdString());
    if (request.contains("child")) // "pump.valve" of the hall
        for (const QString &child : request["child"].toString().split('.'))
            object = object->property(child.toLatin1()).value<QObject *>();
    return object;
}

// {url, names, registry: URL or absent, is_registry, external: "tcp" or the path of key and certificate}
QJsonValue Host::serve(const QJsonObject &request)
{
    const QUrl url(request["url"].toString());
    if (request["is_registry"].toBool()) {
        m_host = new QRemoteObjectRegistryHost(url);
    } else if (request.contains("external")) {
        const QString external = request["external"].toString();
        auto *host = new QRemoteObjectHost(url, QUrl(), QRemoteObjectHostBase::AllowExternalRegistration);
        m_host = host;
        m_door = new Door(host, external == "tcp" ? QString() : external);
        m_door->listen(QHostAddress::LocalHost);
    } else {
        m_host = new QRemoteObjectHost(url, QUrl(request["registry"].toString()));
    }
    QObject::connect(m_host, &QRemoteObjectNode::error, [](QRemoteObjectNode::ErrorCode code) {
        say({{"event", "node error"}, {"code", int(code)}});
    });
    QJsonArray done;
    for (const QJsonValue &name : request["names"].toArray())
        done << offer(name.toString());
    const auto *host = qobject_cast<QRemoteObjectHost *>(m_host);
    const QString where = m_door ? QString::number(m_door->serverPort()) : (host ? host->hostUrl() : m_host->registryUrl()).toString();
    return QJsonArray{done, where};
}

bool Host::offer(const QString &name)
{
    QObject *object = m_objects.value(name);
    if (name == "Hall") // with what repc knows of it, as most C++ programs do
        return m_host->enableRemoting<HallSourceAPI>(static_cast<HallSource *>(object));
    if (auto *model = qobject_cast<QAbstractItemModel *>(object))
        return m_host->enableRemoting(model, name, {Qt::DisplayRole, Qt::EditRole, Table::Title, Table::Seconds},
                                      name == "table" ? m_selection : nullptr);
    return m_host->enableRemoting(object, name);
}

void Host::emitSignal(QObject *object, const QByteArray &name, QVariantList arguments)
{
    const QMetaObject *meta = object->metaObject();
    for (int index = 0; index < meta->methodCount(); ++index) {
        const QMetaMethod method = meta->method(index);
        if (method.methodType() != QMetaMethod::Signal || method.name() != name
            || method.parameterCount() != arguments.size())
            continue;
        QVector<void *> given{nullptr};
        for (int place = 0; place < arguments.size(); ++place) {
            const bool loose = method.parameterType(place) == QMetaType::QVariant;
            given << (loose ? static_cast<void *>(&arguments[place]) : arguments[place].data());
        }
        QMetaObject::metacall(object, QMetaObject::InvokeMetaMethod, index, given.data());
        return;
    }
    throw std::runtime_error("no signal " + name.toStdString());
}

int main(int argc, char **argv)
{
    QCoreApplication application(argc, argv);
    knowContainers();
    knowTypes();
    qRegisterMetaType<Place>("Place");
    qRegisterMetaType<Plain::Gear>("Plain::Gear");
#if QT_VERSION < QT_VERSION_CHECK(6, 0, 0)
    qRegisterMetaTypeStreamOperators<Place>("Place");
#endif
    Host host;
    const Ear ear([&host](const QString &verb, const QJsonObject &request) { return host.obey(verb, request); });
    say({{"event", "ready"}, {"qt", qVersion()}});
    const int code = QCoreApplication::exec();
    fflush(stdout);
    ::_exit(code); // what a test leaves behind needs no order
}

#include "moc_plain.cpp"
#include "moc_rep_plant_source.cpp"
#include "moc_table.cpp"
#if QT_VERSION >= QT_VERSION_CHECK(6, 0, 0)
#include "moc_rep_modern_source.cpp"
#endif
