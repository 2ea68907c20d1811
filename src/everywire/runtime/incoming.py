"""The reader's end of a stream, whoever waits for it: a window of items that the host may send ahead. Knows no loop."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

from everywire.errors import ModelError, RemoteProtocolError

WINDOW: Final = 64
"""Items that a reader lets a host send ahead of it."""


class Incoming(AsyncIterator[Any]):
    """What calling a stream of a replica returns, whoever waits for its items: a loop or a blocking thread.

    The request is sent at once. Leaving the `async for` early needs `aclose()`, or dropping the stream, to tell the
    host.
    """

    def __init__(self, number: int, lift: Callable[[Any], Any]) -> None:
        self.number = number
        self._lift = lift
        self._items: deque[Any] = deque()
        self._end: BaseException | None = None
        self._taken = 0

    def __aiter__(self) -> Incoming:
        return self

    async def __anext__(self) -> Any:
        while not self._items:
            if self._end is not None:
                raise self._end
            await self.wait()
        item = self._items.popleft()
        self._taken += 1
        if self._taken * 2 >= WINDOW and self._end is None:
            self.grant(self._taken)
            self._taken = 0
        return item

    async def aclose(self) -> None:
        """Tell the host that no more items are wanted."""
        if self._end is None:
            self._end = StopAsyncIteration()
            self.stop()
            self.wake()

    def __del__(self) -> None:
        if self._end is None:
            self.dropped()

    def arrived(self, raw: Any) -> None:
        """Take an item; one that does not fit ends the stream."""
        if self._end is not None:
            return
        if len(self._items) >= WINDOW:
            self.ended(RemoteProtocolError("the host sent more items of a stream than it was granted"))
            self.stop()
            return
        try:
            self._items.append(self._lift(raw))
        except ModelError as error:
            self.ended(error)
            self.stop()
            return
        self.wake()

    def ended(self, error: BaseException | None = None) -> None:
        """Take the end."""
        if self._end is None:
            self._end = error or StopAsyncIteration()
        self.wake()

    # What wires, loops and blocking threads do in their own way.

    def grant(self, items: int) -> None:
        """Tell the host that there is room for *items* more."""
        raise NotImplementedError

    def stop(self) -> None:
        """Tell the host that no more items are wanted."""
        raise NotImplementedError

    async def wait(self) -> None:
        """Wait for an item, or for the end."""
        raise NotImplementedError

    def wake(self) -> None:
        """There is an item, or the end."""
        raise NotImplementedError

    def dropped(self) -> None:
        """Nobody holds the stream any more; called in any thread."""
        raise NotImplementedError
