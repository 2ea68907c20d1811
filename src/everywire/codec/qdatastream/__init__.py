"""Qt's QDataStream, versions 17 to 24, both byte orders: a plain and complete codec, not the compiled hot path.

`Writer` makes bytes of Python values, `Reader` makes Python values of bytes that nobody has checked: whatever the bytes
are, a reader returns a value or raises `RemoteProtocolError`, keeps no more memory than the bytes justify, and follows
nesting only so far. Read the modules in this order: `types` (the vocabulary), `stream` (numbers, text, bytes, lists),
`times`, `documents`, `gui`, `values` (one entry per QMetaType), `names` (C++ type names), `layouts` (user types),
`natural`, `reader` and `writer` (QVariant).

Values and their Python twins:

- null QString and null QByteArray read as "" and b""; `read_optional_string` and `read_optional_bytes` keep the None.
- Lone surrogates in a QString are kept, in both directions, as Qt does ("surrogatepass").
- Null dates, times and datetimes are None. What Python's calendar or zone database cannot hold is `Opaque`.
- CBOR and pictures are `Opaque` with CBOR and PNG in them; fonts, palettes and the like with bytes only Qt knows.
- A Python object pickled by PySide is `Opaque`, never unpickled and never sent.
"""

from __future__ import annotations

from everywire.codec.qdatastream.layouts import NO_TYPES, Enumeration, Layout, Streamed, UserTypes, record
from everywire.codec.qdatastream.natural import natural_type
from everywire.codec.qdatastream.reader import Reader
from everywire.codec.qdatastream.stream import DEFAULT_VERSION, ByteReader, ByteWriter
from everywire.codec.qdatastream.types import (
    BitArray,
    Color,
    EasingCurve,
    Line,
    LineF,
    ObjectReference,
    Opaque,
    Point,
    PointF,
    Rect,
    RectF,
    RegularExpression,
    Size,
    SizeF,
    Typed,
    TypeId,
    UnknownUserType,
    UserTyped,
)
from everywire.codec.qdatastream.writer import Writer

__all__ = (
    "DEFAULT_VERSION",
    "NO_TYPES",
    "BitArray",
    "ByteReader",
    "ByteWriter",
    "Color",
    "EasingCurve",
    "Enumeration",
    "Layout",
    "Line",
    "LineF",
    "ObjectReference",
    "Opaque",
    "Point",
    "PointF",
    "Reader",
    "Rect",
    "RectF",
    "RegularExpression",
    "Size",
    "SizeF",
    "Streamed",
    "TypeId",
    "Typed",
    "UnknownUserType",
    "UserTyped",
    "UserTypes",
    "Writer",
    "natural_type",
    "record",
)
