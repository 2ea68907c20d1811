"""The vocabulary of a Qt data stream: type numbers, and values that Python has no twin for. No bytes are read here."""

from __future__ import annotations

import enum
from collections.abc import Iterator

import msgspec

from everywire.errors import RemoteProtocolError


class UnknownUserType(RemoteProtocolError):
    """A value whose layout is not known here, so what follows it cannot be found; skip the frame it is in.

    The link need not be closed: frames have lengths. `type_name` is the C++ name or the number that the peer sent.
    """

    def __init__(self, type_name: str) -> None:
        super().__init__(f"the peer sent a value of the unknown type {type_name[:80]!r}; the frame can only be skipped")
        self.type_name = type_name


class TypeId(enum.IntEnum):
    """QMetaType's numbers as Qt 6 has them; streams before version 20 number GUI and user types differently."""

    INVALID = 0
    BOOL = 1
    INT = 2
    UINT = 3
    LONG_LONG = 4
    ULONG_LONG = 5
    DOUBLE = 6
    QCHAR = 7
    QVARIANT_MAP = 8
    QVARIANT_LIST = 9
    QSTRING = 10
    QSTRING_LIST = 11
    QBYTE_ARRAY = 12
    QBIT_ARRAY = 13
    QDATE = 14
    QTIME = 15
    QDATE_TIME = 16
    QURL = 17
    QLOCALE = 18
    QRECT = 19
    QRECT_F = 20
    QSIZE = 21
    QSIZE_F = 22
    QLINE = 23
    QLINE_F = 24
    QPOINT = 25
    QPOINT_F = 26
    QVARIANT_HASH = 28
    QEASING_CURVE = 29
    QUUID = 30
    VOID_STAR = 31
    LONG = 32
    SHORT = 33
    CHAR = 34
    ULONG = 35
    USHORT = 36
    UCHAR = 37
    FLOAT = 38
    QOBJECT_STAR = 39
    SIGNED_CHAR = 40
    QVARIANT = 41
    QMODEL_INDEX = 42
    VOID = 43
    QREGULAR_EXPRESSION = 44
    QJSON_VALUE = 45
    QJSON_OBJECT = 46
    QJSON_ARRAY = 47
    QJSON_DOCUMENT = 48
    QBYTE_ARRAY_LIST = 49
    QPERSISTENT_MODEL_INDEX = 50
    NULLPTR = 51
    QCBOR_SIMPLE_TYPE = 52
    QCBOR_VALUE = 53
    QCBOR_ARRAY = 54
    QCBOR_MAP = 55
    CHAR16 = 56
    CHAR32 = 57
    FLOAT16 = 63
    QFONT = 4096
    QPIXMAP = 4097
    QBRUSH = 4098
    QCOLOR = 4099
    QPALETTE = 4100
    QICON = 4101
    QIMAGE = 4102
    QPOLYGON = 4103
    QREGION = 4104
    QBITMAP = 4105
    QCURSOR = 4106
    QKEY_SEQUENCE = 4107
    QPEN = 4108
    QTEXT_LENGTH = 4109
    QTEXT_FORMAT = 4110
    QTRANSFORM = 4112
    QMATRIX4X4 = 4113
    QVECTOR2D = 4114
    QVECTOR3D = 4115
    QVECTOR4D = 4116
    QQUATERNION = 4117
    QPOLYGON_F = 4118
    QCOLOR_SPACE = 4119
    QSIZE_POLICY = 8192
    USER = 65536


class Value(msgspec.Struct, frozen=True, gc=False):
    """Base of the values below: compared by their fields, hashable, immutable."""


class Opaque(Value, frozen=True, gc=False):
    """A value that is carried but not interpreted; `data` are its bytes in the order of the stream it came from."""

    type_name: str
    data: bytes


class Typed(Value, frozen=True, gc=False):
    """Ask a `Writer` for an exact type: a number, or the C++ name of a container such as "QList<int>"."""

    type: TypeId | str
    value: object


class UserTyped(Value, frozen=True, gc=False):
    """Ask a `Writer` for a user type by its C++ name; `payload` is written as it is, in the order of the stream.

    Qt peers desynchronise on names that they do not know: send only what the peer has registered.
    """

    type_name: str
    payload: bytes


class ObjectReference(Value, frozen=True, gc=False):
    """QRO_ of Qt Remote Objects: a child object, model or gadget in the place of a property value.

    `kind` is 0 class, 1 model, 2 gadget. `definition` and `parameters` are big-endian streams of their own;
    `parameters` is None for a null pointer.
    """

    name: str
    type_name: str
    kind: int
    definition: bytes
    parameters: bytes | None


class Point(Value, frozen=True, gc=False):
    """QPoint, in pixels."""

    x: int
    y: int


class PointF(Value, frozen=True, gc=False):
    """QPointF."""

    x: float
    y: float


class Size(Value, frozen=True, gc=False):
    """QSize, in pixels."""

    width: int
    height: int


class SizeF(Value, frozen=True, gc=False):
    """QSizeF."""

    width: float
    height: float


class Line(Value, frozen=True, gc=False):
    """QLine, in pixels."""

    x1: int
    y1: int
    x2: int
    y2: int


class LineF(Value, frozen=True, gc=False):
    """QLineF."""

    x1: float
    y1: float
    x2: float
    y2: float


class Rect(Value, frozen=True, gc=False):
    """QRect, in pixels; the wire carries the last column and row instead of width and height."""

    x: int
    y: int
    width: int
    height: int


class RectF(Value, frozen=True, gc=False):
    """QRectF."""

    x: float
    y: float
    width: float
    height: float


class Color(Value, frozen=True, gc=False):
    """QColor: `spec` is 0 invalid, 1 RGB, 2 HSV, 3 CMYK, 4 HSL, 5 extended RGB; the components are 0 to 65535.

    For RGB they are red, green, blue and a zero; an 8-bit value is multiplied by 257.
    """

    spec: int
    alpha: int
    first: int
    second: int
    third: int
    fourth: int


class BitArray(Value, frozen=True, gc=False):
    """QBitArray: `count` bits, the lowest bit of the first byte first. Iterate for the bits."""

    count: int
    data: bytes

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[bool]:
        return (bool(self.data[index >> 3] >> (index & 7) & 1) for index in range(self.count))


class RegularExpression(Value, frozen=True, gc=False):
    """QRegularExpression: the pattern, and QRegularExpression::PatternOptions as a number."""

    pattern: str
    options: int = 0


class EasingCurve(Value, frozen=True, gc=False):
    """QEasingCurve: `kind` is QEasingCurve::Type; the rest is there for curves with settings only.

    `settings` are period, amplitude and overshoot; `tcb` points are x, y, tension, continuity and bias.
    """

    kind: int
    settings: tuple[float, float, float] | None = None
    bezier: tuple[PointF, ...] = ()
    tcb: tuple[tuple[float, float, float, float, float], ...] = ()
