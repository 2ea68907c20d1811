"""`Node`: publishes objects, serves them on wires, and owns every task. Wires know how things look; a node does not."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import os
import weakref
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack, suppress
from contextvars import Token
from dataclasses import dataclass
from threading import get_ident
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, ParamSpec, Self, TypeVar, cast

from everywire.errors import ForkedError, LocalProtocolError, ModelError, NeedsLoop, WrongThread
from everywire.model import Contract, Object, contract_of
from everywire.model.reading import check_type_names
from everywire.model.signals import current_home
from everywire.model.state import Home, without
from everywire.runtime.children import Family, Household, checked_family
from everywire.runtime.limits import DEFAULT_LIMITS, Limits, Refusals
from everywire.runtime.policy import Policy
from everywire.runtime.replica import LINKS, drop_connections
from everywire.runtime.tasks import TaskSet
from everywire.runtime.wires import Server, Wire, wire_of
from everywire.transport.loops import loop_with_sockets

if TYPE_CHECKING:
    from everywire.runtime.proxying import Accept, Proxy
    from everywire.runtime.tokens import Tokens

P = ParamSpec("P")
R = TypeVar("R")

log: Final = logging.getLogger("everywire.node")

RESERVED_NAMES: Final = frozenset({"everywire", "Registry"})
MAX_NAME: Final = 255
TOKENS_POLL: Final = 1.0
"""Seconds between looks whether tokens were revoked or have expired, for links that only listen."""
NOBODY: Final = -1
"""The owner of objects whose node was left behind in the parent process; no thread has this identity."""


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
    drops the connections of its objects' signals. With *tokens* a peer must log in, on every wire, unless the system
    vouches for its user (Unix sockets) or it shows a listed certificate; without, the *policy* decides by what the link
    knows.
    """

    def __init__(
        self, *, limits: Limits = DEFAULT_LIMITS, policy: Policy | None = None, tokens: Tokens | None = None
    ) -> None:
        self.limits = limits
        self.tokens = tokens
        """Who may log in; with it every link whose peer the system does not vouch for must."""
        self.policy = policy or Policy()
        self.refusals = Refusals()
        """How often each limit or check refused something."""
        self.published: dict[str, Publication] = {}
        self.household = Household(self._take, self._release, limits.children)
        """The published objects and their children."""
        self._families: dict[str, Family] = {}
        self._servers: list[Server] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: TaskSet | None = None
        self._thread = 0
        self._process = os.getpid()
        self._closed = False
        self._home: Token[Home | None]
        _NODES.add(self)

    async def __aenter__(self) -> Self:
        self.open()
        self._home = current_home.set(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(ValueError):  # left in another task than it was entered in
            current_home.reset(self._home)
        await self.aclose(grace=self.limits.drain if error is None else 0.0)

    def open(self) -> None:
        """Start owning tasks in the running loop; `async with` does it.

        Raises LocalProtocolError the second time, NeedsLoop in a loop without sockets.
        """
        self._check_process()
        if self._loop is not None:
            raise LocalProtocolError("a node is entered once; make a new one")
        self._loop = loop_with_sockets()
        self._thread = self.household.thread = get_ident()
        self._tasks = TaskSet(self._loop)
        if self.tokens is not None:
            self._tasks.spawn(self._follow(self.tokens))
        for source in self.household:
            source._everywire.owner = self._thread

    def publish(self, source: Object, name: str, *, policy: Policy | None = None) -> None:
        """Let callers reach *source* as *name*, on every wire served now and later.

        A replica may be published too: that is a bridge. Child objects are published with it, and belong to the node
        while they are its children. Raises ModelError when the class has no valid contract, the name is taken, two of
        the node's classes use one name for different types, a wire that is served cannot carry it, or it is its own
        child; nothing is published then.
        """
        self._check_usable()
        self._check_name(name)
        if not isinstance(source, Object):  # pyright: ignore[reportUnnecessaryIsInstance]
            what = f"the class {source.__name__}" if isinstance(source, type) else type(source).__name__
            raise ModelError(f"only instances of Object can be published, got {what}")
        contract = contract_of(source)
        check_type_names([publication.contract for publication in self.published.values()] + [contract])
        state = source._everywire
        if state.owner is not None and state.owner != (self._thread or get_ident()):
            raise ModelError(f"the object published as {name!r} already belongs to a node in another thread")
        thread = self._thread or get_ident()
        checked_family(source, above=(), most=self.limits.children, thread=thread)
        publication = Publication(name, source, contract, policy or self.policy)
        for member in contract.members:
            getattr(source, member, None)  # a computed property has its value before the first replica asks
        self._show(publication)
        self.published[name] = publication
        publication.policy.followers.add(self)
        self._families[name] = Family(self.household, source)

    def withdraw(self, name: str) -> None:
        """Take the object *name* back: its replicas become suspect. Raises ModelError when there is none."""
        self._check_usable()
        publication = self.published.pop(name, None)
        if publication is None:
            published = ", ".join(self.published) or "nothing"
            raise ModelError(f"nothing is published as {name!r}; this node publishes {published}")
        for server in self._servers:
            server.removed(publication)
        self._families.pop(name).close()

    async def serve(self, *wires: str | Wire) -> tuple[str, ...]:
        """Serve the published objects on *wires*, URLs or settings; return the addresses where they listen.

        Raises AddressInUse, InsecureBind, AddressError or MissingExtra; nothing of this call is served then.
        """
        self._check_open()
        started: list[Server] = []
        try:
            for wire in wires:
                started.append(await self._start(wire_of(wire)))  # noqa: PERF401  what has started must be closed
        except BaseException:
            for server in started:
                if server in self._servers:  # else the node was closed meanwhile
                    self._servers.remove(server)
                    await server.close()
            raise
        return tuple(server.url for server in started)

    async def proxy(
        self, wire: str | Wire, *, accept: Accept | None = None, policy: Policy | None = None
    ) -> Proxy:
        """Show the objects of the host at *wire*, or of all hosts in a registry, under their own names.

        *accept*, called with the name and the class of an object, says which; names that are taken here are left out.
        They come and go as at their host; `Proxy.close` takes them back. Raises LinkError when nobody answers.
        """
        from everywire.runtime.proxying import start_proxy

        self._check_open()
        return await start_proxy(self, wire_of(wire), accept, policy)

    @property
    def closed(self) -> bool:
        """Whether the node has ended, or is about to."""
        return self._closed

    @property
    def addresses(self) -> tuple[str, ...]:
        """The URLs under which the node can be reached."""
        return tuple(server.url for server in self._servers if server.url)

    @property
    def servers(self) -> tuple[Server, ...]:
        """What serves its objects, for wires."""
        return tuple(self._servers)

    @property
    def running_here(self) -> bool:
        """Whether the node runs in the loop of who asks."""
        return self._loop is not None and not self._closed and self._loop is asyncio.get_running_loop()

    def call(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> concurrent.futures.Future[R]:
        """Run *function* in the node's thread; thread-safe. A coroutine function is awaited there.

        `node.call(setattr, room, "current", 22.5).result()` waits for it.
        """
        self._check_process()
        loop = self._loop
        if loop is None or self._closed or loop.is_closed():
            raise NeedsLoop("node.call needs a running node: call it while 'async with Node()' runs")
        future: concurrent.futures.Future[R] = concurrent.futures.Future()

        def run() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                value: Any = function(*args, **kwargs)
                if isinstance(value, Coroutine):
                    task = self.tasks.spawn(cast("Coroutine[Any, Any, Any]", value), awaited=True)
                    task.add_done_callback(lambda _: _settle(future, task))
                    return
            except BaseException as error:
                future.set_exception(error)  # it belongs to the waiting thread
                if not isinstance(error, Exception):
                    raise  # a program told to end must not go on for that
                return
            future.set_result(value)

        loop.call_soon_threadsafe(run)
        return future

    def spawn(self, coroutine: Coroutine[Any, Any, object]) -> asyncio.Task[Any]:
        """Run *coroutine* as a task that ends with the node."""
        return self.tasks.spawn(coroutine)

    @property
    def tasks(self) -> TaskSet:
        """The tasks that the node owns."""
        self._check_process()
        if self._tasks is None:
            raise NeedsLoop("the node is not running: use it inside 'async with Node() as node:'")
        return self._tasks

    def recheck(self) -> None:
        """Take objects from links whose callers may no longer see them; a changed `Policy` does it, in any thread."""
        if self._thread not in (0, get_ident()) and not self._closed:
            self.call(self.recheck)
            return
        for server in self._servers:
            server.recheck()

    async def aclose(self, *, grace: float = 0.0) -> None:
        """Stop serving, let running slots finish for *grace* seconds, close links and end every task."""
        self._check_process()
        self._closed = True
        servers, self._servers = self._servers, []
        async with AsyncExitStack() as ending:  # the last comes first; each is done also when one fails or is cancelled
            if self._tasks is not None:
                ending.push_async_callback(self._tasks.aclose)
            ending.callback(self._release_all)
            for server in reversed(servers):
                ending.push_async_callback(server.close)
            for server in servers:
                await server.stop_accepting()
            await self._drain(servers, grace)

    def __repr__(self) -> str:
        state = "closed" if self._closed else "not running" if self._loop is None else f"at {', '.join(self.addresses)}"
        return f"<node of {', '.join(self.published) or 'nothing'}: {state}>"

    def _show(self, publication: Publication) -> None:
        shown: list[Server] = []
        try:
            for server in self._servers:
                server.added(publication)
                shown.append(server)
        except BaseException:
            for server in shown:
                server.removed(publication)
            raise

    async def _start(self, wire: Wire) -> Server:
        """Serve on *wire*; catch up with what was published or withdrawn while that waited."""
        before = dict(self.published)
        server = await wire.serve(self)
        try:
            self._check_usable()  # else it was closed meanwhile
            for name, publication in before.items():
                if self.published.get(name) is not publication:
                    server.removed(publication)
            for name, publication in self.published.items():
                if before.get(name) is not publication:
                    server.added(publication)
        except BaseException:
            await server.close()
            raise
        self._servers.append(server)
        return server

    async def _follow(self, tokens: Tokens) -> None:
        """End the logins that do not hold any more; links on which calls arrive notice it by themselves, at once."""
        known = tokens.revision
        while True:
            await asyncio.sleep(TOKENS_POLL)
            if tokens.revision != known:
                known = tokens.revision
                self.recheck()

    async def _drain(self, servers: list[Server], grace: float) -> None:
        running = [task for server in servers for task in server.running()]
        if running and grace > 0:
            await asyncio.wait(running, timeout=grace)

    def _release_all(self) -> None:
        for family in self._families.values():
            family.close()
        self._families.clear()
        self.published.clear()

    def _take(self, source: Object) -> None:
        """Let *source*, which is published or the child of one that is, belong to this node."""
        state = source._everywire
        state.owner, state.home = self._thread or get_ident(), state.home or self
        if self not in state.publishers:
            state.publishers = (*state.publishers, self)

    def _release(self, source: Object) -> None:
        """Let go of *source*, which nothing on this node shows any more; another node may show it still."""
        state = source._everywire
        state.publishers = without(state.publishers, self)
        if state.link is not None:
            return  # a replica lives where it was connected, and until its connection ends
        if not state.publishers:
            state.owner = None
        if state.home is self:
            state.home = next(iter(state.publishers), None)
            if state.home is None:
                drop_connections(source)

    def _check_process(self) -> None:
        if os.getpid() != self._process:
            raise ForkedError("this node belongs to the parent process: make a new Node in the child")

    def _check_usable(self) -> None:
        self._check_process()
        if self._closed:
            raise LocalProtocolError("this node is closed: make a new one")
        if self._thread not in (0, get_ident()):
            raise WrongThread("a node works in the thread it was entered in: use node.call(node.publish, room, 'hall')")

    def _check_open(self) -> None:
        self._check_usable()
        if self._loop is None:
            raise NeedsLoop("the node is not running: use it inside 'async with Node() as node:'")

    def _check_name(self, name: str) -> None:
        if not name or len(name) > MAX_NAME or not name.isprintable() or any(mark in name for mark in "/\\#+?*\x00"):
            raise ModelError(f"an object's name has 1 to {MAX_NAME} printable characters without / \\ # + ? *")
        if name in RESERVED_NAMES:
            raise ModelError(f"the name {name!r} is reserved; choose another")
        if name in self.published:
            raise ModelError(f"{name!r} is already published on this node; withdraw it first or choose another name")


def _settle(future: concurrent.futures.Future[Any], task: asyncio.Task[Any]) -> None:
    if task.cancelled():
        future.set_exception(concurrent.futures.CancelledError("the node was closed"))
    elif (error := task.exception()) is not None:
        future.set_exception(error)
    else:
        future.set_result(task.result())


_NODES: Final[weakref.WeakSet[Node]] = weakref.WeakSet()


def _disown() -> None:
    """In a forked child: nobody may set, emit or call what would be written to the parent's connections."""
    for node in tuple(_NODES):
        for source in node.household:
            source._everywire.owner = NOBODY
    for link in tuple(LINKS):
        link.abandon()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_disown)
