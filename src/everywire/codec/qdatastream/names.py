"""C++ type names: taken apart into templates and arguments, and matched to type numbers. No bytes are read here."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

from everywire.codec.qdatastream.types import TypeId

MAX_NAME: Final = 1024
"""Longest type name that is looked at, in characters; longer ones are unknown types."""

MAX_TEMPLATE_DEPTH: Final = 16

LISTS: Final = frozenset({"QList", "QVector", "QSet", "QQueue", "QStack"})
MAPS: Final = frozenset({"QMap", "QHash"})
PAIRS: Final = frozenset({"QPair", "std::pair"})

ALIASES: Final = {"QIntHash": "QHash<int,QByteArray>"}
"""Names that Qt 5 registers for containers."""

CORE: Final[dict[str, TypeId]] = {
    "bool": TypeId.BOOL,
    "int": TypeId.INT,
    "qint32": TypeId.INT,
    "uint": TypeId.UINT,
    "unsigned int": TypeId.UINT,
    "quint32": TypeId.UINT,
    "qlonglong": TypeId.LONG_LONG,
    "long long": TypeId.LONG_LONG,
    "qint64": TypeId.LONG_LONG,
    "qulonglong": TypeId.ULONG_LONG,
    "unsigned long long": TypeId.ULONG_LONG,
    "quint64": TypeId.ULONG_LONG,
    "long": TypeId.LONG,
    "ulong": TypeId.ULONG,
    "unsigned long": TypeId.ULONG,
    "short": TypeId.SHORT,
    "qint16": TypeId.SHORT,
    "ushort": TypeId.USHORT,
    "unsigned short": TypeId.USHORT,
    "quint16": TypeId.USHORT,
    "char": TypeId.CHAR,
    "signed char": TypeId.SIGNED_CHAR,
    "qint8": TypeId.SIGNED_CHAR,
    "uchar": TypeId.UCHAR,
    "unsigned char": TypeId.UCHAR,
    "quint8": TypeId.UCHAR,
    "double": TypeId.DOUBLE,
    "qreal": TypeId.DOUBLE,
    "float": TypeId.FLOAT,
    "qfloat16": TypeId.FLOAT16,
    "char16_t": TypeId.CHAR16,
    "char32_t": TypeId.CHAR32,
    "QChar": TypeId.QCHAR,
    "QString": TypeId.QSTRING,
    "QStringList": TypeId.QSTRING_LIST,
    "QByteArray": TypeId.QBYTE_ARRAY,
    "QByteArrayList": TypeId.QBYTE_ARRAY_LIST,
    "QBitArray": TypeId.QBIT_ARRAY,
    "QDate": TypeId.QDATE,
    "QTime": TypeId.QTIME,
    "QDateTime": TypeId.QDATE_TIME,
    "QUrl": TypeId.QURL,
    "QUuid": TypeId.QUUID,
    "QLocale": TypeId.QLOCALE,
    "QRect": TypeId.QRECT,
    "QRectF": TypeId.QRECT_F,
    "QSize": TypeId.QSIZE,
    "QSizeF": TypeId.QSIZE_F,
    "QLine": TypeId.QLINE,
    "QLineF": TypeId.QLINE_F,
    "QPoint": TypeId.QPOINT,
    "QPointF": TypeId.QPOINT_F,
    "QColor": TypeId.QCOLOR,
    "QRegularExpression": TypeId.QREGULAR_EXPRESSION,
    "QEasingCurve": TypeId.QEASING_CURVE,
    "QJsonValue": TypeId.QJSON_VALUE,
    "QJsonObject": TypeId.QJSON_OBJECT,
    "QJsonArray": TypeId.QJSON_ARRAY,
    "QJsonDocument": TypeId.QJSON_DOCUMENT,
    "QVariant": TypeId.QVARIANT,
    "QVariantList": TypeId.QVARIANT_LIST,
    "QVariantMap": TypeId.QVARIANT_MAP,
    "QVariantHash": TypeId.QVARIANT_HASH,
}


class TypeName(NamedTuple):
    """`QMap<QString,int>` as its name `QMap` and its arguments `QString` and `int`."""

    name: str
    arguments: tuple[TypeName, ...] = ()


def number_on_wire(type_id: TypeId, version: int) -> int:
    """How a stream of this version numbers a type: until 19, GUI types are at 64 and user types at 1024."""
    if version >= 20:
        return type_id
    if type_id is TypeId.USER:
        return 1024
    return type_id - 4032 if TypeId.QFONT <= type_id <= TypeId.QPOLYGON_F else type_id


def type_of_number(number: int, version: int) -> TypeId | None:
    """The type that a stream of this version means by a number; None if there is none."""
    if version < 20:
        if number == 1024:
            return TypeId.USER
        if 64 <= number <= 86:
            number += 4032
        elif number >= TypeId.QFONT:
            return None
    return _TYPES.get(number)


def parse_type_name(text: str) -> TypeName | None:
    """Take a C++ type name apart; None if its brackets do not match or it is unreasonably long or deep."""
    return None if len(text) > MAX_NAME else _parse_text(text)  # long ones must not stay in the cache


@lru_cache(maxsize=256)
def _parse_text(text: str) -> TypeName | None:
    words = re.findall(r"[<>,]|[^<>,]+", ALIASES.get(text, text))
    tokens = [" ".join(word.split()) for word in reversed(words) if word.strip()]
    found = _parse(tokens, 0)
    return None if tokens else found


_TYPES: Final = {int(type_id): type_id for type_id in TypeId}


def _parse(tokens: list[str], depth: int) -> TypeName | None:
    """One type name popped off `tokens`, which are in reverse; None if it is malformed."""
    if not tokens or tokens[-1] in "<>," or depth > MAX_TEMPLATE_DEPTH:
        return None
    name = tokens.pop()
    if not tokens or tokens[-1] != "<":
        return TypeName(name)
    arguments: list[TypeName] = []
    while (bracket := tokens.pop() if tokens else "") in ("<", ","):
        argument = _parse(tokens, depth + 1)
        if argument is None:
            return None
        arguments.append(argument)
    return TypeName(name, tuple(arguments)) if bracket == ">" else None
