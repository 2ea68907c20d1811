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
from typing import Any, TypeVar

from everywire.errors import Code, Fault
from everywire.model import Contract, Kind, Member, Object, contract_of
from everywire.model.events import Changed, Emitted
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
from everywire.runtime.replica import ReplicaLink, ReplicaState, link_of, members
from everywire.runtime.wires import Wire
from everywire.sync.threads import LoopThread, shared_thread

T = TypeVar("T")

Item = Callable[[], object]
"""What is to be done in this thread, as an entry of the inbox."""


@contextmanager
def mirrored(
    wire: Wire, name: str, contract: type[Object] | None, *, timeout: float | None, limits: Limits
) -> Generator[Any]:
    """Connect in the background; give the mirror, which belongs to this thread."""
    with (
        shared_thread() as thread,
        thread.enter(connect(wire, name, contract, timeout=timeout, limits=limits)) as source,
    ):
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


class Mirror:
    """One replica's pump, and the carrier of its channel: calls go to the other thread, news come from there."""

    def __init__(self, thread: LoopThread, source: Object) -> None:
        self.owner = get_ident()
        self._thread, self._source = thread, source
        self._source_link = link_of(source)
        self._inbox = Inbox()
        self._running: dict[int, Any] = {}
        self._handling = 0
        self._closed = False
        link: ReplicaLink = self._source_link
        self.replica = PumpedReplica(link.url, link.name, link.cls)
        self.replica.pump = self
        self._channel = self.replica.channel = Channel(self.replica, partial(BlockingCall, self))
        values, state = thread.run(_called(self._subscribe))
        self._channel.attach(self, contract_of(source), values, type_of(source))
        self.replica.become(state, link.error)

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
        self._channel.detach(Fault(Code.UNAVAILABLE, f"the block of '{self.replica.block}' has ended"))
        self._inbox.close()

    # What the channel calls; see `runtime.channel.Carrier`.

    def call(self, channel: Channel, member: Member, arguments: tuple[Any, ...], token: int) -> None:
        """Let the replica call, or push."""
        check_thread(self.owner)
        if not self._thread.alive:
            raise self.replica.unavailable()
        self._forward(
            token,
            self._perform(member, arguments),
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
        del channel
        check_thread(self.owner)
        return MirroredStream(self, self._thread, lambda: members(self._source)[member.name](*arguments))

    def sweep(self, channel: Channel) -> None:
        """The replica keeps the deadlines."""

    # What streams call.

    def begin(self, work: Coroutine[Any, Any, Any]) -> BlockingCall:
        """Run *work* in the other thread; return the pending call of its result."""
        call = BlockingCall(self)
        self._forward(id(call), work, call.set_result, call.set_exception)
        return call

    # Private: in the other thread.

    def _subscribe(self) -> tuple[dict[str, Any], ReplicaState]:
        self._source._everywire.watch(self._heard)
        self._source_link.state_changed.connect(self._became)
        return dict(self._source._everywire.values), self._source_link.state

    def _heard(self, event: Any) -> None:
        if isinstance(event, Changed):
            self._inbox.put(partial(self._channel.changed, event.member.name, event.value))
        elif isinstance(event, Emitted):
            self._inbox.put(partial(self._emitted, event, self._source_link.gap))

    def _became(self, state: ReplicaState) -> None:
        self._inbox.put(partial(self.replica.become, state, self._source_link.error))

    async def _perform(self, member: Member, arguments: tuple[Any, ...]) -> Any:
        if member.kind is Kind.PROPERTY:
            return await self._source_link.push(type(self._source).__everywire_declared__[member.name], *arguments)
        return await members(self._source)[member.name](*arguments)

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

    def _finished(self, token: int, tell: Callable[[Any], object], what: Any) -> None:
        if self._running.pop(token, None) is not None:
            tell(what)

    def _emitted(self, event: Emitted, gap: int) -> None:
        self.replica.gap = gap
        self._channel.emitted(event.member.name, event.arguments)


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
