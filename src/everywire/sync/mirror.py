"""A replica that lives in a loop of another thread, and its mirror in this one: the wire between is a queue each way.

What the replica hears is put into the mirror's inbox, in order, with the answers of calls; this thread takes it out
under the same rules as from a socket. So callbacks run here, and nothing of an object is touched by two threads.
"""

from __future__ import annotations

import selectors
import socket
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Generator
from contextlib import contextmanager, suppress
from functools import partial
from threading import get_ident
from typing import Any, NamedTuple, TypeVar

from everywire.errors import Code, Fault, LinkError
from everywire.model import Contract, Kind, Member, Object, contract_of
from everywire.model.events import Changed, Emitted
from everywire.model.reading import child_members
from everywire.model.types import child_type
from everywire.runtime.blocking import (
    LONGEST_WAIT,
    NOTICED,
    BlockingCall,
    Interest,
    PumpedReplica,
    check_thread,
    turn,
    workplace,
)
from everywire.runtime.channel import Channel
from everywire.runtime.connecting import connect
from everywire.runtime.limits import Limits
from everywire.runtime.persistence import PersistedStore
from everywire.runtime.replica import ReplicaLink, ReplicaState, link_of, members
from everywire.runtime.wires import Wire
from everywire.sync.threads import LoopThread, shared_thread

T = TypeVar("T")

Item = Callable[[], object]
"""What is to be done in this thread, as an entry of the inbox."""


@contextmanager
def mirrored(
    wire: Wire,
    name: str,
    contract: Any,
    *,
    timeout: float | None,
    limits: Limits,
    wait: bool = True,
    store: PersistedStore | None = None,
) -> Generator[Any]:
    """Connect in the background; give the mirror, which belongs to this thread."""
    connecting = connect(wire, name, contract, timeout=timeout, limits=limits, wait=wait, store=store)
    with shared_thread() as thread, thread.enter(connecting) as source:
        mirror = Mirror(thread, source)
        workplace.enter(mirror)
        try:
            yield mirror.replica.instance
        finally:
            workplace.leave(mirror)
            mirror.close()


class Inbox:
    """Entries from any thread for one thread, and a descriptor that is readable while there are any."""

    def __init__(self) -> None:
        self._items: deque[Item] = deque()
        self._near, self._far = socket.socketpair()
        self._near.setblocking(False)
        self._far.setblocking(False)
        self._signalled = False

    def put(self, item: Item) -> None:
        """Add an entry; in any thread."""
        self._items.append(item)
        if not self._signalled:
            self._signalled = True
            with suppress(OSError):  # full, so readable already; or closed
                self._far.send(b"\0")

    def take(self) -> Item | None:
        """Return the oldest entry; None when there is none."""
        if not self._items and self._signalled:
            with suppress(BlockingIOError):
                self._near.recv(4096)
            self._signalled = False  # before the last look: whoever adds from now on signals again
        return self._items.popleft() if self._items else None

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._near.fileno()

    def close(self) -> None:
        """Give the descriptors back."""
        self._near.close()
        self._far.close()


class Shown(NamedTuple):
    """A replica of the other thread as it is: what its mirror takes over. In values children are `Shown` too."""

    source: Object
    values: dict[str, Any]
    state: ReplicaState
    error: Exception | None


class Mirror:
    """One replica's pump, and the carrier of its channel and of those of its children.

    Calls go to the other thread, news come from there.
    """

    def __init__(self, thread: LoopThread, source: Object) -> None:
        self.owner = get_ident()
        self._thread = thread
        self._source_link = link_of(source)
        self._inbox = Inbox()
        self._followed: dict[int, Object] = {}
        """The replicas that are mirrored; only the other thread looks here."""
        self._mirrored: dict[int, tuple[Object, Channel]] = {}
        """Replicas and what stands for them here, by identity of the replica; only this thread looks here."""
        self._sources: dict[Channel, Object] = {}
        self._running: dict[int, Any] = {}
        self._handling = 0
        self._closed = False
        link: ReplicaLink = self._source_link
        self.replica = PumpedReplica(link.url, link.name, link.cls)
        self.replica.pump = self
        self._mirror(self.replica, thread.run(_called(partial(self._follow, source))))
        self.replica.was_valid = link.was_valid

    # What the thread's `sync` functions call; see `Pump`.

    @property
    def descriptor(self) -> int:
        """The descriptor that is readable while there is news."""
        return self._inbox.fileno()

    def wait(self, call: BlockingCall) -> None:
        """Handle news until *call* is finished; an interrupt cancels it."""
        check_thread(self.owner)
        try:
            while not call.finished:
                if not turn((self,), NOTICED) and (self._closed or not self._thread.alive):
                    call.set_exception(self.replica.unavailable())
        except BaseException:
            call.cancel()
            raise

    def work(self) -> bool:
        """Handle what is there."""
        check_thread(self.owner)
        worked = False
        while not self._closed and (item := self._inbox.take()) is not None:
            worked = True
            self._handling += 1
            try:
                item()
            finally:
                self._handling -= 1
        tasks = workplace.tasks
        if tasks.waiting:
            tasks.step()
        return worked

    def refresh(self) -> None:
        """Take what has arrived, but not within a callback."""
        if self._handling:
            check_thread(self.owner)
        else:
            self.work()

    def flush(self) -> None:
        """Nothing waits here."""

    def mend(self) -> None:
        """The other thread does that by itself."""

    def interest(self) -> Interest:
        """Return what to wait for."""
        if self._closed:
            return Interest(-1, 0, LONGEST_WAIT)
        return Interest(self._inbox.fileno(), selectors.EVENT_READ, LONGEST_WAIT)

    def abandoned(self) -> None:
        """In a forked child: there is no other thread, and the inbox is the parent's."""
        self._closed = True

    def close(self) -> None:
        """Let go of the mirror; the replica behind it is closed by who connected it."""
        self._closed = True
        self.replica.close()
        self.replica.channel.detach(Fault(Code.UNAVAILABLE, f"the block of '{self.replica.block}' has ended"))
        self._inbox.close()

    # What the channel calls; see `runtime.channel.Carrier`.

    def call(self, channel: Channel, member: Member, arguments: tuple[Any, ...], token: int) -> None:
        """Let the replica call, or push."""
        check_thread(self.owner)
        if not self._thread.alive:
            raise self.replica.unavailable()
        self._forward(
            token,
            _perform(self._sources[channel], member, arguments),
            partial(channel.answered, token),
            partial(_failed, channel, token),
        )

    def cancel(self, channel: Channel, token: int) -> None:
        """Cancel what the replica waits for."""
        del channel
        future = self._running.pop(token, None)
        if future is not None:
            future.cancel()

    def open_stream(self, channel: Channel, member: Member, arguments: tuple[Any, ...]) -> MirroredStream:
        """Return a stream whose items are fetched one by one."""
        check_thread(self.owner)
        source = self._sources[channel]
        return MirroredStream(self, self._thread, lambda: members(source)[member.name](*arguments))

    def sweep(self, channel: Channel) -> None:
        """The replica keeps the deadlines."""

    # What streams call.

    def begin(self, work: Coroutine[Any, Any, Any]) -> BlockingCall:
        """Run *work* in the other thread; return the pending call of its result."""
        call = BlockingCall(self)
        self._forward(id(call), work, call.set_result, call.set_exception)
        return call

    # Private: in the other thread.

    def _follow(self, source: Object) -> Shown:
        """Tell this thread's end of all that happens to *source* from now on; return how it is."""
        link = link_of(source)
        if id(source) not in self._followed:
            self._followed[id(source)] = source
            source._everywire.watch(partial(self._heard, source))
            link.state_changed.connect(partial(self._became, source))
        values = {name: self._shown(value) for name, value in source._everywire.values.items()}
        return Shown(source, values, link.state, link.error)

    def _shown(self, value: Any) -> Any:
        return self._follow(value) if isinstance(value, Object) else value

    def _heard(self, source: Object, event: Any) -> None:
        if isinstance(event, Changed):
            self._inbox.put(partial(self._changed, source, event.member.name, self._shown(event.value)))
        elif isinstance(event, Emitted):
            self._inbox.put(partial(self._emitted, source, event, self._source_link.gap))

    def _became(self, source: Object, state: ReplicaState) -> None:
        if state is ReplicaState.VALID:  # whoever hears of that finds the values that came with it
            self._inbox.put(partial(self._mirror_again, self._follow(source)))
        else:
            self._inbox.put(partial(self._become, source, state, link_of(source).error))

    def _forward(
        self,
        token: int,
        work: Coroutine[Any, Any, Any],
        answered: Callable[[Any], object],
        failed: Callable[[BaseException], object],
    ) -> None:
        async def perform() -> None:
            try:
                value = await work
            except Exception as error:  # noqa: BLE001  it belongs to the caller in this thread
                self._inbox.put(partial(self._finished, token, failed, error))
            else:
                self._inbox.put(partial(self._finished, token, answered, value))

        self._running[token] = self._thread.call(perform)

    # Private: in this thread.

    def _mirror(self, link: ReplicaLink, shown: Shown) -> Object:
        """Let *link* stand for a replica of the other thread, and the links of its children for those."""
        source, contract = shown.source, contract_of(shown.source)
        channel: Channel | None = link.channel
        if channel is None:
            channel = link.channel = Channel(link, partial(BlockingCall, self), children=True)
        self._mirrored[id(source)] = source, channel
        self._sources[channel] = source
        children = {
            member.name: self._child(link, member.name, shown.values[member.name])
            for member in child_members(contract)
            if member.name in shown.values
        }
        channel.attach(self, contract, {**shown.values, **children}, type_of(source))
        link.become(shown.state, shown.error)
        return link.instance  # type: ignore[no-any-return]

    def _mirror_again(self, shown: Shown) -> None:
        if id(shown.source) in self._mirrored:
            self._mirror(self._mirrored[id(shown.source)][1].replica, shown)

    def _child(self, link: ReplicaLink, name: str, shown: Shown | None) -> Object | None:
        if shown is None:
            link.child_lost(name, LinkError(f"{link.name} holds no {name} now"))
            return None
        return self._mirror(link.child(name, link_of(shown.source).name, link_of(shown.source).cls), shown)

    def _changed(self, source: Object, name: str, value: Any) -> None:
        _, channel = self._mirrored[id(source)]
        member = contract_of(source).members[name]
        if child_type(member.type) is None:
            channel.changed(name, value)
        else:
            handle: Any = type(source).__everywire_declared__[name]
            channel.replica.child_changed(handle, self._child(channel.replica, name, value))

    def _become(self, source: Object, state: ReplicaState, error: Exception | None) -> None:
        if id(source) in self._mirrored:
            self._mirrored[id(source)][1].replica.become(state, error)

    def _finished(self, token: int, tell: Callable[[Any], object], what: Any) -> None:
        if self._running.pop(token, None) is not None:
            tell(what)

    def _emitted(self, source: Object, event: Emitted, gap: int) -> None:
        self.replica.gap = gap
        self._mirrored[id(source)][1].emitted(event.member.name, event.arguments)


class MirroredStream(AsyncIterator[Any]):
    """A stream of the replica in the other thread."""

    def __init__(self, mirror: Mirror, thread: LoopThread, start: Callable[[], Any]) -> None:
        self._mirror, self._thread = mirror, thread
        self._stream: Any = thread.run(_called(start))
        self._closed = False

    async def __anext__(self) -> Any:
        more, item = await self._mirror.begin(_next_of(self._stream))
        if not more:
            self._closed = True
            raise StopAsyncIteration
        return item

    async def aclose(self) -> None:
        """Tell the host that no more items are wanted."""
        self._close()

    def __del__(self) -> None:
        self._close()

    def _close(self) -> None:
        if not self._closed:
            self._closed = True
            if self._thread.alive:
                self._thread.call(_close, self._stream)


async def _perform(source: Object, member: Member, arguments: tuple[Any, ...]) -> Any:
    """Call the slot, or write the property, of a replica in its thread."""
    if member.kind is Kind.PROPERTY:
        return await link_of(source).push(type(source).__everywire_declared__[member.name], *arguments)
    return await members(source)[member.name](*arguments)


async def _called(function: Callable[[], T]) -> T:
    return function()


async def _next_of(stream: Any) -> tuple[bool, Any]:
    try:
        return True, await anext(stream)
    except StopAsyncIteration:
        return False, None


async def _close(stream: Any) -> None:
    await stream.aclose()


def _failed(channel: Channel, token: int, error: BaseException) -> None:
    entry = channel.waiting.pop(token, None)
    if entry is not None and not entry[1].finished:
        entry[1].set_exception(error)


def type_of(source: Object) -> Callable[[Contract], type[Object]]:
    """Return what stands for building a class: the replica in the other thread has one already."""
    cls: Any = link_of(source).cls
    return lambda _: cls
