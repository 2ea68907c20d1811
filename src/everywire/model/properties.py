"""Properties: values that tell their observers when they change, and values computed from them."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import contextmanager
from threading import get_ident
from typing import TYPE_CHECKING, Any, Generic, Never, Self, TypeGuard, TypeVar, overload

from everywire.errors import LocalProtocolError, ModelError
from everywire.model.compile import compile_convert
from everywire.model.contract import MISSING, Member, Missing
from everywire.model.events import Changed
from everywire.model.state import Disconnect, State, report, wrong_thread
from everywire.model.types import Bytes, EnumType, Exact, Float, Int, child_type, equal, is_atom

if TYPE_CHECKING:
    from everywire.model.objects import Object

T = TypeVar("T")


class Readable(Generic[T]):
    """What `Property` and `Computed` share: a typed handle on one value of an object."""

    name = ""
    owner: type[Object]
    member: Member
    """The contract's words about it; bound when the class is first used."""
    _is_plain = False
    """Whether the type's values are of one class that compares by value."""

    def __set_name__(self, owner: type[Object], name: str) -> None:
        self.owner, self.name = owner, name

    def watch(self, instance: Object) -> AsyncIterator[T]:
        """Iterate over the value: the present one first, then each newer one.

        A reader that is slower than the changes skips to the latest value.
        """
        from everywire.model.waiting import PropertyWatch

        return PropertyWatch(instance, self)

    async def wait_for(self, instance: Object, condition: Callable[[T], object]) -> T:
        """Wait until *condition* is true of the value, and return that value."""
        from everywire.model.waiting import wait_for_property

        return await wait_for_property(instance, self, condition)

    def on_change(self, instance: Object, callback: Callable[[T], object]) -> Disconnect:
        """Call *callback* with each new value; return the function that ends it."""
        return instance._everywire.listen(self.name, callback)

    def __repr__(self) -> str:
        words = str(self.member) if hasattr(self, "member") else self.name
        return f"<property {self.owner.__name__}.{words}>" if self.name else "<property without a class>"

    def receive(self, state: State, value: Any) -> None:
        """Store a checked *value* and tell the observers, unless it equals the present one; for replicas."""
        name, values = self.name, state.values
        old = values.get(name, MISSING)
        if self._is_plain:  # what `equal` does, in place for speed: wires give a plain type's own values only
            if value == old or (value != value and old != old):  # noqa: PLR0124  NaN equals NaN here
                return
        elif equal(value, old):
            return
        values[name] = value
        self._announce(state, value)

    def _announce(self, state: State, value: Any) -> None:
        """Tell the observers of *value*, which is stored; no longer when one of them has set another value."""
        state.revision += 1
        if state.watchers:
            state.tell(Changed(self.member, value, state.revision))
        name, values = self.name, state.values
        for listener in state.listeners.get(name, ()):
            if values[name] is not value:
                return  # the newer value was told to all, and must not be followed by an older one
            try:
                listener(value)
            except Exception as error:  # noqa: BLE001  an observer's failure is not the setter's
                report(error, listener)


class Property(Readable[T]):
    """A value that tells its observers when it changes; made by `prop`."""

    def __init__(
        self,
        default: T | Missing,
        factory: Callable[[], T] | None,
        *,
        writable: bool,
        unit: str,
        minimum: float | None,
        maximum: float | None,
        doc: str,
        number: int | None,
    ) -> None:
        self.default, self.factory, self.writable = default, factory, writable
        self.unit, self.minimum, self.maximum, self.number = unit, minimum, maximum, number
        self.__doc__ = doc
        self._exact: Any = MISSING  # a class whose instances need no look at all
        self._convert: Callable[[Any], Any] = self._convert_first
        self._is_immutable = self._is_child = False

    def initial(self) -> T:
        """Return the value of a new object, converted as soon as the contract is known."""
        value: Any = self.default if self.factory is None else self.factory()
        return self._convert(value) if hasattr(self, "member") else value  # type: ignore[no-any-return]

    def bind(self, member: Member) -> None:
        """Take the contract's words and compile the conversion; done once, when the contract is read."""
        self.member = member
        self._exact = member.type.exact or MISSING
        self._is_plain = isinstance(member.type, (Exact, Int, Float, Bytes, EnumType))
        self._is_immutable = member.type.immutable
        self._is_child = child_type(member.type) is not None
        self._convert = compile_convert(self.name, member.type)

    @overload
    def __get__(self, instance: None, owner: type[Object]) -> Self: ...
    @overload
    def __get__(self, instance: Object, owner: type[Object]) -> T: ...
    def __get__(self, instance: Object | None, owner: type[Object]) -> Self | T:
        if instance is None:
            return self
        return instance._everywire.values[self.name]  # type: ignore[no-any-return]

    def __set__(self, instance: Object, value: T) -> None:
        state = instance._everywire
        if state.owner is not None and state.owner != get_ident():
            wrong_thread(f"the object with {self.name!r}")
        new: Any = value
        if type(new) is not self._exact:
            new = self._convert(new)
        values, name = state.values, self.name
        old = values[name]
        if self._is_plain:  # what `equal` does, in place for speed
            if new == old or (new != new and old != old):  # noqa: PLR0124  NaN equals NaN here
                return
        elif self._is_child:
            if new is old:
                return
            for guard in state.guards:
                guard(name, new)  # who shows the object may refuse the child
        elif (self._is_immutable or is_atom(new)) and equal(new, old):
            return
        values[name] = new
        if name in state.dependents:
            self._announce_with_dependents(instance, state, new)
        elif name in state.listeners or state.watchers:
            self._announce(state, new)
        else:
            state.revision += 1

    def _convert_first(self, value: Any) -> Any:
        from everywire.model.reading import contract_of

        contract_of(self.owner)
        return self._convert(value)

    def _announce_with_dependents(self, instance: Object, state: State, value: Any) -> None:
        """Recompute what follows from the new value first, then announce all: observers see one consistent state."""
        changed: list[tuple[Computed[Any], Any]] = []
        for follower in state.dependents[self.name]:
            new = follower.compute(instance)
            if new is not MISSING and not equal(new, state.values.get(follower.name, MISSING)):
                state.values[follower.name] = new
                changed.append((follower, new))
        self._announce(state, value)
        for follower, new in changed:
            if state.values[follower.name] is new:  # else an observer has set an input again: that write told it
                follower._announce(state, new)

    async def push(self, replica: Object, value: T) -> T:
        """Ask the source of *replica* to take *value*; return the value that the source then holds.

        On a source this is an assignment. Raises Fault when the source refuses: not writable, out of range, not
        allowed, or FAILED_PRECONDITION when it kept its own value; ModelError when *value* has the wrong type.
        """
        state = replica._everywire
        if state.link is None:
            self.__set__(replica, value)
        else:
            await state.link.push(self, self._convert(value))
        return state.values[self.name]  # type: ignore[no-any-return]

    @contextmanager
    def edit(self, instance: Object) -> Generator[T]:
        """Give a copy to change in place; assign it at the end of the `with` block unless that raised.

        Raises LocalProtocolError on a replica: change a copy there and `push` it.
        """
        if instance._everywire.link is not None:
            raise LocalProtocolError(f"{self.name} belongs to the source: change a copy and 'await' its push")
        draft = copy.deepcopy(self.__get__(instance, type(instance)))
        yield draft
        self.__set__(instance, draft)


class Computed(Readable[T]):
    """A read-only value that follows other properties; made by `computed`."""

    def __init__(self, function: Callable[[Any], T], inputs: tuple[Readable[Any], ...]) -> None:
        self.function, self.inputs = function, inputs
        self.__doc__ = function.__doc__
        self._convert: Callable[[Any], Any] | None = None

    def bind(self, member: Member) -> None:
        """Take the contract's words and compile the conversion; done once, when the contract is read."""
        self.member = member
        self._convert = compile_convert(self.name, member.type)

    @overload
    def __get__(self, instance: None, owner: type[Object]) -> Self: ...
    @overload
    def __get__(self, instance: Object, owner: type[Object]) -> T: ...
    def __get__(self, instance: Object | None, owner: type[Object]) -> Self | T:
        if instance is None:
            return self
        values = instance._everywire.values
        if self.name not in values:
            values[self.name] = self._evaluate(instance)
        return values[self.name]  # type: ignore[no-any-return]

    def __set__(self, instance: Object, value: Never) -> None:
        inputs = ", ".join(handle.name for handle in self.inputs)
        raise LocalProtocolError(f"{self.name} is computed from {inputs}; set those instead")

    def on_change(self, instance: Object, callback: Callable[[T], object]) -> Disconnect:
        """Call *callback* with each new value; return the function that ends it."""
        if instance._everywire.link is None:
            self.__get__(instance, type(instance))  # what is new is told by comparing, so there must be an old value
        return super().on_change(instance, callback)

    def compute(self, instance: Object) -> Any:
        """Return the value for the present inputs; MISSING when the function failed, which is reported."""
        try:
            return self._evaluate(instance)
        except Exception as error:  # noqa: BLE001  the setter of an input must not fail for it
            report(error, self.function)
            return MISSING

    def _evaluate(self, instance: Object) -> Any:
        if self._convert is None:
            from everywire.model.reading import contract_of

            contract_of(self.owner)
        value = self.function(instance)
        return value if self._convert is None else self._convert(value)


def is_property(declared: object) -> TypeGuard[Property[Any]]:
    """Return whether a declaration is a property that can be set; for type checkers, whose `isinstance` forgets Any."""
    return isinstance(declared, Property)


def is_computed(declared: object) -> TypeGuard[Computed[Any]]:
    """Return whether a declaration is a computed property."""
    return isinstance(declared, Computed)


@overload
def prop(
    default: T,
    /,
    *,
    writable: bool = ...,
    unit: str = ...,
    minimum: float | None = ...,
    maximum: float | None = ...,
    doc: str = ...,
    number: int | None = ...,
) -> Property[T]: ...
@overload
def prop(
    *,
    factory: Callable[[], T],
    writable: bool = ...,
    unit: str = ...,
    minimum: float | None = ...,
    maximum: float | None = ...,
    doc: str = ...,
    number: int | None = ...,
) -> Property[T]: ...
def prop(
    default: T | Missing = MISSING,
    /,
    *,
    factory: Callable[[], T] | None = None,
    writable: bool = False,
    unit: str = "",
    minimum: float | None = None,
    maximum: float | None = None,
    doc: str = "",
    number: int | None = None,
) -> Property[T]:
    """Declare a property.

    *default* is the value of a new object, *factory* makes one for each (for lists and other mutable values). Remote
    callers may set it only when *writable*. *unit* is a UCUM symbol such as ``Cel``; *minimum* and *maximum* are
    included in the range. *number* is its fixed number on wires that have them (protobuf fields).
    """
    try:
        hash(default)
    except TypeError:  # the rule of dataclasses: what can be changed in place has no hash
        raise ModelError(
            "a mutable default would be shared by all objects: use prop(factory=list), another factory, "
            "or a frozen dataclass"
        ) from None
    if (factory is None) == isinstance(default, Missing):
        raise ModelError("a property has either a default or a factory: prop(21.0) or prop(factory=list)")
    return Property(
        default, factory, writable=writable, unit=unit, minimum=minimum, maximum=maximum, doc=doc, number=number
    )


def computed(*inputs: Property[Any] | Computed[Any]) -> Callable[[Callable[[Any], T]], Computed[T]]:
    """Declare a read-only property that is computed again whenever one of *inputs* changes."""
    if not inputs:
        raise ModelError("a computed property names its inputs: @computed(target, current)")

    def declare(function: Callable[[Any], T]) -> Computed[T]:
        return Computed(function, inputs)

    return declare
