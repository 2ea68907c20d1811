// Values spelt out for the test, with every Qt type: `[type, content]`, where the type is Qt's name of it.
//
// 64 bits are text, since JSON keeps 53; bytes are hexadecimal; a structure is an object of spelt fields.
#pragma once

#include <QtCore/QtCore>

QJsonArray told(const QVariant &value);
QJsonArray told(const QVariantList &values);
QVariant meant(const QJsonValue &spelt);
QVariant meant(const QString &type, const QJsonValue &content);
QVariantList meant(const QJsonArray &spelt);

int typeNumber(const QByteArray &name);
QVariant blank(int type);

// What to do with containers, which Qt's own introspection can read and not write in both generations.
struct Container
{
    std::function<QJsonValue(const QVariant &)> tell;
    std::function<QVariant(const QJsonValue &)> mean;
};
QHash<int, Container> &containers();

template <typename T>
T one(const QJsonValue &spelt)
{
    return meant(spelt).value<T>();
}

template <typename List>
void knowList(const char *name)
{
    using Item = typename List::value_type;
    const int type = qRegisterMetaType<List>(name);
    containers()[type] = {
        [](const QVariant &value) {
            QJsonArray items;
            for (const Item &item : value.value<List>())
                items << told(QVariant::fromValue(item));
            return QJsonValue(items);
        },
        [](const QJsonValue &content) {
            List items;
            for (const QJsonValue &item : content.toArray())
                items << one<Item>(item);
            return QVariant::fromValue(items);
        },
    };
}

// Registers the containers of Qt's own types that plant.rep has; a Qt node that does not know one crashes on it.
void knowContainers();

// Entries are [key, value], both spelt out.
template <typename Map>
void knowMap(const char *name)
{
    using Key = typename Map::key_type;
    using Value = typename Map::mapped_type;
    const int type = qRegisterMetaType<Map>(name);
    containers()[type] = {
        [](const QVariant &value) {
            const Map map = value.value<Map>();
            QList<Key> keys = map.keys();
            std::sort(keys.begin(), keys.end());
            QJsonArray entries;
            for (const Key &key : keys)
                entries << QJsonArray{told(QVariant::fromValue(key)), told(QVariant::fromValue(map[key]))};
            return QJsonValue(entries);
        },
        [](const QJsonValue &content) {
            Map map;
            for (const QJsonValue &entry : content.toArray())
                map[one<Key>(entry.toArray()[0])] = one<Value>(entry.toArray()[1]);
            return QVariant::fromValue(map);
        },
    };
}
