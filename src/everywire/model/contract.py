"""What an object shows to others, as plain immutable data; no behaviour and no wire."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from everywire.model.marks import Mark
from everywire.model.types import Type

DEFAULT_TIMEOUT: Final = 30.0
"""Seconds a slot may run when `slot(timeout=…)` does not say otherwise (SEMANTICS 3)."""


class Kind(enum.Enum):
    """What a member is. A computed property is a PROPERTY that is not writable."""

    PROPERTY = "property"
    SIGNAL = "signal"
    SLOT = "slot"


class Missing(enum.Enum):
    """The absence of a default value, told apart from None."""

    MISSING = enum.auto()


MISSING: Final = Missing.MISSING


@dataclass(frozen=True, slots=True)
class Parameter:
    """A named and typed argument of a signal or slot; the value of a property is a parameter of the same name."""

    name: str
    type: Type
    default: Any = MISSING
    unit: str = ""
    marks: tuple[Mark, ...] = field(default=(), compare=False)
    """Words for single wires."""

    def __str__(self) -> str:
        if self.default is MISSING:
            return f"{self.name}: {self.type.name}"
        default = enum.Enum.__str__(self.default) if isinstance(self.default, enum.Enum) else repr(self.default)
        return f"{self.name}: {self.type.name} = {default}"


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """One property, signal or slot: its name, its types and its words for people.

    `result` is None for a slot without a result; for a stream it is the type of one item. `wire_name` is the
    original name when the contract came from a wire whose names are not Python's.
    """

    kind: Kind
    name: str
    parameters: tuple[Parameter, ...]
    result: Type | None = None
    writable: bool = False
    stream: bool = False
    timeout: float | None = DEFAULT_TIMEOUT
    doc: str = ""
    number: int | None = None
    wire_name: str = ""
    result_marks: tuple[Mark, ...] = ()
    reads: bool = False
    """Whether a slot changes nothing, so that it asks for no more than reading a property does; known to hosts only."""

    @property
    def marks(self) -> tuple[Mark, ...]:
        """Words about the member for single wires."""
        return self.parameters[0].marks if self.kind is Kind.PROPERTY else self.result_marks

    @property
    def type(self) -> Type:
        """The type of a property."""
        return self.parameters[0].type

    @property
    def unit(self) -> str:
        """The unit of a property, in UCUM notation."""
        return self.parameters[0].unit

    def __repr__(self) -> str:
        return f"<member {self}>"

    def __str__(self) -> str:
        if self.kind is Kind.PROPERTY:
            return f"{self.name}: {self.type.name}{' (writable)' if self.writable else ''}"
        arguments = ", ".join(map(str, self.parameters))
        result = "" if self.result is None else f" -> {self.result.name}"
        return f"{self.kind.value} {self.name}({arguments}){result}{' (stream)' if self.stream else ''}"


@dataclass(frozen=True, slots=True, eq=False)
class Contract:
    """The members of a class, in declaration order."""

    name: str
    members: Mapping[str, Member] = field(default_factory=dict[str, Member])
    doc: str = ""

    def __repr__(self) -> str:
        return f"<contract {self.name}: {', '.join(self.members)}>"

    def __str__(self) -> str:
        return "\n  ".join((f"{self.name}:", *map(str, self.members.values())))

    def of_kind(self, kind: Kind) -> tuple[Member, ...]:
        """Return the members of one kind, in declaration order."""
        return tuple(member for member in self.members.values() if member.kind is kind)
