// How a C++ program and a test talk: lines of JSON over standard input and output, as tests/programs.py says.
#pragma once

#include <QtCore/QCoreApplication>
#include <QtCore/QJsonArray>
#include <QtCore/QJsonDocument>
#include <QtCore/QJsonObject>
#include <QtCore/QSocketNotifier>

#include <cstdio>
#include <functional>
#include <stdexcept>
#include <unistd.h>

// Tells the test something.
inline void say(const QJsonObject &fact)
{
    const QByteArray line = QJsonDocument(fact).toJson(QJsonDocument::Compact) + '\n';
    fwrite(line.constData(), 1, size_t(line.size()), stdout);
    fflush(stdout);
}

// Reads requests, has each obeyed and answers; ends the program with the input.
class Ear
{
public:
    using Obey = std::function<QJsonValue(const QString &verb, const QJsonObject &request)>;

    explicit Ear(Obey obey) : m_obey(std::move(obey)), m_notifier(0, QSocketNotifier::Read)
    {
        QObject::connect(&m_notifier, &QSocketNotifier::activated, &m_notifier, [this] { listen(); });
    }

private:
    void listen()
    {
        char data[65536];
        const ssize_t count = ::read(0, data, sizeof data);
        if (count <= 0)
            return QCoreApplication::quit();
        m_rest.append(data, int(count));
        while (const auto end = m_rest.indexOf('\n') + 1) {
            const QJsonObject request = QJsonDocument::fromJson(m_rest.left(end)).object();
            m_rest.remove(0, end);
            answer(request);
        }
    }

    void answer(const QJsonObject &request)
    {
        try {
            say({{"id", request["id"]}, {"result", m_obey(request["do"].toString(), request)}});
        } catch (const std::exception &error) {
            say({{"id", request["id"]}, {"error", QString::fromUtf8(error.what())}});
        }
    }

    Obey m_obey;
    QSocketNotifier m_notifier;
    QByteArray m_rest;
};
