"""What an annotation may say about a member for Qt Remote Objects alone: its exact C++ type, and how repc declares it.

```python
class Camera(Object):
    home: Property[Annotated[str, CppType("QUrl")]] = prop("", writable=True)
    serial: Property[Annotated[str, CONSTANT]] = prop("A-17")
```
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from everywire.errors import ModelError
from everywire.model.marks import Mark

E = TypeVar("E", bound=type[enum.Enum])


@dataclass(frozen=True, slots=True)
class CppType(Mark):
    """The C++ type of a value in a .rep file, such as ``QUrl`` or ``QVector<int>``."""

    name: str


class Modifier(Mark, enum.Enum):
    """Who may write a property, in the words of .rep files; the numbers are repc's.

    Without one a writable property is READPUSH and any other READONLY.
    """

    CONSTANT = 0
    """Never changes: it has no notify signal."""
    READONLY = 1
    READPUSH = 2
    """A replica asks for a new value by the slot ``pushXxx``."""
    READWRITE = 3
    """A replica writes the property itself."""
    SOURCEONLYSETTER = 4
    """As READONLY; the C++ source has a setter."""


CONSTANT: Final = Modifier.CONSTANT
READONLY: Final = Modifier.READONLY
READPUSH: Final = Modifier.READPUSH
READWRITE: Final = Modifier.READWRITE
SOURCEONLYSETTER: Final = Modifier.SOURCEONLYSETTER


@dataclass(frozen=True, slots=True)
class Persisted(Mark):
    """A replica keeps the last value of the property and has it before its source was ever found."""


PERSISTED: Final = Persisted()


@dataclass(frozen=True, slots=True)
class EnumForm:
    """How C++ declares an enum."""

    base: str = ""
    """The underlying type as written, ``quint8`` for example; empty for none."""
    scoped: bool = False
    """Whether it is an ``enum class``."""


_FORM: Final = "__cpp_enum__"
_SIZES: Final = {
    **dict.fromkeys(("qint8", "quint8", "uchar", "char", "int8_t", "uint8_t", "signed char", "unsigned char"), 1),
    **dict.fromkeys(("qint16", "quint16", "short", "ushort", "int16_t", "uint16_t", "unsigned short"), 2),
    **dict.fromkeys(("qint64", "quint64", "qlonglong", "qulonglong", "int64_t", "uint64_t"), 8),
}


def cpp_enum(base: str = "", *, scoped: bool = False) -> Callable[[E], E]:
    """Say how C++ declares the decorated enum: ``@cpp_enum("quint8", scoped=True)`` is ``enum class X : quint8``."""

    def declare(cls: E) -> E:
        if not issubclass(cls, enum.Enum):
            raise ModelError("cpp_enum is for classes derived from Enum")
        setattr(cls, _FORM, EnumForm(base, scoped))
        return cls

    return declare


def enum_form(cls: type[enum.Enum]) -> EnumForm:
    """Return how C++ declares *cls*."""
    form = getattr(cls, _FORM, None)
    return form if isinstance(form, EnumForm) else EnumForm()


def enum_size(cls: type[enum.Enum]) -> int:
    """Return the bytes of the C++ enum."""
    return _SIZES.get(enum_form(cls).base, 4)


def modifier_of(marks: tuple[Mark, ...], *, writable: bool) -> Modifier:
    """Return the modifier of a property."""
    for mark in marks:
        if isinstance(mark, Modifier):
            return mark
    return Modifier.READPUSH if writable else Modifier.READONLY
