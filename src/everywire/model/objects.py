"""`Object`, the base of every class that can be put on a wire, and the table of its declared members."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from everywire.errors import ModelError
from everywire.model.properties import Computed, Property, Readable
from everywire.model.signals import Signal
from everywire.model.slots import MARK, is_async
from everywire.model.state import State

Declared = Property[Any] | Computed[Any] | Signal[*tuple[Any, ...]] | Any


class Object:
    """Base of every class that can be put on a wire.

    It reserves no name without a leading underscore. Its state is made in `__new__`, so a subclass may forget
    `super().__init__()` without harm.
    """

    __everywire_declared__: ClassVar[Mapping[str, Declared]] = {}
    """Every property, signal and slot by name, in declaration order, base classes first."""

    __everywire_dependents__: ClassVar[Mapping[str, tuple[Computed[Any], ...]]] = {}

    _everywire: State

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.__everywire_declared__ = _declared(cls)
        cls.__everywire_dependents__ = _dependents(cls.__everywire_declared__)

    def __new__(cls, *_args: Any, **_kwargs: Any) -> Self:
        """Make the object with the initial values of its properties."""
        self = super().__new__(cls)
        values = {
            name: handle.initial()
            for name, handle in cls.__everywire_declared__.items()
            if isinstance(handle, Property)
        }
        self._everywire = State(values, cls.__everywire_dependents__)
        return self

    async def _write(self, name: str, value: Any) -> None:
        """Take a checked value from a remote caller: a source sets, a replica pushes."""
        setattr(self, name, value)


def _declared(cls: type) -> dict[str, Declared]:
    found: dict[str, Declared] = {}
    for base in reversed(cls.__mro__):
        own = vars(base)
        for name, value in own.items():
            if isinstance(value, (Readable, Signal)) or hasattr(value, MARK):
                found[name] = value
            elif name in found:
                found[name] = _overriding(base, name, found[name], value)
    return {name: value for name, value in found.items() if value is not None}


def _overriding(cls: type, name: str, declared: Declared, value: Any) -> Declared:
    """Return what a plain attribute of a subclass makes of a declared member: a slot's body, or an error."""
    if isinstance(declared, (Readable, Signal)):
        raise ModelError(f"{cls.__name__}.{name} hides a property or signal of a base class: give it another name")
    if not is_async(value):
        raise ModelError(f"{cls.__name__}.{name} overrides a slot and must be 'async def'")
    return declared


def _dependents(declared: Mapping[str, Declared]) -> dict[str, tuple[Computed[Any], ...]]:
    """Return, for each property, the computed ones to compute again, in an order in which each input comes first."""
    found: dict[str, list[Computed[Any]]] = {}
    for handle in declared.values():
        if isinstance(handle, Computed):
            for source in _sources(handle):
                found.setdefault(source, []).append(handle)
    return {name: tuple(handles) for name, handles in found.items()}


def _sources(handle: Computed[Any]) -> set[str]:
    names: set[str] = set()
    for source in handle.inputs:
        names |= _sources(source) if isinstance(source, Computed) else {source.name}
    return names
