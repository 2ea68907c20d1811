"""What a stream must know about user types: enums, gadgets, types with stream operators of their own, other names."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from everywire.codec.qdatastream.names import FLAGS, TypeName
from everywire.codec.qdatastream.stream import Integer, expect
from everywire.errors import ModelError

if TYPE_CHECKING:  # both import this module
    from everywire.codec.qdatastream.reader import Reader
    from everywire.codec.qdatastream.writer import Writer


@dataclass(frozen=True, slots=True)
class Streamed:
    """A C++ type with stream operators of its own: `read` and `write` are these, and handle its bare value.

    `read` raises nothing but `RemoteProtocolError`; use `Reader.read_named` and `Writer.write_named` for the parts of
    the value, they count how deep values are nested.
    """

    read: Callable[[Reader], object]
    write: Callable[[Writer, Any], None]


@dataclass(frozen=True, slots=True)
class Enumeration:
    """An enum of `size` bytes for which repc of Qt 5 has generated stream operators: `streamed_by_qt_5`.

    They count in containers, before version 20. Anywhere else an enum is a signed integer of its size.
    """

    size: int
    streamed_by_qt_5: Integer

    @classmethod
    def of_repc(cls, numbers: Collection[int], size: int = 4) -> Enumeration:
        """The enum with keys of these *numbers*: the narrowest integer that holds all, widened one number early."""
        largest = max((abs(number) for number in numbers), default=0)
        if any(number < 0 for number in numbers):
            return cls(size, "i8" if largest < 0x7F else "i16" if largest < 0x7FFF else "i32")
        return cls(size, "u8" if largest < 0xFF else "u16" if largest < 0xFFFF else "u32")


Layout = int | Enumeration | tuple[tuple[str, str], ...] | str | Streamed
"""The size of an enum in bytes; (name, C++ type) of each property of a gadget; another type's name; or anything else.

Of an enum of a size that no enum has, 0 for instance, 4 bytes are expected.

A gadget's payload is each property as a whole QVariant. An alias such as `"IndexList": "QList<ModelIndex>"` goes by its
own name and has the payload of the other.
"""

UserTypes = Mapping[str, Layout]
"""Types by C++ name."""

NO_TYPES: Final[UserTypes] = MappingProxyType({})

_KINDS: Final[dict[int, Integer]] = {1: "i8", 2: "i16", 8: "i64"}


def enumeration(wanted: TypeName, types: UserTypes, version: int) -> tuple[int, Integer] | None:
    """The size of an enum, or of the flags of one, and what it is in a container; None if the type is neither."""
    name, arguments = wanted
    is_flags = name == FLAGS and len(arguments) == 1
    found = types.get(arguments[0].name, 4) if is_flags else None if arguments else types.get(name)
    if isinstance(found, Enumeration):
        if version < 20 and not is_flags:
            return found.size, found.streamed_by_qt_5
        found = found.size
    return (found, _KINDS.get(found, "i32")) if isinstance(found, int) else None


def record(*members: tuple[str, str]) -> Streamed:
    """A C++ structure whose operators stream its members, (name, C++ type), bare one behind the other; here a dict."""

    def read(reader: Reader) -> object:
        return {name: reader.read_named(type_name) for name, type_name in members}

    def write(writer: Writer, value: Mapping[str, Any]) -> None:
        for type_name, member in zip(types, members_of(value, names), strict=True):
            writer.write_named(type_name, member)

    names, types = tuple(name for name, _ in members), tuple(type_name for _, type_name in members)
    return Streamed(read, write)


def members_of(value: Any, names: tuple[str, ...], type_name: str = "structure") -> list[Any]:
    """The members of a structure given as a dict; `ModelError` unless it has exactly these."""
    if expect(value, dict, type_name).keys() != set(names):
        raise ModelError(f"a {type_name} has the members {', '.join(names)}, not {', '.join(map(str, value))}")
    return [value[name] for name in names]
