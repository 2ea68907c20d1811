"""What an object shows, as data: nodes, interfaces, members, arguments."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

DEPRECATED: Final = "org.freedesktop.DBus.Deprecated"
NO_REPLY: Final = "org.freedesktop.DBus.Method.NoReply"
EMITS_CHANGED: Final = "org.freedesktop.DBus.Property.EmitsChangedSignal"
DOC_STRING: Final = "org.gtk.GDBus.DocString"
QT_TYPE: Final = "org.qtproject.QtDBus.QtTypeName"


class Access(enum.Enum):
    """What may be done with a property."""

    READ = "read"
    WRITE = "write"
    READ_WRITE = "readwrite"

    @property
    def readable(self) -> bool:
        """Whether `Get` answers."""
        return self is not Access.WRITE

    @property
    def writable(self) -> bool:
        """Whether `Set` is taken."""
        return self is not Access.READ


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a method or signal: a single complete type, and a name where it has one."""

    signature: str
    name: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict[str, str])
    doc: str = ""


@dataclass(frozen=True, slots=True)
class Method:
    """A method with what goes in and what comes out."""

    name: str
    inputs: tuple[Argument, ...] = ()
    outputs: tuple[Argument, ...] = ()
    annotations: Mapping[str, str] = field(default_factory=dict[str, str])
    doc: str = ""

    @property
    def in_signature(self) -> str:
        """The signature of a call."""
        return "".join(argument.signature for argument in self.inputs)

    @property
    def out_signature(self) -> str:
        """The signature of its answer."""
        return "".join(argument.signature for argument in self.outputs)


@dataclass(frozen=True, slots=True)
class Signal:
    """A signal with its arguments."""

    name: str
    arguments: tuple[Argument, ...] = ()
    annotations: Mapping[str, str] = field(default_factory=dict[str, str])
    doc: str = ""

    @property
    def signature(self) -> str:
        """The signature of an emission."""
        return "".join(argument.signature for argument in self.arguments)


@dataclass(frozen=True, slots=True)
class Property:
    """A property; its name has no rules, for some services have dashes in it."""

    name: str
    signature: str
    access: Access = Access.READ
    annotations: Mapping[str, str] = field(default_factory=dict[str, str])
    doc: str = ""


Member = Method | Signal | Property


@dataclass(frozen=True, slots=True)
class Interface:
    """An interface with its members in the order in which they were written."""

    name: str
    members: tuple[Member, ...] = ()
    annotations: Mapping[str, str] = field(default_factory=dict[str, str])
    doc: str = ""

    @property
    def methods(self) -> tuple[Method, ...]:
        """The methods."""
        return tuple(member for member in self.members if isinstance(member, Method))

    @property
    def signals(self) -> tuple[Signal, ...]:
        """The signals."""
        return tuple(member for member in self.members if isinstance(member, Signal))

    @property
    def properties(self) -> tuple[Property, ...]:
        """The properties."""
        return tuple(member for member in self.members if isinstance(member, Property))

    def emits_changed(self, member: Property) -> str:
        """Return what is told when *member* changes: ``true``, ``invalidates``, ``const`` or ``false``."""
        return member.annotations.get(EMITS_CHANGED) or self.annotations.get(EMITS_CHANGED) or "true"


@dataclass(frozen=True, slots=True)
class Node:
    """An object: its interfaces and the objects below it. The name of an outermost node is often left out."""

    name: str = ""
    interfaces: tuple[Interface, ...] = ()
    nodes: tuple[Node, ...] = ()
    annotations: Mapping[str, str] = field(default_factory=dict[str, str])
    doc: str = ""

    def walk(self, path: str = "/") -> Iterator[tuple[str, Node]]:
        """Yield this node and all below it, each with its path; that of this one is its name or else *path*."""
        place = self.name if self.name.startswith("/") else path
        yield place, self
        for node in self.nodes:
            yield from node.walk(f"{place.rstrip('/')}/{node.name}")
