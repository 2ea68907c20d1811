"""Types of values without parts: bool, numbers, text, bytes, times, UUID and enums."""

from __future__ import annotations

import enum
import math
import operator
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any, Final, NamedTuple, cast
from uuid import UUID

from everywire.errors import ModelError, OutOfRange
from everywire.model.types.base import Type, refuse, short


class Form(NamedTuple):
    """Which texts are valid where a wire has a type of its own for them, such as the paths of D-Bus."""

    name: str
    check: Callable[[str], object]
    """Raises ModelError for a text that is not of this form."""
    zero: str
    """The text of a member that nobody has set."""


@dataclass(frozen=True, slots=True)
class Exact(Type):
    """A type whose values are accepted as they stand: bool, str, times, UUID. Values of subclasses lose their class.

    A text may have a *form*, which one wire knows; to all others, and where contracts are compared, it is plain text.
    """

    kind: type
    form: Form | None = field(default=None, compare=False)

    @property
    def name(self) -> str:
        return self.kind.__name__

    @property
    def exact(self) -> type | None:
        return self.kind if self.form is None else None

    @property
    def zero(self) -> Any:
        if self.form is not None:
            return self.form.zero
        return _ZEROS.get(self.kind) or self.kind()

    def convert(self, value: Any) -> Any:
        if type(value) is not self.kind:
            if not isinstance(value, self.kind) or (self.kind is date and isinstance(value, datetime)):
                raise refuse(value, self.name)
            value = _PLAIN_COPY[self.kind](value)
        if self.form is not None:
            self.form.check(value)
        return value


_ZEROS: Final[Mapping[type, Any]] = {
    datetime: datetime(1970, 1, 1),  # noqa: DTZ001  naive is Qt's local time
    date: date(1970, 1, 1),
    UUID: UUID(int=0),
}
_PLAIN_COPY: Final[Mapping[type, Callable[[Any], Any]]] = {
    str: str.__str__,
    datetime: lambda value: datetime.combine(date.fromordinal(value.toordinal()), value.timetz()),
    date: lambda value: date.fromordinal(value.toordinal()),
    time: lambda value: time(
        value.hour, value.minute, value.second, value.microsecond, tzinfo=value.tzinfo, fold=value.fold
    ),
    timedelta: lambda value: timedelta(value.days, value.seconds, value.microseconds),
    UUID: lambda value: UUID(int=value.int),
}

BOOL = Exact(bool)
STR = Exact(str)
DATETIME = Exact(datetime)
DATE = Exact(date)
TIME = Exact(time)
DURATION = Exact(timedelta)
UUID_ = Exact(UUID)


@dataclass(frozen=True, slots=True)
class Int(Type):
    """A whole number of a width, within optional bounds."""

    bits: int = 64
    signed: bool = True
    low: int | None = None
    high: int | None = None
    bounds: tuple[int, int] = field(init=False, repr=False, compare=False)
    """Smallest and largest allowed value, the width included."""

    def __post_init__(self) -> None:
        least, most = (-(1 << self.bits - 1), (1 << self.bits - 1) - 1) if self.signed else (0, (1 << self.bits) - 1)
        low, high = (least if self.low is None else self.low), (most if self.high is None else self.high)
        object.__setattr__(self, "bounds", (max(least, low), min(most, high)))

    @property
    def name(self) -> str:
        return f"{'i' if self.signed else 'u'}{self.bits}"

    def convert(self, value: Any) -> int:
        low, high = self.bounds
        if type(value) is int and low <= value <= high:
            return value
        if isinstance(value, bool):
            raise refuse(value, "int")
        try:
            number = int(operator.index(value))
        except TypeError:
            raise refuse(value, "int") from None
        if not low <= number <= high:
            raise OutOfRange(f"{short(number)} is not within {low} and {high} ({self.name})")
        return number

    def test(self, variable: str) -> str:
        low, high = self.bounds
        return f"type({variable}) is int and {low} <= {variable} <= {high}"

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
        try:
            if isinstance(value, (bool, str, bytes)):
                raise TypeError
            number = float(value)
            if self.bits == 32:
                number = _F32.unpack(_F32.pack(number))[0]
        except OverflowError:
            raise OutOfRange(f"{short(value)} is too large for {self.name}") from None
        except (TypeError, ValueError):  # an array of several numbers has __float__ too
            raise refuse(value, "float") from None
        if (self.low is not None and not number >= self.low) or (self.high is not None and not number <= self.high):
            raise OutOfRange(f"{number!r} is not {_bounds(self.low, self.high)}")
        return number

    @property
    def exact(self) -> type | None:
        return float if (self.bits, self.low, self.high) == (64, None, None) else None

    def test(self, variable: str) -> str | None:
        if self.bits == 32:
            return None
        low = "" if self.low is None else f" and {variable} >= {float(self.low)!r}"
        high = "" if self.high is None else f" and {variable} <= {float(self.high)!r}"
        return f"type({variable}) is float{low}{high}"

    @property
    def zero(self) -> float:
        return min(max(0.0, -math.inf if self.low is None else self.low), math.inf if self.high is None else self.high)


_F32: Final = struct.Struct("<f")


@dataclass(frozen=True, slots=True)
class Bytes(Type):
    """Raw bytes; any buffer (bytearray, memoryview, numpy array) is copied."""

    @property
    def name(self) -> str:
        return "bytes"

    @property
    def exact(self) -> type:
        return bytes

    @property
    def zero(self) -> bytes:
        return b""

    def convert(self, value: Any) -> bytes:
        if type(value) is bytes:
            return value
        try:
            return bytes(memoryview(value))
        except (TypeError, ValueError):
            raise refuse(value, "bytes") from None


@dataclass(frozen=True, slots=True)
class EnumType(Type):
    """A Python Enum or Flag; wires carry its name, its value or its place as `MAPPINGS` says."""

    cls: type[enum.Enum]
    keys: Mapping[str, int] = field(init=False, repr=False, compare=False)
    """Names and numbers of the members, aliases left out: values, when all are integers of 32 bits, else places."""
    _numbers: Mapping[enum.Enum, int] = field(init=False, repr=False, compare=False)
    _members: Mapping[int, enum.Enum] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        members = tuple(self.cls)
        numeric = self.flag or all(type(m.value) is int and -(2**31) <= m.value < 2**32 for m in members)
        found = {member: cast("int", member.value) if numeric else place for place, member in enumerate(members)}
        object.__setattr__(self, "keys", {member.name: number for member, number in found.items()})
        object.__setattr__(self, "_numbers", found)
        object.__setattr__(self, "_members", {number: member for member, number in found.items()})

    @property
    def name(self) -> str:
        return self.cls.__name__

    @property
    def flag(self) -> bool:
        """Whether members can be combined."""
        return issubclass(self.cls, enum.Flag)

    @property
    def zero(self) -> enum.Enum:
        return self.cls(0) if self.flag else next(iter(self.cls))

    def convert(self, value: Any) -> enum.Enum:
        if isinstance(value, self.cls):
            return value
        if type(value).__name__ == self.name:
            raise ModelError(f"expected {self.name}, got a member of another class {self.name}: {_TOLD}")
        shown = [*self.keys][:_SHOWN]
        more = ", …" if len(self.keys) > len(shown) else ""
        raise ModelError(f"{refuse(value, self.name)}; {self.name} has {', '.join(shown)}{more}")

    def to_int(self, value: enum.Enum) -> int:
        """Return the number of a member, or of a combination of flags."""
        number = self._numbers.get(value)
        return cast("int", value.value) if number is None else number

    def from_int(self, number: int) -> enum.Enum:
        """Return the member of a number as `to_int` gave it; raise ModelError for a foreign one."""
        found = self._members.get(number)
        if found is None and self.flag and -(2**63) <= number < 2**64:  # a flag may keep any bits, wires carry 64
            try:
                found = self.cls(number)
            except ValueError:
                found = None
        if found is None:
            raise ModelError(f"{short(number)} is not a {self.name}")
        return found


_SHOWN: Final = 12
"""Members of an enum that an error names."""
_TOLD: Final = "connect with your class, or take the enum's class from a value that the replica has"


def _bounds(low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return f"at least {low:g}" if high is None else f"at most {high:g}"
    return f"within {low:g} and {high:g}"


BYTES = Bytes()
