"""The values and observers of one object, and who may touch them; declarations are in the modules beside it."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from everywire.errors import WrongThread
from everywire.model.events import Event

if TYPE_CHECKING:
    from everywire.model.properties import Computed

Listener = Callable[..., object]
Watcher = Callable[[Event], object]
Disconnect = Callable[[], None]


class Home(Protocol):
    """The node that an object lives on: it owns the tasks of connected coroutine functions."""

    def spawn(self, coroutine: Coroutine[Any, Any, object]) -> object:
        """Run *coroutine* as a task that ends with the node."""
        ...


class State:
    """The values and observers of one object.

    `owner` is the thread that may touch a published object, None before. `listeners` hold the callables of each
    property, told with plain values; `watchers` see every event of the object as a word of `model/events.py`.
    `publishers` are the nodes that show the object, `home` is the one whose tasks it uses. `guards` are asked before a
    child object takes the place of another; they raise what is wrong with it.
    """

    __slots__ = (
        "dependents",
        "guards",
        "home",
        "link",
        "listeners",
        "owner",
        "publishers",
        "revision",
        "values",
        "watchers",
    )

    def __init__(self, values: dict[str, Any], dependents: Mapping[str, tuple[Computed[Any], ...]]) -> None:
        self.values = values
        self.dependents = dependents
        self.listeners: dict[str, tuple[Listener, ...]] = {}
        self.watchers: tuple[Watcher, ...] = ()
        self.revision = 0
        self.owner: int | None = None
        self.home: Home | None = None
        self.publishers: tuple[Home, ...] = ()
        self.guards: tuple[Callable[[str, Any], object], ...] = ()
        self.link: Any = None  # of a replica: what reaches its source

    def listen(self, name: str, listener: Listener, *, first: bool = False) -> Disconnect:
        """Call *listener* with each new value of the property *name*; return what ends that.

        Wires listen `first`: what an ordinary listener changes in turn must follow on the wire, not precede.
        """
        present = self.listeners.get(name, ())
        self.listeners[name] = (listener, *present) if first else (*present, listener)

        def disconnect() -> None:
            self.listeners[name] = without(self.listeners.get(name, ()), listener)

        return at_most_once(disconnect)

    def watch(self, watcher: Watcher) -> Disconnect:
        """Call *watcher* with every event of the object; return what ends that."""
        self.watchers = (*self.watchers, watcher)

        def disconnect() -> None:
            self.watchers = without(self.watchers, watcher)

        return at_most_once(disconnect)

    def tell(self, event: Event) -> None:
        """Tell the whole-object watchers."""
        for watcher in self.watchers:
            try:
                watcher(event)
            except Exception as error:  # noqa: BLE001  an observer's failure is not the setter's
                report(error, watcher)


def wrong_thread(what: str) -> NoReturn:
    """Raise the error for touching a published object from a foreign thread."""
    raise WrongThread(
        f'{what} belongs to another thread: use node.call(setattr, room, "current", 22.5) '
        "or node.call(room.beeped.emit, 1)"
    )


def at_most_once(act: Callable[[], None]) -> Disconnect:
    """Return a function whose first call does *act*; a callable connected twice is two connections, each ended once."""
    waiting = [act]

    def disconnect() -> None:
        if waiting:
            waiting.pop()()

    return disconnect


def without(items: tuple[Any, ...], item: object) -> tuple[Any, ...]:
    """Return *items* less one occurrence of *item*, compared by identity."""
    for place, candidate in enumerate(items):
        if candidate is item:
            return (*items[:place], *items[place + 1 :])
    return items


def report(error: BaseException, source: object) -> None:
    """Report the failure of an observer: to the running loop's exception handler, else to `sys.unraisablehook`."""
    if "asyncio" in sys.modules:
        from everywire.model.waiting import report_to_loop

        if report_to_loop(error, source):
            return
    witness = _Mortal()
    _reference = weakref.ref(witness, _Unraisable(error, source))
    del witness


class _Mortal:
    """Something whose end calls a weak reference's callback."""


class _Unraisable:
    """Raises where nobody can catch it: Python itself then calls the hook, whose arguments only it can make."""

    def __init__(self, error: BaseException, source: object) -> None:
        self._error, self._source = error, source

    def __call__(self, _reference: object) -> None:
        raise self._error

    def __repr__(self) -> str:
        return f"observer {self._source!r}"
