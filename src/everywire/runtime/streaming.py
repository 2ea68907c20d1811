"""Streams over a link: items are pulled from the source only while the reader has room, and none is ever dropped.

The reader grants items, the host's generator is advanced as far as was granted. How an item looks, and how it travels,
is the wire's business.
"""

from __future__ import annotations

import asyncio
import itertools
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Final, Protocol

from everywire.errors import Code, Fault, ModelError
from everywire.runtime.gate import Door, authorize, fault_of, invalid
from everywire.runtime.inbound import InboundLink
from everywire.runtime.incoming import Incoming

MOST_GRANTED: Final = 1024
"""Items that a host believes a reader to have room for: a generator must not run on and on because of a lie."""


# -------------------------------------------------------------------------------------------------------- at the host
class StreamTeller(Protocol):
    """How a wire tells a reader about its streams."""

    def tell_item(self, door: Door, number: int, item: Any) -> None:
        """Send an item; raises ModelError when it does not fit."""
        ...

    def tell_failed(self, number: int, fault: Fault) -> None:
        """Send that a stream ended with *fault*."""
        ...

    def tell_ended(self, number: int) -> None:
        """Send that a stream has no more items."""
        ...


class OutgoingStreams:
    """The streams that run for one link, by the numbers that its reader chose."""

    __slots__ = ("_streams", "link", "teller")

    def __init__(self, link: InboundLink, teller: StreamTeller) -> None:
        self.link, self.teller = link, teller
        self._streams: dict[int, OutgoingStream] = {}

    def open(self, door: Door, arguments: tuple[Any, ...], number: int) -> None:
        """Start a stream through the gate's steps; one that may not start fails by its number."""
        if number in self._streams or len(self._streams) >= self.link.limits.pending_calls:
            raise Fault(Code.RESOURCE_EXHAUSTED, "too many streams on this link", may_have_run=False)
        stream = self._streams[number] = OutgoingStream(self, door, number)
        try:
            authorize(self.link, door, arguments)
            stream.start(door.check(arguments))
        except ModelError as error:
            self.failed(stream, invalid(error))
        except Fault as fault:
            self.failed(stream, fault)

    def grant(self, number: int, items: int) -> None:
        """The reader has room for *items* more; one that has ended meanwhile is left alone."""
        stream = self._streams.get(number)
        if stream is not None:
            stream.grant(items)

    def stop(self, number: int) -> None:
        """The reader wants no more."""
        stream = self._streams.pop(number, None)
        if stream is not None:
            stream.stop()

    def wake(self) -> None:
        """The link has room again."""
        for stream in self._streams.values():
            stream.granted.set()

    def withdrawn(self, name: str) -> None:
        """An object is gone, its streams with it."""
        for stream in tuple(self._streams.values()):
            if stream.door.name == name:
                stream.stop()
                self.failed(stream, Fault(Code.UNAVAILABLE, f"the host withdrew {name}"))

    def fail(self, fault: Fault) -> None:
        """End all streams with *fault*."""
        for stream in tuple(self._streams.values()):
            stream.stop()
            self.failed(stream, fault)

    def failed(self, stream: OutgoingStream, fault: Fault) -> None:
        """Tell that *stream* ended with *fault*; links do it, too, for its task has the stream as its token."""
        if self._forget(stream):
            self.teller.tell_failed(stream.number, fault)

    def ended(self, stream: OutgoingStream) -> None:
        """Tell that *stream* has no more items."""
        if self._forget(stream):
            self.teller.tell_ended(stream.number)

    def _forget(self, stream: OutgoingStream) -> bool:
        """Return whether *stream* was still wanted; its number may belong to another one by now."""
        if self._streams.get(stream.number) is not stream:
            return False
        del self._streams[stream.number]
        return True


class OutgoingStream:
    """Drives one slot's generator as far as its reader has granted."""

    def __init__(self, streams: OutgoingStreams, door: Door, number: int) -> None:
        self.door, self.number = door, number
        self.granted = asyncio.Event()
        self._streams = streams
        self._credit = 0
        self._task: asyncio.Task[Any] | None = None

    def start(self, arguments: tuple[Any, ...]) -> None:
        """Begin, with checked arguments."""
        streams = self._streams
        streams.link.start_task(self.door, self, self._run(arguments), lambda _: streams.ended(self))
        self._task = streams.link.task_of(self.door, self)

    def grant(self, items: int) -> None:
        """Let it run further."""
        self._credit = min(self._credit + max(0, items), MOST_GRANTED)
        self.granted.set()

    def stop(self) -> None:
        """End the generator."""
        if self._task is not None:
            self._streams.link.stop(self._task)

    async def _run(self, arguments: tuple[Any, ...]) -> None:
        outbox, teller = self._streams.link.outbox, self._streams.teller
        generator: Any = self.door.method(*arguments)
        try:
            while True:
                while not self._credit or outbox.congested:
                    self.granted.clear()
                    await self.granted.wait()
                item = await anext(generator)
                self._credit -= 1
                teller.tell_item(self.door, self.number, item)
        except StopAsyncIteration:
            return
        except Exception as error:  # noqa: BLE001  the slot's failure is the reader's answer
            self._streams.failed(self, fault_of(error, self.door))
        finally:
            await generator.aclose()


# ------------------------------------------------------------------------------------------------------ at the reader
class StreamSource(Protocol):
    """How a wire asks a host for a stream's items."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop of the link."""
        ...

    def ask_for(self, number: int, items: int) -> None:
        """Grant room for *items* more."""
        ...

    def ask_to_stop(self, number: int) -> None:
        """Say that no more items are wanted; nothing when the link is gone."""
        ...


class IncomingStreams:
    """The streams that this end of a link reads; one that nobody holds any more is stopped."""

    def __init__(self, source: StreamSource, numbers: Iterator[int] | None = None) -> None:
        """Take numbers of streams from *numbers* where several replicas share a link."""
        self._source = source
        self._numbers = itertools.count(1) if numbers is None else numbers
        self._streams: weakref.WeakValueDictionary[int, IncomingStream] = weakref.WeakValueDictionary()

    def new(self, lift: Callable[[Any], Any]) -> IncomingStream:
        """Return a stream whose items *lift* makes of what arrives; the wire opens it and grants `WINDOW` items."""
        number = next(self._numbers)
        stream = self._streams[number] = IncomingStream(self, self._source, number, lift)
        return stream

    def item(self, number: int, raw: Any) -> None:
        """Take an item; one of a stream that was stopped is dropped."""
        stream = self._streams.get(number)
        if stream is not None:
            stream.arrived(raw)

    def end(self, number: int, error: BaseException | None = None) -> None:
        """Take the end of a stream."""
        stream = self._streams.pop(number, None)
        if stream is not None:
            stream.ended(error)

    def end_all(self, error: BaseException) -> None:
        """The link is gone."""
        for stream in list(self._streams.values()):
            stream.ended(error)

    def stop(self, number: int) -> None:
        """Tell the host that a stream is not wanted any more."""
        self._streams.pop(number, None)
        self._source.ask_to_stop(number)


class IncomingStream(Incoming):
    """A stream that is read in a loop."""

    def __init__(self, streams: IncomingStreams, source: StreamSource, number: int, lift: Callable[[Any], Any]) -> None:
        super().__init__(number, lift)
        self._streams, self._source = streams, source
        self._ready = asyncio.Event()

    def grant(self, items: int) -> None:
        """Tell the host that there is room for *items* more."""
        self._source.ask_for(self.number, items)

    def stop(self) -> None:
        """Tell the host that no more items are wanted."""
        self._streams.stop(self.number)

    async def wait(self) -> None:
        """Wait for an item, or for the end."""
        self._ready.clear()
        await self._ready.wait()

    def wake(self) -> None:
        """There is an item, or the end."""
        self._ready.set()

    def dropped(self) -> None:
        """Later and in the loop's thread: garbage is collected in any thread, in the midst of anything."""
        with suppress(RuntimeError):  # the loop is closed
            self._source.loop.call_soon_threadsafe(self._streams.stop, self.number)
