"""Signals: what an object tells everybody who is connected. Waiting for them is in `model/waiting.py`."""

from __future__ import annotations

import inspect
import weakref
from collections import deque
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import get_ident
from typing import TYPE_CHECKING, Any, Final, Generic, Self, TypeVar, TypeVarTuple, overload

from everywire.errors import LocalProtocolError, ModelError, NeedsLoop
from everywire.model.compile import Check
from everywire.model.contract import Member
from everywire.model.events import Emitted
from everywire.model.slots import is_async, is_stream
from everywire.model.state import Disconnect, Home, Listener, State, at_most_once, report, without, wrong_thread

if TYPE_CHECKING:
    from everywire.model.objects import Object

A = TypeVar("A")
B = TypeVar("B")
Ts = TypeVarTuple("Ts")

QUEUE_LIMIT: Final = 1024
"""Emissions that wait for one slow asynchronous connection; beyond it the oldest is dropped and counted."""

current_home: ContextVar[Home | None] = ContextVar("current_home", default=None)
"""The node whose `async with` block runs, for objects that are not published themselves."""


class BoundSignal(Generic[*Ts]):
    """A signal of one object: emit it, connect to it, or iterate over it."""

    __slots__ = ("_blocked", "_check", "_listeners", "_state", "dropped", "member")

    def __init__(self, member: Member, check: Check, state: State) -> None:
        self.member = member
        self.dropped = 0
        """Emissions that slow asynchronous connections have lost."""
        self._check, self._state = check, state
        self._listeners: tuple[Listener, ...] = ()
        self._blocked = 0

    def emit(self, *arguments: *Ts) -> None:
        """Tell everybody who is connected, here and on every wire; raises ModelError when *arguments* do not fit."""
        state = self._state
        if state.owner is not None and state.owner != get_ident():
            wrong_thread(f"the object with {self.member.name!r}")
        checked = self._check(arguments)
        if self._listeners or state.watchers:
            self.deliver(checked)

    def deliver(self, arguments: tuple[Any, ...]) -> None:
        """Tell everybody about checked *arguments*; for wires."""
        if self._blocked:
            return
        if self._state.watchers:
            self._state.tell(Emitted(self.member, arguments))
        for listener in self._listeners:
            try:
                listener(*arguments)
            except Exception as error:  # noqa: BLE001  an observer's failure is not the emitter's
                report(error, listener)

    @overload
    def connect(self, callback: Callable[[*Ts], object], *, weak: bool = ..., once: bool = ...) -> Disconnect: ...
    @overload
    def connect(self, callback: Callable[[], object], *, weak: bool = ..., once: bool = ...) -> Disconnect: ...
    @overload
    def connect(
        self: BoundSignal[A, *tuple[Any, ...]], callback: Callable[[A], object], *, weak: bool = ..., once: bool = ...
    ) -> Disconnect: ...
    @overload
    def connect(
        self: BoundSignal[A, B, *tuple[Any, ...]],
        callback: Callable[[A, B], object],
        *,
        weak: bool = ...,
        once: bool = ...,
    ) -> Disconnect: ...
    def connect(self, callback: Callable[..., object], *, weak: bool = False, once: bool = False) -> Disconnect:
        """Call *callback* at every emission; return the function that disconnects it.

        Connecting twice calls twice. A callable with fewer parameters gets the leading arguments (type checkers know
        up to two of them). A coroutine function, and so any slot of a source or replica, runs in the node's tasks: one
        emission after the other, at most `QUEUE_LIMIT` waiting. *weak* holds *callback* weakly; *once* disconnects
        before the first call. Raises ModelError when *callback* needs more arguments than the signal has, NeedsLoop
        when a coroutine function is connected and neither object belongs to a running node.
        """
        offered = len(self.member.parameters)
        taken = arguments_taken(callback, offered, self.member.name)
        reference = _weak_reference(callback) if weak else None
        call: Listener = callback if reference is None else _through(reference)
        if is_async(callback):
            call = _AsyncConnection(self, call, self._home_for(callback)).enqueue
        if taken < offered:
            call = _leading(call, taken)
        if reference is not None:
            call = self._while_alive(call, reference)
        return self.attach(self._only_once(call) if once else call)

    def attach(self, listener: Listener, *, first: bool = False) -> Disconnect:
        """Call *listener* with all arguments at every emission; wires attach `first`, see `State.listen`."""
        self._listeners = (listener, *self._listeners) if first else (*self._listeners, listener)

        def disconnect() -> None:
            self._listeners = without(self._listeners, listener)

        return at_most_once(disconnect)

    def disconnect_all(self) -> None:
        """Drop every connection."""
        self._listeners = ()

    @contextmanager
    def blocked(self) -> Generator[None]:
        """Emit nothing while the `with` block runs."""
        self._blocked += 1
        try:
            yield
        finally:
            self._blocked -= 1

    def __aiter__(self) -> AsyncIterator[tuple[*Ts]]:
        """Iterate over the emissions from now on, always as tuples; see `model/waiting.py` for bounds."""
        from everywire.model.waiting import SignalStream

        return SignalStream(self)

    def __repr__(self) -> str:
        count = len(self._listeners)
        return f"<signal {self.member.name} with {count} connection{'' if count == 1 else 's'}>"

    def _home_for(self, callback: object) -> Home:
        target: Any = getattr(getattr(callback, "__self__", None), "_everywire", None)
        home = self._state.home or getattr(target, "home", None) or current_home.get()
        if home is None:
            raise NeedsLoop(
                f"{self.member.name}.connect(coroutine function) needs a node to run it: publish one of the objects, "
                "or connect inside 'async with Node():'"
            )
        return home

    def _only_once(self, call: Listener) -> Listener:
        def once(*arguments: Any) -> None:
            present = self._listeners
            self._listeners = without(present, once)
            if self._listeners is not present:  # else another listener has emitted meanwhile: this was called for that
                call(*arguments)

        return once

    def _while_alive(self, call: Listener, reference: Callable[[], object]) -> Listener:
        def while_alive(*arguments: Any) -> None:
            if reference() is None:
                self._listeners = without(self._listeners, while_alive)
            else:
                call(*arguments)

        return while_alive


class ReplicaSignal(BoundSignal[*Ts]):
    """A signal of a replica: only its source emits."""

    __slots__ = ()

    def emit(self, *arguments: *Ts) -> None:
        """Raise: a replica only hears."""
        raise LocalProtocolError(f"{self.member.name} is a replica's signal: only the source emits it")


class _AsyncConnection:
    """Runs a coroutine function for each emission, in order, one at a time."""

    def __init__(self, signal_: BoundSignal[*tuple[Any, ...]], callback: Callable[..., Any], home: Home) -> None:
        self._signal, self._callback, self._home = signal_, callback, home
        self._waiting: deque[tuple[Any, ...]] = deque()
        self._running = False

    def enqueue(self, *arguments: Any) -> None:
        if len(self._waiting) >= QUEUE_LIMIT:
            self._waiting.popleft()
            self._signal.dropped += 1
        self._waiting.append(arguments)
        if not self._running:
            self._running = True  # before the task starts, which may be at once
            try:
                self._home.spawn(self._run())
            except BaseException:
                self._running = False
                self._waiting.clear()
                raise

    async def _run(self) -> None:
        try:
            while self._waiting:
                try:
                    awaitable = self._callback(*self._waiting.popleft())
                    if awaitable is not None:  # the target of a weak connection may be gone
                        await awaitable
                except Exception as error:  # noqa: BLE001  reported like an observer's
                    report(error, self._callback)
        finally:
            self._running = False


class Signal(Generic[*Ts]):
    """A declared signal; made by `signal`. On an object it gives the `BoundSignal`, kept in the object."""

    name = ""
    owner: type[Object]
    member: Member
    check: Check

    def __init__(self, declaration: Callable[[Any, *Ts], None]) -> None:
        if not inspect.isfunction(declaration):
            raise ModelError("a signal is declared as a method: '@signal', then 'def overheated(self, celsius: float)'")
        self.declaration: Any = declaration
        self.__doc__ = declaration.__doc__

    def __set_name__(self, owner: type[Object], name: str) -> None:
        self.owner, self.name = owner, name

    @overload
    def __get__(self, instance: None, owner: type[Object]) -> Self: ...
    @overload
    def __get__(self, instance: Object, owner: type[Object]) -> BoundSignal[*Ts]: ...
    def __get__(self, instance: Object | None, owner: type[Object]) -> Self | BoundSignal[*Ts]:
        if instance is None:
            return self
        return self.bound(instance)

    def bound(self, instance: Object) -> BoundSignal[*Ts]:
        """Return the signal of *instance*; the attribute finds it in the instance from then on."""
        found: BoundSignal[*Ts] | None = vars(instance).get(self.name)
        if found is None:
            if not hasattr(self, "member"):
                from everywire.model.reading import contract_of

                contract_of(self.owner)
            state = instance._everywire
            if state.link is None:
                found = BoundSignal(self.member, self.check, state)
            else:
                found = ReplicaSignal(self.member, self.check, state)
            vars(instance)[self.name] = found
        return found

    def __repr__(self) -> str:
        parameters = ", ".join(map(str, self.member.parameters)) if hasattr(self, "member") else "…"
        return f"<signal {self.owner.__name__}.{self.name}({parameters})>" if self.name else "<signal without a class>"


def signal(declaration: Callable[[Any, *Ts], None]) -> Signal[*Ts]:
    """Declare a signal; the parameters name and type what it carries, the docstring says when it is emitted."""
    if inspect.iscoroutinefunction(declaration):
        raise ModelError(f"the signal {declaration.__qualname__} is a plain 'def': it only declares")
    return Signal(declaration)


def arguments_taken(callback: Callable[..., object], offered: int, name: str) -> int:
    """Return how many of *offered* leading arguments *callback* takes; raise ModelError when it needs others."""
    if is_stream(callback):
        raise ModelError(f"{name} cannot be connected to a stream: nobody would read it")
    try:
        parameters = inspect.signature(callback).parameters.values()
    except (TypeError, ValueError):  # some builtins do not tell; they get everything
        return offered
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    needed = sum(p.default is p.empty for p in positional)
    if needed > offered:
        carried = f"{offered} argument{'' if offered == 1 else 's'}"
        raise ModelError(f"{name} carries {carried}, but the callable to connect needs {needed}")
    if named := [p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is p.empty]:
        raise ModelError(f"{name} has arguments by place only, but the callable to connect needs {', '.join(named)}")
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return offered
    return min(len(positional), offered)


def _leading(call: Listener, count: int) -> Listener:
    def leading(*arguments: Any) -> object:
        return call(*arguments[:count])

    return leading


def _weak_reference(callback: Callable[..., object]) -> Callable[[], Any]:
    return weakref.WeakMethod(callback) if inspect.ismethod(callback) else weakref.ref(callback)


def _through(reference: Callable[[], Any]) -> Listener:
    def through(*arguments: Any) -> object:
        target = reference()
        return None if target is None else target(*arguments)

    return through
