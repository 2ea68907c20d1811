"""Numbers, text, bytes and lists of a Qt data stream, bounded while reading; no QVariant, no Qt classes."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeVar

from everywire.errors import LocalProtocolError, ModelError, RemoteProtocolError

T = TypeVar("T")

Order = Literal["<", ">"]
"""Byte order of a stream as `struct` writes it: "<" little endian, ">" big endian."""

Integer = Literal["i8", "u8", "i16", "u16", "i32", "u32", "i64", "u64"]
Buffer = bytes | bytearray | memoryview

DEFAULT_VERSION: Final = 20
"""QDataStream::Qt_6_0, which QtRO 2.0 speaks; 18 is QtRO 1.3."""

NULL: Final = 0xFFFFFFFF
"""The length of a null QString or QByteArray."""

_ORDERS: Final[tuple[Order, Order]] = ("<", ">")
_CODES: Final[dict[Integer, str]] = {
    "i8": "b",
    "u8": "B",
    "i16": "h",
    "u16": "H",
    "i32": "i",
    "u32": "I",
    "i64": "q",
    "u64": "Q",
}
_INTEGERS: Final = {order: {kind: struct.Struct(order + code) for kind, code in _CODES.items()} for order in _ORDERS}
_DOUBLE: Final = {order: struct.Struct(order + "d") for order in _ORDERS}
_HALF: Final = {order: struct.Struct(order + "e") for order in _ORDERS}
_UTF16: Final = {"<": "utf-16-le", ">": "utf-16-be"}


class ByteReader:
    """Reads from `data[position:end]` and never beyond; whatever is malformed raises `RemoteProtocolError`.

    After an error the reader is of no further use. `data` is not copied and must not change meanwhile.
    """

    def __init__(
        self,
        data: Buffer,
        position: int = 0,
        end: int | None = None,
        *,
        order: Order = "<",
        version: int = DEFAULT_VERSION,
    ) -> None:
        end = len(data) if end is None else end
        if not 0 <= position <= end <= len(data):
            raise LocalProtocolError(f"cannot read from byte {position} to {end} of {len(data)} bytes")
        self.order: Final[Order] = order
        self.version: Final = version
        self._data = data
        self._position = position
        self._end = end
        self._integers = _INTEGERS[order]

    @property
    def position(self) -> int:
        """Where the next value begins in `data`."""
        return self._position

    @property
    def remaining(self) -> int:
        """The number of bytes not yet read."""
        return self._end - self._position

    @property
    def window(self) -> tuple[Buffer, int, int]:
        """The data, where the next value begins, and where reading ends: for those who read several values at once."""
        return self._data, self._position, self._end

    def move_to(self, position: int) -> None:
        """Go on at `position`, which lies behind what has been read."""
        self.skip(position - self._position)

    def take(self, size: int) -> bytes:
        """The next `size` bytes."""
        self.skip(size)
        return bytes(self._data[self._position - size : self._position])

    def skip(self, size: int) -> None:
        """Pass over the next `size` bytes."""
        if not 0 <= size <= self.remaining:
            raise RemoteProtocolError(f"{size} bytes announced at byte {self._position}, {self.remaining} are left")
        self._position += size

    def taken_since(self, start: int) -> bytes:
        """The bytes that were read since `position` was `start`."""
        return bytes(self._data[start : self._position])

    def expect_end(self) -> None:
        """Raise unless everything has been read."""
        if self.remaining:
            raise RemoteProtocolError(f"{self.remaining} bytes are left over at byte {self._position}")

    def read_int(self, kind: Integer) -> int:
        """An integer of the given width and signedness."""
        value: int = self._unpack(self._integers[kind])
        return value

    def read_bool(self) -> bool:
        """One byte; as in Qt, everything but zero is true."""
        return self.read_int("u8") != 0

    def read_double(self) -> float:
        """Eight bytes; `float` has eight too, because that is QDataStream's default precision."""
        value: float = self._unpack(_DOUBLE[self.order])
        return value

    def read_half(self) -> float:
        """qfloat16: two bytes."""
        value: float = self._unpack(_HALF[self.order])
        return value

    def read_optional_bytes(self) -> bytes | None:
        """A QByteArray; None when it is null."""
        size = self.read_int("u32")
        return None if size == NULL else self.take(size)

    def read_bytes(self) -> bytes:
        """A QByteArray; empty when it is null."""
        return self.read_optional_bytes() or b""

    def read_optional_string(self) -> str | None:
        """A QString; None when it is null. Lone surrogates are kept."""
        data = self.read_optional_bytes()
        if data is None:
            return None
        if len(data) % 2:
            raise RemoteProtocolError(f"a QString of {len(data)} bytes before byte {self._position}, an odd number")
        return data.decode(_UTF16[self.order], "surrogatepass")

    def read_string(self) -> str:
        """A QString; empty when it is null. Lone surrogates are kept."""
        return self.read_optional_string() or ""

    def read_c_string(self) -> str:
        """A `const char *`: its length counts the NUL at its end; a null pointer, of length zero, is read as ""."""
        data = self.take(self.read_int("u32"))
        if data and data.find(0) != len(data) - 1:
            raise RemoteProtocolError(f"a C string before byte {self._position} has no NUL at its end, or one within")
        return as_text(data[:-1])

    def read_count(self) -> int:
        """The number of items that follow. Each takes at least one byte, so a larger number is refused at once."""
        count = self.read_int("u32")
        if count > self.remaining:
            raise RemoteProtocolError(f"{count} items announced at byte {self._position}, {self.remaining} bytes left")
        return count

    def read_items(self, read: Callable[[], T]) -> list[T]:
        """A count and that many items, each read by `read`."""
        items: list[T] = []
        for _ in range(self.read_count()):
            start = self._position
            items.append(read())
            # Items without bytes would let a few bytes nest into a list of any size.
            if self._position == start:
                raise RemoteProtocolError(f"a list at byte {start} has items that take no bytes")
        return items

    def _unpack(self, layout: struct.Struct) -> Any:
        if layout.size > self.remaining:
            raise RemoteProtocolError(f"{layout.size} bytes wanted at byte {self._position}, {self.remaining} left")
        self._position += layout.size
        return layout.unpack_from(self._data, self._position - layout.size)[0]


class ByteWriter:
    """Collects bytes; a value that does not fit raises `ModelError`, after which the writer is of no further use."""

    def __init__(self, *, order: Order = "<", version: int = DEFAULT_VERSION) -> None:
        self.order: Final[Order] = order
        self.version: Final = version
        self._data = bytearray()
        self._integers = _INTEGERS[order]

    def to_bytes(self) -> bytes:
        """Everything written so far."""
        return bytes(self._data)

    def write_raw(self, data: Buffer) -> None:
        """Bytes without a length."""
        self._data += data

    def write_int(self, kind: Integer, value: int) -> None:
        """An integer of the given width and signedness."""
        self._pack(self._integers[kind], value, kind)

    def write_bool(self, value: bool) -> None:  # noqa: FBT001  the value, not a switch
        """One byte, 0 or 1."""
        self._pack(self._integers["u8"], expect(value, bool, "bool"), "bool")

    def write_double(self, value: float) -> None:
        """Eight bytes, for `double` and `float` alike."""
        self._pack(_DOUBLE[self.order], value, "double")

    def write_half(self, value: float) -> None:
        """qfloat16: two bytes."""
        self._pack(_HALF[self.order], value, "float16")

    def write_bytes(self, value: Buffer | None) -> None:
        """A QByteArray; null for None."""
        if value is None:
            self.write_int("u32", NULL)
            return
        # memoryview.nbytes, not len: the view may have items wider than a byte.
        data = bytes(expect(value, (bytes, bytearray, memoryview), "QByteArray"))
        self.write_int("u32", len(data))
        self._data += data

    def write_string(self, value: str | None) -> None:
        """A QString; null for None. Lone surrogates are kept."""
        if value is None:
            self.write_int("u32", NULL)
            return
        data = expect(value, str, "QString").encode(_UTF16[self.order], "surrogatepass")
        self.write_int("u32", len(data))
        self._data += data

    def write_c_string(self, value: str) -> None:
        """A `const char *` with its NUL."""
        data = as_data(value)
        if 0 in data:
            raise ModelError(f"{value!r} contains a NUL and cannot be a C string")
        self.write_bytes(data + b"\0")

    def write_items(self, items: Iterable[T], write: Callable[[T], None]) -> None:
        """A count and the items, each written by `write`."""
        items = list(items)
        self.write_int("u32", len(items))
        for item in items:
            write(item)

    def _pack(self, layout: struct.Struct, value: float, kind: str) -> None:
        try:
            self._data += layout.pack(value)
        except (struct.error, OverflowError) as error:
            raise ModelError(f"{_shown(value)} does not fit {kind}") from error


@dataclass(frozen=True, slots=True)
class Codec:
    """How the bare value of a type, without the head of a QVariant, is read and written."""

    read: Callable[[ByteReader], object]
    write: Callable[[ByteWriter, Any], None]


def as_text(data: bytes) -> str:
    """A C++ identifier, signature or URL from the wire, which must be UTF-8."""
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise RemoteProtocolError(f"a name that is not UTF-8: {data[:64]!r}") from error


def as_data(text: str) -> bytes:
    """A C++ identifier, signature or URL for the wire, as UTF-8."""
    try:
        return expect(text, str, "text").encode()
    except UnicodeEncodeError as error:
        raise ModelError(f"{text!r} has a lone surrogate and cannot be UTF-8") from error


def expect(value: T, kind: type | tuple[type, ...], type_name: str) -> T:
    """`value`, if it is an instance of `kind`; otherwise `ModelError` naming the type that was wanted."""
    if not isinstance(value, kind):
        raise ModelError(f"a value of type {type(value).__qualname__} cannot be sent as {type_name}")
    return value


def _shown(value: object) -> str:
    """A number for an error message; Python refuses to print very large ones, and other objects may be long."""
    if isinstance(value, int) and value.bit_length() <= 128:
        return str(value)
    return f"this {type(value).__qualname__}"
