#include "table.h"

QJsonArray pathOf(const QModelIndex &index)
{
    QJsonArray path;
    for (QModelIndex here = index; here.isValid(); here = here.parent())
        path.prepend(QJsonArray{here.row(), here.column()});
    return path;
}

Table::Line *Table::line(const QModelIndex &index) const
{
    return index.isValid() ? static_cast<Line *>(index.internalPointer()) : const_cast<Line *>(&m_root);
}

QModelIndex Table::indexOf(const Line *line) const
{
    if (!line || line == &m_root)
        return {};
    const auto &rows = line->above->below;
    for (size_t row = 0; row < rows.size(); ++row)
        if (rows[row].get() == line)
            return createIndex(int(row), 0, const_cast<Line *>(line));
    return {};
}

QModelIndex Table::index(int row, int column, const QModelIndex &parent) const
{
    const Line *above = line(parent);
    if (row < 0 || size_t(row) >= above->below.size() || column < 0 || column >= m_columns)
        return {};
    return createIndex(row, column, above->below[size_t(row)].get());
}

QModelIndex Table::parent(const QModelIndex &index) const
{
    return index.isValid() ? indexOf(line(index)->above) : QModelIndex();
}

int Table::rowCount(const QModelIndex &parent) const
{
    return parent.column() > 0 ? 0 : int(line(parent)->below.size());
}

QVariant Table::data(const QModelIndex &index, int role) const
{
    if (!index.isValid())
        return QVariant();
    return line(index)->cells[index.column()].value(role == Qt::EditRole ? int(Qt::DisplayRole) : role);
}

bool Table::setData(const QModelIndex &index, const QVariant &value, int role)
{
    if (!index.isValid())
        return false;
    line(index)->cells[index.column()][role == Qt::EditRole ? int(Qt::DisplayRole) : role] = value;
    Q_EMIT dataChanged(index, index, {role});
    return true;
}

QVariant Table::headerData(int section, Qt::Orientation orientation, int role) const
{
    if (role != Qt::DisplayRole)
        return QVariant();
    if (orientation == Qt::Vertical)
        return QStringLiteral("row %1").arg(section);
    return m_headers.value(section, QStringLiteral("column %1").arg(section));
}

Qt::ItemFlags Table::flags(const QModelIndex &index) const
{
    return QAbstractItemModel::flags(index) | (index.column() == 0 ? Qt::ItemIsEditable : Qt::NoItemFlags);
}

QHash<int, QByteArray> Table::roleNames() const
{
    return {{Qt::DisplayRole, "display"}, {Qt::EditRole, "edit"}, {Title, "title"}, {Seconds, "seconds"}};
}

// ------------------------------------------------------------------------------------------------- what a test does
QModelIndex Table::at(const QJsonArray &path) const
{
    QModelIndex here;
    for (const QJsonValue &step : path)
        here = index(step.toArray()[0].toInt(), step.toArray()[1].toInt(), here);
    return here;
}

// A row is a list of cells; a cell is the value of the display role, or an object of role number to value. Each value
// is spelt out. A cell's key "below" holds the rows below it.
std::unique_ptr<Table::Line> Table::made(Line *above, const QJsonArray &cells) const
{
    auto line = std::make_unique<Line>();
    line->above = above;
    line->cells.resize(m_columns);
    for (int column = 0; column < cells.size(); ++column) {
        const QJsonValue &cell = cells[column];
        if (cell.isArray()) {
            line->cells[column][Qt::DisplayRole] = meant(cell);
            continue;
        }
        const QJsonObject roles = cell.toObject();
        for (auto role = roles.begin(); role != roles.end(); ++role) {
            if (role.key() != "below")
                line->cells[column][role.key().toInt()] = meant(role.value());
        }
        for (const QJsonValue &row : roles["below"].toArray())
            line->below.push_back(made(line.get(), row.toArray()));
    }
    return line;
}

void Table::fill(const QModelIndex &parent, int first, const QJsonArray &rows)
{
    beginInsertRows(parent, first, first + int(rows.size()) - 1);
    Line *above = line(parent);
    for (int row = 0; row < rows.size(); ++row)
        above->below.insert(above->below.begin() + first + row, made(above, rows[row].toArray()));
    endInsertRows();
}

void Table::remove(const QModelIndex &parent, int first, int last)
{
    beginRemoveRows(parent, first, last);
    auto &rows = line(parent)->below;
    rows.erase(rows.begin() + first, rows.begin() + last + 1);
    endRemoveRows();
}

// To the place before row `to`, as beginMoveRows counts.
bool Table::moveOne(int from, int to)
{
    if (!beginMoveRows({}, from, from, {}, to))
        return false;
    auto &rows = m_root.below;
    auto moved = std::move(rows[size_t(from)]);
    rows.erase(rows.begin() + from);
    rows.insert(rows.begin() + (to > from ? to - 1 : to), std::move(moved));
    endMoveRows();
    return true;
}

void Table::replaceAll(const QJsonArray &rows)
{
    beginResetModel();
    m_root.below.clear();
    for (const QJsonValue &row : rows)
        m_root.below.push_back(made(&m_root, row.toArray()));
    endResetModel();
}

void Table::turnAround()
{
    Q_EMIT layoutAboutToBeChanged();
    std::reverse(m_root.below.begin(), m_root.below.end());
    Q_EMIT layoutChanged();
}

void Table::insertColumn(int column)
{
    beginInsertColumns({}, column, column);
    ++m_columns;
    for (auto &row : m_root.below)
        row->cells.insert(column, QHash<int, QVariant>());
    endInsertColumns();
}

void Table::name(int section, const QString &header)
{
    m_headers[section] = header;
    Q_EMIT headerDataChanged(Qt::Horizontal, section, section);
}
