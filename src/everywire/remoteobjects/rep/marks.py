"""What an annotation may say about a member for Qt Remote Objects alone: its exact C++ type, and how repc declares it.

```python
class Camera(Object):
    home: Property[Annotated[str, CppType("QUrl")]] = prop("", writable=True)
    serial: Property[Annotated[str, CONSTANT]] = prop("A-17")
```
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from everywire.errors import ModelError
from everywire.model import marks
from everywire.model.marks import MARKS, Mark, WireName

E = TypeVar("E", bound=type[enum.Enum])
F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class CppType(Mark):
    """The C++ type of a value in a .rep file, such as ``QUrl`` or ``const QVector<int> &``, with the same blanks.

    Signatures of classes are digests of such texts: Qt 5 tells ``QMap<int, int>`` and ``QMap<int,int>`` apart.
    """

    name: str


def wire_named(name: str) -> Callable[[F], F]:
    """Say what Qt calls a signal or slot, where that is not its name in camelCase; stands next to its ``def``."""

    def declare(function: F) -> F:
        setattr(function, MARKS, (*getattr(function, MARKS, ()), WireName(name)))
        return function

    return declare


class Roles(Mark):
    """The roles of a table that is a child object: ``Annotated[Table, Roles("display", "color")]``."""

    __slots__ = ("names",)

    def __init__(self, *names: str) -> None:
        self.names = names

    def __repr__(self) -> str:
        return f"Roles({', '.join(map(repr, self.names))})"


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


Persisted = marks.Persisted
PERSISTED: Final = marks.PERSISTED


@dataclass(frozen=True, slots=True)
class EnumForm:
    """How C++ declares an enum."""

    base: str = ""
    """The underlying type as written, ``quint8`` for example; empty for none."""
    scoped: bool = False
    """Whether it is an ``enum class``."""
    name: str = ""
    """Its name; empty when it is that of the Python class."""
    scope: str = ""
    """The class or POD in which it is declared; empty for none."""
    keys: Mapping[str, str] = field(default_factory=dict[str, str])
    """The keys whose names are others than in Python, by the names in Python."""
    flag_of: type[enum.Enum] | None = None
    """The enum whose keys are combined, of a ``FLAG``."""


_FORM: Final = "__cpp_enum__"
_SIZES: Final = {
    **dict.fromkeys(("qint8", "quint8", "uchar", "char", "int8_t", "uint8_t", "signed char", "unsigned char"), 1),
    **dict.fromkeys(("qint16", "quint16", "short", "ushort", "int16_t", "uint16_t", "unsigned short"), 2),
    **dict.fromkeys(("qint64", "quint64", "qlonglong", "qulonglong", "int64_t", "uint64_t", "long", "ulong"), 8),
}


def cpp_enum(
    base: str = "", *, scoped: bool = False, name: str = "", scope: str = "", keys: Mapping[str, str] | None = None
) -> Callable[[E], E]:
    """Say how C++ declares the decorated enum: ``@cpp_enum("quint8", scoped=True)`` is ``enum class X : quint8``.

    *name* is its name there, and *scope* the class or POD around it. *keys* are the keys that C++ spells otherwise:
    ``{"none": "None"}``.
    """
    return _declare(EnumForm(base, scoped, name, scope, dict(keys or {})))


def cpp_flag(of: type[enum.Enum], *, name: str = "", scope: str = "") -> Callable[[E], E]:
    """Say that the decorated class is a ``FLAG`` of combined keys of the enum *of*."""
    form = enum_form(of)
    return _declare(EnumForm(form.base, form.scoped, name, scope, form.keys, of))


def _declare(form: EnumForm) -> Callable[[E], E]:
    def declare(cls: E) -> E:
        if not issubclass(cls, enum.Enum):
            raise ModelError("cpp_enum and cpp_flag are for classes derived from Enum")
        if unknown := sorted(set(form.keys) - set(cls.__members__)):
            raise ModelError(f"{cls.__name__} has no key {', '.join(unknown)}")
        setattr(cls, _FORM, form)
        return cls

    return declare


def enum_form(cls: type[enum.Enum]) -> EnumForm:
    """Return how C++ declares *cls*."""
    form = getattr(cls, _FORM, None)
    return form if isinstance(form, EnumForm) else EnumForm()


def enum_size(cls: type[enum.Enum]) -> int:
    """Return the bytes of the C++ enum; those of combined flags are always four."""
    form = enum_form(cls)
    return 4 if form.flag_of is not None else _SIZES.get(form.base.removeprefix("std::"), 4)


def modifier_of(marks: tuple[Mark, ...], *, writable: bool) -> Modifier:
    """Return the modifier of a property."""
    for mark in marks:
        if isinstance(mark, Modifier):
            return mark
    return Modifier.READPUSH if writable else Modifier.READONLY
