"""Streams between everywire peers: items are pulled from the source only while the node has room; none is dropped."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from everywire.errors import Fault, ModelError, RemoteProtocolError
from everywire.model import Member
from everywire.remoteobjects.codec.extension import Method, Told, ask, tell
from everywire.remoteobjects.wire.qttypes import lift, lower
from everywire.runtime.gate import Door, authorize, fault_of

if TYPE_CHECKING:
    from everywire.remoteobjects.endpoint.extending import HostExtension
    from everywire.remoteobjects.endpoint.replicas import ReplicaSession
    from everywire.remoteobjects.endpoint.serving import HostSession

WINDOW: Final = 64
"""Items a node lets a host send ahead of its reader."""

MOST_GRANTED: Final = 1024
"""Items that a host believes a node to have room for: a generator must not run on and on because of a lie."""


class OutgoingStream:
    """The host's end: drives the slot's generator as far as the node has granted."""

    def __init__(self, session: HostSession, extension: HostExtension, door: Door, number: int) -> None:
        self._session, self._extension, self._door, self._number = session, extension, door, number
        self.object = door.name
        self._credit = 0
        self._granted = asyncio.Event()
        self._task: asyncio.Task[Any] | None = None

    def start(self, raw: tuple[Any, ...]) -> None:
        """Take the call through the gate's steps and begin; raises ModelError or Fault when it is refused."""
        door = self._door
        authorize(self._session, door, raw)
        parameters = door.member.parameters
        lifted = tuple(lift(p.type, value) for p, value in zip(parameters, raw, strict=False))
        arguments = door.check((*lifted, *raw[len(lifted) :]))
        work = self._run(arguments)
        self._session.start_task(door, self._number, work, lambda _: self._extension.ended(self._number))
        self._task = self._session.task_of(door, self._number)

    def grant(self, items: int) -> None:
        """The node has room for *items* more."""
        self._credit = min(self._credit + max(0, items), MOST_GRANTED)
        self.wake()

    def wake(self) -> None:
        """Look again whether there is room, on the node and on the link."""
        self._granted.set()

    def close(self) -> None:
        """End the generator; the node wants no more."""
        if self._task is not None:
            self._session.stop(self._task)

    async def _run(self, arguments: tuple[Any, ...]) -> None:
        generator: Any = self._door.method(*arguments)
        try:
            while True:
                while not self._credit or self._session.outbox.congested:
                    self._granted.clear()
                    await self._granted.wait()
                item = await anext(generator)
                self._credit -= 1
                self._send(item)
        except StopAsyncIteration:
            return
        except Fault as fault:
            self._extension.failed(self._number, fault)
        except Exception as error:  # noqa: BLE001  the slot's failure is the reader's answer
            self._extension.failed(self._number, fault_of(error, self._door))
        finally:
            await generator.aclose()

    def _send(self, item: Any) -> None:
        node = self._door.member.result
        checked = item if node is None else lower(node, node.convert(item))
        self._session.outbox.put(tell(Told.ITEM, self._number, checked))


class IncomingStream(AsyncIterator[Any]):
    """The node's end: what calling a stream of a replica returns.

    The request is sent at once. Leaving the `async for` early needs `aclose()`, or dropping the stream, to tell the
    host.
    """

    def __init__(self, session: ReplicaSession, name: str, member: Member, number: int) -> None:
        self._session, self._member, self.name, self.number = session, member, name, number
        self._items: deque[Any] = deque()
        self._ready = asyncio.Event()
        self._end: BaseException | None = None
        self._taken = 0

    def __aiter__(self) -> IncomingStream:
        return self

    async def __anext__(self) -> Any:
        while not self._items:
            if self._end is not None:
                raise self._end
            self._ready.clear()
            await self._ready.wait()
        item = self._items.popleft()
        self._taken += 1
        if self._taken * 2 >= WINDOW and self._end is None:
            self._session.send(ask(Method.GRANT, self.number, self._taken))
            self._taken = 0
        return item

    async def aclose(self) -> None:
        """Tell the host that no more items are wanted."""
        if self._end is None:
            self._end = StopAsyncIteration()
            self._session.close_stream(self.number)
            self._ready.set()

    def __del__(self) -> None:
        if self._end is None:
            with suppress(RuntimeError):  # the loop is closed
                # Later and in the loop's thread: garbage is collected in any thread, in the midst of anything.
                self._session.loop.call_soon_threadsafe(self._session.close_stream, self.number)

    def arrived(self, raw: Any) -> None:
        """Take an item; one that does not fit ends the stream."""
        node = self._member.result
        if self._end is not None:
            return
        if len(self._items) >= WINDOW:
            self.ended(RemoteProtocolError("the host sent more items of a stream than it was granted"))
            self._session.close_stream(self.number)
            return
        try:
            self._items.append(raw if node is None else lift(node, raw))
        except ModelError as error:
            self.ended(error)
            self._session.close_stream(self.number)
            return
        self._ready.set()

    def ended(self, error: BaseException | None = None) -> None:
        """Take the end."""
        if self._end is None:
            self._end = error or StopAsyncIteration()
        self._ready.set()
