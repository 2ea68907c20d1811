"""The syntax tree of a .rep file, as plain immutable data: what is declared, without its layout.

Texts of types and defaults are kept as repc understands them, blanks included, for its signatures are made of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from everywire.remoteobjects.rep.marks import Modifier


@dataclass(frozen=True, slots=True)
class EnumKey:
    """One key of an enum and its number, which is always there: repc counts on from the key before."""

    name: str
    value: int


@dataclass(frozen=True, slots=True)
class EnumDecl:
    """``ENUM class Name : base { … }``."""

    name: str
    keys: tuple[EnumKey, ...]
    scoped: bool = False
    base: str = ""
    doc: str = ""
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class FlagDecl:
    """``FLAG(Name Enum)``: combinations of the keys of an enum that was declared before."""

    name: str
    enum: str
    doc: str = ""
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class UseEnum:
    """``USE_ENUM(Name)``: an enum that C++ has elsewhere."""

    name: str
    doc: str = ""
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Directive:
    """A line for the C++ preprocessor, such as ``#include <QColor>``."""

    text: str


@dataclass(frozen=True, slots=True)
class PodField:
    """One value in a POD."""

    type: str
    name: str


@dataclass(frozen=True, slots=True)
class Pod:
    """``POD Name(type field, …)``; with types of its own in the form with braces."""

    name: str
    fields: tuple[PodField, ...]
    types: tuple[EnumDecl | FlagDecl, ...] = ()
    attribute: str = ""
    """A word for the C++ compiler before the name, ``MY_EXPORT`` for example."""
    doc: str = ""
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class ParameterDecl:
    """A parameter of a signal or slot; the name is empty when there is none."""

    type: str
    name: str = ""
    const: bool = False
    reference: bool = False


@dataclass(frozen=True, slots=True)
class PropDecl:
    """``PROP(type name=default MODIFIER, PERSISTED)``."""

    type: str
    name: str
    default: str = ""
    modifier: Modifier = Modifier.READPUSH
    persisted: bool = False
    doc: str = ""
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class SignalDecl:
    """``SIGNAL(name(…))``."""

    name: str
    parameters: tuple[ParameterDecl, ...] = ()
    doc: str = ""
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class SlotDecl:
    """``SLOT(result name(…))``."""

    name: str
    parameters: tuple[ParameterDecl, ...] = ()
    result: str = "void"
    """With the blanks between it and the name but for one: repc takes them for a part of the type."""
    doc: str = ""
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class ModelDecl:
    """``MODEL name(role, …)``."""

    name: str
    roles: tuple[str, ...]
    doc: str = ""
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class ChildDecl:
    """``CLASS name(Type)``: an object of another class of the file."""

    name: str
    type: str
    doc: str = ""
    line: int = field(default=0, compare=False)


Inner = EnumDecl | FlagDecl | PropDecl | SignalDecl | SlotDecl | ModelDecl | ChildDecl
"""What a class consists of."""


@dataclass(frozen=True, slots=True)
class ClassDecl:
    """``class Name { … };``."""

    name: str
    members: tuple[Inner, ...] = ()
    attribute: str = ""
    doc: str = ""
    notes: tuple[str, ...] = ()
    """Lines of comment at its end: what is left out."""
    line: int = field(default=0, compare=False)


Item = Directive | UseEnum | EnumDecl | FlagDecl | Pod | ClassDecl
"""What a file consists of."""


@dataclass(frozen=True, slots=True)
class Rep:
    """A .rep file; the order counts, for repc knows a type only after its declaration."""

    items: tuple[Item, ...] = ()

    @property
    def classes(self) -> tuple[ClassDecl, ...]:
        """The classes, in order."""
        return tuple(item for item in self.items if isinstance(item, ClassDecl))

    @property
    def pods(self) -> tuple[Pod, ...]:
        """The PODs, in order."""
        return tuple(item for item in self.items if isinstance(item, Pod))
