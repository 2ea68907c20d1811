"""Fakes for the tests of programs and wires built on everywire: nothing here opens a socket, sleeps or is used to run.

```python
async def test_the_room_warms_up() -> None:
    async with pair(Thermostat()) as room:
        heard = Heard()
        room.overheated.connect(heard)
        await room.boost(5)
        assert await heard.wait(1) == [(30.5, "attic")]
```
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

from everywire.errors import LinkError
from everywire.model import Object
from everywire.runtime.connecting import connect
from everywire.runtime.limits import DEFAULT_LIMITS, Limits
from everywire.runtime.policy import Policy
from everywire.runtime.serving import serve
from everywire.transport import Peer, Receiver

__all__ = ("Heard", "RecordingConnection", "pair")

S = TypeVar("S", bound=Object)

_NUMBERS: Final = itertools.count(1)


@asynccontextmanager
async def pair(
    source: S,
    name: str = "object",
    cls: type[S] | None = None,
    *,
    policy: Policy | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> AsyncGenerator[S, None]:
    """Publish *source* in memory and give a replica of it, which behaves as over any other wire.

    The replica has the class *cls*, by default that of *source*. Calls pass the same gate, *policy* and *limits*.
    """
    url = f"memory:pair-{next(_NUMBERS)}"
    async with (
        serve(source, name, on=(url,), policy=policy, limits=limits),
        connect(url, name, cls or type(source), limits=limits) as replica,
    ):
        yield replica


class Heard:
    """A callable that keeps what it is called with; connect it to a signal, `on_change` or `state_changed`."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        """The arguments of every call, oldest first."""
        self._called = asyncio.Event()

    def __call__(self, *arguments: Any) -> None:
        self.calls.append(arguments)
        self._called.set()

    async def wait(self, count: int) -> list[tuple[Any, ...]]:
        """Wait until there were *count* calls, and return all of them."""
        while len(self.calls) < count:
            self._called.clear()
            await self._called.wait()
        return self.calls


class RecordingConnection:
    """A `transport.Connection` that keeps what is written, for tests of sessions and wires.

    The peer takes everything at once until `stall`, and again after `take`. `lost` is called by `lose` alone, so that
    the test chooses the moment.
    """

    def __init__(
        self, receiver: Receiver, *, peer: Peer | None = None, write_limit: int = DEFAULT_LIMITS.unsent_soft
    ) -> None:
        self.peer: Final = peer or Peer(transport="memory", loopback=True)
        self.written: list[bytes] = []
        """Every chunk that was written, also those the peer has not taken."""
        self.unsent = 0
        self.reading = True
        """False while the receiver has paused reading."""
        self.closed = self.aborted = False
        self._receiver, self._write_limit = receiver, write_limit
        self._stalled = self._paused = False

    def write(self, data: bytes) -> None:
        """Keep *data*; ignored after `close` and `abort`."""
        if self.closed or self.aborted:
            return
        self.written.append(data)
        if self._stalled:
            self.unsent += len(data)
            if self.unsent > self._write_limit and not self._paused:
                self._paused = True
                self._receiver.paused()

    def close(self) -> None:
        """Remember that the connection was closed in order."""
        self.closed = True

    def abort(self) -> None:
        """Remember that the connection was cut."""
        self.aborted = True

    def pause_reading(self) -> None:
        """Remember that the peer is to wait."""
        self.reading = False

    def resume_reading(self) -> None:
        """Remember that the peer may go on."""
        self.reading = True

    def stall(self) -> None:
        """Let the peer take nothing from now on."""
        self._stalled = True

    def take(self) -> bytes:
        """Let the peer take everything again; return all that was written so far, and forget it."""
        taken = b"".join(self.written)
        self.written.clear()
        self.unsent = 0
        self._stalled = False
        if self._paused:
            self._paused = False
            self._receiver.resumed()
        return taken

    def lose(self, error: LinkError | None = None) -> None:
        """End the connection, as the peer or a fault of the network does."""
        self.closed = True
        self._receiver.lost(error)
