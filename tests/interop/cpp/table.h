// A model that a test changes row by row: a table, or a tree of them. Cells hold one value for each role.
#pragma once

#include "pch.h"

class Table : public QAbstractItemModel
{
    Q_OBJECT
public:
    enum Role { Title = Qt::UserRole + 1, Seconds };

    explicit Table(int columns, QObject *parent = nullptr) : QAbstractItemModel(parent), m_columns(columns) { }

    QModelIndex index(int row, int column, const QModelIndex &parent = {}) const override;
    QModelIndex parent(const QModelIndex &index) const override;
    int rowCount(const QModelIndex &parent = {}) const override;
    int columnCount(const QModelIndex & = {}) const override { return m_columns; }
    QVariant data(const QModelIndex &index, int role) const override;
    bool setData(const QModelIndex &index, const QVariant &value, int role) override;
    QVariant headerData(int section, Qt::Orientation orientation, int role) const override;
    Qt::ItemFlags flags(const QModelIndex &index) const override;
    QHash<int, QByteArray> roleNames() const override;

    QModelIndex at(const QJsonArray &path) const;
    void fill(const QModelIndex &parent, int first, const QJsonArray &rows);
    void remove(const QModelIndex &parent, int first, int last);
    bool moveOne(int from, int to);
    void replaceAll(const QJsonArray &rows);
    void turnAround();
    void insertColumn(int column);
    void name(int section, const QString &header);

private:
    struct Line
    {
        Line *above = nullptr;
        QVector<QHash<int, QVariant>> cells;
        std::vector<std::unique_ptr<Line>> below;
    };

    Line *line(const QModelIndex &index) const;
    std::unique_ptr<Line> made(Line *above, const QJsonArray &cells) const;
    QModelIndex indexOf(const Line *line) const;

    Line m_root;
    int m_columns;
    QHash<int, QString> m_headers;
};

QJsonArray pathOf(const QModelIndex &index);
