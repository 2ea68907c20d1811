"""Types of QtGui and QtWidgets that mean nothing without Qt: where each ends is known, so the rest of a frame survives.

They read as `Opaque`, and cannot be sent, because their bytes depend on the order and the version of the stream. Images
can: a picture is PNG in a stream of any kind, and is handed out and taken as that, empty for a null image.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from everywire.codec.qdatastream.stream import ByteReader, ByteWriter, Codec, expect
from everywire.codec.qdatastream.types import Opaque, UnknownUserType
from everywire.errors import ModelError, RemoteProtocolError

_PNG: Final = b"\x89PNG\r\n\x1a\n"
_COLOR_BYTES: Final = 11
_TRANSFORM_BYTES: Final = 9 * 8

_TEXTURE: Final = 24
_LINEAR, _RADIAL, _CONICAL = 15, 16, 17
"""Qt::BrushStyle, as far as more than a color follows it."""

_BITMAP_CURSOR: Final = 24
_COLOR_GROUPS: Final = 3


def _opaque(type_name: str, skip: Callable[[ByteReader], object]) -> Codec:
    def read(reader: ByteReader) -> Opaque:
        start = reader.position
        skip(reader)
        return Opaque(type_name, reader.taken_since(start))

    def write(_writer: ByteWriter, _value: object) -> None:
        raise ModelError(f"a {type_name} cannot be sent, only Qt knows what it means")

    return Codec(read, write)


def _picture(type_name: str) -> Codec:
    def write(writer: ByteWriter, value: Opaque | bytes) -> None:
        data = expect(value.data if isinstance(value, Opaque) else value, bytes, type_name)
        if data and not data.startswith(_PNG):
            raise ModelError(f"a {type_name} is sent as PNG, and these bytes are none")
        writer.write_int("i32", 1 if data else 0)
        writer.write_raw(data)

    return Codec(lambda reader: Opaque(type_name, _read_picture(reader)), write)


def _read_picture(reader: ByteReader) -> bytes:
    """A PNG says itself where it ends: after the chunk IEND."""
    if not reader.read_int("i32"):
        return b""
    start = reader.position
    if reader.take(len(_PNG)) != _PNG:
        raise RemoteProtocolError(f"a picture at byte {start} that is not PNG")
    kind = b""
    while kind != b"IEND":
        size = int.from_bytes(reader.take(4), "big")
        kind = reader.take(4)
        reader.skip(size + 4)  # and its checksum
    return reader.taken_since(start)


def _skip_font(reader: ByteReader) -> None:
    version = reader.version
    reader.read_bytes()  # family
    reader.read_bytes()  # style name
    # Sizes in points and in pixels, style hint and strategy, weight and two sets of bits, stretch, letter and word
    # spacing, hinting preference, capitalization: all of fixed width, which no version of 17 and later changes.
    reader.skip(8 + 4 + 1 + 2 + 2 + 1 + 2 + 1 + 4 + 4 + 1 + 1)
    if version >= 19:
        reader.read_items(reader.read_bytes)  # families
    if version >= 21:
        reader.read_items(lambda: reader.skip(4 + 4))  # features: tag and value
    if version >= 22:
        reader.read_items(lambda: reader.skip(4 + 8))  # variable axes: tag and value


def _skip_brush(reader: ByteReader) -> None:
    style = reader.read_int("u8")
    reader.skip(_COLOR_BYTES)
    if style == _TEXTURE:
        _read_picture(reader)
    elif style in _GRADIENT_BYTES:
        reader.skip(4 * 4)  # type, spread, coordinate mode, interpolation mode
        reader.read_items(lambda: reader.skip(8 + _COLOR_BYTES))  # stops
        reader.skip(_GRADIENT_BYTES[style] + (8 if style == _RADIAL and reader.version >= 20 else 0))
    reader.skip(_TRANSFORM_BYTES)


def _skip_pen(reader: ByteReader) -> None:
    reader.skip(2 + 1 + 8)  # style, cosmetic or not, width
    _skip_brush(reader)
    reader.skip(8)  # miter limit
    reader.read_items(lambda: reader.skip(8))  # dashes
    reader.skip(8 + 1)  # their offset, default width or not


def _skip_palette(reader: ByteReader) -> None:
    roles = 20 if reader.version < 18 else 21 if reader.version < 21 else 22
    for _ in range(_COLOR_GROUPS * roles):
        _skip_brush(reader)


def _skip_cursor(reader: ByteReader) -> None:
    if reader.read_int("i16") != _BITMAP_CURSOR:
        return
    if not reader.read_bool():
        _read_picture(reader)  # bitmap, and then its mask
    _read_picture(reader)
    reader.skip(8)  # hot spot


def _skip_icon(reader: ByteReader) -> None:
    engine = reader.read_string()
    if engine == "QPixmapIconEngine":
        for _ in range(reader.read_int("i32")):
            _read_picture(reader)
            reader.read_bytes()  # the name of a file
            reader.skip(8 + 4 + 4)  # size, mode, state
    elif engine:  # a plugin's own form; no name at all is a null icon
        raise UnknownUserType(f"QIcon of {engine}")


_GRADIENT_BYTES: Final = {_LINEAR: 4 * 8, _RADIAL: 5 * 8, _CONICAL: 3 * 8}

FONT: Final = _opaque("QFont", _skip_font)
BRUSH: Final = _opaque("QBrush", _skip_brush)
PEN: Final = _opaque("QPen", _skip_pen)
PALETTE: Final = _opaque("QPalette", _skip_palette)
CURSOR: Final = _opaque("QCursor", _skip_cursor)
REGION: Final = _opaque("QRegion", ByteReader.read_bytes)
COLOR_SPACE: Final = _opaque("QColorSpace", ByteReader.read_bytes)
TEXT_LENGTH: Final = _opaque("QTextLength", lambda reader: reader.skip(4 + 8))
SIZE_POLICY: Final = _opaque("QSizePolicy", lambda reader: reader.skip(4))
ICON: Final = _opaque("QIcon", _skip_icon)
IMAGE: Final = _picture("QImage")
PIXMAP: Final = _picture("QPixmap")
BITMAP: Final = _picture("QBitmap")
