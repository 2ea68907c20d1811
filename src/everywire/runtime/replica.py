"""Replicas: instances of an object's class whose source is elsewhere, and the facts about their link."""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Mapping
from keyword import iskeyword
from threading import get_ident
from typing import Any, Final, Generic, TypeVar, cast
from weakref import WeakSet

from everywire.errors import (
    Code,
    Fault,
    LinkError,
    LocalProtocolError,
    ModelError,
    NeedsLoop,
    SignatureMismatch,
    TokenError,
)
from everywire.model import MISSING, Contract, Kind, Member, Object, Parameter, contract_of
from everywire.model.compile import run_source
from everywire.model.names import is_public
from everywire.model.properties import Computed, Property, Readable
from everywire.model.signals import BoundSignal, Signal
from everywire.model.slots import MARK, is_async
from everywire.model.state import Disconnect, Home, State, report, without
from everywire.model.types import child_type, equal, python_type

T = TypeVar("T")


class ReplicaState(enum.Enum):
    """How a replica stands to its source, as in Qt."""

    UNINITIALIZED = "uninitialized"
    DEFAULT = "default"
    VALID = "valid"
    SUSPECT = "suspect"
    """The link is lost; values stay readable, and it comes back by itself."""
    SIGNATURE_MISMATCH = "signature mismatch"


StateListener = Callable[[ReplicaState], object]


class StateSignal:
    """Tells about changes of a replica's state: ``link_of(room).state_changed.connect(print)``."""

    def __init__(self) -> None:
        self._listeners: tuple[StateListener, ...] = ()

    def connect(self, callback: StateListener) -> Disconnect:
        """Call *callback*, a plain function, with each new state; return the function that ends it."""
        if is_async(callback):
            raise ModelError("state_changed calls plain functions: start a task in one")
        self._listeners = (*self._listeners, callback)

        def disconnect() -> None:
            self._listeners = without(self._listeners, callback)

        return disconnect

    def disconnect_all(self) -> None:
        """Drop every listener."""
        self._listeners = ()

    def tell(self, state: ReplicaState) -> None:
        """Tell everybody; for the runtime."""
        for listener in self._listeners:
            try:
                listener(state)
            except Exception as error:  # noqa: BLE001  an observer's failure is not the link's
                report(error, listener)


LINKS: Final[WeakSet[ReplicaLink]] = WeakSet()
"""Every link of this process, for a fork."""


class ReplicaLink:
    """What connects a replica to its source, over all reconnects; found by `link_of`."""

    block = "async with connect(…)"
    """How the block begins in which the replica lives; for messages."""

    def __init__(self, url: str, name: str, cls: type[Object] | None, home: Home) -> None:
        self.url, self.name, self.cls, self.home = url, name, cls, home
        self.state = ReplicaState.UNINITIALIZED
        self.state_changed = StateSignal()
        self.gap = 0
        """Signals that this replica has missed because it, or its link, was too slow."""
        self.instance: Any = None
        self.remote: Any = None
        """The wire's end for the present connection; None while there is none."""
        self.channel: Any = None
        """The wire's part that outlives connections; its `detach(fault)` fails all calls, now and later."""
        self.closed = False
        """Whether the block of `connect` has been left: it never comes back."""
        self.error: Exception | None = None
        """Why the replica is not valid, as far as that is known."""
        self.was_valid = False
        """Whether it has ever been valid."""
        self.offered: Callable[[], Iterable[str] | None] = lambda: None
        """Returns the names that the host shows now; None while it has not said."""
        self._waiters: list[Any] = []
        self.children: dict[str, ChildLink] = {}
        """The replicas of child objects by the property that holds, or has held, them."""
        LINKS.add(self)

    def create(self, contract: Contract, build: Callable[[Contract], type[Object]]) -> Any:
        """Return the replica, made on the first call; without a class one is built from *contract*."""
        if self.instance is None:
            cls = self.cls or build(contract)
            self.cls = cls
            self.instance = make_replica(cls, self)
        return self.instance

    def class_for(self, cls: type[Object]) -> type[Object]:
        """Return the subclass of *cls* whose instances are such replicas."""
        return replica_class(cls)

    def refresh(self) -> None:
        """Take what has arrived, before a value is read; nothing to do where a loop does it."""

    def mend(self) -> None:
        """Give a lost link the time to come back, before it is written to; nothing to do where a loop does it."""

    def child(self, member: str, name: str, cls: type[Object] | None) -> ChildLink:
        """Return the link of the child that the property *member* holds, which the wire calls *name*.

        A child of the same class is the same replica, also after a loss. Without *cls* any class will do.
        """
        link = self.children.get(member)
        if link is None or cls not in (None, link.cls):
            if link is not None:
                link.close()
            link = self.children[member] = ChildLink(self, name, cls)
        link.name = name
        return link

    def child_lost(self, member: str, reason: Exception) -> None:
        """The property *member* holds no child any more, or none that can be used."""
        link = self.children.get(member)
        if link is not None:
            link.lose(reason, Fault(Code.UNAVAILABLE, str(reason)))

    def child_changed(self, handle: Readable[Any], value: Object | None) -> None:
        """Take the child that the property now holds; the same replica may stand for another child than before."""
        state: State = self.instance._everywire
        if value is not None and state.values.get(handle.name) is value:
            handle._announce(state, value)
        else:
            handle.receive(state, value)

    def detach_children(self, fault: Fault) -> None:
        """The connection of this replica is gone, and so is that of its children."""
        for link in self.children.values():
            link.lose(self.error or LinkError(fault.message), fault)

    def lose(self, reason: Exception, fault: Fault) -> None:
        """The source is gone, or the way to it: be suspect, let waiting calls fail with *fault*."""
        self.remote = None
        if self.state is ReplicaState.VALID:
            self.become(ReplicaState.SUSPECT, reason)
        if self.channel is not None:
            self.channel.detach(fault)

    def take(self, values: Mapping[str, Any]) -> None:
        """Be valid with *values*: all of them, then the state, then one change for each that really differs.

        As Qt does, so that whoever hears of one finds the others as new.
        """
        instance: Object = self.instance
        state = instance._everywire
        first = not state.values
        changed = {name: v for name, v in values.items() if not equal(v, state.values.get(name, MISSING))}
        state.values.update(changed)
        instance._resync()
        self.become(ReplicaState.VALID)
        for name, value in () if first else changed.items():
            handle: Readable[Any] = type(instance).__everywire_declared__[name]
            handle._announce(state, value)
        instance._resynced(first=first)

    def missed(self, signals: int) -> None:
        """Take note of signals that were lost."""
        self.gap += signals
        if self.instance is not None:
            self.instance._missed()
        for link in self.children.values():
            link.missed(signals)

    def become(self, state: ReplicaState, error: Exception | None = None) -> None:
        """Change the state and tell about it."""
        self.error = error
        if state is not self.state:
            self.state = state
            self.was_valid = self.was_valid or state is ReplicaState.VALID
            self._wake()
            self.state_changed.tell(state)

    def become_lost(self, error: Exception) -> None:
        """Change to the state that the replica has without a link: as it was before, so are its values."""
        if self.was_valid:
            state = ReplicaState.SUSPECT
        elif self.instance is not None and self.instance._everywire.values:
            state = ReplicaState.DEFAULT
        else:
            state = ReplicaState.UNINITIALIZED
        self.become(state, error)

    async def wait_for(self, *states: ReplicaState, timeout: float | None = 30.0) -> ReplicaState:
        """Wait until the replica has one of *states*, and return it; in a loop.

        Raises after *timeout* seconds (None: never) what keeps it from that: LinkError, Fault(NOT_FOUND), TokenError or
        SignatureMismatch; Fault(UNAVAILABLE) when its block has ended.
        """
        import asyncio

        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise NeedsLoop("without a loop: sync.until(lambda: link.state is ReplicaState.VALID, seconds)") from None
        try:
            async with asyncio.timeout(timeout):
                while self.state not in states:
                    if self.closed:
                        raise self.unavailable()
                    waiter = loop.create_future()
                    self._waiters.append(waiter)
                    try:
                        await waiter
                    finally:
                        self._waiters = [other for other in self._waiters if other is not waiter]
        except TimeoutError:
            raise self.why_not_valid(self.offered(), timeout) from None
        return self.state

    async def wait_valid(self, timeout: float | None = 30.0) -> None:
        """Wait until the replica is valid, as Qt's `waitForSource`; raises as `wait_for`, a mismatch at once."""
        mismatch = ReplicaState.SIGNATURE_MISMATCH
        if await self.wait_for(ReplicaState.VALID, mismatch, timeout=timeout) is mismatch and self.error is not None:
            raise self.error

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def push(self, handle: Property[Any], value: Any) -> None:
        """Ask the source to take *value* and wait until it has answered; raises Fault when it did not take it."""
        member = handle.member
        if not member.writable:
            raise Fault(Code.FAILED_PRECONDITION, f"{member.name} is not writable", may_have_run=False)
        self.mend()
        if self.remote is None:
            raise self.unavailable()
        values: dict[str, Any] = self.instance._everywire.values
        before = values.get(member.name, MISSING)
        await self.remote.push(member, value)
        now = values.get(member.name, MISSING)
        if now == before and now not in (MISSING, value):
            raise Fault(Code.FAILED_PRECONDITION, f"the source kept {now!r}")

    def unavailable(self) -> Fault:
        """Return the Fault of a call that was never written."""
        why = f"its '{self.block}' has ended" if self.closed else f"no link to {self.url}"
        return Fault(Code.UNAVAILABLE, f"{self.name} is {self._standing}: {why}", may_have_run=False)

    def not_offered(self, names: Iterable[str]) -> Fault:
        """Return the Fault for an object that is not among the *names* that the host offers."""
        others = ", ".join(sorted(names)) or "nothing"
        return Fault(Code.NOT_FOUND, f"no object {self.name!r} at {self.url}; it offers {others}", may_have_run=False)

    def why_not_valid(self, offered: Iterable[str] | None, timeout: float | None) -> Exception:
        """Return why the replica did not become valid; *offered* are the names that the host shows, if it said."""
        if offered is not None and self.name not in offered:
            return self.not_offered(offered)
        if isinstance(self.error, (LinkError, Fault, TokenError, SignatureMismatch)):
            return self.error
        if self.error is not None:
            return LinkError(f"{self.name} at {self.url} did not become valid: {self.error}")
        return LinkError(f"{self.url} did not answer within {timeout:g} s")

    def abandon(self) -> None:
        """In a forked child: nothing may be written to the parent's connection."""
        self.remote = None
        reason = "the link belongs to the parent process: connect again"
        self.become(ReplicaState.SUSPECT, LinkError(reason))
        if self.channel is not None:
            self.channel.detach(Fault(Code.UNAVAILABLE, reason))

    def close(self) -> None:
        """Drop every connection of the replica."""
        self.closed, self.remote = True, None
        for link in self.children.values():
            link.close()
        self.state_changed.disconnect_all()  # the end of the block is no news to who ended it
        self._wake()
        if self.instance is not None:
            state: State = self.instance._everywire
            state.listeners.clear()
            state.watchers = ()
            drop_connections(self.instance)

    def __repr__(self) -> str:
        return f"<link of {self.name} at {self.url}: {self._standing}>"

    @property
    def _standing(self) -> str:
        return "closed" if self.closed else self.state.value


class ChildLink(ReplicaLink):
    """The link of a child object's replica: it stands and falls with that of its parent."""

    def __init__(self, parent: ReplicaLink, name: str, cls: type[Object] | None) -> None:
        super().__init__(parent.url, name, cls, parent.home)
        self.parent, self.block = parent, parent.block

    def class_for(self, cls: type[Object]) -> type[Object]:
        """Return the class of such replicas: of the same kind as the parent's."""
        return self.parent.class_for(cls)

    def refresh(self) -> None:
        """Take what has arrived."""
        self.parent.refresh()

    def mend(self) -> None:
        """Give the link of the parent the time to come back."""
        self.parent.mend()

    def close(self) -> None:
        """End the replica: with its parent, or because another child has taken its place."""
        if self.channel is not None and not self.closed:
            self.channel.detach(Fault(Code.UNAVAILABLE, f"{self.name} is gone"))
        super().close()


def drop_connections(instance: Object) -> None:
    """Disconnect whatever is connected to the signals of *instance*."""
    attributes: dict[str, Any] = vars(instance)
    for value in tuple(attributes.values()):
        if isinstance(value, BoundSignal):
            cast("BoundSignal[*tuple[Any, ...]]", value).disconnect_all()


def link_of(replica: Object) -> ReplicaLink:
    """Return the facts about a replica's link: `state`, `state_changed`, `url`, `gap`; raise ModelError on a source."""
    link = replica._everywire.link
    if not isinstance(link, ReplicaLink):
        raise ModelError(f"{type(replica).__name__} object is a source, not a replica: it has no link")
    return link


class ReplicaProperty(Generic[T]):
    """Stands for a property in replica classes: readable, not assignable."""

    pushing = "await {}.push(replica, value)"
    """How one writes to it instead; for messages."""
    class_kept_as = "__everywire_replica_class__"
    """The attribute of a class that keeps its replica class: so both end together, for `connect` builds classes too."""

    def __init__(self, handle: Readable[T]) -> None:
        self._handle, self._name = handle, handle.name
        self.__doc__ = handle.__doc__

    def __get__(self, instance: Object | None, owner: type[Object]) -> Any:
        if instance is None:
            return self._handle
        return _replicated(instance, self._name)

    def __set__(self, instance: Object, value: T) -> None:
        owner = type(instance).__name__
        writable = isinstance(self._handle, Property) and self._handle.member.writable
        advice = f"use '{self.pushing.format(f'{owner}.{self._name}')}'" if writable else "it is not writable"
        raise LocalProtocolError(f"{owner}.{self._name} belongs to the source and cannot be assigned here: {advice}")


def _replicated(instance: Object, name: str) -> Any:
    try:
        return instance._everywire.values[name]
    except KeyError:
        link = instance._everywire.link
        known = isinstance(link, ReplicaLink) and link.state is ReplicaState.VALID
        why = "the source did not tell it" if known else "the replica is not initialized"
        member = contract_of(instance).members.get(name)
        if known and member is not None and child_type(member.type) is not None:
            why = f"{link.url} carries no child objects; use another wire, or connect to the child by its own name"
        raise LocalProtocolError(f"{name} has no value yet: {why}") from None


def replica_class(cls: type[Object], stand_in: type[ReplicaProperty[Any]] = ReplicaProperty) -> type[Object]:
    """Return the subclass of *cls* whose instances are replicas; a *stand_in* takes the place of each property."""
    made: type[Object] | None = vars(cls).get(stand_in.class_kept_as)
    if made is None:
        contract = contract_of(cls)
        own = {"_write": _push, "__repr__": _repr, "__setattr__": _assign}
        made = type(cls.__name__, (cls,), {"__module__": cls.__module__, "__doc__": cls.__doc__, **own})
        made.__everywire_declared__ = cls.__everywire_declared__
        for member in contract.of_kind(Kind.PROPERTY):
            if is_public(member.name):
                handle: Any = cls.__everywire_declared__[member.name]
                setattr(made, member.name, stand_in(handle))
        setattr(made, "__getattr__", _explain_missing)  # noqa: B010  a plain assignment confuses type checkers
        setattr(made, "__everywire_contract__", contract)  # noqa: B010
        setattr(cls, stand_in.class_kept_as, made)
    return made


def make_replica(cls: type[Object], link: ReplicaLink) -> Object:
    """Return a new replica of *cls*; `__init__` never runs for it."""
    replica: Object = object.__new__(link.class_for(cls))
    state = State({}, {})
    state.link, state.home, state.owner = link, link.home, get_ident()
    replica._everywire = state
    for name, handle in cls.__everywire_declared__.items():
        if isinstance(handle, Signal):
            handle.bound(replica)
        elif not isinstance(handle, Readable):
            vars(replica)[name] = _not_bound(link, contract_of(cls).members[name])
    return replica


async def _push(self: Object, name: str, value: Any) -> None:
    handle: Any = type(self).__everywire_declared__[name]
    await handle.push(self, value)


def _repr(self: Object) -> str:
    link = link_of(self)
    return f"<replica of {type(self).__name__} {link.name!r} at {link.url}: {link._standing}>"


def _assign(self: Object, name: str, value: Any) -> None:
    """Assign what the class knows; a new name is a mistake, which nobody at the source would ever hear of."""
    if not (name.startswith("_") or hasattr(type(self), name)):
        owner = type(self).__name__
        raise AttributeError(f"{name!r} is no member of {owner}: assigning it changes nothing at the source")
    object.__setattr__(self, name, value)


def _explain_missing(self: Object, name: str) -> Any:
    raise AttributeError(
        f"the replica {type(self).__name__!r} has no {name!r}: only properties, signals and slots are replicated"
    )


def _not_bound(link: ReplicaLink, member: Member) -> Callable[..., Coroutine[Any, Any, Any]]:
    async def refuse(*arguments: Any, **named: Any) -> Any:
        if not link.was_valid:
            link.mend()
            bound = _attribute(link.instance, member.name)
            if bound is not refuse:  # it is valid now
                return await bound(*arguments, **named)
            raise link.unavailable()
        raise Fault(Code.UNIMPLEMENTED, f"{member.name} cannot be called through {link.url}", may_have_run=False)

    setattr(refuse, MARK, member.timeout)
    return refuse


def _attribute(instance: Object, name: str) -> Any:
    return vars(instance)[name]


def shape(member: Member, call: Callable[..., Any]) -> Callable[..., Any]:
    """Return *call*, which takes all arguments by position, as a function with the signature of the slot *member*.

    The generated source knows positions only; the parameters' names, which may come from a wire, are put in as data.
    """
    count = len(member.parameters)
    names = [f"a{n}" for n in range(count)]
    defaults = tuple(p.default for p in member.parameters if p.default is not MISSING)
    source = f"def slot({', '.join(names)}):\n return call({', '.join(names)})\n"
    function: Callable[..., Any] = run_source(source, {"call": call})["slot"]
    return named(function, member.parameters, member, defaults)


def named(
    function: Callable[..., Any], parameters: tuple[Parameter, ...], member: Member, defaults: tuple[Any, ...]
) -> Callable[..., Any]:
    """Give a generated *function*, whose parameters are called a0, a1, …, the names and words of *member*."""
    code = function.__code__
    usable = [p.name.isidentifier() and not iskeyword(p.name) for p in parameters]
    wanted = tuple(p.name if usable[n] else f"argument_{n}" for n, p in enumerate(parameters))
    if len(set(wanted)) == len(wanted):
        function.__code__ = code.replace(co_varnames=(*wanted, *code.co_varnames[len(wanted) :]))
    function.__defaults__ = defaults or None
    function.__name__ = function.__qualname__ = member.name
    function.__doc__ = member.doc or None
    result: Any = None if member.result is None else python_type(member.result)
    function.__annotations__ = {n: python_type(p.type) for n, p in zip(wanted, parameters, strict=True)}
    function.__annotations__["return"] = AsyncIterator[result] if member.stream else result
    setattr(function, MARK, member.timeout)
    return function


class BoundProperty(Generic[T]):
    """A property of one object, for names that are no Python identifiers; see `members`."""

    def __init__(self, instance: Object, handle: Property[T] | Computed[T]) -> None:
        self._instance, self._handle = instance, handle

    @property
    def value(self) -> T:
        """The present value; raises LocalProtocolError on a replica that has none yet."""
        link = self._instance._everywire.link
        if link is not None:
            link.refresh()
            return _replicated(self._instance, self._handle.name)  # type: ignore[no-any-return]
        return self._handle.__get__(self._instance, type(self._instance))

    def __repr__(self) -> str:
        return f"{self._handle!r} of {self._instance!r}"

    async def push(self, value: T) -> T:
        """See `Property.push`."""
        if not isinstance(self._handle, Property):
            raise LocalProtocolError(f"{self._handle.name} is computed and cannot be set")
        return await self._handle.push(self._instance, value)

    def on_change(self, callback: Callable[[T], object]) -> Disconnect:
        """See `Property.on_change`."""
        return self._handle.on_change(self._instance, callback)

    def watch(self) -> AsyncIterator[T]:
        """See `Property.watch`."""
        return self._handle.watch(self._instance)


class Members(Mapping[str, Any]):
    """The members of an object by name: `BoundProperty`, `BoundSignal` or the slot."""

    def __init__(self, instance: Object) -> None:
        self._instance = instance
        self._contract = contract_of(instance)

    def __getitem__(self, name: str) -> Any:
        own_name = self._python_name(name)
        handle: Any = type(self._instance).__everywire_declared__[own_name]
        kind = self._contract.members[own_name].kind
        if kind is Kind.PROPERTY:
            return BoundProperty[Any](self._instance, handle)
        if kind is Kind.SIGNAL:
            return handle.bound(self._instance)
        return getattr(self._instance, own_name, None) or handle.__get__(self._instance)

    def __iter__(self) -> Iterator[str]:
        return iter(self._contract.members)

    def __len__(self) -> int:
        return len(self._contract.members)

    def _python_name(self, name: str) -> str:
        if name in self._contract.members:
            return name
        for member in self._contract.members.values():
            if member.wire_name == name:
                return member.name
        raise KeyError(name)


def members(instance: Object) -> Members:
    """Return the members of a source or replica by name, also those whose names are no Python identifiers."""
    return Members(instance)
