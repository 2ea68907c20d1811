"""Other ways to a peer than an address: a child's input and output, and streams that somebody else has made.

An address is text, which may come from a file or a registry; so none of them can be written as one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import Any, Final, Protocol, cast

from everywire.errors import AddressError, LinkError, LocalProtocolError
from everywire.runtime.limits import Limits
from everywire.runtime.tasks import TaskSet
from everywire.transport import Connection, Listener, Peer, Receiver
from everywire.transport.command import Child, Command, start
from everywire.transport.given import Stream, link_stream

End = Callable[[], Awaitable[str]]
"""Awaited when the link is closed; returns what there is to say about how it ended, if anything."""


class Way(Protocol):
    """How a session comes to its peer."""

    @property
    def url(self) -> str:
        """What stands for an address in messages."""
        ...

    async def reach(self, receiver: Receiver, limits: Limits, tasks: TaskSet) -> End:
        """Connect *receiver* to a host; raises LinkError."""
        ...

    async def listen(self, make_receiver: Callable[[], Receiver], limits: Limits, tasks: TaskSet) -> WayListener:
        """Serve those who come this way."""
        ...


class WayListener(Listener, Protocol):
    """A listener that has something to wait for once its links are closed."""

    async def ended(self) -> None:
        """Wait for the end of what the links led to."""
        ...


class CommandWay:
    """A child process, started for each connection."""

    def __init__(self, command: Command) -> None:
        self.command = command
        self.url: Final = f"command:{command.name}"

    async def reach(self, receiver: Receiver, limits: Limits, tasks: TaskSet) -> End:
        """Start the child, which is the host."""
        del tasks
        _, child = start(self.command, receiver, write_limit=limits.unsent_soft)

        async def end() -> str:
            return said(await child.ended())

        return end

    async def listen(self, make_receiver: Callable[[], Receiver], limits: Limits, tasks: TaskSet) -> WayListener:
        """Start the child, which uses our objects."""
        return _ServedChild(self, make_receiver(), limits, tasks)


class _ServedChild:
    """The listener of one child; when that has ended nobody else comes."""

    def __init__(self, way: CommandWay, receiver: Receiver, limits: Limits, tasks: TaskSet) -> None:
        self.url = way.url
        self.refused: Final = 0
        self._tasks = tasks
        self._child: Child
        _, self._child = start(way.command, receiver, write_limit=limits.unsent_soft, released=self._released)

    async def close(self) -> None:
        """There is nothing to stop accepting."""

    async def ended(self) -> None:
        await self._child.ended()

    def _released(self) -> None:
        self.url = ""
        if not self._tasks.closed:
            self._tasks.spawn(self._child.ended())


class StreamWay:
    """Streams of somebody else: one, or what *given* returns or awaits for each connection."""

    def __init__(self, given: Stream | Callable[[], Any], peer: Peer | None) -> None:
        self._given, self._peer = given, peer
        self._used = False
        self.url: Final = "stream:"

    async def reach(self, receiver: Receiver, limits: Limits, tasks: TaskSet) -> End:
        """Use the stream."""
        stream = await self._stream(limits.handshake)
        _, run = await link_stream(stream, receiver, write_limit=limits.unsent_soft, peer=self._peer)
        if run is not None:
            tasks.spawn(run)
        return _nothing

    async def listen(self, make_receiver: Callable[[], Receiver], limits: Limits, tasks: TaskSet) -> WayListener:
        """Serve the peer at the other end of the stream."""
        streams = Streams()
        listener = await streams.listen(make_receiver, limits, tasks)
        tasks.spawn(streams.adopt(await self._stream(limits.handshake), peer=self._peer))
        return listener

    async def _stream(self, timeout: float) -> Stream:
        given: Any = self._given
        if not callable(given):
            if self._used:
                again = "give a function that makes one, and the link comes back"
                raise LinkError(f"the stream that was given has ended; {again}")
            self._used = True
            return cast("Stream", given)
        try:
            async with asyncio.timeout(timeout):
                made: Any = given()
                return cast("Stream", await made if isawaitable(made) else made)
        except TimeoutError as error:
            raise LinkError(f"no stream within {timeout:g} s") from error
        except OSError as error:
            raise LinkError(f"no stream: {error}") from error


class Streams:
    """Where a host takes streams that somebody else accepts: ``await streams.adopt(stream)`` serves one to its end.

    It stands for the streams of one ``node.serve(RemoteObjects.over(streams))``.
    """

    def __init__(self) -> None:
        self.url: Final = "stream:"
        self._make: Callable[[], Receiver] | None = None
        self._limits: Limits
        self._links: set[Connection] = set()

    async def adopt(self, stream: Stream, *, peer: Peer | None = None) -> None:
        """Serve the peer at the other end of *stream* until that ends; cancelling cuts it.

        *peer* is who that is, where more is known than the kernel says of a socket: without it the peer of any other
        stream is a stranger, who sees nothing. Raises LocalProtocolError while nobody serves, ModelError for what is no
        stream, LinkError for a socket that is not connected.
        """
        if self._make is None:
            raise LocalProtocolError("nobody serves these streams: await node.serve(RemoteObjects.over(streams)) first")
        gone = asyncio.Event()
        limit = self._limits.unsent_soft
        link, run = await link_stream(stream, self._make(), write_limit=limit, peer=peer, released=gone.set)
        self._links.add(link)
        try:
            await (gone.wait() if run is None else run)
        finally:
            self._links.discard(link)
            if not gone.is_set():
                link.abort()
                await gone.wait()

    async def reach(self, receiver: Receiver, limits: Limits, tasks: TaskSet) -> End:
        """Refuse: one connects over one stream."""
        del receiver, limits, tasks
        raise AddressError("Streams are for who serves; connect over a stream, or a function that makes one")

    async def listen(self, make_receiver: Callable[[], Receiver], limits: Limits, tasks: TaskSet) -> WayListener:
        """Take streams from now on."""
        del tasks
        if self._make is not None:
            raise LocalProtocolError("these streams are served already: make other Streams")
        self._make, self._limits = make_receiver, limits
        return _Adopting(self)

    def stop(self) -> None:
        """Take no more."""
        self._make = None


class _Adopting:
    """The listener of `Streams`."""

    def __init__(self, streams: Streams) -> None:
        self.url = streams.url
        self.refused: Final = 0
        self._streams = streams

    async def close(self) -> None:
        self._streams.stop()

    async def ended(self) -> None:
        """Whoever made the streams waits for them."""


def said(code: int) -> str:
    """Return how a child ended."""
    return f"the child was ended by signal {-code}" if code < 0 else f"the child ended with exit code {code}"


async def _nothing() -> str:
    return ""


def way_over(given: Any, peer: Peer | None) -> Way:
    """Return the way over *given*."""
    return given if isinstance(given, Streams) else StreamWay(given, peer)
