"""`Object`, the base of every class that can be put on a wire, and the table of its declared members."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar, Final, NoReturn, Self

from everywire.errors import ModelError
from everywire.model.properties import Computed, Readable, is_computed, is_property
from everywire.model.signals import Signal
from everywire.model.slots import MARK, can_be_slot
from everywire.model.state import State

CONTRACT: Final = "__everywire_contract__"
"""The attribute in which a class keeps its contract once that was read."""


class Object:
    """Base of every class that can be put on a wire.

    It reserves no name without a leading underscore. Its state is made in `__new__`, so a subclass may forget
    `super().__init__()` without harm.
    """

    __everywire_declared__: ClassVar[Mapping[str, Any]] = {}
    """Every `Property`, `Computed`, `Signal` and slot function by name, in declaration order, base classes first."""

    __everywire_dependents__: ClassVar[Mapping[str, tuple[Computed[Any], ...]]] = {}
    """The computed properties to compute again when a property changes, each after its inputs."""

    # The state is no entry of the instance's dict, where members whose names come from a wire are kept.
    __slots__ = ("__dict__", "__weakref__", "_everywire")

    _everywire: State

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.__everywire_declared__ = _declared(cls)
        cls.__everywire_dependents__ = _dependents(cls.__everywire_declared__)

    if not TYPE_CHECKING:  # checkers would take its parameters for those of every subclass

        def __new__(cls, *args: Any, **kwargs: Any) -> Self:
            """Make the object with the initial values of its properties."""
            if (args or kwargs) and cls.__init__ is object.__init__:
                raise ModelError(f"{cls.__name__}() takes no arguments: set properties afterwards, or define __init__")
            self = super().__new__(cls)
            if CONTRACT not in vars(cls):
                _try_to_read_contract(cls)
            handles = cls.__everywire_declared__.values()
            values = {handle.name: handle.initial() for handle in handles if is_property(handle)}
            self._everywire = State(values, cls.__everywire_dependents__)
            return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        """Raise: a copy would share the values and observers of the original, or lose them."""
        name = type(self).__name__
        raise ModelError(f"{name} objects have an identity and cannot be copied or pickled: make another one")

    async def _write(self, name: str, value: Any) -> None:
        """Take a checked value from a remote caller: a source sets, a replica pushes."""
        setattr(self, name, value)

    # What the runtime calls on a replica that keeps more than the values of its properties.

    def _resync(self) -> None:
        """Forget what was kept: these are the values of a source that was attached to just now."""

    def _resynced(self, *, first: bool) -> None:
        """Tell listeners, after those of the properties that differ; *first*: nobody was attached to before."""

    def _missed(self) -> None:
        """Signals of the source were lost."""


def _try_to_read_contract(cls: type[Object]) -> None:
    """Read the contract, by which initial values are converted; what is wrong with it is said when it is needed."""
    from everywire.model.reading import contract_of

    with suppress(ModelError):
        contract_of(cls)


def _declared(cls: type) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        for name, value in vars(base).items():
            declares = isinstance(value, (Readable, Signal)) or hasattr(value, MARK)
            if declares and not issubclass(base, Object):
                raise ModelError(f"{base.__name__}.{name}: members are declared in classes derived from Object")
            if name in found:
                _check_override(base, name, found[name], value)
            if declares:
                found[name] = value
    return found


def _check_override(cls: type, name: str, declared: Any, value: Any) -> None:
    """Refuse what a subclass must not make of a member: callers of the base class rely on its kind.

    The body of a slot may be overridden without `slot`; the declaration then stays that of the base class.
    """
    for kind, word in ((Readable, "property"), (Signal, "signal")):
        if isinstance(declared, kind):
            if not isinstance(value, kind):
                raise ModelError(f"{cls.__name__}.{name} hides a {word} of a base class: give it another name")
            return
    if not can_be_slot(value):
        raise ModelError(f"{cls.__name__}.{name} overrides a slot and must be 'async def'")


def _dependents(declared: Mapping[str, Any]) -> dict[str, tuple[Computed[Any], ...]]:
    found: dict[str, list[Computed[Any]]] = {}
    for handle in _inputs_first(declared):
        for source in _sources(handle, declared):
            found.setdefault(source, []).append(handle)
    return {name: tuple(handles) for name, handles in found.items()}


def _inputs_first(declared: Mapping[str, Any]) -> list[Computed[Any]]:
    """Return the computed properties, each after those it is computed from."""
    found: list[Computed[Any]] = []
    path: list[str] = []

    def add(handle: Computed[Any]) -> None:
        if handle.name in path:
            raise ModelError(f"{handle.name} is computed from itself")
        path.append(handle.name)
        for source in handle.inputs:
            present = declared.get(source.name)
            if not (is_property(present) or is_computed(present)):
                raise ModelError(f"{handle.name} is computed from {source.name!r}, which is no property of its class")
            if is_computed(present) and present not in found:
                add(present)
        path.pop()
        found.append(handle)

    for handle in declared.values():
        if is_computed(handle) and handle not in found:
            add(handle)
    return found


def _sources(handle: Computed[Any], declared: Mapping[str, Any]) -> set[str]:
    """Return the plain properties that *handle* depends on; a subclass may have overridden what lies between."""
    names: set[str] = set()
    for source in handle.inputs:
        present = declared[source.name]
        names |= _sources(present, declared) if is_computed(present) else {source.name}
    return names
