"""`Node`: publishes objects, serves them on wires, and owns every task. Wires know how things look; a node does not."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import os
from collections.abc import Callable, Coroutine
from contextvars import Token
from dataclasses import dataclass
from threading import get_ident
from types import TracebackType
from typing import Any, Final, ParamSpec, Self, TypeVar

from everywire.errors import ForkedError, LocalProtocolError, ModelError, NeedsLoop
from everywire.model import Contract, Object, contract_of
from everywire.model.reading import check_type_names
from everywire.model.signals import BoundSignal, current_home
from everywire.model.state import Home
from everywire.runtime.limits import DEFAULT_LIMITS, Limits, Refusals
from everywire.runtime.policy import Policy
from everywire.runtime.tasks import TaskSet
from everywire.runtime.wires import Server, Wire, wire_of

P = ParamSpec("P")
R = TypeVar("R")

log: Final = logging.getLogger("everywire.node")

RESERVED_NAMES: Final = frozenset({"everywire", "Registry"})
MAX_NAME: Final = 255


@dataclass(frozen=True, slots=True, eq=False)
class Publication:
    """An object under a name, with the policy that guards it."""

    name: str
    object: Object
    contract: Contract
    policy: Policy


class Node:
    """Publishes objects and serves them on wires; an async context manager that owns all tasks.

    Leaving the block stops accepting, lets running slots finish for `Limits.drain` seconds, closes every link and
    drops the connections of its objects' signals.
    """

    def __init__(self, *, limits: Limits = DEFAULT_LIMITS, policy: Policy | None = None) -> None:
        self.limits = limits
        self.policy = policy or Policy()
        self.refusals = Refusals()
        """How often each limit or check refused something."""
        self.published: dict[str, Publication] = {}
        self._servers: list[Server] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: TaskSet | None = None
        self._thread = 0
        self._process = os.getpid()
        self._home: Token[Home | None] | None = None

    async def __aenter__(self) -> Self:
        if self._loop is not None:
            raise LocalProtocolError("a node is entered once; make a new one")
        self.open()
        self._home = current_home.set(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._home is not None:
            current_home.reset(self._home)
        await self.aclose(grace=self.limits.drain if error is None else 0.0)

    def open(self) -> None:
        """Start owning tasks in the running loop; `async with` does it."""
        self._loop = asyncio.get_running_loop()
        self._thread = get_ident()
        self._tasks = TaskSet(self._loop)

    def publish(self, source: Object, name: str, *, policy: Policy | None = None) -> None:
        """Let callers reach *source* as *name*, on every wire served now and later.

        A replica may be published too: that is a bridge. Raises ModelError when the class has no valid contract, the
        name is taken, or two of the node's classes use one name for different structs or enums.
        """
        self._check_name(name)
        contract = contract_of(source)
        check_type_names([publication.contract for publication in self.published.values()] + [contract])
        state = source._everywire
        if state.owner is not None and state.owner != (self._thread or get_ident()):
            raise ModelError(f"the object published as {name!r} already belongs to a node in another thread")
        publication = Publication(name, source, contract, policy or self.policy)
        self.published[name] = publication
        for member in contract.members:
            getattr(source, member, None)  # a computed property has its value before the first replica asks
        state.owner, state.home = self._thread or get_ident(), state.home or self
        for server in self._servers:
            server.added(publication)

    def withdraw(self, name: str) -> None:
        """Take the object *name* back: its replicas become suspect."""
        publication = self.published.pop(name, None)
        if publication is None:
            raise ModelError(f"nothing is published as {name!r}")
        for server in self._servers:
            server.removed(publication)
        if not any(other.object is publication.object for other in self.published.values()):
            self._release(publication.object)

    async def serve(self, *wires: str | Wire) -> tuple[str, ...]:
        """Serve the published objects on *wires*, URLs or settings; return the addresses where they listen.

        Raises AddressInUse, InsecureBind, AddressError or MissingExtra; nothing of this call is served then.
        """
        self._check_open()
        started: list[Server] = []
        try:
            for wire in wires:
                started.append(await wire_of(wire).serve(self))
        except BaseException:
            for server in started:
                await server.close()
            raise
        self._servers += started
        return tuple(server.url for server in started)

    @property
    def addresses(self) -> tuple[str, ...]:
        """The URLs under which the node can be reached."""
        return tuple(server.url for server in self._servers)

    def call(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> concurrent.futures.Future[R]:
        """Run *function* in the node's thread; thread-safe. A coroutine function is awaited there.

        `node.call(setattr, room, "current", 22.5).result()` waits for it.
        """
        loop = self._loop
        if loop is None or loop.is_closed():
            raise NeedsLoop("node.call needs a running node: call it while 'async with Node()' runs")
        future: concurrent.futures.Future[R] = concurrent.futures.Future()

        def run() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                value: Any = function(*args, **kwargs)
            except BaseException as error:  # noqa: BLE001  it belongs to the waiting thread
                future.set_exception(error)
                return
            if isinstance(value, Coroutine):
                self.spawn(_settle(future, value))
            else:
                future.set_result(value)

        loop.call_soon_threadsafe(run)
        return future

    def spawn(self, coroutine: Coroutine[Any, Any, object]) -> asyncio.Task[Any]:
        """Run *coroutine* as a task that ends with the node."""
        return self.tasks.spawn(coroutine)

    @property
    def tasks(self) -> TaskSet:
        """The tasks that the node owns."""
        if self._tasks is None:
            raise NeedsLoop("the node is not running: use it inside 'async with Node() as node:'")
        self._check_open()
        return self._tasks

    def recheck(self) -> None:
        """Apply changed policies to calls at once."""
        for server in self._servers:
            server.recheck()

    async def aclose(self, *, grace: float = 0.0) -> None:
        """Stop serving, let running slots finish for *grace* seconds, close links and end every task."""
        servers, self._servers = self._servers, []
        for server in servers:
            await server.stop_accepting()
        if self._tasks is not None and servers:
            await self._drain(servers, grace)
        for server in servers:
            await server.close()
        for publication in self.published.values():
            self._release(publication.object)
        self.published.clear()
        if self._tasks is not None:
            await self._tasks.aclose()

    async def _drain(self, servers: list[Server], grace: float) -> None:
        running = [task for server in servers for task in server.running()]
        if running and grace > 0:
            await asyncio.wait(running, timeout=grace)

    def _release(self, source: Object) -> None:
        state = source._everywire
        if state.home is self:
            state.home = None
            for bound in [item for item in vars(source).values() if isinstance(item, BoundSignal)]:
                bound.disconnect_all()
        if state.link is None:
            state.owner = None

    def _check_open(self) -> None:
        if os.getpid() != self._process:
            raise ForkedError("this node belongs to the parent process: make a new Node in the child")
        if self._loop is None:
            raise NeedsLoop("use the node inside 'async with Node() as node:'")

    def _check_name(self, name: str) -> None:
        if not name or len(name) > MAX_NAME or not name.isprintable() or any(mark in name for mark in "/\\#+?*\x00"):
            raise ModelError(f"an object's name has 1 to {MAX_NAME} printable characters without / \\ # + ? *")
        if name in RESERVED_NAMES:
            raise ModelError(f"the name {name!r} is reserved; choose another")
        if name in self.published:
            raise ModelError(f"{name!r} is already published on this node; withdraw it first or choose another name")


async def _settle(future: concurrent.futures.Future[Any], coroutine: Coroutine[Any, Any, Any]) -> None:
    try:
        future.set_result(await coroutine)
    except BaseException as error:
        future.set_exception(error)
        if isinstance(error, asyncio.CancelledError):
            raise
