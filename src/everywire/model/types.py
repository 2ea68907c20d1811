"""The closed type algebra of contracts: what a value may be, checked and converted the same way for every wire.

Each node converts a Python value to the value that is stored and sent (`convert`), says whether such values are
immutable (`immutable`: compared before they are announced), and which test accepts a value as it stands (`test`: source
text for the compiled checks of `model/compile.py`). `model/annotations.py` builds nodes from annotations.
"""

from __future__ import annotations

import enum
import math
import operator
import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Annotated, Any, ClassVar, Final, Optional
from uuid import UUID

from everywire.errors import ModelError, OutOfRange

MAX_DEPTH: Final = 64
"""Deepest nesting of a value of type `Any` (SEMANTICS 6)."""


@dataclass(frozen=True, slots=True)
class Range:
    """Bounds, both included, for use in ``Annotated[float, Range(5, 35)]``."""

    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit of measure in UCUM notation, for use in ``Annotated[float, Unit("Cel")]``."""

    symbol: str


@dataclass(frozen=True, slots=True)
class Width:
    """Bits of a number on the wires, for use in ``Annotated[int, Width(16, signed=False)]``; `u16` is that."""

    bits: int
    signed: bool = True


i8 = Annotated[int, Width(8)]
i16 = Annotated[int, Width(16)]
i32 = Annotated[int, Width(32)]
i64 = Annotated[int, Width(64)]
u8 = Annotated[int, Width(8, signed=False)]
u16 = Annotated[int, Width(16, signed=False)]
u32 = Annotated[int, Width(32, signed=False)]
u64 = Annotated[int, Width(64, signed=False)]
f32 = Annotated[float, Width(32)]


def refuse(value: object, expected: str) -> ModelError:
    """Return the error for a value of a wrong type; the text never holds more than the type's name."""
    return ModelError(f"expected {expected}, got {type(value).__name__}")


class Type:
    """Base of the nodes."""

    immutable: ClassVar[bool] = True

    def convert(self, value: Any) -> Any:
        """Return *value* as it is stored and sent; raise ModelError or OutOfRange."""
        raise NotImplementedError

    def test(self, name: str) -> str | None:
        """Return an expression that is true when the variable *name* needs no conversion; None: always convert."""
        return None

    @property
    def zero(self) -> Any:
        """The value of a member nobody has set, as Qt's default construction."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Exact(Type):
    """A type whose values are accepted as they stand: bool, str, times, UUID."""

    kind: type
    name: str

    def convert(self, value: Any) -> Any:
        if type(value) is self.kind:
            return value
        if isinstance(value, self.kind) and self.kind is str:
            return str.__str__(value)  # str subclasses, a StrEnum member among them, lose their class
        if isinstance(value, self.kind) and not isinstance(value, datetime):
            return value
        raise refuse(value, self.name)

    def test(self, name: str) -> str | None:
        return f"type({name}) is {self.kind.__name__}"

    @property
    def zero(self) -> Any:
        return _ZEROS.get(self.kind) or self.kind()


_ZEROS: Final[Mapping[type, Any]] = {
    datetime: datetime(1970, 1, 1),  # noqa: DTZ001  naive is Qt's local time
    date: date(1970, 1, 1),
    UUID: UUID(int=0),
}

BOOL = Exact(bool, "bool")
STR = Exact(str, "str")
DATETIME = Exact(datetime, "datetime")
DATE = Exact(date, "date")
TIME = Exact(time, "time")
DURATION = Exact(timedelta, "timedelta")
UUID_ = Exact(UUID, "UUID")


@dataclass(frozen=True, slots=True)
class Int(Type):
    """A whole number of a width, within optional bounds."""

    bits: int = 64
    signed: bool = True
    low: int | None = None
    high: int | None = None

    @property
    def name(self) -> str:
        return f"{'i' if self.signed else 'u'}{self.bits}"

    @property
    def bounds(self) -> tuple[int, int]:
        """Smallest and largest allowed value, the width included."""
        least, most = (-(1 << self.bits - 1), (1 << self.bits - 1) - 1) if self.signed else (0, (1 << self.bits) - 1)
        return max(least, least if self.low is None else self.low), min(most, most if self.high is None else self.high)

    def convert(self, value: Any) -> int:
        if isinstance(value, bool):
            raise refuse(value, "int")
        try:
            number = int(operator.index(value))
        except TypeError:
            raise refuse(value, "int") from None
        low, high = self.bounds
        if not low <= number <= high:
            raise OutOfRange(f"{_short(number)} is not within {low} and {high} ({self.name})")
        return number

    def test(self, name: str) -> str:
        low, high = self.bounds
        return f"type({name}) is int and {low} <= {name} <= {high}"

    @property
    def zero(self) -> int:
        low, high = self.bounds
        return min(max(0, low), high)


@dataclass(frozen=True, slots=True)
class Float(Type):
    """A floating-point number of 64 or 32 bits, within optional bounds; NaN lies outside every bound."""

    bits: int = 64
    low: float | None = None
    high: float | None = None

    @property
    def name(self) -> str:
        return f"f{self.bits}"

    def convert(self, value: Any) -> float:
        if isinstance(value, (bool, str, bytes)) or not hasattr(type(value), "__float__"):
            raise refuse(value, "float")
        try:
            number = float(value)
            if self.bits == 32:
                number = _F32.unpack(_F32.pack(number))[0]
        except OverflowError:
            raise OutOfRange(f"{_short(value)} is too large for {self.name}") from None
        if (self.low is not None and not number >= self.low) or (self.high is not None and not number <= self.high):
            raise OutOfRange(f"{number!r} is not within {_bound(self.low)} and {_bound(self.high)}")
        return number

    def test(self, name: str) -> str | None:
        if self.bits == 32:
            return None
        low = "" if self.low is None else f" and {name} >= {float(self.low)!r}"
        high = "" if self.high is None else f" and {name} <= {float(self.high)!r}"
        return f"type({name}) is float{low}{high}"

    @property
    def zero(self) -> float:
        return min(max(0.0, -math.inf if self.low is None else self.low), math.inf if self.high is None else self.high)


_F32: Final = struct.Struct("<f")


@dataclass(frozen=True, slots=True)
class Bytes(Type):
    """Raw bytes; any buffer (bytearray, memoryview, numpy array) is copied."""

    name: ClassVar[str] = "bytes"

    def convert(self, value: Any) -> bytes:
        if type(value) is bytes:
            return value
        if isinstance(value, (str, int)):
            raise refuse(value, "bytes")
        try:
            return bytes(memoryview(value))
        except TypeError:
            raise refuse(value, "bytes") from None

    def test(self, name: str) -> str:
        return f"type({name}) is bytes"

    @property
    def zero(self) -> bytes:
        return b""


@dataclass(frozen=True, slots=True)
class EnumType(Type):
    """A Python Enum or Flag; wires carry its name, its value or its place as `MAPPINGS` says."""

    cls: type[enum.Enum]

    @property
    def name(self) -> str:
        return self.cls.__name__

    @property
    def flag(self) -> bool:
        """Whether members can be combined."""
        return issubclass(self.cls, enum.Flag)

    def convert(self, value: Any) -> enum.Enum:
        if isinstance(value, self.cls):
            return value
        raise refuse(value, self.name)

    def to_int(self, value: enum.Enum) -> int:
        """Return the number of a member: its value when all values are integers of 32 bits, else its place."""
        number: Any = value.value
        return number if self._numeric else list(self.cls).index(value)

    def from_int(self, number: int) -> enum.Enum:
        """Return the member of a number as `to_int` gave it; raise ModelError for a foreign one."""
        try:
            return self.cls(number) if self._numeric else list(self.cls)[number if number >= 0 else len(self.cls)]
        except (ValueError, IndexError):
            raise ModelError(f"{_short(number)} is not a {self.name}") from None

    @property
    def keys(self) -> dict[str, int]:
        """Names and numbers of the members, aliases left out."""
        return {member.name: self.to_int(member) for member in self.cls}

    @property
    def _numeric(self) -> bool:
        return all(type(m.value) is int and -(2**31) <= m.value < 2**32 for m in self.cls)

    @property
    def zero(self) -> enum.Enum:
        return self.cls(0) if self.flag else next(iter(self.cls))


@dataclass(frozen=True, slots=True)
class ListOf(Type):
    """A list of items of one type."""

    item: Type
    immutable: ClassVar[bool] = False

    @property
    def name(self) -> str:
        return f"list[{type_name(self.item)}]"

    def convert(self, value: Any) -> list[Any]:
        if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
            raise refuse(value, self.name)
        return convert_items(self.item, value)

    @property
    def zero(self) -> list[Any]:
        return []


@dataclass(frozen=True, slots=True)
class TupleOf(Type):
    """A tuple: one type for each item, or one for all when `variadic`."""

    items: tuple[Type, ...]
    variadic: bool = False

    @property
    def name(self) -> str:
        return f"tuple[{', '.join(map(type_name, self.items))}{', ...' if self.variadic else ''}]"

    @property
    def immutable(self) -> bool:  # type: ignore[override]
        return all(item.immutable for item in self.items)

    def convert(self, value: Any) -> tuple[Any, ...]:
        if not isinstance(value, (tuple, list)):
            raise refuse(value, self.name)
        if self.variadic:
            return tuple(convert_items(self.items[0], value))
        if len(value) != len(self.items):
            raise ModelError(f"expected {len(self.items)} items, got {len(value)}")
        return tuple([_convert_at(n, item, v) for n, (item, v) in enumerate(zip(self.items, value, strict=True))])

    @property
    def zero(self) -> tuple[Any, ...]:
        return () if self.variadic else tuple(item.zero for item in self.items)


@dataclass(frozen=True, slots=True)
class DictOf(Type):
    """A mapping with keys of one type and values of one type."""

    key: Type
    value: Type
    immutable: ClassVar[bool] = False

    @property
    def name(self) -> str:
        return f"dict[{type_name(self.key)}, {type_name(self.value)}]"

    def convert(self, value: Any) -> dict[Any, Any]:
        if not isinstance(value, Mapping):
            raise refuse(value, self.name)
        key, item = self.key.convert, self.value
        return {key(k): _convert_at(k, item, v) for k, v in value.items()}

    @property
    def zero(self) -> dict[Any, Any]:
        return {}


@dataclass(frozen=True, slots=True)
class OptionalOf(Type):
    """A value or None."""

    item: Type

    @property
    def name(self) -> str:
        return f"{type_name(self.item)} | None"

    @property
    def immutable(self) -> bool:  # type: ignore[override]
        return self.item.immutable

    def convert(self, value: Any) -> Any:
        return None if value is None else self.item.convert(value)

    def test(self, name: str) -> str | None:
        inner = self.item.test(name)
        return None if inner is None else f"({name} is None or {inner})"

    @property
    def zero(self) -> None:
        return None


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a struct."""

    name: str
    type: Type
    required: bool = True


@dataclass(frozen=True, slots=True)
class StructOf(Type):
    """A dataclass or msgspec.Struct: a POD, gadget, message or structure on the wires."""

    cls: type
    fields: tuple[Field, ...]
    frozen: bool = False

    @property
    def name(self) -> str:
        return self.cls.__name__

    @property
    def immutable(self) -> bool:  # type: ignore[override]
        return self.frozen and all(field.type.immutable for field in self.fields)

    def convert(self, value: Any) -> Any:
        """Return a checked copy; a mapping with the fields' names is accepted too."""
        get: Callable[[str], Any]
        if isinstance(value, self.cls):
            return self.cls(**{f.name: _convert_at(f.name, f.type, getattr(value, f.name)) for f in self.fields})
        if not isinstance(value, Mapping):
            raise refuse(value, self.name)
        known = {field.name for field in self.fields}
        if unknown := sorted(str(key) for key in value if key not in known):
            raise ModelError(f"{self.name} has no field {', '.join(_short(name) for name in unknown)}")
        if missing := [f.name for f in self.fields if f.required and f.name not in value]:
            raise ModelError(f"{self.name} lacks {', '.join(missing)}")
        return self.cls(**{f.name: _convert_at(f.name, f.type, value[f.name]) for f in self.fields if f.name in value})

    @property
    def zero(self) -> Any:
        return self.cls(**{field.name: field.type.zero for field in self.fields if field.required})


@dataclass(frozen=True, slots=True)
class AnyType(Type):
    """Any value that wires know: a variant."""

    name: ClassVar[str] = "Any"
    immutable: ClassVar[bool] = False

    def convert(self, value: Any) -> Any:
        return _copy_any(value, MAX_DEPTH)

    @property
    def zero(self) -> None:
        return None


ANY = AnyType()
BYTES = Bytes()

_PLAIN: Final = frozenset({type(None), bool, int, float, str, bytes, datetime, date, time, timedelta, UUID})


def _copy_any(value: Any, depth: int) -> Any:
    if type(value) in _PLAIN or isinstance(value, enum.Enum):
        return value
    if depth == 0:
        raise ModelError(f"nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, (list, tuple)):
        return [_copy_any(item, depth - 1) for item in value]
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise ModelError("a dict in a value of type Any needs text keys")
        return {key: _copy_any(item, depth - 1) for key, item in value.items()}
    if isinstance(value, (bytearray, memoryview)):
        return bytes(value)
    if hasattr(type(value), "__dataclass_fields__") or hasattr(type(value), "__struct_fields__"):
        return value
    raise refuse(value, "a value that wires know (number, text, bytes, time, UUID, list, dict, dataclass)")


def python_type(node: Type) -> Any:
    """Return the annotation a person would write for *node*, for signatures of replicas."""
    if isinstance(node, Exact):
        return node.kind
    if isinstance(node, (EnumType, StructOf)):
        return node.cls
    if isinstance(node, ListOf):
        return list[python_type(node.item)]
    if isinstance(node, TupleOf):
        items = tuple(python_type(item) for item in node.items)
        return tuple[(*items, ...)] if node.variadic else tuple[items]
    if isinstance(node, DictOf):
        return dict[python_type(node.key), python_type(node.value)]
    if isinstance(node, OptionalOf):
        return Optional[python_type(node.item)]
    return {Int: int, Float: float, Bytes: bytes}.get(type(node), Any)


def convert_items(item: Type, values: Iterable[Any]) -> list[Any]:
    """Convert each of *values*, naming the place of a wrong one."""
    return [_convert_at(n, item, value) for n, value in enumerate(values)]


def _convert_at(place: object, item: Type, value: Any) -> Any:
    try:
        return item.convert(value)
    except ModelError as error:
        raise type(error)(f"at {_short(place)}: {error}") from None


def type_name(type_: Type) -> str:
    """Return the name a person would write for a type."""
    return str(getattr(type_, "name", type(type_).__name__))


def _short(value: object) -> str:
    """Return a bounded text of a value that may come from a stranger."""
    if isinstance(value, int) and value.bit_length() > 256:
        return "a number of more than 256 bits"
    text = repr(value) if not isinstance(value, str) else value
    return text if len(text) <= 80 else f"{text[:77]}…"


def _bound(bound: float | None) -> str:
    return "anything" if bound is None else f"{bound:g}"
