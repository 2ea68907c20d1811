"""The values and observers of one object, and who may touch them; declarations are in the modules beside it."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Coroutine, Mapping
from threading import get_ident
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
    """

    __slots__ = ("dependents", "home", "link", "listeners", "owner", "revision", "values", "watchers")

    def __init__(self, values: dict[str, Any], dependents: Mapping[str, tuple[Computed[Any], ...]]) -> None:
        self.values = values
        self.dependents = dependents
        self.listeners: dict[str, tuple[Listener, ...]] = {}
        self.watchers: tuple[Watcher, ...] = ()
        self.revision = 0
        self.owner: int | None = None
        self.home: Home | None = None
        self.link: Any = None  # of a replica: what reaches its source

    def listen(self, name: str, listener: Listener, *, first: bool = False) -> Disconnect:
        """Call *listener* with each new value of the property *name*; return what ends that.

        Wires listen `first`: what an ordinary listener changes in turn must follow on the wire, not precede.
        """
        present = self.listeners.get(name, ())
        self.listeners[name] = (listener, *present) if first else (*present, listener)

        def disconnect() -> None:
            self.listeners[name] = without(self.listeners.get(name, ()), listener)

        return disconnect

    def watch(self, watcher: Watcher) -> Disconnect:
        """Call *watcher* with every event of the object; return what ends that."""
        self.watchers = (*self.watchers, watcher)

        def disconnect() -> None:
            self.watchers = without(self.watchers, watcher)

        return disconnect

    def tell(self, event: Event) -> None:
        """Tell the whole-object watchers."""
        for watcher in self.watchers:
            try:
                watcher(event)
            except Exception as error:  # noqa: BLE001  an observer's failure is not the setter's
                report(error, watcher)

    def check_thread(self, what: str) -> None:
        """Raise WrongThread unless the calling thread may touch the object."""
        if self.owner is not None and self.owner != get_ident():
            wrong_thread(what)


def wrong_thread(what: str) -> NoReturn:
    """Raise the error for touching a published object from a foreign thread."""
    raise WrongThread(
        f'{what} belongs to another thread: use node.call(setattr, room, "current", 22.5) or node.call(room.beeped.emit, 1)'
    )


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
    arguments = types.SimpleNamespace(
        exc_type=type(error), exc_value=error, exc_traceback=error.__traceback__, err_msg=None, object=source
    )
    sys.unraisablehook(arguments)
