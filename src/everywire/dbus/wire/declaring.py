"""What a class says of its place on D-Bus: the interface of its members, and names that the rules would not give."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from everywire.dbus.codec.names import check_interface
from everywire.errors import ModelError

if TYPE_CHECKING:
    from everywire.model import Object

O = TypeVar("O", bound="Object")

DECLARED: Final = "__everywire_dbus__"
"""The attribute in which a class keeps what `interface` was given."""


class Declared(NamedTuple):
    """Where a member is on D-Bus; no name where the rules give it."""

    interface: str
    name: str = ""
    one_struct: bool = False
    """Whether the tuple that a slot returns is one struct, and not several results."""


def interface(
    name: str, names: Mapping[str, str] | None = None, *, structs: Collection[str] = ()
) -> Callable[[type[O]], type[O]]:
    """Say that the members which a class declares belong to the D-Bus interface *name*.

    *names* has what such a member is called on D-Bus, by its Python name, where that is not simply its name in
    PascalCase; *structs* the slots whose tuple is one struct there, and not several results. A class derived from
    several such classes is an object with several interfaces; what a derived class overrides stays in its interface,
    what it adds belongs to its own, or to that of the nearest base.
    """
    check_interface(name)
    given = {member: Declared(name, wire_name, member in structs) for member, wire_name in (names or {}).items()}
    given |= {member: Declared(name, one_struct=True) for member in structs if member not in given}

    def declare(cls: type[O]) -> type[O]:
        if unknown := [member for member in given if member not in cls.__everywire_declared__]:
            raise ModelError(f"{cls.__name__} has no member {unknown[0]}, of which its D-Bus interface {name} tells")
        setattr(cls, DECLARED, _Told(Declared(name), given))
        return cls

    return declare


def declared_in(cls: type[Object]) -> dict[str, Declared]:
    """Return where the members of *cls* are by what it and its bases say; nothing of those of whom nobody says."""
    found: dict[str, Declared] = {}
    for member in cls.__everywire_declared__:
        base = next((base for base in reversed(cls.__mro__) if member in vars(base)), cls)
        told: _Told | None = getattr(base, DECLARED, None) or getattr(cls, DECLARED, None)
        if told is not None:
            found[member] = told.members.get(member, told.others)
    return found


class _Told(NamedTuple):
    """What `interface` was given."""

    others: Declared
    """Where the members are of which nothing more is said."""
    members: Mapping[str, Declared]
