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
FLAGS: Final = "QFlags"
"""The template of flags: `QFlags<Demo::Mode>`."""

ALIASES: Final = {"QIntHash": "QHash<int,QByteArray>"}
"""Names that Qt 5 registers for containers."""

QT_GADGETS: Final = frozenset({"QCborValue", "QEasingCurve", "QImage", "QKeySequence", "QLocale"})
"""Types of `CORE` that are gadgets to Qt 6, which matters to Remote Objects when they are in a container."""

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
    "QCborSimpleType": TypeId.QCBOR_SIMPLE_TYPE,
    "QCborValue": TypeId.QCBOR_VALUE,
    "QCborArray": TypeId.QCBOR_ARRAY,
    "QCborMap": TypeId.QCBOR_MAP,
    "std::nullptr_t": TypeId.NULLPTR,
    "QPolygon": TypeId.QPOLYGON,
    "QPolygonF": TypeId.QPOLYGON_F,
    "QKeySequence": TypeId.QKEY_SEQUENCE,
    "QTransform": TypeId.QTRANSFORM,
    "QMatrix4x4": TypeId.QMATRIX4X4,
    "QVector2D": TypeId.QVECTOR2D,
    "QVector3D": TypeId.QVECTOR3D,
    "QVector4D": TypeId.QVECTOR4D,
    "QQuaternion": TypeId.QQUATERNION,
    "QFont": TypeId.QFONT,
    "QPixmap": TypeId.QPIXMAP,
    "QBrush": TypeId.QBRUSH,
    "QPalette": TypeId.QPALETTE,
    "QIcon": TypeId.QICON,
    "QImage": TypeId.QIMAGE,
    "QRegion": TypeId.QREGION,
    "QBitmap": TypeId.QBITMAP,
    "QCursor": TypeId.QCURSOR,
    "QPen": TypeId.QPEN,
    "QTextLength": TypeId.QTEXT_LENGTH,
    "QTextFormat": TypeId.QTEXT_FORMAT,
    "QColorSpace": TypeId.QCOLOR_SPACE,
    "QSizePolicy": TypeId.QSIZE_POLICY,
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
    if type_id is TypeId.QSIZE_POLICY:
        return 121
    return type_id - 4032 if TypeId.QFONT <= type_id <= TypeId.QCOLOR_SPACE else type_id


def type_of_number(number: int, version: int) -> TypeId | None:
    """The type that a stream of this version means by a number; None if there is none."""
    if version < 20:
        if number == 1024:
            return TypeId.USER
        if number == 121:
            return TypeId.QSIZE_POLICY
        if 64 <= number <= 87:
            number += 4032
        elif number >= TypeId.QFONT:
            return None
    return _TYPES.get(number)


def name_on_wire(wanted: TypeName, version: int) -> str:
    """How the Qt of this version names the type: `QVector<unsigned int>` is `QList<uint>` since Qt 6."""
    name, arguments = wanted
    if not arguments:
        return _own_name(name)
    name = _NAMES_IN_QT_6.get(name, name) if version >= 20 else name
    # Qt 6 asks the compiler for names, which sees through every typedef; only for pairs it puts them together itself.
    each = [
        name_on_wire(argument, version) if version < 20 or name == "std::pair" else _name_in_compiler(argument)
        for argument in arguments
    ]
    whole = _template(name, each, blank=version < 20)
    return whole if whole == "QList<QString>" and version < 20 else _TYPEDEFS.get(whole, whole)


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


def _own_name(name: str) -> str:
    return _OWN_NAMES[CORE[name]] if name in CORE else name


def _name_in_compiler(wanted: TypeName) -> str:
    name, arguments = wanted
    if not arguments:
        return _BEHIND_TYPEDEFS.get(_own_name(name)) or _own_name(name)
    return _template(_NAMES_IN_QT_6.get(name, name), [_name_in_compiler(argument) for argument in arguments])


def _template(name: str, arguments: list[str], *, blank: bool = False) -> str:
    inner = ",".join(arguments)
    return f"{name}<{inner} >" if blank and inner.endswith(">") else f"{name}<{inner}>"  # as C++ before 2011 had to


_OWN_NAMES: Final = {type_id: name for name, type_id in reversed(CORE.items())}
_NAMES_IN_QT_6: Final = {"QVector": "QList", "QPair": "std::pair"}
_TYPEDEFS: Final = {
    "QList<QString>": "QStringList",  # since Qt 6
    "QList<QByteArray>": "QByteArrayList",
    "QList<QVariant>": "QVariantList",
    "QMap<QString,QVariant>": "QVariantMap",
    "QHash<QString,QVariant>": "QVariantHash",
}
_BEHIND_TYPEDEFS: Final = {typedef: whole for whole, typedef in _TYPEDEFS.items()}


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
